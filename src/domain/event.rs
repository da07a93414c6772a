//! What happens, stream by stream. These types are stored.
//!
//! A variant or a field, once released, keeps its name and its meaning; a new field carries `#[serde(default)]`,
//! and `tests/golden` holds one line of each kind.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Act;
use super::approval::Approval;
use super::codedeploy::DeployOptions;
use super::failure::Failure;
use super::finding::Finding;
use super::ids::{CommitPrefix, CommitSha, DeliveryId, DeploymentId, RefName, RunId, TargetName};
use super::plain::harmless;
use super::plan::{NoDeployment, Order};
use super::progress::{Hold, Progress, RunOutcome, Verdict};
use super::push::{CaughtUp, Push};
use super::revision::{ArchiveFacts, Revision};
use super::state::StepName;

/// Where the raw body of a delivery lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "kebab-case")]
pub enum BodyAt {
    /// Here.
    Inline {
        /// The body; webhook bodies are UTF-8.
        text: String,
    },
    /// In a payload file, named by its digest.
    File {
        /// Its length in bytes.
        bytes: u64,
    },
}

/// One line of a delivery's plans, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLine {
    /// The target.
    pub target: TargetName,
    /// The deployment, or none.
    pub deployment: Option<DeploymentId>,
    /// The rule that took it; nothing where none was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<NoDeployment>,
}

impl PlanLine {
    /// Why, in words.
    pub fn reason(&self) -> String {
        harmless(&match (&self.nothing, &self.rule) {
            (Some(why), _) => why.to_string(),
            (None, Some(rule)) => format!("{rule} takes it"),
            (None, None) => "planned".into(),
        })
    }
}

/// Events of `delivery/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DeliveryEvent {
    /// It came in, was verified, and means this.
    Received {
        /// The value of `X-GitHub-Event`.
        event: String,
        /// SHA-256 of the raw body, hex.
        digest: String,
        /// The raw body.
        body: BodyAt,
        /// What it says.
        push: Box<Push>,
        /// What it means.
        plans: Vec<PlanLine>,
        /// Where it was asked for, and did not come by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caught_up: Option<CaughtUp>,
    },
    /// A person had it planned again.
    Replayed {
        /// Who.
        actor: String,
        /// The request's key.
        key: String,
        /// What it means now.
        plans: Vec<PlanLine>,
    },
}

/// How a commit stands to the head of its ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is the head.
    Same,
    /// It is an ancestor of the head.
    Ancestor,
    /// It descends from the head.
    Descendant,
    /// It is neither.
    Diverged,
}

