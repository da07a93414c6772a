//! The description of the API in OpenAPI 3.1: operations as written here, shapes from the types that go over the wire. It
//! answers nothing but itself.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::door::Reader;
use super::operations::operations;
use super::parameters::Bare;
use super::respond::{ProblemView, answer};

/// The parts of a description that schemas are kept in.
const SCHEMAS: &str = "/components/schemas";

/// `GET /api/v1/openapi.json`.
pub(super) async fn described(_: Reader, _: Bare) -> HttpResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| description().to_string());
    answer(StatusCode::OK).content_type("application/json").body(TEXT.as_str())
}

/// What one path does when it is asked in one way.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Its name in programs that are made from the description.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// The role that it takes; reading needs none where `public_reads` is set.
    pub(super) role: &'static str,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) answers: Vec<(u16, &'static str, Value)>,
    pub(super) refusals: Vec<(u16, &'static str)>,
}

/// The shapes of what is given and of what is taken: the same type may be stricter on one side.
pub(super) struct Shapes {
    given: SchemaGenerator,
    taken: SchemaGenerator,
}

impl Shapes {
    fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|it| it.definitions_path = SCHEMAS.into());
        Self { given: settings().for_serialize().into(), taken: settings().for_deserialize().into() }
    }

    /// The shape of what the bot answers.
    pub(super) fn given<T: JsonSchema>(&mut self) -> Value {
        self.given.subschema_for::<T>().to_value()
    }

    /// The shape of what the bot takes.
    pub(super) fn taken<T: JsonSchema>(&mut self) -> Value {
        self.taken.subschema_for::<T>().to_value()
    }

    /// All of them by their names. A type that is both given and taken has one shape.
    fn all(mut self) -> Map<String, Value> {
        let mut all = self.given.take_definitions(true);
        all.extend(self.taken.take_definitions(true));
        all
    }
}

fn description() -> Value {
    let mut shapes = Shapes::new();
    let problem = shapes.given::<ProblemView>();
    let mut paths = Map::new();
    for operation in operations(&mut shapes) {
        let method = operation.method;
        let path = paths.entry(format!("/api/v1{}", operation.path)).or_insert_with(|| json!({}));
        path[method] = operation.described(&problem);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Landfall",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What is live where, what became of each push, and who asked for what. Fields are added, never renamed: ignore those that you do not know.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": shapes.all(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `landfall token new`, or that of the file `token` in the data directory.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "landfall",
                    "description": "A browser that is signed in; behind https the cookie is called `__Host-landfall`. What changes something carries the secret of the page's forms in `X-CSRF-Token`, too.",
                },
            },
        },
    })
}

impl Operation {
    fn described(self, problem: &Value) -> Value {
        let mut answers = Map::new();
        for (status, meaning, content) in self.answers {
            let mut answer = json!({ "description": meaning });
            if !content.is_null() {
                answer["content"] = content;
            }
            answers.insert(status.to_string(), answer);
        }
        let always = [
            (400, "a parameter or the request cannot be understood"),
            (401, "no token or session that is known came with it"),
            (403, "the role does not reach so far, or the target is not one of the token's"),
            (503, "the ledger cannot be read or written now, or the bot is about to end"),
        ];
        for (status, meaning) in self.refusals.into_iter().chain(always) {
            let content = json!({ "application/problem+json": { "schema": problem } });
            let refusal = json!({ "description": meaning, "content": content });
            answers.entry(status.to_string()).or_insert(refusal);
        }
        let summary = format!("{} Takes the role `{}`.", self.summary, self.role);
        let mut described = json!({
            "operationId": self.name,
            "summary": summary,
            "parameters": self.parameters,
            "responses": answers,
        });
        if let Some(body) = self.body {
            described["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": body } } });
        }
        described
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_given_and_taken_has_one_shape() {
        let mut shapes = Shapes::new();
        operations(&mut shapes);
        let (given, taken) = (shapes.given.take_definitions(true), shapes.taken.take_definitions(true));
        for (name, shape) in taken {
            assert_eq!(given.get(&name).unwrap_or(&shape), &shape, "{name}");
        }
    }
}
