//! What a bundle costs beside `gzip -dc | gzip -6` on the same bytes, and how much memory it takes. Prints numbers;
//! judges nothing.
//!
//! A tar.gz as git makes them, of a given size decompressed: about half of it text of the kind source code is, the rest
//! hardly compressible. A child of this very executable bundles it, so that its memory is that of a whole process.
//!
//! `cargo bench --bench bundle -- [--size 100m] [--rounds N] [--format tgz|tar|zip] [--s3 URL --bucket B]`; with `--s3`
//! the bundle also goes to that server while it is made (credentials `A` and `S`), as in a deployment.

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, reason = "its numbers are for a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where it stopped")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use landfall::bundle::{Limits, Request, rebundle};
use landfall::clients::aws::Aws;
use landfall::domain::{BundleFormat, BundleRules, CommitSha, RepositoryName, RevisionsSpec, S3Spec, TargetName};
use landfall::revisions::{ObjectKey, Stores};
use nix::sys::resource::{UsageWho, getrusage};
use tar::{EntryType, Header};
use tokio::sync::mpsc;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let format = match value("--format").map(String::as_str) {
        None | Some("tgz") => BundleFormat::Tgz,
        Some("tar") => BundleFormat::Tar,
        Some("zip") => BundleFormat::Zip,
        Some(other) => panic!("--format is tgz, tar or zip, not {other}"),
    };
    let s3 = value("--s3").map(|url| (url.clone(), value("--bucket").expect("--s3 wants --bucket").clone()));
    if let Some(archive) = value("--child") {
        return child(archive.as_ref(), format, s3);
    }
    let size = value("--size").map_or(100 << 20, |text| bytes(text));
    let rounds = value("--rounds").map_or(3, |text| text.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("archive.tar.gz");
    let (files, unpacked) = write_archive(&archive, size);
    println!(
        "{files} files, {:.1} MiB, {:.1} MiB as tar.gz; {} out\n",
        mib(unpacked),
        mib(fs::metadata(&archive).unwrap().len()),
        format.extension()
    );
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let gzip = timed(Command::new("sh").arg("-c").arg("gzip -dc \"$0\" | gzip -6 > /dev/null").arg(&archive));
        let mut bundling = Command::new(std::env::current_exe().unwrap());
        let bundling = timed(bundling.arg("--child").arg(&archive).args(&words));
        let ratio = bundling.cpu.as_secs_f64() / gzip.cpu.as_secs_f64();
        println!("round {round}  gzip -dc | gzip -6  {:>6.2} CPU s  {:>6.2} s", seconds(gzip.cpu), seconds(gzip.wall));
        println!(
            "round {round}  landfall bundle     {:>6.2} CPU s  {:>6.2} s  {}",
            seconds(bundling.cpu),
            seconds(bundling.wall),
            bundling.said.trim()
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("\nCPU time, landfall / gzip: {:.2} (median of {rounds}; the bound is 1.3)", ratios[ratios.len() / 2]);
}

struct Timed {
    cpu: Duration,
    wall: Duration,
    said: String,
}

fn timed(command: &mut Command) -> Timed {
    let (before, begun) = (children(), Instant::now());
    let out = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(out.status.success(), "{command:?}");
    Timed { wall: begun.elapsed(), cpu: children() - before, said: String::from_utf8(out.stdout).unwrap() }
}

/// The CPU time of all children that have ended.
fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = |it: nix::sys::time::TimeVal| Duration::from_micros((it.tv_sec() * 1_000_000 + it.tv_usec()) as u64);
    time(usage.user_time()) + time(usage.system_time())
}

/// An AppSpec that everything in the bundle is looked up in.
const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /srv/bench\nhooks:\n  AfterInstall:\n    - location: scripts/start.sh\n";

