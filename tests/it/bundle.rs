//! Bundles made of git's own archives, of hostile ones, and of broken ones.

use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use expect_test::{Expect, expect};
use landfall::bundle::{BundleError, Bundled, Limits, Request, rebundle};
use landfall::clients::process::blocking_program;
use landfall::domain::{BundleFormat, BundleRules, CommitSha, Failure, RepositoryName};
use tar::{EntryType, Header};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn request(sha: &str, format: BundleFormat) -> Request {
    let rules = BundleRules { root: String::new(), exclude: vec![], format: None, provenance: None };
    Request {
        commit: CommitSha::parse(sha).unwrap(),
        repository: RepositoryName::parse("acme/shop").unwrap(),
        rules,
        format,
        scripts: vec![],
        sources: vec![],
    }
}

fn bundle(archive: &[u8], request: &Request) -> Result<(Vec<u8>, Bundled), BundleError> {
    let mut out = Vec::new();
    let bundled = rebundle(archive, &mut out, request, &Limits::default())?;
    assert_eq!(bundled.bytes, out.len() as u64);
    Ok((out, bundled))
}

/// A tar as git writes it, with what git would never write in it.
struct Hand(Vec<u8>);

impl Hand {
    fn new() -> Self {
        let mut this = Self(Vec::new());
        let comment = format!("52 comment={SHA}\n");
        this.add(EntryType::XGlobalHeader, b"pax_global_header", b"", comment.as_bytes());
        this.add(EntryType::Directory, b"top/", b"", b"");
        this
    }

    fn add(&mut self, kind: EntryType, name: &[u8], link: &[u8], data: &[u8]) -> &mut Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_mode(0o664);
        header.set_size(data.len() as u64);
        header.set_mtime(1_700_000_000);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(&mut self, name: &str, data: &str) -> &mut Self {
        self.add(EntryType::Regular, name.as_bytes(), b"", data.as_bytes())
    }

    fn link(&mut self, name: &str, target: &str) -> &mut Self {
        self.add(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    fn done(&mut self) -> Vec<u8> {
        let mut tar = self.0.clone();
        tar.resize(tar.len() + 1024, 0);
        tar
    }
}

fn hand(fill: impl FnOnce(&mut Hand)) -> Vec<u8> {
    let mut hand = Hand::new();
    hand.file("top/appspec.yml", "version: 0.0\n");
    fill(&mut hand);
    hand.done()
}

/// Everything in a tar or a tar.gz, one line an entry.
fn list(bundle: &[u8]) -> String {
    let mut plain = Vec::new();
    if bundle.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bundle).read_to_end(&mut plain).unwrap();
    } else {
        plain = bundle.to_vec();
    }
    let mut lines = String::new();
    for entry in tar::Archive::new(plain.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let path = entry.path().unwrap().display().to_string();
        let link = entry.link_name().unwrap().map(|it| format!(" -> {}", it.display())).unwrap_or_default();
        lines += &format!("{:o} {} {path}{link}\n", header.mode().unwrap(), header.size().unwrap());
    }
    lines
}

fn refusal(archive: &[u8], request: &Request) -> String {
    let error = bundle(archive, request).expect_err("this must not become a bundle");
    match &error {
        BundleError::Refused(findings) => {
            findings.0.iter().map(|it| format!("{:?} {}: {it}\n", it.severity, it.code)).collect()
        }
        other => format!("{}\n", Failure::from(other.failure())),
    }
}

fn refused(fill: impl FnOnce(&mut Hand), expected: Expect) {
    expected.assert_eq(&refusal(&hand(fill), &request(SHA, BundleFormat::Tgz)));
}

