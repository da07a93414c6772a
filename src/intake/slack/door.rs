//! The door for Slack: checks whose the request is and that it is of now, has the command carried out, and answers within
//! the three seconds that Slack waits. What takes longer goes on, and is answered where Slack says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use tokio::sync::oneshot;
use tracing::{error, warn};
use url::Url;

use super::form::{Form, Spoken};
use super::signature::Claim;
use crate::asking::{Commands, Person, Place, Reply, Said};
use crate::chat::{Span, answer_in_slack, slack_answer};
use crate::clients::{Clock, Telling};
use crate::config::{self, SecretRef};
use crate::intake::answer::Problem;
use crate::intake::body;
use crate::intake::room::Room;
use crate::intake::sources::Standing;

/// A button brings the message along that it stands on.
const LARGEST: u64 = 256 << 10;
/// Bodies under way at once.
const ROOM: u64 = 4 << 20;
/// Slack waits for three seconds, the way there and back among them.
const WITHIN: Duration = Duration::from_millis(2_300);

/// What the door needs: whose signature counts, who is who, and who carries it out. Clones share it.
#[derive(Clone)]
pub struct SlackState(Arc<Inner>);

struct Inner {
    secret: Option<SecretRef>,
    people: BTreeMap<String, String>,
    /// Another host than Slack's that answers may be sent to: the one that `chat.api_url` names.
    also: Option<String>,
    commands: Commands,
    room: Room,
    telling: Telling,
    clock: Clock,
}

impl SlackState {
    /// Ready to be asked.
    pub fn new(rules: &config::Commands, also: Option<String>, commands: Commands, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            secret: rules.slack_signing_secret.clone(),
            people: rules.of_slack.clone(),
            also,
            commands,
            // Nothing that is small enough is spooled.
            room: Room::new(ROOM, std::path::PathBuf::new()),
            telling: Telling::default(),
            clock,
        }))
    }
}

/// Adds the route.
pub fn routes(config: &mut web::ServiceConfig, state: SlackState) {
    config.service(
        web::resource("/webhooks/slack")
            .app_data(web::Data::new(state))
            .route(web::post().to(receive))
            .default_service(web::to(wrong_method)),
    );
}

async fn wrong_method(request: HttpRequest) -> HttpResponse {
    Problem::wrong_method(request.method()).answer_quietly()
}

async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<SlackState>) -> HttpResponse {
    let state = &state.0;
    let Some(secret) = &state.secret else { return Problem::slack_off().answer_quietly() };
    match state.heard(&request, payload, secret).await {
        Ok(Form::Spoken(spoken)) => state.answer(spoken).await,
        Ok(Form::Nothing(why)) => {
            tracing::debug!("nothing is done for a request of Slack's: {why}");
            HttpResponse::Ok().finish()
        }
        Err(problem) => problem.answer(&state.telling, state.clock.now()),
    }
}

impl Inner {
    /// A request that Slack signed just now, understood.
    async fn heard(&self, request: &HttpRequest, payload: web::Payload, secret: &SecretRef) -> Result<Form, Problem> {
        let header = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let claim = Claim::parse(header("x-slack-request-timestamp"), header("x-slack-signature"));
        let claim = claim.ok_or_else(Problem::slack_unsigned)?;
        if let Some(age) = claim.is_stale(self.clock.now()) {
            return Err(Problem::slack_stale(age));
        }
        let share = self.room.share(Standing::Unknown);
        let (body, _share) = body::read_small(payload, share, LARGEST).await.map_err(|it| Problem::unread(&it))?;
        // Read for every request, so that a new one needs no restart.
        let secret = secret.read().map_err(|error| {
            error!("{error}");
            Problem::slack_secret_away()
        })?;
        if !claim.is_of(secret.expose(), &body) {
            return Err(Problem::slack_signature());
        }
        Form::read(&body, self.also.as_deref()).map_err(|expected| Problem::slack_malformed(expected, &body))
    }

    /// Has it carried out on a task of its own, so that a connection that breaks stops nothing. What is not done in time is
    /// answered later.
    async fn answer(&self, spoken: Spoken) -> HttpResponse {
        let Spoken { member, words, once, answer_to, is_button } = spoken;
        let login = self.people.get(&member).cloned();
        let person = Person::OfSlack { id: member, login };
        let said = Said { person, words, key: format!("slack/{once}"), place: Place::Anywhere };
        let (commands, clock, to) = (self.commands.clone(), self.clock.clone(), answer_to.clone());
        let (tell, told) = oneshot::channel();
        self.commands.begin(async move {
            let reply = commands.carry_out(&said).await;
            if let Err(reply) = tell.send(reply) {
                answer_later(to, &reply, &clock).await;
            }
        });
        match tokio::time::timeout(WITHIN, told).await {
            Ok(Ok(reply)) if is_button => {
                let clock = self.clock.clone();
                self.commands.begin(async move { answer_later(answer_to, &reply, &clock).await });
                HttpResponse::Ok().finish()
            }
            Ok(Ok(reply)) => HttpResponse::Ok().json(slack_answer(&reply.lines, reply.changes)),
            Ok(Err(_)) => HttpResponse::InternalServerError().json(json!({ "error": "a bug of ours" })),
            Err(_) => {
                let soon = vec![vec![Span::plain("⏳ It takes a moment: the answer follows.")]];
                HttpResponse::Ok().json(slack_answer(&soon, false))
            }
        }
    }
}

async fn answer_later(to: Option<Url>, reply: &Reply, clock: &Clock) {
    let Some(url) = to else {
        warn!("a command from Slack was carried out, and Slack said nowhere to answer");
        return;
    };
    if let Err(error) = answer_in_slack(url, &reply.lines, reply.changes, clock).await {
        warn!("a command from Slack was carried out, and the answer did not arrive: {error}");
    }
}
