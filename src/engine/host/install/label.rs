//! SELinux labels as `context` means them (R83, D13).

use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};

use crate::appspec::SecurityContext;

const LABEL: &str = "security.selinux";

/// Whether SELinux is at work on this host.
pub(super) fn is_at_work() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Sets what `context` says in the label that the kernel gave a new file, and leaves the rest of it.
pub(super) fn set(path: &Path, context: &SecurityContext) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let length = lgetxattr(path, LABEL, &mut buffer)?;
    let present = String::from_utf8_lossy(&buffer[..length]);
    let label = with(present.trim_end_matches('\0'), context);
    Ok(lsetxattr(path, LABEL, format!("{label}\0").as_bytes(), XattrFlags::empty())?)
}

/// `user:role:type`, and a range where the host's policy has levels.
fn with(present: &str, context: &SecurityContext) -> String {
    let mut parts = present.splitn(4, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (user, role, _, range) = (next(), next(), next(), next());
    let user = context.user.as_deref().unwrap_or(user);
    let role = if role.is_empty() { "object_r" } else { role };
    let kind = &context.kind;
    if range.is_empty() {
        return format!("{user}:{role}:{kind}");
    }
    // The guide's default, whatever the directory's range is.
    let range = context.range.as_deref().unwrap_or("s0");
    format!("{user}:{role}:{kind}:{range}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(user: Option<&str>, range: Option<&str>) -> SecurityContext {
        let owned = |text: &str| text.to_owned();
        SecurityContext { user: user.map(owned), kind: "httpd_t".into(), range: range.map(owned) }
    }

    #[test]
    fn what_the_context_does_not_say_stays_as_the_kernel_chose() {
        let present = "unconfined_u:object_r:tmp_t:s0:c1,c2";
        assert_eq!(with(present, &context(Some("u"), Some("s0-s1:c0.c3"))), "u:object_r:httpd_t:s0-s1:c0.c3", "P36");
        assert_eq!(with(present, &context(None, None)), "unconfined_u:object_r:httpd_t:s0");
        assert_eq!(with("system_u:object_r:tmp_t", &context(None, Some("s0"))), "system_u:object_r:httpd_t");
    }

    #[test]
    fn a_label_is_read_and_written_as_the_kernel_holds_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let given = lsetxattr(file.path(), LABEL, b"system_u:object_r:tmp_t:s0\0", XattrFlags::empty());
        if is_at_work() || given.is_err() {
            return eprintln!("skipped: only root may set a label here, and only where SELinux does not judge it");
        }
        set(file.path(), &context(Some("me_u"), None)).unwrap();
        let mut buffer = [0; 64];
        let length = lgetxattr(file.path(), LABEL, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"me_u:object_r:httpd_t:s0\0");
    }
}
