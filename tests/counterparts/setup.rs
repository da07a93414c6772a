//! What `landfall aws` prints, before real judges: cfn-lint for templates and the trust policies in them, parliament
//! for policies, and moto, which makes stacks of them.
//!
//! moto keeps what it has no model for (bucket policies, CodeDeploy's applications and groups, topic policies,
//! subscriptions) as resources of the stack without making them; `walkthrough` makes those by hand, from the template's
//! own properties.

use std::io::Write;
use std::process::Stdio;

use landfall::clients::process;
use serde_json::Value;
use tempfile::TempDir;

const ROLE: &str = "arn:aws:iam::111122223333:role/deployer";
const ACCOUNT: &str = "123456789012";

/// A configuration with one target that deploys by CodeDeploy.
fn configured(engine: &str, revisions: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    let text = format!(
        "data_dir = \"data\"\npublic_url = \"https://deploy.example.com\"\n[github]\n\
         webhook_secrets = [{{ env = \"NONE\" }}]\n[[target]]\nname = \"shop-production\"\nrepository = \"acme/shop\"\n\
         branches = [\"main\"]\n{revisions}\n[target.engine]\nkind = \"codedeploy\"\napplication = \"shop\"\n\
         deployment_group = \"production\"\nregion = \"eu-west-1\"\n{engine}\n"
    );
    std::fs::write(dir.path().join("landfall.toml"), text).unwrap();
    dir
}

const IN_S3: &str =
    "[target.revisions]\ns3 = { bucket = \"acme-revisions\", prefix = \"shop\", region = \"eu-west-1\" }";
const APPSPEC: &str = "revision = \"appspec\"";

/// `landfall aws WORDS…`: what it prints.
fn printed(dir: &TempDir, words: &str) -> String {
    let program = process::blocking_program(env!("CARGO_BIN_EXE_landfall"))
        .arg("aws")
        .args(words.split_whitespace())
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(program.status.success(), "{words}: {}", String::from_utf8_lossy(&program.stderr));
    String::from_utf8(program.stdout).unwrap()
}

/// Every template that there is, with the words that print it.
fn templates() -> Vec<(&'static str, TempDir)> {
    let other = format!("assume_role = \"{ROLE}\"\nexternal_id = \"landfall-7\"");
    let key =
        "template --wake-ups --kms-key arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    vec![
        ("template", configured("", IN_S3)),
        (key, configured("deployment_config = \"CodeDeployDefault.HalfAtATime\"", IN_S3)),
        ("template --doctor --existing-bucket", configured("", IN_S3)),
        ("template --platform lambda --wake-ups", configured("", APPSPEC)),
        ("template --platform ecs", configured("", APPSPEC)),
        ("template --part home", configured(&other, IN_S3)),
        ("template --part account --wake-ups", configured(&other, IN_S3)),
    ]
}

#[test]
fn cfn_lint_finds_nothing_in_any_template() {
    for (words, dir) in templates() {
        for (file, more) in [("landfall.yaml", ""), ("landfall.json", " --json")] {
            std::fs::write(dir.path().join(file), printed(&dir, &format!("{words}{more}"))).unwrap();
            let lint = process::blocking_program(crate::counterpart("LANDFALL_TEST_CFN_LINT"))
                .args(["--template", file, "--regions", "eu-west-1", "--include-checks", "I"])
                .current_dir(dir.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&lint.stdout);
            assert!(lint.status.success() && told.trim().is_empty(), "{words}: {file}: {told}");
        }
    }
}

