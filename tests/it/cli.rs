//! The words typed, as a shell types them: the built program, its output, its exit codes.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

mod init;
mod lists;
mod odd;
mod shells;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use expect_test::expect;
use serde_json::{Value, json};

use super::web::seed::{Setup, World};

/// What a run of the program came to.
pub(super) struct Ran {
    pub(super) exit: i32,
    pub(super) out: String,
    pub(super) talk: String,
}

/// Runs the program in `dir` with nothing of ours in its environment but these variables.
pub(super) fn landfall_with(dir: &Path, words: &[&str], variables: &[(&str, &str)]) -> Ran {
    let ran = landfall::clients::process::blocking_program(env!("CARGO_BIN_EXE_landfall"))
        .args(words)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/local/bin")
        .env("HOME", dir)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran { exit: ran.status.code().unwrap(), out: text(ran.stdout), talk: text(ran.stderr) };
    assert!(!(ran.out.contains("(os error") || ran.talk.contains("(os error")), "{}{}", ran.out, ran.talk);
    ran
}

pub(super) fn landfall(dir: &Path, words: &[&str]) -> Ran {
    landfall_with(dir, words, &[])
}

#[test]
fn check_says_everything_in_each_format_and_exits_with_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("landfall.toml"), "data_dri = \"x\"\n").unwrap();
    fs::write(dir.path().join("appspec.yml"), "version: 0.0\nos: linus\n").unwrap();
    let ran = landfall(dir.path(), &["check"]);
    assert_eq!(ran.exit, 2);
    expect![[r#"
        error[config/unknown-key]: unknown key `data_dri`
         --> landfall.toml:1:1
          |
        1 | data_dri = "x"
          | ^^^^^^^^
          |
          = help: did you mean `data_dir`?
    "#]]
    .assert_eq(&(ran.out.lines().take(7).collect::<Vec<_>>().join("\n") + "\n"));
    assert!(ran.out.contains("--> appspec.yml:2:5"), "{}", ran.out);
    let ran = landfall(dir.path(), &["check", "--format", "json"]);
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    let first = &value["findings"][0];
    assert_eq!((&first["file"], &first["line"], &first["column"]), (&json!("landfall.toml"), &json!(1), &json!(1)));
    assert!(value["findings"].as_array().unwrap().iter().any(|it| it["file"] == "appspec.yml"), "{value}");
    let ran = landfall(dir.path(), &["check", "--format", "github", "landfall.toml"]);
    assert!(ran.out.starts_with("::error file=landfall.toml,line=1,col=1,title=config/unknown-key::"), "{}", ran.out);
    assert_eq!(ran.talk, "");
    let ran = landfall(dir.path(), &["check", "nowhere"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.out.contains("`nowhere` cannot be read"), "{}", ran.out);
}

#[test]
fn strict_minds_warnings_too() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(landfall(dir.path(), &["init"]).exit, 0);
    assert_eq!(landfall(dir.path(), &["check", "landfall.toml"]).exit, 0);
    assert_eq!(landfall(dir.path(), &["check", "landfall.toml", "--strict"]).exit, 2);
}

#[test]
fn what_the_system_refuses_is_said_without_its_number() {
    let dir = tempfile::tempdir().unwrap();
    // Without being root, nobody becomes anybody.
    let (exit, says) = if nix::unistd::geteuid().is_root() {
        (127, "cannot start `/nowhere`: no such file or directory".to_owned())
    } else {
        (126, "cannot become `root`: operation not permitted".to_owned())
    };
    let ran = landfall(dir.path(), &["exec-as", "root", "--", "/nowhere"]);
    assert_eq!((ran.exit, ran.talk.trim_end()), (exit, &*format!("landfall exec-as: {says}")));
    fs::create_dir(dir.path().join("empty")).unwrap();
    for (words, says) in [
        (&["apply", "-l", "nowhere"][..], "`nowhere` cannot be read: no such file or directory"),
        (&["apply", "-l", "empty", "-c", "nowhere.yml"], "`nowhere.yml` cannot be read: no such file or directory"),
    ] {
        let ran = landfall(dir.path(), words);
        assert!(ran.exit == 3 && ran.talk.contains(says), "{words:?}: {} {}", ran.exit, ran.talk);
    }
}

#[test]
fn a_code_is_explained_and_a_mistyped_one_is_asked_back() {
    let dir = tempfile::tempdir().unwrap();
    let ran = landfall(dir.path(), &["explain", "revisions/no-versions"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    expect![[r"
        revisions/no-versions
          The bucket keeps no versions.
          do: Turn versioning on.
    "]]
    .assert_eq(&ran.out);
    // As it is copied from a line of `doctor`, or of `check`.
    assert_eq!(landfall(dir.path(), &["explain", "[revisions/no-versions]"]).out, ran.out);
    // What Lambda and ECS have to be like (7.4).
    for (code, parts) in [
        ("ecs-service", &["CODE_DEPLOY", "two target groups", "`ip` on Fargate", "one deployment group"][..]),
        ("ecs-update", &["auto scaling"]),
        ("lambda-configuration", &["`CurrentVersion`", "split"]),
    ] {
        let ran = landfall(dir.path(), &["explain", &format!("codedeploy/{code}")]);
        assert!(ran.exit == 0 && parts.iter().all(|part| ran.out.contains(part)), "{}{}", ran.out, ran.talk);
    }
    let ran = landfall(dir.path(), &["explain", "revisions/no-version"]);
    assert!(ran.exit == 2 && ran.talk.contains("did you mean `revisions/no-versions`?"), "{}", ran.talk);
    let ran = landfall(dir.path(), &["explain", "web", "--json"]);
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    let codes: Vec<&str> = value["codes"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["web/access-file", "web/random", "web/token-file", "web/token-open", "web/token-short"]);
}

#[test]
fn wrong_words_exit_with_2_and_help_with_0() {
    let dir = tempfile::tempdir().unwrap();
    for words in [&["depoly"][..], &[], &["status", "--nope"], &["deploy", "a b"], &["redeploy", "x"]] {
        let ran = landfall(dir.path(), words);
        assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{words:?}: {}", ran.talk);
    }
    let ran = landfall(dir.path(), &["--help"]);
    assert_eq!(ran.exit, 0);
    assert!(ran.out.contains("Exit codes: 0 done"), "{}", ran.out);
    let ran = landfall(dir.path(), &["config", "docs"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, landfall::config::EXAMPLE));
}

/// A server that answers as the API does, and keeps what it was asked.
struct Api {
    url: String,
    asked: Arc<Mutex<Vec<(String, String, Value)>>>,
    _runtime: tokio::runtime::Runtime,
}

const ID: &str = "01KDZ9AVJQ0000000000000001";

/// The token of a data directory, which takes none that is shorter.
const FILED: &str = "t0ken-of-the-data-directory-0123";

fn answer(request: &HttpRequest) -> HttpResponse {
    let deployment = json!({
        "id": ID, "target": "blog", "repository": "acme/blog", "ref": "refs/heads/main", "sha": "b".repeat(40),
        "author": "ann", "state": "failed", "reason": "validate.sh exited with 1", "engine_id": "d-1", "parent": null,
        "created_at": "2010-01-02T03:04:05Z", "ended_at": "2010-01-02T03:05:05Z", "url": "/deployments/x",
        "failure": {"code": "engine/script-failed", "help": "look at the script's last lines", "detail": "no page\n"},
        "events": [{"offset": 4, "at": "2010-01-02T03:04:05Z", "kind": "planned", "text": "branch main takes it"}],
    });
    let bearer = request.headers().get("authorization").and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    if !bearer.is_some_and(|it| it == "t0ken" || it == FILED) {
        return HttpResponse::Unauthorized().json(json!({"title": "Unauthorized", "detail": "a token is wanted"}));
    }
    match request.path() {
        "/api/v1/targets" => HttpResponse::Ok().json(json!({"targets": [
            {"name": "blog", "repository": "acme/blog", "environment": "blog", "engine": "host", "rules": ["branch main"],
             "live": {"sha": "a".repeat(40), "deployment": ID, "at": "2010-01-02T03:04:05Z", "title": "Say hello"},
             "seen": null, "running": ID, "waiting": [ID], "holds": [{"kind": "lock", "reason": "locked by ann"},
                       {"kind": "lock", "reason": "locked by ann", "deployment": ID}]},
            {"name": "shop", "repository": "acme/shop", "environment": "shop", "engine": "codedeploy",
             "rules": ["branch *", "tag v*"], "live": null, "seen": null, "running": null, "waiting": [], "holds": []},
        ]})),
        "/api/v1/deployments" if request.query_string().contains("=blgo") => {
            HttpResponse::Ok().json(json!({"deployments": [], "cursor": null}))
        }
        "/api/v1/deployments" if request.query_string().contains("=shop") => {
            let limit = request.query_string().split("limit=").nth(1).unwrap().split('&').next().unwrap();
            let page = vec![deployment; limit.parse().unwrap()];
            HttpResponse::Ok().json(json!({"deployments": page, "cursor": ID}))
        }
        "/api/v1/deployments" => HttpResponse::Ok().json(json!({"deployments": [deployment], "cursor": null})),
        "/api/v1/requests" => HttpResponse::Accepted().json(json!({"request": 9, "deployments": [ID]})),
        path if path.starts_with("/api/v1/deployments/") => HttpResponse::Ok().json(deployment),
        "/api/v1/why/bbbbbbb" => HttpResponse::Ok().json(json!({"sha": "b".repeat(40), "plans": [
            {"delivery": "d-1", "target": "blog", "deployment": ID, "state": "failed", "reason": "validate.sh exited with 1"},
            {"delivery": "d-1", "target": "docs", "deployment": null, "state": "not-planned", "reason": "no path changed"},
        ]})),
        "/api/v1/deliveries" => HttpResponse::Ok().json(json!({"deliveries": [], "cursor": null})),
        path => HttpResponse::NotFound().json(json!({"detail": format!("there is nothing at `{path}`")})),
    }
}

impl Api {
    fn start() -> Self {
        let asked: Arc<Mutex<Vec<(String, String, Value)>>> = Arc::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let kept = asked.clone();
        let url = runtime.block_on(async {
            let server = HttpServer::new(move || {
                let kept = kept.clone();
                App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                    let body = serde_json::from_slice(&body).unwrap_or_default();
                    kept.lock().unwrap().push((request.method().to_string(), request.uri().to_string(), body));
                    async move { answer(&request) }
                }))
            });
            let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
            let url = format!("http://{}", server.addrs()[0]);
            tokio::spawn(server.run());
            url
        });
        Self { url, asked, _runtime: runtime }
    }

    fn landfall(&self, words: &[&str]) -> Ran {
        let dir = tempfile::tempdir().unwrap();
        landfall_with(dir.path(), words, &[("LANDFALL_URL", &self.url), ("LANDFALL_TOKEN", "t0ken")])
    }

    /// Where somebody looked last.
    fn last_path(&self) -> String {
        let asked = self.asked.lock().unwrap();
        asked.iter().rfind(|(_, path, _)| path.starts_with("/api/v1/deployments?")).unwrap().1.clone()
    }

    /// The last thing that somebody asked for.
    fn last_ask(&self) -> Value {
        let asked = self.asked.lock().unwrap();
        let (method, path, body) = asked.iter().rfind(|(_, path, _)| path == "/api/v1/requests").unwrap();
        assert_eq!((method.as_str(), path.as_str()), ("POST", "/api/v1/requests"));
        assert_eq!(body["key"].as_str().unwrap().len(), 36, "{body}");
        body["what"].clone()
    }
}

/// Times that pass while the test runs.
fn without_ages(text: &str) -> String {
    text.lines().map(|line| line.replace(char::is_numeric, "0").trim_end().to_owned() + "\n").collect()
}

#[test]
fn status_shows_targets_a_target_and_a_deployment() {
    let api = Api::start();
    let ran = api.landfall(&["status"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    expect![[r#"
        TARGET  LIVE     SINCE          UNDER WAY                   WAITING  COMMIT
        blog    aaaaaaa  0000 days ago  00KDZ0AVJQ0000000000000000  0        Say hello
        shop    -        -              -                           -
        waits blog: locked by ann
    "#]]
    .assert_eq(&without_ages(&ran.out));
    expect![[r#"
        TARGET  LIVE     SINCE          UNDER WAY                   WAITING  COMMIT
        blog    aaaaaaa  0000 days ago  00KDZ0AVJQ0000000000000000  0        Say hello
        waits blog: locked by ann

        acme/blog to blog by host
        DEPLOYMENT                  STATE   COMMIT   BORN           WHY
        00KDZ0AVJQ0000000000000000  failed  bbbbbbb  0000 days ago  validate.sh exited with 0
    "#]]
    .assert_eq(&without_ages(&api.landfall(&["status", "blog"]).out));
    expect![[r#"
        00KDZ0AVJQ0000000000000000 bbbbbbb main to blog: failed
          author  ann
            born  0000 days ago
             run  d-0
            page  http://HOST/deployments/x
             why  validate.sh exited with 0
            code  engine/script-failed
            help  look at the script's last lines
        00:00:00  planned     branch main takes it

        no page

        all that was said: landfall logs 00KDZ0AVJQ0000000000000000
    "#]]
    .assert_eq(&without_ages(&api.landfall(&["status", ID]).out.replace(&api.url, "http://HOST")));
    let ran = api.landfall(&["status", "blgo"]);
    assert_eq!(
        (ran.exit, ran.talk.as_str()),
        (2, "landfall: no target is called `blgo`\n  help: did you mean `blog`?\n")
    );
    let value: Value = serde_json::from_str(&api.landfall(&["status", "--json"]).out).unwrap();
    assert_eq!(value["targets"][0]["name"], "blog");
}

#[test]
fn why_tells_what_became_of_a_commit() {
    let api = Api::start();
    expect![[r#"
        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        TARGET  STATE        DEPLOYMENT                  WHY                        DELIVERY
        blog    failed       00KDZ0AVJQ0000000000000000  validate.sh exited with 0  d-0
        docs    not-planned  -                           no path changed            d-0
    "#]]
    .assert_eq(&without_ages(&api.landfall(&["why", "bbbbbbb"]).out));
    let ran = api.landfall(&["why", "xyz"]);
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
    assert_eq!(api.landfall(&["why", "cccccc"]).exit, 2);
    let value: Value = serde_json::from_str(&api.landfall(&["why", "BBBBBBB", "--json"]).out).unwrap();
    assert_eq!(value["plans"][1]["state"], "not-planned");
}

#[test]
fn asking_sends_one_request_under_a_key() {
    let api = Api::start();
    let ran = api.landfall(&["deploy", "blog"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, format!("{ID}\n").as_str()), "{}", ran.talk);
    assert_eq!(api.last_ask(), json!({"ask": "deploy", "target": "blog", "ref": "refs/heads/main"}));
    assert_eq!(api.landfall(&["deploy", "shop", "refs/tags/v1"]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "deploy", "target": "shop", "ref": "refs/tags/v1"}));
    let ran = api.landfall(&["deploy", "shop"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.talk.ends_with("help: name it: `landfall deploy shop REF`\n"), "{}", ran.talk);
    assert_eq!(api.landfall(&["redeploy", ID]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "redeploy", "deployment": ID}));
    assert_eq!(api.landfall(&["rollback", "blog"]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "rollback", "target": "blog"}));
    assert_eq!(api.landfall(&["rollback", "blog", "--to", ID]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "rollback", "target": "blog", "to": ID}));
    assert_eq!(api.landfall(&["restart", "blog"]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "restart", "target": "blog"}));
    assert_eq!(api.landfall(&["restart", "blog", "main"]).exit, 2, "row 35: with no revision");
    assert_eq!(api.landfall(&["stop", ID, "--rollback"]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "stop", "deployment": ID, "rollback": true}));
    assert_eq!(api.landfall(&["lock", "blog", "--reason", "moving", "--for", "2h"]).exit, 0);
    assert_eq!((&api.last_ask()["reason"], api.last_ask()["until"].is_string()), (&json!("moving"), true));
    assert_eq!(api.landfall(&["unlock", "blog"]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "unlock", "target": "blog"}));
}

#[test]
fn what_is_chosen_for_one_deployment_is_sent_as_typed_rows_27_29_30_32_34() {
    let api = Api::start();
    let all = [
        "--deployment-config",
        "CodeDeployDefault.AllAtOnce",
        "--ignore-application-stop-failures",
        "--file-exists-behavior",
        "retain",
        "--outdated-only",
        "--ignore-alarms",
    ];
    let options = json!({
        "deployment_config": "CodeDeployDefault.AllAtOnce", "ignore_application_stop_failures": true,
        "file_exists_behavior": "RETAIN", "outdated_only": true, "ignore_alarms": true,
    });
    for (words, sent) in [
        (&["deploy", "blog"][..], json!({"ask": "deploy", "target": "blog", "ref": "refs/heads/main"})),
        (&["redeploy", ID], json!({"ask": "redeploy", "deployment": ID})),
        (&["rollback", "blog", "--to", ID], json!({"ask": "rollback", "target": "blog", "to": ID})),
    ] {
        let ran = api.landfall(&[words, &all].concat());
        assert_eq!((ran.exit, ran.out.as_str()), (0, format!("{ID}\n").as_str()), "{words:?}: {}", ran.talk);
        let mut expected = sent;
        expected["options"] = options.clone();
        assert_eq!(api.last_ask(), expected);
        // What nobody typed is not sent.
        let ran = api.landfall(&[words, &["--outdated-only", "--json"]].concat());
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["deployments"][0], ID, "{}", ran.talk);
        assert_eq!(api.last_ask()["options"], json!({"outdated_only": true}));
    }
    assert_eq!(api.landfall(&["approve", ID]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "approve", "deployment": ID}));
    assert_eq!(api.landfall(&["stop", ID]).exit, 0);
    assert_eq!(api.last_ask(), json!({"ask": "stop", "deployment": ID, "rollback": false}));
    for wrong in [
        &["deploy", "blog", "--file-exists-behavior", "KEEP"][..],
        &["rollback", "blog", "--to", "yesterday"],
        &["approve", "blog"],
        &["stop", ID, "--ignore-alarms"],
    ] {
        let ran = api.landfall(wrong);
        assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{wrong:?}: {}", ran.talk);
    }
}

#[test]
fn waiting_for_a_deployment_that_fails_exits_with_1() {
    let ran = Api::start().landfall(&["deploy", "blog", "--wait"]);
    assert_eq!(ran.exit, 1);
    let end = "\nno page\n\nblog failed: validate.sh exited with 1\n  help: look at the script's last lines\n";
    assert!(ran.talk.ends_with(end), "{}", ran.talk);
    let ran = Api::start().landfall(&["status", "--watch", ID]);
    assert!(ran.exit == 1 && ran.talk.ends_with(end), "{}", ran.talk);
    let ran = Api::start().landfall(&["deploy", "blog", "--wait", "--detach"]);
    assert!(ran.exit == 2 && ran.talk.contains("cannot be used with '--detach'"), "{}", ran.talk);
}

#[test]
fn a_server_that_is_away_or_wants_another_token_exits_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let ran = landfall(dir.path(), &["status", "--url", "http://127.0.0.1:9"]);
    assert_eq!(ran.exit, 3);
    assert!(
        ran.talk.starts_with("landfall: no landfall answers at `http://127.0.0.1:9`: connection refused"),
        "{}",
        ran.talk
    );
    let api = Api::start();
    let ran = landfall(dir.path(), &["status", "--url", &api.url]);
    assert_eq!(ran.exit, 3);
    assert!(ran.talk.contains("wants a token") && ran.talk.contains("--token"), "{}", ran.talk);
    // Where nothing says which server is meant, there is nothing to correct either.
    for (words, help) in [(&["status"][..], "name the server with `--url URL`"), (&["doctor"], "`landfall init`")] {
        let ran = landfall(dir.path(), words);
        let first = "landfall: the configuration `landfall.toml` cannot be read: no such file or directory\n  help: ";
        assert!(ran.exit == 2 && ran.talk.starts_with(first) && ran.talk.contains(help), "{}", ran.talk);
    }
    let ran = api.landfall(&["why", "cccccc"]);
    assert!(ran.exit == 2 && ran.talk.contains("help: `landfall status` lists targets"), "{}", ran.talk);
}

#[test]
fn the_configuration_says_where_the_server_is_without_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start();
    let listen = api.url.strip_prefix("http://").unwrap();
    let text =
        format!("data_dir = \"data\"\n[server]\nlisten = \"{listen}\"\n[github]\ntoken = {{ env = \"NOT_HERE\" }}\n");
    fs::write(dir.path().join("landfall.toml"), text).unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let token = dir.path().join("data/token");
    fs::write(&token, format!("{FILED}\n")).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = landfall(dir.path(), &["status"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
}

/// The same words against the real API, with a day's work in its ledger.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_api_is_understood() {
    let world = World::seeded(Setup::default()).await;
    let state = world.state.clone();
    let server = HttpServer::new(move || App::new().configure(|it| landfall::web::routes(it, state.clone())));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let ran = landfall_with(dir.path(), words, &[("LANDFALL_URL", &url), ("LANDFALL_TOKEN", &world.token)]);
        assert_eq!(ran.exit, 0, "{words:?}: {}{}", ran.talk, ran.out);
        ran.out
    };
    let all = run(&["status"]);
    assert!(all.contains("shop-production") && all.contains("Show the price with tax"), "{all}");
    assert!(all.contains("waits docs: "), "{all}");
    let one: Value = serde_json::from_str(&run(&["status", "blog", "--json"])).unwrap();
    let deployment = &one["deployments"][0];
    let (id, sha) = (deployment["id"].as_str().unwrap(), deployment["sha"].as_str().unwrap());
    assert!(run(&["status", "blog"]).contains(id));
    let story = run(&["status", id]);
    assert!(story.contains("to blog: failed") && story.contains("planned "), "{story}");
    let why = run(&["why", &sha[..7]]);
    assert!(why.contains("blog") && why.contains("failed"), "{why}");
    run(&["lock", "blog", "--reason", "the fair is on", "--for", "1h"]);
    assert!(run(&["status", "blog"]).contains("waits blog: "));
    run(&["unlock", "blog"]);
    assert!(!run(&["status", "blog"]).contains("waits blog: "));
    let again = run(&["redeploy", id]);
    assert_ne!(again.trim(), id);
    handle.stop(false).await;
}
