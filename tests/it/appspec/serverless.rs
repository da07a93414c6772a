//! AppSpecs for Lambda and ECS: every row of their grammar.

use landfall::appspec::{AppSpec, parse};

use super::{check, help};

const LAMBDA: &str = "version: 0.0\nResources:\n  - f:\n      Type: AWS::Lambda::Function\n      Properties:\n        Name: f\n        Alias: live\n        CurrentVersion: 1\n        TargetVersion: 2\nHooks:\n  - BeforeAllowTraffic: CodeDeployHook_check\n";

const ECS: &str = "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        TaskDefinition: arn:aws:ecs:eu-west-1:111122223333:task-definition/web:3\n        LoadBalancerInfo:\n          ContainerName: web\n          ContainerPort: 80\n";

fn ecs(more: &str) -> String {
    format!("{ECS}{more}")
}

#[test]
fn lambda_is_read() {
    check("1.6", LAMBDA, &[]);
    let Some(AppSpec::Lambda(spec)) = parse(LAMBDA, "appspec.yml").0 else { panic!("a Lambda AppSpec") };
    assert_eq!((spec.function.as_str(), spec.alias.as_str(), spec.target_version.as_str()), ("f", "live", "2"));
    assert_eq!(spec.hooks, [("BeforeAllowTraffic".into(), "CodeDeployHook_check".into())]);
    let lower = LAMBDA
        .replace("Resources", "resources")
        .replace("Type", "type")
        .replace("Properties", "properties")
        .replace("Name:", "name:")
        .replace("Alias", "alias")
        .replace("CurrentVersion", "currentversion")
        .replace("TargetVersion", "targetversion")
        .replace("Hooks", "hooks");
    check("1.6 lower case", &lower, &[]);
    check("1.6 version as text", &LAMBDA.replace("0.0", "\"0.0\""), &[]);
}

#[test]
fn lambda_rows() {
    let without = |line: &str| LAMBDA.replace(line, "");
    check("1.6 version", &without("version: 0.0\n"), &["Error version 1:1"]);
    check("1.6 version", &LAMBDA.replace("0.0", "1.0"), &["Error version 1:10"]);
    check("1.6 Name", &without("        Name: f\n"), &["Error missing 6:9"]);
    check("1.6 Alias", &without("        Alias: live\n"), &["Error missing 6:9"]);
    check("1.6 TargetVersion", &without("        TargetVersion: 2\n"), &["Error missing 6:9"]);
    check("V31", &LAMBDA.replace("TargetVersion: 2", "TargetVersion: $LATEST"), &["Error function-version 9:24"]);
    check("V31", &LAMBDA.replace("CurrentVersion: 1", "CurrentVersion: 0"), &["Error function-version 8:25"]);
    check("V32 D25", &without("        CurrentVersion: 1\n"), &["Warning function-version 6:9"]);
    check("1.6 equal", &LAMBDA.replace(": 2", ": 1"), &["Warning function-version 9:24"]);
    check("V39", &LAMBDA.replace("BeforeAllowTraffic", "BeforeInstall"), &["Error unknown-event 11:5"]);
    for own in ["Start", "AllowTraffic", "End"] {
        check("1.6 own events", &LAMBDA.replace("BeforeAllowTraffic", own), &["Error reserved-event 11:5"]);
    }
    check(
        "1.6 each once",
        &format!("{LAMBDA}  - BeforeAllowTraffic: CodeDeployHook_b\n"),
        &["Error duplicate-key 12:5"],
    );
    check("1.6 function", &LAMBDA.replace("CodeDeployHook_check", "a b"), &["Error function 11:25"]);
    check("1.6 function", &LAMBDA.replace("CodeDeployHook_check", "\"\""), &["Error function 11:25"]);
    check("1.6 function", &LAMBDA.replace("CodeDeployHook_check", ""), &["Error missing 11:5"]);
    check("1.6 roles", &LAMBDA.replace("CodeDeployHook_check", "check"), &["Warning function-name 11:25"]);
    let arn = "arn:aws:lambda:eu-west-1:111122223333:function:CodeDeployHook_check";
    check("1.6 ARN", &LAMBDA.replace("CodeDeployHook_check", arn), &[]);
    check("V40", &format!("os: linux\n{LAMBDA}"), &["Error two-platforms 3:1"]);
    check("1.6 server form", &LAMBDA.replace("  - Before", "  Before"), &["Error wrong-form 11:3"]);
}

#[test]
fn keys_that_are_nearly_right_are_errors() {
    check("Hook", &LAMBDA.replace("Hooks", "Hook"), &["Error unknown-key 10:1"]);
    assert_eq!(help(&LAMBDA.replace("Hooks", "Hook")), "did you mean `Hooks`?");
    check("Aliass", &LAMBDA.replace("Alias:", "Aliass:"), &["Error missing 6:9", "Error unknown-key 7:9"]);
    check(
        "two cases",
        &LAMBDA.replace("        Alias", "        name: g\n        Alias"),
        &["Error duplicate-key 7:9"],
    );
    check("else", &format!("{LAMBDA}Metadata: x\n"), &["Warning unknown-key 12:1"]);
    check("no type", &LAMBDA.replace("      Type: AWS::Lambda::Function\n", ""), &["Error missing 4:7"]);
    let misspelt = LAMBDA.replace("AWS::Lambda::Function", "AWS::Lamda::Function");
    check("type", &misspelt, &["Error resources 4:13"]);
    assert_eq!(help(&misspelt), "did you mean `AWS::Lambda::Function`?");
    check("none", "version: 0.0\nResources: []\n", &["Error resources 2:12"]);
    check("one only", &LAMBDA.replace("Hooks:", "  - g: {}\nHooks:"), &["Error resources 10:5"]);
}

