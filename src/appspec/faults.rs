//! Faults of the text itself that YAML would tell badly or not at all: tabs, look-alike letters, missing spaces.

use saphyr_parser::ScanError;

use super::yaml::number;
use crate::domain::{Finding, Findings, Place};

const KEYS: [&str; 18] = [
    "version",
    "os",
    "files",
    "source",
    "destination",
    "file_exists_behavior",
    "permissions",
    "object",
    "pattern",
    "except",
    "owner",
    "group",
    "mode",
    "type",
    "hooks",
    "location",
    "timeout",
    "runas",
];

/// Looks the text over, line by line, and returns it without its byte-order mark.
pub(super) fn look_over<'t>(text: &'t str, file: &str, findings: &mut Findings) -> &'t str {
    let at = |line: usize, column: usize, length: usize| Place {
        file: file.to_owned(),
        line: number(line),
        column: number(column),
        length: number(length),
    };
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    if body.len() < text.len() {
        findings.push(
            Finding::error("appspec/byte-order-mark", "the file begins with a UTF-8 byte-order mark")
                .at(at(1, 1, 1))
                .help("save it as UTF-8 without BOM; AWS's agent would complain about `os` instead"),
        );
    }
    if let Some(line) = body.lines().position(|_| true).filter(|_| body.contains("\r\n")) {
        findings.push(
            Finding::warning("appspec/line-ends", "the file has Windows line ends")
                .at(at(line + 1, 1, 1))
                .help("save it with Unix line ends; scripts with such line ends do not start"),
        );
    }
    for (index, line) in body.lines().enumerate() {
        look_over_line(line, |column, length| at(index + 1, column, length), findings);
    }
    body
}

fn look_over_line(line: &str, at: impl Fn(usize, usize) -> Place, findings: &mut Findings) {
    let content = line.trim_start_matches([' ', '\t']);
    let indent = &line[..line.len() - content.len()];
    if content.is_empty() || content.starts_with('#') {
        return;
    }
    if let Some(column) = indent.find('\t') {
        let tabs = indent.matches('\t').count();
        findings.push(
            Finding::error("appspec/tab", format!("{tabs} tab{} in the indentation", if tabs == 1 { "" } else { "s" }))
                .at(at(column + 1, tabs))
                .help("replace each tab by two spaces: YAML allows nothing else"),
        );
    }
    let quoted = content.contains(['"', '\'']);
    for (column, letter) in line.chars().enumerate() {
        if let Some(plain) = look_alike(letter).filter(|_| !quoted) {
            findings.push(
                Finding::error(
                    "appspec/look-alike",
                    format!("U+{:04X} where a plain letter was meant", u32::from(letter)),
                )
                .at(at(column + 1, 1))
                .help(format!("write {plain}; an editor replaced it")),
            );
        }
    }
    let item = content.strip_prefix("- ").map_or(content, str::trim_start);
    let column = line.chars().count() - item.chars().count() + 1;
    let Some((key, value)) = item.split_once(':') else { return };
    if KEYS.contains(&key) && !value.is_empty() && !value.starts_with([' ', '\t', '\r']) {
        findings.push(
            Finding::error("appspec/no-space", format!("no space after the colon of `{key}:`"))
                .at(at(column, key.len() + 1))
                .help(format!("write `{key}: {}`", value.trim())),
        );
    }
    let value = value.trim_start().trim_start_matches('[').trim_start();
    let value = value.trim_end_matches(']').trim_end();
    let anchor = value.strip_prefix('*').is_some_and(|it| {
        !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    });
    if value.starts_with('*') && (!anchor || key == "pattern") {
        findings.push(
            Finding::error("appspec/unquoted-star", format!("`{value}` is not quoted: a bare `*` begins a YAML alias"))
                .at(at(column, item.trim_end().chars().count()))
                .help(format!("write `{key}: \"{value}\"`")),
        );
    }
}

fn look_alike(letter: char) -> Option<&'static str> {
    match letter {
        '\u{a0}' => Some("an ordinary space"),
        '\u{200b}' | '\u{feff}' => Some("nothing there"),
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => Some("no quotation marks, or straight ones"),
        '\u{2013}' | '\u{2014}' => Some("`-`"),
        _ => None,
    }
}

/// The finding for text that is no YAML.
pub(super) fn unreadable(error: &ScanError, text: &str, file: &str) -> Finding {
    let marker = error.marker();
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    let first = line.trim_start().trim_start_matches("- ").split(':').next().unwrap_or_default();
    let help = if line.matches(": ").count() > 1 && !line.contains(['"', '\'', '{']) {
        "quote the value: it holds `: `".to_owned()
    } else if KEYS.contains(&first) {
        format!("indent `{first}` like the other keys of its item")
    } else {
        "look at the indentation of this line and of the one above".to_owned()
    };
    Finding::error("appspec/not-yaml", format!("not YAML: {}", error.info()))
        .at(Place {
            file: file.to_owned(),
            line: number(marker.line().max(1)),
            column: number(marker.col() + 1),
            length: 1,
        })
        .help(help)
}
