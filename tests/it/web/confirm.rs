//! What a button will do is said before it does it, and nothing else is done.

use std::fs;

use actix_web::http::header::COOKIE;
use actix_web::test::TestRequest;
use landfall::domain::{Ask, DeploymentEvent, DeploymentId, Progress, SubState, TargetName};

use super::pages::path_of;
use super::seed::{Setup, World};
use crate::bot::Bot;

/// Goes to the page of an act, and presses its button.
async fn press(world: &World, cookie: &str, path: &str) -> super::Said {
    let page = world.browse(cookie, path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    let action = path.split('?').next().unwrap();
    assert!(page.body.contains(&format!("action=\"{action}\"")), "{}", page.body);
    let mut form = vec![("csrf", page.field("csrf")), ("key", page.field("key"))];
    form.extend(page.body.contains("name=\"of\"").then(|| ("of", page.field("of"))));
    world.send(TestRequest::post().uri(action).insert_header((COOKIE, cookie)).set_form(form)).await
}

#[actix_web::test]
async fn a_button_asks_and_leads_to_what_came_of_it() {
    let world = World::seeded(Setup::default()).await;
    let cookie = world.sign_in().await;
    let failed = path_of(&world, "failed").await;
    let page = world.browse(&cookie, &failed).await.body;
    assert!(page.contains(&format!("href=\"{failed}/redeploy\"")), "{page}");
    let said = press(&world, &cookie, &format!("{failed}/redeploy")).await;
    assert_eq!(said.status, 303);
    assert_ne!(said.header("location"), failed, "it leads to the new deployment");
    assert_eq!(world.browse(&cookie, said.header("location")).await.status, 200);
    let running = path_of(&world, "running").await;
    let said = press(&world, &cookie, &format!("{running}/stop")).await;
    assert_eq!((said.status, said.header("location")), (303, running.as_str()));
    assert!(world.browse(&cookie, &running).await.body.contains("admin asked to stop"));
}

#[actix_web::test]
async fn what_would_be_refused_is_refused_before_there_is_a_button() {
    let world = World::seeded(Setup::default()).await;
    let cookie = world.sign_in().await;
    let refused = world.browse(&cookie, "/targets/blog/deploy?ref=feature").await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("push it to a branch that the rule takes"), "{}", refused.body);
    assert!(!refused.body.contains("<form"), "{}", refused.body);
    for (path, status) in [
        ("/targets/none/explode", 404),
        ("/targets/blog/rollback?to=x", 400),
        ("/releases/explode", 404),
        ("/deliveries/none/explode", 404),
    ] {
        assert_eq!(world.browse(&cookie, path).await.status, status, "{path}");
    }
    assert_eq!(world.get("/targets/blog/lock").await.status, 401, "who has no session has no form");
}

#[actix_web::test]
async fn who_is_not_signed_in_where_reading_is_free_is_led_to_the_way_in_and_back() {
    let world = World::seeded(Setup { public_reads: true, ..Setup::default() }).await;
    let said = world.send(TestRequest::get().uri("/targets/blog/deploy?ref=main")).await;
    assert_eq!((said.status, said.header("location")), (303, "/login?next=%2Ftargets%2Fblog%2Fdeploy%3Fref%3Dmain"));
    // A link at GitHub's: the browser keeps the session's cookie back until the page asks for itself.
    let from = TestRequest::get().uri("/targets/blog/deploy?ref=main").insert_header(("Sec-Fetch-Site", "cross-site"));
    let said = world.send(from).await;
    assert_eq!(said.status, 200, "{}", said.body);
    assert!(said.body.contains("/targets/blog/deploy?ref=main"), "{}", said.body);
}

#[actix_web::test]
async fn a_page_says_what_will_happen_and_does_nothing() {
    let world = World::seeded(Setup::default()).await;
    let cookie = world.sign_in().await;
    let (end, failed, running) =
        (world.ledger.end(), path_of(&world, "failed").await, path_of(&world, "running").await);
    for (path, texts) in [
        (
            format!("{failed}/redeploy"),
            &["goes to blog (production), on this machine.", "Nothing is live at blog yet", "&lt;script&gt;alert(1)"][..],
        ),
        (
            format!("{running}/stop"),
            &["<h1>Stop a2a2a2a?</h1>", "what it has done by then stays", "bring the last good revision back"],
        ),
        ("/targets/docs/unlock".into(), &["This ends the lock by mia: the fair is on, until 2026-01-02 09:00:00 UTC"]),
        (
            "/targets/shop-production/lock".into(),
            &[
                "Nothing is released to shop-production until it is unlocked, or the hours are over",
                "1 deployment to shop-production waits already",
            ],
        ),
        ("/releases/pause".into(), &["Nothing is released to any target until somebody resumes"]),
        ("/releases/lock".into(), &["Nothing is released to any target until all are unlocked"]),
        ("/releases/resume".into(), &["Resume releases?"]),
    ] {
        let page = world.browse(&cookie, &path).await;
        for text in texts {
            assert!(page.body.contains(text), "`{text}` is not on {path}:\n{}", page.body);
        }
    }
    assert_eq!(world.ledger.end(), end, "nothing was written");
}

