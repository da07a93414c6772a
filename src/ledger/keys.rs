//! The index's keys: one tree, one first byte per kind of fact. Pure.
//!
//! sled's time goes by keys and their length (its nodes hold one kilobyte), so there are few, and names that may be
//! long are the first half of a hash. A push costs three of its own: what stands in the log already is looked up there,
//! and a deployment that nothing has happened to since its birth lies in the list of the unfinished alone.
//!
//! What only ever grows, and is never taken back, moves from sled into [runs](super::run) after a while: everything but
//! `@`, `a`, `b`, `e`, `t`, `u` and `w`.
//!
//! | key | value |
//! | --- | --- |
//! | `@` | [`Reached`](super::index::Reached) |
//! | `a` segment | what a sealed segment looked like when it was checked |
//! | `b` | [`Releases`], where there is something to say; empty while paused by an earlier version |
//! | `c` commit `P` body digest | offset of the delivery that pushes the commit; its plans name their deployments |
//! | `c` commit `D` deployment | nothing: deployments of a commit that come from no delivery |
//! | `d` deployment | its birth's offset and its snapshot; not there while only born |
//! | `e` | first offset that the log should still have |
//! | `f` offset | where that commit begins (about one commit in each 16 KiB) |
//! | `g` body digest | offset of the delivery, where it pushes no commit |
//! | `h` target, ref | [`Head`](crate::domain::Head) |
//! | `i` delivery id | offsets of its records |
//! | `k` sink, deployment | offset of the last event |
//! | `n` target, deployment | nothing; not there while only born |
//! | `o` a 256th of an offset | which of the 256 offsets are deliveries, a bit each |
//! | `q` actor, key | offset of the request |
//! | `r` place of a revision | offset of its deletion |
//! | `s` stream, offset | nothing; births and deliveries are not here: they lie under their names |
//! | `t` target | [`TargetState`](crate::domain::TargetState) |
//! | `u` deployment | its birth's offset, and which target it is of: unfinished |
//! | `w` | how many times what only grows was moved away |

use sha2::{Digest, Sha256};

use crate::domain::{
    CommitSha, DeliveryId, DeploymentId, Location, Offset, Pause, RefName, Releases, Stream, TargetName,
};

/// A key, as it is stored.
pub(super) type Key = Vec<u8>;

pub(super) const REACHED: &[u8] = b"@";
pub(super) const STAMPS: &[u8] = b"a";
pub(super) const RELEASES: &[u8] = b"b";
pub(super) const DEPLOYMENTS: &[u8] = b"d";
pub(super) const OLDEST: &[u8] = b"e";
pub(super) const MARKS: &[u8] = b"f";
pub(super) const DELIVERIES: &[u8] = b"o";
pub(super) const HEADS: &[u8] = b"h";
pub(super) const TARGETS: &[u8] = b"t";
pub(super) const UNFINISHED: &[u8] = b"u";
pub(super) const TURNS: &[u8] = b"w";
/// The kinds that stay in sled: they change for ever, or are taken back.
const STAY: &[u8] = b"@abetuw";
/// The kinds that are looked for in vain, by a name that they have or begin with.
const NAMED: &[u8] = b"cdghikqrs";
/// The kind and the commit of a key of a commit; of a longer hash, enough of it.
const COMMIT_NAME: usize = 1 + 20;

/// Whether a key stays in sled.
pub(super) fn stays(key: &[u8]) -> bool {
    key.first().is_none_or(|kind| STAY.contains(kind))
}

/// What a sieve knows a key by: that which it is looked for with.
pub(super) fn name_in(key: &[u8]) -> Option<&[u8]> {
    match key.first()? {
        b's' => key.get(..key.len().checked_sub(8)?),
        b'c' => key.get(..COMMIT_NAME.min(key.len())),
        kind => NAMED.contains(kind).then_some(key),
    }
}

