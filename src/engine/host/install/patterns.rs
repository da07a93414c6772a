//! Which of the installed paths an item of `permissions` speaks of (R73-R76, D2-D5).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::appspec::Permission;

/// What is installed now, and whether it is a directory.
pub(super) type Installed<'p> = BTreeMap<&'p Path, bool>;

/// The paths that match; an error says what the item cannot mean.
pub(super) fn matches<'p>(permission: &Permission, installed: &Installed<'p>) -> Result<Vec<&'p Path>, String> {
    let object: PathBuf = Path::new(&permission.object).components().collect();
    let pattern = permission.pattern.as_deref().unwrap_or("**");
    if let Some((path, false)) = installed.get_key_value(object.as_path()) {
        if pattern != "**" || !permission.except.is_empty() {
            return Err(format!("`{}` is a file, so `pattern` and `except` mean nothing there", permission.object));
        }
        return Ok(if permission.kinds.files { vec![*path] } else { Vec::new() });
    }
    let beneath = installed
        .range::<Path, _>((Bound::Included(&*object), Bound::Unbounded))
        .take_while(|(path, _)| path.starts_with(&object));
    Ok(beneath
        .filter(|(path, is_directory)| speaks_of(permission, &object, path, **is_directory))
        .map(|it| *it.0)
        .collect())
}

fn speaks_of(permission: &Permission, object: &Path, path: &Path, is_directory: bool) -> bool {
    if path == object {
        // D2: only a written `type: [directory]` without a pattern speaks of the object itself.
        return permission.kinds.written && permission.kinds.directories && permission.pattern.is_none();
    }
    let Ok(below) = path.strip_prefix(object) else { return false };
    let wanted = if is_directory { permission.kinds.directories } else { permission.kinds.files };
    let deep = below.components().count() > 1;
    let name = below.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    // D3, D4: a pattern reaches files directly inside and directories at any depth.
    let fits = |pattern: &str| pattern == "**" || ((is_directory || !deep) && like(pattern, &name));
    wanted
        && permission.pattern.as_deref().is_none_or(fits)
        && !(permission.except.iter()).any(|it| excepts(it, path, below, &name))
}

/// D5: an exception is a name, a path below the object, or an absolute path.
fn excepts(exception: &str, path: &Path, below: &Path, name: &str) -> bool {
    let bare = exception.strip_prefix("./").unwrap_or(exception);
    like(bare, name) || like(bare, &below.to_string_lossy()) || like(exception, &path.to_string_lossy())
}

/// `*` is any run of letters without a slash; everything else is itself (R75).
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what followed the last star did not fit: the star then takes one letter more.
    let mut last_star = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            last_star = Some((at, seen));
            at += 1;
        } else if pattern.get(at) == Some(&text[seen]) {
            at += 1;
            seen += 1;
        } else if let Some((star, from)) = last_star.filter(|(_, from)| text[*from] != b'/') {
            last_star = Some((star, from + 1));
            at = star + 1;
            seen = from + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn a_star_stops_at_a_slash_and_nothing_else_is_special() {
        assert!(like("*.txt", "a.txt") && like("*", "a") && like("a*c*", "abcd") && like("*my-folder*", "my-folder-1"));
        assert!(!like("*.txt", "d/a.txt") && !like("a?", "a1") && like("a?", "a?") && !like("a", "ab"));
        assert!(like("*", "") && like("d/*", "d/x") && like("*/x", "d/x") && like("*é*", "caféx") && !like("", "a"));
        assert!(!like("a*b*c", "a/b/c") && like("a*b", "aXbXb") && !like("*b", "bX"));
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!like(&"*a".repeat(100), &"a".repeat(99)));
        assert!(!like(&format!("{}b", "*a".repeat(50)), &"a".repeat(10_000)));
    }
}
