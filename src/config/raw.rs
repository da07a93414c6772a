//! The configuration as written: every key that the file may have, all optional. It means nothing yet.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw_login::RawLogin;
use super::written::{Read, Reader, Table, Written, join, key, read_as_table, read_written, table, unknown};
use crate::domain::Finding;

type Texts = Vec<Written<String>>;

table! {
    /// The whole file.
    Raw {
        data_dir: String,
        public_url: String,
        catch_up_every: String,
        server: RawServer,
        ledger: RawLedger,
        github: RawGitHub,
        sns: RawSns,
        people: BTreeMap<String, Written<String>>,
        freeze: Vec<Written<RawWindow>>,
        target: Vec<Written<RawTarget>>,
        chat: Vec<Written<RawChat>>,
        commands: RawCommands,
        login: RawLogin,
    }
}

table! {
    /// `[server]`
    RawServer {
        listen: String,
        public_reads: bool,
        public_badges: bool,
        bodies_in_flight: String,
        trusted_proxies: Texts,
    }
}

table! {
    /// `[ledger]`
    RawLedger {
        reserve: String,
        segment: String,
        keep_days: u32,
    }
}

table! {
    /// `[github]`
    RawGitHub {
        api_url: String,
        webhook_secrets: Vec<Written<RawSecret>>,
        token: RawSecret,
        between_writes: String,
        app: RawApp,
        apps: Vec<Written<RawOwnersApp>>,
        hooks: Vec<Written<RawHook>>,
    }
}

table! {
    /// `[github.app]`
    RawApp {
        id: u32,
        private_key: RawSecret,
        installation: u32,
    }
}

table! {
    /// `[[github.apps]]`
    RawOwnersApp {
        repositories: Texts,
        id: u32,
        private_key: RawSecret,
        installation: u32,
    }
}

table! {
    /// `[[github.hooks]]`
    RawHook {
        repositories: Texts,
        secrets: Vec<Written<RawSecret>>,
    }
}

table! {
    /// `[sns]`
    RawSns {
        topics: Texts,
        allow_signature_v1: bool,
        confirm: bool,
        api_destination_secret: RawSecret,
    }
}

table! {
    /// `[[target]]`
    RawTarget {
        name: String,
        repository: String,
        source: RawSource,
        branches: Texts,
        tags: Texts,
        paths: Texts,
        environment: String,
        on_new_push: String,
        require_checks: Texts,
        checks_within: String,
        skip_ci: bool,
        notify: Texts,
        allow_forced: bool,
        deploy_on_start: bool,
        give_up_after: String,
        promote_to: RawNames,
        promote: String,
        lock_after_rollback: bool,
        freeze: Vec<Written<RawWindow>>,
        verify: RawVerifications,
        approvals: u32,
        approve_within: String,
        revision: String,
        commands: RawPermit,
        github: RawOnGitHub,
        bundle: RawBundle,
        revisions: RawRevisions,
        engine: RawEngine,
    }
}

table! {
    /// `freeze = [{ … }]`
    RawWindow {
        cron: String,
        timezone: String,
        long as "for": String,
        kind: String,
        reason: String,
    }
}

table! {
    /// `verify = { … }`
    RawVerify {
        url: String,
        command: Texts,
        status: u32,
        body_contains: String,
        long as "for": String,
        every: String,
        timeout: String,
        allow_private: bool,
        follow: bool,
    }
}

/// One thing to look at, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct RawVerifications(pub(super) Vec<Written<RawVerify>>);

impl Read for RawVerifications {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().is_array() {
            true => Read::read(value, path, reader).map(Self),
            false => Some(Self(vec![read_written(value, path, reader)?])),
        }
    }

    fn keys(prefix: &str, into: &mut Vec<String>) {
        RawVerify::keys(prefix, into);
    }
}

/// One name, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct RawNames(pub(super) Texts);

impl Read for RawNames {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().is_array() {
            true => Read::read(value, path, reader).map(Self),
            false => Some(Self(vec![read_written(value, path, reader)?])),
        }
    }
}

table! {
    /// `[target.github]`
    RawOnGitHub {
        context: String,
        description: String,
        deployments: bool,
        checks: bool,
        comments: bool,
        environment_url: String,
        production: bool,
        transient: bool,
    }
}

table! {
    /// `source = { … }`
    RawSource {
        git: String,
    }
}

table! {
    /// `[target.bundle]`
    RawBundle {
        root: String,
        exclude: Texts,
        format: String,
        provenance: String,
    }
}

table! {
    /// `[target.revisions]`
    RawRevisions {
        s3: RawS3,
        directory: String,
        keep: u32,
        keep_days: u32,
    }
}

table! {
    /// `s3 = { … }`
    RawS3 {
        bucket: String,
        prefix: String,
        region: String,
        endpoint_url: String,
        force_path_style: bool,
        sse: String,
        kms_key: String,
        bucket_key: bool,
        tags: BTreeMap<String, Written<String>>,
        tag_for_codedeploy: bool,
        expected_bucket_owner: String,
        assume_role: String,
        external_id: String,
    }
}

table! {
    /// `[target.engine]`: the keys of every kind; the check says which belong to which.
    RawEngine {
        kind: String,
        application: String,
        deployment_group: String,
        file_exists_behavior: String,
        ignore_application_stop_failures: bool,
        region: String,
        endpoint_url: String,
        assume_role: String,
        external_id: String,
        deployment_config: String,
        update_outdated_only: bool,
        success_on: String,
        platform: String,
        appspec: String,
        variables: RawVariables,
        auto_rollback: RawRollback,
        target_instances: RawInstances,
        override_alarms: RawAlarms,
        suspend_processes: Texts,
        root: String,
        user: String,
        traffic_hooks: bool,
        strict: bool,
        max_revisions: u32,
    }
}

