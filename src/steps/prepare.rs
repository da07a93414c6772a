//! Prepare: peek at the AppSpec, then archive → bundle → store in one pass; or the AppSpec alone, or the commit's name. May run twice: the key names what the
//! bundle is made of. Never keeps more than a few buffers in memory, and leaves no object behind when it refuses.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::appspec::{AppSpec, EcsSpec, Filled, Os, ServerSpec};
use crate::bundle::{self, BundleError, Bundled, Limits};
use crate::clients::span;
use crate::domain::{
    ArchiveFacts, BundleFormat, CommitSha, EngineSpec, Failure, Finding, Location, Order, Platform, Revision,
    RevisionForm, RevisionsSpec, Severity, Weighed,
};
use crate::revisions::{Claim, ObjectKey, RevisionError, Store, Upload};
use crate::source::{Source, SourceError};

use super::peek::{self, not_yet};
use super::{Probe, World};

/// How many buffers wait between two stages. With 64 KiB a buffer, a pass holds under 2 MiB besides the upload's parts.
const BUFFERS: usize = 8;
/// How large the bundler's output grows before it is handed on.
const CHUNK: usize = 64 * 1024;

/// How many digits the ids of git's usual objects have.
const SHA1: usize = 40;

/// What preparing made.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the engine will be given.
    pub revision: Revision,
    /// What passed through.
    pub archive: ArchiveFacts,
    /// What a person should change, although it deploys.
    pub findings: Vec<Finding>,
    /// Keeps the revision from being deleted before the ledger says that it is used.
    pub claim: Option<Claim>,
}

/// Makes the revision of a weighed order. `known` are revisions of the same commit that the ledger remembers.
pub async fn prepare(world: &World, order: &Order, weighed: &Weighed, known: &[Revision]) -> Result<Prepared, Failure> {
    let source = world.sources.of(&order.target);
    let engine = world.engines.of(&order.target);
    let admission = engine.admit(order).await?;
    let (Filled { spec, content }, file, findings) = peek::peek(&source, order, weighed, admission.platform).await?;
    let form = form(order, &file, &spec, admission.platform)?;
    if findings.refuse() {
        return Err(peek::broken(&file, &findings));
    }
    let mut prepared = match (spec, form) {
        (AppSpec::Server(_), RevisionForm::GitHub) => on_github(order, &weighed.commit)?,
        (AppSpec::Server(spec), _) => {
            in_reach(order)?;
            let mut made = bundle(world, &source, order, weighed, &spec, known).await?;
            made.findings.extend(overruled(order, &file, &spec));
            made.findings.extend(engine.announce(order, &made.revision).await?);
            made
        }
        (AppSpec::Lambda(_), _) => inline(content.unwrap_or_default()),
        (AppSpec::Ecs(spec), _) => {
            let mut made = inline(content.unwrap_or_default());
            made.findings.extend(untested(&spec, admission.config.as_deref()));
            made
        }
    };
    prepared.findings.splice(0..0, admission.findings.into_iter().chain(findings.0));
    prepared.findings.retain(|it| it.severity != Severity::Style);
    Ok(prepared)
}

/// With all traffic moved at once the load balancer looks at health only afterwards (guide, «ECS all at once»).
fn untested(spec: &EcsSpec, config: Option<&str>) -> Option<Finding> {
    let tests = spec.hooks.iter().any(|(event, _)| event == "AfterAllowTestTraffic");
    let text = "all traffic moves at once and nothing tests the new tasks before, so that a success may be an outage";
    let finding = Finding::warning("steps/untested", text);
    let help = "add an `AfterAllowTestTraffic` hook and a test listener, or move traffic by degrees";
    (config == Some("CodeDeployDefault.ECSAllAtOnce") && !tests).then(|| finding.help(help))
}

/// Who may deploy this revision, and in what form: the configuration's word, the AppSpec's, the engine's.
fn form(order: &Order, file: &str, spec: &AppSpec, platform: Option<Platform>) -> Result<RevisionForm, Failure> {
    let of = peek::platform_of(spec);
    if let Some(platform) = platform.filter(|it| *it != of) {
        return Err(peek::of_other_platform(order, file, of, platform));
    }
    let by_platform = match of {
        Platform::Server => RevisionForm::Bundle,
        Platform::Lambda | Platform::Ecs => RevisionForm::AppSpec,
    };
    match peek::codedeploy(order).and_then(|it| it.revision) {
        Some(RevisionForm::GitHub) if of == Platform::Server => Ok(RevisionForm::GitHub),
        Some(said) if said != by_platform => {
            let text = format!("`{file}` is for {of}, and the target's `revision` is for another platform");
            Err(Failure::setup("steps/other-form", text).help("correct `revision` of the target, or take it out"))
        }
        Some(_) | None => Ok(by_platform),
    }
}

