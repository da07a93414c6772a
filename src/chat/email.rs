//! E-mail: one message when a deployment begins and one when it is over, as plain text and as HTML, by SMTP. Whatever comes
//! from outside is escaped text in the HTML, and nothing is fetched from anywhere when it is read. It never edits.
//!
//! A repeat has the same `Message-ID`, by which many servers drop it. All messages of a deployment refer to that of its
//! start, so that mail programs show them as one conversation. Both forms are quoted-printable, in which the line that parts
//! them cannot be written: nobody's words end a form.
//!
//! Limits: Gmail shows 102 KB of HTML; a line of a header holds 998 characters, and a subject helps nobody beyond some 150.

use std::collections::BTreeSet;

use askama::Template;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};

use super::bulletin::Bulletin;
use super::card::{Card, Span, text_of};
use super::fit::{fitted, web_address};
use super::markdown::APART;
use super::outlet::{ChatError, Posted, Service};
use super::post;
use crate::clients::Clock;
use crate::clients::smtp::{self, SmtpError};
use crate::config::Mail;
use crate::domain::{News, one_line};

const LONGEST_HTML: usize = 90_000;
const LONGEST_SUBJECT: usize = 150;
/// More people in copy help nobody.
const MOST_CALLED: usize = 20;

/// A mail server, and who hears by it.
pub(super) struct Email {
    mail: Mail,
    clock: Clock,
}

impl Email {
    pub(super) fn new(mail: Mail, clock: Clock) -> Self {
        Self { mail, clock }
    }

    async fn send(&self, bulletin: &Bulletin, card: &Card) -> Result<Posted, ChatError> {
        let host = || self.mail.server.host.clone();
        let message = self.message(bulletin, card);
        let message = message.map_err(|why| ChatError::Refused { host: host(), why: why.to_string() })?;
        let login = match &self.mail.login {
            Some(login) => Some((login.user.as_str(), post::read(&login.password)?)),
            None => None,
        };
        let to = message.envelope().to();
        let envelope = smtp::Envelope {
            server: &self.mail.server,
            login,
            from: &self.mail.from.email,
            to,
            message: &message.formatted(),
        };
        let not_taken = smtp::send(&envelope).await.map_err(|error| failed(host(), error))?;
        for (address, words) in not_taken {
            tracing::warn!(mail.server = host(), "`{address}` is not told of a deployment, others are: {words}");
        }
        Ok(None)
    }

    fn message(&self, bulletin: &Bulletin, card: &Card) -> Result<Message, lettre::error::Error> {
        let domain = self.mail.from.email.domain();
        let start = format!("<{}-{}@{domain}>", bulletin.deployment, News::Started.as_str());
        let mut message = Message::builder()
            .message_id(Some(format!("<{}@{domain}>", card.id)))
            .date(self.clock.now().into())
            .from(self.mail.from.clone())
            .subject(subject(card))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            // Outlook's word against answers of absence.
            .raw_header(header("X-Auto-Response-Suppress", "All"));
        if bulletin.news != News::Started && !card.is_digest {
            message = message.in_reply_to(start.clone()).references(start);
        }
        message = self.mail.to.iter().cloned().fold(message, |it, to| it.to(to));
        message = self.called(card).into_iter().fold(message, |it, cc| it.cc(cc));
        let page = fitted(card, Page::of, |it| it.html.len() <= LONGEST_HTML);
        let parts = MultiPart::alternative().boundary(format!("=_{}", card.id));
        let parts = parts.singlepart(part(ContentType::TEXT_PLAIN, page.text));
        message.multipart(parts.singlepart(part(ContentType::TEXT_HTML, page.html)))
    }

    /// Whom the configuration names for people of this message, who are not told anyway.
    fn called(&self, card: &Card) -> Vec<Mailbox> {
        let told: BTreeSet<&Address> = self.mail.to.iter().map(|it| &it.email).collect();
        let called = card.called().filter_map(|(_, id)| id.parse::<Mailbox>().ok());
        called.filter(|it| !told.contains(&it.email)).take(MOST_CALLED).collect()
    }
}

impl Service for Email {
    fn post<'a>(&'a self, bulletin: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>> {
        self.send(bulletin, card).boxed()
    }
}

fn failed(host: String, error: SmtpError) -> ChatError {
    match error {
        SmtpError::Unreachable { why } => ChatError::Unreachable { host, why },
        SmtpError::Passing { code, words } => ChatError::Down { host, status: code, why: words },
        SmtpError::Denied { words } => ChatError::Denied { host, why: words },
        SmtpError::Refused { words } => ChatError::Refused { host, why: words },
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn part(kind: ContentType, text: String) -> SinglePart {
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable);
    SinglePart::builder().header(kind).body(body.expect("every text can be written quoted-printable"))
}

/// The title, and how it stands where the title does not say so already.
fn subject(card: &Card) -> String {
    let title = text_of(&card.title);
    let is_said = title.contains(&text_of(&card.text));
    let line = if is_said { format!("{} {title}", card.mood.sign()) } else { card.line() };
    // Somebody's words that look like encoded ones stay what they look like.
    one_line(&line, LONGEST_SUBJECT).replace("=?", &format!("={APART}?"))
}

/// Both forms of a message.
struct Page {
    text: String,
    html: String,
}

impl Page {
    fn of(card: &Card) -> Self {
        let html = Html { card, color: card.mood.color(), links: links(card) };
        Self { text: text(card), html: html.render().expect("memory takes every text") }
    }
}

/// `email.html`: escapes all text.
#[derive(Template)]
#[template(path = "email.html", config = "src/chat/askama.toml")]
struct Html<'a> {
    card: &'a Card,
    color: &'static str,
    links: Vec<(&'static str, String)>,
}

/// Where to go, as far as that can be gone to.
fn links(card: &Card) -> Vec<(&'static str, String)> {
    let links = card.links.iter().filter_map(|it| Some((it.text, address(&it.url)?)));
    let commits = card.title.iter().filter_map(|it| match it {
        Span::Link { url, .. } => Some(("Commit", address(url)?)),
        Span::Plain(_) | Span::Strong(_) | Span::Said(_) | Span::Code(_) | Span::Person { .. } | Span::Marked(_) => {
            None
        }
    });
    links.chain(commits).collect()
}

fn address(url: &str) -> Option<String> {
    web_address(url).map(String::from)
}

/// The plain form: for who reads no HTML.
fn text(card: &Card) -> String {
    let paragraphs = [
        format!("{} {}", card.mood.sign(), text_of(&card.title)),
        text_of(&card.text),
        // Farther in, so that nothing in it is the `-- ` of a signature.
        lines(card.log.iter().flat_map(|it| it.lines()).map(|it| format!("    {it}"))),
        card.hint.as_deref().map(|it| format!("What to do: {it}")).unwrap_or_default(),
        lines(card.facts.iter().map(|it| format!("{}: {}", it.name, text_of(&it.value)))),
        lines(card.changes.iter().map(|it| format!("- {}", text_of(it)))),
        lines(links(card).iter().map(|(name, url)| format!("{name}: {url}"))),
        "Landfall tells you, since `notify` of this target names you.".into(),
    ];
    paragraphs.into_iter().filter(|it| !it.is_empty()).map(|it| format!("{it}\n")).collect::<Vec<_>>().join("\n")
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}
