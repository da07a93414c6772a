//! The door: who may read, who may ask. There is no exemption by address: behind a proxy, everybody is local.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, COOKIE};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use subtle::ConstantTimeEq;

use super::WebState;
use super::access::digest;
use super::respond::{Problem, Refusal, Sorry, bounce, to_login};

/// The header that carries the CSRF token where no form does.
pub(super) const CSRF_HEADER: &str = "X-CSRF-Token";

/// Somebody who is known.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Who, for the audit trail.
    actor: &'static str,
    /// What forms must carry; nothing for a bearer of a token, whom no other site can speak for.
    csrf: Option<String>,
}

/// Proof that the request may be answered with what the bot knows.
#[derive(Debug)]
pub(super) struct Reader(Option<Caller>);

/// A request to change something, by somebody who is known. Who it is shows only by [`Writer::proven`].
#[derive(Debug)]
pub(super) struct Writer(Caller);

impl Reader {
    /// What the forms of a page for this reader must carry; nothing where the reader cannot ask for anything.
    pub(super) fn csrf(&self) -> Option<&str> {
        self.0.as_ref().and_then(|caller| caller.csrf.as_deref())
    }
}

impl Writer {
    /// Who asks, once it is sure that a page of ours made their browser ask.
    pub(super) fn proven(self, csrf: Option<&str>) -> Result<String, Refusal> {
        if let Some(expected) = &self.0.csrf {
            let same = bool::from(digest(expected).ct_eq(&digest(csrf.unwrap_or_default())));
            if !same {
                return Err(Refusal::new(403, "the form is not one of this session")
                    .help("go back, reload the page and try again"));
            }
        }
        Ok(self.0.actor.to_owned())
    }
}

impl FromRequest for Reader {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = state(request);
        ready(match caller(request, state) {
            Some(caller) => Ok(Self(Some(caller))),
            None if state.public_reads && has_no_credentials(request) => Ok(Self(None)),
            None => Err(turned_away(request)),
        })
    }
}

impl FromRequest for Writer {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request, state(request)).map(Self).ok_or_else(|| turned_away(request)))
    }
}

/// The name of the session that a browser says it has.
pub(super) fn session_name<'a>(request: &'a HttpRequest, state: &WebState) -> Option<&'a str> {
    let name = cookie_name(state.secure);
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

fn state(request: &HttpRequest) -> &WebState {
    request.app_data::<Data<WebState>>().expect("`routes` adds the state together with every handler")
}

fn caller(request: &HttpRequest, state: &WebState) -> Option<Caller> {
    if let Some(header) = request.headers().get(AUTHORIZATION) {
        let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
        let actor = state.tokens.speaks_for(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        return Some(Caller { actor, csrf: None });
    }
    let session = state.tokens.sessions().find(session_name(request, state)?, state.clock.now())?;
    Some(Caller { actor: session.actor, csrf: Some(session.csrf) })
}

/// Somebody with a wrong token should hear of it, even where reading is free.
fn has_no_credentials(request: &HttpRequest) -> bool {
    !request.headers().contains_key(AUTHORIZATION)
}

/// What somebody unknown is answered: a program the reason, a browser the way in.
fn turned_away(request: &HttpRequest) -> actix_web::Error {
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
