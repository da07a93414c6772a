//! Tokens with roles: what each may do, what it is held to, how it ends, and what the trail says of it.

use actix_web::http::Method;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::TestRequest;
use landfall::web::access::Tokens;
use serde_json::{Value, json};

use super::Said;
use super::seed::{Setup, World};

const LOCK: &str = r#"{"key":"KEY","what":{"ask":"lock","target":"TARGET"}}"#;

impl World {
    async fn with(&self, token: &str, method: Method, path: &str, body: &Value) -> Said {
        let request = TestRequest::default().method(method).uri(path);
        let request = request.insert_header(("Authorization", format!("Bearer {token}")));
        self.send(if body.is_null() { request } else { request.set_json(body) }).await
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> Said {
        self.with(token, Method::POST, path, &body).await
    }

    /// Makes a token as the administrator; its secret.
    async fn token(&self, wanted: Value) -> String {
        let said = self.post(&self.token, "/api/v1/tokens", wanted).await;
        assert_eq!(said.status, 201, "{}", said.body);
        said.json()["token"].as_str().unwrap().to_owned()
    }

    async fn lock(&self, token: &str, key: &str, target: &str) -> Said {
        let body = LOCK.replace("KEY", key).replace("TARGET", target);
        self.post(token, "/api/v1/requests", serde_json::from_str(&body).unwrap()).await
    }

    async fn sign_in_with(&self, token: &str) -> Option<String> {
        let said = self.send(TestRequest::post().uri("/login").set_form([("token", token)])).await;
        let cookie = said.header(SET_COOKIE.as_str()).split(';').next().unwrap_or_default().to_owned();
        (said.status == 303).then_some(cookie)
    }

    async fn trail(&self) -> Vec<String> {
        let said = self.get("/api/v1/audit").await.json();
        let line = |it: &Value| format!("{} {}", it["actor"].as_str().unwrap(), it["text"].as_str().unwrap());
        said["entries"].as_array().unwrap().iter().map(line).collect()
    }
}

#[actix_web::test]
async fn each_role_goes_as_far_as_it_says_and_no_further() {
    let world = World::seeded(Setup::default()).await;
    let read = world.token(json!({ "name": "wall", "role": "read" })).await;
    let deploy = world.token(json!({ "name": "ada@acme", "role": "deploy" })).await;
    let admin = world.token(json!({ "name": "root", "role": "admin" })).await;
    let tokens = [read.as_str(), &deploy, &admin];
    let pause = json!({ "key": "p", "what": { "ask": "pause" } });
    let mut table = Vec::new();
    for (what, method, path, body) in [
        ("look", Method::GET, "/api/v1/targets", json!(null)),
        ("see who did what", Method::GET, "/api/v1/audit", json!(null)),
        ("lock", Method::POST, "/api/v1/requests", serde_json::from_str(&LOCK.replace("TARGET", "blog")).unwrap()),
        ("pause", Method::POST, "/api/v1/requests", pause),
        ("tend", Method::POST, "/api/v1/upkeep", json!({ "dry_run": false })),
        ("list tokens", Method::GET, "/api/v1/tokens", json!(null)),
        ("make a token", Method::POST, "/api/v1/tokens", json!({ "name": "more", "role": "read" })),
        ("sign out", Method::DELETE, "/api/v1/tokens/more/sessions", json!(null)),
        ("revoke", Method::DELETE, "/api/v1/tokens/more", json!(null)),
    ] {
        let mut line = vec![];
        for token in tokens {
            line.push(world.with(token, method.clone(), path, &body).await.status);
        }
        table.push(format!("{what}: {line:?}"));
    }
    let expected = "look: [200, 200, 200]\nsee who did what: [200, 200, 200]\nlock: [403, 202, 202]\n\
                    pause: [403, 403, 202]\ntend: [403, 403, 200]\nlist tokens: [403, 403, 200]\n\
                    make a token: [403, 403, 201]\nsign out: [403, 403, 200]\nrevoke: [403, 403, 200]";
    assert_eq!(table.join("\n"), expected);
    let denied = world.lock(&read, "x", "blog").await.json();
    assert_eq!(denied["detail"], "`wall` has the role `read`, and this needs `deploy`");
    assert!(denied["help"].as_str().unwrap().contains("landfall token new"), "{denied}");
}

#[actix_web::test]
async fn a_token_that_is_held_to_targets_steers_those_alone() {
    let world = World::seeded(Setup::default()).await;
    let held = world.token(json!({ "name": "ci", "role": "deploy", "targets": ["shop-*"] })).await;
    assert_eq!(world.lock(&held, "1", "shop-production").await.status, 202);
    let denied = world.lock(&held, "2", "blog").await;
    assert_eq!(
        (denied.status, denied.json()["detail"].as_str()),
        (403, Some("`ci` may ask about `shop-*`, and `blog` is none of them"))
    );
    let all = world.get("/api/v1/deployments").await.json();
    let of = |target: &str| {
        let found = all["deployments"].as_array().unwrap().iter().find(|it| it["target"] == target);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let redeploy = |key: &str, id: String| json!({ "key": key, "what": { "ask": "redeploy", "deployment": id } });
    assert_eq!(world.post(&held, "/api/v1/requests", redeploy("3", of("shop-production"))).await.status, 202);
    assert_eq!(world.post(&held, "/api/v1/requests", redeploy("4", of("blog"))).await.status, 403);
    let replay = json!({ "key": "5", "what": { "ask": "replay", "delivery": "x" } });
    let denied = world.post(&held, "/api/v1/requests", replay).await.json();
    assert_eq!(denied["detail"], "`ci` may ask about `shop-*` only, and this is about all targets");
    assert_eq!(world.with(&held, Method::GET, "/targets/blog", &json!(null)).await.status, 200, "it may look");
}

#[actix_web::test]
async fn a_browser_is_shown_what_its_token_may_do() {
    let world = World::seeded(Setup::default()).await;
    let mut seen = Vec::new();
    for role in ["read", "deploy", "admin"] {
        let token = world.token(json!({ "name": role.to_owned() + "er", "role": role })).await;
        let cookie = world.sign_in_with(&token).await.unwrap();
        let has = |page: &Said, text: &str| page.body.contains(text);
        let (first, target) = (world.browse(&cookie, "/").await, world.browse(&cookie, "/targets/blog").await);
        assert!(has(&first, "action=\"/logout\"") && has(&first, &format!("Signed in as {role}er")), "{}", first.body);
        seen.push((has(&first, "/releases/pause"), has(&target, "/targets/blog/deploy")));
        // What is not shown is not taken either.
        let form = [("csrf", first.field("csrf")), ("key", role.into())];
        let pressed = TestRequest::post().uri("/releases/pause").insert_header((COOKIE, cookie)).set_form(form);
        assert_eq!(world.send(pressed).await.status, if role == "admin" { 303 } else { 403 });
    }
    assert_eq!(seen, [(false, false), (false, true), (true, true)]);
}

#[actix_web::test]
async fn a_token_ends_when_it_is_revoked_or_over_and_its_browsers_with_it() {
    let world = World::new(Setup::default());
    let until = "2026-01-03T00:00:00Z";
    let over = world.token(json!({ "name": "over", "role": "read", "until": until })).await;
    let gone = world.token(json!({ "name": "gone", "role": "read" })).await;
    let stays = world.token(json!({ "name": "stays", "role": "read" })).await;
    let mut cookies = Vec::new();
    for token in [&over, &gone, &stays] {
        cookies.push(world.sign_in_with(token).await.unwrap());
    }
    assert_eq!(world.with(&world.token, Method::DELETE, "/api/v1/tokens/gone", &json!(null)).await.status, 200);
    let said = world.with(&world.token, Method::DELETE, "/api/v1/tokens/stays/sessions", &json!(null)).await.json();
    assert_eq!(said["sessions"], 1);
    world.clock.advance(std::time::Duration::from_secs(24 * 3600));
    let mut open = Vec::new();
    for (token, cookie) in [&over, &gone, &stays].into_iter().zip(&cookies) {
        let bearer = world.with(token, Method::GET, "/api/v1/targets", &json!(null)).await.status;
        open.push((bearer, world.browse(cookie, "/").await.status, world.sign_in_with(token).await.is_some()));
    }
    assert_eq!(open, [(401, 303, false), (401, 303, false), (200, 303, true)]);
    // Another one of the same name does not bring the sessions back.
    world.token(json!({ "name": "gone", "role": "admin" })).await;
    assert_eq!(world.browse(&cookies[1], "/").await.status, 303);
}

#[actix_web::test]
async fn what_is_kept_survives_a_restart_and_holds_no_secret() {
    let world = World::new(Setup::default());
    let token = world.token(json!({ "name": "ci", "role": "read" })).await;
    let cookie = world.sign_in_with(&token).await.unwrap();
    let admins = world.sign_in().await;
    assert_eq!(world.with(&token, Method::GET, "/api/v1/targets", &json!(null)).await.status, 200);
    world.state.tokens.write_down().unwrap();

    let path = world.directory().join("access.json");
    let mode = std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in [&token, &world.token, cookie.split('=').nth(1).unwrap(), admins.split('=').nth(1).unwrap()] {
        assert!(!text.contains(secret) && !text.contains(secret.trim_start_matches("landfall_")), "{text}");
    }

    let again = world.restarted();
    assert_eq!(again.with(&token, Method::GET, "/api/v1/targets", &json!(null)).await.status, 200);
    assert_eq!(again.browse(&cookie, "/").await.status, 200);
    assert_eq!(again.browse(&admins, "/").await.status, 200);
    let listed = again.get("/api/v1/tokens").await.json();
    assert_eq!(listed["tokens"][1]["name"], "ci");
    assert_eq!(
        (&listed["tokens"][1]["sessions"], &listed["tokens"][1]["used_at"]),
        (&json!(1), &json!("2026-01-02T03:04:05Z"))
    );
    assert!(!listed.to_string().contains("digest"), "{listed}");

    // Whoever replaces the first token ends what was opened with the old one.
    std::fs::write(world.directory().join("token"), "another token that is long enough to be one\n").unwrap();
    let replaced = again.restarted();
    assert_eq!(replaced.browse(&admins, "/").await.status, 303);
    assert_eq!(replaced.browse(&cookie, "/").await.status, 200);

    std::fs::write(&path, "{\"tokens\":[{}]").unwrap();
    let failure = Tokens::open(world.directory()).unwrap_err().failure();
    assert!(failure.to_string().contains("access.json` cannot be used") && failure.help.is_some(), "{failure}");
}

#[actix_web::test]
async fn what_cannot_be_a_token_is_told() {
    let world = World::new(Setup::default());
    world.token(json!({ "name": "ci", "role": "read" })).await;
    for (wanted, status, told) in [
        (json!({ "name": "ci", "role": "read" }), 409, "there is a token called `ci` already"),
        (
            json!({ "name": "admin", "role": "admin" }),
            409,
            "`admin` is the token of the file `token` in the data directory",
        ),
        (json!({ "name": "x", "role": "root" }), 422, "unknown variant `root`"),
        (json!({ "name": "a b", "role": "read" }), 422, "`a b` is not a token's name"),
        (
            json!({ "name": "x", "role": "read", "targets": ["blog"] }),
            422,
            "a token of the role `read` cannot be held to targets",
        ),
        (json!({ "name": "x", "role": "deploy", "targets": ["blog", "shop-["] }), 422, "`shop-[` is not a pattern"),
        (json!({ "name": "x", "role": "deploy", "targets": [""] }), 422, "`` is not a pattern"),
        (json!({ "name": "x", "role": "read", "until": "2026-01-01T00:00:00Z" }), 422, "which is over"),
        (json!({ "name": "x" }), 422, "missing field `role`"),
    ] {
        let said = world.post(&world.token, "/api/v1/tokens", wanted.clone()).await;
        let detail = said.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.status == status && detail.contains(told), "{wanted}: {} {detail}", said.status);
    }
    for path in ["/api/v1/tokens/nobody", "/api/v1/tokens/nobody/sessions"] {
        assert_eq!(world.with(&world.token, Method::DELETE, path, &json!(null)).await.status, 404);
    }
    assert_eq!(world.with(&world.token, Method::DELETE, "/api/v1/tokens/admin", &json!(null)).await.status, 409);
    world.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let said = world.post(&world.token, "/api/v1/tokens", json!({ "name": "late", "role": "read" })).await;
    assert_eq!(said.status, 503, "what is not in the trail is not given out: {}", said.body);
}

#[actix_web::test]
async fn whoever_is_turned_away_is_counted_by_why() {
    let world = World::new(Setup::default());
    let held = world.token(json!({ "name": "ci", "role": "deploy", "targets": ["b*"] })).await;
    let read = world.token(json!({ "name": "wall", "role": "read" })).await;
    assert_eq!(world.send(TestRequest::get().uri("/")).await.status, 303, "who only comes by tried nothing");
    assert_eq!(world.with("guess", Method::GET, "/api/v1/targets", &json!(null)).await.status, 401);
    assert_eq!(world.lock(&read, "1", "blog").await.status, 403);
    assert_eq!(world.lock(&held, "2", "shop-production").await.status, 403);
    assert_eq!(world.with(&read, Method::GET, "/api/v1/tokens", &json!(null)).await.status, 403);
    assert!(world.sign_in_with("guess").await.is_none());
    let cookie = world.sign_in().await;
    let form = TestRequest::post().uri("/targets/blog/lock").insert_header((COOKIE, cookie)).set_form([("key", "k")]);
    assert_eq!(world.send(form).await.status, 403);
    let figures = world.get("/metrics").await.body;
    let denied: Vec<&str> = figures.lines().filter_map(|line| line.strip_prefix("landfall_denied_total")).collect();
    let mut denied = denied;
    denied.sort_unstable();
    let expected =
        ["{why=\"form\"} 1", "{why=\"role\"} 2", "{why=\"sign-in\"} 1", "{why=\"target\"} 1", "{why=\"unknown\"} 1"];
    assert_eq!(denied, expected);
}

#[actix_web::test]
async fn who_did_what_is_told_to_those_who_are_known() {
    let world = World::new(Setup { public_reads: true, ..Setup::default() });
    let token = world
        .token(json!({ "name": "ci", "role": "deploy", "targets": ["b*"], "until": "2027-01-01T00:00:00Z" }))
        .await;
    world.sign_in_with(&token).await.unwrap();
    assert_eq!(world.lock(&token, "1", "blog").await.status, 202);
    world.post(&world.token, "/api/v1/upkeep", json!({ "dry_run": true })).await;
    world.post(&world.token, "/api/v1/upkeep", json!({ "dry_run": false })).await;
    world.with(&world.token, Method::DELETE, "/api/v1/tokens/ci/sessions", &json!(null)).await;
    world.with(&world.token, Method::DELETE, "/api/v1/tokens/ci", &json!(null)).await;
    let expected = [
        "admin revoked the token `ci`",
        "admin signed out all browsers of `ci`",
        "admin had upkeep done",
        "ci asked to lock blog",
        "ci signed in",
        "admin made the token `ci` with the role deploy for b* until 2027-01-01T00:00:00Z",
    ];
    assert_eq!(world.trail().await, expected);
    let cookie = world.sign_in().await;
    let page = world.browse(&cookie, "/audit").await.body;
    assert!(page.contains("made the token <code>ci</code> with the role deploy"), "{page}");
    for path in ["/audit", "/api/v1/audit", "/api/v1/tokens"] {
        let said = world.send(TestRequest::get().uri(path)).await;
        assert_eq!(said.status, 401, "free reading does not reach {path}");
    }
    assert!(!world.send(TestRequest::get().uri("/")).await.body.contains("/audit"));
}
