//! Small things said plainly: what the operating system complains of, how large something is. Nothing of deployments.

use std::io;

/// An operating system's error in the house's manner: lowercase, without its number.
pub fn plainly(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
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
    use super::*;

    #[test]
    fn sizes_and_complaints_read_well() {
        let said: Vec<String> = [999, 33_800, 1_250_000, 3_100_000_000].into_iter().map(size).collect();
        assert_eq!(said, ["999 B", "34 kB", "1.2 MB", "3.1 GB"]);
        assert_eq!(plainly(&io::Error::from_raw_os_error(13)), "permission denied");
    }
}
