//! What stands behind the `?` of a path of the API: only what it takes, once, and with a value. It never reads what a
//! parameter means.

use std::collections::HashSet;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::forms::Fields;
use super::respond::{Problem, Refusal};

/// The parameter that may be there as often as wanted.
pub(super) const STREAM: &str = "stream";

/// A request's parameters, if they are of those that its path takes. With a filter that is none, that is blank because a
/// script's variable was, or that another one overrules, an answer would show what nobody asked for.
pub(super) fn parameters(request: &HttpRequest, known: &[&str]) -> Result<Fields, Refusal> {
    let fields = Fields::of(request);
    let mut seen = HashSet::new();
    for (name, value) in fields.pairs() {
        let cut: String = name.chars().take(80).collect();
        if !known.contains(&name) {
            let help =
                if known.is_empty() { "this takes none".into() } else { format!("there are {}", known.join(", ")) };
            return Err(Refusal::new(400, format!("there is no parameter `{cut}`")).help(help));
        }
        if value.is_empty() {
            return Err(Refusal::new(400, format!("`{cut}` is empty")).help("give it a value, or leave it out"));
        }
        if !seen.insert(name) && name != STREAM {
            return Err(Refusal::new(400, format!("`{cut}` is there more than once")).help("give one of them"));
        }
    }
    Ok(fields)
}

/// Proof that a request has no parameters.
pub(super) struct Bare;

impl FromRequest for Bare {
    type Error = Problem;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parameters(request, &[]).map(|_| Self).map_err(Problem::from))
    }
}
