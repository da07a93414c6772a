//! Who is signed in with a browser, and who may try to. Pure: times come in, and `keyring` keeps what must outlive us.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::access::{digest, random_name};
use crate::config::source_of;
use crate::domain::{Grant, Pattern, Role};

/// How long a session lives at most: a working week and a weekend.
const LIVES: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long one lives that GitHub opened: who has left an organisation is not let in again after that.
pub(super) const LIVES_BY_GITHUB: SignedDuration = SignedDuration::from_hours(12);
/// How long it lives unused: a weekend.
const IDLES: SignedDuration = SignedDuration::from_hours(72);
/// How often a use is worth being written down.
pub(super) const NOTED: SignedDuration = SignedDuration::from_mins(10);
/// How many sessions there may be at once; the oldest makes room.
const MOST: usize = 1000;
/// How many one-time links may be unused at once.
const LINKS: usize = 16;
/// How many states that came back are remembered; each that is forgotten is of a code that GitHub takes once.
const SPENT: usize = 1000;
/// How many wrong tokens a source may send in a minute: an address, or a network of IPv6.
const TRIES: u32 = 10;
/// How long a source that sent more is not listened to.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// How many sources are remembered for it.
const SOURCES: usize = 10_000;

/// One signed-in browser. Its name is a secret, and only the digest of it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    name: String,
    /// The digest of the token that it was opened with: it ends with that token. Empty where GitHub let somebody in.
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guest: Option<Guest>,
    since: Timestamp,
    seen: Timestamp,
}

/// Somebody whom GitHub spoke for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guest {
    pub(super) actor: String,
    pub(super) role: Role,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) targets: Vec<Pattern>,
    /// What tells the rules by which they were let in.
    pub(super) rules: String,
}

/// Whom a session is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Whoever had the token of this digest.
    Token(String),
    /// Somebody whom GitHub spoke for.
    Guest(Guest),
}

impl Session {
    fn is_over(&self, now: Timestamp) -> bool {
        let lives = if self.guest.is_some() { LIVES_BY_GITHUB } else { LIVES };
        now.duration_since(self.since) >= lives || now.duration_since(self.seen) >= IDLES
    }

    fn holder(&self) -> Holder {
        self.guest.clone().map_or_else(|| Holder::Token(self.token.clone()), Holder::Guest)
    }

    /// Notes a use; whether that is worth being written down.
    fn note(&mut self, now: Timestamp) -> bool {
        let worth = now.duration_since(self.seen) >= NOTED;
        if worth {
            self.seen = now;
        }
        worth
    }
}

impl Guest {
    /// Who that is, and how far they may go.
    pub(super) fn grant(self) -> Grant {
        Grant { actor: self.actor, role: self.role, targets: self.targets }
    }
}

/// The sessions of one bot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sessions(Vec<Session>);

impl Sessions {
    /// Opens a session, and gives its secret name.
    pub(super) fn begin(&mut self, holder: Holder, now: Timestamp) -> String {
        self.0.retain(|session| !session.is_over(now));
        if self.0.len() >= MOST {
            // They lie in the order of their begin.
            self.0.remove(0);
        }
        let name = fresh();
        let (token, guest) = match holder {
            Holder::Token(token) => (token, None),
            Holder::Guest(guest) => (String::new(), Some(guest)),
        };
        self.0.push(Session { name: digest(&name), token, guest, since: now, seen: now });
        name
    }

    /// Whom a session is of, and whether this use is worth being written down.
    pub(super) fn find(&mut self, name: &str, now: Timestamp) -> Option<(Holder, bool)> {
        let name = digest(name);
        let session = self.0.iter_mut().find(|session| session.name == name && !session.is_over(now))?;
        let worth = session.note(now);
        Some((session.holder(), worth))
    }

    /// Whom a session is of. That is no use of it.
    pub(super) fn holder(&self, name: &str, now: Timestamp) -> Option<Holder> {
        let name = digest(name);
        self.0.iter().find(|session| session.name == name && !session.is_over(now)).map(Session::holder)
    }

    /// Those that GitHub opened and that are not over: whom each is of, and since when.
    pub(super) fn guests(&self, now: Timestamp) -> impl Iterator<Item = (&Guest, Timestamp)> {
        let open = self.0.iter().filter(move |session| !session.is_over(now));
        open.filter_map(|session| Some((session.guest.as_ref()?, session.since)))
    }

