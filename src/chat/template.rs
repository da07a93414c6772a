//! Templates that a configuration gives for the first line of a message and the sentence under it. What the template itself
//! writes is the service's own form; whatever a value brings is text and nothing else, as everywhere. It reads no files,
//! knows no other templates, and ends by its fuel.
//!
//! Why the two are told apart after rendering, and not escaped while it goes on: minijinja says of every piece of what came
//! out whether the template wrote it or an expression did, so that no filter, block or word such as `safe` makes a value
//! more than text, and each service writes it in its own way.

use std::ops::Range;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, OutputSpanKind, UndefinedBehavior, escape_formatter};
use serde_json::Value as Json;

use super::bulletin::Bulletin;
use super::card::{Card, Span, told, words};
use super::sample::sample;
use crate::config::{Chat, Config, Worded, nearest};
use crate::domain::{Finding, Findings, News, harmless};

/// Some hundred times what a message takes: an instruction is one, and so are 64 bytes.
const FUEL: u64 = 20_000;

/// Why a template says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaid {
    /// What was expected, and what came.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The bytes of the template that it is about.
    pub span: Range<usize>,
}

impl Card {
    /// The message for a bulletin in the words of a place's templates. One that fails leaves the usual words, and is told.
    pub fn worded(bulletin: &Bulletin, chat: &Chat) -> (Self, Option<Unsaid>) {
        let mut card = Self::of(bulletin, &chat.people);
        let fill = |it: &Option<Worded>| it.as_ref().map(|it| filled(&it.template, bulletin)).transpose();
        let (title, text) = (fill(&chat.words.title), fill(&chat.words.text));
        let unsaid = title.as_ref().err().or(text.as_ref().err()).cloned();
        card.title = title.ok().flatten().map_or(card.title, on_one_line);
        card.text = text.ok().flatten().map_or(card.text, |it| told(bulletin, it));
        (card, unsaid)
    }
}

fn on_one_line(spans: Vec<Span>) -> Vec<Span> {
    let flat = |it| if let Span::Marked(text) = it { Span::Marked(text.replace('\n', " ")) } else { it };
    spans.into_iter().map(flat).collect()
}

/// What is wrong with the templates of a configuration: each is filled with a sample of every news.
pub fn check_templates(config: &Config) -> Findings {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let worded = config.chat.iter().flat_map(|it| [("title", &it.words.title), ("text", &it.words.text)]);
    let mut findings = Findings::default();
    for (key, words) in worded {
        let Some(words) = words else { continue };
        let failed =
            |news: News| Some((news, filled(&words.template, &sample(news, at, Some("https://example.com"))).err()?));
        findings.0.extend(News::ALL.into_iter().find_map(failed).map(|(news, why)| finding(key, news, words, why)));
    }
    findings
}

fn finding(key: &str, news: News, words: &Worded, why: Unsaid) -> Finding {
    let message = format!("the template `chat.{key}` says nothing of `{}`: {}", news.as_str(), why.message);
    let finding = Finding::error("chat/template", message).at(words.place(&why.span));
    match why.help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// The template with the bulletin's values in it.
fn filled(template: &str, bulletin: &Bulletin) -> Result<Vec<Span>, Unsaid> {
    let mut values = serde_json::to_value(bulletin).expect("a bulletin is data");
    shorten(&mut values);
    let environment = environment();
    let unsaid = |error: minijinja::Error| unsaid(template, &values, &error);
    let compiled = environment.template_from_str(template).map_err(unsaid)?;
    let (text, spans) = compiled.render_with_spans(Value::from(Serde(&values))).map_err(unsaid)?;
    let spans = spans.iter().map(|it| {
        let text = &text[it.output_range()];
        if it.kind() == OutputSpanKind::Raw { Span::Marked(harmless(text)) } else { Span::Said(words(text)) }
    });
    let spans: Vec<Span> = spans.collect();
    if spans.iter().all(|it| it.text().trim().is_empty()) {
        return Err(Unsaid { message: "it is empty".into(), help: None, span: 0..template.len() });
    }
    Ok(spans)
}

/// Cuts every text as it is cut where no template stands, so that nobody's long words use up the fuel.
fn shorten(value: &mut Json) {
    match value {
        Json::String(text) => *text = words(text),
        Json::Array(list) => list.iter_mut().for_each(shorten),
        Json::Object(fields) => fields.values_mut().for_each(shorten),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(true);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // What a bulletin does not have is left out, instead of being called `none`.
    environment
        .set_formatter(|out, state, value| if value.is_none() { Ok(()) } else { escape_formatter(out, state, value) });
    environment
}

fn unsaid(template: &str, values: &Json, error: &minijinja::Error) -> Unsaid {
    let span = error.range().filter(|it| template.get(it.clone()).is_some()).unwrap_or(0..template.len());
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let message = if error.kind() == ErrorKind::OutOfFuel { "it takes too long".to_owned() } else { what };
    let is_field = error.kind() == ErrorKind::UndefinedError;
    let help = is_field.then(|| unknown(&template[span.clone()], values)).flatten();
    Unsaid { message, help, span }
}

/// What to write instead of a field that is not there, where the expression is a path.
fn unknown(expression: &str, values: &Json) -> Option<String> {
    let mut at = values;
    for name in expression.trim().split('.') {
        let Json::Object(fields) = at else {
            let whole = expression.trim().split('.').next().unwrap_or_default();
            return at.is_null().then(|| format!("ask first whether it is there: `{{% if {whole} %}}…{{% endif %}}`"));
        };
        match fields.get(name) {
            Some(field) => at = field,
            None => {
                let known = fields.keys().map(String::as_str);
                let list = || known.clone().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
                return Some(match nearest(name, known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("use one of {}", list()),
                });
            }
        }
    }
    None
}
