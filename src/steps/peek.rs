//! Peek: the AppSpec alone at a commit, its variables filled in, before anything else is fetched or made. Only reads.

use crate::appspec::{self, AppSpec, Filled, Variables};
use crate::config::{SecretError, SecretRef};
use crate::domain::{
    Blame, CodeDeploySpec, CommitSha, EngineSpec, Failure, Findings, Mask, Order, Platform, Variable, Weighed,
};
use crate::source::{Source, SourceError};

/// What AWS documents for servers, and a name that is often used.
const OF_SERVERS: &[&str] = &["appspec.yml", "appspec.yaml"];
const OF_OTHERS: &[&str] = &["appspec.yaml", "appspec.yml", "appspec.json"];
/// Where nobody knows yet what it is for.
const OF_ANY: &[&str] = &["appspec.yml", "appspec.yaml", "appspec.json"];

/// The AppSpec of a commit as far as it could be read, its path in the repository, and everything found in it.
pub(super) async fn peek(
    source: &Source,
    order: &Order,
    weighed: &Weighed,
    platform: Option<Platform>,
) -> Result<(Filled, String, Findings), Failure> {
    let (file, text) = text(source, order, &weighed.commit, platform).await?;
    let (variables, mask) = variables(order, weighed)?;
    let (filled, mut findings) = appspec::parse_filled(&text, &file, &variables);
    for finding in &mut findings.0 {
        finding.message = mask.apply(&finding.message);
    }
    match filled {
        Some(filled) => Ok((filled, file, findings)),
        None => Err(broken(&file, &findings)),
    }
}

/// What CodeDeploy is told of the target, where it is CodeDeploy's.
pub(super) fn codedeploy(order: &Order) -> Option<&CodeDeploySpec> {
    match &order.target.engine {
        EngineSpec::CodeDeploy(spec) => Some(spec),
        EngineSpec::Host(_) => None,
    }
}

/// What an AppSpec is for.
pub(super) fn platform_of(spec: &AppSpec) -> Platform {
    match spec {
        AppSpec::Server(_) => Platform::Server,
        AppSpec::Lambda(_) => Platform::Lambda,
        AppSpec::Ecs(_) => Platform::Ecs,
    }
}

/// The refusal of an AppSpec that is for one platform where the target is for another.
pub(super) fn of_other_platform(order: &Order, file: &str, of: Platform, platform: Platform) -> Failure {
    let (target, help) = match codedeploy(order) {
        Some(spec) => (
            format!("application `{}` is for {platform}", spec.application),
            "write an AppSpec for the application's platform, or correct `application` under `[target.engine]`",
        ),
        None => ("the host engine deploys to servers".to_owned(), "deploy it with an engine of kind `codedeploy`"),
    };
    Failure::revision("steps/appspec-of-other-platform", format!("`{file}` is for {of}, and {target}")).help(help)
}

async fn text(
    source: &Source,
    order: &Order,
    commit: &CommitSha,
    platform: Option<Platform>,
) -> Result<(String, String), Failure> {
    let root = &order.target.bundle.root;
    let path = |name: &str| if root.is_empty() { name.to_owned() } else { format!("{root}/{name}") };
    let named = codedeploy(order).and_then(|it| it.appspec.as_deref());
    let names = match (platform, named) {
        (Some(Platform::Server), Some(named)) => return Err(not_for_servers(named)),
        (Some(Platform::Server), None) => OF_SERVERS,
        (Some(Platform::Lambda | Platform::Ecs) | None, Some(named)) => &[named],
        (Some(Platform::Lambda | Platform::Ecs), None) => OF_OTHERS,
        (None, None) => OF_ANY,
    };
    for name in names {
        if let Some(bytes) = source.peek(commit, &path(name)).await.map_err(not_yet)? {
            let text = String::from_utf8(bytes.into()).map_err(|_| {
                Failure::revision("steps/appspec-not-utf8", format!("`{}` is not UTF-8 text", path(name)))
                    .help("save it as UTF-8")
            })?;
            return Ok((path(name), text));
        }
    }
    let failure = no_appspec(&path(names[0]), commit, &elsewhere(source, commit, names[0]).await);
    Err(match named {
        Some(_) => failure.help("correct `appspec` under `[target.engine]`, or add the file there"),
        None => failure,
    })
}

fn not_for_servers(named: &str) -> Failure {
    let text = format!("`appspec` names `{named}`, and servers read `appspec.yml` at the bundle's root alone");
    Failure::setup("steps/appspec-path", text)
        .help("take `appspec` out, or correct `application` under `[target.engine]`")
}

