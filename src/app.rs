//! The composition root: puts the rooms together, runs them on one runtime, and ends them in order. Holds no rules.
//!
//! Order of the end (`SIGTERM`): the door stops taking deliveries; no new step begins and running ones get their grace;
//! reports flush; the ledger closes. A ledger that closes itself (a storage error) ends the program with 3.

mod crew;
mod desk;
mod door;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web as http;
use futures_util::FutureExt;
use futures_util::future::join_all;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::asking::{Admissions, Asks, Commands};
use crate::board::{Board, EngineOf, Figures};
use crate::clients::aws::Aws;
use crate::clients::github::GitHubClients;
use crate::clients::{Clock, Telling};
use crate::conductor::{self, Before, CatchUp, Conductor};
use crate::config::{Chat, ChatKind, Config, GitHub};
use crate::domain::{BotEvent, EngineSpec, Failure, Stream, Target, plainly};
use crate::engine::codedeploy::{self, Accounts, CodeDeployEngine};
use crate::engine::host::HostEngine;
use crate::intake::slack::SlackState;
use crate::intake::sns::{self, SnsState, Trust};
use crate::intake::{Hear, IntakeState, Missed};
use crate::ledger::{Append, Ledger, LedgerError, Options, Seams};
use crate::report::{self, ChatPlace, ReportError, Reports, Sink};
use crate::revisions::Stores;
use crate::source::Sources;
use crate::steps::{Engines, Probe, World};
use crate::upkeep::{self, Rules, Upkeep};
use crate::web::WebState;
use crate::web::access::Tokens;

use crew::{Crew, Fall};
use desk::Desk;
use door::{Door, UNREAD};

/// How long commands that are being carried out may still take once the program is asked to end.
const COMMANDS_WITHIN: Duration = Duration::from_secs(5);

/// What a bot is made of besides its configuration.
pub struct Parts {
    /// What time it is.
    pub clock: Clock,
    /// The program that carries host deployments out in a child of its own.
    pub program: PathBuf,
    /// Called at the places where a crash would matter.
    pub probe: Probe,
    /// As whom AWS is called.
    pub aws: Aws,
    /// How often CodeDeploy is asked.
    pub pace: codedeploy::Pace,
    /// How fast the world is told.
    pub report_pace: report::Pace,
    /// When upkeep makes its rounds.
    pub upkeep_pace: upkeep::Pace,
    /// How long what was sent may lie unread at the other side.
    pub unread: Duration,
    /// Whom certificates of Amazon SNS must lead to, and how they are fetched.
    pub trust: Trust,
}

impl Parts {
    /// The parts of production: the machine's clock, this very program, no probe, AWS as the machine knows it.
    pub fn of_this_program() -> Self {
        Self {
            clock: Clock::system(),
            // The link stays right when the file it was started from is replaced by an upgrade.
            program: "/proc/self/exe".into(),
            probe: Arc::new(|_| ()),
            aws: Aws::new(),
            pace: codedeploy::Pace::default(),
            report_pace: report::Pace::default(),
            upkeep_pace: upkeep::Pace::default(),
            unread: UNREAD,
            trust: Trust::of_this_machine(),
        }
    }
}

/// Why a bot could not start, or ended by itself.
#[derive(Debug, Error)]
pub enum AppError {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The port cannot be used.
    #[error("cannot listen on {address}: {}", plainly(source))]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Something it needs is not there.
    #[error("{}", .0.message)]
    Need(Failure),
    /// A part of it ended by itself, and nobody does its work any more.
    #[error("{part} ended: {why}")]
    Fallen {
        /// Which.
        part: &'static str,
        /// Why.
        why: String,
        /// What a person can do, where that is known.
        help: Option<String>,
    },
}

impl AppError {
    /// What a person can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.failure().help,
            Self::Listen { .. } => Some("end what listens there, or choose another `server.listen`".into()),
            Self::Need(failure) => failure.help.clone(),
            Self::Fallen { help, .. } => {
                let again = || "start it again: it goes on from the ledger, or says what is wrong with it".into();
                Some(help.clone().unwrap_or_else(again))
            }
        }
    }
}