#[actix_web::test]
async fn what_waits_for_a_person_has_a_button_that_says_what_it_does_rows_52_and_53() {
    let world = World::seeded(Setup::default()).await;
    let running = path_of(&world, "running").await;
    let id = DeploymentId::parse(running.rsplit('/').next().unwrap()).unwrap();
    let cookie = world.sign_in().await;
    let link = format!("href=\"{running}/approve?of=");
    assert!(!world.browse(&cookie, &running).await.body.contains(&link), "nothing waits yet");
    let live = "Live at shop-production now";
    for (sub_state, of, deed) in [
        (SubState::ReadyForTraffic, "traffic", "moves traffic to what was deployed."),
        (SubState::WaitingForTermination, "termination", "ends the old instances now: there is no quick way back"),
    ] {
        let progress = Progress { sub_state: Some(sub_state), ..Progress::default() };
        world.tell(id, DeploymentEvent::Progressed { progress }).await;
        assert!(world.browse(&cookie, &running).await.body.contains(&format!("{link}{of}\"")));
        let page = world.browse(&cookie, &format!("{running}/approve?of={of}")).await;
        for text in [&format!("name=\"of\" value=\"{of}\""), deed, live] {
            assert!(page.body.contains(text), "`{text}` is not on the page:\n{}", page.body);
        }
    }
    // A form that does not say what it was about approves nothing: by now something else may wait.
    let page = world.browse(&cookie, &format!("{running}/approve?of=traffic")).await;
    let form = [("csrf", page.field("csrf")), ("key", page.field("key"))];
    let request = TestRequest::post().uri(&format!("{running}/approve")).insert_header((COOKIE, cookie.as_str()));
    assert_eq!(world.send(request.set_form(form)).await.status, 422);
}

/// A browser that is signed in.
struct Browser<'a> {
    bot: &'a Bot,
    http: reqwest::Client,
    cookie: String,
}

impl<'a> Browser<'a> {
    async fn new(bot: &'a Bot) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let token = fs::read_to_string(bot.dir.join("data/token")).unwrap();
        let form = format!("token={}", token.trim());
        let said = http.post(format!("{}/login", bot.url())).body(form).send().await.unwrap();
        let cookie = said.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { bot, http, cookie }
    }

    async fn get(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.bot.url())).header("cookie", &self.cookie);
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Sends the form of a page; where it leads.
    async fn press(&self, page: &str) -> String {
        let (_, form) = page.split_once("class=\"confirm\"").expect("the page has a form");
        let hidden = form.split("<input type=\"hidden\" name=\"").skip(1);
        let mut body = form_urlencoded::Serializer::new(String::new());
        for field in hidden {
            let (name, rest) = field.split_once("\" value=\"").unwrap();
            body.append_pair(name, rest.split_once('"').unwrap().0);
        }
        let (before, _) = page.split_once("class=\"confirm\"").expect("the page has a form");
        let (_, action) = before.rsplit_once("action=\"").unwrap();
        let action = format!("{}{}", self.bot.url(), action.split_once('"').unwrap().0);
        let request = self.http.post(action).header("cookie", &self.cookie).body(body.finish());
        request.send().await.unwrap().headers()["location"].to_str().unwrap().to_owned()
    }
}

