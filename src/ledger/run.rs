//! One run: a sorted file of keys and values that never changes. Found by a directory of its blocks and a sieve, which are
//! in memory; read block by block. It holds nothing that the log does not.
//!
//! How it lies on disk: blocks of entries, each deflated; the directory; the sieve; and at the end a line of fixed length
//! that says where those begin. Everything is under a CRC-32: the ends are checked when it is opened, a block whenever it
//! is read.

use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::DeflateDecoder;
use sled::IVec;

use super::blocks::Blocks;
use super::error::LedgerError;
use super::keys;
use super::sieve::{self, Sieve};

/// What every run ends with, after five numbers of eight bytes.
pub(super) const MAGIC: &[u8; 8] = b"lfrun\0\0\x01";
/// The length of the end: directory's place, sieve's place, entries, the CRC-32 of directory and sieve, that of these.
pub(super) const END: usize = 5 * 8 + MAGIC.len();

/// A key with its value.
pub(super) type Entry = (IVec, IVec);

/// One block of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Its first key.
    pub(super) first: Box<[u8]>,
    pub(super) at: u64,
    pub(super) bytes: u32,
    pub(super) crc32: u32,
}

/// A run, open for reading.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) path: PathBuf,
    /// Which turns of the index went into it.
    pub(super) turns: RangeInclusive<u64>,
    file: File,
    directory: Vec<Block>,
    sieve: Sieve,
    blocks: Arc<Blocks>,
}

/// A run's file name: the turns that went into it.
pub(super) fn file_name(turns: &RangeInclusive<u64>) -> String {
    format!("{:08}-{:08}.run", turns.start(), turns.end())
}

/// The turns in a run's file name.
pub(super) fn turns_of(name: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = name.strip_suffix(".run")?.split_once('-')?;
    Some(first.parse().ok()?..=last.parse().ok()?).filter(|turns| !turns.is_empty())
}

impl Run {
    /// Opens it. What is wrong with its ends is told here.
    pub(super) fn open(path: &Path, turns: RangeInclusive<u64>, blocks: Arc<Blocks>) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut end = [0; END];
        file.read_exact_at(&mut end, length.checked_sub(END as u64).ok_or_else(|| wrong("is too short"))?)?;
        let (numbers, magic) = end.split_at(5 * 8);
        let number = |at: usize| numbers[at * 8..].first_chunk().map_or(0, |it| u64::from_be_bytes(*it));
        if magic != MAGIC || number(4) != u64::from(crc32fast::hash(&numbers[..4 * 8])) {
            return Err(wrong("does not end as a run does"));
        }
        let (from, sieve_at) = (number(0), number(1));
        let mut told = vec![0; usize::try_from(length - END as u64 - from).map_err(|_| wrong("is too long"))?];
        file.read_exact_at(&mut told, from)?;
        if number(3) != u64::from(crc32fast::hash(&told)) {
            return Err(wrong("has a directory that was altered"));
        }
        let sieve = told.split_off(usize::try_from(sieve_at - from).map_err(|_| wrong("is too long"))?);
        let directory = read_directory(&told).ok_or_else(|| wrong("has a directory that cannot be read"))?;
        Ok(Self { path: path.to_owned(), turns, file, directory, sieve: Sieve::from_bytes(sieve), blocks })
    }

    /// How many turns went into it.
    pub(super) fn width(&self) -> u64 {
        self.turns.end() - self.turns.start() + 1
    }

    /// Where blocks are remembered.
    pub(super) fn blocks(&self) -> Arc<Blocks> {
        self.blocks.clone()
    }

    /// The value under a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, LedgerError> {
        if !keys::name_in(key).is_none_or(|name| self.sieve.may_hold(sieve::hash(name))) {
            return Ok(None);
        }
        let Some(block) = self.block_of(key) else { return Ok(None) };
        let found = self.block(block)?;
        Ok(entries(&found).find(|(found, _)| *found == key).map(|(_, value)| value.into()))
    }

    /// The last entry below `end` that begins with `prefix`.
    pub(super) fn last_below(&self, prefix: &[u8], end: &[u8]) -> Result<Option<Entry>, LedgerError> {
        let Some(block) = self.block_of(end) else { return Ok(None) };
        for block in [Some(block), block.checked_sub(1)].into_iter().flatten() {
            let found = self.block(block)?;
            if let Some((key, value)) = entries(&found).take_while(|(key, _)| *key < end).last() {
                return Ok(key.starts_with(prefix).then(|| (key.into(), value.into())));
            }
        }
        Ok(None)
    }

    /// Whether it may hold keys that begin so.
    pub(super) fn may_hold(&self, prefix: &[u8]) -> bool {
        keys::name_in_prefix(prefix).is_none_or(|name| self.sieve.may_hold(sieve::hash(name)))
    }

    /// The last block that begins at a key or before it.
    pub(super) fn block_of(&self, key: &[u8]) -> Option<usize> {
        self.directory.partition_point(|block| *block.first <= *key).checked_sub(1)
    }

    /// How many blocks it has.
    pub(super) fn len(&self) -> usize {
        self.directory.len()
    }

    /// A block's entries, one after the other.
    pub(super) fn block(&self, number: usize) -> Result<Arc<[u8]>, LedgerError> {
        self.blocks.get(&self.path, number, || self.read_block(number))
    }

    /// The same, past those that are remembered: whoever reads all of them should not make others forget.
    pub(super) fn read_block(&self, number: usize) -> Result<Arc<[u8]>, LedgerError> {
        let Block { at, bytes, crc32, .. } = &self.directory[number];
        let mut deflated = vec![0; *bytes as usize];
        let read = self.file.read_exact_at(&mut deflated, *at);
        read.map_err(LedgerError::storage("read", &self.path))?;
        if crc32fast::hash(&deflated) != *crc32 {
            return Err(LedgerError::AlteredIndex { file: self.path.clone(), byte: *at });
        }
        let mut inflated = Vec::new();
        let read = DeflateDecoder::new(&deflated[..]).read_to_end(&mut inflated);
        read.map_err(LedgerError::storage("inflate", &self.path))?;
        Ok(inflated.into())
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it {what}"))
}

