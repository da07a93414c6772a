//! The door: who may read, who may ask. There is no exemption by address: behind a proxy, everybody is local.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, COOKIE};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use super::WebState;
use super::access::{Known, Pass, Tokens, digest};
use super::respond::{Problem, Refusal, Sorry, bounce, to_login};
use crate::board::{Board, Figures};
use crate::clients::Telling;
use crate::domain::{Ask, Denied, Grant, Offset, Role, Subject};

/// The header that carries the CSRF token where no form does.
const CSRF_HEADER: &str = "X-CSRF-Token";

/// How much of a path the log shows.
const LONGEST_PATH: usize = 200;

/// Proof that the request may be answered with what the bot knows.
#[derive(Debug)]
pub(super) struct Reader(Option<Known>, Attempt, Offset);

/// Proof that somebody known looks at what they may ask for; where reading is free, too.
#[derive(Debug)]
pub(super) struct Asker(pub(super) Reader);

/// A request to change something, by somebody who is known. Who it is shows only by [`Writer::proven`].
#[derive(Debug)]
pub(super) struct Writer(Known, Attempt);

/// Somebody whom no other site made ask. Who it is shows only where the role is enough.
#[derive(Debug)]
pub(super) struct Proven(Grant, Attempt);

/// A request, as the log and the figures tell of it where somebody is turned away.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    address: IpAddr,
    what: String,
    at: Timestamp,
    figures: Figures,
    telling: Telling,
}

impl Attempt {
    pub(super) fn of(request: &HttpRequest, state: &WebState) -> Self {
        let path: String = request.path().chars().take(LONGEST_PATH).collect();
        let (what, at) = (format!("{} {path}", request.method()), state.clock.now());
        let (figures, telling) = (state.figures.clone(), state.telling.clone());
        Self { address: whose(request, state), what, at, figures, telling }
    }

    /// Counts that whoever has this token was turned away, and says so in the log; of a flood not all.
    pub(super) fn denied(&self, why: &'static str, token: Option<&str>, told: &str) {
        self.figures.denied(why);
        if let Some(untold) = self.telling.admit(why, self.at) {
            let (address, request) = (self.address, self.what.as_str());
            tracing::warn!(client.address = %address, token.name = token, why, request, untold, "turned away: {told}");
        }
    }

    /// The refusal of somebody who may not.
    fn refused(&self, denied: &Denied) -> Refusal {
        let (why, actor) = match denied {
            Denied::Role { actor, .. } => ("role", actor),
            Denied::Target { actor, .. } | Denied::Everything { actor, .. } => ("target", actor),
        };
        self.denied(why, Some(actor), &denied.to_string());
        Refusal::new(403, denied.to_string()).help("ask an administrator for a token that may: `landfall token new`")
    }
}

impl Reader {
    /// What the forms of a page for this reader must carry; nothing where there is no session.
    pub(super) fn csrf(&self) -> Option<&str> {
        self.0.as_ref().and_then(|known| known.csrf.as_deref())
    }

    /// Who reads; nothing where reading is free, and nobody said who they are.
    pub(super) fn grant(&self) -> Option<&Grant> {
        self.0.as_ref().map(|known| &known.grant)
    }

    /// Where the ledger ended when they asked: what is answered is of then or later.
    pub(super) fn since(&self) -> Offset {
        self.2
    }

    /// By what they are known; nothing where reading is free, and nobody said who they are.
    pub(super) fn pass(&self) -> Option<Pass> {
        self.0.as_ref().map(|known| known.pass.clone())
    }

    /// Who would ask, where a session is theirs, and it is theirs to ask.
    pub(super) async fn may_ask(&self, what: &Ask, board: &Board) -> Result<String, Refusal> {
        let known = self.0.as_ref().filter(|it| it.csrf.is_some());
        let unknown = || Refusal::new(401, "this needs a session").help("sign in");
        Proven(known.ok_or_else(unknown)?.grant.clone(), self.1.clone()).who_asks(what, board).await
    }

    /// Whether the role reaches so far. Who is unknown, though reading is free, reaches nothing beyond that.
    pub(super) fn reaches(&self, needs: Role) -> Result<(), Refusal> {
        let unknown = || Refusal::new(401, "this needs a token or a session").help("sign in");
        let grant = self.grant().ok_or_else(unknown)?;
        grant.reaches(needs).map_err(|denied| self.1.refused(&denied))
    }
}

impl Writer {
    /// Somebody who asks, once it is sure that a page of ours made their browser ask.
    pub(super) fn proven(self, csrf: Option<&str>) -> Result<Proven, Refusal> {
        if let Some(expected) = &self.0.csrf {
            let same = bool::from(digest(expected).as_bytes().ct_eq(digest(csrf.unwrap_or_default()).as_bytes()));
            if !same {
                self.1.denied("form", Some(&self.0.grant.actor), "the form is not one of this session");
                return Err(Refusal::new(403, "the form is not one of this session")
                    .help("go back, reload the page and try again"));
            }
        }
        Ok(Proven(self.0.grant, self.1))
    }

    /// The same, with the secret in its header, as programs and scripts send it.
    pub(super) fn proven_by_header(self, request: &HttpRequest) -> Result<Proven, Refusal> {
        self.proven(request.headers().get(CSRF_HEADER).and_then(|it| it.to_str().ok()))
    }
}

