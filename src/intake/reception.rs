//! Takes a push in, however it came: what it means for each target, written down together with it.

use std::sync::Arc;

use super::homes::{Homes, blocking};
use super::signature::Voice;
use crate::config::Config;
use crate::domain::{Cause, Delivery, Repository, Target, plan};
use crate::ledger::{Accepted, Ledger, LedgerError};

/// Where pushes are taken in. Clones share what is known of repositories.
#[derive(Clone)]
pub(super) struct Reception {
    pub(super) ledger: Ledger,
    pub(super) config: Arc<Config>,
    pub(super) homes: Homes,
}

impl Reception {
    /// Reads what is known of the targets' repositories.
    pub(super) fn open(ledger: Ledger, config: Arc<Config>) -> Result<Self, LedgerError> {
        let homes = Homes::open(ledger.clone(), config.clone())?;
        Ok(Self { ledger, config, homes })
    }

    /// The targets that take pushes of a repository, as far as the voice speaks for them; nothing where it speaks for
    /// none that this could be. Without a voice GitHub itself was asked.
    pub(super) fn targets(&self, repository: &Repository, voice: Option<&Voice>) -> Option<Vec<Arc<Target>>> {
        let followed = self.homes.followed(repository, voice);
        if !voice.is_none_or(|voice| voice.speaks_for(&repository.name)) {
            return Some(followed).filter(|it| !it.is_empty());
        }
        let named = self.config.targets.iter().filter(|it| it.repository.is_same(&repository.name)).cloned();
        Some(named.chain(followed).collect())
    }

    /// Those of a repository's targets that are not known to be another's, which had this name before.
    pub(super) async fn its_own(
        &self,
        repository: &Repository,
        targets: Vec<Arc<Target>>,
    ) -> Result<Vec<Arc<Target>>, LedgerError> {
        let (ledger, Repository { id, name }) = (self.ledger.clone(), repository.clone());
        let read = move || {
            let mut own = Vec::new();
            for target in targets {
                let pinned = ledger.target(&target.name)?.pin_of(&name);
                own.extend((pinned.is_none() || id.is_none() || pinned == id).then_some(target));
            }
            Ok(own)
        };
        blocking(read).await
    }

    /// Writes a delivery down with everything planned from it for these targets.
    pub(super) async fn accept(&self, delivery: Delivery, targets: &[Arc<Target>]) -> Result<Accepted, LedgerError> {
        let repository = delivery.push.repository.clone();
        let plans = plan(&delivery.push, &Cause::Push { delivery: delivery.id.clone() }, targets);
        let accepted = self.ledger.accept(delivery, plans).await?;
        self.homes.learn(&repository, &accepted.plans).await?;
        Ok(accepted)
    }
}
