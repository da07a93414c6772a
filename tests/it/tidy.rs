//! The rules of the house that the compiler does not keep. Reads files; runs nothing.

mod cases;
mod inventory;
mod programs;
mod threats;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use landfall::cli::Cli;

/// The floors, ground floor first. A room may use the floors below its own, and no neighbour.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["appspec"],
    &["config"],
    &["ledger", "bundle", "clients"],
    &["source", "revisions", "engine", "chat"],
    &["steps", "board"],
    &["asking"],
    &["intake", "conductor", "report", "web", "upkeep"],
    &["app"],
    &["cli"],
];

/// `lib` lists the rooms, `main` hands over: they may name any.
const ABOVE_THE_FLOORS: &[&str] = &["lib", "main"];

/// Rooms inside `engine` that write failure codes of their own.
const ENGINES: &[&str] = &["codedeploy", "host"];

/// Longer files want to be two.
const MAX_LINES: usize = 500;

/// What a person sees first when the project is opened; everything else has a room, or begins with a dot.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "config",
    "fuzz",
    "src",
    "target",
    "tests",
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "core", "manager", "service", "handler", "processor", "misc"];

#[test]
fn rooms_use_only_the_floors_below() {
    let mut wrong = BTreeSet::new();
    for (path, text) in rust_files("src") {
        let room = room_of(&path);
        if ABOVE_THE_FLOORS.contains(&room.as_str()) {
            continue;
        }
        let floor = floor_of(&room).unwrap_or_else(|| panic!("`{room}` is on no floor: add it to FLOORS"));
        for used in rooms_used(&text) {
            let fits = used == room || floor_of(&used).is_some_and(|below| below < floor);
            if !fits {
                wrong.insert(format!("{}: `{room}` uses `{used}`, which is not on a floor below", path.display()));
            }
        }
    }
    none(wrong);
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    let mut wrong = BTreeSet::new();
    for (path, text) in ["src", "tests", "benches", "fuzz/looks"].into_iter().flat_map(rust_files) {
        if !text.starts_with("//! ") {
            wrong.insert(format!("{}: begin with `//! ` and what it is for", path.display()));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.insert(format!("{}: {lines} lines, more than {MAX_LINES}: it wants to be two", path.display()));
        }
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if EMPTY_NAMES.contains(&name) {
            wrong.insert(format!("{}: `{name}` names a technique, not a thing of the trade", path.display()));
        }
    }
    none(wrong);
}

#[test]
fn failure_codes_name_their_room_and_mean_one_thing() {
    let mut wrong = BTreeSet::new();
    let mut writers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in rust_files("src").into_iter().filter(|(path, _)| !is_for_tests(path)) {
        for (made, code) in codes(without_tests(&text)) {
            let (room, cause) = code.split_once('/').unwrap_or((&code, ""));
            let fits =
                !cause.is_empty() && cause.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if (floor_of(room).is_some() || ENGINES.contains(&room)) && fits {
                writers.entry(code).or_default().insert(room_of(&path));
            } else if made {
                wrong.insert(format!("{}: `{code}` is not a room of ours, `/`, a cause in hyphens", path.display()));
            }
        }
    }
    for (code, rooms) in writers.iter().filter(|(_, rooms)| rooms.len() > 1) {
        wrong.insert(format!("`{code}` is written in {rooms:?}: give each cause a code of its own"));
    }
    none(wrong);
}

/// `landfall explain` knows every code that the sources write, and none besides.
#[test]
fn every_code_is_explained() {
    let catalogue = read("src/cli/explain/codes.txt");
    let explained: BTreeSet<&str> = catalogue.lines().filter_map(|line| line.split_once(": ")).map(|it| it.0).collect();
    let (mut wrong, mut sources) = (BTreeSet::new(), String::new());
    for (path, text) in rust_files("src").into_iter().filter(|(path, _)| !is_for_tests(path)) {
        for (made, code) in codes(without_tests(&text)) {
            let room = code.split('/').next().unwrap_or_default();
            let ours = made || floor_of(room).is_some() || ENGINES.contains(&room);
            if ours && !explained.contains(code.as_str()) {
                let line = format!("add a line `{code}: what it means. -> What to do.`");
                wrong.insert(format!("{}: `{code}` is not in src/cli/explain/codes.txt: {line}", path.display()));
            }
        }
        sources += &text;
    }
    for code in explained.iter().filter(|code| !sources.contains(&format!("\"{code}\""))) {
        wrong.insert(format!("src/cli/explain/codes.txt: nobody writes `{code}`: take its line out"));
    }
    none(wrong);
}

#[test]
fn the_readmes_commands_exist() {
    let mut wrong = BTreeSet::new();
    for name in ["README.md", "CONTRIBUTING.md"] {
        for words in commands(&read(name)) {
            if let Err(why) = Cli::try_parse_from(&words) {
                wrong.insert(format!("{name}: `{}`: {why}", words.join(" ")));
            }
        }
    }
    none(wrong);
}

#[test]
fn the_top_level_holds_what_a_person_looks_for() {
    let mut wrong = BTreeSet::new();
    for entry in fs::read_dir(home()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) {
            wrong.insert(format!("`{name}`: find it a room, or add it to TOP_LEVEL"));
        }
    }
    none(wrong);
}

#[test]
fn prose_is_a_sentence_a_line() {
    let mut wrong = BTreeSet::new();
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        let mut in_code = false;
        for (at, line) in read(name).lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            let table = line.starts_with('|');
            if let Some(end) = inner_end(line).filter(|_| !in_code && !table) {
                wrong.insert(format!("{name}:{}: break the line after «{}»", at + 1, &line[..=end]));
            }
        }
    }
    none(wrong);
}

