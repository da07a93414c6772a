//! What the templates are filled with, and how times and lengths are said on pages. Templates escape all text.

use askama::Template;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::door::Reader;
use super::log::{LogSheet, last_under, marked, turns};
use super::plot::{HIGH, STEP, bars};
use super::sessions::fresh;
use crate::board::{
    AuditPage, Changes, Configuration, DEFINITIONS, DeliveriesPage, DeliveriesQuery, DeliveryDetail, DeploymentDetail,
    DeploymentView, DeploymentsPage, DeploymentsQuery, EventView, HoldView, Moment, MomentView, Period, Stage,
    TargetView, TrendView,
};
use crate::domain::{Finding, Grant, HoldKind, Lifecycle, Lock, LogLine, Offset, Outage, Pause, Role, StepStatus};

/// What surrounds every page: who reads it, and when.
pub(super) struct Frame {
    now: Timestamp,
    csrf: Option<String>,
    pub(super) grant: Option<Grant>,
    pub(super) here: &'static str,
    /// From where on events tell what the page does not show yet.
    pub(super) since: Offset,
}

impl Frame {
    /// For a reader; `here` is the part of the site that the navigation marks.
    pub(super) fn new(reader: &Reader, now: Timestamp, here: &'static str) -> Self {
        Self {
            now,
            csrf: reader.csrf().map(str::to_owned),
            grant: reader.grant().cloned(),
            here,
            since: reader.since(),
        }
    }

    /// What a session's forms must carry.
    pub(super) fn csrf(&self) -> Option<&str> {
        self.csrf.as_deref()
    }

    /// The same, where this reader may ask for deployments and what steers a target.
    fn may_deploy(&self) -> Option<&str> {
        self.csrf().filter(|_| self.reaches(Role::Deploy))
    }

    /// The same, where this reader may steer the whole bot.
    fn may_administer(&self) -> Option<&str> {
        self.csrf().filter(|_| self.reaches(Role::Admin))
    }

    fn reaches(&self, needs: Role) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.reaches(needs).is_ok())
    }

    /// A new key for a form, so that a double click is one request.
    pub(super) fn key(&self) -> String {
        fresh().split_off(32)
    }

    /// `3 min ago`.
    pub(super) fn ago(&self, at: &Timestamp) -> String {
        let seconds = self.now.duration_since(*at).as_secs();
        match seconds {
            i64::MIN..0 => format!("in {}", long(-seconds)),
            0..5 => "just now".into(),
            _ => format!("{} ago", long(seconds)),
        }
    }
}

/// Text in which what stands between backticks is code; everything is escaped.
pub(super) fn ticked(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let pieces: Vec<&str> = text.split('`').collect();
    for (at, piece) in pieces.iter().enumerate() {
        // A backtick without a partner stays one.
        let (before, after) = match (at % 2 == 1, at + 1 == pieces.len()) {
            (true, false) => ("<code>", "</code>"),
            (true, true) => ("`", ""),
            (false, _) => ("", ""),
        };
        html.push_str(before);
        for letter in piece.chars() {
            match letter {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                other => html.push(other),
            }
        }
        html.push_str(after);
    }
    html
}

