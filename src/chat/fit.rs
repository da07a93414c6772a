//! Cuts a card down until its form keeps within a service's limits: what is said of most is cut least. It never refuses a
//! card: the smallest cut fits everywhere.

use url::Url;

use super::card::{Card, Fact, Span};

/// How much of a card is left.
struct Cut {
    /// Characters of a text, a name, a title.
    words: usize,
    /// Lines of what changed.
    changes: usize,
    /// Characters of the log's end.
    log: usize,
}

const CUTS: [Cut; 5] = [
    Cut { words: 300, changes: 11, log: 2000 },
    Cut { words: 120, changes: 11, log: 1500 },
    Cut { words: 100, changes: 6, log: 1000 },
    Cut { words: 60, changes: 3, log: 400 },
    Cut { words: 24, changes: 0, log: 0 },
];
/// What a template wrote may be more than a name.
const MARKED: usize = 2;
/// A line has no more than so many names' worth.
const MOST_WORDS: usize = 4;
/// No service takes more of them than this.
const MOST_FACTS: usize = 12;
/// Somebody else's addresses may be of any length, and half of one leads nowhere.
const LONGEST_ADDRESS: usize = 500;

/// The form of the least cut card that fits.
pub(super) fn fitted<T>(card: &Card, render: impl Fn(&Card) -> T, fits: impl Fn(&T) -> bool) -> T {
    let [least @ .., most] = &CUTS;
    let found = least.iter().map(|it| render(&it.of(card))).find(fits);
    found.unwrap_or_else(|| render(&most.of(card)))
}

impl Cut {
    fn of(&self, card: &Card) -> Card {
        let fact = |it: &Fact| Fact { name: it.name, value: self.line(&it.value) };
        let log = card.log.as_deref().filter(|_| self.log > 0);
        Card {
            id: card.id.clone(),
            news: card.news,
            mood: card.mood,
            title: self.line(&card.title),
            text: self.line(&card.text),
            facts: card.facts.iter().take(MOST_FACTS).map(fact).collect(),
            changes: card.changes.iter().take(self.changes).map(|it| self.line(it)).collect(),
            log: log.map(|it| end(it, self.log).to_owned()),
            hint: card.hint.as_deref().map(|it| self.text(it)),
            links: card.links.iter().filter(|it| it.url.len() <= LONGEST_ADDRESS).cloned().collect(),
            acts: card.acts.clone(),
            is_digest: card.is_digest,
        }
    }

    fn line(&self, line: &[Span]) -> Vec<Span> {
        let mut left = self.words * MOST_WORDS;
        let spans = line.iter().map_while(|it| {
            let span = (left > 0).then(|| self.span(it))?;
            left = left.saturating_sub(span.text().chars().count());
            Some(span)
        });
        spans.collect()
    }

    fn span(&self, span: &Span) -> Span {
        match span {
            Span::Plain(it) => Span::Plain(self.text(it)),
            Span::Strong(it) => Span::Strong(self.text(it)),
            Span::Said(it) => Span::Said(self.text(it)),
            Span::Code(it) => Span::Code(self.text(it)),
            Span::Link { text, url } if url.len() <= LONGEST_ADDRESS => {
                Span::Link { text: self.text(text), url: url.clone() }
            }
            Span::Link { text, .. } => Span::Said(self.text(text)),
            Span::Person { name, id } => Span::Person { name: self.text(name), id: id.clone() },
            Span::Marked(it) => Span::Marked(cut(it, self.words * MARKED)),
        }
    }

    fn text(&self, text: &str) -> String {
        cut(text, self.words)
    }
}

/// The first characters of a text.
fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

/// The last characters of a text.
fn end(text: &str, characters: usize) -> &str {
    let skipped = text.chars().count().saturating_sub(characters);
    text.char_indices().nth(skipped).map_or("", |(at, _)| &text[at..])
}

/// An address that a browser opens, and nothing else.
pub(super) fn web_address(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(|it| matches!(it.scheme(), "http" | "https"))
}

/// How long a text is by the strictest count: that of services which know no characters beyond 16 bits.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}
