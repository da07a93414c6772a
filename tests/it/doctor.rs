//! `landfall doctor` before our worlds: each thing that is wrong is one line with what to do, and nothing is changed.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

mod github;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use landfall::clients::Clock;
use serde_json::Value;
use tempfile::TempDir;

use super::cli::{Ran, landfall_with};
use super::worlds::codedeploy::{Fault, Moves, World};
use super::worlds::github::GitHubWorld;
use super::worlds::github::hooks::well;
use super::worlds::s3::Buckets;

/// Everything that a CodeDeploy target needs, and a bot that was never started.
struct Surroundings {
    dir: TempDir,
    github: GitHubWorld,
    buckets: Buckets,
    codedeploy: World,
}

impl Surroundings {
    fn well() -> Self {
        let (github, buckets) = (GitHubWorld::start(), Buckets::start());
        let codedeploy = World::start(Clock::system());
        github.repository("acme/shop").commit_and_push("The shop opens", &[("index.html", "open\n")]);
        github.set_hook("acme/shop", well("https://deploy.example.com/webhooks/github"));
        github.set_delivery("acme/shop", 202, "OK");
        let it = Self { dir: TempDir::new().unwrap(), github, buckets, codedeploy };
        it.keep("webhook-secret", "a secret of some length\n");
        fs::set_permissions(it.github.token_file(), fs::Permissions::from_mode(0o600)).unwrap();
        it.configure("");
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that only its owner may read.
    fn keep(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The configuration, with more lines of `[target.engine]`.
    fn configure(&self, more: &str) {
        let (github, s3, codedeploy) = (self.github.config(), self.buckets.url(), self.codedeploy.url());
        let text = format!(
            "data_dir = \"data\"\npublic_url = \"https://deploy.example.com\"\n[github]\napi_url = {:?}\n\
             webhook_secrets = [{{ file = \"webhook-secret\" }}]\ntoken = {{ file = {:?} }}\n\
             [[target]]\nname = \"shop-production\"\nrepository = \"acme/shop\"\nbranches = [\"main\"]\n\
             [target.revisions]\ns3 = {{ bucket = \"revisions\", prefix = \"shop\", region = \"eu-west-1\", \
             endpoint_url = {s3:?}, force_path_style = true }}\n\
             [target.engine]\nkind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"production\"\n\
             region = \"eu-west-1\"\nendpoint_url = {codedeploy:?}\n{more}\n",
            github.api_url,
            self.github.token_file().display().to_string(),
        );
        fs::write(self.path("landfall.toml"), text).unwrap();
    }

    /// Changes the configuration as an editor would.
    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("landfall.toml")).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.path("landfall.toml"), text.replace(from, to)).unwrap();
    }

    fn doctor(&self, words: &[&str]) -> Ran {
        doctor(self.dir.path(), words)
    }

    /// The lines that are not `ok`, with the lines below each.
    fn told(&self, words: &[&str]) -> (i32, Vec<String>) {
        let ran = self.doctor(words);
        (ran.exit, complaints(&ran.out))
    }
}

fn doctor(dir: &Path, words: &[&str]) -> Ran {
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "S"),
        ("AWS_MAX_ATTEMPTS", "1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    landfall_with(dir, &[&["doctor"], words].concat(), &credentials)
}

fn complaints(out: &str) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut complains = false;
    for line in out.lines() {
        let word = line.get(2..6).unwrap_or_default().trim();
        if line.starts_with("  ") && !word.is_empty() {
            complains = matches!(word, "warn" | "fail");
        } else if !line.starts_with("  ") {
            complains = false;
        }
        let joined = line.split_whitespace().collect::<Vec<_>>().join(" ");
        match (complains, told.last_mut()) {
            (true, Some(last)) if word.is_empty() => *last += &format!(" | {joined}"),
            (true, _) => told.push(joined),
            (false, _) => {}
        }
    }
    told
}

