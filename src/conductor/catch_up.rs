//! Catch-up: compares the heads of the watched refs with what was handled, at start and every few minutes, so that a
//! push whose webhook never reached us is found. It reads the source and writes what it found; it deploys nothing itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::domain::{
    Cause, CommitSha, Failure, Head, Hearsay, Order, RefName, Repository, RepositoryName, SourceSpec, Stream, Target,
    TargetEvent,
};
use crate::ledger::{Append, Birth, Ledger, LedgerError};
use crate::source::{RefHead, SourceError};
use crate::steps::World;

use super::jobs::blocking;

/// Compares heads.
pub struct CatchUp {
    /// Where what is found is written.
    pub ledger: Ledger,
    /// The outside.
    pub world: Arc<World>,
    /// Whose refs are watched.
    pub targets: Arc<[Arc<Target>]>,
    /// How often.
    pub every: Duration,
    /// What is done before, each time: whatever is known by other ways needs no comparing.
    pub before: Before,
    /// Who may wait for a ref that is gone hears of it here.
    pub hear: Arc<dyn Fn(Hearsay) + Send + Sync>,
}

/// Something that is done before heads are compared. An error means that the ledger is closed.
pub type Before = Arc<dyn Fn() -> BoxFuture<'static, Result<(), LedgerError>> + Send + Sync>;

impl CatchUp {
    /// Compares at once and then again and again, until `stop`. An error means that the ledger is closed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), LedgerError> {
        loop {
            match self.round().await {
                // What has no room now is found again.
                Err(error @ LedgerError::Full { .. }) => {
                    warn!("heads are compared again in {} s: {error}", self.every.as_secs());
                }
                ended => ended?,
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.world.clock.sleep(self.every) => {}
            }
        }
    }

    async fn round(&self) -> Result<(), LedgerError> {
        (self.before)().await?;
        self.once().await
    }

    /// Compares every watched ref of every target once. A source that cannot be asked is told of and asked next time.
    pub async fn once(&self) -> Result<(), LedgerError> {
        let mut seen = HashMap::new();
        for target in self.targets.iter() {
            let Some((target, repository)) = self.at_home(target, &mut seen).await? else { continue };
            for reference in self.refs(&target).await? {
                self.compare(&target, &repository, reference).await?;
            }
        }
        Ok(())
    }

    /// The target as its repository is called now, once its number is proven to be the one that was fixed: a stranger
    /// may have taken the name. Each name is asked for once a round.
    async fn at_home(
        &self,
        target: &Arc<Target>,
        seen: &mut HashMap<RepositoryName, Option<Repository>>,
    ) -> Result<Option<(Arc<Target>, Repository)>, LedgerError> {
        let (ledger, name) = (self.ledger.clone(), target.name.clone());
        let state = blocking(move || ledger.target(&name)).await?;
        let home = state.at_home(target);
        let repository = state.repository_of(&home);
        let (SourceSpec::GitHub, Some(pinned)) = (&target.source, repository.id) else {
            return Ok(Some((home, repository)));
        };
        if !seen.contains_key(&home.repository) {
            let found = self.world.sources.of(&home).repository().await.unwrap_or_else(|error| {
                tell(target, error);
                None
            });
            seen.insert(home.repository.clone(), found);
        }
        match seen.get(&home.repository).and_then(Option::as_ref) {
            Some(found) if found.id != Some(pinned) => {
                let (name, id) = (&found.name, found.id.unwrap_or_default());
                warn!(target.name = %target.name, "`{name}` is another repository now (id {id}, not {pinned}): not asked");
                Ok(None)
            }
            Some(found) if !found.name.is_same(&home.repository) => {
                warn!(target.name = %target.name, "`{}` is called `{}` now, and is followed", home.repository, found.name);
                self.write(target, TargetEvent::Followed { repository: found.name.clone() }, vec![]).await?;
                Ok(Some((home.of_repository(&found.name), found.clone())))
            }
            Some(_) => Ok(Some((home, repository))),
            // Nobody can say whose heads these are.
            None => Ok(None),
        }
    }

    /// The refs to compare: the branches that the rule names, and those that its patterns match and that seem to have
    /// moved. The list is one question for all of them; whether they have is asked again of each.
    async fn refs(&self, target: &Arc<Target>) -> Result<Vec<RefName>, LedgerError> {
        let plain = target.rule.plain_branches();
        let mut refs: Vec<_> = plain.filter_map(|name| RefName::parse(format!("refs/heads/{name}")).ok()).collect();
        if !target.rule.has_wild_branches() {
            return Ok(refs);
        }
        let listed = self.world.sources.of(target).branches().await.unwrap_or_else(|error| {
            tell(target, error);
            Vec::new()
        });
        for (reference, sha) in listed {
            if refs.contains(&reference) || target.rule.takes(&reference).is_none() {
                continue;
            }
            let known = self.known(target, &reference).await?;
            if !matches!(news(&known, &RefHead { object: sha.clone(), commit: sha }), News::None) {
                refs.push(reference);
            }
        }
        Ok(refs)
    }

    async fn compare(
        &self,
        target: &Arc<Target>,
        repository: &Repository,
        reference: RefName,
    ) -> Result<(), LedgerError> {
        let before = self.known(target, &reference).await?;
        let head = match self.world.sources.of(target).head(&reference).await {
            Ok(Some(head)) => head,
            Ok(None) => {
                (self.hear)(Hearsay::Gone { repository: repository.clone(), reference });
                return Ok(());
            }
            Err(error) => {
                tell(target, error);
                return Ok(());
            }
        };
        let known = self.known(target, &reference).await?;
        if known != before {
            // A push came in while the source was asked: its answer may be the older one. The next round will tell.
            return Ok(());
        }
        match news(&known, &head) {
            News::None => Ok(()),
            News::FirstSight if !target.deploy_on_start || !is_plain(target, &reference) => {
                info!(target.name = %target.name, "first sight of {reference}: {} counts as handled", head.commit.short());
                self.write(target, TargetEvent::Seen { reference, sha: head.commit }, vec![]).await
            }
            News::FirstSight | News::Moved => {
                info!(target.name = %target.name, "{reference} moved without a delivery: {}", head.commit.short());
                let birth = born_of(order((target, repository), &reference, known.seen, head.object.clone()));
                let event = TargetEvent::Found { reference, sha: head.object };
                self.write(target, event, vec![birth]).await
            }
        }
    }

    async fn known(&self, target: &Arc<Target>, reference: &RefName) -> Result<Head, LedgerError> {
        let (ledger, name, of) = (self.ledger.clone(), target.name.clone(), reference.clone());
        blocking(move || ledger.head(&name, &of)).await
    }

    async fn write(&self, target: &Arc<Target>, event: TargetEvent, births: Vec<Birth>) -> Result<(), LedgerError> {
        let stream = Stream::Target(target.name.clone());
        self.ledger.append(Append { stream, expect: None, event: event.into(), births }).await.map(|_| ())
    }
}

