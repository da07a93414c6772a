//! A ledger that is written out and read back: equal offset by offset, or refused with the line that is wrong.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use landfall::domain::Offset;
use landfall::ledger::{Counts, LedgerError, export, import};

use super::made::{Dir, accept, delivery, deploy, long};
use super::{lived, told};

/// The export of a ledger, and what it was told to hold.
fn exported(dir: &Dir) -> (Vec<u8>, Counts) {
    let mut out = Vec::new();
    let counts = export(&dir.ledger(), Path::new("out"), &mut out, |error| panic!("{error}")).unwrap();
    (out, counts)
}

fn imported(dir: &Dir, export: &[u8]) -> Result<Counts, LedgerError> {
    import(&dir.ledger(), Path::new("in"), Cursor::new(export))
}

/// Which line is told to be wrong.
fn refused(export: &[u8]) -> (u64, String) {
    let dir = Dir::new();
    match imported(&dir, export) {
        Err(LedgerError::Export { line, found }) => {
            assert!(!dir.ledger().exists(), "nothing is begun");
            assert!(!dir.ledger().with_extension("importing").exists(), "nothing is left");
            (line, found)
        }
        Err(other) => panic!("{other}"),
        Ok(counts) => panic!("{counts:?}"),
    }
}

/// A ledger of several segments, with a long body, and what it tells.
async fn a_life(dir: &Dir) -> String {
    let ledger = dir.open();
    let long = long(1000);
    ledger.accept(long.clone(), deploy(&long, &["shop"])).await.unwrap();
    let told = lived(&ledger).await;
    ledger.close().await;
    told
}

#[tokio::test]
async fn what_was_exported_and_imported_is_equal_offset_by_offset() {
    let (dir, other) = (Dir::new(), Dir::new());
    let before = a_life(&dir).await;
    let (export, counts) = exported(&dir);
    assert!(dir.segments().len() > 2 && counts.bodies == 1 && counts.first == Offset(0), "{counts:?}");
    // What a killed import left is in nobody's way.
    fs::create_dir_all(other.ledger().with_extension("importing").join("log")).unwrap();
    assert_eq!(imported(&other, &export).unwrap(), counts);
    assert!(!other.ledger().with_extension("importing").exists());
    for (one, two) in dir.segments().iter().zip(other.segments()) {
        assert_eq!(fs::read(one).unwrap(), fs::read(&two).unwrap(), "{}", two.display());
    }
    assert_eq!(dir.dump(), other.dump(), "the index is the same");
    let ledger = other.open();
    assert!(told(&ledger) == before);
    assert_eq!(ledger.end(), counts.end);
    let long = long(1000);
    assert_eq!(ledger.body(&long.id).unwrap().unwrap(), long.body);
    assert!(ledger.accept(long, vec![]).await.unwrap().repeat, "a delivery that is known stays known");
    accept(&ledger, 2000, 2000).await;
    ledger.close().await;
    assert_eq!(exported(&dir).0, export, "the same ledger is the same export");
    let Err(error) = imported(&other, &export) else { panic!("it was mixed with another") };
    assert_eq!(error.failure().code, "ledger/not-empty");
    assert!(exported(&other).1.records > counts.records, "the other one is as it was");
}

