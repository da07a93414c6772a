//! What is read from outside, changed at random, from the seeds that the fuzz targets begin with: AppSpecs, archives,
//! messages, requests at the door, configurations.
//!
//! The changes are the same in every run, so that a failure comes again. `MUTATION_SECONDS` lets each test go on for as
//! long as that, with other changes than the usual ones behind them.

#[path = "../../fuzz/looks/mod.rs"]
mod looks;
mod words;

use std::fs;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use landfall::appspec::{parse, parse_bytes, parse_what_can_be};
use landfall::bundle::{Limits, Request, rebundle};
use landfall::domain::{BundleFormat, BundleRules, CommitSha, RepositoryName};

use landfall::engine::host::unpack_archive;
use landfall::intake::sns::{Envelope, Meaning, meaning};

use super::cli::landfall;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
/// No input of these sizes may take longer, in a debug build on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(5);
/// Changed inputs grow no further.
const LARGEST: usize = 64 << 10;

/// A small generator: the same numbers from the same seed on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let from = self.below(bytes.len() + 1);
        let most = 1 << self.below(9);
        let length = 1 + self.below(most);
        from..(from + length).min(bytes.len())
    }
}

/// One change of `bytes`.
fn change(bytes: &mut Vec<u8>, others: &[Vec<u8>], words: &[String], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(10) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        2 if at < bytes.len() => bytes[at] = dice.next().to_le_bytes()[0],
        3 => {
            let gone = dice.range(bytes);
            bytes.drain(gone);
        }
        4 => {
            let copied = bytes[dice.range(bytes)].to_vec();
            bytes.splice(at..at, copied);
        }
        5 => {
            let other = &others[dice.below(others.len())];
            let copied = other[dice.range(other)].to_vec();
            bytes.splice(at..at, copied);
        }
        6 => bytes.truncate(at),
        7 => {
            let most = 1 << dice.below(8);
            let word = words[dice.below(words.len())].repeat(1 + dice.below(most));
            bytes.splice(at..at, word.into_bytes());
        }
        _ => {
            let word = words[dice.below(words.len())].as_bytes().to_vec();
            bytes.splice(at..at, word);
        }
    }
    bytes.truncate(LARGEST);
}

/// The tar inside, with right checksums again: most changes of an archive are otherwise seen by their first header, and
/// nothing behind it is ever read. Every other input stays as it is.
fn mended(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len().is_multiple_of(2) {
        return None;
    }
    let mut tar = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        // What comes before the damage is what is wanted.
        let _ = flate2::read::GzDecoder::new(bytes).take(LARGEST as u64).read_to_end(&mut tar);
    } else {
        tar.extend_from_slice(bytes);
    }
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..at + 512) {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let size = header.entry_size().ok().and_then(|it| usize::try_from(it).ok()).filter(|it| *it < LARGEST);
        at += 512 + size.unwrap_or(0).next_multiple_of(512);
    }
    Some(tar)
}

fn seeds(room: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(room);
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "`{room}` has seeds");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is asked of whoever runs the tests")]
fn budget() -> Duration {
    let asked = std::env::var("MUTATION_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(asked.unwrap_or(0))
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "whoever lets it run for long wants to know what it did")]
fn tell(text: &str) {
    println!("{text}");
}

/// Hands changed seeds to `look`, `usual` of them and then for as long as was asked.
fn mutate(room: &str, usual: u64, look: impl Fn(&[u8])) {
    let seeds = seeds(room);
    seeds.iter().for_each(|seed| look(seed));
    let words = words::of(room);
    let (began, budget) = (now(), budget());
    let mut slowest = Duration::ZERO;
    let mut turn = 0;
    while turn < usual || began.elapsed() < budget {
        let mut dice = Dice(turn);
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(6) {
            change(&mut bytes, &seeds, &words, &mut dice);
        }
        let start = now();
        let looked = catch_unwind(AssertUnwindSafe(|| look(&bytes)));
        let took = start.elapsed();
        slowest = slowest.max(took);
        assert!(looked.is_ok(), "{room}, turn {turn}: it panics at `{}`", bytes.escape_ascii());
        assert!(took < PATIENCE, "{room}, turn {turn}: {took:?} for `{}`", bytes.escape_ascii());
        turn += 1;
    }
    tell(&format!("{room}: {turn} mutations in {:?}, the slowest took {slowest:?}", began.elapsed()));
}

#[test]
fn no_bytes_confuse_the_app_spec_reader() {
    mutate("appspec", 4000, |bytes| {
        let (spec, findings) = parse_bytes(bytes, "appspec.yml");
        assert_eq!(spec.is_none(), findings.refuse(), "a specification exactly when nothing refuses: {findings}");
        for finding in &findings.0 {
            let place = finding.place.as_ref().expect("every finding has a place");
            let lines = bytes.split(|it| matches!(it, b'\n' | b'\r')).count();
            assert!((1..=lines + 1).contains(&usize::try_from(place.line).unwrap()), "{finding} of {lines} lines");
            assert!(place.column > 0 && place.length > 0, "{finding}");
        }
        let again = parse_bytes(bytes, "appspec.yml").1;
        assert_eq!(findings, again, "the same text is told the same");
        let (part, told) = parse_what_can_be(bytes, "appspec.yml");
        assert!(told == findings && (spec.is_none() || part.is_some()));
    });
}

