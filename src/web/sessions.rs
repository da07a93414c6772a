//! Who is signed in with a browser. Kept in memory: a restart signs everybody out, and a sign-out is final.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::access::{digest, random_name};

/// How long a session lives: a working week and a weekend.
const LIVES: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How many sessions there may be at once; the one that would end first makes room.
const MOST: usize = 1000;
/// How many one-time links may be unused at once.
const LINKS: usize = 16;
/// How many wrong tokens an address may send in a minute.
const TRIES: u32 = 10;
/// How long an address that sent more is not listened to.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// The sessions of one bot. Secrets are kept as digests only.
#[derive(Default)]
pub(super) struct Sessions {
    open: HashMap<[u8; 32], Session>,
    links: Vec<[u8; 32]>,
    wrong: HashMap<IpAddr, Wrong>,
}

/// One signed-in browser.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Who.
    pub(super) actor: &'static str,
    /// What its forms must carry.
    pub(super) csrf: String,
    until: Timestamp,
}

struct Wrong {
    tries: u32,
    since: Timestamp,
}

impl Sessions {
    /// Opens a session and gives its secret name.
    pub(super) fn begin(&mut self, actor: &'static str, now: Timestamp) -> String {
        self.open.retain(|_, session| now < session.until);
        while self.open.len() >= MOST {
            let first = self.open.iter().min_by_key(|(_, session)| session.until).map(|(name, _)| *name);
            first.map(|name| self.open.remove(&name));
        }
        let name = fresh();
        let until = now.checked_add(LIVES).unwrap_or(Timestamp::MAX);
        self.open.insert(digest(&name), Session { actor, csrf: fresh(), until });
        name
    }

    /// The session of that secret name.
    pub(super) fn find(&self, name: &str, now: Timestamp) -> Option<Session> {
        self.open.get(&digest(name)).filter(|session| now < session.until).cloned()
    }

    /// Ends a session.
    pub(super) fn end(&mut self, name: &str) {
        self.open.remove(&digest(name));
    }

    /// A secret that opens one session.
    pub(super) fn one_time(&mut self) -> String {
        if self.links.len() >= LINKS {
            self.links.remove(0);
        }
        let secret = fresh();
        self.links.push(digest(&secret));
        secret
    }

    /// Whether the secret was one of those; it is not from now on.
    pub(super) fn redeem(&mut self, secret: &str) -> bool {
        let secret = digest(secret);
        let before = self.links.len();
        self.links.retain(|link| *link != secret);
        self.links.len() < before
    }

    /// How long an address has to wait before it may try a token again.
    pub(super) fn must_wait(&mut self, address: IpAddr, now: Timestamp) -> Option<SignedDuration> {
        self.wrong.retain(|_, wrong| now.duration_since(wrong.since) < PAUSE);
        let wrong = self.wrong.get(&address).filter(|wrong| wrong.tries >= TRIES)?;
        Some(PAUSE - now.duration_since(wrong.since))
    }

    /// Counts a wrong token.
    pub(super) fn count_wrong(&mut self, address: IpAddr, now: Timestamp) {
        let wrong = self.wrong.entry(address).or_insert(Wrong { tries: 0, since: now });
        wrong.tries += 1;
    }
}

/// A new secret name.
pub(super) fn fresh() -> String {
    random_name().expect("the system gave random numbers when the token was made, and does not stop")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_or_at_once() {
        let mut sessions = Sessions::default();
        let start = Timestamp::UNIX_EPOCH;
        let (one, other) = (sessions.begin("admin", start), sessions.begin("admin", start));
        assert_eq!(sessions.find(&one, start).unwrap().actor, "admin");
        assert!(sessions.find(&one, start + LIVES).is_none());
        sessions.end(&other);
        assert!(sessions.find(&other, start).is_none());
        assert!(sessions.find("", start).is_none());
    }

    #[test]
    fn a_link_opens_once() {
        let mut sessions = Sessions::default();
        let secret = sessions.one_time();
        assert!(!sessions.redeem("guess"));
        assert!(sessions.redeem(&secret));
        assert!(!sessions.redeem(&secret));
    }

    #[test]
    fn guessing_is_slowed_down_for_the_one_who_guesses() {
        let mut sessions = Sessions::default();
        let (bad, good) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Timestamp::UNIX_EPOCH;
        for _ in 0..TRIES {
            assert!(sessions.must_wait(bad, start).is_none());
            sessions.count_wrong(bad, start);
        }
        assert_eq!(sessions.must_wait(bad, start), Some(PAUSE));
        assert!(sessions.must_wait(good, start).is_none());
        assert!(sessions.must_wait(bad, start + PAUSE).is_none());
    }
}
