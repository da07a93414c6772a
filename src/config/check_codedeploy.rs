//! Checks `[target.engine]` of the kind `codedeploy`: the platform, and what may be chosen for deployments.

use std::collections::BTreeMap;
use std::ops::Range;

use super::check::{Checker, flag, texts, twice};
use super::raw::{RawAlarms, RawEngine, RawInstances, RawRollback, RawTag, RawTarget, RawVariable, RawVariables};
use super::values::web_address;
use super::written::{Table, Written};
use crate::appspec;
use crate::domain::{
    CodeDeploySpec, FileExists, Finding, OverrideAlarms, Platform, RevisionForm, RollbackOn, ScalingProcess, SuccessOn,
    Tag, TargetInstances, Variable,
};

const SUCCESS_ON: &[(&str, SuccessOn)] =
    &[("complete", SuccessOn::Complete), ("traffic-shifted", SuccessOn::TrafficShifted)];
const PLATFORMS: &[(&str, Platform)] =
    &[("server", Platform::Server), ("lambda", Platform::Lambda), ("ecs", Platform::Ecs)];
const FORMS: &[(&str, RevisionForm)] =
    &[("bundle", RevisionForm::Bundle), ("appspec", RevisionForm::AppSpec), ("github", RevisionForm::GitHub)];
const ROLLBACK_ON: &[(&str, RollbackOn)] =
    &[("failure", RollbackOn::Failure), ("alarm", RollbackOn::Alarm), ("stop", RollbackOn::Stop)];
const PROCESSES: &[(&str, ScalingProcess)] = &[
    ("Terminate", ScalingProcess::Terminate),
    ("AZRebalance", ScalingProcess::AzRebalance),
    ("InstanceRefresh", ScalingProcess::InstanceRefresh),
    ("ScheduledActions", ScalingProcess::ScheduledActions),
];

/// CodeDeploy's limits: tags in a group, groups of tags, and the length of a tag's key and value.
const MOST_TAGS: usize = 10;
const MOST_TAG_GROUPS: usize = 3;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;
/// The API's description says 10; a table of quotas says 50. The service decides.
const MOST_ALARMS: usize = 10;
const LONGEST_ALARM: usize = 255;
/// The names of applications and groups.
const LONGEST_NAME: usize = 100;

