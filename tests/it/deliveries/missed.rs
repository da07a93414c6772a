//! Deliveries that never came through, and how they are caught up: from GitHub's list, by a second sending, or, where
//! neither is to be had, by comparing heads alone.

use landfall::domain::{DeliveryEvent, DeliveryId, Deployment, Event, State};
use serde_json::{Value, json};

use super::typed;
use crate::bot::{Bot, Extra};
use crate::worlds::github::hooks::LEADS_TO;
use crate::worlds::github::{GitHubWorld, Route, Trouble};
use crate::worlds::push::{self, SECRET};

/// A bot whose commits come from GitHub, and the webhook that leads to it.
struct Stand {
    github: GitHubWorld,
    bot: Bot,
    hook: u64,
}

impl Stand {
    /// It has deployed one push already.
    fn new() -> Self {
        Self::with("", |_| ())
    }

    /// The same with this in its configuration.
    fn with(top: &'static str, change: impl FnOnce(&mut Bot)) -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/site");
        let hook = github.hook("acme/site", SECRET);
        let mut bot = Bot::asleep(&Extra { top, ..Extra::default() });
        bot.ask_github(&github);
        change(&mut bot);
        bot.repo.git(&["remote", "add", "github", repository.bare().to_str().unwrap()]);
        bot.start();
        let this = Self { github, bot, hook };
        assert_eq!(this.push("delivery-1", "one").1, 202);
        this.bot.settle_and_tell();
        this
    }

    /// A push of this page, told to the bot where it is up. Gives the commit, and what GitHub met with.
    fn push(&self, guid: &str, page: &str) -> (String, u16) {
        let sha = self.committed(page);
        let met = self.send(guid, &sha);
        (sha, met)
    }

    /// GitHub tells of a push of `main` to this commit. Gives what it met with.
    fn send(&self, guid: &str, sha: &str) -> u16 {
        let (url, payload) = (self.bot.is_up().then(|| self.bot.url()), payload(sha));
        self.bot.runtime.block_on(self.github.send(self.hook, url.as_deref(), guid, "push", &payload))
    }

    /// GitHub tells of a push, and is told to come again.
    fn send_in_vain(&self, guid: &str, payload: &Value, code: &str) {
        let (url, client) = (self.bot.url(), reqwest::Client::new());
        let (status, again, told) = self.bot.runtime.block_on(async {
            let answer = push::delivery(&client, &url, SECRET, guid, payload.to_string()).send().await.unwrap();
            (answer.status().as_u16(), answer.headers().get("retry-after").cloned(), answer.text().await.unwrap())
        });
        assert_eq!((status, again.unwrap().to_str().unwrap()), (503, "10"), "{told}");
        assert!(told.contains(code), "{told}");
        self.github.note(self.hook, status, guid, "push", payload);
    }

    /// A push of this page that GitHub tells nobody of.
    fn committed(&self, page: &str) -> String {
        let sha = self.bot.commit(page);
        self.bot.repo.git(&["push", "--quiet", "github", "HEAD:main"]);
        sha
    }

    fn restart(&mut self) {
        self.bot.stop();
        self.bot.start();
    }

    /// Waits until this page is there, these deliveries are known, and nothing is open. An older push that is weighed
    /// first may bear a deployment of the head, so how many there are is not said.
    fn settle(&self, page: &str, known: &[&str]) {
        self.bot.wait_for(page, |bot| bot.page() == page);
        self.bot.wait_for("the deliveries", |_| known.iter().all(|id| self.knows(id)));
        self.bot.settle();
    }

    fn knows(&self, guid: &str) -> bool {
        self.bot.app().ledger.delivery(&DeliveryId::parse(guid).unwrap()).unwrap().is_some()
    }

    /// The deployments of a commit that really came about.
    fn brought(&self, sha: &str) -> usize {
        let deployments = self.bot.deployments();
        deployments
            .iter()
            .filter(|it| it.run().is_some() && has_succeeded(it) && it.order().sha.as_str() == sha)
            .count()
    }

    /// How the bot came to know of a delivery.
    fn caught_up(&self, guid: &str) -> Option<String> {
        let record = self.bot.app().ledger.delivery(&DeliveryId::parse(guid).unwrap()).unwrap()?;
        let Event::Delivery(DeliveryEvent::Received { caught_up, .. }) = record.event else { panic!("{record:?}") };
        caught_up.map(|it| it.met)
    }