#[test]
fn nothing_speaks_of_where_it_was_written() {
    let mut wrong = BTreeSet::new();
    // Put together here, so that this file does not hold them.
    let words = [["/wo", "rk/"].concat(), ["../sh", "ared"].concat(), ["/tmp/cont", "racts"].concat()];
    for path in all_files() {
        let Ok(text) = fs::read_to_string(home().join(&path)) else { continue };
        for word in words.iter().filter(|word| text.contains(word.as_str())) {
            wrong.insert(format!("{}: `{word}` means nothing to a reader", path.display()));
        }
    }
    none(wrong);
}

/// Where a sentence ends before the line does. The number of a list's item ends none.
fn inner_end(line: &str) -> Option<usize> {
    let mut marks = line.match_indices(['.', '?', '!']).map(|(at, _)| at);
    marks.find(|at| {
        let rest = line[at + 1..].trim_start_matches([')', '*', '»']);
        let number = line[..*at].trim().bytes().all(|b| b.is_ascii_digit());
        rest.starts_with(' ') && rest.trim_start().starts_with(char::is_uppercase) && !number
    })
}

/// Panics with all that is wrong, one a line: never only the first.
fn none(wrong: BTreeSet<String>) {
    assert!(wrong.is_empty(), "\n{}\n", Vec::from_iter(wrong).join("\n"));
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(home().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Every file below a folder of the project, by its path in the project.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![home().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(home()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn all_files() -> Vec<PathBuf> {
    let mut all: Vec<_> =
        ["src", "tests", "benches", "config", "fuzz/looks", ".ci", ".cargo"].into_iter().flat_map(files).collect();
    all.extend(
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "Cargo.toml", "Dockerfile"].map(PathBuf::from),
    );
    all
}

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let rust = files(folder).into_iter().filter(|path| path.extension().is_some_and(|it| it == "rs"));
    rust.map(|path| (path.clone(), fs::read_to_string(home().join(&path)).unwrap())).collect()
}

fn room_of(path: &Path) -> String {
    let first = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The part of a file before its table tests, which may name what they like.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}

/// Whether a file's parent takes it for tests alone.
fn is_for_tests(path: &Path) -> bool {
    let parent = fs::read_to_string(home().join(path.with_file_name("mod.rs"))).unwrap_or_default();
    let name = path.file_stem().unwrap().to_str().unwrap();
    name == "tests"
        || ["", "pub(crate) "].iter().any(|sight| parent.contains(&format!("#[cfg(test)]\n{sight}mod {name};")))
}

/// The rooms that a file names: `crate::room…` and `crate::{room…, room…}`, in code and in links of its docs.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for after in text.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            used.extend(heads_of(list));
        } else {
            used.extend(Some(word(after)).filter(|word| !word.is_empty()));
        }
    }
    used
}

/// The first words of a braced list's items, up to its closing brace; what the items hold in braces is skipped.
fn heads_of(list: &str) -> Vec<String> {
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c.is_alphabetic() || c == '_') => {
                heads.push(word(&list[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What looks like a code: two words with a slash between, as one literal; and whether a maker of failures or findings
/// takes it, so that it has to be one.
fn codes(text: &str) -> Vec<(bool, String)> {
    const MAKERS: &[&str] =
        &["Failure::setup(", "Failure::passing(", "Failure::revision(", "Finding::error(", "Finding::warning("];
    let mut found = Vec::new();
    for (at, _) in text.match_indices('"') {
        let made = MAKERS.iter().any(|maker| text[..at].trim_end().ends_with(maker));
        // A code that is compared is read, not written.
        let compared = text[..at].ends_with("= ") && !text[..at].ends_with(" = ");
        let Some((literal, _)) = text[at + 1..].split_once('"') else { break };
        let looks = literal.split('/').count() == 2
            && literal
                .split('/')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        if made || (looks && !compared) {
            found.push((made, literal.to_owned()));
        }
    }
    found
}

/// The `landfall …` lines of a text's code blocks, as words; what stands in capitals, or runs in the background, is
/// what the reader puts in.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for block in text.split("```").skip(1).step_by(2) {
        let Some((language, lines)) = block.split_once('\n') else { continue };
        if !matches!(language, "sh" | "console" | "bash") {
            continue;
        }
        for line in lines.replace("\\\n", " ").lines() {
            let line = line.split(" #").next().unwrap_or_default();
            let words: Vec<_> = line.split_whitespace().skip_while(|word| is_before(word)).collect();
            let cargo = words.strip_prefix(&["cargo", "run", "--"]).map(|rest| [&["landfall"], rest].concat());
            let words = cargo.unwrap_or(words);
            if words.first().is_some_and(|word| *word == "landfall" || word.ends_with("/landfall")) {
                let own = words.iter().take_while(|word| !matches!(**word, "&" | "|" | "&&" | ">" | "<"));
                found.push(own.map(|word| word.trim_matches(['"', '\'']).to_owned()).collect());
            }
        }
    }
    found
}

/// What may stand before a command: a prompt, `sudo`, a variable.
fn is_before(word: &str) -> bool {
    matches!(word, "$" | "sudo" | "exec") || word.split_once('=').is_some_and(|(name, _)| name == name.to_uppercase())
}

#[test]
fn the_table_of_floors_is_read_from_every_form_of_use() {
    let text =
        "use crate::domain::{A, B};\nuse crate::{ledger::Ledger, board::{self, View}, web};\nlet x = crate::app::App;";
    assert_eq!(Vec::from_iter(rooms_used(text)), ["app", "board", "domain", "ledger", "web"]);
}