table! {
    /// `target_instances = { … }`
    RawInstances {
        tags: Vec<Written<RawTag>>,
        tag_groups: Vec<Written<Vec<Written<RawTag>>>>,
        auto_scaling_groups: Texts,
    }
}

table! {
    /// `{ key = "…", value = "…" }`
    RawTag {
        key: String,
        value: String,
    }
}

table! {
    /// `override_alarms = { … }`
    RawAlarms {
        enabled: bool,
        ignore_poll_failure: bool,
        names: Texts,
    }
}

/// `true`, `false` or a list of events.
#[derive(Clone, Debug)]
pub(super) enum RawRollback {
    Switch(bool),
    On(Texts),
}

impl Read for RawRollback {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().is_array() {
            true => Read::read(value, path, reader).map(Self::On),
            false => Read::read(value, path, reader).map(Self::Switch),
        }
    }
}

/// `people = { … }` of a chat: its names for people, by those of GitHub.
#[derive(Clone, Debug)]
pub(super) struct RawPeople(pub(super) Vec<(Written<String>, Written<String>)>);

impl Read for RawPeople {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        pairs(value, path, reader).map(Self)
    }
}

/// `[target.engine.variables]`: whatever names a person gives.
#[derive(Clone, Debug)]
pub(super) struct RawVariables(pub(super) Vec<(Written<String>, Written<RawVariable>)>);

/// A text, or where one lies.
#[derive(Clone, Debug)]
pub(super) enum RawVariable {
    Text(String),
    Elsewhere(RawSecret),
}

impl Read for RawVariables {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        pairs(value, path, reader).map(Self)
    }
}

/// A table of whatever names a person gives.
fn pairs<T: Read>(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    reader: &mut Reader<'_>,
) -> Option<Vec<(Written<String>, Written<T>)>> {
    let Some(table) = value.get_ref().as_table() else {
        reader.wrong_type(path, "a table of names and texts", value);
        return None;
    };
    let pair = |(name, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let written = Written { value: name.get_ref().to_string(), span: name.span() };
        Some((written, read_written(value, &join(path, name.get_ref()), reader)?))
    };
    Some(table.iter().filter_map(pair).collect())
}

impl Read for RawVariable {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some(text) => Some(Self::Text(text.to_owned())),
            None => read_as_table(value, path, reader).map(Self::Elsewhere),
        }
    }
}

table! {
    /// `[[chat]]`
    RawChat {
        name: String,
        kind: String,
        webhook: RawSecret,
        token: RawSecret,
        channel: String,
        api_url: String,
        secret: RawSecret,
        smtp: String,
        starttls: bool,
        user: String,
        password: RawSecret,
        from: String,
        to: Texts,
        title: String,
        text: String,
        on: Texts,
        people: RawPeople,
        digest_above: u32,
        quiet: Vec<Written<RawWindow>>,
        urgent: Texts,
    }
}

table! {
    /// `[commands]`
    RawCommands {
        slack_signing_secret: RawSecret,
        comments: bool,
        level: String,
        teams: Texts,
        people: Texts,
    }
}

table! {
    /// `[target.commands]`
    RawPermit {
        level: String,
        teams: Texts,
        people: Texts,
    }
}

/// `{ env = "X" }` or `{ file = "path" }`
#[derive(Clone, Debug)]
pub(super) struct RawSecret {
    pub(super) env: Option<Written<String>>,
    pub(super) file: Option<Written<String>>,
}

impl Table for RawSecret {
    const KEYS: &'static [&'static str] = &["env", "file"];

    fn read_table(table: &DeTable<'_>, path: &str, reader: &mut Reader<'_>) -> Self {
        let mut it = Self { env: None, file: None };
        for (name, value) in table {
            let path = join(path, name.get_ref());
            match name.get_ref().as_ref() {
                "env" => it.env = read_written(value, &path, reader),
                "file" => it.file = read_written(value, &path, reader),
                _ => unknown::<Self>(name, &path, reader),
            }
        }
        it
    }

    fn written(&self) -> Vec<(&'static str, Range<usize>)> {
        let place = |key, it: &Option<Written<String>>| it.as_ref().map(|it| (key, it.span.clone()));
        place("env", &self.env).into_iter().chain(place("file", &self.file)).collect()
    }
}

impl Read for RawSecret {
    /// A secret written out is found without being shown: the code tells the renderer to leave the line out.
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            let finding = Finding::error(
                super::INLINE_SECRET,
                format!("`{path}` holds a secret itself, expected where to find it"),
            );
            let help = "put it into a file with mode 0600 and write `{ file = \"path\" }`, or `{ env = \"NAME\" }`";
            reader.find(finding.help(help), &value.span());
            reader.is_there(path);
            return None;
        }
        read_as_table(value, path, reader)
    }
}

impl Raw {
    /// Reads `text`; what is wrong with it stays with the reader. With broken syntax there is nothing to go on with:
    /// half the file may be missing or under another table, and what follows from that would only mislead.
    pub(super) fn parse(text: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let message = error.message().lines().next().unwrap_or_default();
            let help = "see https://toml.io for how TOML is written";
            let finding = Finding::error("config/syntax", message).help(help);
            reader.find(finding, &error.span().unwrap_or(0..0));
        }
        errors.is_empty().then(|| Self::read_table(table.get_ref(), "", reader))
    }

    /// The dotted name of every key there is. Secrets are counted as one.
    pub(super) fn all_keys() -> Vec<String> {
        let mut keys = Vec::new();
        <Self as Read>::keys("", &mut keys);
        keys
    }
}
