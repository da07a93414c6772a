//! A deployment as a live view shows it: stages, lifecycle events, instances, the last line that a script said. Pure.

use std::time::Duration;

use super::super::status::{Deployment, Stage, short, short_ref};
use super::super::terminal::{BAD, BOLD, Cell, DIM, WAITS, line_within, of_state};
use super::bar::{bar, mark, taking, took};
use crate::domain::{Fleet, Instances, Lifecycle, Progress, StepStatus};

/// How many instances that failed are named; `landfall status ID` and the page have them all.
const FAILED_NAMED: usize = 3;

/// All that is known of it, in lines of so many columns. It was told so long ago as `gone`.
pub(super) fn lines(it: &Deployment, gone: Duration, width: usize) -> Vec<String> {
    let mut lines = vec![heading(it)];
    let title = it.title.as_deref().unwrap_or_default();
    lines.push(vec![Cell::styled(DIM, title)]);
    for stage in &it.stages {
        lines.push(stage_line(it, stage, gone));
        if stage.name == "run" && stage.status != StepStatus::Pending {
            lines.extend(run(it));
        }
    }
    lines.extend(waits(it));
    lines.iter().filter(|line| !line.iter().all(Cell::is_empty)).map(|line| line_within(line, width)).collect()
}

/// It in two lines, among others: what and where, and what is being done.
pub(super) fn brief(it: &Deployment, gone: Duration, width: usize) -> Vec<String> {
    let at_work = it.stages.iter().find(|stage| stage.status == StepStatus::InProgress);
    let mut lines = vec![heading(it)];
    lines.extend(at_work.map(|stage| stage_line(it, stage, gone)));
    if let Some(progress) = it.progress() {
        let event = progress.lifecycle.iter().rfind(|event| event.status == StepStatus::InProgress);
        lines.extend(event.map(lifecycle));
        lines.extend(instances(progress));
    }
    lines.extend(waits(it));
    lines.iter().map(|line| line_within(line, width)).collect()
}

fn heading(it: &Deployment) -> Vec<Cell> {
    let what = format!(": {} {} to {}", short(&it.sha), short_ref(&it.reference), it.target);
    let (id, state) = (Cell::styled(BOLD, &it.id), Cell::styled(of_state(&it.state), &it.state));
    vec![id, Cell::new(" "), state, Cell::new(what)]
}

fn stage_line(it: &Deployment, stage: &Stage, gone: Duration) -> Vec<Cell> {
    let (style, sign) = mark(stage.status);
    let long = stage.took_ms.map(Duration::from_millis);
    let long = match stage.status {
        StepStatus::InProgress => long.map(|long| taking(long + gone)),
        _ if long.is_none_or(|long| long.is_zero()) => None,
        StepStatus::Pending
        | StepStatus::Succeeded
        | StepStatus::Failed
        | StepStatus::Skipped
        | StepStatus::Unknown => long.map(took),
    };
    let came_of_it = match stage.name.as_str() {
        "prepare" => it.said_of("prepared"),
        "release" => it.said_of("released"),
        _ => None,
    };
    vec![
        Cell::styled(style, sign),
        Cell::new(format!(" {:<8}", stage.name)),
        Cell::styled(DIM, format!(" {:<9}", long.unwrap_or_default())),
        Cell::styled(DIM, came_of_it.map(|it| format!(" {it}")).unwrap_or_default()),
    ]
}

/// What the engine tells of the run.
fn run(it: &Deployment) -> Vec<Vec<Cell>> {
    let mut lines: Vec<Vec<Cell>> = it.lifecycle.iter().map(lifecycle).collect();
    if let Some(progress) = it.progress() {
        lines.extend(instances(progress));
        if let Some(traffic) = &progress.traffic {
            let told = format!(" {traffic}");
            lines.push(vec![Cell::new("    "), bar(traffic.percent.into(), 100), Cell::new(told)]);
        }
        let said = progress.said.as_deref().filter(|said| !said.is_empty() && it.is_running());
        lines.extend(said.map(|said| vec![Cell::styled(DIM, format!("      │ {said}"))]));
    }
    lines.extend(it.fleet.iter().filter(|fleet| fleet.is_several()).flat_map(failed));
    lines
}

