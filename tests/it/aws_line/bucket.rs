//! The bucket's own side of the line: whose it is, where it is, and as whom it is reached. What is wrong with it is said
//! before an archive is fetched for it.

use landfall::clients::aws::Aws;
use landfall::domain::{Failure, State};

use super::{Outside, bot_at};
use crate::bot::Bot;
use crate::worlds::sts::Sts;

const KEEPER: &str = "arn:aws:iam::777788889999:role/keeper";

/// A bot whose bucket is described with these words besides.
fn started(outside: &Outside, sts: &Sts, more: &str) -> Bot {
    let mut bot = bot_at(outside.dir.path());
    bot.change("bucket = \"revisions\"", &format!("bucket = \"revisions\"{more}"));
    bot.aws = Aws::with_keys("A", "S").with_sts(sts.url());
    bot.start();
    bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
    bot
}

fn push(bot: &Bot, outside: &Outside, page: &str) {
    let sha = outside.push(page);
    assert_eq!(bot.deliver(page, &sha).0, 202);
    bot.settle();
}

fn failure(bot: &Bot) -> Failure {
    let State::Failed { failure } = bot.deployments()[0].state().clone() else { panic!("{}", bot.story()) };
    failure
}

/// Rows 10 and 24: a bucket of another account is reached by its own role, whatever the deployment group is reached by.
#[test]
fn a_bucket_with_a_role_of_its_own_is_reached_as_that_role_rows_10_and_24() {
    let (outside, sts) = (Outside::new(), Sts::start());
    let bot = started(&outside, &sts, &format!(", assume_role = \"{KEEPER}\", external_id = \"keep-7\""));
    push(&bot, &outside, "hello");
    assert_eq!(bot.deployments()[0].state().name(), "succeeded", "{}", bot.story());
    assert_eq!((sts.asked("RoleArn"), sts.asked("ExternalId")), (vec![KEEPER.into()], vec!["keep-7".into()]));
    assert_eq!(sts.asked("RoleSessionName"), ["landfall"]);
    assert_eq!(outside.s3.signers(), [("ASIATHERE00000000000".into(), "t".into())], "the role's keys, and no others");
}

#[test]
fn a_bucket_whose_role_is_refused_is_told_with_the_role_row_10() {
    let (outside, sts) = (Outside::new(), Sts::start());
    sts.refuse(KEEPER);
    let bot = started(&outside, &sts, &format!(", assume_role = \"{KEEPER}\""));
    push(&bot, &outside, "hello");
    let failure = failure(&bot);
    assert!(failure.message.contains(KEEPER), "{failure:?}");
    assert!(outside.s3.calls().is_empty(), "{:?}", outside.s3.calls());
}

/// Row 16: the first use of a bucket asks whether it is there, in its region, and whose it should be.
#[test]
fn a_bucket_that_is_not_as_configured_is_refused_before_an_archive_is_fetched_row_16() {
    type Case = (&'static str, fn(&Outside), &'static str, &'static [&'static str]);
    let cases: &[Case] = &[
        ("", |it| it.s3.fails("head bucket", 301, "", 1), "revisions/wrong-region", &["eu-west-1", "us-east-2"]),
        ("", |it| it.s3.fails("head bucket", 404, "", 1), "revisions/no-such-bucket", &["`revisions`"]),
        (
            ", expected_bucket_owner = \"123456789012\"",
            |it| it.s3.belongs_to("999900001111"),
            "revisions/access-denied",
            &["`revisions`", "s3:ListBucket"],
        ),
    ];
    for (more, prepare, code, words) in cases {
        let (outside, sts) = (Outside::new(), Sts::start());
        prepare(&outside);
        let bot = started(&outside, &sts, more);
        push(&bot, &outside, "hello");
        let failure = failure(&bot);
        assert_eq!(failure.code, *code, "{failure:?}");
        words.iter().for_each(|word| assert!(failure.message.contains(word), "no {word} in {failure:?}"));
        assert_eq!(outside.s3.calls(), ["head bucket "], "nothing was sent");
        let fetched = outside.github.requests().iter().filter(|it| it.contains("tarball")).count();
        assert_eq!(fetched, 0, "no archive was fetched: {:?}", outside.github.requests());
        let owner = more.contains("owner");
        assert_eq!(failure.help.unwrap().contains("123456789012"), owner, "who it should belong to");
    }
}

/// A role that may put and get objects and nothing else is as good, and what was found is not asked again.
#[test]
fn a_role_that_may_not_ask_about_the_bucket_deploys_all_the_same() {
    let (outside, sts) = (Outside::new(), Sts::start());
    outside.s3.fails("head bucket", 403, "AccessDenied", 9);
    let bot = started(&outside, &sts, "");
    ["one", "two"].iter().for_each(|page| push(&bot, &outside, page));
    assert!(bot.deployments().iter().all(|it| it.state().name() == "succeeded"), "{}", bot.story());
    assert_eq!(outside.s3.calls().iter().filter(|it| it.starts_with("head bucket")).count(), 1);
}
