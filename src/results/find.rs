//! Finds rows in result files, and reads no more of them than that takes: bloom filters and the
//! statistics of row groups say which of these to look at, then only the columns that are asked
//! about are read, and the rest of the rows that are found.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::batch::BATCH_ROWS;
use super::columns::{Column, ResultRow};
use super::error::ResultsError;
use super::reader::{ResultFiles, check, rows};
use crate::mail::{Address, Class, Disposition, Timestamp};
use crate::suppression::AddressKey;

/// Which rows are sought. Each part narrows it.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    /// The `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// Who they are for.
    pub recipient: Option<Recipient>,
    /// Their disposition.
    pub disposition: Option<Disposition>,
    /// Why.
    pub class: Option<Class>,
    /// When a transmission started.
    pub period: Option<Range<Timestamp>>,
    /// Rows without a transmission are in the period too.
    pub with_untried: bool,
    /// Messages to these addresses are of the class and in the period whatever the row says:
    /// something else does, that came later.
    pub also: HashSet<AddressKey>,
}

/// Who rows are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// This address, however a row writes it.
    Address(AddressKey),
    /// Addresses with this in them, which is in lower case.
    Part(String),
}

impl Recipient {
    /// What a user types: a whole address, or else a part of one.
    pub fn of(text: &str) -> Self {
        match Address::parse(text) {
            Ok(address) => Self::Address((&address).into()),
            Err(_) => Self::Part(text.trim().to_lowercase()),
        }
    }

    /// Whether this is an address of theirs.
    pub fn is(&self, email: &str) -> bool {
        match self {
            Self::Address(key) => email.eq_ignore_ascii_case(key.as_str()) || is_key(email, key),
            Self::Part(part) if email.is_ascii() => {
                let (email, part) = (email.as_bytes(), part.as_bytes());
                part.is_empty() || email.windows(part.len()).any(|bytes| bytes.eq_ignore_ascii_case(part))
            }
            Self::Part(part) => email.to_lowercase().contains(part.as_str()),
        }
    }
}

/// Whether an address that is written in another way has this key.
fn is_key(email: &str, key: &AddressKey) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
    !email.bytes().all(is_plain) && key_of(email).is_some_and(|own| own == *key)
}

fn key_of(email: &str) -> Option<AddressKey> {
    Address::parse(email).ok().map(|address| AddressKey::from(&address))
}

