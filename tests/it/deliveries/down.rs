//! A bot that is down through twenty pushes: some that GitHub could not deliver, some that it never sent, a branch whose
//! history was rewritten, and one that was deleted and made again. Once it is up, the newest of each is deployed, once.

use std::collections::BTreeMap;
use std::time::Duration;

use landfall::clients::Clock;
use landfall::domain::{Deployment, State};
use serde_json::{Value, json};

use super::typed;
use crate::bot::{Bot, Extra};
use crate::worlds::github::GitHubWorld;
use crate::worlds::push::{self, SECRET};

/// The targets of the other branches, one of them by a pattern.
const OTHERS: &str = r#"
[[target]]
name = "staging"
repository = "acme/site"
branches = ["staging"]
[target.engine]
kind = "host"
[[target]]
name = "next"
repository = "acme/site"
branches = ["next"]
[target.engine]
kind = "host"
[[target]]
name = "release"
repository = "acme/site"
branches = ["release/*"]
[target.engine]
kind = "host"
"#;
/// Each branch, and the target that takes it.
const BRANCHES: [(&str, &str); 4] =
    [("main", "site"), ("staging", "staging"), ("next", "next"), ("release/1", "release")];
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// How GitHub fared with a push.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    /// It came through.
    Well,
    /// Nobody answered.
    InVain,
    /// A proxy answered in the bot's place.
    To503,
    /// It was too large, or the webhook was switched off: no list has it.
    Never,
}

struct Stand {
    github: GitHubWorld,
    bot: Bot,
    hook: u64,
    pushes: usize,
}

impl Stand {
    /// The first page of each branch is deployed.
    fn new(clock: Clock) -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/site");
        let hook = github.hook("acme/site", SECRET);
        let mut bot = Bot::asleep(&Extra { engine: OTHERS, ..Extra::default() });
        bot.clock = clock;
        bot.ask_github(&github);
        bot.repo.git(&["remote", "add", "github", repository.bare().to_str().unwrap()]);
        bot.start();
        let mut this = Self { github, bot, hook, pushes: 0 };
        for (branch, _) in BRANCHES {
            this.begin(branch);
            this.push(branch, Sent::Well);
        }
        this.wait("the first pages", |this| this.bot.runs() == 4);
        this.settle();
        this.pushes = 0;
        this
    }

    /// A branch without history, which has a place of its own to deploy to.
    fn begin(&self, branch: &str) {
        let repo = &self.bot.repo;
        repo.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
        let appspec = std::fs::read_to_string(repo.work().join("appspec.yml")).unwrap();
        let dir = self.bot.dir.join("www").join(branch.replace('/', "-"));
        let line = appspec.lines().find(|it| it.contains("destination: ")).unwrap();
        repo.write("appspec.yml", &appspec.replace(line, &format!("    destination: {}", dir.display())), 0o644);
    }

    /// A new page on top of a branch. Gives its commit.
    fn push(&mut self, branch: &str, sent: Sent) -> String {
        let before = self.bare(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]);
        self.pushes += 1;
        let (repo, page) = (&self.bot.repo, format!("{branch} {}", self.pushes));
        let sha = repo.commit(&page, &[("index.html", &page)]).to_string();
        repo.git(&["push", "--quiet", "--force", "github", &format!("HEAD:refs/heads/{branch}")]);
        let forced = before.as_ref().is_some_and(|it| self.bare(&["merge-base", "--is-ancestor", it, &sha]).is_none());
        self.tell(branch, before.as_deref().unwrap_or(NOTHING), &sha, forced, sent);
        sha
    }

    /// Deletes a branch, whose last page is at this commit.
    fn delete(&self, branch: &str, last: &str, sent: Sent) {
        self.bot.repo.git(&["push", "--quiet", "github", &format!(":refs/heads/{branch}")]);
        self.tell(branch, last, NOTHING, false, sent);
    }

    fn tell(&self, branch: &str, before: &str, after: &str, forced: bool, sent: Sent) {
        let mut payload = push::payload("acme/site", after);
        payload["ref"] = json!(format!("refs/heads/{branch}"));
        payload["before"] = json!(before);
        payload["forced"] = json!(forced);
        payload["created"] = json!(before == NOTHING);
        payload["deleted"] = json!(after == NOTHING);
        let guid = guid(branch, after);
        match sent {
            Sent::Well => {
                let url = self.bot.url();
                let sending = self.github.send(self.hook, Some(&url), &guid, "push", &payload);
                assert_eq!(self.bot.runtime.block_on(sending), 202);
            }
            Sent::InVain => self.github.note(self.hook, 0, &guid, "push", &payload),
            Sent::To503 => self.github.note(self.hook, 503, &guid, "push", &payload),
            Sent::Never => {}
        }
    }

    /// What git says of the repository at GitHub; nothing where it fails.
    fn bare(&self, args: &[&str]) -> Option<String> {
        let dir = self.github.bare("acme/site");
        let mut git = landfall::clients::process::blocking_program("git");
        let output = git.arg("--git-dir").arg(dir).args(args).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// Waits, while the bot's own clock goes on.
    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.bot.wait_for(what, |bot| {
            bot.clock.advance(Duration::from_millis(200));
            is_so(self)
        });
    }

    /// Waits until nothing is open, and no status is either.
    fn settle(&self) {
        self.wait("every deployment to be over", |this| this.bot.app().ledger.unfinished().unwrap().is_empty());
        self.wait("every status to be final", |this| {
            let told = this.statuses();
            let is_told = |it: &Deployment| told.keys().any(|(sha, _)| *sha == it.order().sha.as_str());
            this.bot.deployments().iter().all(is_told) && told.values().all(|state| state != "pending")
        });
    }

    /// The last state of each commit under each name.
    fn statuses(&self) -> BTreeMap<(String, String), String> {
        self.github.statuses().into_iter().map(|it| ((it.sha, it.context), it.state)).collect()
    }

    /// The deployments of a commit.
    fn of(&self, sha: &str) -> Vec<Deployment> {
        self.bot.deployments().into_iter().filter(|it| it.order().sha.as_str() == sha).collect()
    }

    fn why(&self, sha: &str) -> Value {
        serde_json::from_str(&typed(&self.bot, &["why", sha, "--json"]).out).unwrap()
    }
}

