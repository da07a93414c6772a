//! All targets, or one, as a live view shows them: what is live, what is under way and how far, why something waits. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::super::history;
use super::super::status::{Deployment, Target, notes, short};
use super::super::terminal::{BOLD, Cell, DIM, ago, line_within, of_state, table_within};
use super::deployment;
use crate::domain::Outage;

/// What all targets are at.
pub(super) struct Overview {
    pub(super) targets: Vec<Target>,
    /// Those under way, as far as they were asked for.
    pub(super) running: Vec<Deployment>,
    pub(super) outages: Vec<Outage>,
}

/// What one target is at.
pub(super) struct AtTarget {
    pub(super) target: Target,
    /// The one under way, or the newest.
    pub(super) deployment: Option<Deployment>,
    pub(super) recent: Vec<Deployment>,
}

impl Overview {
    /// It in lines of so many columns.
    pub(super) fn lines(&self, now: Timestamp, gone: Duration, width: usize) -> Vec<String> {
        let mut lines = table(&self.targets, &self.running, now, width);
        for deployment in &self.running {
            lines.push(String::new());
            lines.extend(deployment::brief(deployment, gone, width));
        }
        let told = self.targets.iter().flat_map(|it| notes(it, now));
        let mut told: Vec<String> = told
            .chain(self.outages.iter().map(|it| super::super::status::untold(it, now)))
            .map(|note| line_within(&note, width))
            .collect();
        if !told.is_empty() {
            lines.push(String::new());
            lines.append(&mut told);
        }
        lines
    }
}

impl AtTarget {
    /// It in lines of so many columns.
    pub(super) fn lines(&self, now: Timestamp, gone: Duration, width: usize) -> Vec<String> {
        let under_way = self.deployment.as_slice();
        let mut lines = table(std::slice::from_ref(&self.target), under_way, now, width);
        for deployment in under_way {
            lines.push(String::new());
            lines.extend(deployment::lines(deployment, gone, width));
        }
        let notes = notes(&self.target, now);
        lines.extend(notes.iter().map(|note| line_within(note, width)));
        if !self.recent.is_empty() {
            lines.push(String::new());
            lines.extend(history::within(Some(width), &self.recent, now).lines().map(str::to_owned));
        }
        lines
    }
}

