//! The GitHub source, against a GitHub world with real repositories behind it.

use landfall::clients::Clock;
use landfall::clients::github::{GitHubClients, GitHubError};
use landfall::domain::{CheckState, CommitSha, RefName, Relation, RepositoryName, SourceSpec};
use landfall::source::{RefHead, Source, SourceError, Sources};
use serde_json::json;

use crate::git_source::{target, unpack};
use crate::worlds::github::{GitHubWorld, Route, Trouble};
use crate::worlds::repository::Repository;

struct World {
    github: GitHubWorld,
    repository: Repository,
    clock: Clock,
    source: Source,
}

impl World {
    fn new() -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/blog");
        let clock = Clock::manual("2026-11-21T12:00:00Z".parse().unwrap());
        let client = GitHubClients::new(&github.config(), clock.clone()).unwrap();
        let source = Sources::new("/nowhere", client).of(&target(SourceSpec::GitHub));
        Self { github, repository, clock, source }
    }

    fn with_a_commit() -> (Self, CommitSha) {
        let world = Self::new();
        let commit = world.repository.commit_and_push("first", &[("appspec.yml", "os: linux\n"), ("web/a", "1")]);
        (world, commit)
    }
}

fn reference(name: &str) -> RefName {
    RefName::parse(name).unwrap()
}

fn main_branch() -> RefName {
    reference("refs/heads/main")
}

fn blog() -> RepositoryName {
    RepositoryName::parse("acme/blog").unwrap()
}

fn unknown() -> CommitSha {
    CommitSha::parse("0123456789012345678901234567890123456789").unwrap()
}

#[tokio::test]
async fn heads_are_found_and_tags_peeled() {
    let world = World::new();
    assert_eq!(world.source.head(&main_branch()).await, Ok(None), "an empty repository has no heads");
    let commit = world.repository.commit_and_push("first", &[("a", "1")]);
    world.repository.git(&["tag", "--annotate", "--message", "one", "v1"]);
    world.repository.git(&["tag", "--annotate", "--message", "again", "v1-again", "v1"]);
    world.repository.push(&["--tags", "HEAD:refs/heads/feature/é#1"]);
    let head = async |name| world.source.head(&reference(name)).await.unwrap();
    let plain = RefHead { object: commit.clone(), commit: commit.clone() };
    assert_eq!(head("refs/heads/main").await, Some(plain.clone()));
    assert_eq!(head("refs/heads/feature/é#1").await, Some(plain));
    assert_eq!(head("refs/heads/feature").await, None);
    let tag = head("refs/tags/v1-again").await.unwrap();
    assert_eq!(tag.commit, commit);
    assert_ne!(tag.object, commit);
    assert_eq!(world.source.peel(&tag.object).await, Ok(Some(commit.clone())));
    assert_eq!(world.source.peel(&commit).await, Ok(Some(commit)));
    assert_eq!(world.source.peel(&unknown()).await, Ok(None));
}

#[tokio::test]
async fn branches_are_listed_to_the_last_page() {
    let (world, commit) = World::with_a_commit();
    let refs: Vec<String> = (0..120).map(|n| format!("HEAD:refs/heads/release/{n}")).collect();
    world.repository.push(&refs.iter().map(String::as_str).collect::<Vec<_>>());
    let listed = world.source.branches().await.unwrap();
    assert_eq!(listed.len(), 121);
    assert!(listed.contains(&(reference("refs/heads/release/119"), commit)));
}

#[tokio::test]
async fn files_are_found_by_their_name() {
    let world = World::new();
    let files = [("web/appspec.yml", "os: linux\n"), ("appspec.yml/x", "1"), ("no-appspec.yml", "1")];
    let commit = world.repository.commit_and_push("first", &files);
    assert_eq!(world.source.named(&commit, "appspec.yml").await, Ok(vec!["web/appspec.yml".to_owned()]));
}

