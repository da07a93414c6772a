//! What `permissions` means for what is installed now (R71-R84). Everything is resolved before anything is touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, getgroups};

use super::Problem;
use super::acl::{self, Acl};
use super::label;
use super::patterns::{Installed, matches};
use super::plan::Plan;
use super::tree::WantedKind;
use crate::appspec::{Permission, SecurityContext, ServerSpec};

/// What changes at one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mode: Option<u32>,
    pub(super) acl: Option<Acl>,
    pub(super) context: Option<SecurityContext>,
    /// The items that set each of these, for messages.
    by: [Option<usize>; 5],
}

/// What each of [`Change::by`] is called.
const ATTRIBUTES: [&str; 5] = ["owner", "group", "mode", "access control list", "context"];

/// The changes, by path.
pub(super) type Changes = BTreeMap<PathBuf, Change>;

/// Resolves all items. Only files that are copied and directories of ours can match (R72).
pub(super) fn resolve(
    spec: &ServerSpec,
    plan: &Plan,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> Changes {
    let directories = plan.directories.iter().chain(&plan.kept).map(|(path, _)| (path.as_path(), true));
    let files = plan.files.iter().filter(|placed| !matches!(placed.what, WantedKind::Link { .. }));
    let installed: Installed<'_> = directories.chain(files.map(|placed| (placed.path.as_path(), false))).collect();
    let mut changes = Changes::new();
    for (index, permission) in spec.permissions.iter().enumerate() {
        let of = format!("item {} of `permissions` (line {})", index + 1, permission.place.line);
        let wanted = Wanted::of(permission, &of, problems, warnings);
        let matched = matches(permission, &installed).unwrap_or_else(|why| {
            problems.push(Problem::Revision(format!("{of}: {why}")));
            Vec::new()
        });
        match matched.first() {
            Some(first) if wanted.acl.is_some() && !acl::is_supported(existing(first)) => {
                problems.push(Problem::Machine(format!(
                    "{of}: `{}` is on a filesystem without access control lists, which `acls` needs",
                    first.display()
                )));
            }
            Some(_) => {}
            None => warnings.push(format!(
                "{of}: nothing of this deployment matched `{}`; permissions apply only to what is installed now",
                permission.object
            )),
        }
        for path in matched {
            let change = changes.entry(path.to_owned()).or_default();
            wanted.add_to(change, index, path, problems);
        }
    }
    warn_of_masks(spec, plan, &changes, warnings);
    changes
}

/// What one item sets, with names turned to numbers.
struct Wanted {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
    acl: Option<Acl>,
    context: Option<SecurityContext>,
}

impl Wanted {
    fn of(permission: &Permission, of: &str, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> Self {
        let mut unknown =
            |what: String| problems.push(Problem::Unknown(format!("{of}: {what} does not exist on this host")));
        let owner = permission.owner.as_deref();
        let group = permission.group.as_deref();
        let uid = owner.and_then(acl::user_id);
        let gid = group.and_then(acl::group_id);
        if let Some(name) = owner.filter(|_| uid.is_none()) {
            unknown(format!("user `{name}`"));
        }
        if let Some(name) = group.filter(|_| gid.is_none()) {
            unknown(format!("group `{name}`"));
        }
        let acl = (!permission.acls.is_empty()).then(|| Acl::parse(&permission.acls));
        let acl = acl.map(|(acl, names)| {
            names.into_iter().for_each(unknown);
            acl
        });
        if acl.as_ref().is_some_and(Acl::repeats_itself) {
            problems.push(Problem::Revision(format!("{of}: `acls` names a user or group twice")));
        }
        if let Some(what) = beyond_reach(uid, gid) {
            problems.push(Problem::Machine(format!(
                "{of}: only root can give a file to {what}, and the engine runs as `{}`",
                crate::engine::host::account::Account::own().name
            )));
        }
        let mut context = permission.context.clone();
        if context.is_some() && !label::is_at_work() {
            warnings.push(format!("{of}: SELinux is off on this host, so `context` was passed over"));
            context = None;
        }
        Self { uid, gid, mode: permission.mode, acl, context }
    }

    /// Two items may speak of one path, but not of the same attribute (R81).
    fn add_to(&self, change: &mut Change, index: usize, path: &Path, problems: &mut Vec<Problem>) {
        let Self { uid, gid, mode, acl, context } = self;
        let set = [uid.is_some(), gid.is_some(), mode.is_some(), acl.is_some(), context.is_some()];
        for slot in (0..set.len()).filter(|slot| set[*slot]) {
            if let Some(other) = change.by[slot].replace(index) {
                problems.push(Problem::Revision(format!(
                    "items {} and {} of `permissions` both set the {} of `{}`: narrow one with `except`",
                    other + 1,
                    index + 1,
                    ATTRIBUTES[slot],
                    path.display()
                )));
            }
        }
        change.uid = uid.or(change.uid);
        change.gid = gid.or(change.gid);
        change.mode = mode.or(change.mode);
        change.acl = acl.clone().or(change.acl.take());
        change.context = context.clone().or(change.context.take());
    }
}

/// The user or group that an engine which is not root cannot give anything to.
fn beyond_reach(uid: Option<u32>, gid: Option<u32>) -> Option<&'static str> {
    let own = Uid::effective();
    if own.is_root() {
        return None;
    }
    let in_group = |gid: u32| {
        gid == Gid::effective().as_raw() || getgroups().is_ok_and(|all| all.iter().any(|it| it.as_raw() == gid))
    };
    let foreign_user = uid.is_some_and(|uid| uid != own.as_raw());
    let foreign_group = gid.is_some_and(|gid| !in_group(gid));
    foreign_user.then_some("another user").or(foreign_group.then_some("a group that it is not in"))
}

/// Named users and groups that get less than is written, because the mode's group bits are the mask (R80): one warning
/// an item.
fn warn_of_masks(spec: &ServerSpec, plan: &Plan, changes: &Changes, warnings: &mut Vec<String>) {
    let mut told = Vec::new();
    let directories = plan.directories.iter().chain(&plan.kept).map(|(path, mode)| (path, mode.unwrap_or(0o755)));
    let files = plan.files.iter().filter_map(|placed| match &placed.what {
        WantedKind::File { from, .. } => {
            let change = changes.get(&placed.path)?;
            change.acl.as_ref()?;
            Some((&placed.path, change.mode.or_else(|| Some(fs::metadata(from).ok()?.permissions().mode()))?))
        }
        WantedKind::Link { .. } | WantedKind::Directory { .. } => None,
    });
    for (path, mode) in directories.chain(files) {
        let Some(change) = changes.get(path) else { continue };
        let (Some(acl), Some(item)) = (&change.acl, change.by[3]) else { continue };
        if acl.is_cut_by(change.mode.unwrap_or(mode)) && !told.contains(&item) {
            told.push(item);
            warnings.push(format!(
                "item {} of `permissions` (line {}): the mode of `{}` gives its group less than `acls` gives by name, \
                 which counts: add `m::rw` or alike to `acls`, or raise `mode`",
                item + 1,
                spec.permissions[item].place.line,
                path.display()
            ));
        }
    }
}

/// The path, or what exists above it.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/"))
}