    fn asked(&self, what: &str) -> usize {
        self.github.requests().iter().filter(|it| it.contains(what)).count()
    }
}

fn payload(sha: &str) -> Value {
    push::payload("acme/site", sha)
}

fn has_succeeded(deployment: &Deployment) -> bool {
    matches!(deployment.state(), State::Succeeded { .. })
}

/// Somebody makes a deployment of this commit at GitHub, which cannot tell of it. Gives its number.
fn wish_in_vain(stand: &Stand, sha: &str) -> u64 {
    let number = stand.github.deployment_of_others(sha, "site");
    let payload = super::chosen::created(number, sha, "main", "site");
    stand.github.note(stand.hook, 0, &format!("wish-{number}"), "deployment", &payload);
    number
}

fn last_state(stand: &Stand, number: u64) -> Option<String> {
    let all = stand.github.deployments();
    let state = all.iter().find(|it| it.id == number)?.states.last()?["state"].clone();
    state.as_str().map(str::to_owned)
}

#[test]
fn a_deployment_made_at_github_in_vain_is_caught_up_unless_something_newer_was_planned() {
    let mut stand = Stand::new();
    let one = stand.bot.deployments()[0].order().sha.to_string();
    stand.push("delivery-2", "two");
    stand.bot.settle();
    stand.bot.stop();
    let in_time = wish_in_vain(&stand, &one);
    stand.bot.start();
    stand.bot.wait_for("the wish", |bot| bot.page() == "one");
    stand.bot.wait_for("its success", |_| last_state(&stand, in_time).as_deref() == Some("success"));

    let late = wish_in_vain(&stand, &one);
    stand.push("delivery-3", "three");
    stand.bot.settle();
    stand.restart();
    stand.bot.wait_for("its end", |_| last_state(&stand, late).as_deref() == Some("error"));
    stand.bot.settle();
    assert_eq!(stand.bot.page(), "three", "{}", stand.bot.story());
    let State::Refused { failure } = stand.bot.deployments()[0].state().clone() else {
        panic!("{}", stand.bot.story())
    };
    assert_eq!(failure.code, "conductor/came-late");
    let stood = stand.bot.deployments().len();
    stand.restart();
    stand.bot.wait_for("the list to be read", |_| stand.asked("/deliveries/") > 0);
    stand.bot.settle();
    assert_eq!(stand.bot.deployments().len(), stood, "{}", stand.bot.story());
}

#[test]
fn what_github_sent_while_the_bot_was_down_is_caught_up_and_the_newest_is_deployed_once() {
    let mut stand = Stand::new();
    stand.bot.stop();
    let lost: Vec<_> = (2..=8).map(|n| stand.push(&format!("delivery-{n}"), &format!("page {n}")).0).collect();
    stand.bot.start();
    stand.settle("page 8", &["delivery-2", "delivery-8"]);
    assert_eq!((stand.bot.runs(), stand.brought(&lost[6])), (2, 1), "{}", stand.bot.story());
    let deployments = stand.bot.deployments();
    for older in deployments.iter().filter(|it| lost[..6].contains(&it.order().sha.to_string())) {
        assert!(matches!(older.state(), State::Superseded { by, .. } if by.as_str() == lost[6]), "{older:?}");
    }
    assert!(!stand.bot.story().contains("found"), "what is in the list is not found by its head");
    assert_eq!(
        (stand.caught_up("delivery-1"), stand.caught_up("delivery-2")),
        (None, Some("failed to connect to host".into()))
    );

    // `why`, the deployment and the delivery say so.
    let told = "caught up from GitHub's list: sent at ";
    let why: Value = serde_json::from_str(&typed(&stand.bot, &["why", &lost[0], "--json"]).out).unwrap();
    assert!(why["plans"][0]["reason"].as_str().unwrap().contains(told), "{why}");
    assert_eq!(why["plans"][0]["delivery"], "delivery-2");
    let of_a_delivery = deployments.iter().find(|it| it.order().sha.as_str() == lost[0]).unwrap().id();
    let detail = stand.bot.runtime.block_on(stand.bot.app().board.deployment(of_a_delivery)).unwrap().unwrap();
    assert!(detail.caught_up.unwrap().starts_with(told));
    let story = typed(&stand.bot, &["deliveries", "delivery-8"]).out;
    assert!(story.contains(told) && story.contains("it met with `failed to connect to host`"), "{story}");

    // A person who has GitHub send it again changes nothing, and neither does the next start.
    assert_eq!(stand.send("delivery-8", &lost[6]), 200);
    let asked = stand.asked("/deliveries/");
    stand.restart();
    stand.push("delivery-9", "page 9");
    stand.settle("page 9", &[]);
    assert_eq!((stand.bot.runs(), stand.asked("/deliveries/")), (3, asked), "what is known is not asked for again");
}

