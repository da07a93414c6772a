//! What becomes of a command: it is understood, its person is asked after, and what it wants is done or told.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::answers;
use super::permits::{Permits, nobody};
use super::person::Person;
use super::port::{AskError, Asked, Asks};
use super::pull;
use super::thread;
use super::words::{Command, Named};
use crate::board::{Board, BoardError, DeploymentDetail};
use crate::chat::Span;
use crate::clients::github::GitHubClients;
use crate::config::Config;
use crate::domain::{
    Act, Approval, Ask, CommitPrefix, CommitSha, DeployOptions, DeploymentId, Failure, RefName, RepositoryName,
    Request, Target, TargetName, one_line,
};

/// How much of a command's words the audit trail keeps, in characters.
const LONGEST_WORDS: usize = 200;

/// A command, as a door took it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who said it, as proven.
    pub person: Person,
    /// What they said, without the name of the bot.
    pub words: String,
    /// The same for every time that the same saying comes in, and for no other saying.
    pub key: String,
    /// Where they said it.
    pub place: Place,
}

/// Where a command was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it is about any target.
    Anywhere,
    /// Beneath a pull request: about its repository's targets, and its branch unless another is named.
    Pull {
        /// The repository.
        home: Home,
        /// The pull request's number.
        number: u64,
    },
    /// Beneath a commit: about its repository's targets, and the commit unless another is named.
    Commit {
        /// The repository.
        home: Home,
        /// The commit.
        sha: CommitSha,
    },
}

/// A repository, and the targets that are its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// What it is called now.
    pub repository: RepositoryName,
    /// Its targets.
    pub targets: Vec<TargetName>,
}

impl Place {
    /// The repository whose targets alone it is about.
    fn home(&self) -> Option<&Home> {
        match self {
            Self::Anywhere => None,
            Self::Pull { home, .. } | Self::Commit { home, .. } => Some(home),
        }
    }

    /// What a target's repository is called, as far as this place tells.
    fn repository_of<'a>(&'a self, target: &'a Target) -> &'a RepositoryName {
        self.home().map_or(&target.repository, |home| &home.repository)
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Line by line.
    pub lines: Vec<Vec<Span>>,
    /// Whether it came to what was wanted.
    pub is_done: bool,
    /// Whether something goes on by it, which all who read there should know.
    pub changes: bool,
}

/// Carries commands out. Clones share everything.
#[derive(Clone)]
pub struct Commands(Arc<Inside>);

struct Inside {
    asks: Arc<dyn Asks>,
    board: Board,
    targets: Vec<Arc<Target>>,
    github: GitHubClients,
    permits: Permits,
    /// What is being carried out, whoever still waits for it.
    under_way: TaskTracker,
    runtime: Handle,
}

/// What a command came to.
enum Came {
    /// Something goes on.
    Asked(Ask, Asked),
    /// Something is told.
    Told(Vec<Vec<Span>>),
}

impl Commands {
    /// Ready to be told. `asks` carries out what is asked for, and GitHub says who may. Commands run on the runtime that this
    /// is called on.
    pub fn new(asks: Arc<dyn Asks>, board: Board, config: &Config, github: &GitHubClients) -> Self {
        let (targets, permits) = (config.targets.clone(), Permits::new(config.commands.clone(), github.clone()));
        let (under_way, runtime) = (TaskTracker::new(), Handle::current());
        Self(Arc::new(Inside { asks, board, targets, github: github.clone(), permits, under_way, runtime }))
    }

    /// Begins something that goes on when nobody waits for it any more: neither a connection that breaks nor a server that
    /// ends stops a command.
    pub fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        // A worker of the server has a runtime of its own, which ends with it.
        self.0.under_way.spawn_on(work, &self.0.runtime);
    }

    /// Waits until all that was begun is done, for as long as `within`.
    pub async fn finish(&self, within: Duration) {
        self.0.under_way.close();
        if tokio::time::timeout(within, self.0.under_way.wait()).await.is_err() {
            tracing::warn!("a command was cut off, since the bot ends: whoever asked has to look at `status`");
        }
    }

    /// Answers beneath the comment of that number that a command came in: by a sign, and in words for whoever has to do
    /// with the repository. Strangers get no words: they could make us write without an end.
    pub async fn answer_on_github(&self, said: &Said, comment: u64, reply: &Reply) {
        let belongs = matches!(said.person, Person::OfGitHub { belongs: true, .. }) || reply.is_done;
        let lines = belongs.then_some(reply.lines.as_slice());
        if let Err(error) = thread::answer(&self.0.github, &said.place, comment, reply.is_done, lines).await {
            tracing::warn!("a command of {} is not answered: {error}", said.person.actor());
        }
    }