#[test]
fn where_all_is_well_every_line_says_so_and_nothing_is_left_behind() {
    let it = Surroundings::well();
    let ran = it.doctor(&[]);
    assert_eq!(complaints(&ran.out), [""; 0], "{}", ran.out);
    assert_eq!((ran.exit, ran.talk.trim()), (0, "22 ok, 0 warnings, 0 failed"), "{}", ran.out);
    for line in [
        "ok    clock               it agrees with GitHub's",
        "ok    GitHub              `acme/shop` (private) answers",
        "ok    webhook             it leads here, and its last delivery (push at 2026-11-21T11:58:00Z) was taken",
        "ok    source              branch `main` is at ",
        "ok    bucket              `revisions` is in eu-west-1",
        "ok    versions            they are kept",
        "ok    encryption          AES256",
        "skip  writing             not tried: `--write`",
        "ok    application         `shop` is in eu-west-1, for servers",
        "ok    group               `production` deploys in-place",
        "ok    configuration       `CodeDeployDefault.OneAtATime`",
        "ok    rollback            the group rolls nothing back by itself",
        "ok    listing             deployments can be listed",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
    assert_eq!(it.buckets.keys(), [""; 0]);
    assert!(!it.path("data").exists(), "the bot's own directory is the bot's to make");
    assert_eq!(it.codedeploy.deployments(), []);
}

#[test]
fn with_write_an_object_is_put_found_and_removed() {
    let it = Surroundings::well();
    let ran = it.doctor(&["--write"]);
    let key = "shop/shop-production/.landfall-doctor";
    assert!(ran.out.contains(&format!("ok    writing             `{key}` was put, found and removed")), "{}", ran.out);
    assert_eq!(it.buckets.keys(), [""; 0]);
    let expected = [format!("put {key}"), format!("head {key}"), format!("delete {key}")];
    assert_eq!(it.buckets.calls()[3..], expected);
    it.buckets.fails("delete", 403, "AccessDenied", 1);
    let ran = it.doctor(&["--write"]);
    assert!(ran.exit == 0 && ran.out.contains("it stays, because the bot may delete nothing"), "{}", ran.out);
    // Where bundles are deleted, the bot must be able to (row 25).
    it.edit("[target.revisions]\n", "[target.revisions]\nkeep = 3\n");
    it.buckets.fails("delete", 403, "AccessDenied", 1);
    let (exit, told) = it.told(&["--write"]);
    assert_eq!(exit, 1);
    assert!(told[0].contains("`s3:DeleteObjectVersion`"), "{told:?}");
    assert!(told[0].contains(r#"missing: {"Sid":"Prune","Effect":"Allow""#), "{told:?}");
    it.buckets.fails("put", 403, "AccessDenied", 1);
    let (exit, told) = it.told(&["--write"]);
    assert_eq!(exit, 1);
    assert!(told[0].contains("[revisions/access-denied]"), "{told:?}");
    let statement = r#"missing: {"Sid":"Upload","Effect":"Allow","Action":["s3:PutObject","s3:GetObject""#;
    assert!(told[0].contains(statement), "{told:?}");
}

#[test]
fn secrets_and_addresses_are_looked_at_one_by_one() {
    let it = Surroundings::well();
    fs::set_permissions(it.path("webhook-secret"), fs::Permissions::from_mode(0o644)).unwrap();
    it.edit("public_url = \"https://deploy.example.com\"\n", "");
    let (exit, told) = it.told(&[]);
    assert_eq!((exit, told.len()), (0, 2), "warnings alone fail nothing: {told:?}");
    assert!(told[0].starts_with("warn webhook secret every user of this machine can read the file"), "{told:?}");
    assert!(told[0].contains("(mode 0644) [config/secret-open] | do: run `chmod 600 "), "{told:?}");
    assert!(told[1].contains("[config/no-public-url] | do: write `public_url = "), "{told:?}");
    fs::remove_file(it.path("webhook-secret")).unwrap();
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    assert!(
        told[0].contains("cannot be read: no such file or directory [config/secret-unreadable] | do: create it"),
        "{told:?}"
    );
    it.edit("data_dir", "data_dri");
    let ran = it.doctor(&[]);
    assert!(ran.exit == 2 && ran.talk.contains("did you mean `data_dir`?"), "{}", ran.talk);
}

#[test]
fn a_running_bot_is_named_by_its_process() {
    let it = Surroundings::well();
    fs::create_dir_all(it.path("data/ledger")).unwrap();
    let mut lock = fs::File::create(it.path("data/ledger/lock")).unwrap();
    std::io::Write::write_all(&mut lock, b"4711\n").unwrap();
    lock.lock().unwrap();
    let ran = it.doctor(&[]);
    assert!(ran.out.contains("ok    ledger              it is in use by the running bot, process 4711"), "{}", ran.out);
    it.edit("[github]", "[ledger]\nreserve = \"1000000GB\"\n[github]");
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    assert!(
        told[0].starts_with("fail free space") && told[0].contains("[ledger/full] | do: free space on the disk"),
        "{told:?}"
    );
}

#[test]
fn a_bucket_that_is_not_as_it_should_be_is_told() {
    let it = Surroundings::well();
    it.buckets.keep_no_versions();
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 0);
    assert!(
        told[0].contains("[revisions/no-versions] | do: run `aws s3api put-bucket-versioning --bucket revisions"),
        "{told:?}"
    );
    it.buckets.fails("head bucket", 404, "", 1);
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    assert!(
        told[0].contains("there is no bucket `revisions` [revisions/no-such-bucket] | do: create the bucket"),
        "{told:?}"
    );
    it.buckets.fails("head bucket", 301, "", 1);
    let (_, told) = it.told(&[]);
    assert!(
        told[0].contains("is not in eu-west-1, but in us-east-2 [revisions/wrong-region] | do: set `s3.region`"),
        "{told:?}"
    );
    it.buckets.fails("head bucket", 403, "", 1);
    let (_, told) = it.told(&[]);
    let statement = r#"| missing: {"Sid":"BucketMeta","Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetBucketVersioning","s3:ListBucket","s3:ListBucketMultipartUploads"],"Resource":"arn:aws:s3:::revisions"}"#;
    assert!(told[0].contains(statement), "{told:?}");
}

/// Rows 1 to 3 and 27: what a target names is there, and for its platform.
#[test]
fn mistyped_names_are_told_with_the_ones_that_were_meant() {
    let it = Surroundings::well();
    it.edit("application = \"shop\"", "application = \"shpo\"");
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    assert!(
        told[0].contains("does not exist in eu-west-1 [codedeploy/no-application] | do: did you mean `shop`?"),
        "{told:?}"
    );
    it.configure("");
    it.edit("deployment_group = \"production\"", "deployment_group = \"prodution\"");
    let (_, told) = it.told(&[]);
    assert!(told[0].contains("[codedeploy/no-deployment-group] | do: did you mean `production`?"), "{told:?}");
    it.configure("deployment_config = \"CodeDeployDefault.OneAtTime\"");
    let (_, told) = it.told(&[]);
    assert!(
        told[0].contains("[codedeploy/no-deployment-config] | do: did you mean `CodeDeployDefault.OneAtATime`?"),
        "{told:?}"
    );
    it.configure("deployment_config = \"CodeDeployDefault.LambdaAllAtOnce\"");
    let (_, told) = it.told(&[]);
    assert!(
        told[0].contains("is for Lambda, and application `shop` is for servers [codedeploy/config-of-other-platform]"),
        "{told:?}"
    );
    let ran = it.doctor(&["shop-prod"]);
    assert!(ran.exit == 2 && ran.talk.contains("no target is called `shop-prod`"), "{}", ran.talk);
}

/// Row 42: CodeDeploy fails at once where no instance may be updated.
#[test]
fn a_minimum_of_healthy_hosts_without_room_is_told_before_the_first_push() {
    let it = Surroundings::well();
    it.codedeploy.add_config("keep-95-percent", "Server");
    it.configure("deployment_config = \"keep-95-percent\"");
    let (exit, told) = it.told(&[]);
    assert_eq!((exit, told.len()), (0, 0), "how many instances there are is not known before the first: {told:?}");
    it.codedeploy.moves(Moves::WhenTold);
    it.codedeploy.foreign("production", "user", "from the console");
    (0..20).for_each(|_| it.codedeploy.tick());
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    let text = "`keep-95-percent` keeps 2 of 2 instances healthy, and leaves none to be updated [codedeploy/no-room] \
                | do: lower its minimum of healthy hosts";
    assert!(told[0].contains(text), "{told:?}");
    it.configure("deployment_config = \"CodeDeployDefault.HalfAtATime\"");
    let ran = it.doctor(&[]);
    assert!(ran.out.contains("`CodeDeployDefault.HalfAtATime` updates 1 of 2 instances at a time"), "{}", ran.out);
}

#[test]
fn what_iam_denies_is_told_with_the_statement_that_is_missing() {
    let denied = |action: &str| -> &'static str {
        let text = format!(
            "User: arn:aws:sts::123456789012:assumed-role/bot/i-0a is not authorized to perform: codedeploy:{action}"
        );
        text.leak()
    };
    let it = Surroundings::well();
    it.codedeploy.fault("GetApplication", Fault::Exception("AccessDeniedException", denied("GetApplication")));
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    assert!(told[0].contains("[codedeploy/access-denied] | do: allow codedeploy:GetApplication"), "{told:?}");
    let statement = r#""Resource":"arn:aws:codedeploy:eu-west-1:123456789012:application:shop"}"#;
    assert!(told[0].contains("missing: {\"Sid\":\"Apps\"") && told[0].ends_with(statement), "{told:?}");
    it.codedeploy.fault("ListDeployments", Fault::Exception("AccessDeniedException", denied("ListDeployments")));
    let ran = it.doctor(&["--json"]);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let failed: Vec<&Value> = checks.iter().filter(|it| it["verdict"] == "fail").collect();
    assert_eq!((ran.exit, failed.len()), (1, 1), "{json:#}");
    assert_eq!((&failed[0]["about"], &failed[0]["target"]), (&"listing".into(), &"shop-production".into()));
    assert_eq!(failed[0]["statement"]["Sid"], "Groups");
    // A denial that names no account leaves the statement out: no number is made up.
    it.codedeploy.fault("GetApplication", Fault::Exception("AccessDeniedException", "no"));
    let (_, told) = it.told(&[]);
    assert!(
        told[0].contains("`landfall aws policy` prints the whole policy") && !told[0].contains("missing:"),
        "{told:?}"
    );
}

#[test]
fn a_source_without_the_branch_is_told() {
    let it = Surroundings::well();
    it.edit("branches = [\"main\"]", "branches = [\"live\"]");
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 0);
    assert!(
        told[0].contains("there is no branch `live`") && told[0].contains("| do: push it, or correct `branches`"),
        "{told:?}"
    );
    it.edit("repository = \"acme/shop\"", "repository = \"acme/nowhere\"");
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    assert!(told[0].contains("`acme/nowhere`: GitHub does not find it (404) [clients/github-not-found]"), "{told:?}");
    it.github.set_token("wrong");
    let (_, told) = it.told(&[]);
    assert!(told[0].contains("[clients/github-unauthorized] | do: renew the token"), "{told:?}");
}

