//! The steps to a first deployment: which are done, which is next, and the words to type for it. It looks and changes
//! nothing.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::super::configuration::{ConfigArgs, show};
use super::super::exit::{Exit, Outcome};
use super::super::live::mark;
use super::super::pushed::Repository;
use super::super::server::{Server, ServerArgs};
use super::super::terminal::{BOLD, Cell, line_within, room, say, styled};
use super::answers::NOBODYS;
use super::origin::at_github;
use super::seeds::HOOK;
use crate::config::{Config, Environment};
use crate::domain::{EngineSpec, Pattern, SourceSpec, StepStatus, Target};

/// A bot on this machine answers at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// One step.
struct Step {
    name: &'static str,
    status: StepStatus,
    said: String,
    /// What to do, where it is not done.
    how: String,
}

/// What was found out of a target, and of the bot that is to deploy to it.
struct Facts<'a> {
    /// The words that name the configuration, where it is not found without.
    by: String,
    dir: &'a Path,
    target: &'a Target,
    /// The address that GitHub is told.
    door: String,
    /// Whether an AppSpec is in the repository; nothing where that cannot be seen from here.
    appspec: Option<bool>,
    /// What the bot has seen; or why it cannot be asked.
    bot: Result<Seen, String>,
}

/// What a bot that answers has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    delivery: bool,
    deployment: bool,
    success: bool,
}

/// Looks how far it is, and says what comes next.
pub(super) fn tell(dir: &Path, file: &ConfigArgs, environment: &Environment) -> Outcome {
    let by = if dir == Path::new(".") { String::new() } else { format!(" -c {}", file.path().display()) };
    let config = match Config::load(&file.path(), environment) {
        Ok(config) => config,
        Err(findings) => {
            show(&findings);
            let said = format!("`{}` has something to correct", file.path().display());
            say(&told(&[step(
                "configuration",
                false,
                said,
                format!("correct it; `landfall check{by}` shows it again"),
            )]));
            return Ok(Exit::Wrong);
        }
    };
    show(&config.warnings);
    let Some(target) = config.targets.first() else {
        let said = "it has no target".to_owned();
        say(&told(&[step("configuration", false, said, format!("add a `[[target]]` to {}", file.path().display()))]));
        return Ok(Exit::Done);
    };
    let base = config.public_url.as_ref().map_or("https://YOUR-HOST".to_owned(), ToString::to_string);
    let server = ServerArgs::of(file.clone(), environment).find(environment);
    let facts = Facts {
        by,
        dir,
        target,
        door: format!("{}/webhooks/github", base.trim_end_matches('/')),
        appspec: appspec(dir, target),
        bot: server.map_err(|trouble| trouble.to_string()).and_then(|it| seen(&it, target)),
    };
    say(&told(&steps(&facts)));
    Ok(Exit::Done)
}

/// The repository on this machine that the target's commits come from.
fn on_this_machine(target: &Target) -> Option<PathBuf> {
    match &target.source {
        SourceSpec::GitHub => None,
        SourceSpec::Git { url } => reqwest::Url::parse(url).ok()?.to_file_path().ok(),
    }
}

/// Whether the repository has its AppSpec, where its files are in this directory or the repository on this machine.
fn appspec(dir: &Path, target: &Target) -> Option<bool> {
    if let Some(path) = on_this_machine(target) {
        let branch = target.rule.branches.first().map_or("HEAD", Pattern::as_str);
        // git takes no `.` for the top of a tree.
        let root: PathBuf = Path::new(&target.bundle.root).components().filter(|it| *it != Component::CurDir).collect();
        let is_there = |name: &str| {
            let file = root.join(name);
            Repository { path: &path }.git(&["cat-file", "-e", &format!("{branch}:{}", file.display())]).is_ok()
        };
        return ["appspec.yml", "appspec.yaml"].into_iter().any(is_there).then_some(true);
    }
    let here = Repository { path: dir };
    let origin = here.git(&["remote", "get-url", "origin"]).ok()?;
    let is_it = at_github(origin.trim()).is_some_and(|it| it == target.repository);
    is_it.then(|| {
        let top = here.git(&["rev-parse", "--show-toplevel"]).unwrap_or_default();
        let root = Path::new(top.trim()).join(&target.bundle.root);
        ["appspec.yml", "appspec.yaml"].iter().any(|name| root.join(name).exists())
    })
}

