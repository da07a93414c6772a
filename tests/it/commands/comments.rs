//! Comments on pull requests and commits at GitHub.

use serde_json::{Value, json};

use super::trail;
use crate::bot::{Bot, Extra};
use crate::worlds::github::GitHubWorld;
use crate::worlds::push::{self, SECRET};
use crate::worlds::repository::Repository;

/// A bot that hears comments, and the GitHub that they are written at.
struct Conversation {
    bot: Bot,
    github: GitHubWorld,
    repository: Repository,
    comments: std::cell::Cell<u64>,
}

impl Conversation {
    fn new(commands: &str) -> Self {
        Self::of_target(commands, "")
    }

    /// The same, with more of its target.
    fn of_target(commands: &str, target: &str) -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/site");
        let commands = format!("[commands]\n{commands}");
        let mut bot = Bot::asleep(&Extra { github: commands, target: target.into(), ..Extra::default() });
        bot.ask_github(&github);
        bot.take("[\"main\", \"feature/*\"]");
        bot.start();
        for (login, role) in [("ada", "write"), ("mia", "maintain"), ("rob", "read"), ("tim", "triage")] {
            github.collaborator(login, role);
        }
        Self { bot, github, repository, comments: 40.into() }
    }

    fn push(&self, page: &str, branch: &str) -> String {
        let sha = self.bot.commit(page);
        let to = format!("+HEAD:refs/heads/{branch}");
        self.bot.repo.git(&["push", "--quiet", self.repository.bare().to_str().unwrap(), &to]);
        sha
    }

    /// Somebody writes a comment; what GitHub is answered.
    fn writes(&self, login: &str, body: &str, beneath: Value) -> String {
        self.comments.set(self.comments.get() + 1);
        self.delivers(login, body, beneath)
    }

    /// The newest comment's delivery.
    fn delivers(&self, login: &str, body: &str, beneath: Value) -> String {
        self.delivers_of(1000, login, body, beneath)
    }

    /// The same, of a repository of this number.
    fn delivers_of(&self, repository: u64, login: &str, body: &str, beneath: Value) -> String {
        let id = self.comments.get();
        let is_commit = beneath["commit_id"].is_string();
        let belongs = if login == "eve" { "NONE" } else { "COLLABORATOR" };
        let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
        let mut payload = json!({
            "action": "created",
            "repository": { "id": repository, "full_name": "acme/site" },
            "comment": { "id": id, "body": body, "author_association": belongs,
                "user": { "login": login, "type": kind } },
        });
        match is_commit {
            true => payload["comment"]["commit_id"] = beneath["commit_id"].clone(),
            false => payload["issue"] = beneath,
        }
        let event = if is_commit { "commit_comment" } else { "issue_comment" };
        self.bot.runtime.block_on(async {
            let (client, url) = (reqwest::Client::new(), self.bot.url());
            let request = push::event(&client, &url, SECRET, event, &format!("c-{id}"), payload.to_string());
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            answer["reason"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
        })
    }

    /// What was answered beneath comments, and the sign, each since the world began.
    fn answered(&self) -> (Vec<String>, Vec<(String, String)>) {
        let comments = self.github.comments().into_iter().map(|it| format!("{}: {}", it.thread, it.body));
        (comments.collect(), self.github.signs())
    }
}

fn pull(number: u64) -> Value {
    json!({ "number": number, "pull_request": {} })
}

const DONE: &str = "the command was carried out";

#[test]
fn a_pull_requests_branch_is_deployed_by_a_comment_and_answered_beneath_it() {
    let it = Conversation::new("comments = true");
    it.push("one", "main");
    let sha = it.push("new", "feature/x");
    it.github.pull_from(7, "acme/site", "feature/x", &sha);
    assert_eq!(it.writes("ada", "/landfall deploy site\nplease", pull(7)), DONE);
    it.bot.settle();
    assert_eq!(it.bot.page(), "new");
    let (comments, signs) = it.answered();
    assert_eq!(signs, [("issues/comments/41".to_owned(), "+1".to_owned())]);
    let id = it.bot.deployments()[0].id();
    assert!(comments[0].starts_with("issues/7: ✓ **ada on GitHub** asked to deploy `"), "{comments:?}");
    assert!(comments[0].contains(&id.to_string()), "{comments:?}");
    // GitHub delivers the same comment again.
    assert_eq!(it.delivers("ada", "/landfall deploy site", pull(7)), DONE);
    assert_eq!(it.bot.deployments().len(), 1);
    assert_eq!(trail(&it.bot), ["ada on GitHub: deploy, 1 born"]);
}

#[test]
fn beneath_a_commit_that_commit_is_meant_and_beneath_a_merged_pull_request_what_it_became() {
    let it = Conversation::new("comments = true");
    let first = it.push("one", "main");
    let second = it.push("two", "main");
    assert_eq!(it.writes("ada", "  /landfall deploy site", json!({ "commit_id": first })), DONE);
    it.bot.settle();
    assert_eq!(it.bot.page(), "one");
    it.github.pull_from(8, "acme/site", "gone", &first);
    it.github.merge_pull(8, &second);
    assert_eq!(it.writes("mia", "/landfall deploy site", pull(8)), DONE);
    it.bot.settle();
    assert_eq!(it.bot.page(), "two");
    let (comments, signs) = it.answered();
    assert!(comments[0].starts_with(&format!("commits/{first}: ")), "{comments:?}");
    assert_eq!(signs[0], ("comments/41".to_owned(), "+1".to_owned()));
}

