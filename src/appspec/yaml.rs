//! YAML text to a tree of raw scalars, each with its place. It resolves no types: what was written is what is there.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::domain::{Finding, Findings, Place};

/// More nodes than any AppSpec has, so that aliases of aliases cannot fill the memory.
const MOST_NODES: usize = 100_000;
/// Deeper than any AppSpec is.
const DEEPEST: usize = 64;

/// One value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

/// What a value is, before anyone says what it means.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Nothing was written, or one of YAML's words for nothing.
    pub(super) fn is_blank(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The scalar's letters.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// Whether it is a scalar in quotation marks or in block form.
    pub(super) fn is_quoted(&self) -> bool {
        matches!(self.kind, Kind::Scalar { plain: false, .. })
    }

    /// `a list`, `a map` or `text`, for messages.
    pub(super) fn form(&self) -> &'static str {
        match self.kind {
            Kind::Scalar { .. } if self.is_blank() => "nothing",
            Kind::Scalar { .. } => "plain text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map of keys",
        }
    }
}

/// Reads the first document. Nothing comes back where the text is no YAML; then a finding says so.
pub(super) fn read(text: &str, file: &str, findings: &mut Findings) -> Result<Option<Node>, ScanError> {
    let mut tree = Tree {
        parser: Parser::new_from_str(text),
        file,
        findings,
        anchors: HashMap::new(),
        left: MOST_NODES,
        aliased: false,
        tagged: false,
    };
    tree.document()
}

struct Tree<'a, I: saphyr_parser::Input> {
    parser: Parser<'a, I>,
    file: &'a str,
    findings: &'a mut Findings,
    anchors: HashMap<usize, Node>,
    left: usize,
    aliased: bool,
    tagged: bool,
}

/// The key that merges another map into its own.
const MERGE: &str = "<<";

impl<'a, I: saphyr_parser::Input> Tree<'a, I> {
    fn next(&mut self) -> Result<(Event<'a>, Span), ScanError> {
        self.parser.next_event().unwrap_or_else(|| Ok((Event::StreamEnd, Span::empty(Marker::default()))))
    }

    fn place(&self, span: Span) -> Place {
        let length = if span.start.line() == span.end.line() { span.len() } else { 1 };
        Place {
            file: self.file.to_owned(),
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
            length: number(length.max(1)),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, ScanError> {
        let mut first = None;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::StreamEnd) {
                return Ok(first);
            }
            if matches!(event, Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing) {
                continue;
            }
            if first.is_some() {
                self.findings.push(
                    Finding::warning("appspec/second-document", "a second YAML document, which nobody reads")
                        .at(self.place(span))
                        .help("remove everything from the `---` on"),
                );
                return Ok(first);
            }
            first = Some(self.node(event, span, 0)?);
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, ScanError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| too_much(span))?;
        if depth > DEEPEST {
            return Err(too_much(span));
        }
        let place = self.place(span);
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.as_deref(), &place);
                (Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), &place);
                (Kind::List(self.list(depth)?), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), &place);
                (Kind::Map(self.map(depth)?), anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => (Kind::Scalar { text: String::new(), plain: true }, 0),
        };
        let node = Node { kind, place };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// `!!str` and its like say what the text says anyway; `!Ref` and its like are for templates of stacks, and nobody
    /// resolves them here.
    fn tag(&mut self, tag: Option<&Tag>, place: &Place) {
        let Some(tag) = tag.filter(|_| !self.tagged) else { return };
        self.tagged = true;
        let finding = if tag.is_yaml_core_schema() {
            Finding::portability("appspec/tag", format!("a YAML tag, `!!{}`, which no AppSpec needs", tag.suffix))
        } else {
            Finding::error("appspec/tag", format!("a YAML tag, `{}{}`, which nobody resolves", tag.handle, tag.suffix))
        };
        self.findings.push(finding.at(place.clone()).help("write the value without it"));
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Node, ScanError> {
        let place = self.place(span);
        if !self.aliased {
            self.aliased = true;
            self.findings.push(
                Finding::portability("appspec/alias", "a YAML alias, which AWS's agent refuses")
                    .at(place.clone())
                    .help("write the value out"),
            );
        }
        let node = self
            .anchors
            .get(&anchor)
            .cloned()
            .ok_or_else(|| ScanError::new(span.start, "an alias to something that is not there".into()))?;
        let (size, height) = measure(&node);
        self.left = self.left.checked_sub(size).ok_or_else(|| too_much(span))?;
        if depth + height > DEEPEST {
            return Err(too_much(span));
        }
        Ok(Node { place, ..node })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, ScanError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, ScanError> {
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => break,
                (event, span) => self.node(event, span, depth + 1)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if key.text() == Some(MERGE) && !key.is_quoted() {
                merged.push(value);
                continue;
            }
            let Some(name) = key.text() else {
                pairs.push((key, value));
                continue;
            };
            if let Some(line) = lines.get(name) {
                let message = format!("`{name}` stands here and in line {line}; YAML keeps only one of them");
                self.findings.push(
                    Finding::error("appspec/duplicate-key", message).at(key.place.clone()).help("put both into one"),
                );
            } else {
                lines.insert(name.to_owned(), key.place.line);
                pairs.push((key, value));
            }
        }
        for value in merged {
            merge(value, &mut pairs, &mut lines);
        }
        Ok(pairs)
    }
}

/// Adds the pairs of `<<` that the map does not have itself. What is no map is left for whoever reads the keys.
fn merge(value: Node, pairs: &mut Vec<(Node, Node)>, lines: &mut HashMap<String, u32>) {
    match value.kind {
        Kind::Map(more) => {
            for (key, value) in more {
                if let Some(name) = key.text().filter(|name| !lines.contains_key(*name)) {
                    lines.insert(name.to_owned(), key.place.line);
                    pairs.push((key, value));
                }
            }
        }
        Kind::List(maps) => maps.into_iter().for_each(|map| merge(map, pairs, lines)),
        Kind::Scalar { .. } => {}
    }
}

/// How many nodes there are, and how many stand within each other.
fn measure(node: &Node) -> (usize, usize) {
    let below: Vec<(usize, usize)> = match &node.kind {
        Kind::Scalar { .. } => Vec::new(),
        Kind::List(items) => items.iter().map(measure).collect(),
        Kind::Map(pairs) => pairs.iter().flat_map(|(key, value)| [measure(key), measure(value)]).collect(),
    };
    let size = below.iter().map(|(size, _)| size).sum::<usize>();
    (size + 1, below.iter().map(|(_, height)| height + 1).max().unwrap_or(0))
}

fn too_much(span: Span) -> ScanError {
    ScanError::new(span.start, "more nesting or aliases than an AppSpec can have".into())
}

/// A count of lines or columns; text is far shorter than its range.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
