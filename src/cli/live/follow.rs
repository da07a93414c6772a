//! Following what `deploy`, `redeploy`, `rollback`, `restart` and `replay` began, until it has ended.

use std::io::{IsTerminal, stderr, stdout};

use clap::Args;

use super::super::exit::{Exit, Outcome};
use super::super::server::Server;
use super::super::status::Deployment;
use super::super::terminal::{BOLD, of_state, say_json, styled, talk};
use super::screen::Screen;
use super::subject::{Scene, Subject};
use super::view::{Teller, View};
use crate::config::Environment;

/// Whether to follow what is begun.
#[derive(Debug, Args)]
pub(in crate::cli) struct Following {
    /// Wait until it has ended, which is what happens at a terminal; exits with 1 if it failed
    #[arg(long, conflicts_with = "detach")]
    wait: bool,

    /// Do not wait, at a terminal either
    #[arg(short, long)]
    detach: bool,
}

impl Following {
    /// Whether a person wants to see how it goes; or a script, which says so.
    pub(in crate::cli) fn is_wanted(&self, json: bool) -> bool {
        let at_terminal = || stdout().is_terminal() && stderr().is_terminal();
        self.wait || !(self.detach || json) && at_terminal()
    }
}

/// Follows one deployment to its end: drawn at a terminal, where Ctrl-C leaves it to itself, a line an event elsewhere.
pub(in crate::cli) fn follow(server: &Server, id: &str, json: bool, environment: &Environment) -> Outcome {
    let screen = Screen::of_stderr(environment);
    let teller = screen.map_or(Teller::Lines { told: None }, Teller::Screen);
    let Some(scene) = View::new(Subject::Deployment(id.to_owned()), teller).run(server)? else {
        talk(&format!(
            "{id} goes on\n  {} come back with `landfall status --watch {id}`, stop it with `landfall stop {id}`\n",
            styled(BOLD, "help:")
        ));
        return Ok(Exit::Interrupted);
    };
    match &scene {
        Scene::Deployment(_, answer) if json => say_json(answer),
        Scene::Deployment(..) | Scene::Everything(_) | Scene::Target(_) => {}
    }
    Ok(scene.ended().map_or(Exit::Done, if json { verdict } else { ending }))
}

fn verdict(it: &Deployment) -> Exit {
    if it.state == "succeeded" { Exit::Done } else { Exit::DeploymentFailed }
}

/// Says how it ended: the last lines of what failed, the reason, what to do.
pub(super) fn ending(it: &Deployment) -> Exit {
    let failure = it.failure.as_ref();
    if let Some(detail) = failure.and_then(|it| it.detail.as_deref()).map(str::trim_end).filter(|it| !it.is_empty()) {
        talk(&format!("\n{detail}\n\n"));
    }
    let why = it.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    talk(&format!("{} {}{why}\n", it.target, styled(of_state(&it.state), &it.state)));
    let help = failure.and_then(|it| it.help.clone()).or_else(|| {
        let way_back =
            || format!("correct it and push, or bring back what ran before: `landfall rollback {}`", it.target);
        (it.state == "failed").then(way_back)
    });
    help.iter().for_each(|help| talk(&format!("  {} {help}\n", styled(BOLD, "help:"))));
    verdict(it)
}
