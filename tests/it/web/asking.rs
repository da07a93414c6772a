//! Asking by the API, whether the bot takes it, and the stream of what happens.

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::http::header::COOKIE;
use actix_web::test::{TestRequest, call_service, init_service};
use expect_test::expect;
use landfall::domain::{DeploymentEvent, DeploymentId};
use landfall::web::routes;
use serde_json::{Value, json};

use super::Said;
use super::api::one;
use super::seed::{Setup, World};

const PAUSE: &str = r#"{"key":"k","what":{"ask":"pause"}}"#;

async fn ask(world: &World, body: impl Into<Vec<u8>>) -> Said {
    world.send(world.bearing(TestRequest::post().uri("/api/v1/requests")).set_payload(body.into())).await
}

#[actix_web::test]
async fn a_request_happens_once_for_its_key() {
    let world = World::seeded(Setup::default()).await;
    let failed = one(&world, "failed").await;
    let body = json!({ "key": "k-1", "what": { "ask": "redeploy", "deployment": failed } }).to_string();
    let first = ask(&world, body.clone()).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let born = first.json()["deployments"][0].as_str().unwrap().to_owned();
    assert_eq!(world.get(&format!("/api/v1/deployments/{born}")).await.json()["target"], "blog");
    let again = ask(&world, body).await;
    assert_eq!((again.status, again.body), (200, first.body));

    let lock = ask(&world, r#"{"key":"k-2","what":{"ask":"lock","target":"blog","reason":"holidays"}}"#).await;
    assert_eq!((lock.status, lock.json()["deployments"].clone()), (202, json!([])));
    let blog = world.get("/api/v1/targets").await.json()["targets"][1].clone();
    assert_eq!(
        (blog["locked"].clone(), blog["holds"][0]["reason"].clone()),
        (json!(true), json!("`blog` is locked by admin: holidays"))
    );
}

#[actix_web::test]
async fn the_key_of_a_request_may_stand_in_its_header() {
    let world = World::seeded(Setup::default()).await;
    let ask = async |key: &str, body: &'static str| {
        let request = TestRequest::post().uri("/api/v1/requests").insert_header(("Idempotency-Key", key));
        let said = world.send(world.bearing(request).set_payload(body)).await;
        (said.status, said.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let bare = r#"{"what":{"ask":"pause"}}"#;
    assert_eq!(ask("k-1", bare).await.0, 202);
    assert_eq!(ask("\"k-1\"", bare).await.0, 200, "quotes around it are no part of it");
    assert_eq!(ask("k-1", r#"{"key":"k-1","what":{"ask":"pause"}}"#).await.0, 200);
    let differ = "`key` and the header `Idempotency-Key` differ".to_owned();
    assert_eq!(ask("k-1", PAUSE).await, (422, differ));
    assert_eq!(ask("", bare).await.0, 422);
    let odd = "`Idempotency-Key` has characters other than those of ASCII".to_owned();
    assert_eq!(ask("schlüssel", bare).await, (422, odd), "nobody agrees on how a header says others");
}

#[actix_web::test]
async fn a_body_that_says_to_be_something_else_than_json_is_refused() {
    let world = World::seeded(Setup::default()).await;
    let ask = async |path: &str, said: &str| {
        let request = TestRequest::post().uri(path).insert_header(("Content-Type", said));
        world.send(world.bearing(request).set_payload(PAUSE)).await
    };
    for path in ["/api/v1/requests", "/api/v1/tokens", "/api/v1/upkeep"] {
        let refused = ask(path, "text/plain").await;
        assert_eq!(refused.status, 415, "{path}");
        assert_eq!(refused.json()["detail"], "the body is said to be `text/plain`");
    }
    assert_eq!(ask("/api/v1/requests", "Application/JSON; charset=utf-8").await.status, 202);
}

#[actix_web::test]
async fn a_request_that_cannot_be_taken_says_why() {
    let world = World::seeded(Setup::default()).await;
    let mut told = String::new();
    let long = format!(r#"{{"key":"{}","what":{{"ask":"pause"}}}}"#, "k".repeat(201));
    for body in [
        "",
        "{",
        "[]",
        r#"{"what":{"ask":"pause"}}"#,
        r#"{"key":"","what":{"ask":"pause"}}"#,
        &long,
        &" ".repeat(65 << 10),
        r#"{"key":"k","what":{"ask":"explode"}}"#,
        r#"{"key":"k","what":{"ask":"lock"}}"#,
        r#"{"key":"k","what":{"ask":"pause"},"actor":"somebody else"}"#,
        r#"{"key":"k","what":{"ask":"deploy","target":"blog","ref":"refs/heads/main","shaa":"4f2c1e9"}}"#,
        r#"{"key":"k","what":{"ask":"resume","target":"blog"}}"#,
        r#"{"key":"k","what":{"ask":"redeploy","deployment":"01KDYAMXQ81C7GGHJD5E15E0PZ"}}"#,
        r#"{"key":"k","what":{"ask":"deploy","target":"blog","ref":"refs/heads/main"}}"#,
    ] {
        let said = ask(&world, body).await;
        assert_eq!(said.header("content-type"), "application/problem+json", "{body}");
        told += &format!("{} {}\n", said.status, said.json()["detail"].as_str().unwrap());
    }
    expect![[r#"
        400 the body is not JSON: EOF while parsing a value at line 1 column 0
        400 the body is not JSON: EOF while parsing an object at line 1 column 1
        422 invalid length 1, expected an object with `key` and `what` at line 1 column 2
        422 there is neither `key` nor `Idempotency-Key`
        422 the key is not a text of 1 to 200 characters without control characters
        422 the key is not a text of 1 to 200 characters without control characters
        413 payload reached size limit
        422 unknown variant `explode`, expected one of `deploy`, `redeploy`, `rollback`, `restart`, `stop`, `approve`, `reject`, `lock`, `unlock`, `lock-all`, `unlock-all`, `pause`, `resume`, `replay` at line 1 column 34
        422 missing field `target` at line 1 column 33
        422 unknown field `actor`, expected `key` or `what` at line 1 column 41
        422 unknown field `shaa`, expected one of `target`, `ref`, `sha`, `options` at line 1 column 92
        422 unknown field `target`, there are no fields at line 1 column 51
        404 there is no deployment `01KDYAMXQ81C7GGHJD5E15E0PZ`
        409 the head of `main` is not reachable from the rule
    "#]].assert_eq(&told);
    world.ledger.close().await;
    assert_eq!(ask(&world, PAUSE).await.status, 503);
}

#[actix_web::test]
async fn a_browser_asks_with_the_secret_of_its_page() {
    let world = World::new(Setup::default());
    let cookie = world.sign_in().await;
    let request =
        || TestRequest::post().uri("/api/v1/requests").insert_header((COOKIE, cookie.as_str())).set_payload(PAUSE);
    assert_eq!(world.send(request()).await.status, 403);
    let csrf = world.browse(&cookie, "/").await.field("csrf");
    assert_eq!(world.send(request().insert_header(("X-CSRF-Token", csrf))).await.status, 202);
}

#[actix_web::test]
async fn the_bot_says_whether_it_takes_pushes() {
    let world = World::new(Setup::default());
    let ask = async |path| {
        let said = world.send(TestRequest::get().uri(path)).await;
        format!("{} {}", said.status, said.body)
    };
    assert_eq!(ask("/healthz").await, concat!("200 ok ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(ask("/readyz").await, "200 ready\n");
    world.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let lost = world.send(world.bearing(TestRequest::post().uri("/api/v1/requests")).set_payload(PAUSE)).await;
    assert_eq!((lost.status, lost.header("retry-after")), (503, "5"), "{}", lost.body);
    assert!(ask("/readyz").await.starts_with("503 not ready: the ledger is closed: "), "{}", ask("/readyz").await);
    world.state.stop.cancel();
    assert_eq!(ask("/readyz").await, "503 not ready: draining: the bot is about to end\n");
    assert!(ask("/healthz").await.starts_with("200"), "the process answers all the same");
}

/// The next events of a stream, as their offsets and sentences, until there are so many.
async fn events(world: &World, path: &str, last: Option<&str>, wanted: usize) -> Vec<(u64, String)> {
    let state = world.state.clone();
    let app = init_service(App::new().configure(|cfg| routes(cfg, state))).await;
    let mut request = world.bearing(TestRequest::get().uri(path));
    if let Some(last) = last {
        request = request.insert_header(("Last-Event-ID", last));
    }
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(
        (response.status().as_u16(), response.headers().get("content-type").unwrap().to_str().unwrap()),
        (200, "text/event-stream")
    );
    let mut body = Box::pin(response.into_body());
    let mut text = String::new();
    let mut seen = Vec::new();
    while seen.len() < wanted {
        let chunk = std::future::poll_fn(|context| body.as_mut().poll_next(context));
        let Some(chunk) =
            tokio::time::timeout(std::time::Duration::from_secs(10), chunk).await.expect("an event comes")
        else {
            break;
        };
        text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        while let Some((block, rest)) = text.split_once("\n\n").map(|(block, rest)| (block.to_owned(), rest.to_owned()))
        {
            text = rest;
            let Some((id, data)) = block.strip_prefix("id: ").and_then(|it| it.split_once("\ndata: ")) else {
                continue;
            };
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["offset"].to_string(), id);
            assert_eq!(data.get("body"), None, "raw bodies stay here");
            seen.push((id.parse().unwrap(), data["text"].as_str().unwrap().to_owned()));
        }
    }
    seen
}

#[actix_web::test]
async fn the_event_stream_starts_where_the_reader_stopped() {
    let world = World::seeded(Setup::default()).await;
    let end = world.ledger.end().0;
    let all = events(&world, "/api/v1/events?from=0", None, end as usize).await;
    assert_eq!(all.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), (0..end).collect::<Vec<_>>());
    let rest = events(&world, "/api/v1/events?from=0", Some("2"), 1).await;
    assert_eq!(rest.first(), all.get(3), "the header of a reader who comes back wins over the URL");
    let from = events(&world, "/api/v1/events?from=5", None, 1).await;
    assert_eq!(from.first(), all.get(5));

    let id = DeploymentId::parse(&one(&world, "running").await).unwrap();
    let path = format!("/api/v1/events?stream=deployment/{id}");
    let (heard, ()) = tokio::join!(events(&world, &path, None, 1), async {
        tokio::task::yield_now().await;
        world.push("a9", "acme/shop", "main", "Something else").await;
        world.tell(id, DeploymentEvent::StopAsked { actor: "mia".into(), rollback: false }).await;
    });
    assert_eq!(heard[0].1, "mia asked to stop", "only the wanted stream is heard");
}

#[actix_web::test]
async fn event_streams_end_when_the_bot_drains() {
    let world = World::new(Setup::default());
    world.state.stop.cancel();
    assert_eq!(events(&world, "/api/v1/events", None, 1).await, []);
}

#[actix_web::test]
async fn a_stream_that_cannot_go_on_where_it_was_says_so_first() {
    let world = World::seeded(Setup::default()).await;
    let state = world.state.clone();
    let app = init_service(App::new().configure(|cfg| routes(cfg, state))).await;
    let behind = TestRequest::get().uri("/api/v1/events?from=99999");
    let greatest = TestRequest::get().uri("/api/v1/events").insert_header(("Last-Event-ID", u64::MAX.to_string()));
    let beyond = TestRequest::get().uri("/api/v1/events").insert_header(("Last-Event-ID", "9".repeat(20)));
    for request in [behind, greatest, beyond] {
        let mut body = Box::pin(call_service(&app, world.bearing(request).to_request()).await.into_body());
        let first = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await.unwrap().unwrap();
        let told = String::from_utf8(first.to_vec()).unwrap();
        let end = world.ledger.end();
        assert!(told.contains("event: gap\n"), "{told}");
        assert!(told.contains(&format!("the ledger ends at {end}")), "{told}");
        assert!(told.contains(&format!("\"from\":0,\"until\":{end},")), "what this ledger has was never read: {told}");
        // It goes on with what comes from there on.
        world.push(&format!("e{end}"), "acme/shop", "main", "Something else").await;
        let next = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await.unwrap().unwrap();
        assert!(String::from_utf8(next.to_vec()).unwrap().starts_with(&format!("id: {end}\n")));
    }
}
