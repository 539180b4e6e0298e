//! The frozen plan, mapped into memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray, StructArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Fields, SchemaRef};
use memmap2::{Mmap, UncheckedAdvice};
use serde_json::Map;

use super::error::PlanError;
use super::files::messages_in;
use super::layout::{Layout, PURGED, column};
use super::row::Row;
use super::sealed::{FileFacts, SealedFile};
use super::value::value;
use crate::mail::Address;

/// The kind of file in its seal.
pub(super) const KIND: &str = "plan";

/// At most this much of the file stays resident; then all pages are released to the system, which
/// still caches them. So a plan of any size takes no more memory than this.
const RESIDENT_BYTES: u64 = 32 << 20;

/// A frozen plan. Rows are read from the mapped file on demand, from any thread.
#[derive(Debug)]
pub struct Plan {
    facts: FileFacts,
    schema: SchemaRef,
    batches: Vec<PlanBatch>,
    len: u32,
    map: Arc<Mmap>,
    resident: AtomicU64,
    messages: Option<Arc<Path>>,
}

/// A batch of the file and its columns.
#[derive(Debug)]
struct PlanBatch {
    /// The index of its first row.
    first: u32,
    records: RecordBatch,
    file: UInt32Array,
    row: UInt64Array,
    address: StringArray,
    email: StringArray,
    id: StringArray,
    name: StringArray,
    columns: StructArray,
    bytes: u64,
    /// True when its pages may be in memory.
    touched: AtomicBool,
}

impl Plan {
    /// Opens the plan at `path` and checks all of it: a truncated or altered file is an error.
    pub fn open(path: &Path) -> Result<Self, PlanError> {
        let file = SealedFile::open(path, KIND)?;
        let foreign = || PlanError::damaged(path, "its columns are not those of a plan");
        let own = Layout::new(&arrow_schema::Schema::empty(), None);
        let (expected, found) = (&own.schema().fields()[..column::COLUMNS], file.schema.fields());
        let is_struct = |field: &arrow_schema::FieldRef| matches!(field.data_type(), DataType::Struct(_));
        if found.get(..column::COLUMNS) != Some(expected)
            || !found.get(column::COLUMNS).is_some_and(is_struct)
        {
            return Err(foreign());
        }
        let mut plan = Self {
            facts: file.facts.clone(),
            schema: Arc::clone(&file.schema),
            batches: Vec::with_capacity(file.batches()),
            len: 0,
            map: Arc::clone(&file.map),
            resident: AtomicU64::new(0),
            messages: path.parent().map(messages_in).filter(|folder| folder.is_dir()).map(Arc::from),
        };
        for number in 0..file.batches() {
            let batch = PlanBatch::new(plan.len, file.batch(number)?, file.bytes_of(number) as u64);
            let rows = u32::try_from(batch.records.num_rows()).ok();
            plan.len = rows.and_then(|rows| plan.len.checked_add(rows)).ok_or_else(foreign)?;
            // Arrow has read all of it to check offsets and UTF-8.
            plan.batches.push(batch);
            plan.touch(number);
        }
        if u64::from(plan.len) != plan.facts.rows {
            return Err(PlanError::damaged(path, "its number of rows is not the one in its seal"));
        }
        Ok(plan)
    }

    /// The folder with the messages, where the target group holds ready ones.
    pub(super) fn messages(&self) -> Option<&Path> {
        self.messages.as_deref()
    }

    /// The number of rows.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is nobody to send to.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// BLAKE3 of the plan's data, in hexadecimal digits: identifies the plan.
    pub fn hash(&self) -> &str {
        &self.facts.hash
    }