/// Bundles in this process, and says how much memory that took.
fn child(archive: &Path, format: BundleFormat, s3: Option<(String, String)>) {
    let request = Request {
        commit: CommitSha::parse(SHA).unwrap(),
        repository: RepositoryName::parse("acme/bench").unwrap(),
        rules: BundleRules { root: String::new(), exclude: vec![], format: None, provenance: None },
        format,
        spec: landfall::appspec::parse(APPSPEC, "appspec.yml").0.and_then(|it| it.server().cloned()),
    };
    let input = File::open(archive).unwrap();
    let bundled = match s3 {
        None => {
            let out = File::options().write(true).open("/dev/null").unwrap();
            rebundle(input, out, &request, &Limits::default()).unwrap()
        }
        Some((url, bucket)) => upload(input, request, url, bucket),
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{:.1} MiB out, peak memory {:.1} MiB", mib(bundled.bytes), mib(peak << 10));
}

/// The way of a deployment: bundling on a blocking thread, the upload beside it, a bounded channel between them.
fn upload(input: File, request: Request, url: String, bucket: String) -> landfall::bundle::Bundled {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move {
        let spec = RevisionsSpec::S3(S3Spec {
            bucket,
            region: "us-east-1".into(),
            endpoint_url: Some(url),
            force_path_style: true,
            ..S3Spec::default()
        });
        let key = ObjectKey {
            target: TargetName::parse("bench").unwrap(),
            commit: request.commit.clone(),
            rules: "0".repeat(16),
            format: request.format,
        };
        let mut upload = Stores::new(Aws::with_keys("A", "S")).of(&spec).unwrap().begin(&key);
        let (sender, mut receiver) = mpsc::channel::<Bytes>(4);
        let work = tokio::task::spawn_blocking(move || rebundle(input, Channel(sender), &request, &Limits::default()));
        while let Some(bytes) = receiver.recv().await {
            upload.write(bytes).await.unwrap();
        }
        let bundled = work.await.unwrap().unwrap();
        upload.finish(&bundled.sha256).await.unwrap();
        bundled
    })
}

struct Channel(mpsc::Sender<Bytes>);

impl Write for Channel {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(Bytes::copy_from_slice(data)).map_err(io::Error::other)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A repository's archive, the same for the same size.
fn write_archive(path: &Path, size: u64) -> (u64, u64) {
    let gzip = GzEncoder::new(BufWriter::new(File::create(path).unwrap()), Compression::new(6));
    let mut tar = tar::Builder::new(gzip);
    let mut add = |kind: EntryType, name: &str, mode: u32, data: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        header.set_mtime(1_700_000_000);
        tar.append_data(&mut header, name, data).unwrap();
    };
    add(EntryType::XGlobalHeader, "pax_global_header", 0o666, format!("52 comment={SHA}\n").as_bytes());
    add(EntryType::Directory, "top/", 0o775, b"");
    add(EntryType::Regular, "top/appspec.yml", 0o664, b"version: 0.0\nos: linux\n");
    add(EntryType::Regular, "top/scripts/start.sh", 0o775, b"#!/bin/sh\nexit 0\n");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words: Vec<String> = (0..3000).map(|_| random.word()).collect();
    let (mut written, mut files) = (0, 2);
    while written < size {
        // Most files are small, most bytes are in large ones.
        let length = (200 << random.below(12)) + random.below(4000);
        let length = length.min(size - written).max(1) as usize;
        let text = random.below(10) < 6;
        let data = if text { random.text(&words, length) } else { random.noise(length) };
        let name = format!("top/src/part{}/file{files}.{}", files / 200, if text { "rs" } else { "png" });
        add(EntryType::Regular, &name, 0o664, &data);
        written += length as u64;
        files += 1;
    }
    tar.into_inner().unwrap().finish().unwrap().into_inner().unwrap();
    (files, written)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn word(&mut self) -> String {
        (0..2 + self.below(9)).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }

    /// Lines of words, the common ones often, as in source code.
    fn text(&mut self, words: &[String], length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 32);
        while text.len() < length {
            text.extend(std::iter::repeat_n(b' ', 4 * self.below(4) as usize));
            for _ in 0..3 + self.below(8) {
                let rank = self.below(words.len() as u64) * self.below(words.len() as u64) / words.len() as u64;
                text.extend_from_slice(words[rank as usize].as_bytes());
                text.push(b" .,(;:"[self.below(6) as usize]);
            }
            text.push(b'\n');
        }
        text.truncate(length);
        text
    }

    /// Bytes that hardly compress, as in images.
    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut noise = Vec::with_capacity(length + 8);
        while noise.len() < length {
            noise.extend_from_slice(&self.next().to_le_bytes());
        }
        noise.truncate(length);
        noise
    }
}

fn bytes(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        other => panic!("--size is a number with k, m or g, not {other}"),
    };
    number.parse::<u64>().unwrap() << shift
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
