//! The outbox: what the world should know of each deployment, less what the ledger says that it knows. It sends one
//! message at a time, passes over what is out of date, and never sends what a newer deployment has already replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::pace::{self, Pace};
use super::sink::{self, Message, Sink, Unsaid};
use crate::clients::Clock;
use crate::domain::{CommitSha, Deployment, DeploymentId, Event, Failure, Notice, Offset, SinkEvent, Stream};
use crate::ledger::{Append, Filter, Ledger, LedgerError, Probe};

/// Records read at a time.
const BATCH: usize = 500;
/// After so many in a row that are told, older ones are too: looking at all of history would grow with it.
const SETTLED_IN_A_ROW: usize = 1000;
/// The end of the log that is looked at in any case: an old deployment may have ended last.
const TAIL: u64 = 10_000;
/// What ended longer ago, and was never mentioned to a sink, is not news: the sink is new.
const NEWS: SignedDuration = SignedDuration::from_hours(24);
/// How long a running request may still take once the program is asked to end, and how long the rest may.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
/// How long a full disk is waited for.
const FULL_WAIT: Duration = Duration::from_secs(10);

/// Why reports cannot go on.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A thread that read the ledger ended in a bug.
    #[error("reading the ledger broke off: {0}")]
    BrokeOff(#[from] tokio::task::JoinError),
}

impl ReportError {
    /// What a person reads.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Ledger(error) => error.failure(),
            Self::BrokeOff(_) => Failure::setup("report/broke-off", self.to_string()),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        error.failure()
    }
}

/// What came of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was done; there may be more.
    Did,
    /// Nothing is to be done before this time.
    Until(Timestamp),
    /// Nothing is to be done until something happens.
    Idle,
}

/// Tells the world how deployments go. It follows the ledger, and is the only one that writes to `sink/…`.
pub struct Reports {
    ledger: Ledger,
    sinks: Vec<Sink>,
    clock: Clock,
    public_url: Option<String>,
    pace: Pace,
    probe: Probe,
    /// Read up to here; nothing before the first turn.
    next: Option<Offset>,
    /// By sink and deployment: everything unfinished, and what is finished and not told.
    open: BTreeMap<(usize, DeploymentId), Open>,
    lines: Vec<Line>,
}

/// What is known of a deployment at a sink.
struct Open {
    deployment: Deployment,
    /// When there is something to say.
    due: Option<Timestamp>,
    /// Whether `due` is when to try again.
    retries: bool,
    attempts: u32,
    stumbles_since: Option<Timestamp>,
    /// What it was last told, or will never be told.
    settled: Option<Notice>,
    told_at: Option<Timestamp>,
    /// How often it was told, since the program started.
    told: u32,
}

/// The way to a sink.
#[derive(Clone, Copy, Default)]
struct Line {
    /// The next request comes no sooner, for the pace.
    paced_until: Option<Timestamp>,
    /// Nor than this, because it would fail like the last one.
    down_until: Option<Timestamp>,
    /// How often in a row it failed.
    stumbles: u32,
}

impl Reports {
    /// Reports of what stands in `ledger`, to `sinks`. Links lead to `public_url`.
    pub fn new(ledger: Ledger, sinks: Vec<Sink>, clock: Clock, public_url: Option<String>) -> Self {
        let lines = vec![Line::default(); sinks.len()];
        let (pace, probe): (_, Probe) = (Pace::default(), Arc::new(|_| ()));
        Self { ledger, sinks, clock, public_url, pace, probe, next: None, open: BTreeMap::new(), lines }
    }

