//! Deliveries that never came through, because the bot was down, turned them away, or could not be reached: GitHub is
//! asked for them, and they are taken in as if they had come. What GitHub never sent is found by comparing heads.
//! Pushes alone are asked for: a word about checks only brings a look sooner that the clock brings as well.
//!
//! Why nothing of this is stored: GitHub's list and the ledger say together what is missing. A delivery is known by its id
//! whichever way it came, so that looking through all of the list again at the next start takes nothing twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::deployment::{self, Answered, Wanted};
use super::homes::blocking;
use super::payload;
use super::reception::Reception;
use crate::clients::Clock;
use crate::clients::github::{Attempt, GitHubClient, GitHubClients, GitHubError, Hook};
use crate::domain::{CaughtUp, Delivery, DeliveryId, Offset, RepositoryName, SourceSpec};
use crate::ledger::{Accepted, LedgerError};

/// The path that webhooks lead to.
const PATH: &str = "/webhooks/github";
/// GitHub keeps what it sent for three days, and an Enterprise server for seven.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Ten thousand deliveries: whoever has more within a week has their heads compared.
const PAGES: usize = 100;
/// GitHub waits for an answer for ten seconds, and lists an attempt when it has ended.
const SETTLES: SignedDuration = SignedDuration::from_mins(10);
/// How many characters of what GitHub met with are kept.
const LONGEST_MET: usize = 80;

/// Asks for what was missed. Clones share what was looked through.
#[derive(Clone)]
pub struct Missed {
    reception: Reception,
    clock: Clock,
    /// The bot's own address for webhooks, where the configuration says it.
    address: Option<String>,
    places: Arc<Mutex<Vec<Place>>>,
}

/// Where a list of deliveries is to be had.
struct Place {
    client: GitHubClient,
    whose: Whose,
    hooks: Option<Vec<Looked>>,
    /// What was told last, so that it is told once.
    told: Option<String>,
}

/// Whose webhooks are meant.
enum Whose {
    /// An App's own.
    App,
    /// Those of the organisation that this repository belongs to.
    Owner(RepositoryName),
    /// A repository's.
    Repository(RepositoryName),
}

/// A webhook, and how far its list was looked through.
struct Looked {
    hook: Hook,
    /// The newest attempt that needs no second look.
    until: u64,
    /// The deliveries that were asked for again: once is enough.
    again: HashSet<String>,
}

/// Why a list was not looked through to its end.
enum Cut {
    /// GitHub would not have it.
    GitHub(GitHubError),
    /// Nothing can be written.
    Ledger(LedgerError),
}

impl From<GitHubError> for Cut {
    fn from(error: GitHubError) -> Self {
        Self::GitHub(error)
    }
}

impl From<LedgerError> for Cut {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Missed {
    /// Ready to look. Whoever asks GitHub in nobody's name is shown no list.
    pub(super) fn new(reception: Reception, clients: &GitHubClients, clock: Clock) -> Self {
        let config = &reception.config;
        let address = config.public_url.as_ref().map(|url| format!("{url}{PATH}"));
        let of_github = config.targets.iter().filter(|it| matches!(it.source, SourceSpec::GitHub));
        let names: BTreeMap<String, &RepositoryName> =
            of_github.map(|it| (it.repository.as_str().to_lowercase(), &it.repository)).collect();
        let owners: BTreeMap<String, &RepositoryName> =
            names.values().map(|name| (name.owner().to_lowercase(), *name)).collect();
        let place = |client, whose| Place { client, whose, hooks: None, told: None };
        let of_apps = clients.apps().into_iter().map(|client| place(client, Whose::App));
        let of_owners = owners.into_values().map(|name| place(clients.of(name), Whose::Owner(name.clone())));
        let of_repositories = names.into_values().map(|name| place(clients.of(name), Whose::Repository(name.clone())));
        let places = of_apps.chain(of_owners).chain(of_repositories).filter(|it| it.client.is_somebody()).collect();
        Self { reception, clock, address, places: Arc::new(Mutex::new(places)) }
    }

    /// Looks through all lists once. A list that is not to be had is told of, once; an error means that the ledger is
    /// closed.
    pub async fn once(&self) -> Result<(), LedgerError> {
        let since = self.since().await?;
        let mut places = self.places.lock().await;
        let has_app = places.iter().any(|it| matches!(it.whose, Whose::App));
        // Owners come before their repositories.
        let mut covered = HashSet::new();
        for place in places.iter_mut() {
            let is_covered = has_app || place.owner().is_some_and(|owner| covered.contains(&owner));
            let trouble = match self.look(place, since, is_covered).await {
                Ok(trouble) => trouble,
                Err(Cut::Ledger(error)) => return Err(error),
                Err(Cut::GitHub(error)) => place.refused(&error, is_covered),
            };
            place.tell(trouble);
            if let (Whose::Owner(_), Some(true)) = (&place.whose, place.hooks.as_ref().map(|it| !it.is_empty())) {
                covered.extend(place.owner());
            }
        }
        Ok(())
    }

