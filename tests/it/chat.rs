//! What people read in chat: every service's messages by name and by hand, held against what the service documents, and
//! what a stranger's text can do there, which is nothing.

mod away;
mod dialogue;
mod discord;
mod email;
mod manners;
mod mattermost;
mod notify;
mod outbox;
mod slack;
mod teams;
mod template;
mod webhook;

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use expect_test::expect;
use landfall::chat::{
    Bulletin, Card, Changes, ChatError, Commit, Links, Place as Where, Posted, Service, Step, Trouble, open,
};
use landfall::clients::Clock;
use landfall::config::{Chat, Config, Environment};
use landfall::domain::{Approval, DeploymentId, News, Severity, StepStatus, does_nothing, one_line};
use serde_json::Value;
use tempfile::TempDir;

use crate::worlds::chat::reading::Reading;
use crate::worlds::chat::{self as worlds, Chats, Told, Turn};
use crate::worlds::hostile;

const NOW: &str = "2026-11-22T12:00:00Z";
const DEPLOYMENT: &str = "https://deploy.example.com/deployments/1";
const COMMIT: &str = "https://github.com/acme/shop/commit/4f2c1e9";

/// A service as a configuration names it, and the world that it speaks to.
struct Place {
    chats: Chats,
    chat: Chat,
    service: Arc<dyn Service>,
    _dir: TempDir,
}

impl Place {
    /// `ada` is who the service is told she is.
    fn of(kind: &str, ada: &str) -> Self {
        Self::written(kind, ada, |_| "webhook = { file = \"hook\" }".into())
    }