    /// Does what was said, or says why not. It is written down with who said it.
    pub async fn carry_out(&self, said: &Said) -> Reply {
        let inside = &self.0;
        let came = match Command::parse(&said.words) {
            Ok(command) => inside.carry_out(said, command).await,
            Err(failure) => Err(failure),
        };
        let (actor, words) = (said.person.actor(), one_line(&said.words, LONGEST_WORDS));
        match came {
            Ok(Came::Asked(what, asked)) => {
                tracing::info!(actor, words, repeat = asked.repeat, "a command was taken");
                Reply {
                    lines: answers::asked(&said.person, &what, &asked, &inside.board),
                    is_done: true,
                    changes: true,
                }
            }
            Ok(Came::Told(lines)) => {
                inside.write_down(said, words, None).await;
                Reply { lines, is_done: true, changes: false }
            }
            Err(failure) => {
                let (code, why) = (failure.code.as_str(), failure.message.as_str());
                tracing::info!(actor, words, code, "a command was not done: {why}");
                inside.write_down(said, words, Some(why.to_owned())).await;
                Reply { lines: answers::refused(&failure), is_done: false, changes: false }
            }
        }
    }
}

impl Inside {
    /// The audit trail of what is no request. Strangers' words are in the log alone: they may write without an end.
    async fn write_down(&self, said: &Said, words: String, refused: Option<String>) {
        let is_known = match &said.person {
            Person::OfSlack { login, .. } => login.is_some(),
            Person::OfGitHub { belongs, .. } => *belongs,
        };
        if !is_known {
            return;
        }
        let act = Act::Commanded { words, refused };
        if let Err(error) = self.asks.administered(&said.person.actor(), act).await {
            tracing::warn!("a command is not in the audit trail: {error}");
        }
    }

    async fn carry_out(&self, said: &Said, command: Command) -> Result<Came, Failure> {
        match command {
            Command::Help => Ok(Came::Told(answers::help())),
            Command::Status(of) => {
                self.may_read(said).await?;
                Ok(Came::Told(self.status(said, of).await?))
            }
            Command::Why(sha) => {
                self.may_read(said).await?;
                self.why(said, &sha).await.map(Came::Told)
            }
            Command::Deploy { .. }
            | Command::Redeploy(_)
            | Command::Rollback { .. }
            | Command::Stop { .. }
            | Command::Approve { .. }
            | Command::Reject { .. }
            | Command::Lock { .. }
            | Command::Unlock { .. } => {
                let target = self.target_of(said, &command).await?;
                self.permits.may(&said.person, &target, said.place.repository_of(&target)).await?;
                let what = self.wish(said, &target, command).await?;
                let request = Request { actor: said.person.actor(), key: said.key.clone(), what: what.clone() };
                self.asks.ask(request).await.map(|asked| Came::Asked(what, asked)).map_err(not_taken)
            }
        }
    }

    /// Whether somebody may look: beneath a commit or pull request, whoever may ask for something of its repository.
    async fn may_read(&self, said: &Said) -> Result<(), Failure> {
        if said.place.home().is_none() {
            return said.person.login().map(|_| ()).ok_or_else(|| nobody(&said.person));
        }
        let mut refused = None;
        for target in self.targets_at(&said.place) {
            match self.permits.may(&said.person, target, said.place.repository_of(target)).await {
                Ok(()) => return Ok(()),
                Err(failure) => refused = Some(failure),
            }
        }
        Err(refused.unwrap_or_else(|| no_target_here(&said.place)))
    }

