//! The JSON API: parses what came, asks the board or hands on, answers. Shapes are the board's views.

use actix_web::http::StatusCode;
use actix_web::http::header::ACCEPT;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Deserialize;

use super::WebState;
use super::bodies::{self, Taken};
use super::door::{Reader, Writer};
use super::parameters::{Bare, parameters};
use super::respond::{Problem, Refusal, answer, json};
use crate::board::{AuditQuery, DeliveriesQuery, DeploymentsQuery, LogQuery, moment};
use crate::domain::{Act, DeliveryId, DeploymentId, Role, TargetName};
use crate::engine::LogFrom;
use crate::ledger::Health;

type Answer = Result<HttpResponse, Problem>;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
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
pub(super) async fn targets(_: Reader, _: Bare, state: Data<WebState>) -> Answer {
    Ok(json(StatusCode::OK, &state.board.targets().await?))
}

/// `GET /api/v1/targets/{name}`.
pub(super) async fn target(_: Reader, _: Bare, state: Data<WebState>, name: Path<String>) -> Answer {
    let name = TargetName::parse(name.into_inner())?;
    let found = state.board.target_detail(&name).await?;
    Ok(json(StatusCode::OK, &found.ok_or_else(|| no_target(&name))?))
}

/// `GET /api/v1/targets/{name}/live?at=TIME`: what was live then.
pub(super) async fn live_at(_: Reader, state: Data<WebState>, name: Path<String>, request: HttpRequest) -> Answer {
    let name = TargetName::parse(name.into_inner())?;
    let query = parameters(&request, &["at"])?;
    let missing = || Refusal::new(400, "`at` is missing").help("say when: `?at=14:05`");
    let at = moment(query.get("at").ok_or_else(missing)?, state.clock.now())?;
    let found = state.board.live_at(&name, at).await?;
    Ok(json(StatusCode::OK, &found.ok_or_else(|| no_target(&name))?))
}

/// `GET /api/v1/targets/{name}/figures`: how its deployments went, as JSON or CSV.
pub(super) async fn trend(_: Reader, state: Data<WebState>, name: Path<String>, request: HttpRequest) -> Answer {
    let name = TargetName::parse(name.into_inner())?;
    let accepts = request.headers().get(ACCEPT).and_then(|it| it.to_str().ok());
    let as_csv = match parameters(&request, &["format"])?.get("format") {
        Some("csv") => true,
        Some("json") => false,
        Some(other) => {
            let cut: String = other.chars().take(80).collect();
            return Err(Refusal::new(400, format!("`format`: `{cut}` is neither `json` nor `csv`")).into());
        }
        None => accepts.is_some_and(|it| it.starts_with("text/csv")),
    };
    let found = state.board.trend(&name).await?.ok_or_else(|| no_target(&name))?;
    if as_csv {
        return Ok(answer(StatusCode::OK).content_type("text/csv; charset=utf-8").body(found.csv()));
    }
    Ok(json(StatusCode::OK, &found))
}

/// The refusal of a target that is not there.
pub(super) fn no_target(name: &TargetName) -> Refusal {
    Refusal::new(404, format!("there is no target `{name}`")).help("the first page lists those that there are")
}

/// `GET /api/v1/deployments`.
pub(super) async fn deployments(_: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    let query = DeploymentsQuery::parse(parameters(&request, DeploymentsQuery::PARAMETERS)?.pairs())?;
    Ok(json(StatusCode::OK, &state.board.deployments(query).await?))
}

/// `GET /api/v1/deployments/{id}`.
pub(super) async fn deployment(reader: Reader, _: Bare, state: Data<WebState>, id: Path<String>) -> Answer {
    let id = DeploymentId::parse(&id)?;
    let found = state.board.deployment(id).await?;
    let found = found.ok_or_else(|| Refusal::new(404, format!("there is no deployment `{id}`")))?;
    Ok(json(StatusCode::OK, &if reader.grant().is_some() { found } else { found.hushed() }))
}

/// `GET /api/v1/deployments/{id}/log`: what its scripts said, from `?cursor=`, or what came before `?before=`.
/// Free reading does not reach it.
pub(super) async fn log(reader: Reader, state: Data<WebState>, id: Path<String>, request: HttpRequest) -> Answer {
    let id = DeploymentId::parse(&id)?;
    reader.reaches(Role::Read)?;
    let query = LogQuery::parse(parameters(&request, LogQuery::PARAMETERS)?.pairs(), LogFrom::Byte(0))?;
    let found = state.board.log(id, query).await?;
    let found = found.ok_or_else(|| Refusal::new(404, format!("there is no deployment `{id}`")))?;
    Ok(json(StatusCode::OK, &found))
}

/// `GET /api/v1/why/{sha}`.
pub(super) async fn why(_: Reader, _: Bare, state: Data<WebState>, sha: Path<String>) -> Answer {
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
    let query = DeliveriesQuery::parse(parameters(&request, DeliveriesQuery::PARAMETERS)?.pairs())?;
    Ok(json(StatusCode::OK, &state.board.deliveries(query).await?))
}

/// `GET /api/v1/deliveries/{id}`.
pub(super) async fn delivery(_: Reader, _: Bare, state: Data<WebState>, id: Path<String>) -> Answer {
    let id = DeliveryId::parse(id.into_inner())?;
    let found = state.board.delivery(&id).await?;
    let found = found.ok_or_else(|| Refusal::new(404, format!("there is no delivery `{id}`")))?;
    Ok(json(StatusCode::OK, &found))
}

/// `GET /api/v1/audit`: who asked for what, and who let whom in. Free reading does not reach it.
pub(super) async fn audit(reader: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    reader.reaches(Role::Read)?;
    let query = AuditQuery::parse(parameters(&request, AuditQuery::PARAMETERS)?.pairs())?;
    Ok(json(StatusCode::OK, &state.board.audit(query).await?))
}

/// A round of upkeep that somebody wants.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object with `dry_run`")]
#[schemars(rename = "UpkeepWish")]
pub(super) struct Tending {
    /// Whether it only says what it would delete.
    dry_run: bool,
}

/// `POST /api/v1/upkeep`: a round of upkeep at once. What it does is written where it is done.
pub(super) async fn upkeep(
    writer: Writer,
    _: Bare,
    state: Data<WebState>,
    request: HttpRequest,
    body: Taken,
) -> Answer {
    let actor = writer.proven_by_header(&request)?.with(Role::Admin)?;
    let Tending { dry_run } = bodies::read(&request, body, r#"send `{"dry_run":true}`"#)?;
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
        Some("tokens") if request.path().ends_with("/tokens") => "GET, POST",
        Some("tokens" | "guests") => "DELETE",
        Some(_) | None => "GET",
    };
    let why = format!("`{}` takes {only}, not {}", request.path(), request.method());
    Err(Refusal::new(405, why).allow(only).into())
}