#[test]
fn what_is_done_is_what_was_said_or_it_is_said_again() {
    let bot = Bot::new();
    let one = bot.commit("one");
    bot.deliver("d1", &one);
    bot.settle();
    let two = bot.commit("two");
    let browser = bot.runtime.block_on(Browser::new(&bot));
    let (page, born) = bot.runtime.block_on(async {
        let page = browser.get("/targets/site/deploy?ref=main").await;
        assert!(page.contains(&format!("<code>{}</code>, the head of main, goes to site", &two[..7])), "{page}");
        assert!(page.contains(&format!("Live at site now: <code>{}</code>", &one[..7])), "{page}");
        let three = bot.commit("three");
        let anew = browser.press(&page).await;
        assert_eq!(anew, "/targets/site/deploy?moved=1&ref=main");
        let page = browser.get(&anew).await;
        assert!(page.contains("Nothing was done yet") && page.contains(&three[..7]), "{page}");
        let born = browser.press(&page).await;
        assert!(born.starts_with("/deployments/"));
        (page, born)
    });
    bot.settle();
    // The same press again, when the head has moved once more: it was done, and once.
    bot.commit("four");
    assert_eq!(bot.runtime.block_on(browser.press(&page)), born);
    bot.settle();
    assert_eq!(bot.page(), "three");
    assert_eq!(bot.deployments().len(), 2, "what had moved was not deployed");
    bot.runtime.block_on(async {
        let page = browser.get("/targets/site/rollback").await;
        assert!(page.contains(&format!("<code>{}</code> «A page» is brought back to site", &one[..7])), "{page}");
        browser.press(&page).await;
    });
    bot.settle();
    assert_eq!(bot.page(), "one");
}

#[test]
fn what_ends_is_only_the_locks_that_were_named() {
    let bot = Bot::new();
    let target = TargetName::parse("site").unwrap();
    let lock = |key: &str, reason: &str| {
        let reason = Some(reason.to_owned());
        bot.ask(key, Ask::Lock { target: target.clone(), reason: reason.clone(), until: None, warns: false }).unwrap();
        bot.ask(&format!("all-{key}"), Ask::LockAll { reason, until: None, warns: false }).unwrap();
    };
    let browser = bot.runtime.block_on(Browser::new(&bot));
    for (path, back, done) in [
        ("/targets/site/unlock", "/targets/site", "<code>site</code> was not locked"),
        ("/releases/unlock", "/", "not everything was locked"),
    ] {
        lock(&format!("one{path}"), "the fair is on");
        let page = bot.runtime.block_on(browser.get(path));
        assert!(page.contains("the fair is on"), "{page}");
        lock(&format!("two{path}"), "a disk is full");
        let anew = bot.runtime.block_on(browser.press(&page));
        assert_eq!(anew, format!("{path}?moved=1"));
        let page = bot.runtime.block_on(browser.get(&anew));
        assert!(page.contains("Nothing was done yet") && page.contains("a disk is full"), "{page}");
        assert_eq!(bot.runtime.block_on(browser.press(&page)), back);
        let page = bot.runtime.block_on(browser.get(path));
        assert!(page.contains(done), "{page}");
    }
}

#[test]
fn what_has_begun_meanwhile_is_said_before_it_is_stopped() {
    let bot = Bot::new();
    let go = bot.dir.join("go");
    bot.write_site(&format!("until [ -e {} ]; do sleep 0.02; done", go.display()));
    let browser = bot.runtime.block_on(Browser::new(&bot));
    let read = |path: &str| bot.runtime.block_on(browser.get(path));
    bot.ask("pause", Ask::Pause { reason: None }).unwrap();
    let one = bot.commit("one");
    let (_, answer) = bot.deliver("d1", &one);
    let stop = format!("/deployments/{}/stop", answer["plans"][0]["deployment"].as_str().unwrap());
    bot.wait_for("it waits", |bot| bot.deployments()[0].state().name() == "held");
    assert!(read("/targets/site/unlock").contains("held still: releases are paused by ada"));
    let (held, paused) = (read(&stop), read("/releases/resume"));
    assert!(held.contains("Nothing of it has been released: what is live stays"), "{held}");
    assert!(paused.contains("Once that is done: resumed; releases were paused by ada; going on: site"), "{paused}");

    bot.ask("resume", Ask::Resume {}).unwrap();
    bot.wait_for("its script runs", |bot| bot.runs() == 1);
    let anew = bot.runtime.block_on(browser.press(&held));
    assert_eq!(anew, format!("{stop}?moved=1"));
    let page = read(&anew);
    assert!(page.contains("Nothing was done yet") && page.contains("The engine is asked to stop"), "{page}");
    assert!(bot.deployments()[0].stop_asked_by().is_none());
    let page = read("/targets/site/deploy?ref=main");
    let said = format!("A deployment of <code>{}</code> to site is under way: this one waits for its end", &one[..7]);
    assert!(page.contains(&said), "{page}");

    std::fs::write(go, "").unwrap();
    bot.settle();
    let two = bot.commit("two");
    bot.deliver("d2", &two);
    bot.settle();
    let page = read("/deliveries/d1/replay");
    let said = format!("<code>{}</code>", &one[..7]);
    assert!(page.contains(&said) && page.contains("as it was pushed to main then, goes to site"), "{page}");
}