/// The same of the beginning of keys, where it is long enough to tell.
pub(super) fn name_in_prefix(prefix: &[u8]) -> Option<&[u8]> {
    match prefix.first()? {
        b's' => Some(prefix),
        b'c' => prefix.get(..COMMIT_NAME),
        _ => None,
    }
}

/// What holds of all targets at once, as it stands in the index. What cannot be understood pauses everything.
pub(super) fn releases_in(value: Option<&[u8]>) -> Releases {
    let Some(value) = value else { return Releases::default() };
    serde_json::from_slice(value).unwrap_or_else(|_| {
        let paused = Pause { actor: "somebody".into(), reason: None, at: None };
        Releases { paused: Some(paused), lock: None }
    })
}

fn key(kind: u8, parts: &[&[u8]]) -> Key {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(super) fn stamp(segment: Offset) -> Key {
    key(b'a', &[&segment.0.to_be_bytes()])
}

pub(super) fn deployment(id: DeploymentId) -> Key {
    key(b'd', &[&id.to_bytes()])
}

pub(super) fn unfinished(id: DeploymentId) -> Key {
    key(b'u', &[&id.to_bytes()])
}

pub(super) fn mark(offset: Offset) -> Key {
    key(b'f', &[&offset.0.to_be_bytes()])
}

/// Half of a name's hash.
fn half(name: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(name)[..16]);
    half
}

/// What a body is known by. The same body pushes the same commit, so that it is looked for among that commit's.
pub(super) fn body(digest: &str, pushed: Option<&CommitSha>) -> Key {
    match pushed {
        Some(sha) => key(b'c', &[&commit(sha.as_str()), b"P", &half_of(digest)]),
        None => key(b'g', &[&half_of(digest)]),
    }
}

/// A digest is a hash already; whatever else came under that name is not trusted to be one.
fn half_of(digest: &str) -> [u8; 16] {
    let mut bytes = [0; 32];
    match hex::decode_to_slice(digest, &mut bytes) {
        Ok(()) => std::array::from_fn(|at| bytes[at]),
        Err(_) => half(digest.as_bytes()),
    }
}

pub(super) fn head(target: &TargetName, reference: &RefName) -> Key {
    key(b'h', &[target.as_str().as_bytes(), b"\0", reference.as_str().as_bytes()])
}

pub(super) fn delivery(id: &DeliveryId) -> Key {
    key(b'i', &[&half(id.as_str().as_bytes())])
}

pub(super) fn sent(sink: &str, id: DeploymentId) -> Key {
    key(b'k', &[sink.as_bytes(), b"\0", &id.to_bytes()])
}

/// All deployments of a target.
pub(super) fn of_target(target: &TargetName) -> Key {
    key(b'n', &[target.as_str().as_bytes(), b"\0"])
}

pub(super) fn in_target(target: &TargetName, id: DeploymentId) -> Key {
    key(b'n', &[target.as_str().as_bytes(), b"\0", &id.to_bytes()])
}

/// Where the bit of an offset lies: the key of its 256th, the byte in its value, and the bit in that byte.
pub(super) fn delivered(offset: Offset) -> (Key, usize, u8) {
    let [.., low] = offset.0.to_be_bytes();
    (key(b'o', &[&(offset.0 >> 8).to_be_bytes()]), usize::from(low / 8), 1 << (low % 8))
}

/// The key after that of an offset's 256th.
pub(super) fn after_delivered(offset: Offset) -> Key {
    delivered(Offset(offset.0 | 0xff).next()).0
}

/// The offsets that an entry of deliveries tells of, in order.
pub(super) fn deliveries_in(key: &[u8], bits: &[u8]) -> Vec<Offset> {
    let first = offset_in(key).0 << 8;
    let is_set = |low: &u64| bits.get(*low as usize / 8).is_some_and(|byte| byte & 1 << (low % 8) > 0);
    (0..256).filter(is_set).map(|low| Offset(first + low)).collect()
}

/// A request's name is the asker's and the key's: both of any length, so the first says its own.
/// A revision that retention deleted.
pub(super) fn pruned(location: &Location) -> Key {
    key(b'r', &[&half(location.to_string().as_bytes())])
}

