//! The bot is killed again and again amid a mixed load: the shipped program by SIGKILL at any moment, and the same bot at
//! each seam of its own, now and then with what a power cut takes away: whatever of the log was not synced. GitHub, S3, CodeDeploy and the hooks live on and remember what reached them; after each series
//! they are asked whether anything was lost, done twice, or left without an end.
//!
//! A sample runs with the tests. `CRASH_KILLS=2000 cargo test --test it crash::storm -- --nocapture` runs it whole, and
//! prints which seam met which states how often.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use landfall::clients::Clock;
use landfall::clients::process::blocking_program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{child_begins, log, orders};
use crate::apply::things::Dice;
use crate::bot::{Bot, MAIN};
use crate::worlds::codedeploy::{Moves, World};
use crate::worlds::github::GitHubWorld;
use crate::worlds::push::SECRET;
use crate::worlds::repository::Repository;
use crate::worlds::s3::Buckets;

use super::judge;
use super::load::Load;

/// How many kills there are in all; without it a sample is made.
const KILLS: &str = "CRASH_KILLS";
const SAMPLE: usize = 24;
/// As many to one data directory.
const OF_A_SERIES: usize = 50;
/// What is left open after a series has to end by itself within this time: a lost call is looked for at 10, 30 and 60 s.
const CALM: Duration = Duration::from_secs(150);

/// Every seam that the bot tells its probe of, and how often it is passed at most before the kill.
const SEAMS: &[(&str, u64)] = &[
    ("before-effect", 12),
    ("before-append", 30),
    ("after-append", 30),
    ("prepare:mid-upload", 3),
    ("release:before-start", 3),
    ("release:after-start", 3),
    ("before-write", 30),
    ("after-write", 30),
    ("after-sync", 30),
    ("before-index", 30),
    ("after-index", 30),
    ("report-before-send", 8),
    ("report-sent", 8),
    ("report-recorded", 8),
];

/// Who is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// The shipped program.
    Program,
    /// The bot within this executable: it asks CodeDeploy faster, and has seams.
    Bot,
}

/// The outside of a bot, and the directory it lives in.
pub(crate) struct Stage {
    pub(crate) github: GitHubWorld,
    /// Deployed by the host engine.
    pub(super) site: Repository,
    /// Deployed by CodeDeploy, and promoted there.
    pub(super) shop: Repository,
    pub(crate) codedeploy: World,
    pub(crate) s3: Buckets,
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
}

const HOOK: &str = r#"#!/bin/sh
page=$(cat "$(dirname "$0")/../index.html")
echo "$DEPLOYMENT_ID $page" >> HERE/runs
sleep 0.05
case $page in bad*) exit 1 ;; esac
"#;

impl Stage {
    pub(crate) fn set(dir: PathBuf) -> Self {
        let github = GitHubWorld::start();
        let (site, shop) = (github.repository("acme/site"), github.repository("acme/shop"));
        let (s3, codedeploy) = (Buckets::start(), World::start(Clock::system()));
        codedeploy.add_group("world");
        codedeploy.moves(Moves::EveryMillis(20));
        let here = dir.display().to_string();
        let appspec = |to: &str, hooks: &str| {
            format!("version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {to}\n{hooks}")
        };
        let hooks = "hooks:\n  ValidateService:\n    - location: scripts/validate.sh\n      timeout: 60\n";
        site.write("appspec.yml", &appspec(&format!("{here}/www"), hooks), 0o644);
        site.write("scripts/validate.sh", &HOOK.replace("HERE", &here), 0o755);
        shop.write("appspec.yml", &appspec("/srv/shop", ""), 0o644);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let this = Self { github, site, shop, codedeploy, s3, dir, port };
        for repository in [&this.site, &this.shop] {
            repository.commit("begin", &[("index.html", "begin")]);
            repository.push(MAIN);
        }
        // What a child of this executable finds, so that it need not make it.
        drop(Repository::lasting(&this.dir));
        fs::write(this.dir.join("secret"), SECRET).unwrap();
        fs::write(this.dir.join("landfall.toml"), this.configuration()).unwrap();
        this
    }

