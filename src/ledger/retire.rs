//! Lets go of what is old: the log's beginning is written anew with what must stay of it, and the index with it. It never
//! touches what is not over, and readers and writers go on meanwhile.
//!
//! What was dropped leaves gaps: the offsets of what stays are those that it always had, and the frames of the log's first
//! file say by their version that records before them may be missing. What is known of refs and targets, which is the fold
//! of records that go, stands at that file's end.
//!
//! The one step that counts is a rename: before it the log is as it was, after it as it will be. What a process that was
//! killed on either side of it leaves is removed at the next start.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::domain::{
    BodyAt, BotEvent, DeliveryEvent, DeploymentId, Event, Offset, Record, Stream, TargetEvent, TargetName, TargetState,
};

use super::error::LedgerError;
use super::frame::{Known, encode_kept, encode_state};
use super::handle::{Inner, Ledger};
use super::index::Index;
use super::keys;
use super::log::{remove_replaced, segment_path, segments, sync_dir};
use super::opening::{index_of, replay};
use super::reader::Reader;
use super::young::remove;

/// Less than one part in so many of the log is not worth to make the index anew.
const WORTH: usize = 8;

/// What the ledger keeps of its past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Everything that was written since.
    pub since: Timestamp,
    /// And the newest so many deployments of each target, whenever they were.
    pub newest: usize,
}

/// What was let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Everything before this offset was looked at.
    pub before: Offset,
    /// How many bytes the log became shorter by.
    pub bytes: u64,
    /// How many records stayed of those before.
    pub kept: u64,
}

impl Ledger {
    /// Lets go of what is old, where that is worth it; a dry run only says up to where. Blocks for as long as it takes to
    /// read what goes once, and what stays twice; writes wait for the last moment of it alone.
    pub fn retire(&self, keep: Keep, dry_run: bool) -> Result<Option<Retired>, LedgerError> {
        let inner = &*self.0;
        let Some(before) = worth_it(&inner.logs(), keep.since)? else { return Ok(None) };
        if dry_run {
            return Ok(Some(Retired { before, ..Retired::default() }));
        }
        // For a while there are three indices, and the old log beside the new one's beginning.
        inner.check_space(inner.index.bytes()?.saturating_mul(2))?;
        let past = past_dir(&inner.dir);
        remove(&past)?;
        let made = Index::open(&past, inner.index_bytes, Reader::new(&inner.logs())).and_then(|past| {
            let result = retire(inner, keep, before, &past);
            past.close();
            result
        });
        // What cannot be removed now is swept at the next start.
        let _ = fs::remove_dir_all(&past);
        let _ = fs::remove_file(new_beginning(&inner.logs()));
        made.map(Some)
    }
}

/// The file in which the log's new beginning is written, until it takes the old one's place.
pub(super) fn new_beginning(logs: &Path) -> PathBuf {
    segment_path(logs, Offset::default()).with_extension("half")
}

/// Where the index of what is before the cut is made, for as long as it is asked.
fn past_dir(dir: &Path) -> PathBuf {
    dir.join("index/past")
}

/// The first offset that stays as it is; nothing where too little would go. Segments are dropped whole.
fn worth_it(logs: &Path, since: Timestamp) -> Result<Option<Offset>, LedgerError> {
    let all = segments(logs)?;
    let reader = Reader::new(logs);
    let (mut cut, mut dropped) = (None, 0);
    // The last one is being written.
    for pair in all.windows(2) {
        let first = reader.first_of(pair[1])?;
        if first.is_none_or(|record| record.at >= since) {
            break;
        }
        (cut, dropped) = (Some(pair[1]), dropped + 1);
    }
    Ok(cut.filter(|_| dropped > 1 && dropped * WORTH > all.len()))
}

fn retire(inner: &Inner, keep: Keep, before: Offset, past: &Index) -> Result<Retired, LedgerError> {
    let (logs, probe) = (inner.logs(), &inner.seams.probe);
    let may_go_on = || inner.may_go_on();
    replay(past, past.reader.beginning()?, before, &may_go_on)?;
    let staying = Staying::of(inner, past, keep)?;
    let half = new_beginning(&logs);
    let (kept, bodies) = write_beginning(past, before, &staying, &half, &may_go_on)?;
    probe("retire:written");
    // What a start would make of the new log, made while the old one is still there.
    let next = index_of(&inner.dir.join("index"), before);
    remove(&next)?;
    let next = Index::open(&next, inner.index_bytes, Reader::new(&logs).beginning_with(&half))?;
    keep_stamps(&inner.index, &next, before)?;
    next.write([(keys::OLDEST.to_vec(), Some(Offset::default().0.to_be_bytes().to_vec()))])?;
    replay(&next, next.reader.beginning()?, inner.log_end(), &may_go_on)?;
    probe("retire:indexed");
    let first = segment_path(&logs, Offset::default());
    let long = fs::metadata(&first).map_or(0, |it| it.len());
    let bring = |end| {
        let reached = next.reached()?.ok_or_else(|| LedgerError::Gone { what: "how far the index came".into() })?;
        replay(&next, (reached.offset, reached.place), end, &|| Ok(())).map(drop)
    };
    let old = inner.exchange(&next, bring, || {
        fs::rename(&half, &first).map_err(LedgerError::storage("rename", &half))?;
        sync_dir(&logs)?;
        probe("retire:renamed");
        Ok(())
    })?;
    probe("retire:exchanged");
    let bytes = remove_replaced(&logs)? + long;
    remove(&old)?;
    bodies.iter().try_for_each(|digest| inner.bodies.remove(digest))?;
    let short = fs::metadata(&first).map_or(0, |it| it.len());
    Ok(Retired { before, bytes: bytes.saturating_sub(short), kept })
}

