//! Who gets in: with a token, with a cookie, with neither.

use std::os::unix::fs::PermissionsExt;

use actix_web::http::Method;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::TestRequest;
use landfall::web::access::Tokens;

use super::seed::{Setup, World};

const FREE: [&str; 4] = ["/healthz", "/readyz", "/login", "/assets/landfall.css"];
const PAGES: [&str; 7] = [
    "/",
    "/targets/blog",
    "/deployments",
    "/deployments/01KDYAMXQ81C7GGHJD5E15E0P9",
    "/deliveries",
    "/deliveries/x",
    "/nowhere",
];
const READS: [&str; 8] = [
    "/api/v1/targets",
    "/api/v1/deployments",
    "/api/v1/deployments/01KDYAMXQ81C7GGHJD5E15E0P9",
    "/api/v1/why/a1a1a1a1",
    "/api/v1/deliveries",
    "/api/v1/deliveries/x",
    "/api/v1/nothing",
    "/api/v1/requests",
];
const WRITES: [&str; 5] = [
    "/api/v1/requests",
    "/targets/blog/lock",
    "/deployments/01KDYAMXQ81C7GGHJD5E15E0P9/stop",
    "/releases/pause",
    "/logout",
];

#[actix_web::test]
async fn nobody_reads_or_asks_without_a_token() {
    let world = World::new(Setup::default());
    for path in FREE {
        assert_eq!(world.send(TestRequest::get().uri(path)).await.status, 200, "{path}");
    }
    for path in PAGES {
        let said = world.send(TestRequest::get().uri(path)).await;
        assert_eq!(said.status, 303, "{path}");
        assert!(said.header("location").starts_with("/login"), "{path}");
    }
    for path in READS.into_iter().chain(["/api/v1/events"]) {
        for request in [TestRequest::get(), TestRequest::get().insert_header(("Authorization", "Bearer wrong"))] {
            let said = world.send(request.uri(path)).await;
            assert_eq!((said.status, said.header("content-type")), (401, "application/problem+json"), "{path}");
            assert_eq!(said.header("www-authenticate"), "Bearer realm=\"landfall\"", "{path}");
        }
    }
    for path in WRITES {
        assert_eq!(world.send(TestRequest::post().uri(path)).await.status, 401, "{path}");
    }
    assert_eq!(world.ledger.end().0, 0, "nothing was written");
}

#[actix_web::test]
async fn public_reads_are_reads_only() {
    let world = World::new(Setup { public_reads: true, ..Setup::default() });
    for path in PAGES.into_iter().chain(READS) {
        let status = world.send(TestRequest::get().uri(path)).await.status;
        assert!(matches!(status, 200 | 404 | 400 | 405), "{path} answered {status}");
    }
    for path in WRITES {
        assert_eq!(world.send(TestRequest::post().uri(path)).await.status, 401, "{path}");
    }
    let wrong = TestRequest::get().uri("/api/v1/targets").insert_header(("Authorization", "Bearer wrong"));
    assert_eq!(world.send(wrong).await.status, 401, "a wrong token is told so");
    let page = world.send(TestRequest::get().uri("/")).await.body;
    assert!(page.contains("Sign in") && !page.contains("<form"), "there is nothing to press: {page}");
}

