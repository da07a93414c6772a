//! `landfall doctor`: every outside thing that the bot needs, looked at and told, one line each. It only orders and
//! prints: each look is a function of the room that the thing belongs to. It changes nothing, but for the probe of
//! `--write`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::aws::missing_statement;
use super::configuration::{ConfigArgs, chosen};
use super::exit::{Exit, Outcome, Trouble};
use super::server::runtime;
use super::terminal::{BAD, BOLD, DIM, GOOD, WAITS, say, say_json, styled, talk};
use crate::clients::Clock;
use crate::clients::aws::Aws;
use crate::clients::github::{GitHubClients, SignIn};
use crate::config::{Config, Environment};
use crate::domain::{Checkup, EngineSpec, Failure, Finding, Reach, SourceSpec, Standing, Target, TargetName};
use crate::engine::codedeploy::{Accounts, CodeDeployEngine};
use crate::engine::host;
use crate::ledger;
use crate::revisions::{Probe, Stores};
use crate::source::Sources;

/// The SDK tries three times, and looks for credentials before: whoever has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(45);
/// The one place of the probe in a target's part of the bucket.
const PROBE: &str = ".landfall-doctor";

/// The arguments.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all is well or only worth a warning, 1 something fails, 2 wrong words or configuration,
3 nothing outside this machine could be reached.")]
pub(super) struct DoctorArgs {
    /// Only these targets
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    #[command(flatten)]
    config: ConfigArgs,

    /// Put a small object into the bucket, look for it and remove it
    #[arg(long)]
    write: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    /// All that a configuration needs.
    pub(super) fn of(config: ConfigArgs) -> Self {
        Self { targets: Vec::new(), config, write: false, json: false }
    }
}

/// What was looked at under one heading.
struct Section {
    /// The target, or nothing for the machine.
    target: Option<Arc<Target>>,
    checkups: Vec<Checkup>,
}

pub(super) fn run(args: &DoctorArgs, environment: &Environment) -> Outcome {
    let config = args.config.load_without_secrets(environment)?;
    let targets = chosen(&config, &args.targets)?;
    let path = args.config.path();
    let mut machine = vec![Checkup::ok("configuration", format!("`{}`, {}", path.display(), counted(&config)))];
    // What is said of the token is looked at below, target by target.
    let warnings = config.warnings.0.iter().filter(|it| it.code != "config/no-token");
    machine.extend(warnings.map(|it| Checkup::found("configuration", placed(it.clone()))));
    machine.extend(config.checkup());
    machine.extend(ledger::checkup(&config.data_dir, config.ledger.reserve_bytes));
    let of_targets = runtime()?.block_on(async {
        let doctor = Doctor::new(&config, args.write)?;
        let seen = join_all(targets.iter().map(|target| doctor.look_at(target))).await;
        if let Some(login) = &config.login {
            machine.push(SignIn::new(&config.github, login).checkup().await);
        }
        machine.extend(doctor.github.checkup_of_clock());
        Ok::<_, Trouble>(seen)
    })?;
    let mut sections = vec![Section { target: None, checkups: machine }];
    sections.extend(of_targets);
    if args.json {
        say_json(&as_json(&sections));
    } else {
        say(&sections.iter().map(Section::text).collect::<Vec<_>>().join("\n"));
    }
    let all: Vec<&Checkup> = sections.iter().flat_map(|it| &it.checkups).collect();
    if !args.json {
        talk(&format!("\n{}\n", summary(&all)));
    }
    Ok(exit(&all))
}

fn counted(config: &Config) -> String {
    match config.targets.len() {
        1 => "1 target".into(),
        several => format!("{several} targets"),
    }
}

/// A finding's place, in its words.
fn placed(mut finding: Finding) -> Finding {
    if let Some(place) = finding.place.take() {
        finding.message = format!("{} (line {})", finding.message, place.line);
    }
    finding
}

/// Who looks at targets.
struct Doctor {
    sources: Sources,
    github: GitHubClients,
    /// Where webhooks have to lead.
    door: Option<String>,
    stores: Stores,
    accounts: Accounts,
    clock: Clock,
    /// The targets whose bundles are deleted one day.
    retained: Vec<TargetName>,
    write: bool,
}

impl Doctor {
    fn new(config: &Config, write: bool) -> Result<Self, Trouble> {
        let (clock, aws) = (Clock::system(), Aws::new());
        let github = GitHubClients::for_targets(&config.github, &config.targets, clock.clone())
            .map_err(|error| Trouble::wrong(error.to_string()).help("correct `github.api_url`"))?;
        Ok(Self {
            sources: Sources::new(&config.data_dir, github.clone()),
            github,
            door: config.public_url.as_ref().map(|url| format!("{url}/webhooks/github")),
            stores: Stores::new(aws.clone()),
            accounts: Accounts::new(aws, clock.clone()),
            clock,
            retained: config.retention.keys().cloned().collect(),
            write,
        })
    }

    async fn look_at(&self, target: &Arc<Target>) -> Section {
        let mut checkups = self.patiently("source", self.source_of(target)).await;
        checkups.extend(self.patiently("bucket", self.store_of(target)).await);
        checkups.extend(self.patiently("engine", self.engine_of(target)).await);
        Section { target: Some(target.clone()), checkups }
    }