fn table(targets: &[Target], running: &[Deployment], now: Timestamp, width: usize) -> Vec<String> {
    if targets.is_empty() {
        return vec!["no target is configured".into()];
    }
    let line = |it: &Target| {
        let live = it.live.as_ref();
        let under_way = running.iter().find(|of| it.running.as_ref() == Some(&of.id));
        let state = match (under_way, it.waiting.len()) {
            (Some(of), _) => Cell::styled(of_state(&of.state), &of.state),
            (None, _) if it.running.is_some() => Cell::styled(of_state("running"), "under way"),
            (None, 0) => Cell::new("-"),
            (None, waiting) => Cell::styled(of_state("held"), format!("{waiting} waiting")),
        };
        vec![
            Cell::styled(BOLD, &it.name),
            Cell::whole(live.map_or("-".into(), |live| short(&live.sha))),
            Cell::styled(DIM, live.map_or("-".into(), |live| ago(live.at, now))),
            state,
            Cell::new(live.and_then(|live| live.title.as_deref()).unwrap_or("")),
        ]
    };
    let rows: Vec<_> = targets.iter().map(line).collect();
    table_within(Some(width), &["TARGET", "LIVE", "SINCE", "NOW", "COMMIT"], &rows).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn overview() -> Overview {
        let id = "01KDZ9AVJQ0000000000000001";
        let live = json!({"sha": "a".repeat(40), "deployment": id, "at": "2010-01-02T03:00:00Z", "title": "Show the price with tax"});
        let target = |name: &str, running: bool, waiting: usize| {
            json!({
                "name": name, "repository": "acme/shop", "environment": name, "engine": "host", "live": live.clone(),
                "running": running.then_some(id), "waiting": vec![id; waiting],
                "holds": if waiting > 0 { json!([{"reason": "locked by ann: the fair is on"}]) } else { json!([]) },
            })
        };
        let targets = json!([target("shop-production", true, 0), target("blog", false, 2)]);
        let running = json!([{
            "id": id, "target": "shop-production", "ref": "refs/heads/main", "sha": "b".repeat(40), "author": "ann",
            "state": "running", "reason": null, "engine_id": "d-1", "url": null, "ended_at": null,
            "created_at": "2010-01-02T03:04:05Z",
            "stages": [{"name": "run", "status": "in-progress", "took_ms": 9000}],
            "events": [{"offset": 6, "at": "2010-01-02T03:04:07Z", "kind": "progressed", "text": "it runs", "progress": {
                "lifecycle": [{"name": "AfterInstall", "status": "in-progress", "script": "scripts/install.sh"}],
                "instances": {"succeeded": 3, "failed": 0, "skipped": 0, "in_progress": 2, "pending": 5},
            }}],
        }]);
        let outages = Vec::new();
        Overview {
            targets: serde_json::from_value(targets).unwrap(),
            running: serde_json::from_value(running).unwrap(),
            outages,
        }
    }

    fn check(lines: &[String], expected: &Expect) {
        let plain = anstream::adapter::strip_str(&lines.join("\n")).to_string();
        expected.assert_eq(&plain.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>());
    }

    #[test]
    fn everything_fits_a_wide_terminal_and_a_narrow_one() {
        let now = "2010-01-02T03:05:00Z".parse().unwrap();
        check(
            &overview().lines(now, Duration::from_secs(1), 79),
            &expect![[r#"
                TARGET           LIVE     SINCE      NOW        COMMIT
                shop-production  aaaaaaa  5 min ago  running    Show the price with tax
                blog             aaaaaaa  5 min ago  2 waiting  Show the price with tax

                01KDZ9AVJQ0000000000000001 running: bbbbbbb main to shop-production
                ▸ run      10 s
                    ▸ AfterInstall                  scripts/install.sh
                    ██████░░░░░░░░░░░░░░ 3 of 10 instances done

                waits blog: locked by ann: the fair is on
            "#]],
        );
        check(
            &overview().lines(now, Duration::from_secs(1), 59),
            &expect![[r#"
                TARGET         LIVE     SINCE      NOW        COMMIT
                shop-product…  aaaaaaa  5 min ago  running    Show the pri…
                blog           aaaaaaa  5 min ago  2 waiting  Show the pri…

                01KDZ9AVJQ0000000000000001 running: bbbbbbb main to shop-p…
                ▸ run      10 s
                    ▸ AfterInstall                  scripts/install.sh
                    ██████░░░░░░░░░░░░░░ 3 of 10 instances done

                waits blog: locked by ann: the fair is on
            "#]],
        );
        let empty = Overview { targets: vec![], running: vec![], outages: vec![] };
        check(&empty.lines(now, Duration::ZERO, 79), &expect![["no target is configured\n"]]);
    }

    #[test]
    fn a_target_shows_what_is_under_way_and_what_was_before() {
        let Overview { mut targets, mut running, .. } = overview();
        let (target, deployment) = (targets.remove(0), running.pop());
        let recent = overview().running;
        let now = "2010-01-02T03:05:00Z".parse().unwrap();
        check(
            &AtTarget { target, deployment, recent }.lines(now, Duration::ZERO, 79),
            &expect![[r#"
                TARGET           LIVE     SINCE      NOW      COMMIT
                shop-production  aaaaaaa  5 min ago  running  Show the price with tax

                01KDZ9AVJQ0000000000000001 running: bbbbbbb main to shop-production
                ▸ run      9 s
                    ██████░░░░░░░░░░░░░░ 3 of 10 instances done

                DEPLOYMENT                  STATE    COMMIT   BORN      WHY
                01KDZ9AVJQ0000000000000001  running  bbbbbbb  55 s ago
            "#]],
        );
    }
}