#[test]
fn where_nothing_outside_answers_the_exit_is_3() {
    let it = Surroundings::well();
    // A port where nobody listens any more.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [it.github.config().api_url, it.buckets.url().to_owned(), it.codedeploy.url()] {
        it.edit(&format!("{url:?}"), &format!("\"http://{nobody}\""));
    }
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 3, "{told:?}");
    let codes = ["clients/github-unavailable", "revisions/unavailable", "codedeploy/unreachable"];
    for (line, code) in told.iter().zip(codes) {
        assert!(line.contains(&format!("[{code}] | do: ")), "{line}");
    }
    assert_eq!(told.len(), 3, "{told:?}");
}

/// R36, R37: who may push, and as whom hooks run.
#[test]
fn a_host_target_is_told_whose_rights_its_hooks_have() {
    let dir = TempDir::new().unwrap();
    let git = landfall::clients::process::blocking_program("git")
        .args(["init", "--quiet", "--bare", "site.git"])
        .current_dir(dir.path())
        .status()
        .unwrap();
    assert!(git.success());
    fs::write(dir.path().join("secret"), "some secret\n").unwrap();
    fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let write = |user: &str| {
        let text = format!(
            "data_dir = \"data\"\npublic_url = \"https://deploy.example.com\"\n[github]\n\
             webhook_secrets = [{{ file = \"secret\" }}]\n[[target]]\nname = \"blog\"\nrepository = \"acme/blog\"\n\
             branches = [\"main\"]\nsource = {{ git = \"file://{}/site.git\" }}\n[target.engine]\nkind = \"host\"\n{user}\n",
            dir.path().display()
        );
        fs::write(dir.path().join("landfall.toml"), text).unwrap();
    };
    write("");
    let ran = doctor(dir.path(), &[]);
    let told = complaints(&ran.out);
    assert_eq!(ran.exit, 0, "{}", ran.out);
    assert!(told.iter().any(|it| it.contains("there is no branch `main`")), "{told:?}");
    assert!(
        told.iter().any(|it| it.contains("whoever may push can do all it can [host/shared-user] | do: ")),
        "{told:?}"
    );
    assert!(
        ran.out.contains("`data/deployment-root`") || ran.out.contains("/data/deployment-root` is made at the first"),
        "{}",
        ran.out
    );
    assert!(!dir.path().join("data").exists());
    write("user = \"no-such-user\"");
    let ran = doctor(dir.path(), &[]);
    assert_eq!(ran.exit, 1);
    let told = complaints(&ran.out);
    assert!(
        told.iter().any(|it| it.contains("no such user on this machine [host/unknown-user] | do: create it")),
        "{told:?}"
    );
    if nix::unistd::geteuid().is_root() {
        println!("not tried as root: a user that the bot cannot become");
        return;
    }
    write("user = \"root\"");
    let told = complaints(&doctor(dir.path(), &[]).out);
    assert!(told.iter().any(|it| it.contains("[host/not-root] | do: run the bot as root")), "{told:?}");
}
