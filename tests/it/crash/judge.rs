//! Whether a series of kills left anything lost, twice or without an end. The ledger is read as text, and believed only
//! where GitHub, CodeDeploy and the hooks remember the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use landfall::domain::{
    BotEvent, Cause, DeliveryEvent, Deployment, DeploymentEvent, DeploymentId, EngineSpec, Event, Record, State, Stream,
};

use super::load::Load;
use super::storm::Stage;
use crate::worlds::github::Status;

/// The records that lie on disk, up to the first that is not whole.
fn records(dir: &Path) -> Vec<Record> {
    let Ok(entries) = fs::read_dir(dir.join("data/ledger/log")) else { return vec![] };
    let mut segments: Vec<_> =
        entries.map(|it| it.unwrap().path()).filter(|it| it.extension().unwrap() == "log").collect();
    segments.sort();
    let text: String = segments.iter().map(|it| String::from_utf8_lossy(&fs::read(it).unwrap()).into_owned()).collect();
    let lines = text.lines().filter(|line| !line.starts_with("{\"frame\":"));
    lines.map_while(|line| Record::from_line(line).ok()).collect()
}

fn deployments(records: &[Record]) -> BTreeMap<DeploymentId, Deployment> {
    let mut found: BTreeMap<DeploymentId, Deployment> = BTreeMap::new();
    for record in records {
        let (Stream::Deployment(id), Event::Deployment(event)) = (&record.stream, &record.event) else { continue };
        if matches!(event, DeploymentEvent::Planned { .. }) {
            found.insert(*id, Deployment::born(*id, record.at, event).unwrap());
        } else {
            found.get_mut(id).unwrap().apply(record.at, event).unwrap();
        }
    }
    found
}

/// The states that deployments were in which were not over.
pub(super) fn open_states(dir: &Path) -> BTreeSet<&'static str> {
    let all = deployments(&records(dir));
    let open: BTreeSet<_> = all.values().map(Deployment::state).filter(|it| !it.is_over()).map(State::name).collect();
    if open.is_empty() { BTreeSet::from(["nothing"]) } else { open }
}

/// Everything that is not as it should be, a sentence each. What may still come right has no `twice` in it.
pub(super) fn wrong(stage: &Stage, load: &Load<'_>) -> Vec<String> {
    let records = records(&stage.dir);
    let all = deployments(&records);
    let open = all.values().filter(|it| !it.state().is_over());
    let mut wrong: Vec<_> = open.map(|it| format!("{} is {}", it.id(), it.state().name())).collect();
    lost(&records, &all, load, stage, &mut wrong);
    by_itself_once(&all, &mut wrong);
    hooks(&all, stage, &mut wrong);
    codedeploy(&all, stage, &mut wrong);
    statuses(&all, stage, &mut wrong);
    wrong
}

/// What was answered with 202 is there, once; and the newest commit of each branch was seen to.
fn lost(
    records: &[Record],
    all: &BTreeMap<DeploymentId, Deployment>,
    load: &Load<'_>,
    stage: &Stage,
    wrong: &mut Vec<String>,
) {
    let (mut received, mut requested) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
    for record in records {
        match (&record.stream, &record.event) {
            (Stream::Delivery(id), Event::Delivery(DeliveryEvent::Received { plans, .. })) => {
                *received.entry(id.to_string()).or_default() += 1;
                let born = plans.iter().filter_map(|it| it.deployment);
                wrong.extend(born.filter(|it| !all.contains_key(it)).map(|it| format!("{it} was never born")));
            }
            (Stream::Bot, Event::Bot(BotEvent::Requested { request, .. })) => {
                *requested.entry(request.key.clone()).or_default() += 1;
            }
            _ => {}
        }
    }
    for (known, answered) in [(received, &load.accepted), (requested, &load.asked)] {
        wrong.extend(answered.iter().filter(|it| !known.contains_key(*it)).map(|it| format!("{it} is lost")));
        wrong.extend(known.iter().filter(|(_, times)| **times > 1).map(|(it, _)| format!("{it} was taken twice")));
    }
    for (target, head) in [("site", stage.site.head()), ("shop", stage.shop.head())] {
        let is_seen = all.values().any(|it| it.order().target.name.as_str() == target && it.order().sha == head);
        if !is_seen {
            wrong.push(format!("the head of {target}, {head}, was never planned"));
        }
    }
}

/// Nobody asked for it twice, so it is released once; and what somebody asked for goes on to the next target once.
fn by_itself_once(all: &BTreeMap<DeploymentId, Deployment>, wrong: &mut Vec<String>) {
    let mut once = BTreeSet::new();
    for it in all.values().filter(|it| it.run().is_some()) {
        if let Some(because_of) = by_itself(all, it)
            && !once.insert((it.order().target.name.clone(), it.order().sha.clone(), because_of))
        {
            wrong.push(format!("{} was deployed to {} twice", it.order().sha, it.order().target.name));
        }
    }
}

