//! What a push means: for each target a deployment, or none, with the reason. From the payload alone.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codedeploy::DeployOptions;
use super::ids::{CommitSha, DeliveryId, DeploymentId, RefName, RunId, TargetName};
use super::push::{Push, Repository};
use super::target::Target;

/// Why a deployment was born.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cause {
    /// A signed delivery.
    Push {
        /// Which.
        delivery: DeliveryId,
    },
    /// The ref's head was found to have moved without a delivery.
    CatchUp,
    /// A person or peer asked for this ref.
    Request {
        /// Who.
        actor: String,
        /// The request's key.
        key: String,
    },
    /// A person or peer asked for this very commit, which a ref of the target's rule must lead to.
    Chosen {
        /// Who.
        actor: String,
        /// The request's key.
        key: String,
        /// The deployment at GitHub that asks for it, where it is told how this one goes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        github: Option<u64>,
        /// When it was asked for, where we heard of it late: what was planned or deployed since goes before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_at: Option<Timestamp>,
    },
    /// A person asked for the same deployment again.
    Redeploy {
        /// Who.
        actor: String,
        /// The request's key.
        key: String,
    },
    /// A delivery was replayed.
    Replay {
        /// Which.
        delivery: DeliveryId,
        /// Who asked.
        actor: String,
        /// The request's key.
        key: String,
    },
    /// An earlier revision is brought back: the parent failed, or a person wants it away.
    Rollback {
        /// Who asked, when it was a person.
        #[serde(default)]
        actor: Option<String>,
        /// The request's key, where it was asked for by itself and not together with a stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The deployment whose revision is brought back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<DeploymentId>,
        /// The run with which the engine itself brings it back: it is followed, and not begun by us.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
    },
    /// The parent succeeded at the target before this one.
    Promotion {
        /// Who approved, when it was a person.
        #[serde(default)]
        actor: Option<String>,
        /// The target before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<TargetName>,
        /// Whether it is released only once a person has approved it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waits: bool,
    },
    /// A person asked the engine to start anew what is live, with nothing brought to it (row 35).
    Restart {
        /// Who.
        actor: String,
        /// The request's key.
        key: String,
        /// The deployment that is live.
        of: DeploymentId,
    },
}

/// What a deployment is born with. It stores the target as resolved when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Where to, as the configuration meant it at that time.
    #[serde(with = "super::shared")]
    pub target: Arc<Target>,
    /// The repository as the push named it.
    pub repository: Repository,
    /// The ref.
    #[serde(rename = "ref")]
    pub reference: RefName,
    /// The commit, as the push named it: an annotated tag's is the tag object.
    pub sha: CommitSha,
    /// Where the ref was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<CommitSha>,
    /// Who wrote the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Who pushed it, by their login at GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pusher: Option<String>,
    /// The commit's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Why it was born.
    pub cause: Cause,
    /// The rule that took it, for the person who asks later.
    pub rule: String,
    /// The deployment it was born of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<DeploymentId>,
    /// Whether the push did not tell which paths it changed, and the rule asks: the source is asked before anything is
    /// made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paths_unknown: bool,
    /// What a person chose for this one deployment. The target's engine holds it already.
    #[serde(default, skip_serializing_if = "DeployOptions::is_empty")]
    pub options: DeployOptions,
}

impl Order {
    /// An order of a commit of a ref that a rule takes, with nothing known beside: who wrote it, what was before it.
    pub fn of(
        target: Arc<Target>,
        repository: Repository,
        (reference, rule): (RefName, String),
        sha: CommitSha,
        cause: Cause,
    ) -> Self {
        Self {
            target,
            repository,
            reference,
            sha,
            before: None,
            author: None,
            pusher: None,
            title: None,
            cause,
            rule,
            parent: None,
            paths_unknown: false,
            options: DeployOptions::default(),
        }
    }

