//! Checks `[github]`: its address, its token, and that at least one webhook secret is there.

use std::ops::Range;

use super::as_meant::{GitHub, Hook};
use super::check::{At, Checker};
use super::raw::{RawGitHub, RawHook, RawSecret};
use super::secret::SecretRef;
use super::values::{duration, glob_trouble, web_address};
use super::written::Written;
use crate::domain::{Finding, RepositoryName};

const API_URL: &str = "https://api.github.com";

const NO_SECRET: &str = "make one with `openssl rand -hex 32 > webhook-secret`, give it to GitHub's webhook, and write \
                         `webhook_secrets = [{ file = \"webhook-secret\" }]` under `[github]`; or run `landfall init`";

impl Checker<'_> {
    pub(super) fn github(&mut self, written: Option<&Written<RawGitHub>>) -> GitHub {
        let raw = written.map(|it| &it.value);
        let api_url = raw.and_then(|it| it.api_url.as_ref()).and_then(|it| {
            let at = At::Span(it.span.clone());
            self.fit(&at, "github.api_url", web_address(&it.value))
        });
        let webhook_secrets = self.secrets(raw.and_then(|it| it.webhook_secrets.as_ref()));
        let mut hooks = Vec::new();
        for hook in raw.and_then(|it| it.hooks.as_ref()).into_iter().flat_map(|it| &it.value) {
            hooks.push(self.hook(hook));
        }
        let token = raw.and_then(|it| it.token.as_ref()).and_then(|it| self.secret(it));
        let between_writes = raw.and_then(|it| it.between_writes.as_ref());
        let between_writes = self.parsed(between_writes, "github.between_writes", duration);
        if let Some(app) = raw.and_then(|it| it.app.as_ref()) {
            let finding = Finding::error("config/not-yet", "`[github.app]` is not available yet");
            self.reader.find(finding.help("use `token` under `[github]` and take `[github.app]` out"), &app.span);
        }
        if raw.is_none_or(|it| it.webhook_secrets.is_none() && it.hooks.is_none()) {
            self.no_secret(written.map(|it| &it.span));
        }
        let api_url = api_url.unwrap_or_else(|| API_URL.to_owned());
        GitHub { api_url, webhook_secrets, hooks, token, between_writes }
    }

    fn no_secret(&mut self, span: Option<&Range<usize>>) {
        let message = "no webhook secret is configured: anyone could deploy, so landfall does not start";
        let finding = Finding::error("config/no-webhook-secret", message).help(NO_SECRET);
        match span {
            Some(span) => self.reader.find(finding, span),
            None => self.reader.findings.push(finding),
        }
    }

    fn secrets(&mut self, written: Option<&Written<Vec<Written<RawSecret>>>>) -> Vec<SecretRef> {
        let Some(written) = written else { return Vec::new() };
        if written.value.is_empty() {
            self.no_secret(Some(&written.span));
        }
        written.value.iter().filter_map(|it| self.secret(it)).collect()
    }

    fn hook(&mut self, written: &Written<RawHook>) -> Hook {
        let Written { value: raw, span } = written;
        let patterns = raw.repositories.as_ref().map(|it| it.value.as_slice()).unwrap_or_default();
        if patterns.is_empty() {
            self.missing("repositories", "github.hooks", "add `repositories = [\"owner/*\"]`", span);
        }
        for pattern in patterns {
            if let Some(why) = glob_trouble(&pattern.value) {
                self.bad_pattern(pattern, &why);
            } else if pattern.value.matches('/').count() != 1 {
                let message = format!("`{}` is not a pattern for `owner/name`", pattern.value);
                self.bad(&pattern.span, message, "write it as `owner/name` or `owner/*`");
            }
        }
        if raw.secrets.is_none() {
            self.missing("secrets", "github.hooks", "add `secrets = [{ file = \"path\" }]`", span);
        }
        Hook {
            repositories: patterns.iter().map(|it| it.value.to_lowercase()).collect(),
            secrets: self.secrets(raw.secrets.as_ref()),
        }
    }

    pub(super) fn bad_pattern(&mut self, pattern: &Written<String>, why: &str) {
        let message = format!("`{}` is not a pattern: {why}", pattern.value);
        let help = "`*` stands for anything up to a slash, `**` for anything, `[ab]` and `{a,b}` for one of them";
        self.reader.find(Finding::error("config/bad-glob", message).help(help), &pattern.span);
    }
}

impl GitHub {
    /// Whether any secret could have signed for this repository.
    pub fn has_secret_for(&self, repository: &RepositoryName) -> bool {
        !self.webhook_secrets.is_empty() || self.hooks.iter().any(|hook| hook.speaks_for(repository.as_str()))
    }
}

impl Hook {
    /// Whether its secrets may speak for this repository.
    pub fn speaks_for(&self, repository: &str) -> bool {
        let name = repository.to_lowercase();
        self.repositories.iter().any(|pattern| {
            globset::GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .is_ok_and(|glob| glob.compile_matcher().is_match(&name))
        })
    }
}
