//! Arrow IPC files with a seal: the number of rows and the BLAKE3 hash of the data, checked before
//! anything is read.
//!
//! Other tools open them as ordinary Arrow files. The seal is in the footer's metadata and covers
//! everything before the footer: the schema and the record batches. Of the footer itself only the
//! list of batches is used, and it must cover the data without gaps. So no byte can change
//! undetected and change what is read.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::FileWriter;
use arrow_ipc::{Block, Footer, convert, root_as_footer, root_as_message};
use arrow_schema::{Schema, SchemaRef};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::PlanError;

/// The format of these files.
const FORMAT: u32 = 1;
/// Arrow's magic with its padding to 64 bytes; the schema comes after it.
const SCHEMA_AT: usize = 64;
/// Arrow's trailer: the footer's length and the magic.
const TRAILER: usize = 10;
/// How much is written to the file at once.
const WRITE_BYTES: usize = 1 << 20;

/// A batch ends earlier when its rows take so many bytes: while it is written they are in memory
/// twice.
pub(super) const BATCH_BYTES: usize = 16 << 20;

/// The bytes of the rows of an array, which may be a part of a larger one.
pub(super) fn bytes_of(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

/// The row count and hash of a file of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The number of rows.
    pub rows: u64,
    /// BLAKE3 of the data, in hexadecimal digits.
    pub hash: String,
}

/// Writes a sealed file.
pub(super) struct SealedWriter<W: Write> {
    arrow: FileWriter<BufWriter<Hashing<W>>>,
    path: PathBuf,
    kind: &'static str,
    rows: u64,
}

struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> SealedWriter<W> {
    /// Starts a file of this kind. `path` is for errors.
    pub(super) fn new(
        writer: W,
        path: &Path,
        kind: &'static str,
        schema: &Schema,
    ) -> Result<Self, PlanError> {
        let hashing = Hashing { inner: writer, hasher: blake3::Hasher::new(), bytes: 0 };
        let arrow = FileWriter::try_new(BufWriter::with_capacity(WRITE_BYTES, hashing), schema)
            .map_err(PlanError::writing(path))?;
        Ok(Self { arrow, path: path.to_owned(), kind, rows: 0 })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), PlanError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        self.arrow.write(batch).map_err(PlanError::writing(&self.path))
    }

    /// Writes the seal and returns the writer.
    pub(super) fn finish(mut self) -> Result<(W, FileFacts), PlanError> {
        let error = PlanError::writing(&self.path);
        self.arrow.flush().map_err(&error)?;
        let data = self.arrow.get_ref().get_ref();
        let facts = FileFacts { rows: self.rows, hash: data.hasher.finalize().to_hex().to_string() };
        let bytes = data.bytes.to_string();
        for (key, value) in [
            (KIND, self.kind),
            (FORMAT_KEY, &FORMAT.to_string()),
            (ROWS, &facts.rows.to_string()),
            (BYTES, &bytes),
            (HASH, &facts.hash),
        ] {
            self.arrow.write_metadata(key, value);
        }
        let buffered = self.arrow.into_inner().map_err(&error)?;
        let hashing = buffered.into_inner().map_err(|failed| error(failed.into_error().into()))?;
        Ok((hashing.inner, facts))
    }
}

const KIND: &str = "mailrun.kind";
const FORMAT_KEY: &str = "mailrun.format";
const ROWS: &str = "mailrun.rows";
const BYTES: &str = "mailrun.bytes";
const HASH: &str = "mailrun.blake3";

/// A sealed file, checked and mapped into memory.
#[derive(Debug)]
pub(super) struct SealedFile {
    pub path: PathBuf,
    pub facts: FileFacts,
    pub schema: SchemaRef,
    pub map: Arc<Mmap>,
    buffer: Buffer,
    blocks: Vec<Block>,
    decoder: FileDecoder,
}

