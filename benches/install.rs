//! What installing costs beside `cp`, `chmod` and `chown`, what unpacking costs beside `tar` and `unzip`, and how much
//! memory both take. Prints numbers; judges nothing.
//!
//! 10,000 files of 4 KiB in 100 directories with one `**` rule, against `cp -a`, `chmod -R` and `chown -R` of the same
//! tree; and bundles of one large file, against what unpacks them otherwise. A child of this very executable carries
//! the run out, so that its memory is that of a whole process. As root files are given to `nobody`, else to oneself.
//!
//! `cargo bench --bench install -- [--dir D] [--files N] [--size 500] [--rounds N]`; sizes are in MB.

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, reason = "its numbers are for a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where it stopped")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use landfall::domain::RunId;
use landfall::engine::host::{BundleType, GroupId, Means, RunDir, RunIntent, RunOptions, carry_out, prepare_run};
use sha2::{Digest, Sha256};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    if let Some(run) = value("--child") {
        return child(&RunDir::at(run));
    }
    let number = |name: &str, usual: u64| value(name).map_or(usual, |text| text.parse().unwrap());
    let rounds = number("--rounds", 5);
    let home = match value("--dir") {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    many_files(home.path(), number("--files", 10_000), rounds);
    large_file(home.path(), number("--size", 500), rounds.min(3));
}

/// Many small files with one rule.
fn many_files(home: &Path, files: u64, rounds: u64) {
    let (bundle, site) = (home.join("bundle"), home.join("bundle/site"));
    let mut noise = Noise(1);
    for at in 0..files {
        let folder = site.join(format!("d{}", at % 100));
        if at < 100 {
            fs::create_dir_all(&folder).unwrap();
        }
        let mut content = vec![0; 4096];
        noise.fill(&mut content);
        fs::write(folder.join(format!("file-{at}.html")), content).unwrap();
    }
    let root = nix::unistd::Uid::effective().is_root();
    let owner = if root { "    owner: nobody\n    group: nogroup\n" } else { "" };
    let destination = home.join("site");
    let appspec = format!(
        "version: 0.0\nos: linux\nfiles:\n  - source: site\n    destination: {0}\npermissions:\n  - object: {0}\n    \
         pattern: \"**\"\n    mode: 750\n{owner}",
        destination.display()
    );
    fs::write(bundle.join("appspec.yml"), appspec).unwrap();
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let copied = home.join("copied");
        let chown = if root { "&& chown -R nobody:nogroup \"$1\"" } else { "" };
        let script = format!("cp -a \"$0\" \"$1\" && chmod -R 750 \"$1\" {chown}");
        settle(home);
        let others = timed(Command::new("sh").arg("-c").arg(script).arg(&site).arg(&copied));
        settle(home);
        let told = run(home, &format!("d-MANY{round}"), &bundle, BundleType::Directory, None);
        assert_eq!(fs::read_dir(&destination).unwrap().count(), 100);
        println!(
            "round {round}  cp, chmod, chown {:>6.3} s   Install {:>6.3} s, the whole run {:>6.3} s, peak memory {:.1} MiB",
            others.as_secs_f64(),
            told.install,
            told.whole,
            told.peak
        );
        ratios.push(told.install / others.as_secs_f64());
        fs::remove_dir_all(copied).unwrap();
        fs::remove_dir_all(&destination).unwrap();
        fs::remove_dir_all(home.join("root")).unwrap();
    }
    println!(
        "{files} files, Install / cp, chmod, chown: {:.2} (median of {rounds}; the bound is 1.5)\n",
        median(ratios)
    );
}