    fn targets_at<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = &'a Arc<Target>> {
        self.targets.iter().filter(|it| place.home().is_none_or(|home| home.targets.contains(&it.name)))
    }

    /// The target that a command is about.
    async fn target_of(&self, said: &Said, command: &Command) -> Result<Arc<Target>, Failure> {
        let name = match command {
            Command::Deploy { target, .. } | Command::Rollback { target, .. } => target,
            Command::Lock { target, .. } | Command::Unlock { target } => target,
            Command::Redeploy(named) | Command::Stop { named, .. } => &self.name_of(named).await?,
            Command::Approve { named, .. } | Command::Reject { named, .. } => &self.name_of(named).await?,
            Command::Help | Command::Status(_) | Command::Why(_) => unreachable!("these are about no one target"),
        };
        self.target(said, name)
    }

    async fn name_of(&self, named: &Named) -> Result<TargetName, Failure> {
        match named {
            Named::Target(name) => Ok(name.clone()),
            Named::Deployment(id) => {
                let found = self.board.target_of(*id).await.map_err(unread)?;
                found.ok_or_else(|| unknown(format!("there is no deployment `{id}`")))
            }
        }
    }

    /// A target of this name, where the command may speak of it.
    fn target(&self, said: &Said, name: &TargetName) -> Result<Arc<Target>, Failure> {
        let found = self.targets_at(&said.place).find(|it| it.name == *name).cloned();
        found.ok_or_else(|| {
            let known: Vec<&str> = self.targets_at(&said.place).map(|it| it.name.as_str()).collect();
            if known.is_empty() {
                return no_target_here(&said.place);
            }
            unknown(format!("there is no target `{name}` here")).help(format!("there are {}", known.join(", ")))
        })
    }

    /// The request that a command becomes.
    async fn wish(&self, said: &Said, target: &Target, command: Command) -> Result<Ask, Failure> {
        let name = target.name.clone();
        Ok(match command {
            Command::Deploy { wanted, in_spite, .. } => {
                let (reference, sha) = match wanted {
                    Some(wanted) => wanted,
                    None => self.of_place(said, target).await?,
                };
                let options = DeployOptions { override_freeze: in_spite, ..DeployOptions::default() };
                Ask::Deploy { target: name, reference, sha, options }
            }
            Command::Redeploy(named) => {
                let deployment = match named {
                    Named::Deployment(id) => id,
                    Named::Target(_) => self.live_at(&name).await?,
                };
                Ask::Redeploy { deployment, options: DeployOptions::default() }
            }
            Command::Rollback { to, of, .. } => {
                if let Some(of) = of {
                    self.is_there(&name, of).await?;
                }
                Ask::Rollback { target: name, to, options: DeployOptions::default() }
            }
            Command::Stop { named, rollback } => {
                let deployment = match named {
                    Named::Deployment(id) => id,
                    Named::Target(_) => self.running_at(&name).await?,
                };
                Ask::Stop { deployment, rollback }
            }
            Command::Approve { named, of, in_spite } => {
                let waits = self.waiting(&named).await?;
                let of = of.or_else(|| waits.approval.as_ref().map(|it| it.of));
                let of = if in_spite.is_some() { Some(Approval::Freeze) } else { of };
                Ask::Approve { deployment: waits.summary.id, of, reason: in_spite }
            }
            Command::Reject { named, reason } => {
                Ask::Reject { deployment: self.waiting(&named).await?.summary.id, reason }
            }
            Command::Lock { long, reason, .. } => {
                let now = self.board.now();
                let end = |it| SignedDuration::try_from(it).ok().and_then(|it| now.checked_add(it).ok());
                let too_long =
                    || nothing("no calendar goes so far".into(), "leave `for` out: then it is until `unlock`");
                let until = long.map(|it| end(it).ok_or_else(too_long)).transpose()?;
                Ask::Lock { target: name, reason, until, warns: false }
            }
            Command::Unlock { .. } => Ask::Unlock { target: name },
            Command::Help | Command::Status(_) | Command::Why(_) => unreachable!("these are no requests"),
        })
    }

    /// What is deployed where nothing is named.
    async fn of_place(&self, said: &Said, target: &Target) -> Result<(Option<RefName>, Option<CommitPrefix>), Failure> {
        match &said.place {
            Place::Anywhere => own_branch(target).map(|it| (Some(it), None)),
            Place::Commit { sha, .. } => Ok((None, Some(sha.clone().into()))),
            Place::Pull { home: Home { repository, .. }, number } => {
                let (reference, sha) = pull::head(&self.github.of(repository), repository, *number).await?;
                Ok((reference, Some(sha.into())))
            }
        }
    }

    /// Whether a deployment is what lies at its target, whole or not. A button may be older than that.
    async fn is_there(&self, name: &TargetName, id: DeploymentId) -> Result<(), Failure> {
        let target = self.board.target(name).await.map_err(unread)?;
        let there = target.into_iter().flat_map(|it| it.live.into_iter().chain(it.left_by));
        if there.map(|it| it.deployment).any(|it| it == id) {
            return Ok(());
        }
        let text = format!("`{id}` is not what is at `{name}` now, so there is nothing of it to roll back");
        Err(nothing(text, &format!("look at `status {name}`, and say `rollback {name}`")))
    }

    async fn live_at(&self, name: &TargetName) -> Result<DeploymentId, Failure> {
        let target = self.board.target(name).await.map_err(unread)?;
        let live = target.and_then(|it| it.live).map(|it| it.deployment);
        live.ok_or_else(|| nothing(format!("nothing was deployed to `{name}` yet"), "deploy something first"))
    }

    async fn running_at(&self, name: &TargetName) -> Result<DeploymentId, Failure> {
        let target = self.board.target(name).await.map_err(unread)?;
        let running = target.and_then(|it| it.running);
        running.ok_or_else(|| {
            nothing(format!("nothing runs at `{name}`"), "name what waits by its id, as `status` has it")
        })
    }

    /// What waits for a person: this deployment, or the only one at a target.
    async fn waiting(&self, named: &Named) -> Result<DeploymentDetail, Failure> {
        let name = match named {
            Named::Deployment(id) => {
                let found = self.board.deployment(*id).await.map_err(unread)?;
                return found.ok_or_else(|| unknown(format!("there is no deployment `{id}`")));
            }
            Named::Target(name) => name,
        };
        let target = self.board.target(name).await.map_err(unread)?;
        let open = target.into_iter().flat_map(|it| it.running.into_iter().chain(it.waiting));
        let mut waiting = Vec::new();
        for id in open.collect::<Vec<_>>() {
            let detail = self.board.deployment(id).await.map_err(unread)?;
            waiting.extend(detail.filter(|it| it.approval.is_some()));
        }
        match waiting.len() {
            1 => Ok(waiting.remove(0)),
            0 => Err(nothing(format!("nothing at `{name}` waits to be approved"), "`status` says what it waits for")),
            _ => {
                let ids: Vec<String> = waiting.iter().map(|it| format!("`{}`", it.summary.id)).collect();
                let text = format!("several deployments to `{name}` wait to be approved: {}", ids.join(", "));
                Err(nothing(text, "say which"))
            }
        }
    }

    async fn status(&self, said: &Said, of: Option<Named>) -> Result<Vec<Vec<Span>>, Failure> {
        match of {
            Some(Named::Deployment(id)) => {
                self.target(said, &self.name_of(&Named::Deployment(id)).await?)?;
                let found = self.board.deployment(id).await.map_err(unread)?;
                let found = found.ok_or_else(|| unknown(format!("there is no deployment `{id}`")))?;
                Ok(answers::deployment(&found))
            }
            of => {
                let only = match of {
                    Some(Named::Target(name)) => Some(self.target(said, &name)?.name.clone()),
                    Some(Named::Deployment(_)) | None => None,
                };
                let here: Vec<&TargetName> = self.targets_at(&said.place).map(|it| &it.name).collect();
                let mut page = self.board.targets().await.map_err(unread)?;
                page.targets.retain(|it| here.contains(&&it.name) && only.as_ref().is_none_or(|only| *only == it.name));
                Ok(answers::targets(&page, self.board.now()))
            }
        }
    }

    async fn why(&self, said: &Said, sha: &str) -> Result<Vec<Vec<Span>>, Failure> {
        let found = self.board.why(sha).await.map_err(unread)?;
        let here: Vec<&TargetName> = self.targets_at(&said.place).map(|it| &it.name).collect();
        let shown = found.map(|mut page| {
            page.plans.retain(|it| here.contains(&&it.target));
            page
        });
        let none = || unknown(format!("no push and no deployment is known of `{}`", one_line(sha, 40)));
        shown.filter(|it| !it.plans.is_empty()).map(|it| answers::why(&it)).ok_or_else(none)
    }
}