/// Events of `deployment/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DeploymentEvent {
    /// It is born.
    Planned {
        /// With this.
        #[serde(with = "super::shared")]
        order: Arc<Order>,
    },
    /// Its order is being proven.
    Weighing,
    /// It waits.
    Held {
        /// For this.
        hold: Hold,
    },
    /// It is the newest, and free to be prepared.
    Weighed {
        /// The head of its ref.
        head: CommitSha,
        /// The commit itself, where `sha` names an annotated tag.
        commit: CommitSha,
        /// Whether the head did not descend from the last seen commit.
        #[serde(default)]
        forced: bool,
        /// Why nobody can say whether it need not be deployed. It is all the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubt: Option<String>,
    },
    /// Its revision lies ready.
    Prepared {
        /// What the engine will be given.
        revision: Revision,
        /// What passed through.
        archive: ArchiveFacts,
        /// What a person should change, although it deploys.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
    },
    /// Intent: the engine is about to be called. Written before the one effect that cannot be repeated.
    Releasing {
        /// What the run will be known by.
        marker: String,
        /// The run's id, where we choose it (host).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// What whoever deploys was warned of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// The engine was not called after all, or refused clearly: it may be tried again.
    Unsent {
        /// Why.
        failure: Failure,
        /// When to try again.
        next_at: Timestamp,
    },
    /// The engine has it.
    Released {
        /// The engine's id.
        run: RunId,
        /// Whether it was found by its marker after an unknown outcome.
        #[serde(default)]
        adopted: bool,
        /// Where a person can watch it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// A run that the engine began by itself is followed as this deployment (row 56).
    Adopted {
        /// The engine's id.
        run: RunId,
        /// What it deploys, where that is one of ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
        /// Where a person can watch it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// The engine is this far.
    Progressed {
        /// How far.
        progress: Progress,
    },
    /// The engine is done with it.
    Ended {
        /// How it ended.
        outcome: RunOutcome,
    },
    /// What was released was looked at, and something else was found than the time before.
    Verified {
        /// What was looked at: an address or a command.
        what: String,
        /// Whether it is as wanted.
        good: bool,
        /// What was found, in words.
        said: String,
    },
    /// A step stumbled over something that may pass.
    Stumbled {
        /// Which step.
        step: StepName,
        /// Over what.
        failure: Failure,
        /// How often in a row, from 1.
        attempt: u32,
        /// When to try again.
        next_at: Timestamp,
    },
    /// Somebody asked to stop.
    StopAsked {
        /// Who.
        actor: String,
        /// Whether the last good revision is wanted back.
        #[serde(default)]
        rollback: bool,
    },
    /// Somebody approved what it waits for.
    Approved {
        /// Who.
        actor: String,
        /// What; where it does not say, the move of traffic.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Approval>,
        /// Why, where that has to be said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The engine did not take a stop or an approval. Told once, however often it is tried.
    Declined {
        /// Which approval; nothing where it is a stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Approval>,
        /// Why.
        failure: Failure,
    },
    /// The engine took after all what it had declined.
    Taken {
        /// Which approval; nothing where it is a stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Approval>,
    },
    /// Over: the revision runs.
    Succeeded {
        /// What a person should know although it went well.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// Over: it does not.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Over: somebody or something stopped it.
    Stopped {
        /// Who.
        actor: String,
        /// Why, where the engine said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// After a bad end: what ran before is being brought back.
    RollbackBegun {
        /// By this deployment.
        by: DeploymentId,
        /// The commit that ran before, where it is one of ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<CommitSha>,
    },
    /// After a bad end: bringing back what ran before came to this.
    RollbackEnded {
        /// By this deployment.
        by: DeploymentId,
        /// The commit that ran before, where it is one of ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<CommitSha>,
        /// How that ended.
        verdict: Verdict,
    },
    /// Over before release: an earlier deployment of the same commit brought it already, and nothing came after.
    AlreadyLive {
        /// Which.
        deployment: DeploymentId,
    },
    /// Over before release: a newer commit takes its place.
    Superseded {
        /// The newer commit.
        by: CommitSha,
        /// Its deployment, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deployment: Option<DeploymentId>,
    },
    /// Over before release: a rule leaves it out, and nothing is wrong with it.
    Skipped {
        /// Which, and why.
        reason: String,
    },
    /// Over before release: a rule forbids it.
    Refused {
        /// Which, and why.
        failure: Failure,
    },
}

/// What a person or peer asks for. A field that there is none of is refused.
// Else a misspelt `sha` would deploy the head of a branch. The braces of what has no fields are for that, too: without
// them serde would take any field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Deploy the head of a ref, or a commit that a ref of the target's rule leads to.
    Deploy {
        /// The target.
        target: TargetName,
        /// The ref. Where a commit is named, it may be left out: any that the rule takes will do.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<RefName>,
        /// The commit; nothing means the ref's head.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha: Option<CommitPrefix>,
        /// What is chosen for this one deployment.
        #[serde(default, skip_serializing_if = "DeployOptions::is_empty")]
        options: DeployOptions,
    },
    /// The same commit again.
    Redeploy {
        /// Of this deployment.
        deployment: DeploymentId,
        /// What is chosen for this one deployment.
        #[serde(default, skip_serializing_if = "DeployOptions::is_empty")]
        options: DeployOptions,
    },
    /// An earlier revision again.
    Rollback {
        /// The target.
        target: TargetName,
        /// Which; nothing means the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<DeploymentId>,
        /// What is chosen for this one deployment.
        #[serde(default, skip_serializing_if = "DeployOptions::is_empty")]
        options: DeployOptions,
    },
    /// What is live again, started anew by the engine with nothing brought to it.
    Restart {
        /// The target.
        target: TargetName,
        /// What is chosen for this one deployment.
        #[serde(default, skip_serializing_if = "DeployOptions::is_empty")]
        options: DeployOptions,
    },
    /// Stop.
    Stop {
        /// This deployment.
        deployment: DeploymentId,
        /// And bring the last good revision back.
        #[serde(default)]
        rollback: bool,
    },
    /// Go on.
    Approve {
        /// This deployment.
        deployment: DeploymentId,
        /// What, where the asker says it: then nothing else is approved by it. Without it, what is to be approved now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Approval>,
        /// Why: to release in spite of a freeze has to be explained.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Do not release what waits for approval.
    Reject {
        /// This deployment.
        deployment: DeploymentId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Release nothing.
    Lock {
        /// The target.
        target: TargetName,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whether it only warns.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        warns: bool,
    },
    /// Release again.
    Unlock {
        /// The target.
        target: TargetName,
    },
    /// Release nothing to any target.
    LockAll {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whether it only warns.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        warns: bool,
    },
    /// End that; the locks of single targets stay.
    UnlockAll {},
    /// Release nothing anywhere.
    Pause {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Release again everywhere.
    Resume {},
    /// Plan a delivery again.
    Replay {
        /// Which.
        delivery: DeliveryId,
    },
}

/// Who asked for what. Asked twice under one key, it happens once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who.
    pub actor: String,
    /// The asker's own key for it.
    pub key: String,
    /// What.
    pub what: Ask,
}

/// Events of `bot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BotEvent {
    /// The program started.
    Started {
        /// Its version.
        version: String,
    },
    /// The program is about to end, on purpose.
    Stopping,
    /// Somebody asked for something: the audit trail.
    Requested {
        /// What.
        request: Request,
        /// The deployments that were born of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deployments: Vec<DeploymentId>,
    },
    /// Somebody did something that is about the bot itself: the audit trail's other half.
    Administered {
        /// Who.
        actor: String,
        /// What.
        act: Act,
    },
}
