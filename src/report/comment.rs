//! A comment on the pull request of a commit that failed, or on the commit: one for each target and thread, edited where
//! it stands. Whatever comes from outside stands in code, where Markdown means nothing and nobody is called by name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sink::{Message, Said};
use crate::clients::github::{GitHubClient, GitHubError};
use crate::domain::{
    Blame, Deployment, DeploymentEvent, Event, Failure, Lifecycle, Notice, NoticeState, Record, SinkEvent, State,
    StepStatus, Stream, harmless,
};
use crate::ledger::{Filter, Ledger, LedgerError};

/// Among how many deployments of a target its earlier comments are looked for.
const EARLIER: usize = 50;
/// GitHub takes 65 536 characters; what is not the log is far shorter than the rest.
const LONGEST_LOG: usize = 60_000;
const LONGEST_LINE: usize = 1_000;

/// What a comment is made of besides the notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Story {
    /// The lifecycle event that failed.
    step: Option<Lifecycle>,
    /// The target's earlier comments, the newest first.
    earlier: Vec<Earlier>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Earlier {
    /// `pull/12` or `commit/SHA`.
    thread: String,
    id: String,
    sha: String,
    is_good: bool,
}

/// What should stand there: a failure, or that it was mended.
pub(super) fn notice(deployment: &Deployment) -> Option<Notice> {
    let is_told = match deployment.state() {
        State::Failed { .. } | State::Succeeded { .. } => true,
        State::Stopped { failure, .. } => failure.is_some(),
        State::Refused { failure } => failure.blame == Blame::Revision,
        State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => false,
        State::Ready { .. } | State::ReadyHeld { .. } | State::Releasing { .. } => false,
        State::Running { .. } | State::Verifying { .. } => false,
        State::Superseded { .. } | State::Skipped { .. } => false,
    };
    is_told.then(|| Notice::of(deployment))
}

/// Reads the rest. A success says nothing unless a failure of the same commit stands there.
pub(super) fn story(
    ledger: &Ledger,
    sink: &str,
    deployment: &Deployment,
    sha: &str,
) -> Result<Option<Story>, LedgerError> {
    let (target, mut earlier) = (Some(deployment.order().target.name.clone()), vec![]);
    for other in ledger.deployments(&Filter { target, limit: EARLIER, ..Filter::default() })? {
        let told = ledger.sent(sink, other.id())?;
        if let Some(SinkEvent::Sent { context: thread, sha, state, remote_id: Some(id), .. }) = told {
            let (sha, is_good) = (sha.to_string(), state == NoticeState::Success);
            earlier.push(Earlier { thread, id, sha, is_good });
        }
    }
    let succeeded = matches!(deployment.state(), State::Succeeded { .. });
    if succeeded && !earlier.iter().any(|it| it.sha == sha && !it.is_good) {
        return Ok(None);
    }
    let records = ledger.story(&Stream::Deployment(deployment.id()))?;
    let step = records.iter().rev().find_map(failed_step);
    Ok(Some(Story { step, earlier }))
}

fn failed_step(record: &Record) -> Option<Lifecycle> {
    let Event::Deployment(DeploymentEvent::Progressed { progress }) = &record.event else { return None };
    progress.lifecycle.iter().find(|it| it.status == StepStatus::Failed).cloned()
}