#[actix_web::test]
async fn every_answer_carries_the_headers_that_protect_its_reader() {
    let world = World::seeded(Setup::default()).await;
    for path in FREE.into_iter().chain(PAGES).chain(READS) {
        let said = world.get(path).await;
        let policy = said.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(said.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(said.header("cache-control") == "no-store", !path.starts_with("/assets"), "{path}");
        assert!(!said.body.contains("style=\"") && !said.body.contains("onclick"), "{path} has something inline");
    }
}

#[actix_web::test]
async fn a_token_is_traded_for_a_cookie_until_the_reader_signs_out() {
    let world = World::new(Setup::default());
    let to = world.send(TestRequest::get().uri("/deployments?state=failed")).await;
    assert_eq!(to.header("location"), "/login?next=%2Fdeployments%3Fstate%3Dfailed");
    let page = world.send(TestRequest::get().uri(to.header("location"))).await;
    assert_eq!(page.field("next"), "/deployments?state=failed");

    let wrong = TestRequest::post().uri("/login").set_form([("token", "guess"), ("next", "/deployments")]);
    let said = world.send(wrong).await;
    assert_eq!(said.status, 401);
    assert!(said.body.contains("this token is not known here") && said.header("set-cookie").is_empty());

    let right = TestRequest::post().uri("/login").set_form([("token", world.token.as_str()), ("next", "/deployments")]);
    let said = world.send(right).await;
    assert_eq!((said.status, said.header("location")), (303, "/deployments"));
    let cookie = said.header(SET_COOKIE.as_str());
    assert!(cookie.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let page = world.browse(cookie, "/").await;
    assert_eq!(page.status, 200);

    let out = TestRequest::post().uri("/logout").insert_header((COOKIE, cookie));
    assert_eq!(world.send(out).await.status, 403, "not without the page's own secret");
    let out = TestRequest::post().uri("/logout").insert_header((COOKIE, cookie));
    let said = world.send(out.set_form([("csrf", page.field("csrf"))])).await;
    assert_eq!((said.status, said.header("location")), (303, "/login"));
    assert_eq!(world.browse(cookie, "/").await.status, 303, "the cookie opens nothing any more");
}

#[actix_web::test]
async fn behind_https_the_cookie_never_travels_without_it() {
    let world = World::new(Setup { secure: true, ..Setup::default() });
    let form = [("token", world.token.as_str())];
    let said = world.send(TestRequest::post().uri("/login").set_form(form)).await;
    let cookie = said.header("set-cookie");
    assert!(cookie.starts_with("__Host-landfall=") && cookie.ends_with("SameSite=Strict; Secure"), "{cookie}");
}

/// Behind a configured proxy each guesses for themselves; what anybody else says in the header counts for nothing.
#[actix_web::test]
async fn one_who_guesses_behind_a_proxy_holds_up_nobody_else() {
    let world = World::new(Setup::default());
    let try_it = |peer: &str, forwarded: &'static str, token: &str| {
        let form = TestRequest::post().uri("/login").peer_addr(peer.parse().unwrap());
        world.send(form.insert_header(("X-Forwarded-For", forwarded)).set_form([("token", token.to_owned())]))
    };
    let (proxy, stranger) = ("127.0.0.1:1000", "203.0.113.7:1000");
    for _ in 0..10 {
        assert_eq!(try_it(proxy, "6.6.6.6, 203.0.113.1", "guess").await.status, 401);
        assert_eq!(try_it(stranger, "203.0.113.2", "guess").await.status, 401);
    }
    assert_eq!(try_it(proxy, "203.0.113.1", &world.token).await.status, 429);
    assert_eq!(try_it(stranger, "203.0.113.9", &world.token).await.status, 429);
    assert_eq!(try_it(proxy, "203.0.113.2", &world.token).await.status, 303);
}

#[actix_web::test]
async fn signing_in_is_not_for_other_sites_nor_for_guessers() {
    let world = World::new(Setup::default());
    let form = || [("token", world.token.clone())];
    let elsewhere = TestRequest::post().uri("/login").insert_header(("Sec-Fetch-Site", "cross-site")).set_form(form());
    assert_eq!(world.send(elsewhere).await.status, 403);
    for _ in 0..10 {
        let wrong = TestRequest::post().uri("/login").set_form([("token", "guess")]);
        assert_eq!(world.send(wrong).await.status, 401);
    }
    let said = world.send(TestRequest::post().uri("/login").set_form(form())).await;
    assert_eq!((said.status, said.header("retry-after")), (429, "61"));
    assert_eq!(world.get("/api/v1/targets").await.status, 200, "programs are not held up by it");
    world.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(world.send(TestRequest::post().uri("/login").set_form(form())).await.status, 303);
}

#[actix_web::test]
async fn a_one_time_link_opens_once() {
    let world = World::new(Setup::default());
    let link = world.state.tokens.one_time_link();
    let said = world.send(TestRequest::get().uri(&link)).await;
    assert_eq!((said.status, said.header("location")), (303, "/"));
    let cookie = said.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(world.browse(&cookie, "/").await.status, 200);
    let again = world.send(TestRequest::get().uri(&link)).await;
    assert!(again.status == 200 && again.header("set-cookie").is_empty() && again.body.contains("has been used"));
}

#[actix_web::test]
async fn a_link_from_github_gets_the_cookie_at_the_second_try() {
    let world = World::new(Setup::default());
    let elsewhere = |uri| TestRequest::get().uri(uri).insert_header(("Sec-Fetch-Site", "cross-site"));
    let said = world.send(elsewhere("/deployments/x?a=1")).await;
    assert_eq!(said.status, 200);
    assert!(said.body.contains("http-equiv=\"refresh\"") && said.body.contains("href=\"/deployments/x?a=1\""));
    assert_eq!(world.send(elsewhere("/api/v1/targets")).await.status, 401);
}

#[actix_web::test]
async fn a_session_ends_after_a_week() {
    let world = World::new(Setup::default());
    let cookie = world.sign_in().await;
    world.clock.advance(std::time::Duration::from_secs(7 * 24 * 3600));
    assert_eq!(world.browse(&cookie, "/").await.status, 303);
}

#[test]
fn the_token_is_written_once_and_only_its_owner_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/token");
    Tokens::open(&directory.path().join("data")).unwrap();
    let token = std::fs::read_to_string(&path).unwrap();
    assert_eq!(token.trim().len(), 64);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    Tokens::open(&directory.path().join("data")).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), token, "a second start keeps it");

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let failure = Tokens::open(&directory.path().join("data")).unwrap_err().failure();
    assert!(failure.message.ends_with("has mode 644, and only its owner may read it"), "{failure}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "short\n").unwrap();
    let failure = Tokens::open(&directory.path().join("data")).unwrap_err().failure();
    assert!(failure.message.ends_with("holds a token of 5 characters, and 32 are the fewest"), "{failure}");
}

#[actix_web::test]
async fn a_form_of_another_page_changes_nothing() {
    let world = World::seeded(Setup::default()).await;
    let cookie = world.sign_in().await;
    let page = world.browse(&cookie, "/targets/blog/lock").await;
    let before = world.ledger.end();
    for path in WRITES {
        for csrf in [None, Some("guess"), Some("")] {
            let mut form = vec![("key", "k")];
            form.extend(csrf.map(|it| ("csrf", it)));
            let request =
                TestRequest::default().method(Method::POST).uri(path).insert_header((COOKIE, cookie.as_str()));
            assert_eq!(world.send(request.set_form(form)).await.status, 403, "{path} with {csrf:?}");
        }
    }
    assert_eq!(world.ledger.end(), before, "nothing was written");
    let form = [("csrf", page.field("csrf")), ("key", page.field("key")), ("reason", "no risk today".into())];
    for _ in 0..2 {
        let request = TestRequest::post().uri("/targets/blog/lock").insert_header((COOKIE, cookie.as_str()));
        let said = world.send(request.set_form(&form)).await;
        assert_eq!((said.status, said.header("location")), (303, "/targets/blog"));
    }
    assert_eq!(world.ledger.end().0, before.0 + 2, "pressed twice, it happened once");
    assert!(world.browse(&cookie, "/").await.body.contains("locked by admin: no risk today"));
}
