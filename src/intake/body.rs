//! A webhook's body, from its first byte to the proof that it is GitHub's. Small ones stay in memory, large ones go to a
//! nameless file that vanishes with the process. It understands nothing of what it holds.

use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::Duration;

use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::room::{SMALL, Share};
use super::signature::{Hearing, Voice};

/// GitHub sends no larger ones.
pub const LARGEST_BODY: u64 = 25 << 20;
/// GitHub gives up after 10 s; whoever takes longer only holds on to memory.
const SLOWEST: Duration = Duration::from_secs(30);
/// How long it may say nothing meanwhile.
const SILENT: Duration = Duration::from_secs(6);

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
pub(super) async fn read(payload: web::Payload, share: Share, hearing: Hearing) -> Result<Verified, Unread> {
    tokio::time::timeout(SLOWEST, receive(payload, share, hearing)).await.unwrap_or(Err(Unread::TooSlow))
}

/// Reads a body that stays in memory, whoever wrote it: it is no more than `limit` bytes.
pub(super) async fn read_small(payload: web::Payload, share: Share, limit: u64) -> Result<(Bytes, Share), Unread> {
    tokio::time::timeout(SLOWEST, receive_small(payload, share, limit)).await.unwrap_or(Err(Unread::TooSlow))
}

async fn receive_small(mut payload: web::Payload, mut share: Share, limit: u64) -> Result<(Bytes, Share), Unread> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = next(&mut payload, &mut share, limit).await? {
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.freeze(), share))
}

async fn receive(mut payload: web::Payload, mut share: Share, mut hearing: Hearing) -> Result<Verified, Unread> {
    let mut kept = Kept::Piece(Bytes::new());
    while let Some(piece) = next(&mut payload, &mut share, LARGEST_BODY).await? {
        hearing.update(&piece);
        kept = kept.with(piece, share.spool()).await.map_err(Unread::Spool)?;
    }
    let voice = hearing.judge().ok_or(Unread::BadSignature)?;
    share.keep();
    let body = kept.into_bytes(share.bytes()).await.map_err(Unread::Spool)?;
    Ok(Verified { body, voice, share })
}

/// The next piece of a body, which has its room; nothing at its end.
async fn next(payload: &mut web::Payload, share: &mut Share, limit: u64) -> Result<Option<Bytes>, Unread> {
    let piece = tokio::select! {
        biased;
        () = share.cut() => return Err(Unread::NoRoom),
        piece = tokio::time::timeout(SILENT, payload.next()) => piece.map_err(|_| Unread::TooSlow)?,
    };
    let Some(piece) = piece.transpose().map_err(|_| Unread::Broken)? else { return Ok(None) };
    if share.bytes() + piece.len() as u64 > limit {
        return Err(Unread::TooLarge);
    }
    if share.grow(piece.len() as u64).await { Ok(Some(piece)) } else { Err(Unread::NoRoom) }
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
        if (bytes.len() + piece.len()) as u64 <= SMALL {
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