impl Checker<'_> {
    pub(super) fn codedeploy(
        &mut self,
        target: &RawTarget,
        raw: &RawEngine,
        span: &Range<usize>,
        file_exists_behavior: Option<FileExists>,
    ) -> Option<CodeDeploySpec> {
        let application = self.name(raw.application.as_ref(), "application", span);
        let deployment_group = self.name(raw.deployment_group.as_ref(), "deployment_group", span);
        let region = self.required(raw.region.as_ref(), "region", "target.engine", span).map(|it| it.value);
        let endpoint_url = self.parsed(raw.endpoint_url.as_ref(), "engine.endpoint_url", web_address);
        let success_on = self.word(raw.success_on.as_ref(), "engine.success_on", SUCCESS_ON);
        if let (Some(external_id), None) = (&raw.external_id, &raw.assume_role) {
            let help = "add `assume_role`, or take it out";
            self.bad(&external_id.span, "`external_id` without `assume_role` has no effect", help);
        }
        let text = |written: Option<&Written<String>>| written.map(|it| it.value.clone());
        let spec = CodeDeploySpec {
            application: application.unwrap_or_default(),
            deployment_group: deployment_group.unwrap_or_default(),
            region: region.unwrap_or_default(),
            assume_role: text(raw.assume_role.as_ref()),
            external_id: text(raw.external_id.as_ref()),
            endpoint_url,
            platform: self.word(raw.platform.as_ref(), "engine.platform", PLATFORMS),
            revision: self.word(target.revision.as_ref(), "target.revision", FORMS),
            appspec: raw.appspec.as_ref().and_then(|it| self.inside(it, "engine.appspec")).filter(|it| !it.is_empty()),
            variables: raw.variables.as_ref().map(|it| self.variables(&it.value)).unwrap_or_default(),
            deployment_config: text(raw.deployment_config.as_ref()),
            file_exists_behavior,
            ignore_application_stop_failures: flag(raw.ignore_application_stop_failures.as_ref()),
            update_outdated_only: flag(raw.update_outdated_only.as_ref()),
            success_on: success_on.unwrap_or_default(),
            auto_rollback: raw.auto_rollback.as_ref().and_then(|it| self.rollback_on(it)),
            target_instances: raw.target_instances.as_ref().and_then(|it| self.instances(it)),
            override_alarms: raw.override_alarms.as_ref().map(|it| self.alarms(it)),
            suspend_processes: self.words(raw.suspend_processes.as_ref(), "engine.suspend_processes", PROCESSES),
        };
        self.platform_fits(&spec, raw, target);
        self.github_fits(&spec, target);
        let is_whole = !spec.application.is_empty() && !spec.deployment_group.is_empty() && !spec.region.is_empty();
        is_whole.then_some(spec)
    }

    /// The name of an application or group: what CodeDeploy would refuse is refused here (rows 2 and 3).
    fn name(&mut self, written: Option<&Written<String>>, key: &str, span: &Range<usize>) -> Option<String> {
        let it = self.required(written, key, "target.engine", span)?;
        let odd = it.value.chars().find(|c| !c.is_ascii_alphanumeric() && !"._+=,@-".contains(*c));
        let message = match odd {
            Some(odd) => format!("`{key}` holds `{odd}`, which no name at CodeDeploy has"),
            None if it.value.len() > LONGEST_NAME => format!("`{key}` is longer than {LONGEST_NAME} characters"),
            None => return Some(it.value),
        };
        self.bad(&it.span, message, "write the name as CodeDeploy's console shows it");
        None
    }

    /// Options and forms of revision that the platform does not take.
    fn platform_fits(&mut self, spec: &CodeDeploySpec, raw: &RawEngine, target: &RawTarget) {
        let by_form = match spec.revision {
            Some(RevisionForm::AppSpec) => Some("functions and services, by `revision = \"appspec\"`"),
            Some(RevisionForm::Bundle | RevisionForm::GitHub) | None => None,
        };
        let without_servers = match spec.platform {
            Some(it @ (Platform::Lambda | Platform::Ecs)) => Some(it.to_string()),
            Some(Platform::Server) => None,
            None => by_form.map(str::to_owned),
        };
        let written = raw.written();
        let place = |key: &str| written.iter().find(|(name, _)| *name == key).map(|(_, span)| span.clone());
        if let Some(platform) = &without_servers {
            for key in spec.for_servers() {
                let Some(span) = place(key) else { continue };
                let finding = Finding::error(
                    "config/not-for-platform",
                    format!("`{key}` is for servers, and this target is for {platform}"),
                );
                self.reader.find(finding.help("take it out"), &span);
            }
        } else if spec.platform == Some(Platform::Server) {
            for key in ["appspec", "variables"] {
                let Some(span) = place(key) else { continue };
                let message = format!("`{key}` is for Lambda and ECS, and this target is for servers");
                let help = "take it out: a server's `appspec.yml` lies at the bundle's root and is sent as it is";
                self.reader.find(Finding::error("config/not-for-platform", message).help(help), &span);
            }
        }
        let Some(form) = &target.revision else { return };
        let wanted = match (spec.platform, spec.revision) {
            (Some(Platform::Server), Some(RevisionForm::AppSpec)) => "a bundle, or the commit on GitHub",
            (Some(Platform::Lambda | Platform::Ecs), Some(RevisionForm::Bundle | RevisionForm::GitHub)) => {
                "the AppSpec itself"
            }
            _ => return,
        };
        let platform = spec.platform.map(|it| it.to_string()).unwrap_or_default();
        let message = format!("`revision = \"{}\"` is not for {platform}, whose revision is {wanted}", form.value);
        self.reader.find(
            Finding::error("config/not-for-platform", message).help("take it out, or correct `platform`"),
            &form.span,
        );
    }

    /// The host engine runs bundles.
    pub(super) fn form_on_host(&mut self, target: &RawTarget) {
        let Some(written) = &target.revision else { return };
        let form = self.word(Some(written), "target.revision", FORMS);
        if form.is_some_and(|it| it != RevisionForm::Bundle) {
            let message =
                format!("`revision = \"{}\"` is for CodeDeploy, and this target is deployed here", written.value);
            let finding = Finding::error("config/not-for-platform", message);
            self.reader.find(finding.help("take it out, or change `kind`"), &written.span);
        }
    }

    /// What CodeDeploy fetches from GitHub is the commit as it is.
    fn github_fits(&mut self, spec: &CodeDeploySpec, target: &RawTarget) {
        if spec.revision != Some(RevisionForm::GitHub) {
            return;
        }
        if let Some(source) = &target.source {
            let message = "CodeDeploy fetches from GitHub, and this target's commits come from elsewhere";
            let help = "take `revision` out, and say where bundles lie: `[target.revisions]`";
            self.reader.find(Finding::error("config/not-on-github", message).help(help), &source.span);
        }
        if let Some(bundle) = target.bundle.as_ref().filter(|it| !it.value.written().is_empty()) {
            let message = "with `revision = \"github\"` no bundle is made, and CodeDeploy takes the commit as it is";
            let help = "take `[target.bundle]` out, or let bundles be made: take `revision` out";
            self.reader.find(Finding::error("config/not-on-github", message).help(help), &bundle.span);
        }
        if let Some(revisions) = &target.revisions {
            let message = "with `revision = \"github\"` nothing is stored";
            let finding = Finding::warning("config/unused", message);
            self.reader.find(finding.help("take `[target.revisions]` out, or `revision`"), &revisions.span);
        }
    }

    /// A switch, where a list of events makes no sense: on this machine nothing but a failure is noticed.
    pub(super) fn switch(&mut self, raw: Option<&Written<RawRollback>>) -> bool {
        match raw.map(|it| &it.value) {
            Some(RawRollback::Switch(on)) => *on,
            Some(RawRollback::On(_)) => {
                let span = raw.map_or(0..0, |it| it.span.clone());
                let message = "a list of events is for engines of kind `codedeploy`";
                self.bad(&span, format!("`auto_rollback`: {message}"), "write `true` or `false`");
                false
            }
            None => false,
        }
    }

    fn rollback_on(&mut self, raw: &Written<RawRollback>) -> Option<Vec<RollbackOn>> {
        match &raw.value {
            RawRollback::Switch(true) => Some(vec![RollbackOn::Failure]),
            RawRollback::Switch(false) => Some(vec![]),
            RawRollback::On(events) if events.is_empty() => {
                let help = "name events, such as [\"failure\"], or write `false`";
                self.bad(&raw.span, "`auto_rollback` names no event", help);
                None
            }
            RawRollback::On(events) => {
                let mut on = Vec::new();
                for event in events {
                    let known = self.word(Some(event), "engine.auto_rollback", ROLLBACK_ON);
                    on.extend(known.filter(|it| !on.contains(it)));
                }
                Some(on)
            }
        }
    }

    /// Several of some words, each once.
    fn words<T: Copy + PartialEq>(
        &mut self,
        written: Option<&Written<Vec<Written<String>>>>,
        key: &str,
        words: &[(&'static str, T)],
    ) -> Vec<T> {
        let mut found = Vec::new();
        for word in written.iter().flat_map(|it| &it.value) {
            let known = self.word(Some(word), key, words);
            found.extend(known.filter(|it| !found.contains(it)));
        }
        found
    }

    fn instances(&mut self, raw: &Written<RawInstances>) -> Option<TargetInstances> {
        let Written { value: RawInstances { tags, tag_groups, auto_scaling_groups }, span } = raw;
        if tags.is_some() && tag_groups.is_some() {
            let help = "write one: `tags` for instances with any of them, `tag_groups` for one of each group";
            self.bad(span, "`target_instances` has both `tags` and `tag_groups`", help);
        }
        let groups = tag_groups.iter().flat_map(|it| &it.value);
        if groups.clone().count() > MOST_TAG_GROUPS {
            let help = "put tags that may stand for each other into one group";
            self.bad(span, format!("`tag_groups` has more than {MOST_TAG_GROUPS} groups"), help);
        }
        let found = TargetInstances {
            tags: tags.as_ref().map(|it| self.tags(it)).unwrap_or_default(),
            tag_groups: groups.map(|it| self.tags(it)).collect(),
            auto_scaling_groups: texts(auto_scaling_groups.as_ref()),
        };
        if found == TargetInstances::default() {
            let help = "name `tags`, `tag_groups` or `auto_scaling_groups`, or take it out";
            self.bad(span, "`target_instances` names none", help);
            return None;
        }
        Some(found)
    }

    fn tags(&mut self, raw: &Written<Vec<Written<RawTag>>>) -> Vec<Tag> {
        if raw.value.len() > MOST_TAGS {
            let help = "CodeDeploy takes no more in one group";
            self.bad(&raw.span, format!("more than {MOST_TAGS} tags"), help);
        }
        let mut tags = Vec::new();
        for Written { value: RawTag { key, value }, span } in &raw.value {
            let is_long = |it: &Option<Written<String>>, longest| {
                it.as_ref().is_some_and(|it: &Written<String>| it.value.chars().count() > longest)
            };
            if key.is_none() && value.is_none() {
                self.bad(span, "a tag has a `key`, a `value` or both", "write `{ key = \"Env\", value = \"green\" }`");
            } else if is_long(key, LONGEST_KEY) || is_long(value, LONGEST_VALUE) {
                let message = format!("a tag's key has at most {LONGEST_KEY} characters, its value {LONGEST_VALUE}");
                self.bad(span, message, "write the tag as EC2 shows it");
            }
            let text = |it: &Option<Written<String>>| it.as_ref().map(|it| it.value.clone());
            tags.push(Tag { key: text(key), value: text(value) });
        }
        tags
    }

    fn alarms(&mut self, raw: &Written<RawAlarms>) -> OverrideAlarms {
        let Written { value: RawAlarms { enabled, ignore_poll_failure, names }, span } = raw;
        let written = names.as_ref().map(|it| it.value.as_slice()).unwrap_or_default();
        let enabled = enabled.as_ref().is_none_or(|it| it.value);
        if enabled && written.is_empty() {
            let help = "add `names = [\"…\"]`, or write `enabled = false` to ignore the group's alarms";
            self.bad(span, "`override_alarms` is on and names no alarm", help);
        }
        for (name, span) in twice(written.iter().map(|it| (it.value.as_str(), &it.span))) {
            self.bad(span, format!("the alarm `{name}` is named twice"), "take one out");
        }
        for name in written.iter().filter(|it| !(1..=LONGEST_ALARM).contains(&it.value.chars().count())) {
            let help = "write the name as CloudWatch shows it";
            self.bad(&name.span, format!("an alarm's name has 1 to {LONGEST_ALARM} characters"), help);
        }
        if written.len() > MOST_ALARMS {
            let message = format!("{} alarms, and CodeDeploy's API describes at most {MOST_ALARMS}", written.len());
            let finding = Finding::warning("config/many-alarms", message);
            self.reader.find(finding.help("join some into a composite alarm"), span);
        }
        let ignore_poll_failure = flag(ignore_poll_failure.as_ref());
        OverrideAlarms { enabled, ignore_poll_failure, names: texts(names.as_ref()) }
    }

    fn variables(&mut self, raw: &RawVariables) -> BTreeMap<String, Variable> {
        let mut variables = BTreeMap::new();
        for (name, value) in &raw.0 {
            if !appspec::is_name(&name.value) {
                let help = "use letters, digits and `_`, not beginning with a digit";
                self.bad(&name.span, format!("`{}` is no name of a variable", name.value), help);
            } else if appspec::BUILT_IN.contains(&name.value.as_str()) {
                let help = "choose another name";
                self.bad(&name.span, format!("`{}` is always there, and cannot be set", name.value), help);
            } else if let Some(variable) = self.variable(value) {
                variables.insert(name.value.clone(), variable);
            }
        }
        variables
    }

    fn variable(&mut self, raw: &Written<RawVariable>) -> Option<Variable> {
        let lies = match &raw.value {
            RawVariable::Text(text) => {
                let unfilled = match appspec::names_in(text) {
                    Ok(names) => names
                        .into_iter()
                        .find(|name| !appspec::BUILT_IN.contains(name))
                        .map(|name| appspec::unknown(name, appspec::BUILT_IN.into_iter())),
                    Err(unfilled) => Some(unfilled),
                };
                if let Some(unfilled) = unfilled {
                    self.bad(&raw.span, unfilled.message, unfilled.help);
                }
                return Some(Variable::Text { text: text.clone() });
            }
            RawVariable::Elsewhere(lies) => lies,
        };
        match (&lies.env, &lies.file) {
            (Some(env), None) => {
                self.expect_variable(env);
                Some(Variable::Env { name: env.value.clone() })
            }
            (None, Some(file)) => {
                let path = self.path(&file.value);
                if let Err(error) = std::fs::read_to_string(&path) {
                    let message = format!("`{}` cannot be read: {}", path.display(), crate::domain::plainly(&error));
                    let finding = Finding::warning("config/variable-missing", message);
                    self.reader.find(finding.help("write it before the next deployment: it is read then"), &file.span);
                }
                Some(Variable::File { path })
            }
            (Some(_), Some(_)) | (None, None) => {
                let help = "write a text, `{ file = \"path\" }` or `{ env = \"NAME\" }`";
                self.bad(&raw.span, "a variable is a text, or lies in one place, a file or the environment", help);
                None
            }
        }
    }
}