/// A bot at work.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// What happened.
    pub ledger: Ledger,
    /// What can be read.
    pub board: Board,
    /// Who may read and ask.
    pub tokens: Arc<Tokens>,
    /// Moves what is asked.
    pub asks: conductor::Asks,
    /// Takes away what nobody needs.
    pub upkeep: Upkeep,
    /// Carries out what people ask for in words.
    commands: Commands,
    stop: CancellationToken,
    fallen: watch::Receiver<Option<Fall>>,
    server: ServerHandle,
    tasks: Vec<JoinHandle<Result<(), LedgerError>>>,
    /// What tells GitHub, and one for each place in chat: none waits for another.
    reports: Vec<JoinHandle<Result<(), ReportError>>>,
    stop_reports: CancellationToken,
}

impl App {
    /// Opens the ledger, takes the port, and starts everything.
    pub async fn start(config: Config, parts: Parts) -> Result<Self, AppError> {
        let config = Arc::new(config);
        let (clock, probe, report_pace) = (parts.clock.clone(), parts.probe.clone(), parts.report_pace);
        let report_pace = config.github.between_writes.map_or(report_pace, |it| report_pace.every(it));
        let (upkeep_pace, unread) = (parts.upkeep_pace, parts.unread);
        let ledger = open_ledger(&config, &clock, &probe).await?;
        let github = github_clients(&config, &clock)?;
        let accounts = Accounts::paced(parts.aws.clone(), parts.pace.clone(), clock.clone()).masked(config.mask());
        let sns = hear_sns(&config, &parts, &accounts);
        let sources = Sources::new(&config.data_dir, github.clone());
        let world = Arc::new(world(&config, &sources, parts, accounts)?);
        let targets: Arc<[Arc<Target>]> = config.targets.clone().into();
        let asks = conductor::Asks { ledger: ledger.clone(), world: world.clone(), targets: targets.clone() };
        let upkeep = Upkeep::new(ledger.clone(), world.clone(), targets.clone(), rules(&config), upkeep_pace);
        let (tokens, admissions) = who_is_let_in(&config, &github)?;
        let stop = CancellationToken::new();
        let (conductor, hear) = Conductor::open(ledger.clone(), world.clone(), &targets).await?.hearing();
        let board = board(&config, &ledger, &clock, &world);
        let figures = Figures::new(board.clone());
        let hear: Hear = Arc::new(hear);
        let intake = intake(&config, &ledger, &clock)?.hearing(hear.clone());
        let before = ask_for(intake.missed(&github));
        let desk: Arc<dyn Asks> = Arc::new(Desk(asks.clone(), upkeep.clone(), ledger.clone()));
        let commands = Commands::new(desk.clone(), board.clone(), &config, &github);
        let (intake, slack) = hear_commands(&config, intake, &commands, &clock);
        let web = http::Data::new(WebState {
            board: board.clone(),
            figures: figures.clone(),
            asks: desk,
            tokens: tokens.clone(),
            admissions,
            telling: Telling::default(),
            clock: clock.clone(),
            public_reads: config.server.public_reads,
            public_badges: config.server.public_badges,
            proxies: config.server.proxies.clone(),
            secure: config.public_url.as_ref().is_some_and(|url| url.starts_with("https:")),
            streams: Arc::new(Semaphore::new(door::streams())),
            stop: stop.clone(),
        });
        let (address, server) =
            Door { intake, sns, slack, web, figures: figures.clone(), unread }.open(config.server.listen)?;
        write(&ledger, BotEvent::Started { version: env!("CARGO_PKG_VERSION").into() }).await?;
        let catch_up = CatchUp { ledger: ledger.clone(), world, targets, every: config.catch_up_every, before, hear };
        let (fall, fallen) = watch::channel(None);
        let crew = Crew { stop: stop.clone(), fall };
        let tasks = vec![
            crew.begin("the conductor", conductor.run(stop.clone())),
            crew.begin("the comparison of heads", catch_up.run(stop.clone())),
            crew.begin("upkeep", upkeep.clone().run(stop.clone())),
            tokio::spawn(figures.follow(ledger.clone(), stop.clone()).map(Ok)),
            tokio::spawn(board.distances().clone().measure(sources.clone(), clock.clone(), stop.clone()).map(Ok)),
        ];
        let stop_reports = CancellationToken::new();
        let tell = |part, sinks| {
            let reports = Reports::new(ledger.clone(), sinks, clock.clone(), config.public_url.clone());
            let reports = reports.paced(report_pace).probed(probe.clone()).showing(board.outages().clone());
            crew.begin(part, reports.run(stop_reports.clone()))
        };
        let mut reports = vec![tell("what tells GitHub", Sink::all(&github))];
        for chat in &config.chat {
            reports.push(tell("what tells chat", vec![place(chat, &config, &sources, &clock)]));
        }
        info!(%address, targets = config.targets.len(), "landfall {} is ready", env!("CARGO_PKG_VERSION"));
        Ok(Self {
            address,
            ledger,
            board,
            tokens,
            asks,
            commands,
            stop,
            fallen,
            server,
            tasks,
            upkeep,
            reports,
            stop_reports,
        })
    }

