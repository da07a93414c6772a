//! What a `deployment` event says: somebody wants a commit in an environment of ours. It is written down as a request, once
//! for each of GitHub's deployments; whether a ref of the rule has the commit is proven when it is weighed.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::homes::blocking;
use super::payload::{LONGEST_NAME, Malformed, repository_name};
use crate::domain::{
    Ask, Cause, CommitPrefix, CommitSha, DeliveryId, DeployOptions, NoDeployment, Order, PlanLine, RefName, Repository,
    Request, Target, one_line,
};
use crate::ledger::{Accepted, Birth, Ledger, LedgerError};

/// What GitHub's deployments are for where nobody says otherwise; others are for other programs.
const TASK: &str = "deploy";
/// What stands in the payload of a deployment that was created by a bot like this one.
const OURS: &str = "landfall";

#[derive(Deserialize)]
struct Payload {
    action: String,
    deployment: Created,
    repository: Named,
    #[serde(default)]
    workflow_run: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
    sha: String,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    task: String,
    environment: String,
    #[serde(default)]
    payload: Value,
    creator: Option<Creator>,
}

#[derive(Deserialize)]
struct Creator {
    login: String,
}

#[derive(Deserialize)]
struct Named {
    id: u64,
    full_name: String,
}

/// A commit that somebody wants in an environment.
pub(super) struct Wish {
    /// Whose.
    pub(super) repository: Repository,
    number: u64,
    sha: CommitSha,
    reference: String,
    environment: String,
    actor: String,
}

/// What an event comes to.
pub(super) enum Wanted {
    This(Box<Wish>),
    /// Nothing of us, because.
    Nothing(&'static str),
}

/// Reads the payload of a `deployment` event.
pub(super) fn wanted(json: &str) -> Result<Wanted, Malformed> {
    let Payload { action, deployment, repository, workflow_run } = serde_json::from_str(json)?;
    let Created { id, sha, reference, task, environment, payload, creator } = deployment;
    // GitHub gives a payload back as it came, or as the text of it.
    let parsed = payload.as_str().and_then(|text| serde_json::from_str(text).ok());
    let why = if action != "created" {
        Some("only a deployment that was created is carried out")
    } else if parsed.as_ref().unwrap_or(&payload).get(OURS).is_some() {
        Some("landfall created it itself")
    } else if workflow_run.is_some() {
        Some("a workflow created it for its own job, and deploys by itself")
    } else {
        (task != TASK).then_some("its task is not `deploy`")
    };
    if let Some(why) = why {
        return Ok(Wanted::Nothing(why));
    }
    let sha = CommitSha::parse(sha).map_err(|unfit| Malformed::Name { field: "deployment.sha", unfit })?;
    let repository = Repository { id: Some(repository.id), name: repository_name(repository.full_name)? };
    let login = creator.map_or_else(|| "somebody".to_owned(), |it| one_line(&it.login, LONGEST_NAME));
    let actor = format!("{login} on GitHub");
    Ok(Wanted::This(Wish { repository, number: id, sha, reference, environment, actor }.into()))
}

/// What became of a wish.
pub(super) enum Answered {
    /// It is written down.
    Accepted(Accepted),
    /// No target is for its environment.
    NoTarget(String),
}

impl Wish {
    /// Writes the wish down for every one of these targets that is for its environment, once. `asked_at` is when it was
    /// made, where it comes late.
    pub(super) async fn accept(
        &self,
        ledger: &Ledger,
        delivery: &DeliveryId,
        targets: &[Arc<Target>],
        asked_at: Option<Timestamp>,
    ) -> Result<Answered, LedgerError> {
        let (mut plans, mut repeat) = (Vec::new(), true);
        // Of several targets the first tells GitHub's deployment how it goes: two would contradict each other.
        let mut github = Some(self.number);
        for target in targets.iter().filter(|it| it.environment.eq_ignore_ascii_case(&self.environment)) {
            let line = |deployment, rule, nothing| PlanLine { target: target.name.clone(), deployment, rule, nothing };
            plans.push(match self.meant(ledger, target).await? {
                Err(nothing) => line(None, None, Some(nothing)),
                Ok((reference, rule)) => {
                    let asked = (github.take(), asked_at);
                    let (request, birth) = self.asked(target, (reference, rule.clone()), asked);
                    let requested = ledger.request(request, vec![], vec![birth]).await?;
                    repeat &= requested.repeat;
                    line(requested.deployments.first().copied(), Some(rule), None)
                }
            });
        }
        if plans.is_empty() {
            let environment = one_line(&self.environment, LONGEST_NAME);
            return Ok(Answered::NoTarget(format!("no target is for the environment `{environment}`")));
        }
        let repeat = repeat && plans.iter().any(|it| it.deployment.is_some());
        Ok(Answered::Accepted(Accepted { repeat, delivery: delivery.clone(), plans }))
    }

    /// The ref that is meant, with the rule of the target that takes it; or why nothing is deployed there.
    async fn meant(
        &self,
        ledger: &Ledger,
        target: &Target,
    ) -> Result<Result<(RefName, String), NoDeployment>, LedgerError> {
        let (ledger, name) = (ledger.clone(), target.name.clone());
        let pinned = blocking(move || ledger.target(&name)).await?.pin_of(&self.repository.name);
        if let (Some(pinned), Some(found)) = (pinned, self.repository.id)
            && pinned != found
        {
            return Ok(Err(NoDeployment::OtherRepository { pinned, found }));
        }
        Ok(self.refs(target).into_iter().find_map(|it| Some((target.rule.takes(&it)?, it))).map_or_else(
            || Err(NoDeployment::NotMapped { reference: self.shown() }),
            |(rule, reference)| Ok((reference, rule)),
        ))
    }

    /// What the wish may mean by its ref. One that names a bare commit means whatever branch of the rule has it: which one
    /// that is, is found out when it is weighed.
    fn refs(&self, target: &Target) -> Vec<RefName> {
        let branch = |name: &str| RefName::parse_visible(format!("refs/heads/{name}")).ok();
        let tag = RefName::parse_visible(format!("refs/tags/{}", self.reference)).ok();
        let mut refs: Vec<_> = branch(&self.reference).into_iter().chain(tag).collect();
        refs.extend(RefName::parse_visible(self.reference.clone()));
        if self.sha.as_str() == self.reference {
            refs.extend(target.rule.plain_branches().filter_map(branch));
        }
        refs
    }

    /// The ref as a name, for a refusal.
    fn shown(&self) -> RefName {
        let name = RefName::parse_visible(format!("refs/heads/{}", self.reference));
        name.unwrap_or_else(|_| RefName::parse("refs/heads/unknown").expect("this is a name"))
    }

    fn asked(
        &self,
        target: &Arc<Target>,
        (reference, rule): (RefName, String),
        (github, asked_at): (Option<u64>, Option<Timestamp>),
    ) -> (Request, Birth) {
        let (actor, key) = (self.actor.clone(), format!("github-deployment/{}/{}", self.number, target.name));
        let cause = Cause::Chosen { actor: actor.clone(), key: key.clone(), github, asked_at };
        let (repository, of_ref) = (self.repository.clone(), (reference.clone(), rule));
        let order = Order::of(target.clone(), repository, of_ref, self.sha.clone(), cause);
        let (kind, sha) = (format!("request {key}"), Some(CommitPrefix::from(self.sha.clone())));
        let (target, reference, options) = (target.name.clone(), Some(reference), DeployOptions::default());
        (Request { actor, key, what: Ask::Deploy { target, reference, sha, options } }, Birth { order, kind })
    }
}
