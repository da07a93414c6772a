//! What went wrong with a call, sorted by what is known of its effect. It decides nothing about deployments.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_codedeploy::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_codedeploy::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_codedeploy::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_codedeploy::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use thiserror::Error;

use crate::domain::{CodeDeploySpec, Failure, causes};

/// A call without the wanted answer.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// Nothing left this machine: no credentials, no connection.
    #[error("CodeDeploy could not be reached for {action}: {why}")]
    NeverSent {
        /// The API's name of the call.
        action: &'static str,
        /// The SDK's words.
        why: String,
    },
    /// The role that the call is made by was not given to us, so that nothing left for CodeDeploy.
    #[error("AWS refuses the role that {action} needs: {message}")]
    NoRole {
        /// The API's name of the call.
        action: &'static str,
        /// STS's code, `AccessDenied`.
        code: String,
        /// STS's words.
        message: String,
    },
    /// It was sent, or may have been, and no answer came that says what it did.
    #[error("CodeDeploy gave no clear answer to {action}: {why}")]
    Lost {
        /// The API's name of the call.
        action: &'static str,
        /// The SDK's words.
        why: String,
    },
    /// Refused for being one call too many. It had no effect.
    #[error("CodeDeploy throttles {action}")]
    Throttled {
        /// The API's name of the call.
        action: &'static str,
    },
    /// Refused. It had no effect.
    #[error("CodeDeploy refuses {action}: {code}: {message}")]
    Refused {
        /// The API's name of the call.
        action: &'static str,
        /// The exception's name, `DeploymentLimitExceededException`.
        code: String,
        /// CodeDeploy's words.
        message: String,
    },
}

/// The codes that every AWS service uses for «too many calls», and the ones that this one was seen with.
const THROTTLES: [&str; 7] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
];

impl Trouble {
    /// Sorts an error of the SDK. Where in doubt, it was sent.
    pub(super) fn of<E>(action: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|it| it.status().as_u16());
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = meta.and_then(|it| it.code()).unwrap_or_default();
        if status == Some(429) || THROTTLES.contains(&code) {
            return Self::Throttled { action };
        }
        // Without a code, a proxy between us and AWS says it: a timeout of its own tells nothing of what AWS did.
        let timed_out = code.is_empty() && matches!(status, Some(408 | 499));
        if let (Some(meta), Some(400..=499), false) = (meta, status, timed_out) {
            let message = meta.message().unwrap_or("without a word").to_owned();
            let code = if code.is_empty() { "UnknownError" } else { code }.to_owned();
            return Self::Refused { action, code, message };
        }
        if let Some((code, message)) = refused_role(error) {
            return Self::NoRole { action, code, message };
        }
        let why = words(error, status, error.request_id());
        if matches!(error, SdkError::ConstructionFailure(_)) || never_connected(error) {
            Self::NeverSent { action, why }
        } else {
            Self::Lost { action, why }
        }
    }

    /// The same, knowing from [`Departure`] that nothing was handed to the network.
    pub(super) fn unless_departed(self, departed: &Departure) -> Self {
        match self {
            Self::Lost { action, why } if !departed.happened() => Self::NeverSent { action, why },
            Self::Lost { .. } | Self::NeverSent { .. } | Self::NoRole { .. } => self,
            Self::Throttled { .. } | Self::Refused { .. } => self,
        }
    }

    /// The exception's name, where CodeDeploy refused.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::NeverSent { .. } | Self::NoRole { .. } | Self::Lost { .. } | Self::Throttled { .. } => None,
        }
    }

    /// The API's name of the call.
    pub(super) fn action(&self) -> &'static str {
        let (Self::NeverSent { action, .. }
        | Self::NoRole { action, .. }
        | Self::Lost { action, .. }
        | Self::Refused { action, .. }
        | Self::Throttled { action }) = self;
        action
    }

    /// The failure to show.
    pub(super) fn failure(&self, spec: &CodeDeploySpec) -> Failure {
        match self {
            Self::NeverSent { .. } => Failure::passing("codedeploy/unreachable", self.to_string()).help(format!(
                "check the way to `{}` and the credentials: `landfall doctor` asks for both",
                address(spec)
            )),
            Self::NoRole { code, message, .. } => super::reasons::no_role(code, message, spec),
            Self::Lost { .. } => Failure::passing("codedeploy/no-answer", self.to_string()),
            Self::Throttled { .. } => Failure::passing("codedeploy/throttled", self.to_string()),
            Self::Refused { action, code, message } => super::reasons::refusal(action, code, message, spec),
        }
    }
}

/// Where a call goes (row 11): the configuration's address, or AWS's own.
fn address(spec: &CodeDeploySpec) -> String {
    let suffix = if spec.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    spec.endpoint_url.clone().unwrap_or_else(|| format!("https://codedeploy.{}.{suffix}", spec.region))
}

/// What a person can use of an error: the status and request id of an answer, else the two deepest causes.
fn words<E: Error + Send + Sync + 'static>(error: &SdkError<E>, status: Option<u16>, request: Option<&str>) -> String {
    if let Some(status) = status {
        return request.map_or(format!("HTTP {status}"), |request| format!("HTTP {status}, request {request}"));
    }
    let mut causes = causes(error);
    causes.split_off(causes.len().saturating_sub(2)).join(": ")
}

/// What STS said when it refused the role by which a call was to be signed. Credentials are asked for on the way to the
/// call, so that this lies among the causes of its error.
fn refused_role(error: &(dyn Error + 'static)) -> Option<(String, String)> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(SdkError::ServiceError(refusal)) = error.downcast_ref::<SdkError<AssumeRoleError>>() {
            let meta = refusal.err().meta();
            return Some((meta.code()?.to_owned(), meta.message().unwrap_or("without a word").to_owned()));
        }
        next = error.source();
    }
    None
}

/// Whether the error is about making a connection. Nothing is written before there is one.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|it| it.is_connect()) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Tells whether a request was handed to the network: credentials and the like may fail before.
#[derive(Clone, Debug, Default)]
pub(super) struct Departure(Arc<AtomicBool>);

impl Departure {
    fn happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Intercept for Departure {
    fn name(&self) -> &'static str {
        "landfall departure"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }
}
