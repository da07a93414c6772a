//! Checks what is promoted where (row 4): a chain of targets of one repository and one kind of engine, each reached by one
//! way. What is promoted is the very object that was tried, so whatever would make another one of it is found here.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Checker;
use super::raw::RawTarget;
use super::written::{Written, nearest};
use crate::domain::{
    CodeDeploySpec, EngineSpec, Finding, Promote, RevisionForm, RevisionsSpec, S3Spec, Target, TargetName,
};

/// The words of `promote`.
const PROMOTE: &[(&str, Promote)] = &[("on-approval", Promote::OnApproval), ("automatic", Promote::Automatic)];

/// A target as written, and as meant where it could be read.
pub(super) type Read<'r> = (&'r Written<RawTarget>, Option<&'r Target>);

impl Checker<'_> {
    /// The targets that a success is promoted to, and when.
    pub(super) fn promotion(&mut self, raw: &RawTarget) -> (Vec<TargetName>, Promote) {
        let promote = self.word(raw.promote.as_ref(), "target.promote", PROMOTE).unwrap_or_default();
        if let (Some(promote), None) = (&raw.promote, &raw.promote_to) {
            let help = "add `promote_to = \"…\"`, or take it out";
            self.bad(&promote.span, "`promote` without `promote_to` has no effect", help);
        }
        // A name that is no name is no target's either, which is found where all targets are known.
        (written(raw).filter_map(|name| TargetName::parse(name.value.clone()).ok()).collect(), promote)
    }

    /// Finds targets that nothing ever reaches: no push, and no promotion.
    pub(super) fn find_unreached(&mut self, all: &[Written<RawTarget>]) {
        let promoted: BTreeSet<&str> =
            all.iter().flat_map(|it| written(&it.value)).map(|it| it.value.as_str()).collect();
        for Written { value: raw, span } in all {
            let names =
                |list: &Option<Written<Vec<Written<String>>>>| list.as_ref().is_some_and(|it| !it.value.is_empty());
            let reached = raw.name.as_ref().is_some_and(|name| promoted.contains(name.value.as_str()));
            if !names(&raw.branches) && !names(&raw.tags) && !reached {
                let message = "this target takes no push: it names neither branches nor tags";
                let help = "add `branches = [\"main\"]` or `tags = [\"v*\"]`";
                self.reader.find(Finding::error("config/no-rule", message).help(help), span);
            }
        }
    }

    /// Finds promotions that lead nowhere, in a circle, or to a target that cannot take them.
    pub(super) fn find_bad_promotions(&mut self, all: &[Read]) {
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        let mut circles: BTreeSet<&str> = BTreeSet::new();
        for (raw, from) in all {
            let Some(own) = raw.value.name.as_ref().map(|it| it.value.as_str()) else { continue };
            for to in written(&raw.value) {
                let named = |(it, _): &&Read| it.value.name.as_ref().is_some_and(|name| name.value == to.value);
                let Some((_, target)) = all.iter().find(named) else {
                    self.unknown_target(to, all);
                    continue;
                };
                if let Some(path) = path(all, &to.value, own).filter(|path| !path.iter().any(|it| circles.contains(it)))
                {
                    let message = format!("this promotes in a circle: {own} → {}", path.join(" → "));
                    let help = "take one `promote_to` of the circle out: a promotion has to end somewhere";
                    self.reader.find(Finding::error("config/promotion-cycle", message).help(help), &to.span);
                    circles.extend(path);
                } else if let Some(other) = taken.insert(to.value.as_str(), own) {
                    let message = format!("`{}` is promoted to by `{other}` already", to.value);
                    let help = "let each target follow one other, so that it is clear what it waits for";
                    self.reader.find(Finding::error("config/promotion-repeated", message).help(help), &to.span);
                } else if let (Some(from), Some(target)) = (from, target) {
                    self.compare(from, target, to);
                }
            }
        }
    }

    fn unknown_target(&mut self, to: &Written<String>, all: &[Read]) {
        let known: Vec<&str> =
            all.iter().filter_map(|(it, _)| it.value.name.as_ref()).map(|it| it.value.as_str()).collect();
        let help = match nearest(&to.value, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add a `[[target]]` with `name = \"{}\"`", to.value),
        };
        let finding = Finding::error("config/unknown-target", format!("no target is called `{}`", to.value));
        self.reader.find(finding.help(help), &to.span);
    }

    /// Finds what keeps one target from taking the revision of another.
    fn compare(&mut self, from: &Target, to: &Target, place: &Written<String>) {
        let (a, b) = (&from.name, &to.name);
        let (of, by) = (to.engine.kind(), from.engine.kind());
        let both = |what: &str| format!("give both {what}, or take the promotion out");
        let mismatch = if from.repository != to.repository || from.source != to.source {
            let message = format!("`{b}` deploys {}, and `{a}` {}", to.repository, from.repository);
            Some((message, both("the same `repository` and `source`")))
        } else if of != by {
            Some((format!("`{b}` is deployed by `{of}`, and `{a}` by `{by}`"), both("the same `kind` of engine")))
        } else if from.bundle != to.bundle {
            let message = format!("`{b}` makes its bundles by other rules than `{a}`, but is to get the same bundle");
            Some((message, both("the same `[target.bundle]`")))
        } else if let Some((key, one, other)) = forms_apart(from, to) {
            let message =
                format!("`{key}` of `{b}` is {other}, and of `{a}` {one}: neither takes the other's revisions");
            Some((message, both(&format!("the same `{key}`"))))
        } else {
            let help =
                format!("give `{b}` a bucket of its own there: the bundle is made again in it, and must be the same");
            other_region(from, to).map(|message| (message, help))
        };
        if let Some((message, help)) = mismatch {
            self.reader.find(Finding::error("config/promotion-mismatch", message).help(help), &place.span);
        }
        let own = to
            .rule
            .branches
            .iter()
            .chain(&to.rule.tags)
            .find(|it| from.rule.branches.contains(it) || from.rule.tags.contains(it));
        if let Some(pattern) = own {
            let message = format!("`{b}` takes pushes to `{pattern}` by itself: they do not wait for `{a}`");
            let help = format!("take `{pattern}` out of the rule of `{b}`: a target that is promoted to needs none");
            self.reader.find(Finding::warning("config/promotion-bypassed", message).help(help), &place.span);
        }
    }
}

