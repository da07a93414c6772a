//! Writes a run: entries in order in, a file out that is whole and durable, or not there at all. It never changes one.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::blocks::Blocks;
use super::error::LedgerError;
use super::keys;
use super::log::sync_dir;
use super::run::{Block, Entry, MAGIC, Run, file_name, put, write_directory};
use super::sieve::{self, Sieve};

/// The length from which on a block is followed by a new one: what is inflated to find one entry.
const BLOCK_BYTES: usize = 16 * 1024;
/// How a run is called until it is whole.
pub(super) const HALF: &str = "half";

/// Writes the entries, which come in order and each key once, as the run of these turns in a directory.
pub(super) fn write(
    dir: &Path,
    turns: RangeInclusive<u64>,
    mut entries: impl Iterator<Item = Result<Entry, LedgerError>>,
    blocks: &Arc<Blocks>,
) -> Result<Run, LedgerError> {
    let path = dir.join(file_name(&turns));
    let half = path.with_extension(HALF);
    let file = File::create(&half).map_err(LedgerError::storage("create", &half))?;
    let mut writer = Writer {
        file: BufWriter::with_capacity(256 * 1024, file),
        path: half,
        at: 0,
        block: Vec::with_capacity(2 * BLOCK_BYTES),
        first: Vec::new(),
        directory: Vec::new(),
        names: Vec::new(),
        name: Vec::new(),
        count: 0,
    };
    let written = entries.try_for_each(|entry| writer.take(entry?)).and_then(|()| writer.end());
    if let Err(error) = written {
        // It is swept at the next start if it cannot be removed now.
        let _ = fs::remove_file(path.with_extension(HALF));
        return Err(error);
    }
    fs::rename(path.with_extension(HALF), &path).map_err(LedgerError::storage("rename", &path))?;
    sync_dir(dir)?;
    Run::open(&path, turns, blocks.clone()).map_err(LedgerError::storage("open", &path))
}

struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    at: u64,
    block: Vec<u8>,
    /// The block's first key.
    first: Vec<u8>,
    directory: Vec<Block>,
    names: Vec<u64>,
    /// The last name that went into the sieve: many entries have the same one.
    name: Vec<u8>,
    count: u64,
}

impl Writer {
    fn take(&mut self, (key, value): Entry) -> Result<(), LedgerError> {
        if self.block.is_empty() {
            self.first = key.to_vec();
        }
        put(&mut self.block, &key, &value);
        self.count += 1;
        if let Some(name) = keys::name_in(&key).filter(|name| *name != self.name) {
            self.names.push(sieve::hash(name));
            self.name = name.to_vec();
        }
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), LedgerError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut deflate = DeflateEncoder::new(Vec::with_capacity(BLOCK_BYTES), Compression::fast());
        let deflated = deflate.write_all(&self.block).and_then(|()| deflate.finish());
        let deflated = deflated.map_err(LedgerError::storage("deflate", &self.path))?;
        let first = std::mem::take(&mut self.first).into();
        let bytes = u32::try_from(deflated.len()).unwrap_or(u32::MAX);
        self.directory.push(Block { first, at: self.at, bytes, crc32: crc32fast::hash(&deflated) });
        self.block.clear();
        self.at += u64::from(bytes);
        self.file.write_all(&deflated).map_err(LedgerError::storage("write", &self.path))
    }

    fn end(&mut self) -> Result<(), LedgerError> {
        self.end_block()?;
        let mut told = write_directory(&self.directory);
        let sieve_at = self.at + told.len() as u64;
        told.extend_from_slice(Sieve::of(&self.names).bytes());
        let numbers = [self.at, sieve_at, self.count, crc32fast::hash(&told).into()];
        let numbers: Vec<u8> = numbers.iter().flat_map(|it| it.to_be_bytes()).collect();
        let check = u64::from(crc32fast::hash(&numbers)).to_be_bytes();
        let mut write = || -> std::io::Result<()> {
            for part in [&told[..], &numbers, &check, MAGIC] {
                self.file.write_all(part)?;
            }
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        write().map_err(LedgerError::storage("write", &self.path))
    }
}
