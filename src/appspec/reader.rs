//! Reads maps, lists and texts out of a tree, and writes down everything that is not as it should be.

use super::yaml::{Kind, Node};
use crate::domain::{Finding, Findings, Place};

/// Twice the longest key that there is.
const LONGEST_WORD: usize = 64;

/// Every item is held against every file of the bundle, which is a product that must stay small.
const MOST_ITEMS: usize = 2000;

/// A map's pairs, by key.
pub(super) struct Fields<'n> {
    pub(super) pairs: Vec<(&'n Node, &'n Node)>,
    pub(super) place: Place,
}

impl<'n> Fields<'n> {
    /// The pair of this key, whatever it holds.
    pub(super) fn pair(&self, key: &str) -> Option<(&'n Node, &'n Node)> {
        self.pairs.iter().copied().find(|(known, _)| known.text() == Some(key))
    }

    /// The pair of this key in any case: `Name`, `name`.
    pub(super) fn pair_in_any_case(&self, key: &str) -> Option<(&'n Node, &'n Node)> {
        self.pairs.iter().copied().find(|(known, _)| known.text().is_some_and(|it| it.eq_ignore_ascii_case(key)))
    }

    /// The same without this key, which was looked at already.
    pub(super) fn without(&self, key: &str) -> Self {
        let pairs = self.pairs.iter().copied().filter(|(known, _)| known.text() != Some(key)).collect();
        Self { pairs, place: self.place.clone() }
    }

    /// The value of this key, unless it is blank.
    pub(super) fn value(&self, key: &str) -> Option<&'n Node> {
        self.pair(key).map(|(_, value)| value).filter(|value| !value.is_blank())
    }
}

/// Collects findings while a tree is read.
pub(super) struct Reader<'f> {
    pub(super) findings: &'f mut Findings,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, code: &str, at: &Node, message: impl Into<String>, help: &str) {
        self.note(Finding::error(code, message), &at.place, help);
    }

    pub(super) fn warn(&mut self, code: &str, at: &Node, message: impl Into<String>, help: &str) {
        self.note(Finding::warning(code, message), &at.place, help);
    }

    pub(super) fn port(&mut self, code: &str, at: &Node, message: impl Into<String>, help: &str) {
        self.note(Finding::portability(code, message), &at.place, help);
    }

    pub(super) fn note(&mut self, finding: Finding, place: &Place, help: &str) {
        let finding = finding.at(place.clone());
        self.findings.push(if help.is_empty() { finding } else { finding.help(help) });
    }

    /// The pairs of a map whose keys are all texts.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> Option<Fields<'n>> {
        match &node.kind {
            Kind::Map(pairs) => {
                for (key, _) in pairs.iter().filter(|(key, _)| key.text().is_none()) {
                    self.error("appspec/wrong-form", key, format!("a key of {what} is {}", key.form()), "");
                }
                let pairs = pairs.iter().filter(|(key, _)| key.text().is_some()).map(|(k, v)| (k, v)).collect();
                Some(Fields { pairs, place: node.place.clone() })
            }
            Kind::Scalar { .. } | Kind::List(_) => {
                self.error(
                    "appspec/wrong-form",
                    node,
                    format!("{what} must be a map of keys, and this is {}", node.form()),
                    help,
                );
                None
            }
        }
    }

    /// The items of a list.
    pub(super) fn items<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> &'n [Node] {
        match &node.kind {
            Kind::List(items) if items.len() > MOST_ITEMS => {
                self.error(
                    "appspec/too-many",
                    node,
                    format!("{what} has {} items, and {MOST_ITEMS} is the limit", items.len()),
                    "copy directories instead of single files, or let one script call the others",
                );
                &items[..MOST_ITEMS]
            }
            Kind::List(items) => items,
            Kind::Scalar { .. } | Kind::Map(_) => {
                self.error(
                    "appspec/wrong-form",
                    node,
                    format!("{what} must be a list, and this is {}", node.form()),
                    help,
                );
                &[]
            }
        }
    }

    /// A list of texts; blank items are errors.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        let example = format!("write `{what}: [{}]`", node.text().unwrap_or("…"));
        let mut texts = Vec::new();
        for item in self.items(node, &format!("`{what}`"), &example) {
            match item.text() {
                Some(text) if !item.is_blank() => texts.push(text.to_owned()),
                _ => self.error("appspec/wrong-form", item, format!("an item of `{what}` is {}", item.form()), ""),
            }
        }
        texts
    }

    /// The text of an optional key: blank is a warning and as good as absent.
    pub(super) fn optional(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        let (name, value) = fields.pair(key)?;
        if value.is_blank() {
            self.warn("appspec/blank", name, format!("`{key}` is blank"), "remove it, or give it a value");
            return None;
        }
        self.text(value, key)
    }

    /// The text of a key that must be there: missing, blank or of another form is an error.
    pub(super) fn required(&mut self, fields: &Fields<'_>, key: &str, of: &str) -> Option<String> {
        match fields.pair(key) {
            Some((_, value)) if !value.is_blank() => self.text(value, key),
            Some((name, _)) => {
                self.error("appspec/missing", name, format!("`{key}` of {of} is blank"), "give it a value");
                None
            }
            None => {
                let finding = Finding::error("appspec/missing", format!("{of} has no `{key}`"));
                self.note(finding, &fields.place, &format!("add `{key}: …`"));
                None
            }
        }
    }

    /// The value's text, trimmed.
    pub(super) fn text(&mut self, value: &Node, key: &str) -> Option<String> {
        let text = value.text().map(|text| text.trim().to_owned());
        if text.is_none() {
            self.error(
                "appspec/wrong-form",
                value,
                format!("`{key}` must be plain text, and this is {}", value.form()),
                "",
            );
        }
        text
    }

    /// An error for every key that is none of `known`, with the nearest one that is.
    pub(super) fn unknown_keys(&mut self, fields: &Fields<'_>, known: &[&str], of: &str) {
        for (key, _) in &fields.pairs {
            let name = key.text().unwrap_or_default();
            if known.contains(&name) {
                continue;
            }
            let help = nearest(name, known).map_or_else(
                || format!("remove it: {of} knows {}", known.join(", ")),
                |nearest| format!("did you mean `{nearest}`?"),
            );
            self.error(
                "appspec/unknown-key",
                key,
                format!("unknown key `{name}` in {of}, which AWS's agent would silently pass over"),
                &help,
            );
        }
    }
}

/// The known word that was most likely meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // A word of another length than any of ours is none of them, and costs what its length squared costs.
    if word.len() > LONGEST_WORD {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|it| (strsim::normalized_damerau_levenshtein(&lower, &it.to_lowercase()), *it))
        .filter(|(likeness, _)| *likeness >= 0.65)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, it)| it)
}
