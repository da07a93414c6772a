//! Signing in with GitHub: who gets in and how far, what opens nothing, and what people are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::COOKIE;
use actix_web::test::TestRequest;
use landfall::asking::Admissions;
use landfall::clients::Clock;
use landfall::clients::github::GitHubClients;
use landfall::config::{Login, SecretRef};
use landfall::domain::{Admission, Role, login_in};
use serde_json::json;

use super::Said;
use super::seed::{Setup, World};
use crate::worlds::github::GitHubWorld;
use crate::worlds::github::oauth::{CLIENT, CLIENT_SECRET};

const SITE: &str = "https://deploy.example.com";

/// A rule: a role, and `person`, `organisation` or `organisation/team`, which begins with `@` for people.
fn rule(role: Role, whom: &str) -> Admission {
    let mut it = Admission { role, targets: vec![], people: vec![], teams: vec![], organisations: vec![] };
    match (whom.strip_prefix('@'), whom.contains('/')) {
        (Some(login), _) => it.people.push(login.into()),
        (None, true) => it.teams.push(whom.parse().unwrap()),
        (None, false) => it.organisations.push(whom.into()),
    }
    it
}

fn rules() -> Vec<Admission> {
    let held = Admission { targets: vec!["shop-*".into()], ..rule(Role::Deploy, "@mia") };
    vec![rule(Role::Admin, "acme/operators"), held, rule(Role::Read, "acme")]
}

/// A bot and a GitHub that know each other.
struct Scene {
    world: World,
    github: GitHubWorld,
    secret: tempfile::NamedTempFile,
}

impl Scene {
    fn new(allow: Vec<Admission>, setup: Setup) -> Self {
        let (github, secret) = (GitHubWorld::start(), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(secret.path(), CLIENT_SECRET).unwrap();
        github.calls_back(&format!("{SITE}/login/github"));
        for (login, state) in [("ada", "active"), ("ben", "active"), ("eve", "pending")] {
            github.belongs("acme", login, state);
        }
        github.member("acme/operators", "ada", "active");
        github.member("acme/operators", "ben", "pending");
        let mut scene = Self { world: World::new(setup), github, secret };
        scene.allow(allow);
        scene
    }

    /// The bot is started anew with these rules.
    fn allow(&mut self, allow: Vec<Admission>) {
        let client_secret = SecretRef::File(self.secret.path().into());
        let login = Login { client_id: CLIENT.into(), client_secret, callback: format!("{SITE}/login/github"), allow };
        let config = self.github.config();
        let clients = GitHubClients::new(&config, Clock::system()).unwrap();
        self.world = self.world.admitting(Some(Arc::new(Admissions::new(&login, &config, &clients))));
    }

    fn browser(&self) -> Browser<'_> {
        Browser { scene: self, cookies: BTreeMap::new() }
    }

    /// Signs in with a new browser.
    async fn sign_in(&self, login: &str) -> (Browser<'_>, Said) {
        self.github.at_the_browser(Some(login));
        let mut browser = self.browser();
        let back = browser.sent_to_github("/").await;
        let said = browser.open(&back).await;
        (browser, said)
    }
}

/// What a browser does of its own: it keeps cookies and follows GitHub's redirect.
struct Browser<'a> {
    scene: &'a Scene,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    async fn open(&mut self, path: &str) -> Said {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = TestRequest::get().uri(path).insert_header((COOKIE, cookies.join("; ")));
        let said = self.scene.world.send(request).await;
        for (_, line) in said.headers.iter().filter(|(key, _)| key == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name)
            } else {
                self.cookies.insert(name.into(), value.into())
            };
        }
        said
    }

    /// Clicks on the button, and comes to where GitHub sends it back to, which is not opened.
    async fn sent_to_github(&mut self, next: &str) -> String {
        let said = self.open(&format!("/login/start?next={next}")).await;
        assert_eq!(said.status, 303, "{}", said.body);
        let client = reqwest::Client::builder().no_proxy().user_agent("browser");
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = client.get(said.header("location")).send().await.unwrap();
        let to = answer.headers()["location"].to_str().unwrap();
        to.strip_prefix(SITE).unwrap_or_else(|| panic!("led to {to}")).to_owned()
    }

    /// What the page says of who is signed in.
    async fn name(&mut self) -> Option<String> {
        let said = self.open("/").await;
        let name = said.body.split_once("Signed in as ").and_then(|(_, rest)| rest.split_once('"'));
        name.map(|it| it.0.to_owned())
    }
}

