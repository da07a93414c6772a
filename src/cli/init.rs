//! `landfall init`: files to start from. It never overwrites one.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Outcome, Trouble};
use super::terminal::{BOLD, GOOD, say, styled, talk};
use crate::domain::plainly;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where to write; made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// The one file that may be there before: most repositories have it.
const IGNORED: &str = ".gitignore";

/// A file to write.
struct Seed {
    path: &'static str,
    mode: u32,
    text: String,
    why: &'static str,
}

pub(super) fn run(args: &InitArgs) -> Outcome {
    let seeds = seeds()?;
    // All or nothing: whoever has one of these files has begun already.
    let there = |seed: &Seed| args.dir.join(seed.path).exists();
    let taken: Vec<&str> = seeds.iter().filter(|it| it.path != IGNORED && there(it)).map(|it| it.path).collect();
    if !taken.is_empty() {
        let taken = taken.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
        return Err(Trouble::wrong(format!("{taken} in `{}` would be overwritten", args.dir.display()))
            .help("name another directory: `landfall init DIR`"));
    }
    for seed in &seeds {
        let path = args.dir.join(seed.path);
        if path.exists() {
            talk(&format!("{} is there already: see that these lines are in it\n{}", path.display(), seed.text));
            continue;
        }
        seed.write(&path).map_err(|error| {
            Trouble::unreachable(format!("`{}` cannot be written: {}", path.display(), plainly(&error)))
                .help("check that the directory may be written to")
        })?;
        say(&format!("{} {:<30} {}\n", styled(GOOD, "wrote"), path.display(), seed.why));
    }
    talk(&next_steps(&args.dir));
    Ok(Exit::Done)
}

impl Seed {
    fn write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(self.mode).open(path)?;
        match file.write_all(self.text.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::StorageFull => fs::remove_file(path).and(Err(error)),
            result => result,
        }
    }
}

fn seeds() -> Result<Vec<Seed>, Trouble> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Trouble::unreachable(format!("no random bytes are to be had: {error}")))?;
    let seed = |path, mode, text: &str, why| Seed { path, mode, text: text.to_owned(), why };
    Ok(vec![
        seed("landfall.toml", 0o644, CONFIG, "the configuration"),
        seed("webhook-secret", 0o600, &(hex::encode(secret) + "\n"), "what GitHub signs webhooks with; keep it secret"),
        seed(IGNORED, 0o644, "/webhook-secret\n/landfall-data/\n", "keeps secret and data out of git"),
        seed("site/appspec.yml", 0o644, APPSPEC, "what a deployment does; belongs into the repository"),
        seed("site/index.html", 0o644, "<h1>It makes landfall</h1>\n", "what is deployed"),
        seed("site/scripts/install.sh", 0o755, INSTALL, "runs after the files are in place"),
        seed("site/scripts/validate.sh", 0o755, VALIDATE, "says whether the deployment worked"),
    ])
}

fn next_steps(dir: &Path) -> String {
    let file = dir.join("landfall.toml");
    format!(
        "\n{}\n\
         1. edit {file}: the repository, the branch\n\
         2. copy {site} into the repository, and edit it: what goes where\n\
         3. landfall check -c {file}\n\
         4. landfall serve -c {file}\n\
         5. on GitHub, Settings, Webhooks: https://YOUR-HOST/webhooks/github, content type application/json,\n   \
         and the text of {secret} as the secret\n",
        styled(BOLD, "next:"),
        file = file.display(),
        site = dir.join("site").display(),
        secret = dir.join("webhook-secret").display(),
    )
}

const CONFIG: &str = r#"# Landfall's configuration. `landfall config docs` prints every key with what it means;
# `landfall check` says what is wrong with this file.

# The ledger, the access token, and what is deployed on this machine. Relative to this file.
data_dir = "landfall-data"

# Where people reach the dashboard; links in commit statuses begin with it.
# public_url = "https://deploy.example.com"

[server]
# Put a reverse proxy with TLS in front.
listen = "127.0.0.1:8080"

[github]
# The same text is the secret of the webhook on GitHub.
webhook_secrets = [{ file = "webhook-secret" }]
# For commit statuses and private repositories: a fine-grained token with Contents read, Commit statuses write.
# token = { env = "GITHUB_TOKEN" }

[[target]]
# What the command line and the commit status call it.
name = "site"
# As in the address of the repository on GitHub.
repository = "OWNER/REPOSITORY"
branches = ["main"]
# Where the appspec.yml lies in the repository, if not at its top.
# bundle = { root = "site" }

[target.engine]
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