    /// From when on deliveries are ours: what came before this ledger began was somebody else's to deploy.
    async fn since(&self) -> Result<Timestamp, LedgerError> {
        let oldest = self.clock.now().saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        let ledger = self.reception.ledger.clone();
        let first = blocking(move || Ok(ledger.read(Offset(0), 1).ok().and_then(|it| it.first().map(|it| it.at))));
        // Where the first records were dropped, the ledger is older than all that GitHub keeps.
        Ok(first.await?.map_or(oldest, |began| began.max(oldest)))
    }

    /// Looks through the lists of one place. Says what keeps it from having any, unless others serve for it.
    async fn look(&self, place: &mut Place, since: Timestamp, is_covered: bool) -> Result<Option<String>, Cut> {
        if place.hooks.as_ref().is_none_or(Vec::is_empty) {
            place.hooks = Some(self.hooks(place).await?);
        }
        let hooks = place.hooks.as_mut().expect("they were just looked for");
        for looked in &mut *hooks {
            self.look_through(&place.client, looked, since).await?;
        }
        let Whose::Repository(name) = &place.whose else { return Ok(None) };
        let address = self.address.as_deref().unwrap_or(PATH);
        let lacks = format!("no webhook of `{name}` leads to `{address}`: only heads are compared");
        Ok(Some(lacks).filter(|_| hooks.is_empty() && !is_covered))
    }

    /// The webhooks that lead here.
    async fn hooks(&self, place: &Place) -> Result<Vec<Looked>, GitHubError> {
        let looked = |hook| Looked { hook, until: 0, again: HashSet::new() };
        let found = match &place.whose {
            Whose::App => return Ok(vec![looked(Hook::OfApp)]),
            // Of a person's repositories, and where we may not look, there are none to be seen.
            Whose::Owner(name) => match place.client.webhooks_of_owner(name).await {
                Err(GitHubError::NotFound | GitHubError::Forbidden { .. }) => Vec::new(),
                found => found?,
            },
            Whose::Repository(name) => place.client.webhooks_of(name).await?,
        };
        let ours = found.into_iter().filter(|it| it.leads_to(self.address.as_deref()));
        Ok(ours.map(|it| looked(it.hook)).collect())
    }

    /// Takes in what a webhook's list has of pushes that never came through, oldest first.
    async fn look_through(&self, client: &GitHubClient, looked: &mut Looked, since: Timestamp) -> Result<(), Cut> {
        let attempts = newer(client, looked, since).await?;
        let came: HashSet<&str> = attempts.iter().filter(|it| it.came_through()).map(|it| it.guid.as_str()).collect();
        let mut seen = HashSet::new();
        for attempt in attempts.iter().rev() {
            let lost =
                ["push", "deployment"].contains(&attempt.event.as_str()) && !came.contains(attempt.guid.as_str());
            if lost && seen.insert(&attempt.guid) {
                self.take(client, looked, attempt).await?;
            }
        }
        // One that takes its time is listed after younger ones: the youngest are looked at again.
        let settled = self.clock.now().saturating_sub(SETTLES).unwrap_or(Timestamp::MIN);
        let until = attempts.iter().find(|it| it.delivered_at < settled).map(|it| it.id);
        looked.until = until.unwrap_or(looked.until);
        Ok(())
    }

    async fn take(&self, client: &GitHubClient, looked: &mut Looked, attempt: &Attempt) -> Result<(), Cut> {
        let Ok(id) = DeliveryId::parse(attempt.guid.as_str()) else { return Ok(()) };
        let (ledger, known) = (self.reception.ledger.clone(), id.clone());
        if blocking(move || ledger.delivery(&known)).await?.is_some() {
            return Ok(());
        }
        let payload = match client.sent(&looked.hook, attempt.id).await {
            Ok(payload) => payload,
            Err(error) if error.is_passing() => return Err(error.into()),
            Err(error) => {
                warn!(delivery.id = %id, "what GitHub sent cannot be had: {error}");
                None
            }
        };
        match payload {
            Some(payload) => self.accept(id, attempt, payload).await.map_err(Cut::from),
            None => {
                self.send_again(client, looked, attempt).await;
                Ok(())
            }
        }
    }

    /// Has GitHub send it again, once. Where that is refused nothing more can be done: its head is compared.
    async fn send_again(&self, client: &GitHubClient, looked: &mut Looked, attempt: &Attempt) {
        if !looked.again.insert(attempt.guid.clone()) {
            return;
        }
        match client.send_again(&looked.hook, attempt.id).await {
            Ok(()) => info!(delivery.id = attempt.guid, "GitHub is asked to send it again"),
            Err(error) => warn!(delivery.id = attempt.guid, "GitHub does not send it again: {error}"),
        }
    }