#[actix_web::test]
async fn the_first_rule_that_fits_somebody_counts_and_nobody_else_gets_in() {
    let scene = Scene::new(rules(), Setup::default());
    for (login, status, named) in [
        ("ada", 200, Some("ada on GitHub, with the role admin")),
        ("Mia", 200, Some("Mia on GitHub, with the role deploy")),
        // Asked to join the team, and a member of the organisation.
        ("ben", 200, Some("ben on GitHub, with the role read")),
        // Asked to join the organisation.
        ("eve", 403, None),
        ("stranger", 403, None),
    ] {
        let (mut browser, said) = scene.sign_in(login).await;
        assert_eq!((said.status, browser.name().await.as_deref()), (status, named), "{login}: {}", said.body);
        assert!(!said.body.contains("acme") && !said.body.contains("operators"), "{login} is told of the rules");
        if status == 403 {
            assert!(
                said.body.contains(&format!("you are {login} at GitHub, who may not sign in here")),
                "{}",
                said.body
            );
        }
    }
    let trail = scene.world.get("/api/v1/audit").await.json();
    let told: Vec<_> = trail["entries"].as_array().unwrap().iter().map(|it| it["actor"].as_str().unwrap()).collect();
    assert_eq!(told, ["ben on GitHub", "Mia on GitHub", "ada on GitHub"], "strangers are in the log alone");
    assert_eq!(login_in(told[2]), Some("ada"), "who approves is known to be who pushed");
    let figures = scene.world.get("/metrics").await.body;
    assert!(figures.contains("landfall_denied_total{why=\"sign-in\"} 2"), "{figures}");
    let kept = std::fs::read_to_string(scene.world.directory().join("access.json")).unwrap();
    for token in scene.github.tokens_of_people() {
        assert!(!kept.contains(&token), "a person's token is kept");
    }
}

