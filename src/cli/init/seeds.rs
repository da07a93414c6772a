//! The files to start from, for just the answers that were given. None is ever overwritten.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::exit::Trouble;
use super::answers::{Answers, Engine};

/// The one file that may be there before: most repositories have it.
pub(super) const IGNORED: &str = ".gitignore";

/// A file to write.
pub(super) struct Seed {
    pub(super) path: &'static str,
    mode: u32,
    pub(super) text: String,
    pub(super) why: &'static str,
}

impl Seed {
    /// Writes it, where there is nothing yet.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(self.mode).open(path)?;
        file.write_all(self.text.as_bytes()).or_else(|error| fs::remove_file(path).and(Err(error)))
    }
}

/// All of them, the configuration last: where it is, the others are. Where the directory is itself what is deployed, its own AppSpec is none of ours.
pub(super) fn seeds(dir: &Path, answers: &Answers, has_token: bool) -> Result<Vec<Seed>, Trouble> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Trouble::unreachable(format!("no random bytes are to be had: {error}")))?;
    let seed = |path, mode, text: &str, why| Seed { path, mode, text: text.to_owned(), why };
    let mut seeds = vec![
        seed("webhook-secret", 0o600, &(hex::encode(secret) + "\n"), "what GitHub signs webhooks with; keep it secret"),
        seed(IGNORED, 0o644, "/webhook-secret\n/landfall-data/\n", "keeps secret and data out of git"),
    ];
    if !dir.join("appspec.yml").exists() {
        seeds.extend([
            seed("site/appspec.yml", 0o644, APPSPEC, "what a deployment does; belongs into the repository"),
            seed("site/index.html", 0o644, "<h1>It makes landfall</h1>\n", "what is deployed"),
            seed("site/scripts/install.sh", 0o755, INSTALL, "runs after the files are in place"),
            seed("site/scripts/validate.sh", 0o755, VALIDATE, "says whether the deployment worked"),
        ]);
    }
    seeds.push(seed("landfall.toml", 0o644, &configuration(answers, has_token), "the configuration"));
    Ok(seeds)
}

/// A commented configuration.
fn configuration(answers: &Answers, has_token: bool) -> String {
    let Answers { target, repository, branch, engine, public_url } = answers;
    let public_url = match public_url {
        Some(url) => format!("public_url = {}", quoted(url)),
        None => "# public_url = \"https://deploy.example.com\"".into(),
    };
    let token = if has_token { "token" } else { "# token" };
    let engine = match engine {
        Engine::Host => HOST.to_owned(),
        Engine::CodeDeploy { application, deployment_group, bucket, region } => format!(
            "[target.revisions]\n# What CodeDeploy fetches. `landfall aws template` makes bucket, application, group and \
             rights, where there are none.\ns3 = {{ bucket = {}, prefix = {}, region = {} \
             }}\n\n[target.engine]\nkind = \"codedeploy\"\napplication = {}\ndeployment_group = {}\nregion = {}\n",
            quoted(bucket),
            quoted(target),
            quoted(region),
            quoted(application),
            quoted(deployment_group),
            quoted(region),
        ),
    };
    CONFIG
        .replace("{public_url}", &public_url)
        .replace("{token}", token)
        .replace("{engine}", &engine)
        .replace("{target}", &quoted(target))
        .replace("{repository}", &quoted(repository))
        .replace("{branch}", &quoted(branch))
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

const CONFIG: &str = r#"# Landfall's configuration. `landfall config docs` prints every key with what it means;
# `landfall check` says what is wrong with this file.

# The ledger, the access token, and what is deployed on this machine. Relative to this file.
data_dir = "landfall-data"

# Where people reach the dashboard; links in commit statuses begin with it.
{public_url}

[server]
# Put a reverse proxy with TLS in front.
listen = "127.0.0.1:8080"

[github]
# The same text is the secret of the webhook on GitHub.
webhook_secrets = [{ file = "webhook-secret" }]
# For commit statuses and private repositories: a fine-grained token with Contents read, Commit statuses write.
{token} = { env = "GITHUB_TOKEN" }

[[target]]
# What the command line and the commit status call it.
name = {target}
# As in the address of the repository on GitHub.
repository = {repository}
branches = [{branch}]
# Where the appspec.yml lies in the repository, if not at its top.
# bundle = { root = "site" }

{engine}"#;

const HOST: &str = r#"[target.engine]
# This machine, by Landfall's own engine. For a fleet: kind = "codedeploy", and a bucket for its revisions.
kind = "host"
"#;

const APPSPEC: &str = r#"# What a deployment does, as AWS CodeDeploy and Landfall's own engine read it.
version: 0.0
os: linux

# What is copied where.
files:
  - source: index.html
    destination: /var/www/site

# What is done when with what already lies there.
file_exists_behavior: OVERWRITE

# What runs when; other moments: ApplicationStop, BeforeInstall, ApplicationStart.
hooks:
  AfterInstall:
    - location: scripts/install.sh
      timeout: 300
  ValidateService:
    - location: scripts/validate.sh
      timeout: 60
"#;

const INSTALL: &str = r#"#!/bin/sh
# Runs once the files are in place: build, migrate, reload. A failing command fails the deployment.
set -eu

echo "installed for $DEPLOYMENT_GROUP_NAME by deployment $DEPLOYMENT_ID"
"#;

const VALIDATE: &str = r#"#!/bin/sh
# Says whether the deployment worked: anything but 0 fails it.
set -eu

test -s /var/www/site/index.html
"#;
