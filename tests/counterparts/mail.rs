//! E-mails as aiosmtpd takes them and Python's `email` and `html.parser` read them: of the shipped bot, over TLS and
//! with a login, and with texts in them that would like to be headers, HTML or links.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use landfall::chat::{Bulletin, Card, ChatError, Trouble, open};
use landfall::clients::{Clock, process};
use landfall::config::{Config, Environment};
use serde_json::Value;

use crate::chat::bulletin;
use crate::shipped::Shipped;
use crate::worlds::hostile;

const SINK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/mail_sink.py");
const LOGIN: &str = "user = \"deploy\"\npassword = { file = \"password\" }";

/// A mail server that is running, and where it writes what it takes.
struct Sink {
    running: Child,
    port: u16,
    out: PathBuf,
}

impl Sink {
    /// `words`: where the certificate is to be written that is to be trusted, if it is to want TLS and a login, and `wrapped`
    /// if that is TLS from the first byte.
    fn start(dir: &Path, words: &[&str]) -> Self {
        let out = dir.join(format!("{}.jsonl", words.concat()));
        let mut running = process::blocking_program(crate::counterpart("LANDFALL_TEST_PYTHON"))
            .arg(SINK)
            .current_dir(dir)
            .arg(&out)
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { running, port: line.trim().parse().unwrap(), out }
    }

    /// All that it took, the oldest first.
    fn taken(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        text.split_inclusive('\n').filter_map(|it| serde_json::from_str(it).ok()).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

/// A chat of e-mails to this server.
fn chat(scheme: &str, sink: &Sink, keys: &str) -> String {
    format!(
        "[[chat]]\nname = \"{scheme}\"\nkind = \"email\"\nsmtp = \"{scheme}://localhost:{}\"\nfrom = \"Ländfall <deploy@acme.example>\"\n\
         to = [\"ops@acme.example\"]\npeople = {{ ada = \"ada@acme.example\" }}\n{keys}\n",
        sink.port
    )
}

fn header<'m>(mail: &'m Value, name: &str) -> Option<&'m str> {
    let mut all = mail["headers"].as_array().unwrap().iter();
    all.find(|it| it[0] == name).and_then(|it| it[1].as_str())
}

pub(crate) fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_shipped_bot_mails_beginning_and_end_over_tls_and_with_a_login() {
    let dir = tempfile::tempdir().unwrap();
    let sinks = [Sink::start(dir.path(), &["a.pem"]), Sink::start(dir.path(), &["b.pem", "wrapped"])];
    let authorities = dir.path().join("authorities.pem");
    let trusted = ["a.pem", "b.pem"].map(|it| std::fs::read_to_string(dir.path().join(it)).unwrap());
    std::fs::write(&authorities, trusted.concat()).unwrap();
    let chats = chat("smtp", &sinks[0], LOGIN) + &chat("smtps", &sinks[1], LOGIN);
    let mut bot = Shipped::configured(&chats, "notify = [\"smtp\", \"smtps\"]");
    secret(&bot.path("password"), "correct horse");
    let mut command = bot.command(&bot.path("landfall"));
    command.arg("serve").env("SSL_CERT_FILE", &authorities);
    bot.serve_as(command);
    let sha = bot.push("Grüße — the «shop» opens");
    bot.goes_live(&sha);
    bot.waits("all e-mails are there", |_| sinks.iter().all(|it| it.taken().len() >= 2));
    assert_eq!(bot.ends(), Some(0));
    sinks.iter().for_each(|it| told(it, &sha));
}

