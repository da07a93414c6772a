//! Who is let in: the token that the first start writes, those that people make, and sessions. Secrets are digests here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::keyring::{self, Keyring, Token, write_private};
use super::sessions::{Guest, Holder, Way, csrf, fresh};
use crate::domain::{Failure, Grant, Pattern, Role, TokenName, on_github};

/// What the token's file is called.
const FILE: &str = "token";
/// The shortest token that a person may put there: 32 characters cannot be guessed.
pub const SHORTEST: usize = 32;
/// Who that token speaks for, in the audit trail.
const ADMIN: &str = "admin";
/// How many tokens people may make: each request with one is compared with all.
const MOST: usize = 1000;
/// What secrets begin with, so that scanners of code find one that got where it should not be.
const PREFIX: &str = "landfall_";

/// The tokens and sessions of one bot. What is known is in memory, so that letting somebody in never waits for a disk.
pub struct Tokens {
    admin: String,
    data_dir: PathBuf,
    ring: Mutex<Keyring>,
    way: Mutex<Way>,
    /// Held while the file is written, so that what is written last is the newest.
    disk: Mutex<()>,
}

/// Somebody who is known.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) grant: Grant,
    /// What the forms of a session must carry; nothing for the bearer of a token, whom no other site can speak for.
    pub(super) csrf: Option<String>,
    /// Whether this use is worth being written down: [`Tokens::write_down`] does.
    pub(super) news: bool,
    /// By what they are known.
    pub(super) pass: Pass,
}

/// By what somebody is known.
#[derive(Clone)]
pub(super) enum Pass {
    /// A token, by its digest.
    Token(String),
    /// A session, by its secret name.
    Session(String),
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "a token",
            Self::Session(_) => "a session",
        })
    }
}

/// A token to be made.
#[derive(Clone, Debug)]
pub(super) struct NewToken {
    pub(super) name: TokenName,
    pub(super) role: Role,
    pub(super) targets: Vec<Pattern>,
    pub(super) until: Option<Timestamp>,
}

/// Somebody who is signed in with GitHub.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Guest")]
pub(super) struct GuestView {
    /// Who, as the audit trail has it: `ada on GitHub`.
    actor: String,
    /// How far they may go.
    role: Role,
    /// The targets that they are held to; none means all.
    targets: Vec<String>,
    /// When they signed in first, of the browsers that still are.
    since: Timestamp,
    /// In how many browsers.
    sessions: usize,
}

impl GuestView {
    /// Of nobody's browsers yet.
    fn of(guest: &Guest, since: Timestamp) -> Self {
        let targets = guest.targets.iter().map(|it| it.as_str().to_owned()).collect();
        Self { actor: guest.actor.clone(), role: guest.role, targets, since, sessions: 0 }
    }
}

/// A token as people see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TokenView {
    /// What it is called, and who it speaks for in the audit trail; `admin` is that of the file.
    name: String,
    /// How far whoever has it may go.
    role: Role,
    /// The targets that it is held to, as patterns; none means all.
    targets: Vec<String>,
    /// Who made it; nothing for that of the file.
    made_by: Option<String>,
    /// When.
    made_at: Option<Timestamp>,
    /// Until when it works; nothing where that is until it is revoked.
    until: Option<Timestamp>,
    /// Whether that is over.
    expired: bool,
    /// When it was last used, to a minute or so; nothing where it never was, and for that of the file.
    used_at: Option<Timestamp>,
    /// How many browsers are signed in with it.
    sessions: usize,
}

/// Why a token is not made, or not taken away.
#[derive(Debug, Error)]
pub(super) enum TokenError {
    #[error("there is a token called `{0}` already")]
    Known(TokenName),
    #[error("there is no token called `{0}`")]
    Unknown(TokenName),
    #[error("`{ADMIN}` is the token of the file `{FILE}` in the data directory")]
    Reserved,
    #[error("there are {MOST} tokens, and no more are kept")]
    Many,
    #[error("a token of the role `{0}` cannot be held to targets")]
    Held(Role),
    #[error("`{0}` is not a pattern, so that no target is one of the token's")]
    Pattern(String),
    #[error("the token would work until {0}, which is over")]
    Over(Timestamp),
    #[error("it cannot be written down: {}", crate::domain::plainly(.0))]
    File(io::Error),
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
    /// The file of tokens and sessions is there and cannot be used.
    #[error("`{}` cannot be used: {}", path.display(), crate::domain::plainly(source))]
    Keyring {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
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
            Self::Keyring { .. } => (
                "web/access-file",
                "put a copy of it back, or move it away: then the tokens that were made work no more, and \
                 `landfall token new` makes others",
            ),
            Self::Random(_) => ("web/random", "look at the kernel's log"),
        };
        Failure::setup(code, self.to_string()).help(help)
    }
}

