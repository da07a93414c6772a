//! The harness: a whole bot on a temporary directory, with a real git repository, real hooks and the real program as
//! the host engine's child. A test is a dialogue with it, and then one story.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use landfall::app::{App, Parts};
use landfall::clients::Clock;
use landfall::clients::aws::Aws;
use landfall::conductor::{AskError, Asked};
use landfall::config::{Config, Environment};
use landfall::domain::{
    Ask, CommitSha, Deployment, DeploymentEvent, DeploymentId, Event, Notice, NoticeState, Offset, Record, Request,
    SinkEvent, Stream, TargetEvent,
};
use landfall::ledger::Filter;
use landfall::report;
use landfall::steps::Probe;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::worlds::push::{self, SECRET};
use crate::worlds::repository::Repository;

/// The branch goes to where the working copy is, wherever it was.
pub(crate) const MAIN: &[&str] = &["+HEAD:refs/heads/main"];
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_STATUSES: Duration = Duration::from_millis(10);

/// A bot, its repository, and the directory that it deploys to.
pub(crate) struct Bot {
    pub(crate) dir: PathBuf,
    pub(crate) repo: Repository,
    pub(crate) runtime: Runtime,
    /// As whom it calls AWS, from the next start on.
    pub(crate) aws: Aws,
    /// Changes what the bot is made of, from the next start on.
    pub(crate) parts: fn(Parts) -> Parts,
    /// What time it is for it, from the next start on.
    pub(crate) clock: Clock,
    text: String,
    app: Option<App>,
    /// Removes the directory in the end, where it is ours.
    _kept: Option<TempDir>,
}

/// A configuration of one target `site`, with these lines added to its parts.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) top: &'static str,
    pub(crate) github: String,
    pub(crate) target: String,
    pub(crate) engine: &'static str,
}

impl Bot {
    pub(crate) fn new() -> Self {
        Self::with(&Extra::default())
    }

    /// A bot whose configuration has more in it, started.
    pub(crate) fn with(extra: &Extra) -> Self {
        let mut bot = Self::asleep(extra);
        bot.start();
        bot
    }

