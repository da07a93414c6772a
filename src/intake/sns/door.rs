//! The door for SNS: takes a message, checks whose it is, lets somebody look, and answers. It writes nothing down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::SignedDuration;
use serde::Serialize;
use tracing::{error, info, warn};
use url::Url;

use super::address;
use super::certificate::{Certificates, Trust};
use super::destination;
use super::envelope::{Envelope, Kind};
use super::meaning::{Meaning, meaning};
use super::seen::Seen;
use crate::clients::fetch::Fetch;
use crate::clients::{Clock, Telling};
use crate::config::{Sns, Topic};
use crate::domain::Hint;
use crate::intake::answer::Problem;
use crate::intake::body;
use crate::intake::room::{Room, Share};
use crate::intake::sources::Standing;

/// SNS takes messages of 256 KiB. In its envelope every quote of one is escaped, and the envelope itself is small.
pub const LARGEST_MESSAGE: u64 = (2 * 256 + 16) << 10;
/// Bodies under way at once.
const ROOM: u64 = 16 << 20;
/// SNS tries for an hour at most.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// How far a clock may be behind AWS's.
const AHEAD: SignedDuration = SignedDuration::from_mins(15);
/// When a confirmation that failed is tried again.
const AGAIN: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];

/// Hears a hint; how many runs are looked at for it.
pub type Hear = Arc<dyn Fn(&Hint) -> usize + Send + Sync>;

/// What the door needs: which topics count, whom to believe, who hears of it, and the time. Clones share it.
#[derive(Clone)]
pub struct SnsState(Arc<Inner>);

pub(super) struct Inner {
    pub(super) sns: Sns,
    certificates: Certificates,
    seen: Mutex<Seen>,
    room: Room,
    pub(super) telling: Telling,
    hear: Hear,
    pub(super) clock: Clock,
    has_told: AtomicBool,
}

/// A message that a configured topic signed, and the address that confirms, where it asks for that.
struct Believed {
    envelope: Envelope,
    subscribe: Option<Url>,
}

/// What is answered to a message that counts.
#[derive(Serialize)]
struct Told<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeat: bool,
    reason: &'a str,
}

impl SnsState {
    /// Ready to be asked. Nothing is fetched yet.
    pub fn new(sns: Sns, trust: Trust, hear: Hear, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            sns,
            certificates: Certificates::new(trust, clock.clone()),
            seen: Mutex::default(),
            // Nothing that is small enough is spooled.
            room: Room::new(ROOM, std::path::PathBuf::new()),
            telling: Telling::default(),
            hear,
            clock,
            has_told: AtomicBool::new(false),
        }))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}

/// Adds the routes.
pub fn routes(config: &mut web::ServiceConfig, state: SnsState) {
    let state = web::Data::new(state);
    for (path, post) in
        [("/webhooks/sns", web::post().to(receive)), ("/webhooks/eventbridge", web::post().to(destination::receive))]
    {
        let resource = web::resource(path).app_data(state.clone()).route(post);
        config.service(resource.default_service(web::to(wrong_method)));
    }
}

async fn wrong_method(request: HttpRequest) -> HttpResponse {
    Problem::wrong_method(request.method()).answer_quietly()
}

async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<SnsState>) -> HttpResponse {
    let state = &state.0;
    if state.sns.topics.is_empty() {
        if !state.has_told.swap(true, Ordering::Relaxed) {
            info!("`/webhooks/sns` was called, and no topic is configured under `[sns]`: it answers 404");
        }
        return Problem::no_topic().answer_quietly();
    }
    match state.believe(request.headers(), payload).await {
        Ok(believed) => state.act(&believed),
        Err(problem) => problem.answer(&state.telling, state.clock.now()),
    }
}

impl Inner {
    /// Room for one message. All that send any are Amazon's, or nobody.
    pub(super) fn share(&self) -> Share {
        self.room.share(Standing::Unknown)
    }

    /// A message that a configured topic signed, of now. The cheapest questions come first.
    async fn believe(&self, headers: &HeaderMap, payload: web::Payload) -> Result<Believed, Problem> {
        let envelope = self.read(headers, payload).await?;
        let topic = self.sns.topics.iter().find(|it| **it == envelope.topic);
        let topic = topic.ok_or_else(|| Problem::wrong_topic(&envelope.topic))?;
        let age = self.clock.now().duration_since(envelope.at);
        if age > FRESH || -age > AHEAD {
            return Err(Problem::stale(&envelope, age));
        }
        let allows_v1 = self.sns.allow_signature_v1;
        if !(envelope.version == "2" || (envelope.version == "1" && allows_v1)) {
            return Err(Problem::signature_version(&envelope.version, allows_v1));
        }
        let url = address::of_a_certificate(&envelope.certificate, topic)
            .map_err(|unfit| Problem::sns_address("SigningCertURL", &unfit))?;
        let subscribe = match (envelope.kind, envelope.subscribe.as_deref()) {
            (Kind::SubscriptionConfirmation, Some(text)) => {
                Some(address::on_its_host(text, topic).map_err(|unfit| Problem::sns_address("SubscribeURL", &unfit))?)
            }
            (Kind::SubscriptionConfirmation | Kind::Notification | Kind::UnsubscribeConfirmation, _) => None,
        };
        let certificate = self.certificates.at(url, topic).await.map_err(|error| Problem::certificate(&error))?;
        if certificate.has_signed(&envelope.version, envelope.signed.as_bytes(), &envelope.signature) {
            Ok(Believed { envelope, subscribe })
        } else {
            Err(Problem::sns_bad_signature())
        }
    }

