//! Matters of taste: indentation by 2, 4 and 6 spaces, and values without quotation marks, as the guide writes them.
//! It says each of them once a file, and never refuses.

use super::reader::{Fields, Reader};
use super::yaml::{Kind, Node};
use crate::domain::Finding;

/// The keys whose values the guide writes without quotation marks.
const UNQUOTED: [&str; 9] =
    ["os", "file_exists_behavior", "source", "destination", "object", "owner", "group", "location", "runas"];

/// Looks over a server AppSpec in YAML's block form.
pub(super) fn look_over(reader: &mut Reader<'_>, top: &Fields<'_>) {
    let mut seen = Seen::default();
    for (key, value) in &top.pairs {
        seen.quotes(key, value);
        match key.text() {
            Some("files" | "permissions") => seen.items(value, 5),
            Some("hooks") => seen.hooks(value),
            _ => {}
        }
    }
    if let Some((node, column, expected)) = seen.indent {
        reader.note(
            Finding::style(
                "appspec/indentation",
                format!("this begins in column {column}, and in column {expected} in the guide"),
            ),
            &node.place,
            "indent by 2, 4 and 6 spaces; any other consistent indentation means the same",
        );
    }
    if let Some(node) = seen.quoted.first() {
        let more = match seen.quoted.len() - 1 {
            0 => String::new(),
            1 => ", as is another value".to_owned(),
            more => format!(", as are {more} others"),
        };
        let value = node.text().unwrap_or_default();
        reader.note(
            Finding::style(
                "appspec/quotation-marks",
                format!("`{value}` is in quotation marks that it does not need{more}"),
            ),
            &node.place,
            "write it without; patterns and modes with a leading zero need theirs",
        );
    }
}

#[derive(Default)]
struct Seen<'n> {
    /// The first node that stands elsewhere, its column, and the expected one.
    indent: Option<(&'n Node, u32, u32)>,
    quoted: Vec<&'n Node>,
}

impl<'n> Seen<'n> {
    fn column(&mut self, node: &'n Node, expected: u32) {
        if self.indent.is_none() && node.place.column != expected {
            self.indent = Some((node, node.place.column, expected));
        }
    }

    fn items(&mut self, list: &'n Node, expected: u32) {
        let Kind::List(items) = &list.kind else { return };
        // A list in brackets holds its items right behind the bracket; only the block form has an indentation.
        let bracket = |first: &Node| first.place.line == list.place.line && first.place.column == list.place.column + 1;
        if items.first().is_some_and(bracket) {
            return;
        }
        for item in items {
            if let Kind::Map(pairs) = &item.kind {
                self.column(item, expected);
                pairs.iter().for_each(|(key, value)| self.quotes(key, value));
            }
        }
    }

    fn hooks(&mut self, map: &'n Node) {
        let Kind::Map(events) = &map.kind else { return };
        for (event, scripts) in events {
            self.column(event, 3);
            self.items(scripts, 7);
        }
    }

    fn quotes(&mut self, key: &Node, value: &'n Node) {
        let known = key.text().is_some_and(|key| UNQUOTED.contains(&key));
        if known && value.is_quoted() && value.text().is_some_and(needs_no_quotes) {
            self.quoted.push(value);
        }
    }
}

/// Whether a plain scalar of these letters would be the same text, in whatever YAML.
fn needs_no_quotes(text: &str) -> bool {
    let letters = text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'/' | b'.' | b'_' | b'-' | b'\\'));
    let begins = text.starts_with(|it: char| it.is_ascii_alphabetic() || matches!(it, '/' | '\\'))
        || (text.starts_with('.') && text.len() > 1 && text.contains('/'));
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    letters && begins && !word
}
