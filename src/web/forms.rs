//! The buttons of the pages: each makes a request of a form and leads back to where its outcome shows.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use jiff::{SignedDuration, Timestamp};

use super::WebState;
use super::door::{Proven, Writer};
use super::respond::{Refusal, Sorry, see_other};
use crate::asking::AskError;
use crate::domain::{Approval, Ask, DeliveryId, DeployOptions, DeploymentId, RefName, Request, TargetName};

/// The longest reason for a lock or a pause.
const LONGEST_REASON: usize = 200;

/// The fields of a form, or of a query.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `a=b&c=d`.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    /// The parameters of a request.
    pub(super) fn of(request: &HttpRequest) -> Self {
        Self::parse(request.query_string().as_bytes())
    }

    /// All of them, in the order in which they came.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The first field of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same, unless it is blank.
    fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The reason that somebody gave.
    fn reason(&self) -> Option<String> {
        self.filled("reason").map(|it| it.chars().take(LONGEST_REASON).collect())
    }
}

/// A button that somebody has pressed, with what stood beside it.
struct Form {
    who: Proven,
    fields: Fields,
}

impl Form {
    /// Reads it, if the page that it stood on was ours.
    fn proven(writer: Writer, body: &[u8]) -> Result<Self, Sorry> {
        let fields = Fields::parse(body);
        let who = writer.proven(fields.get("csrf"))?;
        Ok(Self { who, fields })
    }

    /// Asks for it at the page `act`, and leads to what was born of it, or `back`; where it would not do what that page
    /// said, there again, where it is said anew. The page's own key makes a double click one request.
    async fn ask(self, state: &WebState, what: Ask, (back, act): (&str, &str)) -> Result<HttpResponse, Sorry> {
        let no_key = || Refusal::new(422, "the form has no `key`").help("reload the page");
        let key = self.fields.filled("key").ok_or_else(no_key)?;
        let key = format!("dashboard:{}", key.chars().take(64).collect::<String>());
        let actor = self.who.who_asks(&what, &state.board).await?;
        let request = Request { actor, key, what };
        let asked = match self.fields.filled("said") {
            Some(seal) => state.asks.ask_as_said(request, seal).await,
            None => state.asks.ask(request).await,
        };
        if let Err(AskError::Moved { .. }) = &asked {
            let given = ["ref", "target"].into_iter().filter_map(|name| Some((name, self.fields.filled(name)?)));
            let query = form_urlencoded::Serializer::new("moved=1".to_owned()).extend_pairs(given).finish();
            return Ok(see_other(&format!("{act}?{query}")));
        }
        Ok(match asked?.deployments.first() {
            Some(born) => see_other(&format!("/deployments/{born}")),
            None => see_other(back),
        })
    }
}

/// What is asked of a target: deploy, rollback, restart, lock, unlock.
pub(super) fn target_ask(act: &str, name: &TargetName, fields: &Fields, now: Timestamp) -> Result<Ask, Sorry> {
    let (target, options) = (name.clone(), DeployOptions::default());
    Ok(match act {
        "deploy" => {
            let (reference, sha) = RefName::or_commit(fields.filled("ref").unwrap_or("main"))?;
            Ask::Deploy { target, reference, sha, options }
        }
        "rollback" => Ask::Rollback { target, to: fields.filled("to").map(DeploymentId::parse).transpose()?, options },
        "restart" => Ask::Restart { target, options },
        "lock" => {
            let hours = fields.filled("hours").and_then(|it| it.parse().ok());
            let hours = hours.filter(|hours| (1..=24 * 365).contains(hours));
            let until = hours.and_then(|hours| now.checked_add(SignedDuration::from_hours(hours)).ok());
            Ask::Lock { target, reason: fields.reason(), until, warns: fields.get("warn").is_some() }
        }
        "unlock" => Ask::Unlock { target },
        _ => return Err(no_such(act)),
    })
}

/// What is asked of a deployment: redeploy, rollback, stop, approve, reject.
pub(super) fn deployment_ask(act: &str, deployment: DeploymentId, fields: &Fields) -> Result<Ask, Sorry> {
    let options = DeployOptions::default();
    Ok(match act {
        "redeploy" => Ask::Redeploy { deployment, options },
        "rollback" => {
            let target = TargetName::parse(fields.filled("target").unwrap_or_default())?;
            Ask::Rollback { target, to: Some(deployment), options }
        }
        "stop" => Ask::Stop { deployment, rollback: fields.get("rollback").is_some() },
        "approve" => Ask::Approve { deployment, of: Some(approval(fields)?), reason: fields.reason() },
        "reject" => Ask::Reject { deployment, reason: fields.reason() },
        _ => return Err(no_such(act)),
    })
}

/// What is asked of a delivery: replay.
pub(super) fn delivery_ask(act: &str, delivery: DeliveryId) -> Result<Ask, Sorry> {
    if act == "replay" { Ok(Ask::Replay { delivery }) } else { Err(no_such(act)) }
}

/// What is asked of everything: pause, resume, lock, unlock.
pub(super) fn all_ask(act: &str, fields: &Fields) -> Result<Ask, Sorry> {
    Ok(match act {
        "pause" => Ask::Pause { reason: fields.reason() },
        "resume" => Ask::Resume {},
        "lock" => Ask::LockAll { reason: fields.reason(), until: None, warns: false },
        "unlock" => Ask::UnlockAll {},
        _ => return Err(no_such(act)),
    })
}

/// `POST /targets/{name}/{act}`.
pub(super) async fn at_target(
    writer: Writer,
    state: Data<WebState>,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let (name, act) = path.into_inner();
    let target = TargetName::parse(name)?;
    let what = target_ask(&act, &target, &form.fields, state.clock.now())?;
    let back = format!("/targets/{target}");
    form.ask(&state, what, (&back, &format!("{back}/{act}"))).await
}

/// `POST /deployments/{id}/{act}`.
pub(super) async fn at_deployment(
    writer: Writer,
    state: Data<WebState>,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let (id, act) = path.into_inner();
    let deployment = DeploymentId::parse(&id)?;
    let what = deployment_ask(&act, deployment, &form.fields)?;
    let back = format!("/deployments/{deployment}");
    form.ask(&state, what, (&back, &format!("{back}/{act}"))).await
}

/// `POST /deliveries/{id}/{act}`.
pub(super) async fn at_delivery(
    writer: Writer,
    state: Data<WebState>,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let (id, act) = path.into_inner();
    let delivery = DeliveryId::parse(id)?;
    let what = delivery_ask(&act, delivery.clone())?;
    let back = format!("/deliveries/{delivery}");
    form.ask(&state, what, (&back, &format!("{back}/{act}"))).await
}

/// `POST /releases/{act}`.
pub(super) async fn at_all(
    writer: Writer,
    state: Data<WebState>,
    act: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let what = all_ask(&act, &form.fields)?;
    form.ask(&state, what, ("/", &format!("/releases/{act}"))).await
}

/// What the page said would be approved: if something else waits by now, nothing is.
fn approval(fields: &Fields) -> Result<Approval, Refusal> {
    let written = fields.filled("of").unwrap_or_default();
    let known = serde_json::from_value(written.into());
    known.map_err(|_| Refusal::new(422, "the form does not say what is approved").help("reload the page"))
}

fn no_such(act: &str) -> Sorry {
    Refusal::new(404, format!("there is nothing called `{}` to ask for", act.chars().take(40).collect::<String>()))
        .into()
}
