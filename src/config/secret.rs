//! Secrets, and where they lie. A secret never prints itself.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::domain::Failure;

/// Something that nobody may read in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`, less one line end at its end, as editors and `echo` leave it.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Self(text)
    }

    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Words in the names of keys whose values nobody is shown, right or wrong as they may be.
const SECRET_WORDS: [&str; 6] = ["secret", "token", "password", "private_key", "webhook", "credential"];

/// The text of a configuration to show its lines from: a `*` stands for each character of what may be a secret that
/// somebody wrote into the file itself.
pub fn veiled(text: &str) -> String {
    let mut in_block = false;
    let lines = text.split_inclusive('\n').map(|line| {
        let was_in_block = in_block;
        in_block ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let is_secret = SECRET_WORDS.iter().any(|word| key.to_lowercase().contains(word));
        let is_elsewhere = value.trim_start().trim_start_matches(['[', ' ']).starts_with('{');
        let from = match (was_in_block, is_secret && !is_elsewhere) {
            (true, _) => 0,
            (false, true) => line.len() - value.len(),
            (false, false) => line.len(),
        };
        let hidden =
            line[from..].chars().map(|it| if it.is_alphanumeric() || "+/-_=.".contains(it) { '*' } else { it });
        format!("{}{}", &line[..from], hidden.collect::<String>())
    });
    lines.collect()
}

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// In a variable of the environment.
    Env(String),
    /// In a file.
    File(PathBuf),
}

/// What tells one writing of a secret's file from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// Why a secret cannot be had.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The variable is not there.
    #[error("the environment variable `{name}` is not set")]
    Unset {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("the secret file `{}` cannot be read: {}", path.display(), crate::domain::plainly(source))]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{place} is empty, and an empty secret protects nothing")]
    Empty {
        /// The variable or file.
        place: SecretRef,
    },
}

impl SecretRef {
    /// Reads it. A file is read anew each time.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let secret = match self {
            #[expect(clippy::disallowed_methods, reason = "`config` is the reader of the environment")]
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Unset { name: name.clone() })?,
            Self::File(path) => {
                fs::read_to_string(path).map_err(|source| SecretError::Unreadable { path: path.clone(), source })?
            }
        };
        let secret = Secret::new(secret);
        if secret.expose().trim().is_empty() {
            return Err(SecretError::Empty { place: self.clone() });
        }
        Ok(secret)
    }

    /// Differs from an earlier one where the secret may have changed since. Cheap enough for every request.
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Env(_) => Some(Stamp::default()),
            Self::File(path) => Stamp::of(path).ok(),
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let it = fs::metadata(path)?;
        Ok(Self { inode: it.ino(), bytes: it.len(), changed: (it.ctime(), it.ctime_nsec()) })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::File(path) => write!(f, "the file `{}`", path.display()),
        }
    }
}

impl SecretError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unset { .. } => {
                "set it in the environment of the service, or name a file instead: `{ file = \"…\" }`"
            }
            Self::Unreadable { .. } => "create it with mode 0600, owned by the user that landfall runs as",
            Self::Empty { .. } => "write the secret into it",
        }
    }

    /// Its stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unset { .. } => "config/secret-unset",
            Self::Unreadable { .. } => "config/secret-unreadable",
            Self::Empty { .. } => "config/secret-empty",
        }
    }

    /// As what a deployment ends with, or waits for: secrets come back.
    pub fn failure(&self) -> Failure {
        Failure::passing(self.code(), self.to_string()).help(self.help())
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        error.failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = Secret::new("hunter2\n");
        assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(Secret::new("two\n\n").expose(), "two\n");
    }

    #[test]
    fn a_secret_file_is_read_anew_and_an_empty_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let reference = SecretRef::File(path.clone());
        assert!(reference.read().unwrap_err().to_string().ends_with("no such file or directory"));
        fs::write(&path, "one\n").unwrap();
        assert_eq!(reference.read().unwrap().expose(), "one");
        let before = reference.stamp();
        fs::write(dir.path().join("new"), "two\n").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_ne!(reference.stamp(), before);
        assert_eq!(reference.read().unwrap().expose(), "two");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(reference.read(), Err(SecretError::Empty { .. })));
    }
}
