//! Faults of the text itself that YAML would tell badly or not at all: tabs, look-alike letters, missing spaces. It
//! never judges what the text means.

use saphyr_parser::ScanError;

use super::yaml::number;
use crate::domain::{Finding, Findings, Place};

/// The keys after which a missing space is told, and whose indentation is explained.
const KEYS: &[&str] = &[
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
    "acls",
    "context",
    "type",
    "hooks",
    "location",
    "timeout",
    "runas",
    "Resources",
    "Type",
    "Properties",
    "Name",
    "Alias",
    "CurrentVersion",
    "TargetVersion",
    "TaskDefinition",
    "LoadBalancerInfo",
    "ContainerName",
    "ContainerPort",
    "Hooks",
];

/// A text with so many faults is no AppSpec, and telling them all would only cost.
const ENOUGH: usize = 1000;

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
            Finding::error("appspec/byte-order-mark", "the file begins with a UTF-8 byte-order mark (EF BB BF)")
                .at(at(1, 1, 1))
                .help("save it as UTF-8 without BOM; AWS's agent would complain about `os` instead"),
        );
    }
    if let Some(line) = body.split('\n').position(|line| line.ends_with('\r')) {
        findings.push(
            Finding::warning("appspec/line-ends", "the file has Windows line ends")
                .at(at(line + 1, 1, 1))
                .help("save it with Unix line ends; scripts with such line ends do not start"),
        );
    }
    for (index, line) in body.lines().enumerate() {
        if findings.0.len() > ENOUGH {
            break;
        }
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
        let message = match tabs {
            1 => "a tab in the indentation".to_owned(),
            tabs => format!("{tabs} tabs in the indentation"),
        };
        findings.push(
            Finding::error("appspec/tab", message)
                .at(at(column + 1, tabs))
                .help("replace each tab by 2 spaces: YAML allows nothing else"),
        );
    }
    let bare = bare(line);
    for (index, (column, letter)) in bare.iter().enumerate() {
        let Some(plain) = look_alike(*letter) else { continue };
        let beside = |other: Option<&(usize, char)>| other.is_some_and(|(_, it)| it.is_alphanumeric());
        let within = beside(index.checked_sub(1).and_then(|it| bare.get(it))) && beside(bare.get(index + 1));
        let message = format!("U+{:04X} `{letter}`, which looks like a plain character", u32::from(*letter));
        // A dash or an apostrophe between two letters may well be in the name of a file.
        let finding = if within && matches!(letter, '\u{2018}' | '\u{2019}' | '\u{2013}' | '\u{2014}') {
            Finding::warning("appspec/look-alike", message).help("rename it with plain characters, if you can")
        } else {
            Finding::error("appspec/look-alike", message).help(format!("write {plain}; an editor replaced it"))
        };
        findings.push(finding.at(at(column + 1, 1)));
    }
    look_over_pair(line, content, at, findings);
}

fn look_over_pair(line: &str, content: &str, at: impl Fn(usize, usize) -> Place, findings: &mut Findings) {
    let item = content.strip_prefix("- ").map_or(content, str::trim_start);
    let column = line.chars().count() - item.chars().count() + 1;
    let (key, value) = item.split_once(':').unwrap_or(("", item));
    if KEYS.contains(&key) && !value.is_empty() && !value.starts_with([' ', '\t', '\r']) {
        findings.push(
            Finding::error("appspec/no-space", format!("no space after the colon of `{key}:`"))
                .at(at(column, key.len() + 1))
                .help(format!("write `{key}: {}`", value.trim())),
        );
    }
    if item.starts_with(['"', '\'', '#']) {
        return;
    }
    let whole = value.split(" #").next().unwrap_or_default().trim();
    let entries = whole.strip_prefix('[').map_or(whole, |rest| rest.trim_end().trim_end_matches(']'));
    let starred = if whole.starts_with('[') {
        entries.split(',').map(str::trim).find(|it| is_bare_star(it, false))
    } else {
        // In braces a comma ends the value.
        let one = if item.starts_with('{') { entries.split([',', '}']).next() } else { Some(entries) };
        one.map(str::trim).filter(|it| is_bare_star(it, key == "pattern"))
    };
    if let Some(value) = starred {
        let help = match (key, whole.starts_with('[')) {
            ("", _) => format!("write `\"{value}\"`"),
            (key, true) => format!("write `{key}: [\"{value}\"]`"),
            (key, false) => format!("write `{key}: \"{value}\"`"),
        };
        findings.push(
            Finding::error("appspec/unquoted-star", format!("`{value}` is not quoted: a bare `*` begins a YAML alias"))
                .at(at(column, item.trim_end().chars().count()))
                .help(help),
        );
    }
}

