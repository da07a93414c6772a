//! `/metrics` of the shipped bot, read by Prometheus's own library for Python, whose parser refuses what the format does
//! not allow.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Stdio;

use landfall::clients::process;
use serde_json::Value;

use crate::shipped::Shipped;

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/figures.py");

/// The families in a text, or why it is refused.
fn read(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = process::blocking_program(crate::counterpart("LANDFALL_TEST_PYTHON"))
        .arg(READER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What the README's table says: the name and the labels of each figure.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let table = include_str!("../../README.md").split("| figure |").nth(1).unwrap().split("\n\n").next().unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells
        .map(|cell| {
            let (name, labels) = cell.split_once('{').unwrap_or((cell, "}"));
            let labels = labels.trim_end_matches('}').split(',').filter(|it| !it.is_empty()).map(str::to_owned);
            (name.to_owned(), labels.collect())
        })
        .collect()
}

/// The name that people ask Prometheus for.
fn asked_for(family: &Value) -> String {
    let name = family["name"].as_str().unwrap();
    match family["type"].as_str().unwrap() {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    }
}

#[test]
fn prometheus_reads_the_figures_as_the_readme_says_them() {
    // A place has figures of its own.
    let chat = "[[chat]]\nname = \"ops\"\nkind = \"slack\"\nwebhook = { file = \"secret\" }\n";
    let mut bot = Shipped::configured(chat, "");
    bot.serve();
    let sha = bot.push("one");
    bot.goes_live(&sha);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |token: &str| {
        let asked = client.get(format!("{}/metrics", bot.url())).bearer_auth(token).send();
        runtime.block_on(async { asked.await.unwrap().text().await.unwrap() })
    };
    get("guess");
    let token = bot.token();
    let mut text = String::new();
    bot.waits("the end is counted", |_| {
        text = get(&token);
        text.contains("landfall_deployments_ended_total{")
    });
    let families = read(&text).unwrap();
    let documented = documented();
    assert_eq!(
        families.iter().map(asked_for).collect::<BTreeSet<_>>(),
        documented.keys().cloned().collect(),
        "the README's table and what Prometheus understands"
    );
    for family in &families {
        let (name, kind) = (asked_for(family), family["type"].as_str().unwrap());
        let help = family["help"].as_str().unwrap();
        assert!(help.len() > 5 && !help.contains(".."), "{name}: {help}");
        let is_seconds = family["name"].as_str().unwrap().ends_with("_seconds");
        assert!(!is_seconds || kind != "histogram" || family["unit"] == "seconds", "{family}");
        assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{name} is `{kind}`");
        let samples = family["samples"].as_array().unwrap();
        let used = samples.iter().flat_map(|it| it[1].as_object().unwrap().keys());
        let used: BTreeSet<String> = used.filter(|it| *it != "le").cloned().collect();
        assert!(samples.is_empty() || used == documented[&name], "{name} is labelled {used:?}");
    }
    let value = |name: &str, label: (&str, &str)| {
        let samples = families.iter().flat_map(|it| it["samples"].as_array().unwrap());
        let mut found = samples.filter(|it| it[0] == name && it[1][label.0] == label.1);
        found.next().map(|it| it[2].as_f64().unwrap())
    };
    assert_eq!(value("landfall_deployments_ended_total", ("outcome", "succeeded")), Some(1.0));
    assert_eq!(value("landfall_deployment_duration_seconds_bucket", ("le", "+Inf")), Some(1.0));
    assert_eq!(value("landfall_denied_total", ("why", "unknown")), Some(1.0), "the token that was guessed");
    let since = value("landfall_live_timestamp_seconds", ("target", "site")).unwrap();
    assert!(since > 1_700_000_000.0, "{since}");

    // The reader does refuse what is wrong.
    assert!(read(&text.replace("# EOF\n", "")).is_err());
    assert!(read(&text.replace("# TYPE landfall_paused gauge", "# TYPE landfall_paused counter")).is_err());
    assert_eq!(bot.ends(), Some(0));
}