    /// The names of the target group's columns that the plan keeps.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.fields().iter().map(|field| field.name().as_str())
    }

    /// The row with this index, from 0.
    pub fn row(&self, index: u32) -> Result<Row, PlanError> {
        if index >= self.len {
            return Err(PlanError::NoRow { index, len: self.len });
        }
        let (batch, at) = self.find(index);
        let fields = std::iter::zip(batch.columns.fields(), batch.columns.columns());
        let values: Map<_, _> =
            fields.map(|(field, column)| (field.name().clone(), value(column, at))).collect();
        Ok(Row {
            index,
            file: batch.file.value(at),
            row: batch.row.value(at),
            email: batch.email(at).to_owned(),
            address: batch.address(at),
            id: text(&batch.id, at).map(str::to_owned),
            name: text(&batch.name, at).map(str::to_owned),
            values,
            messages: self.messages.clone(),
        })
    }

    /// The file (an index into the manifest's inputs) and the row in it, from 1.
    ///
    /// # Panics
    /// Like the methods below, when there is no row with this index.
    pub fn place(&self, index: u32) -> (u32, u64) {
        let (batch, at) = self.find(index);
        (batch.file.value(at), batch.row.value(at))
    }

    /// The address as given.
    pub fn email(&self, index: u32) -> &str {
        let (batch, at) = self.find(index);
        batch.email(at)
    }

    /// The address.
    pub fn address(&self, index: u32) -> Address {
        let (batch, at) = self.find(index);
        batch.address(at)
    }

    /// Whether the person of this row was removed.
    pub fn is_purged(&self, index: u32) -> bool {
        let (batch, at) = self.find(index);
        batch.address.value(at) == PURGED
    }

    /// The domain, in A-labels and lower case.
    pub fn domain(&self, index: u32) -> &str {
        let (batch, at) = self.find(index);
        batch.domain(at)
    }

    /// The recipient's id, if any.
    pub fn id(&self, index: u32) -> Option<&str> {
        let (batch, at) = self.find(index);
        text(&batch.id, at)
    }

    /// The type of the ids before they were read as text, where they were not.
    pub fn id_type(&self) -> Option<DataType> {
        Layout::id_type(&self.schema)
    }

    /// The columns of the target group that the plan keeps, and the place of a row in them.
    pub fn cells(&self, index: u32) -> (&StructArray, usize) {
        let (batch, at) = self.find(index);
        (&batch.columns, at)
    }

    /// The fields of the target group's columns that the plan keeps.
    pub fn fields(&self) -> &Fields {
        match self.schema.field(column::COLUMNS).data_type() {
            DataType::Struct(fields) => fields,
            _ => unreachable!("`open` has checked it"),
        }
    }

    /// Each row's index and domain, for building the queues.
    pub fn domains(&self) -> impl Iterator<Item = (u32, &str)> {
        self.batches.iter().enumerate().flat_map(move |(number, batch)| {
            self.touch(number);
            (0..batch.records.num_rows()).map(move |at| (batch.first + at as u32, batch.domain(at)))
        })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batches, each with the index of its first row.
    pub(super) fn record_batches(&self) -> impl Iterator<Item = (u32, &RecordBatch)> {
        self.batches.iter().enumerate().map(move |(number, batch)| {
            self.touch(number);
            (batch.first, &batch.records)
        })
    }

    /// The batch that holds a row, and its place in it.
    fn find(&self, index: u32) -> (&PlanBatch, usize) {
        assert!(index < self.len, "row {index} of a plan of {} rows", self.len);
        let number = self.batches.partition_point(|batch| batch.first <= index) - 1;
        self.touch(number);
        let batch = &self.batches[number];
        (batch, (index - batch.first) as usize)
    }

    /// Counts a batch as resident, and releases all pages of the file when there are too many.
    fn touch(&self, number: usize) {
        let batch = &self.batches[number];
        if batch.touched.load(Ordering::Relaxed) || batch.touched.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.resident.fetch_add(batch.bytes, Ordering::Relaxed) + batch.bytes <= RESIDENT_BYTES {
            return;
        }
        self.resident.store(0, Ordering::Relaxed);
        for batch in &self.batches {
            batch.touched.store(false, Ordering::Relaxed);
        }
        // SAFETY: the mapping is shared and read-only, so a released page is read from the file
        // again with the same contents, even if other threads read it now. A failure leaves the
        // pages resident.
        let _ = unsafe { self.map.unchecked_advise(UncheckedAdvice::DontNeed) };
    }
}

impl PlanBatch {
    fn new(first: u32, records: RecordBatch, bytes: u64) -> Self {
        let text = |number: usize| records.column(number).as_string::<i32>().clone();
        Self {
            first,
            file: records.column(column::FILE).as_primitive().clone(),
            row: records.column(column::ROW).as_primitive().clone(),
            address: text(column::ADDRESS),
            email: text(column::EMAIL),
            id: text(column::ID),
            name: text(column::NAME),
            columns: records.column(column::COLUMNS).as_struct().clone(),
            records,
            bytes,
            touched: AtomicBool::new(false),
        }
    }

    fn email(&self, at: usize) -> &str {
        if self.email.is_valid(at) { self.email.value(at) } else { self.address.value(at) }
    }

    fn address(&self, at: usize) -> Address {
        let text = self.address.value(at);
        Address::parse(text).expect("the seal says that it is what was written, and that was an address")
    }