/// The one branch that a target takes.
fn own_branch(target: &Target) -> Result<RefName, Failure> {
    let mut plain = target.rule.plain_branches();
    let only = plain.next().filter(|_| plain.next().is_none());
    only.and_then(|it| RefName::parse(format!("refs/heads/{it}")).ok()).ok_or_else(|| {
        let text = format!("`{}` takes no single branch, so what is meant is not clear", target.name);
        nothing(text, &format!("say it: `deploy {} REF`", target.name))
    })
}

fn no_target_here(place: &Place) -> Failure {
    let home = place.home().map(|it| format!("for `{}` ", it.repository)).unwrap_or_default();
    nothing(format!("no target is configured {home}here"), "look at `status` where the bot's targets are known")
}

pub(super) fn nothing(text: String, help: &str) -> Failure {
    Failure::setup("asking/nothing-there", text).help(help)
}

fn unknown(what: String) -> Failure {
    Failure::setup("asking/unknown", what).help("`status` says what there is")
}

fn unread(error: BoardError) -> Failure {
    match error {
        BoardError::Ambiguous { .. } => unknown(error.to_string()).help("say more of it"),
        BoardError::Ledger(_) | BoardError::CutOff(_) | BoardError::Log(_) | BoardError::Busy => {
            Failure::passing("asking/unreadable", error.to_string()).help("say it again in a while")
        }
    }
}

fn not_taken(error: AskError) -> Failure {
    match error {
        AskError::Unknown { what } | AskError::Moved { what } => unknown(what),
        AskError::Refused(failure) | AskError::Unavailable(failure) => failure,
    }
}
