//! A webhook of whoever wants one: the bulletin as data, signed in the way of Standard Webhooks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expect_test::expect_file;
use hmac::{Hmac, KeyInit, Mac};
use landfall::domain::News;
use sha2::Sha256;

use super::{Place, bulletin};

/// The example of the specification.
pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn place() -> Place {
    Place::written("webhook", "ada", |_| "webhook = { file = \"hook\" }\nsecret = { file = \"secret\" }".into())
}

#[tokio::test]
async fn a_webhook_is_told_all_there_is_as_data() {
    expect_file!["webhook.txt"].assert_eq(&place().golden().await);
}

#[tokio::test]
async fn what_it_is_told_is_signed_and_a_repeat_has_the_same_id() {
    let place = place();
    place.post(&bulletin(News::Failed)).await.unwrap();
    place.post(&bulletin(News::Failed)).await.unwrap();
    let told = place.chats.take();
    assert_eq!(told[0].headers["webhook-id"], told[1].headers["webhook-id"]);
    for told in told {
        let (id, at) = (&told.headers["webhook-id"], &told.headers["webhook-timestamp"]);
        // Specification, «Signature scheme»: the id, the timestamp and the payload, joined by full stops.
        let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{at}.{}", told.text).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(told.headers["webhook-signature"], expected);
    }
}
