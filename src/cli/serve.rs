//! `landfall serve`: the bot, until it is told to end. It writes its log to stderr and nothing to stdout.

use std::io::IsTerminal;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use nix::sys::prctl::set_dumpable;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use super::configuration::{ConfigArgs, show};
use super::exit::{Exit, Outcome, Trouble};
use super::log::Lines;
use crate::app::{App, AppError, Parts};
use crate::config::{Config, Environment};
use crate::domain::plainly;

/// Which configuration, and where to listen.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Listen here instead of where the configuration says
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How to write the log to stderr: lines for people, or a JSON object a line
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// How the log is written. In JSON, names of fields stay as they are: `deployment.id`, `delivery.id`, `target.name` and
/// others stand in an event's `fields` or in the `spans` around it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Serves until `SIGTERM` or `SIGINT` (exit 0), or until the ledger closes itself (exit 3, for a supervisor). Hooks may run
/// as the same user and must not find the secrets: neither its memory nor its variables are theirs to read.
pub(super) fn run(args: &ServeArgs, environment: &Environment) -> Outcome {
    let private = set_dumpable(false);
    let mut config = args.config.load_quietly(environment)?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    log(environment, args.log_format);
    match args.log_format {
        LogFormat::Text => show(&config.warnings),
        LogFormat::Json => config.warnings.0.iter().for_each(|it| warn!(code = it.code, "{it}")),
    }
    if let Err(error) = private {
        warn!("what runs as this user may read this process's memory: {}", plainly(&error));
    }
    runtime()?.block_on(serve(config))
}

/// The one runtime that owns everything.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Ok(built.context("cannot start the runtime")?)
}

/// Sends the log to stderr: `LANDFALL_LOG` chooses what (`info`, `landfall=debug`), colours only where somebody looks.
fn log(environment: &Environment, format: LogFormat) {
    let filter = EnvFilter::new(environment.get("LANDFALL_LOG").unwrap_or("info,actix_server=warn"));
    let coloured = std::io::stderr().is_terminal();
    let lines = move || Lines { coloured };
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(coloured).with_writer(lines);
    // A second one would be the only way to fail.
    let _ = match format {
        LogFormat::Text => logger.try_init(),
        LogFormat::Json => logger.json().try_init(),
    };
}

async fn serve(config: Config) -> Outcome {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let app = App::start(config, Parts::of_this_program()).await?;
    let broken = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = app.broken() => Some(error),
    };
    if let Some(error) = broken {
        error!("the bot cannot go on: {error}");
        return Err(error.into());
    }
    app.stop().await.map_err(AppError::from)?;
    info!("ended");
    Ok(Exit::Done)
}

impl From<AppError> for Trouble {
    fn from(error: AppError) -> Self {
        let trouble = Self::unreachable(error.to_string());
        match error.help() {
            Some(help) => trouble.help(help),
            None => trouble,
        }
    }
}