fn guid(branch: &str, after: &str) -> String {
    format!("{}-{}", branch.replace('/', "-"), &after[..7])
}

/// The bot is down through twenty pushes, and for so long after.
fn twenty_pushes(clock: Clock, long: Duration) {
    let mut stand = Stand::new(clock);
    stand.bot.stop();
    let (git, mut lost) = (|stand: &Stand, args: &[&str]| stand.bot.repo.git(args), Vec::new());
    let mut push = |stand: &mut Stand, branch: &str, all: &[Sent]| -> Vec<String> {
        let made: Vec<String> = all.iter().map(|sent| stand.push(branch, *sent)).collect();
        lost.extend(
            made.iter()
                .zip(all)
                .filter(|(_, sent)| **sent != Sent::Never)
                .map(|(sha, _)| (branch.to_owned(), sha.clone())),
        );
        made
    };
    use Sent::{InVain, Never, To503};

    // The newest of main was never sent, and the one before neither.
    git(&stand, &["checkout", "--quiet", "main"]);
    let main = push(&mut stand, "main", &[InVain, InVain, To503, InVain, Never, Never]);
    // Two pages of staging are thrown away by the fourth.
    git(&stand, &["checkout", "--quiet", "staging"]);
    let mut staging = push(&mut stand, "staging", &[InVain, InVain, To503]);
    git(&stand, &["reset", "--quiet", "--hard", &staging[0]]);
    staging.extend(push(&mut stand, "staging", &[InVain, To503]));
    // `next` is deleted, and made again without its history.
    git(&stand, &["checkout", "--quiet", "next"]);
    let mut next = push(&mut stand, "next", &[InVain, Never]);
    stand.delete("next", &next[1], InVain);
    git(&stand, &["checkout", "--quiet", "--detach"]);
    git(&stand, &["branch", "--quiet", "--delete", "--force", "next"]);
    stand.begin("next");
    next.extend(push(&mut stand, "next", &[InVain, InVain, To503]));
    git(&stand, &["checkout", "--quiet", "release/1"]);
    let release = push(&mut stand, "release/1", &[InVain, Never, InVain, To503]);
    assert_eq!(stand.pushes, 20);

    stand.bot.clock.advance(long);
    stand.bot.start();
    let heads = [&main, &staging, &next, &release].map(|it| it.last().unwrap().clone());
    let live = |stand: &Stand, target: &str| {
        let name = landfall::domain::TargetName::parse(target).unwrap();
        stand.bot.app().ledger.target(&name).unwrap().live.map(|it| it.sha.to_string())
    };
    stand.wait("the newest of each", |stand| {
        BRANCHES.iter().zip(&heads).all(|((_, target), head)| live(stand, target).as_ref() == Some(head))
    });
    stand.wait("all that GitHub has a list of", |stand| {
        let known = |id: &str| stand.bot.app().ledger.delivery(&landfall::domain::DeliveryId::parse(id).unwrap());
        lost.iter().all(|(branch, sha)| known(&guid(branch, sha)).unwrap().is_some())
    });
    stand.settle();
    assert_eq!(stand.bot.runs(), 8, "each newest once, and none before it: {}", stand.bot.story());

    // Each older one says what became of it; those that nobody ever told of are not there. What was rewritten away is
    // superseded, too, where the newest is on its way before anybody looks at it.
    let ends = |shas: &[String]| -> Vec<String> {
        let is_rewritten = |it: &Deployment| matches!(it.state(), State::Refused { failure } if failure.code == "steps/rewritten-away");
        let end = |it: &Deployment| match it.state().name() {
            "superseded" => "superseded or rewritten",
            _ if is_rewritten(it) => "superseded or rewritten",
            other => other,
        };
        shas.iter().map(|sha| stand.of(sha).iter().map(end).collect::<Vec<_>>().join(" ")).collect()
    };
    let (told, untold) = ("superseded or rewritten", "");
    assert_eq!(ends(&main[..5]), [told, told, told, told, untold]);
    assert_eq!(ends(&staging[..4]), [told, told, told, told]);
    assert_eq!(ends(&next[..4]), [told, untold, told, told]);
    assert_eq!(ends(&release[..3]), [told, untold, told]);

    // What was caught up says so, and so does what was found by its head alone.
    let reason = |sha: &str| stand.why(sha)["plans"].to_string();
    for (_, sha) in &lost {
        assert!(reason(sha).contains("caught up from GitHub's list: sent at "), "{}", reason(sha));
    }
    assert!(reason(&heads[0]).contains("found by comparing heads"), "{}", reason(&heads[0]));
    assert!(reason(&main[2]).contains("503"), "{}", reason(&main[2]));
    let of_release = stand.of(&heads[3]).iter().find(|it| it.run().is_some()).map(Deployment::id).unwrap();
    let detail = stand.bot.runtime.block_on(stand.bot.app().board.deployment(of_release)).unwrap().unwrap();
    assert!(detail.caught_up.is_some_and(|it| it.contains("503")), "the API says it, too");

    // The next start finds nothing more.
    stand.bot.stop();
    stand.bot.start();
    stand.settle();
    assert_eq!(stand.bot.runs(), 8);
}

#[test]
fn the_newest_of_four_branches_is_deployed_once_after_twenty_pushes_that_the_bot_slept_through() {
    twenty_pushes(Clock::system(), Duration::ZERO);
}

#[test]
fn a_day_later_it_is_the_same() {
    twenty_pushes(Clock::manual(Clock::system().now()), Duration::from_secs(24 * 3600));
}
