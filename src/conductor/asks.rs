//! What people and peers ask for, turned into what the ledger writes: the request, its consequences, its births.
//! Whatever needs the source is proven here, before anything is written.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::domain::{
    Approval, Ask, BotEvent, Cause, CommitPrefix, DeliveryId, DeployOptions, Deployment, DeploymentEvent, DeploymentId,
    EngineSpec, Event, Failure, Offset, Order, RefName, Repository, Request, State, Stream, Target, TargetName,
};
use crate::ledger::{Birth, Ledger, LedgerError};
use crate::steps::{self, World};

use super::jobs::blocking;
use super::replay::{self, Replay};
use super::{approval, restart, rollback, stop};

/// CodeDeploy's own limit for the name of a deployment configuration.
const LONGEST_NAME: usize = 100;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whether the same was asked before under the same key.
    pub repeat: bool,
    /// Its place in the ledger.
    pub offset: Offset,
    /// The deployments born of it.
    pub deployments: Vec<DeploymentId>,
    /// What comes of it, in words, where that is not plain from what was asked.
    pub told: Option<String>,
}

/// What a request would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// What the deployments that would be born of it would be born with.
    pub orders: Vec<Order>,
    /// What would be said of it, where that is not plain from what is asked.
    pub told: Option<String>,
    /// Another one where it would do something else: other commits, other locks, something that has begun by then.
    pub seal: String,
}

/// What a request means: what is written with it.
#[derive(Default)]
pub(super) struct Meaning {
    pub(super) consequences: Vec<(Stream, Event)>,
    pub(super) births: Vec<Birth>,
    pub(super) told: Option<String>,
    /// What else it means, such as the locks that it ends: another text where it would mean something else.
    pub(super) premise: String,
}

/// Why a request was not taken.
#[derive(Debug, Error)]
pub enum AskError {
    /// What it names is not there.
    #[error("there is no {kind} `{name}`")]
    Unknown {
        /// `target`, `deployment` or `delivery`.
        kind: &'static str,
        /// As it was named.
        name: String,
    },
    /// It cannot be done as things stand.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// It would not do what whoever asks was told of.
    #[error("it would do something else by now than it was said to do")]
    Moved,
    /// It cannot be written or read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Meaning {
    /// Tells it from what else the same request could mean. What a deployment would wait for changes nothing.
    fn seal(&self) -> String {
        let mut digest = Sha256::new();
        for Birth { order, .. } in &self.births {
            digest.update(format!("{} {} {}\n", order.target.name, order.reference, order.sha));
        }
        digest.update(&self.premise);
        hex::encode(&digest.finalize()[..16])
    }
}

/// Takes requests.
#[derive(Clone)]
pub struct Asks {
    /// Where they are written.
    pub ledger: Ledger,
    /// The outside.
    pub world: Arc<World>,
    /// The targets as configured.
    pub targets: Arc<[Arc<Target>]>,
}

impl Asks {
    /// Writes a request down with everything that follows from it, once for each key.
    pub async fn ask(&self, request: Request) -> Result<Asked, AskError> {
        self.ask_as_said(request, None).await
    }

    /// The same, if it does what was foreseen when it was said; what was asked before is answered as it was.
    pub async fn ask_as_said(&self, request: Request, seal: Option<&str>) -> Result<Asked, AskError> {
        // What was asked under the same key before is answered as it was, whatever has come of it since.
        let is_repeat = self.asked_before(&request).await?;
        let meaning = if is_repeat { Meaning::default() } else { self.meaning(&request).await? };
        if !is_repeat && seal.is_some_and(|seal| seal != meaning.seal()) {
            return Err(AskError::Moved);
        }
        let Meaning { consequences, births, told, premise: _ } = meaning;
        let what = request.what.clone();
        let requested = self.ledger.request(request, consequences, births).await?;
        if requested.repeat {
            self.must_be_the_same(what, requested.offset).await?;
        }
        let told = told.filter(|_| !requested.repeat);
        Ok(Asked { repeat: requested.repeat, offset: requested.offset, deployments: requested.deployments, told })
    }

