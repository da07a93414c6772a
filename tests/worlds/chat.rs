//! Chat services over HTTP. Each refuses what its documentation says it refuses, as it would: what stands in `discord`,
//! `mattermost` and `teams` is written from there, and knows nothing of how messages are made.

#[path = "chat/discord.rs"]
pub(crate) mod discord;
#[path = "chat/email.rs"]
pub(crate) mod email;
#[path = "chat/mattermost.rs"]
pub(crate) mod mattermost;
#[path = "chat/reading.rs"]
pub(crate) mod reading;
#[path = "chat/slack.rs"]
pub(crate) mod slack;
#[path = "chat/teams.rs"]
pub(crate) mod teams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::sync::watch;

use super::thread;

/// How a service takes the next message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// 429, with so many seconds in the header.
    Busy(u32),
    /// A status and a body of the service's own.
    Says(u16, &'static str),
    /// It does not answer while this lasts.
    Hangs,
}

/// What a service was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) method: String,
    /// With what stands after `?`.
    pub(crate) path: String,
    /// What stands beside the body under names that begin with `webhook-`, and the `authorization`.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
    /// Whether the service took it, as it does where a test says nothing else.
    pub(crate) is_taken: bool,
}

#[derive(Default)]
struct State {
    turns: VecDeque<Turn>,
    /// How everything is taken for which there is no turn.
    mood: watch::Sender<Option<Turn>>,
    told: Vec<Told>,
    /// What was refused, and why.
    refused: Vec<String>,
    /// The messages of Discord and Slack that stand.
    standing: BTreeSet<String>,
}

/// Running services, all at one address. They end when dropped.
pub(crate) struct Chats {
    state: Arc<Mutex<State>>,
    url: String,
    server: actix_web::dev::ServerHandle,
}

impl Drop for Chats {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

/// The address of services that are not there: whoever connects is refused.
pub(crate) struct Deserted(Socket);

impl Deserted {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self(socket)
    }

    /// Where they would be.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap().as_socket().unwrap())
    }

    /// They are there.
    pub(crate) fn settle(self) -> Chats {
        self.0.listen(128).unwrap();
        Chats::start_on(self.0.into())
    }
}