/// The AppSpec itself, for Lambda and ECS.
pub(super) fn inline(content: String) -> Prepared {
    let sha256 = hex::encode(Sha256::digest(content.as_bytes()));
    Prepared {
        revision: Revision::AppSpec { content, sha256 },
        archive: ArchiveFacts::default(),
        findings: vec![],
        claim: None,
    }
}

/// The commit on GitHub, which CodeDeploy fetches by itself: nothing is made.
fn on_github(order: &Order, commit: &CommitSha) -> Result<Prepared, Failure> {
    if commit.as_str().len() != SHA1 {
        let text = format!("CodeDeploy fetches commits by {SHA1} digits, and this one has {}", commit.as_str().len());
        return Err(Failure::setup("steps/not-on-github", text).help("let a bundle be made: take `revision` out"));
    }
    let revision = Revision::GitHub { repository: order.repository.name.to_string(), commit: commit.clone() };
    Ok(Prepared { revision, archive: ArchiveFacts::default(), findings: vec![], claim: None })
}

/// The AppSpec's word on files that exist beats the target's, and the person who set both may not know.
fn overruled(order: &Order, file: &str, spec: &ServerSpec) -> Option<Finding> {
    let (ours, theirs) = (order.target.engine.file_exists_behavior()?, spec.file_exists_behavior?);
    let text =
        format!("`{file}` says {} for files that exist, which beats the {} asked for", theirs.as_str(), ours.as_str());
    let finding = Finding::warning("steps/file-exists-overruled", text);
    (ours != theirs).then(|| finding.help("take `file_exists_behavior` out of one of them"))
}

/// CodeDeploy fetches a server's bundle from S3: without a bucket nothing is begun.
fn in_reach(order: &Order) -> Result<(), Failure> {
    match (&order.target.engine, &order.target.revisions) {
        (EngineSpec::CodeDeploy(_), RevisionsSpec::Directory { .. }) => {
            let text = "CodeDeploy fetches bundles for servers from S3, and this target keeps none there";
            Err(Failure::setup("steps/no-bucket", text)
                .help("set `s3 = { bucket = …, region = … }` under `[target.revisions]`"))
        }
        (EngineSpec::CodeDeploy(_), RevisionsSpec::S3 { .. }) | (EngineSpec::Host(_), _) => Ok(()),
    }
}

/// The bundle's form: as asked for, or as the AppSpec's system has it. The agent on Windows unpacks zip only (guide:
/// 1163, 13481).
fn format(wanted: Option<BundleFormat>, os: Os) -> Result<BundleFormat, Failure> {
    match (os, wanted) {
        (Os::Linux, wanted) => Ok(wanted.unwrap_or(BundleFormat::Tgz)),
        (Os::Windows, None | Some(BundleFormat::Zip)) => Ok(BundleFormat::Zip),
        (Os::Windows, Some(other)) => {
            let text =
                "`appspec.yml` is for Windows, where CodeDeploy's agent unpacks zip only, and the target asks for";
            Err(Failure::setup("steps/windows-wants-zip", format!("{text} {}", other.extension()))
                .help("set `format = \"zip\"` under `[target.bundle]`, or take it out"))
        }
    }
}

async fn bundle(
    world: &World,
    source: &Source,
    order: &Order,
    weighed: &Weighed,
    spec: &ServerSpec,
    known: &[Revision],
) -> Result<Prepared, Failure> {
    let rules = &order.target.bundle;
    let format = format(rules.format, spec.os)?;
    let key = ObjectKey {
        target: order.target.name.clone(),
        commit: weighed.commit.clone(),
        rules: bundle::rules_digest(&order.repository, rules, format),
        format,
    };
    let store = world.stores.of(&order.target.revisions)?;
    let claim = Some(store.claim(&key).await);
    store.first_look().await?;
    if let Some(revision) = reuse(&store, &key, known).await {
        return Ok(Prepared {
            revision,
            archive: ArchiveFacts { reused: true, ..ArchiveFacts::default() },
            findings: vec![],
            claim,
        });
    }
    let request = bundle::Request {
        commit: weighed.commit.clone(),
        repository: order.repository.name.clone(),
        rules: rules.clone(),
        format,
        spec: Some(spec.clone()),
    };
    let _turn = world.prepares.acquire().await.map_err(|_| Failure::passing("steps/ending", "the bot is ending"))?;
    let archive = source.archive(&weighed.commit).await.map_err(not_yet)?;
    let (bundled, location) = stream(archive, &store, &key, request, &world.probe).await?;
    let Bundled { sha256, bytes, archive, files, findings } = bundled;
    Ok(Prepared { revision: Revision::Bundle { format, location, sha256, bytes, files }, archive, findings, claim })
}

