//! The index's keys: one tree, one first byte per kind of fact. Pure.
//!
//! sled's time goes by keys and their length (its nodes hold one kilobyte), so there are few, and names that may be
//! long are the first half of a hash.
//!
//! | key | value |
//! | --- | --- |
//! | `@` | [`Reached`](super::index::Reached) |
//! | `a` segment | what a sealed segment looked like when it was checked |
//! | `b` | present while paused |
//! | `c` commit `P` offset | nothing: deliveries that push a commit, whose plans name their deployments |
//! | `c` commit `D` deployment | nothing: deployments of a commit that come from no delivery |
//! | `d` deployment | its birth's offset, or its snapshot |
//! | `e` | first offset that the log should still have |
//! | `f` offset | where that commit begins (about one commit in each 32 KiB) |
//! | `g` body digest | offset of the delivery |
//! | `h` target, ref | [`Head`](crate::domain::Head) |
//! | `i` delivery id | offsets of its records |
//! | `k` sink, deployment | offset of the last event |
//! | `n` target, deployment | nothing |
//! | `o` offset | nothing: deliveries in order |
//! | `q` actor, key | offset of the request |
//! | `s` stream, offset | nothing; births and deliveries are not here: they lie under their names |
//! | `t` target | [`TargetState`](crate::domain::TargetState) |
//! | `u` deployment | nothing: unfinished |

use sha2::{Digest, Sha256};

use crate::domain::{CommitSha, DeliveryId, DeploymentId, Offset, RefName, Stream, TargetName};

/// A key, as it is stored.
pub(super) type Key = Vec<u8>;

pub(super) const REACHED: &[u8] = b"@";
pub(super) const PAUSED: &[u8] = b"b";
pub(super) const DEPLOYMENTS: &[u8] = b"d";
pub(super) const OLDEST: &[u8] = b"e";
pub(super) const MARKS: &[u8] = b"f";
pub(super) const DELIVERIES: &[u8] = b"o";
pub(super) const UNFINISHED: &[u8] = b"u";

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

/// A digest is a hash already; whatever else came under that name is not trusted to be one.
pub(super) fn digest(digest: &str) -> Key {
    match hex::decode(digest) {
        Ok(bytes) if bytes.len() == 32 => key(b'g', &[&bytes[..16]]),
        Ok(_) | Err(_) => key(b'g', &[&half(digest.as_bytes())]),
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

pub(super) fn delivered(offset: Offset) -> Key {
    key(b'o', &[&offset.0.to_be_bytes()])
}

/// A request's name is the asker's and the key's: both of any length, so the first says its own.
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

/// Reads the end of a key of a commit: hashes have 20 or 32 bytes, so its length says what it names.
pub(super) fn of_commit(key: &[u8]) -> Option<OfCommit> {
    match key.len() {
        38 | 50 => deployment_in(key).map(OfCommit::Deployment),
        30 | 42 => Some(OfCommit::Delivery(offset_in(key))),
        _ => None,
    }
}

/// All deliveries that push a commit.
pub(super) fn deliveries_of(sha: &CommitSha) -> Key {
    key(b'c', &[&commit(sha.as_str()), b"P"])
}

pub(super) fn delivery_of(sha: &CommitSha, offset: Offset) -> Key {
    key(b'c', &[&commit(sha.as_str()), b"P", &offset.0.to_be_bytes()])
}

/// The offset at a key's or value's end.
pub(super) fn offset_in(bytes: &[u8]) -> Offset {
    Offset(bytes.last_chunk().map_or(0, |last| u64::from_be_bytes(*last)))
}

/// The deployment at a key's end.
pub(super) fn deployment_in(bytes: &[u8]) -> Option<DeploymentId> {
    bytes.last_chunk().map(|last| DeploymentId::from_bytes(*last))
}
