//! Writes `plan.arrow` and `screened.arrow`, batch by batch in constant memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{RecordBatch, StructArray, UInt32Array};
use arrow_schema::{Fields, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use super::error::PlanError;
use super::files::{PlanFiles, messages_in};
use super::layout::{Layout, column};
use super::reader::{KIND, Plan};
use super::screened::ScreenedWriter;
use super::sealed::{BATCH_BYTES, FileFacts, SealedWriter, bytes_of};
use super::seeds::Seeds;
use crate::kit::file::{self, Draft};
use crate::screen::{Screened, ScreenedBatch};

/// Rows per batch of the file. Reading one row touches only the pages of its batch, and the memory
/// kept per batch is negligible.
const BATCH_ROWS: usize = 4_096;

/// The two files of a plan while they are written. If this is dropped before [`Self::finish`], they
/// are removed.
#[derive(Debug)]
pub struct Freeze {
    layout: Layout,
    lasting: bool,
    plan: PlanWriter<Draft>,
    screened: ScreenedWriter<Draft>,
    seeds: Option<Seeds>,
}

/// The facts about the two finished files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// `plan.arrow`.
    pub plan: FileFacts,
    /// `screened.arrow`.
    pub screened: FileFacts,
    /// How many rows at the plan's end are copies for seed addresses.
    pub seeds: u32,
}

impl Freeze {
    /// Begins a plan. The caller holds the run's lease.
    ///
    /// # Errors
    /// [`PlanError::Frozen`] when there is one already.
    pub fn begin(files: &PlanFiles, layout: Layout) -> Result<Self, PlanError> {
        let path = &files.plan;
        if path.exists() {
            return Err(PlanError::Frozen(path.clone()));
        }
        let plan = PlanWriter::new(create(path)?, path, layout.schema())?;
        let path = &files.screened;
        let screened = ScreenedWriter::new(create(path)?, path, layout.passed_fields())?;
        Ok(Self { layout, lasting: true, plan, screened, seeds: None })
    }

    /// Adds copies of the first row behind all others.
    pub fn with_seeds(self, seeds: Seeds) -> Self {
        Self { seeds: Some(seeds), ..self }
    }

    /// Begins a temporary plan, which need not survive a power failure.
    pub fn aside(files: &PlanFiles, layout: Layout) -> Result<Self, PlanError> {
        Ok(Self { lasting: false, ..Self::begin(files, layout)? })
    }

    /// Writes the rows of a batch. Batches must come in input order.
    pub fn write(&mut self, batch: &ScreenedBatch) -> Result<(), PlanError> {
        let encoded = self.layout.encode(&batch.accepted)?;
        let cells = self.layout.encode_screened(&batch.accepted, &batch.screened)?;
        self.write_encoded(&encoded, &batch.screened, cells.as_ref())
    }

    /// The layout, for a caller that encodes on another thread.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes the accepted rows of a batch, encoded by [`Layout::encode`], and its screened rows
    /// with what [`Layout::encode_screened`] keeps of them.
    pub fn write_encoded(
        &mut self,
        accepted: &RecordBatch,
        screened: &[Screened],
        cells: Option<&StructArray>,
    ) -> Result<(), PlanError> {
        if let Some(seeds) = &mut self.seeds {
            seeds.see(accepted).map_err(PlanError::Arrow)?;
        }
        self.plan.write(accepted)?;
        self.screened.write(screened, cells)
    }

    /// Syncs and publishes both files, the plan last: if it exists, both are whole.
    pub fn finish(mut self) -> Result<Frozen, PlanError> {
        let mut count = 0;
        if let Some(seeds) = &self.seeds
            && let Some(rows) = seeds.rows().map_err(PlanError::Arrow)?
        {
            self.plan.write(&rows)?;
            count = rows.num_rows() as u32;
        }
        let (screened, plan) = (self.screened.finish()?, self.plan.finish()?);
        Ok(Frozen { seeds: count, ..commit(screened, plan, self.lasting)? })
    }
}