fn lifecycle(it: &Lifecycle) -> Vec<Cell> {
    let (style, sign) = mark(it.status);
    let instance = it.instance.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
    let took = it.took_ms.map(|ms| took(Duration::from_millis(ms))).unwrap_or_default();
    let script = it.script.as_deref().unwrap_or_default();
    vec![
        Cell::new("    "),
        Cell::styled(style, sign),
        Cell::new(format!(" {:<19}", it.name)),
        Cell::styled(DIM, format!(" {took:<9}")),
        Cell::styled(DIM, instance),
        Cell::styled(DIM, format!(" {script}")),
    ]
}

/// How many instances are done, where there are several.
fn instances(progress: &Progress) -> Option<Vec<Cell>> {
    let Instances { succeeded, failed, skipped, .. } = progress.instances?;
    let all = progress.instances.map(|it| it.total()).filter(|all| *all > 1)?;
    let (failed_said, skipped_said) = (counted(failed, "failed"), counted(skipped, "skipped"));
    let told = format!(" {succeeded} of {all} instances done{skipped_said}");
    let done = bar(succeeded + failed + skipped, all);
    Some(vec![Cell::new("    "), done, Cell::new(told), Cell::styled(BAD, failed_said)])
}

fn counted(many: u64, what: &str) -> String {
    if many == 0 { String::new() } else { format!(", {many} {what}") }
}

/// The instances that need a person, and at which event they failed.
fn failed(fleet: &Fleet) -> Vec<Vec<Cell>> {
    let failed = fleet.instances.iter().filter(|it| it.status == StepStatus::Failed).take(FAILED_NAMED);
    let line = |it| {
        let at = fleet.row(it).find(|(_, status)| *status == Some(StepStatus::Failed));
        let at = at.map(|(event, _)| format!(" at {event}")).unwrap_or_default();
        vec![Cell::styled(BAD, "    ✗"), Cell::new(format!(" {}{at}", it.id))]
    };
    failed.map(line).collect()
}

