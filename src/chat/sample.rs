//! A made-up bulletin for each news: what `landfall notify test` sends. It names nothing and nobody that there is, and says
//! of itself that it is a test.

use jiff::Timestamp;

use super::bulletin::{Bulletin, Changes, Commit, Links, Place, Step, Trouble};
use crate::domain::{Approval, DeploymentId, News, StepStatus};

/// What would be said of such news at `at`, with all that it usually has. `dashboard`: where people reach it, where that is
/// known. All samples of one moment are of one deployment.
pub fn sample(news: News, at: Timestamp, dashboard: Option<&str>) -> Bulletin {
    let place = ["sample", "example", "example/sample", "main"].map(str::to_owned);
    let [target, environment, repository, reference] = place;
    let is_rollback = news == News::RolledBack;
    let dashboard = dashboard.map(|it| format!("{}/", it.trim_end_matches('/')));
    Bulletin {
        deployment: DeploymentId::derive(at, &["sample"]),
        news,
        at,
        is_test: true,
        place: Place { target, environment, repository, reference },
        commit: commit("1e55ad0", "Say hello in every language"),
        text: text(news).into(),
        // No login at GitHub has a blank: the configuration's `people` call nobody for it.
        actor: Some("no one".into()),
        cause: is_rollback.then(|| "rollback".into()),
        seconds: if news == News::Started { 0 } else { 72 },
        live: live(news),
        changes: changes(news),
        steps: steps(news),
        trouble: (news == News::Failed).then(trouble),
        approval: (news == News::Held).then_some(Approval::Release),
        links: Links { deployment: dashboard.clone(), dashboard, engine: None },
    }
}

fn text(news: News) -> &'static str {
    match news {
        News::Held => "waits until one person approves it",
        News::Started => "deploying",
        News::Progressing => "deploying: AfterInstall (2 of 3)",
        News::Succeeded => "deployed in 1 min 12 s",
        News::Recovered => "deployed in 1 min 12 s; the one before failed",
        News::Failed => "AfterInstall failed: scripts/migrate.sh ended with exit code 7",
        News::RolledBack => "rolled back to 0dd5eed",
        News::Stopped => "stopped by no one",
        News::Superseded => "superseded by ca11ab1",
        News::Refused => "refused: appspec.yml is missing",
        News::Skipped => "left out: nothing that it deploys has changed",
    }
}

fn commit(short: &str, title: &str) -> Commit {
    Commit {
        sha: short.repeat(6)[..40].to_owned(),
        short: short.into(),
        title: Some(title.into()),
        author: Some("no one".into()),
        url: Some(format!("https://example.com/sample/commit/{short}")),
    }
}

/// What serves people instead of the sample's commit.
fn live(news: News) -> Option<Commit> {
    let is_other = matches!(news, News::Held | News::Failed | News::Stopped | News::Superseded | News::Refused);
    is_other.then(|| commit("0dd5eed", "Say hello"))
}

fn changes(news: News) -> Option<Changes> {
    let is_told = matches!(news, News::Started | News::Progressing | News::Succeeded | News::Recovered | News::Failed);
    is_told.then(|| Changes {
        commits: vec![commit("1e55ad0", "Say hello in every language"), commit("ba5eba1", "Count the languages")],
        more: 3,
        url: Some("https://example.com/sample/compare".into()),
    })
}

fn steps(news: News) -> Vec<Step> {
    let step = |name: &str, status, took_ms| Step { name: name.into(), status, instance: None, took_ms };
    let installed = step("Install", StepStatus::Succeeded, Some(1_200));
    match news {
        News::Progressing => vec![installed, step("AfterInstall", StepStatus::InProgress, None)],
        News::Succeeded | News::Recovered => vec![installed, step("AfterInstall", StepStatus::Succeeded, Some(3_400))],
        News::Failed => vec![installed, step("AfterInstall", StepStatus::Failed, Some(800))],
        News::Held | News::Started | News::RolledBack | News::Stopped => vec![],
        News::Superseded | News::Refused | News::Skipped => vec![],
    }
}

fn trouble() -> Trouble {
    Trouble {
        code: "chat/sample".into(),
        message: "scripts/migrate.sh ended with exit code 7".into(),
        hint: Some("read the log, mend the script, and push again".into()),
        event: Some("AfterInstall".into()),
        instance: Some("i-0000000000example".into()),
        script: Some("scripts/migrate.sh".into()),
        exit_code: Some(7),
        log: Some("[stdout]migrating 12 tables\n[stderr]there is no table `languages`\n".into()),
    }
}
