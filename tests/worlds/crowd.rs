//! Very many targets at once, each with a branch, a deployment group and a lot of its own: the outside of a bot under
//! load, and the people who stop and approve. It knows what must come of each, and says what came otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfall::clients::Clock;
use landfall::domain::{Approval, Ask, DeploymentId};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::codedeploy::{Course, Minimum, Moves, Plan, Scenario, Seen, World};
use super::github::GitHubWorld;
use super::push;
use super::repository::Repository;
use super::s3::Buckets;

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: /srv/site\n";

/// How many branches a repository has, of which each goes to a target of its own.
const BRANCHES: usize = 25;

/// How many instances the largest fleet has.
const LARGEST: usize = 200;

/// A machine that builds something else meanwhile is slow.
const PATIENCE: Duration = Duration::from_secs(540);

/// For how many steps people think before they stop or approve.
const THOUGHT: usize = 3;

/// What watching costs, of which a tick bears so many. The calls that make a deployment come once each, and are not among
/// them.
pub(crate) const WATCHING: [&str; 3] = ["BatchGetDeployments", "ListDeploymentTargets", "BatchGetDeploymentTargets"];

/// What becomes of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lot {
    /// It succeeds.
    Succeeds,
    /// It bakes for a while, and succeeds.
    Bakes,
    /// It waits before traffic moves, until somebody approves.
    Waits,
    /// Its first instance fails, and the fleet with it.
    Fails,
    /// It goes on until somebody stops it.
    Stops,
}

/// Of ten deployments.
const LOTS: [Lot; 10] = [
    Lot::Succeeds,
    Lot::Fails,
    Lot::Succeeds,
    Lot::Bakes,
    Lot::Succeeds,
    Lot::Waits,
    Lot::Fails,
    Lot::Succeeds,
    Lot::Stops,
    Lot::Succeeds,
];

impl Lot {
    /// How it ends at CodeDeploy, and in the ledger, and on GitHub.
    fn ends(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Succeeds | Self::Bakes | Self::Waits => ("Succeeded", "succeeded", "success"),
            Self::Fails => ("Failed", "failed", "failure"),
            Self::Stops => ("Stopped", "stopped", "error"),
        }
    }
}

/// A target, by the name of which its deployment group is called too.
pub(crate) struct Member {
    pub(crate) name: String,
    repository: usize,
    branch: String,
    sha: String,
    pub(crate) lot: Lot,
    size: usize,
}

/// All of them, with GitHub, S3 and CodeDeploy.
pub(crate) struct Crowd {
    pub(crate) github: GitHubWorld,
    pub(crate) codedeploy: World,
    pub(crate) members: Vec<Member>,
    s3: Buckets,
    repositories: Vec<Repository>,
    clock: Clock,
}

/// How many calls came in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// In the busiest span of this length, wherever it begins.
    pub(crate) most: usize,
    /// In the middle one of the spans that follow each other.
    pub(crate) median: usize,
}

impl Crowd {
    /// So many targets, whose commits are made and not pushed. Nothing moves at CodeDeploy until [`Self::drive`].
    pub(crate) fn gather(count: usize, clock: &Clock) -> Self {
        let (github, codedeploy) = (GitHubWorld::start(), World::start(clock.clone()));
        codedeploy.moves(Moves::WhenTold);
        let (mut members, mut repositories) = (Vec::new(), Vec::<Repository>::new());
        for number in 0..count {
            let (at, branch) = (number / BRANCHES, format!("b{:02}", number % BRANCHES));
            if at == repositories.len() {
                let made = github.repository(&repository_name(at));
                made.commit_and_push("begin", &[("README", "nobody deploys main")]);
                repositories.push(made);
            }
            let (name, title) = (format!("t{number:04}"), format!("{number}"));
            let sha = repositories[at].commit(&title, &[("appspec.yml", APPSPEC), ("index.html", &title)]).to_string();
            let (lot, size) = (LOTS[number % LOTS.len()], 1 + number * 37 % LARGEST);
            codedeploy.add_group(&name);
            if lot == Lot::Waits {
                codedeploy.blue_green("shop", &name);
            }
            codedeploy.script_for(&name, scenario(lot, size));
            members.push(Member { name, repository: at, branch, sha, lot, size });
        }
        Self { github, codedeploy, members, s3: Buckets::start(), repositories, clock: clock.clone() }
    }