    fn configuration(&self) -> String {
        let (dir, port) = (self.dir.display(), self.port);
        let (api, token) = (self.github.config().api_url, self.github.token_file());
        let shop = |name: &str, group: &str, more: &str| {
            format!(
                "[[target]]\nname = \"{name}\"\nrepository = \"acme/shop\"\n{more}\
                 [target.revisions]\ns3 = {{ bucket = \"revisions\", prefix = \"shop\", region = \"eu-west-1\", \
                 endpoint_url = \"{}\", force_path_style = true }}\n\
                 [target.engine]\nkind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"{group}\"\n\
                 region = \"eu-west-1\"\nendpoint_url = \"{}\"\n",
                self.s3.url(),
                self.codedeploy.url(),
            )
        };
        format!(
            "data_dir = \"{dir}/data\"\ncatch_up_every = \"3s\"\npublic_url = \"https://deploy.example.com\"\n\
             [server]\nlisten = \"127.0.0.1:{port}\"\n\
             [github]\napi_url = \"{api}\"\nwebhook_secrets = [{{ file = \"{dir}/secret\" }}]\n\
             token = {{ file = \"{}\" }}\nbetween_writes = \"5ms\"\n\
             [[target]]\nname = \"site\"\nrepository = \"acme/site\"\nbranches = [\"main\"]\n\
             [target.engine]\nkind = \"host\"\nauto_rollback = true\n{}{}",
            token.display(),
            shop("shop", "production", "branches = [\"main\"]\npromote_to = \"world\"\npromote = \"automatic\"\n"),
            shop("world", "world", ""),
        )
    }

    pub(crate) fn begin(&self, life: Life, orders: &str) -> Child {
        // What lies there now survives: whoever opens the log syncs it first.
        note_synced(&self.dir);
        if life == Life::Bot {
            return child_begins(CHILD, &self.dir, orders);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).unwrap();
        blocking_program(env!("CARGO_BIN_EXE_landfall"))
            .args(["serve", "-c", "landfall.toml"])
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.dir)
            .envs([("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S")])
            .envs(of_the_unit())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Nobody looks until CodeDeploy is done with what it was given: its group being busy saves nobody from a second call.
    fn stays_away(&self) {
        (0..100).for_each(|_| self.codedeploy.tick());
    }

    /// The power fails together with the bot: of the log is left what was synced, and of the index now and then nothing.
    /// Says whether anything went that was written.
    fn power_fails(&self, dice: &mut Dice) -> bool {
        if dice.one_in(6) {
            let _ = fs::remove_dir_all(self.dir.join("data/ledger/index"));
        }
        let Ok(synced) = fs::read_to_string(self.dir.join(SYNCED)) else { return false };
        let (bytes, path) = synced.split_once(' ').unwrap();
        let (bytes, file) = (bytes.parse().unwrap(), fs::File::options().write(true).open(path).unwrap());
        let is_longer = file.metadata().unwrap().len() > bytes;
        if is_longer {
            file.set_len(bytes).unwrap();
        }
        is_longer
    }