    /// Whether a person insisted on this very commit: then the order of pushes does not decide.
    pub fn is_insisted(&self) -> bool {
        match &self.cause {
            Cause::Redeploy { .. } | Cause::Replay { .. } | Cause::Rollback { .. } => true,
            Cause::Promotion { .. } | Cause::Restart { .. } | Cause::Chosen { .. } => true,
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } => false,
        }
    }

    /// Whether somebody named the commit: then it must be proven to be part of a ref that the target's rule takes, for
    /// GitHub has the commits of every fork under the parent's name.
    pub fn is_chosen(&self) -> bool {
        matches!(self.cause, Cause::Chosen { .. })
    }

    /// The deployment at GitHub that asked for it, and waits to be told.
    pub fn github_deployment(&self) -> Option<u64> {
        match self.cause {
            Cause::Chosen { github, .. } => github,
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } => None,
            Cause::Replay { .. } | Cause::Rollback { .. } | Cause::Promotion { .. } | Cause::Restart { .. } => None,
        }
    }

    /// When it was asked for, where we heard of it late.
    pub fn asked_at(&self) -> Option<Timestamp> {
        match self.cause {
            Cause::Chosen { asked_at, .. } => asked_at,
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } => None,
            Cause::Replay { .. } | Cause::Rollback { .. } | Cause::Promotion { .. } | Cause::Restart { .. } => None,
        }
    }

    /// Whether it brings an earlier revision back.
    pub fn is_rollback(&self) -> bool {
        matches!(self.cause, Cause::Rollback { .. })
    }

    /// Whether it mends what a deployment left broken: then it goes before what waits, and takes nobody's place.
    pub fn is_repair(&self) -> bool {
        matches!(self.cause, Cause::Rollback { key: None, .. })
    }

    /// The deployment whose revision it brings back.
    pub fn restores(&self) -> Option<DeploymentId> {
        match self.cause {
            Cause::Rollback { to, .. } => to,
            Cause::Chosen { .. } => None,
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } => None,
            Cause::Replay { .. } | Cause::Promotion { .. } | Cause::Restart { .. } => None,
        }
    }

    /// The deployment whose revision it takes to the next target.
    pub fn promotes(&self) -> Option<DeploymentId> {
        self.parent.filter(|_| matches!(self.cause, Cause::Promotion { .. }))
    }

    /// The deployment whose revision is started anew where it is.
    pub fn restarts(&self) -> Option<DeploymentId> {
        match self.cause {
            Cause::Restart { of, .. } => Some(of),
            Cause::Chosen { .. } => None,
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } => None,
            Cause::Replay { .. } | Cause::Rollback { .. } | Cause::Promotion { .. } => None,
        }
    }

    /// Whether it is released only once a person has approved it.
    pub fn waits_for_approval(&self) -> bool {
        matches!(self.cause, Cause::Promotion { waits: true, .. })
    }

    /// Whether the target's required checks hold it. Who deploys a commit once more, or what was live before, has seen it
    /// run: a person can always go past a check that is red, and a way back is never barred.
    pub fn waits_for_checks(&self) -> bool {
        match &self.cause {
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } => !self.target.require_checks.is_empty(),
            Cause::Replay { .. } | Cause::Promotion { .. } | Cause::Chosen { .. } => {
                !self.target.require_checks.is_empty()
            }
            Cause::Redeploy { .. } | Cause::Rollback { .. } | Cause::Restart { .. } => false,
        }
    }

    /// The run of the engine's own that it follows (row 56).
    pub fn adopts(&self) -> Option<&RunId> {
        match &self.cause {
            Cause::Rollback { run, .. } => run.as_ref(),
            Cause::Chosen { .. } => None,
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } => None,
            Cause::Replay { .. } | Cause::Promotion { .. } | Cause::Restart { .. } => None,
        }
    }

    /// Whether it is born even where the same commit was planned before: only `replay` and `redeploy` force.
    pub fn is_forced(&self) -> bool {
        self.is_insisted() || matches!(self.cause, Cause::Request { .. })
    }
}

