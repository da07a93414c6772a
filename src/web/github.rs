//! Signing in with GitHub: the browser goes there and comes back with a code, which says who it is. What ties the two is a
//! cookie of this browser alone; a code that it did not ask for opens nothing.
//!
//! The cookie is `Lax`, for browsers keep a strict one back when GitHub sends them here. The session's is strict: the way on
//! is therefore a page of ours that asks for the next one, and no redirect.

use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::WebState;
use super::door::{Attempt, cookie_of, whose};
use super::forms::Fields;
use super::frame::{BouncePage, LoginPage};
use super::login::{must_wait, session_cookie, welcome};
use super::respond::{Refusal, Sorry, local, page, see_other};
use super::sessions::LIVES_BY_GITHUB;
use super::trip::Trip;
use crate::asking::{Admissions, NotAdmitted};
use crate::domain::on_github;

/// How long somebody may take at GitHub, in seconds: its codes are good for as long.
const WITHIN: u32 = 600;

/// `GET /login/start`: away to GitHub.
pub(super) async fn away(state: Data<WebState>, request: HttpRequest) -> Result<HttpResponse, Sorry> {
    let admissions = offered(&state)?;
    let query = Fields::parse(request.query_string().as_bytes());
    let trip = Trip::begin(local(query.get("next").unwrap_or("/")));
    let there = see_other(&admissions.address(&trip.state(), &trip.verifier()));
    // Another window of this browser may be on its way, too.
    let others = under_way(&request, &state);
    Ok(keeping(there, &ways(state.secure, std::iter::once(&trip).chain(&others))))
}

/// `GET /login/github`: back from there. Whatever comes of it, this way is over, and no other one is.
pub(super) async fn back(state: Data<WebState>, request: HttpRequest) -> Result<HttpResponse, Sorry> {
    let admissions = offered(&state)?;
    let query = Fields::parse(request.query_string().as_bytes());
    let Some(named) = query.get("state") else { return Ok(see_other("/login")) };
    let (now, address) = (state.clock.now(), whose(&request, &state));
    must_wait(&state, address, now)?;
    let (mine, others): (Vec<Trip>, Vec<Trip>) =
        under_way(&request, &state).into_iter().partition(|trip| trip.is_of(named));
    let Some(trip) = mine.into_iter().next().filter(|trip| state.tokens.way().spend(&trip.state())) else {
        // That is no guess, for nobody guesses a state, and any page can send any browser here.
        Attempt::of(&request, &state).denied("sign-in", None, "somebody came back from GitHub who was not sent there");
        let said = "that sign-in is over, or began in another browser: begin again";
        return form_again("/", StatusCode::UNAUTHORIZED, said);
    };
    let (next, left) = (local(&trip.next), ways(state.secure, &others));
    let over = |status, said: &str| Ok(keeping(form_again(next, status, said)?, &left));
    let Some(code) = query.get("code") else {
        let said = match query.get("error") {
            Some("access_denied") => "GitHub was not allowed to say who you are".to_owned(),
            other => {
                let error =
                    other.unwrap_or("no code").chars().filter(char::is_ascii_graphic).take(60).collect::<String>();
                tracing::warn!(error, "GitHub sent somebody back without a code");
                "GitHub sent you back without a word on who you are: an administrator finds why in the log".to_owned()
            }
        };
        return over(StatusCode::UNAUTHORIZED, &said);
    };
    match admissions.admit(code, &trip.verifier()).await {
        Ok(grant) => {
            let session = state.tokens.sign_in_by_github(grant.clone(), &admissions.rules(), now);
            welcome(&state, &grant).await;
            let seconds = u32::try_from(LIVES_BY_GITHUB.as_secs()).unwrap_or(0);
            let on = keeping(page(&BouncePage { to: next })?, &session_cookie(state.secure, &session, seconds));
            Ok(keeping(on, &left))
        }
        Err(why) => {
            if why == NotAdmitted::Stale {
                state.tokens.way().count_wrong(address, now);
            }
            let (status, said) = told(&why, &Attempt::of(&request, &state));
            over(status, &said)
        }
    }
}

/// What somebody reads who is not let in: nothing that a stranger should not know. The log has the rest.
fn told(why: &NotAdmitted, attempt: &Attempt) -> (StatusCode, String) {
    match why {
        NotAdmitted::Stale => {
            attempt.denied("sign-in", None, "a code came that GitHub does not take");
            (StatusCode::UNAUTHORIZED, "GitHub does not know this sign-in any more: begin again".into())
        }
        NotAdmitted::Stranger { login } => {
            attempt.denied("sign-in", Some(&on_github(login)), "no rule of `[login]` lets them in");
            let text =
                format!("you are {login} at GitHub, who may not sign in here: ask whoever runs this bot to be let in");
            (StatusCode::FORBIDDEN, text)
        }
        NotAdmitted::Unverified => {
            (StatusCode::FORBIDDEN, "verify the e-mail address of your account at GitHub, then sign in again".into())
        }
        NotAdmitted::Busy => {
            let text = "many people are signing in just now: try again in a moment";
            (StatusCode::SERVICE_UNAVAILABLE, text.into())
        }
        NotAdmitted::Untold(failure) => {
            let (code, help) = (failure.code.as_str(), failure.help.as_deref());
            tracing::warn!(code, help, "nobody can sign in with GitHub: {}", failure.message);
            if failure.passing {
                let text = "GitHub could not be asked just now: try again in a while, or sign in with a token";
                (StatusCode::SERVICE_UNAVAILABLE, text.into())
            } else {
                let text = format!(
                    "GitHub does not say who you are or what you belong to ({code}): an administrator finds why in the log"
                );
                (StatusCode::BAD_GATEWAY, text)
            }
        }
    }
}

fn offered(state: &WebState) -> Result<&Admissions, Refusal> {
    let none = || Refusal::new(404, "nobody signs in with GitHub here").help("sign in with a token at `/login`");
    state.admissions.as_deref().ok_or_else(none)
}

/// The form again, with what became of this way.
fn form_again(next: &str, status: StatusCode, wrong: &str) -> Result<HttpResponse, Sorry> {
    let mut response = page(&LoginPage { next, github: true, wrong: Some(wrong) })?;
    *response.status_mut() = status;
    Ok(response)
}

/// The ways that this browser has begun.
fn under_way(request: &HttpRequest, state: &WebState) -> Vec<Trip> {
    cookie_of(request, name(state.secure)).map(Trip::all_kept).unwrap_or_default()
}

/// What the browser keeps of the ways that are not over.
fn ways<'a>(secure: bool, trips: impl IntoIterator<Item = &'a Trip>) -> String {
    let kept = Trip::cookies(trips);
    cookie(secure, &kept, if kept.is_empty() { 0 } else { WITHIN })
}

fn keeping(mut response: HttpResponse, cookie: &str) -> HttpResponse {
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn name(secure: bool) -> &'static str {
    if secure { "__Host-landfall-github" } else { "landfall-github" }
}

fn cookie(secure: bool, value: &str, seconds: u32) -> String {
    let (name, secure) = (name(secure), if secure { "; Secure" } else { "" });
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}