    /// Waits until somebody answers at the door, unless the child ends before.
    pub(crate) fn is_open(&self, child: &mut Child) -> bool {
        loop {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends a life in order.
    pub(crate) fn end(&self, life: Life, mut child: Child) {
        match life {
            Life::Program => kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap(),
            Life::Bot => fs::write(self.dir.join("end"), "").unwrap(),
        }
        assert!(child.wait().unwrap().success(), "{}", log(&self.dir));
    }
}

/// How much of the log would survive a power cut: the length of its last segment, and its path.
const SYNCED: &str = "synced";

fn note_synced(dir: &Path) {
    let Ok(log) = fs::read_dir(dir.join("data/ledger/log")) else { return };
    let Some(last) = log.map(|it| it.unwrap().path()).filter(|it| it.extension().unwrap() == "log").max() else {
        return;
    };
    let length = fs::metadata(&last).unwrap().len();
    fs::write(dir.join("synced.new"), format!("{length} {}", last.display())).unwrap();
    fs::rename(dir.join("synced.new"), dir.join(SYNCED)).unwrap();
}

/// The variables that the systemd unit gives it.
fn of_the_unit() -> impl Iterator<Item = (&'static str, &'static str)> {
    let unit = include_str!("../../../config/landfall.service");
    let lines = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    lines.flat_map(str::split_whitespace).filter_map(|it| it.split_once('='))
}

const CHILD: &str = "crash::storm::child_of_the_storm";

/// Not a test of its own: a bot that lives until it is killed, or told to end. Run without orders, it has nothing to do.
#[test]
fn child_of_the_storm() {
    let Some((dir, probe)) = orders() else { return };
    let text = fs::read_to_string(dir.join("landfall.toml")).unwrap();
    let mut bot = Bot::configured(&dir, Repository::lasting(&dir), text);
    bot.start_with(Arc::new({
        let dir = dir.clone();
        move |seam| {
            if seam == "after-sync" {
                note_synced(&dir);
            }
            probe(seam);
        }
    }));
    while !dir.join("end").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    bot.stop();
}

/// How often a kill of this kind met a deployment in that state.
#[derive(Default)]
struct Table {
    met: BTreeMap<String, BTreeMap<&'static str, usize>>,
    kills: BTreeMap<String, usize>,
    found: Vec<String>,
    told_again: usize,
}

const STATES: [&str; 8] = ["nothing", "planned", "weighing", "held", "preparing", "releasing", "running", "verifying"];

impl Table {
    fn count(&mut self, how: &str, states: &BTreeSet<&'static str>) {
        *self.kills.entry(how.to_owned()).or_default() += 1;
        let row = self.met.entry(how.to_owned()).or_default();
        states.iter().for_each(|state| *row.entry(state).or_default() += 1);
    }

    fn kills(&self) -> usize {
        self.kills.values().sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, how: &str, kills: &dyn fmt::Display, cells: Vec<String>| {
            writeln!(f, "{how:<26}{kills:>6}{}", cells.iter().map(|it| format!("{it:>11}")).collect::<String>())
        };
        line(f, "killed at", &"kills", STATES.map(str::to_owned).to_vec())?;
        for (how, row) in &self.met {
            let cells = STATES.map(|it| row.get(it).map_or("-".into(), usize::to_string));
            line(f, how, &self.kills[how], cells.to_vec())?;
        }
        writeln!(
            f,
            "{} kills, as many restarts; told again after a kill between GitHub's answer and the ledger: {}; found wrong: {}",
            self.kills(),
            self.told_again,
            self.found.len()
        )?;
        self.found.iter().try_for_each(|it| writeln!(f, "  {it}"))
    }
}

/// One bot's life of many deaths, on a directory of its own. What is found wrong stays on disk.
fn series(life: Life, kills: usize, seed: u64, table: &Mutex<Table>) {
    let kept = tempfile::Builder::new().prefix("landfall-storm-").tempdir().unwrap();
    let stage = Stage::set(kept.path().to_owned());
    let (load, over) = (Mutex::new(Load::new(&stage, seed)), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                load.lock().unwrap().something_happens(&over);
            }
        });
        let _over = Over(&over);
        let mut dice = Dice(seed ^ 0x5eed);
        for _ in 0..kills {
            let how = one_death(&stage, life, &mut dice);
            let states = judge::open_states(&stage.dir);
            table.lock().unwrap().count(&how, &states);
        }
        over.store(true, Ordering::Relaxed);
        let mut child = stage.begin(life, "");
        assert!(stage.is_open(&mut child), "the bot does not start any more:\n{}", log(&stage.dir));
        let mut load = load.lock().unwrap();
        load.comes_to_rest();
        let wrong = until_calm(&stage, &load);
        stage.end(life, child);
        let wrong = if wrong.is_empty() { judge::wrong(&stage, &load) } else { wrong };
        let mut table = table.lock().unwrap();
        table.told_again += judge::told_again(&stage);
        if !wrong.is_empty() {
            table.found.extend(wrong);
            table.found.push(format!("seed {seed}; look into {}", kept.path().display()));
            std::mem::forget(kept);
        }
    });
}