    /// Refuses another request under the key of one that was made.
    async fn must_be_the_same(&self, what: Ask, first: Offset) -> Result<(), AskError> {
        let ledger = self.ledger.clone();
        let first = blocking(move || ledger.read(first, 1)).await?;
        let Some(Event::Bot(BotEvent::Requested { request, .. })) = first.first().map(|it| &it.event) else {
            return Ok(());
        };
        if request.what.is_again(&what) {
            return Ok(());
        }
        let failure =
            Failure::setup("conductor/key-reused", "another request was made under the same key, and this one was not");
        Err(AskError::Refused(failure.help("ask again with a new key")))
    }

    /// What a request would do if it were made now, or why it would be refused. Writes nothing.
    pub async fn foresee(&self, request: &Request) -> Result<Foreseen, AskError> {
        let meaning = self.meaning(request).await?;
        let seal = meaning.seal();
        let Meaning { births, told, .. } = meaning;
        Ok(Foreseen { orders: births.into_iter().map(|it| it.order).collect(), told, seal })
    }

    async fn meaning(&self, request: &Request) -> Result<Meaning, AskError> {
        let said = |id: &DeploymentId, event: DeploymentEvent, told| Meaning {
            consequences: vec![(Stream::Deployment(*id), event.into())],
            told,
            ..Meaning::default()
        };
        Ok(match &request.what {
            Ask::Deploy { target, reference, sha, options } => {
                let wanted = (reference.as_ref(), sha.as_ref());
                self.born(self.deploy(request, target, wanted, options).await?).await?
            }
            Ask::Redeploy { deployment, options } => {
                self.born(self.redeploy(request, *deployment, options).await?).await?
            }
            Ask::Rollback { target, to, options } => {
                self.born(self.rollback(request, target, *to, options).await?).await?
            }
            Ask::Restart { target, options } => self.born(self.restart(request, target, options).await?).await?,
            Ask::Stop { deployment, rollback } => {
                let stopped = self.unfinished(*deployment).await?;
                let (rollback, told) = stop::meant(&stopped, *rollback);
                let event = DeploymentEvent::StopAsked { actor: request.actor.clone(), rollback };
                let premise = if stopped.state().is_before_release() { "before its release" } else { "at the engine" };
                Meaning { premise: premise.into(), ..said(deployment, event, told) }
            }
            Ask::Reject { deployment, reason } => {
                let rejected = self.deployment(*deployment).await?;
                let failure = approval::rejected(&rejected, &request.actor, reason.as_deref());
                let event = DeploymentEvent::Refused { failure: failure.map_err(AskError::Refused)? };
                said(deployment, event, None)
            }
            Ask::Approve { deployment, of, reason } => {
                let (event, told) = self.approval(request, *deployment, (*of, reason.clone())).await?;
                said(deployment, event, Some(told))
            }
            Ask::Lock { target, reason, until, warns } => {
                self.lock(request, target, (reason.clone(), *until, *warns)).await?
            }
            Ask::Unlock { target } => self.unlock(request, target).await?,
            Ask::LockAll { .. } => self.lock_all(request).await?,
            Ask::UnlockAll {} => self.unlock_all().await?,
            Ask::Pause { .. } => Meaning::default(),
            Ask::Resume {} => self.resume().await?,
            Ask::Replay { delivery } => {
                let Replay { consequence, births, told } = self.replay(request, delivery).await?;
                Meaning { consequences: vec![consequence], births, told: Some(told), ..Meaning::default() }
            }
        })
    }

    /// What one birth means, with what it will wait for.
    async fn born(&self, birth: Birth) -> Result<Meaning, AskError> {
        let told = self.will_wait(&birth.order).await?;
        Ok(Meaning { births: vec![birth], told, ..Meaning::default() })
    }

