//! From text to a checked AppSpec: finds out which kind it is and hands it to the reader of that kind. It never fails
//! for a reason that is not a finding.

use super::faults::{look_over, unreadable};
use super::reader::Reader;
use super::variables::Variables;
use super::yaml::{Kind, Node, number, read};
use super::{AppSpec, content, server, serverless};
use crate::domain::{Finding, Findings, Place};

/// Hundreds of times what the largest AppSpec has; no more is looked at.
pub const MOST_BYTES: usize = 1 << 20;
/// A person mends the first hundred before they read on.
const MOST_FINDINGS: usize = 200;

/// Reads an AppSpec. `file` is its name for findings. There is a specification exactly when no finding refuses.
pub fn parse(text: &str, file: &str) -> (Option<AppSpec>, Findings) {
    parse_with_events(text, file, &[])
}

/// The same, of bytes that may not be text at all.
pub fn parse_bytes(bytes: &[u8], file: &str) -> (Option<AppSpec>, Findings) {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, file),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|it| **it == b'\n').count() + 1;
            let column =
                before.rsplit(|it| *it == b'\n').next().map_or(0, |it| String::from_utf8_lossy(it).chars().count());
            let what = match bytes {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16, and an AppSpec is UTF-8".to_owned(),
                _ => format!("the file is not UTF-8 text: byte {} is {:#04x}", before.len(), bytes[before.len()]),
            };
            let place = Place { file: file.to_owned(), line: number(line), column: number(column + 1), length: 1 };
            (None, Findings(vec![Finding::error("appspec/not-utf8", what).at(place).help("save it as UTF-8")]))
        }
    }
}

/// The same, where `hooks` may also name these events: `landfall apply --events` runs events of one's own (R106).
pub fn parse_with_events(text: &str, file: &str, events: &[String]) -> (Option<AppSpec>, Findings) {
    let (spec, findings) = everything(text, file, events, None);
    (spec.map(|it| it.spec).filter(|_| !findings.refuse()), findings)
}

/// An AppSpec in whose values the variables stand filled in, where it is for Lambda or ECS.
#[derive(Clone, Debug)]
pub struct Filled {
    /// As read after that.
    pub spec: AppSpec,
    /// The same as JSON, which is what Lambda and ECS are sent; a server's AppSpec is sent as it is.
    pub content: Option<String>,
}

/// The same, with variables. It gives what could be read even where a finding refuses, so that an AppSpec for another
/// platform is told from a broken one.
pub fn parse_filled(text: &str, file: &str, variables: &Variables) -> (Option<Filled>, Findings) {
    everything(text, file, &[], Some(variables))
}

/// The same, with what could be read even where a finding refuses: so that one fault does not hide what the bundle lacks.
pub fn parse_what_can_be(bytes: &[u8], file: &str) -> (Option<AppSpec>, Findings) {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let (filled, findings) = everything(text, file, &[], None);
            (filled.map(|it| it.spec), findings)
        }
        Err(_) => parse_bytes(bytes, file),
    }
}

fn everything(text: &str, file: &str, events: &[String], variables: Option<&Variables>) -> (Option<Filled>, Findings) {
    let mut findings = Findings::default();
    let spec = read_spec(text, file, events, variables, &mut findings);
    let place_of = |finding: &Finding| finding.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
    findings.0.sort_by_key(place_of);
    findings.0.dedup();
    shorten(&mut findings);
    (spec, findings)
}

/// Keeps what a person can read. Errors go before the rest, so that a refusal never loses its reason.
fn shorten(findings: &mut Findings) {
    let more = findings.0.len().saturating_sub(MOST_FINDINGS);
    if more == 0 {
        return;
    }
    let severe = |finding: &Finding| finding.severity;
    findings.0.sort_by_key(severe);
    findings.0.truncate(MOST_FINDINGS);
    if let Some(last) = findings.0.last_mut() {
        last.message = format!("{}, and {more} more findings", last.message);
    }
}

fn read_spec(
    text: &str,
    file: &str,
    events: &[String],
    variables: Option<&Variables>,
    findings: &mut Findings,
) -> Option<Filled> {
    let first = Place { file: file.to_owned(), line: 1, column: 1, length: 1 };
    if text.len() > MOST_BYTES {
        let message = format!("the file is {} KiB long, and {} is the limit", text.len() >> 10, MOST_BYTES >> 10);
        findings
            .push(Finding::error("appspec/too-large", message).at(first).help("name an AppSpec, not something else"));
        return None;
    }
    let body = look_over(text, file, findings);
    let faulty = findings.refuse();
    let tree = match read(body, file, findings) {
        Ok(tree) => tree,
        Err(error) => {
            // The faults already found are the likelier cause, better told.
            if !faulty {
                findings.push(unreadable(&error, body, file));
            }
            return None;
        }
    };
    let Some(tree) = tree.filter(|tree| !tree.is_blank()) else {
        findings.push(
            Finding::error("appspec/empty", "the file is empty")
                .at(first)
                .help("write at least `version: 0.0` and `os: linux`"),
        );
        return None;
    };
    let mut reader = Reader { findings };
    let fields = reader.fields(&tree, "an AppSpec", "begin with `version: 0.0` and `os: linux`")?;
    let resources = fields.pair_in_any_case("resources");
    let server_key = ["os", "files", "permissions"].iter().find_map(|key| fields.pair(key));
    match (resources, server_key) {
        (Some((key, _)), Some((other, _))) => {
            reader.error(
                "appspec/two-platforms",
                key,
                format!(
                    "`{}` is for Lambda and ECS, `{}` in line {} is for servers",
                    key.text().unwrap_or_default(),
                    other.text().unwrap_or_default(),
                    other.place.line
                ),
                "write one AppSpec for one platform",
            );
            None
        }
        (Some(_), None) => read_serverless(tree.clone(), variables, findings),
        (None, _) => {
            let json = is_json(&tree, body);
            if json {
                reader.port(
                    "appspec/json",
                    &tree,
                    "a server AppSpec in JSON, where AWS documents YAML",
                    "write it as YAML",
                );
            }
            let spec = server::read(&mut reader, &fields, events, json)?;
            Some(Filled { spec: AppSpec::Server(spec), content: None })
        }
    }
}

/// Reads an AppSpec for Lambda or ECS as it is with its variables filled in. Where there is nothing to fill in, nothing is
/// said of values that wait for it.
fn read_serverless(mut tree: Node, variables: Option<&Variables>, findings: &mut Findings) -> Option<Filled> {
    let mut reader = Reader { findings };
    let open = match variables {
        Some(variables) => content::fill(&mut tree, variables, &mut reader),
        None => content::leave_open(&mut tree, &mut reader),
    };
    let known = reader.findings.0.len();
    let fields = reader.fields(&tree, "an AppSpec", "begin with `version: 0.0`")?;
    let (_, resources) = fields.pair_in_any_case("resources")?;
    let spec = serverless::read(&mut reader, &fields, resources);
    let news = findings.0.split_off(known);
    findings.0.extend(news.into_iter().filter(|it| it.place.as_ref().is_none_or(|place| !open.contains(place))));
    Some(Filled { spec: spec?, content: Some(content::json(&tree)) })
}

fn is_json(tree: &Node, body: &str) -> bool {
    matches!(tree.kind, Kind::Map(_)) && body.trim_start().starts_with('{')
}
