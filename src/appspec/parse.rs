//! From text to a checked AppSpec: finds out which kind it is and hands it to the reader of that kind.

use super::faults::{look_over, unreadable};
use super::reader::Reader;
use super::yaml::{Kind, Node, read};
use super::{AppSpec, server, serverless};
use crate::domain::{Finding, Findings, Place};

/// Reads an AppSpec. `file` is its name for findings. There is a specification exactly when no finding refuses.
pub fn parse(text: &str, file: &str) -> (Option<AppSpec>, Findings) {
    parse_with_events(text, file, &[])
}

/// The same, where `hooks` may also name these events: `landfall apply --events` runs events of one's own (R106).
pub fn parse_with_events(text: &str, file: &str, events: &[String]) -> (Option<AppSpec>, Findings) {
    let mut findings = Findings::default();
    let spec = read_spec(text, file, events, &mut findings);
    let line_of = |finding: &Finding| finding.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
    findings.0.sort_by_key(line_of);
    findings.0.dedup();
    let spec = spec.filter(|_| !findings.refuse());
    (spec, findings)
}

fn read_spec(text: &str, file: &str, events: &[String], findings: &mut Findings) -> Option<AppSpec> {
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
                .at(Place { file: file.to_owned(), line: 1, column: 1, length: 1 })
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
        (Some((_, resources)), None) => serverless::read(&mut reader, &fields, resources),
        (None, _) => {
            if is_json(&tree, body) {
                reader.port(
                    "appspec/json",
                    &tree,
                    "a server AppSpec in JSON, where AWS documents YAML",
                    "write it as YAML",
                );
            }
            server::read(&mut reader, &fields, events).map(AppSpec::Server)
        }
    }
}

fn is_json(tree: &Node, body: &str) -> bool {
    matches!(tree.kind, Kind::Map(_)) && body.trim_start().starts_with('{')
}
