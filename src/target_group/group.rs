//! The files of a target group, opened up to their headers and footers, and their common schema.

use std::collections::BTreeSet;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef};

use super::arrow_file::ArrowFile;
use super::bsmtp::BsmtpFile;
use super::content::Content;
use super::csv_file::CsvFile;
use super::encoding;
use super::error::TargetGroupError;
use super::files::{self, Found, SourceFile};
use super::json::JsonFile;
use super::object::FetchedObject;
use super::parquet_file::ParquetFile;
use super::partition::Partition;
use super::reading::{FileKind, Reading};
use super::schema::{self, FileColumns, Unified};
use super::source::{Packing, Source};
use crate::campaign;

/// The files with the recipients, checked to be readable.
#[derive(Debug)]
pub struct TargetGroup {
    pub(super) files: Vec<SourceFile>,
    /// The format of each of `files`.
    pub(super) formats: Vec<Format>,
    pub(super) unified: Unified,
}

#[derive(Debug)]
pub(super) enum Format {
    Csv(CsvFile),
    Json(JsonFile),
    Parquet(ParquetFile),
    Arrow(ArrowFile),
    Bsmtp(BsmtpFile),
}

/// Finds the files, reads their headers and footers, and unifies their columns.
pub fn open(spec: &campaign::TargetGroupSource) -> Result<TargetGroup, TargetGroupError> {
    open_with(spec, &[])
}

/// The same with the lists of object stores, which were fetched before.
pub fn open_with(
    spec: &campaign::TargetGroupSource,
    objects: &[Arc<FetchedObject>],
) -> Result<TargetGroup, TargetGroupError> {
    let mut files = Vec::new();
    let mut formats = Vec::new();
    let mut columns = Vec::new();
    for found in files::find(spec, objects)? {
        let shown = found.shown.clone();
        let (packing, format) = look_into(&found, spec).map_err(|error| error.in_file(&shown))?;
        let (kind, given, text) = match &format {
            Format::Csv(csv) => (FileKind::Csv, csv.columns(), Some(csv.reading.clone())),
            Format::Json(json) => (FileKind::JsonLines, json.columns(), Some(json.reading.clone())),
            Format::Parquet(parquet) => (FileKind::Parquet, parquet.columns(), None),
            Format::Arrow(arrow) => (FileKind::Arrow, arrow.columns(), None),
            Format::Bsmtp(bsmtp) => (FileKind::Bsmtp, bsmtp.columns(), None),
        };
        let partition = Partition::of(&shown).map_err(|error| error.in_file(&shown))?;
        let mut given = FileColumns { shown: shown.clone(), columns: given };
        partition.add_to(&mut given).map_err(|error| error.in_file(&shown))?;
        files.push(found.into_source(partition, Reading { kind, packing, text }));
        formats.push(format);
        columns.push(given);
    }
    let unified = schema::unify(spec, &columns)?;
    for file in &files {
        file.partition.check(&unified).map_err(|error| error.in_file(&file.shown))?;
    }
    for (file, format) in files.iter().zip(&formats) {
        if let Format::Parquet(parquet) = format {
            let checked = parquet
                .check_compression(&unified)
                .and_then(|()| parquet.check_pages(&file.open()?, &unified));
            checked.map_err(|error| error.in_file(&file.shown))?;
        }
    }
    Ok(TargetGroup { files, formats, unified })
}

fn look_into(
    found: &Found,
    spec: &campaign::TargetGroupSource,
) -> Result<(Option<Packing>, Format), TargetGroupError> {
    let cant_read = |error: io::Error| files::unreadable(&found.shown, error);
    let mut file = found.file.try_clone().map_err(cant_read)?;
    let mut head = encoding::head(&mut file).map_err(cant_read)?;
    let mut tail = [0; 4];
    file.seek(SeekFrom::Start(found.bytes().saturating_sub(4))).map_err(cant_read)?;
    let tail_bytes = encoding::read_full(&mut file, &mut tail).map_err(cant_read)?;
    let packing = Packing::of(&head);
    let mut bytes = found.bytes();
    if let Some(packing) = packing {
        bytes = packing.measure(file.try_clone().map_err(cant_read)?, bytes)?;
    }
    let mut source = Source::new(file.try_clone().map_err(cant_read)?, packing).map_err(cant_read)?;
    if packing.is_some() {
        head = encoding::head(&mut source).map_err(cant_read)?;
    }
    // What it is called says what it should be.
    let path = if found.object.is_some() { Path::new(&found.shown) } else { &found.path };
    let content = Content { path, bytes, head: &head, tail: &tail[..tail_bytes], packing };
    let format = match content.detect(spec.encoding)? {
        FileKind::Csv => Format::Csv(CsvFile::open(source, bytes, &head, spec)?),
        FileKind::JsonLines => {
            let mark_bytes = encoding::mark(&head).map_or(0, |(_, bytes)| bytes);
            Format::Json(JsonFile::open(source, mark_bytes, &head)?)
        }
        FileKind::Parquet => Format::Parquet(ParquetFile::open(&file)?),
        FileKind::Arrow => Format::Arrow(ArrowFile::open(&file, bytes)?),
        FileKind::Bsmtp => Format::Bsmtp(BsmtpFile::new(spec)),
    };
    Ok((packing, format))
}

impl TargetGroup {
    /// The files in the order in which they are read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Drops the columns that screening does not need and that are not in `wanted`: they are never
    /// read.
    pub fn keep_columns(&mut self, wanted: &BTreeSet<String>) {
        self.unified.keep(wanted);
    }

    /// The columns of all files, their names trimmed; each may be null.
    ///
    /// The address, the id and the name are `Utf8`. Other columns have the type that the campaign
    /// file declares, else that of the Parquet files, else `Utf8`. Possible types are
    /// `Boolean`, integers, floats, decimals, `Date32`, `Time32`, `Time64`, `Timestamp`, `Utf8`,
    /// and `List` and `Struct` of these.
    pub fn schema(&self) -> SchemaRef {
        self.unified.schema.clone()
    }

    /// The index of the column with the address.
    pub fn email_column(&self) -> usize {
        self.unified.email
    }

    /// The index of the column that identifies the recipient.
    pub fn id_column(&self) -> Option<usize> {
        self.unified.id
    }

    /// The type that the files give the ids, which are read as text.
    pub fn id_type(&self) -> &DataType {
        &self.unified.id_type
    }

    /// The index of the column with the display name.
    pub fn name_column(&self) -> Option<usize> {
        self.unified.name
    }

    /// What the user should know: columns that are left out.
    pub fn warnings(&self) -> &[String] {
        &self.unified.warnings
    }
}
