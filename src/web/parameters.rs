//! What stands behind the `?` of a path of the API: only what it takes. It never reads what a parameter means.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::forms::Fields;
use super::respond::{Problem, Refusal};

/// A request's parameters, if they are of those that its path takes: with a filter that is none, an answer would show
/// what nobody asked for.
pub(super) fn parameters(request: &HttpRequest, known: &[&str]) -> Result<Fields, Refusal> {
    let fields = Fields::of(request);
    let Some((name, _)) = fields.pairs().find(|(name, _)| !known.contains(name)) else { return Ok(fields) };
    let name: String = name.chars().take(80).collect();
    let help = if known.is_empty() { "this takes none".into() } else { format!("there are {}", known.join(", ")) };
    Err(Refusal::new(400, format!("there is no parameter `{name}`")).help(help))
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
