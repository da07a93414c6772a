//! Disks that are full, at every place that the shipped program writes to: nothing is half acknowledged, what is under way
//! waits or ends told, and with space again everything goes on.
//!
//! The disks are small file systems in memory, which only root may mount; an ordinary user has a limit on the length of
//! files in their place.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;
use serde_json::Value;

use super::{Place, Server, says, until};
use crate::bot::{Extra, MAIN};
use crate::worlds::push::{self, SECRET};
use landfall::clients::process::blocking_program;

/// A file system of its own at this path.
struct Disk(PathBuf);

impl Disk {
    /// Mounts it; nothing where nobody may.
    #[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let options = format!("size={size}");
        let mount = || blocking_program("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(&path).output();
        if geteuid().is_root() && mount().is_ok_and(|it| it.status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped, because only root may mount: a full `{}`", path.file_name().unwrap().display());
        None
    }

    fn free(&self) -> u64 {
        let found = statvfs(&self.0).unwrap();
        found.blocks_available() * found.fragment_size()
    }

    /// Leaves so many bytes free; called again, it takes what has been given free since.
    fn fill(&self, left: u64) {
        let filler = self.0.join("filler");
        let mut file = fs::File::options().create(true).append(true).open(filler).unwrap();
        // The last page may not fit.
        let _ = file.write_all(&vec![b'x'; usize::try_from(self.free().saturating_sub(left)).unwrap()]);
    }

    fn make_room(&self) {
        let _ = fs::remove_file(self.0.join("filler"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still holds it lets go of it in its own time.
        let _ = blocking_program("umount").arg("--lazy").arg(&self.0).status();
    }
}

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

/// Delivers a push of the repository's head; nothing where nobody answers any more.
fn deliver(place: &Place, server: &Server, id: &str, padding: usize) -> Option<Answer> {
    let head = place.repo.git(&["rev-parse", "HEAD"]);
    let mut payload = push::payload("acme/site", &head);
    // Each is a push of its own, and no repeat of the one before.
    payload["id"] = id.into();
    payload["padding"] = "x".repeat(padding).into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("http://{}", server.address);
        let sent = push::delivery(&reqwest::Client::new(), &url, SECRET, id, payload.to_string()).send().await.ok()?;
        let retry_after = sent.headers().get("retry-after").map(|it| it.to_str().unwrap().to_owned());
        let status = sent.status().as_u16();
        Some(Answer { status, retry_after, body: sent.json().await.ok()? })
    })
}

fn readiness(server: &Server) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{}/readyz", server.address);
    runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
}

fn commit(place: &Place, page: &str) {
    place.repo.commit(page, &[("index.html", page)]);
    place.repo.push(MAIN);
}

fn log_of(place: &Place) -> Vec<u8> {
    fs::read(place.segment()).unwrap()
}

/// A refusal that a sender understands, after which nothing was written.
fn is_refused(answer: &Answer, code: &str) {
    let told = &answer.body;
    assert_eq!((answer.status, told["code"].as_str()), (503, Some(code)), "{told}");
    assert!(answer.retry_after.is_some(), "{told}");
}

