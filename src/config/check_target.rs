//! Checks `[[target]]`: the rule, the bundle, where revisions lie and who deploys them.

use std::ops::Range;
use std::path::Path;

use super::as_meant::{Chat, GitHub};
use super::check::{At, Checker, flag, texts, twice};
use super::raw::{Raw, RawBundle, RawEngine, RawTarget};
use super::values::{duration, glob_trouble};
use super::written::{Table, Written, nearest};
use crate::domain::{
    BundleFormat, BundleRules, CHECKS_WITHIN_S, Destination, EngineSpec, FileExists, Finding, HostSpec, OnNewPush,
    Pattern, RepositoryName, Rule, SourceSpec, Target, TargetName,
};

const FILE_EXISTS: &[(&str, FileExists)] =
    &[("DISALLOW", FileExists::Disallow), ("OVERWRITE", FileExists::Overwrite), ("RETAIN", FileExists::Retain)];
const ON_NEW_PUSH: &[(&str, OnNewPush)] = &[
    ("queue-latest", OnNewPush::QueueLatest),
    ("queue-all", OnNewPush::QueueAll),
    ("stop-running", OnNewPush::StopRunning),
];
const FORMATS: &[(&str, BundleFormat)] =
    &[("tgz", BundleFormat::Tgz), ("tar", BundleFormat::Tar), ("zip", BundleFormat::Zip)];

/// Keys that only one kind of engine reads.
const ONLY_CODEDEPLOY: &[&str] = &[
    "region",
    "endpoint_url",
    "assume_role",
    "external_id",
    "deployment_config",
    "update_outdated_only",
    "success_on",
    "platform",
    "appspec",
    "variables",
    "target_instances",
    "override_alarms",
    "suspend_processes",
];
const ONLY_HOST: &[&str] = &["root", "user", "traffic_hooks", "strict", "max_revisions"];

/// How long passing failures are retried unless the file says so.
const GIVE_UP_AFTER_S: u64 = 2 * 60 * 60;
/// Earlier revisions kept besides the current one, as the CodeDeploy agent does (D9).
const MAX_REVISIONS: u32 = 5;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    CodeDeploy,
    Host,
}

/// A target as far as it could be read.
struct Checked<'r> {
    written: &'r Written<RawTarget>,
    /// Where it deploys to, where that is sure.
    lane: Option<Destination>,
    target: Option<Target>,
}