/// What the bot has seen.
fn seen(server: &Server, target: &Target) -> Result<Seen, String> {
    let list = |path: &str, key: &str| {
        let answer: Value = server.get_within(PATIENCE, path).map_err(|trouble| trouble.to_string())?;
        Ok::<_, String>(answer[key].as_array().is_some_and(|it| !it.is_empty()))
    };
    let of_target = format!("/api/v1/deployments?target={}&limit=1", target.name);
    Ok(Seen {
        delivery: list(&format!("/api/v1/deliveries?repository={}&limit=1", target.repository), "deliveries")?,
        deployment: list(&of_target, "deployments")?,
        success: list(&format!("{of_target}&state=succeeded"), "deployments")?,
    })
}

/// All steps, in their order.
fn steps(it: &Facts) -> Vec<Step> {
    let Facts { by, dir, target, appspec, bot, .. } = it;
    let (repository, name, file) = (&target.repository, &target.name, dir.join("landfall.toml"));
    let file = file.display();
    let seen = bot.as_ref().copied().unwrap_or_default();
    let is_named = repository.to_string() != NOBODYS;
    let mut steps = vec![step(
        "configuration",
        is_named,
        if is_named { format!("{repository} goes to `{name}`") } else { "it names no repository yet".into() },
        format!("edit {file}: `repository` and `branches`"),
    )];
    let example = dir.join("site").display().to_string();
    steps.push(Step {
        status: match appspec {
            Some(true) => StepStatus::Succeeded,
            Some(false) => StepStatus::Pending,
            None if seen.success => StepStatus::Succeeded,
            None => StepStatus::Unknown,
        },
        ..step(
            "AppSpec",
            false,
            match appspec {
                None if seen.success => "the repository has its appspec.yml".into(),
                Some(true) => "the repository has its appspec.yml".into(),
                Some(false) => "the repository has no appspec.yml".into(),
                None => format!("{repository} needs an appspec.yml; {example} has one to start from"),
            },
            format!("copy {example} into the repository, edit it, and commit; `landfall check PATH` checks it"),
        )
    });
    let outside = if matches!(target.engine, EngineSpec::CodeDeploy(_)) {
        format!("landfall aws template{by}, landfall doctor{by}, then landfall serve{by}")
    } else {
        format!("landfall serve{by}")
    };
    let said = bot.as_ref().err().cloned().unwrap_or_else(|| "it runs".into());
    steps.push(step("bot", bot.is_ok(), said, outside));
    steps.extend(match &target.source {
        SourceSpec::GitHub => Some(webhook(it, seen)),
        SourceSpec::Git { .. } => on_this_machine(target).map(|path| hook(dir, &path, seen)),
    });
    let branch = target.rule.branches.first().map_or("a branch", Pattern::as_str);
    let (said, how) = match (seen.success, seen.deployment) {
        (true, _) => ("the first one succeeded", String::new()),
        (false, true) => ("none has succeeded yet", format!("landfall status {name}{by}")),
        (false, false) => ("none yet", format!("git push origin {branch}, or landfall deploy {name}{by}")),
    };
    steps.push(step("deployment", seen.success, said.into(), how));
    steps
}

/// That GitHub tells of pushes.
fn webhook(it: &Facts, seen: Seen) -> Step {
    let secret = it.dir.join("webhook-secret");
    let how = format!(
        "on GitHub, in {}, Settings, Webhooks, Add webhook: the address {}, content type application/json, and the text \
         of {} as the secret",
        it.target.repository,
        it.door,
        secret.display()
    );
    let said = if seen.delivery { "GitHub's deliveries come in" } else { "no delivery has come in" };
    step("webhook", seen.delivery, said.into(), how)
}

/// That a repository on this machine tells of pushes.
fn hook(dir: &Path, repository: &Path, seen: Seen) -> Step {
    let hooks = repository.join("hooks");
    let is_there = hooks.join(HOOK).exists();
    let said = match (seen.delivery, is_there) {
        (true, _) => "pushes come in".to_owned(),
        (false, true) => format!("{} is there", hooks.join(HOOK).display()),
        (false, false) => format!("{} does not tell of pushes yet", repository.display()),
    };
    let how = format!("cp {} {}/", dir.join(HOOK).display(), hooks.display());
    step("hook", seen.delivery || is_there, said, how)
}

fn step(name: &'static str, is_done: bool, said: String, how: String) -> Step {
    Step { name, status: if is_done { StepStatus::Succeeded } else { StepStatus::Pending }, said, how }
}

