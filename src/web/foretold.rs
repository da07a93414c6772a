//! The words in which a page says what a button will do. It decides nothing: what would be born is what the conductor says.

use askama::Template;

use super::frame::{Frame, VERSION, exact, ticked};
use crate::asking::Foreseen;
use crate::board::{ApprovalView, DeploymentDetail, TargetView};
use crate::domain::{Approval, Ask, Cause, EngineSpec, Lock, OnNewPush, Order, TargetName};

/// What is true of every act that holds releases back.
const STILL: &str = "Pushes are still taken, checked and prepared, and nothing is lost";

/// Something that may be filled in.
pub(super) struct Input {
    name: &'static str,
    label: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Needed,
    Hours,
    Check,
}

/// What a page says of an act.
pub(super) struct Words {
    /// As a question.
    pub(super) title: String,
    /// What will happen, a sentence each, without the full stop.
    pub(super) lines: Vec<String>,
    /// The word on the button.
    pub(super) button: &'static str,
    /// Whether something may be lost by it.
    pub(super) is_grave: bool,
    /// What may be filled in.
    pub(super) inputs: Vec<Input>,
}

/// The page.
#[derive(Template)]
#[template(path = "confirm.html", config = "src/web/askama.toml")]
pub(super) struct ConfirmSheet {
    pub(super) frame: Frame,
    pub(super) words: Words,
    /// What the form carries besides.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// Whether what was said before is not so any more.
    pub(super) has_moved: bool,
    /// Where the form goes.
    pub(super) action: String,
    /// Where the way out leads, and what that is called.
    pub(super) back: (String, String),
}

/// How things stand where something is asked for.
pub(super) struct Scene<'a> {
    pub(super) foreseen: &'a Foreseen,
    pub(super) target: Option<&'a TargetView>,
    pub(super) deployment: Option<&'a DeploymentDetail>,
    pub(super) frame: &'a Frame,
}

impl Input {
    fn text(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: Kind::Text }
    }

    fn check(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: Kind::Check }
    }
}

