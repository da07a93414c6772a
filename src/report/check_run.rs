//! A check run of findings: what a person should change in the AppSpec or the scripts, beside the very lines. Only a
//! GitHub App may make one.

use serde::{Deserialize, Serialize};

use super::sink::{Message, Said};
use crate::clients::github::{GitHubClient, GitHubError};
use crate::domain::{
    Deployment, DeploymentEvent, Event, Finding, Notice, NoticeState, Record, Severity, Stream, one_line,
};
use crate::ledger::{Ledger, LedgerError};

/// GitHub takes so many with one request.
const ANNOTATIONS: usize = 50;

/// What was found in a deployment's revision, the gravest first.
pub(super) fn findings(ledger: &Ledger, deployment: &Deployment) -> Result<Vec<Finding>, LedgerError> {
    let refused = deployment.state().failure().and_then(|it| it.findings.as_deref()).map(|it| it.0.clone());
    let mut findings = match refused {
        Some(findings) => findings,
        None if deployment.revision().is_none() => vec![],
        None => passed_over(ledger, deployment)?,
    };
    findings.sort_by_key(|it| (it.severity, it.place.is_none()));
    Ok(findings)
}

/// What was found although it deploys.
fn passed_over(ledger: &Ledger, deployment: &Deployment) -> Result<Vec<Finding>, LedgerError> {
    let records = ledger.story(&Stream::Deployment(deployment.id()))?;
    Ok(records.into_iter().rev().find_map(prepared).unwrap_or_default())
}

fn prepared(record: Record) -> Option<Vec<Finding>> {
    let Event::Deployment(DeploymentEvent::Prepared { findings, .. }) = record.event else { return None };
    Some(findings)
}

/// What should stand there; nothing where nothing was found.
pub(super) fn notice(findings: &[Finding]) -> Option<Notice> {
    let errors = findings.iter().filter(|it| it.severity == Severity::Error).count();
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (state, text) = match (errors, findings.len()) {
        (_, 0) => return None,
        (0, all) => (NoticeState::Success, count(all, "finding")),
        (errors, all) if errors == all => (NoticeState::Failure, count(errors, "error")),
        (errors, all) => {
            (NoticeState::Failure, format!("{} and {}", count(errors, "error"), count(all - errors, "more finding")))
        }
    };
    Some(Notice { state, text })
}

/// The check run's name: not the status's, so that a rule for one never takes the other for it.
pub(super) fn context(status: &str) -> String {
    format!("{status} findings")
}

/// Makes a check run; of one name the newest counts, and a change would add to the annotations of the one before. May run
/// twice: one whose answer was lost is found by our id and what it says.
pub(super) async fn say(
    client: &GitHubClient,
    deployment: &Deployment,
    message: &Message,
    findings: &[Finding],
) -> Result<Said, GitHubError> {
    let (id, repository) = (deployment.id().to_string(), &deployment.order().target.repository);
    let body = CheckRun {
        name: &message.context,
        head_sha: message.sha.as_str(),
        external_id: &id,
        details_url: message.url.as_deref(),
        status: "completed",
        // What was found and deploys is no failure, and no success either.
        conclusion: if message.notice.state == NoticeState::Failure { "failure" } else { "neutral" },
        output: Output {
            title: &message.notice.text,
            summary: summary(findings),
            annotations: findings.iter().filter_map(annotation).take(ANNOTATIONS).collect(),
        },
    };
    let made = match find(client, &format!("/repos/{repository}/commits/{}", message.sha), &body).await? {
        Some(there) => there,
        None => client.post::<Made>(&format!("/repos/{repository}/check-runs"), &body).await?.id,
    };
    Ok(Said::all(Some(made.to_string()), message))
}

#[derive(Serialize)]
struct CheckRun<'a> {
    name: &'a str,
    head_sha: &'a str,
    external_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details_url: Option<&'a str>,
    status: &'static str,
    conclusion: &'static str,
    output: Output<'a>,
}

#[derive(Serialize)]
struct Output<'a> {
    title: &'a str,
    summary: String,
    annotations: Vec<Annotation<'a>>,
}

#[derive(Serialize)]
struct Annotation<'a> {
    path: &'a str,
    start_line: u32,
    end_line: u32,
    annotation_level: &'static str,
    title: &'a str,
    message: String,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

async fn find(client: &GitHubClient, commit: &str, ours: &CheckRun<'_>) -> Result<Option<u64>, GitHubError> {
    #[derive(Deserialize)]
    struct Page {
        check_runs: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        id: u64,
        external_id: Option<String>,
        output: Titled,
    }
    #[derive(Deserialize)]
    struct Titled {
        title: Option<String>,
    }
    let name: String = form_urlencoded::byte_serialize(ours.name.as_bytes()).collect();
    let Page { check_runs } =
        client.look_json(&format!("{commit}/check-runs?check_name={name}&filter=all&per_page=100")).await?;
    let is_ours = |it: &Listed| {
        it.external_id.as_deref() == Some(ours.external_id) && it.output.title.as_deref() == Some(ours.output.title)
    };
    Ok(check_runs.into_iter().find(is_ours).map(|it| it.id))
}

fn annotation(finding: &Finding) -> Option<Annotation<'_>> {
    let place = finding.place.as_ref()?;
    let annotation_level = match finding.severity {
        Severity::Error => "failure",
        Severity::Warning => "warning",
        Severity::Portability | Severity::Style => "notice",
    };
    let help = finding.help.as_ref().map(|it| format!("\n{it}")).unwrap_or_default();
    let message = format!("{}{help}", finding.message);
    Some(Annotation {
        path: &place.file,
        start_line: place.line,
        end_line: place.line,
        annotation_level,
        title: &finding.code,
        message,
    })
}

/// What stands in a block of code must not end it.
const LONGEST_LINE: usize = 1000;

/// What stands beside no line, and how much there is no room for.
fn summary(findings: &[Finding]) -> String {
    let (placed, others): (Vec<_>, Vec<_>) = findings.iter().partition(|it| it.place.is_some());
    let mut lines: Vec<String> =
        others.iter().take(ANNOTATIONS).map(|it| format!("    {}", one_line(&it.to_string(), LONGEST_LINE))).collect();
    if let Some(more) = placed.len().checked_sub(ANNOTATIONS + 1) {
        lines.push(format!("\nand {} more: `landfall check` in the repository shows all of them.", more + 1));
    }
    if lines.is_empty() { "Each finding stands beside its line.".into() } else { lines.join("\n") }
}