impl Proven {
    /// Who asks for what is about no target.
    pub(super) fn with(self, needs: Role) -> Result<String, Refusal> {
        self.0.reaches(needs).map_err(|denied| self.1.refused(&denied))?;
        Ok(self.0.actor)
    }

    /// Who asks, where it is theirs to ask.
    pub(super) async fn who_asks(self, what: &Ask, board: &Board) -> Result<String, Refusal> {
        self.0.reaches(what.role()).map_err(|denied| self.1.refused(&denied))?;
        if self.0.is_held() {
            self.covers(what.subject(), board).await?;
        }
        Ok(self.0.actor)
    }

    async fn covers(&self, subject: Subject<'_>, board: &Board) -> Result<(), Refusal> {
        let covered = match subject {
            Subject::Target(target) => self.0.covers(Some(target)),
            Subject::Everything => self.0.covers(None),
            Subject::Deployment(id) => match board.target_of(id).await? {
                Some(target) => self.0.covers(Some(&target)),
                // Whoever carries it out says that there is no such deployment.
                None => Ok(()),
            },
        };
        covered.map_err(|denied| self.1.refused(&denied))
    }
}

impl FromRequest for Reader {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = state(request);
        let attempt = Attempt::of(request, state);
        ready(match known(request, state) {
            Some(known) => Ok(Self(Some(known), attempt, state.board.end())),
            // The link of a commit status leads here: who is signed in is known at the second try.
            None if state.public_reads && is_led_here(request) => Err(bounce(request.uri()).into()),
            None if state.public_reads && has_no_credentials(request) => Ok(Self(None, attempt, state.board.end())),
            None => Err(turned_away(request)),
        })
    }
}

impl FromRequest for Asker {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = state(request);
        let attempt = Attempt::of(request, state);
        let asker = known(request, state).map(|known| Self(Reader(Some(known), attempt, state.board.end())));
        ready(asker.ok_or_else(|| turned_away(request)))
    }
}

impl FromRequest for Writer {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = state(request);
        let attempt = Attempt::of(request, state);
        ready(known(request, state).map(|known| Self(known, attempt)).ok_or_else(|| turned_away(request)))
    }
}

/// Who asks: who made the connection, or whom a configured proxy saw.
pub(super) fn whose(request: &HttpRequest, state: &WebState) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.ip());
    let lines: Vec<&str> = request.headers().get_all("x-forwarded-for").filter_map(|line| line.to_str().ok()).collect();
    state.proxies.asks(peer, lines.into_iter())
}

/// The name of the session that a browser says it has.
pub(super) fn session_name<'a>(request: &'a HttpRequest, state: &WebState) -> Option<&'a str> {
    cookie_of(request, cookie_name(state.secure))
}

/// What a browser has kept under a name.
pub(super) fn cookie_of<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let lines = request.headers().get_all(COOKIE).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The cookie's name; the prefix makes browsers refuse it from other hosts and without https.
pub(super) fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-landfall" } else { "landfall" }
}

/// Whether a browser says that a page of another site made it send this.
pub(super) fn is_from_elsewhere(request: &HttpRequest) -> bool {
    let from = request.headers().get("Sec-Fetch-Site").and_then(|it| it.to_str().ok());
    matches!(from, Some("cross-site" | "same-site"))
}

/// Whether a person followed another site's link to a page.
fn is_led_here(request: &HttpRequest) -> bool {
    let mode = request.headers().get("Sec-Fetch-Mode").and_then(|it| it.to_str().ok());
    is_from_elsewhere(request) && mode == Some("navigate") && !request.path().starts_with("/api/")
}

fn state(request: &HttpRequest) -> &WebState {
    request.app_data::<Data<WebState>>().expect("`routes` adds the state together with every handler")
}

fn known(request: &HttpRequest, state: &WebState) -> Option<Known> {
    let now = state.clock.now();
    let known = match request.headers().get(AUTHORIZATION) {
        Some(header) => {
            let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| state.tokens.bearer(token.trim(), now))?
        }
        None => state.tokens.session(session_name(request, state)?, now),
    }?;
    if known.news {
        save(&state.tokens);
    }
    Some(known)
}

/// Writes down who is known, while the answer goes on: it is no use to make a reader wait for it.
pub(super) fn save(tokens: &Arc<Tokens>) {
    let tokens = Arc::clone(tokens);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = tokens.write_down() {
            tracing::warn!(%error, "who is signed in cannot be written down: a restart will sign them out");
        }
    });
}

/// Somebody with a wrong token should hear of it, even where reading is free.
fn has_no_credentials(request: &HttpRequest) -> bool {
    !request.headers().contains_key(AUTHORIZATION)
}

/// What somebody unknown is answered: a program the reason, a browser the way in.
fn turned_away(request: &HttpRequest) -> actix_web::Error {
    // A browser that only came by without a session tried nothing.
    if !has_no_credentials(request) || !request.method().is_safe() {
        Attempt::of(request, state(request)).denied("unknown", None, "no token that is known came with it");
    }
    if request.path().starts_with("/api/") {
        let refusal = Refusal::new(401, "this needs a token, and none that is known came with it")
            .help("send `Authorization: Bearer TOKEN`; the first start wrote one to `token` in the data directory");
        return Problem::from(refusal).into();
    }
    if !request.method().is_safe() {
        let refusal = Refusal::new(401, "you are not signed in any more").help("sign in and do it again");
        return Sorry::from(refusal).into();
    }
    if is_from_elsewhere(request) {
        return bounce(request.uri()).into();
    }
    to_login(request.uri()).into()
}
