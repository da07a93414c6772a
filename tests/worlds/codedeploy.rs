//! A CodeDeploy world over HTTP: it keeps applications, groups and deployments, runs them by a script, and breaks
//! where it is told to. It never deploys anything.

#[path = "codedeploy/fleet.rs"]
mod fleet;
#[path = "codedeploy/operations.rs"]
mod operations;
#[path = "codedeploy/options.rs"]
mod options;
#[path = "codedeploy/scenario.rs"]
mod scenario;
#[path = "codedeploy/serverless.rs"]
mod serverless;
#[path = "codedeploy/state.rs"]
mod state;
#[path = "codedeploy/waits.rs"]
mod waits;

use std::collections::VecDeque;
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::KeepAlive;
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer, web};
use jiff::Timestamp;
use landfall::clients::Clock;
use serde_json::{Value, json};
use tokio::sync::Notify;

pub(crate) use fleet::{Course, Fate, Minimum, Plan};
pub(crate) use scenario::{Ending, Failing, Moves, Scenario};
pub(crate) use state::Seen;
use state::{Refusal, State};

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends after the request was read and before it did anything.
    CutBeforeActing,
    /// The connection ends after the call did its work.
    CutBeforeAnswering,
    /// It does its work and never answers.
    Silence,
    /// It is held on its way: nothing is done until [`World::let_through`], and nobody is answered.
    Held,
    /// `ThrottlingException`.
    Throttled,
    /// This status, with a body that is no JSON, as a proxy would say it; nothing is done.
    Status(u16),
    /// This exception, with this message; nothing is done.
    Exception(&'static str, &'static str),
}

/// A running world. It ends when dropped.
pub(crate) struct World {
    shared: Arc<Shared>,
    port: u16,
    server: ServerHandle,
}

struct Shared {
    state: Mutex<State>,
    faults: Mutex<Vec<(String, VecDeque<Fault>)>>,
    connections_to_cut: Mutex<u32>,
    calls: Mutex<Vec<(Timestamp, String)>>,
    /// What was said and answered, once somebody wants it kept.
    exchanges: Mutex<Option<Vec<Value>>>,
    clock: Clock,
    through: Notify,
}

/// The connection under a request, to be ended under it.
struct Wire {
    socket: std::net::TcpStream,
    /// It ended at once: what came over it nevertheless counts as unread.
    unread: bool,
}

impl World {
    /// A world on a free port, with application `shop` (servers) and its group `production`.
    pub(crate) fn start(clock: Clock) -> Self {
        let world = Self::serve(0, clock);
        world.state().add_application("shop", "Server");
        world.state().add_group("shop", "production");
        world
    }

