//! `landfall demo`: the whole line on this machine. A git repository, a push, a signed webhook, the host engine, a site
//! that answers. It uses the program's own parts and the git command, and touches nothing outside its directory.

mod narrator;
mod page;
mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::exit::{Exit, Outcome, Trouble};
use crate::app::{App, Parts};
use crate::clients::Clock;
use crate::config::{Config, Environment};
use crate::domain::{CommitSha, Deployment, Event, NoticeState, Offset, Record, SinkEvent, State, plainly};
use crate::ledger::Filter;

use narrator::Narrator;
use page::PageServer;
use site::Site;

/// What the demo's repository is called.
const REPOSITORY: &str = "demo/site";
/// How long one chapter may take before the demo says that something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where, and how it is told.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Where everything is made; a new directory in the system's temporary one unless named
    #[arg(long)]
    dir: Option<PathBuf>,
    /// End after the story, with 0 only if it went as it should
    #[arg(long)]
    exit: bool,
    /// Print the story as data, one object a line
    #[arg(long)]
    json: bool,
}

/// What each chapter should come to.
struct Chapter {
    title: &'static str,
    goes_live: bool,
}

const CHAPTERS: [Chapter; 3] = [
    Chapter { title: "First push: the branch is new", goes_live: true },
    Chapter { title: "Second push: the page changes", goes_live: true },
    Chapter { title: "Third push: ValidateService refuses it", goes_live: false },
];

/// Tells the whole story: exit 0 only if it went as it should.
pub(super) fn run(args: &DemoArgs) -> Outcome {
    let place = directory(args.dir.as_deref())?;
    let went_well = super::serve::runtime()?.block_on(story(args, place))?;
    Ok(if went_well { Exit::Done } else { Exit::DeploymentFailed })
}

async fn story(args: &DemoArgs, (dir, keep): (PathBuf, Option<tempfile::TempDir>)) -> Result<bool> {
    let clock = Clock::system();
    let mut narrator = Narrator::new(args.json, clock.now());
    narrator.chapter("Setting up")?;
    let site = Site::make(&dir)?;
    let secret_file = dir.join("webhook-secret");
    let app = App::start(configure(&dir, &site, &secret_file)?, Parts::of_this_program()).await?;
    let bot = format!("http://{}", app.address);
    let program = std::fs::read_link("/proc/self/exe").context("cannot tell where this program lies")?;
    site.install_hook(&program, &format!("{bot}/webhooks/github"), &secret_file, REPOSITORY)?;
    let page = PageServer::start(site.www())?;
    narrator.remark("directory", &dir.display().to_string())?;
    narrator.remark("bot", &format!("{bot}, host engine, deploys `main` of {REPOSITORY}"))?;
    narrator.remark("page", &format!("http://{}", page.address))?;

    let mut story = Story { app: &app, site: &site, page: &page, read: app.ledger.end(), narrator: &mut narrator };
    let mut went_well = true;
    for (number, chapter) in CHAPTERS.iter().enumerate() {
        went_well &= story.chapter(number, chapter).await?;
    }
    let text = if went_well {
        "The story went as it should: two pushes live, the third refused and told."
    } else {
        "The story did not go as it should: see the lines above."
    };
    narrator.end(went_well, text)?;
    if !args.exit {
        linger(&app, &bot, &narrator).await?;
    }
    page.stop().await;
    app.stop().await?;
    drop(keep);
    Ok(went_well)
}

/// Leaves the dashboard up until Ctrl-C.
async fn linger(app: &App, bot: &str, narrator: &Narrator) -> Result<()> {
    narrator.remark("dashboard", &format!("{bot}{} (this link works once)", app.tokens.one_time_link()))?;
    narrator.remark("end", "press Ctrl-C")?;
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}

/// The directory, and what removes it in the end if it is ours.
fn directory(asked: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>), Trouble> {
    let Some(dir) = asked else {
        let made = tempfile::Builder::new().prefix("landfall-demo-").tempdir().context("cannot make a directory")?;
        return Ok((made.path().canonicalize().context("cannot use it")?, Some(made)));
    };
    let help = "name a new directory: the demo makes everything in it afresh";
    let unusable = |error: std::io::Error| {
        Trouble::wrong(format!("`{}` cannot be used: {}", dir.display(), plainly(&error))).help(help)
    };
    fs::create_dir_all(dir).map_err(unusable)?;
    if fs::read_dir(dir).map_err(unusable)?.next().is_some() {
        return Err(Trouble::wrong(format!("`{}` is not empty", dir.display())).help(help));
    }
    Ok((dir.canonicalize().map_err(unusable)?, None))
}

