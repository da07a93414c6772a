//! `landfall notify test`, by the shipped program: every sample reaches the place that the configuration names, or a line
//! says why it does not.

use std::os::unix::fs::PermissionsExt;

use expect_test::expect;
use landfall::domain::News;
use serde_json::Value;
use tempfile::TempDir;

use super::webhook::SECRET;
use crate::cli::{Ran, landfall};
use crate::worlds::chat::email::Letter;
use crate::worlds::chat::reading::Reading;
use crate::worlds::chat::{Chats, Deserted, Told, Turn, discord, mattermost, slack, teams};
use crate::worlds::smtp::Post;

/// A configuration with one place called `ops`, whose service is a world's.
struct Configured {
    chats: Chats,
    dir: TempDir,
}

impl Configured {
    fn of(kind: &str) -> Self {
        let keys = if kind == "webhook" { "secret = { file = \"secret\" }" } else { "" };
        Self::written(kind, |_| format!("webhook = {{ file = \"hook\" }}\n{keys}"))
    }

    fn slack_bot() -> Self {
        let keys = |url: &str| {
            format!("token = {{ file = \"hook\" }}\nchannel = \"C024BE91L\"\napi_url = \"{url}/slack/api\"")
        };
        Self::written("slack", keys)
    }

    fn written(kind: &str, keys: impl FnOnce(&str) -> String) -> Self {
        let (chats, dir) = (Chats::start(), tempfile::tempdir().unwrap());
        let it = Self { chats, dir };
        it.keep("hook", &it.chats.webhook(kind));
        it.keep("secret", SECRET);
        it.keep("landfall.toml", &configuration(kind, &keys(it.chats.url())));
        it
    }

