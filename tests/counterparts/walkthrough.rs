//! The README's section on a first real target, followed to the letter, from an account in which there is nothing. Only
//! addresses are put in the place of others: S3, IAM and CloudFormation are ministack, CodeDeploy and GitHub are our
//! worlds, which other tests here hold against real software.
//!
//! ministack's CloudFormation refuses templates with CodeDeploy's resources. So they are taken out of the template before
//! it is deployed, and made by the AWS CLI with the very properties that the template has for them.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use landfall::clients::{Clock, process};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::worlds::codedeploy::{Moves, World};
use crate::worlds::github::{GitHubWorld, Status};
use crate::worlds::push;
use crate::worlds::readme::blocks;

const SECTION: &str = "Five minutes to a first real target: AWS CodeDeploy";
const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: /srv/shop\n";

#[test]
fn the_readmes_real_target_deploys() {
    let (github, codedeploy) = (GitHubWorld::start(), World::serve(0, Clock::system()));
    codedeploy.moves(Moves::EveryMillis(100));
    let repository = github.repository("acme/shop");
    let first = repository.commit_and_push("The shop opens", &[("appspec.yml", APPSPEC), ("index.html", "open\n")]);
    let reader = Reader::sit_down(&codedeploy.url());
    let [build, secret, configuration, make, start, look] = &blocks(SECTION)[..] else {
        panic!("the README's section has other steps: follow them here too");
    };

    // The program is built already: it is what these tests run.
    assert!(build.contains("cargo build --release") && build.contains("install target/release/landfall"), "{build}");
    reader.types(secret);
    reader.writes("landfall.toml", &configuration.replace("[github]", &github_at(&github)));
    let (template, deploy) = make.trim().split_once('\n').unwrap();
    reader.types(template);
    reader.makes_what_ministack_cannot(deploy);
    assert!(start.contains("landfall doctor"), "{start}");
    let mut bot = reader.starts(&start.replace("github_pat_…", "ghp_first"));
    reader.waits("the bot is ready", || reader.http(|client, url| client.get(format!("{url}/readyz"))).0 == 200);

    let second = repository.commit_and_push("The shop sells", &[("index.html", "buy\n")]);
    let (status, answer) = reader.github_delivers(first.as_str(), second.as_str());
    assert_eq!(status, 202, "{answer}");
    let said = |status: &Status| status.sha == second.as_str() && status.context == "landfall/shop-production";
    reader.waits("the commit's status is final", || {
        github.statuses().iter().rfind(|status| said(status)).is_some_and(|status| status.state != "pending")
    });

    let told: Vec<Status> = github.statuses().into_iter().filter(said).collect();
    assert_eq!(told.last().unwrap().state, "success", "{told:?}\n{}", reader.log());
    let page = told[0].target_url.as_deref().unwrap_or_default();
    assert!(page.starts_with("https://deploy.example.com/deployments/"), "{page}");
    let shown = reader.types(look);
    assert!(shown.contains("shop-production") && shown.contains(second.short()), "{shown}");
    let deployments = codedeploy.deployments();
    assert_eq!(deployments.len(), 1, "the head before the first push is not deployed");
    reader.finds_in_the_bucket(&deployments[0].input, second.as_str());

    kill(Pid::from_raw(bot.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(bot.0.wait().unwrap().code(), Some(0), "{}", reader.log());
}

/// The one line that a configuration for another GitHub has more.
fn github_at(github: &GitHubWorld) -> String {
    format!("[github]\napi_url = {:?}", github.config().api_url)
}

/// A resource's properties as the call that makes it has them: small letters first, but for those of tags.
fn in_calls(properties: &Value, value: &dyn Fn(&Value) -> Value) -> Value {
    let small = |key: &str| key[..1].to_lowercase() + &key[1..];
    let properties = value(properties);
    if let Some(entries) = properties.as_object() {
        let is_tag = entries.contains_key("Key");
        let name = |key: &str| if is_tag { key.to_owned() } else { small(key) };
        return entries.iter().map(|(key, it)| (name(key), in_calls(it, value))).collect();
    }
    match properties.as_array() {
        Some(items) => items.iter().map(|it| in_calls(it, value)).collect(),
        None => properties,
    }
}

/// Somebody who follows the README in an empty directory.
struct Reader {
    home: TempDir,
    address: String,
    codedeploy: String,
}

/// The bot, ended by its id when the test ends early.
struct Bot(Child);

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Reader {
    fn sit_down(codedeploy: &str) -> Self {
        let home = TempDir::new().unwrap();
        let programs = home.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_landfall"), programs.join("landfall")).unwrap();
        symlink(crate::counterpart("LANDFALL_TEST_AWS_CLI"), programs.join("aws")).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { home, address: free.to_string(), codedeploy: codedeploy.to_owned() }
    }

    fn writes(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    /// A shell where the README says to type. Where AWS is, and where to listen, is said by variables.
    fn shell(&self, text: &str) -> Command {
        let mut shell = process::blocking_program("bash");
        let path = std::env::join_paths([self.home.path().join("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
        shell.args(["-euc", text]).current_dir(self.home.path()).stdin(Stdio::null());
        shell.env_clear().env("PATH", path).env("HOME", self.home.path()).env("LANDFALL_LISTEN", &self.address);
        shell.env("AWS_ACCESS_KEY_ID", "A").env("AWS_SECRET_ACCESS_KEY", "S").env("AWS_REGION", "eu-west-1");
        shell.env("AWS_DEFAULT_REGION", "eu-west-1");
        for service in ["S3", "IAM", "CLOUDFORMATION"] {
            shell.env(format!("AWS_ENDPOINT_URL_{service}"), crate::counterpart("LANDFALL_TEST_MINISTACK"));
        }
        shell.env("AWS_ENDPOINT_URL_CODEDEPLOY", &self.codedeploy);
        shell
    }

    /// Types it, and sees it succeed. What it printed.
    fn types(&self, text: &str) -> String {
        let output = self.shell(text).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{out}{err}\n{}", self.log());
        out.into_owned()
    }

    /// Deploys the template, CodeDeploy's own resources apart, which come from it by another way.
    fn makes_what_ministack_cannot(&self, deploy: &str) {
        let mut template: Value = serde_json::from_str(&self.types("landfall aws template --json")).unwrap();
        let resources = template["Resources"].as_object_mut().unwrap();
        let application = resources.remove("ShopApplication").unwrap();
        let group = resources.remove("ShopProductionGroup").unwrap();
        // JSON is YAML too.
        self.writes("landfall.yaml", &template.to_string());
        self.types(deploy);
        let role = self.types(
            "aws cloudformation describe-stack-resource --stack-name landfall --logical-resource-id ServerServiceRole \
             --query StackResourceDetail.PhysicalResourceId --output text",
        );
        let arn = self.types(&format!("aws iam get-role --role-name {} --query Role.Arn --output text", role.trim()));
        let value = |of: &Value| match of["Ref"].as_str() {
            Some("ShopApplication") => application["Properties"]["ApplicationName"].clone(),
            Some(parameter) => template["Parameters"][parameter]["Default"].clone(),
            None if of == &json!({"Fn::GetAtt": ["ServerServiceRole", "Arn"]}) => arn.trim().into(),
            None => of.clone(),
        };
        self.types(&format!(
            "aws deploy create-application --cli-input-json '{}'",
            in_calls(&application["Properties"], &value)
        ));
        let wanted = in_calls(&group["Properties"], &value);
        self.types(&format!("aws deploy create-deployment-group --cli-input-json '{wanted}'"));
        assert_eq!(
            wanted["ec2TagFilters"][0],
            json!({"Key": "landfall", "Value": "shop-production", "Type": "KEY_AND_VALUE"})
        );
    }

    /// Types it into another window, where its last line goes on.
    fn starts(&self, text: &str) -> Bot {
        let log = std::fs::File::create(self.log_file()).unwrap();
        let (before, last) = text.trim().rsplit_once('\n').unwrap();
        let mut shell = self.shell(&format!("{before}\nexec {last}"));
        Bot(shell.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "a deadline in a test is of the machine's own time")]
    fn waits(&self, what: &str, mut there: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(180);
        while !there() {
            assert!(Instant::now() < deadline, "not within 180 s: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Status and body of the answer; 0 where nobody answers.
    fn http(&self, ask: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = ask(&client, &format!("http://{}", self.address));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            match asked.send().await {
                Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap()),
                Err(why) => (0, why.to_string()),
            }
        })
    }

    /// GitHub sends the push event to the webhook, signed with the content of `webhook-secret`.
    fn github_delivers(&self, before: &str, after: &str) -> (u16, String) {
        let mut body = push::payload("acme/shop", after);
        body["before"] = before.into();
        body["repository"]["id"] = 1000.into();
        body["commits"] = json!([{ "id": after, "added": [], "removed": [], "modified": ["index.html"] }]);
        let secret = std::fs::read_to_string(self.home.path().join("webhook-secret")).unwrap();
        let id = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
        self.http(|client, url| push::delivery(client, url, secret.trim(), id, body.to_string()))
    }

    /// The object that CodeDeploy was told of is there, in that version, and named after target and commit.
    fn finds_in_the_bucket(&self, input: &Value, sha: &str) {
        let object = &input["revision"]["s3Location"];
        let text = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {input}")).to_owned();
        let (bucket, key, version) = (text("bucket"), text("key"), text("version"));
        assert!(bucket == "acme-revisions" && key.starts_with(&format!("shop/shop-production/{sha}-")), "{object}");
        let head = format!("aws s3api head-object --bucket {bucket} --key {key} --version-id {version}");
        let head: Value = serde_json::from_str(&self.types(&head)).unwrap();
        assert_eq!(head["ETag"].as_str().unwrap().trim_matches('"'), text("eTag").trim_matches('"'));
        let bundle = Path::new("bundle.tgz");
        self.types(&format!("aws s3 cp s3://{bucket}/{key} {} --quiet && tar -tzf {0} appspec.yml", bundle.display()));
    }
}
