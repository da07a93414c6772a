//! `landfall import`: a new ledger from an export. It is there whole or not at all, and never mixed with another.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use clap::Args;

use super::configuration::ConfigArgs;
use super::exit::{Exit, Outcome, Trouble};
use super::export::told;
use super::terminal::talk;
use crate::app::AppError;
use crate::config::Environment;
use crate::domain::plainly;
use crate::ledger::import;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// What `landfall export` wrote; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Makes the ledger of the configured `data_dir`, where there must be none yet.
pub(super) fn run(args: &ImportArgs, environment: &Environment) -> Outcome {
    let ledger = args.config.whereabouts(environment)?.data_dir.join("ledger");
    let input: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let cannot = |error| Trouble::wrong(format!("cannot read `{}`: {}", args.file.display(), plainly(&error)));
        Box::new(BufReader::new(File::open(&args.file).map_err(cannot)?))
    };
    let counts = import(&ledger, &args.file, input).map_err(AppError::from)?;
    talk(&format!("imported {} into `{}`\n", told(&counts), ledger.display()));
    talk("Never run two bots that began with one ledger: each would deploy what comes.\n");
    Ok(Exit::Done)
}