#[actix_web::test]
async fn somebody_comes_back_to_the_page_that_was_wanted_with_a_cookie_for_half_a_day() {
    let scene = Scene::new(rules(), Setup { secure: true, ..Setup::default() });
    let page = scene.world.send(TestRequest::get().uri("/login?next=/deployments?state=failed")).await.body;
    assert!(page.contains("href=\"/login/start?next=%2Fdeployments%3Fstate%3Dfailed\""), "{page}");
    scene.github.at_the_browser(Some("ada"));
    let mut browser = scene.browser();
    let back = browser.sent_to_github("%2Fdeployments%3Fstate%3Dfailed").await;
    let said = browser.open(&back).await;
    assert!(
        said.body.contains("content=\"0;url=/deployments?state=failed\""),
        "no redirect, whose cookie is kept back"
    );
    let cookies: Vec<_> = said.headers.iter().filter(|(key, _)| key == "set-cookie").map(|it| it.1.as_str()).collect();
    let [session, way] = cookies[..] else { panic!("{cookies:?}") };
    assert!(session.starts_with("__Host-landfall="), "{session}");
    assert!(session.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"), "{session}");
    assert_eq!(way, "__Host-landfall-github=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    // However often it is used.
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    scene.world.clock.advance(hours(11));
    assert!(browser.name().await.is_some());
    scene.world.clock.advance(hours(1));
    assert_eq!(browser.name().await, None);
    for elsewhere in ["//evil.example", "https://evil.example", "%2F%5Cevil.example"] {
        let back = browser.sent_to_github(elsewhere).await;
        assert!(browser.open(&back).await.body.contains("content=\"0;url=/\""), "{elsewhere}");
    }
}

#[actix_web::test]
async fn a_code_that_this_browser_did_not_ask_for_opens_nothing() {
    let scene = Scene::new(rules(), Setup::default());
    scene.github.at_the_browser(Some("ada"));
    let (mut hers, mut other) = (scene.browser(), scene.browser());
    let back = hers.sent_to_github("/").await;
    // A link of somebody's own sign-in, opened by somebody else: with no way of theirs, and with another.
    assert_eq!(other.open(&back).await.status, 401);
    other.sent_to_github("/").await;
    assert_eq!(other.open(&back).await.status, 401);
    assert_eq!(other.name().await, None);
    // Without its state, or with a wrong one.
    let code = back.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned();
    assert_eq!(hers.open(&format!("/login/github?code={code}")).await.status, 303, "to the form");
    let kept = hers.cookies.clone();
    assert_eq!(hers.open(&format!("/login/github?code={code}&state=guess")).await.status, 401);
    assert_eq!(hers.cookies, kept, "her own way goes on");
    // Once it is right, and never again: neither with the browser's cookies of then, nor with a new way.
    hers.cookies = kept.clone();
    assert_eq!(hers.open(&back).await.status, 200);
    hers.cookies = kept;
    assert_eq!(hers.open(&back).await.status, 401);
    let again = hers.sent_to_github("/").await;
    let state = again.split_once("state=").unwrap().1.to_owned();
    let said = hers.open(&format!("/login/github?code={code}&state={state}")).await;
    assert!(said.status == 401 && said.body.contains("GitHub does not know this sign-in any more"), "{}", said.body);
}

#[actix_web::test]
async fn whoever_guesses_codes_has_to_wait() {
    let scene = Scene::new(rules(), Setup::default());
    // Any page can send a browser here with a state that is none: that keeps nobody out.
    for _ in 0..20 {
        assert_eq!(scene.browser().open("/login/github?code=x&state=y").await.status, 401);
    }
    scene.github.at_the_browser(Some("ada"));
    for _ in 0..10 {
        let mut guesser = scene.browser();
        let back = guesser.sent_to_github("/").await;
        let state = back.split_once("state=").unwrap().1.to_owned();
        assert_eq!(guesser.open(&format!("/login/github?code=guess&state={state}")).await.status, 401);
    }
    let said = scene.browser().open("/login/github?code=x&state=y").await;
    assert_eq!((said.status, said.header("retry-after")), (429, "61"));
}

#[actix_web::test]
async fn two_windows_of_a_browser_go_to_github_and_both_come_back() {
    let scene = Scene::new(rules(), Setup::default());
    scene.github.at_the_browser(Some("ada"));
    let mut hers = scene.browser();
    let first = hers.sent_to_github("/deployments").await;
    let second = hers.sent_to_github("/deliveries").await;
    for (back, page) in [(first, "/deployments"), (second, "/deliveries")] {
        let said = hers.open(&back).await;
        assert!(said.status == 200 && said.body.contains(page), "{}", said.body);
    }
    assert!(!hers.cookies.keys().any(|name| name.contains("github")), "all ways are over: {:?}", hers.cookies);
}

#[actix_web::test]
async fn who_says_no_at_github_or_meets_trouble_is_told_what_to_do() {
    let scene = Scene::new(rules(), Setup::default());
    let try_it = async || {
        let mut browser = scene.browser();
        let back = browser.sent_to_github("/targets/blog").await;
        let said = browser.open(&back).await;
        assert_eq!(said.field("next"), "/targets/blog", "the way on is not lost");
        assert_eq!(browser.name().await, None);
        let told = said.body.split_once("id=\"wrong\">").unwrap().1.split_once('<').unwrap().0.to_owned();
        (said.status, told)
    };
    scene.github.at_the_browser(None);
    assert_eq!(try_it().await, (401, "GitHub was not allowed to say who you are".into()));
    scene.github.at_the_browser(Some("ben"));
    scene.github.sign_in_is_down(true);
    let (status, told) = try_it().await;
    assert!(status == 503 && told.contains("could not be asked just now: try again in a while"), "{told}");
    scene.github.sign_in_is_down(false);
    std::fs::write(scene.secret.path(), "another").unwrap();
    let (status, told) = try_it().await;
    assert!(status == 502 && told.contains("(clients/login-credentials)"), "{status} {told}");
    std::fs::write(scene.secret.path(), CLIENT_SECRET).unwrap();
    scene.github.calls_back("https://deploy.example.com/old");
    assert!(scene.browser().sent_to_github("/").await.contains("/old?error=redirect_uri_mismatch"));
    scene.github.calls_back(&format!("{SITE}/login/github"));
    scene.github.close("acme");
    let (status, told) = try_it().await;
    assert!(status == 502 && told.contains("(clients/github-forbidden)") && !told.contains("acme"), "{status} {told}");
}

#[actix_web::test]
async fn a_restart_keeps_sessions_and_other_rules_end_them() {
    let mut scene = Scene::new(rules(), Setup::default());
    let cookies = {
        let (mut browser, _) = scene.sign_in("ada").await;
        assert!(browser.name().await.is_some());
        browser.cookies
    };
    let name = async |scene: &Scene| Browser { scene, cookies: cookies.clone() }.name().await;
    scene.world.state.tokens.write_down().unwrap();
    scene.allow(rules());
    assert!(name(&scene).await.is_some());
    scene.allow(rules().split_off(1));
    assert_eq!(name(&scene).await, None, "who is let in by other rules signs in again");
    scene.world = scene.world.admitting(None);
    let page = scene.world.send(TestRequest::get().uri("/login")).await.body;
    assert!(!page.contains("GitHub"), "nobody signs in with it: {page}");
    for path in ["/login/start", "/login/github?code=x&state=y"] {
        assert_eq!(scene.world.send(TestRequest::get().uri(path)).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn who_came_with_github_is_seen_and_can_be_signed_out() {
    let scene = Scene::new(rules(), Setup::default());
    let (mut hers, said) = scene.sign_in("ada").await;
    assert_eq!((said.status, hers.name().await.is_some()), (200, true));
    let page = scene.world.get("/api/v1/tokens").await.json();
    let guest = &page["guests"][0];
    assert_eq!((&guest["actor"], &guest["sessions"]), (&json!("ada on GitHub"), &json!(1)), "{page}");
    let end = |login: &str| {
        let path = format!("/api/v1/guests/{login}");
        let request = scene.world.bearing(TestRequest::delete().uri(&path));
        async { scene.world.send(request).await }
    };
    assert_eq!(end("ben").await.json(), json!({ "login": "ben", "sessions": 0 }));
    assert_eq!(end("ada%20on").await.status, 400);
    assert_eq!(end("ada").await.json(), json!({ "login": "ada", "sessions": 1 }));
    assert_eq!(hers.name().await, None, "at once");
    assert_eq!(scene.world.get("/api/v1/tokens").await.json()["guests"], json!([]));
    let audit = scene.world.get("/api/v1/audit").await.json();
    assert_eq!(audit["entries"][0]["text"], "signed out all browsers of `ada on GitHub`", "{audit}");
}
