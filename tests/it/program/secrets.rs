//! What nobody may read: the token, the webhook's secret and its signatures, whatever goes wrong at GitHub.

use std::path::Path;

use landfall::clients::Clock;
use landfall::clients::github::GitHubClients;
use landfall::domain::{CommitSha, Failure, RefName};
use landfall::source::Sources;

use super::*;
use crate::worlds::github::{GitHubWorld, Route, Trouble};
use crate::worlds::push;
use crate::worlds::target::target;

const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
/// Every answer that means something else to us.
const STATUSES: [u16; 13] = [200, 302, 400, 401, 403, 404, 409, 422, 429, 451, 500, 502, 503];
/// All that a deployment asks, and all that is said of it.
const ROUTES: [Route; 9] = [
    Route::Ref,
    Route::Compare,
    Route::Contents,
    Route::Tarball,
    Route::Archive,
    Route::Status,
    Route::Deployment,
    Route::OwnCheck,
    Route::CommitComment,
];

fn github_with_site() -> (GitHubWorld, Repository) {
    let github = GitHubWorld::start();
    github.set_token(TOKEN);
    fs::write(github.token_file(), TOKEN).unwrap();
    let site = github.repository("acme/site");
    (github, site)
}

#[tokio::test]
async fn an_answer_that_shows_the_token_is_told_without_it() {
    let (github, site) = github_with_site();
    let commit = site.commit_and_push("one", &[("appspec.yml", "version: 0.0\n")]);
    let main = RefName::parse("refs/heads/main").unwrap();
    let mut masked = 0;
    for status in STATUSES {
        // Each its own: one that was limited asks no more.
        let clients = GitHubClients::new(&github.config(), Clock::system()).unwrap();
        let source = Sources::new("/nowhere", clients).of(&target("site", "acme/site"));
        for route in [Route::Ref, Route::Compare] {
            github.script(route, [Trouble::Echo(status)]);
        }
        let other = CommitSha::parse("1".repeat(40)).unwrap();
        let told = [source.head(&main).await.err(), source.relation(&commit, &other).await.err()];
        let told: Vec<_> = told.into_iter().flatten().map(|it| (it.to_string(), Failure::from(it))).collect();
        let told = format!("{told:?}");
        assert!(!told.contains(TOKEN), "{status}: {told}");
        masked += usize::from(told.contains("[secret]"));
        github.mend(Route::Ref);
        github.mend(Route::Compare);
    }
    assert!(masked >= 4, "the token came in {masked} answers only");
}

#[test]
fn no_secret_is_written_or_told_whatever_goes_wrong() {
    let (github, repo) = github_with_site();
    let token = format!("token = {{ file = \"{}\" }}", github.token_file().display());
    nothing_is_written_or_told(&github, repo, &token, || vec![TOKEN.to_owned()]);
}

/// The private key in its lines, every JWT that was signed with it, and every token of an installation.
#[test]
fn no_secret_of_an_app_is_written_or_told_whatever_goes_wrong() {
    let (github, repo) = github_with_site();
    let key = github.app(4711);
    let may = ["contents", "statuses", "deployments", "checks", "pull_requests"].map(|it| (it, "write"));
    github.install(4711, "acme", &may);
    let app = format!("app = {{ id = 4711, private_key = {{ file = \"{}\" }} }}", key.display());
    nothing_is_written_or_told(&github, repo, &app, || {
        let secrets = github.secrets();
        assert!(secrets.iter().any(|it| it.starts_with("ghs_")) && secrets.iter().any(|it| it.starts_with("eyJ")));
        secrets
    });
}

/// The server that is shipped, with everything in its log that there is: of one push each thing that it asks fails once.
fn nothing_is_written_or_told(
    github: &GitHubWorld,
    repo: Repository,
    identity: &str,
    secrets: impl FnOnce() -> Vec<String>,
) {
    let dir = tempfile::tempdir().unwrap();
    let at = format!("api_url = \"{}\"\n{identity}", github.config().api_url);
    let target = "[target.github]\ndeployments = true\ncomments = true".into();
    let text = configuration(dir.path(), &repo, &Extra { github: at, target, ..Extra::default() });
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("source = ")).collect();
    fs::write(dir.path().join("landfall.toml"), text.join("\n")).unwrap();
    let place = Place { repo, dir };
    place.repo.write(
        "appspec.yml",
        "version: 0.0\nos: linux\nhooks:\n  ValidateService:\n    - location: no.sh\n",
        0o644,
    );
    place.repo.write("no.sh", "#!/bin/sh\nexit 1\n", 0o755);
    let mut command = place.program(&["serve"]);
    command.env("LANDFALL_LOG", "trace");
    let server = place.serve_as(command);
    let mut signatures = Vec::new();
    // A limit has to be waited for, a minute long.
    let statuses: Vec<u16> = STATUSES.into_iter().filter(|it| *it != 429).collect();
    for (number, statuses) in statuses.chunks(ROUTES.len()).enumerate() {
        for (route, status) in ROUTES.iter().zip(statuses.iter().cycle()) {
            github.script(*route, [Trouble::Echo(*status)]);
        }
        place.repo.commit(&number.to_string(), &[("page", &number.to_string())]);
        place.repo.push(MAIN);
        signatures.push(place.delivers(&server, &format!("push-{number}"), SECRET));
        signatures.push(place.delivers(&server, &format!("forged-{number}"), "another secret"));
        let head = place.repo.git(&["rev-parse", "HEAD"]);
        until("its end is told", || {
            let statuses = github.statuses();
            statuses.iter().any(|it| it.sha == head && it.state != "pending").then_some(())
        });
    }
    let shown = [place.asked(&server, &["status"]).to_string(), place.asked(&server, &["deliveries"]).to_string()];
    let told = (github.statuses(), github.deployments(), github.comments(), github.our_check_runs());
    let told = format!("{shown:?} {told:?}");
    let log = server.log();
    assert!(log.contains("TRACE") && log.contains("[secret]"), "{log}");
    server.terminate();
    let mut written = vec![("the log".to_owned(), log), ("what was told".to_owned(), told)];
    files(&place.path("data"), &mut written);
    let secrets = secrets();
    for secret in signatures.iter().chain(&secrets).map(String::as_str).chain([SECRET]) {
        for (place, text) in &written {
            let at = text.find(secret).map(|at| text[at.saturating_sub(200)..].chars().take(400).collect::<String>());
            assert_eq!(at, None, "{secret} in {place}");
        }
    }
}

impl Place {
    /// Delivers a push of the head. Gives what stands in the signature.
    fn delivers(&self, server: &Server, id: &str, secret: &str) -> String {
        let head = self.repo.git(&["rev-parse", "HEAD"]);
        let body = push::payload("acme/site", &head).to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = format!("http://{}", server.address);
        let client = reqwest::Client::new();
        runtime.block_on(push::delivery(&client, &url, secret, id, body.clone()).send()).unwrap();
        push::signature(secret, body.as_bytes()).trim_start_matches("sha256=").to_owned()
    }
}

/// Every file below a directory, as text, but for the one that holds the administrator's token.
fn files(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            files(&path, found);
        } else if entry.file_type().unwrap().is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
}
