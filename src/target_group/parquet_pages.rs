//! How large the pages of a Parquet file are once decompressed, found out without decompressing
//! any.
//!
//! A page of a few kilobytes may hold gigabytes of text, and the reader takes a page whole. Its
//! header says its size before: headers are read here, one after the other, and the pages are
//! skipped.
//!
//! Format: <https://github.com/apache/parquet-format>, `PageHeader` in `parquet.thrift`, in
//! Thrift's compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use parquet::file::metadata::ColumnChunkMetaData;

/// Headers nest no deeper; a damaged one may claim to.
const DEEPEST: usize = 16;

/// What the header of a page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Its size once decompressed, in bytes.
    pub bytes: u64,
    /// Its values, nulls included; those of a dictionary are no rows.
    pub values: u64,
    /// It holds the values that the data pages point to.
    pub is_dictionary: bool,
    /// Bytes in the file, without the header.
    compressed: u64,
}

/// The pages of a column chunk, in the order of the file. Headers that can't be read are an error.
pub(super) fn pages(file: impl Read + Seek, chunk: &ColumnChunkMetaData) -> io::Result<Vec<Page>> {
    let (start, length) = chunk.byte_range();
    let mut source = BufReader::with_capacity(512, file);
    source.seek(SeekFrom::Start(start))?;
    let mut pages = Vec::new();
    let mut at = start;
    while at < start + length {
        let mut header = Compact { source: &mut source, read: 0 };
        let page = header.page()?;
        let skip = i64::try_from(page.compressed).map_err(|_| damaged())?;
        at = at.saturating_add(header.read).saturating_add(page.compressed);
        source.seek_relative(skip)?;
        pages.push(page);
    }
    Ok(pages)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a page header is damaged")
}

/// Thrift's compact protocol, as far as page headers need it.
struct Compact<R> {
    source: R,
    read: u64,
}

// The protocol's types.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

// The fields of `PageHeader` that count.
const UNCOMPRESSED_SIZE: i64 = 2;
const COMPRESSED_SIZE: i64 = 3;
const DATA_PAGE: i64 = 5;
const DICTIONARY_PAGE: i64 = 7;
const DATA_PAGE_V2: i64 = 8;
/// The first field of each of the three structs.
const NUM_VALUES: i64 = 1;

impl<R: Read + Seek> Compact<&mut BufReader<R>> {
    fn page(&mut self) -> io::Result<Page> {
        let mut page = Page { bytes: 0, values: 0, is_dictionary: false, compressed: 0 };
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (UNCOMPRESSED_SIZE, I32) => page.bytes = self.size()?,
                (COMPRESSED_SIZE, I32) => page.compressed = self.size()?,
                (DATA_PAGE | DICTIONARY_PAGE | DATA_PAGE_V2, STRUCT) => {
                    page.is_dictionary = field == DICTIONARY_PAGE;
                    page.values = self.first_size()?;
                }
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(page)
    }

    /// The number of values of a struct that begins with it.
    fn first_size(&mut self) -> io::Result<u64> {
        let (mut field, mut values) = (0, 0);
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (NUM_VALUES, I32) => values = self.size()?,
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(values)
    }

    /// The type of the next field; `field` becomes its number. `None` at the end of the struct.
    fn field(&mut self, field: &mut i64) -> io::Result<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *field = match byte >> 4 {
            0 => self.zigzag()?,
            delta => field.saturating_add(i64::from(delta)),
        };
        Ok(Some(byte & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(damaged());
        }
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | SET => {
                let byte = self.byte()?;
                let items = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                // A flag in a list has a byte of its own; in a field it is the field's type.
                let kind = if matches!(byte & 0x0f, TRUE | FALSE) { BYTE } else { byte & 0x0f };
                (0..items).try_for_each(|_| self.skip(kind, depth + 1))
            }
            STRUCT => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(damaged()),
        }
    }

    fn pass(&mut self, bytes: u64) -> io::Result<()> {
        self.read = self.read.saturating_add(bytes);
        self.source.seek_relative(i64::try_from(bytes).map_err(|_| damaged())?)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged())
    }

    fn zigzag(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that is a size.
    fn size(&mut self) -> io::Result<u64> {
        u64::try_from(self.zigzag()?).map_err(|_| damaged())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    #[test]
    fn every_page_of_a_chunk_is_seen_with_its_size() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for dictionary in [true, false] {
                let file = tempfile::tempfile().unwrap();
                let rows = StringArray::from_iter_values((0..20_000).map(|n| format!("{:050}", n % 100)));
                let batch = RecordBatch::try_from_iter([("x", Arc::new(rows) as ArrayRef)]).unwrap();
                let properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_dictionary_enabled(dictionary)
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_data_page_row_count_limit(1_000)
                    .set_write_batch_size(500)
                    .build();
                let mut writer =
                    ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), Some(properties))
                        .unwrap();
                writer.write(&batch).unwrap();
                writer.close().unwrap();

                check(&file, dictionary);
            }
        }
    }

    /// Our sizes beside those of the crate, which decompresses to know them.
    fn check(file: &File, dictionary: bool) {
        let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
        let group = reader.get_row_group(0).unwrap();
        let theirs: Vec<(u64, u64)> = group
            .get_column_page_reader(0)
            .unwrap()
            .map(|page| page.unwrap())
            .map(|page| (page.buffer().len() as u64, u64::from(page.num_values())))
            .collect();
        let ours = pages(file.try_clone().unwrap(), group.metadata().column(0)).unwrap();
        assert_eq!(ours.iter().map(|page| (page.bytes, page.values)).collect::<Vec<_>>(), theirs);
        assert!(theirs.len() >= 20);
        assert_eq!(ours.iter().filter(|page| page.is_dictionary).count(), usize::from(dictionary));
    }

    #[test]
    fn nonsense_is_an_error_and_no_loop() {
        let mut header = Compact { source: &mut BufReader::new(io::Cursor::new([0xff; 64])), read: 0 };
        assert!(header.page().is_err());
        // Lists in lists without an end.
        let mut header = Compact { source: &mut BufReader::new(io::Cursor::new([0x19; 4_096])), read: 0 };
        assert!(header.page().is_err());
    }
}