    /// Returns when the ledger closed itself, or a part of the bot ended: nothing can be promised any more, and a
    /// supervisor has to start it again.
    pub async fn broken(&self) -> AppError {
        let mut fallen = self.fallen.clone();
        tokio::select! {
            biased;
            why = self.ledger.closed() => LedgerError::Closed { why }.into(),
            Ok(fallen) = fallen.wait_for(Option::is_some) => {
                let Fall { part, why, help } = fallen.clone().unwrap_or_default();
                AppError::Fallen { part, why, help }
            }
        }
    }

    /// Ends everything in order.
    pub async fn stop(self) -> Result<(), LedgerError> {
        info!("ending: no new step begins");
        self.stop.cancel();
        let mut result = Ok(());
        for task in self.tasks {
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => result = Err(error),
                Err(panic) => error!("a task ended in a panic, which is a bug of ours: {panic}"),
            }
        }
        self.server.stop(true).await;
        self.commands.finish(COMMANDS_WITHIN).await;
        self.stop_reports.cancel();
        for ended in join_all(self.reports).await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!("some reports were not sent, and are sent at the next start: {error}"),
                Err(panic) => error!("the reports ended in a panic, which is a bug of ours: {panic}"),
            }
        }
        if result.is_ok() {
            result = write(&self.ledger, BotEvent::Stopping).await;
        }
        self.ledger.close().await;
        result
    }
}

async fn write(ledger: &Ledger, event: BotEvent) -> Result<(), LedgerError> {
    ledger.append(Append { stream: Stream::Bot, expect: None, event: event.into(), births: vec![] }).await.map(|_| ())
}

async fn open_ledger(config: &Config, clock: &Clock, probe: &Probe) -> Result<Ledger, LedgerError> {
    let (reserve_bytes, segment_bytes) = (config.ledger.reserve_bytes, config.ledger.segment_bytes);
    let options = Options::of(reserve_bytes, segment_bytes);
    let (dir, clock) = (config.data_dir.join("ledger"), clock.clone());
    let seams = Seams { probe: probe.clone(), ..Seams::default() };
    let open = move || Ledger::open_with(&dir, options, Arc::new(move || clock.now()), seams);
    tokio::task::spawn_blocking(open).await.expect("opening a ledger does not panic")
}

/// What the door for SNS hears makes the pollers look. It reaches no further than that.
fn hear_sns(config: &Config, parts: &Parts, accounts: &Accounts) -> SnsState {
    let accounts = accounts.clone();
    let hear: sns::Hear = Arc::new(move |hint| accounts.nudge(hint));
    SnsState::new(config.sns.clone(), parts.trust.clone(), hear, parts.clock.clone())
}

fn github_clients(config: &Config, clock: &Clock) -> Result<GitHubClients, AppError> {
    let clients = GitHubClients::for_targets(&config.github, &config.targets, clock.clone());
    let help = "correct `github.api_url`";
    clients.map_err(|error| AppError::Need(Failure::setup("app/github", error.to_string()).help(help)))
}

fn rules(config: &Config) -> Rules {
    let (retention, ledger_days) = (config.retention.clone(), config.ledger.keep_days);
    Rules { retention, ledger_days, ..Rules::default() }
}