    /// The envelope as it came, with headers that fit it. Nothing of it is checked.
    async fn read(&self, headers: &HeaderMap, payload: web::Payload) -> Result<Envelope, Problem> {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        let unread = |error| Problem::sns_unread(&error, LARGEST_MESSAGE);
        let announced = text(CONTENT_LENGTH.as_str()).and_then(|it| it.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > LARGEST_MESSAGE) {
            return Err(unread(body::Unread::TooLarge));
        }
        if text("x-amz-sns-rawdelivery").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return Err(Problem::raw_delivery());
        }
        let (body, _share) = body::read_small(payload, self.share(), LARGEST_MESSAGE).await.map_err(unread)?;
        let envelope = Envelope::parse(&body).map_err(|unfit| Problem::not_an_envelope(&unfit))?;
        let kind = text("x-amz-sns-message-type");
        if kind != Some(envelope.kind.word()) {
            let expected = format!("`{}`, as in the body", envelope.kind.word());
            return Err(Problem::sns_header("x-amz-sns-message-type", &expected, kind));
        }
        let topic = text("x-amz-sns-topic-arn");
        if topic.is_some_and(|it| it != envelope.topic.as_str()) {
            return Err(Problem::sns_header("x-amz-sns-topic-arn", "the topic of the body", topic));
        }
        Ok(envelope)
    }

    /// Does what a message asks for, where that is anything, and answers.
    fn act(&self, Believed { envelope, subscribe }: &Believed) -> HttpResponse {
        let is_new = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.keep(&envelope.id, self.clock.now(), FRESH)
        };
        let reason = match (envelope.kind, subscribe) {
            _ if !is_new => "heard before".to_owned(),
            (Kind::Notification, _) => {
                let meaning = meaning(&envelope.message, envelope.topic.region());
                self.hear(meaning, &format!("message {} of {}", envelope.id, envelope.topic))
            }
            (Kind::SubscriptionConfirmation, Some(url)) => self.confirm(&envelope.topic, url),
            (Kind::SubscriptionConfirmation, None) | (Kind::UnsubscribeConfirmation, _) => {
                warn!(sns.topic = %envelope.topic, "this address's subscription of the topic was ended");
                "noted: nothing is looked up".to_owned()
            }
        };
        HttpResponse::Ok().json(Told { message: &envelope.id, repeat: !is_new, reason: &reason })
    }

    /// Lets somebody look, and says what comes of it.
    pub(super) fn hear(&self, meaning: Meaning, from: &str) -> String {
        let reason = match meaning {
            Meaning::Nothing(why) => why.to_owned(),
            Meaning::Hint(hint) => match (self.hear)(&hint) {
                0 => "no deployment under way here is meant".to_owned(),
                1 => "one deployment is looked at".to_owned(),
                runs => format!("{runs} deployments are looked at"),
            },
        };
        info!("{from}: {reason}");
        reason
    }

    fn confirm(&self, topic: &Topic, url: &Url) -> String {
        let (topic, url) = (topic.clone(), url.clone());
        if !self.sns.confirm {
            warn!(sns.topic = %topic, "a subscription waits for a person, as `confirm = false`: open {url} to confirm it");
            return "a person has to confirm it: see the log".to_owned();
        }
        let (fetch, clock) = (self.certificates.fetch().clone(), self.clock.clone());
        tokio::spawn(async move {
            match visit(&fetch, &clock, &url).await {
                Ok(()) => info!(sns.topic = %topic, "the subscription is confirmed: the topic is heard"),
                Err(why) => error!(sns.topic = %topic, "the subscription is not confirmed, subscribe again: {why}"),
            }
        });
        "it is being confirmed".to_owned()
    }
}

/// Opens an address that confirms, a few times if need be.
async fn visit(fetch: &Fetch, clock: &Clock, url: &Url) -> Result<(), String> {
    let mut result = fetch(url.clone()).await;
    for rest in AGAIN {
        let Err(why) = &result else { break };
        warn!("a subscription could not be confirmed yet: {why}");
        clock.sleep(rest).await;
        result = fetch(url.clone()).await;
    }
    result.map(|_| ()).map_err(|error| error.to_string())
}
