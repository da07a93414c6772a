//! What whoever reads without a token is told, and for how long those who have one.

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::test::{TestRequest, call_service, init_service};
use landfall::web::routes;

use super::pages::path_of;
use super::seed::{Setup, World};

/// What the seeded failure's script said last.
const WORDS: &str = "the page is not well";

fn public() -> Setup {
    Setup { public_reads: true, ..Setup::default() }
}

/// A stream of events, as it is read.
struct Heard(std::pin::Pin<Box<dyn MessageBody<Error = Box<dyn std::error::Error>>>>);

impl Heard {
    async fn of(world: &World, request: TestRequest) -> Self {
        let state = world.state.clone();
        let app = init_service(App::new().configure(|cfg| routes(cfg, state))).await;
        let said = call_service(&app, request.to_request()).await;
        assert_eq!(said.status(), 200);
        Self(Box::pin(said.into_body().boxed()))
    }

    /// The next piece; nothing where the stream has ended.
    async fn next(&mut self) -> Option<String> {
        let piece = std::future::poll_fn(|context| self.0.as_mut().poll_next(context));
        let piece = tokio::time::timeout(std::time::Duration::from_secs(10), piece).await.expect("something comes");
        piece.map(|it| String::from_utf8(it.unwrap().to_vec()).unwrap())
    }

    /// All up to this offset.
    async fn until(&mut self, end: u64) -> String {
        let (mut text, last) = (String::new(), format!("id: {}\n", end - 1));
        while !text.contains(&last) {
            text += &self.next().await.expect("it goes on");
        }
        text
    }
}

#[actix_web::test]
async fn free_reading_does_not_reach_what_scripts_say() {
    let world = World::seeded(public()).await;
    let failed = path_of(&world, "failed").await;
    let log = [format!("/api/v1{failed}/log"), format!("{failed}/log")];
    for path in &log {
        assert_eq!(world.send(TestRequest::get().uri(path)).await.status, 401, "{path}");
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
    for path in [failed.clone(), format!("/api/v1{failed}")] {
        let free = world.send(TestRequest::get().uri(&path)).await;
        assert!(free.status == 200 && !free.body.contains(WORDS), "{path}: {}", free.body);
        assert!(!free.body.contains("id=\"log\""), "{}", free.body);
        assert!(free.body.contains("ended with 7 in ValidateService"), "how it failed is told: {}", free.body);
        assert!(world.get(&path).await.body.contains(WORDS), "{path}");
    }
    let end = world.ledger.end().0;
    let all = || TestRequest::get().uri("/api/v1/events?from=0");
    assert!(Heard::of(&world, world.bearing(all())).await.until(end).await.contains(WORDS));
    // The last record is one that everybody may read.
    world.push("e1", "acme/shop", "main", "Something else").await;
    let free = Heard::of(&world, all()).await.until(world.ledger.end().0).await;
    assert!(!free.contains(WORDS) && free.contains("ended with 7 in ValidateService"), "{free}");
}

#[actix_web::test]
async fn free_reading_does_not_reach_the_audit_trail() {
    let world = World::seeded(public()).await;
    world.sign_in().await;
    world.push("e1", "acme/shop", "main", "Something else").await;
    let end = world.ledger.end().0;
    let all = || TestRequest::get().uri("/api/v1/events?from=0");
    let known = Heard::of(&world, world.bearing(all())).await.until(end).await;
    let free = Heard::of(&world, all()).await.until(end).await;
    assert!(known.contains("\"stream\":\"bot\"") && !free.contains("\"stream\":\"bot\""), "{free}");
    for path in ["/api/v1/audit", "/audit", "/api/v1/events?stream=bot"] {
        assert_eq!(world.send(TestRequest::get().uri(path)).await.status, 401, "{path}");
    }
}

#[actix_web::test]
async fn a_stream_ends_with_the_token_that_it_was_opened_with() {
    let world = World::seeded(Setup::default()).await;
    let made = r#"{"name":"eve","role":"read"}"#;
    let made = world.send(world.bearing(TestRequest::post().uri("/api/v1/tokens")).set_payload(made)).await;
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let bearing = ("Authorization", format!("Bearer {token}"));
    let request = TestRequest::get().uri("/api/v1/events").insert_header(bearing);
    let mut heard = Heard::of(&world, request).await;
    assert_eq!(heard.next().await.as_deref(), Some("retry: 2000\n\n"));
    world.push("e1", "acme/shop", "main", "Something else").await;
    assert!(heard.next().await.unwrap().contains("Something else"));
    let revoked = world.send(world.bearing(TestRequest::delete().uri("/api/v1/tokens/eve"))).await;
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    world.push("e2", "acme/shop", "main", "Nobody else's business").await;
    assert_eq!(heard.next().await, None);
}

#[actix_web::test]
async fn who_follows_a_link_at_github_is_known_where_reading_is_free() {
    let world = World::seeded(public()).await;
    let failed = path_of(&world, "failed").await;
    let led = |mode| {
        let from = TestRequest::get().uri(&failed).insert_header(("Sec-Fetch-Site", "cross-site"));
        from.insert_header(("Sec-Fetch-Mode", mode))
    };
    let said = world.send(led("navigate")).await;
    assert!(said.status == 200 && said.body.contains(&format!("url={failed}")), "it asks for itself: {}", said.body);
    // What another site only fetches, such as a picture, is no page.
    assert!(world.send(led("no-cors")).await.body.contains("Sign in"));
    let again = TestRequest::get().uri(&failed).insert_header(("Sec-Fetch-Site", "same-origin"));
    let said = world.send(again.insert_header(("Sec-Fetch-Mode", "navigate"))).await;
    assert!(said.body.contains("Sign in") && !said.body.contains("http-equiv"), "once: {}", said.body);
}

#[actix_web::test]
async fn nobody_is_led_to_another_site() {
    let world = World::seeded(Setup::default()).await;
    for path in ["//evil.example/login", "//evil.example/"] {
        let from = TestRequest::get().uri(path).insert_header(("Sec-Fetch-Site", "cross-site"));
        let said = world.send(from).await;
        assert!(!said.body.contains("evil.example"), "{path}: {}", said.body);
        let said = world.send(TestRequest::get().uri(path)).await;
        assert!(!said.header("location").contains("evil.example"), "{path}");
    }
}