/// A time for people: `2026-01-02 03:04:05 UTC`.
pub(super) fn exact(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The time of day, for a list of events of some minutes.
fn of_day(at: &Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// Seconds in the largest unit that is not a lie: `59 s`, `4 min`, `3 h`, `12 days`.
fn long(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Milliseconds, with as many digits as a person cares for: `40 ms`, `1.3 s`, `2 min 5 s`.
fn took(ms: &u64) -> String {
    let seconds = ms / 1000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{seconds}.{} s", ms % 1000 / 100),
        10_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long a deployment took, or has taken so far.
fn lasted(deployment: &DeploymentView, frame: &Frame) -> String {
    let end = deployment.ended_at.unwrap_or(frame.now);
    took(&u64::try_from(end.duration_since(deployment.created_at).as_millis()).unwrap_or(0))
}

/// What people call a ref: `main`, `v1.0`.
fn short_ref(reference: &str) -> &str {
    let branch = reference.strip_prefix("refs/heads/");
    branch.or_else(|| reference.strip_prefix("refs/tags/")).unwrap_or(reference)
}

/// A status as the class and word of pages.
fn word(status: &StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "pending",
        StepStatus::InProgress => "running",
        StepStatus::Succeeded => "succeeded",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "skipped",
        StepStatus::Unknown => "unknown",
    }
}

/// How wide a lifecycle event's bar is, in percent of the longest.
fn share(event: &Lifecycle, all: &[Lifecycle]) -> u64 {
    let longest = all.iter().filter_map(|it| it.took_ms).max().unwrap_or(0).max(1);
    event.took_ms.map_or(0, |ms| (ms * 100 / longest).max(1))
}

/// Whether a hold is of one target as a whole: what is of a deployment stands with that, and a pause above them all.
fn is_of_target(hold: &HoldView) -> bool {
    hold.deployment.is_none() && hold.kind != HoldKind::Paused
}

/// When a hold ends, where its reason does not say so.
fn until(hold: &HoldView) -> Option<&Timestamp> {
    hold.until.as_ref().filter(|_| hold.kind != HoldKind::Freeze)
}

/// What holds a target, without what its deployments only wait for because all of it does.
fn once(holds: &[HoldView]) -> impl Iterator<Item = &HoldView> {
    let is_of_all = |it: &HoldView| holds.iter().any(|all| all.deployment.is_none() && all.reason == it.reason);
    holds.iter().filter(move |it| it.deployment.is_none() || !is_of_all(it))
}

/// How far an engine told to be, whatever a script said last; nothing where that is not what happened.
fn gone_on(event: &EventView) -> Option<Map<String, Value>> {
    let mut progress = event.event.get("progress")?.as_object()?.clone();
    progress.remove("said");
    Some(progress)
}

/// The program's version, which names the assets too.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `/`.
#[derive(Template)]
#[template(path = "targets.html", config = "src/web/askama.toml")]
pub(super) struct TargetsSheet {
    pub(super) frame: Frame,
    pub(super) pause: Option<Pause>,
    pub(super) lock: Option<Lock>,
    pub(super) outages: Vec<Outage>,
    pub(super) targets: Vec<TargetView>,
    pub(super) latest: Vec<DeploymentView>,
}

/// `/targets/{name}`.
#[derive(Template)]
#[template(path = "target.html", config = "src/web/askama.toml")]
pub(super) struct TargetSheet {
    pub(super) frame: Frame,
    pub(super) target: TargetView,
    pub(super) configuration: Configuration,
    pub(super) findings: Vec<Finding>,
    pub(super) trend: TrendView,
    pub(super) history: DeploymentsPage,
    pub(super) reference: String,
}

/// `/live`.
#[derive(Template)]
#[template(path = "live.html", config = "src/web/askama.toml")]
pub(super) struct LiveSheet {
    pub(super) frame: Frame,
    pub(super) asked: String,
    pub(super) at: Option<Timestamp>,
    pub(super) places: Vec<MomentView>,
}

/// `/deployments`.
#[derive(Template)]
#[template(path = "deployments.html", config = "src/web/askama.toml")]
pub(super) struct DeploymentsSheet {
    pub(super) frame: Frame,
    pub(super) query: DeploymentsQuery,
    pub(super) targets: Vec<TargetView>,
    pub(super) found: DeploymentsPage,
}

/// `/deployments/{id}`.
#[derive(Template)]
#[template(path = "deployment.html", config = "src/web/askama.toml")]
pub(super) struct DeploymentSheet {
    pub(super) frame: Frame,
    pub(super) it: DeploymentDetail,
    pub(super) log: Option<LogSheet>,
    /// The last lines of what failed.
    pub(super) last_words: Vec<LogLine>,
    /// What it brings that was not live before.
    pub(super) changes: Option<Changes>,
}

/// `/deliveries`.
#[derive(Template)]
#[template(path = "deliveries.html", config = "src/web/askama.toml")]
pub(super) struct DeliveriesSheet {
    pub(super) frame: Frame,
    pub(super) query: DeliveriesQuery,
    pub(super) found: DeliveriesPage,
}

/// `/deliveries/{id}`.
#[derive(Template)]
#[template(path = "delivery.html", config = "src/web/askama.toml")]
pub(super) struct DeliverySheet {
    pub(super) frame: Frame,
    pub(super) it: DeliveryDetail,
}

/// `/audit`.
#[derive(Template)]
#[template(path = "audit.html", config = "src/web/askama.toml")]
pub(super) struct AuditSheet {
    pub(super) frame: Frame,
    pub(super) found: AuditPage,
}

impl LoginPage<'_> {
    /// The way to GitHub, and on from there.
    fn start(&self) -> String {
        let next: String = form_urlencoded::byte_serialize(self.next.as_bytes()).collect();
        format!("/login/start?next={next}")
    }
}

/// `/login`.
#[derive(Template)]
#[template(path = "login.html", config = "src/web/askama.toml")]
pub(super) struct LoginPage<'a> {
    pub(super) next: &'a str,
    /// Whether people sign in with GitHub, too.
    pub(super) github: bool,
    pub(super) wrong: Option<&'a str>,
}

/// What went wrong.
#[derive(Template)]
#[template(path = "error.html", config = "src/web/askama.toml")]
pub(super) struct ErrorPage<'a> {
    pub(super) status: u16,
    pub(super) title: &'a str,
    pub(super) message: &'a str,
    pub(super) help: Option<&'a str>,
    pub(super) code: Option<&'a str>,
}

/// A page that asks for itself again, or for another of ours.
#[derive(Template)]
#[template(path = "bounce.html", config = "src/web/askama.toml")]
pub(super) struct BouncePage<'a> {
    pub(super) to: &'a str,
}

impl TargetSheet {
    /// The four figures, each with its value, the one of the period before, and what it is.
    fn figures(&self) -> Vec<(&'static str, String, String, &'static str)> {
        let said = DEFINITIONS.map(|(name, meaning)| (name, meaning));
        let unit = |few: usize| format!("{few} in 30 days");
        let plain = |few: usize| few.to_string();
        let values = of_period(&self.trend.now, unit).into_iter().zip(of_period(&self.trend.before, plain));
        said.into_iter().zip(values).map(|((name, meaning), (now, before))| (name, now, before, meaning)).collect()
    }
}

