//! `POST /webhooks/github`. It answers after the ledger is durable, and asks nobody else.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::answer::{self, Problem};
use super::body::{self, LARGEST_BODY, Unread, Verified};
use super::checks::{self, Said};
use super::comment::{self, Comment, Heard};
use super::deployment::{self, Answered, Wanted, Wish};
use super::missed::Missed;
use super::payload::{self, Encoding, Malformed};
use super::reception::Reception;
use super::repository;
use super::room::{Room, SMALL};
use super::signature::{Claim, Keys};
use super::sources::Sources;
use crate::asking::Commands;
use crate::clients::github::GitHubClients;
use crate::clients::{Clock, Telling};
use crate::config::Config;
use crate::domain::{Delivery, DeliveryId, Hearsay, Push, Repository, Target};
use crate::ledger::{Ledger, LedgerError};

/// Where goes what was said, is not kept, and may matter to what waits.
pub type Hear = Arc<dyn Fn(Hearsay) + Send + Sync>;

/// What the door needs: where to write, whom to believe, what is configured, and the time.
#[derive(Clone)]
pub struct IntakeState {
    reception: Reception,
    keys: Keys,
    room: Room,
    sources: Sources,
    telling: Telling,
    clock: Clock,
    hear: Hear,
    commands: Option<Commands>,
}

/// What a verified body is.
enum Understood {
    Push {
        push: Box<Push>,
        digest: String,
    },
    Checks(Said),
    /// Somebody wants a commit in an environment.
    Wish(Box<Wish>),
    /// Somebody wants something, in a comment.
    Comment(Box<Comment>),
    /// Nothing of us, because.
    Nothing(&'static str),
    /// A repository has this name now.
    Moved(Repository),
    Unused,
}

impl IntakeState {
    /// Ready to be asked. Makes the directory for large bodies under way, and reads what is known of repositories.
    pub fn new(ledger: Ledger, config: Arc<Config>, clock: Clock) -> std::io::Result<Self> {
        let spool = config.data_dir.join("spool");
        make_private(&spool)?;
        let keys = Keys::new(&config.github);
        let room = Room::new(config.server.bodies_in_flight_bytes, spool);
        let reception = Reception::open(ledger, config).map_err(std::io::Error::other)?;
        let (sources, telling) = (Sources::new(clock.clone()), Telling::default());
        Ok(Self { reception, keys, room, sources, telling, clock, hear: Arc::new(|_| ()), commands: None })
    }

    /// The same, and what only somebody else can look into goes here.
    #[must_use]
    pub fn hearing(self, hear: Hear) -> Self {
        Self { hear, ..self }
    }

    /// The same, and commands in comments are carried out so.
    #[must_use]
    pub fn heeding(self, commands: Commands) -> Self {
        Self { commands: Some(commands), ..self }
    }

    /// What is known of those who send.
    pub fn sources(&self) -> Sources {
        self.sources.clone()
    }

    /// What looks for the deliveries that never came to this door.
    pub fn missed(&self, clients: &GitHubClients) -> Missed {
        Missed::new(self.reception.clone(), clients, self.clock.clone())
    }
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Adds the routes.
pub fn routes(config: &mut web::ServiceConfig, state: IntakeState) {
    config.service(
        web::resource("/webhooks/github")
            .app_data(web::Data::new(state))
            .route(web::post().to(receive))
            .default_service(web::to(wrong_method)),
    );
}

async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<IntakeState>) -> HttpResponse {
    match take(&request, payload, &state).await {
        Ok(answer) => answer,
        Err(problem) => problem.answer(&state.telling, state.clock.now()),
    }
}

async fn wrong_method(request: HttpRequest) -> HttpResponse {
    Problem::wrong_method(request.method()).answer_quietly()
}

/// Whose request it is: who made the connection, or whom a configured proxy saw.
fn source(request: &HttpRequest, state: &IntakeState) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.ip());
    let lines = request.headers().get_all("x-forwarded-for").filter_map(|line| line.to_str().ok());
    state.reception.config.server.proxies.asks(peer, lines.collect::<Vec<_>>().into_iter())
}

