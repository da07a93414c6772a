//! The door for SNS beside software of others: AWS's own JavaScript validator judges the same messages, moto delivers
//! one over HTTP, and the README's commands make rule, topic and subscription with the AWS CLI.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use landfall::clients::{Clock, process};
use landfall::config::{Sns, Topic};
use landfall::intake::sns::SnsState;
use serde_json::{Value, json};

use crate::worlds::readme::blocks;
use crate::worlds::sns::{self, TOPIC, Web, confirmation, notification, of_version_1, signed};

const RUN: &str = r#"{"region":"eu-west-1","deploymentId":"d-1","text":"zwölf \"Boxkämpfer\"\njagen\u2028Viktor"}"#;

/// A door that hears the topic of the messages, at their time.
fn door() -> (String, actix_web::dev::ServerHandle) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let heard = Sns { topics: vec![Topic::parse(TOPIC).unwrap()], allow_signature_v1: true, ..Sns::default() };
    let clock = Clock::manual("2027-03-04T09:21:00Z".parse().unwrap());
    sns::serve(SnsState::new(heard, Web::new().trust(), Arc::new(|_| 1), clock))
}

async fn status(url: &str, body: &Value) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    sns::request(&client, url, body).send().await.unwrap().status().as_u16()
}

fn with(mut body: Value, key: &str, value: &str) -> Value {
    body[key] = value.into();
    body
}