    fn domain(&self, at: usize) -> &str {
        let address = self.address.value(at);
        // A local part holds no `@`: addresses with quotes are not accepted.
        let local = address.find('@').expect("an address holds an `@`");
        &address[local + 1..]
    }
}

/// A cell's text; an empty one counts as none.
fn text(column: &StringArray, at: usize) -> Option<&str> {
    column.is_valid(at).then(|| column.value(at)).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::freeze::tests::{frozen, plan_files};
    use super::*;
    use crate::screen::testing::batch;

    fn plan_of(rows: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let (folder, files) = plan_files();
        let emails: Vec<String> = (0..rows).map(|n| format!("{n}@b.example")).collect();
        frozen(&files, vec![batch(0, &emails.iter().map(String::as_str).collect::<Vec<_>>())]);
        (folder, files.plan)
    }

    fn assert_damaged(path: &Path, what: &str) {
        match Plan::open(path) {
            Err(error @ PlanError::Damaged { .. }) => {
                assert!(
                    error.to_string().contains("plan.arrow") && error.hint().is_some(),
                    "{what}: {error}"
                );
            }
            other => panic!("{what}: {other:?}"),
        }
    }

    #[test]
    fn a_cut_plan_is_refused_wherever_it_is_cut() {
        let (_folder, path) = plan_of(300);
        let whole = fs::read(&path).unwrap();
        for length in (1..whole.len()).step_by(61).chain([whole.len() - 1]) {
            fs::write(&path, &whole[..length]).unwrap();
            assert_damaged(&path, &format!("cut after {length}"));
        }
        fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
        assert_damaged(&path, "a byte more");
    }

    /// Any changed byte is detected, or is one that is never read (padding, the footer's copy of
    /// the schema).
    #[test]
    fn an_altered_plan_is_refused_or_reads_the_same() {
        let (_folder, path) = plan_of(20);
        let whole = fs::read(&path).unwrap();
        let rows =
            |plan: &Plan| -> Vec<Row> { (0..plan.len()).map(|index| plan.row(index).unwrap()).collect() };
        let expected = rows(&Plan::open(&path).unwrap());
        let mut refused = 0;
        for at in (0..whole.len()).step_by(3) {
            let mut altered = whole.clone();
            altered[at] ^= 0x55;
            fs::write(&path, &altered).unwrap();
            match Plan::open(&path) {
                Ok(plan) => assert_eq!(rows(&plan), expected, "byte {at}"),
                Err(PlanError::Damaged { .. } | PlanError::Newer { .. }) => refused += 1,
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
        assert!(refused > whole.len() / 6, "{refused} of {}", whole.len());
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        let (_folder, path) = plan_of(3);
        fs::copy(path.with_file_name("screened.arrow"), &path).unwrap();
        assert_damaged(&path, "screened rows");
        fs::write(&path, "email\na@b.example\n").unwrap();
        assert_damaged(&path, "a CSV file");
        fs::write(&path, "").unwrap();
        assert_damaged(&path, "nothing");
        fs::remove_file(&path).unwrap();
        assert!(matches!(Plan::open(&path), Err(PlanError::Io { .. })));
    }

    #[test]
    fn rows_are_read_from_any_thread_while_pages_are_given_back() {
        let (_folder, path) = plan_of(20_000);
        let plan = Plan::open(&path).unwrap();
        std::thread::scope(|scope| {
            for offset in 0..4 {
                let plan = &plan;
                scope.spawn(move || {
                    for index in (offset..plan.len()).step_by(97) {
                        // Pretend that the limit was reached.
                        plan.resident.store(RESIDENT_BYTES, Ordering::Relaxed);
                        assert_eq!(plan.row(index).unwrap().email, format!("{index}@b.example"));
                    }
                });
            }
        });
    }

    #[test]
    fn the_pages_of_many_batches_are_given_back() {
        let (_folder, path) = plan_of(20_000);
        let plan = Plan::open(&path).unwrap();
        assert!(plan.batches.iter().all(|batch| batch.touched.load(Ordering::Relaxed)));
        plan.batches[0].touched.store(false, Ordering::Relaxed);
        plan.resident.store(RESIDENT_BYTES, Ordering::Relaxed);
        plan.place(0);
        assert!(plan.batches.iter().all(|batch| !batch.touched.load(Ordering::Relaxed)));
        assert_eq!(plan.resident.load(Ordering::Relaxed), 0);
    }
}
