//! The course of one run: its lifecycle events in order, from the first look at the bundle to the pointers (R12-R26).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::account::Account;
use super::carry_out::{Means, is_locked};
use super::environment::variables;
use super::error::HostError;
use super::hook::{self, HookScript};
use super::install;
use super::intent::RunIntent;
use super::journal::{End, Journal, Line, Story};
use super::layout::{Layout, Pointer, RunDir, write_whole};
use super::limits::RunTime;
use super::log::ScriptLog;
use super::unpack::{find_appspec, unpack};
use crate::appspec::{AppSpec, LIFECYCLE, Os, PREVIOUS_EVENTS, Script, ServerSpec, parse_with_events};
use crate::domain::{Failure, Findings, StepStatus, Verdict};

/// One run at work.
pub(super) struct Course<'a> {
    intent: &'a RunIntent,
    dir: &'a RunDir,
    layout: Layout,
    means: &'a Means,
    time: RunTime,
    journal: &'a mut Journal,
    log: ScriptLog,
    /// Whether `deployment-archive` is there: before that, some events speak of the previous revision.
    downloaded: bool,
}

/// A failure, and the event that it belongs to.
struct Trouble {
    event: Option<String>,
    failure: Box<Failure>,
}

/// What an event came to.
enum Came {
    Well,
    Skipped(String),
    Badly(Failure),
}