/// Writes the comment, or edits the one that stands there. May run twice: one whose answer was lost is found by our id.
pub(super) async fn say(
    client: &GitHubClient,
    deployment: &Deployment,
    message: &Message,
    story: &Story,
) -> Result<Said, GitHubError> {
    let repository = &deployment.order().target.repository;
    let of_commit = story.earlier.iter().find(|it| it.sha == message.sha.as_str());
    let thread = match of_commit {
        Some(earlier) => earlier.thread.clone(),
        None => thread(client, &format!("/repos/{repository}"), message.sha.as_str()).await?,
    };
    let (list, edits) = match thread.strip_prefix("pull/") {
        Some(number) => (format!("/repos/{repository}/issues/{number}/comments"), "issues/comments"),
        None => (format!("/repos/{repository}/commits/{}/comments", message.sha), "comments"),
    };
    let body = Body { body: text(deployment, message, story) };
    let said = |id: String| Said { context: thread.clone(), ..Said::all(Some(id), message) };
    let standing = match story.earlier.iter().find(|it| it.thread == thread) {
        Some(earlier) => Some(earlier.id.clone()),
        None => find(client, &list, deployment).await?,
    };
    if let Some(id) = standing {
        match client.patch::<Value>(&format!("/repos/{repository}/{edits}/{id}"), &body).await {
            Ok(_) => return Ok(said(id)),
            // Somebody deleted it; what there is to tell is told again.
            Err(GitHubError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    let Listed { id, .. } = client.post(&list, &body).await?;
    Ok(said(id.to_string()))
}

#[derive(Serialize)]
struct Body {
    body: String,
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    #[serde(default)]
    body: Option<String>,
}

/// Where the commit is talked of: its open pull request, else its newest, else the commit itself.
async fn thread(client: &GitHubClient, repository: &str, sha: &str) -> Result<String, GitHubError> {
    #[derive(Deserialize)]
    struct Pull {
        number: u64,
        state: String,
    }
    let pulls: Vec<Pull> = client.look_json(&format!("{repository}/commits/{sha}/pulls?per_page=100")).await?;
    let newest = pulls.iter().max_by_key(|it| (it.state == "open", it.number));
    Ok(newest.map_or_else(|| format!("commit/{sha}"), |it| format!("pull/{}", it.number)))
}

/// The comment of a try whose answer was lost. Threads are listed from their beginning, so old ones are left out.
async fn find(client: &GitHubClient, list: &str, deployment: &Deployment) -> Result<Option<String>, GitHubError> {
    let (since, marker) = (deployment.created_at().strftime("%Y-%m-%dT%H:%M:%SZ"), marker(deployment));
    let all: Vec<Listed> = client.look_json(&format!("{list}?per_page=100&since={since}")).await?;
    let ours = |it: &Listed| it.body.as_deref().is_some_and(|body| body.starts_with(&marker));
    Ok(all.iter().find(|it| ours(it)).map(|it| it.id.to_string()))
}

fn marker(deployment: &Deployment) -> String {
    format!("<!-- landfall {} -->", deployment.id())
}

/// The comment. Secrets are out of the notice and the failure already.
fn text(deployment: &Deployment, message: &Message, story: &Story) -> String {
    let (order, failure) = (deployment.order(), deployment.state().failure());
    let mut parts = vec![marker(deployment)];
    let how = if message.notice.state == NoticeState::Success { "succeeded after a failure" } else { "failed" };
    let (target, commit) = (code(order.target.name.as_str()), code(message.sha.short()));
    parts.push(format!("### The deployment of {commit} to {target} {how}\n"));
    let step = story.step.as_ref().filter(|_| failure.is_some());
    let facts = [
        ("Event", step.map(|it| it.name.clone())),
        ("Instance", step.and_then(|it| it.instance.clone())),
        ("Script", step.and_then(|it| it.script.clone())),
        ("Exit code", failure.and_then(Failure::exit_code).map(|it| it.to_string())),
    ];
    for (name, value) in facts {
        parts.extend(value.map(|value| format!("- {name}: {}", code(&value))));
    }
    let help = failure.and_then(|it| it.help.as_deref());
    let said: Vec<String> = [Some(message.notice.text.as_str()), help].into_iter().flatten().map(line).collect();
    parts.push(format!("\n{}", fenced(&said.join("\n"))));
    if let Some(detail) = failure.and_then(|it| it.detail.as_deref()) {
        let log = fenced(&tail(detail));
        parts.push(format!("\n<details><summary>The last lines of its log</summary>\n\n{log}\n\n</details>"));
    }
    parts.extend(message.url.as_ref().map(|url| format!("\n[The whole story]({url})")));
    parts.join("\n")
}

/// One line of bounded length.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_LINE).collect()
}

/// The end of a long text.
fn tail(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(LONGEST_LOG);
    text.chars().skip(skipped).collect()
}

/// Text as it is, in a block that it cannot end: the fence is longer than any run of backticks in it.
fn fenced(text: &str) -> String {
    let plain = harmless(text);
    let fence = "`".repeat(longest_run(&plain).max(2) + 1);
    format!("{fence}text\n{}\n{fence}", plain.trim_end())
}

/// A word as it is, in a span that it cannot end.
fn code(text: &str) -> String {
    let plain = harmless(&line(text));
    match longest_run(&plain) {
        0 => format!("`{plain}`"),
        run => {
            let fence = "`".repeat(run + 1);
            format!("{fence} {plain} {fence}")
        }
    }
}

fn longest_run(text: &str) -> usize {
    let runs: BTreeSet<usize> = text.split(|it| it != '`').map(str::len).collect();
    runs.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_leaves_its_code() {
        assert_eq!(fenced("a\n```\n@all <img>\u{202e}\u{1b}[31m"), "````text\na\n```\n@all <img>[31m\n````");
        assert_eq!(fenced("plain"), "```text\nplain\n```");
        assert_eq!(code("scripts/`x`.sh\n# not a heading"), "`` scripts/`x`.sh # not a heading ``");
        assert_eq!(code("@ada"), "`@ada`");
        assert_eq!(tail(&"é".repeat(100_000)).chars().count(), LONGEST_LOG);
    }
}