/// The mapping as the owner of Arrow's buffers.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl SealedFile {
    /// Opens a file of this kind and checks all of it in one pass.
    pub(super) fn open(path: &Path, kind: &'static str) -> Result<Self, PlanError> {
        let mut file = File::open(path).map_err(PlanError::io("open", path))?;
        // SAFETY: a file of a run never changes once it is published; at most a new file replaces
        // it, and the mapping keeps the old one. Deliberate writes to it break the process, as with
        // any mapped file.
        let map = unsafe { Mmap::map(&file) }.map_err(PlanError::io("map", path))?;
        let map = Arc::new(map);
        let damaged = |detail: String| PlanError::damaged(path, detail);

        let footer = footer(&map).map_err(damaged)?;
        let seal = Seal::read(&footer).map_err(damaged)?;
        if seal.format > FORMAT {
            return Err(PlanError::Newer {
                path: path.to_owned(),
                found: seal.format.to_string(),
                known: FORMAT,
            });
        }
        if seal.kind != kind {
            return Err(damaged(format!("it is a file of kind `{}`, not `{kind}`", seal.kind)));
        }
        if hash(&mut file, seal.bytes).map_err(PlanError::io("read", path))? != seal.facts.hash {
            return Err(damaged("its data does not match its checksum".into()));
        }
        let (schema, first) = schema(&map).map_err(damaged)?;
        let blocks: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
        contiguous(&blocks, first, seal.bytes).map_err(damaged)?;

        let decoder = FileDecoder::new(Arc::clone(&schema), footer.version()).with_require_alignment(true);
        let buffer = Buffer::from(bytes::Bytes::from_owner(Mapped(Arc::clone(&map))));
        Ok(Self { path: path.to_owned(), facts: seal.facts, schema, map, buffer, blocks, decoder })
    }

    /// The number of batches.
    pub(super) fn batches(&self) -> usize {
        self.blocks.len()
    }

    /// The size of a batch in the file, in bytes.
    pub(super) fn bytes_of(&self, batch: usize) -> usize {
        length(&self.blocks[batch])
    }

    /// A batch whose arrays point into the mapped file.
    pub(super) fn batch(&self, batch: usize) -> Result<RecordBatch, PlanError> {
        let block = &self.blocks[batch];
        let data = self.buffer.slice_with_length(block.offset() as usize, length(block));
        match self.decoder.read_record_batch(block, &data) {
            Ok(Some(batch)) => Ok(batch),
            Ok(None) => Err(PlanError::damaged(&self.path, "a batch is missing")),
            Err(error) => Err(PlanError::damaged(&self.path, error.to_string())),
        }
    }
}

/// What the footer says about the data before it.
struct Seal {
    kind: String,
    format: u32,
    bytes: u64,
    facts: FileFacts,
}

impl Seal {
    fn read(footer: &Footer<'_>) -> Result<Self, String> {
        let value = |key: &str| {
            let pairs = footer.custom_metadata().into_iter().flatten();
            let found = pairs.filter(|pair| pair.key() == Some(key)).find_map(|pair| pair.value());
            found.ok_or_else(|| format!("it has no `{key}`: mailrun did not write it"))
        };
        let number = |key: &str| {
            let text = value(key)?;
            text.parse::<u64>().map_err(|_| format!("its `{key}` is `{text}`"))
        };
        Ok(Self {
            kind: value(KIND)?.to_owned(),
            format: u32::try_from(number(FORMAT_KEY)?).unwrap_or(u32::MAX),
            bytes: number(BYTES)?,
            facts: FileFacts { rows: number(ROWS)?, hash: value(HASH)?.to_owned() },
        })
    }
}

/// The footer, at the end of the file.
fn footer(file: &[u8]) -> Result<Footer<'_>, String> {
    let unfinished = || "it is truncated, or not an Arrow file".to_owned();
    let (rest, trailer) = file.split_last_chunk::<TRAILER>().ok_or_else(unfinished)?;
    let length = read_footer_length(*trailer).map_err(|_| unfinished())?;
    let start = rest.len().checked_sub(length).ok_or_else(unfinished)?;
    root_as_footer(&rest[start..]).map_err(|error| format!("its footer can't be read: {error}"))
}

/// The schema at the start of the file (not the footer's copy), and the offset of the first batch.
fn schema(file: &[u8]) -> Result<(SchemaRef, usize), String> {
    let unreadable = || "its schema can't be read".to_owned();
    // A message follows a continuation mark and its length.
    let length = file.get(SCHEMA_AT + 4..SCHEMA_AT + 8).ok_or_else(unreadable)?;
    let length = i32::from_le_bytes(length.try_into().expect("it has four bytes"));
    let start = SCHEMA_AT + 8;
    let end =
        usize::try_from(length).ok().and_then(|length| start.checked_add(length)).ok_or_else(unreadable)?;
    let message = root_as_message(file.get(start..end).ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    let schema = message.header_as_schema().ok_or_else(unreadable)?;
    let schema = convert::try_fb_to_schema(schema).map_err(|_| unreadable())?;
    Ok((Arc::new(schema), end))
}

/// Checks that the batches follow one another from the schema to the end of the data.
fn contiguous(blocks: &[Block], first: usize, end: u64) -> Result<(), String> {
    let mut at = first as u64;
    for block in blocks {
        let fits = block.metaDataLength() >= 0 && block.bodyLength() >= 0 && block.offset() as u64 == at;
        if !fits {
            return Err("its list of batches does not fit its data".into());
        }
        at += length(block) as u64;
    }
    if at == end { Ok(()) } else { Err("its list of batches does not fit its data".into()) }
}

fn length(block: &Block) -> usize {
    block.metaDataLength() as usize + block.bodyLength() as usize
}

/// BLAKE3 of the first `bytes` bytes, read rather than mapped, so that no pages stay resident.
fn hash(file: &mut File, bytes: u64) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; WRITE_BYTES];
    let mut data = file.take(bytes);
    loop {
        match data.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            read => {
                hasher.update(&buffer[..read]);
            }
        }
    }
}
