//! An AppSpec for Lambda or ECS as it is sent: variables filled into its values, and the whole as JSON. A value that is
//! filled in is only ever text: it cannot add keys, lists or anything else to the tree.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::reader::Reader;
use super::variables::{Variables, names_in};
use super::yaml::{Kind, Node};
use crate::domain::Place;

/// Keys whose values are whole numbers.
const NUMBERS: [&str; 3] = ["ContainerPort", "Base", "Weight"];
/// Keys whose values are texts, whatever they look like.
const TEXTS: [&str; 14] = [
    "Type",
    "Name",
    "Alias",
    "CurrentVersion",
    "TargetVersion",
    "TaskDefinition",
    "ContainerName",
    "PlatformVersion",
    "Subnets",
    "SecurityGroups",
    "AssignPublicIp",
    "CapacityProvider",
    "Hooks",
    "Resources",
];

/// Fills variables into every value; keys take none. Gives the places of those that could not be filled.
pub(super) fn fill(tree: &mut Node, variables: &Variables, reader: &mut Reader<'_>) -> Vec<Place> {
    let mut unknown = Vec::new();
    each_value(tree, &mut |node, _| {
        let Kind::Scalar { text, plain } = &mut node.kind else { return };
        if !text.contains("${") {
            return;
        }
        match variables.fill(text) {
            Ok(filled) => {
                // Text of digits may be a number, and nothing at all is blank, whatever stood around it.
                *plain = filled.bytes().all(|it| it.is_ascii_digit());
                *text = filled;
            }
            Err(unfilled) => {
                unknown.push(node.place.clone());
                reader.error("appspec/variable", node, unfilled.message, &unfilled.help);
            }
        }
    });
    unknown
}

/// Without anything to fill in: gives the places whose values nobody knows yet, and puts what fits where a number must be.
pub(super) fn leave_open(tree: &mut Node, reader: &mut Reader<'_>) -> Vec<Place> {
    let mut open = Vec::new();
    each_value(tree, &mut |node, key| {
        let Kind::Scalar { text, plain } = &mut node.kind else { return };
        match names_in(text).map(|names| !names.is_empty()) {
            Ok(false) => {}
            Ok(true) => {
                open.push(node.place.clone());
                let number = if is_one_of(&["TargetVersion"], key) { "2" } else { "1" };
                if is_one_of(&NUMBERS, key) || is_one_of(&["CurrentVersion", "TargetVersion"], key) {
                    (*text, *plain) = (number.to_owned(), true);
                }
            }
            Err(unfilled) => reader.error("appspec/variable", node, unfilled.message, &unfilled.help),
        }
    });
    open
}

/// Calls `each` for every scalar that is a value or an item, with the key above it.
fn each_value(node: &mut Node, each: &mut impl FnMut(&mut Node, &str)) {
    under(node, "", each);
}

fn under(node: &mut Node, key: &str, each: &mut impl FnMut(&mut Node, &str)) {
    match &mut node.kind {
        Kind::Scalar { .. } => each(node, key),
        Kind::List(items) => items.iter_mut().for_each(|item| under(item, key, each)),
        Kind::Map(pairs) => {
            for (key, value) in pairs {
                let key = key.text().unwrap_or_default().to_owned();
                under(value, &key, each);
            }
        }
    }
}

fn is_one_of(keys: &[&str], key: &str) -> bool {
    keys.iter().any(|it| it.eq_ignore_ascii_case(key))
}

/// The tree as JSON, keys in the order and in the letters that they were written in.
pub(super) fn json(tree: &Node) -> String {
    serde_json::to_string(&Json { node: tree, key: "", in_hooks: false })
        .expect("keys are texts, and numbers are finite")
}

/// A node on its way to JSON, with the key above it.
struct Json<'n> {
    node: &'n Node,
    key: &'n str,
    in_hooks: bool,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.node.kind {
            Kind::Scalar { text, plain } => self.scalar(text, *plain, serializer),
            Kind::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for node in items {
                    list.serialize_element(&Json { node, ..*self })?;
                }
                list.end()
            }
            Kind::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, node) in pairs {
                    let key = key.text().unwrap_or_default();
                    let in_hooks = self.in_hooks || key.eq_ignore_ascii_case("hooks");
                    map.serialize_entry(key, &Json { node, key, in_hooks })?;
                }
                map.end()
            }
        }
    }
}

impl Json<'_> {
    /// What is written plainly under a key that we do not know is what YAML says it is.
    fn scalar<S: Serializer>(&self, text: &str, plain: bool, serializer: S) -> Result<S::Ok, S::Error> {
        let number = text.trim().parse::<u64>().ok().filter(|_| text.trim().bytes().all(|it| it.is_ascii_digit()));
        if is_one_of(&NUMBERS, self.key) {
            return match number {
                Some(number) => serializer.serialize_u64(number),
                None => serializer.serialize_str(text),
            };
        }
        if is_one_of(&["version"], self.key) && text == "0.0" {
            return serializer.serialize_f64(0.0);
        }
        if !plain || self.in_hooks || is_one_of(&TEXTS, self.key) {
            return serializer.serialize_str(text.trim());
        }
        match (text, number) {
            ("" | "~" | "null", _) => serializer.serialize_unit(),
            ("true" | "True" | "TRUE", _) => serializer.serialize_bool(true),
            ("false" | "False" | "FALSE", _) => serializer.serialize_bool(false),
            (_, Some(number)) => serializer.serialize_u64(number),
            (_, None) => serializer.serialize_str(text),
        }
    }
}