    /// Ends those that GitHub opened for somebody, and says how many.
    pub(super) fn end_guest(&mut self, actor: &str) -> usize {
        let before = self.0.len();
        self.0.retain(|session| session.guest.as_ref().is_none_or(|guest| guest.actor != actor));
        before - self.0.len()
    }

    /// Ends those that GitHub opened by other rules than these, or all of them where there are none.
    pub(super) fn end_guests_but(&mut self, rules: Option<&str>) {
        self.0.retain(|session| session.guest.as_ref().is_none_or(|guest| Some(guest.rules.as_str()) == rules));
    }

    /// Ends a session; whether there was one.
    pub(super) fn end(&mut self, name: &str) -> bool {
        let (name, before) = (digest(name), self.0.len());
        self.0.retain(|session| session.name != name);
        self.0.len() < before
    }

    /// Ends all that were opened with a token of this digest, and says how many.
    pub(super) fn end_all(&mut self, token: &str) -> usize {
        let before = self.0.len();
        self.0.retain(|session| session.token != token);
        before - self.0.len()
    }

    /// How many are open with a token of this digest.
    pub(super) fn count(&self, token: &str, now: Timestamp) -> usize {
        self.0.iter().filter(|session| session.token == token && !session.is_over(now)).count()
    }
}

/// What the forms of a session must carry: no other site can tell it, and nothing needs to be kept of it.
pub(super) fn csrf(name: &str) -> String {
    digest(&format!("form of {name}"))
}

/// Secrets that sign in once, and sources that guess. None of it outlives the process.
#[derive(Default)]
pub(super) struct Way {
    links: Vec<String>,
    /// States that GitHub has sent back, the newest last.
    spent: VecDeque<String>,
    wrong: HashMap<IpAddr, Wrong>,
}

struct Wrong {
    tries: u32,
    since: Timestamp,
}

impl Way {
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

    /// Whether a state comes back from GitHub for the first time.
    pub(super) fn spend(&mut self, state: &str) -> bool {
        if self.spent.iter().any(|it| it == state) {
            return false;
        }
        if self.spent.len() >= SPENT {
            self.spent.pop_front();
        }
        self.spent.push_back(state.to_owned());
        true
    }

    /// How long an address has to wait before it may try a token again.
    pub(super) fn must_wait(&self, address: IpAddr, now: Timestamp) -> Option<SignedDuration> {
        let wrong = self.wrong.get(&source_of(address)).filter(|wrong| wrong.tries >= TRIES)?;
        let rest = PAUSE - now.duration_since(wrong.since);
        rest.is_positive().then_some(rest)
    }