#[test]
fn what_the_door_turned_away_is_caught_up_too_and_what_another_hook_got_is_not() {
    let mut stand = Stand::new();
    let other = stand.github.hook_to("acme/site", SECRET, "https://ci.example.com/webhooks/github-build");
    let (busy, wrong) = (stand.committed("busy"), stand.committed("wrong secret"));
    stand.github.note(stand.hook, 503, "delivery-2", "push", &payload(&busy));
    stand.github.note(stand.hook, 401, "delivery-3", "push", &payload(&wrong));
    // Sent again by a person, and taken then; an event of another kind; a delivery to somebody else.
    stand.github.note(stand.hook, 0, "delivery-4", "push", &payload(&busy));
    stand.github.note(stand.hook, 202, "delivery-4", "push", &payload(&busy));
    stand.github.note(stand.hook, 0, "delivery-5", "issues", &json!({ "action": "opened" }));
    stand.github.note(other, 0, "delivery-6", "push", &payload(&busy));
    stand.restart();
    stand.settle("wrong secret", &["delivery-2", "delivery-3"]);
    assert_eq!(
        (stand.caught_up("delivery-2"), stand.caught_up("delivery-3")),
        (Some("503".into()), Some("401".into()))
    );
    assert!(!stand.knows("delivery-4") && !stand.knows("delivery-5") && !stand.knows("delivery-6"));
    assert_eq!(stand.bot.runs(), 2, "{}", stand.bot.story());
}

/// GitHub's body finds no room: the bot takes it from GitHub's list by itself, and what GitHub sends again is a repeat.
#[test]
fn a_push_for_which_there_was_no_room_is_deployed_once_by_itself_and_a_redelivery_changes_nothing() {
    let top = "catch_up_every = \"1s\"";
    let mut stand = Stand::with(top, |bot| bot.change("[server]", "[server]\nbodies_in_flight = \"1MiB\""));
    let sha = stand.committed("two");
    let mut payload = payload(&sha);
    payload["padding"] = "x".repeat(2 << 20).into();
    stand.send_in_vain("delivery-2", &payload, "intake/busy");
    stand.settle("two", &["delivery-2"]);
    assert_eq!(stand.caught_up("delivery-2"), Some("503".into()));
    stand.bot.stop();
    stand.bot.change("1MiB", "30MiB");
    stand.bot.start();
    let (status, told) = stand.bot.runtime.block_on(crate::bot::deliver(&stand.bot.url(), "delivery-2", &payload));
    assert_eq!((status, &told["repeat"]), (200, &json!(true)), "{told}");
    stand.bot.settle();
    assert_eq!((stand.bot.runs(), stand.brought(&sha)), (2, 1), "{}", stand.bot.story());
}

