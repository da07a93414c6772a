//! Which revisions may go. Pure: from what was deployed and what is needed, a verdict on every revision with its reason.
//!
//! It judges a place and not a deployment: what succeeded at one target is promoted to the next as the very same object,
//! so that a revision is in use as long as it is in use anywhere.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{DeploymentId, Destination, Location, Retention, TargetName};

/// How a deployment stands to the revision that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It put it in place.
    Succeeded,
    /// It is over, and did not.
    Over,
    /// It is not over.
    Unfinished,
}

/// One deployment's use of a revision.
#[derive(Clone, Debug)]
pub struct Use {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Of which target.
    pub target: TargetName,
    /// Where its revision lies.
    pub location: Location,
    /// The target under whose name it lies there: the same, unless it was promoted.
    pub owner: TargetName,
    /// The SHA-256 and the length that it was recorded with.
    pub recorded: (String, u64),
    /// Where it was deployed to.
    pub destination: Destination,
    /// How it stands to it.
    pub standing: Standing,
    /// When it last changed.
    pub at: Timestamp,
}

/// What the configuration says of keeping.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How long which target's revisions are kept. One that is not here keeps all of its own.
    pub retention: BTreeMap<TargetName, Retention>,
    /// For how many days everything stays in the ledger; nothing where that is for ever.
    pub ledger_days: Option<u32>,
    /// The targets that are configured.
    pub configured: HashSet<TargetName>,
    /// From which target to which what succeeds is promoted.
    pub promotions: Vec<(TargetName, TargetName)>,
}

/// What must stay besides, whatever the history says.
#[derive(Clone, Debug, Default)]
pub struct Needed {
    /// The deployments that brought what is live, of all targets.
    pub live: HashSet<DeploymentId>,
    /// Deployments whose revisions unfinished ones may want.
    pub wanted: HashSet<DeploymentId>,
    /// The newest deployment of a target that another one has had by promotion, as `(from, to)`.
    pub had: HashMap<(TargetName, TargetName), DeploymentId>,
    /// What deployment groups say that they may still fetch (row 25).
    pub engines: Vec<Location>,
}

/// Why a revision is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is what is live.
    Live(TargetName),
    /// A deployment that is not over uses it, or may want it.
    Unfinished(DeploymentId),
    /// A deployment group may still fetch it: for instances that are launched, or to roll back.
    Engine,
    /// It was the last that succeeded at a place.
    LastSuccess(Destination),
    /// It is one of the newest that succeeded.
    Newest(TargetName, u32),
    /// It succeeded at a target that keeps all of its own.
    KeptBy(TargetName),
    /// The target that it is promoted to has not had it yet.
    Promised(TargetName),
    /// It is not old enough.
    Young(Timestamp),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live(target) => write!(f, "it is live at {target}"),
            Self::Unfinished(id) => write!(f, "{id} is not over"),
            Self::Engine => f.write_str("a deployment group may still fetch it"),
            Self::LastSuccess(place) => write!(f, "the last success at {}", place.as_str()),
            Self::Newest(target, keep) => write!(f, "one of the newest {keep} that succeeded at {target}"),
            Self::KeptBy(target) => write!(f, "it succeeded at {target}, which keeps everything"),
            Self::Promised(target) => write!(f, "{target}, to which it is promoted, has not had it yet"),
            Self::Young(until) => write!(f, "kept until {until:.0}"),
        }
    }
}

/// What is to become of a revision.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The newest use of it.
    pub newest: Use,
    /// All deployments that used it.
    pub users: Vec<DeploymentId>,
    /// Why it stays; nothing where it may go.
    pub kept: Option<Why>,
}

/// Judges every revision once. `uses` are newest first.
pub fn judge(uses: &[Use], needed: &Needed, rules: &Rules, now: Timestamp) -> Vec<Verdict> {
    let (mut places, mut of): (Vec<&Location>, HashMap<&Location, Vec<&Use>>) = Default::default();
    for it in uses {
        let users = of.entry(&it.location).or_default();
        if users.is_empty() {
            places.push(&it.location);
        }
        users.push(it);
    }
    let successes = Successes::of(uses, rules);
    let verdict = |place| {
        let users: &[&Use] = &of[place];
        Verdict {
            newest: users[0].clone(),
            users: users.iter().map(|it| it.deployment).collect(),
            kept: why(users, &successes, needed, rules, now),
        }
    };
    places.into_iter().map(verdict).collect()
}