/// What the names of an AppSpec stand for here, and what of it nobody may read in a finding.
fn variables(order: &Order, weighed: &Weighed) -> Result<(Variables, Mask), Failure> {
    let mut variables = Variables::default();
    variables.set("sha", weighed.commit.as_str());
    variables.set("short_sha", weighed.commit.short());
    variables.set("ref", order.reference.as_str());
    variables.set("target", order.target.name.as_str());
    variables.set("environment", order.target.environment.as_str());
    for (name, value) in [("branch", order.reference.branch()), ("tag", order.reference.tag())] {
        match value {
            Some(value) => variables.set(name, value),
            None => variables.lack(name, format!("`{}` is none", order.reference.short())),
        }
    }
    let (always, mut hidden) = (variables.clone(), vec![]);
    for (name, variable) in codedeploy(order).iter().flat_map(|it| &it.variables) {
        match value(name, variable, &always)? {
            Value::Known(text) => variables.set(name, text),
            Value::Hidden(text) => {
                hidden.push(text.clone());
                variables.set(name, text);
            }
            Value::Lacking(why) => variables.lack(name, why),
        }
    }
    Ok((variables, Mask::new(hidden)))
}

/// What a declared variable stands for.
enum Value {
    /// A text that the configuration shows.
    Known(String),
    /// A text from elsewhere, which no finding repeats.
    Hidden(String),
    /// Nothing, here.
    Lacking(String),
}

fn value(name: &str, variable: &Variable, always: &Variables) -> Result<Value, Failure> {
    let lies = match variable {
        Variable::Text { text } => {
            return Ok(match always.fill(text) {
                Ok(text) => Value::Known(text),
                // Only whoever uses it is told.
                Err(unfilled) => Value::Lacking(unfilled.message),
            });
        }
        Variable::Env { name } => SecretRef::Env(name.clone()),
        Variable::File { path } => SecretRef::File(path.clone()),
    };
    let missing = |error: SecretError| {
        let why = match &error {
            SecretError::Unset { .. } => error.to_string(),
            SecretError::Unreadable { path, source } => {
                format!("`{}` cannot be read: {}", path.display(), crate::domain::plainly(source))
            }
            SecretError::Empty { .. } => "there is nothing in it".to_owned(),
        };
        // It may be written while this waits.
        Failure::passing("steps/variable-missing", format!("the variable `{name}`: {why}")).help(error.help())
    };
    lies.read().map(|secret| Value::Hidden(secret.expose().to_owned())).map_err(missing)
}

/// Where else an AppSpec lies. It only helps a person: a source that does not tell leaves the refusal as it is.
async fn elsewhere(source: &Source, commit: &CommitSha, name: &str) -> Vec<String> {
    source.named(commit, name).await.unwrap_or_default()
}

fn no_appspec(expected: &str, commit: &CommitSha, elsewhere: &[String]) -> Failure {
    let message = format!("there is no `{expected}` in {}", commit.short());
    let root = |path: &String| path.rsplit_once('/').map_or(".", |(root, _)| root).to_owned();
    match elsewhere {
        [] => Failure::revision("steps/no-appspec", message)
            .help("add an AppSpec there, or set `bundle.root` to the directory that holds one"),
        [only] => Failure::revision("steps/no-appspec", format!("{message}, but there is `{only}`"))
            .help(format!("set `root = \"{}\"` under the target's `bundle`, or move the file", root(only))),
        [first, rest @ ..] => {
            let message = format!("{message}, but there are `{first}` and {} more", rest.len());
            Failure::revision("steps/no-appspec", message)
                .help(format!("set `root` under the target's `bundle` to one's directory, such as `{}`", root(first)))
        }
    }
}

/// What the source could not give. It knew us and the commit a moment ago, when it was weighed: whatever it says now
/// against the set-up (a token that ran out, a commit that its archives have not heard of) is asked again, as it is when
/// weighing. What the revision is to blame for stays refused.
pub(super) fn not_yet(error: SourceError) -> Failure {
    let mut failure = error.failure();
    failure.passing = failure.blame == Blame::Setup;
    failure
}

pub(super) fn broken(file: &str, findings: &Findings) -> Failure {
    let first = findings.errors().next().map_or_else(|| "it cannot be read".to_owned(), |it| it.message.clone());
    let more = match findings.errors().count() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Failure::revision("steps/broken-appspec", format!("`{file}`: {first}{more}"))
        .help("run `landfall check` in the repository, which shows every finding in its place")
        .findings(findings)
}
