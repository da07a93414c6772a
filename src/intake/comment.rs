//! Comments on pull requests and commits that begin with `/landfall`: a command, of whoever wrote it. It is carried out
//! while GitHub waits, and answered where it stands; nothing else of a comment is read or kept.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::oneshot;

use super::payload::{Malformed, repository_name};
use crate::asking::{Commands, Home, Person, Place, Reply, Said};
use crate::domain::{CommitSha, Repository, Target};

/// What a comment begins with that is for us.
const CALL: &str = "/landfall";
/// The events that bring comments.
const EVENTS: [&str; 2] = ["issue_comment", "commit_comment"];
/// What GitHub says of those who have to do with a repository.
const BELONGS: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];
/// GitHub waits for 10 s.
const WITHIN: Duration = Duration::from_secs(8);

#[derive(Deserialize)]
struct Payload {
    action: String,
    repository: Named,
    comment: Written,
    #[serde(default)]
    issue: Option<Issue>,
}

#[derive(Deserialize)]
struct Named {
    id: u64,
    full_name: String,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    commit_id: Option<String>,
    #[serde(default)]
    author_association: String,
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    #[serde(default)]
    pull_request: Option<IgnoredAny>,
}

/// A command in a comment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) repository: Repository,
    id: u64,
    person: Person,
    words: String,
    at: At,
}

/// What it stands beneath.
#[derive(Debug, PartialEq, Eq)]
enum At {
    Pull(u64),
    Commit(CommitSha),
}

/// What an event comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    This(Box<Comment>),
    /// Nothing of us, because.
    Nothing(&'static str),
}

/// Whether an event of this name brings a comment.
pub(super) fn is_comment(event: &str) -> bool {
    EVENTS.contains(&event)
}

/// Reads the payload of a comment.
pub(super) fn heard(json: &str) -> Result<Heard, Malformed> {
    let Payload { action, repository, comment, issue } = serde_json::from_str(json)?;
    let body = comment.body.unwrap_or_default();
    let Some(words) = called(&body).filter(|_| action == "created") else {
        return Ok(Heard::Nothing("it is no new comment that begins with `/landfall`"));
    };
    let author = comment.user.filter(|it| it.kind == "User" && is_login(&it.login));
    let Some(User { login, .. }) = author else {
        return Ok(Heard::Nothing("commands are taken from people alone"));
    };
    let at = match (issue, comment.commit_id) {
        (Some(Issue { number, pull_request: Some(_) }), _) => At::Pull(number),
        (Some(_), _) => {
            return Ok(Heard::Nothing("it stands beneath an issue: commands are for pull requests and commits"));
        }
        (None, sha) => {
            let sha = CommitSha::parse(sha.unwrap_or_default());
            At::Commit(sha.map_err(|unfit| Malformed::Name { field: "comment.commit_id", unfit })?)
        }
    };
    let belongs = BELONGS.contains(&comment.author_association.as_str());
    let repository = Repository { id: Some(repository.id), name: repository_name(repository.full_name)? };
    let (person, words) = (Person::OfGitHub { login, belongs }, words.to_owned());
    Ok(Heard::This(Comment { repository, id: comment.id, person, words, at }.into()))
}

/// What follows our name on the first line of a comment that begins with it.
fn called(body: &str) -> Option<&str> {
    let line = body.trim_start().lines().next()?;
    let rest = line.strip_prefix(CALL)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}

/// It becomes part of an address.
fn is_login(login: &str) -> bool {
    !login.is_empty() && login.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
}

impl Comment {
    /// Has it carried out on a task of its own and answered beneath the comment. Gives what came of it, where that is known
    /// before GitHub hangs up.
    pub(super) async fn carry_out(self, commands: &Commands, targets: &[Arc<Target>]) -> String {
        let Self { repository, id, person, words, at } = self;
        let home =
            Home { repository: repository.name.clone(), targets: targets.iter().map(|it| it.name.clone()).collect() };
        let place = match at {
            At::Pull(number) => Place::Pull { home, number },
            At::Commit(sha) => Place::Commit { home, sha },
        };
        let key = format!("github-comment/{}/{id}", repository.id.unwrap_or_default());
        let said = Said { person, words, key, place };
        let carrier = commands.clone();
        let (tell, told) = oneshot::channel();
        commands.begin(async move {
            let reply = carrier.carry_out(&said).await;
            carrier.answer_on_github(&said, id, &reply).await;
            // Whoever waited may be gone: the answer stands beneath the comment.
            let _ = tell.send(reply);
        });
        match tokio::time::timeout(WITHIN, told).await {
            Ok(Ok(Reply { is_done: true, .. })) => "the command was carried out".into(),
            Ok(Ok(Reply { lines, .. })) => {
                let why: Vec<String> = lines.iter().map(|it| crate::chat::text_of(it)).collect();
                format!("the command was not carried out: {}", why.join(" "))
            }
            Ok(Err(_)) => "the command ended in a bug of ours".into(),
            Err(_) => "the command is being carried out".into(),
        }
    }
}
