//! The API of the shipped bot, asked by schemathesis as its own description says, and as it does not: what is described
//! is taken and answered so, and all else is refused. openapi-spec-validator reads the description, too.
//!
//! Every check is on, in every phase, for every path; `schemathesis.toml` says how many requests that are. What no shape
//! can say (a key in one of two places, a time that is over or yet to come) stands in `schemathesis_hooks.py`: there good
//! requests are made good, and nothing is excused. The event stream has no end: of each, five events or a second are read.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::shipped::Shipped;

/// Beside `site`: one whose releases somebody has to approve, one that takes all of them and is locked, one of which
/// nobody has heard anything.
const OTHERS: [(&str, &str, &str); 3] = [
    ("shop", "acme/site", "branches = [\"main\"]\napprovals = 1"),
    ("docs", "acme/site", "branches = [\"main\"]\npaths = [\"**\"]"),
    ("blog", "acme/blog", "tags = [\"v*\"]"),
];

/// A bot with deployments that succeeded, failed, wait, were passed over and refused.
fn filled() -> Shipped {
    let mut bot = Shipped::new();
    let mut text = fs::read_to_string(bot.path("landfall.toml")).unwrap();
    text += "[people]\nadmin = \"mia\"\n";
    for (name, repository, more) in OTHERS {
        text += &format!(
            "[[target]]\nname = \"{name}\"\nrepository = \"{repository}\"\n{more}\nsource = {{ git = \"{}\" \
             }}\n[target.engine]\nkind = \"host\"\n",
            bot.repo.url()
        );
    }
    fs::write(bot.path("landfall.toml"), text).unwrap();
    bot.serve();
    let newest = |bot: &Shipped, target: &str| bot.asked(&["status", target])["deployments"][0]["state"].clone();
    bot.types(&["lock", "docs", "--reason", "the fair", "--url", &bot.url(), "--token", &bot.token()]);
    let one = bot.push("one");
    bot.goes_live(&one);
    bot.repo.write("check.sh", "#!/bin/sh\necho the page has no title >&2\nexit 3\n", 0o755);
    bot.push("two");
    bot.waits("the second push has failed", |bot| newest(bot, "site") == "failed" && newest(bot, "shop") == "held");
    fs::remove_file(bot.repo.work().join("appspec.yml")).unwrap();
    bot.push("three");
    bot.waits("the third is refused", |bot| newest(bot, "site") == "refused");
    bot
}

/// Lets schemathesis ask the bot what this description says.
fn asks(bot: &Shipped, description: &str, more: &[&str]) -> (Output, String) {
    for name in ["schemathesis.toml", "schemathesis_hooks.py"] {
        fs::copy(format!("{}/tests/counterparts/{name}", env!("CARGO_MANIFEST_DIR")), bot.path(name)).unwrap();
    }
    let commits = bot.repo.git(&["log", "--format=\"%H\""]);
    fs::write(bot.path("commits.txt"), commits).unwrap();
    let mut command = bot.command(crate::counterpart("LANDFALL_TEST_SCHEMATHESIS").as_ref());
    command.env("PYTHONPATH", bot.path("")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["--config-file", "schemathesis.toml", "--no-color", "run", description, "--url", &bot.url()]);
    command.args(["--checks", "all", "--header", &format!("Authorization: Bearer {}", bot.token())]).args(more);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

/// The description, as it is served.
fn description(bot: &Shipped) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = client.get(format!("{}/api/v1/openapi.json", bot.url())).bearer_auth(bot.token()).send();
    runtime.block_on(async { asked.await.unwrap().json().await.unwrap() })
}

#[test]
fn schemathesis_finds_nothing_that_is_not_as_the_description_says() {
    let mut bot = filled();
    let mut description = description(&bot);
    let operations = description["paths"].as_object().unwrap().values().map(|it| it.as_object().unwrap().len());
    // Where it has the description from is no path that it asks.
    let all = operations.sum::<usize>() - 1;
    let served = format!("{}/api/v1/openapi.json", bot.url());
    let (output, said) = asks(&bot, &served, &["--phases", "examples,coverage,fuzzing,stateful"]);
    assert!(output.status.success() && said.contains("No issues found"), "{said}\n{}", bot.log());
    assert!(said.contains(&format!("{all} selected / {all} total")), "{said}");
    assert!(!bot.log().contains("panicked"), "{}", bot.log());

    // The one path that it left out, and whether it does find what is not so.
    for (shape, field) in [("TargetView", "name"), ("EventView", "text")] {
        description["components"]["schemas"][shape]["properties"][field] = json!({ "type": "integer" });
    }
    fs::write(bot.path("wrong.json"), description.to_string()).unwrap();
    let only = |path| asks(&bot, "wrong.json", &["--phases", "examples,fuzzing", "--include-path", path]);
    let (output, said) = only("/api/v1/openapi.json");
    assert!(output.status.success(), "{said}");
    let (output, said) = only("/api/v1/targets");
    assert!(output.status.code() == Some(1) && said.contains("is not of type \"integer\""), "{said}");
    let (output, said) = only("/api/v1/events");
    assert!(output.status.code() == Some(1) && said.contains("SSE event payload violates"), "{said}");
    assert_eq!(bot.ends(), Some(0));
}

#[test]
fn the_description_is_one_by_the_rules_of_openapi() {
    let mut bot = Shipped::new();
    bot.serve();
    fs::write(bot.path("description.json"), description(&bot).to_string()).unwrap();
    let mut command = bot.command(crate::counterpart("LANDFALL_TEST_PYTHON").as_ref());
    let read = command.args(["-m", "openapi_spec_validator", "description.json"]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stdout));
    assert_eq!(bot.ends(), Some(0));
}