/// Why a push means no deployment for a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NoDeployment {
    /// No pattern of the rule takes the ref.
    NotMapped {
        /// The ref.
        #[serde(rename = "ref")]
        reference: RefName,
    },
    /// The ref is gone.
    Deleted {
        /// The ref.
        #[serde(rename = "ref")]
        reference: RefName,
    },
    /// None of the changed paths is one of the rule's.
    PathsUntouched,
    /// The head commit's message asks for it.
    SkipAsked {
        /// In these words.
        words: String,
    },
    /// The target's newest planned commit of this ref is this very commit.
    AlreadyPlanned {
        /// As which deployment.
        deployment: DeploymentId,
    },
    /// This very commit is live at the target, and nothing is under way there.
    AlreadyLive {
        /// By which deployment.
        deployment: DeploymentId,
    },
    /// The repository's name now belongs to another repository than the one first accepted.
    OtherRepository {
        /// The id first accepted.
        pinned: u64,
        /// The id that came.
        found: u64,
    },
}

impl std::fmt::Display for NoDeployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotMapped { reference } => write!(f, "`{}` is not mapped to this target", reference.short()),
            Self::Deleted { reference } => write!(f, "`{}` was deleted", reference.short()),
            Self::PathsUntouched => write!(f, "no path of the rule changed"),
            Self::SkipAsked { words } => write!(f, "the commit says `{words}`"),
            Self::AlreadyPlanned { deployment } => write!(f, "already planned as {deployment}"),
            Self::AlreadyLive { deployment } => write!(f, "already live by {deployment}"),
            Self::OtherRepository { pinned, found } => {
                write!(f, "repository id {found} is not {pinned}, which was first accepted under this name")
            }
        }
    }
}

/// A deployment, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Deploy this.
    Deploy(Arc<Order>),
    /// Nothing, because.
    Nothing(NoDeployment),
}

/// What a push means for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which target.
    pub target: TargetName,
    /// What.
    pub outcome: Outcome,
}

/// What `push` means for each target of its repository, in the configuration's order.
///
/// The ledger, which knows what came before, may still turn a deployment into none (`AlreadyPlanned`).
pub fn plan(push: &Push, cause: &Cause, targets: &[Arc<Target>]) -> Vec<Plan> {
    targets
        .iter()
        .filter(|target| target.repository.is_same(&push.repository.name))
        .map(|target| Plan { target: target.name.clone(), outcome: outcome(push, cause, target) })
        .collect()
}