fn read_directory(mut told: &[u8]) -> Option<Vec<Block>> {
    let mut directory = Vec::new();
    while !told.is_empty() {
        let (at, rest) = told.split_first_chunk()?;
        let (numbers, rest) = rest.split_at_checked(3 * 4)?;
        let number = |at: usize| numbers[at * 4..].first_chunk().map_or(0, |it| u32::from_be_bytes(*it));
        let (first, rest) = rest.split_at_checked(number(2) as usize)?;
        let (at, bytes, crc32) = (u64::from_be_bytes(*at), number(0), number(1));
        directory.push(Block { first: first.into(), at, bytes, crc32 });
        told = rest;
    }
    Some(directory)
}

/// The directory as it is written: read back by [`read_directory`].
pub(super) fn write_directory(directory: &[Block]) -> Vec<u8> {
    let mut told = Vec::new();
    for Block { first, at, bytes, crc32 } in directory {
        told.extend_from_slice(&at.to_be_bytes());
        for number in [*bytes, *crc32, length(first)] {
            told.extend_from_slice(&number.to_be_bytes());
        }
        told.extend_from_slice(first);
    }
    told
}

/// Writes an entry at the end of a block.
pub(super) fn put(block: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    block.extend_from_slice(&length(key).to_be_bytes());
    block.extend_from_slice(&length(value).to_be_bytes());
    block.extend_from_slice(key);
    block.extend_from_slice(value);
}

fn length(of: &[u8]) -> u32 {
    u32::try_from(of.len()).expect("keys and values are far below 4 GiB")
}

/// A block's entries in order. The block's CRC-32 was right, so that its lengths are, too.
pub(super) fn entries(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (key_length, more) = rest.split_first_chunk()?;
        let (value_length, more) = more.split_first_chunk()?;
        let (key, more) = more.split_at_checked(u32::from_be_bytes(*key_length) as usize)?;
        let (value, more) = more.split_at_checked(u32::from_be_bytes(*value_length) as usize)?;
        rest = more;
        Some((key, value))
    })
}
