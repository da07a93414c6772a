//! Who may read and ask: the token that the first start writes. It never tells a token to anybody but its file.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::sessions::Sessions;
use crate::domain::Failure;

/// What the token's file is called.
const FILE: &str = "token";
/// The shortest token that a person may put there: 32 characters cannot be guessed.
const SHORTEST: usize = 32;
/// Who the one token speaks for, in the audit trail.
const ADMIN: &str = "admin";

/// The tokens and sessions of one bot.
pub struct Tokens {
    admin: [u8; 32],
    pub(super) sessions: Mutex<Sessions>,
}

/// Why the token cannot be used.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The file can be neither read nor made.
    #[error("`{}` can be neither read nor written: {}", path.display(), crate::domain::plainly(source))]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("`{}` has mode {mode:03o}, and only its owner may read it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// What is in it is too short to keep anybody out.
    #[error("`{}` holds a token of {length} characters, and {SHORTEST} are the fewest", path.display())]
    Short {
        /// Which.
        path: PathBuf,
        /// How many characters it has.
        length: usize,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl AccessError {
    /// What a person is told.
    pub fn failure(&self) -> Failure {
        let (code, help) = match self {
            Self::File { .. } => ("web/token-file", "let the bot's user write its data directory"),
            Self::Open { .. } => ("web/token-open", "run `chmod 600` on it"),
            Self::Short { .. } => ("web/token-short", "delete the file: the next start writes a good one"),
            Self::Random(_) => ("web/random", "look at the kernel's log"),
        };
        Failure::setup(code, self.to_string()).help(help)
    }
}

impl Tokens {
    /// Reads `data_dir/token`; where there is none, writes one that only its owner may read.
    pub fn open(data_dir: &Path) -> Result<Self, AccessError> {
        let path = data_dir.join(FILE);
        let file = |source| AccessError::File { path: path.clone(), source };
        let token = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = random_name().map_err(AccessError::Random)?;
                write(data_dir, &path, &token).map_err(file)?;
                token
            }
            Err(error) => return Err(file(error)),
        };
        let mode = fs::metadata(&path).map_err(file)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(AccessError::Open { path, mode });
        }
        let token = token.trim();
        if token.len() < SHORTEST {
            return Err(AccessError::Short { path, length: token.len() });
        }
        Ok(Self { admin: digest(token), sessions: Mutex::default() })
    }

    /// A path that signs in whoever opens it first, and nobody after that.
    pub fn one_time_link(&self) -> String {
        format!("/login?once={}", self.sessions().one_time())
    }

    /// Who a token speaks for; nothing for a wrong one. It takes as long for any token.
    pub(super) fn speaks_for(&self, token: &str) -> Option<&'static str> {
        bool::from(self.admin.ct_eq(&digest(token))).then_some(ADMIN)
    }

    pub(super) fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        // A panic while it was locked leaves a map that is whole: each change is one insertion or removal.
        self.sessions.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens([secret])")
    }
}

/// Makes the file whole or not at all: it is written beside its place and then linked there.
fn write(data_dir: &Path, path: &Path, token: &str) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    let beside = data_dir.join(format!(".{FILE}.new"));
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(data_dir)?.sync_all()
}

/// 256 random bits as a name of 64 hex digits.
pub(super) fn random_name() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// What secrets are compared and looked up by: its timing says nothing about the secret.
pub(super) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
