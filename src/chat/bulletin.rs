//! What there is to say of a deployment at one moment: data alone, as templates and generic webhooks get it. Fields may be
//! added, never renamed. Secrets are out of it already; whatever people or scripts wrote is as they wrote it.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Approval, DeploymentId, News, StepStatus};

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its whole name.
    pub sha: String,
    /// Its first seven digits.
    pub short: String,
    /// The first line of its message.
    pub title: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Where it can be read.
    pub url: Option<String>,
}

/// What changed since the last success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The newest commits, the newest first, ten at most.
    pub commits: Vec<Commit>,
    /// How many there are besides these.
    pub more: usize,
    /// Where all of it can be read.
    pub url: Option<String>,
}

/// One lifecycle event of the engine's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name, `AfterInstall`.
    pub name: String,
    /// How far it is.
    pub status: StepStatus,
    /// Which instance, where there are several.
    pub instance: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// A stable name to search for, `room/cause`.
    pub code: String,
    /// What did not work.
    pub message: String,
    /// What a person can do.
    pub hint: Option<String>,
    /// The lifecycle event.
    pub event: Option<String>,
    /// The instance.
    pub instance: Option<String>,
    /// The script.
    pub script: Option<String>,
    /// With which code it ended.
    pub exit_code: Option<i32>,
    /// The last lines of its log.
    pub log: Option<String>,
}

/// Where it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The target's name.
    pub target: String,
    /// The environment's.
    pub environment: String,
    /// The repository, `owner/name`.
    pub repository: String,
    /// The branch or tag, without `refs/…`.
    pub reference: String,
}

/// Where more can be read and done: nothing of it where no `public_url` is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Links {
    /// The deployment's page, with its logs.
    pub deployment: Option<String>,
    /// The dashboard.
    pub dashboard: Option<String>,
    /// The engine's own page.
    pub engine: Option<String>,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bulletin {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// What happened.
    pub news: News,
    /// When.
    pub at: Timestamp,
    /// Whether it is only a test of the place that is told, and of no deployment.
    #[serde(rename = "test")]
    pub is_test: bool,
    /// Where.
    pub place: Place,
    /// The commit.
    pub commit: Commit,
    /// How it stands in a sentence, as the commit status says it.
    pub text: String,
    /// Who pushed, or asked for it.
    pub actor: Option<String>,
    /// Why it was made where that is no push: `rollback`, `redeploy` …
    pub cause: Option<String>,
    /// How long it took or has taken so far, in seconds.
    pub seconds: u64,
    /// What is live at the target now.
    pub live: Option<Commit>,
    /// What changed since the last success; nothing where that cannot be told.
    pub changes: Option<Changes>,
    /// The steps so far.
    pub steps: Vec<Step>,
    /// What went wrong.
    pub trouble: Option<Trouble>,
    /// What it waits for people to approve.
    pub approval: Option<Approval>,
    /// Where to look.
    pub links: Links,
}