/// The demo's configuration: a file, as a person would write it.
fn configure(dir: &Path, site: &Site, secret_file: &Path) -> Result<Config> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    fs::write(secret_file, hex::encode(secret)).context("cannot write the webhook secret")?;
    let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
    let text = format!(
        "data_dir = {data}\n\n[server]\nlisten = \"127.0.0.1:0\"\n\n[github]\nwebhook_secrets = [{{ file = {secret} }}]\n\n\
         [[target]]\nname = \"site\"\nrepository = \"{REPOSITORY}\"\nbranches = [\"main\"]\n\
         source = {{ git = {source} }}\n\n[target.engine]\nkind = \"host\"\n",
        data = quoted(&dir.join("data")),
        secret = quoted(secret_file),
        source = toml::Value::from(format!("file://{}", site.bare().display())),
    );
    let file = dir.join("landfall.toml");
    fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    Ok(Config::load(&file, &Environment::default())?)
}

/// The story while it is told.
struct Story<'a> {
    app: &'a App,
    site: &'a Site,
    page: &'a PageServer,
    read: Offset,
    narrator: &'a mut Narrator,
}

impl Story<'_> {
    /// One push, from commit to last status. Gives whether it came to what it should.
    async fn chapter(&mut self, number: usize, chapter: &Chapter) -> Result<bool> {
        self.narrator.chapter(chapter.title)?;
        let before = self.fetch().await?;
        let (sha, title) = self.site.commit(number)?;
        self.narrator.remark("push", &format!("{} «{title}» to main", &sha[..7]))?;
        let site = self.site;
        tokio::task::block_in_place(|| site.push())?;
        let told = tokio::time::timeout(PATIENCE, self.tell(&sha)).await;
        let (deployment, status) = told.with_context(|| format!("nothing came of {} in time", &sha[..7]))??;
        let after = self.fetch().await?;
        self.narrator.remark("page", &format!("says: {}", heading(&after)))?;
        let is_live = matches!(deployment.state(), State::Succeeded { .. });
        let is_told = status == if chapter.goes_live { NoticeState::Success } else { NoticeState::Failure };
        Ok(is_live == chapter.goes_live && is_told && before != after)
    }

    /// Tells every record until the commit's deployment is over and its last status is out.
    async fn tell(&mut self, sha: &str) -> Result<(Deployment, NoticeState)> {
        let mut follow = self.app.ledger.follow();
        let mut last = None;
        loop {
            for record in self.news().await? {
                self.narrator.record(&record)?;
                if let Event::Sink(SinkEvent::Sent { deployment, state, .. }) = &record.event {
                    last = Some((*deployment, *state));
                }
            }
            if let Some(deployment) = self.over(sha).await?
                && let Some((_, status)) =
                    last.filter(|(id, state)| *id == deployment.id() && *state != NoticeState::Pending)
            {
                return Ok((deployment, status));
            }
            follow.changed().await.context("the bot ended")?;
        }
    }

    async fn news(&mut self) -> Result<Vec<Record>> {
        let (ledger, from) = (self.app.ledger.clone(), self.read);
        let records = tokio::task::spawn_blocking(move || ledger.read(from, 512)).await??;
        if let Some(last) = records.last() {
            self.read = last.offset.next();
        }
        Ok(records)
    }

    /// The commit's deployment, once it is over.
    async fn over(&self, sha: &str) -> Result<Option<Deployment>> {
        let sha = CommitSha::parse(sha)?;
        let filter = Filter { sha: Some(sha.as_str().to_owned()), limit: 1, ..Filter::default() };
        let ledger = self.app.ledger.clone();
        let found = tokio::task::spawn_blocking(move || ledger.deployments(&filter)).await??;
        Ok(found.into_iter().next().filter(|it| it.state().is_over()))
    }

    async fn fetch(&self) -> Result<String> {
        let answer =
            reqwest::get(format!("http://{}/", self.page.address)).await.context("the page does not answer")?;
        Ok(answer.text().await?)
    }
}

/// What a page says to a person: its heading, or all of it.
fn heading(page: &str) -> &str {
    let inside = page.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>")).map(|(text, _)| text);
    inside.unwrap_or_else(|| page.trim())
}
