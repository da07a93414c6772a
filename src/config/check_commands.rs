//! Checks `[commands]` and each target's own: who may ask for something in chat and in comments.

use std::collections::BTreeMap;

use super::as_meant::{Chat, ChatKind, Commands};
use super::check::{At, Checker, flag};
use super::raw::{Raw, RawPermit};
use super::written::Written;
use crate::domain::{Finding, Level, Permit, TargetName, Team};

const LEVELS: [(&str, Level); 4] =
    [("triage", Level::Triage), ("write", Level::Write), ("maintain", Level::Maintain), ("admin", Level::Admin)];

impl Checker<'_> {
    pub(super) fn commands(&mut self, raw: &Raw, chats: &[Chat]) -> Commands {
        let written = raw.commands.as_ref().map(|it| &it.value);
        let usual = written.map_or_else(Permit::default, |it| {
            let (level, teams, people) = (it.level.clone(), it.teams.clone(), it.people.clone());
            self.permit(&RawPermit { level, teams, people }, "commands", &Permit::default())
        });
        let mut permits = BTreeMap::new();
        for target in raw.target.iter().flat_map(|it| &it.value) {
            let Some(name) = target.value.name.as_ref().and_then(|it| TargetName::parse(it.value.clone()).ok()) else {
                continue;
            };
            let own = target.value.commands.as_ref().map(|it| self.permit(&it.value, "target.commands", &usual));
            if let (Some(written), None) = (&target.value.commands, &raw.commands) {
                let finding = Finding::warning("config/unused", "`target.commands` has no effect: nobody is heard");
                self.reader
                    .find(finding.help("add `[commands]` with `comments = true`, or take it out"), &written.span);
            }
            permits.insert(name, own.unwrap_or_else(|| usual.clone()));
        }
        Commands {
            slack_signing_secret: written
                .and_then(|it| it.slack_signing_secret.as_ref())
                .and_then(|it| self.secret(it)),
            comments: flag(written.and_then(|it| it.comments.as_ref())),
            permits,
            of_slack: self.of_slack(raw, chats),
        }
    }

    /// Who may: as usual, unless anything is said of it.
    fn permit(&mut self, raw: &RawPermit, table: &str, usual: &Permit) -> Permit {
        let level = self.word(raw.level.as_ref(), &format!("{table}.level"), &LEVELS);
        let (teams, people) = (raw.teams.as_ref(), raw.people.as_ref());
        if raw.level.is_none() && teams.is_none() && people.is_none() {
            return usual.clone();
        }
        let mut all_teams: Vec<Team> = Vec::new();
        for team in teams.into_iter().flat_map(|it| &it.value) {
            all_teams.extend(self.fit(&At::Span(team.span.clone()), &format!("{table}.teams"), team.value.parse()));
        }
        let mut logins = Vec::new();
        for login in people.into_iter().flat_map(|it| &it.value) {
            if self.is_login(login, &format!("{table}.people")) {
                logins.push(login.value.clone());
            }
        }
        Permit { level, teams: all_teams, people: logins }
    }

    /// Who is who in Slack, for whoever presses a button there.
    fn of_slack(&mut self, raw: &Raw, chats: &[Chat]) -> BTreeMap<String, String> {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let is_slack = |chat: &&Chat| matches!(chat.kind, ChatKind::Slack { .. } | ChatKind::SlackBot { .. });
        for (login, id) in chats.iter().filter(is_slack).flat_map(|it| &it.people) {
            let other = known.insert(id.clone(), login.clone()).filter(|it| !it.eq_ignore_ascii_case(login));
            if let (Some(other), Some(written)) = (other, &raw.commands) {
                let message = format!("`{id}` of Slack is `{other}` in one place, and `{login}` in another");
                let finding = Finding::error("config/two-people", message);
                let help = "let `chat.people` say the same everywhere: who asks from Slack is known by it";
                self.reader.find(finding.help(help), &written.span);
            }
        }
        known
    }

    /// Whether that can be a login at GitHub; a finding where it cannot.
    pub(super) fn is_login(&mut self, login: &Written<String>, key: &str) -> bool {
        let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
        let is_login = !login.value.is_empty() && login.value.chars().all(fits);
        if !is_login {
            let message = format!("`{key}` is `{}`, which is no login at GitHub", login.value);
            self.bad(&login.span, message, "write the login alone, as in `octocat`");
        }
        is_login
    }
}