/// What AWS's own validator says of each.
fn judged(bodies: &[Value]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/validate.js");
    let packages = crate::counterpart("LANDFALL_TEST_NODE_DIR");
    let mut node = process::blocking_program("node");
    let mut node = node.args([script, &packages]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let certificates = json!({
        "https://sns.eu-west-1.amazonaws.com/plain.pem": include_str!("../worlds/sns/plain.pem"),
        "https://sns.eu-west-1.amazonaws.com/foreign.pem": include_str!("../worlds/sns/foreign.pem"),
        "https://sns.eu-west-1.amazonaws.com/other.pem": include_str!("../worlds/sns/other.pem"),
    });
    let lines: String =
        bodies.iter().map(|body| json!({"body": body, "certificates": certificates}).to_string() + "\n").collect();
    node.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn aws_own_validator_takes_what_is_taken_here_and_refuses_what_is_refused() {
    let (url, server) = door();
    let good = signed(notification("m-1", RUN));
    let subject = signed(with(notification("m-2", RUN), "Subject", "FAILED: AWS CodeDeploy d-1 in eu-west-1 to shop"));
    let mut unsubjected = subject.clone();
    unsubjected.as_object_mut().unwrap().remove("Subject");
    let mut untimed = good.clone();
    untimed.as_object_mut().unwrap().remove("Timestamp");
    let at = |host: &str| with(good.clone(), "SigningCertURL", &format!("{host}/plain.pem"));
    let cases = [
        (true, good.clone()),
        (true, of_version_1()),
        (true, subject.clone()),
        (true, signed(confirmation("c-1", "Subscription"))),
        (false, with(good.clone(), "Message", &RUN.replace("d-1", "d-2"))),
        (false, with(good.clone(), "MessageId", "m-3")),
        (false, with(good.clone(), "SignatureVersion", "1")),
        (false, with(good.clone(), "SignatureVersion", "3")),
        (false, with(of_version_1(), "SignatureVersion", "2")),
        (false, with(of_version_1(), "Message", RUN)),
        (false, with(subject, "Subject", "SUCCEEDED")),
        (false, unsubjected),
        (false, untimed),
        (false, with(signed(confirmation("c-2", "Subscription")), "Token", "another")),
        (false, at("http://sns.eu-west-1.amazonaws.com")),
        (false, at("https://sns.evil.s3.amazonaws.com")),
        (false, at("https://sns.us-east-1.amazonaws.com.evil.tld")),
        (false, at("https://sns.eu-west-1.amazonaws.com:8443")),
        (false, at("https://sns.eu-west-1.amazonaws.com@evil.tld")),
    ];
    let bodies: Vec<Value> = cases.iter().map(|(_, body)| body.clone()).collect();
    let theirs = judged(&bodies);
    assert_eq!(theirs.len(), cases.len());
    for ((is_good, body), theirs) in cases.iter().zip(&theirs) {
        let ours = status(&url, body).await;
        assert_eq!((theirs == "ok", ours == 200), (*is_good, *is_good), "{theirs}, {ours}: {body}");
    }
    // Where ours asks for more than AWS's: another topic, another region's host, a certificate of nobody's.
    let strict = [
        signed(with(notification("m-4", RUN), "TopicArn", &TOPIC.replace("landfall", "other"))),
        signed(with(notification("m-5", RUN), "SigningCertURL", "https://sns.eu-west-1.amazonaws.com/foreign.pem")),
        signed(with(notification("m-6", RUN), "SigningCertURL", "https://sns.eu-west-1.amazonaws.com/other.pem")),
    ];
    assert_eq!(judged(&strict), ["ok"; 3]);
    for body in &strict {
        assert!(matches!(status(&url, body).await, 401 | 403), "{body}");
    }
    server.stop(true).await;
}

/// What came to an address.
type Came = Arc<Mutex<Vec<String>>>;

async fn listen(body: String, came: web::Data<Came>) -> HttpResponse {
    came.lock().unwrap().push(body);
    HttpResponse::Ok().finish()
}

/// A command of the AWS CLI against moto; what it printed.
fn aws(words: &str) -> String {
    let mut shell = process::blocking_program("bash");
    let bin = std::path::PathBuf::from(crate::counterpart("LANDFALL_TEST_AWS_CLI"));
    let path = std::env::join_paths([bin.parent().unwrap(), "/usr/bin".as_ref(), "/bin".as_ref()]).unwrap();
    shell
        .args(["-euc", words])
        .env_clear()
        .env("PATH", path)
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .stdin(Stdio::null());
    shell.env("AWS_ACCESS_KEY_ID", "A").env("AWS_SECRET_ACCESS_KEY", "S").env("AWS_PAGER", "");
    let output = shell.env("AWS_ENDPOINT_URL", crate::counterpart("LANDFALL_TEST_MOTO")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words}\n{out}{err}");
    out.trim().to_owned()
}

#[test]
fn the_readmes_rule_topic_and_subscription_are_made() {
    let [rule, topic, configuration, subscribe] = &blocks("Faster news: SNS and EventBridge")[..] else {
        panic!("the README's section has other steps: follow them here too");
    };
    assert!(configuration.contains(TOPIC), "{configuration}");
    aws(&format!("{rule}\n{topic}\n{subscribe}"));
    let made = aws("aws sns list-topics --query Topics[].TopicArn --output text");
    let arn = made.split_whitespace().find(|it| it.ends_with(":landfall")).unwrap();
    assert!(Topic::parse(arn).is_ok(), "{arn}");
    let get = |what: &str| {
        aws(&format!("aws sns get-topic-attributes --topic-arn {arn} --query Attributes.{what} --output text"))
    };
    let policy: Value = serde_json::from_str(&get("Policy")).unwrap();
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Resource"], arn);
    let source = statement["Condition"]["ArnEquals"]["aws:SourceArn"].as_str().unwrap();
    assert!(source.ends_with(":rule/landfall"), "{policy}");
    assert_eq!(aws("aws events list-targets-by-rule --rule landfall --query Targets[0].Arn --output text"), arn);
    let pattern = aws("aws events describe-rule --name landfall --query EventPattern --output text");
    let pattern: Value = serde_json::from_str(&pattern).unwrap();
    assert_eq!(pattern["source"], json!(["aws.codedeploy"]));
    let endpoint = "--query Subscriptions[0].Endpoint --output text";
    let endpoint = aws(&format!("aws sns list-subscriptions-by-topic --topic-arn {arn} {endpoint}"));
    assert_eq!(endpoint, "https://deploy.example.com/webhooks/sns");
}

/// moto delivers over HTTP as SNS does, but for the headers and with a signature that is none: the door understands the
/// message, and does not believe it.
#[tokio::test(flavor = "multi_thread")]
async fn what_moto_delivers_is_understood_and_not_believed() {
    let came = Came::default();
    let data = web::Data::new(came.clone());
    let app = move || App::new().app_data(data.clone()).route("/", web::post().to(listen));
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let listening = server.handle();
    tokio::spawn(server);
    let arn = tokio::task::spawn_blocking(move || {
        let name = format!("news-{}", address.port());
        let arn = aws(&format!("aws sns create-topic --name {name} --query TopicArn --output text"));
        aws(&format!("aws sns subscribe --topic-arn {arn} --protocol http --notification-endpoint http://{address}/"));
        aws(&format!("aws sns publish --topic-arn {arn} --message '{{\"deploymentId\":\"d-1\"}}' --subject news"));
        arn
    });
    let arn = arn.await.unwrap();
    let body = came.lock().unwrap().last().expect("moto delivers while it is asked").clone();
    let envelope =
        landfall::intake::sns::Envelope::parse(body.as_bytes()).unwrap_or_else(|why| panic!("{why}\n{body}"));
    assert_eq!((envelope.topic.as_str(), envelope.message.as_str()), (arn.as_str(), r#"{"deploymentId":"d-1"}"#));
    let heard = Sns { topics: vec![Topic::parse(&arn).unwrap()], allow_signature_v1: true, ..Sns::default() };
    // A certificate is where the message says that it lies; it made another signature.
    let web = Web::new();
    web.put(&envelope.certificate, include_bytes!("../worlds/sns/plain.pem"));
    let state = SnsState::new(heard, web.trust(), Arc::new(|_| panic!("it was believed")), Clock::system());
    let (url, server) = sns::serve(state);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).header("x-amz-sns-message-type", "Notification").body(body);
    let answer = request.send().await.unwrap();
    let (status, told) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert!(status == 401 && told.contains("intake/sns-signature"), "{status}: {told}");
    server.stop(true).await;
    listening.stop(true).await;
}