/// A period's figures in the order in which they are explained; few deployments in these words.
fn of_period(it: &Period, few: impl Fn(usize) -> String) -> [String; 4] {
    let time = |seconds: Option<i64>| match seconds {
        None => "–".to_owned(),
        Some(..1) => "under 1 s".to_owned(),
        Some(it) => took(&u64::try_from(it * 1000).unwrap_or(0)),
    };
    // Few are counted: a share of one is nothing that anybody can picture.
    let often = if it.per_day < 1.0 { few(it.deployments) } else { format!("{:.1} a day", it.per_day) };
    let rate = it.change_failure_rate.map_or("–".to_owned(), |it| format!("{:.0} %", it * 100.0));
    [often, time(it.lead_time_s), rate, time(it.time_to_restore_s)]
}

impl DeploymentsSheet {
    /// The rest of the query for the link to the next page.
    fn rest(&self) -> String {
        let DeploymentsQuery { target, repository, sha, state, since, until, before: _, limit: _ } = &self.query;
        parameters([
            ("target", target.as_ref().map(|it| it.as_str())),
            ("repository", repository.as_ref().map(|it| it.as_str())),
            ("sha", sha.as_deref()),
            ("state", state.as_deref()),
            ("since", written(since.as_ref())),
            ("until", written(until.as_ref())),
        ])
    }
}

impl DeliveriesSheet {
    /// The rest of the query for the link to the next page.
    fn rest(&self) -> String {
        let DeliveriesQuery { repository, since, until, before: _, limit: _ } = &self.query;
        parameters([
            ("repository", repository.as_ref().map(|it| it.as_str())),
            ("since", written(since.as_ref())),
            ("until", written(until.as_ref())),
        ])
    }

    /// Whether the reader asked for some of them only.
    fn is_chosen(&self) -> bool {
        !self.rest().is_empty()
    }
}

/// What a form shows of a time that was asked for.
fn written(moment: Option<&Moment>) -> Option<&str> {
    moment.map(|it| it.written.as_str())
}

/// `a=b&c=d`, of those that have a value.
fn parameters<const N: usize>(pairs: [(&str, Option<&str>); N]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (key, value) in pairs {
        value.map(|value| text.append_pair(key, value));
    }
    text.finish()
}

impl DeploymentSheet {
    /// What happened, but not each line that a script said meanwhile: the log has those.
    fn story(&self) -> impl Iterator<Item = &EventView> {
        let follows = self.it.events.iter().skip(1).map(Some).chain([None]);
        let tells_more = |it: &EventView, next: &EventView| gone_on(it).is_none() || gone_on(it) != gone_on(next);
        let told = self.it.events.iter().zip(follows);
        told.filter(move |(it, next)| next.is_none_or(|next| tells_more(it, next))).map(|(it, _)| it)
    }

    /// How far a stage is; the one that is waited in says so.
    fn stage_word(&self, stage: &Stage) -> &'static str {
        let word = word(&stage.status);
        if word == "running" && self.it.summary.state == "held" { "held" } else { word }
    }

    /// Whether the stage is shown with its length.
    fn stage_time(stage: &Stage) -> Option<String> {
        stage.took_ms.as_ref().map(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DeploymentId;

    #[test]
    fn code_is_set_apart_and_nothing_else_gets_through() {
        assert_eq!(ticked("`a<b>` & 'c'"), "<code>a&lt;b&gt;</code> &amp; &#39;c&#39;");
        assert_eq!(ticked("one ` alone <i>"), "one ` alone &lt;i&gt;");
    }

    #[test]
    fn what_holds_a_target_is_said_once_and_its_end_too() {
        let id = DeploymentId::derive(Timestamp::UNIX_EPOCH, &["push"]);
        let hold = |kind, reason: &str, deployment| HoldView {
            kind,
            reason: reason.into(),
            by: None,
            since: None,
            until: Some(Timestamp::UNIX_EPOCH),
            deployment,
        };
        let frozen = hold(HoldKind::Freeze, "frozen until Monday", None);
        let holds = [
            frozen.clone(),
            HoldView { deployment: Some(id), ..frozen },
            hold(HoldKind::Approval, "waiting for ada", Some(id)),
        ];
        let said: Vec<_> = once(&holds).map(|it| (it.reason.as_str(), until(it).is_some())).collect();
        assert_eq!(said, [("frozen until Monday", false), ("waiting for ada", true)]);
    }

    #[test]
    fn lengths_are_said_as_people_say_them() {
        let said: Vec<String> = [0, 999, 1_350, 42_000, 125_000, 7_260_000].iter().map(took).collect();
        assert_eq!(said, ["0 ms", "999 ms", "1.3 s", "42 s", "2 min 5 s", "2 h 1 min"]);
        let said: Vec<String> = [59, 60, 3_600, 90_000, 172_800].into_iter().map(long).collect();
        assert_eq!(said, ["59 s", "1 min", "1 h", "25 h", "2 days"]);
    }
}
