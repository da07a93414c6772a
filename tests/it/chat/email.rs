//! E-mail: two forms of the same words in one message, which mail servers take or refuse in their own ways, and in which
//! nobody else's words do anything.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use expect_test::{expect, expect_file};
use landfall::chat::{Bulletin, Card, ChatError, Service, open};
use landfall::clients::Clock;
use landfall::config::{Chat, ChatKind, Config, Environment};
use landfall::domain::{News, Severity, does_nothing};
use tempfile::TempDir;

use super::template::SLY;
use super::{DEPLOYMENT, NOW, TOLD, bulletin, harmless, hostile_bulletin};
use crate::worlds::chat::email::{Letter, id_in, read};
use crate::worlds::hostile;
use crate::worlds::smtp::{Answer, Post, Taken};

const PASSWORD: &str = "correct horse";

/// An e-mail chat as a configuration names it, and the mail server that it speaks to.
struct Mailed {
    post: Post,
    chat: Chat,
    service: Arc<dyn Service>,
    _dir: TempDir,
}

impl Mailed {
    fn new() -> Self {
        Self::written("starttls = false")
    }

    /// With these keys besides server, sender and receivers. The file `password` has the password.
    fn written(keys: &str) -> Self {
        let (post, dir) = (Post::start(), tempfile::tempdir().unwrap());
        let password = dir.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let server = format!("smtp = \"smtp://127.0.0.1:{}\"\n{keys}", post.port());
        let config = Config::parse(&configured(&server), dir.path().join("landfall.toml"), &environment()).unwrap();
        let chat = config.chat[0].clone();
        let service = open(&chat, &Clock::manual(NOW.parse().unwrap()));
        Self { post, chat, service, _dir: dir }
    }

    async fn says(&self, bulletin: &Bulletin) -> Result<(), ChatError> {
        self.service.post(bulletin, &Card::worded(bulletin, &self.chat).0).await.map(drop)
    }

    /// The same, and what the server took.
    async fn told(&self, bulletin: &Bulletin) -> Taken {
        self.says(bulletin).await.unwrap();
        self.post.take().pop().unwrap()
    }

    /// What is said of an answer to lines that begin so: the code of the failure, whether it passes, and its words.
    async fn answer(&self, line: &'static str, answer: Answer) -> String {
        self.post.answers(line, answer);
        let failed = self.fails().await;
        self.post.calms();
        failed
    }

    /// The same of what it answers by itself.
    async fn fails(&self) -> String {
        let error = self.says(&bulletin(News::Started)).await.unwrap_err();
        let failure = error.failure();
        format!("{}{}: {error}\n", failure.code, if failure.passing { "" } else { " for good" })
    }
}

fn environment() -> Environment {
    Environment::of([("X", "x")])
}

fn configured(keys: &str) -> String {
    format!(
        "data_dir = \"data\"\n[github]\nwebhook_secrets = [{{ env = \"X\" }}]\n[[chat]]\nname = \"ops\"\nkind = \"email\"\n\
         from = \"Landfall <deploy@acme.example>\"\nto = [\"ops@acme.example\", \"Ops at night <night@acme.example>\"]\n\
         people = {{ ada = \"ada@acme.example\" }}\n{keys}\n"
    )
}

#[tokio::test]
async fn an_email_says_the_same_as_text_and_as_html() {
    let mailed = Mailed::new();
    assert!(!mailed.service.abilities().edits, "it hears of the beginning and of the end alone");
    let mut golden = String::new();
    for news in TOLD.into_iter().filter(|it| *it != News::Progressing) {
        let taken = mailed.told(&bulletin(news)).await;
        let (letter, name) = (Letter::open(&taken.message), news.as_str());
        let (headers, _) = taken.message.split_once("\r\n\r\n").unwrap();
        let headers = headers.replace("\r\n", "\n");
        write!(golden, "== {name}: {} to {:?}\n{headers}\n\n{}", taken.from, taken.to, letter.text).unwrap();
        expect_file![format!("email/{name}.html")].assert_eq(&letter.html);
    }
    expect_file!["email.txt"].assert_eq(&golden);
}

