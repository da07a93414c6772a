//! Markdown in which nobody's words but ours mean anything: what each service's dialect would read as formatting, a link
//! or somebody's name is kept from it. It never shortens.

use super::card::{Card, Span};
use super::fit::web_address;

/// Writes a character so that the service reads it as one.
pub(super) type Escape = fn(char, &mut String);

/// A service's Markdown.
pub(super) struct Dialect {
    /// How a character is written as nothing but a character.
    pub(super) escape: Escape,
    /// How somebody is called by the service's name for them; nothing where that cannot be such a name.
    pub(super) call: fn(&str) -> Option<String>,
}

/// Stands between two characters that would mean something side by side, and is not seen.
pub(super) const APART: char = '\u{200b}';

/// GitHub's Markdown, in which nobody is called by name: GitHub looks for names in what is text already.
const GITHUB: Dialect = Dialect { escape: parted, call: |_| None };

/// Lines as a comment at GitHub.
pub fn github_comment(lines: &[Vec<Span>]) -> String {
    let lines: Vec<String> = lines.iter().map(|it| GITHUB.line(it)).collect();
    lines.join("\n\n")
}

impl Dialect {
    /// Somebody's words.
    pub(super) fn words(&self, text: &str) -> String {
        let mut written = String::new();
        text.chars().for_each(|it| (self.escape)(it, &mut written));
        written
    }

    /// A line.
    pub(super) fn line(&self, line: &[Span]) -> String {
        line.iter().map(|it| self.span(it)).collect()
    }

    fn span(&self, span: &Span) -> String {
        match span {
            Span::Plain(it) | Span::Marked(it) => it.clone(),
            Span::Strong(it) if it.is_empty() => String::new(),
            Span::Strong(it) => format!("**{}**", self.words(it)),
            Span::Said(it) => self.words(it),
            Span::Code(it) => code(it),
            Span::Link { text, url } => self.link(text, url),
            Span::Person { name, id } => id.as_deref().and_then(self.call).unwrap_or_else(|| self.words(name)),
        }
    }

    /// The first line, without links: not every service opens those of a title.
    pub(super) fn title(&self, card: &Card) -> String {
        let flat =
            card.title.iter().map(|it| if let Span::Link { text, .. } = it { self.words(text) } else { self.span(it) });
        format!("{} {}", card.mood.sign(), flat.collect::<String>())
    }

    /// All beneath the title but the facts, in paragraphs that stand `apart`.
    pub(super) fn body(&self, card: &Card, apart: &str) -> String {
        let changes: Vec<String> = card.changes.iter().map(|it| format!("- {}", self.line(it))).collect();
        let hint = card.hint.as_deref().map(|it| format!("**What to do:** {}", self.words(it)));
        let mut parts = vec![self.line(&card.text), changes.join("\n")];
        parts.extend(card.log.as_deref().map(fence));
        parts.extend(hint);
        parts.push(self.links(card));
        parts.retain(|it| !it.is_empty());
        parts.join(apart)
    }

    /// Where to go, and where the title's links would have led.
    fn links(&self, card: &Card) -> String {
        let titled = card.title.iter().filter(|it| matches!(it, Span::Link { .. })).map(|it| self.span(it));
        let links: Vec<String> = card.links.iter().map(|it| self.link(it.text, &it.url)).chain(titled).collect();
        links.join(" · ")
    }

    /// A link, where its address is one.
    fn link(&self, text: &str, url: &str) -> String {
        let text = self.words(text);
        match web_address(url) {
            // Nothing in it may end the link.
            Some(url) => {
                let url = url.as_str().replace('(', "%28").replace(')', "%29").replace('\\', "%5C");
                format!("[{text}]({url})")
            }
            None => text,
        }
    }
}

/// Written for whoever looks for names, tags and addresses in what is text already: they are parted by what nobody sees.
pub(super) fn parted(it: char, written: &mut String) {
    match it {
        '<' => written.push_str("&lt;"),
        '$' => written.push_str("&#36;"),
        '#' | '~' => written.extend(['\\', it, APART]),
        '@' | ':' | '&' => written.extend([it, APART]),
        _ if "\\`*{}[]()+-.!_>|".contains(it) => written.extend(['\\', it]),
        _ => written.push(it),
    }
}

/// Text letter by letter within a line. It cannot end it: a backtick is written as one that means nothing.
fn code(text: &str) -> String {
    let text = text.replace('`', "ˋ").replace('\n', " ");
    if text.trim().is_empty() { text } else { format!("`{text}`") }
}

/// Lines letter by letter. They cannot end it: no three backticks stand side by side.
fn fence(text: &str) -> String {
    format!("```\n{}\n```", text.replace("``", &format!("`{APART}`")))
}