/// Nothing where a person asked for this very deployment; else the one that a person asked for and that led to it, if any.
fn by_itself(all: &BTreeMap<DeploymentId, Deployment>, it: &Deployment) -> Option<Option<DeploymentId>> {
    match it.order().cause {
        Cause::Push { .. } | Cause::CatchUp => Some(None),
        Cause::Promotion { .. } => {
            let parent = it.order().parent?;
            Some(by_itself(all, all.get(&parent)?).unwrap_or(Some(parent)))
        }
        Cause::Request { .. } | Cause::Chosen { .. } | Cause::Redeploy { .. } | Cause::Replay { .. } => None,
        Cause::Rollback { .. } | Cause::Restart { .. } => None,
    }
}

/// Each run of the host engine ran its hook once, whatever the ledger says of it.
fn hooks(all: &BTreeMap<DeploymentId, Deployment>, stage: &Stage, wrong: &mut Vec<String>) {
    let text = fs::read_to_string(stage.dir.join("runs")).unwrap_or_default();
    let runs: Vec<(&str, &str)> = text.lines().filter_map(|it| it.split_once(' ')).collect();
    let ours = |it: &&Deployment| matches!(it.order().target.engine, EngineSpec::Host(_));
    let known: BTreeMap<&str, &Deployment> =
        all.values().filter(ours).filter_map(|it| Some((it.run()?.as_str(), it))).collect();
    let mut once = BTreeSet::new();
    for (run, page) in &runs {
        if !once.insert(*run) {
            wrong.push(format!("the hook of {run}, {page}, ran twice"));
        }
        if !known.contains_key(run) {
            wrong.push(format!("nobody knows of {run}, {page}"));
        }
    }
    for (run, it) in known {
        if matches!(it.state(), State::Succeeded { .. }) && !once.contains(run) {
            wrong.push(format!("{} is told to have succeeded, and never ran", it.id()));
        }
    }
    let page = fs::read_to_string(stage.dir.join("www/index.html")).unwrap_or_default();
    if let Some((run, last)) = runs.last().filter(|(_, last)| !last.starts_with("bad") && *last != page) {
        wrong.push(format!("`{page}` is served, and {run} brought `{last}`"));
    }
}

/// CodeDeploy has one deployment for each of ours that it should have, and none that we do not know.
fn codedeploy(all: &BTreeMap<DeploymentId, Deployment>, stage: &Stage, wrong: &mut Vec<String>) {
    let mut once = BTreeMap::new();
    for it in stage.codedeploy.deployments() {
        let description = it.input["description"].as_str().unwrap_or_default().to_owned();
        let marker = description.split(' ').next().and_then(|it| it.strip_prefix("landfall:")).unwrap_or_default();
        match marker.get(..26).and_then(|it| it.parse::<DeploymentId>().ok()).and_then(|id| all.get(&id)) {
            None => wrong.push(format!("nobody knows of {}: `{description}`", it.id)),
            Some(ours) => {
                if let Some(before) = once.insert(ours.id(), it.id.clone()) {
                    wrong.push(format!("{} was made at CodeDeploy twice: {before} and {}", ours.id(), it.id));
                }
                if ours.run().is_some_and(|run| run.as_str() != it.id) {
                    wrong.push(format!("{} follows another than {}", ours.id(), it.id));
                }
            }
        }
    }
    for it in all.values().filter(|it| matches!(it.order().target.engine, EngineSpec::CodeDeploy(_))) {
        if it.run().is_some() && !once.contains_key(&it.id()) {
            wrong.push(format!("{} was never made at CodeDeploy", it.id()));
        }
    }
}

/// The last status of each commit and target is final, and what the deployment that it leads to came to.
fn statuses(all: &BTreeMap<DeploymentId, Deployment>, stage: &Stage, wrong: &mut Vec<String>) {
    let statuses = stage.github.statuses();
    let last: BTreeMap<(String, String), &Status> =
        statuses.iter().map(|it| ((it.sha.clone(), it.context.clone()), it)).collect();
    for it in all.values().filter(|it| it.state().is_over()) {
        let (sha, target) = (it.order().sha.to_string(), &it.order().target.name);
        let Some(status) = last.get(&(sha.clone(), format!("landfall/{target}"))) else {
            wrong.push(format!("nothing was told of {} ({sha}, {target})", it.id()));
            continue;
        };
        let told = status.target_url.as_deref().and_then(|url| url.rsplit('/').next()?.parse::<DeploymentId>().ok());
        let Some(of) = told.and_then(|id| all.get(&id)) else {
            wrong.push(format!("a status leads nowhere: {status:?}"));
            continue;
        };
        let fits = match status.state.as_str() {
            "success" => matches!(of.state(), State::Succeeded { .. } | State::Skipped { .. }),
            "failure" | "error" => of.state().is_over() && !matches!(of.state(), State::Succeeded { .. }),
            _ => false,
        };
        if !fits {
            wrong.push(format!("{} is {}, and its last status {status:?}", of.id(), of.state().name()));
        }
    }
}

/// How many final statuses were said once more, word for word: a bot that was killed between GitHub's answer and the
/// ledger cannot know that it was heard.
pub(super) fn told_again(stage: &Stage) -> usize {
    let mut said = BTreeSet::new();
    let is_final = |it: &Status| it.state != "pending";
    let key = |it: Status| (it.sha, it.context, it.state, it.description, it.target_url);
    stage.github.statuses().into_iter().filter(is_final).filter(|it| !said.insert(key(it.clone()))).count()
}
