//! The description of the API: nothing is missing in it, and nothing is in it that there is not.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::Value;

use super::described::description;
use super::seed::{Setup, World};

const ROUTES: &str = include_str!("../../../src/web/mod.rs");

/// What is described: each path, with its methods.
fn described(description: &Value) -> BTreeMap<&str, BTreeSet<String>> {
    let paths = description["paths"].as_object().unwrap();
    let methods = |it: &Value| it.as_object().unwrap().keys().map(|it| it.to_uppercase()).collect();
    paths.iter().map(|(path, it)| (path.as_str(), methods(it))).collect()
}

/// A path with something in the place of its names.
fn filled(path: &str) -> String {
    path.replace("{id}", "01KDYAMXQ81C7GGHJD5E15E0PZ")
        .replace("{sha}", "77777777")
        .replace("{name}", "ci")
        .replace("{login}", "ada")
}

#[actix_web::test]
async fn every_path_of_the_api_is_described_and_no_other() {
    let world = World::new(Setup::default());
    let description = &description(&world).await.text;
    let described = described(description);
    let scope = ROUTES.split("web::scope(\"/api/v1\")").nth(1).unwrap().split("api::unknown").next().unwrap();
    let routed = scope.split('"').filter(|it| it.starts_with('/')).map(|it| format!("/api/v1{it}"));
    assert_eq!(routed.collect::<BTreeSet<_>>(), described.keys().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>());
    for (path, methods) in described {
        let other = TestRequest::default().method(Method::PATCH).uri(&filled(path));
        let said = world.send(world.bearing(other)).await;
        let allowed: BTreeSet<String> = said.header("allow").split(", ").map(str::to_owned).collect();
        assert_eq!((said.status, allowed), (405, methods), "{path}");
    }
}

#[actix_web::test]
async fn every_parameter_is_described_and_no_other() {
    let world = World::new(Setup::default());
    let description = &description(&world).await.text;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().unwrap().iter();
            let names = parameters.filter(|it| it["in"] == "query").map(|it| it["name"].as_str().unwrap().to_owned());
            let names: BTreeSet<String> = names.collect();
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = TestRequest::default().method(method).uri(&format!("{}?zzz=1", filled(path)));
            let said = world.send(world.bearing(request)).await;
            assert_eq!(said.status, 400, "{path}: {}", said.body);
            let help = said.json()["help"].as_str().unwrap().to_owned();
            let there: Option<BTreeSet<String>> =
                help.strip_prefix("there are ").map(|it| it.split(", ").map(str::to_owned).collect());
            assert_eq!(there.unwrap_or_default(), names, "{path}: {help}");
        }
    }
}

#[actix_web::test]
async fn every_shape_that_is_named_is_there() {
    let world = World::new(Setup::default());
    let description = &description(&world).await.text;
    let text = description.to_string();
    let schemas = description["components"]["schemas"].as_object().unwrap();
    let named: BTreeSet<&str> =
        text.split("\"#/components/schemas/").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!(named, schemas.keys().map(String::as_str).collect::<BTreeSet<_>>());
    let states = &schemas["DeploymentView"]["properties"]["state"]["enum"];
    assert!(states.as_array().unwrap().contains(&"superseded".into()), "{states}");
}
