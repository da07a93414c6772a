//! An AppSpec as meant, every rule of its grammar already checked. It never says whether the bundle fits it.

use std::time::Duration;

use crate::domain::{FileExists, Place};

/// The run order of an in-place deployment behind a load balancer; without one the traffic events are left out.
pub const LIFECYCLE: [&str; 13] = [
    "BeforeBlockTraffic",
    "BlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
];

/// The lifecycle events that may have scripts, in run order.
pub const SCRIPTED_EVENTS: [&str; 9] = [
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
];

/// The lifecycle events whose scripts come from the revision that is there already (R15, D12).
pub const PREVIOUS_EVENTS: [&str; 3] = ["BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop"];

/// The lifecycle events that belong to the engine.
pub const RESERVED_EVENTS: [&str; 6] = ["Start", "DownloadBundle", "Install", "BlockTraffic", "AllowTraffic", "End"];

/// An AppSpec, by the platform it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppSpec {
    /// For servers: files, permissions and hook scripts.
    Server(ServerSpec),
    /// For one Lambda function.
    Lambda(LambdaSpec),
    /// For one ECS service.
    Ecs(EcsSpec),
}

/// The operating system that a server AppSpec is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// `linux`
    Linux,
    /// `windows`
    Windows,
}

/// An AppSpec for servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// Its operating system.
    pub os: Os,
    /// What is copied where, in the order of the file.
    pub files: Vec<FileMapping>,
    /// What happens to files that are there and not ours; nothing leaves it to the deployment's option.
    pub file_exists_behavior: Option<FileExists>,
    /// Owners, modes and more for what was copied.
    pub permissions: Vec<Permission>,
    /// The scripts, by lifecycle event, in the order of the file.
    pub hooks: Vec<Hook>,
}

/// One item of `files`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMapping {
    /// A file or directory of the bundle, as written.
    pub source: String,
    /// The directory it goes into, absolute.
    pub destination: String,
    /// Where the item stands.
    pub place: Place,
}

/// The scripts of one lifecycle event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The event's name.
    pub event: String,
    /// Its scripts, in run order.
    pub scripts: Vec<Script>,
    /// Where the event's name stands.
    pub place: Place,
}

/// One script of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its path in the bundle, as written and trimmed.
    pub location: String,
    /// How long it may take; nothing means the default of 3600 s (D1).
    pub timeout: Option<Duration>,
    /// The user it runs as; nothing means the engine's choice.
    pub runas: Option<String>,
    /// Where its location stands.
    pub place: Place,
}

/// One item of `permissions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The file or directory it speaks of, absolute.
    pub object: String,
    /// A name pattern; nothing means everything beneath (and, with `type: [directory]`, the object itself: D2).
    pub pattern: Option<String>,
    /// What it does not speak of.
    pub except: Vec<String>,
    /// The owner to set.
    pub owner: Option<String>,
    /// The group to set.
    pub group: Option<String>,
    /// The mode to set.
    pub mode: Option<u32>,
    /// Access control entries that replace the present ones.
    pub acls: Vec<String>,
    /// The SELinux label to set.
    pub context: Option<SecurityContext>,
    /// What kinds of objects it speaks of.
    pub kinds: PermissionKinds,
    /// Where the item stands.
    pub place: Place,
}

/// The kinds of objects a permission speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionKinds {
    /// Files.
    pub files: bool,
    /// Directories.
    pub directories: bool,
    /// Whether `type` was written: D2 asks.
    pub written: bool,
}

/// An SELinux label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityContext {
    /// The SELinux user.
    pub user: Option<String>,
    /// The type.
    pub kind: String,
    /// The range.
    pub range: Option<String>,
}

/// An AppSpec for one Lambda function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaSpec {
    /// The function.
    pub function: String,
    /// The alias that moves.
    pub alias: String,
    /// The version it points to now.
    pub current_version: Option<String>,
    /// The version it shall point to.
    pub target_version: String,
    /// Event and validating function, in the order of the file.
    pub hooks: Vec<(String, String)>,
}

/// An AppSpec for one ECS service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsSpec {
    /// The task definition's ARN.
    pub task_definition: String,
    /// The container behind the load balancer.
    pub container_name: String,
    /// Its port.
    pub container_port: u16,
    /// Event and validating function, in the order of the file.
    pub hooks: Vec<(String, String)>,
}

impl AppSpec {
    /// The server AppSpec, if it is one.
    pub fn server(&self) -> Option<&ServerSpec> {
        match self {
            Self::Server(spec) => Some(spec),
            Self::Lambda(_) | Self::Ecs(_) => None,
        }
    }
}

impl Permission {
    /// What it changes, in words.
    pub fn attributes(&self) -> impl Iterator<Item = &'static str> {
        let Self { owner, group, mode, acls, context, .. } = self;
        let set = [
            ("owner", owner.is_some()),
            ("group", group.is_some()),
            ("mode", mode.is_some()),
            ("acls", !acls.is_empty()),
            ("context", context.is_some()),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name)
    }
}

impl ServerSpec {
    /// A path as this AppSpec writes it, in the bundle's own form: relative, with slashes.
    pub fn in_bundle(&self, written: &str) -> String {
        match self.os {
            Os::Linux => in_bundle(written),
            Os::Windows => in_bundle(&written.replace('\\', "/")),
        }
    }

    /// The paths in the bundle that must be scripts, each once, without leading `/` and `./`.
    pub fn scripts(&self) -> Vec<String> {
        unique(self.hooks.iter().flat_map(|hook| &hook.scripts).map(|script| self.in_bundle(&script.location)))
    }

    /// The paths in the bundle that are copied, each once; empty means the whole bundle.
    pub fn sources(&self) -> Vec<String> {
        unique(self.files.iter().map(|file| self.in_bundle(&file.source)))
    }

    /// The scripts of one event.
    pub fn scripts_of(&self, event: &str) -> &[Script] {
        self.hooks.iter().find(|hook| hook.event == event).map_or(&[], |hook| &hook.scripts)
    }
}

/// A path as written in an AppSpec, relative to the bundle's root: `/x`, `./x` and `x` are the same (R27, R55).
pub(super) fn in_bundle(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

fn unique(paths: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for path in paths {
        if !seen.contains(&path) {
            seen.push(path);
        }
    }
    seen
}