    /// Counts a wrong token.
    pub(super) fn count_wrong(&mut self, address: IpAddr, now: Timestamp) {
        if self.wrong.len() >= SOURCES {
            self.wrong.retain(|_, wrong| now.duration_since(wrong.since) < PAUSE);
        }
        if self.wrong.len() >= SOURCES {
            self.wrong.clear();
        }
        let wrong = self.wrong.entry(source_of(address)).or_insert(Wrong { tries: 0, since: now });
        if now.duration_since(wrong.since) >= PAUSE {
            *wrong = Wrong { tries: 0, since: now };
        }
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

    fn of(token: &str) -> Holder {
        Holder::Token(token.into())
    }

    #[test]
    fn a_session_ends_by_itself_or_at_once_or_with_its_token() {
        let mut sessions = Sessions::default();
        let start = Timestamp::UNIX_EPOCH;
        let (one, other, third) =
            (sessions.begin(of("a"), start), sessions.begin(of("a"), start), sessions.begin(of("b"), start));
        assert_eq!(sessions.find(&one, start), Some((of("a"), false)));
        assert!(sessions.find("", start).is_none());
        assert!(sessions.end(&other) && !sessions.end(&other));
        assert!(sessions.find(&other, start).is_none());
        assert_eq!((sessions.count("a", start), sessions.end_all("a"), sessions.end_all("a")), (1, 1, 0));
        assert!(sessions.find(&one, start).is_none() && sessions.find(&third, start).is_some());
    }

    #[test]
    fn a_session_that_is_used_lives_a_week_and_one_that_is_not_a_weekend() {
        let mut sessions = Sessions::default();
        let start = Timestamp::UNIX_EPOCH;
        let (used, idle) = (sessions.begin(of("a"), start), sessions.begin(of("a"), start));
        let hours = |hours| start + SignedDuration::from_hours(hours);
        for at in (24..168).step_by(24) {
            assert_eq!(sessions.find(&used, hours(at)), Some((of("a"), true)), "{at}");
            assert_eq!(sessions.find(&used, hours(at)), Some((of("a"), false)), "once in ten minutes is enough");
        }
        assert!(sessions.find(&idle, hours(72)).is_none());
        assert!(sessions.find(&used, hours(168)).is_none());
    }

    #[test]
    fn a_session_that_github_opened_lives_half_a_day_and_ends_with_the_rules_that_let_it_in() {
        let mut sessions = Sessions::default();
        let start = Timestamp::UNIX_EPOCH;
        let guest = |rules: &str| {
            let (actor, role, rules) = ("ada on GitHub".into(), Role::Deploy, rules.into());
            Holder::Guest(Guest { actor, role, targets: vec![], rules })
        };
        let (old, new, token) =
            (sessions.begin(guest("old"), start), sessions.begin(guest("new"), start), sessions.begin(of("a"), start));
        let at = |minutes| start + SignedDuration::from_mins(minutes);
        assert_eq!(sessions.find(&new, at(12 * 60 - 1)).map(|it| it.0), Some(guest("new")));
        assert!(sessions.find(&new, at(12 * 60)).is_none(), "however much it was used");
        sessions.end_guests_but(Some("new"));
        assert!(sessions.find(&old, start).is_none() && sessions.find(&new, start).is_some());
        sessions.end_guests_but(None);
        assert!(sessions.find(&new, start).is_none() && sessions.find(&token, start).is_some());
    }

    #[test]
    fn a_state_comes_back_once() {
        let mut way = Way::default();
        assert!(way.spend("a") && !way.spend("a") && way.spend("b"));
        (0..2 * SPENT).for_each(|it| assert!(way.spend(&it.to_string())));
        assert_eq!(way.spent.len(), SPENT);
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let mut sessions = Sessions::default();
        let start = Timestamp::UNIX_EPOCH;
        let first = sessions.begin(of("a"), start);
        let second = sessions.begin(of("a"), start);
        (2..=MOST).for_each(|_| drop(sessions.begin(of("a"), start)));
        assert!(sessions.find(&first, start).is_none() && sessions.find(&second, start).is_some());
    }

    #[test]
    fn a_link_opens_once() {
        let mut way = Way::default();
        let secret = way.one_time();
        assert!(!way.redeem("guess"));
        assert!(way.redeem(&secret));
        assert!(!way.redeem(&secret));
    }

    #[test]
    fn guessing_is_slowed_down_for_the_one_who_guesses() {
        let mut way = Way::default();
        let (bad, good) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Timestamp::UNIX_EPOCH;
        for _ in 0..TRIES {
            assert!(way.must_wait(bad, start).is_none());
            way.count_wrong(bad, start);
        }
        assert_eq!(way.must_wait(bad, start), Some(PAUSE));
        assert!(way.must_wait(good, start).is_none());
        assert!(way.must_wait(bad, start + PAUSE).is_none());
        way.count_wrong(bad, start + PAUSE);
        assert!(way.must_wait(bad, start + PAUSE).is_none(), "the count begins anew");
    }

    #[test]
    fn a_network_of_ipv6_guesses_as_one() {
        let mut way = Way::default();
        let (start, of) = (Timestamp::UNIX_EPOCH, |net: u16, host: u16| [0x2001, 0xdb8, 0, net, 0, 0, 0, host].into());
        (0..10).for_each(|host| way.count_wrong(of(1, host), start));
        assert_eq!(way.must_wait(of(1, 99), start), Some(PAUSE));
        assert!(way.must_wait(of(2, 1), start).is_none());
    }

    #[test]
    fn addresses_that_guess_do_not_fill_the_memory() {
        let mut way = Way::default();
        for address in 0..3 * SOURCES as u32 {
            way.count_wrong(IpAddr::from(address.to_be_bytes()), Timestamp::UNIX_EPOCH);
        }
        assert!(way.wrong.len() <= SOURCES);
    }
}