#[test]
fn within_the_reserve_pushes_are_refused_what_is_under_way_ends_and_with_space_all_goes_on() {
    let top = "catch_up_every = \"1s\"\n[ledger]\nreserve = \"4MiB\"\n";
    let place = Place::configured(&Extra { top, ..Extra::default() });
    let Some(disk) = Disk::mount(place.path("data"), "48m") else { return };
    let server = place.serve();
    place.push(&server, "first");
    until("the hook runs", || (place.runs() == 1).then_some(()));
    disk.fill(2 << 20);
    commit(&place, "second");
    let before = log_of(&place);
    for padding in [0, 100_000] {
        is_refused(&deliver(&place, &server, "refused", padding).unwrap(), "intake/not-stored");
    }
    assert!(readiness(&server).contains("reserve"), "{}", readiness(&server));
    assert_eq!(fs::read_dir(place.path("data/ledger/bodies")).unwrap().count(), 0);
    assert!(log_of(&place).starts_with(&before) && !String::from_utf8(log_of(&place)).unwrap().contains("refused"));
    place.let_go();
    until("what was under way to be live", || {
        let site = place.asked(&server, &["status"])["targets"][0].clone();
        site["live"]["at"].is_string().then_some(())
    });
    // Nothing at all can be written now, and heads are compared meanwhile.
    disk.fill(100 << 10);
    commit(&place, "third");
    until("heads are compared in vain", || server.log().contains("heads are compared again in").then_some(()));
    disk.make_room();
    place.settle(&server);
    assert_eq!(fs::read_to_string(place.path("www/index.html")).unwrap(), "third");
    assert_eq!(deliver(&place, &server, "refused", 0).unwrap().status, 202, "it comes again, and is new");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_disk_that_fills_up_under_the_log_ends_the_program_with_3_and_nothing_accepted_is_lost() {
    let place = Place::configured(&Extra { top: "[ledger]\nreserve = \"0B\"\n", ..Extra::default() });
    place.let_go();
    let Some(disk) = Disk::mount(place.path("data"), "32m") else { return };
    let mut accepted = Vec::new();
    for (round, left) in [0_u64, 6 << 10, 40 << 10].into_iter().enumerate() {
        let server = place.serve();
        commit(&place, &format!("page {round}"));
        let refused = (0..200).find(|n| {
            let id = format!("delivery-{round}-{n}");
            disk.fill(left);
            match deliver(&place, &server, &id, 3_000) {
                Some(Answer { status: 200 | 202, .. }) => {
                    accepted.push(id);
                    false
                }
                Some(answer) => {
                    is_refused(&answer, "intake/not-stored");
                    true
                }
                None => true,
            }
        });
        assert!(refused.is_some(), "with {left} bytes left everything was taken");
        let (exit, log) = server.ended();
        assert_eq!(exit, Some(3), "{log}");
        assert!(log.contains("no space left on device") && log.contains("look at the disk"), "{log}");
        disk.make_room();
    }
    let server = place.serve();
    // What ran while there was no room may have failed, and is told so: the next push goes live.
    place.push(&server, "last");
    place.settle(&server);
    for id in &accepted {
        assert_eq!(place.asked(&server, &["deliveries", id])["id"].as_str(), Some(id.as_str()), "{id} is lost");
        assert_eq!(deliver(&place, &server, id, 3_000).unwrap().status, 200, "{id} is known");
    }
    assert_eq!(server.terminate(), Some(0));
    assert!(fs::read_dir(place.path("data/ledger/bodies")).unwrap().next().is_none());
}

#[test]
fn a_file_that_may_not_grow_ends_the_program_with_3_and_nothing_accepted_is_lost() {
    let place = Place::new();
    place.let_go();
    let server = place.serve();
    place.push(&server, "first");
    place.settle(&server);
    assert_eq!(server.terminate(), Some(0));
    // Two blocks of 1 KiB more than the log has: a few deliveries.
    let blocks = fs::metadata(place.segment()).unwrap().len() / 1024 + 12;
    let mut limited = blocking_program("bash");
    let serve = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" serve");
    limited.args(["-c", &serve, env!("CARGO_BIN_EXE_landfall")]).current_dir(place.path(""));
    let server = place.serve_as(limited);
    commit(&place, "second");
    let mut accepted = Vec::new();
    for n in 0..100 {
        let id = format!("delivery-{n}");
        match deliver(&place, &server, &id, 1_000) {
            Some(Answer { status: 200 | 202, .. }) => accepted.push(id),
            Some(answer) => {
                is_refused(&answer, "intake/not-stored");
                break;
            }
            None => break,
        }
    }
    let (exit, log) = server.ended();
    assert_eq!(exit, Some(3), "{log}");
    assert!(log.contains("file too large") && log.contains("look at the disk"), "{log}");
    assert!(!accepted.is_empty(), "{log}");
    let server = place.serve();
    place.settle(&server);
    for id in &accepted {
        assert_eq!(deliver(&place, &server, id, 1_000).unwrap().status, 200, "{id} is lost");
    }
    assert_eq!(server.terminate(), Some(0));
}

/// Where it lies, how large it is, and what is told of the first push to it.
const PLACES: [(&str, &str, &str); 3] = [
    ("data/revisions", "4k", "revisions/disk-full"),
    ("data/fetched", "4k", ""),
    ("data/deployment-root", "40k", "host/disk-full"),
];

#[test]
fn wherever_else_there_is_no_room_it_is_told_and_goes_on_with_room() {
    for (at, size, code) in PLACES {
        let place = Place::new();
        place.let_go();
        let server = place.serve();
        let Some(disk) = Disk::mount(place.path(at), size) else { return };
        place.repo.write("large", &"noise".repeat(40_000), 0o644);
        disk.fill(0);
        place.push(&server, "first");
        let told = until("the push to be told of", || told_of(&place, &server, code));
        assert!(code.is_empty() || told.contains(code), "{at}: {told}");
        grow(&disk);
        if told.contains("\"state\":\"failed\"") {
            place.push(&server, "second");
        }
        place.settle(&server);
        assert_eq!(server.terminate(), Some(0));
    }
}

/// Everything that the only deployment has had told, once it is over or that is among it.
fn told_of(place: &Place, server: &Server, code: &str) -> Option<String> {
    let site = place.asked(server, &["status", "site"]);
    let id = site["deployments"][0]["id"].as_str()?.to_owned();
    let one = place.asked(server, &["status", &id]).to_string();
    let is_over = ["succeeded", "failed", "refused"].iter().any(|it| site["deployments"][0]["state"] == *it);
    (is_over || (!code.is_empty() && one.contains(code))).then_some(one)
}

fn grow(disk: &Disk) {
    disk.make_room();
    let grown = blocking_program("mount").args(["-o", "remount,size=64m"]).arg(&disk.0).status().unwrap();
    assert!(grown.success());
}

#[test]
fn an_export_that_does_not_fit_leaves_nothing() {
    let place = Place::new();
    place.let_go();
    let Some(disk) = Disk::mount(place.path("small"), "4k") else { return };
    let server = place.serve();
    place.push(&server, "first");
    place.settle(&server);
    assert_eq!(server.terminate(), Some(0));
    let names = |dir: &Path| fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>();
    says(
        &place.run(&["export", "-o", "small/backup.jsonl"]),
        3,
        &["cannot write `small/backup.jsonl`", "no space left"],
    );
    assert!(names(&disk.0).is_empty(), "{:?}", names(&disk.0));
    says(&place.run(&["export", "-o", "backup.jsonl"]), 0, &[]);
    let text = fs::read_to_string(place.path("landfall.toml")).unwrap();
    fs::write(
        place.path("elsewhere.toml"),
        text.replacen(&place.path("data").display().to_string(), &place.path("small/data").display().to_string(), 1),
    )
    .unwrap();
    says(&place.run(&["import", "backup.jsonl", "-c", "elsewhere.toml"]), 3, &["no space left", "check the disk"]);
    assert!(!place.path("small/data/ledger").exists());
    assert!(!place.path("small/data/ledger.importing").exists());
}
