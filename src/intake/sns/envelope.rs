//! The envelope that SNS puts around a message, and which of its parts are signed. It believes nothing of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;

use crate::config::Topic;
use crate::domain::Unfit;

/// What kind of message SNS sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something was published.
    Notification,
    /// Somebody wants this address to hear a topic.
    SubscriptionConfirmation,
    /// This address hears a topic no more.
    UnsubscribeConfirmation,
}

impl Kind {
    /// By SNS's own word.
    pub fn parse(word: &str) -> Result<Self, Unfit> {
        [Self::Notification, Self::SubscriptionConfirmation, Self::UnsubscribeConfirmation]
            .into_iter()
            .find(|it| it.word() == word)
            .ok_or_else(|| {
                unfit("`Notification`, `SubscriptionConfirmation` or `UnsubscribeConfirmation` as `Type`", word)
            })
    }

    /// SNS's own word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// A message of SNS, every part in its form; who sent it is not known before its signature is checked.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// What it is.
    pub kind: Kind,
    /// The same for every attempt to deliver it.
    pub id: String,
    /// Where it was published.
    pub topic: Topic,
    /// What was published.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// `1` for SHA-1, `2` for SHA-256.
    pub version: String,
    /// What SNS signed it with.
    pub signature: Vec<u8>,
    /// Where the certificate lies.
    pub certificate: String,
    /// Where a subscription is confirmed.
    pub subscribe: Option<String>,
    /// The bytes that are signed.
    pub signed: String,
}

/// As written. Keys that are not listed mean nothing to us.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    r#type: String,
    message_id: String,
    topic_arn: String,
    subject: Option<String>,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    certificate: String,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe: Option<String>,
}

impl Envelope {
    /// Reads a body. Its content type says nothing: SNS calls its JSON `text/plain`.
    pub fn parse(body: &[u8]) -> Result<Self, Unfit> {
        let written: Written = serde_json::from_slice(body)
            .map_err(|error| unfit("a message of Amazon SNS with every key that it has", &error.to_string()))?;
        let kind = Kind::parse(&written.r#type)?;
        let signed = written.signed(kind)?;
        let Written { message_id: id, topic_arn, message, timestamp, signature_version, .. } = written;
        let is_id = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_id {
            return Err(unfit("a `MessageId` of letters, digits and hyphens", &id));
        }
        let at =
            timestamp.parse().map_err(|_| unfit("a `Timestamp` such as `2025-03-04T09:20:18.000Z`", &timestamp))?;
        // What is wrong with a signature is shown to nobody.
        let signature =
            STANDARD.decode(&written.signature).map_err(|_| unfit("a `Signature` in base64", "another text"))?;
        Ok(Self {
            kind,
            id,
            topic: Topic::parse(&topic_arn)?,
            message,
            at,
            version: signature_version,
            signature,
            certificate: written.certificate,
            subscribe: written.subscribe,
            signed,
        })
    }
}

impl Written {
    /// The bytes that SNS signs: for each of these keys, in the order of their bytes, the key and its value, each on a
    /// line. A subject that is not there is left out.
    fn signed(&self, kind: Kind) -> Result<String, Unfit> {
        let mut lines = vec![("Message", self.message.as_str()), ("MessageId", &self.message_id)];
        let mut token = None;
        match kind {
            Kind::Notification => lines.extend(self.subject.as_deref().map(|it| ("Subject", it))),
            Kind::SubscriptionConfirmation | Kind::UnsubscribeConfirmation => {
                let needed = |it: &Option<String>, what| it.clone().ok_or_else(|| unfit(what, "one without it"));
                token = Some(needed(&self.token, "a confirmation with a `Token`")?);
                needed(&self.subscribe, "a confirmation with a `SubscribeURL`")?;
                lines.extend(self.subscribe.as_deref().map(|it| ("SubscribeURL", it)));
            }
        }
        lines.push(("Timestamp", &self.timestamp));
        lines.extend(token.as_deref().map(|it| ("Token", it)));
        lines.extend([("TopicArn", self.topic_arn.as_str()), ("Type", &self.r#type)]);
        Ok(lines.into_iter().map(|(key, value)| format!("{key}\n{value}\n")).collect())
    }
}

fn unfit(expected: &'static str, found: &str) -> Unfit {
    Unfit { expected, found: found.chars().take(80).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(body: &serde_json::Value) -> String {
        Envelope::parse(body.to_string().as_bytes()).unwrap().signed
    }

    #[test]
    fn what_is_signed_depends_on_the_kind_and_on_whether_there_is_a_subject() {
        let mut body = serde_json::json!({
            "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:landfall",
            "Subject": "Hello", "Message": "two\nlines \"quoted\"", "Timestamp": "2025-03-04T09:20:18.000Z",
            "SignatureVersion": "1", "Signature": "AAAA", "SigningCertURL": "https://x/y.pem", "Another": {"key": 1},
        });
        let rest = "Timestamp\n2025-03-04T09:20:18.000Z\nTopicArn\narn:aws:sns:eu-west-1:123456789012:landfall\n\
                    Type\nNotification\n";
        let message = "Message\ntwo\nlines \"quoted\"\nMessageId\nm-1\n";
        assert_eq!(signed(&body), format!("{message}Subject\nHello\n{rest}"));
        body["Subject"] = serde_json::Value::Null;
        assert_eq!(signed(&body), format!("{message}{rest}"), "as EventBridge publishes it");
        body["Type"] = "SubscriptionConfirmation".into();
        assert!(Envelope::parse(body.to_string().as_bytes()).is_err(), "it has no token");
        body["Token"] = "t".into();
        body["SubscribeURL"] = "https://x/?a".into();
        assert_eq!(
            signed(&body),
            format!(
                "{message}SubscribeURL\nhttps://x/?a\nTimestamp\n2025-03-04T09:20:18.000Z\nToken\nt\n\
                 TopicArn\narn:aws:sns:eu-west-1:123456789012:landfall\nType\nSubscriptionConfirmation\n"
            )
        );
    }
}