    /// What is seen within the time that anybody would wait.
    async fn patiently(&self, about: &str, look: impl Future<Output = Vec<Checkup>>) -> Vec<Checkup> {
        tokio::select! {
            seen = look => seen,
            () = self.clock.sleep(PATIENCE) => {
                let text = format!("nothing was heard within {} s", PATIENCE.as_secs());
                let failure = Failure::setup("cli/no-answer", text);
                vec![Checkup::failed(about, failure.help("check the network, and proxies and firewalls on the way")).silent()]
            }
        }
    }

    async fn source_of(&self, target: &Target) -> Vec<Checkup> {
        let mut seen = Vec::new();
        if target.source == SourceSpec::GitHub {
            let client = self.github.of(&target.repository);
            let features = self.github.features_of(target, client.is_app());
            seen.extend(client.checkup(&target.repository, &features, self.door.as_deref()).await);
            // What GitHub says of the repository itself comes first: where that fails, nothing more can be read there.
            if seen.first().is_some_and(|it| it.standing == Standing::Failed) {
                return seen;
            }
        }
        seen.extend(self.sources.of(target).checkup(&target.rule).await);
        seen
    }

    async fn store_of(&self, target: &Target) -> Vec<Checkup> {
        let store = match self.stores.of(&target.revisions) {
            Ok(store) => store,
            Err(error) => return vec![Checkup::failed("revisions", error.failure())],
        };
        let must_go = self.retained.contains(&target.name);
        let probe = self.write.then(|| Probe { path: format!("{}/{PROBE}", target.name), must_go });
        store.checkup(probe.as_ref(), || self.clock.now()).await
    }

    async fn engine_of(&self, target: &Target) -> Vec<Checkup> {
        match &target.engine {
            EngineSpec::CodeDeploy(spec) => CodeDeployEngine::new(spec, &self.accounts).checkup().await,
            EngineSpec::Host(spec) => host::checkup(spec),
        }
    }
}

impl Section {
    fn text(&self) -> String {
        let heading = self.target.as_ref().map_or("this machine", |it| it.name.as_str());
        let mut text = format!("{}\n", styled(BOLD, heading));
        for checkup in &self.checkups {
            text += &line(checkup);
            if checkup.standing != Standing::Ok {
                text += &self.what_to_do(checkup);
            }
        }
        text
    }

    fn what_to_do(&self, checkup: &Checkup) -> String {
        const MARGIN: &str = "                            ";
        let help = checkup.help.as_ref().map(|it| format!("{MARGIN}{} {it}\n", styled(DIM, "do:")));
        let statement = self.statement(checkup);
        let statement = statement.map(|it| format!("{MARGIN}{} {it}\n", styled(DIM, "missing:")));
        help.unwrap_or_default() + &statement.unwrap_or_default()
    }

    /// The statement of the policy that would have allowed what was denied, as JSON.
    fn statement(&self, checkup: &Checkup) -> Option<String> {
        missing_statement(self.target.as_ref()?, checkup.denied.as_deref()?, &checkup.said)
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Ok => "ok",
        Standing::Skipped => "skip",
        Standing::Warning => "warn",
        Standing::Failed => "fail",
    }
}

fn line(checkup: &Checkup) -> String {
    let style = match checkup.standing {
        Standing::Ok => GOOD,
        Standing::Skipped => DIM,
        Standing::Warning => WAITS,
        Standing::Failed => BAD,
    };
    let word = word(checkup.standing);
    let code = checkup.code.as_ref().map(|it| styled(DIM, &format!(" [{it}]"))).unwrap_or_default();
    format!("  {}{}{:<20}{}{code}\n", styled(style, word), " ".repeat(6 - word.len()), checkup.about, checkup.said)
}

fn summary(all: &[&Checkup]) -> String {
    let of = |standing| all.iter().filter(|it| it.standing == standing).count();
    let (failed, warned) = (of(Standing::Failed), of(Standing::Warning));
    let warned = format!("{warned} warning{}", if warned == 1 { "" } else { "s" });
    let text = format!("{} ok, {warned}, {failed} failed", of(Standing::Ok));
    styled(if failed > 0 { BAD } else { GOOD }, &text)
}

fn exit(all: &[&Checkup]) -> Exit {
    let some = |reach| all.iter().any(|it| it.reach == reach);
    if some(Reach::Silent) && !some(Reach::Answered) {
        Exit::Unreachable
    } else if all.iter().any(|it| it.standing == Standing::Failed) {
        Exit::DeploymentFailed
    } else {
        Exit::Done
    }
}

fn as_json(sections: &[Section]) -> Value {
    let flat = |section: &Section| -> Vec<Value> {
        let target = section.target.as_ref().map(|it| it.name.as_str().to_owned());
        let flat = |it: &Checkup| {
            let Checkup { about, standing, said, code, help, denied: _, reach: _ } = it;
            let statement = section.statement(it).and_then(|it| serde_json::from_str::<Value>(&it).ok());
            json!({
                "target": target, "about": about, "verdict": word(*standing), "said": said, "code": code,
                "help": help, "statement": statement,
            })
        };
        section.checkups.iter().map(flat).collect()
    };
    json!({ "checks": sections.iter().flat_map(flat).collect::<Vec<_>>() })
}
