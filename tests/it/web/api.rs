//! The JSON API: its shapes, its pages, its refusals.

use expect_test::{Expect, expect};
use serde_json::json;

use super::Said;
use super::seed::{Setup, World, sha};

pub(super) fn check(said: &Said, expected: &Expect) {
    assert_eq!((said.status, said.header("content-type")), (200, "application/json"), "{}", said.body);
    expected.assert_eq(&format!("{:#}\n", said.json()));
}

/// The deployment in that state.
pub(super) async fn one(world: &World, state: &str) -> String {
    let said = world.get(&format!("/api/v1/deployments?state={state}")).await.json();
    said["deployments"][0]["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn deployments_are_listed_newest_first_and_page_by_page() {
    let world = World::seeded(Setup::default()).await;
    check(
        &world.get("/api/v1/deployments?target=blog").await,
        &expect![[r#"
            {
              "cursor": null,
              "deployments": [
                {
                  "author": "Mia Okoro",
                  "created_at": "2026-01-02T03:07:36.5Z",
                  "ended_at": "2026-01-02T03:08:08Z",
                  "engine_id": "d-A1B2C3D4E",
                  "environment": "production",
                  "id": "01KDYASHNMN8SNZKP7M1JJ90R5",
                  "parent": null,
                  "reason": "`scripts/check.sh` ended with 7 in ValidateService on web-1",
                  "ref": "refs/heads/main",
                  "repository": "acme/blog",
                  "sha": "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1",
                  "state": "failed",
                  "target": "blog",
                  "text": "Failed: `scripts/check.sh` ended with 7 in ValidateService on web-1",
                  "title": "Write about <script>alert(1)</script> & co",
                  "url": "https://deploy.example.com/deployments/01KDYASHNMN8SNZKP7M1JJ90R5"
                }
              ]
            }
        "#]],
    );
    let mut path = "/api/v1/deployments?limit=4".to_owned();
    let mut states = Vec::new();
    loop {
        let page = world.get(&path).await.json();
        states
            .extend(page["deployments"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        path = format!("/api/v1/deployments?limit=4&cursor={cursor}");
    }
    assert_eq!(states, ["held", "superseded", "running", "refused", "failed", "succeeded"]);
    let of = async |query: &str| {
        world.get(&format!("/api/v1/deployments?{query}")).await.json()["deployments"].as_array().unwrap().len()
    };
    assert_eq!(of("sha=a1a1").await, 1);
    assert_eq!(of("sha=ffff").await, 0);
    assert_eq!(of("target=shop-production&state=succeeded").await, 1);
}

#[actix_web::test]
async fn a_deployment_has_its_whole_story() {
    let world = World::seeded(Setup::default()).await;
    let said = world.get(&format!("/api/v1/deployments/{}", one(&world, "refused").await)).await;
    check(
        &said,
        &expect![[r#"
            {
              "approval": null,
              "approved_by": null,
              "author": "Mia Okoro",
              "children": [],
              "commit_url": "https://github.com/acme/docs/commit/d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
              "created_at": "2026-01-02T03:09:08Z",
              "delivery": "72d3162e-cc78-11e3-81ab-d1d1d1d1d1d1",
              "ended_at": "2026-01-02T03:09:11Z",
              "engine": "host",
              "engine_id": null,
              "engine_url": null,
              "environment": "production",
              "events": [
                {
                  "at": "2026-01-02T03:09:08Z",
                  "kind": "planned",
                  "offset": 37,
                  "order": {
                    "author": "Mia Okoro",
                    "before": "00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa",
                    "cause": {
                      "delivery": "72d3162e-cc78-11e3-81ab-d1d1d1d1d1d1",
                      "kind": "push"
                    },
                    "pusher": "mia",
                    "ref": "refs/heads/main",
                    "repository": {
                      "id": 7,
                      "name": "acme/docs"
                    },
                    "rule": "branch main",
                    "sha": "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
                    "target": "docs",
                    "title": "Explain the release notes"
                  },
                  "stream": "deployment/01KDYAWB101PGCXH8YR7TQ7G8T",
                  "text": "planned d1d1d1d to docs: branch main takes it"
                },
                {
                  "at": "2026-01-02T03:09:09Z",
                  "kind": "weighing",
                  "offset": 38,
                  "stream": "deployment/01KDYAWB101PGCXH8YR7TQ7G8T",
                  "text": "checking that this is the newest commit"
                },
                {
                  "at": "2026-01-02T03:09:10Z",
                  "commit": "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
                  "forced": true,
                  "head": "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
                  "kind": "weighed",
                  "offset": 39,
                  "stream": "deployment/01KDYAWB101PGCXH8YR7TQ7G8T",
                  "text": "d1d1d1d is the newest commit; history was rewritten"
                },
                {
                  "at": "2026-01-02T03:09:11Z",
                  "failure": {
                    "blame": "revision",
                    "code": "appspec/missing",
                    "help": "add one, or set `root` to the directory that holds it",
                    "message": "there is no `appspec.yml` at the root of the bundle",
                    "passing": false
                  },
                  "kind": "refused",
                  "offset": 40,
                  "stream": "deployment/01KDYAWB101PGCXH8YR7TQ7G8T",
                  "text": "not deployed: there is no `appspec.yml` at the root of the bundle"
                }
              ],
              "failure": {
                "blame": "revision",
                "code": "appspec/missing",
                "help": "add one, or set `root` to the directory that holds it",
                "message": "there is no `appspec.yml` at the root of the bundle",
                "passing": false
              },
              "findings": [],
              "fleet": null,
              "id": "01KDYAWB101PGCXH8YR7TQ7G8T",
              "lifecycle": [],
              "next_at": null,
              "parent": null,
              "reason": "there is no `appspec.yml` at the root of the bundle",
              "ref": "refs/heads/main",
              "reports": [],
              "repository": "acme/docs",
              "rule": "branch main",
              "sha": "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
              "stages": [
                {
                  "began_at": "2026-01-02T03:09:08Z",
                  "name": "weigh",
                  "status": "succeeded",
                  "took_ms": 2000
                },
                {
                  "began_at": "2026-01-02T03:09:10Z",
                  "name": "prepare",
                  "status": "failed",
                  "took_ms": 1000
                },
                {
                  "began_at": null,
                  "name": "release",
                  "status": "skipped",
                  "took_ms": null
                },
                {
                  "began_at": null,
                  "name": "run",
                  "status": "skipped",
                  "took_ms": null
                },
                {
                  "began_at": null,
                  "name": "verify",
                  "status": "skipped",
                  "took_ms": null
                }
              ],
              "state": "refused",
              "stop_asked_by": null,
              "stumble": null,
              "superseded_by": null,
              "target": "docs",
              "text": "Not deployed: there is no `appspec.yml` at the root of the bundle",
              "title": "Explain the release notes",
              "url": "https://deploy.example.com/deployments/01KDYAWB101PGCXH8YR7TQ7G8T"
            }
        "#]],
    );
    let failed = world.get(&format!("/api/v1/deployments/{}", one(&world, "failed").await)).await.json();
    let told = failed["events"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap());
    expect![[r#"
        planned b1b1b1b to blog: branch main takes it
        checking that this is the newest commit
        b1b1b1b is the newest commit
        bundle stored: 12 files, 34 kB; 1 finding
        handing over to the engine
        the engine took it as d-A1B2C3D4E
        ApplicationStop, 1 of 3 instances done
        DownloadBundle, 1 of 3 instances done
        BeforeInstall, 1 of 3 instances done
        Install, 1 of 3 instances done
        AfterInstall runs `scripts/check.sh`, 1 of 3 instances done
        ApplicationStart runs `scripts/check.sh`, 1 of 3 instances done
        ValidateService failed at `scripts/check.sh`, 1 of 3 instances done
        the engine is done: it failed
        failed: `scripts/check.sh` ended with 7 in ValidateService on web-1
    "#]]
    .assert_eq(&told.map(|it| format!("{it}\n")).collect::<String>());
    let told =
        json!([{ "sink": "github-status", "state": "failure", "text": "Failed: `scripts/check.sh` ended with 7" }]);
    assert_eq!(failed["reports"], told);
    let stages: Vec<_> = failed["stages"].as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(stages, ["succeeded", "succeeded", "succeeded", "failed", "skipped"]);
}

#[actix_web::test]
async fn why_tells_what_each_push_of_a_commit_meant() {
    let world = World::seeded(Setup::default()).await;
    check(
        &world.get("/api/v1/why/a1a1a1").await,
        &expect![[r#"
            {
              "plans": [
                {
                  "delivery": "72d3162e-cc78-11e3-81ab-a1a1a1a1a1a1",
                  "deployment": "01KDYAMXQ816Y0CAT4FFDXQGAW",
                  "reason": "Live after 31 s",
                  "state": "succeeded",
                  "target": "shop-production"
                }
              ],
              "sha": "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
            }
        "#]],
    );
    check(
        &world.get(&format!("/api/v1/why/{}", sha("0f"))).await,
        &expect![[r#"
        {
          "plans": [
            {
              "delivery": "72d3162e-cc78-11e3-81ab-0f0f0f0f0f0f",
              "deployment": null,
              "reason": "`feature/cart` is not mapped to this target",
              "state": "not-planned",
              "target": "shop-production"
            }
          ],
          "sha": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
        }
    "#]],
    );
    let of_beginning = world.get("/api/v1/why/0F0F0").await.json();
    assert_eq!(of_beginning, world.get(&format!("/api/v1/why/{}", sha("0f"))).await.json(), "no deployment is needed");
    world.push("0f0f1", "acme/shop", "feature/cart", "Try yet another cart").await;
    let refused = world.get("/api/v1/why/0f0f").await;
    assert_eq!(refused.status, 400);
    let expected = format!("`0f0f` is the beginning of several commits: {}, {}", sha("0f"), sha("0f0f1"));
    assert_eq!(refused.json()["detail"], expected);
    assert_eq!(world.get("/api/v1/why/0f0f1").await.json()["sha"], sha("0f0f1").as_str());
    assert_eq!(world.get(&format!("/api/v1/why/{}", sha("77"))).await.json()["plans"], json!([]));
    assert_eq!(world.get("/api/v1/why/7777").await.status, 404);
}

#[actix_web::test]
async fn deliveries_say_what_they_meant_and_keep_their_bodies() {
    let world = World::seeded(Setup::default()).await;
    let all = world.get("/api/v1/deliveries").await.json();
    assert_eq!(all["deliveries"].as_array().unwrap().len(), 7);
    let second = all["deliveries"][5]["id"].as_str().unwrap();
    check(
        &world.get(&format!("/api/v1/deliveries/{second}")).await,
        &expect![[r#"
            {
              "after": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
              "at": "2026-01-02T03:06:36.5Z",
              "before": "00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa",
              "digest": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
              "event": "push",
              "events": [
                {
                  "at": "2026-01-02T03:06:36.5Z",
                  "digest": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
                  "event": "push",
                  "kind": "received",
                  "offset": 17,
                  "plans": [
                    {
                      "deployment": null,
                      "nothing": {
                        "kind": "not-mapped",
                        "ref": "refs/heads/feature/cart"
                      },
                      "target": "shop-production"
                    }
                  ],
                  "push": {
                    "after": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
                    "author": "Mia Okoro",
                    "before": "00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa",
                    "forced": false,
                    "pusher": "mia",
                    "ref": "refs/heads/feature/cart",
                    "repository": {
                      "id": 7,
                      "name": "acme/shop"
                    },
                    "title": "Try another cart"
                  },
                  "stream": "delivery/72d3162e-cc78-11e3-81ab-0f0f0f0f0f0f",
                  "text": "mia pushed 0f0f0f0 to `feature/cart` of acme/shop: nothing to deploy"
                }
              ],
              "id": "72d3162e-cc78-11e3-81ab-0f0f0f0f0f0f",
              "offset": 17,
              "plans": [
                {
                  "delivery": "72d3162e-cc78-11e3-81ab-0f0f0f0f0f0f",
                  "deployment": null,
                  "reason": "`feature/cart` is not mapped to this target",
                  "state": "not-planned",
                  "target": "shop-production"
                }
              ],
              "pusher": "mia",
              "ref": "refs/heads/feature/cart",
              "repository": "acme/shop",
              "text": "mia pushed 0f0f0f0 to `feature/cart` of acme/shop: nothing to deploy",
              "title": "Try another cart"
            }
        "#]],
    );
}

#[actix_web::test]
async fn a_refusal_says_what_was_expected() {
    let world = World::seeded(Setup::default()).await;
    let mut told = String::new();
    for path in [
        "/api/v1/deployments?limit=1000",
        "/api/v1/deployments?state=done",
        "/api/v1/deployments?target=-",
        "/api/v1/deployments/1",
        "/api/v1/deployments/01KDYAMXQ81C7GGHJD5E15E0PZ",
        "/api/v1/why/xyz",
        "/api/v1/deliveries/none",
        "/api/v1/deliveries?cursor=x",
        "/api/v1/events?from=-1",
        "/api/v1/events?stream=x",
        "/api/v1/nothing",
        "/api/v1/requests",
    ] {
        let said = world.get(path).await;
        assert_eq!(said.header("content-type"), "application/problem+json", "{path}");
        told += &format!("{} {}\n", said.status, said.json()["detail"].as_str().unwrap());
    }
    expect![[r#"
        400 `limit`: `1000` is not a number from 1 to 200
        400 `state`: `done` is not one of planned, weighing, held, preparing, releasing, running, verifying, succeeded, failed, stopped, superseded, skipped, refused
        400 `target`: `-` is not a target name of 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit
        400 `1` is not a deployment id of 26 letters and digits
        404 there is no deployment `01KDYAMXQ81C7GGHJD5E15E0PZ`
        400 `sha`: `xyz` is not 4 to 64 hex digits of a commit hash
        404 there is no delivery `none`
        400 `cursor`: `x` is not an offset, a whole number from 0
        400 `from`: `-1` is not an offset, a whole number from 0
        400 `x` is not a stream such as `deployment/ID`
        404 there is nothing at `/api/v1/nothing`
        405 `/api/v1/requests` takes POST, not GET
    "#]].assert_eq(&told);
}
