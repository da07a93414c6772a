//! What the ledger says of stored revisions: which deployments had them, and which of them are wanted. It only reads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::judge::{Needed, Standing, Use};
use crate::domain::{
    Deployment, DeploymentEvent, DeploymentId, Destination, EngineSpec, Event, Location, Offset, Revision,
    RevisionsSpec, State, Target, TargetName,
};
use crate::ledger::{Filter, Ledger, LedgerError};
use crate::revisions::Store;

/// How many deployments are read at a time: what is remembered of them is what still lies in a store.
const PAGE: usize = 200;
/// How many deployments of a commit are looked at.
const OF_A_COMMIT: usize = 200;

/// What the ledger knows of the stores that are looked after.
pub(super) struct History {
    /// The uses of what lies there, newest first.
    pub(super) uses: Vec<Use>,
    /// What is needed, as far as the ledger knows.
    pub(super) needed: Needed,
    /// The deployment groups that ever fetched from a bucket, by its name: each as its newest deployment knew it.
    pub(super) groups: HashMap<String, HashMap<Destination, Arc<Target>>>,
    /// How far the ledger was read.
    pub(super) read_to: Offset,
    /// Where deployments were prepared from since.
    pub(super) prepared: HashSet<Location>,
}

impl History {
    /// Reads it all. `tended` are the targets whose stores are looked after. What was deleted, and not made again since,
    /// is left out, so that the work which is left does not grow with what was deleted.
    pub(super) fn read(ledger: &Ledger, tended: &[Arc<Target>], all: &[Arc<Target>]) -> Result<Self, LedgerError> {
        // First of all: what is written while it is read is looked at again.
        let read_to = ledger.end();
        let (needed, uses) = (Needed { wanted: wanted(ledger)?, ..Needed::default() }, vec![]);
        let mut this = Self { uses, needed, groups: HashMap::new(), read_to, prepared: HashSet::new() };
        let mut names: HashSet<TargetName> = all.iter().map(|it| it.name.clone()).collect();
        let mut before = None;
        loop {
            let filter = Filter { before, limit: PAGE, ..Filter::default() };
            let page = ledger.deployments(&filter)?;
            for deployment in &page {
                names.insert(deployment.order().target.name.clone());
                this.take(ledger, deployment, tended)?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => before = Some(last.id()),
                Some(_) | None => break,
            }
        }
        for name in names {
            this.needed.live.extend(ledger.target(&name)?.live.map(|it| it.deployment));
        }
        Ok(this)
    }

    /// Leaves a revision out of what is still to be judged.
    pub(super) fn forget(&mut self, location: &Location) {
        self.uses.retain(|it| it.location != *location);
    }

    fn take(&mut self, ledger: &Ledger, deployment: &Deployment, tended: &[Arc<Target>]) -> Result<(), LedgerError> {
        let standing = standing(deployment);
        if let (Some(tried), Standing::Succeeded) = (deployment.order().promotes(), standing)
            && let Some(from) = ledger.deployment(tried)?
        {
            let pair = (from.order().target.name.clone(), deployment.order().target.name.clone());
            let newest = self.needed.had.entry(pair).or_insert(tried);
            *newest = tried.max(*newest);
        }
        let Some(Revision::Bundle { location, sha256, bytes, .. }) = deployment.revision() else { return Ok(()) };
        let target = &deployment.order().target;
        if let (EngineSpec::CodeDeploy(_), Location::S3 { bucket, .. }) = (&target.engine, location) {
            let groups = self.groups.entry(bucket.clone()).or_default();
            groups.entry(target.destination()).or_insert_with(|| target.clone());
        }
        let Some(owner) = owner(location, tended) else { return Ok(()) };
        let pruned = ledger.pruned(location)?;
        if standing == Standing::Unfinished || pruned.is_none_or(|at| at < deployment.changed_at()) {
            self.uses.push(Use {
                deployment: deployment.id(),
                target: target.name.clone(),
                location: location.clone(),
                owner: owner.name.clone(),
                recorded: (sha256.clone(), *bytes),
                destination: target.destination(),
                standing,
                at: deployment.changed_at(),
            });
        }
        Ok(())
    }
}

/// The deployments whose revisions an unfinished one may want: its own, the one that it brings back or takes further,
/// those of its commit.
pub(super) fn wanted(ledger: &Ledger) -> Result<HashSet<DeploymentId>, LedgerError> {
    let mut wanted = HashSet::new();
    for id in ledger.unfinished()? {
        let Some(open) = ledger.deployment(id)? else { continue };
        let order = open.order();
        wanted.insert(id);
        wanted.extend(order.restores().into_iter().chain(order.promotes()));
        let filter = Filter {
            target: Some(order.target.name.clone()),
            sha: Some(order.sha.as_str().to_owned()),
            limit: OF_A_COMMIT,
            ..Filter::default()
        };
        wanted.extend(ledger.deployments(&filter)?.iter().map(Deployment::id));
    }
    Ok(wanted)
}

/// The places of revisions that deployments were prepared with since an offset, and the offset to go on from.
pub(super) fn prepared_since(ledger: &Ledger, from: Offset) -> Result<(Vec<Location>, Offset), LedgerError> {
    let (mut places, mut from) = (Vec::new(), from);
    loop {
        let records = ledger.read(from, PAGE)?;
        let Some(last) = records.last() else { return Ok((places, from)) };
        from = last.offset.next();
        places.extend(records.into_iter().filter_map(|it| match it.event {
            Event::Deployment(DeploymentEvent::Prepared { revision: Revision::Bundle { location, .. }, .. }) => {
                Some(location)
            }
            Event::Deployment(_) | Event::Delivery(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => None,
        }));
    }
}

fn standing(deployment: &Deployment) -> Standing {
    let succeeded = matches!(deployment.state(), State::Succeeded { .. }) && deployment.run().is_some();
    match deployment.state().is_over() {
        false => Standing::Unfinished,
        true if succeeded => Standing::Succeeded,
        true => Standing::Over,
    }
}

/// The target whose revision lies there, by the store and by the name that it has in it. Nobody's where it lies in a store
/// that was configured before, or under a name that we do not choose.
pub(super) fn owner<'a>(location: &Location, tended: &'a [Arc<Target>]) -> Option<&'a Arc<Target>> {
    tended.iter().find(|it| Store::is_named_by(&it.revisions, &it.name, location))
}

/// The bucket of a store, where it is one.
pub(super) fn bucket(store: &RevisionsSpec) -> Option<&str> {
    match store {
        RevisionsSpec::S3(spec) => Some(&spec.bucket),
        RevisionsSpec::Directory { .. } => None,
    }
}