fn git(directory: &Path, words: &[&str]) -> Vec<u8> {
    let out = blocking_program("git")
        .arg("-C")
        .arg(directory)
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"])
        .args(words)
        .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
        .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
        .output()
        .unwrap();
    assert!(out.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// A repository with one commit, its archive, and the commit's id.
fn repository() -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let at = home.path();
    let long = format!("web/{}/{}/page.html", "deep".repeat(20), "deeper".repeat(20));
    for (path, text) in [
        ("appspec.yml", "version: 0.0\nos: linux\n"),
        ("web/index.html", "<h1>hello</h1>\n"),
        (long.as_str(), "long\n"),
        ("web/grüße.txt", "ü\n"),
        ("scripts/start.sh", "#!/bin/sh\n"),
        ("docs/a/b.md", "doc\n"),
    ] {
        fs::create_dir_all(at.join(path).parent().unwrap()).unwrap();
        fs::write(at.join(path), text).unwrap();
    }
    fs::set_permissions(at.join("scripts/start.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("index.html", at.join("web/home.html")).unwrap();
    git(at, &["init", "-q", "."]);
    git(at, &["add", "-A"]);
    git(at, &["update-index", "--add", "--cacheinfo", &format!("160000,{SHA},vendor/lib")]);
    git(at, &["commit", "-q", "-m", "first"]);
    let sha = String::from_utf8(git(at, &["rev-parse", "HEAD"])).unwrap().trim().to_owned();
    (home, sha)
}

#[test]
fn a_bundle_is_the_commit_without_its_top_directory() {
    let (home, sha) = repository();
    let archive = git(home.path(), &["archive", "--format=tar.gz", "--prefix=acme-shop-1234567/", "HEAD"]);
    let mut request = request(&sha, BundleFormat::Tgz);
    request.scripts = vec!["/scripts/start.sh".into()];
    request.sources = vec!["/".into(), "web/".into(), "./web/home.html".into()];
    request.rules.exclude = vec!["docs/**".into()];
    let (bytes, bundled) = bundle(&archive, &request).unwrap();
    expect![[r#"
        644 23 appspec.yml
        755 0 scripts/
        755 10 scripts/start.sh
        755 0 vendor/
        755 0 vendor/lib/
        755 0 web/
        755 0 web/deepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeep/
        755 0 web/deepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeep/deeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeper/
        644 5 web/deepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeepdeep/deeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeperdeeper/page.html
        644 3 web/grüße.txt
        777 0 web/home.html -> index.html
        644 15 web/index.html
    "#]]
    .assert_eq(&list(&bytes));
    assert_eq!((bundled.files, bundled.archive.files, bundled.archive.bytes), (6, 7, archive.len() as u64));
    let findings: Vec<String> = bundled.findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with("`vendor/lib` is empty in the archive"), "{findings:?}");
}

#[test]
fn the_same_commit_gives_the_same_bytes_however_it_was_archived() {
    let (home, sha) = repository();
    let gzipped = git(home.path(), &["archive", "--format=tar.gz", "--prefix=acme-shop-1/", "HEAD"]);
    let plain = git(home.path(), &["-c", "tar.umask=0077", "archive", "--prefix=other/", "HEAD"]);
    for format in [BundleFormat::Tgz, BundleFormat::Tar, BundleFormat::Zip] {
        let one = bundle(&gzipped, &request(&sha, format)).unwrap();
        let other = bundle(&plain, &request(&sha, format)).unwrap();
        assert!(one.0 == other.0, "{format:?}");
        assert_eq!(one.1.sha256, other.1.sha256);
    }
}

#[test]
fn gnu_tar_and_python_read_what_is_written() {
    let (home, sha) = repository();
    let archive = git(home.path(), &["archive", "--prefix=x/", "HEAD"]);
    for (format, name) in [(BundleFormat::Tgz, "b.tgz"), (BundleFormat::Tar, "b.tar")] {
        let (bytes, _) = bundle(&archive, &request(&sha, format)).unwrap();
        let file = home.path().join(name);
        let to = home.path().join(format!("{name}.d"));
        fs::write(&file, bytes).unwrap();
        fs::create_dir(&to).unwrap();
        let tar = blocking_program("tar").arg("-xf").arg(&file).arg("-C").arg(&to).status().unwrap();
        assert!(tar.success());
        for path in ["web/grüße.txt", "web/home.html", "scripts/start.sh"] {
            assert_eq!(fs::read(to.join(path)).unwrap(), fs::read(home.path().join(path)).unwrap());
        }
        assert_eq!(fs::metadata(to.join("scripts/start.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    }
}

#[test]
fn a_zip_holds_modes_links_and_the_commit_s_time() {
    let (home, sha) = repository();
    let archive = git(home.path(), &["archive", "--prefix=x/", "HEAD"]);
    let (bytes, _) = bundle(&archive, &request(&sha, BundleFormat::Zip)).unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut seen = Vec::new();
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let time = file.last_modified().unwrap();
        assert_eq!((time.year(), time.hour(), time.second()), (2026, 3, 4));
        seen.push(format!("{:o} {} {}", file.unix_mode().unwrap(), file.name().unwrap(), text.trim()));
    }
    assert!(seen.contains(&"100755 scripts/start.sh #!/bin/sh".to_owned()), "{seen:#?}");
    assert!(seen.contains(&"120777 web/home.html index.html".to_owned()), "{seen:#?}");
    assert!(seen.contains(&"40755 web/ ".to_owned()), "{seen:#?}");
}

#[test]
fn a_root_becomes_the_top_and_excludes_count_from_there() {
    let archive = hand(|tar| {
        tar.file("top/app/appspec.yml", "")
            .file("top/app/docs/x", "")
            .file("top/app/x.tmp", "")
            .file("top/app/b/x.tmp", "");
        tar.link("top/out", "/etc/passwd");
    });
    let mut request = request(SHA, BundleFormat::Tar);
    request.rules.root = "app".into();
    request.rules.exclude = vec!["docs".into(), "*.tmp".into()];
    request.rules.provenance = Some(".landfall.json".into());
    let (bytes, _) = bundle(&archive, &request).unwrap();
    expect![[r#"
        644 0 appspec.yml
        644 0 b/x.tmp
        644 123 .landfall.json
    "#]]
    .assert_eq(&list(&bytes));
}

#[test]
fn names_that_lead_out_are_refused_all_at_once() {
    refused(
        |tar| {
            tar.file("top/../../etc/passwd", "x").file("/etc/shadow", "x").file("top/a\\..\\..\\b", "x");
            tar.file("other/x", "x").file("top/a//b", "x");
        },
        expect![[r#"
            Error bundle/path-escapes: `top/../../etc/passwd` leads out of the bundle by `..`
            Error bundle/path-escapes: `/etc/shadow` is an absolute path
            Error bundle/path-escapes: `top/a\..\..\b` leads out of the bundle by `..`
            Error bundle/path-escapes: `other/x` lies outside `top`, and an archive has one directory at its top
            Error bundle/path-unfit: `top/a//b` has an empty name between two slashes
        "#]],
    );
}

#[test]
fn links_that_lead_out_are_refused_and_broken_ones_told() {
    refused(
        |tar| {
            tar.link("top/a", "/etc/passwd").link("top/b", "../x").link("top/c/up", "..").link("top/c/d", "up/../../x");
            tar.link("top/ok", "c").link("top/gone", "missing").link("top/ring", "ring");
            tar.file("top/c/up/evil", "x").add(EntryType::Link, b"top/hard", b"top/appspec.yml", b"");
        },
        expect![[r#"
            Error bundle/link-escapes: `c/up/evil` lies below `c/up`, which is a link
            Error bundle/special-file: `hard` is a hard link, which git never has
            Error bundle/link-escapes: link `a` leads out of the bundle: `/etc/passwd` (let it point to something inside the bundle's root, or exclude it)
            Error bundle/link-escapes: link `b` leads out of the bundle: `../x` (let it point to something inside the bundle's root, or exclude it)
            Error bundle/link-escapes: link `c/d` leads out of the bundle: `up/../../x` (let it point to something inside the bundle's root, or exclude it)
            Warning bundle/link-broken: link `gone` points to `missing`, which is not in the bundle
            Warning bundle/link-broken: link `ok` points to `c`, which is not in the bundle
            Warning bundle/link-broken: link `ring` leads in a circle: `ring`
        "#]],
    );
}

#[test]
fn what_git_never_has_is_refused() {
    refused(
        |tar| {
            tar.add(EntryType::Char, b"top/null", b"", b"").add(EntryType::Fifo, b"top/pipe", b"", b"");
            tar.add(EntryType::GNUSparse, b"top/sparse", b"", b"").file("top/appspec.yml", "again");
            tar.file("top/appspec.yml/x", "");
        },
        expect![[r#"
            Error bundle/special-file: `null` is a device file, which git never has
            Error bundle/special-file: `pipe` is a named pipe, which git never has
            Error bundle/special-file: `sparse` is a sparse file, which git never has
            Error bundle/duplicate: `appspec.yml` is in the archive twice
            Error bundle/duplicate: `appspec.yml/x` lies below `appspec.yml`, which is a file
        "#]],
    );
}

#[test]
fn a_zip_takes_no_names_that_windows_would_mix_up() {
    let archive = hand(|tar| {
        tar.file("top/Read.me", "").file("top/README", "").file("top/readme", "").file("top/a\\b", "");
        tar.add(EntryType::Regular, b"top/\xff", b"", b"");
    });
    assert!(bundle(&archive, &request(SHA, BundleFormat::Tar)).is_ok());
    expect![[r#"
        Error bundle/duplicate: `readme` differs from another entry only in case, which Windows does not tell apart
        Error bundle/path-unfit: `top/a\b` has a backslash in its name, which Windows takes for a slash
        Error bundle/path-unfit: `top/�` is not UTF-8, which a zip's names must be
    "#]]
    .assert_eq(&refusal(&archive, &request(SHA, BundleFormat::Zip)));
}

#[test]
fn pax_names_count_and_a_line_end_in_one_hides_nothing() {
    let record = |key: &str, value: &str| {
        let tail = format!(" {key}={value}\n");
        let length = (tail.len() + 2).to_string().len() + tail.len();
        format!("{length}{tail}")
    };
    refused(
        |tar| {
            let name = record("path", "top/x\n20 path=top/fine");
            tar.add(EntryType::XHeader, b"x", b"", name.as_bytes()).file("top/short", "");
            let name = record("path", "top/../out");
            tar.add(EntryType::XHeader, b"x", b"", name.as_bytes()).file("top/short2", "");
            tar.add(EntryType::GNULongName, b"x", b"", b"top/a\0b\0").file("top/short3", "");
        },
        expect![[r#"
            Error bundle/path-escapes: `top/../out` leads out of the bundle by `..`
            Error bundle/path-unfit: `top/a\u{0}b` has a NUL in its name
        "#]],
    );
}

#[test]
fn another_commit_or_none_is_told() {
    let archive = hand(|_| {});
    let other = "f".repeat(40);
    let error = bundle(&archive, &request(&other, BundleFormat::Tar)).unwrap_err();
    assert_eq!(error.to_string(), format!("expected the archive of {other}, but it is of {SHA}"));
    assert_eq!(error.failure().code, "bundle/other-commit");
    let nameless = archive[1024..].to_vec();
    let error = bundle(&nameless, &request(SHA, BundleFormat::Tar)).unwrap_err();
    assert!(matches!(error, BundleError::NoCommit { .. }), "{error}");
}

#[test]
fn a_stream_that_is_cut_anywhere_is_no_bundle() {
    let (home, sha) = repository();
    for format in ["tar", "tar.gz"] {
        let archive = git(home.path(), &["archive", &format!("--format={format}"), "--prefix=x/", "HEAD"]);
        // git pads with zeros up to 10 KiB; all that matters ends with the two empty blocks.
        let whole = if format == "tar" { archive.iter().rposition(|b| *b != 0).unwrap() } else { archive.len() - 1 };
        for cut in (0..=whole).step_by(97).chain([whole - 511, whole]) {
            let error = bundle(&archive[..cut], &request(&sha, BundleFormat::Tar)).expect_err("a cut archive");
            assert!(matches!(error, BundleError::Truncated { .. }), "{format} cut at {cut}: {error}");
            assert!(error.failure().passing);
        }
    }
}

#[test]
fn what_is_no_archive_is_told_apart_from_what_is_damaged() {
    let error = |bytes: &[u8]| bundle(bytes, &request(SHA, BundleFormat::Tar)).unwrap_err().to_string();
    assert_eq!(error(b"PK\x03\x04rest"), "expected a tar or tar.gz archive, but a zip came");
    assert_eq!(error(b"<html>404</html>"), "expected a tar or tar.gz archive, but a text came");
    assert_eq!(error(b""), "the archive ends too early, after 0 bytes");
    let mut damaged = hand(|_| {});
    damaged[1030] ^= 1;
    let told = error(&damaged);
    assert!(told.starts_with("expected a tar or tar.gz archive, but byte "), "{told}");
}

#[test]
fn limits_are_held() {
    let mut small = Limits { entries: 4, ..Limits::default() };
    let archive = hand(|tar| {
        tar.file("top/a", "0123456789").file("top/b", "").link("top/c", "a").link("top/d", "a");
    });
    let told = |limits: &Limits| rebundle(&archive[..], Vec::new(), &request(SHA, BundleFormat::Tar), limits);
    let code = |limits: &Limits| told(limits).unwrap_err().failure().code;
    assert_eq!(code(&small), "bundle/too-many");
    small = Limits { file_bytes: 9, ..Limits::default() };
    assert_eq!(code(&small), "bundle/too-large");
    assert_eq!(code(&Limits { links: 1, ..Limits::default() }), "bundle/too-many");
    assert_eq!(code(&Limits { unpacked_bytes: 4000, ..Limits::default() }), "bundle/too-large");
    assert_eq!(code(&Limits { path_bytes: 6, ..Limits::default() }), "bundle/path-unfit");
    assert!(told(&Limits::default()).is_ok());
}

#[test]
fn a_bomb_is_stopped_on_its_way() {
    let mut tar = Hand::new();
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.as_old_mut().name[..8].copy_from_slice(b"top/zero");
    header.set_mode(0o644);
    header.set_size(1 << 30);
    header.set_cksum();
    tar.0.extend_from_slice(header.as_bytes());
    let gzip = flate2::read::GzEncoder::new(
        tar.0.as_slice().chain(std::io::repeat(0).take(1 << 30)),
        flate2::Compression::default(),
    );
    let error = rebundle(gzip, std::io::sink(), &request(SHA, BundleFormat::Tar), &Limits::default()).unwrap_err();
    assert_eq!(error.failure().code, "bundle/expands", "{error}");
}

#[test]
fn missing_scripts_and_sources_are_told_with_what_resembles_them() {
    let archive = hand(|tar| {
        tar.file("top/scripts/stop.sh", "#!/bin/sh\r\n").file("top/bin/start.sh", "#!/bin/sh\n").file("top/x/y", "");
        tar.link("top/run.sh", "bin/start.sh");
    });
    let mut request = request(SHA, BundleFormat::Tgz);
    request.scripts = ["scripts/Stop.sh", "scripts/stop.sh", "/opt/x.sh", "start.sh", "../a", "x", "x/y", "run.sh"]
        .map(Into::into)
        .into();
    request.sources = ["/", "x/", "missing/", "x/../../y"].map(Into::into).into();
    request.rules.exclude = vec!["x/y".into()];
    expect![[r#"
        Error bundle/script-crlf: hook script `scripts/stop.sh` has Windows line ends (add `scripts/stop.sh text eol=lf` to .gitattributes and commit it renormalised)
        Error bundle/script-missing: hook script `../a` is outside the bundle (commit it, or correct `location` in appspec.yml)
        Error bundle/script-missing: hook script `/opt/x.sh` is not in the bundle (write it relative to the bundle's root: a leading `/` means that root, not the machine's)
        Error bundle/script-missing: hook script `scripts/Stop.sh` is not in the bundle (write `scripts/stop.sh`, if that is the one)
        Error bundle/script-missing: hook script `start.sh` is not in the bundle (write `bin/start.sh`, if that is the one)
        Error bundle/script-missing: hook script `x` is not in the bundle (commit it, or correct `location` in appspec.yml)
        Error bundle/script-missing: hook script `x/y` is not in the bundle (take it out of `exclude` in [target.bundle])
        Error bundle/source-missing: `files` source `x/` is not in the bundle (write it relative to the bundle's root, as git has it; directories without files are not in git)
        Error bundle/source-missing: `files` source `missing/` is not in the bundle (write it relative to the bundle's root, as git has it; directories without files are not in git)
        Error bundle/source-missing: `files` source `x/../../y` is not in the bundle (write it relative to the bundle's root, as git has it; directories without files are not in git)
        Warning bundle/script-mode: hook script `scripts/stop.sh` is not executable in git (run `git update-index --chmod=+x scripts/stop.sh`)
    "#]]
    .assert_eq(&refusal(&archive, &request));
}

#[test]
fn an_app_spec_elsewhere_is_named() {
    let told = |name: &str| {
        let archive = Hand::new().file(name, "").done();
        refusal(&archive, &request(SHA, BundleFormat::Tgz))
    };
    expect![[r#"
        Error bundle/appspec-nested: there is no appspec.yml in the repository's root, but `deploy/appspec.yml` below it (move it to the root, or set `root = "deploy"` in [target.bundle])
    "#]]
    .assert_eq(&told("top/deploy/appspec.yml"));
    expect![[r#"
        Error bundle/appspec-missing: there is no appspec.yml in the repository's root, only `AppSpec.yaml` (rename `AppSpec.yaml` to `appspec.yml`: the name must be written so)
    "#]]
    .assert_eq(&told("top/AppSpec.yaml"));
    expect![[r#"
        Error bundle/appspec-missing: there is no appspec.yml in the repository's root (add an appspec.yml; `landfall init` writes one to begin with)
    "#]]
    .assert_eq(&told("top/x"));
}

#[test]
fn a_root_that_is_not_there_is_told_with_its_neighbours() {
    let archive = hand(|tar| {
        tar.add(EntryType::Directory, b"top/apps/", b"", b"").add(EntryType::Directory, b"top/apps/web/", b"", b"");
        tar.add(EntryType::Directory, b"top/docs/", b"", b"");
    });
    let mut request = request(SHA, BundleFormat::Tgz);
    request.rules.root = "web".into();
    expect![[r#"
        Error bundle/root-missing: there is no directory `web` in the repository (correct `root` in [target.bundle]: there are `apps/web`, `apps`, `docs`)
    "#]]
    .assert_eq(&refusal(&archive, &request));
}

#[test]
fn lfs_pointers_are_counted_not_listed() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let archive = hand(|tar| {
        for at in 0..9 {
            tar.file(&format!("top/{at}.bin"), pointer);
        }
    });
    let (_, bundled) = bundle(&archive, &request(SHA, BundleFormat::Tgz)).unwrap();
    assert_eq!(bundled.findings.len(), 1);
    assert_eq!(bundled.findings[0].message, "`0.bin` and 8 more are Git LFS pointers, not the files themselves");
}

#[test]
fn a_refused_bundle_is_not_finished() {
    let archive = hand(|tar| {
        tar.file("top/a", &"x".repeat(200_000)).link("top/out", "/etc");
    });
    let mut out = Vec::new();
    rebundle(&archive[..], &mut out, &request(SHA, BundleFormat::Tgz), &Limits::default()).unwrap_err();
    let mut unpacked = Vec::new();
    assert!(flate2::read::GzDecoder::new(out.as_slice()).read_to_end(&mut unpacked).is_err());
}