fn board(config: &Config, ledger: &Ledger, clock: &Clock, world: &Arc<World>) -> Board {
    let world = world.clone();
    let sources = world.sources.clone();
    let engine_of: EngineOf = Arc::new(move |target| world.engines.of(target));
    Board::new(
        ledger.clone(),
        config.targets.clone(),
        clock.clone(),
        config.calendar.clone(),
        config.public_url.as_deref(),
        &config.github.api_url,
        Some((engine_of, sources)),
    )
    .with_findings(config.findings.clone())
}

/// What is done before heads are compared.
fn ask_for(missed: Missed) -> Before {
    Arc::new(move || {
        let missed = missed.clone();
        async move { missed.once().await }.boxed()
    })
}

/// The doors through which commands come.
fn hear_commands(
    config: &Config,
    intake: IntakeState,
    commands: &Commands,
    clock: &Clock,
) -> (IntakeState, SlackState) {
    let slack = SlackState::new(&config.commands, slacks_host(config), commands.clone(), clock.clone());
    let intake = if config.commands.comments { intake.heeding(commands.clone()) } else { intake };
    (intake, slack)
}

/// Where Slack is, if it is not at its own hosts.
fn slacks_host(config: &Config) -> Option<String> {
    let host = |kind: &ChatKind| match kind {
        ChatKind::SlackBot { api_url, .. } => api_url.host_str().map(str::to_owned),
        ChatKind::Slack { .. } | ChatKind::Discord { .. } | ChatKind::Mattermost { .. } => None,
        ChatKind::Teams { .. } | ChatKind::Webhook { .. } | ChatKind::Email(_) => None,
    };
    config.chat.iter().find_map(|chat| host(&chat.kind))
}

fn world(config: &Config, sources: &Sources, parts: Parts, accounts: Accounts) -> Result<World, AppError> {
    let Parts { clock, program, probe, aws, pace: _, report_pace: _, upkeep_pace: _, unread: _, trust: _ } = parts;
    let spool = config.data_dir.join("fetched");
    let emptied = match std::fs::remove_dir_all(&spool) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    let made = emptied.and_then(|()| std::fs::create_dir_all(&spool));
    made.map_err(|error| AppError::Need(unusable(&spool, &error)))?;
    let stores = Stores::new(aws.clone());
    let engine_clock = clock.clone();
    let mask = config.mask();
    let engines = Engines::new(move |spec| match spec {
        EngineSpec::CodeDeploy(spec) => Arc::new(CodeDeployEngine::new(spec, &accounts)),
        EngineSpec::Host(spec) => {
            Arc::new(HostEngine::new(&spec.root, &program, engine_clock.clone()).masked(mask.clone()))
        }
    });
    Ok(World::new(sources.clone(), stores, engines, clock, spool, probe)
        .heeding(config.calendar.clone())
        .masked(config.mask()))
}

/// The tokens, and who may come with an account of GitHub.
fn who_is_let_in(config: &Config, github: &GitHubClients) -> Result<(Arc<Tokens>, Option<Arc<Admissions>>), AppError> {
    let tokens = Arc::new(Tokens::open(&config.data_dir).map_err(|it| AppError::Need(it.failure()))?);
    let admissions = config.login.as_ref().map(|it| Arc::new(Admissions::new(it, &config.github, github)));
    tokens.admit_by(admissions.as_ref().map(|it| it.rules()).as_deref());
    Ok((tokens, admissions))
}

fn intake(config: &Arc<Config>, ledger: &Ledger, clock: &Clock) -> Result<IntakeState, AppError> {
    let intake = IntakeState::new(ledger.clone(), config.clone(), clock.clone());
    intake.map_err(|error| AppError::Need(unusable(&config.data_dir, &error)))
}

fn place(chat: &Chat, config: &Config, sources: &Sources, clock: &Clock) -> Sink {
    let site = GitHub::site_of(&config.github.api_url);
    Sink::Chat(Arc::new(ChatPlace::new(chat, sources, clock, &site)))
}

fn unusable(dir: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot use `{}`: {}", dir.display(), plainly(error));
    Failure::setup("app/directory", message).help("make it writable for the bot's user")
}
