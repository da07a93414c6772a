//! The bot's figures for Prometheus: what was counted since the start, and how things stand now. Deployments and messages
//! are counted from the ledger's records and nowhere else, so that the figures cannot say other than it does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio_util::sync::CancellationToken;

use super::reading::{Board, BoardError};
use super::views::{TargetView, TargetsPage};
use crate::domain::{BotEvent, DeploymentEvent, DeploymentId, Event, Offset, Outage, Record, SinkEvent, Stream};
use crate::ledger::{Health, Ledger};

/// Names of labels and their values.
type Labels = Vec<(&'static str, String)>;
type Seconds = Family<Labels, Histogram, fn() -> Histogram>;

/// From what a restart takes to what most deployments are given up after.
const SECONDS: [f64; 12] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0];
/// How many records one look takes.
const AT_ONCE: usize = 1000;

/// What is counted from the start of the process on. Clones share it.
#[derive(Clone)]
pub struct Figures(Arc<Inside>);

struct Inside {
    board: Board,
    began: Timestamp,
    /// Where the ledger ended then.
    from: Offset,
    registry: Registry,
    answers: Family<Labels, Counter>,
    planned: Family<Labels, Counter>,
    requests: Counter,
    ended: Family<Labels, Counter>,
    took: Seconds,
    told: Family<Labels, Counter>,
    denied: Family<Labels, Counter>,
}

impl Figures {
    /// Nothing counted yet.
    pub fn new(board: Board) -> Self {
        let mut registry = Registry::with_prefix("landfall");
        let answers = Family::default();
        registry.register("http_answers", "Requests answered, by door and status", answers.clone());
        let planned = Family::default();
        registry.register("deployments_planned", "Deployments born, by target", planned.clone());
        let requests = Counter::default();
        registry.register("requests", "What people and peers asked for", requests.clone());
        let ended = Family::default();
        registry.register("deployments_ended", "Deployments that are over, by target and outcome", ended.clone());
        let took: Seconds = Family::new_with_constructor(|| Histogram::new(SECONDS));
        let help = "From the birth of a deployment to its end, by target and outcome";
        registry.register_with_unit("deployment_duration", help, Unit::Seconds, took.clone());
        let told = Family::default();
        registry.register("reports", "Messages to the world, by sink and what came of them", told.clone());
        let denied = Family::default();
        registry.register("denied", "Requests turned away for who asked, by why", denied.clone());
        let (began, from) = (board.now(), *board.follow().borrow());
        Self(Arc::new(Inside { board, began, from, registry, answers, planned, requests, ended, took, told, denied }))
    }

    /// Counts an answer of a door: `github`, `sns`, `api`, `probes` or `pages`.
    pub fn answered(&self, door: &'static str, status: u16) {
        self.0.answers.get_or_create(&vec![("door", door.into()), ("status", status.to_string())]).inc();
    }

    /// Counts somebody who was turned away: `unknown`, `role`, `target`, `form` or `sign-in`.
    pub fn denied(&self, why: &'static str) {
        self.0.denied.get_or_create(&vec![("why", why.into())]).inc();
    }

    /// Counts every record from now on, until it is told to stop or the ledger is closed.
    pub async fn follow(self, ledger: Ledger, stop: CancellationToken) {
        let (mut ends, mut from) = (ledger.follow(), self.0.from);
        loop {
            match ledger.news(from, AT_ONCE).await {
                Ok((records, _)) if records.is_empty() => tokio::select! {
                    () = stop.cancelled() => return,
                    changed = ends.changed() => if changed.is_err() { return },
                },
                Ok((records, next)) => {
                    for record in &records {
                        if let Err(error) = self.count(&ledger, record).await {
                            tracing::warn!(%error, "a deployment is not in the figures");
                        }
                    }
                    from = next;
                }
                Err(error) => {
                    tracing::warn!(%error, "nothing more is counted for `/metrics` until the next start");
                    return;
                }
            }
        }
    }

    async fn count(&self, ledger: &Ledger, record: &Record) -> Result<(), BoardError> {
        match (&record.stream, &record.event) {
            (_, Event::Deployment(DeploymentEvent::Planned { order })) => {
                self.0.planned.get_or_create(&vec![("target", order.target.name.to_string())]).inc();
            }
            (_, Event::Bot(BotEvent::Requested { .. })) => {
                self.0.requests.inc();
            }
            (Stream::Sink(sink), Event::Sink(event)) => {
                let outcome = match event {
                    SinkEvent::Sent { .. } => "sent",
                    SinkEvent::Stumbled { .. } => "stumbled",
                    SinkEvent::GaveUp { .. } => "gave-up",
                };
                self.0.told.get_or_create(&vec![("sink", sink.clone()), ("outcome", outcome.into())]).inc();
            }
            (Stream::Deployment(id), Event::Deployment(event)) if event.is_end() => self.end(ledger, *id).await?,
            _ => {}
        }
        Ok(())
    }

