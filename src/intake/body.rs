//! A webhook's body, from its first byte to the proof that it is GitHub's. Small ones stay in memory, large ones go to a
//! nameless file that vanishes with the process. It understands nothing of what it holds.

use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::signature::{Hearing, Voice};

/// GitHub sends no larger ones.
pub const LARGEST_BODY: u64 = 25 << 20;
/// Up to here a body is not worth a file.
pub(super) const SMALL: usize = 64 << 10;
/// GitHub gives up after 10 s; whoever takes longer only holds on to memory.
const SLOWEST: Duration = Duration::from_secs(30);

/// How many bytes of bodies may be under way in the whole process, and where the large ones go.
#[derive(Clone)]
pub(super) struct Room {
    free: Arc<AtomicU64>,
    spool: Arc<Path>,
}

/// A share of the room, given back when it is dropped.
pub(super) struct Share {
    room: Room,
    bytes: u64,
}

/// Why there is no verified body.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is over the limit.
    TooLarge,
    /// The room is full.
    NoRoom,
    /// It did not come in time.
    TooSlow,
    /// The connection broke.
    Broken,
    /// No secret of ours signed it.
    BadSignature,
    /// The spool file could not be written or read.
    Spool(io::Error),
}

/// A body that a secret of ours signed. Only `read` makes one.
pub struct Verified {
    body: Bytes,
    voice: Voice,
    share: Share,
}

impl Room {
    pub(super) fn new(bytes: u64, spool: PathBuf) -> Self {
        Self { free: Arc::new(AtomicU64::new(bytes)), spool: spool.into() }
    }

    fn share(&self) -> Share {
        Share { room: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// Takes more of the room; false where it is full.
    fn grow(&mut self, by: u64) -> bool {
        let take = |free: u64| free.checked_sub(by);
        let taken = self.room.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if taken {
            self.bytes += by;
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Verified {
    /// The raw bytes.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The raw bytes alone, with their share of the room.
    pub(super) fn into_body(self) -> (Bytes, Share) {
        (self.body, self.share)
    }

    /// Who signed.
    pub fn voice(&self) -> &Voice {
        &self.voice
    }
}

/// Where the bytes are while they come in.
enum Kept {
    /// One piece, as with most bodies: it is not copied.
    Piece(Bytes),
    Memory(BytesMut),
    Spool(tokio::fs::File),
}

/// Reads a body, hashing while it comes, and checks the signature at its end.
pub(super) async fn read(payload: web::Payload, room: &Room, hearing: Hearing) -> Result<Verified, Unread> {
    match tokio::time::timeout(SLOWEST, receive(payload, room, hearing)).await {
        Ok(result) => result,
        Err(_) => Err(Unread::TooSlow),
    }
}

/// Reads a body that stays in memory, whoever wrote it: it is no more than `limit` bytes.
pub(super) async fn read_small(payload: web::Payload, room: &Room, limit: usize) -> Result<(Bytes, Share), Unread> {
    tokio::time::timeout(SLOWEST, receive_small(payload, room, limit)).await.unwrap_or(Err(Unread::TooSlow))
}

async fn receive_small(mut payload: web::Payload, room: &Room, limit: usize) -> Result<(Bytes, Share), Unread> {
    let (mut share, mut bytes) = (room.share(), BytesMut::new());
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| Unread::Broken)?;
        if bytes.len() + piece.len() > limit {
            return Err(Unread::TooLarge);
        }
        if !share.grow(piece.len() as u64) {
            return Err(Unread::NoRoom);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.freeze(), share))
}

async fn receive(mut payload: web::Payload, room: &Room, mut hearing: Hearing) -> Result<Verified, Unread> {
    let mut share = room.share();
    let mut kept = Kept::Piece(Bytes::new());
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| Unread::Broken)?;
        let bytes = piece.len() as u64;
        if share.bytes + bytes > LARGEST_BODY {
            return Err(Unread::TooLarge);
        }
        if !share.grow(bytes) {
            return Err(Unread::NoRoom);
        }
        hearing.update(&piece);
        kept = kept.with(piece, &room.spool).await.map_err(Unread::Spool)?;
    }
    let voice = hearing.judge().ok_or(Unread::BadSignature)?;
    let body = kept.into_bytes(share.bytes).await.map_err(Unread::Spool)?;
    Ok(Verified { body, voice, share })
}

impl Kept {
    async fn with(self, piece: Bytes, spool: &Path) -> io::Result<Self> {
        let mut bytes = match self {
            Self::Piece(first) if first.is_empty() => return Ok(Self::Piece(piece)),
            Self::Piece(first) => BytesMut::from(first),
            Self::Memory(bytes) => bytes,
            Self::Spool(mut file) => {
                file.write_all(&piece).await?;
                return Ok(Self::Spool(file));
            }
        };
        if bytes.len() + piece.len() <= SMALL {
            bytes.extend_from_slice(&piece);
            return Ok(Self::Memory(bytes));
        }
        let dir = spool.to_owned();
        let file = blocking(move || tempfile::tempfile_in(dir)).await?;
        let mut file = tokio::fs::File::from_std(file);
        file.write_all(&bytes).await?;
        file.write_all(&piece).await?;
        Ok(Self::Spool(file))
    }

    async fn into_bytes(self, length: u64) -> io::Result<Bytes> {
        match self {
            Self::Piece(bytes) => Ok(bytes),
            Self::Memory(bytes) => Ok(bytes.freeze()),
            Self::Spool(mut file) => {
                file.flush().await?;
                let mut file = file.into_std().await;
                blocking(move || {
                    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
                    file.rewind()?;
                    file.read_to_end(&mut bytes)?;
                    Ok(Bytes::from(bytes))
                })
                .await
            }
        }
    }
}

/// Runs file work away from the worker.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