#[tokio::test]
async fn an_export_that_was_cut_or_altered_is_refused_with_its_line() {
    let dir = Dir::new();
    let ledger = dir.open();
    let long = long(1);
    ledger.accept(long.clone(), deploy(&long, &["blog"])).await.unwrap();
    accept(&ledger, 2, 2).await;
    ledger.close().await;
    let (export, _) = exported(&dir);
    let text = String::from_utf8(export.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let whole = |kept: &[&str]| kept.concat().into_bytes();
    // Cut after any line, and within it.
    for kept in 1..lines.len() {
        let (line, found) = refused(&whole(&lines[..kept]));
        assert_eq!((line, found.as_str()), (kept as u64 + 1, "it ends here, and not whole"));
        let within = [&lines[..kept], &[&lines[kept][..lines[kept].len() / 2]]].concat();
        assert_eq!(refused(&whole(&within)).0, kept as u64 + 1);
    }
    // Any line left out, or altered in its middle: it is that line, or the header of the commit that it belongs to.
    let header_of = |at: usize| (0..=at).rfind(|at| !lines[*at].starts_with("{\"v\":")).unwrap() as u64 + 1;
    for at in 0..lines.len() {
        let (line, found) = refused(&whole(&[&lines[..at], &lines[at + 1..]].concat()));
        // That a body is not there is only seen at the end.
        let is_of_a_commit = lines[at].starts_with("{\"v\":") || lines[at].starts_with("{\"frame\":");
        let last = if is_of_a_commit { at + 1 } else { lines.len() };
        assert!((header_of(at)..=last as u64).contains(&line), "without line {}: {line}: {found}", at + 1);
        let mut altered = lines[at].as_bytes().to_vec();
        let middle = altered.len() / 2;
        altered[middle] = if altered[middle] == b'7' { b'8' } else { b'7' };
        let altered = [lines[..at].concat().as_bytes(), &altered, lines[at + 1..].concat().as_bytes()].concat();
        let (line, found) = refused(&altered);
        assert!((header_of(at)..=at as u64 + 1).contains(&line), "line {} altered: {line}: {found}", at + 1);
    }
    let twice = [lines.concat(), lines.concat()].concat();
    assert_eq!(refused(twice.as_bytes()), (lines.len() as u64 + 1, "something follows the last line".into()));
    assert_eq!(refused(b"{\"v\":1}\n"), (1, "no export of Landfall's begins so".into()));
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    assert!(refused(newer.as_bytes()).1.starts_with("format 2 of Landfall"));
    // What is right in itself, but was put together from elsewhere, does not have the digest.
    let program = text.replacen("\"program\":\"", "\"program\":\"9", 1);
    let (line, found) = refused(program.as_bytes());
    assert!(line == lines.len() as u64 && found.starts_with("SHA-256 "), "{line}: {found}");
}

#[tokio::test]
async fn beside_a_running_bot_an_export_has_a_whole_beginning() {
    let dir = Dir::new();
    let ledger = dir.open();
    let over = Arc::new(AtomicBool::new(false));
    let (writes, end) = (ledger.clone(), over.clone());
    let writer = tokio::spawn(async move {
        for n in 1.. {
            if end.load(Ordering::Relaxed) {
                break;
            }
            let delivery = if n % 20 == 0 { long(n) } else { delivery(n, n) };
            let plans = deploy(&delivery, &["blog"]);
            writes.accept(delivery, plans).await.unwrap();
        }
    });
    let mut ends = Vec::new();
    for _ in 0..20 {
        let (other, before) = (Dir::new(), ledger.end());
        let from = dir.ledger();
        let (export, counts) = tokio::task::spawn_blocking(move || {
            let mut out = Vec::new();
            let counts = export(&from, Path::new("out"), &mut out, |error| panic!("{error}")).unwrap();
            (out, counts)
        })
        .await
        .unwrap();
        assert!(counts.end >= before, "what was acknowledged before it began is in it");
        assert_eq!(imported(&other, &export).unwrap(), counts);
        ends.push(counts.end);
    }
    over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(ends.first() < ends.last(), "it was written to meanwhile: {ends:?}");
    let records = ledger.end().0;
    ledger.close().await;
    assert_eq!(exported(&dir).1.records, records);
}

#[tokio::test]
async fn a_body_that_is_gone_or_altered_is_told_and_everything_else_is_exported() {
    let dir = Dir::new();
    let ledger = dir.open();
    for n in 1..=3 {
        ledger.accept(long(n), vec![]).await.unwrap();
    }
    ledger.close().await;
    let body = |n| dir.ledger().join("bodies").join(long(n).digest);
    fs::remove_file(body(1)).unwrap();
    fs::write(body(2), "another").unwrap();
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let counts = export(&dir.ledger(), Path::new("out"), &mut out, |error| told.push(error.failure().code)).unwrap();
    assert_eq!((counts.bodies, counts.lost), (3, 2));
    assert_eq!(told, ["ledger/gone", "ledger/altered-body"]);
    let other = Dir::new();
    assert_eq!(imported(&other, &out).unwrap(), counts);
    let ledger = other.open();
    assert!(matches!(ledger.body(&long(2).id), Err(LedgerError::Gone { .. })));
    assert_eq!(ledger.body(&long(3).id).unwrap().unwrap(), long(3).body);
}
