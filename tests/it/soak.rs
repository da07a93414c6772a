//! One long life of the shipped program, amid pushes, forgeries, readers that come, go and stall, failing hooks, and a
//! GitHub, an S3 and a CodeDeploy that fail, hang and go away. What it holds on to is measured all the time: memory,
//! descriptors, threads, children, disk. In the end every deployment has ended, every status is final, and nothing is
//! still held.
//!
//! A few seconds of it run with the tests. `SOAK_MINUTES=60 cargo test --test it soak -- --nocapture` runs it whole, and
//! prints a line a minute.

mod held;
mod visitors;
mod weather;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::bot::install_tls;
use crate::crash::load::Load;
use crate::crash::storm::{Life, Over, Stage, until_calm};

use held::{Held, Table};
use weather::Weather;

/// How many minutes it takes; without it a few seconds of it are tried.
const MINUTES: &str = "SOAK_MINUTES";
const A_TASTE: Duration = Duration::from_secs(3);
/// From so many minutes on memory is judged: before, what is kept for a while is still being filled.
const LONG: u64 = 20;
/// What connections and threads of pools may still be there when all is quiet.
const IN_POOLS: usize = 24;
/// What the memory of its own may grow by in an hour, by the second half of a long run.
const GROWTH_OF_AN_HOUR_KIB: f64 = 16.0 * 1024.0;

#[test]
fn a_long_life_amid_faults_holds_on_to_nothing_and_leaves_nothing_open() {
    install_tls();
    let minutes = std::env::var_os(MINUTES).map(|it| it.to_str().unwrap().parse::<u64>().unwrap());
    let long = minutes.map_or(A_TASTE, |it| Duration::from_secs(it * 60));
    let kept = tempfile::Builder::new().prefix("landfall-soak-").tempdir().unwrap();
    let stage = Stage::set(kept.path().to_owned());
    turn_the_index_often(&stage);
    let weather = Weather::between(&stage);
    let mut program = stage.begin(Life::Program, "");
    assert!(stage.is_open(&mut program), "{}", crate::crash::log(&stage.dir));
    let at_first = Held::by(program.id(), &stage.dir);
    let mut table = Table::default();
    let load = Mutex::new(Load::new(&stage, 20_261_122));
    let (over, calm) = (AtomicBool::new(false), AtomicBool::new(false));
    let wrong = std::thread::scope(|scope| {
        let (_over, _calm) = (Over(&over), Over(&calm));
        scope.spawn(|| until(&over, || load.lock().unwrap().something_happens(&over)));
        scope.spawn(|| until(&over, || weather.changes(&over)));
        for visitor in visitors::ALL {
            scope.spawn(|| visitors::come(*visitor, &stage, &calm));
        }
        let begun = now();
        while begun.elapsed() < long {
            std::thread::sleep(long.min(Duration::from_secs(300)) / 60);
            assert!(program.try_wait().unwrap().is_none(), "it ended:\n{}", crate::crash::log(&stage.dir));
            let held = Held::by(program.id(), &stage.dir);
            if let Some(line) = table.add(begun.elapsed(), held, || visitors::figures(&stage)) {
                println!("{line}");
            }
        }
        over.store(true, Ordering::Relaxed);
        weather.clears();
        let mut load = load.lock().unwrap();
        load.comes_to_rest();
        let wrong = until_calm(&stage, &load);
        calm.store(true, Ordering::Relaxed);
        wrong
    });
    let at_last = until_quiet(program.id(), &stage, &at_first);
    let figures = visitors::figures(&stage);
    stage.end(Life::Program, program);
    let mut again = stage.begin(Life::Program, "");
    assert!(stage.is_open(&mut again));
    std::thread::sleep(Duration::from_secs(2));
    let anew = Held::by(again.id(), &stage.dir);
    stage.end(Life::Program, again);
    println!(
        "{}",
        table.told(
            &[("at first", at_first), ("when all was quiet", at_last), ("another life, same ledger", anew)],
            &figures
        )
    );
    let wrong_kept = (!wrong.is_empty()).then(|| kept.keep());
    assert!(wrong.is_empty(), "{wrong:#?}\nlook into {wrong_kept:?}");
    assert_eq!(at_last.children, 0, "a child is left");
    assert!(at_last.descriptors <= at_first.descriptors + IN_POOLS, "{at_last:?} after {at_first:?}");
    assert!(at_last.threads <= at_first.threads + IN_POOLS, "{at_last:?} after {at_first:?}");
    if minutes.is_some_and(|it| it >= LONG) {
        let growth = table.growth_of_an_hour_kib();
        assert!(growth < GROWTH_OF_AN_HOUR_KIB, "memory of its own grows by {growth:.0} KiB an hour");
    }
}

/// So that an hour has what takes months otherwise: turns of the ledger's index, and merges of what they leave.
fn turn_the_index_often(stage: &Stage) {
    let config = stage.dir.join("landfall.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(config, text + "[ledger]\nsegment = \"4MiB\"\n").unwrap();
}

/// Does it again and again.
fn until(over: &AtomicBool, mut work: impl FnMut()) {
    while !over.load(Ordering::Relaxed) {
        work();
    }
}

/// Waits until what readers and pools held is given back, for as long as pools keep connections at most.
fn until_quiet(pid: u32, stage: &Stage, at_first: &Held) -> Held {
    let begun = now();
    loop {
        let held = Held::by(pid, &stage.dir);
        let is_quiet = held.children == 0 && held.descriptors <= at_first.descriptors + IN_POOLS / 2;
        if is_quiet || begun.elapsed() > Duration::from_secs(120) {
            return held;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a process is watched that the test does not run in")]
fn now() -> Instant {
    Instant::now()
}
