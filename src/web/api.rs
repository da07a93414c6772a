//! The JSON API: parses what came, asks the board or hands on, answers. Shapes are the board's views.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::json;

use super::WebState;
use super::door::{Reader, Writer};
use super::respond::{Problem, Refusal, answer, json};
use crate::board::{DeploymentsQuery, LogQuery};
use crate::domain::{Act, Ask, DeliveryId, DeploymentId, Offset, Request, Role};
use crate::engine::LogFrom;
use crate::ledger::Health;

type Answer = Result<HttpResponse, Problem>;
/// A body, or why it was not taken.
type Taken = Result<Bytes, actix_web::Error>;

/// The longest key of a request: a UUID, a URL of a comment, a sentence.
const LONGEST_KEY: usize = 200;
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// An example of what is expected, for whoever sent something else.
const EXAMPLE: &str =
    r#"send `{"key":"any text, new for each request","what":{"ask":"redeploy","deployment":"01J…"}}`"#;

/// `GET /healthz`: the process answers, whatever else is wrong.
pub(super) async fn healthz() -> HttpResponse {
    answer(StatusCode::OK).content_type("text/plain; charset=utf-8").body(concat!(
        "ok ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ))
}

/// `GET /readyz`: whether pushes are taken, and why not.
pub(super) async fn readyz(state: Data<WebState>) -> HttpResponse {
    let why_not = match state.board.health() {
        _ if state.stop.is_cancelled() => Some("draining: the bot is about to end".to_owned()),
        Health::Open => None,
        Health::Full { free, reserve } => Some(format!(
            "the data directory's disk has {free} bytes left, and {reserve} are kept in reserve: free some space"
        )),
        Health::Closed { why } => Some(format!("the ledger is closed: {why}")),
    };
    let status = if why_not.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = why_not.map_or_else(|| "ready\n".to_owned(), |why| format!("not ready: {why}\n"));
    answer(status).content_type("text/plain; charset=utf-8").body(text)
}

/// `GET /metrics`: the figures for Prometheus.
pub(super) async fn metrics(_: Reader, state: Data<WebState>) -> Answer {
    let text = state.figures.text().await?;
    Ok(answer(StatusCode::OK).content_type(OPEN_METRICS).body(text))
}

/// `GET /api/v1/targets`.
pub(super) async fn targets(_: Reader, state: Data<WebState>) -> Answer {
    Ok(json(StatusCode::OK, &state.board.targets().await?))
}

/// `GET /api/v1/deployments`.
pub(super) async fn deployments(_: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    let query = deployments_query(&request)?;
    Ok(json(StatusCode::OK, &state.board.deployments(query).await?))
}

/// `GET /api/v1/deployments/{id}`.
pub(super) async fn deployment(_: Reader, state: Data<WebState>, id: Path<String>) -> Answer {
    let id = DeploymentId::parse(&id)?;
    let found = state.board.deployment(id).await?;
    let found = found.ok_or_else(|| Refusal::new(404, format!("there is no deployment `{id}`")))?;
    Ok(json(StatusCode::OK, &found))
}

/// `GET /api/v1/deployments/{id}/log`: what its scripts said, from `?cursor=`, or what came before `?before=`.
pub(super) async fn log(_: Reader, state: Data<WebState>, id: Path<String>, request: HttpRequest) -> Answer {
    let id = DeploymentId::parse(&id)?;
    let query = log_query(&request, LogFrom::Byte(0))?;
    let found = state.board.log(id, query).await?;
    let found = found.ok_or_else(|| Refusal::new(404, format!("there is no deployment `{id}`")))?;
    Ok(json(StatusCode::OK, &found))
}

/// `GET /api/v1/why/{sha}`.
pub(super) async fn why(_: Reader, state: Data<WebState>, sha: Path<String>) -> Answer {
    let sha = sha.into_inner();
    // The query's rule for the beginning of a hash is the rule here too.
    DeploymentsQuery::parse([("sha", sha.as_str())])?;
    let found = state.board.why(&sha).await?;
    let found = found.ok_or_else(|| {
        Refusal::new(404, format!("no commit that was pushed begins with `{sha}`"))
            .help("look at the webhook's recent deliveries on GitHub: it may not have been sent")
    })?;
    Ok(json(StatusCode::OK, &found))
}

/// `GET /api/v1/deliveries`.
pub(super) async fn deliveries(_: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    Ok(json(StatusCode::OK, &state.board.deliveries(offset(&request, "cursor")?).await?))
}

/// `GET /api/v1/deliveries/{id}`.
pub(super) async fn delivery(_: Reader, state: Data<WebState>, id: Path<String>) -> Answer {
    let id = DeliveryId::parse(id.into_inner())?;
    let found = state.board.delivery(&id).await?;
    let found = found.ok_or_else(|| Refusal::new(404, format!("there is no delivery `{id}`")))?;
    Ok(json(StatusCode::OK, &found))
}

/// `GET /api/v1/audit`: who asked for what, and who let whom in. Free reading does not reach it.
pub(super) async fn audit(reader: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    reader.reaches(Role::Read)?;
    Ok(json(StatusCode::OK, &state.board.audit(offset(&request, "cursor")?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `key` and `what`")]
struct Asking {
    key: String,
    what: Ask,
}

/// `POST /api/v1/requests`: somebody asks for something; under one key it happens once.
pub(super) async fn request(writer: Writer, state: Data<WebState>, request: HttpRequest, body: Taken) -> Answer {
    let who = writer.proven_by_header(&request)?;
    let body = body.map_err(|error| Refusal::new(413, error.to_string()))?;
    let Asking { key, what } = serde_json::from_slice(&body).map_err(|error| match error.classify() {
        Category::Data => Refusal::new(422, error.to_string()).help(EXAMPLE),
        Category::Syntax | Category::Eof | Category::Io => {
            Refusal::new(400, format!("the body is not JSON: {error}")).help(EXAMPLE)
        }
    })?;
    if key.is_empty() || key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
        let why = format!("`key` is not a text of 1 to {LONGEST_KEY} characters without control characters");
        return Err(Refusal::new(422, why).help(EXAMPLE).into());
    }
    let actor = who.who_asks(&what, &state.board).await?;
    let asked = state.asks.ask(Request { actor, key, what }).await.map_err(Refusal::from)?;
    let status = if asked.repeat { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut answer = json!({ "request": asked.offset, "deployments": asked.deployments });
    if let Some(told) = asked.told {
        answer["text"] = told.into();
    }
    Ok(json(status, &answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `dry_run`")]
struct Tending {
    dry_run: bool,
}

/// `POST /api/v1/upkeep`: a round of upkeep at once. What it does is written where it is done.
pub(super) async fn upkeep(writer: Writer, state: Data<WebState>, request: HttpRequest, body: Taken) -> Answer {
    let actor = writer.proven_by_header(&request)?.with(Role::Admin)?;
    let body = body.map_err(|error| Refusal::new(413, error.to_string()))?;
    let Tending { dry_run } = serde_json::from_slice(&body)
        .map_err(|error| Refusal::new(422, error.to_string()).help(r#"send `{"dry_run":true}`"#))?;
    if !dry_run {
        state.asks.administered(&actor, Act::Upkeep).await.map_err(Refusal::from)?;
    }
    Ok(json(StatusCode::OK, &state.asks.upkeep(dry_run).await.map_err(Refusal::from)?))
}

/// Anything else under `/api/v1`.
pub(super) async fn unknown(_: Reader, request: HttpRequest) -> Answer {
    Err(Refusal::new(404, format!("there is nothing at `{}`", request.path())).into())
}

/// A path that exists, asked in a way that it does not take.
pub(super) async fn wrong_method(_: Reader, request: HttpRequest) -> Answer {
    let only = match request.path().trim_start_matches("/api/v1").split('/').nth(1) {
        Some("requests" | "upkeep") => "POST",
        Some("tokens") if request.path().ends_with("/tokens") => "GET and POST",
        Some("tokens") => "DELETE",
        Some(_) | None => "GET",
    };
    Err(Refusal::new(405, format!("`{}` takes {only}, not {}", request.path(), request.method())).into())
}

/// The parameters of a list of deployments.
pub(super) fn deployments_query(request: &HttpRequest) -> Result<DeploymentsQuery, Refusal> {
    let pairs: Vec<_> = form_urlencoded::parse(request.query_string().as_bytes()).collect();
    Ok(DeploymentsQuery::parse(pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())))?)
}

/// The parameters of a page of a log.
pub(super) fn log_query(request: &HttpRequest, or: LogFrom) -> Result<LogQuery, Refusal> {
    let pairs: Vec<_> = form_urlencoded::parse(request.query_string().as_bytes()).collect();
    Ok(LogQuery::parse(pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())), or)?)
}

/// An offset among the parameters.
pub(super) fn offset(request: &HttpRequest, key: &str) -> Result<Option<Offset>, Refusal> {
    let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
    let Some((_, value)) = pairs.find(|(name, value)| name == key && !value.is_empty()) else { return Ok(None) };
    let cut: String = value.chars().take(80).collect();
    let bad = || Refusal::new(400, format!("`{key}`: `{cut}` is not an offset, a whole number from 0"));
    value.parse().map(|number| Some(Offset(number))).map_err(|_| bad())
}
