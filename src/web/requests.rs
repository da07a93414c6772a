//! `POST /api/v1/requests`: somebody asks for something. It carries nothing out.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WebState;
use super::bodies::{self, Taken};
use super::door::Writer;
use super::parameters::Bare;
use super::respond::{Problem, Refusal, json};
use crate::domain::{Ask, DeploymentId, Offset, Request};

/// The longest key of a request: a UUID, a URL of a comment, a sentence.
const LONGEST_KEY: usize = 200;
/// The header that carries the key where the body does not.
pub(super) const KEY_HEADER: &str = "Idempotency-Key";
/// An example of what is expected, for whoever sent something else.
const EXAMPLE: &str =
    r#"send `{"key":"any text, new for each request","what":{"ask":"redeploy","deployment":"01J…"}}`"#;

/// What somebody asks for, under a key: asked again under the same one, it happens once.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object with `key` and `what`")]
#[schemars(rename = "Wish")]
pub(super) struct Asking {
    /// Any text of 1 to 200 characters, new for each request; may stand in the header `Idempotency-Key` instead.
    #[serde(default)]
    #[schemars(length(min = 1, max = LONGEST_KEY), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    key: Option<String>,
    /// What is asked for.
    what: Ask,
}

/// What came of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct AskedView {
    /// The request's place in the ledger.
    request: Offset,
    /// The deployments that were born of it.
    deployments: Vec<DeploymentId>,
    /// What there is to say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// `POST /api/v1/requests`: under one key it happens once.
pub(super) async fn request(
    writer: Writer,
    _: Bare,
    state: Data<WebState>,
    request: HttpRequest,
    body: Taken,
) -> Result<HttpResponse, Problem> {
    let who = writer.proven_by_header(&request)?;
    let Asking { key, what } = bodies::read(&request, body, EXAMPLE)?;
    let key = the_key(key, header_key(&request)?)?;
    let actor = who.who_asks(&what, &state.board).await?;
    let asked = state.asks.ask(Request { actor, key, what }).await.map_err(Refusal::from)?;
    let status = if asked.repeat { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(json(status, &AskedView { request: asked.offset, deployments: asked.deployments, text: asked.told }))
}

/// The key in the header; quotes around it, as the header's draft wants them, are no part of it.
fn header_key(request: &HttpRequest) -> Result<Option<String>, Refusal> {
    let Some(value) = request.headers().get(KEY_HEADER) else { return Ok(None) };
    let not_ascii = || Refusal::new(422, format!("`{KEY_HEADER}` has characters other than those of ASCII"));
    let text = value.to_str().map_err(|_| not_ascii().help("give such a key as `key` in the body"))?;
    let bare = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text);
    Ok(Some(bare.to_owned()))
}

fn the_key(in_body: Option<String>, in_header: Option<String>) -> Result<String, Refusal> {
    let refused = |why: String| Refusal::new(422, why).help(EXAMPLE);
    if let (Some(body), Some(header)) = (&in_body, &in_header)
        && body != header
    {
        let why = format!("`key` and the header `{KEY_HEADER}` differ");
        return Err(Refusal::new(422, why).help("give one of them, or the same twice"));
    }
    let key = in_body.or(in_header).ok_or_else(|| refused(format!("there is neither `key` nor `{KEY_HEADER}`")))?;
    if key.is_empty() || key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
        let why = format!("the key is not a text of 1 to {LONGEST_KEY} characters without control characters");
        return Err(refused(why));
    }
    Ok(key)
}