/// Where an event's scripts come from.
struct Origin {
    archive: PathBuf,
    spec: ServerSpec,
    /// The earlier run, where it is one.
    run: Option<String>,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        intent: &'a RunIntent,
        dir: &'a RunDir,
        means: &'a Means,
        time: RunTime,
        journal: &'a mut Journal,
        log: ScriptLog,
    ) -> Self {
        Self { intent, dir, layout: intent.layout(), means, time, journal, log, downloaded: false }
    }

    fn now(&self) -> Timestamp {
        self.means.clock.now()
    }

    fn warn(&mut self, message: String) -> Result<(), HostError> {
        let at = self.now();
        self.journal.tell(&Line::Warned { at, message })
    }

    /// Runs all events, or as many as it can.
    pub(super) fn run(mut self, events: &[String]) -> Result<End, HostError> {
        let spec = match self.prepare(events) {
            Ok((spec, warnings)) => {
                for warning in warnings {
                    self.warn(warning)?;
                }
                spec
            }
            Err(trouble) => {
                for event in events {
                    let failed = trouble.event.as_ref() == Some(event);
                    let status = if failed { StepStatus::Failed } else { StepStatus::Skipped };
                    self.event_ended(event, status, false, self.now())?;
                }
                self.log.note(&trouble.failure.message);
                self.clear_away();
                return Ok(End::failed(trouble.event, *trouble.failure).untouched());
            }
        };
        for (index, event) in events.iter().enumerate() {
            if self.dir.stop().exists() {
                self.skip(&events[index..])?;
                let stopped = End::stopped();
                return Ok(if index == 0 { stopped.untouched() } else { stopped });
            }
            if self.time.is_up(self.now()) {
                self.skip(&events[index..])?;
                let failure = self.time.failure(&format!("and {event} had not begun"));
                self.log.note(&failure.message);
                return Ok(End::failed(None, failure));
            }
            if let Some(failure) = self.event(event, &spec)? {
                self.skip(&events[index + 1..])?;
                return Ok(End::failed(Some(event.clone()), failure));
            }
        }
        self.layout.point(&self.intent.group, Pointer::LastSuccessfulDeployment, self.dir)?;
        Ok(End { verdict: Verdict::Succeeded, failed_event: None, failure: None, untouched: false })
    }

    /// A bundle that was refused is of no use to anybody. What cannot be removed goes with its run.
    fn clear_away(&self) {
        let _ = fs::remove_dir_all(self.dir.unpacking());
        let _ = fs::remove_file(self.dir.bundle());
    }

    fn skip(&mut self, events: &[String]) -> Result<(), HostError> {
        let now = self.now();
        events.iter().try_for_each(|event| self.event_ended(event, StepStatus::Skipped, false, now))
    }

    fn event_ended(
        &mut self,
        event: &str,
        status: StepStatus,
        ignored: bool,
        began: Timestamp,
    ) -> Result<(), HostError> {
        let at = self.now();
        let took_ms = u64::try_from(at.duration_since(began).as_millis()).unwrap_or(0);
        self.journal.tell(&Line::EventEnded { at, event: event.to_owned(), status, ignored, took_ms })
    }

    /// Runs one event; a failure that is not passed over comes back.
    fn event(&mut self, event: &str, spec: &ServerSpec) -> Result<Option<Failure>, HostError> {
        let began = self.now();
        self.journal.tell(&Line::EventBegan { at: began, event: event.to_owned() })?;
        self.log.event(event);
        let came = match event {
            "DownloadBundle" => self.download(spec)?,
            "Install" => self.install(spec)?,
            _ => self.hooks(event, spec, began)?,
        };
        match came {
            Came::Well => self.event_ended(event, StepStatus::Succeeded, false, began)?,
            Came::Skipped(why) => {
                self.warn(why)?;
                self.event_ended(event, StepStatus::Skipped, false, began)?;
            }
            Came::Badly(failure) => {
                let ignored = self.intent.options.ignore_application_stop_failures && PREVIOUS_EVENTS.contains(&event);
                self.event_ended(event, StepStatus::Failed, ignored, began)?;
                if !ignored {
                    return Ok(Some(failure));
                }
                self.warn(format!("passed over: {}", failure.message))?;
            }
        }
        Ok(None)
    }

    /// Everything that can be known before the first event, while the old revision serves undisturbed (R2, R22, R36).
    fn prepare(&mut self, events: &[String]) -> Result<(ServerSpec, Vec<String>), Trouble> {
        let during = |event: &str| {
            let event = Some(event.to_owned());
            move |failure| Trouble { event, failure: Box::new(failure) }
        };
        let mut warnings = unpack(self.intent, self.dir).map_err(during("DownloadBundle"))?;
        let archive = self.dir.unpacking().join("root");
        let (name, text) =
            find_appspec(&archive, self.intent.options.appspec.as_deref()).map_err(during("DownloadBundle"))?;
        let (spec, findings) = parse_with_events(&text, &name, events);
        let before = |failure| Trouble { event: None, failure: Box::new(failure) };
        let spec = usable(spec, &name, &findings).map_err(before)?;
        let others = findings.0.iter().filter(|finding| finding.severity == crate::domain::Severity::Warning);
        warnings.extend(others.map(ToString::to_string));
        for event in events.iter().filter(|event| !LIFECYCLE.contains(&event.as_str())) {
            if spec.scripts_of(event).is_empty() {
                let text = format!("the AppSpec has no scripts for `{event}`");
                return Err(before(Failure::setup("host/events", text).help("name an event of its `hooks`")));
            }
        }
        for hook in spec.hooks.iter().filter(|hook| !events.contains(&hook.event)) {
            warnings
                .push(format!("the scripts of {} do not run: the event is not part of this deployment", hook.event));
        }
        for event in PREVIOUS_EVENTS {
            for script in spec.scripts_of(event) {
                if !hook::script_path(&archive, &script.location).exists() {
                    let location = &script.location;
                    warnings
                        .push(format!("`{location}` is not in the bundle: {event} of the next deployment will fail"));
                }
            }
        }
        // What a BeforeInstall script may still make is judged when its time comes.
        let can_make = |event: &str| {
            let place = |name: &str| events.iter().position(|it| it == name);
            !spec.scripts_of("BeforeInstall").is_empty() && place("BeforeInstall") < place(event)
        };
        for event in events.iter().filter(|event| !PREVIOUS_EVENTS.contains(&event.as_str())) {
            for script in spec.scripts_of(event) {
                self.known_to_run(event, script, &archive, can_make(event)).map_err(during(event))?;
            }
        }
        if !can_make("Install") {
            install::check_sources(&spec, &archive).map_err(during("Install"))?;
        }
        Ok((spec, warnings))
    }

    fn known_to_run(&self, event: &str, script: &Script, archive: &Path, can_make: bool) -> Result<(), Failure> {
        match self.account(event, script) {
            Err(failure) if !can_make || failure.code == "host/not-root" => return Err(failure),
            Ok(_) | Err(_) => {}
        }
        if !can_make && !hook::script_path(archive, &script.location).exists() {
            // Told as the place where it would be run.
            let path = hook::script_path(&self.dir.archive(), &script.location);
            let like = hook::alike(archive, &script.location);
            return Err(hook::missing(event, &script.location, &path, like.as_deref()));
        }
        Ok(())
    }

    /// The user that a script runs as.
    fn account(&self, event: &str, script: &Script) -> Result<Account, Failure> {
        let Some(name) = script.runas.as_ref().or(self.intent.options.user.as_ref()) else { return Ok(Account::own()) };
        let account = Account::named(name).ok_or_else(|| {
            Failure::setup(
                "host/unknown-user",
                format!("`{}` in {event} runs as `{name}`, and there is no such user on this host", script.location),
            )
            .help("create the user")
        })?;
        if !account.is_own() && !Account::can_change() {
            return Err(Failure::setup(
                "host/not-root",
                format!(
                    "`{}` in {event} runs as `{name}`, and the engine runs as `{}`, which is not root",
                    script.location,
                    Account::own().name
                ),
            )
            .help("run the engine as root, or remove `runas`"));
        }
        Ok(account)
    }

    /// `DownloadBundle`: the checked archive gets its name (R7), and old ones go (R8).
    fn download(&mut self, spec: &ServerSpec) -> Result<Came, HostError> {
        let archive = self.dir.archive();
        let unpacking = self.dir.unpacking();
        fs::rename(unpacking.join("root"), &archive).map_err(HostError::on("move", &archive))?;
        // What is left is an empty folder or the name of a stripped one.
        let _ = fs::remove_dir_all(&unpacking);
        self.downloaded = true;
        self.layout.point(&self.intent.group, Pointer::MostRecentInstall, self.dir)?;
        let told = serde_json::json!({
            "deployment_id": self.intent.run.as_str(),
            "bundle": self.intent.bundle.display().to_string(),
            "destinations": spec.files.iter().map(|file| &file.destination).collect::<Vec<_>>(),
        });
        write_whole(&self.layout.install_json(&self.intent.group), told.to_string().as_bytes())?;
        self.sweep();
        Ok(Came::Well)
    }

    fn install(&mut self, spec: &ServerSpec) -> Result<Came, HostError> {
        match install::install(self.intent, spec, &self.dir.archive(), &self.means.probe) {
            Ok(warnings) => {
                for warning in warnings {
                    self.warn(warning)?;
                }
                self.layout.point(&self.intent.group, Pointer::LastSuccessfulInstall, self.dir)?;
                Ok(Came::Well)
            }
            Err(failure) => {
                self.log.note(&failure.message);
                Ok(Came::Badly(failure))
            }
        }
    }

    /// An event with scripts; one without is over at once (R18).
    fn hooks(&mut self, event: &str, spec: &ServerSpec, began: Timestamp) -> Result<Came, HostError> {
        let origin = if PREVIOUS_EVENTS.contains(&event) && !self.downloaded {
            match self.previous(event) {
                Ok(Some(origin)) => origin,
                Ok(None) => return Ok(Came::Well),
                Err(came) => return Ok(came),
            }
        } else {
            Origin { archive: self.dir.archive(), spec: spec.clone(), run: None }
        };
        let event_ends = self.time.event_ends(began, self.means.event_time);
        for script in origin.spec.scripts_of(event) {
            if let Some(failure) = self.script(event, script, &origin, event_ends)? {
                return Ok(Came::Badly(match &origin.run {
                    Some(run) => with_origin(failure, run, event),
                    None => failure,
                }));
            }
        }
        Ok(Came::Well)
    }

    fn script(
        &mut self,
        event: &str,
        script: &Script,
        origin: &Origin,
        event_ends: Timestamp,
    ) -> Result<Option<Failure>, HostError> {
        let account = match self.account(event, script) {
            Ok(account) => account,
            Err(failure) => return Ok(Some(failure)),
        };
        if let Err(closed) = account.can_enter(&origin.archive) {
            let text = format!("`{}` cannot enter `{}`, where its script lies", account.name, closed.display());
            return Ok(Some(
                Failure::setup("host/archive-closed", text).help("give others the right to pass: chmod o+x"),
            ));
        }
        let at = self.now();
        self.journal.tell(&Line::ScriptBegan { at, event: event.to_owned(), location: script.location.clone() })?;
        let left = Duration::try_from(event_ends.duration_since(at)).unwrap_or_default();
        let hook = HookScript {
            event,
            location: &script.location,
            arguments: &[],
            archive: &origin.archive,
            account: &account,
            variables: variables(self.intent, event, &account, &origin.archive, &self.means.environment),
            timeout: script.timeout.unwrap_or(self.means.event_time).min(left),
            program: &self.means.program,
            kill_after: self.means.kill_after,
            clock: &self.means.clock,
            keeper: None,
        };
        let mut warnings = Vec::new();
        let (told, failure) = hook::run(&hook, &mut self.log, &mut warnings);
        for warning in warnings {
            self.warn(warning)?;
        }
        let at = self.now();
        let cut_off = told.timed_out && self.time.is_up(at);
        self.journal.tell(&Line::ScriptEnded { at, event: event.to_owned(), script: told })?;
        Ok(failure.map(|failure| if cut_off { self.cut_off(failure, script, event) } else { failure }))
    }

    /// The failure of a script that the end of the whole run's time ended, with what the script had said.
    fn cut_off(&self, failure: Failure, script: &Script, event: &str) -> Failure {
        let why = self.time.failure(&format!("when `{}` ran in {event}", script.location));
        Failure { detail: failure.detail, blame: failure.blame, ..why }
    }

    /// The previous successful deployment's revision; nothing on the first one (R16).
    fn previous(&self, event: &str) -> Result<Option<Origin>, Came> {
        let Some(run) = self.layout.pointed(&self.intent.group, Pointer::LastSuccessfulDeployment) else {
            return Ok(None);
        };
        let archive = run.archive();
        let named = run.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let badly = |failure| Came::Badly(with_origin(failure, &named, event));
        if !archive.is_dir() {
            let text = format!("the previous revision's archive `{}` is gone", archive.display());
            return Err(if self.intent.options.strict {
                badly(Failure::setup("host/previous-gone", text))
            } else {
                Came::Skipped(format!("{text} (deleted by hand?): {event} was skipped"))
            });
        }
        let intent = RunIntent::read(&run).ok();
        let asked = intent.as_ref().and_then(|it| it.options.appspec.clone());
        let (name, text) = find_appspec(&archive, asked.as_deref()).map_err(badly)?;
        let own = intent.and_then(|it| it.options.events).unwrap_or_default();
        let (spec, findings) = parse_with_events(&text, &name, &own);
        let spec = usable(spec, &name, &findings).map_err(badly)?;
        Ok(Some(Origin { archive, spec, run: Some(named) }))
    }

    /// Removes the oldest runs of the group, but none that a pointer names (R8). What cannot be removed stays.
    fn sweep(&self) {
        let pointers = [Pointer::LastSuccessfulDeployment, Pointer::LastSuccessfulInstall, Pointer::MostRecentInstall];
        let kept: Vec<RunDir> = pointers.iter().filter_map(|it| self.layout.pointed(&self.intent.group, *it)).collect();
        let Ok(listing) = fs::read_dir(self.layout.group(&self.intent.group)) else { return };
        let mut runs: Vec<_> = listing
            .flatten()
            .map(|found| RunDir::at(found.path()))
            .filter(|run| run.path() != self.dir.path() && is_over(run))
            .filter_map(|run| Some((fs::metadata(run.intent()).ok()?.modified().ok()?, run)))
            .collect();
        runs.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
        let keep = usize::try_from(self.intent.options.max_revisions).unwrap_or(usize::MAX);
        let last_good = self.layout.pointed(&self.intent.group, Pointer::LastSuccessfulDeployment);
        let last_good = last_good.and_then(|run| RunIntent::read(&run).ok()).map(|intent| intent.run);
        let needed = |run: &RunDir| {
            let group = &self.intent.group;
            kept.contains(run)
                || last_good.as_ref().is_some_and(|last| install::keeps_foreign(&self.layout, group, run, last))
        };
        for (_, run) in runs.into_iter().skip(keep).filter(|(_, run)| !needed(run)) {
            let _ = fs::remove_dir_all(run.path());
        }
    }
}

