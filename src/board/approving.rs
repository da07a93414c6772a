//! What people are shown of an approval that is awaited: what it does, who may give it, and until when.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Approval, Consent, Deployment, HoldKind, State};

/// What a deployment waits for a person to approve.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ApprovalView {
    /// What.
    pub of: Approval,
    /// What an approval does, in words: fits after «approving it ».
    pub deed: String,
    /// Who is awaited, where several may have to approve, or not everybody may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaited: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl ApprovalView {
    /// What this one waits for.
    pub(crate) fn of(deployment: &Deployment) -> Option<Self> {
        let is_frozen = matches!(deployment.state(), State::ReadyHeld { hold, .. } if hold.kind == HoldKind::Freeze);
        let of = deployment.waits_for().or(is_frozen.then_some(Approval::Freeze))?;
        let consent = deployment.consent().filter(|_| of == Approval::Release);
        let (awaited, until) = (consent.as_ref().map(Consent::awaited), consent.as_ref().map(|it| it.until));
        Some(Self { of, deed: of.deed(&deployment.order().target), awaited, until })
    }

    /// Whether an approval takes a reason.
    pub fn takes_reason(&self) -> bool {
        self.of == Approval::Freeze
    }

    /// Whether it can be rejected.
    pub fn may_be_rejected(&self) -> bool {
        self.of.may_be_rejected()
    }

    /// The word on the button.
    pub fn word(&self) -> &'static str {
        match self.of {
            Approval::Promotion => "Approve the promotion",
            Approval::Traffic => "Move traffic",
            Approval::Termination => "End the old instances",
            Approval::Release => "Approve the release",
            Approval::Freeze => "Release in spite of the freeze",
        }
    }

    /// Its name on the wire, for the form.
    pub fn name(&self) -> &'static str {
        self.of.as_str()
    }
}
