//! The pages of the dashboard: asks the board, fills the templates. Complete without JavaScript.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::WebState;
use super::api::no_target;
use super::door::Reader;
use super::forms::Fields;
use super::frame::{
    AuditSheet, DeliveriesSheet, DeliverySheet, DeploymentSheet, DeploymentsSheet, Frame, LiveSheet, TargetSheet,
    TargetsSheet,
};
use super::log::LogSheet;
use super::respond::{Refusal, Sorry, page};
use crate::board::{AuditQuery, DeliveriesQuery, DeploymentsQuery, TargetDetail, TargetsPage, moment};
use crate::domain::{DeliveryId, DeploymentId, LogReading, Role, TargetName};

type Answer = Result<HttpResponse, Sorry>;

/// `GET /`: every target, and what happened last.
pub(super) async fn targets(reader: Reader, state: Data<WebState>) -> Answer {
    let TargetsPage { paused: _, pause, lock, outages, targets } = state.board.targets().await?;
    let latest = state.board.deployments(DeploymentsQuery::default()).await?.deployments;
    let frame = Frame::new(&reader, state.clock.now(), "targets");
    page(&TargetsSheet { frame, pause, lock, outages, targets, latest })
}

/// `GET /targets/{name}`: one target and its history.
pub(super) async fn target(reader: Reader, state: Data<WebState>, name: Path<String>, request: HttpRequest) -> Answer {
    let name = TargetName::parse(name.into_inner())?;
    let found = state.board.target_detail(&name).await?;
    let TargetDetail { summary: target, configuration, findings } = found.ok_or_else(|| no_target(&name))?;
    let trend = state.board.trend(&name).await?.ok_or_else(|| no_target(&name))?;
    let query = DeploymentsQuery { target: Some(name), ..DeploymentsQuery::parse(Fields::of(&request).pairs())? };
    let history = state.board.deployments(query).await?;
    let last = history.deployments.first().map(|it| it.reference.clone());
    let plain =
        |rule: &String| rule.strip_prefix("branch ").filter(|it| !it.contains(['*', '?', '['])).map(str::to_owned);
    let reference = last.or_else(|| target.rules.iter().find_map(plain)).unwrap_or_else(|| "main".into());
    let frame = Frame::new(&reader, state.clock.now(), "targets");
    page(&TargetSheet { frame, target, configuration, findings, trend, history, reference })
}

/// `GET /live?at=TIME`: what was live at every target then; without a time, a form that asks for one.
pub(super) async fn live(reader: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    let asked = Fields::of(&request).get("at").unwrap_or_default().to_owned();
    let at = if asked.is_empty() { None } else { Some(moment(&asked, state.clock.now())?) };
    let places = match at {
        Some(at) => state.board.all_live_at(at).await?,
        None => Vec::new(),
    };
    page(&LiveSheet { frame: Frame::new(&reader, state.clock.now(), "targets"), asked, at, places })
}

/// `GET /deployments`: all of them, newest first.
pub(super) async fn deployments(reader: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    let query = DeploymentsQuery::parse(Fields::of(&request).pairs())?;
    let found = state.board.deployments(query.clone()).await?;
    let targets = state.board.targets().await?.targets;
    page(&DeploymentsSheet { frame: Frame::new(&reader, state.clock.now(), "deployments"), query, targets, found })
}

/// `GET /deployments/{id}`: one deployment and its story. Statuses on GitHub link here.
pub(super) async fn deployment(
    reader: Reader,
    state: Data<WebState>,
    id: Path<String>,
    request: HttpRequest,
) -> Answer {
    let id = DeploymentId::parse(&id)?;
    // The log first: what is shown of the deployment is no older than its lines.
    let log = match reader.grant() {
        Some(_) => Some(LogSheet::of(&state.board, id, &request).await?),
        None => None,
    };
    let found = state.board.deployment(id).await?;
    let it = found.ok_or_else(|| Refusal::new(404, format!("there is no deployment `{id}`")))?;
    let it = if reader.grant().is_some() { it } else { it.hushed() };
    let last_words = it.failure.as_ref().and_then(|it| it.detail.as_deref()).map(LogReading::all).unwrap_or_default();
    let changes = state.board.changes(id, reader.grant().is_some()).await?;
    let frame = Frame::new(&reader, state.clock.now(), "deployments");
    page(&DeploymentSheet { frame, it, log, last_words, changes })
}

/// `GET /deliveries`: what GitHub sent.
pub(super) async fn deliveries(reader: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    let query = DeliveriesQuery::parse(Fields::of(&request).pairs())?;
    let found = state.board.deliveries(query.clone()).await?;
    page(&DeliveriesSheet { frame: Frame::new(&reader, state.clock.now(), "deliveries"), query, found })
}

/// `GET /deliveries/{id}`: one delivery, and what it meant.
pub(super) async fn delivery(reader: Reader, state: Data<WebState>, id: Path<String>) -> Answer {
    let id = DeliveryId::parse(id.into_inner())?;
    let found = state.board.delivery(&id).await?;
    let it = found.ok_or_else(|| Refusal::new(404, format!("there is no delivery `{id}`")))?;
    page(&DeliverySheet { frame: Frame::new(&reader, state.clock.now(), "deliveries"), it })
}

/// `GET /audit`: who asked for what, and who let whom in.
pub(super) async fn audit(reader: Reader, state: Data<WebState>, request: HttpRequest) -> Answer {
    reader.reaches(Role::Read)?;
    let found = state.board.audit(AuditQuery::parse(Fields::of(&request).pairs())?).await?;
    page(&AuditSheet { frame: Frame::new(&reader, state.clock.now(), "audit"), found })
}

/// Anything that is not there.
pub(super) async fn unknown(_: Reader, request: HttpRequest) -> Answer {
    Err(Refusal::new(404, format!("there is nothing at `{}`", request.path())).into())
}
