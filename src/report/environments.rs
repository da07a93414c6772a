//! GitHub's page of environments: one GitHub deployment for each of ours, and the states that it passes through.
//!
//! Why GitHub is never let to retire older deployments by itself (`auto_inactive`): it does so for a whole environment, in
//! which several targets may live, and never for one that people use. Here each target retires its own.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sink::{Message, Said};
use crate::clients::github::{GitHubClient, GitHubError};
use crate::domain::{Deployment, Notice, NoticeState, SinkEvent, State};
use crate::ledger::{Ledger, LedgerError};

/// Deployments that GitHub lists at once; of one commit in one environment there are few.
const LISTED: usize = 100;

/// What should stand there; nothing where there was nothing, and need be nothing.
pub(super) fn notice(
    ledger: &Ledger,
    deployment: &Deployment,
    last: Option<&SinkEvent>,
) -> Result<Option<Notice>, LedgerError> {
    let plain = Notice::of(deployment);
    let said = |state, text: &str| Notice { state, text: text.to_owned() };
    let inactive = |notice: Notice| Notice { state: NoticeState::Inactive, ..notice };
    let notice = match deployment.state() {
        State::Planned | State::Weighing | State::Held { .. } | State::ReadyHeld { .. } => {
            said(NoticeState::Queued, "Queued")
        }
        State::Preparing { .. } | State::Ready { .. } => said(NoticeState::Queued, "Queued"),
        State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => {
            said(NoticeState::InProgress, "Under way")
        }
        // Another deployment brought it.
        State::Succeeded { .. } if deployment.run().is_none() => inactive(plain),
        State::Succeeded { .. } if is_replaced(ledger, deployment)? => {
            said(NoticeState::Inactive, "Replaced by a newer deployment")
        }
        State::Stopped { .. } if !deployment.may_have_touched() => inactive(plain),
        State::Superseded { .. } | State::Skipped { .. } => inactive(plain),
        State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } | State::Refused { .. } => plain,
    };
    let is_there = last.is_some() || deployment.order().github_deployment().is_some();
    Ok(Some(notice).filter(|it| it.state != NoticeState::Inactive || is_there))
}

/// Whether something else is live at its target by now.
fn is_replaced(ledger: &Ledger, deployment: &Deployment) -> Result<bool, LedgerError> {
    let live = ledger.target(&deployment.order().target.name)?.live;
    Ok(live.is_some_and(|live| live.deployment != deployment.id()))
}

/// One step towards what should stand there: makes the GitHub deployment, or gives it its state. May run twice: one that
/// was made already is found by our id in it, and the second state says the same.
pub(super) async fn say(
    client: &GitHubClient,
    deployment: &Deployment,
    message: &Message,
) -> Result<Said, GitHubError> {
    // Whoever made one to ask for this deployment waits for its states, and needs no second one.
    let asked = deployment.order().github_deployment().map(|it| it.to_string());
    if let Some(id) = message.remote_id.clone().or(asked) {
        set_state(client, deployment, message, &id).await?;
        return Ok(Said::all(Some(id), message));
    }
    let id = match find(client, deployment, message).await? {
        Some(id) => id,
        None if message.notice.state == NoticeState::Inactive => return Ok(Said::all(None, message)),
        None => create(client, deployment, message).await?,
    };
    let made = Notice { state: NoticeState::Pending, text: "Created".into() };
    Ok(Said { notice: made, ..Said::all(Some(id.to_string()), message) })
}

/// A GitHub deployment, as far as it matters here.
#[derive(Deserialize)]
struct Listed {
    id: u64,
    #[serde(default)]
    payload: Value,
}

impl Listed {
    /// GitHub gives a payload back as it came, or as the text of it.
    fn is_of(&self, id: &str) -> bool {
        let parsed = self.payload.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        parsed.as_ref().unwrap_or(&self.payload).get("landfall").and_then(Value::as_str) == Some(id)
    }
}

/// The one that was made for this deployment by a try whose answer was lost.
async fn find(client: &GitHubClient, deployment: &Deployment, message: &Message) -> Result<Option<u64>, GitHubError> {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("sha", message.sha.as_str())
        .append_pair("environment", &message.context)
        .append_pair("per_page", &LISTED.to_string())
        .finish();
    let path = format!("/repos/{}/deployments?{query}", deployment.order().target.repository);
    let all: Vec<Listed> = client.look_json(&path).await?;
    Ok(all.into_iter().find(|it| it.is_of(&deployment.id().to_string())).map(|it| it.id))
}

async fn create(client: &GitHubClient, deployment: &Deployment, message: &Message) -> Result<u64, GitHubError> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "ref")]
        reference: &'a str,
        task: &'static str,
        auto_merge: bool,
        required_contexts: [&'static str; 0],
        payload: Value,
        environment: &'a str,
        description: String,
        transient_environment: bool,
        production_environment: bool,
    }
    let target = &deployment.order().target;
    let body = Body {
        reference: message.sha.as_str(),
        task: "deploy",
        // Unless told so, GitHub merges the default branch first, and waits for all statuses: ours too.
        auto_merge: false,
        required_contexts: [],
        payload: json!({ "landfall": deployment.id() }),
        environment: &message.context,
        description: format!("{} by Landfall", target.name),
        transient_environment: target.github.transient,
        production_environment: target.github.is_production(&target.environment),
    };
    let made: Listed = client.post(&format!("/repos/{}/deployments", target.repository), &body).await?;
    Ok(made.id)
}

async fn set_state(
    client: &GitHubClient,
    deployment: &Deployment,
    message: &Message,
    id: &str,
) -> Result<(), GitHubError> {
    #[derive(Serialize)]
    struct Body<'a> {
        state: &'static str,
        description: &'a str,
        auto_inactive: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        log_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        environment_url: Option<String>,
    }
    let Message { sha, notice, url, .. } = message;
    let target = &deployment.order().target;
    let is_seen = notice.state == NoticeState::Success;
    let environment_url = target.github.url_of(deployment.order(), sha).filter(|_| is_seen);
    let state = notice.state.as_str();
    let body =
        Body { state, description: &notice.text, auto_inactive: false, log_url: url.as_deref(), environment_url };
    let _: Value = client.post(&format!("/repos/{}/deployments/{id}/statuses", target.repository), &body).await?;
    Ok(())
}
