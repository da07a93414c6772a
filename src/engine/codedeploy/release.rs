//! The one call that cannot be repeated, and the search for it when its outcome is unknown. It never calls twice by
//! itself unless CodeDeploy has clearly refused the first time.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::config::retry::RetryConfig;
use aws_sdk_codedeploy::config::timeout::TimeoutConfig;
use aws_sdk_codedeploy::primitives::DateTime;
use aws_sdk_codedeploy::types::{
    AppSpecContent, BundleType, GitHubLocation, RevisionLocation, RevisionLocationType, S3Location, TimeRange,
};
use jiff::{SignedDuration, Timestamp};

use super::engine::CodeDeployEngine;
use super::options;
use super::reading::Reading;
use super::trouble::{Departure, Trouble};
use crate::domain::{BundleFormat, Failure, Location, Revision, RunId};
use crate::engine::{Found, Intent, StartError, Started};

/// CodeDeploy takes 512 characters today; its documentation has said 256 and 100.
const LONGEST: usize = 256;
/// What is tried once CodeDeploy finds that too long.
const SHORT: usize = 100;
/// CodeDeploy's clock may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How much earlier than its intent a run without a marker may have been made, by CodeDeploy's clock.
const EARLIEST_OF_STRIPPED: SignedDuration = SignedDuration::from_mins(2);
/// How much later.
const LATEST_OF_STRIPPED: SignedDuration = SignedDuration::from_mins(10);
const BATCH: usize = 25;
/// How every marker begins.
const MARKED: &str = "landfall:";

impl CodeDeployEngine {
    /// Calls `CreateDeployment`. Never runs twice: its intent is written first.
    pub(super) async fn create(&self, intent: &Intent) -> Result<Started, StartError> {
        let revision = self.revision(&intent.revision).map_err(StartError::Refused)?;
        let mut description = description(intent, LONGEST);
        let mut registered = false;
        loop {
            let trouble = match self.call(intent, &revision, &description).await {
                Ok(id) => {
                    self.account.forget_lost(&intent.marker);
                    return self.started(&id).map_err(StartError::Unknown);
                }
                Err(trouble) => trouble,
            };
            match trouble.code() {
                Some("RevisionDoesNotExistException") if !registered => {
                    registered = true;
                    // Its own failure says less than the second refusal will.
                    self.register(&revision).await;
                }
                Some("DescriptionTooLongException") if description.len() > SHORT => {
                    description = self::description(intent, SHORT);
                }
                Some("DeploymentLimitExceededException") => return self.limited(intent, &trouble).await,
                _ => return Err(self.judged(intent, &trouble)),
            }
        }
    }

    fn judged(&self, intent: &Intent, trouble: &Trouble) -> StartError {
        let failure = trouble.failure(&self.spec);
        match trouble {
            Trouble::NeverSent { .. } | Trouble::Throttled { .. } => StartError::NotSent(failure),
            Trouble::Refused { .. } | Trouble::NoRole { .. } if failure.passing => StartError::NotSent(failure),
            Trouble::Refused { .. } | Trouble::NoRole { .. } => StartError::Refused(failure),
            Trouble::Lost { .. } => {
                self.account.remember_lost(&intent.marker);
                StartError::Unknown(failure)
            }
        }
    }

