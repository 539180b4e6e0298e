//! The rows of a target group, file by file.

use super::batch::Batch;
use super::bsmtp::{BsmtpReader, RawBsmtp};
use super::csv_file::{CsvReader, RawCsv};
use super::error::TargetGroupError;
use super::group::{Format, TargetGroup};
use super::json::{JsonReader, RawJson};
use super::typed::{RawTyped, TypedReader};

impl TargetGroup {
    /// Reads the files one after the other, from the start. Every record is in exactly one batch,
    /// readable or not. Reading ends at the first error; an error at the end of a file may say that
    /// the file changed.
    pub fn batches(&self) -> Batches<'_> {
        Batches { raw: self.raw_batches(), ended: false }
    }

    /// The same batches in the same order, to be [read](RawBatch::read) on any thread.
    pub fn raw_batches(&self) -> RawBatches<'_> {
        RawBatches { group: self, file: 0, reader: None, ended: false }
    }
}

/// The rows of a target group, file by file.
pub struct Batches<'a> {
    raw: RawBatches<'a>,
    ended: bool,
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, TargetGroupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.raw.next()?.and_then(RawBatch::read);
        self.ended = batch.is_err();
        Some(batch)
    }
}

/// The records of a target group, file by file, before conversion.
pub struct RawBatches<'a> {
    group: &'a TargetGroup,
    /// The present file, or the next one.
    file: usize,
    reader: Option<Reader<'a>>,
    ended: bool,
}

enum Reader<'a> {
    Csv(Box<CsvReader<'a>>),
    Json(Box<JsonReader<'a>>),
    Typed(Box<TypedReader<'a>>),
    Bsmtp(Box<BsmtpReader<'a>>),
}

/// Some consecutive records of one file, not converted yet.
pub struct RawBatch<'a> {
    group: &'a TargetGroup,
    /// Which file.
    file: usize,
    records: RawRecords<'a>,
}

enum RawRecords<'a> {
    Csv(RawCsv<'a>),
    Json(RawJson<'a>),
    Typed(RawTyped<'a>),
    Bsmtp(Box<RawBsmtp<'a>>),
}

impl<'a> Reader<'a> {
    fn open(group: &'a TargetGroup, number: usize) -> Result<Self, TargetGroupError> {
        let file = &group.files[number];
        let cant_read = |source: Box<dyn std::error::Error + Send + Sync>| {
            TargetGroupError::new("can't read the file").caused_by(source)
        };
        match &group.formats[number] {
            Format::Csv(csv) => {
                let reader = csv.read(file.source()?, number, &group.unified);
                Ok(Reader::Csv(Box::new(reader.map_err(|error| cant_read(error.into()))?)))
            }
            Format::Json(json) => {
                let reader = json.read(file.source()?, number, &group.unified);
                Ok(Reader::Json(Box::new(reader.map_err(|error| cant_read(error.into()))?)))
            }
            Format::Bsmtp(bsmtp) => {
                Ok(Reader::Bsmtp(Box::new(bsmtp.read(file.source()?, number, &group.unified))))
            }
            Format::Parquet(parquet) => {
                let reader = parquet.read(file.open()?, number, &group.unified);
                Ok(Reader::Typed(Box::new(reader.map_err(|error| cant_read(error.into()))?)))
            }
            Format::Arrow(arrow) => {
                let reader = arrow.read(file.open()?, number, &group.unified);
                Ok(Reader::Typed(Box::new(reader.map_err(|error| cant_read(error.into()))?)))
            }
        }
    }
}

impl RawBatch<'_> {
    /// Checks the records and converts them to the columns of the target group.
    pub fn read(self) -> Result<Batch, TargetGroupError> {
        let Self { group, file, records } = self;
        let batch = match records {
            RawRecords::Csv(csv) => csv.read(),
            RawRecords::Json(json) => json.read(),
            RawRecords::Typed(typed) => typed.read(),
            RawRecords::Bsmtp(bsmtp) => bsmtp.read(),
        };
        let file = &group.files[file];
        let filled = batch.and_then(|mut batch| {
            file.partition.fill(&mut batch, &group.unified)?;
            Ok(batch)
        });
        filled.map_err(|error| error.in_file(&file.shown))
    }
}

impl<'a> RawBatches<'a> {
    fn advance(&mut self) -> Result<Option<RawRecords<'a>>, TargetGroupError> {
        while self.file < self.group.files.len() {
            if self.reader.is_none() {
                self.reader = Some(Reader::open(self.group, self.file)?);
            }
            let records = match &mut self.reader {
                Some(Reader::Csv(csv)) => csv.next()?.map(RawRecords::Csv),
                Some(Reader::Json(json)) => json.next()?.map(RawRecords::Json),
                Some(Reader::Typed(typed)) => typed.next()?.map(RawRecords::Typed),
                Some(Reader::Bsmtp(bsmtp)) => bsmtp.next()?.map(|raw| RawRecords::Bsmtp(Box::new(raw))),
                None => None,
            };
            if records.is_some() {
                return Ok(records);
            }
            self.group.files[self.file].check_unchanged()?;
            self.reader = None;
            self.file += 1;
        }
        Ok(None)
    }
}

impl<'a> Iterator for RawBatches<'a> {
    type Item = Result<RawBatch<'a>, TargetGroupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let shown = self.group.files.get(self.file).map_or("", |file| file.shown.as_str());
        let records = self.advance().map_err(|error| error.in_file(shown));
        self.ended = !matches!(records, Ok(Some(_)));
        let (group, file) = (self.group, self.file);
        Some(records.transpose()?.map(|records| RawBatch { group, file, records }))
    }
}
