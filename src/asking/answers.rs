//! What is answered to a command, line by line, in no service's form yet.

use jiff::Timestamp;

use super::person::Person;
use super::port::Asked;
use super::words::WORDS;
use crate::board::{self, Board, DeploymentDetail, PlanView, TargetView, TargetsPage, WhyPage};
use crate::chat::Span;
use crate::domain::{Ask, Failure, spell};

type Line = Vec<Span>;

/// Longer lists are cut: a dashboard is there for them.
const MOST_LINES: usize = 25;

/// Something goes on: what, by whom, and where to look.
pub(super) fn asked(person: &Person, what: &Ask, asked: &Asked, board: &Board) -> Vec<Line> {
    let mut first = vec![Span::plain("✓ "), Span::Strong(person.actor()), Span::plain(" ")];
    first.extend(said(&board::asked(what)));
    let mut lines = vec![first];
    for id in &asked.deployments {
        lines.push(vec![Span::plain("Deployment "), link(&id.to_string(), &board.page_of(*id))]);
    }
    lines.extend(asked.told.iter().flat_map(|it| it.lines()).map(said));
    if asked.repeat {
        lines.push(vec![Span::plain("The same had been asked before: nothing is done twice.")]);
    }
    lines
}

/// Why nothing goes on, and what to do.
pub(super) fn refused(failure: &Failure) -> Vec<Line> {
    let why = [vec![Span::plain("✗ ")], said(&failure.message)].concat();
    std::iter::once(why).chain(failure.help.as_deref().map(advice)).collect()
}

/// What there is to say.
pub(super) fn help() -> Vec<Line> {
    WORDS.iter().map(|(_, usage, deed)| vec![Span::Code((*usage).into()), Span::plain(format!(" {deed}"))]).collect()
}

/// How targets stand.
pub(super) fn targets(page: &TargetsPage, now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(pause) = &page.pause {
        let why = pause.reason.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
        lines.push(vec![Span::Strong("Releases are paused".into()), Span::Said(format!(" by {}{why}", pause.actor))]);
    }
    lines.extend(page.targets.iter().flat_map(|it| target(it, now)));
    if lines.len() > MOST_LINES {
        let more = lines.len() - MOST_LINES;
        lines.truncate(MOST_LINES);
        lines.push(vec![Span::plain(format!("and {more} lines more: name a target"))]);
    }
    lines
}

fn target(target: &TargetView, now: Timestamp) -> Vec<Line> {
    let mut first = vec![Span::Strong(target.name.to_string()), Span::plain(": ")];
    match &target.live {
        Some(live) => {
            let ago = now.duration_since(live.at).unsigned_abs();
            first.push(commit(live.sha.short(), live.commit_url.as_deref()));
            first.push(Span::plain(format!(" is live, since {} ago", spell(ago))));
            first.extend(live.title.iter().flat_map(|it| [Span::plain(" · "), Span::Said(it.clone())]));
        }
        None => first.push(Span::plain("nothing is live yet")),
    }
    let mut lines = vec![first];
    lines.extend(target.running.iter().map(|id| vec![Span::plain("– runs: "), Span::Code(id.to_string())]));
    for hold in &target.holds {
        let mut line = vec![Span::plain("– waits: ")];
        line.extend(hold.deployment.iter().flat_map(|id| [Span::Code(id.to_string()), Span::plain(" ")]));
        line.extend(said(&hold.reason));
        lines.push(line);
    }
    if target.holds.is_empty() && !target.waiting.is_empty() {
        lines.push(vec![Span::plain(format!("– {} wait their turn", target.waiting.len()))]);
    }
    lines
}

/// How a deployment stands.
pub(super) fn deployment(it: &DeploymentDetail) -> Vec<Line> {
    let summary = &it.summary;
    let mut first = vec![link(&summary.id.to_string(), &summary.url), Span::plain(" of ")];
    first.push(commit(summary.sha.short(), it.commit_url.as_deref()));
    first.extend([Span::plain(" to "), Span::Strong(summary.target.to_string()), Span::plain(": ")]);
    first.extend(said(&summary.text));
    let mut lines = vec![first];
    lines.extend(it.approval.iter().flat_map(|it| &it.awaited).map(|it| said(it)));
    let help = it.failure.iter().chain(&it.stumble).filter_map(|it| it.help.as_deref());
    lines.extend(help.map(advice));
    lines
}

/// Why a commit runs somewhere, or does not.
pub(super) fn why(page: &WhyPage) -> Vec<Line> {
    let line = |plan: &PlanView| {
        let mut line = vec![Span::Strong(plan.target.to_string()), Span::plain(format!(": {}", plan.state))];
        line.push(Span::plain(" · "));
        line.extend(said(&plan.reason));
        line
    };
    let first = vec![Span::Code(page.sha.short().to_owned())];
    std::iter::once(first).chain(page.plans.iter().rev().take(MOST_LINES).map(line)).collect()
}

/// Words of a sentence, of which those in backticks stand letter by letter. Whatever others wrote in it does nothing.
fn said(text: &str) -> Line {
    let parts = text.split('`').enumerate().filter(|(_, it)| !it.is_empty());
    parts.map(|(at, it)| if at % 2 == 0 { Span::Said(it.into()) } else { Span::Code(it.into()) }).collect()
}

fn advice(help: &str) -> Line {
    [vec![Span::Strong("What to do: ".into())], said(help)].concat()
}

fn commit(short: &str, url: Option<&str>) -> Span {
    match url {
        Some(url) => Span::Link { text: short.to_owned(), url: url.to_owned() },
        None => Span::Code(short.to_owned()),
    }
}

/// A link, or its text alone where no address is known.
fn link(text: &str, url: &str) -> Span {
    if url.starts_with("http") {
        return Span::Link { text: text.to_owned(), url: url.to_owned() };
    }
    Span::Code(text.to_owned())
}