    /// The same, with more of its keys. The file `hook` has the address of its webhook.
    fn written(kind: &str, ada: &str, keys: impl FnOnce(&Chats) -> String) -> Self {
        let chats = Chats::start();
        let dir = tempfile::tempdir().unwrap();
        let hook = dir.path().join("hook");
        for (file, text) in [(&hook, chats.webhook(kind)), (&dir.path().join("secret"), webhook::SECRET.into())] {
            std::fs::write(file, text).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let text = format!(
            "data_dir = \"data\"\n[github]\nwebhook_secrets = [{{ file = \"hook\" }}]\n[[chat]]\nname = \"ops\"\nkind = \"{kind}\"\n{}\n\
             people = {{ ada = \"{ada}\" }}\n",
            keys(&chats)
        );
        let config = Config::parse(&text, dir.path().join("landfall.toml"), &Environment::of([("X", "x")])).unwrap();
        let chat = config.chat[0].clone();
        let service = open(&chat, &Clock::manual(NOW.parse().unwrap()));
        Self { chats, chat, service, _dir: dir }
    }

    fn card(&self, bulletin: &Bulletin) -> Card {
        Card::worded(bulletin, &self.chat).0
    }

    async fn post(&self, bulletin: &Bulletin) -> Result<Posted, ChatError> {
        self.service.post(bulletin, &self.card(bulletin)).await
    }

    /// The same, and what the service was told.
    async fn told(&self, bulletin: &Bulletin) -> Value {
        self.post(bulletin).await.unwrap();
        self.chats.take().pop().unwrap().body
    }

    /// What is said of answers: the code of the failure, and its words.
    async fn answers(&self, turns: &[Turn]) -> String {
        let mut told = String::new();
        for turn in turns {
            self.chats.turn(*turn);
            let error = self.post(&bulletin(News::Started)).await.unwrap_err();
            writeln!(told, "{}: {error}", error.failure().code).unwrap();
        }
        told
    }

    /// Tells all that can happen, and gives what the service was told.
    async fn golden(&self) -> String {
        let mut golden = String::new();
        let mut standing = None;
        for news in TOLD {
            let bulletin = bulletin(news);
            match standing.as_deref().filter(|_| news == News::Progressing) {
                Some(standing) => self.service.edit(standing, &self.card(&bulletin)).await.unwrap(),
                None => standing = self.post(&bulletin).await.unwrap(),
            }
            for Told { method, path, body, .. } in self.chats.take() {
                writeln!(golden, "{}: {method} {path}\n{}\n", news.as_str(), laid_out(&body, "")).unwrap();
            }
        }
        golden
    }

    /// Everything of a bulletin is hostile at once. `read`: what is seen of a message.
    async fn stands_hostile_text(&self, calls: &[&str], read: fn(&Value) -> Reading) {
        for (name, text) in hostile::texts() {
            self.post(&hostile_bulletin(&text)).await.unwrap_or_else(|why| panic!("{name}: {why}"));
            let told = self.chats.take().pop().unwrap();
            let seen = read(&told.body);
            harmless(name, &text, &seen, calls);
        }
    }
}

/// JSON with a line for what fits on one.
fn laid_out(value: &Value, indent: &str) -> String {
    let inner = format!("{indent}  ");
    let (open, parts, close) = match value {
        _ if value.to_string().chars().count() + indent.len() <= 110 => return value.to_string(),
        Value::Array(list) => ("[", list.iter().map(|it| laid_out(it, &inner)).collect(), "]"),
        Value::Object(table) => {
            let parts: Vec<_> = table.iter().map(|(key, it)| format!("{key:?}: {}", laid_out(it, &inner))).collect();
            ("{", parts, "}")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return value.to_string(),
    };
    format!("{open}\n{inner}{}\n{indent}{close}", parts.join(&format!(",\n{inner}")))
}

/// What is shown is text, and the text is shown.
fn harmless(name: &str, text: &str, seen: &Reading, calls: &[&str]) {
    let ours = [DEPLOYMENT, COMMIT, "https://eu-central-1.console.aws.amazon.com/codedeploy/d-1"];
    let links: Vec<_> = seen.links.iter().filter(|it| !ours.contains(&it.as_str())).collect();
    assert!(links.is_empty(), "{name}: it leads to {links:?}:\n{}", seen.text);
    let called: Vec<_> = seen.calls.iter().filter(|it| !calls.contains(&it.as_str())).collect();
    assert!(called.is_empty(), "{name}: it calls {called:?}:\n{}", seen.text);
    let marks: Vec<_> = seen.marks.iter().filter(|it| **it != "list").collect();
    assert!(marks.is_empty(), "{name}: it is read as {marks:?}:\n{}", seen.text);
    let bad: Vec<char> = seen.text.chars().filter(|it| !does_nothing(*it) && *it != '\n').collect();
    assert!(bad.is_empty(), "{name} has {bad:?}");
    let plain = |text: &str| text.replace('\u{200b}', "").replace('ˋ', "`");
    let shown = plain(one_line(text, 20).trim());
    assert!(plain(&seen.text).matches(&shown).count() >= 3, "{name}: `{shown}` is not shown:\n{}", seen.text);
}

/// What golden messages are of.
const TOLD: [News; 8] = [
    News::Started,
    News::Progressing,
    News::Succeeded,
    News::Failed,
    News::RolledBack,
    News::Superseded,
    News::Held,
    News::Recovered,
];

fn commit(short: &str, title: &str) -> Commit {
    let url = format!("https://github.com/acme/shop/commit/{short}");
    Commit {
        sha: short.repeat(6)[..40].to_owned(),
        short: short.into(),
        title: Some(title.into()),
        author: Some("Ada Lovelace".into()),
        url: Some(url),
    }
}

fn step(name: &str, status: StepStatus) -> Step {
    Step { name: name.into(), status, instance: None, took_ms: Some(1200) }
}

/// A deployment of `acme/shop` to production, as far as this news.
fn bulletin(news: News) -> Bulletin {
    let text = match news {
        News::Held => "waits: `production` is locked by ada (Black Friday)",
        News::Started => "deploying",
        News::Progressing => "deploying: AfterInstall (3 of 5)",
        News::Succeeded | News::Recovered => "live since 12:00",
        News::Failed => "AfterInstall failed: scripts/migrate.sh ended with exit code 7",
        News::RolledBack => "rolled back to 0a1b2c3",
        News::Superseded => "superseded by 9d8e7f6",
        News::Stopped | News::Refused | News::Skipped => "not told here",
    };
    let trouble = (news == News::Failed).then(|| Trouble {
        code: "host/hook-failed".into(),
        message: text.into(),
        hint: Some("read the log, mend `scripts/migrate.sh`, and push again".into()),
        event: Some("AfterInstall".into()),
        instance: Some("i-0abc".into()),
        script: Some("scripts/migrate.sh".into()),
        exit_code: Some(7),
        log: Some("[stdout]migrating orders_2026\n[stderr]ERROR: relation \"orders\" does not exist *\n".into()),
    });
    let changes = matches!(news, News::Started | News::Succeeded | News::Failed).then(|| Changes {
        commits: vec![commit("4f2c1e9", "Fix rounding of `total`"), commit("77aa001", "Add *net* prices (#12)")],
        more: 3,
        url: Some("https://github.com/acme/shop/compare/1...2".into()),
    });
    Bulletin {
        deployment: DeploymentId::derive(NOW.parse().unwrap(), &["d-1", "production"]),
        news,
        at: NOW.parse().unwrap(),
        is_test: false,
        place: Where {
            target: "production".into(),
            environment: "prod_eu".into(),
            repository: "acme/shop".into(),
            reference: "main".into(),
        },
        commit: commit("4f2c1e9", "Fix rounding of `total`"),
        text: text.into(),
        actor: Some(if news == News::Held { "grace_h" } else { "ada" }.into()),
        cause: (news == News::RolledBack).then(|| "rollback".into()),
        seconds: 72,
        live: matches!(news, News::Failed | News::Held).then(|| commit("0a1b2c3", "Before")),
        changes,
        steps: vec![step("BeforeInstall", StepStatus::Succeeded), step("AfterInstall", StepStatus::InProgress)],
        trouble,
        approval: (news == News::Held).then_some(Approval::Release),
        links: Links {
            deployment: Some(DEPLOYMENT.into()),
            dashboard: None,
            engine: Some("https://eu-central-1.console.aws.amazon.com/codedeploy/d-1".into()),
        },
    }
}

/// A failure, all of whose words are this text.
fn hostile_bulletin(text: &str) -> Bulletin {
    let it = || Some(text.to_owned());
    let commit = Commit { title: it(), author: it(), ..commit("4f2c1e9", "") };
    let trouble = Trouble {
        code: "host/hook-failed".into(),
        message: text.into(),
        hint: it(),
        event: it(),
        instance: it(),
        script: it(),
        exit_code: Some(7),
        log: it(),
    };
    let of = text.to_owned();
    Bulletin {
        place: Where { target: of.clone(), environment: "prod".into(), repository: of.clone(), reference: of.clone() },
        changes: Some(Changes { commits: vec![commit.clone(); 10], more: 0, url: None }),
        live: Some(Commit { sha: "0".repeat(40), short: one_line(text, 7), ..commit.clone() }),
        commit,
        text: of,
        actor: it(),
        cause: it(),
        trouble: Some(trouble),
        approval: None,
        ..bulletin(News::Failed)
    }
}

/// What a world says of messages that a service refuses.
fn refusals(bad: &[Value], check: fn(&Value) -> Result<(), String>) -> String {
    bad.iter().map(|it| format!("{}\n", check(it).expect_err(&it.to_string()))).collect()
}

#[tokio::test]
async fn a_service_that_never_answers_is_not_waited_for_long() {
    let places = [("slack", "U1"), ("discord", "1"), ("mattermost", "ada"), ("teams", "a@x.example")];
    let places = places.map(|(kind, ada)| Place::of(kind, ada));
    let told = places.iter().map(|place| async {
        place.chats.turn(Turn::Hangs);
        place.post(&bulletin(News::Started)).await.unwrap_err()
    });
    for error in futures_util::future::join_all(told).await {
        assert!(error.may_be_taken(), "{error}");
        assert_eq!(error.to_string(), "`127.0.0.1` could not be asked: no answer within 15 s");
    }
}

#[tokio::test]
async fn an_address_leads_where_it_says_or_nowhere() {
    type Read = fn(&Value) -> Reading;
    let places: [(Place, Read, &str); 4] = [
        (Place::of("slack", "U1"), worlds::slack::read, "https://x.example/a(b)c"),
        (Place::of("discord", "1"), worlds::discord::read, "https://x.example/a%28b%29c"),
        (Place::of("mattermost", "ada"), worlds::mattermost::read, "https://x.example/a%28b%29c"),
        (Place::of("teams", "a@x.example"), worlds::teams::read, "https://x.example/a(b)c"),
    ];
    for (place, read, expected) in places {
        let mut told = bulletin(News::Failed);
        told.changes = None;
        told.commit.url = Some("https://x.example/a(b)c".into());
        told.live.as_mut().unwrap().url = Some(format!("https://x.example/{}", "x".repeat(5_000)));
        told.links.engine = Some("javascript:alert(1)".into());
        let mut links = read(&place.told(&told).await).links;
        links.sort();
        links.dedup();
        assert_eq!(links, [DEPLOYMENT, expected]);
    }
}

#[test]
fn a_chat_says_what_its_service_needs() {
    let found = |kind: &str, rest: &str| {
        let text = format!(
            "data_dir = \"d\"\n[github]\nwebhook_secrets = [{{ env = \"X\" }}]\n[[chat]]\nname = \"ops\"\nkind = \"{kind}\"\n{rest}\n"
        );
        let found = Config::parse(&text, "/x/landfall.toml", &Environment::of([("X", "x")])).unwrap_err();
        let found = found.0.into_iter().filter(|it| it.severity == Severity::Error);
        found.map(|it| format!("{}\n    {}\n", it.message, it.help.unwrap_or_default())).collect::<String>()
    };
    let with = |id: &str| format!("webhook = {{ env = \"X\" }}\npeople = {{ ada = \"{id}\" }}");
    let told = [
        found("irc", ""),
        found("discord", ""),
        found("mattermost", ""),
        found("teams", ""),
        found("discord", &with("@ada")),
        found("mattermost", &with("here")),
        found("mattermost", &with("@ada")),
        found("teams", &with("Ada Lovelace")),
    ];
    expect![[r#"
        `chat.kind` cannot be `irc`
            use one of `slack`, `discord`, `mattermost`, `teams`, `email`, `webhook`
        `chat.webhook` is missing
            add `webhook = { env = "DISCORD_WEBHOOK" }`
        `chat.webhook` is missing
            add `webhook = { env = "MATTERMOST_WEBHOOK" }`
        `chat.webhook` is missing
            add `webhook = { env = "TEAMS_WEBHOOK" }`
        `chat.people` cannot have `@ada` for `ada`
            write the person's number, which Discord gives by `Copy User ID` in developer mode
        `chat.people` cannot have `here` for `ada`
            write the person's username, without `@`
        `chat.people` cannot have `@ada` for `ada`
            write the person's username, without `@`
        `chat.people` cannot have `Ada Lovelace` for `ada`
            write the person's user principal name, `ada@example.com`, or their Entra object id
    "#]]
    .assert_eq(&told.concat());
}
