//! Stops: what a stop brings with it, and the words for it. Pure.

use crate::appspec::{self, AppSpec};
use crate::domain::{Deployment, EngineSpec, Revision};

/// Whether the last good revision is brought back with a stop, and what comes of that in words.
///
/// On Lambda it always is (row 55): a deployment that is stopped half-way leaves the alias split over two versions, and
/// the ones after it fail on that.
pub(super) fn meant(deployment: &Deployment, rollback: bool) -> (bool, Option<String>) {
    let id = deployment.id();
    let at_codedeploy = matches!(deployment.order().target.engine, EngineSpec::CodeDeploy(_));
    let (true, Some(_)) = (at_codedeploy, deployment.run()) else { return (rollback, None) };
    if !rollback && is_lambda(deployment) {
        let why = "a Lambda deployment that stops half-way leaves its alias split over two versions";
        return (true, Some(format!("asked to stop {id} and to bring the last good revision back: {why}")));
    }
    (rollback, rollback.then(|| format!("asked to stop {id} and to bring the last good revision back")))
}

/// Whether what is being deployed is a version of a Lambda function.
fn is_lambda(deployment: &Deployment) -> bool {
    let Some(Revision::AppSpec { content, .. }) = deployment.revision() else { return false };
    matches!(appspec::parse(content, "appspec.yml").0, Some(AppSpec::Lambda(_)))
}