/// Ends the load also where a series ends in a panic.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets a bot live for a while, and kills it. Says where it died.
fn one_death(stage: &Stage, life: Life, dice: &mut Dice) -> String {
    let seam = (life == Life::Bot && !dice.one_in(4)).then(|| dice.of(SEAMS));
    let orders = seam.map_or(String::new(), |(seam, most)| format!("{seam} {}", 1 + dice.below(most)));
    let mut child = stage.begin(life, &orders);
    let long = match seam {
        Some(_) => Duration::from_secs(4),
        // Now and then it does not even come to its start.
        None if dice.one_in(4) => Duration::from_millis(dice.below(300)),
        None => {
            stage.is_open(&mut child);
            Duration::from_millis(dice.below(900))
        }
    };
    let begun = now();
    let mut died = false;
    while now().duration_since(begun) < long && !died {
        std::thread::sleep(Duration::from_millis(2));
        died = child.try_wait().unwrap().is_some();
    }
    // What a seam did not end ends like everything else.
    let _ = child.kill();
    child.wait().unwrap();
    let how = match (seam, life) {
        (Some((seam, _)), _) if died => seam,
        (_, Life::Program) => "SIGKILL, the program",
        (_, Life::Bot) => "SIGKILL",
    };
    if dice.one_in(2) {
        stage.stays_away();
    }
    let is_cut = life == Life::Bot && dice.one_in(2) && stage.power_fails(dice);
    if is_cut { format!("{how}, power cut") } else { how.to_owned() }
}

/// Waits until nothing is wrong any more. Gives what still is.
pub(crate) fn until_calm(stage: &Stage, load: &Load<'_>) -> Vec<String> {
    let begun = now();
    loop {
        let wrong = judge::wrong(stage, load);
        if wrong.is_empty() || now().duration_since(begun) > CALM || wrong.iter().any(|it| it.contains("twice")) {
            return wrong;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline for processes that the test does not run in")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn whenever_it_is_killed_nothing_is_lost_nothing_happens_twice_and_everything_ends() {
    let asked = std::env::var_os(KILLS).map(|it| it.to_str().unwrap().parse::<usize>().unwrap());
    let kills = asked.unwrap_or(SAMPLE);
    let seed = u64::try_from(kills).unwrap() * 1_000;
    let table = Mutex::new(Table::default());
    // The shipped program takes the longer to be done, so that it dies one time in three.
    let lives = [Life::Program, Life::Bot, Life::Bot];
    let next = Mutex::new((0, kills));
    let take = || {
        let mut next = next.lock().unwrap();
        let (number, left) = *next;
        let share = left.min(OF_A_SERIES.min(kills.div_ceil(lives.len())));
        *next = (number + 1, left - share);
        (share > 0).then_some((number, share))
    };
    std::thread::scope(|scope| {
        for _ in 0..lives.len() {
            scope.spawn(|| {
                while let Some((number, share)) = take() {
                    series(lives[number % lives.len()], share, seed + number as u64, &table);
                    if asked.is_some() {
                        println!("{}", table.lock().unwrap());
                    }
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    println!("{table}");
    assert!(table.found.is_empty(), "{table}");
    assert_eq!(table.kills(), kills);
}
