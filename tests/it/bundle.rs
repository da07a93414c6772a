//! Bundles made of git's own archives, read back by others.

mod contents;
mod refusals;

use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use expect_test::expect;
use landfall::appspec::{FileMapping, Hook, Os, Script, ServerSpec};
use landfall::bundle::{BundleError, Bundled, Limits, Request, rebundle};
use landfall::clients::process::blocking_program;
use landfall::domain::{BundleFormat, BundleRules, CommitSha, Place, RepositoryName};
use tar::{EntryType, Header};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn request(sha: &str, format: BundleFormat) -> Request {
    let rules = BundleRules { root: String::new(), exclude: vec![], format: None, provenance: None };
    Request {
        commit: CommitSha::parse(sha).unwrap(),
        repository: RepositoryName::parse("acme/shop").unwrap(),
        rules,
        format,
        spec: None,
    }
}

/// An AppSpec of these scripts and sources, which nobody checked.
fn spec(scripts: &[&str], sources: &[&str]) -> ServerSpec {
    let place = |line| Place { file: "appspec.yml".into(), line, column: 1, length: 1 };
    let script = |(at, location): (usize, &&str)| Script {
        location: (*location).into(),
        timeout: None,
        runas: None,
        place: place(20 + u32::try_from(at).unwrap()),
    };
    let file = |(at, source): (usize, &&str)| FileMapping {
        source: (*source).into(),
        destination: format!("/srv/{at}"),
        place: place(10 + u32::try_from(at).unwrap()),
    };
    let scripts = scripts.iter().enumerate().map(script).collect();
    ServerSpec {
        os: Os::Linux,
        files: sources.iter().enumerate().map(file).collect(),
        file_exists_behavior: None,
        permissions: vec![],
        hooks: vec![Hook { event: "AfterInstall".into(), scripts, place: place(19) }],
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
pub(super) fn list(bundle: &[u8]) -> String {
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

pub(super) fn git(directory: &Path, words: &[&str]) -> Vec<u8> {
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
    request.spec = Some(spec(&["/scripts/start.sh"], &["/", "web/", "./web/index.html"]));
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
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("`vendor/lib` is empty in the archive"), "{findings:?}");
    assert!(findings[1].contains("the whole bundle is installed"), "{findings:?}");
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
