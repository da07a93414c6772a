//! A webhook of whoever wants one: the bulletin as JSON, signed in the way of Standard Webhooks
//! (`webhook-id`, `webhook-timestamp`, `webhook-signature: v1,…`), so that its libraries verify it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use sha2::Sha256;

use super::bulletin::Bulletin;
use super::card::Card;
use super::outlet::{ChatError, Posted, Service};
use super::post;
use crate::clients::Clock;
use crate::config::SecretRef;

/// What a secret of Standard Webhooks begins with; what follows is Base64.
const PREFIX: &str = "whsec_";

/// Such a webhook.
pub(super) struct Webhook {
    url: SecretRef,
    secret: SecretRef,
    clock: Clock,
}

impl Webhook {
    pub(super) fn new(url: SecretRef, secret: SecretRef, clock: Clock) -> Self {
        Self { url, secret, clock }
    }

    async fn send(&self, bulletin: &Bulletin, card: &Card) -> Result<Posted, ChatError> {
        let url = post::address(&self.url)?;
        let kind = format!("deployment.{}", bulletin.news.as_str());
        let body = json!({ "type": kind, "timestamp": bulletin.at, "data": bulletin }).to_string();
        let at = self.clock.now().as_second();
        let signature = format!("v1,{}", self.signature(&format!("{}.{at}.{body}", card.id))?);
        let header = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("ids, numbers and Base64 fit into a header");
            (HeaderName::from_static(name), value)
        };
        let headers = vec![
            header("webhook-id", &card.id),
            header("webhook-timestamp", &at.to_string()),
            header("webhook-signature", &signature),
        ];
        post::bytes(Method::POST, url, headers, body.into_bytes(), &self.clock).await.map(|_| None)
    }

    fn signature(&self, signed: &str) -> Result<String, ChatError> {
        let secret = post::read(&self.secret)?;
        let key = secret.expose().strip_prefix(PREFIX).and_then(|it| STANDARD.decode(it.trim()).ok());
        let key = key.ok_or_else(|| ChatError::NoSecret {
            why: format!("what is in {} is not `{PREFIX}` and Base64", self.secret),
        })?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("an HMAC key has any length");
        mac.update(signed.as_bytes());
        Ok(STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl Service for Webhook {
    fn post<'a>(&'a self, bulletin: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>> {
        self.send(bulletin, card).boxed()
    }
}