/// What parliament says of a policy, which it reads from its input.
fn judged(policy: &str) -> String {
    let mut judge = process::blocking_program(crate::counterpart("LANDFALL_TEST_PARLIAMENT"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().unwrap().write_all(policy.as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    let both = [output.stdout, output.stderr].concat();
    let told = String::from_utf8(both).unwrap();
    if output.status.success() { told } else { format!("{told} (exit {:?})", output.status.code()) }
}

/// Trust policies are not among them: parliament knows none, and wants a `Resource` that they must not have. cfn-lint
/// checks the same statements in the templates.
#[test]
fn parliament_finds_nothing_in_any_policy() {
    let home = configured("deployment_config = \"slowly\"", IN_S3);
    let lambda = configured("", APPSPEC);
    let other = configured(&format!("assume_role = \"{ROLE}\""), IN_S3);
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let bot = format!("arn:aws:iam::{ACCOUNT}:role/bot");
    for (dir, words) in [
        (&home, format!("policy --account {ACCOUNT}")),
        (&home, format!("policy --account {ACCOUNT} --doctor --kms-key {key}")),
        (&home, format!("policy --of instance --agent-under-iam --kms-key {key}")),
        (&home, format!("policy --of topic --account {ACCOUNT}")),
        (&home, format!("bucket-policy --bot-role {bot} --instance-role {ROLE}")),
        (&lambda, format!("policy --account {ACCOUNT}")),
        (&other, "policy".to_owned()),
        (&other, "policy --of assumed-role".to_owned()),
    ] {
        assert_eq!(judged(&printed(dir, &words)), "", "{words}");
    }
    // It does find what is wrong.
    assert!(
        judged(&printed(&lambda, &format!("policy --account {ACCOUNT}")).replace("GetApplication", "GetApp"))
            .contains("Unknown action")
    );
}

/// `aws WORDS…` against moto: its answer.
fn moto(dir: &TempDir, words: &[&str]) -> Result<String, String> {
    let output = process::blocking_program(crate::counterpart("LANDFALL_TEST_AWS_CLI"))
        .args([
            "--endpoint-url",
            &crate::counterpart("LANDFALL_TEST_MOTO"),
            "--region",
            "eu-west-1",
            "--output",
            "json",
        ])
        .args(words)
        .current_dir(dir.path())
        .envs([("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S"), ("AWS_MAX_ATTEMPTS", "1")])
        .envs([("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"), ("NO_PROXY", "*")])
        .output()
        .unwrap();
    let (out, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if output.status.success() { Ok(out) } else { Err(talk) }
}

/// What moto passes over in silence.
const UNMODELLED: &[&str] = &[
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
];

#[test]
fn a_stack_of_each_template_is_made() {
    let parameters: &[&str] = &[
        "ShopProductionCluster=c",
        "ShopProductionService=s",
        "ShopProductionListenerArn=arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/a/b/c",
        "ShopProductionBlueTargetGroup=blue",
        "ShopProductionGreenTargetGroup=green",
        "BotRoleArn=arn:aws:iam::123456789012:role/bot",
    ];
    for (number, (words, dir)) in templates().into_iter().enumerate() {
        let template = printed(&dir, words);
        // Each is an account of its own, but for the bucket's name and the role's, which all of moto shares.
        let template = template.replace("acme-revisions", &format!("acme-revisions-{number}"));
        std::fs::write(dir.path().join("landfall.yaml"), &template).unwrap();
        let stack = format!("landfall-{number}");
        let deploy = ["cloudformation", "deploy", "--stack-name", &stack, "--template-file", "landfall.yaml"];
        let wanted: Vec<&str> = parameters
            .iter()
            .copied()
            .filter(|it| template.contains(&format!("\n  {}:", it.split('=').next().unwrap())))
            .collect();
        let overrides = if wanted.is_empty() { vec![] } else { [&["--parameter-overrides"], &wanted[..]].concat() };
        moto(&dir, &[&deploy[..], &["--capabilities", "CAPABILITY_NAMED_IAM"], &overrides].concat())
            .unwrap_or_else(|why| panic!("{words}: {why}"));
        let told = moto(&dir, &["cloudformation", "describe-stacks", "--stack-name", &stack]).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["Stacks"][0]["StackStatus"], "CREATE_COMPLETE", "{words}: {told:#}");
        let told = moto(&dir, &["cloudformation", "describe-stack-resources", "--stack-name", &stack]).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let made: Vec<&str> = told["StackResources"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["LogicalResourceId"].as_str())
            .collect();
        let wanted: Value = serde_json::from_str(&printed(&dir, &format!("{words} --json"))).unwrap();
        for (id, resource) in wanted["Resources"].as_object().unwrap() {
            let kind = resource["Type"].as_str().unwrap();
            assert!(made.contains(&id.as_str()) || UNMODELLED.contains(&kind), "{words}: no {id}: {told:#}");
        }
    }
}
