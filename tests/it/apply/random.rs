//! Random trees, AppSpecs and sequences of deployments, interrupted anywhere: whatever happens, the manifest is what is
//! on disk, nothing of others is ever lost, and a rollback restores the tree byte for byte and mode for mode.
//!
//! `LANDFALL_TEST_INSTALLS=10000` makes it a long run; `LANDFALL_TEST_INSTALL_SEED=7` runs one sequence alone.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use landfall::domain::{FileExists, RunId, Verdict};
use landfall::engine::host::{BundleType, GroupId, Means, Probe, RunIntent, RunOptions, Story, carry_out, prepare_run};
use tempfile::TempDir;

use super::things::{Dice, Thing, Tree, acl_of, ancestors, exists, thing};

/// What lets one more user into a directory; the number needs to be nobody's.
const ACLS: &str = ", acls: [\"u:54321:rwx\"]";
const USER: u32 = 54321;

/// How many sequences an ordinary test run tries.
const USUAL: u64 = 60;

#[test]
fn whatever_happens_nothing_is_lost_and_a_rollback_restores_all() {
    let number = |name: &str| std::env::var_os(name).map(|text| text.to_str().unwrap().parse::<u64>().unwrap());
    let seeds = match number("LANDFALL_TEST_INSTALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LANDFALL_TEST_INSTALLS").unwrap_or(USUAL),
    };
    let mut met = Met::default();
    for seed in seeds.clone() {
        let mut world = World::new(seed);
        let lived = catch_unwind(AssertUnwindSafe(|| world.live(&mut met)));
        if let Err(panic) = lived {
            eprintln!("LANDFALL_TEST_INSTALL_SEED={seed}\n{}", world.story);
            resume_unwind(panic);
        }
    }
    eprintln!("{met:?}");
    if seeds.end - seeds.start >= USUAL {
        let Met { succeeded, refused, interrupted, undone, returned } = met;
        assert!(succeeded > 60 && refused > 20 && interrupted > 30 && undone > 3 && returned > 3, "{met:?}");
    }
}

/// How often what came about, so that the test cannot become one of nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    succeeded: u32,
    refused: u32,
    interrupted: u32,
    undone: u32,
    returned: u32,
}

/// One revision: its tree, its options, and the directory in which its bundle lies.
#[derive(Clone, Debug)]
struct Rev {
    tree: Tree,
    behavior: FileExists,
    bundle: PathBuf,
}

/// How a deployment came out.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Well,
    Refused,
    Undone,
    Died,
}

struct World {
    dir: TempDir,
    dice: Dice,
    count: u32,
    /// What a person made and sees at its path.
    foreign: Tree,
    /// Directories that a person made.
    folders: BTreeSet<String>,
    story: String,
}

impl World {
    fn new(seed: u64) -> Self {
        // In memory where that is possible: syncing is not what is tested here.
        let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let (foreign, folders) = (Tree::new(), BTreeSet::new());
        Self { dir, dice: Dice(seed), count: 0, foreign, folders, story: String::new() }
    }

    fn d(&self) -> PathBuf {
        self.dir.path().join("D")
    }

    fn tell(&mut self, text: &str) {
        writeln!(self.story, "{text}").unwrap();
    }

    /// A life: some deployments, one that counts, a person's files, more deployments, and a rollback.
    fn live(&mut self, met: &mut Met) {
        self.person_acts(&Tree::new());
        for _ in 0..self.dice.below(3) {
            let rev = self.rev();
            self.deploy(&rev, None, met);
        }
        let Some((target, rev)) = self.until_well(met) else { return };
        self.person_acts(&rev.tree);
        let before = self.snapshot();
        let owned = self.manifest();
        let foreign = self.foreign.clone();
        for _ in 0..=self.dice.below(3) {
            let rev = self.rev();
            self.deploy(&rev, None, met);
        }
        let replaced = self.foreign.len() < foreign.len();
        let mut tries = 0..12;
        while self.deploy(&rev, Some(&target), met).0 != Came::Well {
            assert!(tries.next().is_some(), "a rollback never came through");
        }
        met.returned += u32::from(replaced);
        self.foreign = foreign;
        assert_eq!(self.snapshot(), before, "a rollback restores the tree");
        assert_eq!(self.manifest(), owned, "and what is ours in it");
        self.leave(met);
    }

    /// An empty revision leaves what is a person's and nothing else.
    fn leave(&mut self, met: &mut Met) {
        let mut empty = self.rev();
        empty.tree.clear();
        empty.bundle = self.write(&empty, "");
        while self.deploy(&empty, None, met).0 != Came::Well {}
        let left: BTreeSet<String> = self.snapshot().into_keys().collect();
        let own = self.foreign.keys().chain(&self.folders).cloned();
        assert_eq!(left, own.chain(self.above_a_persons()).collect(), "all of ours is gone");
    }

