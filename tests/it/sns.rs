//! The door for Amazon SNS: messages that count, and those that must not. Rows 67 to 70 of what CodeDeploy can do, and
//! the vectors of section D (9).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use expect_test::expect;
use landfall::clients::Clock;
use landfall::clients::fetch::{from_anywhere, from_the_web};
use landfall::config::{Config, Environment, Sns};
use landfall::intake::sns::{LARGEST_MESSAGE, SnsState};
use serde_json::{Value, json};

use crate::bot::install_tls;
use crate::worlds::sns::{self, CERTIFICATE, SUBSCRIBE, TOPIC, Web, confirmation, notification, of_version_1, signed};

/// A door of its own, and who hears at it.
struct Door {
    url: String,
    client: reqwest::Client,
    server: actix_web::dev::ServerHandle,
    web: Web,
    clock: Clock,
    heard: Arc<Mutex<Vec<String>>>,
    /// The secret lies in it.
    _dir: tempfile::TempDir,
}

const RUN: &str = r#"{"region":"eu-west-1","deploymentId":"d-1"}"#;

fn door() -> Door {
    Door::open(&format!("topics = [\"{TOPIC}\"]"))
}

impl Door {
    /// With these lines under `[sns]`.
    fn open(settings: &str) -> Self {
        install_tls();
        let clock = Clock::manual("2027-03-04T09:21:00Z".parse().unwrap());
        let (web, heard) = (Web::new(), Arc::<Mutex<Vec<String>>>::default());
        let hear = {
            let heard = Arc::clone(&heard);
            Arc::new(move |hint: &landfall::domain::Hint| {
                let run = hint.run.as_ref().map_or("-".to_owned(), ToString::to_string);
                heard.lock().unwrap().push(format!("{} {run}", hint.region));
                1
            })
        };
        let (sns, dir) = settings_of(settings);
        let state = SnsState::new(sns, web.trust(), hear, clock.clone());
        let (url, handle) = sns::serve(state);
        Self { url, client: reqwest::Client::new(), server: handle, web, clock, heard, _dir: dir }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// What is answered, as `status code-or-reason`.
    async fn told(&self, body: &Value) -> String {
        let (status, body) = self.send(sns::request(&self.client, &self.url, body)).await;
        assert!(body["code"].is_null() != body["help"].is_string(), "a refusal says what to do: {body}");
        format!("{status} {}", body["code"].as_str().or(body["reason"].as_str()).unwrap())
    }

    /// What was heard since the last time.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    /// What is asked of the web, until it is so much; the clock is moved meanwhile.
    async fn asked_until(&self, count: usize, step: Duration) -> Vec<String> {
        let mut asked = vec![];
        let all = async {
            while asked.len() < count {
                self.clock.advance(step);
                tokio::time::sleep(Duration::from_millis(5)).await;
                asked.extend(self.web.asked());
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
        asked
    }

    async fn close(self) {
        self.server.stop(false).await;
    }
}

fn settings_of(lines: &str) -> (Sns, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "secret").unwrap();
    let text = format!("data_dir = \"data\"\n[github]\nwebhook_secrets = [{{ file = \"secret\" }}]\n[sns]\n{lines}\n");
    let config = Config::parse(&text, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
    (config.sns, dir)
}

fn with(mut body: Value, key: &str, value: impl Into<Value>) -> Value {
    body[key] = value.into();
    body
}

#[tokio::test]
async fn messages_of_both_signature_versions_are_heard_with_and_without_a_subject() {
    let door = door();
    assert_eq!(door.told(&of_version_1()).await, "200 one deployment is looked at", "signed by OpenSSL, with SHA-1");
    assert_eq!(door.told(&signed(notification("m-2", RUN))).await, "200 one deployment is looked at");
    let subject = with(notification("m-3", RUN), "Subject", "FAILED: AWS CodeDeploy d-1 in eu-west-1 to shop");
    assert_eq!(door.told(&signed(subject)).await, "200 one deployment is looked at");
    let null = with(notification("m-4", RUN), "Subject", Value::Null);
    assert_eq!(door.told(&signed(null)).await, "200 one deployment is looked at");
    assert_eq!(door.heard(), ["eu-west-1 d-1"; 4]);
    assert_eq!(door.web.asked(), [CERTIFICATE], "the certificate is fetched once");
    door.close().await;
}

/// Row 68: what is published by hand, or with a new trigger, is answered and means nothing.
#[tokio::test]
async fn a_text_and_what_names_no_deployment_are_answered_and_lead_to_nothing() {
    let door = door();
    for (at, message) in ["This is a test", "", "{}", r#"{"source":"aws.ec2","deploymentId":"d-1"}"#].iter().enumerate()
    {
        let told = door.told(&signed(notification(&format!("m-{at}"), message))).await;
        assert!(told.starts_with("200 "), "{message}: {told}");
    }
    assert_eq!(door.heard(), [""; 0]);
    door.close().await;
}

#[tokio::test]
async fn a_message_that_comes_again_is_answered_and_heard_once() {
    let door = door();
    let message = signed(notification("m-1", RUN));
    assert_eq!(door.told(&message).await, "200 one deployment is looked at");
    let (status, again) = door.send(sns::request(&door.client, &door.url, &message)).await;
    assert_eq!((status, again), (200, json!({"message": "m-1", "repeat": true, "reason": "heard before"})));
    assert_eq!(door.heard().len(), 1);
    door.close().await;
}

#[tokio::test]
async fn whatever_is_not_sns_is_refused_before_anything_is_fetched_for_it() {
    let door = door();
    let good = signed(notification("m-1", RUN));
    let mut told = String::new();
    for (what, body) in [
        ("another topic", with(good.clone(), "TopicArn", "arn:aws:sns:eu-west-1:123456789012:other")),
        ("no topic", with(good.clone(), "TopicArn", "arn:aws:sqs:eu-west-1:123456789012:landfall")),
        ("an hour old", with(good.clone(), "Timestamp", "2027-03-04T08:20:59Z")),
        ("of tomorrow", with(good.clone(), "Timestamp", "2027-03-05T09:21:00Z")),
        ("no time", with(good.clone(), "Timestamp", "yesterday")),
        ("version 3", with(good.clone(), "SignatureVersion", "3")),
        ("http", with(good.clone(), "SigningCertURL", "http://sns.eu-west-1.amazonaws.com/plain.pem")),
        ("a bucket", with(good.clone(), "SigningCertURL", "https://sns.evil.s3.amazonaws.com/plain.pem")),
        ("a suffix", with(good.clone(), "SigningCertURL", "https://sns.us-east-1.amazonaws.com.evil.tld/plain.pem")),
        ("another region", with(good.clone(), "SigningCertURL", "https://sns.us-east-1.amazonaws.com/plain.pem")),
        ("a user", with(good.clone(), "SigningCertURL", "https://a:b@sns.eu-west-1.amazonaws.com/plain.pem")),
        ("as a user", with(good.clone(), "SigningCertURL", "https://sns.eu-west-1.amazonaws.com@evil.tld/plain.pem")),
        ("a port", with(good.clone(), "SigningCertURL", "https://sns.eu-west-1.amazonaws.com:8443/plain.pem")),
        ("no pem", with(good.clone(), "SigningCertURL", "https://sns.eu-west-1.amazonaws.com/plain.txt")),
        ("no signature", with(good.clone(), "Signature", "no base64!")),
        ("a number", with(good.clone(), "Message", 7)),
        ("another type", with(good.clone(), "Type", "Celebration")),
        ("an id for a log", with(good.clone(), "MessageId", "m\n1")),
        ("no message", json!({"Type": "Notification"})),
        ("a list", json!([1, 2, 3])),
        ("deep", serde_json::from_str(&("[".repeat(100) + &"]".repeat(100))).unwrap()),
    ] {
        told += &format!("{what}: {}\n", door.told(&body).await);
    }
    expect![[r#"
        another topic: 403 intake/sns-topic
        no topic: 400 intake/sns-malformed
        an hour old: 403 intake/sns-stale
        of tomorrow: 403 intake/sns-stale
        no time: 400 intake/sns-malformed
        version 3: 401 intake/sns-signature-version
        http: 401 intake/sns-address
        a bucket: 401 intake/sns-address
        a suffix: 401 intake/sns-address
        another region: 401 intake/sns-address
        a user: 401 intake/sns-address
        as a user: 401 intake/sns-address
        a port: 401 intake/sns-address
        no pem: 401 intake/sns-address
        no signature: 400 intake/sns-malformed
        a number: 400 intake/sns-malformed
        another type: 400 intake/sns-malformed
        an id for a log: 400 intake/sns-malformed
        no message: 400 intake/sns-malformed
        a list: 400 intake/sns-malformed
        deep: 400 intake/sns-malformed
    "#]]
    .assert_eq(&told);
    assert_eq!((door.web.asked(), door.heard()), (vec![], vec![]));
    door.close().await;
}

#[tokio::test]
async fn a_changed_body_is_refused_whatever_was_changed() {
    let door = door();
    let good = signed(with(notification("m-1", RUN), "Subject", "news"));
    let forged = r#"{"region":"eu-west-1","deploymentId":"d-1","status":"SUCCEEDED"}"#;
    let mut unsubjected = good.clone();
    unsubjected.as_object_mut().unwrap().remove("Subject");
    for (what, body) in [
        ("message", with(good.clone(), "Message", forged)),
        ("id", with(good.clone(), "MessageId", "m-2")),
        ("subject", with(good.clone(), "Subject", "other news")),
        ("no subject", unsubjected),
        ("time", with(good.clone(), "Timestamp", "2027-03-04T09:20:19.000Z")),
        ("version", with(good.clone(), "SignatureVersion", "1")),
        ("signature", with(good.clone(), "Signature", "AAAA")),
        ("a version 1 of another message", with(of_version_1(), "Message", forged)),
    ] {
        assert_eq!(door.told(&body).await, "401 intake/sns-signature", "{what}");
    }
    // What is not signed may change: nothing is done with it.
    assert_eq!(door.told(&with(good, "UnsubscribeURL", "https://evil.tld/")).await, "200 one deployment is looked at");
    assert_eq!(door.heard().len(), 1);
    door.close().await;
}

#[tokio::test]
async fn a_certificate_leads_to_an_authority_and_is_for_sns() {
    let door = door();
    let at = |name: &str| format!("https://sns.eu-west-1.amazonaws.com/{name}.pem");
    let issuer = "http://crt.example.test/between.cer";
    for (name, expected, also) in [
        ("region", "200 one deployment is looked at", None),
        ("whole", "200 one deployment is looked at", None),
        // As AWS's file really is: SNS's own certificate alone, which says where its issuer's lies.
        ("told", "200 one deployment is looked at", Some(issuer)),
        ("short", "401 intake/sns-certificate", None),
        ("other", "401 intake/sns-certificate", None),
        ("foreign", "401 intake/sns-certificate", None),
        ("empty", "401 intake/sns-certificate", None),
        ("missing", "503 intake/sns-certificate-away", None),
    ] {
        // Strangers may make us fetch six a minute.
        door.clock.advance(Duration::from_secs(15));
        let body = signed(with(notification(name, RUN), "SigningCertURL", at(name)));
        assert_eq!(door.told(&body).await, expected, "{name}");
        let asked: Vec<String> = [at(name)].into_iter().chain(also.map(str::to_owned)).collect();
        assert_eq!(door.web.asked(), asked, "{name}");
    }
    assert_eq!(door.heard().len(), 3);
    door.close().await;
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_counts_no_more() {
    let door = door();
    assert_eq!(door.told(&signed(notification("m-1", RUN))).await, "200 one deployment is looked at");
    door.clock.advance(Duration::from_secs(100 * 366 * 24 * 3600));
    let late = with(notification("m-2", RUN), "Timestamp", door.clock.now().to_string());
    let (status, told) = door.send(sns::request(&door.client, &door.url, &signed(late))).await;
    assert_eq!((status, &told["code"]), (401, &json!("intake/sns-certificate")));
    let detail = "the certificate of the signature is not SNS's: its time is over, by this machine's clock";
    assert_eq!(told["detail"], detail);
    door.close().await;
}

#[tokio::test]
async fn strangers_cannot_make_it_fetch_without_end() {
    let door = door();
    for number in 0..6 {
        let url = format!("https://sns.eu-west-1.amazonaws.com/{number}.pem");
        let body = with(notification(&format!("m-{number}"), RUN), "SigningCertURL", url);
        assert_eq!(door.told(&signed(body)).await, "503 intake/sns-certificate-away");
    }
    assert_eq!(door.told(&signed(notification("m-7", RUN))).await, "503 intake/sns-busy");
    assert_eq!(door.web.asked().len(), 6);
    door.clock.advance(Duration::from_secs(60));
    assert_eq!(door.told(&signed(notification("m-7", RUN))).await, "200 one deployment is looked at");
    // The one that is known needs no fetching, whatever strangers do.
    for number in 0..7 {
        let url = format!("https://sns.eu-west-1.amazonaws.com/{number}.pem");
        door.told(&signed(with(notification(&format!("n-{number}"), RUN), "SigningCertURL", url))).await;
    }
    assert_eq!(door.told(&signed(notification("m-8", RUN))).await, "200 one deployment is looked at");
    door.close().await;
}

#[tokio::test]
async fn headers_raw_delivery_and_size_are_looked_at_first() {
    let door = door();
    let good = signed(notification("m-1", RUN));
    let request = |body: &Value| sns::request(&door.client, &door.url, body);
    let raw = request(&json!({"deploymentId": "d-1"})).header("x-amz-sns-rawdelivery", "true");
    assert_eq!(door.send(raw).await.1["code"], "intake/sns-raw");
    let plain = door.client.post(&door.url).body(good.to_string());
    let (status, told) = door.send(plain).await;
    assert_eq!((status, &told["code"]), (400, &json!("intake/sns-header")), "no header says what it is");
    let two = request(&good).header("x-amz-sns-topic-arn", "another");
    assert!(two.send().await.unwrap().status().as_u16() < 500);
    let mut other = request(&good).build().unwrap();
    other.headers_mut().insert("x-amz-sns-topic-arn", "arn:aws:sns:eu-west-1:123456789012:other".parse().unwrap());
    assert_eq!(door.client.execute(other).await.unwrap().status(), 400);
    let large = json!({"Type": "Notification", "Message": "x".repeat(usize::try_from(LARGEST_MESSAGE).unwrap())});
    assert_eq!(door.told(&large).await, "413 intake/sns-too-large");
    // In pieces, so that its length is not announced.
    let pieces =
        large.to_string().into_bytes().chunks(9000).map(|it| Ok::<_, std::io::Error>(it.to_vec())).collect::<Vec<_>>();
    let pieces = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    assert_eq!(door.client.post(&door.url).body(pieces).send().await.unwrap().status(), 413);
    assert_eq!(door.client.get(&door.url).send().await.unwrap().status(), 405);
    let full = signed(notification("m-2", &"x".repeat(256 << 10)));
    assert!(door.told(&full).await.starts_with("200 "), "SNS's largest message fits");
    door.close().await;
}

#[tokio::test]
async fn settings_decide_who_is_heard() {
    let off = Door::open("topics = []");
    assert_eq!(off.told(&signed(notification("m-1", RUN))).await, "404 intake/sns-off");
    off.close().await;
    let strict = Door::open(&format!("topics = [\"{TOPIC}\"]\nallow_signature_v1 = false"));
    assert_eq!(strict.told(&of_version_1()).await, "401 intake/sns-signature-version");
    assert_eq!(strict.told(&signed(notification("m-1", RUN))).await, "200 one deployment is looked at");
    strict.close().await;
}

#[tokio::test]
async fn a_subscription_of_a_configured_topic_is_confirmed_in_the_background() {
    let door = door();
    assert_eq!(door.told(&signed(confirmation("c-1", "Subscription"))).await, "200 it is being confirmed");
    // The first attempt fails, and the clock is moved until the second one comes.
    let mut asked = door.asked_until(2, Duration::ZERO).await;
    door.web.put(SUBSCRIBE, b"<ConfirmSubscriptionResponse/>");
    asked.extend(door.asked_until(1, Duration::from_secs(1)).await);
    assert_eq!(asked, [CERTIFICATE, SUBSCRIBE, SUBSCRIBE]);
    let elsewhere = with(confirmation("c-2", "Subscription"), "SubscribeURL", "https://evil.tld/?Action=x");
    assert_eq!(door.told(&signed(elsewhere)).await, "401 intake/sns-address");
    let other = with(confirmation("c-3", "Subscription"), "TopicArn", "arn:aws:sns:eu-west-1:123456789012:other");
    assert_eq!(door.told(&signed(other)).await, "403 intake/sns-topic");
    let mut tokenless = signed(confirmation("c-4", "Subscription"));
    tokenless.as_object_mut().unwrap().remove("Token");
    assert_eq!(door.told(&tokenless).await, "400 intake/sns-malformed");
    assert_eq!(door.told(&signed(confirmation("c-5", "Unsubscribe"))).await, "200 noted: nothing is looked up");
    assert_eq!(door.web.asked(), [""; 0]);
    door.close().await;
    let by_hand = Door::open(&format!("topics = [\"{TOPIC}\"]\nconfirm = false"));
    let told = by_hand.told(&signed(confirmation("c-1", "Subscription"))).await;
    assert_eq!(told, "200 a person has to confirm it: see the log");
    assert_eq!(by_hand.web.asked(), [CERTIFICATE]);
    by_hand.close().await;
}

/// Row 69, without a topic: EventBridge's API destination sends a secret, and its events are hints as well.
#[tokio::test]
async fn eventbridge_may_post_its_events_with_a_secret() {
    let event = r#"{"source":"aws.codedeploy","region":"eu-west-1","detail":{"deploymentId":"d-1"}}"#;
    let send = async |door: &Door, secret: Option<&str>, body: &'static str| {
        let request = door.client.post(door.url.replace("/sns", "/eventbridge")).body(body);
        let request = secret.into_iter().fold(request, |request, it| request.header("x-landfall-secret", it));
        let (status, told) = door.send(request).await;
        format!("{status} {}", told["code"].as_str().or(told["reason"].as_str()).unwrap())
    };
    let door = Door::open("api_destination_secret = { file = \"secret\" }");
    assert_eq!(send(&door, None, event).await, "401 intake/event-no-secret");
    assert_eq!(send(&door, Some("secre"), event).await, "401 intake/event-secret");
    assert_eq!(send(&door, Some("secret "), event).await, "200 one deployment is looked at", "a header is trimmed");
    assert_eq!(send(&door, Some("Secret"), event).await, "401 intake/event-secret");
    assert_eq!(send(&door, Some("secret"), event).await, "200 one deployment is looked at");
    let told = send(&door, Some("secret"), "{}").await;
    assert_eq!(told, "200 it names no deployment and no deployment group");
    assert_eq!(door.heard(), ["eu-west-1 d-1"; 2]);
    assert_eq!(door.told(&signed(notification("m-1", RUN))).await, "404 intake/sns-off", "that is another door");
    door.close().await;
    let off = Door::open("topics = []");
    assert_eq!(send(&off, Some("secret"), event).await, "404 intake/event-off");
    off.close().await;
}

/// The web as it is: a redirect is no certificate, and nobody may take longer or send more than is due.
#[tokio::test]
async fn what_is_fetched_is_neither_redirected_nor_long_nor_late() {
    install_tls();
    let app = || {
        App::new()
            .route("/good", web::get().to(async || HttpResponse::Ok().body("good")))
            .route("/away", web::get().to(async || HttpResponse::Found().insert_header(("location", "/good")).finish()))
            .route("/long", web::get().to(async || HttpResponse::Ok().body("x".repeat(5000))))
            .route(
                "/late",
                web::get().to(async || {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    HttpResponse::Ok().body("late")
                }),
            )
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    let fetch = from_anywhere(4096, Duration::from_millis(300));
    let get = async |path: &str| match fetch(format!("http://{address}/{path}").parse().unwrap()).await {
        Ok(body) => String::from_utf8(body.to_vec()).unwrap(),
        Err(error) => error.to_string(),
    };
    assert_eq!(get("good").await, "good");
    assert_eq!(get("away").await, "`127.0.0.1` answered 302, expected 200");
    assert_eq!(get("long").await, "`127.0.0.1` answered more than 4096 bytes");
    assert_eq!(get("late").await, "`127.0.0.1` could not be asked: no answer within 0.3 s");
    let guarded = from_the_web(4096, Duration::from_secs(3))(format!("http://{address}/good").parse().unwrap()).await;
    let told = guarded.unwrap_err().to_string();
    assert_eq!(told, "`127.0.0.1` is 127.0.0.1, an address of a private network or of this machine");
    handle.stop(false).await;
}
