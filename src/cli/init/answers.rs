//! What has to be known for a first target: given as options, asked for, or guessed from the repository around. It writes
//! nothing.

use std::io::{self, BufRead};
use std::path::Path;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::super::exit::Trouble;
use super::super::pushed::Repository;
use super::super::terminal::{BOLD, DIM, styled, talk};
use super::origin::Origin;
use crate::domain::{RefName, TargetName, plainly};

/// The repository of a configuration that nobody has answered a question for.
pub(super) const NOBODYS: &str = "OWNER/REPOSITORY";

/// The answers that were typed as options.
#[derive(Debug, Default, Args)]
pub(super) struct Given {
    /// The repository whose pushes are deployed: its name at GitHub, or the path of a bare one on this machine
    #[arg(long, value_name = "OWNER/NAME|PATH", value_parser = repository)]
    repository: Option<String>,

    /// The branch that is deployed
    #[arg(long, value_name = "BRANCH", value_parser = branch)]
    branch: Option<String>,

    /// What the target is called; the repository's name, unless given
    #[arg(long, value_name = "NAME")]
    target: Option<TargetName>,

    /// Who carries deployments out: this machine, or AWS CodeDeploy
    #[arg(long, value_enum)]
    engine: Option<EngineArg>,

    /// CodeDeploy's application
    #[arg(long, value_name = "NAME", requires = "engine")]
    application: Option<String>,

    /// CodeDeploy's deployment group
    #[arg(long, value_name = "NAME", requires = "engine")]
    deployment_group: Option<String>,

    /// The bucket for what CodeDeploy fetches
    #[arg(long, value_name = "NAME", requires = "engine")]
    bucket: Option<String>,

    /// The region of both
    #[arg(long, value_name = "REGION", requires = "engine")]
    region: Option<String>,

    /// Where GitHub and people reach the bot, such as `https://deploy.example.com`
    #[arg(long, value_name = "URL", value_parser = address)]
    public_url: Option<String>,
}

/// Who carries deployments out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineArg {
    /// This machine, by Landfall's own engine
    Host,
    /// AWS CodeDeploy
    Codedeploy,
}

/// All that a first configuration needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) target: String,
    pub(super) origin: Origin,
    pub(super) branch: String,
    pub(super) engine: Engine,
    pub(super) public_url: Option<String>,
}

/// Who carries deployments out, with what it has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Host,
    CodeDeploy { application: String, deployment_group: String, bucket: String, region: String },
}

impl Given {
    /// Whether anything was answered by an option.
    pub(super) fn is_any(&self) -> bool {
        let Self { repository, branch, target, engine, application, deployment_group, bucket, region, public_url } =
            self;
        let texts = [repository, branch, application, deployment_group, bucket, region, public_url];
        texts.into_iter().any(Option::is_some) || target.is_some() || engine.is_some()
    }

    /// What a script has not said is guessed, or stands for the reader to correct.
    pub(super) fn with_defaults(&self, dir: &Path) -> Answers {
        self.complete(dir, |_, guess| Ok(guess.to_owned())).expect("a guess is always taken")
    }

    /// What was not said is asked for.
    pub(super) fn asking(&self, dir: &Path) -> Result<Answers, Trouble> {
        self.complete(dir, |question, guess| ask(question, if guess == NOBODYS { "" } else { guess }))
    }

    fn complete(
        &self,
        dir: &Path,
        ask: impl Fn(&Question, &str) -> Result<String, Trouble>,
    ) -> Result<Answers, Trouble> {
        let answer = |given: &Option<String>, question: &Question, guess: &str| match given {
            Some(given) => Ok(given.clone()),
            None => ask(question, guess),
        };
        let (origin, head) = around(dir);
        let origin = answer(&self.repository, &REPOSITORY, origin.as_deref().unwrap_or(NOBODYS))?;
        let origin = Origin::parse(&origin).map_err(Trouble::wrong)?;
        let branch = answer(&self.branch, &BRANCH, head.as_deref().unwrap_or("main"))?;
        let name = origin.name().name().to_lowercase();
        let is_nobodys = origin.name().to_string() == NOBODYS;
        let guess = if TargetName::parse(&name).is_ok() && !is_nobodys { name } else { "site".into() };
        let kind = answer(&self.engine.map(named), &ENGINE, "host")?;
        let engine = if kind == "host" {
            Engine::Host
        } else {
            Engine::CodeDeploy {
                application: answer(&self.application, &APPLICATION, &guess)?,
                deployment_group: answer(&self.deployment_group, &GROUP, "production")?,
                region: answer(&self.region, &REGION, "eu-west-1")?,
                bucket: answer(&self.bucket, &BUCKET, &format!("{guess}-revisions"))?,
            }
        };
        let public_url = answer(&self.public_url, &PUBLIC_URL, "")?;
        let target = self.target.as_ref().map_or(guess, ToString::to_string);
        Ok(Answers { target, origin, branch, engine, public_url: Some(public_url).filter(|it| !it.is_empty()) })
    }
}

