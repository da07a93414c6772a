//! The pages: everything on them is text, and everything that a person needs is there.

use landfall::domain::{DeploymentEvent, Failure, Outage};
use serde_json::json;

use super::seed::{Setup, World, sha};

pub(super) async fn path_of(world: &World, state: &str) -> String {
    let said = world.get(&format!("/api/v1/deployments?state={state}")).await.json();
    format!("/deployments/{}", said["deployments"][0]["id"].as_str().unwrap())
}

#[actix_web::test]
async fn what_comes_from_outside_is_text_and_nothing_else() {
    let world = World::seeded(Setup::default()).await;
    let failed = path_of(&world, "failed").await;
    let delivery = world.get("/api/v1/deliveries").await.json()["deliveries"][4]["id"].as_str().unwrap().to_owned();
    for path in ["/", "/targets/blog", "/deployments", "/deliveries", &failed, &format!("/deliveries/{delivery}")] {
        let said = world.get(path).await;
        assert_eq!((said.status, said.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        assert!(!said.body.contains("<script>alert") && !said.body.contains("<b>the page"), "{path} let it through");
        assert!(said.body.contains("&#60;script&#62;alert(1)"), "{path} does not show it");
    }
    for path in ["/%3Cscript%3Ealert(1)%3C/script%3E", "/targets/%3Cscript%3E", "/login?next=%22%3E%3Cscript%3E"] {
        assert!(!world.get(path).await.body.contains("<script>"), "{path} let it through");
    }
}

#[actix_web::test]
async fn a_place_that_takes_no_message_stands_on_the_first_page_until_it_does() {
    let world = World::seeded(Setup::default()).await;
    let failure = Failure::passing("chat/denied", "`hooks.slack.com` does not take it: <b>no_team</b>");
    let failure = failure.help("make a new webhook");
    let outage = Outage { place: "chat-ops".into(), since: world.clock.now(), failure, waiting: 2 };
    world.state.board.outages().set("chat-ops", Some(outage));
    let page = world.get("/").await.body;
    for text in [
        "<strong>chat-ops is not told</strong> since 2026-01-02 03:",
        "<code>hooks.slack.com</code> does not take it: &lt;b&gt;no_team&lt;/b&gt;",
        "What to do: make a new webhook.",
        "2 deployments wait to be told there",
    ] {
        assert!(page.contains(text), "`{text}` is not on the page:\n{page}");
    }
    let told = world.get("/api/v1/targets").await.json()["outages"][0].clone();
    assert_eq!((&told["place"], &told["waiting"]), (&json!("chat-ops"), &json!(2)));
    assert_eq!(told["failure"]["code"], "chat/denied");
    let figures = world.get("/metrics").await.body;
    assert!(figures.contains("landfall_place_down{place=\"chat-ops\"} 1\n"), "{figures}");
    world.state.board.outages().set("chat-ops", None);
    assert!(!world.get("/").await.body.contains("is not told"));
    assert_eq!(world.get("/api/v1/targets").await.json()["outages"], json!(null));
    let figures = world.get("/metrics").await.body;
    assert!(figures.contains("landfall_place_down{place=\"chat-ops\"} 0\n"), "{figures}");
}

#[actix_web::test]
async fn a_failed_deployment_says_what_to_do_and_shows_the_last_lines() {
    let world = World::seeded(Setup::default()).await;
    let page = world.get(&path_of(&world, "failed").await).await.body;
    for text in [
        "Failed: <code>scripts/check.sh</code> ended with 7 in ValidateService on web-1",
        "read its last lines below, then push a commit that mends it",
        "returned error: 500",
        "<code>engine/script-failed</code>",
        "href=\"https://github.com/acme/blog/commit/b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1\"",
        "bundle stored: 12 files, 34 kB; 1 finding",
        "ValidateService failed at <code>scripts/check.sh</code>",
        "add <code>timeout: 60</code>",
    ] {
        assert!(page.contains(text), "`{text}` is not on the page:\n{page}");
    }
}

#[actix_web::test]
async fn a_log_that_the_engine_keeps_on_its_instances_is_not_waited_for_and_no_line_has_the_name_of_another() {
    let world = World::seeded(Setup::default()).await;
    let cookie = world.sign_in().await;
    let log =
        |page: &str| page.split_once("<section id=\"log\"").unwrap().1.split_once("</section>").unwrap().0.to_owned();
    let page = world.browse(&cookie, &path_of(&world, "running").await).await.body;
    let running = log(&page);
    assert!(running.contains("keeps what scripts say on its instances.</p>"), "{running}");
    for part in ["Nothing was said", "data-cursor", "data-stays", "class=\"lines\""] {
        assert!(!running.contains(part), "`{part}` is in {running}");
    }
    let failed = path_of(&world, "failed").await;
    for path in [failed.clone(), format!("{failed}?q=curl")] {
        let page = world.browse(&cookie, &path).await.body;
        let told = log(&page);
        assert!(
            told.contains("of what failed, the last lines are here") && told.contains("(22) The requested"),
            "{told}"
        );
        assert!(!page.contains(" id=\"L") && !page.contains("?cursor="), "{page}");
    }
}

#[actix_web::test]
async fn a_fleet_is_a_grid_of_instances_and_events_the_failed_first_row_49() {
    let world = World::seeded(Setup::default()).await;
    let page = world.get(&path_of(&world, "failed").await).await.body;
    let grid = page.split_once("<table class=\"fleet\">").and_then(|(_, rest)| rest.split_once("</table>")).unwrap().0;
    let rows: Vec<&str> = grid.split("<tr class=").skip(1).collect();
    assert_eq!(rows.len(), 3);
    for (row, id, first, last) in [
        (rows[0], "<code>i-0a</code> Green", "failed", "ValidateService failed"),
        (rows[1], "<code>i-0c</code>", "pending", "ValidateService pending"),
        (rows[2], "<code>i-0b</code> Blue", "succeeded", "ValidateService succeeded"),
    ] {
        assert!(row.starts_with(&format!("\"{first}\"")) && row.contains(id), "{row}");
        assert_eq!(row.matches("<td").count(), 7);
        assert!(row.contains(&format!("title=\"{last}\"")), "{row}");
    }
    assert!(page.contains("and 4 more"));
}

#[actix_web::test]
async fn the_first_page_tells_live_running_waiting_and_held_apart() {
    let world = World::seeded(Setup::default()).await;
    let page = world.get("/").await.body;
    for text in [
        "Show the price with tax",
        "1 of 3 instances, Install (4 of 7)",
        "Nothing yet",
        "locked by mia: the fair is on",
    ] {
        assert!(page.contains(text), "`{text}` is not on the page:\n{page}");
    }
    assert!(
        !page.contains("<form") && !page.contains("Pause"),
        "a bearer of a token has no session, and so no buttons"
    );
    let empty = World::new(Setup::default()).get("/").await.body;
    assert!(empty.contains("No deployment yet."));
}

#[actix_web::test]
async fn what_is_not_there_is_told_as_a_page() {
    let world = World::seeded(Setup::default()).await;
    for (path, text) in [
        ("/nowhere", "there is nothing at <code>/nowhere</code>"),
        ("/targets/none", "there is no target <code>none</code>"),
        ("/deployments/01KDYAMXQ81C7GGHJD5E15E0PZ", "there is no deployment <code>01KDYAMXQ81C7GGHJD5E15E0PZ</code>"),
        ("/deliveries/none", "there is no delivery <code>none</code>"),
    ] {
        let said = world.get(path).await;
        assert_eq!(said.status, 404, "{path}");
        assert!(said.body.contains(text), "{}", said.body);
    }
    let said = world.get("/deployments?limit=x").await;
    assert!(said.status == 400 && said.body.contains("<code>x</code> is not a number from 1 to 200"));
}

#[actix_web::test]
async fn what_a_rule_left_out_is_skipped_wherever_it_is_shown() {
    let world = World::new(Setup::default());
    let id = world.push("a1", "acme/shop", "main", "Explain the cart").await;
    let reason = "no path of the rule changed since 0a0a0a0";
    world.tell(id, DeploymentEvent::Weighing).await;
    world.tell(id, DeploymentEvent::Skipped { reason: reason.into() }).await;
    let listed = world.get("/api/v1/deployments?state=skipped").await.json();
    assert_eq!((&listed["deployments"][0]["id"], &listed["deployments"][0]["reason"]), (&json!(id), &json!(reason)));
    let why = world.get(&format!("/api/v1/why/{}", sha("a1"))).await.json();
    assert_eq!(
        (&why["plans"][0]["state"], &why["plans"][0]["reason"]),
        (&json!("skipped"), &json!(format!("Not deployed: {reason}")))
    );
    let detail = world.get(&format!("/api/v1/deployments/{id}")).await.json();
    assert_eq!((&detail["failure"], &detail["stages"][0]["status"]), (&json!(null), &json!("skipped")));
    let target = world.get("/api/v1/targets").await.json()["targets"][0]["seen"].clone();
    assert_eq!(target, json!(sha("a1")), "the commit is handled");
    let page = world.get(&format!("/deployments/{id}")).await.body;
    assert!(page.contains("class=\"state skipped\"") && page.contains("Not deployed: no path of the rule"), "{page}");
}
