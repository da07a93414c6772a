//! Hostile input through the whole bot: requests that lie, and pushed text that would like to be more than text. Afterwards
//! everything that people read is looked through.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use expect_test::expect;
use landfall::domain::{Notice, does_nothing};
use serde_json::{Value, json};

use crate::bot::{Bot, Extra};
use crate::cli::landfall_with;
use crate::worlds::push::{self, SECRET, signature};

/// A request as a stranger writes it, byte by byte.
struct Letter {
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Letter {
    /// A delivery that is all right.
    fn of(id: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let headers = vec![
            ("X-GitHub-Event", b"push".to_vec()),
            ("X-GitHub-Delivery", id.into()),
            ("Content-Type", b"application/json".to_vec()),
            ("X-Hub-Signature-256", signature(SECRET, &body).into()),
            ("Content-Length", body.len().to_string().into()),
        ];
        Self { headers, body }
    }

    /// The same with another header, or without one.
    fn with(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        self.headers.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.headers.push((name, value));
        }
        self
    }

    fn and(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends it; the status, and the code or reason that is told.
    fn send(&self, to: SocketAddr) -> String {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut bytes = b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".to_vec();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        // Whoever is refused early may not be read to the end.
        let _ = stream.write_all(&bytes);
        if self.body.len() < 64 << 10 {
            // Whoever announced more has no more.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("whatever comes, the answer is text");
        assert!(answer.chars().all(|it| does_nothing(it) || matches!(it, '\r' | '\n')), "{answer}");
        assert!(answer.len() < 8_000, "nothing of length is sent back: {} bytes", answer.len());
        let status = answer.split(' ').nth(1).unwrap_or("nothing");
        // What follows is the answer to what was sent too much.
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let told = serde_json::Deserializer::from_str(body).into_iter::<Value>().next();
        let told = told.and_then(Result::ok).unwrap_or_default();
        let why = told["code"].as_str().or(told["reason"].as_str()).or(told["plans"][0]["reason"].as_str());
        let repeat = if told["repeat"] == true { " (repeat)" } else { "" };
        format!("{status} {}{repeat}", why.unwrap_or_default()).trim_end().to_owned()
    }
}

/// The payload with one field written as it is here.
fn payload(field: &str, written: &str) -> String {
    let mut payload = push::payload("acme/site", &"1".repeat(40));
    payload[field] = "@@".into();
    payload.to_string().replace("\"@@\"", written)
}

fn lines(letters: Vec<(&str, Letter)>, to: SocketAddr) -> String {
    letters.iter().map(|(what, letter)| format!("{what}: {}\n", letter.send(to))).collect()
}

#[test]
fn requests_that_lie_get_their_answer_and_leave_nothing_behind() {
    let bot = Bot::new();
    let (to, good) = (bot.app().address, push::payload("acme/site", &"1".repeat(40)).to_string());
    let letter = || Letter::of("d-1", good.clone());
    let true_one = signature(SECRET, good.as_bytes());
    let sign = |text: String| letter().with("X-Hub-Signature-256", text);
    let chunked = |pieces: &str| {
        let mut letter = Letter::of("d-1", good.clone()).with("Content-Length", "").and("Transfer-Encoding", "chunked");
        letter.body = pieces.replace("BODY", &format!("{:x}\r\n{good}", good.len())).into_bytes();
        letter
    };
    expect![[r#"
        forged: 401 intake/bad-signature
        truncated: 401 intake/broken-signature
        too long: 401 intake/broken-signature
        uppercase prefix: 401 intake/broken-signature
        no hex: 401 intake/broken-signature
        not ASCII: 401 intake/broken-signature
        of SHA-1 only: 401 intake/no-signature
        as SHA-1: 401 intake/broken-signature
        doubled: 401 intake/broken-signature
        a true and a false one: 401 intake/broken-signature
        none: 401 intake/no-signature
        of another body: 401 intake/bad-signature
        two ids: 400 intake/header
        two events: 400 intake/header
        two content types: 415 intake/content-type
        longer than announced: 401 intake/bad-signature
        shorter than announced: 400 intake/cut-off
        announced as too long: 413 intake/too-large
        announced as no number: 400
        announced twice: 400
        chunked and announced: 400
        a chunk that is none: 400 intake/cut-off
        no last chunk: 400 intake/cut-off
        said to be compressed, and is not: 202 branch main takes it
        chunked: 200 branch main takes it (repeat)
        uppercase hex: 200 branch main takes it (repeat)
        the same again: 200 branch main takes it (repeat)
        the same under a new id: 200 branch main takes it (repeat)
    "#]]
    .assert_eq(&lines(
        vec![
            ("forged", sign(signature("another", good.as_bytes()))),
            ("truncated", sign(true_one[..70].into())),
            ("too long", sign(format!("{true_one}00"))),
            ("uppercase prefix", sign(true_one.replace("sha", "SHA"))),
            ("no hex", sign(format!("sha256={}", "g".repeat(64)))),
            ("not ASCII", letter().with("X-Hub-Signature-256", [b"sha256=", &[0xe9; 64][..]].concat())),
            ("of SHA-1 only", letter().with("X-Hub-Signature-256", "").and("X-Hub-Signature", "sha1=757107ea")),
            ("as SHA-1", sign(true_one.replace("sha256", "sha1"))),
            ("doubled", letter().and("X-Hub-Signature-256", true_one.clone())),
            ("a true and a false one", letter().and("X-Hub-Signature-256", "sha256=00")),
            ("none", letter().with("X-Hub-Signature-256", "")),
            ("of another body", Letter { body: good.replace("ada", "bob").into(), ..letter() }),
            ("two ids", letter().and("X-GitHub-Delivery", "d-2")),
            ("two events", letter().and("X-GitHub-Event", "ping")),
            ("two content types", letter().and("Content-Type", "text/plain")),
            ("longer than announced", letter().with("Content-Length", (good.len() - 1).to_string())),
            ("shorter than announced", letter().with("Content-Length", (good.len() + 1).to_string())),
            ("announced as too long", letter().with("Content-Length", "99999999999")),
            ("announced as no number", letter().with("Content-Length", "-1")),
            ("announced twice", letter().and("Content-Length", "1")),
            ("chunked and announced", letter().and("Transfer-Encoding", "chunked")),
            ("a chunk that is none", chunked("zz\r\nBODY")),
            ("no last chunk", chunked("BODY\r\n")),
            ("said to be compressed, and is not", letter().and("Content-Encoding", "gzip")),
            ("chunked", chunked("BODY\r\n0\r\n\r\n")),
            ("uppercase hex", sign(true_one.to_uppercase().replace("SHA", "sha"))),
            ("the same again", letter()),
            ("the same under a new id", Letter::of("d-2", good.clone())),
        ],
        to,
    ));
    assert_eq!(bot.deployments().len(), 1);
    bot.settle();
}

#[test]
fn bodies_that_are_signed_and_hostile_get_their_answer() {
    let bot = Bot::new();
    let to = bot.app().address;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
    let with = |field: &str, written: &str| Letter::of("d-1", payload(field, written));
    let good = payload("z", "1");
    expect![[r#"
        arrays, deep: 202 branch main takes it
        objects, deep: 400 intake/malformed
        wide: 200 branch main takes it (repeat)
        a huge number: 400 intake/malformed
        a number for a text: 400 intake/malformed
        a text of 5 MB for a flag: 400 intake/malformed
        a key twice: 400 intake/malformed
        a byte order mark: 400 intake/malformed
        not UTF-8: 400 intake/malformed
        half a surrogate: 400 intake/malformed
        a raw NUL: 400 intake/malformed
        two bodies: 400 intake/malformed
        nothing: 400 intake/malformed
        a ref that climbs: 400 intake/malformed
        a ref with an escape: 400 intake/malformed
        a ref that turns around: 400 intake/malformed
        a ref of 5 MB: 400 intake/malformed
        a commit that is an option: 400 intake/malformed
        a repository that climbs: 400 intake/malformed
        a form that is JSON: 400 intake/malformed
        JSON that is compressed: 400 intake/malformed
        an id that climbs: 400 intake/header
        an event that climbs: 400 intake/header
        10 MB of ships: 202 branch main takes it
    "#]]
    .assert_eq(&lines(
        vec![
            ("arrays, deep", with("z", &deep("[", "]"))),
            ("objects, deep", with("z", &deep("{\"a\":", "}").replace("}}", "1}}"))),
            ("wide", with("z", &format!("[{}1]", "1,".repeat(2_000_000)))),
            ("a huge number", with("created", &"9".repeat(100_000))),
            ("a number for a text", with("ref", "1e999")),
            ("a text of 5 MB for a flag", with("forced", &format!("\"{}\"", "\\u001b🚢".repeat(500_000)))),
            ("a key twice", Letter::of("d-1", good.replacen('{', "{\"ref\":\"refs/heads/other\",", 1))),
            ("a byte order mark", Letter::of("d-1", format!("\u{feff}{good}"))),
            ("not UTF-8", Letter::of("d-1", [good.as_bytes(), b"\xff"].concat())),
            ("half a surrogate", with("ref", "\"refs/heads/\\ud83d\"")),
            ("a raw NUL", with("ref", "\"refs/heads/a\0b\"")),
            ("two bodies", Letter::of("d-1", format!("{good}{good}"))),
            ("nothing", Letter::of("d-1", "")),
            ("a ref that climbs", with("ref", "\"refs/heads/../../etc\"")),
            ("a ref with an escape", with("ref", "\"refs/heads/\\u001b[2Jmain\"")),
            ("a ref that turns around", with("ref", "\"refs/heads/\\u202eniam\"")),
            ("a ref of 5 MB", with("ref", &format!("\"refs/heads/{}\"", "x".repeat(5_000_000)))),
            ("a commit that is an option", with("after", "\"--upload-pack=touch x\"")),
            ("a repository that climbs", with("repository", "{\"id\":1,\"full_name\":\"../..\"}")),
            (
                "a form that is JSON",
                Letter::of("d-1", good.clone()).with("Content-Type", "application/x-www-form-urlencoded"),
            ),
            (
                "JSON that is compressed",
                Letter::of("d-1", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()).and("Content-Encoding", "gzip"),
            ),
            ("an id that climbs", Letter::of("../../x", good.clone())),
            ("an event that climbs", Letter::of("d-1", good.clone()).with("X-GitHub-Event", "../push")),
            (
                "10 MB of ships",
                Letter::of("d-9", {
                    let ships = format!("\u{1b}]0;pwn\u{7}{}", "🚢".repeat(1_250_000));
                    let mut payload = push::payload("acme/site", &"2".repeat(40));
                    payload["head_commit"] = json!({"message": ships, "author": {"name": ships}});
                    payload["pusher"] = json!({"name": ships});
                    payload.to_string()
                }),
            ),
        ],
        to,
    ));
    bot.settle();
    for deployment in bot.deployments() {
        let order = deployment.order();
        assert!(format!("{order:?}").len() < 6_000, "it is cut before it is kept");
    }
}

/// What a push can bring: every text in it would like to be more.
const TITLE: &str = "\u{1b}]0;pwn\u{7}\u{9b}2J\u{202e}<script>alert(1)</script> @all [x](javascript:1) `";
const AUTHOR: &str = "\u{1b}[31m<img src=x onerror=alert(1)>\u{202e}";
/// A script's name that git takes, and as YAML writes it.
pub(crate) const SCRIPT: &str = "scripts/\u{1b}]0;pwn\u{7}\u{9b}2J\u{202e}<img src=x>@all.sh";
pub(crate) const SCRIPT_IN_YAML: &str = "\"scripts/\\e]0;pwn\\a\\x9b2J\\u202e<img src=x>@all.sh\"";
/// A branch that git takes, and a shell or a page should not.
const BRANCH: &str = "$(touch${IFS}pwned);`id`&<b>'\"|--upload-pack=touch";

#[test]
fn what_people_read_shows_hostile_text_and_does_nothing_else() {
    let mut bot = Bot::asleep(&Extra::default());
    bot.take("[\"**\"]");
    let noise = "printf '\\033]0;pwn\\007\\033[31m<script>alert(2)</script> @all\\302\\233 ```\\n'";
    bot.write_site(&format!("{noise}\n{noise} >&2\nexit 7"));
    std::fs::rename(bot.repo.work().join("scripts/validate.sh"), bot.repo.work().join(SCRIPT)).unwrap();
    let appspec = std::fs::read_to_string(bot.repo.work().join("appspec.yml")).unwrap();
    bot.repo.write("appspec.yml", &appspec.replace("scripts/validate.sh", SCRIPT_IN_YAML), 0o644);
    bot.start();
    let sha = bot.repo.commit(TITLE, &[("index.html", "x")]).to_string();
    let reference = format!("refs/heads/{BRANCH}");
    bot.repo.push(&[&format!("+HEAD:{reference}")]);
    let mut payload = push::payload("acme/site", &sha);
    payload["ref"] = reference.into();
    payload["head_commit"] = json!({"message": TITLE, "author": {"name": AUTHOR}});
    payload["pusher"] = json!({"name": AUTHOR});
    let (status, told) = bot.runtime.block_on(crate::bot::deliver(&bot.url(), "d-1", &payload));
    assert_eq!(status, 202, "{told}");
    let id = told["plans"][0]["deployment"].as_str().unwrap().to_owned();
    bot.settle();

    let mut read = vec![("its notice".to_owned(), Notice::of(&bot.deployments()[0]).text)];
    let pages = ["", "deployments", "deliveries", "deliveries/d-1", "targets/site", "audit"];
    let pages = pages.map(|it| format!("/{it}")).into_iter().chain([format!("/deployments/{id}")]);
    for page in pages {
        read.push((page.clone(), get(&bot, &page)));
        read.push((format!("/api/v1{page}"), get(&bot, &format!("/api/v1{page}"))));
    }
    read.push(("/metrics".into(), get(&bot, "/metrics")));
    let (url, token) = (bot.url(), std::fs::read_to_string(bot.dir.join("data/token")).unwrap());
    let as_seen = [("LANDFALL_URL", url.as_str()), ("LANDFALL_TOKEN", token.trim()), ("CLICOLOR_FORCE", "1")];
    let words = [
        vec!["status"],
        vec!["status", "site"],
        vec!["status", &id],
        vec!["why", &sha],
        vec!["why", &sha, "--json"],
        vec!["deliveries"],
        vec!["deliveries", "d-1"],
        vec!["audit"],
        vec!["locks"],
    ];
    for words in words {
        let ran = landfall_with(&bot.dir, &words, &as_seen);
        assert!(ran.exit < 2, "{words:?}: {}", ran.talk);
        read.push((format!("{words:?}"), without_our_colours(&format!("{}{}", ran.out, ran.talk))));
    }
    let shown = read.iter().filter(|(_, text)| text.contains("alert(1)")).count();
    assert!(shown >= 6, "what was pushed is shown in {shown} places");
    let scripts = read.iter().filter(|(_, text)| text.contains("src=x")).count();
    assert!(scripts >= 4, "the script's name is shown in {scripts} places");
    for (place, text) in &read {
        let bad: String = text.chars().filter(|it| !does_nothing(*it) && !matches!(it, '\n' | '\t')).collect();
        assert!(bad.is_empty(), "{place} has {bad:?}:\n{text}");
        if place.starts_with('/') && !place.starts_with("/api") && place != "/metrics" {
            assert!(!text.contains("<script>") && !text.contains("<img") && !text.contains("<b>"), "{place}:\n{text}");
        }
    }
    let made: Vec<_> =
        ["pwned", "data/pwned", "repo/pwned"].into_iter().filter(|it| bot.dir.join(it).exists()).collect();
    assert!(made.is_empty() && !std::path::Path::new("pwned").exists(), "a shell has read the branch: {made:?}");
}

fn get(bot: &Bot, path: &str) -> String {
    let token = std::fs::read_to_string(bot.dir.join("data/token")).unwrap();
    let request = reqwest::Client::new().get(format!("{}{path}", bot.url())).bearer_auth(token.trim());
    let answer = bot.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() });
    assert!(!answer.is_empty(), "{path}");
    answer
}

/// The text without the colours that are ours: `ESC [ digits m`.
fn without_our_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split("\u{1b}[");
    plain += parts.next().unwrap_or_default();
    for part in parts {
        let end = part.find(|it: char| !(it.is_ascii_digit() || it == ';')).unwrap_or(part.len());
        plain += part[end..].strip_prefix('m').unwrap_or("\u{1b}");
    }
    plain
}
