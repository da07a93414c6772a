//! A place to deploy in: bundles, the engine's root and a destination `{D}`, gone with the test.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use landfall::clients::process::blocking_program;
use landfall::domain::RunId;
use landfall::engine::host::{Means, Probe, RunDir, RunIntent, Story, carry_out, prepare_run};
use serde_json::Value;
use tempfile::TempDir;

/// An AppSpec's body that copies the whole bundle.
pub(crate) const WHOLE: &str = "files:\n  - source: /\n    destination: {D}\n";

/// The body of an AppSpec that copies these: `source>destination`.
pub(crate) fn files(pairs: &str) -> String {
    let item = |pair: &str| {
        let (source, destination) = pair.split_once('>').unwrap();
        format!("  - source: {source}\n    destination: {destination}\n")
    };
    format!("files:\n{}", pairs.split_whitespace().map(item).collect::<String>())
}

/// Where the usual group's manifest lies.
pub(crate) const CLEANUP: &str = "root/deployment-instructions/default-local-deployment-group-cleanup";

pub(crate) struct Stand {
    dir: TempDir,
    bundles: std::cell::Cell<u32>,
}

/// What one `landfall apply --json` said.
pub(crate) struct Told {
    pub(crate) exit: i32,
    pub(crate) json: Value,
    pub(crate) errors: String,
}

