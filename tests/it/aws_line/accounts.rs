//! Rows 10 and 23: one push, several regions and accounts. One that fails keeps no other.

use std::fs;

use landfall::clients::Clock;
use landfall::clients::aws::Aws;
use landfall::domain::{Failure, State};

use super::{Outside, bot_at, more};
use crate::bot::Bot;
use crate::worlds::codedeploy::World;
use crate::worlds::sts::Sts;

const ROLE: &str = "arn:aws:iam::444455556666:role/deployer";

/// A target `site` here, and a target `abroad` in another region of another account.
struct TwoAccounts {
    bot: Bot,
    outside: Outside,
    abroad: World,
    sts: Sts,
}

impl TwoAccounts {
    fn new(prepare: impl FnOnce(&Sts, &World)) -> Self {
        let (outside, abroad, sts) = (Outside::new(), World::start(Clock::system()), Sts::start());
        abroad.add_group("abroad");
        prepare(&sts, &abroad);
        let text = more(&outside.configuration(), "abroad", "abroad", "branches = [\"main\"]\n");
        let at = text.rfind("[target.engine]").unwrap();
        let engine = text[at..].replace(&outside.codedeploy.url(), &abroad.url()).replace("eu-west-1", "us-east-2");
        let role = format!("assume_role = \"{ROLE}\"\nexternal_id = \"shop-7\"\n");
        fs::write(outside.dir.path().join("landfall.toml"), format!("{}{engine}{role}", &text[..at])).unwrap();
        let mut bot = bot_at(outside.dir.path());
        bot.aws = Aws::with_keys("A", "S").with_sts(sts.url());
        bot.start();
        bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
        Self { bot, outside, abroad, sts }
    }

    fn push(&self) {
        let sha = self.outside.push("hello");
        let (status, answer) = self.bot.deliver("delivery-1", &sha);
        assert_eq!(status, 202, "{answer}");
        self.bot.settle_and_tell();
    }

    /// How the deployment of a target ended.
    fn end(&self, target: &str) -> (String, Option<Failure>) {
        let all = self.bot.deployments();
        let it = all.iter().find(|it| it.order().target.name.as_str() == target).unwrap();
        let failure = if let State::Failed { failure } = it.state() { Some(failure.clone()) } else { None };
        (it.state().name().to_owned(), failure)
    }

    /// The last status of a context.
    fn told(&self, context: &str) -> String {
        let statuses = self.outside.github.statuses();
        statuses.iter().rfind(|it| it.context == context).map(|it| it.state.clone()).unwrap_or_default()
    }
}

#[test]
fn a_push_goes_to_another_region_and_account_by_its_role_rows_10_and_23() {
    let it = TwoAccounts::new(|_, _| ());
    it.push();
    assert_eq!((it.end("site").0, it.end("abroad").0), ("succeeded".into(), "succeeded".into()));
    assert_eq!((it.outside.codedeploy.deployments().len(), it.abroad.deployments().len()), (1, 1));
    // One set of credentials does for all calls but the one that AWS should know by our deployment's id.
    assert_eq!(it.sts.asked("RoleArn"), [ROLE, ROLE]);
    assert_eq!(it.sts.asked("ExternalId"), ["shop-7", "shop-7"]);
    let all = it.bot.deployments();
    let abroad = all.iter().find(|it| it.order().target.name.as_str() == "abroad").unwrap();
    assert_eq!(it.sts.asked("RoleSessionName"), ["landfall".to_owned(), format!("landfall-{}", abroad.id())]);
    assert_eq!((it.told("landfall/site"), it.told("landfall/abroad")), ("success".into(), "success".into()));
}

#[test]
fn a_role_that_is_refused_is_named_with_who_must_trust_whom_row_10() {
    let it = TwoAccounts::new(|sts, _| sts.refuse(ROLE));
    it.push();
    assert_eq!(it.end("site").0, "succeeded", "one account does not stop another");
    let (state, failure) = it.end("abroad");
    let failure = failure.unwrap_or_else(|| panic!("{state}: {}", it.bot.story()));
    assert_eq!(failure.code, "codedeploy/role-refused");
    let expected = format!("the bot may not take the role `{ROLE}`: User: arn:aws:iam::111122223333:user/bot is not");
    assert!(failure.message.starts_with(&expected), "{failure:?}");
    let help = failure.help.unwrap();
    for word in ["trust policy", ROLE, "external_id", "sts:AssumeRole"] {
        assert!(help.contains(word), "no {word} in: {help}");
    }
    assert_eq!((it.told("landfall/site"), it.told("landfall/abroad")), ("success".into(), "error".into()));
    assert_eq!(it.abroad.calls(), [""; 0], "nothing left for CodeDeploy");
}

#[test]
fn a_region_that_fails_does_not_stop_the_others_row_23() {
    use crate::worlds::codedeploy::Scenario;
    let it = TwoAccounts::new(|_, abroad| {
        abroad.script(Scenario::script_fails("i-0b", "AfterInstall", "scripts/migrate.sh", "boom"));
    });
    it.push();
    assert_eq!((it.end("site").0, it.end("abroad").0), ("succeeded".into(), "failed".into()));
    assert_eq!((it.told("landfall/site"), it.told("landfall/abroad")), ("success".into(), "failure".into()));
}