async fn take(request: &HttpRequest, payload: web::Payload, state: &IntakeState) -> Result<HttpResponse, Problem> {
    let headers = request.headers();
    let text = |name: &str| {
        let mut lines = headers.get_all(name);
        let only = lines.next().filter(|_| lines.next().is_none());
        only.and_then(|it| it.to_str().ok())
    };
    let announced = text(CONTENT_LENGTH.as_str()).and_then(|it| it.parse::<u64>().ok());
    if let Some(bytes) = announced.filter(|bytes| *bytes > LARGEST_BODY) {
        return Err(Problem::too_large(Some(bytes)));
    }
    let mut signatures = headers.get_all("x-hub-signature-256");
    let claim = match (signatures.next(), signatures.next()) {
        (None, _) => return Err(Problem::no_signature(headers.contains_key("x-hub-signature"))),
        (Some(one), None) => one.to_str().ok().and_then(Claim::parse).ok_or_else(Problem::broken_signature)?,
        // Which one counts would be anybody's guess.
        (Some(_), Some(_)) => return Err(Problem::broken_signature()),
    };
    let source = source(request, state);
    let share = state.room.share(state.sources.standing(source));
    let verified = body::read(payload, share, state.keys.hear(claim)).await;
    match &verified {
        Ok(_) => state.sources.prove(source),
        Err(Unread::BadSignature) => state.sources.suspect(source),
        Err(_) => {}
    }
    let verified = verified.map_err(|error| Problem::unread(&error))?;
    let content_type = text(CONTENT_TYPE.as_str()).unwrap_or_default();
    let encoding = Encoding::of(content_type).ok_or_else(|| Problem::wrong_content_type(content_type))?;
    let event = text("x-github-event")
        .filter(|it| is_event(it))
        .ok_or_else(|| Problem::header("X-GitHub-Event", "the event's name", text("x-github-event")))?;
    let id = text("x-github-delivery").unwrap_or_default();
    let id = DeliveryId::parse(id)
        .map_err(|unfit| Problem::header("X-GitHub-Delivery", unfit.expected, text("x-github-delivery")))?;
    let understood = understand(verified.body(), encoding, event).await;
    match understood.map_err(|error| Problem::malformed(&error))? {
        Understood::Unused => Ok(answer::unused(&id, event)),
        Understood::Checks(said) => match state.reception.targets(&said.repository, Some(verified.voice())) {
            Some(targets) => Ok(hear(state, &id, event, said, &targets)),
            None => Err(Problem::wrong_voice(&said.repository.name)),
        },
        Understood::Nothing(why) => Ok(answer::noted(&id, event, why)),
        Understood::Wish(wish) => {
            let targets = state.reception.targets(&wish.repository, Some(verified.voice()));
            let targets = targets.ok_or_else(|| Problem::wrong_voice(&wish.repository.name))?;
            let answered = wish.accept(&state.reception.ledger, &id, &targets, None).await;
            answered
                .map(|answered| match answered {
                    Answered::Accepted(accepted) => answer::accepted(&accepted),
                    Answered::NoTarget(why) => answer::noted(&id, event, &why),
                })
                .map_err(|error| Problem::not_stored(&error))
        }
        Understood::Comment(comment) => {
            let targets = state.reception.targets(&comment.repository, Some(verified.voice()));
            let targets = targets.ok_or_else(|| Problem::wrong_voice(&comment.repository.name))?;
            let told = carry_out(state, *comment, targets).await;
            told.map(|told| answer::noted(&id, event, &told)).map_err(|error| Problem::not_stored(&error))
        }
        Understood::Push { push, digest } => accept(state, verified, Parts { id, event, digest, push: *push }).await,
        Understood::Moved(repository) => {
            let told = repository::follow(&state.reception, &repository, verified.voice()).await;
            told.map(|told| answer::noted(&id, event, &told)).map_err(|error| Problem::not_stored(&error))
        }
    }
}

