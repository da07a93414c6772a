//! From nothing to a first deployment: what `landfall init` writes, and which step it says is next.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::worlds::repository::git;

use super::{Api, landfall, landfall_with};

#[test]
fn what_init_writes_passes_check_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let ran = landfall(dir.path(), &["init", "here"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let here = dir.path().join("here");
    let mode = |path: &str| fs::metadata(here.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("webhook-secret"), 0o600);
    assert_eq!(mode("site/scripts/validate.sh") & 0o100, 0o100);
    assert_eq!(fs::read_to_string(here.join("webhook-secret")).unwrap().trim().len(), 64);
    let ran = landfall(dir.path(), &["check", "here"]);
    assert_eq!((ran.exit, ran.talk.as_str()), (0, "here/landfall.toml: 1 warning\n"), "{}", ran.out);
    let ran = landfall(dir.path(), &["check", "here/site", "--strict"]);
    assert_eq!(
        (ran.exit, ran.talk.as_str()),
        (0, "here/site/appspec.yml, 4 files that the disk has: no findings\n"),
        "{}",
        ran.out
    );
    let secret = fs::read(here.join("webhook-secret")).unwrap();
    fs::remove_file(here.join("landfall.toml")).unwrap();
    let ran = landfall(dir.path(), &["init", "here"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.talk.contains("`webhook-secret`, `site/appspec.yml`"), "{}", ran.talk);
    assert_eq!(fs::read(here.join("webhook-secret")).unwrap(), secret);
    assert!(!here.join("landfall.toml").exists(), "all or nothing");
}

#[test]
fn a_script_answers_by_options_and_runs_it_again_for_the_next_step() {
    let (api, dir) = (Api::start(), tempfile::tempdir().unwrap());
    git(dir.path(), &["init", "--quiet", "--initial-branch=release", "."]);
    git(dir.path(), &["remote", "add", "origin", "git@github.com:acme/blog.git"]);
    fs::write(dir.path().join("appspec.yml"), "version: 0.0\nos: linux\n").unwrap();
    let away = [("LANDFALL_URL", "http://127.0.0.1:9")];
    let ran = landfall_with(dir.path(), &["init", "--public-url", "https://deploy.example.com/"], &away);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let text = fs::read_to_string(dir.path().join("landfall.toml")).unwrap();
    for line in [
        "name = \"blog\"",
        "repository = \"acme/blog\"",
        "branches = [\"release\"]",
        "kind = \"host\"",
        "public_url = \"https://deploy.example.com\"",
    ] {
        assert!(text.lines().any(|it| it == line), "`{line}`\n{text}");
    }
    assert!(!dir.path().join("site").exists(), "the repository has an AppSpec of its own");
    assert!(ran.out.contains("✓ AppSpec") && ran.out.ends_with("next: landfall serve\n"), "{}", ran.out);

    let server = [("LANDFALL_URL", api.url.as_str()), ("LANDFALL_TOKEN", "t0ken")];
    let ran = landfall_with(dir.path(), &["init"], &server);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let next = "next: on GitHub, in acme/blog, Settings, Webhooks, Add webhook: the address \
                https://deploy.example.com/webhooks/github, content type application/json, and the text of \
                ./webhook-secret as the secret\n";
    assert!(ran.out.contains("✓ bot") && ran.out.ends_with(next), "{}", ran.out);
    assert_eq!(fs::read_to_string(dir.path().join("landfall.toml")).unwrap(), text, "nothing is overwritten");

    let ran = landfall_with(dir.path(), &["init", "--branch", "main"], &away);
    assert!(ran.exit == 2 && ran.talk.contains("is there already and is not changed"), "{}", ran.talk);
    fs::write(dir.path().join("landfall.toml"), text.replace("branches", "branch")).unwrap();
    let ran = landfall_with(dir.path(), &["init", "--next"], &away);
    assert!(ran.exit == 2 && ran.talk.contains("did you mean `branches`?"), "{}", ran.talk);
    assert!(ran.out.contains("▸ configuration") && ran.out.contains("landfall check"), "{}", ran.out);
}

#[test]
fn a_bare_repository_on_this_machine_is_taken_by_its_path_and_its_hook_is_a_step() {
    let dir = tempfile::tempdir().unwrap();
    let away = [("LANDFALL_URL", "http://127.0.0.1:9")];
    let ran = landfall_with(dir.path(), &["init", "bot", "--repository", "./blog.git"], &away);
    assert!(ran.exit == 2 && ran.talk.contains("`git init --bare ./blog.git` makes one"), "{}", ran.talk);

    git(dir.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "blog.git"]);
    let ran = landfall_with(dir.path(), &["init", "bot", "--repository", "./blog.git"], &away);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let text = fs::read_to_string(dir.path().join("bot/landfall.toml")).unwrap();
    let bare = dir.path().join("blog.git");
    for line in [
        "name = \"blog\"".to_owned(),
        "repository = \"local/blog\"".into(),
        format!("source = {{ git = \"file://{}\" }}", bare.display()),
    ] {
        assert!(text.lines().any(|it| it == line), "`{line}`\n{text}");
    }
    let told = format!("· hook           {} does not tell of pushes yet", bare.display());
    assert!(ran.out.contains(&told) && ran.out.ends_with("next: landfall serve -c bot/landfall.toml\n"), "{}", ran.out);
}

#[test]
fn codedeploys_answers_make_a_configuration_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let away = [("LANDFALL_URL", "http://127.0.0.1:9")];
    let words = [
        "init",
        "bot",
        "--repository",
        "acme/shop",
        "--engine",
        "codedeploy",
        "--application",
        "shop",
        "--deployment-group",
        "live",
        "--bucket",
        "acme-revisions",
        "--region",
        "eu-north-1",
    ];
    let ran = landfall_with(dir.path(), &words, &away);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let next = "next: landfall aws template -c bot/landfall.toml, landfall doctor -c bot/landfall.toml, then landfall serve \
                -c bot/landfall.toml\n";
    assert!(ran.out.ends_with(next), "{}", ran.out);
    let policy = landfall(&dir.path().join("bot"), &["aws", "policy", "--account", "123456789012"]);
    assert!(policy.exit == 0 && policy.out.contains("deploymentgroup:shop/live"), "{}{}", policy.talk, policy.out);
    for (wrong, says) in [
        (&["init", "x", "--repository", "shop"][..], "shop"),
        (&["init", "x", "--engine", "ssh"], "[possible values: host, codedeploy]"),
        (&["init", "x", "--public-url", "deploy.example.com"], "is not a web address"),
        (&["init", "x", "--bucket", "a"], "--engine"),
        (&["init", "x", "--next"], "nothing is begun in `x`"),
    ] {
        let ran = landfall(dir.path(), wrong);
        assert!(ran.exit == 2 && ran.talk.contains(says), "{wrong:?}: {}", ran.talk);
        assert!(!dir.path().join("x").exists());
    }
}
