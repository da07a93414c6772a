//! Approvals: what a person's word is of, and the words that say what comes of it. Pure.

use crate::domain::{Approval, Deployment, EngineSpec, Failure, State};

/// What an approval given now is of, with what it does in words; or why there is nothing to approve.
pub(super) fn meant(deployment: &Deployment, wanted: Option<Approval>) -> Result<(Approval, String), Failure> {
    let id = deployment.id();
    let Some(of) = deployment.may_be_approved() else { return Err(nothing(deployment)) };
    if let Some(wanted) = wanted.filter(|it| *it != of) {
        let text = match deployment.is_approved(wanted) {
            true => format!("{wanted} of {id} is approved already"),
            false => format!("{id} does not wait for the approval of {wanted}"),
        };
        let help = format!("look again: what is to be approved now is {of}");
        return Err(Failure::setup("conductor/other-approval", text).help(help));
    }
    let deed = of.deed(&deployment.order().target);
    let said = if deployment.waits_for() == Some(of) {
        format!("approved {of}: it {deed}")
    } else {
        "approved the move of traffic before its time: traffic moves as soon as the deployment is ready for it".into()
    };
    Ok((of, said))
}

fn nothing(deployment: &Deployment) -> Failure {
    let id = deployment.id();
    let by = deployment.approved_by().map(|by| format!("by {by} "));
    match (&deployment.order().target.engine, by) {
        (_, Some(by)) => Failure::setup("conductor/approved-before", format!("{id} was approved {by}before"))
            .help(format!("nothing to do: `landfall status {id}` shows how it goes on")),
        (EngineSpec::Host(_), None) => {
            Failure::setup("conductor/nothing-to-approve", format!("{id} waits for no approval: {}", state(deployment)))
                .help("only promotions and CodeDeploy deployments that shift traffic wait for one")
        }
        (EngineSpec::CodeDeploy(_), None) => {
            Failure::setup("conductor/nothing-to-approve", format!("{id} waits for no approval: {}", state(deployment)))
        }
    }
}

fn state(deployment: &Deployment) -> String {
    match deployment.state() {
        State::Held { hold } | State::ReadyHeld { hold, .. } => format!("it is held: {}", hold.reason),
        State::Planned | State::Weighing | State::Preparing { .. } | State::Ready { .. } => now(deployment),
        State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => now(deployment),
        State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => now(deployment),
        State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => now(deployment),
    }
}

fn now(deployment: &Deployment) -> String {
    format!("it is {}", deployment.state().name())
}
