//! Finding and loading the configuration for a verb. What is wrong with it is shown whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::exit::Trouble;
use super::findings::{Format, count, render};
use super::terminal::talk;
use crate::config::{Config, Environment, Whereabouts, nearest};
use crate::domain::{Findings, Target};

const USUAL: &[&str] = &["landfall.toml", "/etc/landfall/landfall.toml"];

/// Which configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// The configuration; `./landfall.toml`, then `/etc/landfall/landfall.toml`, unless named
    #[arg(short, long, value_name = "FILE", env = "LANDFALL_CONFIG")]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file, which may not be there.
    pub fn path(&self) -> PathBuf {
        let usual = || USUAL.iter().map(PathBuf::from).find(|path| path.exists());
        self.config.clone().or_else(usual).unwrap_or_else(|| PathBuf::from(USUAL[0]))
    }

    /// The configuration. Its warnings are shown; with errors they all are, and there is none.
    pub fn load(&self, environment: &Environment) -> Result<Config, Trouble> {
        let config = self.load_quietly(environment)?;
        show(&config.warnings);
        Ok(config)
    }

    /// The same, and its warnings are the caller's to show.
    pub(super) fn load_quietly(&self, environment: &Environment) -> Result<Config, Trouble> {
        Config::load(&self.path(), environment).map_err(|findings| refused(&self.path(), &findings))
    }

    /// The same, for a verb that needs none of the secrets: nothing is said of them, nor of what is only a warning.
    pub(super) fn load_without_secrets(&self, environment: &Environment) -> Result<Config, Trouble> {
        Config::load_without_secrets(&self.path(), environment).map_err(|it| refused(&self.path(), &it))
    }

    /// Only where the server is and where its token lies: whoever asks it needs none of its secrets.
    pub(super) fn whereabouts(&self, environment: &Environment) -> Result<Whereabouts, Trouble> {
        Whereabouts::load(&self.path(), environment).map_err(|findings| refused(&self.path(), &findings))
    }
}

/// The targets of these names, in the configuration's order; without names all of them.
pub(super) fn chosen(config: &Config, names: &[String]) -> Result<Vec<Arc<Target>>, Trouble> {
    let known = || config.targets.iter().map(|it| it.name.as_str());
    if let Some(name) = names.iter().find(|name| !known().any(|it| it == *name)) {
        return Err(unknown("target", name, known()));
    }
    let wanted = |it: &&Arc<Target>| names.is_empty() || names.iter().any(|name| name == it.name.as_str());
    Ok(config.targets.iter().filter(wanted).cloned().collect())
}

/// What is said of a name that the configuration does not have.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Trouble {
    let known: Vec<&str> = known.collect();
    let all = || known.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let help = match nearest(name, known.iter().copied()) {
        Some(near) if known.len() > 1 => format!("did you mean `{near}`? The configuration has {}", all()),
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("the configuration has none: add a `[[{what}]]`"),
        None => format!("the configuration has {}", all()),
    };
    Trouble::wrong(format!("no {what} is called `{name}`")).help(help)
}

fn refused(path: &Path, findings: &Findings) -> Trouble {
    // In a file that is not there, nothing can be corrected.
    if let [only] = findings.0.as_slice()
        && only.code == "config/unreadable"
    {
        let trouble = Trouble::wrong(only.message.clone());
        return only.help.clone().into_iter().fold(trouble, Trouble::help);
    }
    show(findings);
    Trouble::wrong(format!("`{}` cannot be used: {}", path.display(), count(findings)))
        .help("correct the findings above; `landfall check` shows them again")
}

pub(super) fn show(findings: &Findings) {
    talk(&render(findings, Format::Human, &|file| fs::read_to_string(file).ok()));
}
