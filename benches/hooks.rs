//! What the host engine adds to the hooks themselves: five empty hooks, run by `landfall apply`, beside the same five
//! scripts run one after the other. It prints the middle of many runs, and judges nothing:
//! most of the difference is the disk's, which is asked to keep what must outlive a power cut.

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, reason = "its numbers are for a terminal")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use landfall::clients::process::blocking_program;

const EVENTS: [&str; 5] = ["BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService", "ApplicationStop"];
const RUNS: usize = 21;
/// What starting, five hooks and the end may add.
const WANTED: Duration = Duration::from_millis(50);

fn main() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let bundle = home.path().join("bundle");
    fs::create_dir(&bundle).expect("a new directory");
    let hooks: String = EVENTS.iter().map(|event| format!("  {event}:\n    - location: {event}.sh\n")).collect();
    fs::write(bundle.join("appspec.yml"), format!("version: 0.0\nos: linux\nhooks:\n{hooks}")).expect("a new file");
    for event in EVENTS {
        let script = bundle.join(format!("{event}.sh"));
        fs::write(&script, "#!/bin/sh\n:\n").expect("a new file");
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    // The first deployment has no ApplicationStop to run: it is not counted.
    apply(home.path(), &bundle);
    let engine = middle(|| apply(home.path(), &bundle));
    let alone = middle(|| EVENTS.iter().for_each(|event| run(&bundle.join(format!("{event}.sh")))));
    let added = engine.saturating_sub(alone);
    println!("five empty hooks, alone            {:>8.1} ms", ms(alone));
    println!("five empty hooks, `landfall apply` {:>8.1} ms", ms(engine));
    println!("added                              {:>8.1} ms  (wanted: under {:.0} ms)", ms(added), ms(WANTED));
    let file = home.path().join("synced");
    let sync = middle(|| {
        let mut file = fs::File::create(&file).expect("a new file");
        file.write_all(b"x").and_then(|()| file.sync_all()).expect("a disk that works");
    });
    println!("one synced write on this disk      {:>8.1} ms", ms(sync));
}

fn apply(home: &Path, bundle: &Path) {
    let mut command = blocking_program(env!("CARGO_BIN_EXE_landfall"));
    command.args(["apply", "--json", "--root"]).arg(home.join("root")).arg("-l").arg(bundle);
    let done = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn run(script: &Path) {
    let done = blocking_program(script).stdin(Stdio::null()).output().expect("the script starts");
    assert!(done.status.success());
}

fn middle(mut work: impl FnMut()) -> Duration {
    let mut took: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    took.sort();
    took[RUNS / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