/// What of the two targets says that their revisions are of different kinds, with both words. What is said of neither or
/// of one alone is found out once CodeDeploy is asked.
fn forms_apart(from: &Target, to: &Target) -> Option<(&'static str, String, String)> {
    let (EngineSpec::CodeDeploy(from), EngineSpec::CodeDeploy(to)) = (&from.engine, &to.engine) else { return None };
    let ticked = |word: &str| format!("`{word}`");
    let unsaid = || "not set".to_owned();
    if let (Some(one), Some(other)) = (from.platform, to.platform)
        && one != other
    {
        return Some(("platform", one.to_string(), other.to_string()));
    }
    let from_github = |it: &CodeDeploySpec| it.revision == Some(RevisionForm::GitHub);
    if from_github(from) != from_github(to) {
        let word = |it: &CodeDeploySpec| if from_github(it) { ticked("github") } else { "another".to_owned() };
        return Some(("revision", word(from), word(to)));
    }
    let word = |it: &CodeDeploySpec| it.appspec.as_deref().map_or_else(unsaid, ticked);
    (from.appspec != to.appspec).then(|| ("appspec", word(from), word(to)))
}

/// Why the object of one target cannot be fetched by the instances of another: CodeDeploy reads buckets of its own
/// region only.
fn other_region(from: &Target, to: &Target) -> Option<String> {
    let (RevisionsSpec::S3(theirs), RevisionsSpec::S3(own)) = (&from.revisions, &to.revisions) else { return None };
    let S3Spec { bucket, region, .. } = theirs;
    let EngineSpec::CodeDeploy(spec) = &to.engine else { return None };
    let apart = *bucket == own.bucket && *region != spec.region;
    apart.then(|| format!("`{}` deploys in {}, and bucket `{bucket}` lies in {region}", to.name, spec.region))
}

/// The names that a target promotes to.
fn written(raw: &RawTarget) -> impl Iterator<Item = &Written<String>> {
    raw.promote_to.iter().flat_map(|it| &it.value.0)
}

/// The way from one target to another along promotions, both named.
fn path<'r>(all: &[Read<'r>], from: &'r str, to: &'r str) -> Option<Vec<&'r str>> {
    fn walk<'r>(all: &[Read<'r>], at: &'r str, to: &str, been: &mut Vec<&'r str>) -> bool {
        been.push(at);
        if at == to {
            return true;
        }
        let named = |(it, _): &&Read<'r>| it.value.name.as_ref().is_some_and(|name| name.value == at);
        let next = all.iter().filter(named).flat_map(|(it, _)| written(&it.value));
        for name in next {
            if !been.contains(&name.value.as_str()) && walk(all, name.value.as_str(), to, been) {
                return true;
            }
        }
        been.pop();
        false
    }
    let mut been = Vec::new();
    walk(all, from, to, &mut been).then_some(been)
}