/// Text by its words: how many blanks are between them does not count, nor what is not seen.
fn words(text: &str) -> String {
    text.replace('\u{200b}', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn nothing_hostile_does_anything_in_an_email() {
    stands_hostile_text(Mailed::new()).await;
    stands_hostile_text(Mailed::written(&format!("starttls = false\n{SLY}"))).await;
}

async fn stands_hostile_text(mailed: Mailed) {
    let names = |it: &Letter| it.headers.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    let expected = names(&Letter::open(&mailed.told(&bulletin(News::Failed)).await.message));
    for (name, text) in hostile::texts() {
        let bulletin = hostile_bulletin(&text);
        let taken = mailed.told(&bulletin).await;
        let letter = Letter::open(&taken.message);
        assert_eq!(taken.to, ["ops@acme.example", "night@acme.example"], "{name}");
        // Nobody of that name is in copy.
        assert_eq!(names(&letter), expected.iter().filter(|it| *it != "Cc").cloned().collect::<Vec<_>>(), "{name}");
        let line = words(&Card::worded(&bulletin, &mailed.chat).0.line());
        assert!(
            letter.subject.chars().all(does_nothing) && line.starts_with(&words(&letter.subject)),
            "{name}: {}",
            letter.subject
        );
        harmless(name, &text, &read(&letter.html), &[]);
        assert!(letter.text.chars().all(|it| it == '\n' || it == '\t' || does_nothing(it)), "{name}");
    }
}

#[tokio::test]
async fn the_end_refers_to_the_beginning_and_a_repeat_is_the_same_message() {
    let mailed = Mailed::new();
    let start = mailed.told(&bulletin(News::Started)).await.message;
    let end = mailed.told(&bulletin(News::Failed)).await.message;
    let id = id_in(&start, "Message-ID");
    assert!(id.as_ref().is_some_and(|it| it.ends_with("-started@acme.example")), "{id:?}");
    assert_eq!((id_in(&start, "In-Reply-To"), id_in(&start, "References")), (None, None));
    assert_eq!((id_in(&end, "In-Reply-To"), id_in(&end, "References")), (id.clone(), id));
    assert_eq!(mailed.told(&bulletin(News::Failed)).await.message, end);
}

#[tokio::test]
async fn who_pushed_is_in_copy_once_where_the_configuration_knows_the_address() {
    let mailed = Mailed::new();
    let (ada, grace) = (mailed.told(&bulletin(News::Failed)).await, mailed.told(&bulletin(News::Held)).await);
    assert_eq!(Letter::open(&ada.message).header("Cc"), "ada@acme.example");
    assert_eq!(ada.to, ["ops@acme.example", "night@acme.example", "ada@acme.example"]);
    assert_eq!((Letter::open(&grace.message).header("Cc"), grace.to.len()), ("", 2));
    let mut asked = bulletin(News::Failed);
    asked.actor = Some("night".into());
    let mut mailed = mailed;
    mailed.chat.people.insert("night".into(), "night@acme.example".into());
    let told = mailed.told(&asked).await;
    assert_eq!((Letter::open(&told.message).header("Cc"), told.to.len()), ("", 2));
}

#[tokio::test]
async fn an_address_in_an_email_leads_where_it_says_or_nowhere() {
    let mut told = bulletin(News::Failed);
    told.changes = None;
    told.commit.url = Some("https://x.example/a\"b'c".into());
    told.live.as_mut().unwrap().url = Some(format!("https://x.example/{}", "x".repeat(5_000)));
    told.links.engine = Some("javascript:alert(1)".into());
    let letter = Letter::open(&Mailed::new().told(&told).await.message);
    let mut links = read(&letter.html).links;
    links.sort();
    links.dedup();
    assert_eq!(links, [DEPLOYMENT, "https://x.example/a%22b'c"]);
    assert!(!letter.text.contains("javascript"), "{}", letter.text);
}

#[tokio::test]
async fn what_a_mail_server_answers_is_known_for_what_it_is() {
    let mailed = Mailed::new();
    let mut told = String::new();
    for (line, answer) in [
        ("", Answer::Says("421 4.3.2 post.example is going down")),
        ("", Answer::Says("554 5.7.1 no service for you")),
        ("", Answer::Says("HTTP/1.1 400 Bad Request")),
        ("", Answer::HangsUp),
        ("MAIL", Answer::Says("553 5.7.1 sender address not owned by you")),
        ("RCPT", Answer::Says("451 4.7.1 greylisted, come again in 5 minutes")),
        ("RCPT", Answer::Says("421 4.7.0 too many of you")),
        ("RCPT", Answer::Says("550 5.1.1 no such user")),
        ("DATA", Answer::Says("554 5.5.1 no")),
        ("\r\n.\r\n", Answer::Says("552 5.3.4 message too big")),
        ("\r\n.\r\n", Answer::Says("452 4.3.1 no space")),
        ("\r\n.\r\n", Answer::HangsUp),
    ] {
        told += &mailed.answer(line, answer).await;
    }
    assert!(mailed.post.take().is_empty());
    expect![[r#"
        chat/down: `127.0.0.1` answered 421: 4.3.2 post.example is going down
        chat/denied: `127.0.0.1` does not take it: 554 5.7.1 no service for you
        chat/unreachable: `127.0.0.1` could not be asked: its answer is no whole reply of SMTP: error Tag at: HTTP/1.1 400 Bad Request
        chat/unreachable: `127.0.0.1` could not be asked: its answer is no whole reply of SMTP: incomplete response
        chat/denied: `127.0.0.1` does not take it: 553 5.7.1 sender address not owned by you
        chat/down: `127.0.0.1` answered 451: 4.7.1 greylisted, come again in 5 minutes
        chat/down: `127.0.0.1` answered 421: 4.7.0 too many of you
        chat/denied: `127.0.0.1` does not take it: 550 5.1.1 no such user
        chat/denied: `127.0.0.1` does not take it: 554 5.5.1 no
        chat/refused for good: `127.0.0.1` refuses the message: 552 5.3.4 message too big
        chat/down: `127.0.0.1` answered 452: 4.3.1 no space
        chat/unreachable: `127.0.0.1` could not be asked: its answer is no whole reply of SMTP: incomplete response
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn a_mail_server_that_nobody_runs_is_asked_again() {
    let mut mailed = Mailed::new();
    mailed.post = Post::start();
    let error = mailed.says(&bulletin(News::Started)).await.unwrap_err();
    assert!(error.failure().passing && error.may_be_taken());
    assert_eq!(error.to_string(), "`127.0.0.1` could not be asked: connection refused");
}

#[tokio::test]
async fn a_mail_server_without_an_address_that_may_be_asked_is_not_asked() {
    let mut mailed = Mailed::new();
    for (host, expected) in [
        ("nowhere.invalid", "`nowhere.invalid` could not be asked: failed to lookup address information"),
        ("169.254.169.254", "`169.254.169.254` could not be asked: `169.254.169.254` is 169.254.169.254, a link-local"),
    ] {
        let ChatKind::Email(mail) = &mut mailed.chat.kind else { panic!("it is an e-mail chat") };
        mail.server.host = host.into();
        mailed.service = open(&mailed.chat, &Clock::manual(NOW.parse().unwrap()));
        let error = mailed.says(&bulletin(News::Started)).await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_is_not_waited_for_long() {
    let mailed = Mailed::new();
    let told = mailed.answer("", Answer::Hangs).await;
    assert_eq!(told, "chat/unreachable: `127.0.0.1` could not be asked: no answer within 30 s\n");
}

#[tokio::test]
async fn whom_the_server_refuses_does_not_keep_it_from_the_others() {
    let mailed = Mailed::new();
    mailed.post.answers("RCPT TO:<night@", Answer::Says("550 5.1.1 no such user"));
    assert_eq!(mailed.told(&bulletin(News::Held)).await.to, ["ops@acme.example"]);
    mailed.post.answers("RCPT TO:<ops@", Answer::Says("451 4.7.1 come again"));
    let error = mailed.says(&bulletin(News::Held)).await.unwrap_err();
    assert_eq!(error.to_string(), "`127.0.0.1` does not take it: 550 5.1.1 no such user");
    assert!(error.failure().passing);
}

#[tokio::test]
async fn who_logs_in_does_so_and_the_password_is_told_to_nobody_else() {
    let mailed = Mailed::written("starttls = false\nuser = \"deploy\"\npassword = { file = \"password\" }");
    mailed.post.wants("deploy", PASSWORD);
    mailed.told(&bulletin(News::Failed)).await;
    let refused = "535 5.7.8 wrong";
    let mut told = mailed.answer("AUTH", Answer::Says(refused)).await;
    told += &mailed.answer("AUTH", Answer::Says("454 4.7.0 later")).await;
    told += &mailed.answer("AUTH", Answer::Says("500 what is `AUTH PLAIN AGRlcGxveQBjb3JyZWN0IGhvcnNl`?")).await;
    told += &mailed.answer("EHLO", Answer::Says("250 post.example")).await;
    mailed.post.wants("deploy", "another one");
    told += &mailed.fails().await;
    expect![[r#"
        chat/denied: `127.0.0.1` does not take it: 535 5.7.8 wrong
        chat/down: `127.0.0.1` answered 454: 4.7.0 later
        chat/denied: `127.0.0.1` does not take it: 500 what is `AUTH PLAIN [secret]`?
        chat/denied: `127.0.0.1` does not take it: it takes neither of the logins PLAIN and LOGIN
        chat/denied: `127.0.0.1` does not take it: 535 5.7.8 Authentication credentials invalid
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn nothing_is_said_as_plain_text_where_tls_was_asked_for() {
    for keys in ["", "starttls = true", "user = \"deploy\"\npassword = { file = \"password\" }"] {
        let mailed = Mailed::written(keys);
        let error = mailed.says(&bulletin(News::Started)).await.unwrap_err();
        let expected = "`127.0.0.1` does not take it: it offers no STARTTLS, and nothing is said as plain text";
        assert_eq!(error.to_string(), expected);
        assert!(mailed.post.heard().iter().all(|it| it.starts_with("EHLO")));
    }
}

#[test]
fn an_email_chat_says_what_it_needs() {
    let found = |keys: &str| {
        let found = match Config::parse(keys, "/x/landfall.toml", &environment()) {
            Ok(config) => config.warnings,
            Err(found) => found,
        };
        let told = found.0.into_iter().filter(|it| it.severity == Severity::Error || it.code == "config/plain-mail");
        let told = told.map(|it| {
            let place = it.place.map(|it| format!("{}:{}", it.line, it.column)).unwrap_or_default();
            let help = it.help.map(|it| format!("    {it}\n")).unwrap_or_default();
            format!("{place} {}: {}\n{help}", it.code, it.message)
        });
        told.collect::<String>() + "\n"
    };
    let whole = configured("smtp = \"smtps://x.example\"");
    let with = |keys: &str| found(&configured(keys));
    let login = "user = \"deploy\"\npassword = { env = \"X\" }";
    let told = [
        found(
            "data_dir = \"d\"\n[github]\nwebhook_secrets = [{ env = \"X\" }]\n[[chat]]\nname = \"ops\"\nkind = \"email\"\n",
        ),
        found(&whole.replace("deploy@acme.example", "deploy")),
        found(&whole.replace("ops@acme.example", "ops@")),
        found(&whole.replace("= \"ada@acme", "= \"Ada <ada@acme")),
        with("smtp = \"mail.example.com\""),
        with("smtp = \"smtps://deploy:hunter2@mail.example.com\""),
        with("smtp = \"smtps://x.example\"\nstarttls = true"),
        with("smtp = \"smtps://x.example\"\nuser = \"deploy\""),
        with("smtp = \"smtps://x.example\"\npassword = { env = \"X\" }"),
        with("smtp = \"smtps://x.example\"\nuser = \"deploy\"\npassword = \"hunter2\""),
        with("smtp = \"smtp://x.example\"\nstarttls = false"),
        with(&format!("smtp = \"smtp://x.example\"\nstarttls = false\n{login}")),
        with(&format!("smtp = \"smtp://localhost\"\nstarttls = false\n{login}")),
        with(&format!("smtp = \"smtp://x.example\"\n{login}")),
    ];
    expect![[r#"
        4:1 config/missing-key: `chat.smtp` is missing
            add `smtp = "smtps://mail.example.com"`
        4:1 config/missing-key: `chat.from` is missing
            add `from = "Landfall <deploy@example.com>"`
        4:1 config/missing-key: `chat.to` is missing
            add `to = ["ops@example.com"]`

        7:8 config/bad-value: `chat.from`: `Landfall <deploy>` is not an e-mail address such as `ada@example.com` or `Ada <ada@example.com>`

        8:7 config/bad-value: `chat.to`: `ops@` is not an e-mail address such as `ada@example.com` or `Ada <ada@example.com>`

        9:18 config/bad-value: `chat.people` cannot have `Ada <ada@acme.example` for `ada`
            write the person's e-mail address, `ada@example.com`

        10:8 config/bad-value: `chat.smtp`: `mail.example.com` is not the address of a mail server such as `smtps://mail.example.com` or `smtp://mail.example.com:587`

        10:8 config/inline-secret: `chat.smtp` holds a name or a password
            write `user = "…"` and `password = { file = "…" }`, and the server alone here

        11:12 config/bad-value: `chat.starttls` says nothing of `smtps://`, which is TLS
            leave it out

        4:1 config/missing-key: `chat.password` is missing
            add `password = { env = "SMTP_PASSWORD" }`

        4:1 config/missing-key: `chat.user` is missing
            add `user = "…"`

        12:12 config/inline-secret: `chat.password` holds a secret itself, expected where to find it
            put it into a file with mode 0600 and write `{ file = "path" }`, or `{ env = "NAME" }`

        11:12 config/plain-mail: e-mails go to `x.example` as plain text, which everybody on the way can read
            leave `starttls = false` out, or write `smtps://` where the server speaks TLS from the first byte

        11:12 config/bad-value: the password would go to `x.example` as plain text
            leave `starttls = false` out, or write `smtps://` where the server speaks TLS from the first byte



    "#]].assert_eq(&told.concat());
}
