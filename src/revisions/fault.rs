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
    /// Nothing where the bucket itself was asked.
    pub(super) key: String,
    pub(super) permission: &'static str,
    /// The account that the bucket was said to belong to.
    pub(super) owner: Option<String>,
}

/// What S3 answered, as far as it tells why.
#[derive(Debug, Default)]
struct Answer {
    status: u16,
    code: String,
    said: String,
    /// The region that the bucket is in.
    region: Option<String>,
    /// When the request was signed, and when the server had it.
    times: Option<(String, String)>,
}

impl Answer {
    fn read(status: u16, code: &str, message: Option<&str>, region: Option<&str>, body: &str) -> Self {
        let said = match message {
            Some(message) if !code.is_empty() => format!("{code}: {message}"),
            Some(message) => message.to_owned(),
            None if code.is_empty() => format!("status {status}"),
            None => code.to_owned(),
        };
        Self {
            status,
            code: code.to_owned(),
            said,
            // The body names the bucket's own; the header may be the answering server's.
            region: element(body, "Region").or(region).map(str::to_owned),
            times: element(body, "RequestTime").zip(element(body, "ServerTime")).map(|(a, b)| (a.into(), b.into())),
        }
    }
}

/// The text of an element of S3's small, flat errors.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = body.split_once(&format!("<{name}>"))?;
    after.split_once("</").map(|(text, _)| text.trim()).filter(|it| !it.is_empty())
}

impl Doing {
    /// The error that S3's answer, or its absence, is.
    pub(super) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> RevisionError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let SdkError::ServiceError(answer) = &error else {
            let said = chain(&error);
            return if said.contains("ExpiredToken") {
                RevisionError::Expired { said }
            } else if said.to_lowercase().contains("credential") {
                RevisionError::Credentials { said }
            } else {
                RevisionError::Unavailable { what: self.bucket.clone(), said }
            };
        };
        let (raw, told) = (answer.raw(), answer.err());
        let body = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
        let region = raw.headers().get("x-amz-bucket-region");
        self.answered(Answer::read(
            raw.status().as_u16(),
            told.code().unwrap_or_default(),
            told.message(),
            region,
            &body,
        ))
    }

    fn answered(&self, answer: Answer) -> RevisionError {
        let Self { bucket, region, key, permission, owner } = self.clone();
        let Answer { status, code, said, region: actual, times } = answer;
        let what = if key.is_empty() { format!("s3://{bucket}") } else { format!("s3://{bucket}/{key}") };
        let elsewhere = actual.as_ref().is_some_and(|it| *it != region);
        match (status, code.as_str()) {
            (_, "NoSuchBucket") => RevisionError::NoSuchBucket { bucket },
            // A session's token runs out while a deployment goes on; whoever handed it out renews it.
            (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => RevisionError::Expired { said },
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken") => RevisionError::Credentials { said },
            (_, "RequestTimeTooSkewed") => RevisionError::Clock { times, said },
            (301 | 307, _) | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
                RevisionError::WrongRegion { bucket, region, actual }
            }
            (_, "IllegalLocationConstraintException") => RevisionError::WrongRegion { bucket, region, actual },
            (400, _) if elsewhere => RevisionError::WrongRegion { bucket, region, actual },
            // The upload was ended behind our back; the next one is another.
            (_, "NoSuchUpload" | "RequestTimeout" | "SlowDown" | "BadDigest") => {
                RevisionError::Unavailable { what: bucket, said }
            }
            (_, "EntityTooLarge") => RevisionError::TooLarge { what, said },
            (_, "InvalidObjectState") => RevisionError::Archived { what },
            (_, code) if code.starts_with("KMS.") => RevisionError::KeyUnusable { bucket, said },
            (401 | 403, _) if said.contains("kms:") => {
                RevisionError::KeyDenied { bucket, key, permission: of_kms(&said), said }
            }
            (401 | 403, _) => RevisionError::AccessDenied { bucket, key, permission, owner, said },
            (404, _) => RevisionError::Gone { what },
            (408 | 409 | 429 | 500.., _) => RevisionError::Unavailable { what: bucket, said },
            (412, _) => RevisionError::Replaced { what, expected: "the eTag recorded".into(), found: "another".into() },
            _ => RevisionError::Refused { what, said },
        }
    }
}

/// The action of KMS that S3's refusal names.
fn of_kms(said: &str) -> String {
    let from = said.find("kms:").unwrap_or_default();
    said[from..].split(|it: char| it != ':' && !it.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doing() -> Doing {
        let (bucket, region, key) = ("b".into(), "eu-west-1".into(), "k".into());
        Doing { bucket, region, key, permission: "s3:PutObject", owner: None }
    }

    #[test]
    fn answers_are_told_apart() {
        let code = |status, code: &str, region: Option<&str>| {
            let failure = doing().answered(Answer::read(status, code, Some("said"), region, "")).failure();
            (failure.code, failure.passing)
        };
        for (status, name, region, expected, passing) in [
            (403, "AccessDenied", None, "revisions/access-denied", false),
            (403, "", None, "revisions/access-denied", false),
            (403, "SignatureDoesNotMatch", None, "revisions/credentials", false),
            (400, "ExpiredToken", None, "revisions/credentials-expired", true),
            (403, "ExpiredToken", None, "revisions/credentials-expired", true),
            (403, "RequestTimeTooSkewed", None, "revisions/clock-skew", true),
            (404, "NoSuchBucket", None, "revisions/no-such-bucket", false),
            (404, "", None, "revisions/gone", false),
            (404, "NoSuchUpload", None, "revisions/unavailable", true),
            (301, "PermanentRedirect", Some("us-east-1"), "revisions/wrong-region", false),
            (400, "", Some("us-east-1"), "revisions/wrong-region", false),
            (400, "AuthorizationHeaderMalformed", None, "revisions/wrong-region", false),
            (400, "InvalidPart", None, "revisions/refused", false),
            (400, "EntityTooLarge", None, "revisions/too-large", false),
            (403, "InvalidObjectState", None, "revisions/archived", false),
            (400, "KMS.DisabledException", None, "revisions/kms-unusable", false),
            (503, "SlowDown", None, "revisions/unavailable", true),
            (500, "InternalError", None, "revisions/unavailable", true),
            (412, "PreconditionFailed", None, "revisions/replaced", false),
        ] {
            assert_eq!(code(status, name, region), (expected.to_owned(), passing), "{status} {name}");
        }
    }

    #[test]
    fn a_refusal_of_the_key_names_its_action() {
        let said = "User: arn:aws:iam::1:user/bot is not authorized to perform: kms:GenerateDataKey on resource: arn";
        let failure = doing().answered(Answer::read(403, "AccessDenied", Some(said), None, "")).failure();
        assert_eq!(failure.code, "revisions/kms-denied");
        assert!(
            failure.message.starts_with("the key of bucket `b` refused `kms:GenerateDataKey` for `k`"),
            "{failure}"
        );
    }

    #[test]
    fn what_a_body_says_besides_code_and_message_is_read() {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>";
        let answer = Answer::read(400, "AuthorizationHeaderMalformed", Some("said"), None, body);
        assert_eq!(answer.region.as_deref(), Some("us-west-2"));
        assert_eq!(element("<Region></Region>", "Region"), None);
        assert_eq!(element("<Region>cut", "Region"), None);
    }
}