/// Whether a value is a pattern rather than the name of an anchor, which a pattern's key never takes.
fn is_bare_star(value: &str, never_anchor: bool) -> bool {
    value.strip_prefix('*').is_some_and(|rest| {
        let name = !rest.is_empty() && rest.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
        never_anchor || !name
    })
}

/// The letters of a line, with their columns from 0, that stand in no quotation marks and no comment.
fn bare(line: &str) -> Vec<(usize, char)> {
    let mut bare = Vec::new();
    let mut quote = None;
    let mut before = ' ';
    for (column, letter) in line.chars().enumerate() {
        match quote {
            Some(mark) if letter == mark => quote = None,
            Some(_) => {}
            None if letter == '#' && before.is_whitespace() => break,
            None if matches!(letter, '"' | '\'') && matches!(before, ' ' | '\t' | '[' | '{' | ',') => {
                quote = Some(letter);
            }
            None => bare.push((column, letter)),
        }
        before = letter;
    }
    bare
}

fn look_alike(letter: char) -> Option<&'static str> {
    match letter {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => Some("an ordinary space"),
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' => Some("nothing there"),
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201c}' | '\u{201d}' | '\u{201e}' => {
            Some("no quotation marks, or straight ones, where these typographic ones stand")
        }
        '\u{2013}' | '\u{2014}' | '\u{2212}' => Some("`-`"),
        '\u{ff1a}' => Some("`:`"),
        _ => None,
    }
}

/// The finding for text that is no YAML.
pub(super) fn unreadable(error: &ScanError, text: &str, file: &str) -> Finding {
    let marker = error.marker();
    let at = marker.line().saturating_sub(1);
    let line = text.lines().nth(at).unwrap_or_default();
    let place = Place {
        file: file.to_owned(),
        line: number(marker.line().max(1)),
        column: number(marker.col() + 1),
        length: 1,
    };
    let content = line.trim_start();
    let first = content.trim_start_matches("- ").split(':').next().unwrap_or_default();
    let known = KEYS.contains(&first);
    if let Some((message, help)) = misplaced(text, at, first).filter(|_| known && !content.starts_with('-')) {
        return Finding::error("appspec/not-yaml", message).at(place).help(help);
    }
    let help = if line.matches(": ").count() > 1 && !line.contains(['"', '\'', '{']) {
        "quote the value: it holds `: `".to_owned()
    } else if line.contains('*') && error.info().contains("alias") {
        "put what begins with `*` into quotation marks".to_owned()
    } else if error.info().contains("quoted") {
        "close the quotation mark that is open".to_owned()
    } else if error.info().contains("flow") {
        "close the bracket or brace that is open".to_owned()
    } else if known {
        format!("indent `{first}` like the other keys of its item")
    } else {
        "look at the indentation of this line and of the one above".to_owned()
    };
    Finding::error("appspec/not-yaml", format!("not YAML: {}", error.info())).at(place).help(help)
}

/// Where a key stands that is not in line with the list item above it.
fn misplaced(text: &str, at: usize, key: &str) -> Option<(String, String)> {
    let lines: Vec<&str> = text.lines().take(at + 1).collect();
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let own = indent(lines.get(at)?);
    let (index, item) = lines[..at].iter().enumerate().rfind(|(_, line)| line.trim_start().starts_with("- "))?;
    let inner = item.trim_start().strip_prefix("- ")?;
    let keys = indent(item) + 2 + indent(inner);
    if own == keys || own < indent(item) {
        return None;
    }
    let head = inner.split(':').next().unwrap_or_default().trim();
    let (count, act) = if own < keys { (keys - own, "add") } else { (own - keys, "remove") };
    Some((
        format!(
            "`{key}` begins in column {}, and the keys of the `- {head}` item in line {} in column {}",
            own + 1,
            index + 1,
            keys + 1
        ),
        format!("{act} {count} space{}, so that `{key}` belongs to that item", if count == 1 { "" } else { "s" }),
    ))
}
