//! What the first bytes of a file tell: whether a hook script can start, and whether the file is only a Git LFS
//! pointer. Pure.

use crate::domain::Finding;

/// As many bytes as these questions need.
pub(super) const HEAD: usize = 256;

/// LFS pointers are shorter than this by their specification.
const POINTER: u64 = 1024;

/// What is left of a big file that GitHub's archive does not hold.
pub(super) fn is_lfs_pointer(head: &[u8], size: u64) -> bool {
    size < POINTER && head.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// Whether the script at `path` will start.
pub(super) fn check(path: &str, head: &[u8], size: u64, executable: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lower = path.to_ascii_lowercase();
    if [".bat", ".cmd", ".ps1", ".exe"].iter().any(|end| lower.ends_with(end)) {
        return findings;
    }
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    if is_lfs_pointer(head, size) {
        findings.push(
            Finding::error("bundle/script-lfs", format!("hook script `{path}` is a Git LFS pointer, not a script"))
                .help("take it out of LFS: `git lfs untrack` and add it again"),
        );
    } else if size == 0 {
        findings.push(Finding::warning("bundle/script-empty", format!("hook script `{path}` is empty")));
    } else if head.starts_with(b"\xef\xbb\xbf") {
        findings.push(
            Finding::error("bundle/script-bom", format!("hook script `{path}` begins with a byte order mark"))
                .help("save it as UTF-8 without BOM: before `#!` it keeps the script from starting"),
        );
    } else if line.starts_with(b"#!") && line.ends_with(b"\r") {
        findings.push(
            Finding::error("bundle/script-crlf", format!("hook script `{path}` has Windows line ends"))
                .help(format!("add `{path} text eol=lf` to .gitattributes and commit it renormalised")),
        );
    } else if !head.starts_with(b"#!") && !head.starts_with(b"\x7fELF") {
        findings.push(
            Finding::warning("bundle/script-shebang", format!("hook script `{path}` does not begin with `#!`"))
                .help("begin it with `#!/bin/sh` or the like; without, `/bin/sh` runs it"),
        );
    }
    if !executable && size > 0 {
        findings.push(
            Finding::warning("bundle/script-mode", format!("hook script `{path}` is not executable in git"))
                .help(format!("run `git update-index --chmod=+x {path}`")),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_cannot_start_is_found() {
        let codes = |head: &[u8], executable| -> Vec<String> {
            check("a.sh", head, head.len() as u64, executable).into_iter().map(|it| it.code).collect()
        };
        assert_eq!(codes(b"#!/bin/sh\nx", true), Vec::<String>::new());
        assert_eq!(codes(b"#!/bin/sh\nx", false), ["bundle/script-mode"]);
        assert_eq!(codes(b"#!/bin/sh\r\nx", true), ["bundle/script-crlf"]);
        assert_eq!(codes(b"\xef\xbb\xbf#!/bin/sh\n", true), ["bundle/script-bom"]);
        assert_eq!(codes(b"echo", true), ["bundle/script-shebang"]);
        assert_eq!(codes(b"", false), ["bundle/script-empty"]);
        assert_eq!(codes(b"version https://git-lfs.github.com/spec/v1\noid", true), ["bundle/script-lfs"]);
        assert_eq!(check("A.BAT", b"@echo off\r\n", 11, false), []);
    }
}