impl Chats {
    /// On a thread of their own.
    pub(crate) fn start() -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn start_on(listener: TcpListener) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (url, server) = thread::serve_on(listener, Arc::clone(&state), |it| {
            it.app_data(web::PayloadConfig::new(64 << 20));
            it.default_service(web::to(answer));
        });
        Self { state, url, server }
    }

    /// Where they all are.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where a service takes messages.
    pub(crate) fn webhook(&self, service: &str) -> String {
        format!("{}/{}", self.url, path_of(service))
    }

    /// What comes next is taken so.
    pub(crate) fn turn(&self, turn: Turn) {
        self.state().turns.push_back(turn);
    }

    /// Everything is taken so from now on; well again with nothing.
    pub(crate) fn mood(&self, mood: Option<Turn>) {
        self.state().mood.send_replace(mood);
    }

    /// Discord's message is deleted by somebody.
    pub(crate) fn delete(&self, message: &str) {
        assert!(self.state().standing.remove(message), "no message {message}");
    }

    /// What was told since the last time, oldest first. Nothing of it may have been refused.
    pub(crate) fn take(&self) -> Vec<Told> {
        let mut state = self.state();
        assert!(state.refused.is_empty(), "{}", state.refused.join("\n"));
        std::mem::take(&mut state.told)
    }

    /// How many messages reached it since it was last [taken](Self::take) from.
    pub(crate) fn heard(&self) -> usize {
        self.state().told.len()
    }

    /// The texts of those that it took. Nothing may have been refused for what it is.
    pub(crate) fn taken(&self) -> Vec<String> {
        let state = self.state();
        assert!(state.refused.is_empty(), "{}", state.refused.join("\n"));
        state.told.iter().filter(|it| it.is_taken).map(|it| it.text.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Where a service takes messages, below the address of all.
pub(crate) fn path_of(service: &str) -> String {
    let path = match service {
        "discord" => "api/webhooks/223704706495545344/t0ken-of_the-hook",
        "mattermost" => "hooks/xxxx-generatedkey-xxxx",
        "slack" => "services/T000/B000/xxxxxxxx",
        "webhook" => "here",
        "teams" => "workflows/f0ad/triggers/manual/paths/invoke?api-version=2016-06-01&sig=k3y",
        other => panic!("`{other}` is no service of this world"),
    };
    format!("{service}/{path}")
}

async fn answer(request: HttpRequest, body: web::Bytes, state: web::Data<Mutex<State>>) -> HttpResponse {
    let (turn, mut moods) = {
        let mut state = state.lock().unwrap();
        (state.turns.pop_front().or(*state.mood.borrow()), state.mood.subscribe())
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = match serde_json::from_str(&text) {
        Ok(body) => body,
        Err(why) => return refuse(&state, format!("no JSON: {why}")),
    };
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let headers = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("webhook-") || *name == actix_web::http::header::AUTHORIZATION);
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let (method, is_taken) = (request.method().to_string(), turn.is_none());
    state.lock().unwrap().told.push(Told { method, path, headers, body, text, is_taken });
    match turn {
        None => {}
        Some(Turn::Busy(seconds)) => {
            let answer = json!({ "message": "You are being rate limited.", "retry_after": seconds, "global": false });
            return HttpResponse::TooManyRequests().insert_header(("retry-after", seconds.to_string())).json(answer);
        }
        Some(Turn::Says(status, body)) => {
            let status = actix_web::http::StatusCode::from_u16(status).unwrap();
            return HttpResponse::build(status).content_type("application/json").body(body);
        }
        Some(Turn::Hangs) => {
            // Until there is another mood; then whatever stands before it gives up.
            let _ = moods.changed().await;
            return HttpResponse::GatewayTimeout().finish();
        }
    }
    let service = request.path().split('/').nth(1).unwrap_or_default().to_owned();
    match service.as_str() {
        "discord" => of_discord(&request, &state),
        // Incoming webhooks: 200 and `ok`. A workflow: 202 and nothing.
        "mattermost" => taken(&state, mattermost::check, HttpResponse::Ok().body("ok")),
        "teams" => taken(&state, teams::check, HttpResponse::Accepted().finish()),
        "slack" => slack::answer(&request, &state),
        // Whatever stands there takes JSON, and says so by 2xx.
        "webhook" => HttpResponse::NoContent().finish(),
        other => refuse(&state, format!("nobody at /{other}")),
    }
}

/// The answer, where the service takes the last that was told.
fn taken(state: &Mutex<State>, check: fn(&Value) -> Result<(), String>, answer: HttpResponse) -> HttpResponse {
    let body = state.lock().unwrap().told.last().unwrap().body.clone();
    check(&body).err().map_or(answer, |why| refuse(state, why))
}

/// Whether a table has none but these keys.
fn known(value: &Value, keys: &[&str], what: &str) -> Result<(), String> {
    let table = value.as_object().ok_or(format!("no {what}: {value}"))?;
    match table.keys().find(|it| !keys.contains(&it.as_str())) {
        Some(key) => Err(format!("unknown key of the {what}: `{key}`")),
        None => Ok(()),
    }
}

/// A text without the blanks around it, which no service counts.
fn trimmed<'v>(value: &'v Value, what: &str) -> Result<&'v str, String> {
    if value.is_null() {
        return Ok("");
    }
    value.as_str().map(str::trim).ok_or(format!("`{what}` is no text: {value}"))
}

fn refuse(state: &Mutex<State>, why: String) -> HttpResponse {
    let answer = json!({ "message": "Invalid Form Body", "code": 50035, "errors": why });
    state.lock().unwrap().refused.push(why);
    HttpResponse::BadRequest().json(answer)
}

/// `POST /webhooks/{id}/{token}` and `PATCH …/messages/{id}`, by Discord's Webhook Resource: with `wait=true` the message
/// that was made, without it 204 and nothing.
fn of_discord(request: &HttpRequest, state: &Mutex<State>) -> HttpResponse {
    let body = state.lock().unwrap().told.last().unwrap().body.clone();
    if let Err(why) = discord::check(&body) {
        return refuse(state, why);
    }
    let parts: Vec<&str> = request.path().split('/').skip(3).collect();
    let mut state = state.lock().unwrap();
    match (request.method().as_str(), parts.as_slice()) {
        ("POST", ["webhooks", _, _]) if request.query_string().split('&').any(|it| it == "wait=true") => {
            let id = format!("{}", 1_100_000_000_000_000_000_u64 + state.told.len() as u64);
            state.standing.insert(id.clone());
            HttpResponse::Ok().json(json!({ "id": id, "type": 0, "channel_id": "1" }))
        }
        ("POST", ["webhooks", _, _]) => HttpResponse::NoContent().finish(),
        ("PATCH", ["webhooks", _, _, "messages", id]) if state.standing.contains(*id) => {
            HttpResponse::Ok().json(json!({ "id": id }))
        }
        ("PATCH", ["webhooks", _, _, "messages", _]) => {
            HttpResponse::NotFound().json(json!({ "message": "Unknown Message", "code": 10008 }))
        }
        _ => HttpResponse::NotFound().json(json!({ "message": "Unknown Webhook", "code": 10015 })),
    }
}