/// Whether nobody works on a run or will: one that waits for its turn is not over.
fn is_over(run: &RunDir) -> bool {
    Story::read(run).is_ok_and(|story| story.started) && !is_locked(run)
}

/// A failure of something that the previous deployment brought, which nobody would look for there (E73).
fn with_origin(failure: Failure, run: &str, event: &str) -> Failure {
    let message = format!("{} (in {event} of the previous deployment, {run})", failure.message);
    Failure { message, ..failure }
        .help(format!("deploy with `ignore_application_stop_failures`: this revision's own {event} runs next time"))
}

/// The server AppSpec for this host, or why there is none.
fn usable(spec: Option<AppSpec>, name: &str, findings: &Findings) -> Result<ServerSpec, Failure> {
    let Some(spec) = spec else {
        let first = findings.errors().next().map(ToString::to_string).unwrap_or_default();
        let more = match findings.errors().count() {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        return Err(Failure::revision("host/appspec", format!("{first}{more}"))
            .help("run `landfall check` on it before pushing")
            .detail(&findings.to_string()));
    };
    match spec {
        AppSpec::Server(spec) if spec.os == Os::Linux => Ok(spec),
        AppSpec::Server(_) => {
            Err(Failure::revision("host/os", format!("`{name}` is for windows, and this host runs linux")))
        }
        AppSpec::Lambda(_) | AppSpec::Ecs(_) => {
            Err(Failure::revision("host/os", format!("`{name}` is for Lambda or ECS, and this host is a server")))
        }
    }
}
