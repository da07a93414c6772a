//! What a hook script's text tells: whether it can start, and whether it will say the truth about how it went. Pure.

use super::shell;
use crate::domain::{Finding, Place};

/// As many bytes as a file that is no script is looked at.
pub(super) const HEAD: usize = 256;
/// As many bytes of a script are read; longer ones are programs.
pub(super) const TEXT: usize = 64 << 10;

/// LFS pointers are shorter than this by their specification.
const POINTER: u64 = 1024;

/// What is left of a big file that GitHub's archive does not hold.
pub(super) fn is_lfs_pointer(head: &[u8], size: u64) -> bool {
    size < POINTER && head.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// Whether the script at `path` will start, and what its text will surprise with. `file` is its name for people.
pub(super) fn check(path: &str, file: &str, text: &[u8], size: u64, executable: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lower = path.to_ascii_lowercase();
    if [".bat", ".cmd", ".ps1", ".exe"].iter().any(|end| lower.ends_with(end)) {
        return findings;
    }
    let place = |line: usize, length: u32| Place {
        file: file.to_owned(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: 1,
        length,
    };
    if let Some(finding) = start(path, text, size) {
        findings.push(finding.at(place(1, 1)));
    } else {
        let text = String::from_utf8_lossy(text);
        let long = |line: usize| text.lines().nth(line - 1).map_or(1, |it| it.chars().count().max(1));
        for (line, finding) in shell::check(path, &text) {
            findings.push(finding.at(place(line, u32::try_from(long(line)).unwrap_or(1))));
        }
    }
    if !executable && size > 0 {
        findings.push(
            Finding::warning("bundle/script-mode", format!("hook script `{path}` is not executable"))
                .at(place(1, 1))
                .help(format!("run `git update-index --chmod=+x {file}`, or `chmod +x {file}` where there is no git")),
        );
    }
    findings
}

/// What keeps it from starting as it was meant to.
fn start(path: &str, text: &[u8], size: u64) -> Option<Finding> {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let finding = if is_lfs_pointer(text, size) {
        Finding::error("bundle/script-lfs", format!("hook script `{path}` is a Git LFS pointer, not a script"))
            .help("take it out of LFS: `git lfs untrack` and add it again")
    } else if size == 0 {
        Finding::warning("bundle/script-empty", format!("hook script `{path}` is empty"))
            .help("fill it, or take it out of appspec.yml")
    } else if text.starts_with(b"\xef\xbb\xbf") {
        Finding::error("bundle/script-bom", format!("hook script `{path}` begins with a byte order mark"))
            .help("save it as UTF-8 without BOM: before `#!` it keeps the script from starting")
    } else if line.starts_with(b"#!") && line.ends_with(b"\r") {
        Finding::error("bundle/script-crlf", format!("hook script `{path}` has Windows line ends"))
            .help(format!("add `{path} text eol=lf` to .gitattributes and commit it renormalised"))
    } else if !text.starts_with(b"#!") && !text.starts_with(b"\x7fELF") {
        if line.ends_with(b"\r") {
            Finding::error("bundle/script-crlf", format!("hook script `{path}` has Windows line ends, and no `#!`"))
                .help(format!("add `{path} text eol=lf` to .gitattributes, and begin it with `#!/bin/sh`"))
        } else {
            Finding::warning("bundle/script-shebang", format!("hook script `{path}` does not begin with `#!`"))
                .help("begin it with `#!/bin/sh` or the like; without, `/bin/sh` runs it")
        }
    } else {
        return None;
    };
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_cannot_start_is_found() {
        let codes = |head: &[u8], executable| -> Vec<String> {
            check("a.sh", "a.sh", head, head.len() as u64, executable).into_iter().map(|it| it.code).collect()
        };
        assert_eq!(codes(b"#!/bin/sh\nx", true), Vec::<String>::new());
        assert_eq!(codes(b"#!/bin/sh\nx", false), ["bundle/script-mode"]);
        assert_eq!(codes(b"#!/bin/sh\r\nx", true), ["bundle/script-crlf"], "H28");
        assert_eq!(codes(b"\xef\xbb\xbf#!/bin/sh\n", true), ["bundle/script-bom"], "H29");
        assert_eq!(codes(b"echo", true), ["bundle/script-shebang"], "H30");
        assert_eq!(codes(b"echo\r\n", true), ["bundle/script-crlf"], "H28");
        assert_eq!(codes(b"", false), ["bundle/script-empty"], "H32");
        assert_eq!(codes(b"version https://git-lfs.github.com/spec/v1\noid", true), ["bundle/script-lfs"]);
        assert_eq!(check("A.BAT", "A.BAT", b"@echo off\r\n", 11, false), []);
    }
}