    /// The directories that what a person made keeps.
    fn above_a_persons(&self) -> BTreeSet<String> {
        self.foreign.keys().chain(&self.folders).flat_map(|path| ancestors(path)).collect()
    }

    fn until_well(&mut self, met: &mut Met) -> Option<(RunId, Rev)> {
        (0..6).find_map(|_| {
            let rev = self.rev();
            let (came, run) = self.deploy(&rev, None, met);
            (came == Came::Well).then_some((run, rev))
        })
    }

    /// A person makes files where nothing is, and removes one of their own that stands not for a deployed one.
    fn person_acts(&mut self, deployed: &Tree) {
        for _ in 0..self.dice.below(4) {
            let path = self.dice.path();
            let place = self.d().join(&path);
            let blocked =
                ancestors(&path).any(|above| !self.d().join(&above).is_dir() && exists(&self.d().join(&above)));
            if exists(&place) || blocked {
                continue;
            }
            for above in ancestors(&path).filter(|above| !self.d().join(above).exists()).collect::<Vec<_>>() {
                self.folders.insert(above);
            }
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            self.count += 1;
            let mode = self.dice.of(&[0o600, 0o640, 0o644]);
            if self.dice.one_in(5) {
                symlink(format!("user-{}", self.count), &place).unwrap();
            } else {
                fs::write(&place, format!("user-{}", self.count)).unwrap();
                fs::set_permissions(&place, Permissions::from_mode(mode)).unwrap();
            }
            self.tell(&format!("a person makes {path}"));
            self.foreign.insert(path, thing(&place));
        }
        if self.dice.one_in(3)
            && let Some(path) = self.foreign.keys().find(|path| !deployed.contains_key(*path)).cloned()
        {
            self.tell(&format!("a person removes {path}"));
            fs::remove_file(self.d().join(&path)).unwrap();
            self.foreign.remove(&path);
        }
    }

    /// A random revision.
    fn rev(&mut self) -> Rev {
        self.count += 1;
        let mut tree = Tree::new();
        for at in 0..self.dice.below(9) {
            let known: Vec<String> = self.foreign.keys().cloned().collect();
            let meets = !known.is_empty() && self.dice.one_in(4);
            let path = if meets { self.dice.of(&known) } else { self.dice.path() };
            let is_blocked = |tree: &Tree| {
                let above =
                    ancestors(&path).any(|it| tree.get(&it).is_some_and(|it| !matches!(it, Thing::Directory { .. })));
                above || tree.contains_key(&path)
            };
            if is_blocked(&tree) {
                continue;
            }
            for above in ancestors(&path) {
                let mode = self.dice.of(&[0o755, 0o755, 0o700, 0o711]);
                tree.entry(above).or_insert(Thing::Directory { mode, acl: vec![] });
            }
            let made = match self.dice.below(8) {
                0 => Thing::Directory { mode: self.dice.of(&[0o755, 0o750]), acl: vec![] },
                1 => Thing::Link { target: format!("nowhere-{}-{at}", self.count) },
                _ => Thing::File {
                    content: format!("rev-{}-{at}", self.count),
                    mode: self.dice.of(&[0o644, 0o644, 0o755, 0o600]),
                    modified: 1_000_000_000 + i64::from(self.count),
                },
            };
            tree.insert(path, made);
        }
        let behavior =
            self.dice.of(&[FileExists::Disallow, FileExists::Overwrite, FileExists::Overwrite, FileExists::Retain]);
        let mut rev = Rev { tree, behavior, bundle: PathBuf::new() };
        let mut items = String::new();
        for (kind, modes) in [("file", [0o640, 0o604]), ("directory", [0o750, 0o705])] {
            if self.dice.one_in(3) {
                let mode = self.dice.of(&modes);
                let acls = if kind == "directory" && self.dice.one_in(2) { ACLS } else { "" };
                writeln!(
                    items,
                    "  - {{object: \"{}\", mode: {mode:o}, pattern: \"**\", type: [{kind}]{acls}}}",
                    self.d().display()
                )
                .unwrap();
            }
        }
        rev.bundle = self.write(&rev, &items);
        for it in rev.tree.values_mut() {
            match it {
                Thing::Directory { mode, acl } => {
                    *mode = wanted(&items, "directory").unwrap_or(*mode);
                    *acl = if items.contains(ACLS) { acl_of(*mode, USER) } else { vec![] };
                }
                Thing::File { mode, .. } => *mode = wanted(&items, "file").unwrap_or(*mode),
                Thing::Link { .. } => {}
            }
        }
        rev
    }

