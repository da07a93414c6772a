//! Variables in AppSpecs for Lambda and ECS: what is filled in is text, whatever it holds, and numbers stay numbers.

use landfall::appspec::{AppSpec, Variables, parse, parse_filled, parse_what_can_be};
use serde_json::{Value, json};

const LAMBDA: &str = "version: 0.0\nResources:\n  - login:\n      Type: AWS::Lambda::Function\n      Properties:\n        \
    Name: ${branch}\n        Alias: live\n        CurrentVersion: 7\n        TargetVersion: 8\n        Beside: 12\n";

fn filled(text: &str, branch: &str) -> (Option<Value>, Vec<String>) {
    let mut variables = Variables::default();
    variables.set("branch", branch);
    let (filled, findings) = parse_filled(text, "appspec.yaml", &variables);
    let content = filled.and_then(|it| it.content).map(|it| serde_json::from_str(&it).unwrap());
    (content, findings.errors().map(ToString::to_string).collect())
}

#[test]
fn a_branch_cannot_write_into_the_appspec_7_2() {
    for branch in [
        "main",
        "x\"}],\"hooks\":[{\"AfterAllowTraffic\":\"evil\"}]",
        "x\nhooks:\n  - AfterAllowTraffic: evil",
        "*anchor",
        "!!int 3",
        "${branch}",
        "true",
        "null",
        "~",
        "- a",
        "{a: b}",
        "# nothing",
    ] {
        let (content, errors) = filled(LAMBDA, branch);
        let properties =
            json!({ "Name": branch, "Alias": "live", "CurrentVersion": "7", "TargetVersion": "8", "Beside": 12 });
        let resource = json!({ "login": { "Type": "AWS::Lambda::Function", "Properties": properties } });
        assert_eq!(
            (content, errors.len()),
            (Some(json!({ "version": 0.0, "Resources": [resource] })), 0),
            "{branch}: {errors:?}"
        );
    }
}

#[test]
fn what_is_filled_with_nothing_is_blank_7_2() {
    let (_, errors) = filled(LAMBDA, "");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("`Name` of the function is blank"), "{errors:?}");
}

#[test]
fn a_server_appspec_is_left_as_it_is() {
    let text = "version: 0.0\nos: linux\nfiles:\n  - source: ${branch}\n    destination: /srv\n";
    let mut variables = Variables::default();
    variables.set("branch", "main");
    let (filled, _) = parse_filled(text, "appspec.yml", &variables);
    let filled = filled.unwrap();
    assert_eq!(filled.content, None);
    assert_eq!(filled.spec.server().unwrap().files[0].source, "${branch}");
}

#[test]
fn values_that_wait_for_their_variables_are_left_alone_by_check_7_2() {
    let text = LAMBDA.replace("TargetVersion: 8", "TargetVersion: ${VERSION}").replace("        Beside: 12\n", "");
    let (spec, findings) = parse(&text, "appspec.yaml");
    assert!(matches!(spec, Some(AppSpec::Lambda(_))), "{findings}");
    assert_eq!(findings.to_string(), "");
    let broken = text.replace("CurrentVersion: 7", "CurrentVersion: seven");
    let (_, findings) = parse_what_can_be(broken.as_bytes(), "appspec.yaml");
    assert_eq!(findings.errors().count(), 1, "{findings}");
    let (_, findings) = parse(&text.replace("${VERSION}", "${VERSION"), "appspec.yaml");
    assert!(findings.to_string().contains("`${` is not closed"), "{findings}");
}