pub(super) fn request(actor: &str, name: &str) -> Key {
    key(b'q', &[&(actor.len() as u64).to_be_bytes(), actor.as_bytes(), name.as_bytes()])
}

pub(super) fn target(target: &TargetName) -> Key {
    key(b't', &[target.as_str().as_bytes()])
}

/// All offsets of a stream. A delivery's are not here: they are few, and lie under its id.
pub(super) fn stream(stream: &Stream) -> Key {
    match stream {
        Stream::Delivery(id) => key(b's', &[b"L", id.as_str().as_bytes(), b"\0"]),
        Stream::Deployment(id) => key(b's', &[b"D", &id.to_bytes()]),
        Stream::Target(name) => key(b's', &[b"T", name.as_str().as_bytes(), b"\0"]),
        Stream::Sink(name) => key(b's', &[b"S", name.as_bytes(), b"\0"]),
        Stream::Bot => key(b's', &[b"B"]),
    }
}

pub(super) fn in_stream(name: &Stream, offset: Offset) -> Key {
    let mut key = stream(name);
    key.extend_from_slice(&offset.0.to_be_bytes());
    key
}

/// A commit's bytes; of a beginning with an odd digit, those of the whole pairs before it.
fn commit(digits: &str) -> Vec<u8> {
    hex::decode(&digits[..digits.len() / 2 * 2]).unwrap_or_default()
}

pub(super) fn deployment_of(sha: &CommitSha, id: DeploymentId) -> Key {
    key(b'c', &[&commit(sha.as_str()), b"D", &id.to_bytes()])
}

/// All commits whose hash begins so, and some more where the number of digits is odd.
pub(super) fn commits(beginning: &str) -> Key {
    key(b'c', &[&commit(beginning)])
}

/// What a key of a commit names.
pub(super) enum OfCommit {
    /// A deployment.
    Deployment(DeploymentId),
    /// The delivery at this offset.
    Delivery(Offset),
}

/// The commit of an entry of one: what stands between the kind and what it names.
pub(super) fn commit_in(key: &[u8]) -> Option<CommitSha> {
    let commit = key.get(1..key.len().checked_sub(17)?)?;
    CommitSha::parse(hex::encode(commit)).ok()
}

/// Reads an entry of a commit: what stands before the last sixteen bytes of its key says what it names.
pub(super) fn of_commit(key: &[u8], value: &[u8]) -> Option<OfCommit> {
    match key.len().checked_sub(17).map(|at| key[at])? {
        b'D' => deployment_in(key).map(OfCommit::Deployment),
        b'P' => Some(OfCommit::Delivery(offset_in(value))),
        _ => None,
    }
}

/// All deliveries that push a commit.
pub(super) fn deliveries_of(sha: &CommitSha) -> Key {
    key(b'c', &[&commit(sha.as_str()), b"P"])
}

/// The value of an unfinished deployment: its birth, and enough of its target's hash to tell targets apart.
pub(super) fn unfinished_value(birth: Offset, target: &TargetName) -> Vec<u8> {
    [&birth.0.to_be_bytes()[..], &half(target.as_str().as_bytes())].concat()
}

/// Whether an unfinished deployment is of this target, by its value.
pub(super) fn is_of_target(value: &[u8], target: &TargetName) -> bool {
    value.get(8..).is_some_and(|it| it == half(target.as_str().as_bytes()))
}

/// The offset of the birth, at a value's beginning.
pub(super) fn birth_in(value: &[u8]) -> Offset {
    offset_in(&value[..8.min(value.len())])
}

/// The offset at a key's or value's end.
pub(super) fn offset_in(bytes: &[u8]) -> Offset {
    Offset(bytes.last_chunk().map_or(0, |last| u64::from_be_bytes(*last)))
}

/// The deployment at a key's end.
pub(super) fn deployment_in(bytes: &[u8]) -> Option<DeploymentId> {
    bytes.last_chunk().map(|last| DeploymentId::from_bytes(*last))
}
