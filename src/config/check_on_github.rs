//! Checks `[target.github]`: what is said of a target at GitHub, and in which words.

use std::collections::BTreeMap;

use super::as_meant::GitHub;
use super::check::{At, Checker, flag};
use super::check_promotions::Read;
use super::raw::RawOnGitHub;
use super::values::web_address;
use super::written::{Written, listed, nearest};
use crate::domain::{Finding, OnGitHub, SourceSpec, is_own, names_in};

impl Checker<'_> {
    pub(super) fn on_github(&mut self, written: Option<&Written<RawOnGitHub>>) -> OnGitHub {
        let Some(Written { value: raw, .. }) = written else { return OnGitHub::default() };
        let text = |written: &Option<Written<String>>| written.as_ref().map(|it| it.value.clone());
        let switch = |written: &Option<Written<bool>>| written.as_ref().map(|it| it.value);
        self.template(raw.context.as_ref(), "github.context", OnGitHub::IN_CONTEXT);
        self.template(raw.description.as_ref(), "github.description", OnGitHub::IN_DESCRIPTION);
        self.template(raw.environment_url.as_ref(), "github.environment_url", OnGitHub::IN_URL);
        if let Some(description) = raw.description.as_ref().filter(|it| !it.value.contains("{text}")) {
            let message = "`github.description` leaves out what happens";
            self.bad(&description.span, message, "put `{text}` where Landfall's own words go");
        }
        if let Some(url) = &raw.environment_url {
            // With something in the place of its names, it has to be an address.
            let tried = url.value.replace(['{', '}'], "");
            self.fit(&At::Span(url.span.clone()), "github.environment_url", web_address(&tried));
        }
        OnGitHub {
            context: text(&raw.context),
            description: text(&raw.description),
            deployments: switch(&raw.deployments),
            checks: switch(&raw.checks),
            comments: flag(raw.comments.as_ref()),
            environment_url: text(&raw.environment_url),
            production: switch(&raw.production),
            transient: flag(raw.transient.as_ref()),
        }
    }

    fn template(&mut self, written: Option<&Written<String>>, key: &str, known: &[&str]) {
        let Some(written) = written else { return };
        if written.value.trim().is_empty() {
            self.bad(&written.span, format!("`{key}` is empty"), "write something, or leave it out");
        }
        for name in names_in(&written.value).filter(|name| !known.contains(name)) {
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => format!("it may name {}", listed(known)),
            };
            self.bad(&written.span, format!("`{{{name}}}` stands for nothing in `{key}`"), help);
        }
    }

    /// Finds what a target asks for at GitHub and nobody could say there.
    pub(super) fn warn_of_what_is_never_said(&mut self, all: &[Read], github: &GitHub) {
        for (written, target) in all {
            let (Some(target), Some(raw)) = (target, &written.value.github) else { continue };
            let RawOnGitHub { deployments, checks, comments, .. } = &raw.value;
            let asked_for = [("deployments", deployments), ("checks", checks), ("comments", comments)];
            for (key, asked_for) in asked_for {
                let Some(asked_for) = asked_for.as_ref().filter(|it| it.value) else { continue };
                let (why, help) = if target.source != SourceSpec::GitHub {
                    ("this target's commits do not come from GitHub", "leave it out, or take `source` out")
                } else if key == "checks" && !github.has_app_for(&target.repository) {
                    (
                        "only a GitHub App may make check runs",
                        "make a GitHub App and write `[github.app]`, or leave it out",
                    )
                } else if !github.has_identity_for(&target.repository) {
                    ("nobody speaks for the repository there", "make a GitHub App, or write a `token` under `[github]`")
                } else {
                    continue;
                };
                let message = format!("`github.{key} = true` shows nothing: {why}");
                self.reader.find(Finding::warning("config/never-said", message).help(help), &asked_for.span);
            }
        }
    }

    /// Finds targets of one repository whose commit statuses would have one name: each would overwrite the other's.
    pub(super) fn find_shared_contexts(&mut self, all: &[Read]) {
        let mut taken = BTreeMap::new();
        for (written, target) in all {
            let Some(target) = target.filter(|it| it.source == SourceSpec::GitHub) else { continue };
            let context = target.github.context_of(target);
            let itself = target.require_checks.iter().find(|it| !is_own(&context) && it.takes(&context));
            if let (Some(_), Some(checks)) = (itself, &written.value.require_checks) {
                let message = format!("`{context}` is what this target says itself: it would wait for its own end");
                let help = "name the checks it waits for so that its own `context` is not among them";
                self.reader.find(Finding::error("config/waits-for-itself", message).help(help), &checks.span);
            }
            let context = context.to_lowercase();
            let place = (target.repository.as_str().to_lowercase(), context.clone());
            // Two of one name are found where names are.
            if *taken.entry(place).or_insert(&target.name) != &target.name {
                let raw = written.value.github.as_ref().and_then(|it| it.value.context.as_ref());
                let message = format!("another target of `{}` says `{context}` on commits", target.repository);
                let finding = Finding::error("config/context-taken", message);
                let help = "put `{target}` into `context`: GitHub keeps one status of a name, whatever its case";
                self.reader.find(finding.help(help), raw.map_or(&written.span, |it| &it.span));
            }
        }
    }
}