fn tell(target: &Target, error: SourceError) {
    let failure = Failure::from(error);
    warn!(target.name = %target.name, code = failure.code, "cannot compare heads: {}", failure.message);
}

/// Whether the rule names the branch itself. What only a pattern takes may be old and many: none is deployed unasked.
fn is_plain(target: &Target, reference: &RefName) -> bool {
    target.rule.plain_branches().any(|name| Some(name) == reference.branch())
}

enum News {
    None,
    FirstSight,
    Moved,
}

fn news(known: &Head, head: &RefHead) -> News {
    let is_head = |sha: &CommitSha| *sha == head.commit || *sha == head.object;
    match (&known.seen, &known.planned) {
        (None, None) => News::FirstSight,
        (_, Some((planned, _))) if is_head(planned) => News::None,
        (Some(seen), _) if is_head(seen) => News::None,
        _ => News::Moved,
    }
}

fn order(
    (target, repository): (&Arc<Target>, &Repository),
    reference: &RefName,
    before: Option<CommitSha>,
    sha: CommitSha,
) -> Order {
    let of_ref = (reference.clone(), target.rule.takes(reference).unwrap_or_default());
    Order {
        before,
        paths_unknown: reference.branch().is_some() && !target.rule.paths.is_empty(),
        ..Order::of(target.clone(), repository.clone(), of_ref, sha, Cause::CatchUp)
    }
}

/// The birth of a deployment of the head that takes an order's place.
pub(super) fn birth(before: &Order, head: CommitSha) -> Birth {
    // What is to be compared reaches from before the older one: its paths are in it.
    let base = if before.paths_unknown { before.before.clone() } else { Some(before.sha.clone()) };
    let order = Order {
        paths_unknown: before.paths_unknown,
        // Whoever asked for the ref's head asked for this one too.
        options: before.options.clone(),
        ..order((&before.target, &before.repository), &before.reference, base, head)
    };
    born_of(order)
}

/// The birth of a deployment of a commit below one that was found and need not be deployed: what was handled before
/// the one was so before the other.
pub(super) fn birth_below(found: &Order, lost: CommitSha) -> Birth {
    let order = order((&found.target, &found.repository), &found.reference, found.before.clone(), lost);
    born_of(Order { options: found.options.clone(), ..order })
}

/// The birth of an order. Its kind names ref and commit: two refs of a target may move within one millisecond.
fn born_of(order: Order) -> Birth {
    let kind = format!("catch-up {} {}", order.reference, order.sha);
    Birth { order, kind }
}
