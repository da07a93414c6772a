//! Places in chat that are away, hang or are busy, and a whole bot that tells them: no deployment waits for any of them, and
//! once they are back each of them hears how every deployment ended.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use landfall::domain::{Event, Stream};

use crate::bot::{Bot, Extra};
use crate::worlds::chat::{Chats, Deserted, Turn, path_of};
use crate::worlds::github::GitHubWorld;
use crate::worlds::repository::Repository;

/// A bot that tells GitHub, one place that is well, and some that are not.
struct Town {
    github: GitHubWorld,
    repository: Repository,
    bot: Bot,
    well: Chats,
    pages: Vec<String>,
}

impl Town {
    /// `others`: the names of the other places, their services and addresses.
    fn telling(others: &[(&str, &str, &str)]) -> Self {
        let (github, well) = (GitHubWorld::start(), Chats::start());
        let repository = github.repository("acme/site");
        let mut bot = Bot::asleep(&Extra::default());
        bot.ask_github(&github);
        let mut text = String::new();
        let mut names = vec![];
        for (name, service, url) in others.iter().chain(&[("well", "slack", well.url())]) {
            let hook = bot.dir.join(format!("hook-{name}"));
            std::fs::write(&hook, format!("{url}/{}", path_of(service))).unwrap();
            std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o600)).unwrap();
            text += &format!("[[chat]]\nname = \"{name}\"\nkind = \"{service}\"\nwebhook = {{ file = {hook:?} }}\n");
            names.push(*name);
        }
        bot.change("branches = [\"main\"]", &format!("branches = [\"main\"]\nnotify = {names:?}"));
        bot.change("[server]", &format!("{text}[server]"));
        bot.start();
        Self { github, repository, bot, well, pages: vec![] }
    }

    /// Deploys so many pages, one after the other.
    fn deploy(&mut self, pages: usize) {
        for _ in 0..pages {
            let number = self.pages.len();
            let sha = self.bot.commit(&format!("page {number}"));
            self.bot.repo.git(&["push", "--quiet", self.repository.bare().to_str().unwrap(), "HEAD:main"]);
            self.bot.deliver(&format!("delivery-{number}"), &sha);
            self.bot.settle();
            assert_eq!(self.bot.page(), format!("page {number}"), "{}", self.bot.story());
            self.pages.push(sha);
        }
    }

    /// Waits until GitHub and the place that is well know how every deployment ended.
    fn is_told(&self) {
        self.bot.wait_for("the last word at GitHub", |_| {
            let live = |sha: &String| self.github.statuses().iter().any(|it| it.sha == *sha && it.state == "success");
            self.pages.iter().all(live)
        });
        self.hears(&self.well);
    }

    /// Waits until a place took the last word of every deployment.
    fn hears(&self, chats: &Chats) {
        self.bot.wait_for("the last word in chat", |_| self.ends(chats).iter().all(|count| *count > 0));
    }

    /// How often a place took the last word of each deployment, after which nothing is said of it any more.
    fn ends(&self, chats: &Chats) -> Vec<usize> {
        let taken = chats.taken();
        let count = |sha: &String| {
            let short = &sha[..7];
            let (live, under_way) = (format!("is live {short}"), format!("deploying {short}"));
            let first = taken.iter().position(|it| it.contains(&live));
            let late = first.is_some_and(|first| taken[first..].iter().any(|it| it.contains(&under_way)));
            assert!(!late, "{under_way} after {live}:\n{taken:#?}");
            taken.iter().filter(|it| it.contains(&live)).count()
        };
        self.pages.iter().map(count).collect()
    }

    /// What happened to each deployment, oldest first, but for progress, which goes by time.
    fn courses(&self) -> Vec<Vec<String>> {
        let of = |id| {
            let story = self.bot.app().ledger.story(&Stream::Deployment(id)).unwrap();
            let kinds = story.into_iter().filter_map(|it| match it.event {
                Event::Deployment(event) => serde_json::to_value(event).unwrap()["kind"].as_str().map(str::to_owned),
                Event::Delivery(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => None,
            });
            kinds.filter(|kind| kind != "progressed").collect()
        };
        self.bot.deployments().iter().rev().map(|it| of(it.id())).collect()
    }

    /// How long a deployment took, in the mean.
    fn took(&self) -> Duration {
        let deployments = self.bot.deployments();
        let took = deployments.iter().map(|it| it.ended_at().unwrap().duration_since(it.created_at()));
        let all: Duration = took.map(|it| Duration::try_from(it).unwrap()).sum();
        all / u32::try_from(deployments.len()).unwrap()
    }

    /// Waits until these places are shown to take no message.
    fn shows(&self, places: &[&str]) {
        self.bot.wait_for("what is down to be shown", |_| {
            let down = self.down();
            places.iter().all(|it| down.iter().any(|place| place == it))
        });
    }

    fn down(&self) -> Vec<String> {
        self.bot.app().board.outages().now().into_iter().map(|it| it.place).collect()
    }
}

#[test]
fn places_that_hang_are_busy_or_away_cost_no_deployment_anything_and_hear_every_end() {
    let mut quiet = Town::telling(&[]);
    quiet.deploy(5);
    quiet.is_told();

    let (hanging, busy, away) = (Chats::start(), Chats::start(), Deserted::new());
    hanging.mood(Some(Turn::Hangs));
    busy.mood(Some(Turn::Busy(1)));
    let others =
        [("hanging", "discord", hanging.url()), ("busy", "mattermost", busy.url()), ("away", "slack", &away.url())];
    let mut loud = Town::telling(&others);
    loud.deploy(1);
    loud.is_told();
    loud.bot.wait_for("the one that hangs to be asked", |_| hanging.heard() > 0);
    let answered = loud.bot.app().ledger.latest(&Stream::Sink("chat-hanging".into()), None, 1).unwrap();
    assert_eq!(answered, [], "its first message is under way still, while all others know the end");
    loud.deploy(4);
    loud.is_told();
    assert_eq!((hanging.taken().len(), busy.taken().len()), (0, 0), "they answered nobody, and all was told elsewhere");
    assert_eq!(loud.courses(), quiet.courses());
    println!(
        "a deployment took {:?} beside places that hang, are busy and away, {:?} without",
        loud.took(),
        quiet.took()
    );
    loud.shows(&["chat-away", "chat-busy"]);

    hanging.mood(None);
    busy.mood(None);
    let away = away.settle();
    for place in [&hanging, &busy, &away] {
        loud.hears(place);
    }
    assert_eq!((loud.ends(&busy), loud.ends(&away), loud.ends(&loud.well)), (vec![1; 5], vec![1; 5], vec![1; 5]));
    loud.bot.wait_for("nothing to be shown", |_| loud.down().is_empty());
}

#[test]
fn a_restart_while_places_are_down_loses_no_last_word_and_says_none_twice() {
    let (busy, away) = (Chats::start(), Deserted::new());
    busy.mood(Some(Turn::Busy(1)));
    let mut town = Town::telling(&[("busy", "mattermost", busy.url()), ("away", "discord", &away.url())]);
    town.deploy(2);
    town.is_told();
    town.shows(&["chat-away", "chat-busy"]);
    town.bot.stop();
    town.bot.start();
    town.shows(&["chat-away", "chat-busy"]);
    town.deploy(1);
    town.is_told();
    busy.mood(None);
    let away = away.settle();
    for place in [&busy, &away, &town.well] {
        town.hears(place);
        assert_eq!(town.ends(place), [1, 1, 1]);
    }
}
