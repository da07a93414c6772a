//! What CodeDeploy says of a deployment, as we understand it. Pure; a word it does not know is kept as text.

use std::collections::HashSet;

use aws_sdk_codedeploy::types::{DeploymentInfo, DeploymentType, RevisionLocation};
use jiff::{SignedDuration, Timestamp};

use super::details::Details;
use crate::domain::{Instances, Progress, Revision, SubState, Verdict};

/// One deployment at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) id: String,
    pub(super) application: Option<String>,
    pub(super) group: Option<String>,
    pub(super) status: String,
    pub(super) description: String,
    pub(super) creator: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) instances: Option<Instances>,
    /// Why it ended, by CodeDeploy's code and words.
    pub(super) reason: Option<(String, String)>,
    pub(super) rolled_back_by: Option<String>,
    /// The deployment that it rolls back, where CodeDeploy began it for that.
    pub(super) rolls_back: Option<String>,
    /// What CodeDeploy says of the rollback, in its own words.
    pub(super) rollback_said: Option<String>,
    /// What it deploys, as [`Revision::identity`] names it.
    pub(super) revision: Option<String>,
    /// The events on which CodeDeploy rolls back by itself; nothing where it does not say.
    pub(super) rolls_back_on: Option<HashSet<String>>,
    /// Traffic has moved, and the old instances wait for their end.
    pub(super) traffic_moved: bool,
    /// `Server`, `Lambda` or `ECS`; nothing where it does not say.
    pub(super) platform: Option<String>,
    /// Whether other instances take over.
    pub(super) blue_green: bool,
    /// How long traffic waits for a person at most, in minutes.
    pub(super) ready_wait: Option<i32>,
    /// How long the old instances live on after traffic has moved, in minutes.
    pub(super) termination_wait: Option<i32>,
    /// The deployments with which CodeDeploy brings outdated instances up to date after this one (row 59).
    pub(super) followed_by: Vec<String>,
    /// The deployment after which CodeDeploy began it, to bring outdated instances up to date (row 59).
    pub(super) follows: Option<String>,
}

impl From<&DeploymentInfo> for Reading {
    fn from(info: &DeploymentInfo) -> Self {
        let text = |it: Option<&str>| it.unwrap_or_default().to_owned();
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            id: text(info.deployment_id()),
            application: info.application_name().map(str::to_owned),
            group: info.deployment_group_name().map(str::to_owned),
            status: text(info.status().map(|it| it.as_str())),
            description: text(info.description()),
            creator: info.creator().map(|it| it.as_str().to_owned()),
            created_at: info
                .create_time()
                .and_then(|at| Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()),
            instances: info.deployment_overview().map(|it| Instances {
                succeeded: count(it.succeeded()),
                failed: count(it.failed()),
                skipped: count(it.skipped()),
                in_progress: count(it.in_progress()) + count(it.ready()),
                pending: count(it.pending()),
            }),
            reason: info.error_information().and_then(|it| {
                let code = it.code().map(|code| code.as_str().to_owned());
                let message = it.message().map(str::to_owned);
                (code.is_some() || message.is_some()).then(|| (code.unwrap_or_default(), message.unwrap_or_default()))
            }),
            rolled_back_by: info
                .rollback_info()
                .and_then(|it| it.rollback_deployment_id())
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
            revision: info.revision().and_then(identity),
            rolls_back: info.rollback_info().and_then(|it| it.rollback_triggering_deployment_id()).map(str::to_owned),
            rollback_said: info
                .rollback_info()
                .and_then(|it| it.rollback_message())
                .filter(|text| !text.trim().is_empty())
                .map(str::to_owned),
            rolls_back_on: info.auto_rollback_configuration().map(rollback_events),
            traffic_moved: info.instance_termination_wait_time_started(),
            platform: info.compute_platform().map(|it| it.as_str().to_owned()),
            blue_green: info
                .deployment_style()
                .and_then(|it| it.deployment_type())
                .is_some_and(|it| *it == DeploymentType::BlueGreen),
            ready_wait: info
                .blue_green_deployment_configuration()
                .and_then(|it| it.deployment_ready_option())
                .map(|it| it.wait_time_in_minutes()),
            termination_wait: info
                .blue_green_deployment_configuration()
                .and_then(|it| it.terminate_blue_instances_on_deployment_success())
                .map(|it| it.termination_wait_time_in_minutes()),
            followed_by: info
                .related_deployments()
                .map(|it| it.auto_update_outdated_instances_deployment_ids().to_vec())
                .unwrap_or_default(),
            follows: info
                .related_deployments()
                .and_then(|it| it.auto_update_outdated_instances_root_deployment_id())
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        }
    }
}

