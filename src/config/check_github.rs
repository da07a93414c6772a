//! Checks `[github]`: its address, its token, its Apps, and that at least one webhook secret is there.

use std::ops::Range;

use super::as_meant::{GitHub, GitHubApp, Hook};
use super::check::{At, Checker};
use super::raw::{RawApp, RawGitHub, RawHook, RawOwnersApp, RawSecret};
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
        let apps = self.apps(raw);
        if raw.is_none_or(|it| it.webhook_secrets.is_none() && it.hooks.is_none()) {
            self.no_secret(written.map(|it| &it.span));
        }
        let api_url = api_url.unwrap_or_else(|| API_URL.to_owned());
        GitHub { webhook_secrets, hooks, token, apps, between_writes, ..GitHub::at(api_url) }
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
        let repositories = self.repositories(raw.repositories.as_ref(), "github.hooks", span);
        if raw.secrets.is_none() {
            self.missing("secrets", "github.hooks", "add `secrets = [{ file = \"path\" }]`", span);
        }
        Hook { repositories, secrets: self.secrets(raw.secrets.as_ref()) }
    }

    /// Those of some repositories first: `[github.app]` speaks for the rest.
    fn apps(&mut self, raw: Option<&RawGitHub>) -> Vec<GitHubApp> {
        let mut apps = Vec::new();
        for app in raw.and_then(|it| it.apps.as_ref()).into_iter().flat_map(|it| &it.value) {
            let Written { value: RawOwnersApp { repositories, id, private_key, installation }, span } = app;
            let repositories = self.repositories(repositories.as_ref(), "github.apps", span);
            apps.extend(
                self.app(id.as_ref(), private_key.as_ref(), installation.as_ref(), "github.apps", span)
                    .map(|app| GitHubApp { repositories, ..app }),
            );
        }
        if let Some(Written { value: RawApp { id, private_key, installation }, span }) =
            raw.and_then(|it| it.app.as_ref())
        {
            apps.extend(self.app(id.as_ref(), private_key.as_ref(), installation.as_ref(), "github.app", span));
        }
        apps
    }

    /// One App, which speaks for every repository until it is told otherwise.
    fn app(
        &mut self,
        id: Option<&Written<u32>>,
        private_key: Option<&Written<RawSecret>>,
        installation: Option<&Written<u32>>,
        table: &str,
        span: &Range<usize>,
    ) -> Option<GitHubApp> {
        if id.is_none() {
            self.missing("id", table, "add `id = NUMBER`: the App's settings on GitHub say which", span);
        }
        if private_key.is_none() {
            let help = "add `private_key = { file = \"app.pem\" }`: the App's settings on GitHub make one";
            self.missing("private_key", table, help, span);
        }
        let private_key = self.secret(private_key?);
        let every = vec!["*/*".to_owned()];
        let installation = installation.map(|it| it.value);
        Some(GitHubApp { repositories: every, id: id?.value, private_key: private_key?, installation })
    }

    /// Patterns of repositories, lowercase.
    fn repositories(
        &mut self,
        written: Option<&Written<Vec<Written<String>>>>,
        table: &str,
        span: &Range<usize>,
    ) -> Vec<String> {
        let patterns = written.map(|it| it.value.as_slice()).unwrap_or_default();
        if patterns.is_empty() {
            self.missing("repositories", table, "add `repositories = [\"owner/*\"]`", span);
        }
        for pattern in patterns {
            if let Some(why) = glob_trouble(&pattern.value) {
                self.bad_pattern(pattern, &why);
            } else if pattern.value.matches('/').count() != 1 {
                let message = format!("`{}` is not a pattern for `owner/name`", pattern.value);
                self.bad(&pattern.span, message, "write it as `owner/name` or `owner/*`");
            }
        }
        patterns.iter().map(|it| it.value.to_lowercase()).collect()
    }

    pub(super) fn bad_pattern(&mut self, pattern: &Written<String>, why: &str) {
        let message = format!("`{}` is not a pattern: {why}", pattern.value);
        let help = "`*` stands for anything up to a slash, `**` for anything, `[ab]` and `{a,b}` for one of them";
        self.reader.find(Finding::error("config/bad-glob", message).help(help), &pattern.span);
    }
}

impl GitHub {
    /// The API at this address, with nothing to show it.
    pub fn at(api_url: impl Into<String>) -> Self {
        let (webhook_secrets, hooks, apps) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            api_url: api_url.into(),
            webhook_secrets,
            hooks,
            token: None,
            apps,
            between_writes: None,
            hears_comments: false,
            asks_for_teams: false,
        }
    }

    /// Where people see what the API at this address tells.
    pub fn site_of(api_url: &str) -> String {
        match api_url.trim_end_matches('/') {
            API_URL => "https://github.com".to_owned(),
            other => match other.strip_prefix("https://api.") {
                Some(host) if host.ends_with(".ghe.com") => format!("https://{host}"),
                Some(_) | None => other.trim_end_matches("/api/v3").to_owned(),
            },
        }
    }

    /// Whether GitHub is asked as somebody where this repository is concerned.
    pub fn has_identity_for(&self, repository: &RepositoryName) -> bool {
        self.token.is_some() || self.has_app_for(repository)
    }

    /// Whether GitHub is asked as an App where this repository is concerned.
    pub fn has_app_for(&self, repository: &RepositoryName) -> bool {
        self.apps.iter().any(|app| app.speaks_for(repository.as_str()))
    }

    /// Whether any secret could have signed for this repository.
    pub fn has_secret_for(&self, repository: &RepositoryName) -> bool {
        !self.webhook_secrets.is_empty() || self.hooks.iter().any(|hook| hook.speaks_for(repository.as_str()))
    }
}

impl Hook {
    /// Whether its secrets may speak for this repository.
    pub fn speaks_for(&self, repository: &str) -> bool {
        some_fits(&self.repositories, repository)
    }
}

impl GitHubApp {
    /// Whether it speaks for this repository.
    pub fn speaks_for(&self, repository: &str) -> bool {
        some_fits(&self.repositories, repository)
    }
}

fn some_fits(patterns: &[String], repository: &str) -> bool {
    let name = repository.to_lowercase();
    patterns.iter().any(|pattern| {
        globset::GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .is_ok_and(|glob| glob.compile_matcher().is_match(&name))
    })
}
