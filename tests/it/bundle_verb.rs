//! `landfall bundle`: the built program makes the bundle that the bot would make, of a repository and of a directory.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use landfall::bundle::{Limits, Request, rebundle};
use landfall::clients::process::blocking_program;
use landfall::domain::{BundleFormat, BundleRules, CommitSha, RepositoryName};
use sha2::{Digest, Sha256};

use super::bundle::{git, list};
use super::cli::landfall;

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: web\n    destination: /srv/web\nhooks:\n  AfterInstall:\n    - location: after.sh\n";

/// A site below `at`, with nothing that would be found about it.
fn fill(at: &Path) {
    fs::create_dir_all(at.join("web")).unwrap();
    fs::write(at.join("appspec.yml"), APPSPEC).unwrap();
    fs::write(at.join("web/index.html"), "one\n").unwrap();
    fs::write(at.join("after.sh"), "#!/bin/sh\ndate\n").unwrap();
    fs::set_permissions(at.join("after.sh"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn repository(below: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fill(&home.path().join(below));
    git(home.path(), &["init", "-q", "."]);
    git(home.path(), &["add", "-A"]);
    git(home.path(), &["commit", "-q", "-m", "first"]);
    home
}

fn sha_of(dir: &Path) -> String {
    String::from_utf8(git(dir, &["rev-parse", "HEAD"])).unwrap().trim().to_owned()
}

/// The bundle as the bot makes it: git's archive through the same pass.
fn by_the_bot(dir: &Path, root: &str, format: BundleFormat) -> Vec<u8> {
    let archive = git(dir, &["archive", "--prefix=other-prefix/", "HEAD"]);
    let request = Request {
        commit: CommitSha::parse(sha_of(dir)).unwrap(),
        repository: RepositoryName::parse("acme/shop").unwrap(),
        rules: BundleRules { root: root.into(), exclude: vec![], format: None, provenance: None },
        format,
        spec: None,
    };
    let mut out = Vec::new();
    rebundle(&archive[..], &mut out, &request, &Limits::default()).unwrap();
    out
}

#[test]
fn a_repository_s_bundle_is_the_bot_s_own() {
    let home = repository("");
    let dir = home.path();
    for (form, format) in [("tgz", BundleFormat::Tgz), ("tar", BundleFormat::Tar), ("zip", BundleFormat::Zip)] {
        let ran = landfall(dir, &["bundle", ".", "-o", "out", "--format", form]);
        assert_eq!((ran.exit, ran.talk.as_str()), (0, ""), "{form}");
        let bytes = fs::read(dir.join("out")).unwrap();
        assert!(bytes == by_the_bot(dir, "", format), "{form}: byte for byte");
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let expected =
            format!("out: {form} of commit {}, 3 files, {} bytes, sha256 {sha256}\n", &sha_of(dir)[..7], bytes.len());
        assert_eq!(ran.out, expected);
    }
    let ran = landfall(dir, &["bundle", ".", "-o", "out.tgz"]);
    assert!(ran.out.starts_with("out.tgz: tgz of commit "), "tgz for linux: {}", ran.out);
}

#[test]
fn a_revision_a_directory_in_a_repository_and_a_bare_one_are_bundled() {
    let home = repository("site");
    let dir = home.path();
    git(dir, &["tag", "v1"]);
    fs::write(dir.join("site/web/index.html"), "two\n").unwrap();
    fs::write(dir.join("site/web/more.html"), "").unwrap();
    let ran = landfall(dir, &["bundle", "site", "-o", "b.tgz"]);
    assert_eq!(
        (ran.exit, ran.talk.as_str()),
        (0, "1 changed file is bundled as committed, not as on the disk: commit to bundle them\n")
    );
    assert!(fs::read(dir.join("b.tgz")).unwrap() == by_the_bot(dir, "site", BundleFormat::Tgz));
    git(dir, &["add", "site"]);
    git(dir, &["commit", "-q", "-m", "second"]);
    let old = fs::read(dir.join("b.tgz")).unwrap();
    assert_eq!(landfall(dir, &["bundle", "site@v1", "-o", "v1.tgz"]).exit, 0);
    assert!(fs::read(dir.join("v1.tgz")).unwrap() == old);
    assert_eq!(landfall(dir, &["bundle", "site@main", "-o", "main.tgz"]).exit, 0);
    assert!(list(&fs::read(dir.join("main.tgz")).unwrap()).contains("web/more.html"));
    let bare = tempfile::tempdir().unwrap();
    let cloned =
        blocking_program("git").args(["clone", "-q", "--bare"]).arg(dir).arg(bare.path().join("b.git")).status();
    assert!(cloned.unwrap().success());
    let config = "data_dir = \"data\"\n[github]\ntoken = { env = \"PATH\" }\nwebhook_secrets = [{ env = \"PATH\" }]\n[[target]]\nname = \"site\"\nrepository = \"acme/site\"\nbranches = [\"main\"]\nbundle = { root = \"site\", exclude = [\"web/more.html\"], format = \"zip\" }\n[target.engine]\nkind = \"host\"\n";
    fs::write(bare.path().join("landfall.toml"), config).unwrap();
    let ran = landfall(bare.path(), &["bundle", "b.git@v1", "-o", "x.tgz"]);
    assert_eq!(ran.exit, 2, "there is no AppSpec at the top");
    assert!(ran.talk.contains("there is no `appspec.yml`"), "{}", ran.talk);
    let words = ["bundle", "b.git", "-o", "x.zip", "-c", "landfall.toml", "--target", "site"];
    let ran = landfall(bare.path(), &words);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    assert!(ran.out.contains("x.zip: zip of commit ") && ran.out.contains(" 3 files"), "{}", ran.out);
    let ran = landfall(bare.path(), &["bundle", "b.git", "-o", "x.zip", "-c", "landfall.toml", "--target", "shop"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.talk.contains("no target is called `shop`") && ran.talk.contains("`site`"), "{}", ran.talk);
}

#[test]
fn a_directory_without_git_is_bundled_as_it_lies_there() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("site");
    fill(&dir);
    symlink("index.html", dir.join("web/home.html")).unwrap();
    fs::create_dir(dir.join("web/cache")).unwrap();
    let ran = landfall(home.path(), &["bundle", "site", "-o", "b.tar", "--format", "tar"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    assert!(ran.out.starts_with("b.tar: tar of a directory without git, 4 files, "), "{}", ran.out);
    let bytes = fs::read(home.path().join("b.tar")).unwrap();
    let listed = "755 15 after.sh\n644 137 appspec.yml\n755 0 web/\n755 0 web/cache/\n777 0 web/home.html -> index.html\n644 4 web/index.html\n";
    let listed = listed.replace("137", &APPSPEC.len().to_string());
    assert_eq!(list(&bytes), listed);
    assert_eq!(landfall(home.path(), &["bundle", "site", "-o", "again.tar", "--format", "tar"]).exit, 0);
    assert!(fs::read(home.path().join("again.tar")).unwrap() == bytes, "the same directory gives the same bytes");
    let unpacked = home.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = blocking_program("tar").arg("-xf").arg(home.path().join("b.tar")).arg("-C").arg(&unpacked).status();
    assert!(tar.unwrap().success());
    assert_eq!(fs::read(unpacked.join("web/home.html")).unwrap(), b"one\n");
}

#[test]
fn what_cannot_be_deployed_leaves_no_file() {
    let home = repository("");
    let dir = home.path();
    fs::write(dir.join("out.tgz"), "before").unwrap();
    let wrong = |words: &[&str], says: &str| {
        let ran = landfall(dir, words);
        assert_eq!(ran.exit, 2, "{words:?}: {}", ran.talk);
        assert!(ran.talk.contains(says) && ran.out.is_empty(), "{words:?}: {}", ran.talk);
        assert_eq!(fs::read(dir.join("out.tgz")).unwrap(), b"before", "the old one stays");
        assert!(
            !fs::read_dir(dir).unwrap().any(|it| it.unwrap().file_name().to_string_lossy().starts_with(".landfall"))
        );
    };
    wrong(&["bundle", "nowhere", "-o", "out.tgz"], "there is no directory `nowhere`");
    wrong(&["bundle", ".@nope", "-o", "out.tgz"], "has no commit `nope`");
    wrong(&["bundle", ".@--all", "-o", "out.tgz"], "has no commit `--all`");
    fs::write(dir.join("appspec.yml"), APPSPEC.replace("after.sh", "gone.sh")).unwrap();
    git(dir, &["commit", "-q", "-am", "second"]);
    wrong(&["bundle", ".", "-o", "out.tgz"], "error[bundle/script-missing]");
    fs::write(dir.join("appspec.yml"), "version: 0.0\nos: Linux\n").unwrap();
    git(dir, &["commit", "-q", "-am", "third"]);
    wrong(&["bundle", ".", "-o", "out.tgz"], "--> appspec.yml:2:5");
    let plain = tempfile::tempdir().unwrap();
    let ran = landfall(plain.path(), &["bundle", ".@main", "-o", "out.tgz"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.talk.contains("is no git repository"), "{}", ran.talk);
    let ran = landfall(dir, &["bundle", ".@HEAD~2", "-o", "no/such/dir/out.tgz"]);
    assert_eq!(ran.exit, 3, "{}", ran.talk);
}