/// The ledger has no space for a push. Once it has, GitHub's second sending or the bot's own look at GitHub's list brings
/// it, whichever is first, and the other one changes nothing.
#[test]
fn a_push_that_the_ledger_refused_is_deployed_once_whoever_comes_back_to_it_first() {
    for sent_again_first in [true, false] {
        let mut stand = Stand::with("catch_up_every = \"1s\"\n[ledger]\nreserve = \"0B\"\n", |_| ());
        stand.bot.stop();
        let free = nix::sys::statvfs::statvfs(&stand.bot.dir).unwrap();
        let free = free.blocks_available() * free.fragment_size();
        // What is under way goes on down to an eighth of it, as the bot's own start does.
        let reserve = format!("reserve = \"{}\"", 3 * free);
        stand.bot.change("reserve = \"0B\"", &reserve);
        stand.bot.start();
        let sha = stand.committed("two");
        stand.send_in_vain("delivery-2", &payload(&sha), "intake/not-stored");
        let looked = stand.asked("/hooks/500/deliveries: ");
        stand.bot.wait_for("a look at the list in vain", |_| stand.asked("/hooks/500/deliveries: ") > looked);
        assert!(!stand.knows("delivery-2") && stand.bot.page() == "one", "{}", stand.bot.story());
        stand.bot.stop();
        stand.bot.change(&reserve, "reserve = \"0B\"");
        if sent_again_first {
            // The look after the start finds nothing out, and the next one is far away.
            stand.bot.change("\"1s\"", "\"1h\"");
            stand.github.script(Route::Hooks, [Trouble::Status(502)]);
            stand.github.script(Route::Ref, [Trouble::Status(502)]);
            stand.bot.start();
            assert_eq!(stand.send("delivery-2", &sha), 202);
        } else {
            stand.bot.start();
        }
        stand.settle("two", &["delivery-2"]);
        assert_eq!(stand.caught_up("delivery-2"), Some("503".to_owned()).filter(|_| !sent_again_first));
        let looked = stand.asked("/hooks/500/deliveries: ");
        stand.restart();
        stand.bot.wait_for("another look at the list", |_| stand.asked("/hooks/500/deliveries: ") > looked);
        assert_eq!(stand.send("delivery-2", &sha), 200, "what is known is a repeat");
        stand.bot.settle();
        assert_eq!((stand.bot.runs(), stand.brought(&sha)), (2, 1), "{}", stand.bot.story());
    }
}

#[test]
fn what_github_has_no_more_is_sent_again_once() {
    let mut stand = Stand::new();
    stand.bot.stop();
    let (two, three) = (stand.push("delivery-2", "two").0, stand.push("delivery-3", "three").0);
    stand.github.forget_payloads();
    stand.bot.start();
    stand.bot.wait_for("both to be asked for", |_| stand.asked("/attempts: 202") == 2);
    // The head needs no delivery.
    stand.settle("three", &[]);
    assert!(stand.bot.story().contains("found"), "{}", stand.bot.story());
    let sent = stand.bot.runtime.block_on(stand.github.send_again(&stand.bot.url()));
    assert_eq!(sent, 2);
    stand.settle("three", &["delivery-2", "delivery-3"]);
    assert_eq!((stand.bot.runs(), stand.caught_up("delivery-2")), (2, None), "it came by itself in the end");
    let plans = |sha: &str| -> Vec<(String, String)> {
        let why: Value = serde_json::from_str(&typed(&stand.bot, &["why", sha, "--json"]).out).unwrap();
        let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
        why["plans"].as_array().unwrap().iter().map(|it| (text(it, "state"), text(it, "reason"))).collect()
    };
    assert_eq!(plans(&two)[0].0, "superseded");
    let newest = three.clone();
    let three = plans(&three);
    assert!(
        three.iter().any(|(state, why)| state == "succeeded" && why.contains("found by comparing heads")),
        "{three:?}"
    );
    assert_eq!(stand.brought(&newest), 1, "{three:?}");
}

#[test]
fn a_delivery_that_comes_late_deploys_nothing_once_more() {
    let mut stand = Stand::new();
    stand.bot.stop();
    let (two, three) = (stand.committed("two"), stand.committed("three"));
    stand.bot.start();
    stand.settle("three", &[]);
    let by = stand.bot.deployments()[0].id();
    // The older one is weighed, and its place is taken by what was found before.
    assert_eq!(stand.send("delivery-2", &two), 202);
    stand.settle("three", &["delivery-2"]);
    let deployments = stand.bot.deployments();
    assert_eq!(deployments.len(), 3, "{}", stand.bot.story());
    let State::Superseded { deployment, .. } = deployments[0].state() else { panic!("{}", stand.bot.story()) };
    assert_eq!(*deployment, Some(by));
    // The newer one is live already, which is seen before anything is planned.
    let answer = stand.bot.deliver("delivery-3", &three).1;
    assert_eq!(answer["plans"][0]["reason"], format!("already live by {by}"), "{answer}");
    assert!(answer["plans"][0]["deployment"].is_null());
    stand.bot.settle();
    assert_eq!((stand.bot.deployments().len(), stand.bot.runs()), (3, 2), "{}", stand.bot.story());
}