/// Freezes a new plan with some rows (ascending, a row may come again) of another one, for a run
/// that tries them again. Nothing is screened.
pub fn freeze_rows(
    plan: &Plan,
    rows: impl IntoIterator<Item = u32>,
    files: &PlanFiles,
) -> Result<Frozen, PlanError> {
    let path = &files.plan;
    if path.exists() {
        return Err(PlanError::Frozen(path.clone()));
    }
    let mut writer = PlanWriter::new(create(path)?, path, plan.schema())?;
    let mut rows = rows.into_iter().peekable();
    for (first, batch) in plan.record_batches() {
        let end = first + batch.num_rows() as u32;
        let mut taken = Vec::new();
        while let Some(row) = rows.next_if(|row| *row < end) {
            assert!(row >= first, "the rows ascend");
            taken.push(row - first);
        }
        if !taken.is_empty() {
            let batch =
                take_record_batch(batch, &UInt32Array::from(taken)).map_err(PlanError::writing(path))?;
            writer.write(&batch)?;
        }
    }
    if let Some(index) = rows.next() {
        return Err(PlanError::NoRow { index, len: plan.len() });
    }
    keep_messages(plan, files)?;
    let screened = &files.screened;
    let empty = ScreenedWriter::new(create(screened)?, screened, Fields::empty())?;
    commit(empty.finish()?, writer.finish()?, true)
}

/// Gives a plan the ready messages that its rows come from.
fn keep_messages(plan: &Plan, files: &PlanFiles) -> Result<(), PlanError> {
    let (Some(from), Some(folder)) = (plan.messages(), files.plan.parent()) else { return Ok(()) };
    let to = messages_in(folder);
    let keep = || {
        file::create_private_folders(&to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (from, to) = (entry.path().canonicalize()?, to.join(entry.file_name()));
            if to.exists() {
                fs::remove_file(&to)?;
            }
            // A link to what may change is no copy.
            if entry.file_type()?.is_symlink() || fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to)?;
                File::open(&to)?.sync_all()?;
            }
        }
        file::sync_folder(&to)
    };
    keep().map_err(PlanError::io("keep messages in", &to))
}

fn create(path: &Path) -> Result<Draft, PlanError> {
    Draft::create(path).map_err(PlanError::io("create", path))
}

fn commit(
    (screened, screened_facts): (Draft, FileFacts),
    (plan, plan_facts): (Draft, FileFacts),
    lasting: bool,
) -> Result<Frozen, PlanError> {
    let path = plan.target().to_owned();
    let publish = || {
        if lasting {
            file::publish_all([screened.sync()?, plan.sync()?])
        } else {
            screened.publish_unsynced()?;
            plan.publish_unsynced()
        }
    };
    publish().map_err(PlanError::io("write", &path))?;
    Ok(Frozen { plan: plan_facts, screened: screened_facts, seeds: 0 })
}

/// Writes the rows of a plan in batches of equal size.
pub(super) struct PlanWriter<W: Write> {
    sealed: SealedWriter<W>,
    path: PathBuf,
    schema: SchemaRef,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    pending_bytes: usize,
    rows: u64,
    last: Option<(u32, u64)>,
}

impl<W: Write> PlanWriter<W> {
    pub(super) fn new(writer: W, path: &Path, schema: &SchemaRef) -> Result<Self, PlanError> {
        Ok(Self {
            sealed: SealedWriter::new(writer, path, KIND, schema)?,
            path: path.to_owned(),
            schema: schema.clone(),
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            rows: 0,
            last: None,
        })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), PlanError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.check_order(batch);
        self.rows += batch.num_rows() as u64;
        if self.rows >= u64::from(u32::MAX) {
            return Err(PlanError::TooManyRows);
        }
        self.pending_rows += batch.num_rows();
        self.pending_bytes += batch.columns().iter().map(bytes_of).sum::<usize>();
        self.pending.push(batch.clone());
        if self.pending_rows >= BATCH_ROWS || self.pending_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Results are merged in input order: rows out of order would be lost there.
    fn check_order(&mut self, batch: &RecordBatch) {
        let files = batch.column(column::FILE).as_primitive::<UInt32Type>().values();
        let rows = batch.column(column::ROW).as_primitive::<UInt64Type>().values();
        let (first, end) = ((files[0], rows[0]), files.len() - 1);
        assert!(self.last.is_none_or(|last| last < first), "batches come in the order of the input");
        self.last = Some((files[end], rows[end]));
    }

