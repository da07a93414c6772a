//! What an administrator sees of a push: its way through the log, and in the figures.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::Place;
use crate::worlds::chat::{self, Deserted};

/// The names in `README.md`'s table of figures.
fn documented() -> BTreeSet<String> {
    let readme = include_str!("../../../README.md");
    let table =
        readme.split("| figure |").nth(1).expect("the README has a table of figures").split("\n\n").next().unwrap();
    table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(|it| it.split('{').next().unwrap().to_owned())
        .collect()
}

/// The names of the families in a text of figures.
fn families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let name = |line: &str| {
        let (name, kind) = line.split_once(' ').unwrap();
        // The text form names a counter without its ending, and people write what they ask for.
        match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        }
    };
    types.map(name).collect()
}

#[test]
fn one_push_is_followed_through_the_log_from_its_delivery_to_live() {
    let (place, deserted) = (Place::new(), Deserted::new());
    place.chat(&deserted);
    let mut command = place.program(&["serve", "--log-format", "json"]);
    command.env("LANDFALL_LOG", "landfall=debug");
    let server = place.serve_as(command);
    place.let_go();
    place.push(&server, "one");
    place.settle(&server);
    let live = place.asked(&server, &["status"])["targets"][0]["live"]["deployment"].as_str().unwrap().to_owned();
    let url = format!("http://{}", server.address);
    super::says(&place.run(&["status", "--url", &url, "--token", "guess"]), 3, &["does not know this token"]);
    let figures = place.figures(&server);
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();

    let taken = lines.iter().find(|it| it["fields"]["message"] == "push taken").expect("the log tells of the push");
    assert_eq!(taken["fields"]["deployments"], live.as_str());
    let delivery = taken["fields"]["delivery.id"].as_str().unwrap();
    let within = |line: &Value, key: &str, value: &str| {
        let spans = line["spans"].as_array().into_iter().flatten();
        line["fields"][key] == value || spans.into_iter().any(|span| span[key] == value)
    };
    // What is said of the deployment and names no other leads back to the delivery by the span that it stands in.
    let events: Vec<&str> = lines
        .iter()
        .filter(|it| it["fields"]["deployment.id"] == live.as_str())
        .filter_map(|it| it["fields"]["event"].as_str())
        .collect();
    assert!(events.starts_with(&["planned", "weighing", "weighed", "prepared", "releasing"]), "{events:?}");
    assert_eq!(events.last(), Some(&"succeeded"), "{events:?}");
    let at_work: Vec<&Value> =
        lines.iter().filter(|it| within(it, "delivery.id", delivery) && within(it, "deployment.id", &live)).collect();
    let steps: Vec<&str> = at_work.iter().filter_map(|it| it["fields"]["state"].as_str()).collect();
    assert_eq!(steps, ["planned", "preparing", "preparing", "running", "verifying"], "{log}");
    // By its id alone everything is found: what happened, what was done, and what was told of it.
    let sha = place.repo.git(&["rev-parse", "HEAD"]);
    let astray: Vec<&str> = log.lines().filter(|it| it.contains(&sha) && !it.contains(&live)).collect();
    assert!(astray.is_empty(), "{astray:#?}");
    for (line, text) in lines.iter().zip(log.lines()).filter(|(_, text)| text.contains(&live)) {
        let is_whole = within(line, "delivery.id", delivery) && within(line, "target.name", "site");
        assert!(is_whole || line["fields"]["message"] == "push taken", "{text}");
    }
    let told = at_work.iter().filter(|it| it["fields"]["message"] == "told").count();
    assert!(told >= 2, "what was reported stands there, too: {log}");

    let away = lines.iter().find(|it| it["fields"]["why"] == "unknown").expect("who was turned away is told of");
    assert_eq!(
        (&away["fields"]["request"], &away["fields"]["client.address"], &away["fields"]["token.name"]),
        (&"GET /api/v1/targets".into(), &"127.0.0.1".into(), &Value::Null)
    );

    for (name, value) in [
        ("landfall_deployments_planned_total{target=\"site\"}", "1"),
        ("landfall_deployments_ended_total{target=\"site\",outcome=\"succeeded\"}", "1"),
        ("landfall_deployment_duration_seconds_count{target=\"site\",outcome=\"succeeded\"}", "1"),
        ("landfall_http_answers_total{door=\"github\",status=\"202\"}", "1"),
        ("landfall_accepting", "1"),
        ("landfall_paused", "0"),
        ("landfall_deployments_running{target=\"site\"}", "0"),
    ] {
        let line = format!("{name} {value}");
        assert!(figures.lines().any(|it| it == line), "`{line}` is not in\n{figures}");
    }
    assert_eq!(families(&figures), documented(), "the README's table of figures and the figures themselves");
}