    pub(super) fn configured(&self, name: &TargetName) -> Result<&Arc<Target>, AskError> {
        let found = self.targets.iter().find(|it| it.name == *name);
        found.ok_or_else(|| AskError::Unknown { kind: "target", name: name.to_string() })
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Deployment, AskError> {
        let ledger = self.ledger.clone();
        let found = blocking(move || ledger.deployment(id)).await?;
        found.ok_or_else(|| AskError::Unknown { kind: "deployment", name: id.to_string() })
    }

    async fn asked_before(&self, request: &Request) -> Result<bool, LedgerError> {
        let (ledger, actor, key) = (self.ledger.clone(), request.actor.clone(), request.key.clone());
        blocking(move || ledger.was_asked(&actor, &key)).await
    }

    /// An approval, and what it does in words.
    async fn approval(
        &self,
        request: &Request,
        id: DeploymentId,
        (of, reason): (Option<Approval>, Option<String>),
    ) -> Result<(DeploymentEvent, String), AskError> {
        let deployment = self.unfinished(id).await?;
        let meant = approval::meant(&deployment, of, &request.actor, reason.as_deref());
        let (of, mut said) = meant.map_err(AskError::Refused)?;
        let event = DeploymentEvent::Approved { actor: request.actor.clone(), of: Some(of), reason };
        if let Some(reason) = self.holds_after(deployment, &event).await? {
            said += &format!("\nwaits still: {reason}");
        }
        Ok((event, said))
    }

    async fn unfinished(&self, id: DeploymentId) -> Result<Deployment, AskError> {
        let deployment = self.deployment(id).await?;
        if !deployment.state().is_over() {
            return Ok(deployment);
        }
        let message = format!("{id} is over already: it {}", past(deployment.state()));
        Err(AskError::Refused(Failure::setup("conductor/already-over", message)))
    }

    /// A target as configured, of its repository as that is called now.
    async fn at_home(&self, name: &TargetName) -> Result<Arc<Target>, AskError> {
        let (ledger, target) = (self.ledger.clone(), self.configured(name)?.clone());
        Ok(blocking(move || Ok(ledger.target(&target.name)?.at_home(&target))).await?)
    }

    /// The same, with what is chosen for one deployment.
    async fn with_options(&self, name: &TargetName, options: &DeployOptions) -> Result<Arc<Target>, AskError> {
        let target = self.at_home(name).await?;
        if options.is_empty() {
            return Ok(target);
        }
        if let Some((option, why)) = options.strange_to(&target.engine) {
            let failure = Failure::setup("conductor/option-not-taken", format!("`{option}` {why}"));
            return Err(AskError::Refused(failure.help("ask again without it")));
        }
        if options.deployment_config.as_ref().is_some_and(|it| !(1..=LONGEST_NAME).contains(&it.chars().count())) {
            let text = format!("`deployment_config` is not a name of 1 to {LONGEST_NAME} characters");
            let failure = Failure::setup("conductor/option-not-taken", text);
            return Err(AskError::Refused(failure.help("name a deployment configuration, or leave it out")));
        }
        let engine = target.engine.clone().with_options(options);
        Ok(Target { engine, ..(*target).clone() }.into())
    }

    async fn deploy(
        &self,
        request: &Request,
        target: &TargetName,
        wanted: (Option<&RefName>, Option<&CommitPrefix>),
        options: &DeployOptions,
    ) -> Result<Birth, AskError> {
        let target = &self.with_options(target, options).await?;
        let (actor, key) = (request.actor.clone(), request.key.clone());
        let (reference, sha, rule, cause) = match wanted {
            (named, Some(commit)) => {
                let it = steps::choose(&self.world, target, named, commit).await.map_err(AskError::Refused)?;
                (it.reference, it.commit, it.rule, Cause::Chosen { actor, key, github: None, asked_at: None })
            }
            (Some(named), None) => {
                let it = steps::resolve(&self.world, target, named).await.map_err(AskError::Refused)?;
                (named.clone(), it.head.object, it.rule, Cause::Request { actor, key })
            }
            (None, None) => return Err(AskError::Refused(nothing_named(target))),
        };
        let repository = Repository { id: None, name: target.repository.clone() };
        let order = Order::of(target.clone(), repository, (reference, rule), sha, cause);
        let order = Order { options: options.clone(), ..order };
        Ok(Birth { order, kind: format!("request {}", request.key) })
    }

    /// An earlier revision again, to its target as it is configured now.
    async fn rollback(
        &self,
        request: &Request,
        target: &TargetName,
        to: Option<DeploymentId>,
        options: &DeployOptions,
    ) -> Result<Birth, AskError> {
        let target = self.with_options(target, options).await?;
        let (ledger, request, options) = (self.ledger.clone(), request.clone(), options.clone());
        let birth = blocking(move || rollback::of_request(&ledger, &request, &target, to, &options)).await?;
        birth.map_err(AskError::Refused)
    }

    /// What is live, started anew.
    async fn restart(
        &self,
        request: &Request,
        target: &TargetName,
        options: &DeployOptions,
    ) -> Result<Birth, AskError> {
        // What no restart takes is refused before what this engine does not take.
        let (configured, options) = (self.at_home(target).await?, options.clone());
        let fit = match configured.engine {
            EngineSpec::Host(_) => configured,
            EngineSpec::CodeDeploy(_) => self.with_options(target, &options).await?,
        };
        let (ledger, request) = (self.ledger.clone(), request.clone());
        let birth = blocking(move || restart::of_request(&ledger, &request, &fit, &options)).await?;
        birth.map_err(AskError::Refused)
    }

    /// What a known delivery means today.
    async fn replay(&self, request: &Request, delivery: &DeliveryId) -> Result<Replay, AskError> {
        let (ledger, targets) = (self.ledger.clone(), self.targets.clone());
        let (request, delivery) = (request.clone(), delivery.clone());
        blocking(move || Ok(replay::of_request(&ledger, &targets, &request, &delivery))).await?
    }

    /// The same commit again, to its target as it is configured now.
    async fn redeploy(&self, request: &Request, id: DeploymentId, options: &DeployOptions) -> Result<Birth, AskError> {
        let parent = self.deployment(id).await?;
        let target = self.with_options(&parent.order().target.name, options).await?;
        if parent.order().is_chosen() && parent.weighed().is_none() {
            // Nobody has proven yet that it is part of a ref that the rule takes.
            let (named, commit) = (&parent.order().reference, parent.order().sha.clone().into());
            steps::choose(&self.world, &target, Some(named), &commit).await.map_err(AskError::Refused)?;
        }
        let cause = Cause::Redeploy { actor: request.actor.clone(), key: request.key.clone() };
        let options = options.clone();
        let order = Order { target, cause, parent: Some(id), options, ..parent.order().clone() };
        Ok(Birth { order, kind: format!("redeploy {}", request.key) })
    }
}

fn nothing_named(target: &Target) -> Failure {
    let text = format!("neither a ref nor a commit is named for `{}`", target.name);
    Failure::setup("conductor/nothing-named", text).help("give `ref`, such as `refs/heads/main`, or `sha`, or both")
}

fn past(state: &State) -> &'static str {
    match state {
        State::Succeeded { .. } => "succeeded",
        State::Failed { .. } => "failed",
        State::Stopped { .. } => "was stopped",
        State::Superseded { .. } => "was superseded",
        State::Skipped { .. } => "was skipped",
        State::Refused { .. } => "was refused",
        State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => "goes on",
        State::Ready { .. } | State::ReadyHeld { .. } | State::Releasing { .. } => "goes on",
        State::Running { .. } | State::Verifying { .. } => "goes on",
    }
}
