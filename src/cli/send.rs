//! `landfall send push`: delivers a signed push as GitHub would, from a real repository. It tries again while the server
//! is away, and tells what was answered.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::ask::random_key;
use super::exit::{Exit, Outcome, Trouble};
use super::pushed::{Moved, Repository};
use super::server::runtime;
use super::status::understood;
use super::terminal::{DIM, GOOD, say, say_json, styled, talk};
use crate::clients::Clock;
use crate::config::{Environment, Secret, SecretRef, duration};
use crate::domain::{RefName, RepositoryName, plainly, root_cause};

/// Each wait is twice the one before, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// GitHub gives up on one try after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be sent.
#[derive(Debug, Subcommand)]
pub(super) enum Send {
    /// A push: a ref of a repository on this machine, signed and delivered as GitHub does it
    Push(PushArgs),
}

/// The arguments of `send push`.
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// The repository on this machine; in a hook it is the present directory
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: PathBuf,

    /// What the configuration calls it
    #[arg(long, value_name = "OWNER/NAME")]
    name: RepositoryName,

    /// The branch, or a full name such as refs/tags/v1; the one that is checked out, unless given
    #[arg(long = "ref", value_name = "REF", value_parser = RefName::from_short, conflicts_with = "post_receive")]
    reference: Option<RefName>,

    /// Where the ref was; unless given, it counts as new
    #[arg(long, value_name = "COMMIT", conflicts_with = "post_receive")]
    before: Option<String>,

    /// Where it is; unless given, where it is in the repository. Forty zeros delete it
    #[arg(long, value_name = "COMMIT", conflicts_with = "post_receive")]
    after: Option<String>,

    /// Read `OLD NEW REF` lines, as git hands them to a post-receive hook
    #[arg(long)]
    post_receive: bool,

    /// The repository's number on GitHub, for targets that know it
    #[arg(long, value_name = "NUMBER")]
    repository_id: Option<u64>,

    /// The server; without a path, its /webhooks/github
    #[arg(long, value_name = "URL", env = "LANDFALL_URL", default_value = "http://127.0.0.1:8080")]
    url: String,

    /// A file with the webhook's secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,

    /// How long to try while the server is away
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    give_up_after: Duration,

    /// Print the server's answers, one object each
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    repeat: bool,
    plans: Vec<Plan>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Plan {
    target: String,
    deployment: Option<String>,
    reason: String,
}

/// Where and how to deliver.
struct Sender {
    url: reqwest::Url,
    secret: Secret,
    give_up_after: Duration,
    http: reqwest::Client,
    clock: Clock,
}

/// What one try came to.
enum Try {
    Answered(u16, String),
    Away(String),
}

pub(super) fn run(send: Send, environment: &Environment) -> Outcome {
    let Send::Push(args) = send;
    let clock = Clock::system();
    let repository = Repository { path: &args.repo };
    let moves = moves(&args, &repository)?;
    let secret = SecretRef::File(args.secret_file.clone()).read();
    let secret = secret.map_err(|error| Trouble::wrong(error.to_string()).help(error.help()))?;
    let http = reqwest::Client::builder().timeout(PATIENCE).build().map_err(anyhow::Error::from)?;
    let sender =
        Sender { url: hook_url(&args.url)?, secret, give_up_after: args.give_up_after, http, clock: clock.clone() };
    let runtime = runtime()?;
    let pusher = environment.get("USER").or(environment.get("LOGNAME")).unwrap_or("git");
    let mut worst = Ok(Exit::Done);
    // One ref that is refused does not keep the others from being told.
    for moved in moves {
        let sent = repository
            .payload(&moved, &args.name, args.repository_id, pusher, clock.now())
            .and_then(|payload| runtime.block_on(sender.deliver(&payload)))
            .and_then(|answer| tell(&moved, answer, args.json));
        if let Err(trouble) = sent
            && let Err(earlier) = std::mem::replace(&mut worst, Err(trouble))
        {
            talk(&format!("{earlier}\n"));
        }
    }
    worst
}