fn named(engine: EngineArg) -> String {
    engine.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default()
}

/// A question, and what counts as an answer.
struct Question {
    text: &'static str,
    check: fn(&str) -> Result<String, String>,
}

const REPOSITORY: Question = Question {
    text: "Which repository: OWNER/NAME at GitHub, or the path of a bare one on this machine?",
    check: repository,
};
const BRANCH: Question = Question { text: "Which branch goes live?", check: branch };
const ENGINE: Question = Question { text: "Deployed by this machine (host) or by AWS (codedeploy)?", check: engine };
const APPLICATION: Question = Question { text: "CodeDeploy's application?", check: name };
const GROUP: Question = Question { text: "Its deployment group?", check: name };
const REGION: Question = Question { text: "The region?", check: name };
const BUCKET: Question = Question { text: "The bucket for revisions?", check: name };
const PUBLIC_URL: Question = Question {
    text: "At which address is the bot reached, such as https://deploy.example.com? Empty if you do not know yet.",
    check: address_or_nothing,
};

fn repository(text: &str) -> Result<String, String> {
    Origin::parse(text).map(|_| text.to_owned())
}

fn branch(text: &str) -> Result<String, String> {
    RefName::from_short(text).map(|_| text.to_owned()).map_err(|unfit| unfit.to_string())
}

fn engine(text: &str) -> Result<String, String> {
    EngineArg::from_str(text, true).map(named).map_err(|_| format!("`{text}` is neither `host` nor `codedeploy`"))
}

fn name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && !text.chars().any(|it| it.is_control() || it == '"' || it == '\\');
    fits.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is not a name"))
}

fn address(text: &str) -> Result<String, String> {
    let known = reqwest::Url::from_str(text).is_ok_and(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
    let told = || format!("`{text}` is not a web address, such as https://deploy.example.com");
    known.then(|| text.trim_end_matches('/').to_owned()).ok_or_else(told)
}

fn address_or_nothing(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { address(text) }
}

/// Asks until the answer is one. An empty line takes the guess.
fn ask(question: &Question, guess: &str) -> Result<String, Trouble> {
    loop {
        let shown = if guess.is_empty() { String::new() } else { styled(DIM, &format!(" [{guess}]")) };
        talk(&format!("{}{shown} ", styled(BOLD, question.text)));
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line).map_err(|error| {
            Trouble::unreachable(format!("no answer can be read: {}", plainly(&error))).help(OPTIONS)
        })?;
        if read == 0 {
            return Err(Trouble::wrong("no answer, and nothing was written").help(OPTIONS));
        }
        let answer = line.trim();
        match (question.check)(if answer.is_empty() { guess } else { answer }) {
            Ok(answer) => return Ok(answer),
            Err(why) => talk(&format!("  {why}\n")),
        }
    }
}

const OPTIONS: &str = "answer by options instead: `landfall init --help`";

/// The repository that this directory is a copy of, and the branch that is checked out.
fn around(dir: &Path) -> (Option<String>, Option<String>) {
    let here = Repository { path: if dir.is_dir() { dir } else { Path::new(".") } };
    let url = here.git(&["remote", "get-url", "origin"]).ok();
    let origin = url.map(|it| it.trim().to_owned()).filter(|it| Origin::parse(it).is_ok());
    let head = here.git(&["symbolic-ref", "--short", "HEAD"]).ok();
    (origin, head.map(|it| it.trim().to_owned()).filter(|it| branch(it).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_none_says_why() {
        assert_eq!(engine("hots"), Err("`hots` is neither `host` nor `codedeploy`".into()));
        assert_eq!(engine("CodeDeploy"), Ok("codedeploy".into()));
        assert_eq!(address("https://deploy.example.com/"), Ok("https://deploy.example.com".into()));
        assert!(address("deploy.example.com").is_err() && repository("shop").is_err() && name("a\"b").is_err());
    }
}