    /// Writes a revision's bundle.
    fn write(&mut self, rev: &Rev, items: &str) -> PathBuf {
        self.count += 1;
        let bundle = self.dir.path().join(format!("bundle-{}", self.count));
        let root = bundle.join("r");
        fs::create_dir_all(&root).unwrap();
        for (path, it) in &rev.tree {
            let place = root.join(path);
            match it {
                Thing::Directory { .. } => fs::create_dir(&place).unwrap(),
                Thing::Link { target } => symlink(target, &place).unwrap(),
                Thing::File { content, mode, modified } => {
                    fs::write(&place, content).unwrap();
                    fs::set_permissions(&place, Permissions::from_mode(*mode)).unwrap();
                    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(modified.unsigned_abs());
                    fs::File::options().append(true).open(&place).unwrap().set_modified(time).unwrap();
                }
            }
        }
        for (path, it) in rev.tree.iter().rev() {
            if let Thing::Directory { mode, .. } = it {
                fs::set_permissions(root.join(path), Permissions::from_mode(*mode)).unwrap();
            }
        }
        let behavior = serde_json::to_value(rev.behavior).unwrap().as_str().unwrap().to_uppercase();
        let items = if items.is_empty() { String::new() } else { format!("permissions:\n{items}") };
        let text = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: r\n    destination: {}\nfile_exists_behavior: {behavior}\n{items}",
            self.d().display()
        );
        fs::write(bundle.join("appspec.yml"), text).unwrap();
        bundle
    }

    /// Deploys, perhaps with a death or a failure on the way, and holds the outcome against what must be.
    fn deploy(&mut self, rev: &Rev, back_to: Option<&RunId>, met: &mut Met) -> (Came, RunId) {
        self.count += 1;
        let run = RunId::parse(format!("d-{}", self.count)).unwrap();
        let (before, owned) = (self.snapshot(), self.manifest());
        let (probe, hindrance) = self.hindrance(rev);
        let story = self.run(&run, rev, back_to, probe);
        if let Some(place) = hindrance.filter(|it| it.is_dir()) {
            let _ = fs::remove_dir(place);
        }
        let failure = story.as_ref().and_then(|story| story.end.as_ref()?.failure.clone());
        let came = match (&story, &failure) {
            (None, _) => Came::Died,
            (Some(_), None) => Came::Well,
            (Some(_), Some(failure)) if failure.code == "host/install-failed" => Came::Undone,
            (Some(_), Some(_)) => Came::Refused,
        };
        self.tell(&format!(
            "{run} back to {back_to:?}: {came:?} {:?} {:?} {}",
            rev.behavior,
            rev.tree.keys().collect::<Vec<_>>(),
            failure.map(|it| it.to_string()).unwrap_or_default()
        ));
        match came {
            Came::Well => {
                met.succeeded += 1;
                self.holds(rev, &before, back_to.is_some());
            }
            Came::Refused | Came::Undone => {
                met.refused += u32::from(came == Came::Refused);
                met.undone += u32::from(came == Came::Undone);
                assert_eq!(self.snapshot(), before, "what fails leaves all as it was");
                assert!(owned.is_none() || self.manifest() == owned, "and the manifest, too");
            }
            Came::Died => met.interrupted += 1,
        }
        self.nothing_is_lost();
        (came, run)
    }

    /// What goes wrong this time, if anything: a death at some seam, or a directory in the way of a new file.
    fn hindrance(&mut self, rev: &Rev) -> (Probe, Option<PathBuf>) {
        let passed = Arc::new(AtomicU32::new(0));
        let dies_at = u32::try_from(self.dice.below(30)).unwrap();
        let dies = move |seam: &str, only: &str| {
            if seam.contains(only) && passed.fetch_add(1, Ordering::SeqCst) == dies_at {
                // As good as a kill: nothing in the engine cleans up when it is unwound.
                resume_unwind(Box::new("dead"));
            }
        };
        let mut new = rev.tree.iter().filter(|(path, it)| {
            !matches!(it, Thing::Directory { .. }) && !exists(&self.d().join(path)) && !path.contains('/')
        });
        let target = new.next_back().map(|(path, _)| self.d().join(path));
        match (self.dice.below(5), target) {
            (0 | 1, _) => (Probe::new(move |seam| dies(seam, "install:")), None),
            (2, Some(target)) => {
                let (place, dies_in_undoing) = (target.clone(), self.dice.one_in(2));
                let in_the_way = move |seam: &'static str| {
                    if seam == "install:switching" {
                        let _ = fs::create_dir(&place);
                    }
                    if dies_in_undoing {
                        dies(seam, "undoing");
                    }
                };
                (Probe::new(in_the_way), Some(target))
            }
            _ => (Probe::default(), None),
        }
    }

    /// One run; nothing when it died.
    fn run(&self, run: &RunId, rev: &Rev, back_to: Option<&RunId>, probe: Probe) -> Option<Story> {
        let intent = RunIntent {
            marker: run.to_string(),
            run: run.clone(),
            application: "a".into(),
            deployment_group: "g".into(),
            group: GroupId::parse("g").unwrap(),
            root: self.dir.path().join("root"),
            bundle: rev.bundle.clone(),
            bundle_type: BundleType::Directory,
            sha256: None,
            commit: None,
            object: None,
            options: RunOptions { max_revisions: 1000, rolls_back_to: back_to.cloned(), ..RunOptions::default() },
        };
        let dir = prepare_run(&intent).unwrap();
        let means = Means { probe, ..Means::own() };
        let story = catch_unwind(AssertUnwindSafe(|| carry_out(&dir, &means).unwrap().unwrap())).ok()?;
        let end = story.end.as_ref().unwrap();
        assert_eq!(end.verdict == Verdict::Succeeded, end.failure.is_none());
        Some(story)
    }

    /// After a success: the revision's files and the person's, and the manifest names exactly what is not a person's.
    fn holds(&mut self, rev: &Rev, before: &Tree, is_rollback: bool) {
        let now = self.snapshot();
        if is_rollback {
            return;
        }
        for (path, it) in &rev.tree {
            let present = &now[path];
            match (it, self.foreign.get(path)) {
                (_, Some(foreign)) if rev.behavior == FileExists::Retain => assert_eq!(present, foreign, "{path}"),
                (Thing::Directory { .. }, _) if self.folders.contains(path) => {
                    assert_eq!(present, &before[path], "{path}")
                }
                (it, _) => assert_eq!(present, it, "{path}"),
            }
        }
        if rev.behavior == FileExists::Overwrite {
            self.foreign.retain(|path, _| !rev.tree.contains_key(path));
        }
        let ours: BTreeSet<String> = now
            .keys()
            .filter(|path| !self.foreign.contains_key(*path) && !self.folders.contains(*path))
            .cloned()
            .collect();
        assert_eq!(self.manifest().as_ref(), Some(&ours), "the manifest is what is on disk");
        let above = self.above_a_persons();
        let stays = |path: &String| rev.tree.contains_key(path) || above.contains(path);
        assert!(ours.iter().all(stays), "nothing of an older revision is left: {ours:?}");
    }

    /// Every file of a person is at its path, or kept where a deployment replaced it.
    fn nothing_is_lost(&mut self) {
        let kept = self.kept();
        let d = self.d();
        self.foreign.retain(|path, it| {
            let place = d.join(path);
            let there = exists(&place) && thing(&place) == *it;
            assert!(there || kept.contains(it), "{path} is lost: {it:?}");
            there
        });
    }

    fn kept(&self) -> Vec<Thing> {
        let runs = fs::read_dir(self.dir.path().join("root/g")).into_iter().flatten().flatten();
        let folders = runs.filter_map(|run| fs::read_dir(run.path().join("displaced")).ok());
        folders.flatten().flatten().map(|found| thing(&found.path())).collect()
    }

    /// All paths below the destination that the manifest calls ours; nothing where it is not complete.
    fn manifest(&self) -> Option<BTreeSet<String>> {
        let path = self.dir.path().join("root/deployment-instructions/g-cleanup");
        let Ok(bytes) = fs::read(path) else { return Some(BTreeSet::new()) };
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        if manifest["stage"] != "complete" {
            return None;
        }
        let paths =
            manifest["entries"].as_array().unwrap().iter().map(|entry| PathBuf::from(entry["path"].as_str().unwrap()));
        let below = paths.filter_map(|path| Some(path.strip_prefix(self.d()).ok()?.to_str()?.to_owned()));
        Some(below.filter(|path| !path.is_empty()).collect())
    }

    fn snapshot(&self) -> Tree {
        let mut tree = Tree::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for found in fs::read_dir(self.d().join(&folder)).into_iter().flatten().flatten() {
                let name = found.file_name().into_string().unwrap();
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let it = thing(&found.path());
                if matches!(it, Thing::Directory { .. }) {
                    folders.push(path.clone());
                }
                tree.insert(path, it);
            }
        }
        tree
    }
}

/// The mode that the items give to what is of this kind.
fn wanted(items: &str, kind: &str) -> Option<u32> {
    let item = items.lines().find(|item| item.contains(kind))?;
    let digits = item.split("mode: ").nth(1)?.split(',').next()?;
    u32::from_str_radix(digits, 8).ok()
}