#[tokio::test]
async fn checks_are_read_of_both_kinds_to_the_last_page_and_the_newest_of_a_name_counts() {
    let (world, commit) = World::with_a_commit();
    assert_eq!(world.source.checks(&commit).await, Ok(vec![]), "what nobody reports is not there");
    let sha = commit.as_str();
    for n in 0..120 {
        world.github.say_status(sha, &format!("ci/{n}"), "pending");
        world.github.run_check(sha, &format!("run {n}"), "success");
    }
    world.github.say_status(sha, "CI/119", "success");
    world.github.run_check(sha, "run 0", "failure");
    let checks = world.source.checks(&commit).await.unwrap();
    assert_eq!(checks.len(), 240);
    let state = |name: &str| checks.iter().find(|it| it.name == name).map(|it| it.state);
    assert_eq!(state("CI/119"), Some(CheckState::Green), "contexts ignore case");
    assert_eq!(state("ci/118"), Some(CheckState::Pending));
    assert_eq!((state("run 0"), state("run 1")), (Some(CheckState::Red), Some(CheckState::Green)));
    let of_run = checks.iter().find(|it| it.name == "run 0").and_then(|it| it.link.clone());
    assert_eq!(of_run.as_deref(), Some("https://github.example.com/acme/site/runs/9120"));
}

#[tokio::test]
async fn comparisons_are_read_the_right_way_round() {
    let (world, first) = World::with_a_commit();
    let second = world.repository.commit_and_push("second", &[("web/a", "2")]);
    let relation = async |a, b| world.source.relation(a, b).await;
    assert_eq!(relation(&first, &first).await, Ok(Relation::Same));
    assert_eq!(relation(&first, &second).await, Ok(Relation::Ancestor));
    assert_eq!(relation(&second, &first).await, Ok(Relation::Descendant));
    world.repository.git(&["checkout", "--quiet", "-B", "main", first.as_str()]);
    let forced = world.repository.commit("rewritten", &[("web/a", "3")]);
    world.repository.push(&["+HEAD:refs/heads/main"]);
    assert_eq!(relation(&second, &forced).await, Ok(Relation::Diverged));
    world.repository.git(&["checkout", "--quiet", "--orphan", "other"]);
    let orphan = world.repository.commit("other roots", &[]);
    world.repository.push(&["HEAD:refs/heads/other"]);
    assert_eq!(relation(&orphan, &forced).await, Ok(Relation::Diverged));
    assert!(matches!(relation(&unknown(), &forced).await, Err(SourceError::UnknownCommit { .. })));
}

#[tokio::test]
async fn what_was_live_before_a_merge_did_not_come_with_it() {
    let (world, _) = World::with_a_commit();
    world.repository.git(&["checkout", "--quiet", "-b", "live"]);
    world.repository.commit("f1", &[("f", "1")]);
    let live = world.repository.commit("f2", &[("f", "2")]);
    world.repository.git(&["checkout", "--quiet", "main"]);
    world.repository.commit("hotfix", &[("h", "1")]);
    world.repository.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "live"]);
    world.repository.push(&["HEAD:refs/heads/main"]);
    let since = world.source.since(&live, &world.repository.head()).await.unwrap().unwrap();
    let titles: Vec<&str> = since.newest.iter().map(|it| it.title.as_str()).collect();
    // The list by date has `f2` and `f1` among them.
    assert_eq!((since.count, titles), (2, vec!["merge", "hotfix"]));
}

#[tokio::test]
async fn a_peek_reads_one_file_of_that_commit() {
    let (world, commit) = World::with_a_commit();
    world.repository.commit_and_push("second", &[("appspec.yml", "changed"), ("deploy/my spec.yml", "spaced")]);
    let peek = async |path| world.source.peek(&commit, path).await;
    assert_eq!(peek("appspec.yml").await, Ok(Some("os: linux\n".into())));
    assert_eq!(peek("missing.yml").await, Ok(None));
    assert_eq!(peek("web").await, Ok(None), "a directory's listing is no file");
    let head = world.repository.head();
    assert_eq!(world.source.peek(&head, "deploy/my spec.yml").await, Ok(Some("spaced".into())));
    assert!(matches!(world.source.peek(&unknown(), "a").await, Err(SourceError::UnknownCommit { .. })));
}

#[tokio::test]
async fn what_was_spoiled_on_its_way_is_taken_for_no_file_and_no_absence() {
    let (world, commit) = World::with_a_commit();
    for spoiled in ["{\"what\":", "", "<h1>Welcome to the guests' network</h1>"] {
        world.github.script(Route::Contents, [Trouble::Spoiled(spoiled)]);
        let error = world.source.peek(&commit, "appspec.yml").await.unwrap_err();
        assert!(error.is_passing(), "{spoiled}: {error:?}");
    }
    assert_eq!(world.source.peek(&commit, "appspec.yml").await, Ok(Some("os: linux\n".into())));
}