/// Bundles of one large file.
fn large_file(home: &Path, megabytes: u64, rounds: u64) {
    let tree = home.join("large");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("appspec.yml"), "version: 0.0\nos: linux\n").unwrap();
    let mut out = BufWriter::new(File::create(tree.join("large.bin")).unwrap());
    let mut noise = Noise(2);
    for _ in 0..megabytes {
        // Half noise, half the same letter: as compressible as programs are.
        let mut chunk = vec![b'x'; 1_000_000];
        noise.fill(&mut chunk[..500_000]);
        out.write_all(&chunk).unwrap();
    }
    out.into_inner().unwrap().sync_all().unwrap();
    let kinds = [
        ("tar", BundleType::Tar, "tar cf \"$0\" -C \"$1\" .", "tar xf \"$0\" -C \"$1\""),
        ("tgz", BundleType::Tgz, "tar cf - -C \"$1\" . | gzip -1 > \"$0\"", "tar xzf \"$0\" -C \"$1\""),
        ("zip", BundleType::Zip, "cd \"$1\" && zip -q1r \"$0\" .", "unzip -q \"$0\" -d \"$1\""),
    ];
    for (name, kind, pack, unpack) in kinds {
        let bundle = home.join(format!("large.{name}"));
        let packed = Command::new("sh").arg("-c").arg(pack).arg(&bundle).arg(&tree).stderr(Stdio::null()).status();
        if !packed.unwrap().success() {
            println!("{name}: left out, because there is no program that packs it");
            continue;
        }
        let sha256 = hex::encode(Sha256::digest(fs::read(&bundle).unwrap()));
        let mut ratios = Vec::new();
        for round in 1..=rounds {
            let unpacked = home.join("unpacked");
            fs::create_dir(&unpacked).unwrap();
            settle(home);
            let others = timed(Command::new("sh").arg("-c").arg(unpack).arg(&bundle).arg(&unpacked));
            settle(home);
            let told = run(home, &format!("d-{name}{round}"), &bundle, kind, Some(sha256.clone()));
            println!(
                "round {round}  {name}  unpacked otherwise {:>6.3} s   the whole run {:>6.3} s, peak memory {:.1} MiB",
                others.as_secs_f64(),
                told.whole,
                told.peak
            );
            ratios.push(told.whole / others.as_secs_f64());
            fs::remove_dir_all(unpacked).unwrap();
            fs::remove_dir_all(home.join("root")).unwrap();
        }
        println!(
            "{megabytes} MB as {name}, landfall / others: {:.2} (median of {rounds}; the bound is 1.2)\n",
            median(ratios)
        );
        fs::remove_file(bundle).unwrap();
    }
}

/// What a child said.
struct Told {
    install: f64,
    whole: f64,
    peak: f64,
}

/// Deploys a bundle in a child.
fn run(home: &Path, run: &str, bundle: &Path, bundle_type: BundleType, sha256: Option<String>) -> Told {
    let intent = RunIntent {
        marker: run.into(),
        run: RunId::parse(run).unwrap(),
        application: "bench".into(),
        deployment_group: "bench".into(),
        group: GroupId::parse("bench").unwrap(),
        root: home.join("root"),
        bundle: PathBuf::from(bundle),
        bundle_type,
        sha256,
        commit: None,
        object: None,
        options: RunOptions { max_revisions: 5, ..RunOptions::default() },
    };
    let dir = prepare_run(&intent).unwrap();
    let begun = Instant::now();
    let out = Command::new(std::env::current_exe().unwrap()).arg("--child").arg(dir.path()).output().unwrap();
    let whole = begun.elapsed().as_secs_f64();
    let said = String::from_utf8(out.stdout).unwrap();
    let words: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [install, peak] = words[..] else { panic!("{said}{}", String::from_utf8_lossy(&out.stderr)) };
    Told { install, whole, peak }
}

/// Carries a run out in this process; says how long Install took and how much memory all of it.
fn child(dir: &RunDir) {
    let story = carry_out(dir, &Means::own()).unwrap().unwrap();
    let end = story.end.unwrap();
    assert_eq!(end.failure, None);
    let install = story.events.iter().find(|event| event.name == "Install").unwrap().took_ms.unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{} {}", Duration::from_millis(install).as_secs_f64(), peak / 1024.0);
}

/// What was written before must not be paid for by what comes.
fn settle(home: &Path) {
    nix::unistd::syncfs(File::open(home).unwrap()).unwrap();
}

fn timed(command: &mut Command) -> Duration {
    let begun = Instant::now();
    assert!(command.status().unwrap().success(), "{command:?}");
    begun.elapsed()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Bytes that do not compress.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}