    /// The bot's configuration, whose data lies in `dir`.
    pub(crate) fn configuration(&self, dir: &Path, listen: &str) -> String {
        let (api, token, dir) = (self.github.config().api_url, self.github.token_file(), dir.display());
        let mut text = format!(
            "data_dir = \"{dir}/data\"\n[server]\nlisten = \"{listen}\"\n[github]\napi_url = \"{api}\"\n\
             webhook_secrets = [{{ file = \"{dir}/secret\" }}]\ntoken = {{ file = \"{}\" }}\nbetween_writes = \"5ms\"\n",
            token.display()
        );
        for Member { name, repository, branch, .. } in &self.members {
            text += &format!(
                "[[target]]\nname = \"{name}\"\nrepository = \"{}\"\nbranches = [\"{branch}\"]\n\
                 [target.revisions]\ns3 = {{ bucket = \"revisions\", prefix = \"{name}\", region = \"eu-west-1\", \
                 endpoint_url = \"{}\", force_path_style = true }}\n\
                 [target.engine]\nkind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"{name}\"\n\
                 region = \"eu-west-1\"\nendpoint_url = \"{}\"\n",
                repository_name(*repository),
                self.s3.url(),
                self.codedeploy.url()
            );
        }
        text
    }

    /// Pushes every branch to GitHub, which delivers nothing by itself.
    pub(crate) fn push(&self) {
        for (at, repository) in self.repositories.iter().enumerate() {
            let mine = self.members.iter().filter(|it| it.repository == at);
            let refs: Vec<String> = mine.map(|it| format!("{}:refs/heads/{}", it.sha, it.branch)).collect();
            repository.push(&refs.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// What GitHub's webhooks say of it: an id and a payload for each target.
    pub(crate) fn deliveries(&self) -> Vec<(String, Value)> {
        let delivery = |it: &Member| {
            let mut payload = push::payload(&repository_name(it.repository), &it.sha);
            payload["ref"] = json!(format!("refs/heads/{}", it.branch));
            payload["repository"]["id"] = json!(1000 + it.repository);
            (format!("push-{}", it.name), payload)
        };
        self.members.iter().map(delivery).collect()
    }

    /// Waits until each is at CodeDeploy, then moves them all together, a step at each `every`, and stops and approves
    /// what waits for people, until all are over and GitHub was told. `ids` are the deployments, in the members' order.
    pub(crate) fn drive(&self, every: Duration, ids: &[DeploymentId], ask: impl Fn(Ask)) {
        self.wait_for("every deployment to be created", || self.codedeploy.deployments().len() >= self.members.len());
        let (mut asked, mut ripe) = (BTreeSet::new(), BTreeMap::<usize, usize>::new());
        let every = SignedDuration::try_from(every).unwrap();
        let began = Instant::now();
        loop {
            let seen = by_group(self.codedeploy.deployments());
            let is_active = |it: &Seen| !matches!(it.status.as_str(), "Succeeded" | "Failed" | "Stopped");
            if seen.values().flatten().all(|it| !is_active(it)) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "some never end: {:?}", self.wrongs().first());
            for (at, member) in self.members.iter().enumerate() {
                let status = seen[&member.name][0].status.as_str();
                let (ask_for, of) = match (member.lot, status) {
                    (Lot::Stops, "InProgress") => (true, Ask::Stop { deployment: ids[at], rollback: false }),
                    (Lot::Waits, "Ready") => {
                        (true, Ask::Approve { deployment: ids[at], of: Some(Approval::Traffic), reason: None })
                    }
                    _ => continue,
                };
                let thought = ripe.entry(at).or_default();
                *thought += 1;
                if ask_for && *thought > THOUGHT && asked.insert(at) {
                    ask(of);
                }
            }
            let next = self.clock.now() + every;
            self.wait_for("the next step", || self.clock.now() >= next);
            self.codedeploy.tick();
        }
        self.wait_for("GitHub's last words", || {
            let last = self.last_words();
            self.members.iter().all(|it| last.get(&it.name).is_some_and(|(state, _)| state != "pending"))
        });
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}: {:?}", self.wrongs().first());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last status of each target: its state, and what it says.
    fn last_words(&self) -> BTreeMap<String, (String, String)> {
        let name = |context: &str| context.trim_start_matches("landfall/").to_owned();
        self.github.statuses().into_iter().map(|it| (name(&it.context), (it.state, it.description))).collect()
    }

    /// What came otherwise than it must, at CodeDeploy and on GitHub: nothing where all is well.
    pub(crate) fn wrongs(&self) -> Vec<String> {
        let (seen, words) = (by_group(self.codedeploy.deployments()), self.last_words());
        let mut wrongs = Vec::new();
        for Member { name, lot, size, .. } in &self.members {
            let (status, _, state) = lot.ends();
            let made: Vec<&str> = seen.get(name).into_iter().flatten().map(|it| it.status.as_str()).collect();
            if made != [status] {
                wrongs.push(format!("{name} ({lot:?}, {size}): made {made:?}, not one that ends {status}"));
            }
            let (told, text) = words.get(name).cloned().unwrap_or_default();
            if told != state {
                wrongs.push(format!("{name} ({lot:?}, {size}): GitHub was told {told:?}, not {state}: {text}"));
            }
            let names_it = ["ValidateService", "i-001", "scripts/check.sh"].iter().all(|it| text.contains(it));
            if *lot == Lot::Fails && !names_it {
                wrongs.push(format!("{name} ({lot:?}, {size}): the diagnostics are missing: {text}"));
            }
        }
        wrongs
    }

    /// What the ledger must say of each, by name.
    pub(crate) fn states(&self) -> BTreeMap<String, &'static str> {
        self.members.iter().map(|it| (it.name.clone(), it.lot.ends().1)).collect()
    }

    /// How many of these calls came to CodeDeploy in a tick of this length.
    pub(crate) fn ticks(&self, long: Duration, wanted: impl Fn(&str) -> bool) -> Ticks {
        let calls = self.codedeploy.timed_calls().into_iter().filter(|(_, call)| wanted(call));
        ticks(&calls.map(|(at, _)| at).collect::<Vec<_>>(), SignedDuration::try_from(long).unwrap())
    }
}

/// The one deployment that the door says it planned.
pub(crate) fn born(answer: &Value) -> DeploymentId {
    let plans = answer["plans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let born: Vec<&str> = plans.iter().filter_map(|it| it["deployment"].as_str()).collect();
    let [id] = born[..] else { panic!("not one deployment: {answer}") };
    id.parse().unwrap()
}

/// Of calls in the order in which they came.
fn ticks(calls: &[Timestamp], long: SignedDuration) -> Ticks {
    let (mut most, mut first) = (0, 0);
    for (at, call) in calls.iter().enumerate() {
        while call.duration_since(calls[first]) >= long {
            first += 1;
        }
        most = most.max(at + 1 - first);
    }
    let begin = calls.first().copied().unwrap_or_default();
    let mut spans = BTreeMap::<i128, usize>::new();
    for call in calls {
        *spans.entry(call.duration_since(begin).as_nanos() / long.as_nanos()).or_default() += 1;
    }
    let mut counts: Vec<usize> =
        (0..=spans.keys().last().copied().unwrap_or(0)).map(|at| spans.get(&at).copied().unwrap_or(0)).collect();
    counts.sort_unstable();
    Ticks { most, median: counts[counts.len() / 2] }
}

fn by_group(seen: Vec<Seen>) -> BTreeMap<String, Vec<Seen>> {
    let mut of = BTreeMap::<String, Vec<Seen>>::new();
    for it in seen {
        of.entry(it.input["deploymentGroupName"].as_str().unwrap().to_owned()).or_default().push(it);
    }
    of
}

fn repository_name(number: usize) -> String {
    format!("acme/r{number:02}")
}

fn scenario(lot: Lot, size: usize) -> Scenario {
    let fleet = |minimum| Plan::of(size, minimum);
    match lot {
        Lot::Succeeds if size.is_multiple_of(2) => Scenario::of(fleet(Minimum::HalfAtATime)),
        Lot::Succeeds => Scenario::of(fleet(Minimum::AllAtOnce)),
        Lot::Bakes => {
            let instances = (1..=size).map(|number| format!("i-{number:03}")).collect();
            Scenario { instances, bakes: 3, ..Scenario::default() }
        }
        Lot::Waits => {
            let course = Course::BlueGreen { termination_wait: 2 };
            Scenario { waits_for_traffic: true, ..Scenario::of(Plan { course, ..fleet(Minimum::AllAtOnce) }) }
        }
        Lot::Fails => Scenario::of(fleet(Minimum::OneAtATime).failing([1])),
        Lot::Stops => Scenario { lingers: true, ..Scenario::of(fleet(Minimum::AllAtOnce)) },
    }
}