#[tokio::test]
async fn the_archives_address_never_sees_the_token() {
    let (world, commit) = World::with_a_commit();
    let (named, files) = unpack(world.source.archive(&commit).await.unwrap()).await.unwrap();
    assert_eq!(named.as_deref(), Some(commit.as_str()));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["appspec.yml", "web/a"]);
    let requests = world.github.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[1].ends_with(&format!("/acme/blog/legacy.tar.gz/{commit}: 200")), "{requests:?}");
    // The world's drop fails where the second request carried the token.
}

#[tokio::test]
async fn a_missing_archive_is_no_empty_success() {
    let (world, commit) = World::with_a_commit();
    // As right after a push: GitHub knows the commit, and the archives do not yet.
    world.github.script(Route::Archive, [Trouble::Status(404)]);
    let expected = SourceError::UnknownCommit { what: "acme/blog".into(), commit: commit.clone() };
    assert_eq!(world.source.archive(&commit).await.err(), Some(expected));
    let expected = SourceError::UnknownCommit { what: "acme/blog".into(), commit: unknown() };
    assert_eq!(world.source.archive(&unknown()).await.err(), Some(expected));
}

#[tokio::test]
async fn a_cut_archive_ends_in_an_error() {
    let (world, _) = World::with_a_commit();
    let noise: String = (0..400_000u64).map(|it| char::from(33 + (it.wrapping_mul(it) % 89) as u8)).collect();
    let commit = world.repository.commit_and_push("large", &[("noise", &noise)]);
    world.github.script(Route::Archive, [Trouble::CutAfter(1000)]);
    let error = unpack(world.source.archive(&commit).await.unwrap()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Cut { bytes: 1000, .. }), "{error}");
    assert!(error.failure().passing);
    assert!(!format!("{error:?}").contains("SHORTLIVED"), "{error:?}");
    assert_eq!(unpack(world.source.archive(&commit).await.unwrap()).await.unwrap().1["noise"], noise);
}

/// Where the API says that an archive lies is somebody else's word: only the configured server may be in a private network,
/// and nothing where clouds tell their secrets.
#[tokio::test]
async fn an_archive_is_not_fetched_from_where_only_this_machine_can_look() {
    let (world, commit) = World::with_a_commit();
    for (to, why) in [
        ("http://169.254.169.254/latest/meta-data", "a link-local address, where clouds tell machines their secrets"),
        ("http://[fd00:ec2::254]/latest", "where a cloud tells machines their secrets"),
        ("http://localhost:9/x", "`localhost` is "),
        ("http://10.1.2.3/x", "an address of a private network or of this machine"),
        ("http://2130706434/x", "an address of a private network or of this machine"),
    ] {
        world.github.script(Route::Tarball, [Trouble::LeadsTo(to)]);
        let Err(error) = world.source.archive(&commit).await else { panic!("{to} was asked") };
        let told = format!("{error:?}");
        assert!(told.contains("a redirect that is not followed") && told.contains(why), "{to}: {told}");
    }
    assert!(world.source.archive(&commit).await.is_ok(), "the configured server is believed wherever it is");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (world, commit) = World::with_a_commit();
    let head = async || world.source.head(&main_branch()).await.unwrap_err().failure();
    for (status, code, passing) in [
        (500, "source/unavailable", true),
        (503, "source/unavailable", true),
        (401, "source/unauthorized", false),
        (403, "source/forbidden", false),
        (418, "source/broken", false),
    ] {
        world.github.script(Route::Ref, [Trouble::Status(status)]);
        let failure = head().await;
        assert_eq!((failure.code.as_str(), failure.passing), (code, passing), "{status}");
        assert!(failure.help.is_some());
    }
    world.github.script(Route::Ref, [Trouble::CutAfter(3)]);
    assert_eq!(head().await.code, "source/unavailable");
    // «Not found» is what GitHub says of what a token may not see.
    world.github.script(Route::Ref, [Trouble::Status(404)]);
    world.github.script(Route::Repository, [Trouble::Status(404)]);
    let failure = head().await;
    assert_eq!(failure.code, "source/not-found");
    assert!(failure.help.unwrap().contains("Contents: read"));
    assert_eq!(world.source.head(&main_branch()).await.unwrap().unwrap().commit, commit, "and then all is well");
}

