//! The tokens that people made, and the sessions: one small file, written whole or not at all. No secret is in it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::sessions::{NOTED, Sessions};
use crate::domain::{Grant, Pattern, Role, TokenName};

/// What the file is called.
pub(super) const FILE: &str = "access.json";

/// A token as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) name: TokenName,
    pub(super) role: Role,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) targets: Vec<Pattern>,
    /// SHA-256 of the secret, which has 256 random bits: it need not be slow to compute.
    pub(super) digest: String,
    pub(super) made_by: String,
    pub(super) made_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) used_at: Option<Timestamp>,
}

impl Token {
    /// Whether it works no more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Who it speaks for, and how far.
    pub(super) fn grant(&self) -> Grant {
        Grant { actor: self.name.to_string(), role: self.role, targets: self.targets.clone() }
    }

    /// Notes a use; whether that is worth being written down.
    pub(super) fn note(&mut self, now: Timestamp) -> bool {
        let worth = self.used_at.is_none_or(|used| now.duration_since(used) >= NOTED);
        if worth {
            self.used_at = Some(now);
        }
        worth
    }
}

/// What outlives the process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Keyring {
    #[serde(default)]
    pub(super) tokens: Vec<Token>,
    #[serde(default)]
    pub(super) sessions: Sessions,
}

impl Keyring {
    /// Reads it; an empty one where there is none yet.
    pub(super) fn read(data_dir: &Path) -> io::Result<Self> {
        match fs::read(data_dir.join(FILE)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes it, so that it is there after a loss of power, too.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        write_private(data_dir, FILE, &serde_json::to_vec_pretty(self)?)
    }
}

/// Makes a file that its owner alone may read, whole or not at all: it is written beside its place and then moved there.
pub(super) fn write_private(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let beside = dir.join(format!(".{name}.new"));
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    fs::File::open(dir)?.sync_all()
}