/// A bot that GitHub tells of pushes by a webhook which is not the repository's, while it is down; it is started then.
fn lost_by(owner: &str, set_up: impl FnOnce(&GitHubWorld, &mut Bot)) -> Stand {
    let github = GitHubWorld::start();
    let repository = github.repository("acme/site");
    let hook = github.hook_to(owner, SECRET, LEADS_TO);
    let mut bot = Bot::asleep(&Extra::default());
    bot.ask_github(&github);
    set_up(&github, &mut bot);
    bot.repo.git(&["remote", "add", "github", repository.bare().to_str().unwrap()]);
    bot.start();
    let mut stand = Stand { github, bot, hook };
    stand.push("delivery-1", "one");
    stand.bot.settle_and_tell();
    stand.bot.stop();
    stand.push("delivery-2", "two");
    stand.bot.start();
    stand
}

#[test]
fn what_an_organisations_webhook_was_sent_in_vain_is_caught_up_for_a_repository_without_one() {
    let stand = lost_by("acme", |_, _| ());
    stand.settle("two", &["delivery-2"]);
    assert_eq!(stand.caught_up("delivery-2"), Some("failed to connect to host".into()));
    assert!(!stand.bot.story().contains("found"), "{}", stand.bot.story());
    assert!(stand.asked("/orgs/acme/hooks/500/deliveries: 200") > 0);
}

#[test]
fn an_organisations_webhook_that_may_not_be_seen_leaves_the_heads() {
    let stand = lost_by("acme", |github, _| github.withhold("organization_hooks"));
    stand.settle("two", &[]);
    assert!(stand.bot.story().contains("found") && !stand.knows("delivery-2"), "{}", stand.bot.story());
}

#[test]
fn what_an_apps_own_webhook_was_sent_in_vain_is_caught_up_and_sent_again_where_github_has_it_no_more() {
    let mut stand = lost_by("4711", |github, bot| {
        let key = github.app(4711);
        github.install(4711, "acme", &[("contents", "read"), ("statuses", "write")]);
        bot.change("[github]", &format!("[github]\napp = {{ id = 4711, private_key = {{ file = {key:?} }} }}"));
    });
    stand.settle("two", &["delivery-2"]);
    assert_eq!(stand.caught_up("delivery-2"), Some("failed to connect to host".into()));
    assert!(!stand.bot.story().contains("found"), "{}", stand.bot.story());
    assert!(stand.asked("/app/hook/deliveries: 200") > 0);
    stand.bot.stop();
    stand.push("delivery-3", "three");
    stand.github.forget_payloads();
    stand.bot.start();
    stand.settle("three", &[]);
    stand.bot.wait_for("it to be asked for", |_| stand.asked("/app/hook/deliveries/3/attempts: 202") == 1);
    assert_eq!(stand.bot.runtime.block_on(stand.github.send_again(&stand.bot.url())), 1);
    stand.settle("three", &["delivery-3"]);
    assert_eq!((stand.bot.runs(), stand.caught_up("delivery-3")), (3, None), "{}", stand.bot.story());
}

#[test]
fn without_the_permission_heads_alone_are_compared() {
    for trouble in [Trouble::Status(404), Trouble::Status(403), Trouble::Status(502)] {
        let mut stand = Stand::new();
        stand.bot.stop();
        stand.push("delivery-2", "two");
        let three = stand.push("delivery-3", "three").0;
        stand.github.script(Route::Hooks, [trouble; 4]);
        stand.bot.start();
        stand.settle("three", &[]);
        assert!(stand.bot.story().contains("found"), "{trouble:?}");
        assert_eq!((stand.brought(&three), stand.knows("delivery-2")), (1, false), "{trouble:?}");
    }
}

#[test]
fn what_was_sent_before_the_bot_was_set_up_is_not_its_business() {
    let github = GitHubWorld::start();
    let repository = github.repository("acme/site");
    let hook = github.hook("acme/site", SECRET);
    let mut bot = Bot::asleep(&Extra::default());
    bot.ask_github(&github);
    bot.repo.git(&["remote", "add", "github", repository.bare().to_str().unwrap()]);
    let stand = Stand { github, bot, hook };
    stand.push("delivery-0", "long ago");
    let mut stand = stand;
    stand.bot.start();
    stand.bot.wait_for("the first sight", |bot| bot.story().contains("seen"));
    stand.restart();
    stand.bot.wait_for("the list to be read again", |_| stand.asked("/hooks/500/deliveries: 200") == 2);
    stand.bot.settle();
    assert!(stand.bot.deployments().is_empty() && !stand.knows("delivery-0"), "{}", stand.bot.story());
}
