//! What may be wanted back is there still, whatever happened: random histories of three targets, of which one is
//! promoted to the next, against an oracle that knows nothing of how the judge works.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use landfall::domain::{DeploymentId, EngineSpec, HostSpec, Location, Retention, TargetName};
use landfall::upkeep::{Needed, Rules, Standing, Use, judge};

use crate::worlds::target::host;

/// Numbers without any pattern, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn any<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn object(owner: &TargetName, number: usize) -> Location {
    Location::S3 {
        bucket: "shared".into(),
        key: format!("shop/{owner}/{number}"),
        region: "eu-west-1".into(),
        version: Some(format!("v{number}")),
        etag: None,
    }
}

/// CodeDeploy may name an object without its version.
fn unpinned(location: &Location) -> Location {
    match location.clone() {
        Location::S3 { bucket, key, region, .. } => Location::S3 { bucket, key, region, version: None, etag: None },
        file @ Location::File { .. } => file,
    }
}

/// What happened, and who had what by promotion: `(of, promoted)`.
struct World {
    uses: Vec<Use>,
    promoted: Vec<(DeploymentId, DeploymentId)>,
    names: Vec<TargetName>,
    now: Timestamp,
}

/// Deployments of three targets, newest first: new commits, rollbacks, promotions from the first to the second; to two
/// groups each, well and badly.
fn history(dice: &mut Dice) -> World {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let names: Vec<TargetName> = ["staging", "production", "other"].map(|it| TargetName::parse(it).unwrap()).into();
    let count = 5 + dice.below(60);
    let (mut uses, mut promoted): (Vec<Use>, Vec<_>) = (Vec::new(), Vec::new());
    for number in 0..count {
        let at = now - SignedDuration::from_hours(i64::try_from((count - number) * 12).unwrap());
        let target = dice.any(&names).clone();
        let deployment = DeploymentId::derive(at, &[target.as_str(), &number.to_string()]);
        let mine: Vec<Use> = uses.iter().filter(|it| it.target == target).cloned().collect();
        let tried: Vec<Use> = uses.iter().filter(|it| it.target == names[0] && is_good(it)).cloned().collect();
        let from = match dice.below(4) {
            0 if !mine.is_empty() => Some(dice.any(&mine).clone()),
            1 | 2 if target == names[1] && !tried.is_empty() => {
                let from = dice.any(&tried).clone();
                promoted.push((deployment, from.deployment));
                Some(from)
            }
            _ => None,
        };
        let location = from.as_ref().map_or_else(|| object(&target, number), |it| it.location.clone());
        let owner = from.map_or_else(|| target.clone(), |it| it.owner);
        let group = HostSpec { deployment_group: format!("g{}", dice.below(2)), ..host("g", "/srv") };
        let standing = match dice.below(16) {
            0..=10 => Standing::Succeeded,
            11..=14 => Standing::Over,
            _ => Standing::Unfinished,
        };
        let destination = EngineSpec::Host(group).destination();
        let recorded = (String::new(), 1);
        uses.push(Use { deployment, target, location, owner, recorded, destination, standing, at });
    }
    uses.reverse();
    World { uses, promoted, names, now }
}

fn is_good(it: &Use) -> bool {
    it.standing == Standing::Succeeded
}

fn retention(dice: &mut Dice) -> Retention {
    Retention { keep: 1 + u32::try_from(dice.below(4)).unwrap(), keep_days: u32::try_from(dice.below(6)).unwrap() }
}