#[tokio::test]
async fn a_rate_limit_is_kept_without_asking_again() {
    let (world, _) = World::with_a_commit();
    world.github.script(Route::Ref, [Trouble::RateLimited { retry_after: 90 }]);
    let until = "2026-11-21T12:01:30Z".parse().unwrap();
    for _ in 0..3 {
        let error = world.source.head(&main_branch()).await.unwrap_err();
        assert_eq!((error.retry_at(), error.is_passing()), (Some(until), true));
    }
    assert_eq!(world.github.requests().len(), 1, "asking on would be held against us");
    world.clock.advance(std::time::Duration::from_secs(90));
    assert!(world.source.head(&main_branch()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_new_token_needs_no_restart() {
    let (world, commit) = World::with_a_commit();
    world.github.set_token("ghp_second");
    let error = world.source.head(&main_branch()).await.unwrap_err();
    assert_eq!(error.failure().code, "source/unauthorized");
    std::fs::write(world.github.token_file(), "ghp_second\n").unwrap();
    assert_eq!(world.source.head(&main_branch()).await.unwrap().unwrap().commit, commit);
    std::fs::remove_file(world.github.token_file()).unwrap();
    let error = world.source.head(&main_branch()).await.unwrap_err();
    assert_eq!((error.failure().code.as_str(), error.is_passing()), ("source/no-token", true));
    assert!(!format!("{error:?}").contains("ghp_"), "{error:?}");
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let (world, commit) = World::with_a_commit();
    world.github.rename("acme/blog", "acme/journal");
    assert_eq!(world.source.head(&main_branch()).await.unwrap().unwrap().commit, commit);
    assert_eq!(world.source.peek(&commit, "web/a").await, Ok(Some("1".into())));
    let (_, files) = unpack(world.source.archive(&commit).await.unwrap()).await.unwrap();
    assert_eq!(files["web/a"], "1");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_passing() {
    let mut config = GitHubWorld::start().config();
    config.api_url = "http://127.0.0.1:1".into();
    config.token = None;
    let client = GitHubClients::new(&config, Clock::system()).unwrap();
    let source = Sources::new("/nowhere", client).of(&target(SourceSpec::GitHub));
    let error = source.head(&main_branch()).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("refused"), "{error}");
    assert!(!error.to_string().contains("os error"), "{error}");
}

#[tokio::test]
async fn the_world_limits_statuses_as_github_does() {
    let (world, commit) = World::with_a_commit();
    let client = GitHubClients::new(&world.github.config(), world.clock.clone()).unwrap().of(&blog());
    let post = async |sha: &CommitSha, context: &str, state: &str, description: &str| {
        let body = json!({ "state": state, "context": context, "description": description });
        client.post::<serde_json::Value>(&format!("/repos/acme/blog/statuses/{sha}"), &body).await
    };
    let refused =
        |message: &str| GitHubError::Refused { status: 422, message: format!("Validation Failed: {message}") };
    let longest = "é".repeat(140);
    assert_eq!(post(&commit, "landfall/blog", "pending", &longest).await.unwrap()["id"], 1);
    let too_long = post(&commit, "landfall/blog", "pending", &"é".repeat(141)).await;
    assert_eq!(too_long, Err(refused("description is too long (maximum is 140 characters)")));
    let no_state = post(&commit, "landfall/blog", "cancelled", "").await;
    assert_eq!(no_state, Err(refused("state is not included in the list")));
    assert!(matches!(post(&unknown(), "x", "pending", "").await, Err(GitHubError::Refused { status: 422, .. })));
    world.github.script(Route::Status, [Trouble::None, Trouble::AnswerLost]);
    post(&commit, "landfall/blog", "success", "live").await.unwrap();
    assert!(post(&commit, "landfall/blog", "failure", "lost").await.unwrap_err().is_passing());
    let statuses = world.github.statuses();
    assert_eq!(statuses.len(), 3, "a lost answer is not a lost status");
    world.github.fill_statuses(&statuses[0], 997);
    let full = refused("This SHA and context has reached the maximum number of statuses.");
    assert_eq!(post(&commit, "Landfall/BLOG", "success", "live").await, Err(full), "contexts ignore case");
    post(&commit, "landfall/other", "success", "live").await.unwrap();
}