/// The steps a line each, and the one to be done next.
fn told(steps: &[Step]) -> String {
    let next = steps.iter().position(|it| it.status == StepStatus::Pending);
    let mut text = String::new();
    for (at, step) in steps.iter().enumerate() {
        let status = if next == Some(at) { StepStatus::InProgress } else { step.status };
        let (style, sign) = mark(status);
        let parts = [Cell::styled(style, sign), Cell::new(format!(" {:<14} {}", step.name, step.said))];
        text += &(line_within(&parts, room().unwrap_or(usize::MAX)) + "\n");
    }
    match next {
        Some(at) => text + &format!("\n{} {}\n", styled(BOLD, "next:"), steps[at].how),
        None => text + "\nall is done: every push is deployed; `landfall status -w` shows it\n",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(repository: &str, appspec: Option<bool>, bot: Result<Seen, &str>, expected: &Expect) {
        let text = format!(
            "data_dir = \"data\"\npublic_url = \"https://deploy.example.com\"\n[github]\nwebhook_secrets = [{{ env = \"S\" \
             }}]\n[[target]]\nname = \"shop\"\nrepository = \"{repository}\"\nbranches = [\"main\"]\n[target.engine]\n\
             kind = \"host\"\n"
        );
        let environment = Environment::of([("S", "0123456789abcdef0123456789abcdef")]);
        let config = Config::parse(&text, "landfall.toml", &environment).unwrap();
        let facts = Facts {
            by: " -c bot/landfall.toml".into(),
            dir: Path::new("bot"),
            target: &config.targets[0],
            door: "https://deploy.example.com/webhooks/github".into(),
            appspec,
            bot: bot.map_err(str::to_owned),
        };
        expected.assert_eq(&anstream::adapter::strip_str(&told(&steps(&facts))).to_string());
    }

    #[test]
    fn the_first_step_that_is_not_done_is_next() {
        let away = Err("no landfall answers at `http://127.0.0.1:8080`: connection refused");
        check(
            "OWNER/REPOSITORY",
            None,
            away,
            &expect![[r#"
            ▸ configuration  it names no repository yet
            ? AppSpec        OWNER/REPOSITORY needs an appspec.yml; bot/site has one to start from
            · bot            no landfall answers at `http://127.0.0.1:8080`: connection refused
            · webhook        no delivery has come in
            · deployment     none yet

            next: edit bot/landfall.toml: `repository` and `branches`
        "#]],
        );
        check(
            "acme/shop",
            Some(false),
            away,
            &expect![[r#"
            ✓ configuration  acme/shop goes to `shop`
            ▸ AppSpec        the repository has no appspec.yml
            · bot            no landfall answers at `http://127.0.0.1:8080`: connection refused
            · webhook        no delivery has come in
            · deployment     none yet

            next: copy bot/site into the repository, edit it, and commit; `landfall check PATH` checks it
        "#]],
        );
        check(
            "acme/shop",
            None,
            away,
            &expect![[r#"
            ✓ configuration  acme/shop goes to `shop`
            ? AppSpec        acme/shop needs an appspec.yml; bot/site has one to start from
            ▸ bot            no landfall answers at `http://127.0.0.1:8080`: connection refused
            · webhook        no delivery has come in
            · deployment     none yet

            next: landfall serve -c bot/landfall.toml
        "#]],
        );
        check(
            "acme/shop",
            Some(true),
            Ok(Seen::default()),
            &expect![[r#"
            ✓ configuration  acme/shop goes to `shop`
            ✓ AppSpec        the repository has its appspec.yml
            ✓ bot            it runs
            ▸ webhook        no delivery has come in
            · deployment     none yet

            next: on GitHub, in acme/shop, Settings, Webhooks, Add webhook: the address https://deploy.example.com/webhooks/github, content type application/json, and the text of bot/webhook-secret as the secret
        "#]],
        );
        let failed = Seen { delivery: true, deployment: true, success: false };
        check(
            "acme/shop",
            None,
            Ok(failed),
            &expect![[r#"
            ✓ configuration  acme/shop goes to `shop`
            ? AppSpec        acme/shop needs an appspec.yml; bot/site has one to start from
            ✓ bot            it runs
            ✓ webhook        GitHub's deliveries come in
            ▸ deployment     none has succeeded yet

            next: landfall status shop -c bot/landfall.toml
        "#]],
        );
        check(
            "acme/shop",
            None,
            Ok(Seen { success: true, ..failed }),
            &expect![[r#"
            ✓ configuration  acme/shop goes to `shop`
            ✓ AppSpec        the repository has its appspec.yml
            ✓ bot            it runs
            ✓ webhook        GitHub's deliveries come in
            ✓ deployment     the first one succeeded

            all is done: every push is deployed; `landfall status -w` shows it
        "#]],
        );
    }
}