    async fn call(&self, intent: &Intent, revision: &RevisionLocation, description: &str) -> Result<String, Trouble> {
        let spec = &self.spec;
        let departure = Departure::default();
        let once = aws_sdk_codedeploy::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .operation_timeout(self.account.pace.create_within)
                .operation_attempt_timeout(self.account.pace.create_within)
                .build(),
        );
        // CloudTrail then says which of our deployments it was (row 10).
        let client = self.account.client_as(format!("landfall-{}", intent.deployment)).await;
        let call = client
            .create_deployment()
            .application_name(&spec.application)
            .deployment_group_name(&spec.deployment_group)
            .description(description);
        let call = match intent.order.restarts() {
            Some(_) => options::restarting(call, spec),
            None => options::chosen(call.revision(revision.clone()), spec, &intent.revision),
        };
        let sent = call.customize().config_override(once).interceptor(departure.clone()).send().await;
        match sent {
            Ok(answer) => answer.deployment_id.ok_or_else(|| Trouble::Lost {
                action: "CreateDeployment",
                why: "the answer names no deployment".into(),
            }),
            Err(error) => Err(Trouble::of("CreateDeployment", &error).unless_departed(&departure)),
        }
    }

    /// One deployment at a time runs in a group. The one that runs may be the one that we have lost.
    async fn limited(&self, intent: &Intent, trouble: &Trouble) -> Result<Started, StartError> {
        let Some(id) = named_deployment(&trouble.to_string()) else {
            return Err(StartError::NotSent(trouble.failure(&self.spec)));
        };
        let reading = match self.account.client().await.get_deployment().deployment_id(&id).send().await {
            Ok(answer) => answer.deployment_info().map(Reading::from).unwrap_or_default(),
            Err(error) => {
                // It may be ours: only a look can tell.
                self.account.remember_lost(&intent.marker);
                return Err(StartError::Unknown(Trouble::of("GetDeployment", &error).failure(&self.spec)));
            }
        };
        if reading.carries(&intent.marker) {
            self.account.forget_lost(&intent.marker);
            return self.started(&id).map_err(StartError::Unknown);
        }
        Err(StartError::Busy(self.busy(&id, &reading)))
    }

    fn busy(&self, id: &str, reading: &Reading) -> Failure {
        let (group, whose) = (&self.spec.deployment_group, reading.whose());
        let help = format!("wait for it, or stop it: {}", self.console_url(id));
        Failure::passing("codedeploy/busy", format!("group `{group}` is busy with {id}, {whose}")).help(help)
    }

    async fn register(&self, revision: &RevisionLocation) {
        let client: &Client = self.account.client().await;
        let call = client.register_application_revision().application_name(&self.spec.application);
        if let Err(error) = call.revision(revision.clone()).send().await {
            let trouble = Trouble::of("RegisterApplicationRevision", &error);
            tracing::warn!(error = %trouble, "could not register the revision");
        }
    }

    /// Looks for the marker: the group's last attempt, and everything created since shortly before the intent.
    pub(super) async fn look_for(&self, intent: &Intent, since: Timestamp) -> Result<Found, Failure> {
        let began = self.account.clock.now();
        // What cannot be asked says nothing about the call: it may run, and is looked for again, whatever has to be done.
        let unread = |trouble: Trouble| Failure { passing: true, ..trouble.failure(&self.spec) };
        let sought = self.candidates(since).await.map_err(unread)?;
        let readings = self.read_all(&sought).await.map_err(unread)?;
        let mut ours: Vec<&Reading> = readings.iter().filter(|it| it.carries(&intent.marker)).collect();
        ours.sort_by_key(|it| it.created_at);
        if ours.len() > 1 {
            let ids: Vec<&str> = ours.iter().map(|it| it.id.as_str()).collect();
            tracing::error!(deployment.id = %intent.deployment, ?ids, "several runs carry one marker; taking the first");
        }
        if let Some(found) = ours.first() {
            self.account.forget_lost(&intent.marker);
            return Ok(Found::Run(self.started(&found.id)?));
        }
        // A call that this process made may have left long after its intent was written.
        let from = self.account.lost_at(&intent.marker).map_or(since, |lost| lost.max(since));
        let waited = Duration::try_from(began.duration_since(from)).unwrap_or_default();
        let [first, second, last] = self.account.pace.looks;
        let last = match intent.revision {
            Revision::AppSpec { .. } => self.account.pace.late_look.max(last),
            Revision::Bundle { .. } | Revision::GitHub { .. } => last,
        };
        match [first, second, last].into_iter().find(|look| waited < *look) {
            Some(next) => Ok(Found::NotYet(next - waited)),
            None => {
                let stripped = self.stripped(intent, since, &readings)?;
                self.account.forget_lost(&intent.marker);
                stripped.map_or(Ok(Found::Absent), |it| Ok(Found::Run(self.started(&it.id)?)))
            }
        }
    }

    /// A run whose description somebody or something took away: a user's, of this very revision, made about when ours
    /// was. Where several fit, a person has to say which it is: another call might deploy twice.
    fn stripped<'a>(
        &self,
        intent: &Intent,
        since: Timestamp,
        readings: &'a [Reading],
    ) -> Result<Option<&'a Reading>, Failure> {
        let identity = intent.revision.identity();
        let is_in_time = |it: &Reading| {
            it.created_at
                .is_some_and(|at| (-EARLIEST_OF_STRIPPED..=LATEST_OF_STRIPPED).contains(&at.duration_since(since)))
        };
        let fits = |it: &&Reading| {
            let by_user = it.creator.as_deref() == Some("user") && !it.description.starts_with(MARKED);
            let is_free = !intent.taken.iter().any(|run| run.as_str() == it.id);
            by_user && is_free && it.revision.as_deref() == Some(identity.as_str()) && is_in_time(it)
        };
        let found: Vec<&Reading> = readings.iter().filter(fits).collect();
        match found[..] {
            [] => Ok(None),
            [one] => {
                tracing::warn!(deployment.id = %intent.deployment, run = one.id, "known by its revision: no marker");
                Ok(Some(one))
            }
            _ => {
                let ids: Vec<&str> = found.iter().map(|it| it.id.as_str()).collect();
                let message = format!("several runs may be this one, and none is marked: {}", ids.join(", "));
                Err(Failure::setup("codedeploy/ambiguous", message).help(
                    "look at them in CodeDeploy's console: where none of them did it, deploy again with `landfall redeploy`",
                ))
            }
        }
    }

    async fn candidates(&self, since: Timestamp) -> Result<BTreeSet<String>, Trouble> {
        let spec = &self.spec;
        let client = self.account.client().await;
        let group = client
            .get_deployment_group()
            .application_name(&spec.application)
            .deployment_group_name(&spec.deployment_group)
            .send()
            .await
            .map_err(|error| Trouble::of("GetDeploymentGroup", &error))?;
        let last = group.deployment_group_info().and_then(|it| it.last_attempted_deployment());
        let mut ids: BTreeSet<String> = last.and_then(|it| it.deployment_id()).map(str::to_owned).into_iter().collect();
        let start = since.saturating_sub(SKEW).unwrap_or(since);
        let created = TimeRange::builder().start(DateTime::from_secs(start.as_second())).build();
        let mut pages = client
            .list_deployments()
            .application_name(&spec.application)
            .deployment_group_name(&spec.deployment_group)
            .create_time_range(created)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListDeployments", &error))?;
            ids.extend(page.deployments.unwrap_or_default());
        }
        Ok(ids)
    }

    async fn read_all(&self, ids: &BTreeSet<String>) -> Result<Vec<Reading>, Trouble> {
        let ids: Vec<String> = ids.iter().cloned().collect();
        let mut readings = Vec::new();
        for batch in ids.chunks(BATCH) {
            let call = self.account.client().await.batch_get_deployments();
            let answer = call
                .set_deployment_ids(Some(batch.to_vec()))
                .send()
                .await
                .map_err(|error| Trouble::of("BatchGetDeployments", &error))?;
            readings.extend(answer.deployments_info().iter().map(Reading::from));
        }
        Ok(readings)
    }

    fn started(&self, id: &str) -> Result<Started, Failure> {
        let run = RunId::parse(id)
            .map_err(|unfit| Failure::setup("codedeploy/odd-answer", format!("CodeDeploy's deployment id: {unfit}")))?;
        Ok(Started { url: Some(self.console_url(run.as_str())), run })
    }

    pub(super) fn revision(&self, revision: &Revision) -> Result<RevisionLocation, Failure> {
        let odd = |what: &str| {
            let message = format!("CodeDeploy reads bundles from S3, and {what}");
            Failure::setup("codedeploy/unreachable-revision", message)
                .help("set `s3 = { bucket = …, region = … }` under `[target.revisions]`")
        };
        let location = RevisionLocation::builder();
        Ok(match revision {
            Revision::Bundle { format, location: Location::S3 { bucket, key, version, etag, region: _ }, .. } => {
                let object = S3Location::builder()
                    .bucket(bucket)
                    .key(key)
                    .bundle_type(bundle_type(*format))
                    .set_version(version.clone())
                    .set_e_tag(etag.as_deref().map(|it| it.trim_matches('"').to_owned()))
                    .build();
                location.revision_type(RevisionLocationType::S3).s3_location(object).build()
            }
            Revision::Bundle { location: Location::File { path }, .. } => {
                return Err(odd(&format!("this one is the file `{}`", path.display())));
            }
            Revision::AppSpec { content, sha256 } => {
                let content = AppSpecContent::builder().content(content).sha256(sha256).build();
                location.revision_type(RevisionLocationType::AppSpecContent).app_spec_content(content).build()
            }
            Revision::GitHub { repository, commit } => {
                let commit = GitHubLocation::builder().repository(repository).commit_id(commit.as_str()).build();
                location.revision_type(RevisionLocationType::GitHub).git_hub_location(commit).build()
            }
        })
    }
}