#[test]
fn ecs_is_read() {
    check("1.7", ECS, &[]);
    let Some(AppSpec::Ecs(spec)) = parse(ECS, "appspec.yml").0 else { panic!("an ECS AppSpec") };
    assert_eq!((spec.container_name.as_str(), spec.container_port), ("web", 80));
    let hooks = ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"];
    let hooks: String = hooks.iter().map(|event| format!("  - {event}: CodeDeployHook_x\n")).collect();
    check("1.7 hooks", &ecs(&format!("Hooks:\n{hooks}")), &[]);
    for own in ["Start", "Install", "TestTraffic", "AllowTraffic", "End"] {
        check(
            "1.7 own events",
            &ecs(&format!("Hooks:\n  - {own}: CodeDeployHook_x\n")),
            &["Error reserved-event 11:5"],
        );
    }
    let json = r#"{"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
        "TaskDefinition": "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:3",
        "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80}}}}]}"#;
    check("1.7 JSON", json, &[]);
    check("V34", &json.replace("80", "\"80\""), &["Warning quoted 3:71"]);
}

#[test]
fn ecs_rows() {
    for (wrong, expected) in [("0", "Error"), ("65536", "Error"), ("http", "Error"), ("+80", "Error")] {
        let told = format!("{expected} container-port 9:26");
        check("1.7 port", &ECS.replace("Port: 80", &format!("Port: {wrong}")), &[&told]);
    }
    check("1.7 container", &ECS.replace("          ContainerName: web\n", ""), &["Error missing 8:11"]);
    check("1.7 balancer", &ECS[..ECS.find("        Load").unwrap()], &["Error missing 6:9"]);
    for wrong in [
        "arn:aws:ecs:eu-west-1:111122223333::task-definition/web:3",
        "arn:aws:ecs:eu-west-1:account:task-definition/web",
        "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:x",
        "web:3",
    ] {
        let text = ECS.replace("arn:aws:ecs:eu-west-1:111122223333:task-definition/web:3", wrong);
        check("V37", &text, &["Error task-definition 6:25"]);
    }
    check("1.7 latest", &ECS.replace("web:3", "web"), &["Warning task-definition 6:25"]);
    let torn = "version: 0.0\nResources:\n  - TargetService:\n    Type: AWS::ECS::Service\n    Properties: {}\n";
    check("V38", torn, &["Error resources 4:5"]);
    assert_eq!(help(torn), "indent it, so that it stands under `TargetService`");
    check("1.7 name", &ECS.replace("TargetService", "Service"), &["Warning resources 3:5"]);
    check("1.7 platform", &ecs("        PlatformVersion: LATEST\n"), &[]);
}

#[test]
fn ecs_networks_are_whole_or_absent() {
    let with = |rest: &str| ecs(&format!("        NetworkConfiguration:\n          AwsVpcConfiguration:\n{rest}"));
    let whole = "            Subnets: [s]\n            SecurityGroups: [g]\n            AssignPublicIp: ENABLED\n";
    check("1.7 network", &with(whole), &[]);
    check("1.7 AwsvpcConfiguration", &with(whole).replace("AwsVpc", "Awsvpc"), &[]);
    check("V33", &with("            Subnets: [s]\n"), &["Error network 12:13", "Error network 12:13"]);
    check("1.7 AssignPublicIp", &with(&whole.replace("ENABLED", "yes")), &["Error network 14:29"]);
    check("1.7 Subnets", &with(&whole.replace("[s]", "[]")), &["Error network 12:22"]);
    check("1.7 Subnets", &with(&whole.replace("[s]", "s")), &["Error wrong-form 12:22"]);
}

#[test]
fn ecs_capacity_providers_fit_together() {
    let with = |one: &str, other: &str| {
        ecs(&format!(
            "        CapacityProviderStrategy:\n          - CapacityProvider: FARGATE\n{one}          - CapacityProvider: SPOT\n{other}"
        ))
    };
    let (base, weight) = (|n: u8| format!("            Base: {n}\n"), |n: u8| format!("            Weight: {n}\n"));
    check("V35", &with(&weight(0), &weight(0)), &["Error capacity 11:11"]);
    check("V36", &with(&(base(1) + &weight(1)), &base(2)), &["Error capacity 11:11"]);
    check("1.7 defaults", &with(&(base(1) + &weight(1)), &base(0)), &[]);
    check("1.7 numbers", &with("            Weight: x\n", &weight(1)), &["Error capacity 12:21"]);
}