/// What the segments that stay looked like when they were checked, so that the next start does not read them all again.
fn keep_stamps(index: &Index, next: &Index, before: Offset) -> Result<(), LedgerError> {
    let mut stamps = Vec::new();
    for entry in index.forwards(keys::STAMPS)? {
        let (key, value) = entry?;
        if keys::offset_in(&key) >= before {
            stamps.push((key.to_vec(), Some(value.to_vec())));
        }
    }
    next.write(stamps)
}

/// What stays of what is before the cut.
struct Staying {
    deployments: HashSet<DeploymentId>,
}

impl Staying {
    /// What was not over then, what is live, the newest of each target; and what one of these brings back or takes on.
    fn of(inner: &Inner, past: &Index, keep: Keep) -> Result<Self, LedgerError> {
        let mut deployments = HashSet::new();
        for entry in past.forwards(keys::UNFINISHED)?.chain(inner.index.forwards(keys::UNFINISHED)?) {
            deployments.extend(keys::deployment_in(&entry?.0));
        }
        for index in [past, &inner.index] {
            for entry in index.forwards(keys::TARGETS)? {
                let (key, value) = entry?;
                let state: TargetState =
                    serde_json::from_slice(&value).map_err(|source| LedgerError::Entry { what: "target", source })?;
                deployments.extend(state.live.iter().chain(&state.left_by).map(|it| it.deployment));
                let name = std::str::from_utf8(&key[1..]).ok().and_then(|name| TargetName::parse(name).ok());
                let Some(name) = name else { continue };
                for entry in index.backwards(&keys::of_target(&name), None)?.take(keep.newest) {
                    deployments.extend(keys::deployment_in(&entry?.0));
                }
            }
        }
        let mut others = Vec::new();
        for id in &deployments {
            let Some(snapshot) = inner.index.deployment(*id)? else { continue };
            let order = snapshot.deployment.order();
            others.extend(order.parent.into_iter().chain(order.restores()).chain(order.promotes()));
        }
        deployments.extend(others);
        Ok(Self { deployments })
    }

    /// Whether a record stays. `past` knows what was the last word of what.
    fn takes(&self, past: &Index, record: &Record) -> Result<bool, LedgerError> {
        Ok(match (&record.stream, &record.event) {
            (Stream::Deployment(id), _) => self.deployments.contains(id),
            (_, Event::Delivery(DeliveryEvent::Received { plans, .. } | DeliveryEvent::Replayed { plans, .. })) => {
                plans.iter().filter_map(|line| line.deployment).any(|id| self.deployments.contains(&id))
            }
            (Stream::Sink(name), Event::Sink(event)) => {
                let id = event.deployment();
                let last = past.get(&keys::sent(name, id))?.map(|value| keys::offset_in(&value));
                self.deployments.contains(&id) && last == Some(record.offset)
            }
            (_, Event::Target(TargetEvent::Pruned { deployment, .. })) => self.deployments.contains(deployment),
            // Of these, what is known of targets and refs is all that is left, and that stands at the end.
            (_, Event::Target(TargetEvent::Seen { .. } | TargetEvent::Found { .. })) => false,
            // Who asked for what, and who locked what.
            (_, Event::Target(_)) => true,
            (_, Event::Bot(BotEvent::Requested { .. } | BotEvent::Administered { .. })) => true,
            (_, Event::Bot(BotEvent::Started { .. } | BotEvent::Stopping)) => false,
            (_, Event::Deployment(_) | Event::Sink(_)) => false,
        })
    }
}

/// Writes what stays as the log's new beginning. Gives how many records that are, and the digests of the bodies that
/// nobody needs then.
fn write_beginning(
    past: &Index,
    before: Offset,
    staying: &Staying,
    path: &Path,
    may_go_on: &dyn Fn() -> Result<(), LedgerError>,
) -> Result<(u64, Vec<String>), LedgerError> {
    let file = File::create(path).map_err(LedgerError::storage("create", path))?;
    let mut file = BufWriter::with_capacity(256 * 1024, file);
    let (mut kept, mut bodies, mut frame) = (0, Vec::new(), Vec::new());
    let beginning = past.reader.beginning()?;
    past.reader.commits(
        beginning,
        beginning.0..before,
        |_| true,
        |_, _, _, records| {
            may_go_on()?;
            for record in &records {
                if staying.takes(past, record)? {
                    kept += 1;
                    frame.clear();
                    encode_kept(record, before, &mut frame);
                    file.write_all(&frame).map_err(LedgerError::storage("write", path))?;
                } else if let Event::Delivery(DeliveryEvent::Received { body: BodyAt::File { .. }, digest, .. }) =
                    &record.event
                {
                    bodies.push(digest.clone());
                }
            }
            Ok(true)
        },
    )?;
    frame.clear();
    encode_state(&state(past)?, before, &mut frame);
    let end = file.write_all(&frame).and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all());
    end.map_err(LedgerError::storage("write", path))?;
    Ok((kept, bodies))
}

/// What is known of refs and targets, and what holds of all targets at once.
fn state(past: &Index) -> Result<Vec<Known>, LedgerError> {
    let mut state = Vec::new();
    for prefix in [keys::HEADS, keys::TARGETS, keys::RELEASES] {
        for entry in past.forwards(prefix)? {
            let (key, value) = entry?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            state.push(Known { key: text(&key), value: text(&value) });
        }
    }
    Ok(state)
}
