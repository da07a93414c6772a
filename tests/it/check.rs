//! `landfall check` over directories, as people, hooks of git and CI run it: the built program, its output, its exit
//! codes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use expect_test::expect;
use serde_json::Value;

use super::bundle::git;
use super::cli::landfall;

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: web\n    destination: /srv/web\nhooks:\n  AfterInstall:\n    - location: scripts/after.sh\n";

fn put(dir: &Path, path: &str, text: &str) {
    fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
    fs::write(dir.join(path), text).unwrap();
}

fn executable(dir: &Path, path: &str) {
    fs::set_permissions(dir.join(path), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A directory that deploys, in git or not.
fn site(in_git: bool) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    put(dir, "appspec.yml", APPSPEC);
    put(dir, "web/index.html", "<h1>hello</h1>\n");
    put(dir, "scripts/after.sh", "#!/bin/sh\nset -eu\ndate\n");
    executable(dir, "scripts/after.sh");
    if in_git {
        git(dir, &["init", "-q", "."]);
        git(dir, &["add", "-A"]);
    }
    home
}

/// The findings of `landfall check .`, one a line.
fn found(dir: &Path) -> Vec<String> {
    let ran = landfall(dir, &["check", ".", "--format", "json"]);
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let one = |it: &Value| {
        let place = if it["file"].is_null() { String::new() } else { format!(" {}:{}", text(it, "file"), it["line"]) };
        format!("{} {}{place}", text(it, "severity"), text(it, "code"))
    };
    value["findings"].as_array().unwrap().iter().map(one).collect()
}

fn help_of(dir: &Path) -> String {
    let value: Value = serde_json::from_str(&landfall(dir, &["check", ".", "--format", "json"]).out).unwrap();
    value["findings"][0]["help"].as_str().unwrap().to_owned()
}

#[test]
fn no_wrong_line_of_a_configuration_shows_the_secret_in_it() {
    for line in [
        "webhook_secrets = [\"hunter2\"]",
        "webhook_secrets = \"hunter2\"",
        "webhook_secret = \"hunter2\"",
        "token = \"hunter2",
        "token = hunter2",
        "Token = [\"hunter2\"]",
        "app = 1\nprivate_key = \"\"\"\nhunter2",
        "token = { environment = \"TOKEN\", value = 1 }",
    ] {
        let home = tempfile::tempdir().unwrap();
        put(home.path(), "landfall.toml", &format!("data_dir = \"d\"\n[github]\n{line}\n"));
        for format in ["human", "github", "json"] {
            let ran = landfall(home.path(), &["check", "--format", format]);
            assert_eq!(ran.exit, 2, "{line}: {}", ran.talk);
            let told = format!("{}{}", ran.out, ran.talk);
            assert!(told.contains("landfall.toml") && !told.contains("hunter2"), "{line}: {told}");
        }
    }
}

#[test]
fn what_is_clean_is_one_line() {
    for (in_git, whose) in [(true, "git has"), (false, "the disk has")] {
        let home = site(in_git);
        for words in [&["check"][..], &["check", "."], &["check", "--strict"]] {
            let ran = landfall(home.path(), words);
            let line = format!("appspec.yml, 3 files that {whose}: no findings\n");
            assert_eq!((ran.exit, ran.out.as_str(), ran.talk), (0, "", line), "{words:?}");
        }
        for format in ["json", "github"] {
            let ran = landfall(home.path(), &["check", "--format", format]);
            let expected = if format == "json" { "{\n  \"findings\": []\n}\n" } else { "" };
            assert_eq!((ran.exit, ran.out.as_str(), ran.talk.as_str()), (0, expected, ""));
        }
    }
}

#[test]
fn everything_is_told_at_once_and_in_order() {
    let home = site(true);
    let dir = home.path();
    put(dir, "scripts/after.sh", "#!/bin/bash\r\necho\r\n");
    put(
        dir,
        "appspec.yml",
        "version: 0.0\nos: linux\nfiles:\n  - source: web\n    destination: /srv/web\nhooks:\n  AfterInstal:\n    - location: x.sh\n  AfterInstall:\n    - location: scripts/after.sh\n    - location: scripts/gone.sh\n",
    );
    let ran = landfall(dir, &["check", "."]);
    assert_eq!(ran.exit, 2);
    expect![[r#"
        error[appspec/unknown-event]: `AfterInstal` is no lifecycle event
         --> appspec.yml:7:3
          |
        7 |   AfterInstal:
          |   ^^^^^^^^^^^
          |
          = help: did you mean `AfterInstall`?

        error[bundle/script-missing]: hook script `scripts/gone.sh` is not in the bundle
          --> appspec.yml:11:17
           |
        11 |     - location: scripts/gone.sh
           |                 ^^^^^^^^^^^^^^^
           |
           = help: commit it, or correct `location` in appspec.yml

        error[bundle/script-crlf]: hook script `scripts/after.sh` has Windows line ends
         --> scripts/after.sh:1:1
          |
        1 | #!/bin/bash
          | ^
          |
          = help: add `scripts/after.sh text eol=lf` to .gitattributes and commit it renormalised

    "#]]
    .assert_eq(&ran.out);
    assert_eq!(ran.talk, "appspec.yml, 3 files that git has: 3 errors\n");
}

#[test]
fn git_says_what_is_in_a_bundle_and_with_which_mode() {
    let home = site(true);
    let dir = home.path();
    git(dir, &["update-index", "--chmod=-x", "scripts/after.sh"]);
    assert_eq!(found(dir), ["warning bundle/script-mode scripts/after.sh:1"], "D16: git's mode, not the disk's");
    assert!(help_of(dir).starts_with("run `git update-index --chmod=+x scripts/after.sh`"));
    git(dir, &["rm", "-q", "--cached", "-f", "scripts/after.sh"]);
    assert_eq!(found(dir), ["error bundle/script-missing appspec.yml:8"]);
    assert_eq!(help_of(dir), "add it to git: `git add` it, and commit");
    put(dir, ".gitignore", "scripts/\n");
    assert!(help_of(dir).starts_with("git ignores it: make it in a BeforeInstall script"), "E40");
    fs::remove_file(dir.join(".gitignore")).unwrap();
    git(dir, &["add", "-A"]);
    put(dir, ".gitattributes", "scripts/ export-ignore\n");
    assert_eq!(found(dir), ["error bundle/script-missing appspec.yml:8"]);
    assert!(help_of(dir).contains("`export-ignore`"));
    put(dir, ".gitattributes", "");
    fs::remove_file(dir.join("web/index.html")).unwrap();
    assert_eq!(found(dir), ["error bundle/source-missing appspec.yml:4"], "what was removed is gone");
}

#[test]
fn submodules_links_and_odd_files_are_told() {
    let home = site(true);
    let dir = home.path();
    git(dir, &["update-index", "--add", "--cacheinfo", &format!("160000,{},web/lib", "a".repeat(40))]);
    symlink("/etc/passwd", dir.join("web/out")).unwrap();
    symlink("index.html", dir.join("web/home.html")).unwrap();
    git(dir, &["add", "web/out", "web/home.html"]);
    put(dir, "web/big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    git(dir, &["add", "web/big.bin"]);
    assert_eq!(found(dir), ["error bundle/link-escapes", "warning bundle/submodule", "warning bundle/lfs-pointer"]);
    let plain = site(false);
    nix::unistd::mkfifo(&plain.path().join("web/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(found(plain.path()), ["error bundle/special-file"], "F33");
}

#[test]
fn strict_minds_all_but_taste() {
    let home = site(true);
    let dir = home.path();
    let exits = || [&["check"][..], &["check", "--strict"]].map(|words| landfall(dir, words).exit);
    put(dir, "scripts/after.sh", "#!/bin/sh\ncd /srv\ndate\n");
    assert_eq!(exits(), [0, 2], "a warning");
    put(dir, "scripts/after.sh", "#!/bin/sh\nset -e\n./x\n");
    assert_eq!(exits(), [0, 2], "a portability note");
    put(dir, "scripts/after.sh", "#!/bin/sh\ndate\n");
    put(dir, "appspec.yml", &APPSPEC.replace("source: web", "source: /"));
    assert_eq!(found(dir), ["style bundle/whole-bundle appspec.yml:4"]);
    assert_eq!(exits(), [0, 0], "a matter of taste");
}

#[test]
fn github_shows_findings_beside_their_lines() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    put(dir, "a,b: c/appspec.yml", "version: 0.0\nos: linux\nfiles:\n  - source: 100%\n    destination: /srv\n");
    let ran = landfall(dir, &["check", "a,b: c", "--format", "github"]);
    assert_eq!(ran.exit, 2);
    expect![[r#"
        ::error file=a%2Cb%3A c/appspec.yml,line=4,col=5,title=bundle/source-missing::`files` source `100%25` is not in the bundle%0Awrite it relative to the bundle's root, as git has it; directories without files are not in git
    "#]]
    .assert_eq(&ran.out);
}

#[test]
fn an_app_spec_that_lies_or_is_named_otherwise_is_told() {
    let home = site(true);
    let dir = home.path();
    fs::create_dir(dir.join("deploy")).unwrap();
    git(dir, &["mv", "appspec.yml", "deploy/appspec.yml"]);
    assert_eq!(found(dir), ["error bundle/appspec-nested"], "E01");
    git(dir, &["mv", "deploy/appspec.yml", "appspec.yaml"]);
    assert_eq!(found(dir), ["portability bundle/appspec-yaml"], "1.2");
    put(dir, "appspec.yml", APPSPEC);
    git(dir, &["add", "-A"]);
    assert_eq!(found(dir), ["error bundle/appspec-double"], "1.2");
    put(dir, "production.yml", APPSPEC);
    let ran = landfall(dir, &["check", "production.yml"]);
    assert_eq!(ran.exit, 0);
    assert!(ran.out.starts_with("warning[cli/appspec-name]"), "1.2: {}", ran.out);
    let lambda = "version: 0.0\nResources:\n  - f:\n      Type: AWS::Lambda::Function\n      Properties: {Name: f, Alias: a, CurrentVersion: 1, TargetVersion: 2}\n";
    put(dir, "lambda.yml", lambda);
    let ran = landfall(dir, &["check", "lambda.yml", "--strict"]);
    assert_eq!((ran.exit, ran.talk.as_str()), (0, "lambda.yml: no findings\n"), "{}", ran.out);
}

#[test]
fn a_directory_of_a_repository_is_checked_by_its_own_paths() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    put(dir, "site/appspec.yml", APPSPEC);
    put(dir, "site/web/index.html", "");
    put(dir, "site/scripts/after.sh", "#!/bin/sh\r\n");
    git(dir, &["init", "-q", "."]);
    git(dir, &["add", "-A"]);
    let told = |words: &[&str]| landfall(dir, words).out.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(told(&["check", "site"]).contains(&" --> site/scripts/after.sh:1:1".to_owned()));
    assert!(told(&["check", "./site/"]).contains(&" --> site/scripts/after.sh:1:1".to_owned()));
    let absolute = dir.join("site").display().to_string();
    assert!(told(&["check", &absolute]).contains(&format!(" --> {absolute}/scripts/after.sh:1:1")));
}

#[test]
fn a_configuration_beside_it_is_told_first_and_by_the_same_name() {
    let home = site(true);
    let dir = home.path();
    fs::write(dir.join("landfall.toml"), "data_dri = \"x\"\n").unwrap();
    put(dir, "scripts/after.sh", "#!/bin/sh\ncd /srv\ndate\n");
    let told = found(dir);
    assert_eq!(told[0], "error config/unknown-key landfall.toml:1");
    assert_eq!(told[1], "warning bundle/script-cd scripts/after.sh:2", "what has no place comes last: {told:?}");
}

#[test]
fn what_is_not_yet_added_to_git_is_read_from_the_disk() {
    let home = site(false);
    git(home.path(), &["init", "-q", "."]);
    put(home.path(), ".gitignore", "cache/\n");
    put(home.path(), "cache/x", "");
    let ran = landfall(home.path(), &["check"]);
    assert_eq!(ran.talk, "appspec.yml, 4 files that the disk has: no findings\n", "{}", ran.out);
}
