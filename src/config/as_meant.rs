//! The configuration as meant: parsed, checked, defaults filled in. It never holds a secret, only where one lies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::mail::Mail;
use super::proxies::Proxies;
use super::secret::SecretRef;
use super::topic::Topic;
use crate::domain::{
    Admission, Calendar, Finding, Findings, Manners, Mask, News, Permit, Place, Retention, Target, TargetName,
};

/// Everything that the program was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the ledger, revisions and tokens lie; absolute.
    pub data_dir: PathBuf,
    /// Where people reach the dashboard, without a slash at its end; for links in statuses and chat.
    pub public_url: Option<String>,
    /// The HTTP server.
    pub server: Server,
    /// GitHub, and the secrets its webhooks are signed with.
    pub github: GitHub,
    /// Whose messages bring the next look at CodeDeploy sooner.
    pub sns: Sns,
    /// Where to deploy to, in the file's order.
    pub targets: Vec<Arc<Target>>,
    /// For how long which target's revisions are kept; a target that is not here keeps them all.
    pub retention: BTreeMap<TargetName, Retention>,
    /// When nothing is released to which target.
    pub calendar: Arc<Calendar>,
    /// Who is told in chat.
    pub chat: Vec<Chat>,
    /// What people may ask for in chat and in comments.
    pub commands: Commands,
    /// Who may sign in with GitHub; nothing where nobody may.
    pub login: Option<Login>,
    /// How the ledger treats its disk.
    pub ledger: LedgerOptions,
    /// How often heads are compared, so that a push that never reached us is found.
    pub catch_up_every: Duration,
    /// The file it was read from; absolute.
    pub file: Option<PathBuf>,
    /// What does not keep the program from starting, but will surprise.
    pub warnings: Findings,
    /// Those of them that are about one target.
    pub findings: BTreeMap<TargetName, Vec<Finding>>,
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// Whether reading needs no token.
    pub public_reads: bool,
    /// Whether badges need no token.
    pub public_badges: bool,
    /// How many bytes of webhook bodies may be under way at once, over all connections; beyond it the answer is 503.
    pub bodies_in_flight_bytes: u64,
    /// Whose word on who asks is taken.
    pub proxies: Proxies,
}

/// GitHub, or an Enterprise server.
#[derive(Clone, Debug)]
pub struct GitHub {
    /// The API's address, without a slash at its end.
    pub api_url: String,
    /// Secrets that speak for every repository. Several at once let one be replaced without a gap.
    pub webhook_secrets: Vec<SecretRef>,
    /// Secrets that speak for some repositories only.
    pub hooks: Vec<Hook>,
    /// The token for statuses and private repositories, where no App speaks for them.
    pub token: Option<SecretRef>,
    /// The GitHub Apps in whose names it is asked. The first that a repository's name fits speaks for it.
    pub apps: Vec<GitHubApp>,
    /// How long a message waits after the one before it, where that is not what GitHub asks for.
    pub between_writes: Option<Duration>,
    /// Whether commands in comments are answered there.
    pub hears_comments: bool,
    /// Whether it is asked who is a member of a team.
    pub asks_for_teams: bool,
}

/// A GitHub App, which speaks for some repositories.
#[derive(Clone, Debug)]
pub struct GitHubApp {
    /// Globs for `owner/name`, lowercase.
    pub repositories: Vec<String>,
    /// The number that GitHub gave it.
    pub id: u32,
    /// Its private key, in PEM.
    pub private_key: SecretRef,
    /// Its installation, where it is not to be asked for.
    pub installation: Option<u32>,
}

/// Webhooks of some repositories, with secrets of their own.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Globs for `owner/name`, lowercase: GitHub's names ignore case.
    pub repositories: Vec<String>,
    /// Their secrets.
    pub secrets: Vec<SecretRef>,
}

/// Topics of Amazon SNS whose messages wake the poller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sns {
    /// The topics that are heard; none means that nobody is.
    pub topics: Vec<Topic>,
    /// Whether signatures with SHA-1 count, which a topic makes unless its attribute `SignatureVersion` is 2.
    pub allow_signature_v1: bool,
    /// Whether a subscription to one of the topics is confirmed without a person.
    pub confirm: bool,
    /// What an API destination of EventBridge sends along; without it none is heard.
    pub api_destination_secret: Option<SecretRef>,
}

/// Where people are told how deployments go.
#[derive(Clone, Debug)]
pub struct Chat {
    /// Its name, for `notify`.
    pub name: String,
    /// What it is.
    pub kind: ChatKind,
    /// What is told there.
    pub on: BTreeSet<News>,
    /// Its names for people, by those of GitHub.
    pub people: BTreeMap<String, String>,
    /// What it is told in other words than ours.
    pub words: Words,
    /// When it is told something new.
    pub manners: Manners,
    /// Whether what stands there has buttons: somebody hears of it when one is pressed.
    pub buttons: bool,
}

/// Templates of a place.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// For the first line.
    pub title: Option<Worded>,
    /// For the sentence under it.
    pub text: Option<Worded>,
}

