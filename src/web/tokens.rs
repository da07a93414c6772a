//! Who is let in, for administrators: tokens made, listed and revoked, browsers signed out. Each act is in the audit trail.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WebState;
use super::access::{GuestView, NewToken, TokenError, TokenView, Tokens};
use super::bodies::{self, Taken};
use super::door::{Reader, Writer};
use super::parameters::Bare;
use super::respond::{Problem, Refusal, json};
use crate::domain::{Act, Pattern, Role, TokenName, on_github};

type Answer = Result<HttpResponse, Problem>;

/// An example of what is expected, for whoever sent something else.
const EXAMPLE: &str = r#"send `{"name":"ci","role":"deploy","targets":["shop-*"]}`"#;

/// `GET /api/v1/tokens`.
pub(super) async fn list(reader: Reader, _: Bare, state: Data<WebState>) -> Answer {
    reader.reaches(Role::Admin)?;
    Ok(json(StatusCode::OK, &TokensPage::of(&state)))
}

/// A token that somebody wants.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object with `name` and `role`")]
#[schemars(rename = "NewToken", extend("anyOf" = only_deploy_is_held()))]
pub(super) struct Wanted {
    /// What it is called, and who it speaks for.
    name: TokenName,
    /// How far whoever has it may go.
    role: Role,
    /// The targets that it is held to, as names or patterns such as `shop-*`; none means all. Only for the role `deploy`.
    #[serde(default)]
    targets: Vec<Pattern>,
    /// Until when it works, which is yet to come; nothing means until it is revoked.
    #[serde(default)]
    until: Option<Timestamp>,
}

/// The rule between two fields, as a shape.
fn only_deploy_is_held() -> Value {
    serde_json::json!([
        { "properties": { "role": { "const": "deploy" } } },
        { "properties": { "targets": { "maxItems": 0 } } },
    ])
}

/// Who is let in.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokensPage {
    /// The tokens, that of the file first.
    tokens: Vec<TokenView>,
    /// Who is signed in with GitHub.
    guests: Vec<GuestView>,
}

impl TokensPage {
    fn of(state: &WebState) -> Self {
        let now = state.clock.now();
        Self { tokens: state.tokens.list(now), guests: state.tokens.guests(now) }
    }
}

/// Somebody who was signed in with GitHub, and is not any more.
#[derive(Serialize, JsonSchema)]
pub(super) struct GuestOutView {
    /// Their login at GitHub.
    login: String,
    /// How many browsers there were.
    sessions: usize,
}

/// A token that was made.
#[derive(Serialize, JsonSchema)]
pub(super) struct MadeView {
    /// What it is called.
    name: TokenName,
    /// Its secret, which is told nowhere else.
    token: String,
}

/// A token that was taken away.
#[derive(Serialize, JsonSchema)]
pub(super) struct RevokedView {
    /// What it was called.
    name: TokenName,
}

/// A token whose browsers were signed out.
#[derive(Serialize, JsonSchema)]
pub(super) struct SignedOutView {
    /// What it is called.
    name: TokenName,
    /// How many browsers there were.
    sessions: usize,
}

/// `POST /api/v1/tokens`: makes one. Its secret is in this answer, and nowhere else ever after.
pub(super) async fn make(writer: Writer, _: Bare, state: Data<WebState>, request: HttpRequest, body: Taken) -> Answer {
    let actor = writer.proven_by_header(&request)?.with(Role::Admin)?;
    let Wanted { name, role, targets, until } = bodies::read(&request, body, EXAMPLE)?;
    let act = Act::TokenMade { token: name.clone(), role, targets: targets.clone(), until };
    let (made_by, now, wanted) =
        (actor.clone(), state.clock.now(), NewToken { name: name.clone(), role, targets, until });
    let secret = at_rest(&state, move |tokens| tokens.make(wanted, &made_by, now)).await?;
    state.asks.administered(&actor, act).await.map_err(Refusal::from)?;
    Ok(json(StatusCode::CREATED, &MadeView { name, token: secret }))
}

