//! What is live where: drift, lanes, and what was live when.

use std::time::Duration;

use actix_web::test::TestRequest;
use expect_test::expect;
use serde_json::json;

use super::api::check;
use super::seed::{Setup, World, sha};

#[actix_web::test]
async fn targets_say_what_is_live_and_what_waits() {
    let world = World::seeded(Setup::default()).await;
    check(
        &world.get("/api/v1/targets").await,
        &expect![[r#"
            {
              "paused": false,
              "targets": [
                {
                  "drift": {
                    "aside": false,
                    "author": "Mia Okoro",
                    "behind": null,
                    "deployment": "01KDYB2GW89DZE26X6GEF7CM4Q",
                    "sha": "a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4",
                    "state": "held",
                    "text": "Waiting: 01KDYAY8HRG5YWGFJBX9QJVJPN runs",
                    "title": "Fix the other typo"
                  },
                  "engine": "host",
                  "environment": "production",
                  "holds": [
                    {
                      "deployment": "01KDYB2GW89DZE26X6GEF7CM4Q",
                      "kind": "lane",
                      "reason": "01KDYAY8HRG5YWGFJBX9QJVJPN runs",
                      "since": "2026-01-02T03:12:32.6Z",
                      "until": null
                    }
                  ],
                  "lane": [
                    {
                      "author": "Mia Okoro",
                      "created_at": "2026-01-02T03:10:11Z",
                      "deployment": "01KDYAY8HRG5YWGFJBX9QJVJPN",
                      "held_since": null,
                      "ref": "refs/heads/main",
                      "sha": "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2",
                      "state": "running",
                      "text": "1 of 3 instances, Install (4 of 7)",
                      "title": "Take cards as well as invoices",
                      "until": null
                    },
                    {
                      "author": "Mia Okoro",
                      "created_at": "2026-01-02T03:12:30.6Z",
                      "deployment": "01KDYB2GW89DZE26X6GEF7CM4Q",
                      "held_since": "2026-01-02T03:12:32.6Z",
                      "ref": "refs/heads/main",
                      "sha": "a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4",
                      "state": "held",
                      "text": "Waiting: 01KDYAY8HRG5YWGFJBX9QJVJPN runs",
                      "title": "Fix the other typo",
                      "until": null
                    }
                  ],
                  "live": {
                    "at": "2026-01-02T03:05:36.5Z",
                    "author": "Mia Okoro",
                    "commit_url": "https://github.com/acme/shop/commit/a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
                    "deployment": "01KDYAMXQ816Y0CAT4FFDXQGAW",
                    "sha": "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
                    "title": "Show the price with tax"
                  },
                  "locked": false,
                  "locks": [],
                  "name": "shop-production",
                  "repository": "acme/shop",
                  "rules": [
                    "branch main",
                    "tag v*"
                  ],
                  "running": "01KDYAY8HRG5YWGFJBX9QJVJPN",
                  "seen": "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
                  "waiting": [
                    "01KDYB2GW89DZE26X6GEF7CM4Q"
                  ]
                },
                {
                  "drift": {
                    "aside": false,
                    "author": "Mia Okoro",
                    "behind": null,
                    "deployment": "01KDYASHNMN8SNZKP7M1JJ90R5",
                    "sha": "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1",
                    "state": "failed",
                    "text": "Failed: `scripts/check.sh` ended with 7 in ValidateService on web-1",
                    "title": "Write about <script>alert(1)</script> & co"
                  },
                  "engine": "host",
                  "environment": "production",
                  "holds": [],
                  "lane": [],
                  "left_by": {
                    "at": "2026-01-02T03:08:08Z",
                    "author": "Mia Okoro",
                    "commit_url": "https://github.com/acme/blog/commit/b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1",
                    "deployment": "01KDYASHNMN8SNZKP7M1JJ90R5",
                    "sha": "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1",
                    "title": "Write about <script>alert(1)</script> & co"
                  },
                  "live": null,
                  "locked": false,
                  "locks": [],
                  "name": "blog",
                  "repository": "acme/blog",
                  "rules": [
                    "branch main",
                    "tag v*"
                  ],
                  "running": null,
                  "seen": "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1",
                  "waiting": []
                },
                {
                  "drift": {
                    "aside": false,
                    "author": "Mia Okoro",
                    "behind": null,
                    "deployment": "01KDYAWB101PGCXH8YR7TQ7G8T",
                    "sha": "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
                    "state": "refused",
                    "text": "Not deployed: there is no `appspec.yml` at the root of the bundle",
                    "title": "Explain the release notes"
                  },
                  "engine": "host",
                  "environment": "production",
                  "holds": [
                    {
                      "by": "mia",
                      "deployment": null,
                      "kind": "lock",
                      "reason": "`docs` is locked by mia: the fair is on",
                      "since": "2026-01-02T03:12:32.6Z",
                      "until": "2026-01-02T09:00:00Z"
                    }
                  ],
                  "lane": [],
                  "live": null,
                  "locked": true,
                  "locks": [
                    {
                      "actor": "mia",
                      "at": "2026-01-02T03:12:32.6Z",
                      "reason": "the fair is on",
                      "until": "2026-01-02T09:00:00Z"
                    }
                  ],
                  "name": "docs",
                  "repository": "acme/docs",
                  "rules": [
                    "branch main",
                    "tag v*"
                  ],
                  "running": null,
                  "seen": "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
                  "waiting": []
                }
              ]
            }
        "#]],
    );
}

#[actix_web::test]
async fn a_target_that_is_behind_says_of_what_and_why() {
    let world = World::seeded(Setup::default()).await;
    let targets = world.get("/api/v1/targets").await.json()["targets"].clone();
    let [shop, blog, docs] = [&targets[0], &targets[1], &targets[2]];
    assert_eq!((&shop["drift"]["sha"], &shop["drift"]["state"]), (&json!(sha("a4")), &json!("held")));
    assert_eq!((&blog["drift"]["sha"], &blog["drift"]["state"]), (&json!(sha("b1")), &json!("failed")));
    assert_eq!(blog["drift"]["text"], "Failed: `scripts/check.sh` ended with 7 in ValidateService on web-1");
    assert_eq!((&docs["live"], &docs["drift"]["state"]), (&json!(null), &json!("refused")));
    let page = world.get("/targets/blog").await.body;
    assert!(page.contains("<span class=\"tag\">Newest</span>"), "{page}");
    assert!(page.contains("Failed: <code>scripts/check.sh</code> ended with 7"), "{page}");

    let world = World::new(Setup::default());
    for (hex, title) in [("a1", "Show the price"), ("a2", "Take cards")] {
        let id = world.push(hex, "acme/shop", "main", title).await;
        world.succeed(id).await;
    }
    assert_eq!(world.get("/api/v1/targets").await.json()["targets"][0]["drift"], json!(null), "the newest is live");
    world.roll_back("a1").await;
    let shop = world.get("/api/v1/targets").await.json()["targets"][0].clone();
    assert_eq!((&shop["live"]["sha"], &shop["drift"]["sha"]), (&json!(sha("a1")), &json!(sha("a2"))));
    assert_eq!(shop["drift"]["text"], "It was live, and mia rolled it back");
    assert_eq!(shop["drift"]["behind"], json!(null), "nobody has counted yet");
}

#[actix_web::test]
async fn a_lane_is_told_in_the_order_in_which_it_goes_with_who_holds_it_since_when() {
    let world = World::seeded(Setup::default()).await;
    let targets = world.get("/api/v1/targets").await.json()["targets"].clone();
    let lane = targets[0]["lane"].as_array().unwrap();
    let told: Vec<_> = lane.iter().map(|it| (it["sha"].clone(), it["state"].clone())).collect();
    assert_eq!(told, [(json!(sha("a2")), json!("running")), (json!(sha("a4")), json!("held"))]);
    assert!(lane[1]["held_since"].is_string() && lane[0]["held_since"].is_null(), "{lane:?}");
    let hold = &targets[2]["holds"][0];
    assert_eq!(
        (&hold["kind"], &hold["by"], &hold["until"]),
        (&json!("lock"), &json!("mia"), &json!("2026-01-02T09:00:00Z"))
    );
    assert!(hold["since"].is_string(), "{hold}");
    let page = world.get("/").await.body;
    let lane = page.split_once("<ol class=\"lane\"").and_then(|(_, rest)| rest.split_once("</ol>")).unwrap().0;
    assert!(lane.find("Take cards").unwrap() < lane.find("Fix the other typo").unwrap(), "{lane}");
    assert!(page.contains("the fair is on, set <time"), "{page}");
    assert!(page.contains("until 2026-01-02 09:00:00 UTC"), "{page}");
}

#[actix_web::test]
async fn a_target_tells_how_it_is_configured_and_neither_roles_nor_paths() {
    let world = World::seeded(Setup::default()).await;
    let shop = world.get("/api/v1/targets/shop-production").await.json();
    assert_eq!((&shop["name"], &shop["live"]["sha"]), (&json!("shop-production"), &json!(sha("a1"))));
    let configuration = &shop["configuration"];
    for (key, value) in [
        ("branches", json!(["main"])),
        ("tags", json!(["v*"])),
        ("on_new_push", json!("queue-latest")),
        ("engine.kind", json!("host")),
        ("engine.application", json!("shop-production")),
        ("revisions", json!("a directory of this machine")),
    ] {
        assert_eq!(configuration[key], value, "{key}");
    }
    assert_eq!(shop["findings"], json!([]));
    let page = world.get("/targets/shop-production").await.body;
    assert!(page.contains("<dt><code>on_new_push</code></dt><dd>queue-latest</dd>"), "{page}");
    for text in [configuration.to_string(), page] {
        assert!(!text.contains("/srv/"), "a path of the machine is told: {text}");
    }
    assert_eq!(world.get("/api/v1/targets/none").await.status, 404);
}

#[actix_web::test]
async fn what_was_live_at_a_moment_is_known_afterwards() {
    let world = World::new(Setup::default());
    let first = world.push("a1", "acme/shop", "main", "Show the price").await;
    world.succeed(first).await;
    world.clock.advance(Duration::from_secs(1));
    let then = world.clock.now();
    world.clock.advance(Duration::from_secs(3600));
    let failing = world.push("a2", "acme/shop", "main", "Break it").await;
    world.fail(failing).await;
    let second = world.push("a3", "acme/shop", "main", "Take cards").await;
    world.clock.advance(Duration::from_secs(600));
    let during = world.clock.now();
    world.succeed(second).await;
    let live_at = async |at: String| {
        let path = format!("/api/v1/targets/shop-production/live?at={}", at.replace(':', "%3A").replace(' ', "%20"));
        world.get(&path).await.json()
    };
    let cases = [(then, "a1"), (during, "a1"), (world.clock.now(), "a3")];
    for (at, live) in cases {
        assert_eq!(live_at(at.to_string()).await["live"]["sha"], json!(sha(live)), "{at}");
    }
    let before = live_at("2026-01-01 09:00".into()).await;
    assert_eq!((&before["live"], &before["known"]), (&json!(null), &json!(true)), "nothing was live then");
    assert_eq!(live_at(then.strftime("%H:%M:%S").to_string()).await["live"]["deployment"], json!(first));
    let page = world.get(&format!("/live?at={}", then.strftime("%H:%M:%S"))).await.body;
    assert!(page.contains("What was live at 2026-01-02") && page.contains("Show the price"), "{page}");
    assert!(page.contains("Nothing, as far back as the ledger goes."), "{page}");
    for (path, text) in [
        ("/live?at=noon", "is not a time such as"),
        ("/live?at=14%3A5", "is not a time such as"),
        ("/live?at=2027-01-01%2000:00", "is yet to come"),
    ] {
        let said = world.get(path).await;
        assert!(said.status == 400 && said.body.contains(text), "{path}: {}", said.body);
    }
    assert!(world.get("/live").await.body.contains("name=\"at\""), "it asks for a time");
    assert_eq!(world.get("/api/v1/targets/none/live?at=03:00").await.status, 404);
}

#[actix_web::test]
async fn a_badge_is_a_picture_for_readers_and_for_everybody_only_where_it_was_said() {
    let world = World::seeded(Setup::default()).await;
    let badge = world.get("/badge/blog.svg").await;
    assert_eq!((badge.status, badge.header("content-type")), (200, "image/svg+xml"));
    assert_eq!(
        (badge.header("cache-control"), badge.header("cross-origin-resource-policy")),
        ("no-cache", "cross-origin")
    );
    assert!(badge.body.contains("<title>blog: nothing live, b1b1b1b failed</title>"), "{}", badge.body);
    let shop = world.get("/badge/shop-production.svg").await;
    assert!(shop.body.contains("shop-production: a1a1a1a, a4a4a4a waits"), "{}", shop.body);
    let again = TestRequest::get().uri("/badge/blog.svg").insert_header(("If-None-Match", badge.header("etag")));
    let again = world.send(world.bearing(again)).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let good = world.push("d9", "acme/blog", "main", "Begin").await;
    world.succeed(good).await;
    assert!(world.get("/badge/blog.svg").await.body.contains("<title>blog: d9d9d9d</title>"));
    world.fail(world.redeploy(good).await).await;
    let half = world.get("/badge/blog.svg").await.body;
    assert!(half.contains("<title>blog: d9d9d9d, d9d9d9d failed</title>"), "{half}");
    let none = world.get("/badge/none.svg").await;
    assert!(none.status == 404 && none.body.contains("no such target"), "{}", none.body);
    let odd = world.get("/badge/%3Cscript%3E.svg").await;
    assert!(odd.status == 404 && !odd.body.contains("script"), "{}", odd.body);
    let stranger = world.send(TestRequest::get().uri("/badge/blog.svg")).await;
    assert!(stranger.status == 401 && !stranger.body.contains("blog"), "{}", stranger.body);
    let world = World::seeded(Setup { public_badges: true, ..Setup::default() }).await;
    assert_eq!(world.send(TestRequest::get().uri("/badge/blog.svg")).await.status, 200);
    assert_ne!(world.send(TestRequest::get().uri("/targets/blog")).await.status, 200, "badges only");
}

#[actix_web::test]
async fn the_figures_of_a_target_are_those_of_its_deployments() {
    let world = World::new(Setup::default());
    let day = Duration::from_secs(24 * 3600);
    let old = world.push("a0", "acme/shop", "main", "Long ago").await;
    world.succeed(old).await;
    world.clock.advance(40 * day);
    let first = world.push("a1", "acme/shop", "main", "Show the price").await;
    world.clock.advance(Duration::from_secs(600));
    world.succeed(first).await;
    let broken = world.push("a2", "acme/shop", "main", "Break it").await;
    world.fail(broken).await;
    let failed_at = world.ledger.deployment(broken).unwrap().unwrap().ended_at().unwrap();
    world.clock.advance(Duration::from_secs(1800));
    let mended = world.push("a3", "acme/shop", "main", "Mend it").await;
    world.succeed(mended).await;
    let restored_at = world.ledger.deployment(mended).unwrap().unwrap().ended_at().unwrap();
    world.clock.advance(day);
    let taken_back = world.push("a4", "acme/shop", "main", "Try another cart").await;
    world.succeed(taken_back).await;
    world.roll_back("a3").await;
    let refused = world.push("a5", "acme/shop", "main", "Wrong").await;
    world.refuse(refused).await;
    let said = world.get("/api/v1/targets/shop-production/figures").await.json();
    let now = &said["now"];
    assert_eq!((&now["deployments"], &now["failures"]), (&json!(3), &json!(2)), "a rollback is no change: {now}");
    assert_eq!((&now["change_failure_rate"], &now["restored"]), (&json!(0.5), &json!(2)));
    // Of two, the middle between them: the rollback took no time by this clock.
    assert_eq!(now["time_to_restore_s"], json!(restored_at.duration_since(failed_at).as_secs() / 2));
    assert_eq!((&now["per_day"], &said["complete"]), (&json!(0.1), &json!(true)));
    let lead = |id| {
        let it = world.ledger.deployment(id).unwrap().unwrap();
        it.ended_at().unwrap().duration_since(it.created_at()).as_secs()
    };
    let mut leads = [first, mended, taken_back].map(lead);
    leads.sort_unstable();
    assert_eq!(now["lead_time_s"], json!(leads[1]));
    assert_eq!((&said["before"]["deployments"], &said["before"]["failures"]), (&json!(1), &json!(0)));
    let days = said["days"].as_array().unwrap();
    let many = |of: &str| days.iter().map(|it| it[of].as_u64().unwrap()).sum::<u64>();
    assert_eq!((days.len(), many("succeeded"), many("failed")), (30, 2, 2), "a change is either");

    let csv = world.get("/api/v1/targets/shop-production/figures?format=csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(
        csv.body.starts_with("period,from,to,deployments,per_day,") && csv.body.lines().count() == 3,
        "{}",
        csv.body
    );
    let accepts =
        TestRequest::get().uri("/api/v1/targets/shop-production/figures").insert_header(("Accept", "text/csv"));
    assert_eq!(world.send(world.bearing(accepts)).await.body, csv.body);
    assert_eq!(world.get("/api/v1/targets/shop-production/figures?format=xml").await.status, 400);
    assert_eq!(world.get("/api/v1/targets/none/figures").await.status, 404);

    let page = world.get("/targets/shop-production").await.body;
    for text in [
        "3 changes became live and 2 failed in the last 30 days",
        "<strong>3 in 30 days</strong>",
        "<strong>50 %</strong>",
        "the median",
    ] {
        assert!(page.contains(text), "`{text}` is not on the page:\n{page}");
    }
    assert!(world.get("/targets/docs").await.body.contains("<strong>–</strong>"), "nothing to judge yet");
}

#[actix_web::test]
async fn a_rollback_that_never_began_takes_nothing_back() {
    let world = World::new(Setup::default());
    for hex in ["a1", "a2"] {
        let id = world.push(hex, "acme/shop", "main", "Show the price").await;
        world.succeed(id).await;
    }
    let vain = world.wish_back("a1").await;
    world.refuse(vain).await;
    let now = world.get("/api/v1/targets/shop-production/figures").await.json()["now"].clone();
    assert_eq!((&now["deployments"], &now["failures"]), (&json!(2), &json!(0)), "{now}");
}
