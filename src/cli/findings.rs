//! Findings for people, for programs and for GitHub's pull requests. Shows the lines they are about, except where a
//! secret stands in one.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::config::{INLINE_SECRET, veiled};
use crate::domain::{Finding, Findings, Place, Severity};

/// How findings are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, with the lines they are about.
    #[default]
    Human,
    /// One JSON object.
    Json,
    /// Workflow commands, which GitHub shows beside the lines of a pull request.
    Github,
}

/// Writes findings in this format; `text_of` gives the text of a file by the name that its findings use.
pub(super) fn render(findings: &Findings, format: Format, text_of: &dyn Fn(&str) -> Option<String>) -> String {
    match format {
        Format::Human => findings.0.iter().map(|it| human(it, text_of) + "\n\n").collect(),
        Format::Json => format!("{:#}\n", json!({ "findings": findings.0.iter().map(flat).collect::<Vec<_>>() })),
        Format::Github => findings.0.iter().map(|it| workflow_command(it) + "\n").collect(),
    }
}

/// `2 errors, 1 warning`.
pub(super) fn count(findings: &Findings) -> String {
    let of = |severity| findings.0.iter().filter(|it| it.severity == severity).count();
    let kinds = [
        (of(Severity::Error), "error"),
        (of(Severity::Warning), "warning"),
        (of(Severity::Portability), "portability note"),
        (of(Severity::Style), "style note"),
    ];
    let told = kinds.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> =
        told.map(|(count, name)| format!("{count} {name}{}", if *count == 1 { "" } else { "s" })).collect();
    if told.is_empty() { "no findings".into() } else { told.join(", ") }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Portability => "portability",
        Severity::Style => "style",
    }
}

fn human(finding: &Finding, text_of: &dyn Fn(&str) -> Option<String>) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Portability => Level::NOTE.with_name("portability"),
        Severity::Style => Level::NOTE.with_name("style"),
    };
    let shown = finding.place.as_ref().filter(|_| finding.code != INLINE_SECRET);
    let text = shown.and_then(|place| text_of(&place.file));
    let text = text.map(|it| if finding.code.starts_with("config/") { veiled(&it) } else { it });
    let group = level.primary_title(finding.message.as_str()).id(finding.code.as_str());
    let mut group = match (shown, &text) {
        (Some(place), Some(text)) => group.element(
            Snippet::source(text.as_str())
                .path(place.file.as_str())
                .annotation(AnnotationKind::Primary.span(bytes(place, text))),
        ),
        _ => Group::with_title(group),
    };
    let unshown = finding.place.as_ref().filter(|_| text.is_none());
    if let Some(Place { file, line, column, .. }) = unshown {
        group = group.element(Level::NOTE.message(format!("at {file}:{line}:{column}")));
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    Renderer::styled().render(&[group])
}

/// The bytes that a place underlines.
fn bytes(place: &Place, text: &str) -> Range<usize> {
    let index = |it: u32| usize::try_from(it).unwrap_or(usize::MAX).saturating_sub(1);
    let start = text.split_inclusive('\n').take(index(place.line)).map(str::len).sum::<usize>().min(text.len());
    let line = text[start..].split('\n').next().unwrap_or_default();
    let at = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte);
    let column = index(place.column);
    let length = index(place.length) + 1;
    start + at(column)..start + at(column.saturating_add(length))
}

fn flat(finding: &Finding) -> Value {
    let Finding { severity, code, message, place, help } = finding;
    let place = place.as_ref();
    json!({
        "severity": word(*severity),
        "code": code,
        "message": message,
        "file": place.map(|it| &it.file),
        "line": place.map(|it| it.line),
        "column": place.map(|it| it.column),
        "help": help,
    })
}

fn workflow_command(finding: &Finding) -> String {
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Portability | Severity::Style => "notice",
    };
    let message = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
    let mut command = format!("::{kind} ");
    if let Some(place) = &finding.place {
        command += &format!("file={},line={},col={},", property(&place.file), place.line, place.column);
    }
    command += &format!("title={}::{}", property(&finding.code), message(&finding.message));
    command + &finding.help.as_ref().map(|help| format!("%0A{}", message(help))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn finding(code: &str, line: u32, column: u32, length: u32) -> Findings {
        let place = Place { file: "landfall.toml".into(), line, column, length };
        Findings(vec![Finding::error(code, "unknown key `é`").at(place).help("did you mean `e`?")])
    }

    fn shown(findings: &Findings, format: Format) -> String {
        let text = render(findings, format, &|_| Some("a = 1\nü = é # x\n".into()));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn people_see_the_line() {
        expect![[r#"
            error[config/unknown-key]: unknown key `é`
             --> landfall.toml:2:5
              |
            2 | ü = é # x
              |     ^
              |
              = help: did you mean `e`?

        "#]]
        .assert_eq(&shown(&finding("config/unknown-key", 2, 5, 1), Format::Human));
    }

    #[test]
    fn a_line_with_a_secret_is_not_shown() {
        let text = shown(&finding(INLINE_SECRET, 2, 5, 1), Format::Human);
        assert!(!text.contains("ü = é") && text.contains("landfall.toml:2:5"), "{text}");
    }

    #[test]
    fn places_beyond_the_text_do_no_harm() {
        for (line, column, length) in [(0, 0, 0), (9, 9, 9), (2, 99, 1), (u32::MAX, u32::MAX, u32::MAX)] {
            assert!(shown(&finding("x/y", line, column, length), Format::Human).contains("unknown key"));
        }
    }

    #[test]
    fn programs_and_github_read_the_same() {
        let findings = finding("config/unknown-key", 2, 5, 1);
        let value: Value = serde_json::from_str(&shown(&findings, Format::Json)).unwrap();
        assert_eq!(value["findings"][0]["column"], 5);
        assert_eq!(value["findings"][0]["severity"], "error");
        assert_eq!(
            shown(&findings, Format::Github),
            "::error file=landfall.toml,line=2,col=5,title=config/unknown-key::unknown key `é`%0Adid you mean `e`?\n"
        );
        assert_eq!(count(&findings), "1 error");
    }
}
