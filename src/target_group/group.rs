//! The files of a target group, opened up to their headers and footers, and their common schema.

use std::collections::BTreeSet;
use std::io::{self, Seek, SeekFrom};

use arrow_schema::{DataType, SchemaRef};

use super::csv_file::CsvFile;
use super::error::TargetGroupError;
use super::files::{self, FileKind, Found, SourceFile};
use super::parquet_file::ParquetFile;
use super::schema::{self, FileColumns, Unified};
use super::{content, encoding};
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
    Parquet(ParquetFile),
}

/// Finds the files, reads their headers and footers, and unifies their columns.
pub fn open(spec: &campaign::TargetGroupSource) -> Result<TargetGroup, TargetGroupError> {
    let mut files = Vec::new();
    let mut formats = Vec::new();
    let mut columns = Vec::new();
    for found in files::find(spec)? {
        let shown = found.shown.clone();
        let format = look_into(&found, spec).map_err(|error| error.in_file(&shown))?;
        let (kind, given) = match &format {
            Format::Csv(csv) => (FileKind::Csv, csv.columns()),
            Format::Parquet(parquet) => (FileKind::Parquet, parquet.columns()),
        };
        files.push(found.into_source(kind));
        formats.push(format);
        columns.push(FileColumns { shown, columns: given });
    }
    let unified = schema::unify(spec, &columns)?;
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

fn look_into(found: &Found, spec: &campaign::TargetGroupSource) -> Result<Format, TargetGroupError> {
    let cant_read = |error: io::Error| files::unreadable(&found.shown, error);
    let mut file = found.file.try_clone().map_err(cant_read)?;
    let head = encoding::head(&mut file).map_err(cant_read)?;
    let mut tail = [0; 4];
    file.seek(SeekFrom::Start(found.bytes().saturating_sub(4))).map_err(cant_read)?;
    let tail_bytes = encoding::read_full(&mut file, &mut tail).map_err(cant_read)?;
    Ok(match content::detect(&found.path, found.bytes(), &head, &tail[..tail_bytes], spec.encoding)? {
        FileKind::Csv => Format::Csv(CsvFile::open(file, found.bytes(), &head, spec)?),
        FileKind::Parquet => Format::Parquet(ParquetFile::open(&file)?),
    })
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
