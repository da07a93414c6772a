//! Any text as a configuration: there is one exactly when nothing refuses, every finding leads to its place, and none
//! says anything of a secret.

use std::path::Path;
use std::sync::OnceLock;

use landfall::config::{Config, Environment, INLINE_SECRET};
use landfall::domain::{Finding, Findings};

use super::is_harmless;

/// What lies in the file `secret` and in the variable `TOKEN`, and nowhere in any configuration.
const UNTOLD: &str = "hush-4f1d-hush";

fn place() -> &'static Path {
    static PLACE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = PLACE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), UNTOLD).unwrap();
        dir
    });
    made.path()
}

pub(crate) fn look(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parse = || Config::parse(text, place().join("landfall.toml"), &Environment::of([("TOKEN", UNTOLD)]));
    let (config, findings) = match parse() {
        Ok(config) => (Some(config.clone()), config.warnings),
        Err(findings) => (None, findings),
    };
    assert_eq!(config.is_none(), findings.refuse(), "{findings}");
    assert!(!format!("{config:?} {findings:?}").contains(UNTOLD), "{findings}");
    findings.0.iter().for_each(|it| look_at(it, text));
    let again = parse().map_or_else(|findings| findings, |config| config.warnings);
    assert_eq!(Findings(findings.0), again, "the same text is told the same");
}

fn look_at(finding: &Finding, text: &str) {
    assert!(finding.code.starts_with("config/"), "{finding:?}");
    assert!(is_harmless(&finding.message) && finding.help.as_deref().is_none_or(is_harmless), "{finding:?}");
    let Some(place) = &finding.place else { return };
    assert!(place.file.ends_with("/landfall.toml") && place.column > 0 && place.length > 0, "{finding:?}");
    let line = usize::try_from(place.line).unwrap();
    assert!((1..=text.split('\n').count()).contains(&line), "{finding:?}");
    if finding.code == INLINE_SECRET {
        let column = usize::try_from(place.column).unwrap() - 1;
        let line = text.split('\n').nth(line - 1).unwrap();
        let written: String = line.chars().skip(column).take(usize::try_from(place.length).unwrap()).collect();
        let secret = written.trim_matches(['"', '\'']);
        assert!(secret.len() < 12 || !finding.to_string().contains(secret), "{finding}");
    }
}