/// `DELETE /api/v1/tokens/{name}`: it works no more, and who signed in with it is signed out.
pub(super) async fn revoke(
    writer: Writer,
    _: Bare,
    state: Data<WebState>,
    request: HttpRequest,
    name: Path<String>,
) -> Answer {
    let actor = writer.proven_by_header(&request)?.with(Role::Admin)?;
    let token = TokenName::parse(name.into_inner())?;
    let which = token.clone();
    at_rest(&state, move |tokens| tokens.revoke(&which)).await?;
    state.asks.administered(&actor, Act::TokenRevoked { token: token.clone() }).await.map_err(Refusal::from)?;
    Ok(json(StatusCode::OK, &RevokedView { name: token }))
}

/// `DELETE /api/v1/tokens/{name}/sessions`: the token works on, and browsers have to show it again.
pub(super) async fn sign_out(
    writer: Writer,
    _: Bare,
    state: Data<WebState>,
    request: HttpRequest,
    name: Path<String>,
) -> Answer {
    let actor = writer.proven_by_header(&request)?.with(Role::Admin)?;
    let token = TokenName::parse(name.into_inner())?;
    let which = token.clone();
    let ended = at_rest(&state, move |tokens| {
        let ended = tokens.sign_out_all(&which)?;
        tokens.write_down().map_err(TokenError::File)?;
        Ok(ended)
    })
    .await?;
    let act = Act::SignedOut { whose: token.to_string() };
    state.asks.administered(&actor, act).await.map_err(Refusal::from)?;
    Ok(json(StatusCode::OK, &SignedOutView { name: token, sessions: ended }))
}

/// What a login at GitHub consists of; the underscore is for managed users of enterprises.
pub(super) const LOGIN: &str = "^[A-Za-z0-9_-]{1,64}$";

/// `DELETE /api/v1/guests/{login}`: whoever signed in with GitHub is signed out. By what `[login]` says, they may come back.
pub(super) async fn sign_out_guest(
    writer: Writer,
    _: Bare,
    state: Data<WebState>,
    request: HttpRequest,
    login: Path<String>,
) -> Answer {
    let actor = writer.proven_by_header(&request)?.with(Role::Admin)?;
    let login = login.into_inner();
    let is_one =
        (1..=64).contains(&login.len()) && login.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it));
    if !is_one {
        let text = "the login at GitHub is not 1 to 64 letters, digits, `-` and `_`";
        return Err(Refusal::new(400, text).help("`landfall token list` shows who is signed in").into());
    }
    let which = login.clone();
    let sessions = at_rest(&state, move |tokens| {
        let ended = tokens.sign_out_guest(&which);
        tokens.write_down().map_err(TokenError::File)?;
        Ok(ended)
    })
    .await?;
    if sessions > 0 {
        let act = Act::SignedOut { whose: on_github(&login) };
        state.asks.administered(&actor, act).await.map_err(Refusal::from)?;
    }
    Ok(json(StatusCode::OK, &GuestOutView { login, sessions }))
}

/// Changes what is kept of tokens, on a thread that may wait for the disk.
async fn at_rest<T: Send + 'static>(
    state: &WebState,
    change: impl FnOnce(&Tokens) -> Result<T, TokenError> + Send + 'static,
) -> Result<T, Refusal> {
    let tokens = Arc::clone(&state.tokens);
    let done = tokio::task::spawn_blocking(move || change(&tokens)).await;
    Ok(done.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))?)
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let (status, help) = match &error {
            TokenError::Known(_) => (409, "take another name, or `landfall token revoke` that one first"),
            TokenError::Unknown(_) => (404, "`landfall token list` shows those that there are"),
            TokenError::Reserved => (409, "delete that file and restart the bot: it writes another"),
            TokenError::Many => (409, "`landfall token list` shows them: revoke what is not used"),
            TokenError::Held(_) => (422, "only tokens of the role `deploy` are: who may read, may read everything"),
            TokenError::Pattern(_) => (422, "close what `[` and `{` open, or name the targets: `shop-*`"),
            TokenError::Over(_) => (422, "name a time that is to come, or none"),
            TokenError::File(_) => (503, "look at the data directory's disk, then do it again"),
        };
        Self::new(status, error.to_string()).help(help)
    }
}