impl Scene<'_> {
    /// What is said of it.
    pub(super) fn words(&self, ask: &Ask) -> Words {
        match ask {
            Ask::Deploy { target, .. } => self.deploying(format!("Deploy to {target}?"), "Deploy"),
            Ask::Redeploy { .. } => self.deploying(format!("Deploy {} again?", self.commit()), "Deploy again"),
            Ask::Rollback { target, .. } => self.deploying(format!("Roll {target} back?"), "Roll back"),
            Ask::Restart { target, .. } => self.deploying(format!("Restart {target}?"), "Restart"),
            Ask::Replay { .. } => self.deploying("Plan this push again?".into(), "Plan it again"),
            Ask::Stop { .. } => self.stopping(),
            Ask::Approve { of, .. } => self.approving(*of),
            Ask::Reject { .. } => self.rejecting(),
            Ask::Lock { target, .. } => self.locking(target),
            Ask::Unlock { target } => self.ending(format!("Unlock {target}?"), "Unlock"),
            Ask::LockAll { .. } => self.holding_all("Lock every target?", "Lock all", "until all are unlocked"),
            Ask::Pause { .. } => self.holding_all("Pause all releases?", "Pause releases", "until somebody resumes"),
            Ask::UnlockAll {} => self.ending("Unlock every target?".into(), "Unlock all"),
            Ask::Resume {} => self.ending("Resume releases?".into(), "Resume releases"),
        }
    }

    /// The commit that would be deployed, or that of the deployment that is asked about.
    fn commit(&self) -> &str {
        let born = self.foreseen.orders.first().map(|it| it.sha.short());
        born.or(self.deployment.map(|it| it.summary.sha.short())).unwrap_or_default()
    }

    fn deploying(&self, title: String, button: &'static str) -> Words {
        let mut lines: Vec<String> = self.foreseen.orders.iter().map(brought).collect();
        let told = self.foreseen.told.as_deref().into_iter().flat_map(str::lines);
        lines.extend(told.map(str::to_owned));
        lines.extend(self.standing());
        Words { title, lines, button, is_grave: false, inputs: vec![] }
    }

    /// What is there now, and what goes on there.
    fn standing(&self) -> Vec<String> {
        let Some(target) = self.target else { return vec![] };
        let mut lines = vec![match &target.live {
            Some(live) => {
                let title = live.title.as_ref().map(|it| format!(" «{it}»")).unwrap_or_default();
                let age = self.frame.ago(&live.at);
                format!("Live at {} now: `{}`{title} ({age})", target.name, live.sha.short())
            }
            None => format!("Nothing is live at {} yet", target.name),
        }];
        lines.extend(self.under_way());
        lines.extend(self.waiting());
        lines
    }

    /// What becomes of the deployment that is under way there.
    fn under_way(&self) -> Option<String> {
        let (target, mode) = (self.target?, self.foreseen.orders.first()?.target.on_new_push);
        let running = target.lane.iter().find(|it| Some(it.deployment) == target.running)?;
        let becomes = match (is_before_release(running.state), mode) {
            (true, OnNewPush::QueueAll) => "being prepared: this one comes after it",
            (true, OnNewPush::QueueLatest | OnNewPush::StopRunning) => "being prepared: this one may take its place",
            (false, OnNewPush::StopRunning) => "under way, and is stopped for this one",
            (false, OnNewPush::QueueAll | OnNewPush::QueueLatest) => "under way: this one waits for its end",
        };
        Some(format!("A deployment of `{}` to {} is {becomes}", running.sha.short(), target.name))
    }

    /// What will be answered, which is worded for afterwards; but for what its first lines have said here already.
    fn answer(&self, said: usize) -> Option<String> {
        let told: Vec<&str> = self.foreseen.told.as_deref()?.lines().skip(said).collect();
        (!told.is_empty()).then(|| format!("Once that is done: {}", told.join("; ")))
    }

    fn waiting(&self) -> Option<String> {
        let target = self.target?;
        match target.waiting.len() {
            0 => None,
            1 => Some(format!("1 deployment to {} waits already", target.name)),
            number => Some(format!("{number} deployments to {} wait already", target.name)),
        }
    }

    fn stopping(&self) -> Words {
        let state = self.deployment.map_or("running", |it| it.summary.state);
        let released = !is_before_release(state);
        let mut lines = vec![match released {
            true => "The engine is asked to stop; what it has done by then stays, unless the last good revision is \
                     brought back"
                .to_owned(),
            false => "Nothing of it has been released: what is live stays".to_owned(),
        }];
        lines.extend(self.answer(0));
        let inputs =
            if released { vec![Input::check("rollback", "bring the last good revision back")] } else { vec![] };
        Words { title: format!("Stop {}?", self.commit()), lines, button: "Stop it", is_grave: true, inputs }
    }

    fn approving(&self, of: Option<Approval>) -> Words {
        let approval = self.deployment.and_then(|it| it.approval.as_ref());
        let mut lines: Vec<String> = approval.map(|it| format!("Approving it {}", it.deed)).into_iter().collect();
        lines.extend(approval.and_then(|it| it.awaited.as_ref()).map(|it| format!("It is {it}")));
        // It may take more than this one, or wait for something else still.
        lines.extend(self.answer(0));
        lines.extend(self.standing());
        let reason = Input { name: "reason", label: "Reason, which is recorded and shown", kind: Kind::Needed };
        let inputs = if of == Some(Approval::Freeze) { vec![reason] } else { vec![] };
        let button = approval.map_or("Approve", ApprovalView::word);
        Words { title: format!("{button}: {}?", self.commit()), lines, button, is_grave: false, inputs }
    }

    fn rejecting(&self) -> Words {
        let lines = vec![
            "It ends as refused, and nothing of it is released".to_owned(),
            "The commit's status says so, with your reason".to_owned(),
        ];
        let inputs = vec![Input::text("reason", "Reason, for whoever pushed it")];
        Words { title: format!("Reject {}?", self.commit()), lines, button: "Reject", is_grave: true, inputs }
    }

    fn locking(&self, target: &TargetName) -> Words {
        let mut lines = vec![
            format!("Nothing is released to {target} until it is unlocked, or the hours are over"),
            STILL.to_owned(),
        ];
        lines.extend(self.waiting());
        let hours = Input { name: "hours", label: "Hours; until somebody unlocks, if left empty", kind: Kind::Hours };
        let warn = Input::check("warn", "only warn: deployments go on, and say so");
        let inputs = vec![Input::text("reason", "Reason, for those who wonder"), hours, warn];
        Words { title: format!("Lock {target}?"), lines, button: "Lock", is_grave: false, inputs }
    }

    fn holding_all(&self, title: &str, button: &'static str, until: &str) -> Words {
        let lines = vec![format!("Nothing is released to any target {until}"), STILL.to_owned()];
        let inputs = vec![Input::text("reason", "Reason, for those who wonder")];
        Words { title: title.to_owned(), lines, button, is_grave: true, inputs }
    }

    /// What lets releases go again: the locks that end, or what would be said of it.
    fn ending(&self, title: String, button: &'static str) -> Words {
        let locks = self.target.map(|it| it.locks.as_slice()).unwrap_or_default();
        let mut lines: Vec<String> = locks.iter().map(ended).collect();
        lines.extend(self.answer(usize::from(!lines.is_empty())));
        lines.extend(self.waiting());
        Words { title, lines, button, is_grave: false, inputs: vec![] }
    }
}

/// Whether a state's name says that the engine has not been called.
fn is_before_release(state: &str) -> bool {
    ["planned", "weighing", "held", "preparing"].contains(&state)
}

/// What would be deployed where.
fn brought(order: &Order) -> String {
    let (commit, target) = (order.sha.short(), &order.target);
    let title = order.title.as_ref().map(|it| format!(" «{it}»")).unwrap_or_default();
    let engine = match target.engine {
        EngineSpec::Host(_) => "on this machine",
        EngineSpec::CodeDeploy(_) => "by CodeDeploy",
    };
    let is_called_alike = target.environment == target.name.as_str();
    let environment = if is_called_alike { String::new() } else { format!(" ({})", target.environment) };
    let place = format!("{}{environment}, {engine}", target.name);
    match &order.cause {
        Cause::Rollback { .. } => format!(
            "`{commit}`{title} is brought back to {place}: its whole AppSpec runs again, and what scripts changed \
             elsewhere since, such as a database, stays as it is"
        ),
        Cause::Restart { .. } => format!("What is live at {} is started anew; no revision is sent", target.name),
        Cause::Redeploy { .. } => format!("`{commit}`{title} goes to {place}"),
        Cause::Chosen { .. } => format!("`{commit}`{title} goes to {place}, although newer commits may be there"),
        Cause::Replay { .. } => format!(
            "`{commit}`{title}, as it was pushed to {} then, goes to {place}, although newer commits may be there",
            order.reference.short()
        ),
        Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Promotion { .. } => {
            format!("`{commit}`{title}, the head of {}, goes to {place}", order.reference.short())
        }
    }
}

/// A lock that ends.
fn ended(lock: &Lock) -> String {
    let until = lock.until.map(|it| format!(", until {}", exact(&it))).unwrap_or_default();
    format!("This ends {} {}{until}", if lock.warns { "the warning" } else { "the lock" }, lock.by())
}