/// A revision made before of the same things, if the store still holds exactly it.
async fn reuse(store: &Store, key: &ObjectKey, known: &[Revision]) -> Option<Revision> {
    for revision in known {
        if let Revision::Bundle { location, .. } = revision
            && is_at(key, location)
            && store.holds(location).await.unwrap_or(false)
        {
            return Some(revision.clone());
        }
    }
    None
}

/// Whether a location is the one that the key names in its store.
fn is_at(key: &ObjectKey, location: &Location) -> bool {
    match location {
        Location::S3 { key: found, .. } => found.ends_with(&key.path()),
        Location::File { path } => path.ends_with(key.path()),
    }
}

type Archive = futures_util::stream::BoxStream<'static, Result<Bytes, SourceError>>;

/// The one pass: the download feeds the bundler, the bundler feeds the upload, all at once.
async fn stream(
    archive: Archive,
    store: &Store,
    key: &ObjectKey,
    request: bundle::Request,
    probe: &Probe,
) -> Result<(Bundled, Location), Failure> {
    let (raw_in, raw_out) = mpsc::channel(BUFFERS);
    let (made_in, made_out) = mpsc::channel(BUFFERS);
    let bundler = span::blocking(move || {
        let mut output = Output { buffer: Vec::with_capacity(CHUNK), to: made_in };
        let input = Input { from: raw_out, rest: Bytes::new() };
        let bundled = bundle::rebundle(input, &mut output, &request, &Limits::default());
        bundled.and_then(|it| output.flush().map(|()| it).map_err(BundleError::Output))
    });
    let feed = feed(archive, raw_in);
    let upload = store.begin(key);
    let (fed, sent) = tokio::join!(feed, send(made_out, upload, probe));
    let bundled =
        bundler.await.map_err(|panic| Failure::setup("steps/bundler-bug", format!("the bundler ended: {panic}")))?;
    match (fed, bundled, sent) {
        (_, Ok(bundled), Ok(upload)) => {
            let location = upload.finish(&bundled.sha256).await?;
            Ok((bundled, location))
        }
        // The first link that broke is the cause: the others only saw their neighbour go.
        (Err(error), _, sent) => {
            abandon(sent).await;
            Err(not_yet(error))
        }
        (Ok(()), Err(error), sent) if !matches!(error, BundleError::Output(_)) => {
            abandon(sent).await;
            Err(error.into())
        }
        (Ok(()), _, Err(error)) => Err(error.into()),
        (Ok(()), Err(error), sent) => {
            abandon(sent).await;
            Err(error.into())
        }
    }
}

async fn abandon(sent: Result<Upload, RevisionError>) {
    if let Ok(upload) = sent {
        upload.abort().await;
    }
}

/// Hands the archive to the bundler until one of them ends. The bundler may end first: it has seen what it needs.
async fn feed(mut archive: Archive, to: mpsc::Sender<io::Result<Bytes>>) -> Result<(), SourceError> {
    while let Some(chunk) = archive.next().await {
        match chunk {
            Ok(bytes) => {
                if to.send(Ok(bytes)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                let _ = to.send(Err(io::Error::other("the archive was cut"))).await;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Hands the bundle to the store, and gives the open upload back: only who knows that the bundle is good finishes it.
async fn send(mut from: mpsc::Receiver<Bytes>, mut upload: Upload, probe: &Probe) -> Result<Upload, RevisionError> {
    while let Some(bytes) = from.recv().await {
        if let Err(error) = upload.write(bytes).await {
            upload.abort().await;
            return Err(error);
        }
        probe("prepare:mid-upload");
    }
    Ok(upload)
}

/// The archive as the bundler reads it, from a blocking thread.
struct Input {
    from: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.from.blocking_recv() {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let length = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The bundle as the bundler writes it, from a blocking thread.
struct Output {
    buffer: Vec<u8>,
    to: mpsc::Sender<Bytes>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.to.blocking_send(full.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
