//! One AWS account and region: its client, and the poller that all its runs share. It knows no application or group.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_codedeploy::Client;
use jiff::Timestamp;
use tokio::sync::{Notify, OnceCell};

use super::hints::Hints;
use super::known::Known;
use super::watched::Watched;
use crate::clients::Clock;
use crate::clients::aws::{self, Aws};
use crate::domain::{CodeDeploySpec, Hint, Mask};
use crate::engine::Answer;

/// How long things take and how often they are asked. The defaults are what CodeDeploy bears.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Between a run's first looks.
    pub quick: Duration,
    /// How many looks are quick.
    pub quick_looks: u32,
    /// Between later looks, and the span of a tick. AWS's own waiters take 15 s, and 5 s was seen throttled.
    pub steady: Duration,
    /// Between looks at a run that waits for a person or a clock, or has not changed for long.
    pub waiting: Duration,
    /// How many calls an account's runs may cost in a tick, all together.
    pub tick_calls: usize,
    /// How old what is known of a run's instances may become, while nothing else says that it went on.
    pub details_every: Duration,
    /// How long the end of a run that failed waits for what its instances say.
    pub details_within: Duration,
    /// Between looks at most, under throttling.
    pub slowest: Duration,
    /// How much earlier or later a look may come, percent, so that several bots do not ask at once.
    pub jitter_percent: u32,
    /// How long CodeDeploy is given to begin a rollback of its own once a run has ended badly.
    pub grace: Duration,
    /// Between looks in that time.
    pub grace_look: Duration,
    /// How long one `observe` waits for news.
    pub answer_within: Duration,
    /// When a lost call is looked for, counted from its intent. After the last look it will not come any more.
    pub looks: [Duration; 3],
    /// The last look for Lambda and ECS, where nothing keeps a late request out but the end of its signature (5 min).
    pub late_look: Duration,
    /// How long `CreateDeployment` may take.
    pub create_within: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quick: Duration::from_secs(2),
            quick_looks: 5,
            steady: Duration::from_secs(15),
            waiting: Duration::from_secs(60),
            tick_calls: 60,
            details_every: Duration::from_secs(60),
            details_within: Duration::from_secs(120),
            slowest: Duration::from_secs(120),
            jitter_percent: 10,
            grace: Duration::from_secs(30),
            grace_look: Duration::from_secs(3),
            answer_within: Duration::from_secs(30),
            looks: [10, 30, 60].map(Duration::from_secs),
            late_look: Duration::from_secs(6 * 60),
            create_within: Duration::from_secs(30),
        }
    }
}

/// How a client for a target's account and region is made.
pub type Connect = Arc<dyn Fn(aws::Account) -> Answer<'static, Client> + Send + Sync>;

/// The accounts that the process works in. Clones share them, so that targets share their pollers.
#[derive(Clone)]
pub struct Accounts {
    connect: Connect,
    pace: Pace,
    clock: Clock,
    mask: Mask,
    known: Arc<Mutex<HashMap<aws::Account, Arc<Account>>>>,
}

impl Accounts {
    /// At the pace that CodeDeploy bears.
    pub fn new(aws: Aws, clock: Clock) -> Self {
        Self::paced(aws, Pace::default(), clock)
    }

    /// At another pace.
    pub fn paced(aws: Aws, pace: Pace, clock: Clock) -> Self {
        let connect: Connect = Arc::new(move |account| {
            let aws = aws.clone();
            Box::pin(async move { aws.codedeploy(&account).await })
        });
        Self::with(connect, pace, clock)
    }

    /// With clients of the caller's making.
    pub fn with(connect: Connect, pace: Pace, clock: Clock) -> Self {
        Self { connect, pace, clock, mask: Mask::default(), known: Arc::default() }
    }

    /// The same, with these secrets taken out of what scripts wrote.
    #[must_use]
    pub fn masked(mut self, mask: Mask) -> Self {
        self.mask = mask;
        self
    }

    /// The account and region of a target.
    pub(super) fn of(&self, spec: &CodeDeploySpec) -> Arc<Account> {
        let whom = aws::Account {
            region: spec.region.clone(),
            assume_role: spec.assume_role.clone(),
            external_id: spec.external_id.clone(),
            session: None,
            endpoint_url: spec.endpoint_url.clone(),
        };
        let open = || Arc::new(Account::new(whom.clone(), self));
        lock(&self.known).entry(whom.clone()).or_insert_with(open).clone()
    }

    /// Lets the next look at what a hint speaks of come at once; how many runs that are. A run that nobody watches is
    /// none of ours, and nothing is asked for it.
    pub fn nudge(&self, hint: &Hint) -> usize {
        let accounts: Vec<_> = lock(&self.known).values().cloned().collect();
        accounts.iter().filter(|it| it.is_meant_by(hint)).map(|it| it.hint(hint)).sum()
    }
}

/// One account and region.
pub(super) struct Account {
    whom: aws::Account,
    connect: Connect,
    client: OnceCell<Client>,
    pub(super) pace: Pace,
    pub(super) clock: Clock,
    pub(super) mask: Mask,
    pub(super) watched: Mutex<Watched>,
    pub(super) nudge: Notify,
    pub(super) hints: Mutex<Hints>,
    /// What is known of applications, groups and deployment configurations.
    pub(super) known: Known,
    /// Calls whose outcome is unknown, by marker: they may have left long after their intent was written.
    lost: Mutex<HashMap<String, Timestamp>>,
}

impl Account {
    fn new(whom: aws::Account, from: &Accounts) -> Self {
        Self {
            whom,
            connect: from.connect.clone(),
            client: OnceCell::new(),
            pace: from.pace.clone(),
            clock: from.clock.clone(),
            mask: from.mask.clone(),
            watched: Mutex::default(),
            nudge: Notify::new(),
            hints: Mutex::default(),
            known: Known::default(),
            lost: Mutex::default(),
        }
    }

    /// Whether a hint speaks of this account and region. Which account the machine's own credentials belong to is not
    /// known here, so that without a role any account may be meant.
    fn is_meant_by(&self, hint: &Hint) -> bool {
        let role = self.whom.assume_role.as_deref().and_then(|arn| arn.split(':').nth(4));
        let fits = role.zip(hint.account.as_deref()).is_none_or(|(ours, theirs)| ours == theirs);
        self.whom.region == hint.region && fits
    }

    /// The client, made at its first use.
    pub(super) async fn client(&self) -> &Client {
        self.client.get_or_init(|| (self.connect)(self.whom.clone())).await
    }

    /// A client whose calls AWS records under this name, where a role is taken; without one, whoever the bot is.
    pub(super) async fn client_as(&self, session: String) -> Client {
        if self.whom.assume_role.is_none() {
            return self.client().await.clone();
        }
        (self.connect)(aws::Account { session: Some(session), ..self.whom.clone() }).await
    }

    /// Remembers that the call for `marker` was lost just now.
    pub(super) fn remember_lost(&self, marker: &str) {
        lock(&self.lost).insert(marker.to_owned(), self.clock.now());
    }

    /// Forgets it: its outcome is known.
    pub(super) fn forget_lost(&self, marker: &str) {
        lock(&self.lost).remove(marker);
    }

    /// When the call for `marker` was lost, if this process made it.
    pub(super) fn lost_at(&self, marker: &str) -> Option<Timestamp> {
        lock(&self.lost).get(marker).copied()
    }
}

/// What a thread that panicked leaves behind here is whole: no invariant spans two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