fn outcome(push: &Push, cause: &Cause, target: &Arc<Target>) -> Outcome {
    let reference = push.reference.clone();
    let Some(rule) = target.rule.takes(&push.reference) else {
        return Outcome::Nothing(NoDeployment::NotMapped { reference });
    };
    let Some(sha) = push.after.clone() else {
        return Outcome::Nothing(NoDeployment::Deleted { reference });
    };
    // Who sets a tag means that commit, whatever it says or changes. GitHub's own path filters pass over tags as well.
    let is_branch = reference.branch().is_some();
    if let Some(skip) = push.skip.as_ref().filter(|it| is_branch && target.heeds(it)) {
        return Outcome::Nothing(NoDeployment::SkipAsked { words: skip.words.clone() });
    }
    if is_branch && !target.rule.touches(push.paths.as_deref()) {
        return Outcome::Nothing(NoDeployment::PathsUntouched);
    }
    Outcome::Deploy(Arc::new(Order {
        target: target.clone(),
        repository: push.repository.clone(),
        reference,
        sha,
        before: push.before.clone(),
        author: push.author.clone().or_else(|| push.pusher.clone()),
        pusher: push.pusher.clone(),
        title: push.title.clone(),
        cause: cause.clone(),
        rule,
        parent: None,
        paths_unknown: is_branch && push.paths.is_none() && !target.rule.paths.is_empty(),
        options: DeployOptions::default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{push, sha, target};
    use super::super::{Rule, Skip};
    use super::*;

    /// What a push means for the blog, in a word.
    fn check(push: &Push, expected: &str) {
        let plans = plan(push, &Cause::CatchUp, &[target("blog").into()]);
        let [Plan { outcome, .. }] = &plans[..] else { panic!("one target, one plan: {plans:?}") };
        let found = match outcome {
            Outcome::Deploy(order) => format!("{} by {}", order.sha.short(), order.rule),
            Outcome::Nothing(why) => why.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_push_means_a_deployment_or_says_why_not() {
        check(&push("refs/heads/main", Some(sha('a'))), "aaaaaaa by branch main");
        check(&push("refs/heads/topic", Some(sha('a'))), "`topic` is not mapped to this target");
        check(&push("refs/tags/v1", Some(sha('a'))), "`v1` is not mapped to this target");
        check(&push("refs/heads/main", None), "`main` was deleted");
    }

    #[test]
    fn words_that_ask_for_no_deployment_count_for_branches_and_as_configured() {
        let skip = |words: &str, of_checks| Some(Skip { words: words.into(), of_checks });
        let says = |reference: &str, skip| Push { skip, ..push(reference, Some(sha('a'))) };
        check(&says("refs/heads/main", skip("[skip deploy]", false)), "the commit says `[skip deploy]`");
        check(&says("refs/heads/main", skip("[skip ci]", true)), "aaaaaaa by branch main");
        let told = |target: Target, push: &Push| match &plan(push, &Cause::CatchUp, &[target.into()])[..] {
            [Plan { outcome: Outcome::Nothing(why), .. }] => why.to_string(),
            other => format!("{other:?}"),
        };
        let strict = Target { skip_ci: true, ..target("blog") };
        let of_checks = says("refs/heads/main", skip("[skip ci]", true));
        assert_eq!(told(strict.clone(), &of_checks), "the commit says `[skip ci]`");
        let tags = Target { rule: Rule { tags: vec!["v*".into()], ..Rule::default() }, ..strict };
        assert!(told(tags, &says("refs/tags/v1", skip("[skip ci]", true))).contains("Deploy"), "a tag is meant");
    }

    #[test]
    fn paths_that_the_push_does_not_tell_are_asked_for_later_of_branches() {
        let rule = Rule { branches: vec!["main".into()], tags: vec!["v*".into()], paths: vec!["web/**".into()] };
        let target: Arc<Target> = Target { rule, ..target("blog") }.into();
        let unknown = |reference: &str, paths: Option<&str>| {
            let paths = paths.map(|it| vec![it.to_owned()]);
            let push = Push { paths, ..push(reference, Some(sha('a'))) };
            let plans = plan(&push, &Cause::CatchUp, std::slice::from_ref(&target));
            match &plans[0].outcome {
                Outcome::Deploy(order) => Some(order.paths_unknown),
                Outcome::Nothing(_) => None,
            }
        };
        assert_eq!(unknown("refs/heads/main", None), Some(true));
        assert_eq!(unknown("refs/heads/main", Some("web/a")), Some(false));
        assert_eq!(unknown("refs/heads/main", Some("docs/a")), None);
        assert_eq!(unknown("refs/tags/v1", Some("docs/a")), Some(false));
        assert_eq!(unknown("refs/tags/v1", None), Some(false));
    }

    #[test]
    fn repositories_are_matched_without_regard_to_case() {
        let mut push = push("refs/heads/main", Some(sha('a')));
        push.repository.name = super::super::RepositoryName::parse("Acme/Blog").unwrap();
        check(&push, "aaaaaaa by branch main");
        push.repository.name = super::super::RepositoryName::parse("acme/shop").unwrap();
        assert_eq!(plan(&push, &Cause::CatchUp, &[target("blog").into()]), []);
    }
}