#[test]
fn a_chat_that_is_down_is_said_once_when_it_goes_and_once_when_it_is_back() {
    let (place, deserted) = (Place::new(), Deserted::new());
    place.chat(&deserted);
    let mut command = place.program(&["serve"]);
    command.env("LANDFALL_LOG", "landfall=info");
    let server = place.serve_as(command);
    place.let_go();
    place.push(&server, "one");
    place.settle(&server);
    let figures = place.figures_with(&server, "landfall_place_down{place=\"chat-ops\"} 1");
    assert!(figures.contains("landfall_place_waiting{place=\"chat-ops\"} 1"), "{figures}");
    let tries = "landfall_reports_total{sink=\"chat-ops\",outcome=\"stumbled\"}";
    super::until("it is tried again", || {
        let figures = place.figures_with(&server, tries);
        (!figures.contains(&format!("{tries} 1\n"))).then_some(())
    });
    let (url, token) =
        (format!("http://{}", server.address), std::fs::read_to_string(place.path("data/token")).unwrap());
    let told = place.run(&["status", "--url", &url, "--token", token.trim()]);
    assert!(told.out.contains("untold chat-ops: `127.0.0.1` could not be asked"), "{}", told.out);

    let chats = deserted.settle();
    super::until("the chat is told", || (!chats.take().is_empty()).then_some(()));
    place.figures_with(&server, "landfall_place_down{place=\"chat-ops\"} 0");
    let told = place.run(&["status", "--url", &url, "--token", token.trim()]);
    assert!(!told.out.contains("untold"), "{}", told.out);
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|it| it.contains("chat-ops")).collect();
    let [gone, back] = lines[..] else { panic!("two lines:\n{log}") };
    for text in
        ["WARN", "code=\"chat/unreachable\"", "help=\"wait, or check the address and the network\"", "not told until"]
    {
        assert!(gone.contains(text), "{text} is not in {gone}");
    }
    for text in ["INFO", "told again, after", "waited=1"] {
        assert!(back.contains(text), "{text} is not in {back}");
    }
}

/// Whoever guesses a million times shall not fill a disk with it.
#[test]
fn who_is_turned_away_is_named_behind_a_trusted_proxy_and_a_flood_is_told_a_few_times() {
    let place = Place::new();
    let toml = std::fs::read_to_string(place.path("landfall.toml")).unwrap();
    let toml = toml.replace("[server]", "[server]\ntrusted_proxies = [\"127.0.0.1\"]");
    std::fs::write(place.path("landfall.toml"), toml).unwrap();
    let server = place.serve();
    let (runtime, client) =
        (tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), reqwest::Client::new());
    for _ in 0..50 {
        let guess = client.get(format!("http://{}/api/v1/targets", server.address)).bearer_auth("guess");
        let answer = runtime.block_on(guess.header("X-Forwarded-For", "6.6.6.6, 203.0.113.9").send());
        assert_eq!(answer.unwrap().status(), 401);
    }
    let log = server.log();
    let told = log.lines().filter(|it| it.contains("turned away") && it.contains("client.address=203.0.113.9")).count();
    assert_eq!((told, log.matches("turned away").count()), (20, 20), "{log}");
    let figures = place.figures_with(&server, "landfall_denied_total{why=\"unknown\"}");
    assert!(figures.contains("landfall_denied_total{why=\"unknown\"} 50"), "{figures}");
}

impl Place {
    /// A chat `ops` there is told.
    fn chat(&self, chats: &Deserted) {
        let hook = self.path("hook");
        std::fs::write(&hook, format!("{}/{}", chats.url(), chat::path_of("slack"))).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o600)).unwrap();
        let toml = std::fs::read_to_string(self.path("landfall.toml")).unwrap();
        let toml = toml.replace("branches = [\"main\"]", "branches = [\"main\"]\nnotify = [\"ops\"]");
        let chat = "[[chat]]\nname = \"ops\"\nkind = \"slack\"\nwebhook = { file = \"hook\" }\n";
        std::fs::write(self.path("landfall.toml"), toml + chat).unwrap();
    }

    /// `GET /metrics`, once the push is counted.
    fn figures(&self, server: &super::Server) -> String {
        self.figures_with(server, "landfall_deployments_ended_total")
    }

    /// The same, once this is counted.
    fn figures_with(&self, server: &super::Server, counted: &str) -> String {
        let url = format!("http://{}/metrics", server.address);
        let token = std::fs::read_to_string(self.path("data/token")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        super::until(&format!("{counted} is there"), || {
            let asked = reqwest::Client::new().get(&url).bearer_auth(token.trim());
            let text = runtime.block_on(async { asked.send().await.unwrap().text().await.unwrap() });
            text.contains(counted).then_some(text)
        })
    }
}
