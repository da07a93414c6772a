//! Bundles that lie elsewhere: an object in S3, a commit at GitHub. They are at hand before the run begins.

use std::fs;
use std::path::Path;
use std::process::Command;

use landfall::clients::process::blocking_program;

use super::stand::{Stand, Told};
use crate::worlds::github::GitHubWorld;
use crate::worlds::s3::Buckets;

const SCRIPT: &str = "#!/bin/sh\nenv | grep ^BUNDLE_ | sort > {HERE}/bundle || true\n";

/// Runs `apply` on a location with more in its environment.
pub(super) fn apply(stand: &Stand, location: &str, environment: &[(&str, &str)], more: &[&str]) -> Told {
    let mut command: Command = stand.command(Path::new(location), more);
    command.envs(environment.iter().copied());
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Told { exit: output.status.code().unwrap(), json, errors }
}

fn told_of_bundle(stand: &Stand) -> String {
    fs::read_to_string(stand.path("bundle")).unwrap_or_default().replace('\n', " ")
}

#[test]
fn an_object_in_s3_is_fetched_and_hooks_are_told_which() {
    let stand = Stand::new();
    let bundle = stand.bundle("hooks:\n  AfterInstall:\n    - location: a.sh\n", "");
    stand.script(&bundle, "a.sh", SCRIPT);
    let archive = stand.path("b.tgz");
    let packed = blocking_program("tar").arg("czf").arg(&archive).arg("-C").arg(&bundle).arg(".").status().unwrap();
    assert!(packed.success());
    let buckets = Buckets::start();
    buckets.replace("site/b.tgz", &fs::read(&archive).unwrap());
    let at = [
        ("AWS_ENDPOINT_URL_S3", buckets.url()),
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "S"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let told = apply(&stand, "s3://revisions/site/b.tgz", &at, &["-t", "tgz"]);
    assert_eq!(told.exit, 0, "R102: {} {:#}", told.errors, told.json);
    let bundle = told_of_bundle(&stand);
    assert!(bundle.contains("BUNDLE_BUCKET=revisions ") && bundle.contains("BUNDLE_KEY=site/b.tgz "), "R34: {bundle}");
    assert!(!bundle.contains("BUNDLE_COMMIT"), "R34: {bundle}");
    let left: Vec<_> = fs::read_dir(stand.path("root")).unwrap().flatten().map(|it| it.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".fetching")), "{left:?}");
    let told = apply(&stand, "s3://revisions/nope.tgz", &at, &[]);
    assert_eq!(told.exit, 3, "nothing was touched: {}", told.errors);
    let told = apply(&stand, "s3://revisions/site/b.tgz?etag=0123", &at, &[]);
    assert_eq!(told.exit, 3, "E53: {}", told.errors);
}

#[test]
fn a_commit_at_github_is_fetched_and_hooks_are_told_which() {
    let stand = Stand::new();
    let github = GitHubWorld::start();
    let repository = github.repository("acme/blog");
    let work = stand.path("work");
    let git = |arguments: &[&str]| {
        let done = blocking_program("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.invalid"])
            .args(arguments)
            .current_dir(&work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    fs::create_dir(&work).unwrap();
    git(&["init", "--quiet", "--initial-branch=main"]);
    fs::write(work.join("appspec.yml"), "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: a.sh\n")
        .unwrap();
    stand.script(&work, "a.sh", SCRIPT);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "one"]);
    git(&["tag", "v1"]);
    git(&["push", "--quiet", repository.bare().to_str().unwrap(), "HEAD:main", "v1"]);
    let sha = git(&["rev-parse", "HEAD"]);
    let api = github.config().api_url;
    let at = [("GITHUB_API_URL", api.as_str()), ("GITHUB_TOKEN", "ghp_first")];
    for location in [
        "https://github.com/acme/blog/".to_owned(),
        format!("{api}/repos/acme/blog/tarball/main"),
        format!("{api}/repos/acme/blog/zipball/v1"),
        format!("https://api.github.com/repos/acme/blog/tarball/{sha}"),
    ] {
        let _ = fs::remove_file(stand.path("bundle"));
        let told = apply(&stand, &location, &at, &[]);
        assert_eq!(told.exit, 0, "R102 {location}: {} {:#}", told.errors, told.json);
        assert_eq!(told_of_bundle(&stand), format!("BUNDLE_COMMIT={sha} "), "H20 {location}");
    }
    let told = apply(&stand, &format!("{api}/repos/acme/blog/tarball/nope"), &at, &[]);
    assert!(told.exit == 3 && told.errors.contains("has no `nope`"), "{}", told.errors);
    for wrong in ["http://example.com/x.tgz", "ftp://example.com/x", "https://example.com/x.tgz"] {
        assert_eq!(apply(&stand, wrong, &at, &[]).exit, 2, "R103: {wrong}");
    }
}