    /// An empty world on this port.
    pub(crate) fn serve(port: u16, clock: Clock) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(clock.clone())),
            clock,
            faults: Mutex::default(),
            connections_to_cut: Mutex::default(),
            calls: Mutex::default(),
            exchanges: Mutex::default(),
            through: Notify::new(),
        });
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (out, server) = std::sync::mpsc::channel();
        let inside = Arc::clone(&shared);
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let (connecting, data) = (Arc::clone(&inside), web::Data::from(inside));
                let server = HttpServer::new(move || {
                    let body_limit = web::PayloadConfig::new(4 << 20);
                    App::new().app_data(data.clone()).app_data(body_limit).default_service(web::to(answer))
                })
                .on_connect(move |connection, extensions| {
                    let Some(socket) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
                    let socket = socket.as_fd().try_clone_to_owned().expect("a descriptor is free").into();
                    let mut cuts = lock(&connecting.connections_to_cut);
                    let wire = Wire { socket, unread: *cuts > 0 };
                    if wire.unread {
                        *cuts -= 1;
                        wire.cut();
                    }
                    extensions.insert(wire);
                })
                .keep_alive(KeepAlive::Disabled)
                .workers(1)
                .disable_signals()
                .listen(listener)
                .expect("a bound socket can listen")
                .run();
                out.send(server.handle()).expect("the world waits for it");
                server.await.expect("the world ends when told");
            });
        });
        Self { shared, port, server: server.recv().expect("the thread has started") }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Another application with a group.
    pub(crate) fn add(&self, application: &str, platform: &str, groups: &[&str]) {
        self.state().add_application(application, platform);
        groups.iter().for_each(|group| self.state().add_group(application, group));
    }

    /// Another group of `shop`.
    pub(crate) fn add_group(&self, group: &str) {
        self.state().add_group("shop", group);
    }

    /// The group's deployments go to replacement instances.
    pub(crate) fn blue_green(&self, application: &str, group: &str) {
        let mut state = self.state();
        let group = state.applications.get_mut(application).and_then(|it| it.groups.get_mut(group));
        group.expect("the group was added before").blue_green = true;
    }

    /// What the group's deployments have that name no deployment configuration of their own.
    pub(crate) fn usual_config(&self, application: &str, group: &str, config: &str) {
        let mut state = self.state();
        let group = state.applications.get_mut(application).and_then(|it| it.groups.get_mut(group));
        let input = &mut group.expect("the group was added before").input;
        input["deploymentConfigName"] = config.into();
    }

    /// The alarms of a group, any of which stops its deployments.
    pub(crate) fn alarms(&self, application: &str, group: &str, names: &[&str]) {
        let mut state = self.state();
        let group = state.applications.get_mut(application).and_then(|it| it.groups.get_mut(group));
        let alarms: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        let alarms = json!({ "enabled": true, "ignorePollAlarmFailure": false, "alarms": alarms });
        group.expect("the group was added before").input["alarmConfiguration"] = alarms;
    }

    /// The application may fetch from GitHub.
    pub(crate) fn link_to_github(&self, application: &str) {
        self.state().applications.get_mut(application).expect("the application was added before").linked_to_github =
            true;
    }

    /// A deployment configuration besides CodeDeploy's own.
    pub(crate) fn add_config(&self, name: &str, platform: &str) {
        self.state().configs.insert(name.to_owned(), platform.to_owned());
    }

    /// The revisions registered for an application, with their descriptions, oldest first.
    pub(crate) fn registered(&self, application: &str) -> Vec<(Value, Option<String>)> {
        self.state().applications[application].revisions.clone()
    }

    /// The next deployment goes like this, and the one after it like the next such call says. Default: it succeeds.
    pub(crate) fn script(&self, scenario: Scenario) {
        self.state().scenarios.push_back(scenario);
    }

    /// The same for the deployments of one group alone, whatever others do meanwhile.
    pub(crate) fn script_for(&self, group: &str, scenario: Scenario) {
        self.state().of_groups.entry(group.to_owned()).or_default().push_back(scenario);
    }

    /// How large the batches of the last deployment were.
    pub(crate) fn batches(&self) -> Vec<usize> {
        let state = self.state();
        let fleet = state.deployments.last().and_then(|it| it.fleet.as_ref());
        fleet.map(|it| it.batches.clone()).unwrap_or_default()
    }

    /// An instance is listed, and cannot be asked for any more.
    pub(crate) fn vanish(&self, instance: &str) {
        self.state().vanished.push(instance.to_owned());
    }

    /// What makes deployments move on. Default: [`Moves::AtEachLook`].
    pub(crate) fn moves(&self, moves: Moves) {
        self.state().moves = moves;
    }

    /// What served before a deployment's traffic moved ends, as if its time were over.
    pub(crate) fn finish(&self, id: &str) {
        self.state().deployments.iter_mut().filter(|it| it.id == id).for_each(|it| it.finish());
    }

    /// Every deployment does one step.
    pub(crate) fn tick(&self) {
        self.state().tick();
    }

    /// Failed deployments of the group are rolled back, seen from this look at the failed one on.
    pub(crate) fn roll_back(&self, application: &str, group: &str, from_look: u32) {
        self.state().roll_back(application, group, from_look);
    }

    /// Failed deployments of the group are rolled back, seen so long after their end at the earliest.
    pub(crate) fn roll_back_after(&self, application: &str, group: &str, after: Duration) {
        self.state().roll_back_after(application, group, after);
    }

    /// Whatever is rolled back in the group comes so long after its end at the earliest.
    pub(crate) fn put_rollbacks_off(&self, application: &str, group: &str, after: Duration) {
        self.state().put_rollbacks_off(application, group, after);
    }

    /// Failed deployments of the group are not rolled back, although they should be: CodeDeploy says this about it.
    pub(crate) fn has_nothing_to_roll_back_to(&self, application: &str, group: &str, said: &'static str) {
        self.state().has_nothing_before(application, group, said);
    }

    /// Deployments that were rolled back do not name the rollback: only the rollback names them.
    pub(crate) fn hide_rollbacks(&self) {
        self.state().hides_rollbacks = true;
    }

    /// The descriptions of new deployments do not come through.
    pub(crate) fn strip_descriptions(&self) {
        self.state().strips_descriptions = true;
    }

    /// Somebody deploys the very revision of the newest deployment once more, by hand. The id.
    pub(crate) fn again_by_hand(&self, group: &str) -> String {
        let mut state = self.state();
        let revision = state.deployments.last().expect("there is one").input["revision"].clone();
        let id = state.foreign("shop", group, "user", "by hand");
        state.deployments.last_mut().expect("it was just made").input["revision"] = revision;
        id
    }

    /// CodeDeploy brings the instances that the group's newest deployment left outdated up to date. The id.
    pub(crate) fn follow_on(&self, group: &str) -> String {
        self.state().follow_on("shop", group)
    }

    /// A deployment of somebody else's, of this object in S3. Its id.
    pub(crate) fn foreign_revision(&self, group: &str, key: &str) -> String {
        let id = self.foreign(group, "user", "by hand");
        let object = json!({ "bucket": "elsewhere", "key": key, "bundleType": "zip", "eTag": "1b2c" });
        let mut state = self.state();
        let made = state.deployments.last_mut().expect("it was just made");
        made.input["revision"] = json!({ "revisionType": "S3", "s3Location": object });
        id
    }

    /// Deployments do not say when they are rolled back: only their group does.
    pub(crate) fn hide_rollback_rules(&self) {
        self.state().hides_rollback_rules = true;
    }

    /// Revisions have to be registered before they are deployed.
    pub(crate) fn want_registered_revisions(&self) {
        self.state().wants_registered = true;
    }

    /// A deployment of somebody else's. Its id.
    pub(crate) fn foreign(&self, group: &str, creator: &str, description: &str) -> String {
        self.foreign_of("shop", group, creator, description)
    }

    /// The same to a group of another application.
    pub(crate) fn foreign_of(&self, application: &str, group: &str, creator: &str, description: &str) -> String {
        self.state().foreign(application, group, creator, description)
    }

    /// The application and its groups disappear, with all deployments.
    pub(crate) fn forget(&self, application: &str) {
        self.state().forget(application);
    }

    /// The next call of `operation` goes wrong like this, and the one after it like the next such call says.
    pub(crate) fn fault(&self, operation: &str, fault: Fault) {
        let mut faults = lock(&self.shared.faults);
        match faults.iter_mut().find(|(name, _)| name == operation) {
            Some((_, queue)) => queue.push_back(fault),
            None => faults.push((operation.to_owned(), VecDeque::from([fault]))),
        }
    }

    /// What is held on its way arrives, whoever still waits for its answer.
    pub(crate) fn let_through(&self) {
        self.shared.through.notify_one();
    }

    /// The next `count` connections end before anything is read from them.
    pub(crate) fn cut_connections(&self, count: u32) {
        *lock(&self.shared.connections_to_cut) = count;
    }

    /// The operations called, in order, faults included.
    pub(crate) fn calls(&self) -> Vec<String> {
        lock(&self.shared.calls).iter().map(|(_, call)| call.clone()).collect()
    }

    /// The same, with when each came.
    pub(crate) fn timed_calls(&self) -> Vec<(Timestamp, String)> {
        lock(&self.shared.calls).clone()
    }

    /// From now on, all that is said and answered is kept.
    pub(crate) fn record(&self) {
        *lock(&self.shared.exchanges) = Some(vec![]);
    }

    /// What was said and answered since then: `operation`, `input`, and `output` or the name of an `error`.
    pub(crate) fn exchanges(&self) -> Vec<Value> {
        lock(&self.shared.exchanges).clone().unwrap_or_default()
    }

    /// How often `operation` was called.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.calls().iter().filter(|call| *call == operation).count()
    }

    /// The deployments, oldest first.
    pub(crate) fn deployments(&self) -> Vec<Seen> {
        self.state().seen()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

impl Shared {
    /// Writes an exchange down, where that is wanted.
    fn keep(&self, operation: &str, input: &Value, acted: &Result<Value, Refusal>) {
        let mut exchange = json!({ "operation": operation, "input": input });
        match acted {
            Ok(output) => exchange["output"] = output.clone(),
            Err(refusal) => exchange["error"] = json!(refusal.name),
        }
        lock(&self.exchanges).iter_mut().for_each(|kept| kept.push(exchange.clone()));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The server's own thread ends it; waiting for open connections is not needed.
        drop(self.server.stop(false));
    }
}

impl Wire {
    fn cut(&self) {
        // It may be gone already, which is what was wanted.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let wire: &Wire = request.conn_data().expect("every connection has its wire");
    if wire.unread {
        return HttpResponse::Ok().finish();
    }
    let header = |name| request.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let Some(operation) = header("x-amz-target").strip_prefix("CodeDeploy_20141006.") else {
        return refused(&Refusal::new("UnknownOperationException", "X-Amz-Target names no operation of CodeDeploy"));
    };
    if !header("authorization").starts_with("AWS4-HMAC-SHA256 ") {
        return refused(&Refusal::new("MissingAuthenticationTokenException", "Missing Authentication Token"));
    }
    lock(&shared.calls).push((shared.clock.now(), operation.to_owned()));
    let fault = lock(&shared.faults).iter_mut().find(|(name, _)| name == operation).and_then(|(_, it)| it.pop_front());
    let Ok(input) = serde_json::from_slice::<Value>(&body) else {
        return refused(&Refusal::new("SerializationException", "the body is not JSON"));
    };
    let act = || {
        let acted = lock(&shared.state).act(operation, &input);
        shared.keep(operation, &input, &acted);
        acted
    };
    let cut = || {
        wire.cut();
        HttpResponse::Ok().finish()
    };
    match fault {
        Some(Fault::CutBeforeActing) => cut(),
        Some(Fault::CutBeforeAnswering) => {
            let _ = act();
            cut()
        }
        Some(Fault::Silence) => {
            let _ = act();
            std::future::pending().await
        }
        Some(Fault::Held) => {
            let (shared, operation) = (shared.clone(), operation.to_owned());
            // Apart from the connection, which may be gone by then.
            actix_web::rt::spawn(async move {
                shared.through.notified().await;
                let _ = lock(&shared.state).act(&operation, &input);
            });
            std::future::pending().await
        }
        Some(Fault::Throttled) => refused(&Refusal::new("ThrottlingException", "Rate exceeded")),
        Some(Fault::Status(status)) => {
            let status = actix_web::http::StatusCode::from_u16(status).expect("a test names a real status");
            HttpResponseBuilder::new(status).content_type("text/html").body("<html>no</html>")
        }
        Some(Fault::Exception(name, message)) => refused(&Refusal::new(name, message)),
        None => match act() {
            Ok(output) => HttpResponse::Ok().content_type("application/x-amz-json-1.1").body(output.to_string()),
            Err(refusal) => refused(&refusal),
        },
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    HttpResponse::BadRequest()
        .content_type("application/x-amz-json-1.1")
        .insert_header(("x-amzn-errortype", refusal.name))
        .body(json!({ "__type": refusal.name, "message": refusal.message }).to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