impl Tokens {
    /// Reads `data_dir/token`; where there is none, writes one that only its owner may read. Reads what else is known.
    pub fn open(data_dir: &Path) -> Result<Self, AccessError> {
        let path = data_dir.join(FILE);
        let file = |source| AccessError::File { path: path.clone(), source };
        let token = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = random_name().map_err(AccessError::Random)?;
                write_private(data_dir, FILE, format!("{token}\n").as_bytes()).map_err(file)?;
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
        let ring = Keyring::read(data_dir)
            .map_err(|source| AccessError::Keyring { path: data_dir.join(keyring::FILE), source })?;
        Ok(Self {
            admin: digest(token),
            data_dir: data_dir.to_owned(),
            ring: Mutex::new(ring),
            way: Mutex::default(),
            disk: Mutex::default(),
        })
    }

    /// A path that signs in whoever opens it first, and nobody after that.
    pub fn one_time_link(&self) -> String {
        format!("/login?once={}", self.way().one_time())
    }

    /// Who sends a token.
    pub(super) fn bearer(&self, token: &str, now: Timestamp) -> Option<Known> {
        let token = digest(token);
        let (grant, news) = self.ring().holder(&self.admin, &token, now)?;
        Some(Known { grant, csrf: None, news, pass: Pass::Token(token) })
    }

    /// Whether who was known by it still is. That is no use of it.
    pub(super) fn still_know(&self, pass: &Pass, now: Timestamp) -> bool {
        let ring = self.ring();
        match pass {
            Pass::Token(token) => ring.is_good(&self.admin, token, now),
            Pass::Session(name) => match ring.sessions.holder(name, now) {
                Some(Holder::Token(token)) => ring.is_good(&self.admin, &token, now),
                Some(Holder::Guest(_)) => true,
                None => false,
            },
        }
    }

    /// Who has a session of that secret name.
    pub(super) fn session(&self, name: &str, now: Timestamp) -> Option<Known> {
        let mut ring = self.ring();
        let (holder, seen) = ring.sessions.find(name, now)?;
        let (grant, used) = match holder {
            Holder::Token(token) => ring.holder(&self.admin, &token, now)?,
            Holder::Guest(guest) => (guest.grant(), false),
        };
        Some(Known { grant, csrf: Some(csrf(name)), news: seen || used, pass: Pass::Session(name.to_owned()) })
    }

    /// Opens a session for a token, and gives who it is of and its secret name.
    pub(super) fn sign_in(&self, token: &str, now: Timestamp) -> Option<(Grant, String)> {
        let (token, mut ring) = (digest(token), self.ring());
        let (grant, _) = ring.holder(&self.admin, &token, now)?;
        Some((grant, ring.sessions.begin(Holder::Token(token), now)))
    }

    /// Opens a session for the administrator, if the secret is that of a link that nobody has used.
    pub(super) fn sign_in_once(&self, once: &str, now: Timestamp) -> Option<(Grant, String)> {
        let known = self.way().redeem(once);
        known.then(|| (admin(), self.ring().sessions.begin(Holder::Token(self.admin.clone()), now)))
    }

    /// Opens a session for somebody whom GitHub spoke for, let in by these rules, and gives its secret name.
    pub(super) fn sign_in_by_github(&self, grant: Grant, rules: &str, now: Timestamp) -> String {
        let Grant { actor, role, targets } = grant;
        self.ring().sessions.begin(Holder::Guest(Guest { actor, role, targets, rules: digest(rules) }), now)
    }

    /// Signs out whom GitHub let in by other rules than these; everybody of them, where there are none.
    pub fn admit_by(&self, rules: Option<&str>) {
        self.ring().sessions.end_guests_but(rules.map(digest).as_deref());
    }

    /// Ends a session.
    pub(super) fn sign_out(&self, name: &str) {
        self.ring().sessions.end(name);
    }

    /// Who is signed in with GitHub.
    pub(super) fn guests(&self, now: Timestamp) -> Vec<GuestView> {
        let ring = self.ring();
        let mut found: BTreeMap<&str, GuestView> = BTreeMap::new();
        for (guest, since) in ring.sessions.guests(now) {
            let view = found.entry(&guest.actor).or_insert_with(|| GuestView::of(guest, since));
            view.sessions += 1;
        }
        found.into_values().collect()
    }

    /// Ends all sessions of somebody whom GitHub spoke for, and says how many there were.
    pub(super) fn sign_out_guest(&self, login: &str) -> usize {
        self.ring().sessions.end_guest(&on_github(login))
    }

    /// Ends all sessions of a token, and says how many there were.
    pub(super) fn sign_out_all(&self, whose: &TokenName) -> Result<usize, TokenError> {
        let mut ring = self.ring();
        let token = match ring.find(whose) {
            _ if whose.as_str() == ADMIN => self.admin.clone(),
            Some(at) => ring.tokens[at].digest.clone(),
            None => return Err(TokenError::Unknown(whose.clone())),
        };
        Ok(ring.sessions.end_all(&token))
    }

