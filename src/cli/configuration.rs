//! Finding and loading the configuration for a verb. What is wrong with it is shown whole.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Trouble;
use super::findings::{Format, count, render};
use super::terminal::talk;
use crate::config::{Config, Environment, Whereabouts};
use crate::domain::Findings;

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
        match Config::load(&self.path(), environment) {
            Ok(config) => {
                show(&config.warnings);
                Ok(config)
            }
            Err(findings) => Err(refused(&self.path(), &findings)),
        }
    }

    /// Only where the server is and where its token lies: whoever asks it needs none of its secrets.
    pub(super) fn whereabouts(&self, environment: &Environment) -> Result<Whereabouts, Trouble> {
        Whereabouts::load(&self.path(), environment).map_err(|findings| refused(&self.path(), &findings))
    }
}

fn refused(path: &Path, findings: &Findings) -> Trouble {
    show(findings);
    Trouble::wrong(format!("`{}` cannot be used: {}", path.display(), count(findings)))
        .help("correct the findings above; `landfall check` shows them again")
}

fn show(findings: &Findings) {
    talk(&render(findings, Format::Human, &|file| fs::read_to_string(file).ok()));
}
