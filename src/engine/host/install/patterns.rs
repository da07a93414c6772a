//! Which of the installed paths an item of `permissions` speaks of. What an item means is the AppSpec's to say.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::appspec::{Permission, Spoken};

/// What is installed now, and whether it is a directory.
pub(super) type Installed<'p> = BTreeMap<&'p Path, bool>;

/// The paths that match; an error says what the item cannot mean.
pub(super) fn matches<'p>(permission: &Permission, installed: &Installed<'p>) -> Result<Vec<&'p Path>, String> {
    let object: PathBuf = Path::new(&permission.object).components().collect();
    let beneath = installed
        .range::<Path, _>((Bound::Included(&*object), Bound::Unbounded))
        .take_while(|(path, _)| path.starts_with(&object));
    let mut matched = Vec::new();
    for (path, is_directory) in beneath {
        match permission.speaks_of(&path.to_string_lossy(), *is_directory) {
            Spoken::Of | Spoken::OfDeep => matched.push(*path),
            Spoken::FileWithPattern => {
                return Err(format!("`{}` is a file, so `pattern` and `except` mean nothing there", permission.object));
            }
            Spoken::Not | Spoken::Itself | Spoken::OtherType => {}
        }
    }
    Ok(matched)
}
