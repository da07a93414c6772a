//! What `permissions` means for what is installed now (R71-R82). Everything is resolved before anything is touched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use super::Problem;
use super::plan::Plan;
use super::tree::WantedKind;
use crate::appspec::{Permission, ServerSpec};

/// What changes at one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mode: Option<u32>,
    /// The entries that set owner, group and mode, for messages.
    by: [Option<usize>; 3],
}

/// The changes, by path.
pub(super) type Changes = BTreeMap<PathBuf, Change>;

/// Resolves all entries. Only files that are copied and directories that are made now can match (R72).
pub(super) fn resolve(
    spec: &ServerSpec,
    plan: &Plan,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> Changes {
    let mut installed: BTreeMap<&Path, bool> =
        plan.directories.iter().map(|(path, _)| (path.as_path(), true)).collect();
    for placed in plan.files.iter().filter(|placed| !matches!(placed.what, WantedKind::Link { .. })) {
        installed.insert(&placed.path, false);
    }
    let mut changes = Changes::new();
    for (index, permission) in spec.permissions.iter().enumerate() {
        let of = format!("item {} of `permissions` (line {})", index + 1, permission.place.line);
        let owner = permission.owner.as_deref().and_then(|name| user(name, &of, problems));
        let group = permission.group.as_deref().and_then(|name| group(name, &of, problems));
        if !permission.acls.is_empty() {
            problems.push(Problem::Machine(format!("{of} has `acls`, which this engine does not set yet")));
        }
        if permission.context.is_some() && !Path::new("/sys/fs/selinux/enforce").exists() {
            warnings.push(format!("{of}: SELinux is off on this host, so `context` was passed over"));
        } else if permission.context.is_some() {
            problems.push(Problem::Machine(format!("{of} has a `context`, which this engine does not set yet")));
        }
        let matched = matches(permission, &installed, &of, problems);
        if matched.is_empty() {
            warnings.push(format!(
                "{of}: nothing of this deployment matched `{}`; permissions apply only to what is installed now",
                permission.object
            ));
        }
        for path in matched {
            let change = changes.entry(path.to_owned()).or_default();
            let mut clash = |slot: usize, what: &str, set: bool| {
                if set && let Some(other) = change.by[slot].replace(index) {
                    problems.push(Problem::Revision(format!(
                        "items {} and {} of `permissions` both set the {what} of `{}`: narrow one with `except`",
                        other + 1,
                        index + 1,
                        path.display()
                    )));
                }
            };
            clash(0, "owner", owner.is_some());
            clash(1, "group", group.is_some());
            clash(2, "mode", permission.mode.is_some());
            change.uid = owner.or(change.uid);
            change.gid = group.or(change.gid);
            change.mode = permission.mode.or(change.mode);
        }
    }
    changes
}

fn user(name: &str, of: &str, problems: &mut Vec<Problem>) -> Option<u32> {
    let found = User::from_name(name).ok().flatten().map(|user| user.uid.as_raw()).or_else(|| name.parse().ok());
    if found.is_none() {
        problems.push(Problem::Unknown(format!("{of}: user `{name}` does not exist on this host")));
    }
    found
}

fn group(name: &str, of: &str, problems: &mut Vec<Problem>) -> Option<u32> {
    let found = Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()).or_else(|| name.parse().ok());
    if found.is_none() {
        problems.push(Problem::Unknown(format!("{of}: group `{name}` does not exist on this host")));
    }
    found
}

/// The installed paths that an entry speaks of (R73-R76).
fn matches<'p>(
    permission: &Permission,
    installed: &BTreeMap<&'p Path, bool>,
    of: &str,
    problems: &mut Vec<Problem>,
) -> Vec<&'p Path> {
    let object: PathBuf = Path::new(&permission.object).components().collect();
    let pattern = permission.pattern.as_deref().unwrap_or("**");
    if let Some((path, false)) = installed.get_key_value(object.as_path()) {
        if pattern != "**" || !permission.except.is_empty() {
            problems.push(Problem::Revision(format!(
                "{of}: `{}` is a file, so `pattern` and `except` mean nothing there",
                permission.object
            )));
        }
        return if permission.kinds.files { vec![*path] } else { Vec::new() };
    }
    let mut matched = Vec::new();
    for (path, is_directory) in installed {
        let itself = *path == object;
        if itself {
            // D2: only a written `type: [directory]` without a pattern speaks of the object itself.
            if permission.kinds.written && permission.kinds.directories && permission.pattern.is_none() {
                matched.push(*path);
            }
            continue;
        }
        let Ok(below) = path.strip_prefix(&object) else { continue };
        let wanted = if *is_directory { permission.kinds.directories } else { permission.kinds.files };
        let deep = below.components().count() > 1;
        let name = below.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        // D3, D4: a pattern reaches files directly inside and directories at any depth.
        let fits = pattern == "**" || ((*is_directory || !deep) && like(pattern, &name));
        if wanted && fits && !excepted(&permission.except, path, below, &name) {
            matched.push(*path);
        }
    }
    matched
}

/// D5: an exception is a name, a path below the object, or an absolute path.
fn excepted(except: &[String], path: &Path, below: &Path, name: &str) -> bool {
    except.iter().any(|it| {
        like(it, name)
            || like(it.trim_start_matches("./"), &below.to_string_lossy())
            || like(it, &path.to_string_lossy())
    })
}

/// `*` is any run of letters without a slash; everything else is itself (R75).
fn like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    let run = text.find('/').unwrap_or(text.len());
    (0..=run).filter(|at| text.is_char_boundary(*at)).any(|at| like(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn a_star_stops_at_a_slash_and_nothing_else_is_special() {
        assert!(like("*.txt", "a.txt") && like("*", "a") && like("a*c*", "abcd") && like("*my-folder*", "my-folder-1"));
        assert!(!like("*.txt", "d/a.txt") && !like("a?", "a1") && like("a?", "a?") && !like("a", "ab"));
    }
}
