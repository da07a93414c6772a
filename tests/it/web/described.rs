//! Every answer of the API that a test here gets, held against its description: the status and the type are among those
//! that are described, and the body has the shape. schemathesis does the same over the wire, with requests of its own.

use std::collections::HashMap;
use std::sync::OnceLock;

use actix_web::App;
use actix_web::http::Method;
use actix_web::test::{TestRequest, call_and_read_body, init_service};
use boon::{Compiler, SchemaIndex, Schemas};
use landfall::web::routes;
use serde_json::Value;

use super::Said;
use super::seed::{Setup, World};

/// Where the description lies for whoever follows its references.
const AT: &str = "http://landfall.example/openapi.json";

/// The description, with the shapes of all answers that are JSON by their place in it.
pub(super) struct Description {
    pub(super) text: Value,
    schemas: Schemas,
    shapes: HashMap<String, SchemaIndex>,
}

/// The description, as the bot serves it.
pub(super) async fn description(world: &World) -> &'static Description {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    if let Some(known) = DESCRIPTION.get() {
        return known;
    }
    let state = world.state.clone();
    let app = init_service(App::new().configure(|cfg| routes(cfg, state))).await;
    let request = world.bearing(TestRequest::get().uri("/api/v1/openapi.json")).to_request();
    let text = call_and_read_body(&app, request).await;
    DESCRIPTION.get_or_init(|| Description::of(serde_json::from_slice(&text).unwrap()))
}

/// A part of a JSON pointer.
fn part(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

/// The value's fields, each with its pointer.
fn fields<'a>(value: &'a Value, at: &str) -> Vec<(String, &'a Value)> {
    value.as_object().into_iter().flatten().map(|(key, it)| (format!("{at}/{}", part(key)), it)).collect()
}

impl Description {
    fn of(text: Value) -> Self {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.enable_format_assertions();
        compiler.add_resource(AT, text.clone()).unwrap();
        let operations = fields(&text["paths"], "/paths").into_iter().flat_map(|(at, it)| fields(it, &at));
        let answers = operations.flat_map(|(at, it)| fields(&it["responses"], &format!("{at}/responses")));
        let anywhere = fields(&text["components"]["responses"], "/components/responses");
        let contents = answers.chain(anywhere).flat_map(|(at, it)| fields(&it["content"], &format!("{at}/content")));
        let json = contents.map(|(at, _)| at).filter(|at| at.ends_with("json"));
        let mut compiled = |at: &str| compiler.compile(&format!("{AT}#{at}/schema"), &mut schemas).unwrap();
        let shapes = json.map(|at| (at.clone(), compiled(&at))).collect();
        Self { text, schemas, shapes }
    }

    /// Panics if what was answered is not as it is described. What no path is described for is none of its business.
    pub(super) fn judge(&self, method: &Method, path: &str, said: &Said) {
        let method = method.as_str().to_lowercase();
        let paths = self.text["paths"].as_object().unwrap();
        let Some((template, methods)) = paths.iter().find(|(template, _)| is_of(path, template)) else { return };
        let Some(operation) = methods.get(&method) else { return };
        let what = format!("{method} {path} answered {}", said.status);
        let status = said.status.to_string();
        let answer = operation["responses"].get(&status).unwrap_or_else(|| panic!("{what}, which is not described"));
        let here = format!("/paths/{}/{method}/responses/{status}", part(template));
        let at = answer["$ref"].as_str().map_or(here, |it| it.trim_start_matches('#').to_owned());
        let kind = said.header("content-type").split(';').next().unwrap();
        let contents = &self.text.pointer(&at).unwrap()["content"];
        assert!(contents[kind]["schema"].is_object(), "{what} as `{kind}`, which is not described");
        let Some(shape) = self.shapes.get(&format!("{at}/content/{}", part(kind))) else { return };
        if let Err(error) = self.schemas.validate(&said.json(), *shape) {
            panic!("{what}, and not as it is described: {error:#}\n{}", said.body);
        }
    }
}

/// Whether a path is one of a template.
fn is_of(path: &str, template: &str) -> bool {
    let (parts, given) = (template.split('/'), path.split('/'));
    parts.clone().count() == given.clone().count()
        && parts.zip(given).all(|(part, given)| part.starts_with('{') || part == given)
}

#[actix_web::test]
async fn every_path_answers_as_it_is_described() {
    let world = World::seeded(Setup::default()).await;
    let of = async |list: &str, key: &str| {
        let page = world.get(&format!("/api/v1/{list}")).await.json();
        page[list][0][key].as_str().unwrap().to_owned()
    };
    let (id, sha) = (of("deployments", "id").await, of("deployments", "sha").await);
    let delivery = of("deliveries", "id").await;
    for (template, methods) in description(&world).await.text["paths"].as_object().unwrap() {
        let thing = if template.contains("deliveries") { &delivery } else { &id };
        let path = template.replace("{id}", thing).replace("{sha}", &sha).replace("{name}", "blog");
        // The stream has no end; a time has to be said.
        let query = if path.ends_with("/live") { "?at=03:10" } else { "" };
        if methods["get"].is_object() && !path.ends_with("/events") {
            let said = world.get(&format!("{path}{query}")).await;
            assert_eq!(said.status, 200, "{path}: {}", said.body);
        }
    }
    let send = async |method: Method, path: &str, body: &str| {
        let request = TestRequest::default().method(method).uri(path).set_payload(body.to_owned());
        world.send(world.bearing(request)).await.status
    };
    assert_eq!(send(Method::POST, "/api/v1/tokens", r#"{"name":"ci","role":"read"}"#).await, 201);
    assert_eq!(send(Method::DELETE, "/api/v1/tokens/ci/sessions", "").await, 200);
    assert_eq!(send(Method::DELETE, "/api/v1/tokens/ci", "").await, 200);
    assert_eq!(send(Method::DELETE, "/api/v1/tokens/ci", "").await, 404);
    assert_eq!(send(Method::DELETE, "/api/v1/guests/ada", "").await, 200);
    assert_eq!(send(Method::POST, "/api/v1/upkeep", r#"{"dry_run":false}"#).await, 200);
    let pause = r#"{"key":"1","what":{"ask":"pause"}}"#;
    assert_eq!(send(Method::POST, "/api/v1/requests", pause).await, 202);
    assert_eq!(send(Method::POST, "/api/v1/requests", pause).await, 200);
    assert_eq!(send(Method::POST, "/api/v1/requests", "{}").await, 422);
}
