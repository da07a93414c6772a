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

/// What holds for all of it.
const ABOUT: &str = "What is live where, what became of each push, and who asked for what.

Fields are added, never renamed: ignore those that you do not know. A parameter that there is none of, that is empty or \
that is there twice is refused with 400, and so is a field that there is none of with 422. Another method than those that \
are described is refused with 405, and `Allow` says which there are.

A list is the newest first, and a page at a time: `cursor` of a page asks for the next one, and is `null` on the last. \
What is looked for in a long history may give pages with few entries or none, and a cursor: go on.

A refusal is `application/problem+json` (RFC 9457): `detail` says what was expected and what came, `help` what to do, and \
`code` is a stable name that `landfall explain` knows.

Times are of RFC 3339, in UTC.";

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
    pub(super) takes: Takes,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<(u16, &'static str, Value)>,
    pub(super) refusals: Vec<(u16, &'static str)>,
    /// Where what it answers leads.
    pub(super) links: Vec<Link>,
}

/// What somebody needs to do it.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// The role `read`, or nothing where reading is free.
    Reading,
    /// A role, in any case.
    Role(&'static str),
}

/// What is sent along.
pub(super) struct Body {
    pub(super) shape: Value,
    /// Each with its name.
    pub(super) examples: Vec<(&'static str, Value)>,
}

/// From something in an answer to what is said of it elsewhere.
pub(super) struct Link {
    /// The operation that it leads to.
    pub(super) to: &'static str,
    /// That one's parameter.
    pub(super) parameter: &'static str,
    /// Where in the answer its value stands, as a JSON pointer.
    pub(super) at: &'static str,
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
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": shapes.all(),
            "responses": refused_anywhere(&problem),
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

/// How anything may be refused, each by its name.
const ANYWHERE: [(u16, &str, &str); 4] = [
    (400, "NotUnderstood", "a parameter or the request cannot be understood"),
    (401, "Unknown", "no token or session that is known came with it"),
    (403, "NotYours", "the role does not reach so far, or the target is not one of the token's"),
    (503, "NotNow", "the ledger cannot be read or written now, or the bot is about to end"),
];

fn refused_anywhere(problem: &Value) -> Map<String, Value> {
    ANYWHERE.into_iter().map(|(status, name, meaning)| (name.to_owned(), refusal(status, meaning, problem))).collect()
}

fn refusal(status: u16, meaning: &str, problem: &Value) -> Value {
    let content = json!({ "application/problem+json": { "schema": problem } });
    let mut refusal = json!({ "description": meaning, "content": content });
    let text = |meaning: &str| json!({ "description": meaning, "required": true, "schema": { "type": "string" } });
    if status == 401 {
        refusal["headers"] = json!({ "WWW-Authenticate": text("How to say who asks: `Bearer`.") });
    }
    if status == 503 {
        let seconds = json!({ "type": "integer", "minimum": 0 });
        refusal["headers"] =
            json!({ "Retry-After": { "description": "In how many seconds to try again.", "schema": seconds } });
    }
    refusal
}

impl Operation {
    fn described(self, problem: &Value) -> Value {
        let mut answers = Map::new();
        for (status, meaning, content) in self.answers {
            let mut answer = json!({ "description": meaning });
            if !content.is_null() {
                answer["content"] = content;
            }
            for Link { to, parameter, at } in &self.links {
                let parameters = json!({ *parameter: format!("$response.body#{at}") });
                answer["links"][to] = json!({ "operationId": to, "parameters": parameters });
            }
            answers.insert(status.to_string(), answer);
        }
        for (status, meaning) in self.refusals {
            answers.insert(status.to_string(), refusal(status, meaning, problem));
        }
        for (status, name, _) in ANYWHERE {
            let anywhere = || json!({ "$ref": format!("#/components/responses/{name}") });
            answers.entry(status.to_string()).or_insert_with(anywhere);
        }
        let who = match self.takes {
            Takes::Reading => "Takes the role `read`, or nothing where `public_reads` is set.".to_owned(),
            Takes::Role(role) => format!("Takes the role `{role}`."),
        };
        let mut described = json!({
            "operationId": self.name,
            "tags": [self.path.split('/').nth(1)],
            "summary": self.summary,
            "description": who,
            "parameters": self.parameters,
            "responses": answers,
        });
        if let Some(Body { shape, examples }) = self.body {
            let example = |(name, value): (&str, Value)| (name.to_owned(), json!({ "value": value }));
            let examples: Map<String, Value> = examples.into_iter().map(example).collect();
            let content = json!({ "application/json": { "schema": shape, "examples": examples } });
            described["requestBody"] = json!({ "required": true, "content": content });
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
