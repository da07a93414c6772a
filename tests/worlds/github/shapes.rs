//! What answers of GitHub look like: the examples of its own OpenAPI description, in which a world tells what it has to
//! tell. A counterpart test holds the outcome against that description.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// `@user` and `@repository` stand for the examples of that name.
static EXAMPLES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("shapes.json")).unwrap());

/// The example of this name, with what is told here in its place.
pub(crate) fn shape(name: &str, told: Value) -> Value {
    let mut whole = filled(&EXAMPLES[name]);
    tell(&mut whole, told);
    whole
}

fn tell(example: &mut Value, told: Value) {
    match (example, told) {
        (Value::Object(example), Value::Object(told)) => {
            told.into_iter().for_each(|(key, it)| tell(example.entry(key).or_insert(Value::Null), it));
        }
        (example, told) => *example = told,
    }
}

fn filled(example: &Value) -> Value {
    match example {
        Value::String(text) => text.strip_prefix('@').map_or_else(|| example.clone(), |name| filled(&EXAMPLES[name])),
        Value::Array(all) => all.iter().map(filled).collect(),
        Value::Object(all) => all.iter().map(|(key, it)| (key.clone(), filled(it))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => example.clone(),
    }
}
