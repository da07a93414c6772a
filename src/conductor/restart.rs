//! Restarts: what is live at a target is started anew by CodeDeploy, from what its instances have (row 35).
//!
//! CodeDeploy itself takes the revision of the group's last success; nothing is sent to it. It does so for servers whose
//! group deploys in place, and for nobody else, which is said here as far as it is known without asking.

use crate::domain::{
    Cause, DeployOptions, Deployment, EngineSpec, Failure, Order, Platform, Request, Revision, RevisionForm, Target,
};
use crate::ledger::{Birth, Ledger, LedgerError};

use super::rollback;

/// What is born of a person's wish.
pub(super) fn of_request(
    ledger: &Ledger,
    request: &Request,
    target: &Target,
    options: &DeployOptions,
) -> Result<Result<Birth, Failure>, LedgerError> {
    if let Some(failure) = unfit(target, options) {
        return Ok(Err(failure));
    }
    Ok(match rollback::live(ledger, target)? {
        None => {
            Err(Failure::setup("conductor/nothing-live", format!("nothing that `{}` deployed is live", target.name))
                .help("push or deploy a commit first"))
        }
        Some(live) if is_inline(&live) => Err(not_servers()),
        Some(live) => {
            Ok(Birth { order: order(&live, request, target, options), kind: format!("restart {}", request.key) })
        }
    })
}

/// Why a target restarts nothing, or not so.
fn unfit(target: &Target, options: &DeployOptions) -> Option<Failure> {
    let refused = |text: &str, help: &str| Some(Failure::setup("conductor/no-restart", text).help(help));
    let EngineSpec::CodeDeploy(spec) = &target.engine else {
        let help = "deploy what is live again: `landfall redeploy ID`";
        return refused("the host engine deploys, and does not restart what it deployed", help);
    };
    let installs =
        [("outdated_only", options.outdated_only), ("file_exists_behavior", options.file_exists_behavior.is_some())];
    if let Some((option, _)) = installs.into_iter().find(|(_, set)| *set) {
        let text = format!("`{option}` is for deployments, and a restart brings nothing to any instance");
        return Some(Failure::setup("conductor/option-not-taken", text).help("ask again without it"));
    }
    if spec.platform.is_some_and(|it| it != Platform::Server) || spec.revision == Some(RevisionForm::AppSpec) {
        return Some(not_servers());
    }
    if spec.target_instances.is_some() {
        let help = "deploy what is live again: `landfall redeploy ID`";
        return refused("only groups that deploy in place restart, and this target replaces its instances", help);
    }
    None
}

fn is_inline(live: &Deployment) -> bool {
    matches!(live.revision(), Some(Revision::AppSpec { .. }))
}

fn not_servers() -> Failure {
    Failure::setup("conductor/no-restart", "only servers restart, and this target is for functions or services")
        .help("deploy what is live again: `landfall redeploy ID`")
}

fn order(live: &Deployment, request: &Request, target: &Target, options: &DeployOptions) -> Order {
    let (actor, key) = (request.actor.clone(), request.key.clone());
    Order {
        target: target.clone().into(),
        cause: Cause::Restart { actor, key, of: live.id() },
        parent: Some(live.id()),
        sha: live.commit().clone(),
        before: None,
        options: options.clone(),
        ..live.order().clone()
    }
}
