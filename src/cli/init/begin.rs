//! Beginning: which of the two ways `landfall init` goes, and writing the files.

use std::fs;
use std::io::{IsTerminal, stderr, stdin};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::configuration::ConfigArgs;
use super::super::doctor::{self, DoctorArgs};
use super::super::exit::{Outcome, Trouble};
use super::super::terminal::{GOOD, say, styled, talk};
use super::answers::{Answers, Given};
use super::seeds::{IGNORED, Seed, seeds};
use super::steps;
use crate::config::Environment;
use crate::domain::plainly;

/// The arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct InitArgs {
    /// Where to write; made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// Only say which step comes next; write nothing
    #[arg(long)]
    next: bool,

    #[command(flatten)]
    given: Given,
}

/// Begins, or says how far it is.
pub(in crate::cli) fn run(args: &InitArgs, environment: &Environment) -> Outcome {
    let file = args.dir.join("landfall.toml");
    let is_begun = file.exists();
    if is_begun && args.given.is_any() {
        return Err(Trouble::wrong(format!("`{}` is there already and is not changed", file.display()))
            .help(format!("edit it; `landfall init {}` says which step is next", args.dir.display())));
    }
    if args.next && !is_begun {
        return Err(Trouble::wrong(format!("nothing is begun in `{}`", args.dir.display()))
            .help(format!("begin: `landfall init {}`", args.dir.display())));
    }
    let config = ConfigArgs { config: Some(file) };
    if !is_begun {
        let has_token = environment.get("GITHUB_TOKEN").is_some();
        let is_asked = !args.given.is_any() && stdin().is_terminal() && stderr().is_terminal();
        refuse_to_overwrite(&args.dir, &seeds(&args.dir, &args.given.with_defaults(&args.dir), has_token)?)?;
        let answers = if is_asked { args.given.asking(&args.dir)? } else { args.given.with_defaults(&args.dir) };
        write(&args.dir, &answers, has_token)?;
        talk("\n");
        if has_token {
            talk("what the bot will need, and whether GITHUB_TOKEN may do it:\n");
            doctor::run(&DoctorArgs::of(config.clone()), environment)?;
        }
    }
    steps::tell(&args.dir, &config, environment)
}

/// All or nothing: whoever has one of these files has begun already, in another way.
fn refuse_to_overwrite(dir: &Path, seeds: &[Seed]) -> Result<(), Trouble> {
    let there = seeds.iter().filter(|it| it.path != IGNORED && dir.join(it.path).exists());
    let taken = there.map(|it| format!("`{}`", it.path)).collect::<Vec<_>>().join(", ");
    if taken.is_empty() {
        return Ok(());
    }
    Err(Trouble::wrong(format!("{taken} in `{}` would be overwritten", dir.display()))
        .help("name another directory: `landfall init DIR`"))
}

/// Writes all, or leaves nothing of it: whoever begins again after that begins anew.
fn write(dir: &Path, answers: &Answers, has_token: bool) -> Result<(), Trouble> {
    let mut written = Vec::new();
    for seed in &seeds(dir, answers, has_token)? {
        let path = dir.join(seed.path);
        if path.exists() {
            talk(&format!("{} is there already: see that these lines are in it\n{}", path.display(), seed.text));
            continue;
        }
        if let Err(error) = seed.write(&path) {
            let left = written.iter().filter(|(path, _)| fs::remove_file(path).is_err()).count();
            let left = if left == 0 { "nothing was left there".to_owned() } else { format!("{left} files are left") };
            let why = format!("`{}` cannot be written: {}; {left}", path.display(), plainly(&error));
            return Err(Trouble::unreachable(why).help("check that the directory may be written to, and begin again"));
        }
        written.push((path, seed.why));
    }
    for (path, why) in written {
        say(&format!("{} {:<30} {why}\n", styled(GOOD, "wrote"), path.display()));
    }
    Ok(())
}
