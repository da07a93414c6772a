//! The form of a commit on disk: a header line, then its record lines. Pure: touches no file.

use serde::{Deserialize, Serialize};

use crate::domain::{Offset, Record};

/// The version of a commit as it was written.
const VERSION: u32 = 1;
/// The version of what was kept of commits that retention let go of: records before it may be missing.
const KEPT: u32 = 2;
/// How every header begins. No record line begins so, and no line holds a line end within.
pub(super) const BEGINNING: &[u8] = b"{\"frame\":";
/// No header is longer: seven numbers of at most 20 digits, and their names.
pub(super) const LONGEST_HEADER: usize = 256;

/// What stands before a commit's record lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The offset of its first record.
    pub(super) offset: Offset,
    /// How many records it has.
    pub(super) records: u64,
    /// How many bytes its record lines take, their ends included.
    pub(super) bytes: u64,
    /// The CRC-32 of those bytes.
    pub(super) crc32: u32,
    /// All records below this offset were synced before this commit was written. It tells a torn end from altered
    /// truth: what lies below the `synced` of an intact commit cannot be torn.
    pub(super) synced: Offset,
    /// Whether it was kept when others went. What is below its `synced` was looked at then.
    pub(super) kept: bool,
}

/// A line of the last frame of what was kept: an entry of the index that is the fold of records which went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The key in the index.
    #[serde(rename = "state")]
    pub(super) key: String,
    /// The value under it, which is JSON, or nothing.
    pub(super) value: String,
}

/// What is wrong with a commit on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// The file ends within it.
    Short,
    /// Parts of it were never written: text holds no zero bytes.
    Holes,
    /// Anything else.
    Altered(String),
}

impl Damage {
    fn of(bytes: &[u8], said: impl FnOnce() -> String) -> Self {
        if bytes.contains(&0) { Self::Holes } else { Self::Altered(said()) }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => f.write_str("the file ends within the commit"),
            Self::Holes => f.write_str("the commit holds zero bytes, which were never written"),
            Self::Altered(said) => f.write_str(said),
        }
    }
}

impl Header {
    /// The header line, with its end.
    pub(super) fn render(&self) -> String {
        let Self { offset, records, bytes, crc32, synced, kept } = self;
        let version = if *kept { KEPT } else { VERSION };
        let fields = format!(
            r#"{{"frame":{version},"offset":{offset},"records":{records},"bytes":{bytes},"crc32":"{crc32:08x}","synced":{synced}"#
        );
        let check = crc32fast::hash(fields.as_bytes());
        format!("{fields},\"check\":\"{check:08x}\"}}\n")
    }

    /// Reads a header line back, its end included. It must be, byte for byte, what [`Header::render`] writes.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Damage> {
        let wrong = |said: &str| Damage::of(line, || said.to_owned());
        let text = std::str::from_utf8(line).map_err(|_| wrong("the header is not text"))?;
        let values = fields(text).ok_or_else(|| wrong("no header begins here"))?;
        let number = |index: usize| values[index].parse::<u64>().map_err(|_| wrong("a header's number is none"));
        if number(0)? > KEPT.into() {
            return Err(Damage::Altered(format!("version {} of the format, which a newer program wrote", values[0])));
        }
        let crc32 =
            u32::from_str_radix(values[4].trim_matches('"'), 16).map_err(|_| wrong("its crc32 is no number"))?;
        let (offset, synced) = (Offset(number(1)?), Offset(number(5)?));
        let kept = number(0)? == u64::from(KEPT);
        let header = Self { offset, records: number(2)?, bytes: number(3)?, crc32, synced, kept };
        if header.render() == text { Ok(header) } else { Err(wrong("the header does not match its own check")) }
    }

    /// Checks the record lines that follow it.
    pub(super) fn check(&self, lines: &[u8]) -> Result<(), Damage> {
        let found = crc32fast::hash(lines);
        if found == self.crc32 {
            return Ok(());
        }
        let expected = self.crc32;
        Err(Damage::of(lines, || format!("crc32 {expected:08x} was expected, and its lines have {found:08x}")))
    }
}

