//! What people see of a message: which of its text is text, and which the service reads as more. It reads more strictly
//! than the services do: what only might be read as formatting is.

/// What is seen.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Text, code and the texts of links, as they follow each other, without what is not seen.
    pub(crate) text: String,
    /// Addresses that can be gone to.
    pub(crate) links: Vec<String>,
    /// Who is called, or shown as if they were.
    pub(crate) calls: Vec<String>,
    /// What else is more than text, by its name.
    pub(crate) marks: Vec<&'static str>,
}

/// Whose Markdown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Markdown {
    /// By «Markdown Text 101» of Discord's help, and «Message Formatting» of its reference.
    Discord,
    /// By «Format messages» and «Mention people» of Mattermost's documentation.
    Mattermost,
}

impl Markdown {
    /// Which signs a `\` makes text of. Discord: all but letters and digits; Mattermost: those of GitHub's Markdown.
    fn escapes(self, it: char) -> bool {
        match self {
            Self::Discord => it.is_ascii_punctuation(),
            Self::Mattermost => "\\`*{}[]()#+-.!_>~|".contains(it),
        }
    }

    /// Schemes whose addresses are links by themselves.
    fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Discord => &["http://", "https://", "discord://"],
            Self::Mattermost => {
                &["http:", "https:", "ftp:", "mailto:", "tel:", "mattermost:", "vscode:", "javascript:"]
            }
        }
    }
}

impl Reading {
    /// Text in which nothing is read.
    pub(crate) fn literally(&mut self, text: &str) {
        self.text.extend(text.chars().filter(|it| *it != '\u{200b}'));
        self.text.push('\n');
    }

    /// Text in the service's Markdown.
    pub(crate) fn read(&mut self, text: &str, by: Markdown) {
        Reader { rest: text, before: '\n', by, seen: self }.read();
        self.text.push('\n');
    }
}

struct Reader<'r> {
    rest: &'r str,
    before: char,
    by: Markdown,
    seen: &'r mut Reading,
}

impl<'r> Reader<'r> {
    fn read(mut self) {
        while let Some(next) = self.rest.chars().next() {
            if self.before == '\n' {
                self.line_start();
            }
            let read = self.escaped() || self.code() || self.link() || self.in_angles() || self.by_itself();
            if !read && self.rest.starts_with(next) {
                self.sign(next);
            }
        }
    }