/// A template, and where it was written.
#[derive(Clone, Debug)]
pub struct Worded {
    /// The template.
    pub template: String,
    /// The whole of it in the file.
    pub at: Place,
    /// Each of its lines in the file; none where it is written there with escapes.
    pub lines: Vec<Place>,
}

impl Worded {
    /// Where these bytes of the template stand, or what of them is on their first line.
    pub fn place(&self, span: &Range<usize>) -> Place {
        let (before, about) = (self.template.get(..span.start), self.template.get(span.clone()));
        let line = before.and_then(|it| self.lines.get(it.matches('\n').count()));
        let (Some(before), Some(about), Some(line)) = (before, about, line) else { return self.at.clone() };
        let number = |it: &str| u32::try_from(it.chars().count()).unwrap_or(u32::MAX);
        let column = line.column.saturating_add(number(before.rsplit('\n').next().unwrap_or_default()));
        Place { column, length: number(about.lines().next().unwrap_or_default()).max(1), ..line.clone() }
    }
}

/// A service, and what it takes to be heard there.
#[derive(Clone, Debug)]
pub enum ChatKind {
    /// Slack, by an incoming webhook.
    Slack {
        /// The address to post to; it is a secret.
        webhook: SecretRef,
    },
    /// Slack, by the bot of an app.
    SlackBot {
        /// Its token, `xoxb-…`.
        token: SecretRef,
        /// The channel's id or name.
        channel: String,
        /// Where Slack's methods are.
        api_url: Url,
    },
    /// Discord, by a channel's webhook.
    Discord {
        /// The address to post to; it is a secret.
        webhook: SecretRef,
    },
    /// Mattermost, by an incoming webhook.
    Mattermost {
        /// The address to post to; it is a secret.
        webhook: SecretRef,
    },
    /// Microsoft Teams, by a workflow's webhook.
    Teams {
        /// The address to post to; it is a secret.
        webhook: SecretRef,
    },
    /// A webhook of whoever wants one, by Standard Webhooks.
    Webhook {
        /// The address to post to; it may be a secret.
        webhook: SecretRef,
        /// What messages are signed with, `whsec_…`.
        secret: SecretRef,
    },
    /// E-mails, by SMTP.
    Email(Box<Mail>),
}

impl ChatKind {
    /// All that nobody may read in a log.
    pub fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        match self {
            Self::Slack { webhook } | Self::Discord { webhook } => vec![("chat webhook", webhook)],
            Self::Mattermost { webhook } | Self::Teams { webhook } => vec![("chat webhook", webhook)],
            Self::SlackBot { token, .. } => vec![("chat token", token)],
            Self::Webhook { webhook, secret } => vec![("chat webhook", webhook), ("chat secret", secret)],
            Self::Email(mail) => mail.login.iter().map(|it| ("chat password", &it.password)).collect(),
        }
    }
}

/// What people may ask for in chat and in comments.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    /// What Slack signs its requests with; without it, nothing of Slack's is heard.
    pub slack_signing_secret: Option<SecretRef>,
    /// Whether comments on pull requests and commits are heard.
    pub comments: bool,
    /// Who may, target by target.
    pub permits: BTreeMap<TargetName, Permit>,
    /// Logins at GitHub by Slack's member ids, as `people` of Slack's chats have them.
    pub of_slack: BTreeMap<String, String>,
}

/// Signing in to the dashboard with GitHub.
#[derive(Clone, Debug)]
pub struct Login {
    /// What GitHub calls the OAuth App or GitHub App that asks people who they are.
    pub client_id: String,
    /// What it proves itself by.
    pub client_secret: SecretRef,
    /// Where GitHub sends people back to.
    pub callback: String,
    /// Who is let in, and how far: the first that fits counts.
    pub allow: Vec<Admission>,
}

/// How the ledger treats its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Free bytes under which nothing more is accepted.
    pub reserve_bytes: u64,
    /// How long a segment of the log becomes before the next one is begun, and roughly how long the young part of the index.
    pub segment_bytes: u64,
    /// For how many days everything stays in it; nothing where that is for ever.
    pub keep_days: Option<u32>,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { reserve_bytes: 256 << 20, segment_bytes: 64 << 20, keep_days: None }
    }
}

impl Config {
    /// Takes every secret out of text that people will read. One that cannot be read now is passed over.
    pub fn mask(&self) -> Mask {
        let github = self.github.webhook_secrets.iter().chain(&self.github.token);
        let hooks = self.github.hooks.iter().flat_map(|hook| &hook.secrets);
        let keys = self.github.apps.iter().map(|app| &app.private_key);
        let all =
            github.chain(hooks).chain(keys).chain(self.chat.iter().flat_map(|chat| chat.kind.secrets()).map(|it| it.1));
        let all = all.chain(&self.sns.api_destination_secret).chain(&self.commands.slack_signing_secret);
        let all = all.chain(self.login.as_ref().map(|it| &it.client_secret));
        Mask::new(all.filter_map(|secret| Some(secret.read().ok()?.expose().to_owned())))
    }

    /// The target of this name.
    pub fn target(&self, name: &TargetName) -> Option<&Target> {
        self.targets.iter().map(Arc::as_ref).find(|target| target.name == *name)
    }
}
