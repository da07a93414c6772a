//! Checks `[login]`: who may sign in with GitHub, and whether GitHub can send them back to us.

use url::{Host, Url};

use super::as_meant::Login;
use super::check::{At, Checker};
use super::raw::Raw;
use super::raw_login::{RawAdmission, RawLogin};
use super::values::glob_trouble;
use super::written::Written;
use crate::domain::{Admission, Finding, Pattern, Role, Target};

const ROLES: [(&str, Role); 3] = [("read", Role::Read), ("deploy", Role::Deploy), ("admin", Role::Admin)];
/// Where GitHub sends people back to, beneath `public_url`.
const CALLBACK: &str = "/login/github";

impl Checker<'_> {
    pub(super) fn login(&mut self, raw: &Raw, public_url: Option<&str>, targets: &[Target]) -> Option<Login> {
        let written = raw.login.as_ref()?;
        let RawLogin { client_id, client_secret, allow: _ } = &written.value;
        if self.overlaid("LANDFALL_PUBLIC_URL", raw.public_url.as_ref()).is_none() {
            let finding = Finding::error("config/missing-key", "`login` is there, and `public_url` is missing");
            let help = "add `public_url = \"https://…\"` at the top: GitHub sends people back to it";
            self.reader.find(finding.help(help), &written.span);
        }
        self.warn_of_plain_text(public_url, written);
        let client_id = self.required(client_id.as_ref(), "client_id", "login", &written.span);
        if client_secret.is_none() {
            let help =
                "add `client_secret = { env = \"GITHUB_CLIENT_SECRET\" }`: the App's settings at GitHub make one";
            self.missing("client_secret", "login", help, &written.span);
        }
        let client_secret = client_secret.as_ref().and_then(|it| self.secret(it));
        let allow = self.admissions(written, targets);
        let callback = format!("{}{CALLBACK}", public_url?);
        Some(Login { client_id: client_id?.value, client_secret: client_secret?, callback, allow })
    }

    /// What opens a session would be read on the way.
    fn warn_of_plain_text(&mut self, public_url: Option<&str>, written: &Written<RawLogin>) {
        let Some(url) = public_url.and_then(|it| Url::parse(it).ok()) else { return };
        if url.scheme() == "http" && !url.host().is_some_and(is_near) {
            let message = format!("people who sign in are sent back to {url} unencrypted");
            let finding = Finding::warning("config/login-unencrypted", message);
            let help = "put a reverse proxy with TLS in front, and let `public_url` begin with `https://`";
            self.reader.find(finding.help(help), &written.span);
        }
    }

    fn admissions(&mut self, written: &Written<RawLogin>, targets: &[Target]) -> Vec<Admission> {
        let rules = written.value.allow.as_ref().map(|it| it.value.as_slice()).unwrap_or_default();
        if rules.is_empty() {
            let help = "add `[[login.allow]]` with `role = \"read\"` and `teams`, `organizations` or `people`";
            self.missing("allow", "login", help, &written.span);
        }
        let mut all: Vec<Admission> = Vec::new();
        for rule in rules {
            let admission = self.admission(rule, targets, &all);
            all.extend(admission);
        }
        all
    }

    fn admission(
        &mut self,
        written: &Written<RawAdmission>,
        targets: &[Target],
        before: &[Admission],
    ) -> Option<Admission> {
        let Written { value: raw, span } = written;
        let RawAdmission { role, targets: globs, people, teams, organizations } = raw;
        if role.is_none() {
            self.missing("role", "login.allow", "add `role = \"read\"`, `\"deploy\"` or `\"admin\"`", span);
        }
        let role = self.word(role.as_ref(), "login.allow.role", &ROLES);
        let is_late = |takes: &dyn Fn(&Admission) -> bool| before.iter().any(takes);
        let mut rule = Admission { role: role?, targets: vec![], people: vec![], teams: vec![], organisations: vec![] };
        for login in people.iter().flat_map(|it| &it.value) {
            if self.is_login(login, "login.allow.people") {
                self.warn_of_order(login, is_late(&|it| it.names(&login.value)));
                rule.people.push(login.value.clone());
            }
        }
        for team in teams.iter().flat_map(|it| &it.value) {
            let at = At::Span(team.span.clone());
            if let Some(fit) = self.fit(&at, "login.allow.teams", team.value.parse()) {
                self.warn_of_order(team, is_late(&|it| it.takes_team(&fit)));
                rule.teams.push(fit);
            }
        }
        for name in organizations.iter().flat_map(|it| &it.value) {
            if self.is_login(name, "login.allow.organizations") {
                self.warn_of_order(name, is_late(&|it| it.takes_all_of(&name.value)));
                rule.organisations.push(name.value.clone());
            }
        }
        if [people, teams, organizations].iter().all(|it| it.as_ref().is_none_or(|it| it.value.is_empty())) {
            self.bad(span, "`login.allow` lets nobody in", "add `teams`, `organizations` or `people`");
        }
        rule.targets = self.held_to(globs.as_ref(), rule.role, targets);
        Some(rule)
    }

    /// The first rule that fits counts.
    fn warn_of_order(&mut self, name: &Written<String>, is_late: bool) {
        if is_late {
            let message = format!("`{}` is let in by an earlier rule, and the first that fits counts", name.value);
            let help = "take it out, or put this `[[login.allow]]` before the other";
            self.reader.find(Finding::warning("config/unused", message).help(help), &name.span);
        }
    }

    fn held_to(
        &mut self,
        globs: Option<&Written<Vec<Written<String>>>>,
        role: Role,
        targets: &[Target],
    ) -> Vec<Pattern> {
        let Some(globs) = globs else { return Vec::new() };
        if role != Role::Deploy {
            let message = format!("`login.allow.targets` holds nobody of the role `{role}`");
            let help = "take it out, or write `role = \"deploy\"`: who may read, may read everything";
            self.bad(&globs.span, message, help);
        }
        if globs.value.is_empty() {
            let help = "name targets, as in `[\"shop-*\"]`, or leave it out: then it is all";
            self.bad(&globs.span, "`login.allow.targets` is empty", help);
        }
        for glob in &globs.value {
            let pattern = Pattern::from(glob.value.as_str());
            if let Some(why) = glob_trouble(&glob.value) {
                self.bad_pattern(glob, &why);
            } else if !targets.iter().any(|it| pattern.takes(it.name.as_str())) {
                let finding = Finding::warning("config/unknown-target", format!("no target is `{}`", glob.value));
                self.reader.find(finding.help("name a `[[target]]`, or several by a glob"), &glob.span);
            }
        }
        globs.value.iter().map(|it| it.value.as_str().into()).collect()
    }
}

/// Whether it is this machine or one of a private network, as far as its address says.
fn is_near(host: Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(it) => it.is_loopback() || it.is_private(),
        Host::Ipv6(it) => it.is_loopback() || it.is_unique_local(),
    }
}