/// The seven values of a header line, as written.
fn fields(text: &str) -> Option<[&str; 7]> {
    const NAMES: [&str; 7] = ["frame", "offset", "records", "bytes", "crc32", "synced", "check"];
    let mut values = [""; 7];
    let mut parts = text.strip_prefix('{')?.strip_suffix("}\n")?.split(',');
    for (name, value) in NAMES.iter().zip(&mut values) {
        let (key, rest) = parts.next()?.split_once(':')?;
        (key.trim_matches('"') == *name).then_some(())?;
        *value = rest;
    }
    parts.next().is_none().then_some(values)
}

/// Writes one commit at the end of `out`, and gives its header.
pub(super) fn encode(records: &[Record], synced: Offset, out: &mut Vec<u8>) -> Header {
    let start = out.len();
    for record in records {
        record.write_line(out);
        out.push(b'\n');
    }
    let offset = records.first().map(|it| it.offset).unwrap_or_default();
    begin(start, Header { offset, records: records.len() as u64, bytes: 0, crc32: 0, synced, kept: false }, out)
}

/// Writes a record that is kept of a commit, when what is before an offset is let go of.
pub(super) fn encode_kept(record: &Record, before: Offset, out: &mut Vec<u8>) -> Header {
    let start = out.len();
    record.write_line(out);
    out.push(b'\n');
    begin(start, Header { offset: record.offset, records: 1, bytes: 0, crc32: 0, synced: before, kept: true }, out)
}

/// Writes what is known at an offset before which records may be missing. It holds none itself.
pub(super) fn encode_state(state: &[Known], before: Offset, out: &mut Vec<u8>) -> Header {
    let start = out.len();
    for known in state {
        serde_json::to_writer(&mut *out, known).expect("a fixed shape, and memory takes all");
        out.push(b'\n');
    }
    begin(start, Header { offset: before, records: 0, bytes: 0, crc32: 0, synced: before, kept: true }, out)
}

/// Puts a header before what was written since `start`.
fn begin(start: usize, header: Header, out: &mut Vec<u8>) -> Header {
    let lines = &out[start..];
    let header = Header { bytes: lines.len() as u64, crc32: crc32fast::hash(lines), ..header };
    // The header tells what follows it, so it is known last and stands first.
    out.splice(start..start, header.render().into_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { offset: Offset(42), records: 3, bytes: 1234, crc32: 0x1a2b, synced: Offset(40), kept: false }
    }

    #[test]
    fn a_header_is_one_line_of_json_that_reads_back() {
        let line = header().render();
        assert_eq!(
            line,
            "{\"frame\":1,\"offset\":42,\"records\":3,\"bytes\":1234,\"crc32\":\"00001a2b\",\"synced\":40,\"check\":\"168fae79\"}\n"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        assert_eq!(Header::parse(line.as_bytes()), Ok(header()));
        let longest = Header {
            offset: Offset(u64::MAX),
            records: u64::MAX,
            bytes: u64::MAX,
            crc32: u32::MAX,
            synced: Offset(u64::MAX),
            kept: true,
        };
        assert!(longest.render().len() < LONGEST_HEADER);
    }

    #[test]
    fn every_altered_byte_of_a_header_is_noticed() {
        let line = header().render().into_bytes();
        for place in 0..line.len() {
            for bit in 0..8 {
                let mut altered = line.clone();
                altered[place] ^= 1 << bit;
                assert!(Header::parse(&altered).is_err(), "byte {place} bit {bit}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        for (line, expected) in [
            ("", "no header begins here"),
            ("{\"v\":1}\n", "no header begins here"),
            (
                "{\"frame\":3,\"offset\":0,\"records\":1,\"bytes\":2,\"crc32\":\"00000000\",\"synced\":0,\"check\":\"x\"}\n",
                "version 3 of the format, which a newer program wrote",
            ),
            (
                "{\"frame\":1,\"offset\":x,\"records\":1,\"bytes\":2,\"crc32\":\"00000000\",\"synced\":0,\"check\":\"x\"}\n",
                "a header's number is none",
            ),
            (
                "{\"frame\":1,\"offset\":0,\"records\":1,\"bytes\":2,\"crc32\":\"00000000\",\"synced\":0,\"check\":\"x\"}\n",
                "the header does not match its own check",
            ),
            ("{\"frame\":1,\"off\0\0\n", "the commit holds zero bytes, which were never written"),
        ] {
            assert_eq!(Header::parse(line.as_bytes()).unwrap_err().to_string(), expected, "{line}");
        }
    }
}
