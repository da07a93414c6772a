//! A whole bot that speaks as an App: what it deploys and tells, what it waits for, and that no secret is written down.

use std::fs;
use std::path::Path;

use crate::bot::{Bot, Extra};
use crate::worlds::github::GitHubWorld;

const APP: u32 = 4711;

/// Makes something bad, or good again.
type Trouble = fn(&GitHubWorld, bool);

/// Every file below a directory, as bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.is_file() {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

#[test]
fn pushes_are_deployed_and_told_in_the_name_of_an_app_and_its_secrets_are_written_nowhere() {
    let github = GitHubWorld::start();
    let (repository, key) = (github.repository("acme/site"), github.app(APP));
    github.install(APP, "acme", &[("contents", "read"), ("statuses", "write")]);
    let mut bot = Bot::asleep(&Extra::default());
    bot.ask_github(&github);
    let token = format!("token = {{ file = \"{}\" }}", github.token_file().display());
    bot.change(&token, &format!("app = {{ id = {APP}, private_key = {{ file = {key:?} }} }}"));
    let push = |bot: &Bot, number: usize| {
        let sha = bot.commit(&format!("page {number}"));
        bot.repo.git(&["push", "--quiet", repository.bare().to_str().unwrap(), "HEAD:main"]);
        bot.deliver(&format!("delivery-{number}"), &sha);
    };
    bot.start();
    push(&bot, 1);
    bot.settle();
    // Each of these is mended while the push waits, and no push is lost.
    let troubles: [(&str, Trouble); 3] = [
        ("is suspended for `acme/site`", |github, is_bad| github.suspend(APP, "acme", is_bad)),
        ("knows no App 4711 with this private key", |github, is_bad| github.set_key(APP, usize::from(is_bad))),
        ("is not installed for `acme/site`", |github, is_bad| {
            github.select(APP, "acme", if is_bad { &["other"] } else { &["site"] });
        }),
    ];
    for (number, (told, set)) in (2..).zip(troubles) {
        set(&github, true);
        github.revoke_tokens();
        push(&bot, number);
        bot.wait_for(told, |bot| format!("{:?}", bot.records()).contains(told));
        set(&github, false);
        bot.settle();
        assert_eq!(bot.deployments()[0].state().name(), "succeeded", "{}", bot.story());
    }
    bot.wait_for("the last word", |_| github.statuses().last().is_some_and(|it| it.state == "success"));
    assert!(github.tokens().iter().all(|it| it == "acme/site: contents=read statuses=write"), "{:?}", github.tokens());
    let mut written = files(&bot.dir.join("data"));
    written.push(("the statuses".into(), format!("{:?}", github.statuses()).into()));
    written.push(("the dashboard".into(), bot.page().into()));
    for secret in github.secrets() {
        for (place, bytes) in &written {
            assert!(!holds(bytes, &secret), "{place} holds a secret");
        }
    }
}
