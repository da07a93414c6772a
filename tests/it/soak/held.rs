//! What a process holds on to, as `/proc` and its directory have it, and how that changes.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// At one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Memory that is in use, files that are mapped among it.
    resident_kib: usize,
    /// Memory of its own.
    own_kib: usize,
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    /// Processes that it began and has not let go of.
    pub(super) children: usize,
    ledger_kib: u64,
    data_kib: u64,
    log_kib: u64,
}

impl Held {
    pub(super) fn by(pid: u32, dir: &Path) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0)
        };
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let children = tasks.map(|it| fs::read_to_string(it.path().join("children")).unwrap_or_default());
        Self {
            resident_kib: number("VmRSS:"),
            own_kib: number("RssAnon:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
            threads: number("Threads:"),
            children: children.map(|it| it.split_whitespace().count()).sum(),
            ledger_kib: bytes_below(&dir.join("data/ledger")) / 1024,
            data_kib: bytes_below(&dir.join("data")) / 1024,
            log_kib: fs::metadata(dir.join("log")).map_or(0, |it| it.len()) / 1024,
        }
    }
}

/// How many bytes lie beneath a directory, whatever vanishes meanwhile.
fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|it| match it.metadata() {
            Ok(about) if about.is_dir() => bytes_below(&it.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}

/// What the program counts itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) records: u64,
    pub(super) ended: u64,
    pub(super) answers: u64,
}

/// What was held from moment to moment.
#[derive(Default)]
pub(super) struct Table {
    samples: Vec<(f64, Held)>,
    /// The minute that is told next.
    next: u64,
}

impl Table {
    /// Takes a moment in. Gives a line for each minute.
    pub(super) fn add(&mut self, at: Duration, held: Held, figures: impl FnOnce() -> Figures) -> Option<String> {
        self.samples.push((at.as_secs_f64() / 60.0, held));
        let minute = at.as_secs() / 60;
        let is_next = minute >= self.next;
        is_next.then(|| {
            let heading = if self.next == 0 { heading() + "\n" } else { String::new() };
            self.next = minute + 1;
            heading + &line(&format!("{minute} min"), &held, &figures())
        })
    }

    /// What memory of its own grows by in an hour, by the line that fits the second half best.
    pub(super) fn growth_of_an_hour_kib(&self) -> f64 {
        let half = &self.samples[self.samples.len() / 2..];
        let count = half.len() as f64;
        let own = |held: &Held| held.own_kib as f64;
        let mean_at = half.iter().map(|it| it.0).sum::<f64>() / count;
        let mean_own = half.iter().map(|it| own(&it.1)).sum::<f64>() / count;
        let together: f64 = half.iter().map(|it| (it.0 - mean_at) * (own(&it.1) - mean_own)).sum();
        let alone: f64 = half.iter().map(|it| (it.0 - mean_at).powi(2)).sum();
        if alone == 0.0 { 0.0 } else { 60.0 * together / alone }
    }

    /// What was held at moments of which each has a name, and the sum of the run.
    pub(super) fn told(&self, moments: &[(&str, Held)], figures: &Figures) -> String {
        let most = |of: fn(&Held) -> usize| self.samples.iter().map(|it| of(&it.1)).max().unwrap_or(0);
        let lines: String = moments.iter().map(|(name, held)| line(name, held, figures) + "\n").collect();
        format!(
            "{}\n{lines}memory of its own grows by {:.0} KiB an hour in the second half; at most {} KiB resident, \
             {} descriptors, {} threads, {} children",
            heading(),
            self.growth_of_an_hour_kib(),
            most(|it| it.resident_kib),
            most(|it| it.descriptors),
            most(|it| it.threads),
            most(|it| it.children)
        )
    }
}

fn heading() -> String {
    format!(
        "{:<26}{:>8}{:>9}{:>9}{:>10}{:>10}{:>6}{:>9}{:>9}{:>11}{:>10}{:>9}",
        "",
        "ended",
        "records",
        "answers",
        "RSS KiB",
        "own KiB",
        "fds",
        "threads",
        "children",
        "ledger KiB",
        "data KiB",
        "log KiB"
    )
}

fn line(name: &str, held: &Held, figures: &Figures) -> String {
    let Held { resident_kib, own_kib, descriptors, threads, children, ledger_kib, data_kib, log_kib } = held;
    let Figures { records, ended, answers } = figures;
    format!(
        "{name:<26}{ended:>8}{records:>9}{answers:>9}{resident_kib:>10}{own_kib:>10}{descriptors:>6}{threads:>9}\
         {children:>9}{ledger_kib:>11}{data_kib:>10}{log_kib:>9}"
    )
}
