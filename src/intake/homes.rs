//! Repositories that were renamed or transferred: which targets know one by its number, whatever it is called now. What is
//! fixed is decided by the ledger alone; this only saves the door from reading it for every push.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::signature::Voice;
use crate::config::Config;
use crate::domain::{PlanLine, Repository, Stream, Target, TargetEvent, TargetName};
use crate::ledger::{Append, Ledger, LedgerError};

/// The targets by their repositories' numbers. Clones share what is known.
#[derive(Clone)]
pub(super) struct Homes {
    ledger: Ledger,
    config: Arc<Config>,
    by_number: Arc<RwLock<HashMap<u64, BTreeSet<TargetName>>>>,
}

impl Homes {
    /// As the ledger has it. Reads the disk.
    pub(super) fn open(ledger: Ledger, config: Arc<Config>) -> Result<Self, LedgerError> {
        let homes = Self { ledger, config, by_number: Arc::default() };
        for target in &homes.config.targets {
            homes.read(target)?;
        }
        Ok(homes)
    }

    fn read(&self, target: &Target) -> Result<(), LedgerError> {
        if let Some(number) = self.ledger.target(&target.name)?.pin_of(&target.repository) {
            let mut known = self.by_number.write().unwrap_or_else(PoisonError::into_inner);
            known.entry(number).or_default().insert(target.name.clone());
        }
        Ok(())
    }

    /// The targets that know the repository by its number. A secret that does not speak for the name that they are
    /// configured with reaches none of them.
    fn of_number(&self, repository: &Repository, voice: Option<&Voice>) -> Vec<&Arc<Target>> {
        let known = self.by_number.read().unwrap_or_else(PoisonError::into_inner);
        let Some(names) = repository.id.and_then(|number| known.get(&number)) else { return Vec::new() };
        let is_heard = |target: &Target| voice.is_none_or(|voice| voice.speaks_for(&target.repository));
        self.config.targets.iter().filter(|it| names.contains(&it.name) && is_heard(it)).collect()
    }

    /// Those of them that are configured with another name, as targets of the name that it has now.
    pub(super) fn followed(&self, repository: &Repository, voice: Option<&Voice>) -> Vec<Arc<Target>> {
        let others =
            self.of_number(repository, voice).into_iter().filter(|it| !it.repository.is_same(&repository.name));
        others.map(|target| target.of_repository(&repository.name)).collect()
    }

    /// Has all of them ask for the repository under the name that it has now. Gives those for which that is news.
    pub(super) async fn follow(&self, repository: &Repository, voice: &Voice) -> Result<Vec<TargetName>, LedgerError> {
        let mut followers = Vec::new();
        for target in self.of_number(repository, Some(voice)) {
            let (ledger, of) = (self.ledger.clone(), target.clone());
            let home = blocking(move || Ok(ledger.target(&of.name)?.at_home(&of))).await?;
            if home.repository.is_same(&repository.name) {
                continue;
            }
            let event = TargetEvent::Followed { repository: repository.name.clone() };
            let stream = Stream::Target(target.name.clone());
            self.ledger.append(Append { stream, expect: None, event: event.into(), births: vec![] }).await?;
            followers.push(target.name.clone());
        }
        Ok(followers)
    }

    /// Takes in what a push may have fixed. Reads the disk only where that is news.
    pub(super) async fn learn(&self, repository: &Repository, plans: &[PlanLine]) -> Result<(), LedgerError> {
        let Some(number) = repository.id else { return Ok(()) };
        let news = self.unknown(number, plans);
        if news.is_empty() {
            return Ok(());
        }
        let this = self.clone();
        let read =
            move || this.config.targets.iter().filter(|it| news.contains(&it.name)).try_for_each(|it| this.read(it));
        blocking(read).await
    }

    /// The targets of these plans that do not know the number yet.
    fn unknown(&self, number: u64, plans: &[PlanLine]) -> Vec<TargetName> {
        let known = self.by_number.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&number);
        let is_news = |name: &&TargetName| known.is_none_or(|it| !it.contains(*name));
        plans.iter().map(|line| &line.target).filter(is_news).cloned().collect()
    }
}

/// Reads the ledger away from the worker, which others are waiting for.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))
}
