//! Amazon SNS: messages as it sends and signs them, and its certificates on a web of the test's own. The certificates
//! and keys were made by OpenSSL (`sns/make`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use landfall::clients::fetch::{Fetch, FetchError};
use landfall::intake::sns::{Envelope, SnsState, Trust, routes};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

pub(crate) const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:landfall";
/// The time of the message that OpenSSL signed, and of every other unless it says otherwise.
pub(crate) const AT: &str = "2027-03-04T09:20:18.000Z";
/// Where a good certificate lies.
pub(crate) const CERTIFICATE: &str = "https://sns.eu-west-1.amazonaws.com/plain.pem";
/// Where a subscription is confirmed.
pub(crate) const SUBSCRIBE: &str = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t";

const SIGNER: &[u8] = include_bytes!("sns/signer.key");
const ROOT: &[u8] = include_bytes!("sns/root.pem");
const V1: &str = include_str!("sns/v1.signature");
/// What OpenSSL signed with SHA-1.
pub(crate) const V1_MESSAGE: &str = r#"{"region":"eu-west-1","accountId":"123456789012","applicationName":"shop","deploymentId":"d-1","deploymentGroupName":"production","status":"SUCCEEDED"}"#;

/// A web with nothing in it but what a test put there; who asked for what.
#[derive(Clone, Default)]
pub(crate) struct Web(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    pages: BTreeMap<String, Bytes>,
    asked: Vec<String>,
}

impl Web {
    /// With every certificate of `sns/` on the host of the topic's region, and the one in between at its authority's.
    pub(crate) fn new() -> Self {
        let web = Self::default();
        for (name, pem) in [
            ("plain", include_str!("sns/plain.pem")),
            ("region", include_str!("sns/region.pem")),
            ("other", include_str!("sns/other.pem")),
            ("foreign", include_str!("sns/foreign.pem")),
            ("short", include_str!("sns/short.pem")),
            ("whole", include_str!("sns/whole.pem")),
            ("told", include_str!("sns/told.pem")),
            ("empty", "no certificate at all"),
        ] {
            web.put(&format!("https://sns.eu-west-1.amazonaws.com/{name}.pem"), pem.as_bytes());
        }
        web.put("http://crt.example.test/between.cer", include_bytes!("sns/between.cer"));
        web
    }

    pub(crate) fn put(&self, url: &str, page: &[u8]) {
        self.0.lock().unwrap().pages.insert(url.to_owned(), Bytes::copy_from_slice(page));
    }

    /// What was asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let mut inside = self.0.lock().unwrap();
        inside.asked.push(url.to_owned());
        inside.pages.get(url).cloned().ok_or_else(|| FetchError::Status { host: "the web".into(), status: 404 })
    }

    /// Trust in the test's own authority, by way of this web.
    pub(crate) fn trust(&self) -> Trust {
        let web = self.clone();
        let fetch: Fetch = Arc::new(move |url| std::future::ready(web.get(url.as_str())).boxed());
        Trust::of(&[CertificateDer::from_pem_slice(ROOT).unwrap()], fetch)
    }
}

/// A door alone, on a free port: its address, and what ends it.
pub(crate) fn serve(state: SnsState) -> (String, ServerHandle) {
    let server = HttpServer::new(move || App::new().configure(|it| routes(it, state.clone())));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/webhooks/sns", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    (url, handle)
}

/// A notification that nobody has signed.
pub(crate) fn notification(id: &str, message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Message": message, "Timestamp": AT,
        "SignatureVersion": "2", "Signature": "", "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    })
}

/// A confirmation of the kind `Subscription` or `Unsubscribe` that nobody has signed.
pub(crate) fn confirmation(id: &str, kind: &str) -> Value {
    json!({
        "Type": format!("{kind}Confirmation"), "MessageId": id, "TopicArn": TOPIC, "Message": "You have chosen …",
        "Token": "t", "SubscribeURL": SUBSCRIBE, "Timestamp": AT, "SignatureVersion": "2", "Signature": "",
        "SigningCertURL": CERTIFICATE,
    })
}

/// The notification that OpenSSL signed with SHA-1.
pub(crate) fn of_version_1() -> Value {
    let mut body = notification("m-v1", V1_MESSAGE);
    body["SignatureVersion"] = "1".into();
    body["Signature"] = V1.trim().into();
    body
}

/// Signs with SHA-256. What is signed is our own reading of it, which OpenSSL's message and AWS's JavaScript keep honest.
pub(crate) fn signed(mut body: Value) -> Value {
    let envelope = Envelope::parse(body.to_string().as_bytes()).unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(SIGNER).unwrap();
    let key = KeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), envelope.signed.as_bytes(), &mut signature).unwrap();
    body["Signature"] = STANDARD.encode(signature).into();
    body
}

/// A request as SNS makes it, with the headers that fit its body.
pub(crate) fn request(client: &reqwest::Client, url: &str, body: &Value) -> reqwest::RequestBuilder {
    // A header holds no line's end.
    let word = |key: &str| body[key].as_str().unwrap_or_default().replace('\n', " ");
    client
        .post(url)
        .header("content-type", "text/plain; charset=UTF-8")
        .header("x-amz-sns-message-type", word("Type"))
        .header("x-amz-sns-message-id", word("MessageId"))
        .header("x-amz-sns-topic-arn", word("TopicArn"))
        .body(body.to_string())
}