impl ResultFiles {
    /// Hands the rows that are sought to `each`, in input order, each with its number from 0, until
    /// it returns false. Begins at the row numbered `from`. Only these `columns` are read: other
    /// fields are empty, as in [`Self::rows`].
    pub fn find(
        &self,
        sought: &Sought,
        columns: &[Column],
        from: u64,
        each: &mut dyn FnMut(u64, ResultRow<'static>) -> bool,
    ) -> Result<(), ResultsError> {
        let mut first = 0;
        for path in self.paths() {
            let file = ResultFile::open(path)?;
            for group in 0..file.metadata.metadata().num_row_groups() {
                let rows = u64::try_from(file.group(group).num_rows()).unwrap_or(0);
                let begin = first;
                first += rows;
                if first <= from || !file.may_hold(group, sought)? {
                    continue;
                }
                let skipped = from.saturating_sub(begin);
                if !file.find_in(group, sought, columns, begin, skipped, each)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A file that is looked through.
pub(super) struct ResultFile<'a> {
    path: &'a Path,
    file: File,
    metadata: ArrowReaderMetadata,
}

type Builder = ParquetRecordBatchReaderBuilder<File>;

impl<'a> ResultFile<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, ResultsError> {
        check(path)?;
        let file = File::open(path).map_err(|error| ResultsError::io("read", path, error))?;
        // Where pages begin, so that those without a row that is wanted are not read.
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options)
            .map_err(|source| ResultsError::NotResults { path: path.to_owned(), source })?;
        Ok(Self { path, file, metadata })
    }

    fn failed(&self) -> impl Fn(ParquetError) -> ResultsError {
        |source| ResultsError::NotResults { path: self.path.to_owned(), source }
    }

    fn builder(&self) -> Result<Builder, ResultsError> {
        let file = self.file.try_clone().map_err(|error| ResultsError::io("read", self.path, error))?;
        Ok(Builder::new_with_metadata(file, self.metadata.clone()))
    }

    fn group(&self, group: usize) -> &RowGroupMetaData {
        self.metadata.metadata().row_group(group)
    }

    /// The place of a column among those of Parquet, in which lists have their values.
    fn leaf(&self, column: Column) -> Option<usize> {
        let columns = self.metadata.parquet_schema().columns();
        columns.iter().position(|leaf| leaf.path().parts() == [column.name()])
    }

    /// Whether a row group may have rows that are sought.
    pub(super) fn may_hold(&self, group: usize, sought: &Sought) -> Result<bool, ResultsError> {
        if let Some(period) = &sought.period
            && !sought.with_untried
            && sought.also.is_empty()
        {
            let first = self.extent(group, Column::FirstAttemptAt);
            let last = self.extent(group, Column::LastAttemptAt);
            let is_before = last.is_some_and(|(_, latest)| latest < period.start);
            let is_after = first.is_some_and(|(earliest, _)| earliest >= period.end);
            if is_before || is_after {
                return Ok(false);
            }
        }
        if let Some(id) = &sought.message_id
            && !self.filter_has(group, Column::MessageId, id)?
        {
            return Ok(false);
        }
        if let Some(Recipient::Address(key)) = &sought.recipient
            && self.leaf(Column::EmailFolded).is_some()
            && !self.filter_has(group, Column::Email, key.as_str())?
            && !self.filter_has(group, Column::EmailFolded, key.as_str())?
        {
            return Ok(false);
        }
        Ok(true)
    }

    /// The earliest and the latest time in a row group, where it says so.
    fn extent(&self, group: usize, column: Column) -> Option<(Timestamp, Timestamp)> {
        match self.group(group).column(self.leaf(column)?).statistics()? {
            Statistics::Int64(times) => Some((Timestamp(*times.min_opt()?), Timestamp(*times.max_opt()?))),
            _ => None,
        }
    }

    /// Whether the bloom filter of a column has this text. Without one it may.
    fn filter_has(&self, group: usize, column: Column, text: &str) -> Result<bool, ResultsError> {
        let Some(leaf) = self.leaf(column) else { return Ok(true) };
        if self.group(group).column(leaf).bloom_filter_offset().is_none() {
            return Ok(true);
        }
        let filter = self.builder()?.get_row_group_column_bloom_filter(group, leaf);
        Ok(filter.map_err(self.failed())?.is_none_or(|filter| filter.check(text)))
    }

    /// Hands the rows of one row group to `each`, without the first `skipped`. `first` is the
    /// number of the group's first row. Returns what `each` returned last.
    fn find_in(
        &self,
        group: usize,
        sought: &Sought,
        columns: &[Column],
        first: u64,
        skipped: u64,
        each: &mut dyn FnMut(u64, ResultRow<'static>) -> bool,
    ) -> Result<bool, ResultsError> {
        let all = usize::try_from(self.group(group).num_rows()).unwrap_or(0);
        let mut found = self.places(group, sought)?;
        found.retain(|place| *place as u64 >= skipped);
        // Few at once: whoever reads may have enough.
        for part in found.chunks(BATCH_ROWS) {
            let ranges = part.iter().map(|place| *place..*place + 1);
            let selection = RowSelection::from_consecutive_ranges(ranges, all);
            let mut numbers = part.iter();
            for batch in self.batches(group, columns, Some(selection))? {
                for row in rows(&batch?, self.path) {
                    let number = first + *numbers.next().expect("each place gives a row") as u64;
                    if !each(number, row?) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// The places in a row group of the rows that are sought.
    fn places(&self, group: usize, sought: &Sought) -> Result<Vec<usize>, ResultsError> {
        let columns = sought.columns();
        if columns.is_empty() {
            return Ok((0..usize::try_from(self.group(group).num_rows()).unwrap_or(0)).collect());
        }
        let (mut places, mut first) = (Vec::new(), 0);
        for batch in self.batches(group, &columns, None)? {
            let batch = batch?;
            let looked = Looked::at(&batch);
            places.extend((0..batch.num_rows()).filter(|at| looked.is(sought, *at)).map(|at| first + at));
            first += batch.num_rows();
        }
        Ok(places)
    }

    fn batches(
        &self,
        group: usize,
        columns: &[Column],
        selection: Option<RowSelection>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ResultsError>>, ResultsError> {
        let builder = self.builder()?;
        let schema = builder.schema();
        let roots: Vec<usize> =
            columns.iter().filter_map(|column| schema.index_of(column.name()).ok()).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let builder = builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(BATCH_ROWS);
        let builder = match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        };
        let batches = builder.build().map_err(self.failed())?;
        Ok(batches.map(|batch| batch.map_err(|error| self.failed()(error.into()))))
    }
}

impl Sought {
    /// The columns that say whether a row is sought.
    fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        let mut add = |is_asked: bool, more: &[Column]| columns.extend(more.iter().filter(|_| is_asked));
        let asks_also = !self.also.is_empty();
        add(self.message_id.is_some() || asks_also, &[Column::MessageId]);
        add(self.recipient.is_some() || asks_also, &[Column::Email]);
        add(self.disposition.is_some(), &[Column::Disposition]);
        add(self.class.is_some(), &[Column::Class]);
        add(self.period.is_some(), &[Column::FirstAttemptAt, Column::LastAttemptAt]);
        columns
    }
}

/// The columns of a batch that say whether its rows are sought: those that were read. No row is
/// made of them, since most rows are not sought.
struct Looked<'b> {
    message_id: Option<&'b StringArray>,
    email: Option<&'b StringArray>,
    disposition: Option<&'b StringArray>,
    class: Option<&'b StringArray>,
    first: Option<&'b TimestampMicrosecondArray>,
    last: Option<&'b TimestampMicrosecondArray>,
}

impl<'b> Looked<'b> {
    fn at(batch: &'b RecordBatch) -> Self {
        let texts = |column: Column| batch.column_by_name(column.name())?.as_string_opt();
        let times = |column: Column| batch.column_by_name(column.name())?.as_primitive_opt();
        Self {
            message_id: texts(Column::MessageId),
            email: texts(Column::Email),
            disposition: texts(Column::Disposition),
            class: texts(Column::Class),
            first: times(Column::FirstAttemptAt),
            last: times(Column::LastAttemptAt),
        }
    }

    fn is(&self, sought: &Sought, at: usize) -> bool {
        let text =
            |array: Option<&'b StringArray>| array.filter(|array| array.is_valid(at)).map(|a| a.value(at));
        let time = |array: Option<&'b TimestampMicrosecondArray>| {
            array.filter(|array| array.is_valid(at)).map(|array| Timestamp(array.value(at)))
        };
        let is_class = || sought.class.is_none_or(|own| text(self.class) == Some(own.as_str()));
        let is_then = || {
            sought.period.as_ref().is_none_or(|period| match (time(self.first), time(self.last)) {
                (Some(first), Some(last)) => first < period.end && last >= period.start,
                _ => sought.with_untried,
            })
        };
        let is_also = || {
            let email =
                text(self.email).filter(|_| !sought.also.is_empty() && text(self.message_id).is_some());
            email.and_then(key_of).is_some_and(|key| sought.also.contains(&key))
        };
        sought.message_id.as_deref().is_none_or(|own| text(self.message_id) == Some(own))
            && sought.disposition.is_none_or(|own| text(self.disposition) == Some(own.as_str()))
            && sought.recipient.as_ref().is_none_or(|own| text(self.email).is_some_and(|email| own.is(email)))
            && ((is_class() && is_then()) || is_also())
    }
}
