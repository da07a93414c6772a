//! Prepare: peek at the AppSpec, then archive → bundle → store in one pass. May run twice: the key names what the
//! bundle is made of. Never keeps more than a few buffers in memory, and leaves no object behind when it refuses.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::appspec::{self, AppSpec, Os, ServerSpec};
use crate::bundle::{self, BundleError, Bundled, Limits};
use crate::domain::{
    ArchiveFacts, Blame, BundleFormat, CommitSha, Failure, Finding, Findings, Location, Order, Revision, Severity,
    Weighed,
};
use crate::revisions::{ObjectKey, RevisionError, Store, Upload};
use crate::source::{Source, SourceError};

use super::{Probe, World};

/// How many buffers wait between two stages. With 64 KiB a buffer, a pass holds under 2 MiB besides the upload's parts.
const BUFFERS: usize = 8;
/// How large the bundler's output grows before it is handed on.
const CHUNK: usize = 64 * 1024;

/// What preparing made.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the engine will be given.
    pub revision: Revision,
    /// What passed through.
    pub archive: ArchiveFacts,
    /// What a person should change, although it deploys.
    pub findings: Vec<Finding>,
}

/// Makes the revision of a weighed order. `known` are revisions of the same commit that the ledger remembers.
pub async fn prepare(world: &World, order: &Order, weighed: &Weighed, known: &[Revision]) -> Result<Prepared, Failure> {
    let source = world.sources.of(&order.target);
    let (file, text) = peek(&source, order, &weighed.commit).await?;
    let (spec, findings) = appspec::parse(&text, &file);
    let spec = spec.filter(|_| !findings.refuse()).ok_or_else(|| broken(&file, &findings))?;
    let mut prepared = match spec {
        AppSpec::Server(spec) => bundle(world, &source, order, weighed, &spec, known).await?,
        AppSpec::Lambda(_) | AppSpec::Ecs(_) => inline(text),
    };
    prepared.findings.splice(0..0, findings.0);
    prepared.findings.retain(|it| it.severity != Severity::Style);
    Ok(prepared)
}

/// The AppSpec at the bundle's root, with its path in the repository.
async fn peek(source: &Source, order: &Order, commit: &CommitSha) -> Result<(String, String), Failure> {
    let root = &order.target.bundle.root;
    let path = |name: &str| if root.is_empty() { name.to_owned() } else { format!("{root}/{name}") };
    for name in ["appspec.yml", "appspec.yaml"] {
        if let Some(bytes) = source.peek(commit, &path(name)).await.map_err(not_yet)? {
            let text = String::from_utf8(bytes.into()).map_err(|_| {
                Failure::revision("steps/appspec-not-utf8", format!("`{}` is not UTF-8 text", path(name)))
                    .help("save it as UTF-8")
            })?;
            return Ok((path(name), text));
        }
    }
    Err(no_appspec(&path("appspec.yml"), commit, &elsewhere(source, commit).await))
}

/// Where else an AppSpec lies. It only helps a person: a source that does not tell leaves the refusal as it is.
async fn elsewhere(source: &Source, commit: &CommitSha) -> Vec<String> {
    source.named(commit, "appspec.yml").await.unwrap_or_default()
}

fn no_appspec(expected: &str, commit: &CommitSha, elsewhere: &[String]) -> Failure {
    let message = format!("there is no `{expected}` in {}", commit.short());
    let root = |path: &String| path.rsplit_once('/').map_or(".", |(root, _)| root).to_owned();
    match elsewhere {
        [] => Failure::revision("steps/no-appspec", message)
            .help("add an AppSpec there, or set `bundle.root` to the directory that holds one"),
        [only] => Failure::revision("steps/no-appspec", format!("{message}, but there is `{only}`"))
            .help(format!("set `root = \"{}\"` under the target's `bundle`, or move the file", root(only))),
        [first, rest @ ..] => {
            let message = format!("{message}, but there are `{first}` and {} more", rest.len());
            Failure::revision("steps/no-appspec", message)
                .help(format!("set `root` under the target's `bundle` to one's directory, such as `{}`", root(first)))
        }
    }
}

/// What the source could not give. It knew us and the commit a moment ago, when it was weighed: whatever it says now
/// against the set-up (a token that ran out, a commit that its archives have not heard of) is asked again, as it is when
/// weighing. What the revision is to blame for stays refused.
fn not_yet(error: SourceError) -> Failure {
    let mut failure = error.failure();
    failure.passing = failure.blame == Blame::Setup;
    failure
}

fn broken(file: &str, findings: &Findings) -> Failure {
    let first = findings.errors().next().map_or_else(|| "it cannot be read".to_owned(), |it| it.message.clone());
    let more = match findings.errors().count() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Failure::revision("steps/broken-appspec", format!("`{file}`: {first}{more}"))
        .help("run `landfall check` in the repository, which shows every finding in its place")
        .detail(&findings.to_string())
}

/// The AppSpec itself, for Lambda and ECS.
fn inline(content: String) -> Prepared {
    let sha256 = hex::encode(Sha256::digest(content.as_bytes()));
    Prepared { revision: Revision::AppSpec { content, sha256 }, archive: ArchiveFacts::default(), findings: vec![] }
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
    let format = rules.format.unwrap_or(match spec.os {
        Os::Linux => BundleFormat::Tgz,
        Os::Windows => BundleFormat::Zip,
    });
    let key = ObjectKey {
        target: order.target.name.clone(),
        commit: weighed.commit.clone(),
        rules: bundle::rules_digest(&order.repository, rules, format),
        format,
    };
    let store = world.stores.of(&order.target.revisions)?;
    if let Some(revision) = reuse(&store, &key, known).await {
        return Ok(Prepared {
            revision,
            archive: ArchiveFacts { reused: true, ..ArchiveFacts::default() },
            findings: vec![],
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
    Ok(Prepared { revision: Revision::Bundle { format, location, sha256, bytes, files }, archive, findings })
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
    let bundler = tokio::task::spawn_blocking(move || {
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
