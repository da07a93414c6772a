//! Small values as people write them: sizes, durations, patterns, addresses. Each is read or refused with what was expected.

use std::time::Duration;

use globset::GlobBuilder;

use crate::domain::Unfit;

const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Reads a size: `256MiB`, `64 MiB`, `1GB`, `4096`.
pub fn size(text: &str) -> Result<u64, Unfit> {
    let unfit = || unfit("a size such as `256MiB`, `1GB` or a number of bytes", text);
    let (number, unit) = split_number(text.trim()).ok_or_else(unfit)?;
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(unfit)?;
    number.checked_mul(*factor).ok_or_else(unfit)
}

/// Reads a duration: `90s`, `5min`, `2h`, `1h30m`, `1d`.
pub fn duration(text: &str) -> Result<Duration, Unfit> {
    let unfit = || unfit("a duration such as `90s`, `5min`, `2h` or `1h30m`", text);
    let mut rest = text.trim();
    let mut millis = 0u64;
    if rest.is_empty() {
        return Err(unfit());
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(unfit)?;
        let after = after.trim_start();
        let end = after.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(after.len());
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == &after[..end]).ok_or_else(unfit)?;
        millis = number.checked_mul(*factor).and_then(|it| millis.checked_add(it)).ok_or_else(unfit)?;
        rest = after[end..].trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// Why a pattern is none; nothing where it is one.
pub(super) fn glob_trouble(pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("it is empty".into());
    }
    GlobBuilder::new(pattern).literal_separator(true).build().err().map(|error| error.kind().to_string())
}

/// A web address without the slash at its end.
pub(super) fn web_address(text: &str) -> Result<String, Unfit> {
    let unfit = || unfit("a web address such as `https://deploy.example.com`", text);
    let url = url::Url::parse(text).map_err(|_| unfit())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if plain { Ok(text.trim_end_matches('/').to_owned()) } else { Err(unfit()) }
}

fn unfit(expected: &'static str, found: &str) -> Unfit {
    Unfit { expected, found: found.chars().take(80).collect() }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(size("256MiB"), Ok(256 << 20));
        assert_eq!(size("64 MiB"), Ok(64 << 20));
        assert_eq!(size("1GB"), Ok(1_000_000_000));
        assert_eq!(size("4096"), Ok(4096));
        for wrong in ["", "MiB", "1mib", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5min"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2 h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "5", "h", "5 parsecs", "1h30", "-2h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn web_addresses_lose_their_last_slash_and_carry_nothing_else() {
        assert_eq!(web_address("https://deploy.example.com/").as_deref(), Ok("https://deploy.example.com"));
        for wrong in ["deploy.example.com", "ftp://x", "https://a:b@c", "https://x/?y", "https://"] {
            assert!(web_address(wrong).is_err(), "{wrong}");
        }
    }
}
