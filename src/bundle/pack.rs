//! Writes a bundle: tar, tar.gz or zip, with nothing in it that depends on who wrote it or when. It never decides what
//! goes in.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::domain::BundleFormat;

use super::path::EntryPath;

/// Writes to the store are as large as the reads from the network.
const BUFFER: usize = 64 * 1024;
/// gzip's own default: what is gained above costs twice the time.
const LEVEL: u32 = 6;

/// Counts and hashes what goes out, in large pieces.
///
/// The encoders finish their streams when they are dropped; a bundle that was refused must not look whole, so nothing
/// goes out any more unless the end was asked for.
struct Outgoing<W> {
    inner: W,
    buffer: Vec<u8>,
    hash: Sha256,
    bytes: u64,
    shut: Rc<Cell<bool>>,
}

impl<W: Write> Outgoing<W> {
    fn flush_buffer(&mut self) -> io::Result<()> {
        if !self.shut.get() {
            self.inner.write_all(&self.buffer)?;
            self.hash.update(&self.buffer);
            self.bytes += self.buffer.len() as u64;
        }
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Outgoing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + data.len() > BUFFER {
            self.flush_buffer()?;
        }
        let taken = data.len().min(BUFFER);
        self.buffer.extend_from_slice(&data[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Stream<W: Write> {
    Plain(Outgoing<W>),
    Gzip(Box<GzEncoder<Outgoing<W>>>),
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(it) => it.write(data),
            Self::Gzip(it) => it.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Form<W: Write> {
    Tar(Box<tar::Builder<Stream<W>>>),
    Zip(Box<ZipWriter<StreamWriter<Outgoing<W>>>>),
}

/// A bundle being written.
pub(super) struct Packer<W: Write> {
    form: Form<W>,
    shut: Rc<Cell<bool>>,
    pub(super) files: u64,
}

/// What was written.
pub(super) struct Packed {
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

impl<W: Write> Packer<W> {
    pub(super) fn new(output: W, format: BundleFormat) -> Self {
        let shut = Rc::new(Cell::new(false));
        let buffer = Vec::with_capacity(BUFFER);
        let out = Outgoing { inner: output, buffer, hash: Sha256::new(), bytes: 0, shut: Rc::clone(&shut) };
        let form = match format {
            BundleFormat::Tar => Form::Tar(Box::new(tar::Builder::new(Stream::Plain(out)))),
            BundleFormat::Tgz => {
                let gzip = GzBuilder::new().mtime(0).write(out, Compression::new(LEVEL));
                Form::Tar(Box::new(tar::Builder::new(Stream::Gzip(Box::new(gzip)))))
            }
            BundleFormat::Zip => Form::Zip(Box::new(ZipWriter::new_stream(out))),
        };
        Self { form, shut, files: 0 }
    }

    /// Adds a directory.
    pub(super) fn directory(&mut self, path: &EntryPath, seconds: u64) -> io::Result<()> {
        match &mut self.form {
            Form::Tar(tar) => {
                let mut header = header(EntryType::Directory, 0o755, 0, seconds);
                let mut name = path.bytes().to_vec();
                name.push(b'/');
                tar.append_data(&mut header, as_path(&name), io::empty())
            }
            Form::Zip(zip) => Ok(zip.add_directory(path.text(), options(0o755, seconds))?),
        }
    }

    /// Adds a file of exactly `size` bytes; fewer are an error of kind `UnexpectedEof`.
    pub(super) fn file(
        &mut self,
        path: &EntryPath,
        executable: bool,
        size: u64,
        seconds: u64,
        data: &mut dyn Read,
    ) -> io::Result<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        self.files += 1;
        let mut counted = Counted { inner: data, left: size };
        match &mut self.form {
            Form::Tar(tar) => {
                let mut header = header(EntryType::Regular, mode, size, seconds);
                tar.append_data(&mut header, path.as_path(), &mut counted)?;
            }
            Form::Zip(zip) => {
                let large = size >= u64::from(u32::MAX);
                zip.start_file(path.text(), options(mode, seconds).large_file(large))?;
                io::copy(&mut counted, zip)?;
            }
        }
        if counted.left == 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &EntryPath, target: &[u8], seconds: u64) -> io::Result<()> {
        self.files += 1;
        match &mut self.form {
            Form::Tar(tar) => {
                let mut header = header(EntryType::Symlink, 0o777, 0, seconds);
                // The long form is for long targets only; the short one keeps the bytes as they are.
                match header.set_link_name_literal(target) {
                    Ok(()) => tar.append_data(&mut header, path.as_path(), io::empty()),
                    Err(_) => tar.append_link(&mut header, path.as_path(), as_path(target)),
                }
            }
            Form::Zip(zip) => {
                let target = String::from_utf8_lossy(target);
                Ok(zip.add_symlink(path.text(), target, options(0o777, seconds))?)
            }
        }
    }

    /// Lets nothing more out, not even an end.
    pub(super) fn shut(&self) {
        self.shut.set(true);
    }

    /// Writes the end.
    pub(super) fn finish(self) -> io::Result<Packed> {
        let mut out = match self.form {
            Form::Tar(tar) => match tar.into_inner()? {
                Stream::Plain(out) => out,
                Stream::Gzip(gzip) => gzip.finish()?,
            },
            Form::Zip(zip) => zip.finish()?.into_inner(),
        };
        out.flush_buffer()?;
        out.inner.flush()?;
        Ok(Packed { sha256: hex::encode(out.hash.finalize()), bytes: out.bytes })
    }
}

struct Counted<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

fn header(kind: EntryType, mode: u32, size: u64, seconds: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(seconds);
    header.set_size(size);
    header
}

fn options(mode: u32, seconds: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(i64::from(LEVEL)))
        .last_modified_time(dos_time(seconds))
        .unix_permissions(mode)
}

/// A zip's time has no zone: the commit's in UTC, from 1980 to 2107, which is what the format can say.
fn dos_time(seconds: u64) -> DateTime {
    let at = i64::try_from(seconds).ok().and_then(|it| jiff::Timestamp::from_second(it).ok()).unwrap_or_default();
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let part = |number: i8| u8::try_from(number).unwrap_or_default();
    u16::try_from(at.year())
        .ok()
        .and_then(|year| {
            let (month, day) = (part(at.month()), part(at.day()));
            DateTime::from_date_and_time(year, month, day, part(at.hour()), part(at.minute()), part(at.second())).ok()
        })
        .unwrap_or_default()
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
