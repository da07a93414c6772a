//! Small things said plainly: what the operating system complains of, how large something is. Nothing of deployments.

use std::error::Error;
use std::fmt::Write;

/// An error in the house's manner: lowercase, without the operating system's number.
pub fn plainly(error: &dyn Error) -> String {
    let text = error.to_string();
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(')');
    }
    let mut letters = plain.chars();
    let is_word = plain.chars().nth(1).is_some_and(char::is_lowercase);
    match letters.next() {
        Some(first) if is_word => first.to_lowercase().chain(letters).collect(),
        Some(_) | None => plain,
    }
}

/// An error and its causes, the innermost last, each said plainly and once.
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for cause in chain(error) {
        let text = plainly(cause);
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
    }
    said
}

/// The innermost cause, which says what the outer ones only wrap.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    plainly(chain(error).last().unwrap_or(error))
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |it| Error::source(*it))
}

/// What a stranger wrote, as text that does nothing: without what terminals obey, and without what turns the direction of
/// writing. Line ends and tabs stay.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|it| matches!(it, '\n' | '\t') || does_nothing(*it)).collect()
}

/// The same with nothing left out: what does something is escaped as JSON does it, so that JSON means what it meant.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        if matches!(it, '\n' | '\t') || does_nothing(it) {
            escaped.push(it);
        } else {
            write!(escaped, "\\u{:04x}", u32::from(it)).expect("memory takes every text");
        }
    }
    escaped
}

/// Text that does nothing, on one line, of so many characters at most.
pub fn one_line(text: &str, longest: usize) -> String {
    let told = text.trim().chars().map(|it| if it.is_whitespace() { ' ' } else { it });
    told.filter(|it| does_nothing(*it)).take(longest).collect()
}

/// Whether a character only stands where it stands. Those of Unicode's that join letters are needed by whole languages.
pub fn does_nothing(it: char) -> bool {
    !it.is_control()
        && !matches!(it, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

/// A length of time in the largest unit that says it well: `45 s`, `90 min`, `12 h`.
pub fn spell(time: std::time::Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..10_800 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// How long something took, to the second: `1 min 12 s`.
pub fn took(time: std::time::Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Bytes in the unit that needs at most three digits, by thousands.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn sizes_and_complaints_read_well() {
        let said: Vec<String> = [999, 33_800, 1_250_000, 3_100_000_000].into_iter().map(size).collect();
        assert_eq!(said, ["999 B", "34 kB", "1.2 MB", "3.1 GB"]);
        assert_eq!(plainly(&io::Error::from_raw_os_error(13)), "permission denied");
        let wrapped = |text| plainly(&io::Error::other(text));
        assert_eq!(wrapped("DNS: Refused (os error 111) by (os error 2) it"), "DNS: Refused by it");
    }

    #[test]
    fn what_strangers_write_does_nothing() {
        let text = "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\u{202e}evil\u{0}\r\n\tzw\u{200d}nj é 🚢";
        assert_eq!(harmless(text), "[31mred]0;title2Jevil\n\tzw\u{200d}nj é 🚢");
        assert_eq!(escaped("é\u{1b}[31m\n\t\u{202e}"), "é\\u001b[31m\n\t\\u202e");
        let json = serde_json::json!({ "said": "\u{202e}\u{9b}\u{7f}\n\"" });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped(&json.to_string())).unwrap(), json);
        assert_eq!(one_line(" a\r\nb\u{2028}c ", 9), "a  b c");
        assert_eq!(one_line(&"🚢".repeat(1000), 3), "🚢🚢🚢");
    }

    #[test]
    fn causes_are_said_once_each() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Outer(&'static str, #[source] io::Error);
        let inner = || io::Error::from_raw_os_error(111);
        assert_eq!(causes(&Outer("Dispatch failure", inner())), ["dispatch failure", "connection refused"]);
        assert_eq!(causes(&Outer("not sent: connection refused", inner())), ["not sent: connection refused"]);
    }

    #[test]
    fn a_time_is_said_in_the_unit_that_fits() {
        let said =
            [0, 45, 119, 120, 7200, 10_800, 43_200].map(|seconds| spell(std::time::Duration::from_secs(seconds)));
        assert_eq!(said, ["0 s", "45 s", "119 s", "2 min", "120 min", "3 h", "12 h"]);
    }
}
