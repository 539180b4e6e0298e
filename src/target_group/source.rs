//! The bytes of a file: as they are, or unpacked from gzip or zstd, as a stream in constant memory.
//!
//! A packed file is unpacked once before a row of it is read: one that was cut short, or that is
//! nothing but a few bytes repeated, is refused as a whole.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;

use super::error::TargetGroupError;
use crate::kit::text::{counted, grouped};

/// How many bytes are unpacked at once.
const BLOCK_BYTES: usize = 64 * 1024;
/// A file may unpack to this many times its size. A list of addresses reaches ten times.
const MOST_TIMES: u64 = 1_000;
/// What a small file may unpack to in any case.
const FREE_BYTES: u64 = 64 * 1024 * 1024;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// gzip, with any number of members (RFC 1952).
    Gzip,
    /// Zstandard, with any number of frames (RFC 8878).
    Zstd,
}

impl Packing {
    /// The packing that the first bytes of a file show.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name, as people know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Unpacks the whole of `file`, which has `packed` bytes, and returns how many there are.
    pub(super) fn measure(self, file: File, packed: u64) -> Result<u64, TargetGroupError> {
        let cant_read = |error: io::Error| TargetGroupError::new("can't read the file").caused_by(error);
        let most = packed.saturating_mul(MOST_TIMES).max(FREE_BYTES);
        let mut unpacked = Unpacked::open(file, self).map_err(cant_read)?;
        let mut block = vec![0; BLOCK_BYTES];
        let mut lines = 0;
        loop {
            let count = match unpacked.read(&mut block) {
                Ok(0) => return Ok(unpacked.at),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.damaged(lines, unpacked.at, error)),
            };
            lines += block[..count].iter().filter(|&&byte| byte == b'\n').count();
            if unpacked.at > most {
                return Err(TargetGroupError::new(format!(
                    "the file unpacks to more than {MOST_TIMES} times its size of {} bytes",
                    grouped(packed)
                ))
                .hint("no list compresses like this; if it is one, unpack it first"));
            }
        }
    }

    /// The packed bytes end or break off after so many lines.
    fn damaged(self, lines: usize, bytes: u64, error: io::Error) -> TargetGroupError {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "was cut short",
            _ => "is damaged",
        };
        let lines = counted(lines as u64, "line", "lines");
        TargetGroupError::new(format!(
            "the file {what}: its {} data can't be unpacked after {lines} ({} bytes)",
            self.name(),
            grouped(bytes)
        ))
        .hint("copy or write it again")
        .caused_by(error)
    }
}

/// The bytes of a file, to be read from any place.
pub(super) enum Source {
    Plain(File),
    Packed(Box<Unpacked>),
}

impl Source {
    pub(super) fn new(file: File, packing: Option<Packing>) -> io::Result<Self> {
        Ok(match packing {
            None => Self::Plain(file),
            Some(packing) => Self::Packed(Box::new(Unpacked::open(file, packing)?)),
        })
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(out),
            Self::Packed(unpacked) => unpacked.read(out),
        }
    }
}

impl Seek for Source {
    /// In a packed file only from its start; to go back means to unpack it again.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match (self, to) {
            (Self::Plain(file), to) => file.seek(to),
            (Self::Packed(unpacked), SeekFrom::Start(at)) => unpacked.go_to(at),
            (Self::Packed(_), SeekFrom::End(_) | SeekFrom::Current(_)) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }
}

/// A file that is unpacked while it is read.
pub(super) struct Unpacked {
    file: File,
    packing: Packing,
    decoder: Decoder,
    /// How many bytes were unpacked.
    at: u64,
}

enum Decoder {
    Gzip(MultiGzDecoder<BufReader<File>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<File>>),
}

impl Unpacked {
    fn open(file: File, packing: Packing) -> io::Result<Self> {
        let decoder = Decoder::open(&file, packing)?;
        Ok(Self { file, packing, decoder, at: 0 })
    }

    fn go_to(&mut self, at: u64) -> io::Result<u64> {
        if at < self.at {
            self.decoder = Decoder::open(&self.file, self.packing)?;
            self.at = 0;
        }
        let skip = at - self.at;
        io::copy(&mut self.by_ref().take(skip), &mut io::sink())?;
        Ok(self.at)
    }
}

impl Decoder {
    fn open(file: &File, packing: Packing) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let file = BufReader::with_capacity(BLOCK_BYTES, file);
        Ok(match packing {
            Packing::Gzip => Self::Gzip(MultiGzDecoder::new(file)),
            Packing::Zstd => Self::Zstd(zstd::stream::read::Decoder::with_buffer(file)?),
        })
    }
}

impl Read for Unpacked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.decoder {
            Decoder::Gzip(gzip) => gzip.read(out)?,
            Decoder::Zstd(zstd) => zstd.read(out)?,
        };
        self.at += count as u64;
        Ok(count)
    }
}
