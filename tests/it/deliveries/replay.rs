//! Replays: a delivery that is known is planned again where that makes sense, and refused with the reason where not.

use landfall::conductor::AskError;
use landfall::domain::{Ask, DeliveryId, Failure};
use serde_json::{Value, json};

use super::typed;
use crate::bot::{Bot, deliver};
use crate::worlds::push;

fn replay(bot: &Bot, key: &str, id: &str) -> Result<Vec<String>, Failure> {
    let asked = bot.ask(key, Ask::Replay { delivery: DeliveryId::parse(id).unwrap() });
    match asked {
        Ok(asked) => Ok(asked.deployments.iter().map(ToString::to_string).collect()),
        Err(AskError::Refused(failure)) => Err(failure),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_replayed_delivery_is_deployed_again_once_for_each_key() {
    let bot = Bot::new();
    let sha = bot.commit("one");
    bot.deliver("delivery-1", &sha);
    bot.settle();
    let born = replay(&bot, "again", "delivery-1").unwrap();
    bot.settle();
    assert_eq!(replay(&bot, "again", "delivery-1").unwrap(), born, "asked twice, done once");
    bot.settle_and_tell();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  succeeded
    d2  planned c1 by branch main
    d2  weighing
    d2  weighed c1
    d2  prepared before
    d2  releasing
    d2  released
    d2  ended succeeded
    d2  succeeded
    ");
    assert_eq!(bot.runs(), 2);
    let why: Value = serde_json::from_str(&typed(&bot, &["why", &sha, "--json"]).out).unwrap();
    let told: Vec<_> = why["plans"].as_array().unwrap().iter().map(|it| &it["deployment"]).collect();
    assert_eq!(told.len(), 2, "{why}");
    assert_eq!(told[1], &json!(born[0]), "the delivery's second plan knows what was born of it");
}

#[test]
fn a_replay_that_would_deploy_nothing_is_refused_with_the_reason() {
    let bot = Bot::new();
    let gate = bot.dir.join("gate");
    bot.write_site(&format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display()));
    let sha = bot.commit("one");
    let (_, answer) = bot.deliver("under-way", &sha);
    let first = answer["plans"][0]["deployment"].as_str().unwrap();
    let mut topic = push::payload("acme/site", &sha);
    topic["ref"] = json!("refs/heads/topic");
    let mut deleted = push::payload("acme/site", &"0".repeat(40));
    deleted["deleted"] = json!(true);
    let mut other = push::payload("acme/site", &sha);
    other["repository"]["id"] = json!(8);
    let mut elsewhere = push::payload("acme/elsewhere", &sha);
    elsewhere["repository"]["id"] = json!(9);
    let payloads = [("topic", topic), ("deleted", deleted), ("elsewhere", elsewhere), ("other", other)];
    for (id, payload) in payloads {
        let (status, answer) = bot.runtime.block_on(deliver(&bot.url(), id, &payload));
        assert_eq!(status, 202, "{answer}");
    }
    let mut told = String::new();
    for id in ["under-way", "topic", "deleted", "elsewhere", "other"] {
        let Failure { code, message, help, .. } = replay(&bot, id, id).unwrap_err();
        assert!(help.is_some() && code == "conductor/nothing-to-replay", "{code}");
        told += &format!("{message}\n").replace(first, "d1");
    }
    insta::assert_snapshot!(told, @r"
    it would deploy nothing: site: already planned as d1
    it would deploy nothing: site: `topic` is not mapped to this target
    it would deploy nothing: site: `main` was deleted
    no target is configured for `acme/elsewhere`
    it would deploy nothing: site: repository id 8 is not 1000, which was first accepted under this name
    ");
    let unknown = bot.ask("unknown", Ask::Replay { delivery: DeliveryId::parse("unknown").unwrap() });
    assert_eq!(unknown.unwrap_err().to_string(), "there is no delivery `unknown`");
    std::fs::write(gate, "").unwrap();
    bot.settle();
    assert_eq!(bot.runs(), 1, "what is refused leaves nothing behind");
}

#[test]
fn the_words_list_tell_and_replay_deliveries() {
    let bot = Bot::new();
    let sha = bot.commit("one");
    let none = typed(&bot, &["deliveries"]);
    assert!(none.exit == 0 && none.out.starts_with("no delivery yet"), "{}", none.out);
    bot.deliver("delivery-1", &sha);
    bot.settle();
    let list = typed(&bot, &["deliveries"]).out;
    let line = list.lines().nth(1).unwrap();
    for part in ["delivery-1", "acme/site", "main", &sha[..7], "site succeeded"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let ran = typed(&bot, &["replay", "delivery-1", "--wait"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    assert!(ran.talk.contains("planned ") && ran.talk.contains("admin replayed the delivery"), "{}", ran.talk);
    let story = typed(&bot, &["deliveries", "delivery-1"]).out;
    assert!(
        story.contains("ada pushed") && story.contains("admin had it planned again: 1 deployment planned"),
        "{story}"
    );
    let page: Value = serde_json::from_str(&typed(&bot, &["deliveries", "--json"]).out).unwrap();
    assert_eq!(page["deliveries"][0]["id"], "delivery-1");
    let ran = typed(&bot, &["replay", "delivery-2"]);
    assert!(ran.exit == 2 && ran.talk.starts_with("landfall: there is no delivery `delivery-2`\n"), "{}", ran.talk);
    assert_eq!(bot.runs(), 2);
}
