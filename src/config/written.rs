//! Reading a parsed table by hand: every value with its place, every unknown key and wrong type as a finding.
//! It never stops at the first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::{Finding, Findings, Place};

/// A value, and where it was written, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// Collects findings about one text.
pub(super) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    pub(super) findings: Findings,
    /// The keys that were written with a value of another type: they are not missing.
    mistyped: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, findings: Findings::default(), mistyped: Vec::new() }
    }

    /// Keeps a finding about these bytes, or what of them is on their first line.
    pub(super) fn find(&mut self, finding: Finding, span: &Range<usize>) {
        let finding = finding.at(self.place(span));
        self.findings.push(finding);
    }

    /// Where a text stands, and each of its lines; none of them where it is written with escapes.
    pub(super) fn lines(&self, text: &Written<String>) -> (Place, Vec<Place>) {
        let begin = self.text.get(text.span.clone()).and_then(|it| it.find(text.value.as_str()));
        let mut at = begin.map_or(0, |it| text.span.start + it);
        let lines = text.value.split_inclusive('\n').filter(|_| begin.is_some()).map(|line| {
            let place = self.place(&(at..at + line.len()));
            at += line.len();
            place
        });
        let lines = lines.collect();
        (self.place(&text.span), lines)
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let start = floor(self.text, span.start);
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let rest = &self.text[start..floor(self.text, span.end).max(start)];
        let length = rest.lines().next().unwrap_or("").chars().count().max(1);
        let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Place { file: self.file.to_owned(), line: number(line), column: number(column), length: number(length) }
    }

    fn unknown(&mut self, name: &str, path: &str, known: &[&str], span: &Range<usize>) {
        let finding = Finding::error("config/unknown-key", format!("unknown key `{path}`"));
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}", listed(known)),
        };
        self.find(finding.help(help), span);
    }

    pub(super) fn wrong_type(&mut self, path: &str, expected: &str, value: &Spanned<DeValue<'_>>) {
        let message = format!("`{path}` is {}, expected {expected}", article(value.get_ref().type_str()));
        self.find(Finding::error("config/wrong-type", message), &value.span());
        self.is_there(path);
    }

    /// A value that was read and refused: it is not missing.
    pub(super) fn is_there(&mut self, path: &str) {
        self.mistyped.push(path.to_owned());
    }

    /// Whether the key is there with a value of another type. Each such value answers once.
    pub(super) fn is_mistyped(&mut self, path: &str) -> bool {
        let at = self.mistyped.iter().position(|it| it == path);
        at.map(|at| self.mistyped.remove(at)).is_some()
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

/// Words as a list for people.
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The candidate that was probably meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|it| (strsim::damerau_levenshtein(&word, &it.to_lowercase()), it))
        .filter(|(distance, it)| *distance <= (it.chars().count().max(word.chars().count()) / 3).max(1))
        .min()
        .map(|(_, it)| it)
}

/// A kind of value that can be read from the file.
pub(super) trait Read: Sized {
    /// Reads it, or says why not.
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self>;

    /// The dotted names of the keys beneath it.
    fn keys(_prefix: &str, _into: &mut Vec<String>) {}
}

/// Reads a value together with its place.
pub(super) fn read_written<T: Read>(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    reader: &mut Reader<'_>,
) -> Option<Written<T>> {
    Some(Written { value: T::read(value, path, reader)?, span: value.span() })
}

impl Read for String {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            reader.wrong_type(path, "a string", value);
        }
        text.map(str::to_owned)
    }
}

impl Read for bool {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let it = value.get_ref().as_bool();
        if it.is_none() {
            reader.wrong_type(path, "`true` or `false`", value);
        }
        it
    }
}

impl Read for u32 {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let number = value.get_ref().as_integer().map(|it| Self::from_str_radix(it.as_str(), it.radix()));
        match number {
            Some(Ok(number)) => return Some(number),
            Some(Err(_)) => {
                let message = format!("`{path}` is out of range, expected a number from 0 to {}", Self::MAX);
                reader.find(Finding::error("config/wrong-type", message), &value.span());
            }
            None => reader.wrong_type(path, "a number", value),
        }
        None
    }
}

impl<T: Read> Read for Vec<Written<T>> {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(array) = value.get_ref().as_array() else {
            reader.wrong_type(path, "an array, as in `[…]`", value);
            return None;
        };
        Some(array.iter().filter_map(|item| read_written(item, path, reader)).collect())
    }

    fn keys(prefix: &str, into: &mut Vec<String>) {
        T::keys(prefix, into);
    }
}

/// A table whose keys are the file's own: each is taken as it is.
impl<T: Read> Read for BTreeMap<String, Written<T>> {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type(path, "a table, as in `{ team = \"web\" }`", value);
            return None;
        };
        let item = |(name, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            let name = name.get_ref().as_ref();
            read_written(value, &join(path, name), reader).map(|it| (name.to_owned(), it))
        };
        Some(table.iter().filter_map(item).collect())
    }
}

/// A table whose keys are known.
pub(super) trait Table: Sized {
    /// Reads what is known, and finds what is not.
    fn read_table(table: &DeTable<'_>, path: &str, reader: &mut Reader<'_>) -> Self;

    /// The keys that were written, with the places of their values.
    fn written(&self) -> Vec<(&'static str, Range<usize>)>;

    /// Its own keys.
    const KEYS: &'static [&'static str];
}

/// Reads a value that must be a table.
pub(super) fn read_as_table<T: Table>(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<T> {
    let Some(table) = value.get_ref().as_table() else {
        reader.wrong_type(path, &format!("a table with {}", listed(T::KEYS)), value);
        return None;
    };
    Some(T::read_table(table, path, reader))
}

/// `key`, or `path.key` beneath a table.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Finds a key that its table does not have.
pub(super) fn unknown<T: Table>(name: &Spanned<Cow<'_, str>>, path: &str, reader: &mut Reader<'_>) {
    reader.unknown(name.get_ref(), path, T::KEYS, &name.span());
}

/// The key that a field is written with: its own name, unless that is a word of Rust's.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}
pub(super) use key;

/// Declares a table of the file: every field optional, named as its key.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident $(as $key:literal)?: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(super) struct $name {
            $($(#[$field_doc])* pub(super) $field: Option<Written<$type>>,)*
        }

        impl Table for $name {
            const KEYS: &'static [&'static str] = &[$(key!($field $($key)?)),*];

            fn read_table(table: &DeTable<'_>, path: &str, reader: &mut Reader<'_>) -> Self {
                let mut it = Self { $($field: None,)* };
                for (name, value) in table {
                    let path = join(path, name.get_ref());
                    match name.get_ref().as_ref() {
                        $(key!($field $($key)?) => it.$field = read_written(value, &path, reader),)*
                        _ => unknown::<Self>(name, &path, reader),
                    }
                }
                it
            }

            fn written(&self) -> Vec<(&'static str, Range<usize>)> {
                let mut all = Vec::new();
                $(all.extend(self.$field.as_ref().map(|it| (key!($field $($key)?), it.span.clone())));)*
                all
            }
        }

        impl Read for $name {
            fn read(value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
                read_as_table(value, path, reader)
            }

            fn keys(prefix: &str, into: &mut Vec<String>) {
                $(
                    into.push(join(prefix, key!($field $($key)?)));
                    <$type as Read>::keys(&join(prefix, key!($field $($key)?)), into);
                )*
            }
        }
    };
}
pub(super) use table;