#[test]
fn who_may_not_is_told_so_and_strangers_get_no_words() {
    let it = Conversation::new("comments = true");
    let sha = it.push("one", "main");
    it.github.pull_from(7, "acme/site", "main", &sha);
    for (who, has) in [("rob", "read"), ("tim", "triage")] {
        let told = it.writes(who, "/landfall deploy site", pull(7));
        let why = format!(
            "{who} may not ask for anything of site: that is for whoever has write at its repository, and {who} has {has}"
        );
        assert!(told.contains(&why), "{told}");
    }
    assert!(it.writes("eve", "/landfall status", pull(7)).contains("eve may not"), "nor does a stranger look");
    let (comments, signs) = it.answered();
    assert_eq!(comments.len(), 2, "{comments:?}");
    assert!(comments.iter().all(|it| it.contains("may not ask")), "{comments:?}");
    assert_eq!(signs.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["-1"; 3]);
    assert!(it.bot.deployments().is_empty());
    let refused = ["rob on GitHub: `deploy site` was refused", "tim on GitHub: `deploy site` was refused"];
    assert_eq!(trail(&it.bot), refused);
}

#[test]
fn teams_and_names_may_where_the_configuration_says_so_and_levels_no_more() {
    let it = Conversation::new("comments = true\nteams = [\"acme/deployers\"]\npeople = [\"Carol\"]");
    it.push("one", "main");
    it.github.member("acme/deployers", "dan", "active");
    it.github.member("acme/deployers", "pat", "pending");
    assert_eq!(it.writes("dan", "/landfall lock site", pull(7)), DONE);
    assert_eq!(it.writes("carol", "/landfall unlock site", pull(7)), DONE);
    for who in ["pat", "mia"] {
        let told = it.writes(who, "/landfall lock site", pull(7));
        assert!(told.contains("that is for members of acme/deployers, or Carol"), "{told}");
    }
}

#[test]
fn a_fork_an_issue_a_bot_a_quotation_and_another_repositorys_target_come_to_nothing() {
    let it = Conversation::new("comments = true");
    let sha = it.push("one", "main");
    it.github.pull_from(9, "eve/site", "main", &sha);
    let told = it.writes("ada", "/landfall deploy site", pull(9));
    assert!(told.contains("comes from another repository"), "{told}");
    let told = it.writes("ada", "/landfall deploy site", json!({ "number": 3 }));
    assert_eq!(told, "it stands beneath an issue: commands are for pull requests and commits");
    let told = it.writes("landfall[bot]", "/landfall deploy site", pull(9));
    assert_eq!(told, "commands are taken from people alone");
    for not_ours in ["> /landfall deploy site", "use `/landfall`", "/landfallen", "thanks!\n/landfall deploy site"] {
        let told = it.writes("ada", not_ours, pull(9));
        assert_eq!(told, "it is no new comment that begins with `/landfall`", "{not_ours}");
    }
    let told = it.writes("ada", "/landfall deploy shop", pull(9));
    assert!(told.contains("there is no target shop here"), "{told}");
    assert!(it.bot.deployments().is_empty());
}

#[test]
fn a_target_that_says_nothing_of_its_own_lets_in_no_more_than_all() {
    let it = Conversation::of_target("comments = true\nlevel = \"maintain\"", "commands = {}");
    it.push("one", "main");
    let told = it.writes("ada", "/landfall lock site", pull(7));
    assert!(told.contains("that is for whoever has maintain at its repository, and ada has write"), "{told}");
    assert_eq!(it.writes("mia", "/landfall lock site", pull(7)), DONE);
}

#[test]
fn who_makes_a_repository_of_a_name_that_another_had_commands_none_of_its_targets() {
    let it = Conversation::new("comments = true");
    let sha = it.push("one", "main");
    assert_eq!(it.bot.deliver("first", &sha).0, 202);
    it.bot.settle();
    let told = it.delivers_of(2000, "ada", "/landfall lock site", pull(7));
    assert_eq!(told, "the targets of this name are those of another repository, which had it before");
    assert_eq!(it.writes("ada", "/landfall lock site", pull(7)), DONE);
    assert_eq!(trail(&it.bot), ["ada on GitHub: lock, 0 born"]);
}

#[test]
fn comments_are_not_heard_unless_the_configuration_says_so() {
    let it = Conversation::new("people = [\"ada\"]");
    it.push("one", "main");
    let told = it.writes("ada", "/landfall deploy site main", pull(7));
    assert_eq!(told, "commands in comments are not heard: `[commands]` has no `comments = true`");
    assert_eq!(it.answered().1.len(), 0);
}
