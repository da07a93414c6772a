//! Before a button does something: a page that says what will happen, as things stand now. It asks the conductor, which
//! says what it would write and writes nothing. What is confirmed is what was said, or the page is shown again: the same
//! commits are deployed, the same locks end, and what is stopped has not been released meanwhile.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::WebState;
use super::door::{Asker, Reader};
use super::foretold::{ConfirmSheet, Scene};
use super::forms::{Fields, all_ask, delivery_ask, deployment_ask, target_ask};
use super::frame::Frame;
use super::respond::{Sorry, page};
use crate::asking::Foreseen;
use crate::domain::{Approval, Ask, Cause, DeliveryId, DeploymentId, Order, Request, Subject, TargetName};

type Answer = Result<HttpResponse, Sorry>;

/// `GET /targets/{name}/{act}`.
pub(super) async fn at_target(
    Asker(reader): Asker,
    state: Data<WebState>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Answer {
    let (name, act) = path.into_inner();
    let target = TargetName::parse(name)?;
    let fields = Fields::parse(request.query_string().as_bytes());
    let ask = target_ask(&act, &target, &fields, state.clock.now())?;
    let back = format!("/targets/{target}");
    let asked = Asked { state: &state, reader: &reader, fields: &fields, ask };
    asked.shown(format!("{back}/{act}"), (back, target.to_string())).await
}

/// `GET /deployments/{id}/{act}`.
pub(super) async fn at_deployment(
    Asker(reader): Asker,
    state: Data<WebState>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Answer {
    let (id, act) = path.into_inner();
    let id = DeploymentId::parse(&id)?;
    let fields = Fields::parse(request.query_string().as_bytes());
    let ask = deployment_ask(&act, id, &fields)?;
    let asked = Asked { state: &state, reader: &reader, fields: &fields, ask };
    let back = format!("/deployments/{id}");
    asked.shown(format!("{back}/{act}"), (back, "The deployment".into())).await
}

/// `GET /deliveries/{id}/{act}`.
pub(super) async fn at_delivery(
    Asker(reader): Asker,
    state: Data<WebState>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Answer {
    let (id, act) = path.into_inner();
    let id = DeliveryId::parse(id)?;
    let fields = Fields::parse(request.query_string().as_bytes());
    let back = format!("/deliveries/{id}");
    let ask = delivery_ask(&act, id)?;
    let asked = Asked { state: &state, reader: &reader, fields: &fields, ask };
    asked.shown(format!("{back}/{act}"), (back, "The delivery".into())).await
}

/// `GET /releases/{act}`.
pub(super) async fn at_all(
    Asker(reader): Asker,
    state: Data<WebState>,
    act: Path<String>,
    request: HttpRequest,
) -> Answer {
    let fields = Fields::parse(request.query_string().as_bytes());
    let ask = all_ask(&act, &fields)?;
    let asked = Asked { state: &state, reader: &reader, fields: &fields, ask };
    asked.shown(format!("/releases/{act}"), ("/".into(), "Targets".into())).await
}

/// What somebody is about to ask for.
struct Asked<'a> {
    state: &'a WebState,
    reader: &'a Reader,
    fields: &'a Fields,
    ask: Ask,
}

impl Asked<'_> {
    /// The page, whose form goes to `action` and whose way out leads `back`, by its name.
    async fn shown(self, action: String, back: (String, String)) -> Answer {
        let Self { state, reader, fields, ask } = self;
        let actor = reader.may_ask(&ask, &state.board).await?;
        let request = Request { actor, key: "foreseen".into(), what: explained(ask.clone()) };
        let foreseen = state.asks.foresee(request).await?;
        let deployment = match about(&ask) {
            Some(id) => state.board.deployment(id).await?,
            None => None,
        };
        let of_it = deployment.as_ref().map(|it| &it.summary.target);
        let target = match foreseen.orders.first().map(|it| &it.target.name).or(named(&ask)).or(of_it) {
            Some(name) => state.board.target(name).await?,
            None => None,
        };
        let frame = Frame::new(reader, state.clock.now(), "targets");
        let (target, deployment) = (target.as_ref(), deployment.as_ref());
        let words = Scene { foreseen: &foreseen, target, deployment, frame: &frame }.words(&ask);
        let (hidden, has_moved) = (hidden(fields, &foreseen), fields.get("moved").is_some());
        page(&ConfirmSheet { frame, words, hidden, has_moved, action, back })
    }
}

/// The same with a reason, where one is needed and is yet to be written.
fn explained(mut ask: Ask) -> Ask {
    if let Ask::Approve { of: Some(Approval::Freeze), reason, .. } = &mut ask {
        reason.get_or_insert_with(|| "to be written".into());
    }
    ask
}

/// What the form must carry so that what is done is what was said.
fn hidden(fields: &Fields, foreseen: &Foreseen) -> Vec<(&'static str, String)> {
    let given = |name: &'static str| fields.get(name).map(|value| (name, value.to_owned()));
    let mut hidden: Vec<_> = ["ref", "of"].into_iter().filter_map(given).collect();
    hidden.push(("said", foreseen.seal.clone()));
    if let [Order { cause: Cause::Rollback { to: Some(to), .. }, target, .. }] = foreseen.orders.as_slice() {
        hidden.extend([("to", to.to_string()), ("target", target.name.to_string())]);
    }
    hidden
}

/// The target that is named.
fn named(ask: &Ask) -> Option<&TargetName> {
    match ask.subject() {
        Subject::Target(name) => Some(name),
        Subject::Deployment(_) | Subject::Everything => None,
    }
}

/// The deployment that it is about.
fn about(ask: &Ask) -> Option<DeploymentId> {
    match ask.subject() {
        Subject::Deployment(id) => Some(id),
        Subject::Target(_) | Subject::Everything => None,
    }
}