/// The first reason to keep a revision that these deployments used.
fn why(users: &[&Use], successes: &Successes, needed: &Needed, rules: &Rules, now: Timestamp) -> Option<Why> {
    let place = &users[0].location;
    let is_open = |it: &&&Use| it.standing == Standing::Unfinished || needed.wanted.contains(&it.deployment);
    let live = || users.iter().find(|it| needed.live.contains(&it.deployment)).map(|it| Why::Live(it.target.clone()));
    let open = || users.iter().find(is_open).map(|it| Why::Unfinished(it.deployment));
    let engine = || needed.engines.iter().any(|it| is_same(it, place)).then_some(Why::Engine);
    let promised = || users.iter().find_map(|it| promised(it, needed, rules));
    let keeper = || users.iter().find_map(|it| keeper(it, rules));
    let young = || {
        let days = rules.retention.get(&users[0].owner).map_or(0, |it| it.keep_days);
        let age = SignedDuration::from_hours(24 * i64::from(days));
        let last_used = users.iter().map(|it| it.at).max()?;
        let until = last_used.checked_add(age).unwrap_or(Timestamp::MAX);
        (now < until).then_some(Why::Young(until))
    };
    live()
        .or_else(open)
        .or_else(engine)
        .or_else(|| successes.last.get(place).map(|it| Why::LastSuccess((*it).clone())))
        .or_else(|| successes.newest.get(place).map(|(target, keep)| Why::Newest((*target).clone(), *keep)))
        .or_else(keeper)
        .or_else(promised)
        .or_else(young)
}

/// The target that keeps everything that succeeded there, whoever stored it.
fn keeper(it: &Use, rules: &Rules) -> Option<Why> {
    let keeps_all = rules.configured.contains(&it.target) && !rules.retention.contains_key(&it.target);
    (it.standing == Standing::Succeeded && keeps_all).then(|| Why::KeptBy(it.target.clone()))
}

/// The target that a success is promoted to and that has had nothing as new yet.
fn promised(it: &Use, needed: &Needed, rules: &Rules) -> Option<Why> {
    let next = rules.promotions.iter().filter(|(from, _)| *from == it.target);
    let missing = |(from, to): &&(TargetName, TargetName)| {
        needed.had.get(&(from.clone(), to.clone())).is_none_or(|newest| *newest < it.deployment)
    };
    let found = next.into_iter().find(missing).filter(|_| it.standing == Standing::Succeeded);
    found.map(|(_, to)| Why::Promised(to.clone()))
}

/// What of the successes is kept for their own sake.
#[derive(Default)]
struct Successes<'a> {
    /// The last one of each target at each place that it deployed to.
    last: HashMap<&'a Location, &'a Destination>,
    /// The newest ones of each target, each revision counted once.
    newest: HashMap<&'a Location, (&'a TargetName, u32)>,
}

impl<'a> Successes<'a> {
    fn of(uses: &'a [Use], rules: &Rules) -> Self {
        let mut this = Self::default();
        let mut seen: HashSet<(&TargetName, &Destination)> = HashSet::new();
        let mut counted: HashMap<&TargetName, HashSet<&Location>> = HashMap::new();
        for it in uses.iter().filter(|it| it.standing == Standing::Succeeded) {
            if seen.insert((&it.target, &it.destination)) {
                this.last.entry(&it.location).or_insert(&it.destination);
            }
            let Some(retention) = rules.retention.get(&it.target) else { continue };
            let counted = counted.entry(&it.target).or_default();
            if counted.len() < usize::try_from(retention.keep).unwrap_or(usize::MAX) && counted.insert(&it.location) {
                this.newest.entry(&it.location).or_insert((&it.target, retention.keep));
            }
        }
        this
    }
}

/// Whether what an engine needs is this. Without a version it means whichever is there (row 17).
fn is_same(needed: &Location, ours: &Location) -> bool {
    match (needed, ours) {
        (Location::S3 { bucket, key, version, .. }, Location::S3 { bucket: b, key: k, version: v, .. }) => {
            bucket == b && key == k && (version.is_none() || v.is_none() || version == v)
        }
        (Location::File { path }, Location::File { path: ours }) => path == ours,
        (Location::S3 { .. }, Location::File { .. }) | (Location::File { .. }, Location::S3 { .. }) => false,
    }
}