/// Passes on what was said of checks. Nothing is planned or kept: who hears it asks GitHub.
fn hear(state: &IntakeState, id: &DeliveryId, event: &str, said: Said, targets: &[Arc<Target>]) -> HttpResponse {
    match said.hint(targets) {
        Ok(hint) => {
            (state.hear)(Hearsay::Checks(hint));
            answer::noted(id, event, "deployments that wait for it look at its checks now")
        }
        Err(why) => answer::noted(id, event, why),
    }
}

/// What became of a command in a comment.
async fn carry_out(state: &IntakeState, comment: Comment, targets: Vec<Arc<Target>>) -> Result<String, LedgerError> {
    let Some(commands) = &state.commands else {
        return Ok("commands in comments are not heard: `[commands]` has no `comments = true`".into());
    };
    if targets.is_empty() {
        return Ok("no target is configured for this repository".into());
    }
    let own = state.reception.its_own(&comment.repository, targets).await?;
    if own.is_empty() {
        let text = "the targets of this name are those of another repository, which had it before";
        tracing::warn!(repository = comment.repository.name.as_str(), "a command in a comment is not heard: {text}");
        return Ok(text.into());
    }
    Ok(comment.carry_out(commands, &own).await)
}

struct Parts<'a> {
    id: DeliveryId,
    event: &'a str,
    digest: String,
    push: Push,
}

async fn accept(state: &IntakeState, verified: Verified, parts: Parts<'_>) -> Result<HttpResponse, Problem> {
    let Parts { id, event, digest, push } = parts;
    let targets = state.reception.targets(&push.repository, Some(verified.voice()));
    let targets = targets.ok_or_else(|| Problem::wrong_voice(&push.repository.name))?;
    let (repository, reference) = (push.repository.clone(), push.reference.clone());
    let gone = push.after.is_none().then_some(Hearsay::Gone { repository, reference });
    let (body, share) = verified.into_body();
    let (event, received_at) = (event.to_owned(), state.clock.now());
    let stored = state
        .reception
        .accept(Delivery { id, event, digest, body, received_at, push, caught_up: None }, &targets)
        .await;
    drop(share);
    match stored {
        Ok(accepted) => {
            let born: Vec<_> = accepted.plans.iter().filter_map(|it| it.deployment).map(|id| id.to_string()).collect();
            tracing::info!(delivery.id = %accepted.delivery, repeat = accepted.repeat, deployments = born.join(" "), "push taken");
            gone.into_iter().for_each(|it| (state.hear)(it));
            Ok(answer::accepted(&accepted))
        }
        Err(error) => Err(Problem::not_stored(&error)),
    }
}

/// GitHub's events are words with underscores, and a digit in `projects_v2_item`.
fn is_event(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Reads a body; a large one away from the worker, which others are waiting for.
async fn understand(body: &Bytes, encoding: Encoding, event: &str) -> Result<Understood, Malformed> {
    if body.len() as u64 <= SMALL {
        return parse(body, encoding, event);
    }
    let (body, event) = (body.clone(), event.to_owned());
    let parsed = tokio::task::spawn_blocking(move || parse(&body, encoding, &event)).await;
    parsed.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))
}

fn parse(body: &[u8], encoding: Encoding, event: &str) -> Result<Understood, Malformed> {
    let json = encoding.json(body)?;
    Ok(match event {
        "push" => Understood::Push { push: payload::push(&json)?.into(), digest: hex::encode(Sha256::digest(body)) },
        "deployment" => match deployment::wanted(&json)? {
            Wanted::This(wish) => Understood::Wish(wish),
            Wanted::Nothing(why) => Understood::Nothing(why),
        },
        "repository" => repository::moved(&json)?.map_or(Understood::Unused, Understood::Moved),
        _ if comment::is_comment(event) => match comment::heard(&json)? {
            Heard::This(comment) => Understood::Comment(comment),
            Heard::Nothing(why) => Understood::Nothing(why),
        },
        _ if checks::is_about_checks(event) => Understood::Checks(checks::read(&json)?),
        _ => {
            payload::well_formed(&json)?;
            Understood::Unused
        }
    })
}
