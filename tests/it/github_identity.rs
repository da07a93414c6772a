//! In whose name GitHub is asked: Apps, their installations, keys and tokens, against a GitHub world that checks
//! signatures and times.

mod story;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use landfall::clients::Clock;
use landfall::clients::github::{AppTrouble, GitHubClients, GitHubError};
use landfall::config::{Config, Environment, GitHub, GitHubApp, SecretRef};
use landfall::domain::{Failure, RepositoryName};
use serde_json::{Value, json};

use crate::worlds::github::apps::keep_key;
use crate::worlds::github::{GitHubWorld, Route, Trouble};
use crate::worlds::repository::Repository;

const APP: u32 = 4711;
/// More than is needed, as people grant it.
const WIDE: &[(&str, &str)] =
    &[("metadata", "read"), ("contents", "write"), ("statuses", "write"), ("administration", "write")];

struct World {
    github: GitHubWorld,
    /// Keeps what the tests ask for alive.
    _repository: Repository,
    clock: Clock,
    key: PathBuf,
    clients: GitHubClients,
}

impl World {
    /// An App that is registered, and installed nowhere.
    fn with_an_app() -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/blog");
        repository.commit_and_push("first", &[("a", "1")]);
        let clock = Clock::manual("2026-11-21T12:00:00Z".parse().unwrap());
        github.live_by(&clock);
        let key = github.app(APP);
        let clients = clients(&github, vec![app(APP, &key, "*/*")], &clock);
        Self { github, _repository: repository, clock, key, clients }
    }

    fn installed() -> Self {
        let it = Self::with_an_app();
        it.github.install(APP, "acme", WIDE);
        it
    }

    async fn ask(&self) -> Result<Value, GitHubError> {
        let blog = name("acme/blog");
        self.clients.of(&blog).get_json(&format!("/repos/{blog}/git/ref/heads%2Fmain")).await
    }

    /// Asks for what must not be answered. No secret is in anything that is told of it.
    async fn trouble(&self) -> (AppTrouble, Failure) {
        let error = self.ask().await.unwrap_err();
        let failure = error.failure();
        let told = format!("{error} {error:?} {failure:?} {:?}", self.clients);
        for secret in self.github.secrets() {
            assert!(!told.contains(&secret), "{told}");
        }
        let GitHubError::App(trouble) = error else { panic!("{error}") };
        (trouble, failure)
    }
}