    /// Steps over a piece; what stands before the rest is its last character.
    fn step(&mut self, bytes: usize) -> &'r str {
        let (piece, rest) = self.rest.split_at(bytes);
        self.before = piece.chars().last().unwrap_or(self.before);
        self.rest = rest;
        piece
    }

    fn show(&mut self, text: &str) {
        self.seen.text.extend(text.chars().filter(|it| *it != '\u{200b}'));
    }

    fn mark(&mut self, mark: &'static str) {
        self.seen.marks.push(mark);
    }

    fn line_start(&mut self) {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let trimmed = line.trim_start_matches(' ');
        let digits = trimmed.trim_start_matches(|it: char| it.is_ascii_digit());
        let is_numbered = digits.len() < trimmed.len() && (digits.starts_with(". ") || digits.starts_with(") "));
        let starts = |signs: &[&str]| signs.iter().any(|it| trimmed.starts_with(it));
        let mark = if starts(&["#", "-# "]) {
            "heading"
        } else if starts(&[">"]) {
            "quote"
        } else if starts(&["- ", "* ", "+ "]) {
            "list"
        } else if is_numbered {
            "numbered list"
        } else if starts(&["|"]) {
            "table"
        } else if starts(&["---", "***", "___", "==="]) {
            "rule"
        } else if line.starts_with("    ") && !trimmed.is_empty() {
            "indented code"
        } else {
            return;
        };
        self.mark(mark);
        if mark == "list" {
            self.step(line.len() - trimmed.len() + 2);
        }
    }

    fn escaped(&mut self) -> bool {
        let mut signs = self.rest.chars();
        match (signs.next(), signs.next()) {
            (Some('\\'), Some(it)) if self.by.escapes(it) => {
                let piece = self.step(1 + it.len_utf8());
                self.show(&piece[1..]);
                self.before = 'x';
                true
            }
            _ => false,
        }
    }

    fn code(&mut self) -> bool {
        let ticks = self.rest.len() - self.rest.trim_start_matches('`').len();
        if ticks == 0 {
            return false;
        }
        let (fence, after) = self.rest.split_at(ticks);
        let mut ends = after.match_indices(fence).map(|(at, _)| at);
        let end = ends.find(|at| ticks >= 3 || !(after[..*at].ends_with('`') || after[at + ticks..].starts_with('`')));
        match end {
            Some(end) => {
                let piece = self.step(end + 2 * ticks);
                self.show(&piece[ticks..ticks + end]);
            }
            None => {
                self.mark("open code");
                self.step(ticks);
            }
        }
        true
    }

    /// `[text](address)`, and a picture where a `!` stands before it.
    fn link(&mut self) -> bool {
        let Some(inner) = self.rest.strip_prefix('[') else { return false };
        let mut was_escape = false;
        let end = inner.find(|it| {
            let is_end = it == ']' && !was_escape;
            was_escape = it == '\\' && !was_escape;
            is_end
        });
        let Some(end) = end else { return false };
        let (text, after) = (&inner[..end], &inner[end + 1..]);
        let Some((address, _)) = after.strip_prefix('(').and_then(|it| it.split_once(')')) else { return false };
        if self.before == '!' {
            self.mark("picture");
        }
        self.seen.links.push(address.to_owned());
        Reader { rest: text, before: '[', by: self.by, seen: self.seen }.read();
        self.step(1 + end + 1 + 1 + address.len() + 1);
        true
    }

    fn in_angles(&mut self) -> bool {
        let Some((inner, _)) = self.rest.strip_prefix('<').and_then(|it| it.split_once('>')) else { return false };
        let is_call = ["@", "#", "t:", ":", "a:", "/", "id:"].iter().any(|it| inner.starts_with(it));
        let is_address = !inner.contains(' ') && (inner.contains('@') || inner.contains(":/"));
        match self.by {
            Markdown::Discord if is_call => self.seen.calls.push(inner.to_owned()),
            Markdown::Discord | Markdown::Mattermost if is_address => self.seen.links.push(inner.to_owned()),
            Markdown::Discord | Markdown::Mattermost => return false,
        }
        self.step(inner.len() + 2);
        true
    }

    /// Names, tags and addresses that need no sign around them.
    fn by_itself(&mut self) -> bool {
        let word = |from: &str| -> usize {
            let end = from.find(|it: char| !(it.is_alphanumeric() || "-_.".contains(it)));
            end.unwrap_or(from.len())
        };
        let is_in_word = self.before.is_alphanumeric();
        if let Some(after) = self.rest.strip_prefix('@') {
            let name = &after[..word(after)];
            let is_call = match self.by {
                Markdown::Discord => name.starts_with("everyone") || name.starts_with("here"),
                Markdown::Mattermost => !name.is_empty(),
            };
            if is_call {
                self.seen.calls.push(format!("@{name}"));
            }
        }
        let lower = self.rest.chars().take(12).collect::<String>().to_lowercase();
        let is_address = self.by.schemes().iter().any(|scheme| {
            lower.strip_prefix(scheme).is_some_and(|it| it.starts_with(|it: char| it == '/' || it.is_alphanumeric()))
        });
        let is_www = self.by == Markdown::Mattermost && lower.starts_with("www.");
        if !is_in_word && (is_address || is_www) {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            self.seen.links.push(self.rest[..end].to_owned());
        }
        if self.by == Markdown::Mattermost && !is_in_word {
            let host = word(self.rest);
            if self.rest[..host].contains('.') && self.rest[host..].starts_with('/') {
                self.seen.links.push(self.rest[..host].to_owned());
            }
            let begins = |sign| self.rest.strip_prefix(sign).is_some_and(|it| it.starts_with(char::is_alphanumeric));
            let (is_tag, is_channel) = (begins('#'), begins('~'));
            let emoji = self.rest.strip_prefix(':').and_then(|it| it.split_once(':'));
            let is_emoji = emoji.is_some_and(|(it, _)| !it.is_empty() && word(it) == it.len());
            let found = [(is_tag, "hashtag"), (is_channel, "channel"), (is_emoji, "emoji")];
            self.seen.marks.extend(found.iter().filter(|it| it.0).map(|it| it.1));
        }
        false
    }

    /// A sign that means something, or a character that does not.
    fn sign(&mut self, next: char) {
        let entity = self.rest.strip_prefix('&').and_then(|it| it.split_once(';')).map(|it| it.0);
        let signs = ["**", "__", "~~", "||", "*", "_", "$"].into_iter().find(|it| self.rest.starts_with(it));
        match (self.by, signs, entity) {
            (_, Some("**"), _) => drop(self.step(2)),
            (Markdown::Mattermost, Some("$"), _) => {
                self.mark("latex");
                self.step(1);
            }
            (Markdown::Discord, Some("$"), _) | (Markdown::Mattermost, Some("||"), _) | (_, None, None) => {
                let piece = self.step(next.len_utf8());
                self.show(piece);
            }
            (_, Some(signs), _) => {
                self.mark("formatting");
                self.step(signs.len());
            }
            (Markdown::Mattermost, None, Some(name @ ("amp" | "lt" | "gt" | "#36"))) => {
                self.step(name.len() + 2);
                self.show(match name {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    _ => "$",
                });
            }
            (Markdown::Mattermost, None, Some(name))
                if name.len() < 10 && name.starts_with(|it: char| it == '#' || it.is_ascii_alphabetic()) =>
            {
                self.mark("entity");
                self.step(1);
            }
            (Markdown::Discord | Markdown::Mattermost, None, Some(_)) => {
                let piece = self.step(next.len_utf8());
                self.show(piece);
            }
        }
    }
}
