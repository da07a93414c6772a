//! Small things said plainly: what the operating system complains of, how large something is. Nothing of deployments.

use std::error::Error;

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
    fn causes_are_said_once_each() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Outer(&'static str, #[source] io::Error);
        let inner = || io::Error::from_raw_os_error(111);
        assert_eq!(causes(&Outer("Dispatch failure", inner())), ["dispatch failure", "connection refused"]);
        assert_eq!(causes(&Outer("not sent: connection refused", inner())), ["not sent: connection refused"]);
    }
}