/// The beginning and the end of this commit's deployment were told there, and nothing else.
fn told(sink: &Sink, sha: &str) {
    let [start, end] = &sink.taken()[..] else { panic!("two e-mails: {:#?}", sink.taken()) };
    for mail in [start, end] {
        assert_eq!(mail["defects"], serde_json::json!([]), "{mail:#}");
        assert_eq!((&mail["tls"], &mail["login"]), (&true.into(), &true.into()));
        assert_eq!(
            (mail["from"].as_str(), &mail["to"]),
            (Some("deploy@acme.example"), &serde_json::json!(["ops@acme.example"]))
        );
        assert_eq!(header(mail, "From"), Some("Ländfall <deploy@acme.example>"));
        assert_eq!(header(mail, "Auto-Submitted"), Some("auto-generated"));
        assert_eq!(mail["kind"], "multipart/alternative");
        let parts = mail["parts"].as_array().unwrap();
        assert_eq!((parts.len(), &parts[0][0], &parts[1][0]), (2, &"text/plain".into(), &"text/html".into()));
        for said in [parts[0][1].as_str().unwrap(), mail["shown"].as_str().unwrap()] {
            assert!(said.contains("Grüße — the «shop» opens") && said.contains(&sha[..7]), "{said}");
        }
    }
    assert!(header(start, "Subject").unwrap().starts_with("⏳ site: deploying "), "{start:#}");
    assert!(header(end, "Subject").unwrap().starts_with("✅ site is live "), "{end:#}");
    let id = header(start, "Message-ID");
    assert!(id.is_some() && id != header(end, "Message-ID"));
    assert_eq!((header(end, "In-Reply-To"), header(end, "References")), (id, id));
}

/// Posts this to the server, by these keys of the configuration.
async fn says(sink: &Sink, keys: &str, bulletin: &Bulletin) -> Result<(), ChatError> {
    let dir = tempfile::tempdir().unwrap();
    secret(&dir.path().join("password"), "wrong horse");
    let text = format!(
        "data_dir = \"data\"\n[github]\nwebhook_secrets = [{{ file = \"password\" }}]\n{}",
        chat("smtp", sink, keys)
    );
    let config = Config::parse(&text, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
    let chat = &config.chat[0];
    open(chat, &Clock::system()).post(bulletin, &Card::of(bulletin, &chat.people)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_nobody_trusts_is_told_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sink = Sink::start(dir.path(), &["a.pem"]);
    let error = says(&sink, LOGIN, &bulletin()).await.unwrap_err();
    let expected = "`localhost` could not be asked: nobody whom this machine trusts has signed its certificate";
    assert_eq!(error.to_string(), expected);
    let error = says(&sink, "starttls = false", &bulletin()).await.unwrap_err();
    assert_eq!(error.to_string(), "`localhost` does not take it: 530 Must issue a STARTTLS command first");
    assert!(sink.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_write_is_text_to_pythons_readers_too() {
    let dir = tempfile::tempdir().unwrap();
    let sink = Sink::start(dir.path(), &[]);
    let texts = hostile::texts();
    says(&sink, "starttls = false", &with("x")).await.unwrap();
    for (_, text) in &texts {
        says(&sink, "starttls = false", &with(text)).await.unwrap();
    }
    let taken = sink.taken();
    assert_eq!(taken.len(), 1 + texts.len());
    let names =
        |mail: &Value| mail["headers"].as_array().unwrap().iter().map(|it| it[0].to_string()).collect::<Vec<_>>();
    let set = |it: &Value| it.as_array().unwrap().iter().map(Value::to_string).collect::<BTreeSet<_>>();
    let plain = &taken[0];
    for ((name, _), mail) in texts.iter().zip(&taken[1..]) {
        assert_eq!(mail["defects"], serde_json::json!([]), "{name}");
        assert_eq!((names(mail), &mail["to"]), (names(plain), &plain["to"]), "{name}");
        assert_eq!(mail["parts"].as_array().map(Vec::len), Some(2), "{name}");
        assert!(!header(mail, "Subject").unwrap().contains(['\r', '\n']), "{name}");
        for key in ["elements", "attributes", "links"] {
            assert!(set(&mail[key]).is_subset(&set(&plain[key])), "{name}: {key} {}", mail[key]);
        }
    }
}

/// A failure, all of whose words are this text.
pub(crate) fn with(text: &str) -> Bulletin {
    let it = || Some(text.to_owned());
    let mut bulletin = bulletin();
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
    let place = &mut bulletin.place;
    for written in [&mut place.target, &mut place.repository, &mut place.reference, &mut bulletin.text] {
        text.clone_into(written);
    }
    (bulletin.commit.title, bulletin.actor, bulletin.cause, bulletin.trouble) = (it(), it(), it(), Some(trouble));
    bulletin.links.deployment = Some("https://deploy.example.com/deployments/1".into());
    bulletin
}
