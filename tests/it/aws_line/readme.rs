//! The README's sections on Lambda and ECS, followed to the letter: their AppSpecs in two repositories, their targets in one
//! configuration, a push each. Only addresses are added.

use std::fs;

use super::{Line, Outside};
use crate::bot::deliver;
use crate::worlds::codedeploy::{Moves, Scenario};
use crate::worlds::push;
use crate::worlds::readme::blocks;
use crate::worlds::repository::Repository;

/// The AppSpec and the target of a section.
fn section(title: &str) -> (String, String) {
    let [appspec, target] = &blocks(title)[..] else { panic!("«{title}» has other blocks: follow them here too") };
    (appspec.clone(), target.clone())
}

struct Reader {
    line: Line,
    login: Repository,
    web: Repository,
}

impl Reader {
    fn sit_down() -> Self {
        let outside = Outside::new();
        let (login, web) = (outside.github.repository("acme/login"), outside.github.repository("acme/web"));
        outside.codedeploy.add("login", "Lambda", &["production"]);
        outside.codedeploy.add("web", "ECS", &["production"]);
        let (dir, url) = (outside.dir.path().display().to_string(), outside.codedeploy.url());
        let text = outside.configuration();
        let (head, _) = text.split_once("[[target]]").unwrap();
        let of_readme = [section("Lambda functions").1, section("ECS services").1].concat();
        let region = "region = \"eu-west-1\"\n";
        assert_eq!(of_readme.matches(region).count(), 2, "{of_readme}");
        let here = format!("{region}endpoint_url = \"{url}\"\n");
        let of_readme = of_readme.replace(region, &here).replace("{ file = \"", &format!("{{ file = \"{dir}/"));
        fs::write(outside.dir.path().join("landfall.toml"), format!("{head}{of_readme}")).unwrap();
        fs::create_dir(outside.dir.path().join("login")).unwrap();
        fs::write(outside.dir.path().join("login/current"), "7\n").unwrap();
        fs::write(outside.dir.path().join("login/version"), "8\n").unwrap();
        Self { line: Line::of(outside), login, web }
    }

    /// Pushes the AppSpec, and lets CodeDeploy do so many steps, up to where a tenth of the traffic has moved.
    fn push(&self, repository: &Repository, name: &str, appspec: &str, steps: usize) -> String {
        self.line.outside.codedeploy.moves(Moves::WhenTold);
        let sha = repository.commit_and_push("change", &[("appspec.yaml", appspec)]).to_string();
        let payload = push::payload(&format!("acme/{name}"), &sha);
        let bot = &self.line.bot;
        let (status, answer) = bot.runtime.block_on(deliver(&bot.url(), &format!("delivery-{name}"), &payload));
        assert_eq!(status, 202, "{answer}");
        bot.wait_for("the deployment to run", |bot| bot.deployments()[0].run().is_some());
        (0..steps).for_each(|_| self.line.outside.codedeploy.tick());
        sha
    }

    /// Whether GitHub was told this of the commit.
    fn was_told(&self, name: &str, sha: &str, words: &str) -> bool {
        let context = format!("landfall/{name}");
        let statuses = self.line.outside.github.statuses();
        statuses.iter().any(|it| it.context == context && it.sha == sha && it.description.contains(words))
    }
}

#[test]
fn the_readmes_function_and_service_are_deployed_rows_1_21_63() {
    let reader = Reader::sit_down();
    let sha = reader.push(&reader.login, "login", &section("Lambda functions").0, 3);
    reader
        .line
        .bot
        .wait_for("a tenth of the traffic", |_| reader.was_told("login", &sha, "AllowTraffic: 10 % on version 8"));
    reader.line.outside.codedeploy.moves(Moves::AtEachLook);
    reader.line.bot.settle_and_tell();
    assert!(reader.was_told("login", &sha, "Live after "), "{}", reader.line.bot.story());

    reader.line.outside.codedeploy.script(Scenario { old_tasks_stay: 600, ..Scenario::default() });
    let sha = reader.push(&reader.web, "web", &section("ECS services").0, 8);
    let words = "AllowTraffic: 10 % on the replacement task set";
    reader.line.bot.wait_for("a tenth of the traffic", |_| reader.was_told("web", &sha, words));
    reader.line.outside.codedeploy.moves(Moves::AtEachLook);
    reader.line.bot.settle_and_tell();
    assert!(reader.was_told("web", &sha, "Live after "), "{}", reader.line.bot.story());
    let made = reader.line.outside.codedeploy.deployments();
    let content = made[1].input["revision"]["appSpecContent"]["content"].as_str().unwrap();
    assert!(content.contains("task-definition/web-production\""), "{content}");
    assert_eq!(made[1].input["deploymentConfigName"], "CodeDeployDefault.ECSCanary10Percent5Minutes");
    assert_eq!(made[1].status, "InProgress", "the old tasks live on");
    assert_eq!(reader.line.outside.s3.calls(), [""; 0]);
    let newest = "the task definition has no revision, so that the newest active one is taken, whichever it is by then";
    assert_eq!(reader.line.findings(), [newest], "and the README says that this is said");
}
