//! The index's keys: one tree, one first byte per kind of fact. Pure.
//!
//! | key | value |
//! | --- | --- |
//! | `@` | [`Reached`](super::index::Reached) |
//! | `a` segment | what a sealed segment looked like when it was checked |
//! | `b` | present while paused |
//! | `c` commit `D` deployment · `c` commit `P` offset | nothing: deployments and deliveries of a commit |
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
//! | `s` stream, offset | nothing |
//! | `t` target | [`TargetState`](crate::domain::TargetState) |
//! | `u` deployment | nothing: unfinished |

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

pub(super) fn digest(digest: &str) -> Key {
    match hex::decode(digest) {
        Ok(bytes) if bytes.len() == 32 => key(b'g', &[&bytes]),
        Ok(_) | Err(_) => key(b'g', &[digest.as_bytes(), b"\0"]),
    }
}

pub(super) fn head(target: &TargetName, reference: &RefName) -> Key {
    key(b'h', &[target.as_str().as_bytes(), b"\0", reference.as_str().as_bytes()])
}

pub(super) fn delivery(id: &DeliveryId) -> Key {
    key(b'i', &[id.as_str().as_bytes()])
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

pub(super) fn deployment_of(sha: &CommitSha, id: DeploymentId) -> Key {
    key(b'c', &[sha.as_str().as_bytes(), b"D", &id.to_bytes()])
}

/// All commits whose hash begins so.
pub(super) fn commits(prefix: &str) -> Key {
    key(b'c', &[prefix.as_bytes()])
}

/// The deployment that a key of a commit ends with, where it is not one of a delivery.
pub(super) fn deployment_of_commit(key: &[u8]) -> Option<DeploymentId> {
    let before = key.len().checked_sub(17)?;
    (key[before] == b'D').then(|| deployment_in(key)).flatten()
}

/// All deliveries that push a commit.
pub(super) fn deliveries_of(sha: &CommitSha) -> Key {
    key(b'c', &[sha.as_str().as_bytes(), b"P"])
}

pub(super) fn delivery_of(sha: &CommitSha, offset: Offset) -> Key {
    key(b'c', &[sha.as_str().as_bytes(), b"P", &offset.0.to_be_bytes()])
}

/// The offset at a key's or value's end.
pub(super) fn offset_in(bytes: &[u8]) -> Offset {
    Offset(bytes.last_chunk().map_or(0, |last| u64::from_be_bytes(*last)))
}

/// The deployment at a key's end.
pub(super) fn deployment_in(bytes: &[u8]) -> Option<DeploymentId> {
    bytes.last_chunk().map(|last| DeploymentId::from_bytes(*last))
}