    fn keep(&self, file: &str, text: &str) {
        let file = self.dir.path().join(file);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn notify(&self, words: &[&str]) -> Ran {
        landfall(self.dir.path(), &[&["notify", "test"], words].concat())
    }
}

fn configuration(kind: &str, keys: &str) -> String {
    format!(
        "data_dir = \"data\"\npublic_url = \"https://deploy.example.com\"\n[github]\n\
         webhook_secrets = [{{ file = \"secret\" }}]\n[commands]\nslack_signing_secret = {{ file = \"secret\" }}\n\
         [[chat]]\nname = \"ops\"\nkind = \"{kind}\"\n{keys}\n"
    )
}

/// The text of what was told, as its service shows it.
fn shown(read: fn(&Value) -> Reading, told: &[Told]) -> Vec<String> {
    told.iter().map(|it| read(&it.body).text).collect()
}

#[test]
fn a_bot_of_slack_shows_all_that_it_can_say() {
    let place = Configured::slack_bot();
    let ran = place.notify(&["ops"]);
    expect![[r"
        told  held
        told  started
        told  progressing in the place of `started`, 1 lifecycle event beneath it
        told  succeeded   2 lifecycle events beneath it
        told  recovered   2 lifecycle events beneath it
        told  failed      2 lifecycle events beneath it
        told  rolled-back
        told  stopped
        told  superseded  only by this test: of a deployment it is not told here
        told  refused
        told  skipped     only by this test: of a deployment it is not told here
    "]]
    .assert_eq(&ran.out);
    assert_eq!((ran.exit, ran.talk.as_str()), (0, "11 of 11 told to `ops`\n"));
    let told = place.chats.take();
    let methods: Vec<_> = told.iter().filter_map(|it| it.path.strip_prefix("/slack/api/")).collect();
    assert_eq!(methods.iter().filter(|it| **it == "chat.update").count(), 1, "{methods:?}");
    assert_eq!(told.iter().filter(|it| it.body["thread_ts"].is_string()).count(), 7);
    // A button would do something to a target of the sample's name.
    assert!(told.iter().all(|it| !it.text.contains("\"confirm\"")));
}

#[test]
fn every_service_takes_every_sample_and_each_says_that_it_is_a_test() {
    type Read = fn(&Value) -> Reading;
    let places: [(&str, Read); 4] =
        [("slack", slack::read), ("discord", discord::read), ("mattermost", mattermost::read), ("teams", teams::read)];
    for (kind, read) in places {
        let place = Configured::of(kind);
        let ran = place.notify(&["ops"]);
        assert_eq!((ran.exit, ran.talk.as_str()), (0, "11 of 11 told to `ops`\n"), "{kind}: {}", ran.out);
        let told = place.chats.take();
        assert_eq!(told.len(), News::ALL.len(), "{kind}");
        for (text, told) in shown(read, &told).iter().zip(&told) {
            assert!(text.contains("Only a test, nothing was deployed: "), "{kind}: {text}");
            let reading = read(&told.body);
            assert!(reading.calls.is_empty(), "{kind}: {:?}", reading.calls);
            let leads = ["https://example.com/sample/", "https://deploy.example.com/"];
            assert!(
                reading.links.iter().all(|it| leads.iter().any(|lead| it.starts_with(lead))),
                "{:?}",
                reading.links
            );
        }
        let failed = &shown(read, &told)[5];
        let parts = ["AfterInstall", "scripts/migrate.sh", "there is no table", "mend the script", "every language"];
        assert!(parts.iter().all(|it| failed.contains(it)), "{kind}: {failed}");
    }
}

#[test]
fn a_mail_server_is_handed_every_sample() {
    let (place, post) = (Configured::of("slack"), Post::start());
    let keys = format!(
        "smtp = \"smtp://127.0.0.1:{}\"\nstarttls = false\nfrom = \"deploy@acme.example\"\nto = [\"ops@acme.example\"]",
        post.port()
    );
    place.keep("landfall.toml", &configuration("email", &keys));
    let ran = place.notify(&["ops"]);
    assert_eq!((ran.exit, ran.talk.as_str()), (0, "11 of 11 told to `ops`\n"), "{}", ran.out);
    let letters: Vec<_> = post.take().iter().map(|it| Letter::open(&it.message)).collect();
    assert_eq!(letters.len(), News::ALL.len());
    let says = |it: &Letter| it.subject.contains("Only a test") && it.text.contains("Only a test");
    assert!(letters.iter().all(says), "{:?}", letters.iter().map(|it| &it.subject).collect::<Vec<_>>());
}

#[test]
fn a_program_that_is_told_knows_a_test_by_its_field() {
    let place = Configured::of("webhook");
    let ran = place.notify(&["ops", "--only", "failed,succeeded", "--json"]);
    let told = place.chats.take();
    let seen: Vec<_> = told.iter().map(|it| (&it.body["type"], &it.body["data"]["test"])).collect();
    let is_test = Value::Bool(true);
    assert_eq!(seen, [(&"deployment.succeeded".into(), &is_test), (&"deployment.failed".into(), &is_test)]);
    assert_ne!(told[0].headers["webhook-id"], told[1].headers["webhook-id"]);
    expect![[r#"
        {
          "chat": "ops",
          "messages": [
            {
              "failure": null,
              "instead_of": null,
              "news": "succeeded",
              "on": true,
              "steps": 0,
              "unsaid": null,
              "verdict": "told"
            },
            {
              "failure": null,
              "instead_of": null,
              "news": "failed",
              "on": true,
              "steps": 0,
              "unsaid": null,
              "verdict": "told"
            }
          ]
        }
    "#]]
    .assert_eq(&ran.out);
    assert_eq!((ran.exit, ran.talk.as_str()), (0, ""));
}

#[test]
fn a_place_or_news_that_is_not_there_is_asked_back() {
    let place = Configured::of("slack");
    let ran = place.notify(&["opps"]);
    expect![[r"
        landfall: no chat is called `opps`
          help: did you mean `ops`?
    "]]
    .assert_eq(&ran.talk);
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
    let ran = place.notify(&["somewhere"]);
    assert!(ran.exit == 2 && ran.talk.contains("the configuration has `ops`"), "{}", ran.talk);
    let ran = place.notify(&["ops", "--only", "faild"]);
    assert!(ran.exit == 2 && ran.talk.contains("'failed'"), "{}", ran.talk);
    assert!(place.chats.take().is_empty());
}

#[test]
fn a_place_that_lets_nobody_in_is_asked_once() {
    let place = Configured::slack_bot();
    place.chats.turn(Turn::Says(200, r#"{"ok":false,"error":"invalid_auth"}"#));
    let ran = place.notify(&["ops", "--only", "held,started"]);
    expect![[r"
        fail  held        `127.0.0.1` does not take it: invalid_auth [chat/denied]
              do: do as its words say, or put a new webhook, token or password where the old one is
        skip  started     not sent: it would meet with the same
    "]]
    .assert_eq(&ran.out);
    assert_eq!((ran.exit, ran.talk.as_str(), place.chats.take().len()), (3, "0 of 2 told to `ops`\n", 1));
}

#[test]
fn a_secret_that_is_not_there_is_said_to_be_missing() {
    let place = Configured::of("discord");
    std::fs::remove_file(place.dir.path().join("hook")).unwrap();
    let ran = place.notify(&["ops", "--only", "failed"]);
    assert!(
        ran.exit == 3 && ran.out.contains("[chat/no-secret]") && ran.out.contains("do: put the secret"),
        "{}",
        ran.out
    );
}

#[test]
fn nobody_at_the_address_is_found_out_at_once() {
    let (place, nobody) = (Configured::of("mattermost"), Deserted::new());
    place.keep("hook", &format!("{}/hooks/secret-path", nobody.url()));
    let ran = place.notify(&["ops", "--only", "failed,refused"]);
    assert!(
        ran.exit == 3 && ran.out.contains("[chat/unreachable]") && ran.out.contains("skip  refused"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("secret-path"), "{}", ran.out);
}

#[test]
fn one_that_is_refused_keeps_no_other_from_being_tried() {
    let place = Configured::of("teams");
    place.chats.turn(Turn::Says(400, "Bad card"));
    let ran = place.notify(&["ops", "--only", "held,started"]);
    expect![[r"
        fail  held        `127.0.0.1` refuses the message: 400: Bad card [chat/refused]
              do: look at the service's words, and at your template
        told  started
    "]]
    .assert_eq(&ran.out);
    assert_eq!((ran.exit, ran.talk.as_str()), (3, "1 of 2 told to `ops`\n"));
}

#[test]
fn a_busy_service_is_given_the_rest_that_it_asks_for_but_not_hours() {
    let place = Configured::of("discord");
    place.chats.turn(Turn::Busy(1));
    let ran = place.notify(&["ops", "--only", "failed"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "told  failed\n"), "{}", ran.talk);
    assert_eq!(ran.talk, "waiting 1 s, as the service asks\n1 of 1 told to `ops`\n");
    place.chats.turn(Turn::Busy(3_000));
    let ran = place.notify(&["ops", "--only", "failed,refused"]);
    assert!(ran.exit == 3 && ran.out.contains("[chat/busy]") && ran.out.contains("skip  refused"), "{}", ran.out);
}
