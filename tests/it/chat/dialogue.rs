//! The whole dialogue of a deployment from its beginning over its progress to each of its ends, as a place hears it that
//! edits its message, one that edits by a webhook, and one that only posts.

use std::fmt::Write;

use expect_test::{ExpectFile, expect_file};
use landfall::domain::{Cause, CommitSha, DeploymentEvent as E, DeploymentId, Failure, Hold, HoldKind, News, Order};
use landfall::ledger::Birth;
use landfall::report::Reports;
use serde_json::Value;

use super::Place;
use super::outbox::{Heard, steps};
use crate::worlds::chat::reading::Reading;
use crate::worlds::chat::{discord, slack, teams};

/// A place, what tells it, and how its messages are read.
struct Dialogue {
    heard: Heard,
    reports: Reports,
    read: fn(&Value) -> Reading,
    commits: Vec<(String, CommitSha)>,
    told: String,
}

impl Dialogue {
    fn with(place: Place, read: fn(&Value) -> Reading) -> Self {
        let heard = Heard::by(place);
        let reports = heard.reports();
        Self { heard, reports, read, commits: vec![], told: String::new() }
    }

    /// A push, by whose name its commit goes from now on.
    async fn pushed(&mut self, name: &str) -> (CommitSha, DeploymentId) {
        self.heard.world.seconds(60);
        writeln!(self.told, "{name}").unwrap();
        let (sha, id) = self.heard.pushed(name).await;
        self.commits.push((name.into(), sha.clone()));
        (sha, id)
    }

    /// Something happens, and whoever is to be told is told.
    async fn happens(&mut self, id: DeploymentId, event: E) {
        self.heard.world.append(id, event).await;
        self.hear().await;
    }

    /// Its beginning, the way to the engine, and one step there.
    async fn runs(&mut self, id: DeploymentId, sha: &CommitSha) {
        self.heard.world.append(id, E::Weighing).await;
        let (head, commit) = (sha.clone(), sha.clone());
        self.happens(id, E::Weighed { head, commit, forced: false, doubt: None }).await;
        self.heard.world.release(id).await;
        steps(&self.heard.world, id, &["BeforeInstall"]).await;
        self.hear().await;
    }

    async fn succeeds(&mut self, id: DeploymentId) {
        self.heard.world.succeed(id).await;
        self.hear().await;
    }

    /// What is told some seconds later: a line for how, and all that a reader sees.
    async fn hear(&mut self) {
        self.heard.world.seconds(5);
        self.reports.run_to_idle().await.unwrap();
        for told in self.heard.place.chats.take() {
            let way = match (told.method.as_str(), told.path.rsplit('/').next().unwrap_or_default()) {
                _ if !told.body["thread_ts"].is_null() => "beneath",
                ("PATCH", _) | (_, "chat.update") => "edits",
                _ => "says",
            };
            let seen = (self.read)(&told.body).text;
            let seen =
                self.commits.iter().fold(seen, |seen, (name, sha)| seen.replace(sha.short(), &format!("<{name}>")));
            let words: Vec<&str> = seen.split_whitespace().collect();
            writeln!(self.told, "  {way}: {}", words.join(" ")).unwrap();
        }
    }

    /// Every way that a deployment can go.
    async fn all(mut self, expected: ExpectFile) {
        let (sha, live) = self.pushed("lives").await;
        self.runs(live, &sha).await;
        self.succeeds(live).await;

        let (sha, id) = self.pushed("fails").await;
        self.runs(id, &sha).await;
        let failure = Failure::revision("host/script-failed", "`check.sh` ended with 7").help("mend it");
        let cause = Cause::Rollback { actor: None, key: None, to: Some(live), run: None };
        let before = self.commits[0].1.clone();
        let order = Order { parent: Some(id), ..self.heard.order(&before, cause) };
        let births = vec![Birth { order, kind: "rollback".into() }];
        let back = self.heard.world.append_with(id, E::Failed { failure }, births).await[0];
        self.hear().await;
        writeln!(self.told, "its rollback").unwrap();
        self.runs(back, &before).await;
        self.succeeds(back).await;

        let (sha, id) = self.pushed("fails again").await;
        self.runs(id, &sha).await;
        self.happens(id, E::Failed { failure: Failure::revision("host/script-failed", "no") }).await;
        let (sha, id) = self.pushed("recovers").await;
        self.runs(id, &sha).await;
        self.succeeds(id).await;

        let (sha, id) = self.pushed("waits and goes").await;
        self.heard.world.append(id, E::Weighing).await;
        let locked = Hold { kind: HoldKind::Lock, reason: "`blog` is locked by ada: fair".into(), until: None };
        self.happens(id, E::Held { hold: locked.clone() }).await;
        self.runs(id, &sha).await;
        self.succeeds(id).await;

        let (_, older) = self.pushed("waits and is superseded").await;
        self.heard.world.append(older, E::Weighing).await;
        self.happens(older, E::Held { hold: locked }).await;
        let (by, newer) = self.pushed("is newer").await;
        self.happens(older, E::Superseded { by: by.clone(), deployment: Some(newer) }).await;
        self.runs(newer, &by).await;
        self.happens(newer, E::StopAsked { actor: "ada".into(), rollback: false }).await;
        self.happens(newer, E::Stopped { actor: "ada".into(), failure: None }).await;

        let (_, id) = self.pushed("is refused").await;
        self.heard.world.append(id, E::Weighing).await;
        self.happens(id, E::Refused { failure: Failure::revision("steps/no-appspec", "no `appspec.yml`") }).await;
        let (_, id) = self.pushed("is left out").await;
        self.heard.world.append(id, E::Weighing).await;
        self.happens(id, E::Skipped { reason: "`[skip deploy]` in its message".into() }).await;
        expected.assert_eq(&self.told);
    }
}

#[tokio::test]
async fn a_bot_of_slack_hears_every_end_in_one_message_with_the_steps_beneath_it() {
    Dialogue::with(super::slack::bot(), slack::read).all(expect_file!["dialogue_slack_bot.txt"]).await;
}

#[tokio::test]
async fn discord_hears_every_end_in_one_message() {
    Dialogue::with(Place::of("discord", "175928847299117063"), discord::read)
        .all(expect_file!["dialogue_discord.txt"])
        .await;
}

#[tokio::test]
async fn teams_hears_the_beginning_and_every_end_that_it_asks_for() {
    let place = Place::written("teams", "ada@example.com", |_| {
        let on: Vec<&str> = News::ALL.iter().map(|it| it.as_str()).collect();
        format!("webhook = {{ file = \"hook\" }}\non = {on:?}")
    });
    Dialogue::with(place, teams::read).all(expect_file!["dialogue_teams.txt"]).await;
}