    /// The same, at another pace.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same, telling `probe` of each seam: `report-before-send`, `report-sent`, `report-recorded`.
    #[must_use]
    pub fn probed(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// Follows the ledger until `stop`, then sends what is left, for some seconds at most.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), ReportError> {
        let mut end = self.ledger.follow();
        while !stop.is_cancelled() {
            end.borrow_and_update();
            let overtime = async {
                stop.cancelled().await;
                tokio::time::sleep(FLUSH_WITHIN).await;
            };
            let turn = tokio::select! {
                turn = self.advance() => turn,
                () = overtime => break,
            };
            let until = match turn {
                Ok(Turn::Did) => continue,
                Ok(Turn::Until(at)) => at,
                Ok(Turn::Idle) => Timestamp::MAX,
                Err(ReportError::Ledger(LedgerError::Full { free, reserve })) => {
                    tracing::warn!(free, reserve, "what was reported cannot be written down: the disk is full");
                    pace::after(self.clock.now(), FULL_WAIT)
                }
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = stop.cancelled() => {}
                _ = end.changed() => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
        self.flush(FLUSH_WITHIN).await
    }

    /// One turn: hears what happened, and sends at most one message.
    pub async fn advance(&mut self) -> Result<Turn, ReportError> {
        self.catch_up().await?;
        let next = self.open.iter().filter_map(|(key, open)| Some((self.time_of(key.0, open)?, *key))).min();
        match next {
            None => Ok(Turn::Idle),
            Some((at, _)) if at > self.clock.now() => Ok(Turn::Until(at)),
            Some((_, key)) => self.tell(key).await.map(|()| Turn::Did),
        }
    }

    /// Turns until there is nothing to do now. What is due later comes back as the time.
    pub async fn run_to_idle(&mut self) -> Result<Turn, ReportError> {
        loop {
            match self.advance().await? {
                Turn::Did => {}
                turn @ (Turn::Until(_) | Turn::Idle) => return Ok(turn),
            }
        }
    }

    /// Sends everything that waits for its pace only, for as long as `within`. What is being tried again is left: it is
    /// found in the ledger at the next start.
    pub async fn flush(&mut self, within: Duration) -> Result<(), ReportError> {
        let all = async {
            self.catch_up().await?;
            let down = |key: &(usize, DeploymentId), lines: &[Line]| lines[key.0].stumbles > 0;
            let ready = |open: &Open| open.due.is_some() && !open.retries;
            while let Some(key) =
                self.open.iter().find(|(key, open)| ready(open) && !down(key, &self.lines)).map(|(key, _)| *key)
            {
                self.tell(key).await?;
            }
            Ok(())
        };
        tokio::time::timeout(within, all).await.unwrap_or_else(|_| {
            tracing::warn!("not everything was reported in time: the rest follows at the next start");
            Ok(())
        })
    }

    /// When a message may go out.
    fn time_of(&self, sink: usize, open: &Open) -> Option<Timestamp> {
        let line = &self.lines[sink];
        open.due.map(|due| due.max(line.paced_until.unwrap_or(due)).max(line.down_until.unwrap_or(due)))
    }

    /// Hears what happened since the last turn. The first time: what was not told before the last end.
    async fn catch_up(&mut self) -> Result<(), ReportError> {
        if self.next.is_none() {
            let end = self.ledger.end();
            let (sinks, now) = (self.sinks.clone(), self.clock.now());
            for (sink, deployment, told) in self.read(move |ledger| untold(ledger, &sinks, end, now)).await? {
                self.hear_at(sink, deployment, told);
            }
            self.next = Some(end);
        }
        while let Some(from) = self.next.filter(|next| *next < self.ledger.end()) {
            let sinks = self.sinks.clone();
            let known: BTreeSet<_> = self.open.keys().copied().collect();
            let (next, heard) = self.read(move |ledger| news(ledger, &sinks, from, &known)).await?;
            for (sink, deployment, told) in heard {
                self.hear_at(sink, deployment, told);
            }
            self.next = Some(next);
        }
        Ok(())
    }

    /// Takes the present state of a deployment, and what the ledger says of it where it is new here.
    fn hear_at(&mut self, sink: usize, deployment: Deployment, last: Option<SinkEvent>) {
        let now = self.clock.now();
        let over = deployment.ended_at().is_some();
        let open = self.open.entry((sink, deployment.id())).or_insert_with(|| Open::of(deployment.clone(), last));
        open.deployment = deployment;
        if open.retries {
            return;
        }
        let soonest = open.told_at.filter(|_| !over).map(|at| pace::after(at, pace::interval(&self.pace, open.told)));
        open.due = Some(soonest.unwrap_or(now).max(now));
    }

    /// Says what is to be said of one deployment at one sink, and writes down what came of it.
    async fn tell(&mut self, key: (usize, DeploymentId)) -> Result<(), ReportError> {
        let (index, id) = key;
        let Some(open) = self.open.get(&key) else { return Ok(()) };
        let deployment = open.deployment.clone();
        let notice = Notice::of(&deployment);
        let known = open.settled.as_ref() == Some(&notice);
        let sha = status_sha(&deployment).filter(|_| !known);
        let sha = match sha {
            Some(sha) if !self.is_replaced(&deployment, &sha).await? => sha,
            Some(_) | None => {
                self.settle(key, None);
                return Ok(());
            }
        };
        let context = sink::context(&deployment.order().target.name);
        let url = self.public_url.as_ref().map(|url| format!("{}/deployments/{id}", url.trim_end_matches('/')));
        let message = Message { context, sha, notice, url };
        (self.probe)("report-before-send");
        let said = self.sinks[index].say(&deployment, &message, self.clock.now()).await;
        (self.probe)("report-sent");
        let event = match said {
            Ok(remote_id) => {
                self.lines[index].stumbles = 0;
                self.lines[index].down_until = None;
                let Message { context, sha, notice, url: _ } = message;
                let (state, text) = (notice.state, notice.text.clone());
                self.settle(key, Some(notice));
                SinkEvent::Sent { deployment: id, context, sha, state, text, remote_id }
            }
            Err(unsaid) => self.stumble(key, message.notice, unsaid),
        };
        if self.sinks[index].is_far() {
            self.lines[index].paced_until = Some(pace::after(self.clock.now(), self.pace.between));
        }
        let stream = Stream::Sink(self.sinks[index].name().into());
        // What is in memory is right already: where the ledger is full, nothing is said twice for it.
        self.ledger.append(Append { stream, expect: None, event: Event::Sink(event), births: vec![] }).await?;
        (self.probe)("report-recorded");
        Ok(())
    }

    /// Nothing more is to be said until something happens.
    fn settle(&mut self, key: (usize, DeploymentId), notice: Option<Notice>) {
        let now = self.clock.now();
        let Some(open) = self.open.get_mut(&key) else { return };
        if open.deployment.ended_at().is_some() {
            self.open.remove(&key);
            return;
        }
        (open.due, open.retries, open.attempts, open.stumbles_since) = (None, false, 0, None);
        if let Some(notice) = notice {
            (open.settled, open.told_at, open.told) = (Some(notice), Some(now), open.told + 1);
        }
    }

    /// What came of a message that could not be said.
    fn stumble(&mut self, key: (usize, DeploymentId), notice: Notice, unsaid: Unsaid) -> SinkEvent {
        let (now, (index, id)) = (self.clock.now(), key);
        let Unsaid { failure, until, for_all } = unsaid;
        let name = self.sinks[index].name();
        let Some(open) = self.open.get_mut(&key) else { return SinkEvent::GaveUp { deployment: id, failure } };
        open.attempts += 1;
        let since = *open.stumbles_since.get_or_insert(now);
        if !failure.passing || now > pace::after(since, self.pace.patience) {
            let code = failure.code.as_str();
            let help = failure.help.as_deref().unwrap_or_default();
            tracing::error!(deployment.id = %id, sink = name, code, help, "gave up telling: {}", failure.message);
            self.settle(key, Some(notice));
            return SinkEvent::GaveUp { deployment: id, failure };
        }
        let line = &mut self.lines[index];
        let mut attempt = open.attempts;
        if for_all {
            line.stumbles += 1;
            attempt = attempt.max(line.stumbles);
        }
        let next_at = pace::next_try(now, id, attempt).max(until.unwrap_or(now));
        if for_all {
            line.down_until = Some(next_at);
        }
        (open.due, open.retries) = (Some(next_at), true);
        let code = failure.code.as_str();
        tracing::warn!(deployment.id = %id, sink = name, code, attempt, %next_at, "not told yet: {}", failure.message);
        SinkEvent::Stumbled { deployment: id, failure, attempt, next_at }
    }

    /// Whether a newer deployment of the same commit to the same target speaks for it: a redeploy, a branch and a tag.
    async fn is_replaced(&self, deployment: &Deployment, sha: &CommitSha) -> Result<bool, ReportError> {
        let (id, target, sha) = (deployment.id(), deployment.order().target.name.clone(), sha.clone());
        let pushed = deployment.order().sha.clone();
        let repository = deployment.order().target.repository.clone();
        self.read(move |ledger| {
            for looked_for in BTreeSet::from([sha.as_str(), pushed.as_str()]) {
                let (target, looked_for) = (Some(target.clone()), Some(looked_for.to_owned()));
                let filter = Filter { target, sha: looked_for, state: None, before: None, limit: 1 };
                let same = |it: &Deployment| {
                    it.id() > id && it.order().target.repository == repository && status_sha(it) == Some(sha.clone())
                };
                if ledger.deployments(&filter)?.iter().any(same) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ReportError> {
        let ledger = self.ledger.clone();
        Ok(tokio::task::spawn_blocking(move || read(&ledger)).await??)
    }
}

impl Open {
    fn of(deployment: Deployment, last: Option<SinkEvent>) -> Self {
        let mut this = Self {
            deployment,
            due: None,
            retries: false,
            attempts: 0,
            stumbles_since: None,
            settled: None,
            told_at: None,
            told: 0,
        };
        match last {
            Some(SinkEvent::Sent { state, text, .. }) => this.settled = Some(Notice { state, text }),
            Some(SinkEvent::Stumbled { attempt, next_at, .. }) => {
                (this.attempts, this.due, this.retries) = (attempt, Some(next_at), true);
            }
            // What made it give up may be mended by now, or the message another: one more try a start.
            Some(SinkEvent::GaveUp { .. }) | None => {}
        }
        this
    }
}

type Heard = (usize, Deployment, Option<SinkEvent>);

/// What happened from an offset on, as far as sinks care: each deployment once, as it stands, and the next offset.
fn news(
    ledger: &Ledger,
    sinks: &[Sink],
    from: Offset,
    known: &BTreeSet<(usize, DeploymentId)>,
) -> Result<(Offset, Vec<Heard>), LedgerError> {
    let (records, next) = ledger.read_on(from, BATCH)?;
    let mut heard = Vec::new();
    for id in records.iter().filter_map(|record| deployment_of(&record.stream)).collect::<BTreeSet<_>>() {
        let Some(deployment) = ledger.deployment(id)? else { continue };
        for (index, sink) in sinks.iter().enumerate().filter(|(_, sink)| sink.takes(&deployment)) {
            let last = if known.contains(&(index, id)) { None } else { ledger.sent(sink.name(), id)? };
            heard.push((index, deployment.clone(), last));
        }
    }
    Ok((next, heard))
}

/// What the sinks were not told before the program last ended.
fn untold(ledger: &Ledger, sinks: &[Sink], end: Offset, now: Timestamp) -> Result<Vec<Heard>, LedgerError> {
    let mut looked_at = BTreeSet::new();
    let mut untold = Vec::new();
    let mut look = |deployment: Deployment| -> Result<bool, LedgerError> {
        let mut all = true;
        if !looked_at.insert(deployment.id()) {
            return Ok(all);
        }
        for (index, sink) in sinks.iter().enumerate().filter(|(_, sink)| sink.takes(&deployment)) {
            let last = ledger.sent(sink.name(), deployment.id())?;
            if !is_told(&deployment, last.as_ref(), now) {
                untold.push((index, deployment.clone(), last));
                all = false;
            }
        }
        Ok(all)
    };
    for id in ledger.unfinished()? {
        ledger.deployment(id)?.map(&mut look).transpose()?;
    }
    let (mut before, mut in_a_row) = (None, 0);
    while in_a_row < SETTLED_IN_A_ROW {
        let page = ledger.deployments(&Filter { target: None, sha: None, state: None, before, limit: BATCH })?;
        let Some(oldest) = page.last() else { break };
        before = Some(oldest.id());
        for deployment in page {
            in_a_row = if look(deployment)? { in_a_row + 1 } else { 0 };
        }
    }
    let mut from = Offset(end.0.saturating_sub(TAIL));
    while from < end {
        let records = ledger.read(from, BATCH)?;
        let Some(last) = records.last() else { break };
        from = last.offset.next();
        for id in records.iter().filter_map(|record| deployment_of(&record.stream)).collect::<BTreeSet<_>>() {
            ledger.deployment(id)?.map(&mut look).transpose()?;
        }
    }
    Ok(untold)
}

/// Whether a deployment is over and a sink knows how it ended, or never heard of it and it is no news any more.
fn is_told(deployment: &Deployment, last: Option<&SinkEvent>, now: Timestamp) -> bool {
    let Some(ended_at) = deployment.ended_at() else { return false };
    match last {
        Some(SinkEvent::Sent { state, text, .. }) => {
            let Notice { state: wanted, text: words } = Notice::of(deployment);
            (*state, text) == (wanted, &words)
        }
        Some(SinkEvent::Stumbled { .. }) => false,
        Some(SinkEvent::GaveUp { .. }) | None => now.duration_since(ended_at) > NEWS,
    }
}

fn deployment_of(stream: &Stream) -> Option<DeploymentId> {
    match stream {
        Stream::Deployment(id) => Some(*id),
        Stream::Delivery(_) | Stream::Target(_) | Stream::Sink(_) | Stream::Bot => None,
    }
}

/// The commit whose status it is. A tag may be an annotated one, which has no status: only weighing tells its commit.
fn status_sha(deployment: &Deployment) -> Option<CommitSha> {
    let peeled = deployment.weighed().map(|weighed| weighed.commit.clone());
    let may_be_a_tag_object = deployment.order().reference.tag().is_some() && deployment.ended_at().is_none();
    peeled.or_else(|| (!may_be_a_tag_object).then(|| deployment.order().sha.clone()))
}
