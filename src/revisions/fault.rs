//! What S3's errors mean. Pure: it looks at an answer and asks nothing.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::domain::causes;

use super::error::RevisionError;

/// What was being done, for the sentence that says why it did not work.
#[derive(Clone, Debug)]
pub(super) struct Doing {
    pub(super) bucket: String,
    pub(super) region: String,
    pub(super) key: String,
    pub(super) permission: &'static str,
}

impl Doing {
    /// The error that S3's answer, or its absence, is.
    pub(super) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> RevisionError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let bucket = self.bucket.clone();
        let SdkError::ServiceError(answer) = &error else {
            let said = chain(&error);
            let by_credentials = said.to_lowercase().contains("credential");
            return if by_credentials {
                RevisionError::Credentials { said }
            } else {
                RevisionError::Unavailable { what: bucket, said }
            };
        };
        let status = answer.raw().status().as_u16();
        let code = answer.err().code().unwrap_or_default();
        let actual = answer.raw().headers().get("x-amz-bucket-region").map(ToOwned::to_owned);
        let said = match answer.err().message() {
            Some(message) if !code.is_empty() => format!("{code}: {message}"),
            Some(message) => message.to_owned(),
            None if code.is_empty() => format!("status {status}"),
            None => code.to_owned(),
        };
        self.answered(status, code, actual, said)
    }

    fn answered(&self, status: u16, code: &str, actual: Option<String>, said: String) -> RevisionError {
        let Self { bucket, region, key, permission } = self.clone();
        let what = format!("s3://{bucket}/{key}");
        let elsewhere = actual.as_ref().is_some_and(|it| *it != region);
        match (status, code) {
            (_, "NoSuchBucket") => RevisionError::NoSuchBucket { bucket },
            // A session's token runs out while a deployment goes on; whoever handed it out renews it.
            (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => RevisionError::Expired { said },
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken") => RevisionError::Credentials { said },
            (_, "RequestTimeTooSkewed") => RevisionError::Credentials { said },
            (301 | 307, _) | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
                RevisionError::WrongRegion { bucket, region, actual }
            }
            (_, "IllegalLocationConstraintException") => RevisionError::WrongRegion { bucket, region, actual },
            (400, _) if elsewhere => RevisionError::WrongRegion { bucket, region, actual },
            // The upload was ended behind our back; the next one is another.
            (_, "NoSuchUpload" | "RequestTimeout" | "SlowDown" | "BadDigest") => {
                RevisionError::Unavailable { what: bucket, said }
            }
            (401 | 403, _) => RevisionError::AccessDenied { bucket, key, permission, said },
            (404, _) => RevisionError::Gone { what },
            (408 | 409 | 429 | 500.., _) => RevisionError::Unavailable { what: bucket, said },
            (412, _) => RevisionError::Replaced { what, expected: "the eTag recorded".into(), found: "another".into() },
            _ => RevisionError::Refused { what, said },
        }
    }
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let doing =
            Doing { bucket: "b".into(), region: "eu-west-1".into(), key: "k".into(), permission: "s3:PutObject" };
        let code = |status, code: &str, region: Option<&str>| {
            let failure = doing.answered(status, code, region.map(Into::into), "said".into()).failure();
            (failure.code, failure.passing)
        };
        for (status, name, region, expected, passing) in [
            (403, "AccessDenied", None, "revisions/access-denied", false),
            (403, "", None, "revisions/access-denied", false),
            (403, "SignatureDoesNotMatch", None, "revisions/credentials", false),
            (400, "ExpiredToken", None, "revisions/credentials-expired", true),
            (403, "ExpiredToken", None, "revisions/credentials-expired", true),
            (404, "NoSuchBucket", None, "revisions/no-such-bucket", false),
            (404, "", None, "revisions/gone", false),
            (404, "NoSuchUpload", None, "revisions/unavailable", true),
            (301, "PermanentRedirect", Some("us-east-1"), "revisions/wrong-region", false),
            (400, "", Some("us-east-1"), "revisions/wrong-region", false),
            (400, "InvalidPart", None, "revisions/refused", false),
            (503, "SlowDown", None, "revisions/unavailable", true),
            (500, "InternalError", None, "revisions/unavailable", true),
            (412, "PreconditionFailed", None, "revisions/replaced", false),
        ] {
            assert_eq!(code(status, name, region), (expected.to_owned(), passing), "{status} {name}");
        }
    }
}