fn bundle_type(format: BundleFormat) -> BundleType {
    match format {
        BundleFormat::Tgz => BundleType::TarGZip,
        BundleFormat::Tar => BundleType::Tar,
        BundleFormat::Zip => BundleType::Zip,
    }
}

/// `MARKER owner/repo@sha12 author`, at most `longest` characters. The marker is first, so that no cut reaches it.
fn description(intent: &Intent, longest: usize) -> String {
    let sha = &intent.commit.as_str()[..12];
    let mut text = format!("{} {}@{sha}", intent.marker, intent.order.repository.name);
    if let Some(author) = &intent.order.author {
        text.push_str(&format!(" {author}"));
    }
    text.chars().take(longest).collect::<String>().trim_end().to_owned()
}

/// The deployment that CodeDeploy names in quotes. Its wording has changed; the quotes have not.
fn named_deployment(message: &str) -> Option<String> {
    message.match_indices("'d-").find_map(|(at, _)| {
        let (id, _) = message[at + 1..].split_once('\'')?;
        let rest = id.strip_prefix("d-")?;
        let fits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        fits.then(|| id.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::named_deployment;

    #[test]
    fn the_active_deployment_is_found_in_every_wording() {
        let named = |text| named_deployment(text);
        let now = "The Deployment Group 'd-prod' already has an active Deployment 'd-QX7RT2M9K'";
        assert_eq!(named(now).as_deref(), Some("d-QX7RT2M9K"));
        let older = "Deployment group 'prod' is already deploying deployment 'd-3'";
        assert_eq!(named(older).as_deref(), Some("d-3"));
        assert_eq!(named("The account has too many concurrent deployments"), None);
        assert_eq!(named("it's 'd-' and 'd-unclosed"), None);
    }
}