    /// A bot that is not started yet, with the sample site written but not committed.
    pub(crate) fn asleep(extra: &Extra) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bot = Self::asleep_at(dir.path(), extra);
        bot._kept = Some(dir);
        bot
    }

    /// The same in a directory that stays, or that a bot has lived in before.
    pub(crate) fn asleep_at(dir: &Path, extra: &Extra) -> Self {
        let home = dir.join("repo");
        let is_new = !home.exists();
        let repo = Repository::lasting(&home);
        let text = configuration(dir, &repo, extra);
        let bot = Self::configured(dir, repo, text);
        if is_new {
            bot.write_site("exit 0");
        }
        bot
    }

    /// Commits from GitHub, from the next start on.
    pub(crate) fn ask_github(&mut self, github: &crate::worlds::github::GitHubWorld) {
        let source = self.text.lines().find(|line| line.starts_with("source = ")).unwrap().to_owned();
        let config = github.config();
        let token = github.token_file();
        let api = format!("[github]\napi_url = \"{}\"\ntoken = {{ file = \"{}\" }}", config.api_url, token.display());
        self.text = self.text.replacen(&source, "", 1).replacen("[github]", &api, 1);
    }

    /// A rule that takes these branches instead of `main`, from the next start on.
    pub(crate) fn take(&mut self, branches: &str) {
        self.text = self.text.replacen("branches = [\"main\"]", &format!("branches = {branches}"), 1);
    }

    /// Another word in the configuration, from the next start on.
    pub(crate) fn change(&mut self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{}", self.text);
        self.text = self.text.replace(from, to);
    }

    /// A bot of any configuration. Whoever hands it in sees to its repository, too.
    pub(crate) fn configured(dir: &Path, repo: Repository, text: String) -> Self {
        install_tls();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self {
            parts: |parts| parts,
            text,
            dir: dir.to_owned(),
            repo,
            runtime,
            aws: Aws::with_keys("A", "S"),
            clock: Clock::system(),
            app: None,
            _kept: None,
        }
    }

    /// The sample site, with this as the last line of its `ValidateService` hook.
    pub(crate) fn write_site(&self, validate: &str) {
        let www = self.www();
        let hook = format!("#!/bin/sh\nset -eu\necho run >> {}/runs\n{validate}\n", self.dir.display());
        self.repo.write("scripts/validate.sh", &hook, 0o755);
        self.repo.write("appspec.yml", &appspec(&www), 0o644);
    }

    /// What carries host deployments out: the real program, or what a test put in front of it.
    pub(crate) fn program(&self) -> PathBuf {
        let other = self.dir.join("program");
        if other.exists() { other } else { env!("CARGO_BIN_EXE_landfall").into() }
    }

    pub(crate) fn www(&self) -> PathBuf {
        self.dir.join("www")
    }

    /// How often hooks ran: the deployments that really happened.
    pub(crate) fn runs(&self) -> usize {
        fs::read_to_string(self.dir.join("runs")).unwrap_or_default().lines().count()
    }

    pub(crate) fn start(&mut self) {
        self.start_with(Arc::new(|_| ()));
    }

    pub(crate) fn start_with(&mut self, probe: Probe) {
        let config = Config::parse(&self.text, "landfall.toml", &Environment::default());
        let config = config.unwrap_or_else(|findings| panic!("{findings}"));
        let parts = Parts {
            program: self.program(),
            probe,
            aws: self.aws.clone(),
            clock: self.clock.clone(),
            pace: crate::codedeploy::hurried(),
            report_pace: report::Pace {
                per_deployment: BETWEEN_STATUSES,
                planned: Duration::ZERO,
                ..report::Pace::default().every(Duration::ZERO)
            },
            ..Parts::of_this_program()
        };
        let parts = (self.parts)(parts);
        self.app = Some(self.runtime.block_on(App::start(config, parts)).unwrap_or_else(|error| panic!("{error}")));
    }

    pub(crate) fn stop(&mut self) {
        if let Some(app) = self.app.take() {
            self.runtime.block_on(app.stop()).unwrap();
        }
    }

    /// Whether it is started.
    pub(crate) fn is_up(&self) -> bool {
        self.app.is_some()
    }

    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().expect("the bot is started")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.app().address)
    }

    /// Writes the page, commits and pushes. Gives the sha; nothing is delivered.
    pub(crate) fn commit(&self, page: &str) -> String {
        let sha = self.repo.commit(page, &[("index.html", page)]);
        self.repo.push(MAIN);
        sha.to_string()
    }

    /// Delivers a push of `main` to this commit, signed. Gives the status and the answer.
    pub(crate) fn deliver(&self, id: &str, after: &str) -> (u16, Value) {
        self.runtime.block_on(deliver(&self.url(), id, &push::payload("acme/site", after)))
    }

    /// Asks for something, as Ada.
    pub(crate) fn ask(&self, key: &str, what: Ask) -> Result<Asked, AskError> {
        self.runtime.block_on(self.app().asks.ask(Request { actor: "ada".into(), key: key.into(), what }))
    }

    /// What stands at the site's only page.
    pub(crate) fn page(&self) -> String {
        fs::read_to_string(self.www().join("index.html")).unwrap_or_default()
    }

    /// Waits until every deployment is over.
    pub(crate) fn settle(&self) {
        let done = |bot: &Self| bot.app().ledger.unfinished().unwrap().is_empty();
        self.wait_for("every deployment to be over", done);
    }

    /// Waits until it is so, and prints the story if it never is.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let ended = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, async {
                while !is_so(self) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await
        });
        assert!(ended.is_ok(), "waited in vain for {what}:\n{}", self.story());
    }

    /// Waits until every deployment is over and its last status has been told.
    pub(crate) fn settle_and_tell(&self) {
        self.settle();
        self.wait_for("the last status of each deployment", |bot| {
            let statuses = bot.last_statuses();
            let told = |it: &Deployment| statuses.get(&it.id()).copied() == Some(Notice::of(it).state);
            bot.deployments().iter().all(told)
        });
    }

    /// The last status that each deployment was told with.
    pub(crate) fn last_statuses(&self) -> BTreeMap<DeploymentId, NoticeState> {
        let mut last = BTreeMap::new();
        for record in self.records() {
            if let Event::Sink(SinkEvent::Sent { deployment, state, .. }) = record.event {
                last.insert(deployment, state);
            }
        }
        last
    }

    /// Newest first.
    pub(crate) fn deployments(&self) -> Vec<Deployment> {
        self.app().ledger.deployments(&Filter { limit: 1000, ..Filter::default() }).unwrap()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.app().ledger.read(Offset(0), usize::MAX).unwrap()
    }

    /// What happened, in order, with stable names for ids and commits. Progress is left out: it is told by time.
    pub(crate) fn story(&self) -> String {
        Story::default().tell(&self.records())
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        if let Some(app) = self.app.as_ref().filter(|_| !std::thread::panicking()) {
            // What the ledger keeps is what people read: in no story does the system's own number stand.
            let records = app.ledger.read(Offset(0), usize::MAX).unwrap();
            let raw = records.iter().find(|it| format!("{it:?}").contains("(os error"));
            assert!(raw.is_none(), "{raw:#?}");
        }
        self.stop();
    }
}

