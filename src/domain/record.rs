//! One event of one stream at one offset, as the ledger keeps it: one line of JSON.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

use super::event::{BotEvent, DeliveryEvent, DeploymentEvent};
use super::ids::{DeliveryId, DeploymentId, Offset, TargetName, Unfit};
use super::sink_event::SinkEvent;
use super::target_event::TargetEvent;

/// The version that this program writes. A record of a newer one is refused, not guessed at.
const VERSION: u32 = 1;

/// How a stream is written, with the patterns of the names in it.
const STREAM: &str = r"^(delivery/[A-Za-z0-9_.:-]{1,128}|deployment/[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}|target/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}|sink/[\s\S]+|bot)$";

/// What an event belongs to. Written `delivery/ID`, `deployment/ID`, `target/NAME`, `sink/NAME`, `bot`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String", extend("pattern" = STREAM))]
pub enum Stream {
    /// One delivery.
    Delivery(DeliveryId),
    /// One deployment.
    Deployment(DeploymentId),
    /// One target.
    Target(TargetName),
    /// One place that is told things.
    Sink(String),
    /// The bot itself.
    Bot,
}

/// A stream's kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// `delivery/…`
    Delivery,
    /// `deployment/…`
    Deployment,
    /// `target/…`
    Target,
    /// `sink/…`
    Sink,
    /// `bot`
    Bot,
}

impl Stream {
    /// Reads `kind/name` back.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let unfit = || Unfit { expected: "a stream such as `deployment/ID`", found: text.chars().take(80).collect() };
        match text.split_once('/') {
            None if text == "bot" => Ok(Self::Bot),
            Some(("delivery", id)) => DeliveryId::parse(id).map(Self::Delivery),
            Some(("deployment", id)) => DeploymentId::parse(id).map(Self::Deployment),
            Some(("target", name)) => TargetName::parse(name).map(Self::Target),
            Some(("sink", name)) if !name.is_empty() => Ok(Self::Sink(name.to_owned())),
            _ => Err(unfit()),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> StreamKind {
        match self {
            Self::Delivery(_) => StreamKind::Delivery,
            Self::Deployment(_) => StreamKind::Deployment,
            Self::Target(_) => StreamKind::Target,
            Self::Sink(_) => StreamKind::Sink,
            Self::Bot => StreamKind::Bot,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(id) => write!(f, "delivery/{id}"),
            Self::Deployment(id) => write!(f, "deployment/{id}"),
            Self::Target(name) => write!(f, "target/{name}"),
            Self::Sink(name) => write!(f, "sink/{name}"),
            Self::Bot => f.write_str("bot"),
        }
    }
}

/// An event of any stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// Of a delivery.
    Delivery(DeliveryEvent),
    /// Of a deployment.
    Deployment(DeploymentEvent),
    /// Of a target.
    Target(TargetEvent),
    /// Of a sink.
    Sink(SinkEvent),
    /// Of the bot.
    Bot(BotEvent),
}

impl Event {
    /// The kind of stream it belongs to.
    pub fn stream_kind(&self) -> StreamKind {
        match self {
            Self::Delivery(_) => StreamKind::Delivery,
            Self::Deployment(_) => StreamKind::Deployment,
            Self::Target(_) => StreamKind::Target,
            Self::Sink(_) => StreamKind::Sink,
            Self::Bot(_) => StreamKind::Bot,
        }
    }
}

macro_rules! event_from {
    ($($variant:ident($type:ident)),*) => {$(
        impl From<$type> for Event {
            fn from(event: $type) -> Self {
                Self::$variant(event)
            }
        }
    )*};
}
event_from!(Delivery(DeliveryEvent), Deployment(DeploymentEvent), Target(TargetEvent), Sink(SinkEvent), Bot(BotEvent));

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub offset: Offset,
    /// When it was written.
    pub at: Timestamp,
    /// What it belongs to.
    pub stream: Stream,
    /// What happened.
    pub event: Event,
}

/// A line that is not a record of ours.
#[derive(Debug, Error)]
pub enum UnreadableRecord {
    /// It is not JSON, or not of the expected shape.
    #[error("not a record: {0}")]
    Shape(#[from] serde_json::Error),
    /// Its stream is none of ours.
    #[error(transparent)]
    Stream(#[from] Unfit),
    /// A newer program wrote it.
    #[error(
        "version {found} of the record format, and this program reads up to {VERSION}: start the newer program again"
    )]
    Newer {
        /// The version it says.
        found: u32,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    offset: Offset,
    at: Timestamp,
    #[serde(serialize_with = "as_text")]
    stream: &'a Stream,
    event: &'a Event,
}

fn as_text<S: Serializer>(stream: &Stream, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(stream)
}

#[derive(Deserialize)]
struct Read<'a> {
    v: u32,
    offset: Offset,
    at: Timestamp,
    stream: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

impl Record {
    /// The line, without its end.
    pub fn to_line(&self) -> String {
        let mut line = Vec::new();
        self.write_line(&mut line);
        String::from_utf8(line).expect("JSON is text")
    }

    /// Writes the line at the end of `out`, without its own end.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let Self { offset, at, stream, event } = self;
        let written = Written { v: VERSION, offset: *offset, at: *at, stream, event };
        serde_json::to_writer(out, &written).expect("records have string keys only, and memory takes all");
    }

    /// Reads a line back.
    pub fn from_line(line: &str) -> Result<Self, UnreadableRecord> {
        let Read { v, offset, at, stream, event } = serde_json::from_str(line)?;
        if v > VERSION {
            return Err(UnreadableRecord::Newer { found: v });
        }
        let stream = Stream::parse(&stream)?;
        let json = event.get();
        let event = match stream.kind() {
            StreamKind::Delivery => Event::Delivery(serde_json::from_str(json)?),
            StreamKind::Deployment => Event::Deployment(serde_json::from_str(json)?),
            StreamKind::Target => Event::Target(serde_json::from_str(json)?),
            StreamKind::Sink => Event::Sink(serde_json::from_str(json)?),
            StreamKind::Bot => Event::Bot(serde_json::from_str(json)?),
        };
        Ok(Self { offset, at, stream, event })
    }
}
