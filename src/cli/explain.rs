//! `landfall explain`: what a code means and what to do, from the one catalogue of all codes. A tidy test holds it
//! against the sources, so that none is missing and none is left over.

use clap::Args;
use serde_json::json;

use super::exit::{Exit, Outcome, Trouble};
use super::terminal::{BOLD, DIM, say, say_json, styled};
use crate::config::nearest;

/// Every code on a line of its own: `room/cause: what it means -> what to do`.
const CATALOGUE: &str = include_str!("explain/codes.txt");

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A code, such as `revisions/access-denied`; or a room, such as `revisions`, for all of its codes
    #[arg(value_name = "CODE")]
    code: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    code: &'static str,
    means: &'static str,
    help: &'static str,
}

fn entries() -> impl Iterator<Item = Entry> {
    CATALOGUE.lines().filter_map(|line| {
        let (code, rest) = line.split_once(": ")?;
        let (means, help) = rest.split_once(" -> ")?;
        Some(Entry { code, means, help })
    })
}

pub(super) fn run(args: &ExplainArgs) -> Outcome {
    let wanted = args.code.trim_matches(|c| matches!(c, '[' | ']' | '(' | ')' | '`'));
    let room = format!("{}/", wanted.trim_end_matches('/'));
    let found: Vec<Entry> = entries().filter(|it| it.code == wanted || it.code.starts_with(&room)).collect();
    if found.is_empty() {
        let help = match nearest(wanted, entries().map(|it| it.code)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "codes stand in brackets behind what is told, such as `[revisions/access-denied]`".into(),
        };
        return Err(Trouble::wrong(format!("there is no code `{wanted}`")).help(help));
    }
    if args.json {
        let flat = |it: &Entry| json!({ "code": it.code, "means": it.means, "help": it.help });
        say_json(&json!({ "codes": found.iter().map(flat).collect::<Vec<_>>() }));
    } else {
        say(&found.iter().map(text).collect::<Vec<_>>().join("\n"));
    }
    Ok(Exit::Done)
}

fn text(entry: &Entry) -> String {
    let Entry { code, means, help } = entry;
    format!("{}\n  {means}\n  {} {help}\n", styled(BOLD, code), styled(DIM, "do:"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_of_the_catalogue_is_an_entry_of_its_own() {
        let codes: HashSet<&str> = entries().map(|it| it.code).collect();
        assert_eq!(codes.len(), CATALOGUE.lines().count());
        for Entry { code, means, help } in entries() {
            assert!(means.ends_with('.') && help.ends_with('.'), "{code}: sentences end with a full stop");
        }
        let sorted: Vec<&str> = entries().map(|it| it.code).collect();
        assert!(sorted.is_sorted(), "keep the lines in order: {:?}", sorted.windows(2).find(|it| it[0] > it[1]));
    }
}
