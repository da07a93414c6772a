//! Approvals: what a person's word is of, and the words that say what comes of it. Pure.

use crate::domain::{Approval, Deployment, EngineSpec, Failure, HoldKind, State};

/// What an approval given now is of, with what it does in words; or why there is nothing to approve.
pub(super) fn meant(
    deployment: &Deployment,
    wanted: Option<Approval>,
    actor: &str,
    reason: Option<&str>,
) -> Result<(Approval, String), Failure> {
    let id = deployment.id();
    if wanted == Some(Approval::Freeze) {
        return override_of(deployment, reason);
    }
    let Some(of) = deployment.may_be_approved() else { return Err(nothing(deployment)) };
    if let Some(wanted) = wanted.filter(|it| *it != of) {
        let text = match deployment.is_approved(wanted) {
            true => format!("{wanted} of {id} is approved already"),
            false => format!("{id} does not wait for the approval of {wanted}"),
        };
        let help = format!("look again: what is to be approved now is {of}");
        return Err(Failure::setup("conductor/other-approval", text).help(help));
    }
    if let (Approval::Release, Some(consent)) = (of, deployment.consent()) {
        deployment.may_consent(actor)?;
        return Ok((
            of,
            match consent.missing() {
                0 | 1 => format!("approved {of}: it {}", of.deed(&deployment.order().target)),
                more => format!("approved {of}: {} of {} approvals are missing", more - 1, consent.needed),
            },
        ));
    }
    let deed = of.deed(&deployment.order().target);
    let said = if deployment.waits_for() == Some(of) {
        format!("approved {of}: it {deed}")
    } else {
        "approved the move of traffic before its time: traffic moves as soon as the deployment is ready for it".into()
    };
    Ok((of, said))
}

/// A person's word that a deployment is released although a freeze window is open: it takes a reason, which is recorded.
fn override_of(deployment: &Deployment, reason: Option<&str>) -> Result<(Approval, String), Failure> {
    let (id, of) = (deployment.id(), Approval::Freeze);
    if reason.is_none_or(|it| it.trim().is_empty()) {
        let text = "a release in spite of a freeze takes a reason";
        let help = format!("say it: `landfall approve {id} --override REASON`");
        return Err(Failure::setup("conductor/reason-missing", text).help(help));
    }
    if !is_frozen(deployment) || deployment.overrides_freeze() {
        let text = format!("no freeze holds {id}: {}", state(deployment));
        let help = format!("look at what it waits for: `landfall status {id}`");
        return Err(Failure::setup("conductor/not-frozen", text).help(help));
    }
    Ok((of, format!("approved {of}: it {}", of.deed(&deployment.order().target))))
}

fn is_frozen(deployment: &Deployment) -> bool {
    matches!(deployment.state(), State::ReadyHeld { hold, .. } if hold.kind == HoldKind::Freeze)
}

/// Why a deployment that waits for approval is not released, by somebody's word; or why that is nothing to reject.
pub(super) fn rejected(deployment: &Deployment, actor: &str, reason: Option<&str>) -> Result<Failure, Failure> {
    let id = deployment.id();
    if !matches!(deployment.waits_for(), Some(Approval::Release | Approval::Promotion)) {
        let text = format!("{id} does not wait to be approved: {}", state(deployment));
        return Err(Failure::setup("conductor/nothing-to-reject", text).help(format!("stop it: `landfall stop {id}`")));
    }
    let why = reason.map(|it| format!(": {it}")).unwrap_or_default();
    let failure = Failure::setup("conductor/rejected", format!("rejected by {actor}{why}"));
    Ok(failure.help("push what is wanted instead, or ask again: `landfall redeploy ID`"))
}

fn nothing(deployment: &Deployment) -> Failure {
    let id = deployment.id();
    let by = deployment.approved_by().map(|by| format!("by {by} "));
    if is_frozen(deployment) {
        let help = format!("to release it all the same: `landfall approve {id} --override REASON`");
        let text = format!("{id} waits for no approval: {}", state(deployment));
        return Failure::setup("conductor/nothing-to-approve", text).help(help);
    }
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
