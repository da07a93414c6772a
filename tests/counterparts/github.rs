//! Our requests to GitHub, validated against GitHub's own OpenAPI description by Prism.
//!
//! Prism answers with the description's examples: what matters is that it takes the request, and that we can read
//! an answer that GitHub wrote itself.

use landfall::clients::Clock;
use landfall::clients::github::{Feature, GitHubClient, GitHubClients, GitHubError};
use landfall::config::{GitHub, GitHubApp, SecretRef};
use landfall::domain::{CommitSha, RefName, RepositoryName, Standing};
use landfall::source::{Changed, Source, Sources};
use serde_json::{Value, json};

use crate::worlds::github::apps::keep_key;
use crate::worlds::target::target;

fn clients() -> GitHubClients {
    GitHubClients::new(&GitHub::at(crate::counterpart("LANDFALL_TEST_PRISM")), Clock::system()).unwrap()
}

fn client() -> GitHubClient {
    clients().of(&RepositoryName::parse("octocat/Hello-World").unwrap())
}

fn source() -> Source {
    Sources::new("/nowhere", clients()).of(&target("blog", "octocat/Hello-World"))
}

fn sha(digit: char) -> CommitSha {
    CommitSha::parse(digit.to_string().repeat(40)).unwrap()
}

#[tokio::test]
async fn what_the_source_asks_is_what_github_describes() {
    let source = source();
    for name in ["refs/heads/main", "refs/tags/v1", "refs/heads/feature/é#1"] {
        let head = source.head(&RefName::parse(name).unwrap()).await.unwrap().unwrap();
        assert_eq!(head.commit.short(), "aa218f5", "the description's own example");
    }
    assert_eq!(source.peel(&sha('a')).await, Ok(Some(sha('a'))));
    source.relation(&sha('a'), &sha('b')).await.unwrap();
    // Its comparison is `behind`, so that both ways are asked.
    assert_eq!(source.changed(&sha('a'), &sha('b')).await, Ok(Changed::Paths(vec!["file1.txt".into()])));
    assert_eq!(source.message(&sha('a')).await, Ok("added readme, because im a good github citizen".into()));
    let renamed = async |name| source.renamed(&RefName::parse(name).unwrap()).await.unwrap();
    assert_eq!(renamed("refs/heads/old/name").await.as_deref(), Some("main"), "the description's own branch");
    assert_eq!(renamed("refs/heads/main").await, None);
    // The description's own examples: two statuses and a check run, all well.
    let checks = source.checks(&sha('a')).await.unwrap();
    let names: Vec<&str> = checks.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["continuous-integration/jenkins", "security/brakeman", "mighty_readme"]);
    let raw = source.peek(&sha('a'), "deploy/appspec.yml").await;
    assert_eq!(raw, Ok(Some("\"in the form application/vnd.github.raw+json\"".into())), "Prism writes it as JSON");
    // The description's own tree and its own page of branches, which is the last: it is not full.
    assert_eq!(source.named(&sha('a'), "file.rb").await, Ok(vec!["file.rb".to_owned()]));
    assert_eq!(source.named(&sha('a'), "subdir").await, Ok(vec![]), "a directory is no file");
    let branches = source.branches().await.unwrap();
    let [(name, head)] = &branches[..] else { panic!("{branches:?}") };
    assert_eq!((name.as_str(), head.short()), ("refs/heads/master", "c5b97d5"));
}

/// Prism's example of a token has expired, so that each of its requests is one of the App's, too.
#[tokio::test]
async fn an_app_asks_as_github_describes() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("app.pem");
    keep_key(&key, 0);
    for installation in [None, Some(1)] {
        let private_key = SecretRef::File(key.clone());
        let app = GitHubApp { repositories: vec!["*/*".into()], id: 1, private_key, installation };
        let github = GitHub { apps: vec![app], ..GitHub::at(crate::counterpart("LANDFALL_TEST_PRISM")) };
        let clients = GitHubClients::new(&github, Clock::system()).unwrap();
        let source = Sources::new("/nowhere", clients).of(&target("blog", "octocat/Hello-World"));
        source.head(&RefName::parse("refs/heads/main").unwrap()).await.unwrap().unwrap();
    }
}

/// The description's own webhooks lead elsewhere; that all was asked for and understood is what counts.
#[tokio::test]
async fn the_doctor_asks_as_github_describes() {
    let dir = tempfile::tempdir().unwrap();
    let (key, repository) = (dir.path().join("app.pem"), RepositoryName::parse("octocat/Hello-World").unwrap());
    keep_key(&key, 0);
    let api = GitHub::at(crate::counterpart("LANDFALL_TEST_PRISM"));
    std::fs::write(dir.path().join("token"), "ghp_x").unwrap();
    let token = GitHub { token: Some(SecretRef::File(dir.path().join("token"))), ..api.clone() };
    let private_key = SecretRef::File(key);
    let app = GitHubApp { repositories: vec!["*/*".into()], id: 1, private_key, installation: None };
    for github in [token, GitHub { apps: vec![app], ..api }] {
        let clients = GitHubClients::new(&github, Clock::system()).unwrap();
        let seen = clients.of(&repository).checkup(&repository, &[Feature::Commits], Some("https://x")).await;
        assert!(seen.len() >= 2 && seen.iter().all(|it| it.standing != Standing::Failed), "{seen:#?}");
        for itself in clients.apps() {
            let sent: Value = itself.get_json("/app/hook/deliveries?per_page=1").await.unwrap();
            assert!(sent[0]["status_code"].is_u64() && sent[0]["delivered_at"].is_string(), "{sent}");
        }
    }
    let sent: Value = client().get_json("/repos/octocat/Hello-World/hooks/7/deliveries?per_page=1").await.unwrap();
    assert!(sent[0]["status_code"].is_u64() && sent[0]["event"].is_string(), "{sent}");
}

#[tokio::test]
async fn an_archive_is_asked_for_as_github_describes() {
    let path = format!("/repos/octocat/Hello-World/tarball/{}", sha('a'));
    let error = client().get(&path, "application/json").await.unwrap_err();
    let why = "a redirect to `codeload.github.com`, away from the API".to_owned();
    assert_eq!(error, GitHubError::Unclear { why }, "followed only by a client that has no token");
}

#[tokio::test]
async fn statuses_are_set_as_github_describes() {
    let post = async |body: Value| {
        let path = format!("/repos/octocat/Hello-World/statuses/{}", sha('a'));
        client().post::<Value>(&path, &body).await
    };
    for state in ["pending", "success", "failure", "error"] {
        let body =
            json!({ "state": state, "context": "landfall/blog", "description": "Live", "target_url": "https://x/d" });
        assert!(post(body).await.unwrap()["id"].is_u64());
    }
    let refused = post(json!({ "state": "held", "context": "landfall/blog" })).await;
    assert!(matches!(refused, Err(GitHubError::Refused { status: 422, .. })), "{refused:?}");
}
