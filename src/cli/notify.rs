//! `landfall notify test`: every message that a `[[chat]]` can be told, as a sample, sent from here. It asks no server and
//! writes nothing down, so that a place can be tried before the bot was ever started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::configuration::{ConfigArgs, unknown};
use super::exit::{Exit, Outcome, Trouble};
use super::server::runtime;
use super::terminal::{BAD, DIM, GOOD, WAITS, say, say_json, styled, talk};
use crate::chat::{self, Bulletin, Card, ChatError, Service, sample, step_line};
use crate::clients::Clock;
use crate::config::{Chat, Config, Environment};
use crate::domain::{Mask, News};

/// A service that wants a longer rest than anybody would wait for at a terminal is tried another time.
const LONGEST_REST: Duration = Duration::from_secs(90);
/// How often one message is sent to a service that is busy.
const MOST_TRIES: usize = 3;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum NotifyVerb {
    /// Send a sample of every message to a [[chat]], and say how it was taken
    Test(TestArgs),
}

/// The arguments of `test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all were taken, 2 wrong words or configuration, 3 some were not.")]
pub(super) struct TestArgs {
    /// The name of the [[chat]]
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    config: ConfigArgs,

    /// Only this news; several with commas between
    #[arg(long, value_name = "NEWS", value_delimiter = ',', value_parser = news())]
    only: Vec<News>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads a word of `on`.
fn news() -> impl TypedValueParser<Value = News> {
    let known = PossibleValuesParser::new(News::ALL.map(News::as_str));
    known.map(|word| News::ALL.into_iter().find(|it| it.as_str() == word).expect("only known words come this far"))
}

/// How one sample was taken.
#[derive(Debug, Serialize)]
struct Told {
    news: News,
    verdict: Verdict,
    /// Whether the configuration tells it, and would of a deployment.
    #[serde(rename = "on")]
    is_on: bool,
    /// The news in whose place it stands, where the service edits.
    instead_of: Option<News>,
    /// Why a template says nothing, where the usual words are told instead.
    unsaid: Option<String>,
    /// How many lifecycle events stand beneath it.
    steps: usize,
    /// Why not.
    failure: Option<Failed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// The service took it.
    Told,
    /// It did not, or not all of it.
    Failed,
    /// It was not sent, since it would meet with the same as the one before.
    Skipped,
}

#[derive(Debug, Serialize)]
struct Failed {
    code: String,
    message: String,
    help: Option<String>,
}

pub(super) fn test(args: &TestArgs, environment: &Environment) -> Outcome {
    let config = args.config.load_without_secrets(environment)?;
    let chat = chosen(&config, &args.name)?;
    let only = |it: &News| args.only.is_empty() || args.only.contains(it);
    let wanted: Vec<News> = News::ALL.into_iter().filter(only).collect();
    let told = runtime()?.block_on(Trial::new(chat, &config).tell(&wanted));
    let taken = told.iter().filter(|it| it.verdict == Verdict::Told).count();
    if args.json {
        say_json(&json!({ "chat": chat.name, "messages": told }));
    } else {
        say(&told.iter().map(Told::text).collect::<String>());
        let style = if taken == told.len() { GOOD } else { BAD };
        talk(&format!("{}\n", styled(style, &format!("{taken} of {} told to `{}`", told.len(), chat.name))));
    }
    Ok(if taken == told.len() { Exit::Done } else { Exit::Unreachable })
}

fn chosen<'a>(config: &'a Config, name: &str) -> Result<&'a Chat, Trouble> {
    let found = config.chat.iter().find(|it| it.name == name);
    found.ok_or_else(|| unknown("chat", name, config.chat.iter().map(|it| it.name.as_str())))
}

/// A place while samples are told there.
struct Trial<'a> {
    chat: &'a Chat,
    service: Arc<dyn Service>,
    clock: Clock,
    mask: Mask,
    dashboard: Option<&'a str>,
    /// What stands there, by the service's names.
    standing: BTreeMap<News, String>,
}

impl<'a> Trial<'a> {
    fn new(chat: &'a Chat, config: &'a Config) -> Self {
        let clock = Clock::system();
        // A button of a sample could do something to a target that happens to have the sample's name.
        let service = chat::open(&Chat { buttons: false, ..chat.clone() }, &clock);
        let dashboard = config.public_url.as_deref();
        Self { chat, service, clock, mask: config.mask(), dashboard, standing: BTreeMap::new() }
    }

