//! The buttons of the pages: each makes a request of a form and leads back to where its outcome shows.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use jiff::SignedDuration;

use super::WebState;
use super::door::{Proven, Writer};
use super::respond::{Refusal, Sorry, see_other};
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

    /// Asks for it, and leads to what was born of it, or back. The page's own key makes a double click one request.
    async fn ask(self, state: &WebState, what: Ask, back: &str) -> Result<HttpResponse, Sorry> {
        let no_key = || Refusal::new(422, "the form has no `key`").help("reload the page");
        let key = self.fields.filled("key").ok_or_else(no_key)?;
        let key = format!("dashboard:{}", key.chars().take(64).collect::<String>());
        let actor = self.who.who_asks(&what, &state.board).await?;
        let asked = state.asks.ask(Request { actor, key, what }).await?;
        Ok(match asked.deployments.first() {
            Some(born) => see_other(&format!("/deployments/{born}")),
            None => see_other(back),
        })
    }
}

/// `POST /targets/{name}/{act}`: deploy, rollback, lock, unlock.
pub(super) async fn at_target(
    writer: Writer,
    state: Data<WebState>,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let (name, act) = path.into_inner();
    let target = TargetName::parse(name)?;
    let back = format!("/targets/{target}");
    let what = match act.as_str() {
        "deploy" => {
            let (reference, sha) = RefName::or_commit(form.fields.filled("ref").unwrap_or("main"))?;
            Ask::Deploy { target, reference, sha, options: DeployOptions::default() }
        }
        "rollback" => Ask::Rollback { target, to: None, options: DeployOptions::default() },
        "lock" => {
            let reason = form.fields.reason();
            let hours = form
                .fields
                .filled("hours")
                .and_then(|it| it.parse().ok())
                .filter(|hours| (1..=24 * 365).contains(hours));
            let until = hours.and_then(|hours| state.clock.now().checked_add(SignedDuration::from_hours(hours)).ok());
            Ask::Lock { target, reason, until, warns: form.fields.get("warn").is_some() }
        }
        "unlock" => Ask::Unlock { target },
        _ => return Err(no_such(&act)),
    };
    form.ask(&state, what, &back).await
}

/// `POST /deployments/{id}/{act}`: redeploy, rollback, stop, approve, reject.
pub(super) async fn at_deployment(
    writer: Writer,
    state: Data<WebState>,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let (id, act) = path.into_inner();
    let deployment = DeploymentId::parse(&id)?;
    let back = format!("/deployments/{deployment}");
    let what = match act.as_str() {
        "redeploy" => Ask::Redeploy { deployment, options: DeployOptions::default() },
        "rollback" => {
            let target = TargetName::parse(form.fields.filled("target").unwrap_or_default())?;
            Ask::Rollback { target, to: Some(deployment), options: DeployOptions::default() }
        }
        "stop" => Ask::Stop { deployment, rollback: form.fields.get("rollback").is_some() },
        "approve" => Ask::Approve { deployment, of: Some(approval(&form.fields)?), reason: form.fields.reason() },
        "reject" => Ask::Reject { deployment, reason: form.fields.reason() },
        _ => return Err(no_such(&act)),
    };
    form.ask(&state, what, &back).await
}

/// `POST /deliveries/{id}/replay`.
pub(super) async fn at_delivery(
    writer: Writer,
    state: Data<WebState>,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let (id, act) = path.into_inner();
    let delivery = DeliveryId::parse(id)?;
    if act != "replay" {
        return Err(no_such(&act));
    }
    let back = format!("/deliveries/{delivery}");
    form.ask(&state, Ask::Replay { delivery }, &back).await
}

/// `POST /releases/{act}`: pause, resume, unlock.
pub(super) async fn at_all(
    writer: Writer,
    state: Data<WebState>,
    act: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Sorry> {
    let form = Form::proven(writer, &body)?;
    let what = match act.as_str() {
        "pause" => Ask::Pause { reason: form.fields.reason() },
        "resume" => Ask::Resume,
        "unlock" => Ask::UnlockAll,
        _ => return Err(no_such(&act)),
    };
    form.ask(&state, what, "/").await
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