impl Checker<'_> {
    pub(super) fn targets(&mut self, raw: &Raw, data_dir: &Path, chats: &[Chat], github: &GitHub) -> Vec<Target> {
        let all = raw.target.as_ref().map(|it| it.value.as_slice()).unwrap_or_default();
        if all.is_empty() {
            let finding = Finding::warning("config/no-target", "no target is configured: nothing will be deployed");
            self.reader.findings.push(finding.help("add a `[[target]]`; `landfall config docs` shows one"));
        }
        let checked: Vec<Checked> = all.iter().map(|it| self.checked(it, data_dir, chats)).collect();
        let names = all.iter().filter_map(|it| it.value.name.as_ref()).map(|it| (it.value.as_str(), &it.span));
        for (name, span) in twice(names) {
            let finding = Finding::error("config/name-taken", format!("a target `{name}` exists already"));
            self.reader.find(finding.help("give each target a name of its own"), span);
        }
        self.find_shared_lanes(&checked);
        self.find_unreached(all);
        let read: Vec<_> = checked.iter().map(|it| (it.written, it.target.as_ref())).collect();
        self.find_bad_promotions(&read);
        self.find_shared_contexts(&read);
        self.warn_of_silence(&checked, github);
        self.warn_of_no_token(&checked, github);
        self.warn_of_what_is_never_said(&read, github);
        checked.into_iter().filter_map(|it| it.target).collect()
    }

    /// Finds targets that deploy to the place of an earlier one, whatever else is wrong with either.
    fn find_shared_lanes(&mut self, checked: &[Checked]) {
        let span =
            |it: &Checked| it.written.value.engine.as_ref().map_or(it.written.span.clone(), |it| it.span.clone());
        let lanes: Vec<_> = checked.iter().filter_map(|it| Some((it.lane.as_ref()?, span(it)))).collect();
        for (lane, span) in twice(lanes.iter().map(|(lane, span)| (*lane, span))) {
            let owner = checked.iter().find(|it| it.lane.as_ref() == Some(lane));
            let owner = owner.and_then(|it| it.written.value.name.as_ref()).map_or("another", |it| it.value.as_str());
            let message = format!("target `{owner}` deploys to this place already: {}", lane.as_str());
            let help = "give each target a deployment group of its own, or one target both rules";
            self.reader.find(Finding::error("config/destination-taken", message).help(help), span);
        }
    }

    /// Finds targets that work less than their owner may think.
    fn warn_of_silence(&mut self, checked: &[Checked], github: &GitHub) {
        for Checked { target, written, .. } in checked {
            let Some(target) = target else { continue };
            let span = written.value.repository.as_ref().map_or(&written.span, |it| &it.span);
            let some = !github.webhook_secrets.is_empty() || !github.hooks.is_empty();
            if some && !github.has_secret_for(&target.repository) {
                let message = format!("no webhook secret speaks for `{}`: its pushes are refused", target.repository);
                let help = "add its name to a `[[github.hooks]]`, or a secret to `webhook_secrets`";
                self.reader.find(Finding::warning("config/no-secret-for-target", message).help(help), span);
            }
        }
    }

    /// Once: the first target that would need it is enough.
    fn warn_of_no_token(&mut self, checked: &[Checked], github: &GitHub) {
        let is_nobodys = |it: &Target| it.source == SourceSpec::GitHub && !github.has_identity_for(&it.repository);
        let first = checked.iter().find(|it| it.target.as_ref().is_some_and(is_nobodys));
        if let Some(Checked { written, .. }) = first {
            let message = "without `github.token` or `[github.app]` no commit status is sent and private repositories \
                           cannot be read";
            let help = "write `token = { env = \"GITHUB_TOKEN\" }` under `[github]`, or make a GitHub App";
            let span = written.value.repository.as_ref().map_or(&written.span, |it| &it.span);
            self.reader.find(Finding::warning("config/no-token", message).help(help), span);
        }
    }

    fn checked<'r>(&mut self, written: &'r Written<RawTarget>, data_dir: &Path, chats: &[Chat]) -> Checked<'r> {
        let Written { value: raw, span } = written;
        let name = self.required(raw.name.as_ref(), "name", "target", span);
        let name = name.and_then(|it| self.fit(&At::Span(it.span), "target.name", TargetName::parse(it.value)));
        let repository = self.required(raw.repository.as_ref(), "repository", "target", span);
        let repository = repository
            .and_then(|it| self.fit(&At::Span(it.span), "target.repository", RepositoryName::parse(it.value)));
        let engine = self.engine(raw, span, data_dir, name.as_ref(), repository.as_ref());
        let address = raw.engine.as_ref().and_then(|it| it.value.endpoint_url.as_ref());
        let misread = |it: &&EngineSpec| {
            address.is_some() && matches!(it, EngineSpec::CodeDeploy(spec) if spec.endpoint_url.is_none())
        };
        // A wrong address leaves open whose account is meant.
        let lane = engine.as_ref().filter(|it| !misread(it)).map(EngineSpec::destination);
        let target = self.target(written, (name, repository, engine), data_dir, chats);
        Checked { written, lane, target }
    }

    fn target(
        &mut self,
        Written { value: raw, span }: &Written<RawTarget>,
        (name, repository, engine): (Option<TargetName>, Option<RepositoryName>, Option<EngineSpec>),
        data_dir: &Path,
        chats: &[Chat],
    ) -> Option<Target> {
        let source = self.source(raw);
        let rule = self.rule(raw);
        let (promote_to, promote) = self.promotion(raw);
        let on_new_push = self.word(raw.on_new_push.as_ref(), "target.on_new_push", ON_NEW_PUSH);
        let give_up_after = self.parsed(raw.give_up_after.as_ref(), "target.give_up_after", duration);
        let bundle = self.bundle(raw.bundle.as_ref().map(|it| &it.value));
        let github = self.on_github(raw.github.as_ref());
        let approvers = self.approvers(raw);
        let verify = self.verifications(raw, engine.as_ref());
        self.notified(raw, chats);
        let checks_within = self.parsed(raw.checks_within.as_ref(), "target.checks_within", duration);
        let require_checks = self.required_checks(raw, source.as_ref());
        let revisions = self.revisions(raw, span, data_dir, engine.as_ref());
        let name = name?;
        Some(Target {
            repository: repository?,
            source: source?,
            rule,
            environment: raw.environment.as_ref().map_or_else(|| name.to_string(), |it| it.value.clone()),
            on_new_push: on_new_push.unwrap_or_default(),
            require_checks,
            checks_within_s: checks_within.map_or(CHECKS_WITHIN_S, |it| it.as_secs()),
            skip_ci: flag(raw.skip_ci.as_ref()),
            notify: texts(raw.notify.as_ref()),
            allow_forced: raw.allow_forced.as_ref().is_none_or(|it| it.value),
            deploy_on_start: flag(raw.deploy_on_start.as_ref()),
            give_up_after_s: give_up_after.map_or(GIVE_UP_AFTER_S, |it| it.as_secs()),
            promote_to,
            promote,
            lock_after_rollback: flag(raw.lock_after_rollback.as_ref()),
            approvers,
            verify,
            github,
            bundle,
            revisions: revisions?,
            engine: engine?,
            name,
        })
    }

    fn source(&mut self, raw: &RawTarget) -> Option<SourceSpec> {
        let Some(source) = &raw.source else { return Some(SourceSpec::GitHub) };
        let help = "write `source = { git = \"file:///srv/git/blog.git\" }`, or leave it out for GitHub";
        let Some(git) = &source.value.git else {
            self.missing("git", "target.source", help, &source.span);
            return None;
        };
        let known = ["file", "https", "http", "ssh", "git"];
        let url = url::Url::parse(&git.value).ok().filter(|it| known.contains(&it.scheme()));
        let Some(url) = url else {
            self.bad(&git.span, format!("`{}` is not the URL of a git repository", git.value), help);
            return None;
        };
        if url.password().is_some() {
            // Plans store the target, and what plans store is shown.
            let message = "a password in a URL is stored and shown wherever the target is";
            let help = "take it out, and let git's own credential helper keep it";
            self.reader.find(Finding::error(super::INLINE_SECRET, message).help(help), &git.span);
            return None;
        }
        Some(SourceSpec::Git { url: git.value.clone() })
    }

    fn rule(&mut self, raw: &RawTarget) -> Rule {
        let lists = [raw.branches.as_ref(), raw.tags.as_ref(), raw.paths.as_ref()];
        for pattern in lists.into_iter().flatten().flat_map(|it| &it.value) {
            if let Some(why) = glob_trouble(&pattern.value) {
                self.bad_pattern(pattern, &why);
            } else if let Some(short) =
                pattern.value.strip_prefix("refs/heads/").or(pattern.value.strip_prefix("refs/tags/"))
            {
                let message = format!("`{}` never matches: names are matched without `refs/…`", pattern.value);
                let help = format!("write `{short}`");
                self.reader.find(Finding::error("config/bad-glob", message).help(help), &pattern.span);
            }
        }
        for path in raw.paths.iter().flat_map(|it| &it.value) {
            let parts: Vec<&str> = path.value.split('/').collect();
            if parts.iter().any(|part| matches!(*part, "." | "..")) || path.value.starts_with('/') {
                let message =
                    format!("`{}` never matches: paths are those of the repository, from its top", path.value);
                let help = "write it as git shows it, as in `web/**`";
                self.reader.find(Finding::error("config/bad-glob", message).help(help), &path.span);
            }
        }
        let [branches, tags, paths] = lists.map(|list| texts(list).into_iter().map(Pattern::from).collect());
        Rule { branches, tags, paths }
    }

    fn notified(&mut self, raw: &RawTarget, chats: &[Chat]) {
        for name in raw.notify.iter().flat_map(|it| &it.value) {
            if chats.iter().any(|chat| chat.name == name.value) {
                continue;
            }
            let known: Vec<&str> = chats.iter().map(|chat| chat.name.as_str()).collect();
            let help = match nearest(&name.value, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a `[[chat]]` with `name = \"{}\"`", name.value),
            };
            let finding = Finding::error("config/unknown-chat", format!("no chat is called `{}`", name.value));
            self.reader.find(finding.help(help), &name.span);
        }
    }

    fn bundle(&mut self, raw: Option<&RawBundle>) -> BundleRules {
        let mut rules = BundleRules { root: String::new(), exclude: Vec::new(), format: None, provenance: None };
        let Some(raw) = raw else { return rules };
        if let Some(root) = &raw.root
            && let Some(inside) = self.inside(root, "bundle.root")
        {
            rules.root = inside;
        }
        for pattern in raw.exclude.iter().flat_map(|it| &it.value) {
            match glob_trouble(&pattern.value) {
                Some(why) => self.bad_pattern(pattern, &why),
                None => rules.exclude.push(pattern.value.clone()),
            }
        }
        rules.format = self.word(raw.format.as_ref(), "bundle.format", FORMATS);
        if let Some(file) = &raw.provenance {
            rules.provenance = self.inside(file, "bundle.provenance").filter(|it| !it.is_empty());
        }
        rules
    }

    /// A path within the repository, without `.` and slashes at its ends.
    pub(super) fn inside(&mut self, written: &Written<String>, key: &str) -> Option<String> {
        let parts: Vec<&str> = written.value.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") || written.value.starts_with('/') || written.value.contains(['\\', '\0']) {
            let message = format!("`{key}` is `{}`, which is not a path within the repository", written.value);
            self.bad(&written.span, message, "write it relative to the repository, as in `web/site`");
            return None;
        }
        Some(parts.join("/"))
    }

    fn engine(
        &mut self,
        raw: &RawTarget,
        span: &Range<usize>,
        data_dir: &Path,
        name: Option<&TargetName>,
        repository: Option<&RepositoryName>,
    ) -> Option<EngineSpec> {
        let Some(Written { value: engine, span }) = &raw.engine else {
            let help = "add `[target.engine]` with `kind = \"host\"` for this machine, or `kind = \"codedeploy\"`";
            self.missing("engine", "target", help, span);
            return None;
        };
        if engine.kind.is_none() {
            self.missing("kind", "target.engine", "add `kind = \"host\"` or `kind = \"codedeploy\"`", span);
        }
        let kinds = [("codedeploy", Kind::CodeDeploy), ("host", Kind::Host)];
        let file_exists = self.word(engine.file_exists_behavior.as_ref(), "engine.file_exists_behavior", FILE_EXISTS);
        match self.word(engine.kind.as_ref(), "engine.kind", &kinds)? {
            Kind::CodeDeploy => {
                self.strangers(engine, ONLY_HOST, "host");
                self.codedeploy(raw, engine, span, file_exists).map(EngineSpec::CodeDeploy)
            }
            Kind::Host => {
                self.strangers(engine, ONLY_CODEDEPLOY, "codedeploy");
                self.form_on_host(raw);
                self.host(engine, data_dir, name, repository, file_exists).map(EngineSpec::Host)
            }
        }
    }

    /// Finds keys of the other kind of engine: they would be passed over in silence.
    fn strangers(&mut self, engine: &RawEngine, keys: &[&str], kind: &str) {
        for (key, span) in engine.written().into_iter().filter(|(key, _)| keys.contains(key)) {
            let message = format!("`{key}` belongs to engines of kind `{kind}`");
            let finding = Finding::error("config/unknown-key", message);
            self.reader.find(finding.help("take it out, or change `kind`"), &span);
        }
    }

    fn host(
        &mut self,
        raw: &RawEngine,
        data_dir: &Path,
        name: Option<&TargetName>,
        repository: Option<&RepositoryName>,
        file_exists_behavior: Option<FileExists>,
    ) -> Option<HostSpec> {
        let named = |written: &Option<Written<String>>, usual: Option<&str>| {
            written.as_ref().map(|it| it.value.as_str()).or(usual).map(str::to_owned)
        };
        if let Some(kept) = raw.max_revisions.as_ref().filter(|it| it.value == 0) {
            self.bad(&kept.span, "`max_revisions` is 0", "write at least 1; the default is 5");
        }
        Some(HostSpec {
            application: named(&raw.application, repository.map(RepositoryName::name))?,
            deployment_group: named(&raw.deployment_group, name.map(TargetName::as_str))?,
            root: raw.root.as_ref().map_or_else(|| data_dir.join("deployment-root"), |it| self.path(&it.value)),
            user: raw.user.as_ref().map(|it| it.value.clone()),
            file_exists_behavior,
            ignore_application_stop_failures: flag(raw.ignore_application_stop_failures.as_ref()),
            traffic_hooks: flag(raw.traffic_hooks.as_ref()),
            strict: flag(raw.strict.as_ref()),
            max_revisions: raw.max_revisions.as_ref().map_or(MAX_REVISIONS, |it| it.value),
            auto_rollback: self.switch(raw.auto_rollback.as_ref()),
        })
    }
}