/// Names things in the order in which they appear.
#[derive(Default)]
pub(crate) struct Story {
    ids: BTreeMap<DeploymentId, usize>,
    shas: Vec<String>,
}

impl Story {
    pub(crate) fn tell(&mut self, records: &[Record]) -> String {
        let mut text = String::new();
        for record in records {
            if let Some(line) = self.line(record) {
                text += &line;
                text.push('\n');
            }
        }
        text
    }

    fn id(&mut self, id: DeploymentId) -> String {
        let next = self.ids.len() + 1;
        format!("d{}", self.ids.entry(id).or_insert(next))
    }

    fn sha(&mut self, sha: &str) -> String {
        let at = self.shas.iter().position(|known| known == sha).unwrap_or_else(|| {
            self.shas.push(sha.to_owned());
            self.shas.len() - 1
        });
        format!("c{}", at + 1)
    }

    fn line(&mut self, record: &Record) -> Option<String> {
        Some(match (&record.stream, &record.event) {
            (Stream::Deployment(id), Event::Deployment(event)) => {
                let (id, words) = (self.id(*id), self.words(event)?);
                format!("{id}  {words}")
            }
            (Stream::Target(name), Event::Target(event)) => match event {
                TargetEvent::Seen { sha, .. } => format!("{name}  seen {}", self.sha(sha.as_str())),
                TargetEvent::Found { sha, .. } => format!("{name}  found {}", self.sha(sha.as_str())),
                TargetEvent::Pinned { .. } => return None,
                TargetEvent::Followed { repository } => format!("{name}  followed to {repository}"),
                TargetEvent::Locked { actor, .. } => format!("{name}  locked by {actor}"),
                TargetEvent::Unlocked { actor } => format!("{name}  unlocked by {actor}"),
                TargetEvent::UpkeepFailed { failure } => format!("{name}  upkeep failed: {}", failure.code),
                TargetEvent::UpkeepMended => format!("{name}  upkeep mended"),
                TargetEvent::Pruned { gone, .. } => format!("{name}  {}", if *gone { "found gone" } else { "pruned" }),
            },
            _ => return None,
        })
    }

