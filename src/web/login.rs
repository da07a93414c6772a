//! Signing in and out with a browser: a token, or a link that works once, for a cookie.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;

use super::WebState;
use super::door::{Attempt, Writer, cookie_name, is_from_elsewhere, save, session_name, whose};
use super::forms::Fields;
use super::frame::LoginPage;
use super::respond::{Refusal, Sorry, answer, local, page, see_other};
use crate::domain::{Act, Grant};

/// How long browsers keep the cookie, in seconds; the session itself may end before.
const KEPT: u32 = 7 * 24 * 3600;

/// `GET /login`: the form; with `?once=` it signs in at once, the first time.
pub(super) async fn form(state: Data<WebState>, request: HttpRequest) -> Result<HttpResponse, Sorry> {
    let query = Fields::parse(request.query_string().as_bytes());
    let (next, github) = (local(query.get("next").unwrap_or("/")), state.admissions.is_some());
    let Some(once) = query.get("once") else {
        return page(&LoginPage { next, github, wrong: None });
    };
    let Some((grant, name)) = state.tokens.sign_in_once(once, state.clock.now()) else {
        let wrong = Some("this link has been used, or is from before the last restart");
        return page(&LoginPage { next, github, wrong });
    };
    welcome(&state, &grant).await;
    Ok(signed_in(&name, state.secure, next))
}

/// `POST /login`: the token.
pub(super) async fn sign_in(state: Data<WebState>, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Sorry> {
    if is_from_elsewhere(&request) {
        return Err(Refusal::new(403, "the form is not one of this site").help("open `/login` here").into());
    }
    let fields = Fields::parse(&body);
    let (now, next) = (state.clock.now(), local(fields.get("next").unwrap_or("/")));
    let address = whose(&request, &state);
    must_wait(&state, address, now)?;
    let token = fields.get("token").unwrap_or_default().trim();
    let Some((grant, name)) = state.tokens.sign_in(token, now) else {
        state.tokens.way().count_wrong(address, now);
        Attempt::of(&request, &state).denied("sign-in", None, "somebody tried to sign in with a wrong token");
        let wrong = Some("this token is not known here");
        let mut response = page(&LoginPage { next, github: state.admissions.is_some(), wrong })?;
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(response);
    };
    welcome(&state, &grant).await;
    Ok(signed_in(&name, state.secure, next))
}

/// Refuses a source that has guessed too often, for a while.
pub(super) fn must_wait(state: &WebState, address: IpAddr, now: Timestamp) -> Result<(), Refusal> {
    let Some(pause) = state.tokens.way().must_wait(address, now) else { return Ok(()) };
    let seconds = u64::try_from(pause.as_secs()).unwrap_or(0) + 1;
    let help = format!("wait {seconds} s and try again");
    state.figures.denied("sign-in");
    Err(Refusal::new(429, "too many wrong tokens or sign-ins").help(help).retry_after(seconds))
}

/// Writes down that somebody was let in. Whoever comes to mend a full disk is let in although it cannot be.
pub(super) async fn welcome(state: &WebState, grant: &Grant) {
    save(&state.tokens);
    if let Err(error) = state.asks.administered(&grant.actor, Act::SignedIn).await {
        tracing::warn!(actor = grant.actor, %error, "that somebody signed in is not in the audit trail");
    }
}

/// `POST /logout`: the session is over, also for whoever copied the cookie.
pub(super) async fn sign_out(
    writer: Writer,
    state: Data<WebState>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    writer.proven(Fields::parse(&body).get("csrf"))?;
    if let Some(name) = session_name(&request, &state) {
        state.tokens.sign_out(name);
        save(&state.tokens);
    }
    let cookie = session_cookie(state.secure, "", 0);
    Ok(answer(StatusCode::SEE_OTHER).insert_header((LOCATION, "/login")).insert_header((SET_COOKIE, cookie)).finish())
}

fn signed_in(name: &str, secure: bool, next: &str) -> HttpResponse {
    let mut response = see_other(next);
    if let Ok(cookie) = session_cookie(secure, name, KEPT).parse() {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// What a browser keeps of a session for so many seconds, and sends with what pages of ours ask for alone.
pub(super) fn session_cookie(secure: bool, value: &str, seconds: u32) -> String {
    let name = cookie_name(secure);
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}