    async fn accept(&self, id: DeliveryId, attempt: &Attempt, payload: String) -> Result<(), LedgerError> {
        if attempt.event == "deployment" {
            return self.accept_wish(&id, attempt, &payload).await;
        }
        let push = match payload::push(&payload) {
            Ok(push) => push,
            Err(error) => {
                warn!(delivery.id = %id, "GitHub sent what is no push: {error}");
                return Ok(());
            }
        };
        let targets = self.reception.targets(&push.repository, None).unwrap_or_default();
        let caught_up = CaughtUp { sent_at: attempt.delivered_at, met: met(attempt) };
        let delivery = Delivery {
            id,
            event: attempt.event.clone(),
            digest: hex::encode(Sha256::digest(&payload)),
            body: payload.into(),
            received_at: self.clock.now(),
            push,
            caught_up: Some(caught_up.clone()),
        };
        let accepted = self.reception.accept(delivery, &targets).await?;
        info!(delivery.id = %accepted.delivery, plans = accepted.plans.len(), "{caught_up}");
        Ok(())
    }

    /// Takes in what somebody wanted in an environment. What was planned there since goes before it.
    async fn accept_wish(&self, id: &DeliveryId, attempt: &Attempt, payload: &str) -> Result<(), LedgerError> {
        let wish = match deployment::wanted(payload) {
            Ok(Wanted::This(wish)) => wish,
            Ok(Wanted::Nothing(_)) => return Ok(()),
            Err(error) => {
                warn!(delivery.id = %id, "GitHub sent what is no deployment: {error}");
                return Ok(());
            }
        };
        let targets = self.reception.targets(&wish.repository, None).unwrap_or_default();
        let answered = wish.accept(&self.reception.ledger, id, &targets, Some(attempt.delivered_at)).await?;
        if let Answered::Accepted(Accepted { repeat: false, plans, .. }) = answered {
            info!(delivery.id = %id, plans = plans.len(), "a deployment made at GitHub is caught up");
        }
        Ok(())
    }
}

impl Place {
    /// The owner of its repositories, in lowercase.
    fn owner(&self) -> Option<String> {
        match &self.whose {
            Whose::App => None,
            Whose::Owner(name) | Whose::Repository(name) => Some(name.owner().to_lowercase()),
        }
    }

    /// Says something, unless it was the last thing that was said.
    fn tell(&mut self, what: Option<String>) {
        if let Some(what) = what.as_ref().filter(|it| self.told.as_ref() != Some(*it)) {
            warn!("{what}");
        }
        self.told = what;
    }

    /// Why GitHub's list is not to be had, where that matters. A webhook that is gone is looked for anew.
    fn refused(&mut self, error: &GitHubError, is_covered: bool) -> Option<String> {
        if !error.is_passing() {
            self.hooks = None;
        }
        let repository = match &self.whose {
            Whose::App => {
                return Some(format!("the App's deliveries cannot be listed, only heads are compared: {error}"));
            }
            Whose::Owner(name) => {
                let owner = name.owner();
                return Some(format!("deliveries of `{owner}`'s own webhook cannot be listed: {error}"));
            }
            Whose::Repository(name) => name,
        };
        // Pushes come by an App's own webhook or an organisation's, and a repository's is nothing that it needs.
        let is_needless = is_covered && matches!(error, GitHubError::NotFound | GitHubError::Forbidden { .. });
        let help = "give the token the permission Webhooks: read and write, so that none is lost";
        let told = format!("deliveries of `{repository}` cannot be listed, only heads are compared: {error}; {help}");
        Some(told).filter(|_| !is_needless)
    }
}

/// The attempts since the last look, newest first.
async fn newer(client: &GitHubClient, looked: &Looked, since: Timestamp) -> Result<Vec<Attempt>, GitHubError> {
    let (mut all, mut older) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = client.attempts(&looked.hook, older.as_deref()).await?;
        let is_new = |it: &Attempt| it.id > looked.until && it.delivered_at >= since;
        let is_last = !page.attempts.last().is_some_and(is_new);
        all.extend(page.attempts.into_iter().take_while(is_new));
        older = page.older.filter(|_| !is_last);
        if older.is_none() {
            break;
        }
    }
    Ok(all)
}

/// What GitHub met with, made harmless for a line.
fn met(attempt: &Attempt) -> String {
    match attempt.status_code {
        0 => attempt.status.chars().filter(|it| !it.is_control() && *it != '`').take(LONGEST_MET).collect(),
        code => code.to_string(),
    }
}
