//! `landfall export`: the whole ledger as JSON lines, for a backup or a move. It reads files and asks no server, so that it
//! works beside a running bot and without one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::configuration::ConfigArgs;
use super::exit::{Exit, Outcome, Trouble};
use super::terminal::talk;
use crate::app::AppError;
use crate::config::Environment;
use crate::domain::plainly;
use crate::ledger::{Counts, LedgerError, export};

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Write it here instead of to standard output; the file is there whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Writes the ledger of the configured `data_dir`, and says what is in it.
pub(super) fn run(args: &ExportArgs, environment: &Environment) -> Outcome {
    let ledger = args.config.whereabouts(environment)?.data_dir.join("ledger");
    let counts = match &args.output {
        Some(path) => to_file(&ledger, path)?,
        None => to_stdout(&ledger)?,
    };
    talk(&format!("exported {}\n", told(&counts)));
    Ok(Exit::Done)
}

fn write(ledger: &Path, path: &Path, out: &mut impl Write) -> Result<Counts, LedgerError> {
    let lost = |error: &LedgerError| talk(&format!("landfall: {error}: it is left out\n"));
    export(ledger, path, out, lost)
}

/// Whoever reads it has to read all of it: what is cut off is no backup, so that here a reader that has left is no good end.
fn to_stdout(ledger: &Path) -> Result<Counts, Trouble> {
    let name = Path::new("standard output");
    write(ledger, name, &mut BufWriter::new(std::io::stdout().lock())).map_err(|error| {
        let LedgerError::Storage { path, source, .. } = &error else { return AppError::from(error).into() };
        if path != name {
            return AppError::from(error).into();
        }
        Trouble::unreachable(format!("the export is cut off: cannot write to {}: {}", name.display(), plainly(source)))
            .help("have its reader read to the end, or name a file with `--output`")
    })
}

/// Payloads may be private, so the file is for its owner alone.
fn to_file(ledger: &Path, path: &Path) -> Result<Counts, Trouble> {
    let cannot = |error: std::io::Error| {
        Trouble::unreachable(format!("cannot write `{}`: {}", path.display(), plainly(&error)))
            .help("name a directory that can be written to and has space")
    };
    let dir = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut half = tempfile::Builder::new().prefix(".landfall-export-").tempfile_in(dir).map_err(cannot)?;
    let counts = write(ledger, path, &mut BufWriter::new(half.as_file_mut())).map_err(AppError::from)?;
    half.as_file().sync_all().map_err(cannot)?;
    half.persist(path).map_err(|it| cannot(it.error))?;
    File::open(dir).and_then(|it| it.sync_all()).map_err(cannot)?;
    Ok(counts)
}

/// What an export holds, in words.
pub(super) fn told(counts: &Counts) -> String {
    let Counts { commits: _, records, first, end, bodies, lost } = counts;
    let lost = if *lost == 0 { String::new() } else { format!(", {lost} of which are lost") };
    format!("{records} records, from offset {first} up to {end}, with {bodies} bodies in files of their own{lost}")
}
