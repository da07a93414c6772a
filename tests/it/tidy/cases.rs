//! Every case of the host engine's specification, and every error of its catalogue, is named by a test. Reads files; runs nothing.
//!
//! A case counts where a test's code says its id in a text, `"K03"` or `"K03: the site is down"`, or in its name,
//! `k03_…`. Prose does not count: a comment asserts nothing.

use std::collections::BTreeSet;

use super::{none, rust_files};

/// The cases by their letter, and how many of each there are: files, existing ones, cleanup, permissions, hooks,
/// previous revisions, behaviour at large, archives, the local command, validation.
const CASES: [(char, usize); 11] = [
    ('F', 40),
    ('X', 18),
    ('K', 13),
    ('P', 40),
    ('H', 41),
    ('S', 13),
    ('B', 12),
    ('A', 10),
    ('L', 9),
    ('V', 40),
    ('M', 7),
];

/// The catalogue of what goes wrong with a bundle, an Install and a hook, and of how it is told.
const ERRORS: [std::ops::RangeInclusive<u32>; 2] = [40..=56, 60..=77];

#[test]
fn every_error_of_the_catalogue_is_named_by_a_test() {
    let named = named_in_tests();
    let all = ERRORS.into_iter().flatten().map(|at| format!("E{at}"));
    none(all.filter(|id| !named.contains(id)).map(|id| format!("{id}: no test names it")).collect());
}

#[test]
fn every_case_of_the_specification_is_named_by_a_test() {
    let named = named_in_tests();
    let numbered = CASES.iter().flat_map(|(letter, count)| (1..=*count).map(move |at| format!("{letter}{at:02}")));
    let all: BTreeSet<String> = numbered.collect();
    assert_eq!(all.len(), 243);
    none(all.difference(&named).map(|id| format!("{id}: no test names it")).collect());
}

fn named_in_tests() -> BTreeSet<String> {
    let own = |path: &std::path::Path| path.ends_with("tidy/cases.rs");
    let rings = rust_files("tests").into_iter().filter(|(path, _)| !own(path)).map(|(_, text)| text);
    let tables = rust_files("src").into_iter();
    let tables = tables.filter_map(|(_, text)| Some(text.split_once("#[cfg(test)]\nmod tests {")?.1.to_owned()));
    rings.chain(tables).flat_map(|text| ids_of(&text)).collect()
}

/// The ids in a file's texts and in the names of its functions.
fn ids_of(code: &str) -> BTreeSet<String> {
    let (texts, rest) = texts_of(code);
    let words = texts.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
    let mut ids: BTreeSet<String> = words.filter(|word| is_id(word)).map(str::to_owned).collect();
    for after in rest.split("fn ").skip(1) {
        let name = after.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        ids.extend(name.split('_').map(str::to_uppercase).filter(|word| is_id(word)));
    }
    ids
}

/// A capital letter and two digits.
fn is_id(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 3 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

/// The literals of a file, and its code without them and without comments.
fn texts_of(code: &str) -> (Vec<String>, String) {
    let (mut texts, mut rest, mut ahead) = (Vec::new(), String::new(), code);
    while let Some(at) = ahead.find(['"', '/', '\'', 'r']) {
        rest.push_str(&ahead[..at]);
        ahead = &ahead[at..];
        let raw = ahead.strip_prefix('r').map(|after| after.bytes().take_while(|it| *it == b'#').count());
        let length = if ahead.starts_with("//") {
            ahead.find('\n').unwrap_or(ahead.len())
        } else if ["'\"'", "'\\\"'"].iter().any(|quote| ahead.starts_with(quote)) {
            ahead[1..].find("'").unwrap() + 2
        } else if let Some(hashes) = raw.filter(|hashes| ahead[1 + hashes..].starts_with('"')) {
            let (text, end) = (&ahead[2 + hashes..], format!("\"{}", "#".repeat(hashes)));
            let length = text.find(&end).unwrap_or(text.len());
            texts.push(text[..length].to_owned());
            (2 + hashes + length + end.len()).min(ahead.len())
        } else if let Some(text) = ahead.strip_prefix('"') {
            let length = end_of(text);
            texts.push(text[..length].to_owned());
            (length + 2).min(ahead.len())
        } else {
            rest.push_str(&ahead[..1]);
            1
        };
        ahead = &ahead[length..];
    }
    rest.push_str(ahead);
    (texts, rest)
}

/// Where a literal's closing quote stands.
fn end_of(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

#[test]
fn a_case_counts_in_texts_and_names_and_not_in_prose() {
    let code = r##"
        // F01 is prose, and so is "F02".
        fn f03_is_a_name() { check("F04", '"', "a \" F05"); say(r#"F06 "x" F07"#, '\"', "F08"); }
        /* no text */ let F09 = "F010 aF11 F12_x F13: told";
    "##;
    assert_eq!(Vec::from_iter(ids_of(code)), ["F03", "F04", "F05", "F06", "F07", "F08", "F12", "F13"]);
}