    /// Makes a token and gives its secret, which nobody is told again. It waits for the disk.
    pub(super) fn make(&self, wanted: NewToken, made_by: &str, now: Timestamp) -> Result<String, TokenError> {
        let NewToken { name, role, targets, until } = wanted;
        if name.as_str() == ADMIN {
            return Err(TokenError::Reserved);
        }
        if !targets.is_empty() && role != Role::Deploy {
            return Err(TokenError::Held(role));
        }
        if let Some(broken) = targets.iter().find(|it| it.is_broken()) {
            return Err(TokenError::Pattern(broken.to_string()));
        }
        if let Some(until) = until.filter(|until| *until <= now) {
            return Err(TokenError::Over(until));
        }
        let secret = format!("{PREFIX}{}", fresh());
        let (made_by, digest) = (made_by.to_owned(), digest(&secret));
        let _one_at_a_time = self.disk();
        let mut with_it = self.ring().clone();
        if with_it.find(&name).is_some() {
            return Err(TokenError::Known(name));
        }
        if with_it.tokens.len() >= MOST {
            return Err(TokenError::Many);
        }
        let token = Token { name, role, targets, digest, made_by, made_at: now, until, used_at: None };
        with_it.tokens.push(token.clone());
        with_it.write(&self.data_dir).map_err(TokenError::File)?;
        self.ring().tokens.push(token);
        Ok(secret)
    }

    /// Takes a token away, and the sessions that were opened with it. It waits for the disk; where that fails, the token
    /// works again after a restart, and the error says that it was not written down.
    pub(super) fn revoke(&self, name: &TokenName) -> Result<(), TokenError> {
        if name.as_str() == ADMIN {
            return Err(TokenError::Reserved);
        }
        {
            let mut ring = self.ring();
            let at = ring.find(name).ok_or_else(|| TokenError::Unknown(name.clone()))?;
            let token = ring.tokens.remove(at);
            ring.sessions.end_all(&token.digest);
        }
        self.write_down().map_err(TokenError::File)
    }

    /// All of them, the file's own first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<TokenView> {
        let ring = self.ring();
        let sessions = ring.sessions.count(&self.admin, now);
        let own = TokenView {
            name: ADMIN.into(),
            role: Role::Admin,
            targets: vec![],
            made_by: None,
            made_at: None,
            until: None,
            expired: false,
            used_at: None,
            sessions,
        };
        let made = ring.tokens.iter().map(|it| TokenView::of(it, ring.sessions.count(&it.digest, now), now));
        std::iter::once(own).chain(made).collect()
    }

    /// Writes down what is known. It waits for the disk.
    pub fn write_down(&self) -> io::Result<()> {
        let _one_at_a_time = self.disk();
        let ring = self.ring().clone();
        ring.write(&self.data_dir)
    }

    // A panic while one of these was locked leaves what it guards whole: each change is one insertion or removal.

    fn ring(&self) -> MutexGuard<'_, Keyring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk(&self) -> MutexGuard<'_, ()> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keyring {
    fn find(&self, name: &TokenName) -> Option<usize> {
        self.tokens.iter().position(|it| it.name == *name)
    }

    /// Whether a token of that digest speaks for anybody.
    fn is_good(&self, admins: &str, token: &str, now: Timestamp) -> bool {
        let is = |known: &str| bool::from(known.as_bytes().ct_eq(token.as_bytes()));
        is(admins) || self.tokens.iter().any(|it| is(&it.digest) && !it.is_over(now))
    }

    /// Who a token of that digest speaks for, and whether this use is worth being written down. All are compared, and
    /// each comparison takes as long for any digest.
    fn holder(&mut self, admins: &str, token: &str, now: Timestamp) -> Option<(Grant, bool)> {
        let is = |known: &str| bool::from(known.as_bytes().ct_eq(token.as_bytes()));
        let found = self.tokens.iter_mut().filter(|it| is(&it.digest)).last();
        if is(admins) {
            return Some((admin(), false));
        }
        let found = found.filter(|it| !it.is_over(now))?;
        let news = found.note(now);
        Some((found.grant(), news))
    }
}

impl TokenView {
    fn of(token: &Token, sessions: usize, now: Timestamp) -> Self {
        Self {
            name: token.name.to_string(),
            role: token.role,
            targets: token.targets.iter().map(|it| it.as_str().to_owned()).collect(),
            made_by: Some(token.made_by.clone()),
            made_at: Some(token.made_at),
            until: token.until,
            expired: token.is_over(now),
            used_at: token.used_at,
            sessions,
        }
    }
}

fn admin() -> Grant {
    Grant { actor: ADMIN.into(), role: Role::Admin, targets: vec![] }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens([secret])")
    }
}

/// 256 random bits as a name of 64 hex digits.
pub(super) fn random_name() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// What secrets are compared and looked up by, in hex: its timing says nothing about the secret.
pub(super) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