fn moves(args: &PushArgs, repository: &Repository<'_>) -> Result<Vec<Moved>, Trouble> {
    if !args.post_receive {
        let reference = args.reference.clone().map_or_else(|| repository.current(), Ok)?;
        return Ok(vec![repository.moved(reference, args.before.as_deref(), args.after.as_deref())?]);
    }
    let mut moves = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Trouble::unreachable(format!("stdin cannot be read: {}", plainly(&error))))?;
        if line.trim().is_empty() {
            continue;
        }
        let moved = Moved::parse(&line)?;
        // GitHub tells nobody of notes and the like either.
        if moved.reference.branch().or(moved.reference.tag()).is_some() {
            moves.push(moved);
        }
    }
    Ok(moves)
}

fn hook_url(text: &str) -> Result<reqwest::Url, Trouble> {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(mut url) = url else {
        return Err(Trouble::wrong(format!("`{text}` is not a web address")).help("write it as `http://host:port`"));
    };
    if url.path() == "/" {
        url.set_path("/webhooks/github");
    }
    Ok(url)
}

impl Sender {
    /// Delivers under one id until it is answered; 503 and silence are worth another try, and a repeat does no harm.
    async fn deliver(&self, payload: &Value) -> Result<Value, Trouble> {
        let body = payload.to_string();
        let id = random_key()?;
        let since = self.clock.now();
        let mut wait = FIRST_WAIT;
        loop {
            let why = match self.attempt(&id, &body).await {
                Try::Answered(200..300, text) => {
                    return serde_json::from_str(&text).map_err(|_| {
                        Trouble::unreachable(format!("`{}` answered something that is not landfall's", self.url))
                            .help("check the address")
                    });
                }
                Try::Answered(503, text) => format!("the server cannot take it now: {}", detail(&text)),
                Try::Answered(status, text) => {
                    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
                    let trouble = Trouble::wrong(format!("refused with {status}: {}", detail(&text)));
                    return Err(match problem["help"].as_str() {
                        Some(help) => trouble.help(help),
                        None => trouble,
                    });
                }
                Try::Away(why) => why,
            };
            let spent = Duration::try_from(self.clock.now().duration_since(since)).unwrap_or_default();
            if spent + wait > self.give_up_after {
                return Err(Trouble::unreachable(format!("not delivered to `{}`: {why}", self.url))
                    .help("start the server and send it again; landfall also compares heads every few minutes"));
            }
            talk(&format!("{}\n", styled(DIM, &format!("{why}; trying again"))));
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn attempt(&self, id: &str, body: &str) -> Try {
        let sent = self
            .http
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .header("User-Agent", concat!("landfall/", env!("CARGO_PKG_VERSION")))
            .header("X-GitHub-Event", "push")
            .header("X-GitHub-Delivery", id)
            .header("X-Hub-Signature-256", self.sign(body))
            .body(body.to_owned())
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let status = answer.status().as_u16();
                match answer.text().await {
                    Ok(text) => Try::Answered(status, text),
                    Err(error) => Try::Away(root_cause(&error)),
                }
            }
            Err(error) if error.is_timeout() => Try::Away("no answer in time".into()),
            Err(error) => Try::Away(root_cause(&error)),
        }
    }

    fn sign(&self, body: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).expect("an HMAC key has any length");
        mac.update(body.as_bytes());
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }
}

fn detail(text: &str) -> String {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    problem["detail"].as_str().unwrap_or("no reason given").to_owned()
}

fn tell(moved: &Moved, answer: Value, json: bool) -> Result<(), Trouble> {
    if json {
        say_json(&answer);
        return Ok(());
    }
    let answer: Answer = understood(answer)?;
    let after = moved.after.get(..7).unwrap_or(&moved.after);
    let repeat = if answer.repeat { " (it was there already)" } else { "" };
    say(&format!("{} {} {after}{repeat}\n", styled(GOOD, "delivered"), moved.reference.short()));
    for plan in &answer.plans {
        match &plan.deployment {
            Some(id) => say(&format!("  {}: deployment {id}, {}\n", plan.target, plan.reason)),
            None => say(&format!("  {}: nothing to deploy, {}\n", plan.target, plan.reason)),
        }
    }
    if let Some(reason) = answer.reason.filter(|_| answer.plans.is_empty()) {
        say(&format!("  nothing to deploy: {reason}\n"));
    }
    Ok(())
}
