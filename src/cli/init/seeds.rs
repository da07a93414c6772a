//! The files to start from, for just the answers that were given. None is ever overwritten.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, absolute};

use super::super::exit::Trouble;
use super::answers::{Answers, Engine};
use super::origin::Origin;
use crate::domain::{RepositoryName, plainly};

/// The one file that may be there before: most repositories have it.
pub(super) const IGNORED: &str = ".gitignore";

/// What a repository on this machine tells the bot of pushes with.
pub(super) const HOOK: &str = "post-receive";

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
    if let Origin::Here(name, _) = &answers.origin {
        seeds.push(seed(
            HOOK,
            0o755,
            &hook(dir, name)?,
            "tells the bot of pushes; belongs into the repository's hooks",
        ));
    }
    seeds.push(seed("landfall.toml", 0o644, &configuration(answers, has_token), "the configuration"));
    Ok(seeds)
}

/// A commented configuration.
fn configuration(answers: &Answers, has_token: bool) -> String {
    let Answers { target, origin, branch, engine, public_url } = answers;
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
        .replace("{repository}", &repository(origin))
        .replace("{branch}", &quoted(branch))
}

/// The lines that name the repository.
fn repository(origin: &Origin) -> String {
    let name = quoted(&origin.name().to_string());
    match origin {
        Origin::GitHub(_) => format!("# As in the address of the repository on GitHub.\nrepository = {name}"),
        Origin::Here(_, path) => format!(
            "# What it is called here: its post-receive hook says the same.\nrepository = {name}\n# Where its commits \
             are read.\nsource = {{ git = {} }}",
            quoted(&url(path))
        ),
    }
}

/// A path as git and the configuration have it.
fn url(path: &Path) -> String {
    reqwest::Url::from_file_path(path).expect("an origin's path is absolute").into()
}

/// The hook that tells the bot of pushes.
fn hook(dir: &Path, name: &RepositoryName) -> Result<String, Trouble> {
    let unknown = |error: std::io::Error| Trouble::unreachable(format!("no path can be told: {}", plainly(&error)));
    let secret = absolute(dir.join("webhook-secret")).map_err(unknown)?;
    let program = std::env::current_exe().map_err(unknown)?;
    let words = [program, secret].map(|it| shell_word(&it.to_string_lossy()));
    let [program, secret] = words;
    Ok(HOOK_SCRIPT
        .replace("{program}", &program)
        .replace("{secret}", &secret)
        .replace("{name}", &shell_word(&name.to_string())))
}

/// A text as a shell takes it for one word.
fn shell_word(text: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-+:@".contains(it);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
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
{repository}
branches = [{branch}]
# Where the appspec.yml lies in the repository, if not at its top.
# bundle = { root = "site" }

{engine}"#;

const HOST: &str = r#"[target.engine]
# This machine, by Landfall's own engine. For a fleet: kind = "codedeploy", and a bucket for its revisions.
kind = "host"
"#;

const HOOK_SCRIPT: &str = r#"#!/bin/sh
# Tells Landfall of what was pushed; whoever pushes reads the answer, and has to be able to read the secret.
exec {program} send push --post-receive --repo . --name {name} \
  --url http://127.0.0.1:8080/webhooks/github --secret-file {secret}
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
