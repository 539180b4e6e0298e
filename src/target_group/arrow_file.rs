//! One Arrow IPC file or stream: its schema, then its usable columns.
//!
//! A file is a stream between a magic number and a footer, and is read as one. Before a row of it
//! is read, its messages are looked at: one that was cut short, or whose batches unpack to more
//! than is read at once, is refused as a whole.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::{MessageHeader, root_as_message};
use arrow_schema::{ArrowError, Schema, SchemaRef};

use super::error::TargetGroupError;
use super::header;
use super::schema::{Given, Unified};
use super::typed::{self, TypedReader};

/// What an Arrow IPC file begins with; a stream does not.
const MAGIC: &[u8] = b"ARROW1\0\0";
/// The stream in a file starts at a multiple of 8 or 64.
const LONGEST_PADDING: u64 = 128;
/// What each message begins with, before its length.
const MARKER: [u8; 4] = [0xff; 4];
/// A batch that takes more, unpacked, is refused: the reader takes it whole.
const LARGEST_BATCH: u64 = 256 * 1024 * 1024;
/// A message's description is a few kilobytes.
const LARGEST_DESCRIPTION: u64 = 16 * 1024 * 1024;

/// The schema of an Arrow IPC file.
#[derive(Debug)]
pub(super) struct ArrowFile {
    /// Where the stream starts.
    start: u64,
    schema: SchemaRef,
    names: Vec<String>,
}

impl ArrowFile {
    /// Reads the schema and looks at all messages of `file`, which has `bytes` bytes.
    pub(super) fn open(file: &File, bytes: u64) -> Result<Self, TargetGroupError> {
        let cant_read = |error: io::Error| TargetGroupError::new("can't read the file").caused_by(error);
        let mut file = BufReader::new(file.try_clone().map_err(cant_read)?);
        file.seek(SeekFrom::Start(0)).map_err(cant_read)?;
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(cant_read)?;
        let start = if magic == MAGIC {
            let mut end = [0; 6];
            file.seek(SeekFrom::End(-(end.len() as i64)))
                .and_then(|_| file.read_exact(&mut end))
                .map_err(cant_read)?;
            if !MAGIC.starts_with(&end) {
                return Err(damaged(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
            start_of_stream(&mut file).map_err(cant_read)?
        } else {
            0
        };
        Messages { file: &mut file, at: start, bytes }.check()?;
        file.seek(SeekFrom::Start(start)).map_err(cant_read)?;
        let reader = StreamReader::try_new(file, None).map_err(damaged)?;
        let schema = reader.schema();
        let names = header::names(schema.fields().iter().map(|field| field.name().clone()))?;
        Ok(Self { start, schema, names })
    }

    pub(super) fn columns(&self) -> Vec<(String, Given)> {
        typed::columns(&self.schema, &self.names)
    }

    /// Its rows; `file` is the one that was opened, `number` its place in the target group.
    pub(super) fn read<'a>(
        &self,
        mut file: File,
        number: usize,
        unified: &'a Unified,
    ) -> Result<TypedReader<'a>, ArrowError> {
        file.seek(SeekFrom::Start(self.start))?;
        let (roots, sources) = typed::projected(&typed::sources(&self.schema, &self.names, unified));
        let fields = roots.iter().map(|root| typed::viewed(&self.schema.fields()[*root]));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batches = StreamReader::try_new_buffered(file, Some(roots))?;
        let batches = batches.map(move |batch| as_schema(&batch?, &schema));
        Ok(TypedReader::new(Box::new(batches), number, unified, sources))
    }
}

/// Where the stream in a file starts: after the magic number, and zeros that align it.
fn start_of_stream(file: &mut BufReader<File>) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.take(LONGEST_PADDING).read_to_end(&mut head)?;
    let zeros = head[MAGIC.len()..].iter().take_while(|&&byte| byte == 0).count();
    Ok((MAGIC.len() + zeros) as u64)
}

/// The batch with text as views.
fn as_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_, _>>()?, &options)
}

fn damaged(error: ArrowError) -> TargetGroupError {
    TargetGroupError::new("the Arrow file can't be read: it is damaged or was cut short")
        .hint("copy or write it again")
        .caused_by(error)
}

/// The messages of a stream, one after the other.
struct Messages<'f> {
    file: &'f mut BufReader<File>,
    at: u64,
    /// The length of the file.
    bytes: u64,
}

impl Messages<'_> {
    fn check(mut self) -> Result<(), TargetGroupError> {
        let mut batches = 0;
        while let Some(description) = self.next().map_err(|error| damaged(error.into()))? {
            let message = root_as_message(&description)
                .map_err(|error| damaged(ArrowError::ParseError(error.to_string())))?;
            let body = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
            if body > self.bytes.saturating_sub(self.at) {
                return Err(damaged(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
            let data = match message.header_type() {
                MessageHeader::RecordBatch => message.header_as_record_batch(),
                MessageHeader::DictionaryBatch => {
                    message.header_as_dictionary_batch().and_then(|batch| batch.data())
                }
                _ => None,
            };
            let mut unpacked = body;
            if let Some(data) = data.filter(|data| data.compression().is_some()) {
                for buffer in data.buffers().into_iter().flatten() {
                    let length = u64::try_from(buffer.length()).unwrap_or(0);
                    let offset = u64::try_from(buffer.offset()).unwrap_or(u64::MAX);
                    if length > 8 && offset.saturating_add(8) <= body {
                        let size = self.size_at(self.at + offset).map_err(|error| damaged(error.into()))?;
                        unpacked = unpacked.saturating_add(size);
                    }
                }
            }
            batches += u64::from(data.is_some());
            if unpacked > LARGEST_BATCH {
                return Err(TargetGroupError::new(format!(
                    "record batch {batches} takes {} MB, more than the {} MB that are read at once",
                    unpacked / 1_000_000,
                    LARGEST_BATCH / 1_000_000
                ))
                .hint("write the file with smaller batches"));
            }
            self.at += body;
        }
        Ok(())
    }

    /// The next message's description; none at the stream's end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        // A stream may end without a mark, but then nobody knows whether it was cut short.
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut start = [0; 8];
        self.file.read_exact(&mut start)?;
        let [marker @ .., _, _, _, _] = start;
        let length = u64::from(u32::from_le_bytes([start[4], start[5], start[6], start[7]]));
        if marker != MARKER || length > LARGEST_DESCRIPTION {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if length == 0 {
            return Ok(None);
        }
        let mut description = vec![0; length as usize];
        self.file.read_exact(&mut description)?;
        self.at += 8 + length;
        Ok(Some(description))
    }

    /// The unpacked size of the buffer at a place; nothing for one that is not packed.
    fn size_at(&mut self, at: u64) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut size = [0; 8];
        self.file.read_exact(&mut size)?;
        Ok(u64::try_from(i64::from_le_bytes(size)).unwrap_or(0))
    }
}