    fn flush(&mut self) -> Result<(), PlanError> {
        let pending = std::mem::take(&mut self.pending);
        let rows = std::mem::take(&mut self.pending_rows);
        self.pending_bytes = 0;
        let joined = match pending.as_slice() {
            [one] => one.clone(),
            many => concat_batches(&self.schema, many).map_err(PlanError::writing(&self.path))?,
        };
        for start in (0..rows).step_by(BATCH_ROWS) {
            self.sealed.write(&joined.slice(start, BATCH_ROWS.min(rows - start)))?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(W, FileFacts), PlanError> {
        self.flush()?;
        self.sealed.finish()
    }
}

impl<W: Write> std::fmt::Debug for PlanWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanWriter")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::super::screened::ScreenedRows;
    use super::*;
    use crate::kit::file::tests::{SmallDisk, names};
    use crate::mail::Disposition;
    use crate::screen::testing::{batch, batch_at, columns, schema, suppression};
    use crate::screen::{Limits, Screener};
    use crate::target_group::Batch;

    pub(crate) fn plan_files() -> (tempfile::TempDir, PlanFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = PlanFiles::in_folder(folder.path());
        (folder, files)
    }

    /// Screens these batches.
    pub(crate) fn screen(batches: Vec<Batch>) -> Vec<ScreenedBatch> {
        let checker = suppression(&["suppressed@b.example"]);
        let files = vec!["a.csv".into(), "b.csv".into(), "c.csv".into()];
        let mut screener = Screener::new(&schema(), columns(), Limits::default(), files, checker).unwrap();
        let parser = screener.parser();
        batches.into_iter().map(|batch| screener.accept(parser.parse(batch).unwrap()).unwrap()).collect()
    }

    /// Screens and freezes these batches with all their columns.
    pub(crate) fn frozen(files: &PlanFiles, batches: Vec<Batch>) -> Frozen {
        let mut freeze = Freeze::begin(files, Layout::new(&schema(), None)).unwrap();
        screen(batches).iter().for_each(|batch| freeze.write(batch).unwrap());
        freeze.finish().unwrap()
    }

    #[test]
    fn rows_read_back_as_they_went_in() {
        let (folder, files) = plan_files();
        let rows = ["Bob@B.Example ", "bad", "suppressed@b.example", "josé@müller.example"];
        let frozen = frozen(&files, vec![batch(0, &rows), batch_at(1, 8, &["eve@b.example"])]);
        assert_eq!((frozen.plan.rows, frozen.screened.rows), (3, 2));

        let plan = Plan::open(&files.plan).unwrap();
        assert_eq!((plan.len(), plan.hash()), (3, frozen.plan.hash.as_str()));
        assert_eq!(plan.columns().collect::<Vec<_>>(), ["email", "number", "name"]);
        let row = plan.row(0).unwrap();
        assert_eq!((row.index, row.file, row.row), (0, 0, 1));
        assert_eq!(
            (row.email.as_str(), row.address.to_string().as_str()),
            ("Bob@B.Example ", "Bob@b.example")
        );
        assert_eq!((row.id.as_deref(), row.name.as_deref()), (Some("1"), None));
        assert_eq!(
            serde_json::Value::Object(row.values),
            serde_json::json!({ "email": "Bob@B.Example ", "number": 1, "name": null })
        );
        let row = plan.row(1).unwrap();
        assert_eq!(row.address.to_string(), "josé@xn--mller-kva.example");
        assert_eq!(row.name.as_deref(), Some("Name 4"));
        let row = plan.row(2).unwrap();
        assert_eq!((row.file, row.row, row.email.as_str()), (1, 8, "eve@b.example"));
        assert_eq!((plan.place(2), plan.email(2), plan.id(2)), ((1, 8), "eve@b.example", Some("1008")));
        assert_eq!(
            (plan.domain(1), plan.address(2).to_string().as_str()),
            ("xn--mller-kva.example", "eve@b.example")
        );
        let domains: Vec<_> = plan.domains().collect();
        assert_eq!(domains, [(0, "b.example"), (1, "xn--mller-kva.example"), (2, "b.example")]);
        assert!(matches!(plan.row(3), Err(PlanError::NoRow { index: 3, len: 3 })));

        let screened: Vec<Screened> =
            ScreenedRows::open(&files.screened).unwrap().map(Result::unwrap).collect();
        assert_eq!(screened[0].disposition, Disposition::Invalid);
        assert_eq!((screened[0].place.row, screened[0].place.line), (2, Some(3)));
        assert_eq!((screened[0].email.as_deref(), screened[0].id.as_deref()), (Some("bad"), Some("2")));
        assert_eq!(screened[1].disposition, Disposition::Suppressed);
        assert_eq!(names(folder.path()), ["plan.arrow", "screened.arrow"]);
    }

    #[test]
    fn only_the_columns_that_are_named_are_kept() {
        let (_folder, files) = plan_files();
        let wanted = BTreeSet::from(["name".to_owned(), "not there".to_owned()]);
        let mut freeze = Freeze::begin(&files, Layout::new(&schema(), Some(&wanted))).unwrap();
        screen(vec![batch(0, &["a@b.example", "c@b.example"])]).iter().for_each(|b| freeze.write(b).unwrap());
        freeze.finish().unwrap();
        let plan = Plan::open(&files.plan).unwrap();
        assert_eq!(plan.columns().collect::<Vec<_>>(), ["name"]);
        // mailrun's own columns are always kept.
        assert_eq!(plan.row(1).unwrap().id.as_deref(), Some("2"));
    }

    #[test]
    fn a_plan_of_no_columns_and_one_of_no_rows() {
        let (_folder, files) = plan_files();
        let mut freeze = Freeze::begin(&files, Layout::new(&schema(), Some(&BTreeSet::new()))).unwrap();
        screen(vec![batch(0, &["a@b.example"])]).iter().for_each(|b| freeze.write(b).unwrap());
        freeze.finish().unwrap();
        let plan = Plan::open(&files.plan).unwrap();
        assert!(plan.row(0).unwrap().values.is_empty());

        let (_folder, files) = plan_files();
        frozen(&files, vec![batch(0, &["bad"])]);
        let plan = Plan::open(&files.plan).unwrap();
        assert!(plan.is_empty() && plan.domains().next().is_none());
    }

    /// Small batches are joined and large ones split; row numbers and places stay the same.
    #[test]
    fn batches_of_any_size_make_one_plan() {
        let (_folder, files) = plan_files();
        let emails: Vec<String> = (0..20_000).map(|n| format!("{n}@d{}.example", n % 7)).collect();
        let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
        let mut batches = Vec::new();
        let mut from = 0;
        for size in [1, 2, 4_000, 100, 9_000, 1, 4_096, 1_800, 1_000] {
            batches.push(batch_at(0, from as u64 + 1, &emails[from..from + size]));
            from += size;
        }
        assert_eq!(from, emails.len());
        frozen(&files, batches);
        let plan = Plan::open(&files.plan).unwrap();
        assert_eq!(plan.len() as usize, emails.len());
        for (index, domain) in plan.domains() {
            assert_eq!(domain, format!("d{}.example", index % 7));
            assert_eq!(
                (plan.place(index), plan.email(index)),
                ((0, u64::from(index) + 1), emails[index as usize])
            );
        }
    }

    #[test]
    fn memory_is_bounded_whatever_the_cells() {
        let narrow = schema();
        let text = Arc::new(Field::new("text", DataType::Utf8, true));
        let fields: Vec<_> = narrow.fields().iter().cloned().chain([text]).collect();
        let wide = Arc::new(Schema::new(fields));
        let cell: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1 << 20)]));
        let layout = Layout::new(&wide, None);
        let checker = suppression(&[]);
        let mut screener =
            Screener::new(&wide, columns(), Limits::default(), vec!["a.csv".into()], checker).unwrap();
        let (_folder, files) = plan_files();
        let mut writer =
            PlanWriter::new(fs::File::create(&files.plan).unwrap(), &files.plan, layout.schema()).unwrap();
        for row in 1..=64 {
            let mut batch = batch_at(0, row, &[&format!("{row}@b.example")]);
            let cells = batch.records.columns().iter().cloned().chain([Arc::clone(&cell)]);
            batch.records = RecordBatch::try_new(Arc::clone(&wide), cells.collect()).unwrap();
            let parsed = screener.parser().parse(batch).unwrap();
            let screened = screener.accept(parsed).unwrap();
            writer.write(&layout.encode(&screened.accepted).unwrap()).unwrap();
            assert!(writer.pending_bytes < 32 << 20, "{} bytes wait", writer.pending_bytes);
        }
        writer.finish().unwrap();
        let plan = Plan::open(&files.plan).unwrap();
        assert_eq!(plan.len(), 64);
        assert_eq!(plan.row(63).unwrap().values["text"].as_str().unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_plan_is_frozen_once() {
        let (_folder, files) = plan_files();
        frozen(&files, vec![batch(0, &["a@b.example"])]);
        let before = fs::read(&files.plan).unwrap();
        let error = Freeze::begin(&files, Layout::new(&schema(), None)).unwrap_err();
        assert!(matches!(error, PlanError::Frozen(_)), "{error}");
        assert_eq!(fs::read(&files.plan).unwrap(), before);
    }

    #[test]
    fn a_freeze_that_is_given_up_leaves_nothing() {
        let (folder, files) = plan_files();
        let mut freeze = Freeze::begin(&files, Layout::new(&schema(), None)).unwrap();
        screen(vec![batch(0, &["a@b.example"])]).iter().for_each(|b| freeze.write(b).unwrap());
        drop(freeze);
        assert!(names(folder.path()).is_empty());
    }

    /// Whenever the disk fills up, the error says so and names the file, and nothing remains.
    #[test]
    fn a_full_disk_is_said_and_leaves_nothing() {
        let (folder, files) = plan_files();
        let layout = Layout::new(&schema(), None);
        let emails: Vec<String> = (0..5_000).map(|n| format!("{n}@b.example")).collect();
        let batches = screen(vec![batch(0, &emails.iter().map(String::as_str).collect::<Vec<_>>())]);
        let encoded = layout.encode(&batches[0].accepted).unwrap();
        let path = files.plan.clone();
        let write = |room: usize| -> Result<(), PlanError> {
            let disk = SmallDisk { inner: create(&path)?, room };
            let mut writer = PlanWriter::new(disk, &path, layout.schema())?;
            writer.write(&encoded)?;
            writer.finish().map(drop)
        };
        for room in [0, 10, 1_000, 100_000, 300_000] {
            let error = write(room).unwrap_err();
            assert!(
                matches!(&error, PlanError::Io { source, .. } if source.raw_os_error() == Some(28)),
                "{error:?}"
            );
            assert!(error.to_string().contains("plan.arrow"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("disk")), "{error:?}");
            assert!(names(folder.path()).is_empty(), "{room}");
        }
        write(10_000_000).unwrap();
    }

    #[test]
    fn a_plan_of_some_rows_of_another() {
        let (_folder, files) = plan_files();
        let emails: Vec<String> = (0..10_000).map(|n| format!("{n}@b.example")).collect();
        frozen(&files, vec![batch(0, &emails.iter().map(String::as_str).collect::<Vec<_>>())]);
        let plan = Plan::open(&files.plan).unwrap();
        let (_folder, retry) = plan_files();
        let frozen = freeze_rows(&plan, [0, 7, 5_000, 9_999], &retry).unwrap();
        assert_eq!((frozen.plan.rows, frozen.screened.rows), (4, 0));
        let some = Plan::open(&retry.plan).unwrap();
        for (index, from) in [0, 7, 5_000, 9_999].into_iter().enumerate() {
            let expected = super::super::Row { index: index as u32, ..plan.row(from).unwrap() };
            assert_eq!(some.row(index as u32).unwrap(), expected);
        }
        let (folder, retry) = plan_files();
        let error = freeze_rows(&plan, [0, 10_000], &retry).unwrap_err();
        assert!(matches!(error, PlanError::NoRow { index: 10_000, .. }), "{error}");
        assert!(names(folder.path()).is_empty());
    }
}
