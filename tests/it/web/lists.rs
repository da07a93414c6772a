//! The lists of the JSON API: by what, from when to when, page by page.

use actix_web::test::TestRequest;
use serde_json::json;

use super::seed::{Setup, World};

#[actix_web::test]
async fn deployments_are_listed_by_repository_and_by_the_time_of_their_birth() {
    let world = World::seeded(Setup::default()).await;
    let of = async |query: &str| {
        world.get(&format!("/api/v1/deployments?{query}")).await.json()["deployments"].as_array().unwrap().len()
    };
    assert_eq!(of("repository=acme/shop").await, 4);
    assert_eq!(of("repository=acme/shop&since=2026-01-02T03:08:00Z&until=2026-01-02").await, 3);
    assert_eq!(of("until=2026-01-01").await, 0);
    assert_eq!(of("target=blog&until=2026-01-02T03:07:36.5Z").await, 0, "the last moment does not");
    assert_eq!(
        of("since=2026-01-02T04:07:36.5%2B01:00&until=2026-01-02T03:07:36.6Z").await,
        1,
        "the first moment counts"
    );
}

#[actix_web::test]
async fn deliveries_and_the_audit_trail_are_listed_page_by_page() {
    let world = World::seeded(Setup::default()).await;
    let count = async |query: &str| {
        world.get(&format!("/api/v1/deliveries?{query}")).await.json()["deliveries"].as_array().unwrap().len()
    };
    assert_eq!(count("repository=ACME/blog").await, 1);
    assert_eq!(count("repository=acme/shop&until=2026-01-02T03:06:36Z").await, 1);
    assert_eq!(count("since=2026-01-03").await, 0);
    for key in ["k-1", "k-2", "k-3"] {
        let pause = json!({ "key": key, "what": { "ask": "pause" } }).to_string();
        let said = world.send(world.bearing(TestRequest::post().uri("/api/v1/requests")).set_payload(pause)).await;
        assert_eq!(said.status, 202);
    }
    for (list, path) in [("deliveries", "/api/v1/deliveries?limit=2"), ("entries", "/api/v1/audit?limit=1")] {
        let (mut offsets, mut next) = (Vec::new(), path.to_owned());
        loop {
            let page = world.get(&next).await.json();
            offsets.extend(page[list].as_array().unwrap().iter().map(|it| it["offset"].as_u64().unwrap()));
            let Some(cursor) = page["cursor"].as_u64() else { break };
            next = format!("{path}&cursor={cursor}");
        }
        let whole = world.get(path.split('?').next().unwrap()).await.json();
        let whole: Vec<_> = whole[list].as_array().unwrap().iter().map(|it| it["offset"].as_u64().unwrap()).collect();
        assert_eq!(offsets, whole, "{path}");
        assert!(whole.len() > 2, "{path}");
    }
}

#[actix_web::test]
async fn a_parameter_that_there_is_none_of_is_refused_by_the_api_alone() {
    let world = World::seeded(Setup::default()).await;
    let said = world.get("/api/v1/deployments?targets=blog").await;
    assert_eq!(said.status, 400);
    assert_eq!(
        (said.json()["detail"].as_str().unwrap(), said.json()["help"].as_str().unwrap()),
        ("there is no parameter `targets`", "there are target, repository, sha, state, since, until, limit, cursor")
    );
    let said = world.get("/api/v1/targets?limit=3").await;
    assert_eq!((said.status, said.json()["help"].as_str().unwrap()), (400, "this takes none"));
    assert_eq!(world.get("/deployments?targets=blog").await.status, 200, "a page shows what it can");
}

#[actix_web::test]
async fn a_parameter_that_is_empty_or_there_twice_is_refused_by_the_api_alone() {
    let world = World::seeded(Setup::default()).await;
    for (query, told) in [
        ("deployments?target=", "`target` is empty"),
        ("deployments?target=blog&target=docs", "`target` is there more than once"),
        ("deliveries?until=", "`until` is empty"),
        ("events?stream=", "`stream` is empty"),
        ("targets/blog/live", "`at` is missing"),
    ] {
        let said = world.get(&format!("/api/v1/{query}")).await;
        assert_eq!((said.status, said.json()["detail"].as_str().unwrap()), (400, told), "{query}");
    }
    assert_eq!(
        world.get("/deployments?target=&state=failed").await.status,
        200,
        "a form has fields that are left blank"
    );
}