    async fn tell(mut self, wanted: &[News]) -> Vec<Told> {
        let (at, mut told) = (self.clock.now(), Vec::<Told>::new());
        let mut goes_on = true;
        for news in wanted {
            let mut it = Told {
                news: *news,
                verdict: Verdict::Skipped,
                is_on: self.is_on(*news),
                instead_of: None,
                unsaid: None,
                steps: 0,
                failure: None,
            };
            if goes_on {
                let sent = self.tell_one(&mut it, at).await;
                goes_on = sent.as_ref().err().is_none_or(may_take_another);
                it.verdict = if sent.is_ok() { Verdict::Told } else { Verdict::Failed };
                it.failure = sent.err().map(|error| self.failed(&error));
            }
            told.push(it);
        }
        told
    }

    /// Whether a deployment's news of this kind is told there.
    fn is_on(&self, news: News) -> bool {
        self.chat.on.contains(&news) && (news != News::Progressing || self.service.abilities().edits)
    }

    async fn tell_one(&mut self, told: &mut Told, at: Timestamp) -> Result<(), ChatError> {
        let bulletin = sample(told.news, at, self.dashboard);
        let (card, unsaid) = Card::worded(&bulletin, self.chat);
        told.unsaid = unsaid.map(|it| it.message);
        let standing = match self.standing_for(told.news) {
            Some((before, standing)) => {
                self.patiently(|| self.service.edit(&standing, &card)).await?;
                told.instead_of = Some(before);
                Some(standing)
            }
            None => self.patiently(|| self.service.post(&bulletin, &card)).await?,
        };
        if let Some(standing) = standing {
            told.steps = self.tell_steps(&bulletin, &standing).await?;
            self.standing.insert(told.news, standing);
        }
        Ok(())
    }

    /// What a sample is put in the place of: one edit is enough to know that it works, and the others stay to be read.
    fn standing_for(&self, news: News) -> Option<(News, String)> {
        let edits = self.service.abilities().edits && news == News::Progressing;
        let before = self.standing.get(&News::Started).filter(|_| edits)?;
        Some((News::Started, before.clone()))
    }

    async fn tell_steps(&self, bulletin: &Bulletin, standing: &str) -> Result<usize, ChatError> {
        if !self.service.abilities().threads {
            return Ok(0);
        }
        let lines: Vec<_> = bulletin.steps.iter().filter_map(step_line).collect();
        for line in &lines {
            self.patiently(|| self.service.reply(standing, line)).await?;
        }
        Ok(lines.len())
    }

    /// Sends, and again where the service wants a rest that can be waited for.
    async fn patiently<T, F>(&self, send: impl Fn() -> F) -> Result<T, ChatError>
    where
        F: Future<Output = Result<T, ChatError>>,
    {
        for _ in 1..MOST_TRIES {
            match send().await {
                Err(ChatError::Busy { until, .. }) if self.rest(until) <= LONGEST_REST => {
                    talk(&format!("waiting {} s, as the service asks\n", self.rest(until).as_secs_f64().ceil()));
                    self.clock.sleep_until(until).await;
                }
                sent => return sent,
            }
        }
        send().await
    }

    fn rest(&self, until: Timestamp) -> Duration {
        Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default()
    }

    fn failed(&self, error: &ChatError) -> Failed {
        let failure = error.failure();
        Failed { code: failure.code, message: self.mask.apply(&failure.message), help: failure.help }
    }
}

/// Whether the next sample may fare better.
fn may_take_another(error: &ChatError) -> bool {
    match error {
        ChatError::Down { .. } | ChatError::Gone { .. } | ChatError::Refused { .. } => true,
        ChatError::NoSecret { .. } | ChatError::Denied { .. } => false,
        ChatError::Unreachable { .. } | ChatError::Busy { .. } => false,
    }
}

impl Told {
    fn text(&self) -> String {
        let (style, word) = match self.verdict {
            Verdict::Told => (GOOD, "told"),
            Verdict::Failed => (BAD, "fail"),
            Verdict::Skipped => (WAITS, "skip"),
        };
        let mut text = format!("{}  {:<12}{}", styled(style, word), self.news.as_str(), self.notes().join(", "));
        text.truncate(text.trim_end().len());
        text.push('\n');
        if let Some(Failed { help: Some(help), .. }) = &self.failure {
            text += &format!("      {} {help}\n", styled(DIM, "do:"));
        }
        text
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(Failed { code, message, .. }) = &self.failure {
            notes.push(format!("{message}{}", styled(DIM, &format!(" [{code}]"))));
        }
        if self.verdict == Verdict::Skipped {
            notes.push("not sent: it would meet with the same".into());
        }
        notes.extend(self.instead_of.map(|it| format!("in the place of `{}`", it.as_str())));
        notes.extend(self.unsaid.iter().map(|it| format!("in the usual words, since a template fails: {it}")));
        match self.steps {
            0 => {}
            1 => notes.push("1 lifecycle event beneath it".into()),
            several => notes.push(format!("{several} lifecycle events beneath it")),
        }
        if !self.is_on {
            notes.push("only by this test: of a deployment it is not told here".into());
        }
        notes
    }
}