/// What must stay, with the reason, said from the guide's side: every group can be rolled back, and every instance that
/// is launched finds its revision (row 25).
fn must_stay<'a>(world: &'a World, needed: &Needed, rules: &Rules) -> Vec<(&'a Use, &'static str)> {
    let mut stays = Vec::new();
    for it in &world.uses {
        let later = |other: &&Use| other.deployment > it.deployment && is_good(other) && other.target == it.target;
        let later: Vec<&Use> = world.uses.iter().filter(later).collect();
        let retention = rules.retention.get(&it.target);
        let newer: HashSet<&Location> = later.iter().map(|it| &it.location).filter(|at| **at != it.location).collect();
        let is_kept = retention.is_none_or(|retention| newer.len() < retention.keep as usize);
        let days = rules.retention[&it.owner].keep_days;
        let had = world
            .promoted
            .iter()
            .filter(|(by, _)| world.uses.iter().any(|use_| use_.deployment == *by && is_good(use_)));
        let newest_had = had.map(|(_, tried)| *tried).max();
        let mut say = |is_so: bool, why| stays.extend(is_so.then_some((it, why)));
        say(needed.live.contains(&it.deployment), "it is live");
        say(it.standing == Standing::Unfinished, "it is not over");
        say(needed.wanted.contains(&it.deployment), "a rollback wants it");
        say(needed.engines.iter().any(|group| unpinned(group) == unpinned(&it.location)), "a group needs it");
        say(is_good(it) && is_kept, "one of the newest, or its target keeps all");
        say(is_good(it) && later.iter().all(|other| other.destination != it.destination), "the last of its group");
        say(world.now < it.at + SignedDuration::from_hours(24 * i64::from(days)), "it is young");
        let is_promised = it.target == world.names[0] && newest_had.is_none_or(|had| had < it.deployment);
        say(is_good(it) && is_promised, "the next target has not had it");
    }
    stays
}

/// Row 25: whatever happened, what may be wanted back of any target is there still; and judging again changes nothing.
#[test]
fn whatever_goes_every_target_can_still_be_rolled_back_row_25() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut went, mut stayed) = (0, 0);
    for round in 0..2000 {
        let world = history(&mut dice);
        let kept = BTreeMap::from_iter(world.names.iter().map(|it| (it.clone(), retention(&mut dice))));
        let rules = Rules {
            ledger_days: None,
            retention: kept,
            configured: world.names.iter().cloned().collect(),
            promotions: vec![(world.names[0].clone(), world.names[1].clone())],
        };
        let successes = world.uses.iter().filter(|it| is_good(it));
        let live = world.names.iter().filter_map(|name| successes.clone().find(|it| it.target == *name));
        let by_promotion =
            world.promoted.iter().filter(|(by, _)| world.uses.iter().any(|it| it.deployment == *by && is_good(it)));
        let had = by_promotion.map(|(_, tried)| *tried).max();
        let pair = (world.names[0].clone(), world.names[1].clone());
        let needed = Needed {
            live: live.map(|it| it.deployment).collect(),
            wanted: [dice.any(&world.uses).deployment].into(),
            had: had.map(|it| (pair, it)).into_iter().collect(),
            engines: vec![unpinned(&dice.any(&world.uses).location)],
        };
        let (world, rules) = if round % 3 == 0 { without_production(world, rules) } else { (world, rules) };
        check(&world, &needed, &rules, round, &mut went, &mut stayed);
    }
    assert!(went > 5_000 && stayed > 5_000, "{went} went and {stayed} stayed: the histories prove nothing");
}

/// Production keeps all of its own, of which some lies under staging's name: nothing is deleted below its own name.
fn without_production(mut world: World, mut rules: Rules) -> (World, Rules) {
    rules.retention.remove(&world.names[1]);
    world.uses.retain(|it| it.owner != world.names[1]);
    (world, rules)
}

fn check(world: &World, needed: &Needed, rules: &Rules, round: usize, went: &mut usize, stayed: &mut usize) {
    let verdicts = judge(&world.uses, needed, rules, world.now);
    let places: HashSet<&Location> = world.uses.iter().map(|it| &it.location).collect();
    assert_eq!(verdicts.len(), places.len(), "each place is judged once");
    let gone: HashSet<Location> =
        verdicts.iter().filter(|it| it.kept.is_none()).map(|it| it.newest.location.clone()).collect();
    for (it, why) in must_stay(world, needed, rules) {
        assert!(!gone.contains(&it.location), "{round}: {why}: {it:?} of {:#?}", world.uses);
    }
    // What is left is judged as before: a second round, or one after a kill, deletes nothing more.
    let left: Vec<Use> = world.uses.iter().filter(|it| !gone.contains(&it.location)).cloned().collect();
    let again = judge(&left, needed, rules, world.now);
    assert!(again.iter().all(|it| it.kept.is_some()), "{round}: a second round deletes more");
    *went += gone.len();
    *stayed += places.len() - gone.len();
}