/// What a token may do is not more than what the target of its repository has us do.
#[tokio::test]
async fn a_token_is_for_what_is_configured_for_its_repository() {
    let world = World::with_an_app();
    let wide = ["contents", "statuses", "checks", "deployments", "pull_requests", "administration"];
    world.github.install(APP, "acme", &wide.map(|it| (it, "write")));
    let toml = |more: &str| {
        format!(
            "data_dir = \"/srv/landfall\"\n[github]\nwebhook_secrets = [{{ env = \"S\" }}]\n[[target]]\nname = \"blog\"\nrepository = \"acme/blog\"\n\
             branches = [\"main\"]\n{more}\n[target.engine]\nkind = \"host\"\n"
        )
    };
    for (more, expected) in [
        ("github = { deployments = false, checks = false }", "contents=read statuses=write"),
        (
            "github = { deployments = false, comments = true }",
            "checks=write contents=read pull_requests=write statuses=write",
        ),
        (
            "require_checks = [\"build\"]\ngithub = { checks = false }",
            "checks=read contents=read deployments=write statuses=write",
        ),
    ] {
        let environment = Environment::of([("S", "a secret of more than twenty characters")]);
        let config = Config::parse(&toml(more), "landfall.toml", &environment).unwrap();
        let github = GitHub { apps: vec![app(APP, &world.key, "*/*")], ..world.github.config() };
        let clients = GitHubClients::for_targets(&github, &config.targets, world.clock.clone()).unwrap();
        for repository in ["acme/blog", "acme/renamed"] {
            clients.of(&name(repository)).get_json::<Value>("/repos/acme/blog").await.ok();
            let token = world.github.tokens().pop().unwrap();
            assert_eq!(token.split_once(": ").unwrap().1, expected, "{token}: {more}");
        }
    }
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn app(id: u32, key: &std::path::Path, repositories: &str) -> GitHubApp {
    let private_key = SecretRef::File(key.to_owned());
    GitHubApp { repositories: vec![repositories.into()], id, private_key, installation: None }
}

fn clients(github: &GitHubWorld, apps: Vec<GitHubApp>, clock: &Clock) -> GitHubClients {
    GitHubClients::new(&GitHub { apps, ..github.config() }, clock.clone()).unwrap()
}

#[tokio::test]
async fn an_app_gets_one_token_for_one_repository_and_for_what_is_of_use() {
    let world = World::installed();
    let asked = (0..20).map(|_| world.ask());
    for answer in futures_util::future::join_all(asked).await {
        answer.unwrap();
    }
    assert_eq!(world.github.tokens(), ["acme/blog: contents=read statuses=write"]);
    assert_eq!(world.github.requests().len(), 22, "one look for the installation, one token, for all of them");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let world = World::installed();
    world.ask().await.unwrap();
    world.clock.advance(Duration::from_mins(54));
    world.ask().await.unwrap();
    assert_eq!(world.github.tokens().len(), 1);
    world.clock.advance(Duration::from_mins(2));
    world.ask().await.unwrap();
    assert_eq!(world.github.tokens().len(), 2);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let world = World::installed();
    world.ask().await.unwrap();
    world.github.revoke_tokens();
    world.ask().await.unwrap();
    assert_eq!(world.github.tokens().len(), 2);
    world.github.script(Route::Ref, [Trouble::Status(401), Trouble::Status(401)]);
    assert_eq!(world.ask().await, Err(GitHubError::Unauthorized));
    assert_eq!(world.github.tokens().len(), 3, "and not again and again");
    world.ask().await.unwrap();
}

#[tokio::test]
async fn a_status_is_sent_again_with_a_new_token_and_set_once() {
    let world = World::installed();
    let head = world.ask().await.unwrap();
    let sha = head["object"]["sha"].as_str().unwrap();
    world.github.revoke_tokens();
    let (blog, body) = (name("acme/blog"), json!({ "state": "success", "context": "landfall/blog" }));
    world.clients.of(&blog).post::<Value>(&format!("/repos/{blog}/statuses/{sha}"), &body).await.unwrap();
    assert_eq!(world.github.statuses().len(), 1);
}

#[tokio::test]
async fn an_app_that_is_not_installed_says_where_to_do_it() {
    let world = World::with_an_app();
    let (trouble, failure) = world.trouble().await;
    assert_eq!(trouble.to_string(), "the GitHub App 4711 is not installed for `acme/blog`");
    assert_eq!((failure.code.as_str(), failure.passing), ("clients/github-app-not-installed", false));
    assert_eq!(failure.help.unwrap(), "install it at https://github.com/apps/landfall-4711/installations/new");
    // On some repositories of the owner, and not on this one.
    world.github.install(APP, "acme", WIDE);
    world.github.select(APP, "acme", &["shop"]);
    assert!(matches!(world.trouble().await.0, AppTrouble::NotInstalled { .. }));
    world.github.select(APP, "acme", &["blog"]);
    world.ask().await.unwrap();
}

/// The installation may be named in the configuration; the repository must be one of its own even so.
#[tokio::test]
async fn a_named_installation_is_not_looked_for() {
    let world = World::installed();
    let named = GitHubApp { installation: Some(APP * 100), ..app(APP, &world.key, "*/*") };
    let world = World { clients: clients(&world.github, vec![named], &world.clock), ..world };
    world.ask().await.unwrap();
    assert!(world.github.requests()[0].ends_with("/app/installations/471100: 200"));
    world.github.select(APP, "acme", &["shop"]);
    world.github.revoke_tokens();
    assert!(matches!(world.trouble().await.0, AppTrouble::NotInstalled { .. }));
}

#[tokio::test]
async fn a_suspended_or_removed_app_is_told_at_once_though_its_token_is_young() {
    let world = World::installed();
    world.ask().await.unwrap();
    world.github.suspend(APP, "acme", true);
    let (trouble, failure) = world.trouble().await;
    assert_eq!(trouble.to_string(), "the GitHub App 4711 is suspended for `acme/blog` since 2026-11-20T08:00:00Z");
    assert_eq!((failure.code.as_str(), failure.passing), ("clients/github-app-suspended", false));
    assert!(failure.help.unwrap().contains("take the App up again"));
    world.github.suspend(APP, "acme", false);
    world.ask().await.unwrap();
    world.github.uninstall(APP);
    assert!(matches!(world.trouble().await.0, AppTrouble::NotInstalled { .. }));
}

#[tokio::test]
async fn a_key_is_read_anew_and_a_wrong_one_told() {
    let world = World::installed();
    let path = world.key.display();
    world.github.set_key(APP, 1);
    let (trouble, failure) = world.trouble().await;
    assert_eq!(trouble.to_string(), "GitHub knows no App 4711 with this private key");
    assert_eq!((failure.code.as_str(), failure.passing), ("clients/github-app-unknown", false));
    keep_key(&world.key, 1);
    world.ask().await.unwrap();
    world.github.revoke_tokens();
    std::fs::write(&world.key, "-----BEGIN RSA PRIVATE KEY-----\nTm9uc2Vuc2U=\n").unwrap();
    let (trouble, failure) = world.trouble().await;
    let why = format!("the file `{path}` holds no RSA private key in PEM");
    assert_eq!(trouble, AppTrouble::Key { app: APP, why });
    assert_eq!((failure.code.as_str(), failure.passing), ("clients/github-app-key", true));
    std::fs::remove_file(&world.key).unwrap();
    assert!(world.trouble().await.0.to_string().ends_with("no such file or directory"));
}

#[tokio::test]
async fn an_app_that_does_not_exist_is_told() {
    let world = World::with_an_app();
    let clients = clients(&world.github, vec![app(APP + 1, &world.key, "*/*")], &world.clock);
    let world = World { clients, ..world };
    assert_eq!(world.trouble().await.0, AppTrouble::Unknown { app: APP + 1 });
}

/// A difference of some minutes backwards is borne: it is the future that GitHub refuses.
#[tokio::test]
async fn a_clock_that_is_wrong_is_told_with_both_times() {
    let world = World::installed();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    for ours in ["2026-11-21T11:52:00Z", "2026-11-21T12:00:50Z"] {
        let world = World {
            clients: clients(&world.github, vec![app(APP, &world.key, "*/*")], &Clock::manual(at(ours))),
            ..World::installed()
        };
        world.ask().await.unwrap();
    }
    for ours in ["2026-11-21T11:50:00Z", "2026-11-21T12:02:00Z"] {
        let ours = at(ours);
        let it = World {
            clients: clients(&world.github, vec![app(APP, &world.key, "*/*")], &Clock::manual(ours)),
            ..World::installed()
        };
        let (trouble, failure) = it.trouble().await;
        assert_eq!(trouble, AppTrouble::ClockSkew { app: APP, ours, theirs: at("2026-11-21T12:00:00Z") });
        assert!(
            failure.message.ends_with(&format!("it is 2026-11-21T12:00:00Z at GitHub, and {ours} on this machine"))
        );
        assert_eq!((failure.code.as_str(), failure.passing), ("clients/github-clock-skew", true));
    }
}

#[tokio::test]
async fn the_first_app_that_fits_speaks_and_the_token_for_the_rest() {
    let world = World::installed();
    let owners = world.github.app(99);
    world.github.install(99, "initech", WIDE);
    for repository in ["initech/site", "other/thing"] {
        world.github.repository(repository).commit_and_push("first", &[("a", "1")]);
    }
    let apps = vec![app(99, &owners, "initech/*"), app(APP, &world.key, "acme/*")];
    let clients = clients(&world.github, apps, &world.clock);
    for repository in ["acme/blog", "initech/site", "other/thing"] {
        let client = clients.of(&name(repository));
        assert!(client.is_somebody());
        client.get_json::<Value>(&format!("/repos/{repository}")).await.unwrap();
    }
    let tokens = world.github.tokens();
    assert_eq!(tokens.len(), 2, "the third was asked for with the token: {tokens:?}");
    assert!(tokens[0].starts_with("acme/blog: ") && tokens[1].starts_with("initech/"), "{tokens:?}");
    let nobody = GitHub { token: None, apps: vec![app(APP, &world.key, "acme/*")], ..world.github.config() };
    let clients = GitHubClients::new(&nobody, world.clock.clone()).unwrap();
    assert!(clients.of(&name("acme/blog")).is_somebody() && !clients.of(&name("other/thing")).is_somebody());
}
