//! An e-mail as a mail program reads it: taken apart by mail-parser, its HTML read by hand, and more strictly than programs
//! do: an element, attribute or style that could do something is more than text.

use mail_parser::MessageParser;

use super::reading::Reading;

/// Elements that our e-mails have. What another one is called stands under `marks`.
const ELEMENTS: &str = " html head meta title style body table tr td h1 p pre a strong code ";
const ATTRIBUTES: &str =
    " lang charset name content class style role width cellpadding cellspacing border align valign ";

/// What is in an e-mail.
pub(crate) struct Letter {
    /// The names and contents of its headers, as they came, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The subject, decoded.
    pub(crate) subject: String,
    /// The form of plain text.
    pub(crate) text: String,
    /// The form of HTML.
    pub(crate) html: String,
}

impl Letter {
    /// Takes it apart. There are the two forms in it, and nothing else.
    pub(crate) fn open(raw: &str) -> Self {
        let message = MessageParser::default().parse(raw).unwrap();
        assert_eq!((message.parts.len(), message.attachment_count()), (3, 0), "{raw}");
        assert!(message.parts.iter().all(|it| !it.is_encoding_problem), "{raw}");
        assert!(message.parts[2].is_text_html() && !message.parts[1].is_text_html(), "{raw}");
        let form = |at: usize| message.parts[at].text_contents().unwrap().replace("\r\n", "\n");
        let headers = message.headers_raw().map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let (subject, text, html) = (message.subject().unwrap().to_owned(), form(1), form(2));
        Self { headers, subject, text, html }
    }

    /// A header as it came.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|it| it.0 == name);
        let it = found.next().map_or("", |it| &it.1);
        assert!(found.next().is_none(), "two headers `{name}`");
        it
    }
}

/// The one id of a header such as `In-Reply-To`.
pub(crate) fn id_in(raw: &str, header: &'static str) -> Option<String> {
    let message = MessageParser::default().parse(raw).unwrap();
    message.header(header).map(|it| it.as_text().unwrap().to_owned())
}

/// What is seen of HTML.
pub(crate) fn read(html: &str) -> Reading {
    let mut seen = Reading::default();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("HTML says what it is");
    while let Some((text, after)) = rest.split_once('<') {
        seen.literally(&decoded(text));
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        element(tag, &mut seen);
        if tag == "style" {
            let (style, after) = after.split_once("</style>").unwrap();
            assert!(!style.contains("url(") && !style.contains("@import"), "it fetches: {style}");
            rest = after;
        }
    }
    seen.literally(&decoded(rest));
    seen
}

fn element(tag: &str, seen: &mut Reading) {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    if !ELEMENTS.contains(&format!(" {name} ")) {
        seen.marks.push("element");
    }
    while let Some((key, after)) = attributes.trim_start().split_once("=\"") {
        let (value, after) = after.split_once('"').expect("a value ends");
        attributes = after;
        match key {
            "href" => seen.links.push(decoded(value)),
            "style" if value.contains("url(") || value.contains("position") => seen.marks.push("style"),
            _ if ATTRIBUTES.contains(&format!(" {key} ")) => {}
            _ => seen.marks.push("attribute"),
        }
    }
    assert_eq!(attributes.trim(), "", "no attribute: {tag}");
}

/// Text, with what stands for signs in place of them.
fn decoded(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';').expect("what begins with `&` ends");
        let code = entity.strip_prefix('#').and_then(|it| it.parse().ok()).and_then(char::from_u32);
        decoded.push_str(before);
        decoded.push(code.unwrap_or_else(|| panic!("`&{entity};` is none of ours")));
        rest = after;
    }
    assert!(!rest.contains(['<', '>']), "a sign that stands open: {text}");
    decoded + rest
}