/// What keeps it from going on.
fn waits(it: &Deployment) -> Vec<Vec<Cell>> {
    let line = |word: &str, why: &str| vec![Cell::styled(WAITS, word), Cell::new(format!(" {why}"))];
    let held = it.reason.as_deref().filter(|_| it.state == "held");
    let stumble = it.stumble.as_ref().filter(|_| !it.is_over()).map(|it| it.message.as_str());
    [held.map(|why| line("waits", why)), stumble.map(|why| line("tries again", why))].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn told(more: &Value) -> Deployment {
        let mut told = json!({
            "id": "01KDZ9AVJQ0000000000000001", "target": "blog", "ref": "refs/heads/main", "sha": "b".repeat(40),
            "author": "ann", "state": "running", "reason": null, "engine_id": null, "ended_at": null, "url": null,
            "created_at": "2010-01-02T03:04:05Z", "title": "Say hello to everybody who comes by",
            "stages": [
                {"name": "weigh", "status": "succeeded", "took_ms": 80},
                {"name": "prepare", "status": "succeeded", "took_ms": 1240},
                {"name": "release", "status": "succeeded", "took_ms": 12},
                {"name": "run", "status": "in-progress", "took_ms": 9000},
                {"name": "verify", "status": "pending", "took_ms": null},
            ],
            "events": [{"offset": 4, "at": "2010-01-02T03:04:05Z", "kind": "prepared", "text": "bundle stored: 3 files, 1 KB"}],
        });
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(told).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "a table reads better so")]
    fn check(width: usize, more: Value, expected: Expect) {
        let lines = lines(&told(&more), Duration::from_secs(3), width);
        let plain: String = lines.iter().map(|it| anstream::adapter::strip_str(it).to_string() + "\n").collect();
        expected.assert_eq(&plain.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>());
    }

    #[test]
    fn a_run_shows_its_events_and_what_the_script_says() {
        let lifecycle = json!([
            {"name": "BeforeInstall", "status": "succeeded", "took_ms": 310},
            {"name": "AfterInstall", "status": "in-progress", "script": "scripts/install.sh"},
            {"name": "ValidateService", "status": "pending"},
        ]);
        let events = json!([
            {"offset": 4, "at": "2010-01-02T03:04:05Z", "kind": "prepared", "text": "bundle stored: 3 files, 1 KB"},
            {"offset": 5, "at": "2010-01-02T03:04:06Z", "kind": "released", "text": "the engine took it as d-1"},
            {"offset": 6, "at": "2010-01-02T03:04:07Z", "kind": "progressed", "text": "AfterInstall runs",
             "progress": {"status": "InProgress", "lifecycle": lifecycle.clone(), "said": "npm: 214 packages"}},
        ]);
        check(
            80,
            json!({"lifecycle": lifecycle.clone(), "events": events.clone()}),
            expect![[r#"
                01KDZ9AVJQ0000000000000001 running: bbbbbbb main to blog
                Say hello to everybody who comes by
                ✓ weigh    80 ms
                ✓ prepare  1.2 s     bundle stored: 3 files, 1 KB
                ✓ release  12 ms     the engine took it as d-1
                ▸ run      12 s
                    ✓ BeforeInstall       310 ms
                    ▸ AfterInstall                  scripts/install.sh
                    · ValidateService
                      │ npm: 214 packages
                · verify
            "#]],
        );
        check(
            40,
            json!({"lifecycle": lifecycle, "events": events}),
            expect![[r#"
                01KDZ9AVJQ0000000000000001 running: bbb…
                Say hello to everybody who comes by
                ✓ weigh    80 ms
                ✓ prepare  1.2 s     bundle stored: 3 f…
                ✓ release  12 ms     the engine took it…
                ▸ run      12 s
                    ✓ BeforeInstall       310 ms
                    ▸ AfterInstall                  scr…
                    · ValidateService
                      │ npm: 214 packages
                · verify
            "#]],
        );
    }

    #[test]
    fn a_fleet_is_a_bar_and_its_failed_instances_by_name() {
        let progress = json!({
            "instances": {"succeeded": 11, "failed": 1, "skipped": 2, "in_progress": 2, "pending": 4},
            "traffic": {"percent": 30, "label": "the replacement task set"},
        });
        let events = json!([{"offset": 6, "at": "2010-01-02T03:04:07Z", "kind": "progressed", "progress": progress}]);
        let fleet = json!({
            "events": ["Install", "AfterInstall"], "unnamed": 18,
            "instances": [{"id": "i-0a1b", "status": "failed", "steps": "sf"}, {"id": "i-2", "status": "succeeded", "steps": "ss"}],
        });
        check(
            80,
            json!({"events": events, "fleet": fleet}),
            expect![[r#"
                01KDZ9AVJQ0000000000000001 running: bbbbbbb main to blog
                Say hello to everybody who comes by
                ✓ weigh    80 ms
                ✓ prepare  1.2 s
                ✓ release  12 ms
                ▸ run      12 s
                    ██████████████░░░░░░ 11 of 20 instances done, 2 skipped, 1 failed
                    ██████░░░░░░░░░░░░░░ 30 % on the replacement task set
                    ✗ i-0a1b at AfterInstall
                · verify
            "#]],
        );
    }

    #[test]
    fn what_waits_says_for_what() {
        let stages = json!([{"name": "weigh", "status": "in-progress", "took_ms": 65_000}]);
        check(
            80,
            json!({"state": "held", "reason": "locked by ann", "stages": stages.clone()}),
            expect![[r#"
                01KDZ9AVJQ0000000000000001 held: bbbbbbb main to blog
                Say hello to everybody who comes by
                ▸ weigh    1 min 8 s
                waits locked by ann
            "#]],
        );
        let stumble = json!({"code": "x/y", "message": "github is away", "blame": "setup"});
        check(
            80,
            json!({"state": "weighing", "stages": stages, "stumble": stumble}),
            expect![[r#"
            01KDZ9AVJQ0000000000000001 weighing: bbbbbbb main to blog
            Say hello to everybody who comes by
            ▸ weigh    1 min 8 s
            tries again github is away
        "#]],
        );
    }

    #[test]
    fn a_failure_is_seen_without_colours() {
        let stages = json!([
            {"name": "run", "status": "failed", "took_ms": 2100}, {"name": "verify", "status": "skipped", "took_ms": null},
        ]);
        let lifecycle = json!([{"name": "ValidateService", "status": "failed", "took_ms": 900, "script": "check.sh"}]);
        let end = json!("2010-01-02T03:05:05Z");
        let more = json!({"state": "failed", "reason": "check.sh exited with 1", "ended_at": end, "stages": stages, "lifecycle": lifecycle});
        check(
            80,
            more,
            expect![[r#"
                01KDZ9AVJQ0000000000000001 failed: bbbbbbb main to blog
                Say hello to everybody who comes by
                ✗ run      2.1 s
                    ✗ ValidateService     900 ms    check.sh
                – verify
            "#]],
        );
    }
}