#[test]
fn no_bytes_confuse_the_reader_of_messages() {
    let understood = std::cell::Cell::new(0);
    mutate("sns", 4000, |bytes| {
        if let Ok(envelope) = Envelope::parse(bytes) {
            understood.set(understood.get() + 1);
            assert!(envelope.signed.contains(&envelope.message) && envelope.signed.ends_with('\n'));
            let _ = meaning(&envelope.message, envelope.topic.region());
        }
        if let Meaning::Hint(hint) = meaning(&String::from_utf8_lossy(bytes), "eu-west-1") {
            assert!(hint.run.is_some() || hint.group.is_some(), "{hint:?}");
        }
    });
    assert!(understood.get() > 100, "only {} were messages at all", understood.get());
}

#[test]
fn no_header_but_the_true_one_is_a_signature() {
    mutate("signature", 3000, looks::signature::look);
}

#[test]
fn no_payload_brings_a_commit_that_is_none() {
    mutate("payload", 4000, looks::payload::look);
}

#[test]
fn no_request_at_the_door_is_taken_unsigned_or_answered_with_harm() {
    mutate("intake", 1000, looks::intake::look);
}

#[test]
fn no_text_confuses_the_reader_of_configurations() {
    mutate("configuration", 1500, looks::configuration::look);
}

#[test]
fn no_bytes_confuse_the_archive_reader() {
    let text = include_str!("../../fuzz/seeds/appspec/server.yml");
    let spec = parse(text, "appspec.yml").0;
    assert!(spec.is_some(), "{}", parse(text, "appspec.yml").1);
    let request = |format| Request {
        commit: CommitSha::parse(SHA).unwrap(),
        repository: RepositoryName::parse("acme/shop").unwrap(),
        rules: BundleRules { root: String::new(), exclude: vec!["docs/**".into()], format: None, provenance: None },
        format,
        spec: spec.as_ref().and_then(|it| it.server().cloned()),
    };
    let limits = Limits { unpacked_bytes: 8 << 20, file_bytes: 4 << 20, ..Limits::default() };
    mutate("archive", 1500, |bytes| {
        let mended = mended(bytes);
        let bytes = mended.as_deref().unwrap_or(bytes);
        for format in [BundleFormat::Tgz, BundleFormat::Tar, BundleFormat::Zip] {
            let mut out = Vec::new();
            if let Ok(bundled) = rebundle(bytes, &mut out, &request(format), &limits) {
                assert_eq!(bundled.bytes, out.len() as u64);
                let mut again = Vec::new();
                rebundle(bytes, &mut again, &request(format), &limits).unwrap();
                assert!(out == again, "the same archive gives the same bundle");
            }
        }
    });
}

#[test]
fn no_bytes_make_a_host_unpack_anything_elsewhere() {
    const MOST: u64 = 8 << 20;
    // In memory where that is possible.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (bundle, into) = (dir.path().join("bundle"), dir.path().join("into"));
    let (whole, torn) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    mutate("unpack", 1500, |bytes| {
        let mended = mended(bytes);
        let bytes = mended.as_deref().unwrap_or(bytes);
        fs::write(&bundle, bytes).unwrap();
        let unpacked = unpack_archive(&bundle, &into, MOST);
        let count = if unpacked.is_ok() { &whole } else { &torn };
        count.set(count.get() + 1);
        let mut written = 0;
        let mut folders = vec![into.clone()];
        while let Some(folder) = folders.pop() {
            let _ = fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755));
            for found in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (path, about) = (found.path(), found.metadata().unwrap());
                assert!(about.is_dir() || about.is_file() || about.is_symlink(), "{path:?}");
                if about.is_symlink() && unpacked.is_ok() {
                    // What leads nowhere leads to nothing outside either: a link that leaves was refused.
                    let there = fs::canonicalize(&path).ok();
                    assert!(there.is_none_or(|it| it.starts_with(fs::canonicalize(&into).unwrap())), "{path:?}");
                }
                written += if about.is_file() { about.len() } else { 0 };
                folders.extend(about.is_dir().then_some(path));
            }
        }
        assert!(written <= MOST, "{written} bytes of {}", bytes.len());
        fs::remove_dir_all(&into).or_else(|error| if into.exists() { Err(error) } else { Ok(()) }).unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(left == ["bundle"] && fs::read(&bundle).unwrap() == bytes, "{left:?}");
    });
    assert!(whole.get() > 20 && torn.get() > 200, "{} whole, {} torn", whole.get(), torn.get());
}

#[test]
fn no_text_confuses_who_shows_it() {
    let home = tempfile::tempdir().unwrap();
    let (seeds, words) = (seeds("appspec"), words::of("appspec"));
    for turn in 0..60 {
        let mut dice = Dice(turn << 32);
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        (0..=dice.below(4)).for_each(|_| change(&mut bytes, &seeds, &words, &mut dice));
        fs::write(home.path().join("appspec.yml"), &bytes).unwrap();
        let format = ["human", "github", "json"][dice.below(3)];
        let ran = landfall(home.path(), &["check", "appspec.yml", "--format", format]);
        assert!(matches!(ran.exit, 0 | 2), "turn {turn}: {} for `{}`", ran.talk, bytes.escape_ascii());
        if format == "json" {
            serde_json::from_str::<serde_json::Value>(&ran.out).unwrap();
        }
    }
}