    fn words(&mut self, event: &DeploymentEvent) -> Option<String> {
        use DeploymentEvent as E;
        Some(match event {
            E::Planned { order } => format!("planned {} by {}", self.sha(order.sha.as_str()), order.rule),
            E::Progressed { .. } | E::Stumbled { .. } => return None,
            E::Held { hold } => format!("held: {}", self.named(&hold.reason)),
            E::Weighed { commit, forced, .. } => {
                format!("weighed {}{}", self.sha(commit.as_str()), if *forced { ", forced" } else { "" })
            }
            E::Prepared { archive, .. } => format!("prepared{}", if archive.reused { " before" } else { "" }),
            E::Released { adopted, .. } => format!("released{}", if *adopted { ", adopted" } else { "" }),
            E::Ended { outcome } => format!("ended {:?}", outcome.verdict).to_lowercase(),
            E::Failed { failure } | E::Refused { failure } => {
                format!("{}: {}", event.kind(), self.named(&failure.message))
            }
            E::RollbackBegun { by, to } => format!("{} begun by {}", self.rollback(to.as_ref()), self.id(*by)),
            E::RollbackEnded { by, to, verdict } => {
                format!("{} by {} {verdict:?}", self.rollback(to.as_ref()), self.id(*by)).to_lowercase()
            }
            E::Declined { failure, .. } => format!("declined: {}", failure.code),
            E::Adopted { revision, .. } => {
                format!("adopted{}", if revision.is_none() { ", of a revision not known" } else { "" })
            }
            E::AlreadyLive { deployment } => format!("already live by {}", self.id(*deployment)),
            E::Skipped { reason } => format!("skipped: {}", self.named(reason)),
            E::Superseded { by, .. } => format!("superseded by {}", self.sha(by.as_str())),
            E::Verified { good, said, .. } => format!("verified {}: {said}", if *good { "good" } else { "bad" }),
            E::Stopped { actor, .. } | E::StopAsked { actor, .. } => format!("{} by {actor}", event.kind()),
            E::Weighing
            | E::Releasing { .. }
            | E::Unsent { .. }
            | E::Approved { .. }
            | E::Succeeded { .. }
            | E::Taken { .. } => event.kind().to_owned(),
        })
    }

    fn rollback(&mut self, to: Option<&CommitSha>) -> String {
        to.map_or("rollback to another revision".into(), |to| format!("rollback to {}", self.sha(to.as_str())))
    }

    /// A text with its ids and commits named.
    fn named(&self, text: &str) -> String {
        let text =
            self.ids.iter().fold(text.to_owned(), |text, (id, n)| text.replace(&id.to_string(), &format!("d{n}")));
        let known = |word: &str| self.shas.iter().position(|sha| sha.starts_with(word));
        let name = |word: &str| known(word).map_or("another".into(), |n| format!("c{}", n + 1));
        let is_sha = |word: &str| word.len() == 7 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let word = |word: &str| {
            let bare = word.trim_end_matches(',');
            if is_sha(bare) { word.replace(bare, &name(bare)) } else { word.to_owned() }
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn install_tls() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Another test of this binary may have been first, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

fn appspec(www: &Path) -> String {
    format!(
        "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {}\nhooks:\n  ValidateService:\n    - location: scripts/validate.sh\n      timeout: 60\n",
        www.display()
    )
}

pub(crate) fn configuration(dir: &Path, repo: &Repository, extra: &Extra) -> String {
    let (data, bare) = (dir.join("data"), repo.bare());
    let secret = dir.join("secret");
    fs::write(&secret, SECRET).unwrap();
    format!(
        "data_dir = \"{}\"\n{}\n[server]\nlisten = \"127.0.0.1:0\"\n[github]\nwebhook_secrets = [{{ file = \"{}\" }}]\n{}\n[[target]]\nname = \"site\"\nrepository = \"acme/site\"\nbranches = [\"main\"]\nsource = {{ git = \"file://{}\" }}\n{}\n[target.engine]\nkind = \"host\"\n{}\n",
        data.display(),
        extra.top,
        secret.display(),
        extra.github,
        bare.display(),
        extra.target,
        extra.engine,
    )
}

/// Signs and sends one delivery.
pub(crate) async fn deliver(url: &str, id: &str, payload: &Value) -> (u16, Value) {
    let client = reqwest::Client::new();
    let answer = push::delivery(&client, url, SECRET, id, payload.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}