    async fn end(&self, ledger: &Ledger, id: DeploymentId) -> Result<(), BoardError> {
        let ledger = ledger.clone();
        let found = tokio::task::spawn_blocking(move || ledger.deployment(id)).await??;
        let Some(deployment) = found else { return Ok(()) };
        let (target, outcome) = (deployment.order().target.name.to_string(), deployment.state().name().to_owned());
        let labels = vec![("target", target), ("outcome", outcome)];
        self.0.ended.get_or_create(&labels).inc();
        if let Some(at) = deployment.ended_at() {
            self.0.took.get_or_create(&labels).observe(at.duration_since(id.born_at()).as_secs_f64());
        }
        Ok(())
    }

    /// All figures, in the text form of `OpenMetrics`.
    pub async fn text(&self) -> Result<String, BoardError> {
        let TargetsPage { paused, targets, .. } = self.0.board.targets().await?;
        let mut now = Registry::with_prefix("landfall");
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        now.register("build", "The program", version);
        let open = matches!(self.0.board.health(), Health::Open);
        gauge(&mut now, "accepting", "Whether pushes are taken: 1, or 0", i64::from(open));
        gauge(&mut now, "paused", "Whether somebody paused all releases: 1, or 0", i64::from(paused));
        let end = i64::try_from(self.0.board.follow().borrow().0).unwrap_or(i64::MAX);
        gauge(&mut now, "ledger_records", "Records written to the ledger since it was begun", end);
        of_targets(&mut now, &targets);
        of_places(&mut now, &self.0.board.outages().all());
        let mut process = Registry::with_prefix("process");
        of_process(&mut process, self.0.began);
        let mut text = String::new();
        let said = encode_registry(&mut text, &self.0.registry)
            .and_then(|()| encode_registry(&mut text, &now))
            .and_then(|()| encode_registry(&mut text, &process))
            .and_then(|()| encode_eof(&mut text));
        said.expect("writing to a string does not fail");
        Ok(text)
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

/// How things stand at each target.
fn of_targets(registry: &mut Registry, targets: &[TargetView]) {
    let mut each = |name: &str, help: &str, value: &dyn Fn(&TargetView) -> Option<i64>| {
        let family = Family::<Labels, Gauge>::default();
        for target in targets {
            if let Some(value) = value(target) {
                family.get_or_create(&vec![("target", target.name.to_string())]).set(value);
            }
        }
        registry.register(name, help, family);
    };
    let many = |number: usize| i64::try_from(number).ok();
    let oldest =
        |it: &TargetView| it.running.into_iter().chain(it.waiting.iter().copied()).map(|id| id.born_at()).min();
    each("deployments_running", "Deployments at work", &|it| Some(i64::from(it.running.is_some())));
    each("deployments_waiting", "Deployments that wait", &|it| many(it.waiting.len()));
    each("oldest_unfinished_timestamp_seconds", "When the oldest deployment that is not over was born", &|it| {
        Some(oldest(it).map_or(0, Timestamp::as_second))
    });
    each("target_locked", "Whether somebody locked it: 1, or 0", &|it| Some(i64::from(it.locked)));
    each("live_timestamp_seconds", "Since when what is live has been live", &|it| {
        it.live.as_ref().map(|live| live.at.as_second())
    });
}

/// How things stand at each place that is told.
fn of_places(registry: &mut Registry, places: &BTreeMap<String, Option<Outage>>) {
    let (down, waiting) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge>::default());
    for (place, outage) in places {
        let labels = vec![("place", place.clone())];
        down.get_or_create(&labels).set(i64::from(outage.is_some()));
        let many = outage.as_ref().map_or(0, |it| it.waiting);
        waiting.get_or_create(&labels).set(i64::try_from(many).unwrap_or(i64::MAX));
    }
    registry.register("place_down", "Whether it takes no message: 1, or 0", down);
    registry.register("place_waiting", "Deployments that a place which is down is not told of", waiting);
}

/// What Prometheus's own libraries tell of any process, as far as `/proc` has it.
fn of_process(registry: &mut Registry, began: Timestamp) {
    gauge(registry, "start_time_seconds", "When the process began", began.as_second());
    let descriptors = std::fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
    if let Some(open) = descriptors.and_then(|it| i64::try_from(it).ok()) {
        gauge(registry, "open_fds", "Open file descriptors", open);
    }
    if let Some(bytes) = resident_bytes() {
        gauge(registry, "resident_memory_bytes", "Resident memory", bytes);
    }
}

fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