impl Stand {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), bundles: std::cell::Cell::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The destination, which nobody made yet.
    pub(crate) fn d(&self) -> PathBuf {
        self.path("D")
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{D}", self.d().to_str().unwrap()).replace("{HERE}", self.dir.path().to_str().unwrap())
    }

    /// A directory with an AppSpec of this body, and the tree of [`plant`].
    pub(crate) fn bundle(&self, body: &str, tree: &str) -> PathBuf {
        self.bundles.set(self.bundles.get() + 1);
        let folder = self.path(&format!("bundle-{}", self.bundles.get()));
        fs::create_dir(&folder).unwrap();
        plant(&folder, tree);
        let text = format!("version: 0.0\nos: linux\n{}", self.fill(body));
        fs::write(folder.join("appspec.yml"), text).unwrap();
        folder
    }

    /// Adds an executable script to a bundle.
    pub(crate) fn script(&self, bundle: &Path, name: &str, text: &str) {
        let path = bundle.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, self.fill(text)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn command(&self, bundle: &Path, more: &[&str]) -> Command {
        let mut command = blocking_program(env!("CARGO_BIN_EXE_landfall"));
        command.args(["apply", "--json", "--root"]).arg(self.path("root")).arg("-l").arg(bundle).args(more);
        command.current_dir("/");
        command
    }

    pub(crate) fn apply(&self, bundle: &Path, more: &[&str]) -> Told {
        let output = self.command(bundle, more).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(!(errors.contains("(os error") || told.contains("(os error")), "{errors}{told}");
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        Told { exit: output.status.code().unwrap(), json, errors }
    }

    /// Deploys a bundle that must go well.
    #[track_caller]
    pub(crate) fn well(&self, bundle: &Path, more: &[&str]) -> Told {
        let told = self.apply(bundle, more);
        assert_eq!((told.exit, told.text("status")), (0, "Succeeded"), "{} {:#}", told.errors, told.json);
        told
    }

    /// Deploys the bundle of an earlier run again, with what `edit` makes of that run's intent.
    pub(crate) fn again(&self, told: &Told, edit: impl FnOnce(&mut RunIntent)) -> Story {
        self.again_with(told, edit, Probe::default())
    }

    /// The same, with a probe at the engine's seams.
    pub(crate) fn again_with(&self, told: &Told, edit: impl FnOnce(&mut RunIntent), probe: Probe) -> Story {
        let dir = self.run_dir(told);
        let mut intent = RunIntent::read(&dir).unwrap();
        let count = fs::read_dir(dir.path().parent().unwrap()).unwrap().count();
        intent.run = RunId::parse(format!("d-AGAIN{count}")).unwrap();
        intent.marker = intent.run.to_string();
        edit(&mut intent);
        let dir = prepare_run(&intent).unwrap();
        let means = Means { program: env!("CARGO_BIN_EXE_landfall").into(), probe, ..Means::own() };
        carry_out(&dir, &means).unwrap().unwrap()
    }

    /// Deploys the bundle of an earlier run again, as a rollback to it.
    #[track_caller]
    pub(crate) fn roll_back(&self, to: &Told) -> Story {
        let target = to.run();
        let story = self.again(to, |intent| intent.options.rolls_back_to = Some(target));
        assert_eq!(story.end.as_ref().unwrap().failure, None);
        story
    }

    pub(crate) fn run_dir(&self, told: &Told) -> RunDir {
        RunDir::at(Path::new(told.text("log")).ancestors().nth(2).unwrap())
    }

    /// Deploys a bundle that must fail with this code.
    #[track_caller]
    pub(crate) fn badly(&self, bundle: &Path, more: &[&str], code: &str) -> Told {
        let told = self.apply(bundle, more);
        assert_eq!((told.exit, told.text("code")), (1, code), "{} {:#}", told.errors, told.json);
        told
    }

    /// What stands under the destination, in the words of [`plant`].
    pub(crate) fn listing(&self) -> String {
        let mut found = BTreeSet::new();
        list(&self.d(), Path::new(""), &mut found);
        found.into_iter().collect::<Vec<_>>().join(" ")
    }

    /// The paths that the group's next Install may remove, without what is above the destination.
    pub(crate) fn manifest(&self) -> String {
        let path = self.path(CLEANUP);
        let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(manifest["stage"], "complete");
        let paths: BTreeSet<String> = manifest["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["path"].as_str().unwrap().replace(self.d().to_str().unwrap(), "D"))
            .collect();
        paths.into_iter().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn log(&self, told: &Told) -> String {
        let log = fs::read_to_string(told.text("log")).unwrap();
        // Without the date and time.
        log.lines().map(|line| &line[24..]).collect::<Vec<_>>().join("\n")
    }
}

impl Told {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    pub(crate) fn run(&self) -> RunId {
        RunId::parse(self.text("deployment_id")).unwrap()
    }

    pub(crate) fn warnings(&self) -> String {
        self.json["warnings"].to_string()
    }

    /// `ApplicationStop:Skipped …`, of the events that did not simply succeed.
    pub(crate) fn events(&self) -> String {
        let events = self.json["events"].as_array().unwrap();
        let odd = events.iter().filter(|event| event["status"] != "Succeeded");
        odd.map(|event| {
            let ignored = if event["ignored"] == true { "(ignored)" } else { "" };
            format!("{}:{}{ignored}", event["name"].as_str().unwrap(), event["status"].as_str().unwrap())
        })
        .collect::<Vec<_>>()
        .join(" ")
    }
}

/// Makes a tree of words: `a=1` a file, `d/` a directory, `l->t` a link.
pub(crate) fn plant(folder: &Path, tree: &str) {
    for word in tree.split_whitespace() {
        let (name, content) = word.split_once('=').unwrap_or((word, ""));
        let path = folder.join(name.split("->").next().unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match name.split_once("->") {
            Some((_, target)) => symlink(target, path).unwrap(),
            None if name.ends_with('/') => fs::create_dir_all(path).unwrap(),
            None => fs::write(path, content).unwrap(),
        }
    }
}

fn list(folder: &Path, below: &Path, found: &mut BTreeSet<String>) {
    let Ok(listing) = fs::read_dir(folder.join(below)) else { return };
    for entry in listing {
        let entry = entry.unwrap();
        let name = below.join(entry.file_name());
        let shown = name.to_str().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            found.insert(format!("{shown}->{}", fs::read_link(entry.path()).unwrap().display()));
        } else if kind.is_dir() {
            found.insert(format!("{shown}/"));
            list(folder, &name, found);
        } else {
            let content = fs::read_to_string(entry.path()).unwrap();
            let short = if content.len() < 12 && !content.contains('\n') { content } else { "…".into() };
            found.insert(format!("{shown}={short}"));
        }
    }
}