/// A revision by its identity. The content of an AppSpec is not given back, its digest is.
fn identity(it: &RevisionLocation) -> Option<String> {
    if let Some(object) = it.s3_location() {
        let (bucket, key) = (object.bucket()?, object.key()?);
        return Some(Revision::identity_of_object(bucket, key, object.version().or(object.e_tag())));
    }
    if let Some(commit) = it.git_hub_location() {
        return Some(format!("github:{}@{}", commit.repository()?, commit.commit_id()?));
    }
    Some(format!("sha256:{}", it.app_spec_content()?.sha256()?))
}

/// The events on which a rollback configuration acts.
pub(super) fn rollback_events(it: &aws_sdk_codedeploy::types::AutoRollbackConfiguration) -> HashSet<String> {
    if it.enabled() { it.events().iter().map(|event| event.as_str().to_owned()).collect() } else { HashSet::new() }
}

impl Reading {
    /// How it ended, if it did. Everything unknown goes on.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self.status.as_str() {
            "Succeeded" => Some(Verdict::Succeeded),
            "Failed" => Some(Verdict::Failed),
            "Stopped" => Some(Verdict::Stopped),
            _ => None,
        }
    }

    /// Whether CodeDeploy may still begin a rollback of its own; nothing where only the group knows.
    pub(super) fn may_roll_back(&self) -> Option<bool> {
        let verdict = self.verdict()?;
        // A rollback that fails is not rolled back.
        let is_rollback = self.creator.as_deref() == Some("codeDeployRollback");
        if verdict == Verdict::Succeeded || self.rolled_back_by.is_some() || is_rollback {
            return Some(false);
        }
        let events = self.rolls_back_on.as_ref()?;
        Some(match verdict {
            Verdict::Succeeded => false,
            Verdict::Failed => events.contains("DEPLOYMENT_FAILURE"),
            Verdict::Stopped => events.iter().any(|it| it.starts_with("DEPLOYMENT_STOP_ON_")),
        })
    }

    /// Who began it, for a person who waits for it (row 60). A user's deployment with a marker is Landfall's: this one's
    /// before it was installed anew, or another one's.
    pub(super) fn whose(&self) -> String {
        let creator = self.creator.as_deref().unwrap_or("unknown");
        let marked = self.description.strip_prefix("landfall:").and_then(|rest| rest.split_whitespace().next());
        let after = |what: &str, of: Option<&String>| of.map_or(what.to_owned(), |of| format!("{what} of {of}"));
        let why = match (creator, marked) {
            ("user", Some(deployment)) => return format!("started by Landfall as {deployment}"),
            ("codeDeployRollback", _) => after(": CodeDeploy's own rollback", self.rolls_back.as_ref()),
            ("CodeDeployAutoUpdate", _) => {
                after(": CodeDeploy brings outdated instances to the revision", self.follows.as_ref())
            }
            ("autoscaling", _) => ": an instance that Auto Scaling launched".into(),
            ("autoscalingTermination", _) => ": an instance that Auto Scaling ends".into(),
            _ => String::new(),
        };
        format!("not started by Landfall (creator `{creator}`){why}")
    }

    /// Whether CodeDeploy began it to roll that deployment back.
    pub(super) fn is_rollback_of(&self, id: &str) -> bool {
        self.creator.as_deref() == Some("codeDeployRollback") && self.rolls_back.as_deref() == Some(id)
    }

    /// How many hours CodeDeploy lets such a deployment run at most, once they are over (row 64; guide: 18549-18592). It
    /// is CodeDeploy that ends it, late as it may be.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<u32> {
        let hours = match (self.platform.as_deref(), self.blue_green) {
            (Some("Lambda"), _) => 50,
            // No table has one for ECS: the waits for a person (120 h) and for the end of the old tasks (48 h), an hour
            // for new tasks to become healthy, and the longest that traffic may take (48 h).
            (Some("ECS"), _) => 120 + 48 + 1 + 48,
            (_, true) => 109,
            (_, false) => 12,
        };
        let since = now.duration_since(self.created_at?);
        (self.verdict().is_none() && since >= SignedDuration::from_hours(i64::from(hours))).then_some(hours)
    }

    /// Whether its instances can be asked for.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.status.as_str(), "" | "Created" | "Queued")
    }

    /// Whether it runs on instances, and not on Lambda or ECS.
    pub(super) fn is_on_servers(&self) -> bool {
        self.platform.as_deref().is_none_or(|it| it == "Server")
    }

    /// Whether it goes on by itself, or for a person, after minutes or hours only.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.status.as_str(), "Ready" | "Baking") || (self.traffic_moved && self.verdict().is_none())
    }

    /// Whether all traffic has moved though the deployment goes on. ECS does not say so itself: its only target has
    /// succeeded by then.
    pub(super) fn has_moved_traffic(&self, details: Option<&Details>) -> bool {
        let by_target = self.platform.as_deref() == Some("ECS") && details.is_some_and(|it| it.all_succeeded);
        self.verdict().is_none() && (self.traffic_moved || by_target)
    }

    /// How far it is since `since`. What its instances do is carried on from `last` where nobody asked for it yet.
    pub(super) fn progress(&self, details: Option<&Details>, last: &Progress, since: Timestamp) -> Progress {
        let sub_state = match self.status.as_str() {
            "Ready" => Some(SubState::ReadyForTraffic),
            "Baking" => Some(SubState::Baking),
            _ if self.has_moved_traffic(details) => Some(SubState::WaitingForTermination),
            _ => None,
        };
        let wait = match sub_state {
            Some(SubState::ReadyForTraffic) => self.ready_wait,
            Some(SubState::WaitingForTermination) => self.termination_wait,
            Some(SubState::Baking) | None => None,
        };
        // Since when it waits is remembered from the first time that it was seen to.
        let until = last.until.filter(|_| last.sub_state == sub_state).or_else(|| {
            let minutes = SignedDuration::from_mins(i64::from(wait.filter(|it| *it > 0)?));
            since.checked_add(minutes).ok()
        });
        let mut progress = Progress {
            status: self.status.clone(),
            instances: self.instances,
            sub_state,
            until,
            ..Progress::default()
        };
        match details {
            Some(it) => {
                progress.phase = it.phase.clone().filter(|_| self.verdict().is_none());
                (progress.lifecycle, progress.fleet) = (it.lifecycle.clone(), Some(it.fleet.clone()));
                progress.traffic = it.traffic.clone();
            }
            None if self.has_begun() => {
                progress.phase = last.phase.clone().filter(|_| self.verdict().is_none());
                (progress.lifecycle, progress.fleet) = (last.lifecycle.clone(), last.fleet.clone());
                progress.traffic = last.traffic.clone();
            }
            None => {}
        }
        progress
    }

    /// Whether its description begins with our marker, and a user (that is: we) made it. CodeDeploy's own
    /// deployments may carry a description on.
    pub(super) fn carries(&self, marker: &str) -> bool {
        let ours = self.description.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        ours && self.creator.as_deref().is_none_or(|it| it == "user")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_words_end_a_deployment() {
        let verdict = |status: &str| Reading { status: status.into(), ..Reading::default() }.verdict();
        assert_eq!(verdict("Succeeded"), Some(Verdict::Succeeded));
        assert_eq!(verdict("Failed"), Some(Verdict::Failed));
        assert_eq!(verdict("Stopped"), Some(Verdict::Stopped));
        for going_on in ["Created", "Queued", "InProgress", "Baking", "Ready", "Polishing", ""] {
            assert_eq!(verdict(going_on), None, "{going_on}");
        }
    }

    #[test]
    fn each_platform_has_a_time_of_its_own_row_64() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000);
        for (platform, blue_green, hours) in
            [("Server", false, 12), ("Server", true, 109), ("Lambda", true, 50), ("ECS", true, 217)]
        {
            let after = |minutes: i64, status: &str| {
                let created_at = Some(now - SignedDuration::from_mins(minutes));
                let (platform, status) = (Some(platform.to_owned()), status.to_owned());
                Reading { platform, status, blue_green, created_at, ..Reading::default() }.overdue(now)
            };
            let limit = i64::from(hours) * 60;
            assert_eq!(after(limit - 1, "InProgress"), None, "{platform}");
            assert_eq!(after(limit, "InProgress"), Some(hours), "{platform}");
            assert_eq!(after(limit, "Succeeded"), None, "{platform}: what is over is not late");
        }
    }

    #[test]
    fn a_marker_is_a_whole_first_word_of_a_users_deployment() {
        let carries = |description: &str, creator: Option<&str>| {
            let creator = creator.map(str::to_owned);
            Reading { description: description.into(), creator, ..Reading::default() }.carries("landfall:01A")
        };
        assert!(carries("landfall:01A acme/shop@4f2c", Some("user")));
        assert!(carries("landfall:01A", None));
        assert!(!carries("landfall:01AB acme/shop@4f2c", Some("user")));
        assert!(!carries("again landfall:01A", Some("user")));
        assert!(!carries("landfall:01A", Some("CodeDeployAutoUpdate")));
    }

    #[test]
    fn a_deployment_that_is_not_ours_is_said_to_be_whose_rows_6_59_60() {
        let whose = |creator: &str, description: &str| {
            let (creator, description) = (Some(creator.to_owned()), description.to_owned());
            let (rolls_back, follows) = (Some("d-7".into()), Some("d-8".into()));
            Reading { creator, description, rolls_back, follows, ..Reading::default() }.whose()
        };
        let not_ours = |creator: &str, why: &str| format!("not started by Landfall (creator `{creator}`){why}");
        assert_eq!(whose("user", "by hand"), not_ours("user", ""));
        assert_eq!(whose("user", "landfall:01A acme/shop@4f2c"), "started by Landfall as 01A");
        for (creator, why) in [
            ("CloudFormation", ""),
            ("codeDeployRollback", ": CodeDeploy's own rollback of d-7"),
            ("CodeDeployAutoUpdate", ": CodeDeploy brings outdated instances to the revision of d-8"),
            ("autoscaling", ": an instance that Auto Scaling launched"),
            ("autoscalingTermination", ": an instance that Auto Scaling ends"),
        ] {
            assert_eq!(whose(creator, "landfall:01A"), not_ours(creator, why));
        }
    }

    #[test]
    fn a_rollback_is_awaited_only_where_one_may_come() {
        let ended = |status: &str, events: Option<&[&str]>| {
            let rolls_back_on = events.map(|it| it.iter().map(|event| (*event).to_owned()).collect());
            Reading { status: status.into(), rolls_back_on, ..Reading::default() }
        };
        assert_eq!(ended("Failed", Some(&["DEPLOYMENT_FAILURE"])).may_roll_back(), Some(true));
        assert_eq!(ended("Stopped", Some(&["DEPLOYMENT_FAILURE"])).may_roll_back(), Some(false));
        assert_eq!(ended("Stopped", Some(&["DEPLOYMENT_STOP_ON_ALARM"])).may_roll_back(), Some(true));
        assert_eq!(ended("Failed", Some(&[])).may_roll_back(), Some(false));
        assert_eq!(ended("Failed", None).may_roll_back(), None);
        assert_eq!(ended("Succeeded", None).may_roll_back(), Some(false));
        let begun = Reading { rolled_back_by: Some("d-2".into()), ..ended("Failed", Some(&["DEPLOYMENT_FAILURE"])) };
        assert_eq!(begun.may_roll_back(), Some(false));
    }
}
