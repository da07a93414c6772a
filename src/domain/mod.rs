//! The words and rules of a push that makes landfall. Pure: no clock, no disk, no network.
//!
//! | word | what it is | type |
//! | --- | --- | --- |
//! | delivery | one webhook request, known by its `X-GitHub-Delivery` id | [`Delivery`] |
//! | push | the verified fact in it: this ref moved from `before` to `after` | [`Push`] |
//! | target | a configured place to deploy to: a repository, a rule, an engine destination | [`Target`] |
//! | plan | what a push means for one target: a deployment, or none, with the reason | [`Plan`] |
//! | order | what a deployment is born with: target as resolved, commit, cause | [`Order`] |
//! | deployment | one attempt to bring one commit to one target; the fold of its events | [`Deployment`] |
//! | revision | the commit as stored, pinned, ready to deploy | [`Revision`] |
//! | step | one effect on the way: weigh, prepare, release, watch, verify | [`Step`] |
//! | run | the engine's own name for one deployment (`d-…`) | [`RunId`] |
//! | progress | what an engine tells while it works | [`Progress`] |
//! | fleet | how far the single instances of a run are | [`Fleet`] |
//! | hint | a word from outside that a run may have gone on; it is never believed | [`Hint`] |
//! | lane | the queue of one engine destination | [`Destination`] |
//! | hold | why a deployment waits | [`Hold`] |
//! | lock, pause | what somebody says that holds releases | [`Lock`], [`Pause`] |
//! | check, gate | what others say of a commit; what all that is required says of a deployment | [`Check`], [`Gate`] |
//! | freeze, window | a time in which nothing is released | [`Calendar`], [`Window`] |
//! | consent | the approvals that a release waits for | [`Consent`] |
//! | approval | a person's word that ends a wait | [`Approval`] |
//! | promotion | a deployment of what succeeded at the target before | [`Promote`] |
//! | seen, live | per target: the newest commit handled; the commit that runs there | [`Head`], [`TargetState`] |
//! | failure | how it ended badly, and who is to blame | [`Failure`] |
//! | finding | something a person should change in a file, with its place | [`Finding`] |
//! | checkup | what a look at one thing that the bot needs came to | [`Checkup`] |
//! | role, grant | how far somebody may go; who that is, and at which targets | [`Role`], [`Grant`] |
//! | record | one event of one stream at one offset, as the ledger keeps it | [`Record`] |
//! | report | a message to the world about a deployment | [`Notice`] |
//! | outage | that a place takes no report at all: since when, why, and how much waits for it | [`Outage`] |

mod access;
mod admission;
mod aftermath;
mod approval;
mod backoff;
mod check;
mod checkup;
mod codedeploy;
mod consent;
mod cron;
mod deployment;
mod event;
mod event_name;
mod failure;
mod finding;
mod fleet;
mod freeze;
mod hint;
mod ids;
mod lock;
mod log_line;
mod manners;
mod masking;
mod news;
mod on_github;
mod outage;
mod pattern;
mod permit;
mod plain;
mod plan;
mod progress;
mod push;
mod record;
mod revision;
mod s3_spec;
#[cfg(test)]
pub(crate) mod samples;
mod shared;
mod sink_event;
mod skip;
mod state;
mod target;
mod target_event;
mod target_state;
mod verify;
mod wording;

pub use access::{Act, Denied, Grant, Role, Subject};
pub use admission::Admission;
pub use aftermath::{Declined, Rollback};
pub use approval::Approval;
pub use backoff::{backoff, due};
pub use check::{Check, CheckHint, CheckState, Gate, OWN_CHECKS, is_own, look_again, named_checks};
pub use checkup::{Checkup, Reach, Standing};
pub use codedeploy::{
    CodeDeploySpec, DeployOptions, OverrideAlarms, Platform, RevisionForm, RollbackOn, ScalingProcess, SuccessOn, Tag,
    TargetInstances, Variable,
};
pub use consent::{APPROVE_WITHIN_S, Approvers, Consent, login_in, on_github};
pub use cron::Cron;
pub use deployment::{Deployment, Misplaced, Stumble};
pub use event::{Ask, BodyAt, BotEvent, DeliveryEvent, DeploymentEvent, PlanLine, Relation, Request};
pub use failure::{Blame, Failure};
pub use finding::{Finding, Findings, Place, Severity};
pub use fleet::{Fleet, InstanceState};
pub use freeze::{Calendar, Coming, Window, WindowKind};
pub use hint::{Hearsay, Hint};
pub use ids::{
    CommitPrefix, CommitSha, DeliveryId, DeploymentId, Offset, RefName, RepositoryName, RunId, TargetName, TokenName,
    Unfit,
};
pub use lock::{Holding, Lock, Pause, Releases};
pub use log_line::{LogLine, LogReading, LogStream};
pub use manners::{DIGEST_ABOVE, Manners};
pub use masking::Mask;
pub use news::News;
pub use on_github::{OnGitHub, names_in};
pub use outage::Outage;
pub use pattern::Pattern;
pub use permit::{Level, Permit, Team};
pub use plain::{causes, does_nothing, escaped, harmless, one_line, plainly, root_cause, size, spell, took};
pub use plan::{Cause, NoDeployment, Order, Outcome, Plan, plan};
pub use progress::{
    Hold, HoldKind, Instances, Lifecycle, Observation, Progress, RunOutcome, StepStatus, SubState, Traffic, Verdict,
};
pub use push::{CaughtUp, Delivery, Push, Repository};
pub use record::{Event, Record, Stream, StreamKind, UnreadableRecord};
pub use revision::{ArchiveFacts, BundleFormat, Location, Retention, Revision};
pub use s3_spec::{Encryption, S3Spec};
pub use sink_event::{SinkEvent, in_chat};
pub use skip::Skip;
pub use state::{Ready, Running, State, Step, StepName, Weighed};
pub use target::{
    BundleRules, CHECKS_WITHIN_S, Destination, EngineSpec, FileExists, HostSpec, OnNewPush, Promote, RevisionsSpec,
    Rule, SourceSpec, Target,
};
pub use target_event::TargetEvent;
pub use target_state::{Head, Live, TargetState};
pub use verify::{VERIFY_EVERY_S, VERIFY_FOR_S, VERIFY_TIMEOUT_S, Verify, VerifyBy};
pub use wording::{Notice, NoticeState};
