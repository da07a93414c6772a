//! `landfall man`: the manual pages, made of the same words that are parsed.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::exit::{Exit, Outcome, Trouble};
use super::terminal::{say, talk};
use super::words::Cli;
use crate::domain::plainly;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where to write a page for each verb, such as /usr/local/share/man/man1; the page of `landfall` alone is printed
    /// unless given
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints one page, or writes them all.
pub(super) fn run(args: &ManArgs) -> Outcome {
    let words = Cli::command();
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(words).render(&mut page).map_err(anyhow::Error::from)?;
        say(&String::from_utf8_lossy(&page));
        return Ok(Exit::Done);
    };
    fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(words, dir)).map_err(|error| {
        Trouble::unreachable(format!("the pages cannot be written to `{}`: {}", dir.display(), plainly(&error)))
            .help("name a directory that you may write to: `landfall man DIR`")
    })?;
    talk(&format!("wrote the pages to {}; read them with `man {}/landfall.1`\n", dir.display(), dir.display()));
    Ok(Exit::Done)
}
