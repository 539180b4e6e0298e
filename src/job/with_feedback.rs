//! The results of a run with what came back since. The result files stay as they were.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Serialize;

use super::error::{ExportError, JobError};
use super::feedback_places::InputPlaces;
use super::visits::AT_ONCE;
use super::workspace::Workspace;
use crate::feedback::{Effect, Kind, Logged, Machine, Record};
use crate::mail::Timestamp;
use crate::results::{Column, ResultFiles, TableWriter};
use crate::run_dir::StoredRun;

/// The file in the run's directory.
pub(super) const FILE: &str = "with-feedback.parquet";

/// The file that was written, and how many of its rows something came back for.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct WithFeedback {
    /// The file.
    pub file: PathBuf,
    /// Rows that bounced after they had been accepted.
    pub bounced_later: u64,
    /// Rows whose recipients complained.
    pub complained: u64,
    /// Rows whose recipients unsubscribed.
    pub unsubscribed: u64,
    /// Rows whose recipients took a complaint back.
    pub taken_back: u64,
    /// Rows whose recipients opened the message,
    pub opened: u64,
    /// and those that followed a link; machines do not count.
    pub clicked: u64,
}

/// What came back for one row.
#[derive(Debug, Default)]
struct Later {
    bounce: Option<Bounce>,
    complained: Option<Timestamp>,
    taken_back: Option<Timestamp>,
    unsubscribed: Option<Timestamp>,
    delivered: Option<Timestamp>,
    answered: Option<Timestamp>,
    opened: Option<Timestamp>,
    clicked: Option<Timestamp>,
    clicks: u64,
    /// Opens and clicks that are no person's doing.
    machine: u64,
}

#[derive(Debug)]
struct Bounce {
    at: Timestamp,
    is_hard: bool,
    class: Option<&'static str>,
    status: Option<String>,
    text: Option<String>,
}

impl Later {
    /// Adds what an event says of its row, unless it may be made up or was undone. Of several of a
    /// kind the first counts; a hard bounce before others.
    fn add(&mut self, logged: &Logged) {
        let record = &logged.record;
        if !record.trusted || logged.effect == Effect::NotHandedOver {
            return;
        }
        match logged.undone {
            None => {}
            // The recipient did it, not the user.
            Some((at, by)) if by > 0 && record.kind == Kind::Complaint => {
                self.taken_back.get_or_insert(at);
                return;
            }
            Some(_) => return,
        }
        match record.kind {
            Kind::Bounce => {
                if self.bounce.as_ref().is_none_or(|bounce| record.hard && !bounce.is_hard) {
                    self.bounce = Some(Bounce {
                        at: record.at,
                        is_hard: record.hard,
                        class: record.class.map(|class| class.as_str()),
                        status: record.status.clone(),
                        text: record.text.clone(),
                    });
                }
            }
            Kind::Complaint => drop(self.complained.get_or_insert(record.at)),
            Kind::Unsubscribe => drop(self.unsubscribed.get_or_insert(record.at)),
            Kind::Delivered => drop(self.delivered.get_or_insert(record.at)),
            Kind::AutoReply => drop(self.answered.get_or_insert(record.at)),
            Kind::Open | Kind::Click if record.machine.is_some() => {
                self.machine += 1;
                self.take_back_click(record);
            }
            Kind::Open => drop(self.opened.get_or_insert(record.at)),
            Kind::Click => {
                self.clicked.get_or_insert(record.at);
                self.clicks += 1;
            }
            Kind::Delay
            | Kind::NotSpam
            | Kind::AuthFailure
            | Kind::Challenge
            | Kind::DmarcAggregate
            | Kind::TlsReport
            | Kind::Reputation
            | Kind::Other => {}
        }
    }

    /// Who follows many links within a second is known as a machine with the second of them: the
    /// first was no person's click either.
    fn take_back_click(&mut self, record: &Record) {
        if record.machine == Some(Machine::ManyLinks)
            && self.clicks == 1
            && self.clicked.is_some_and(|first| record.at.since(first) <= AT_ONCE)
        {
            (self.clicked, self.clicks) = (None, 0);
            self.machine += 1;
        }
    }

    /// What became of the row in the end, if that is not its disposition: a complaint says most,
    /// then that the recipient has left.
    fn outcome(&self) -> Option<&'static str> {
        let outcomes = [
            (self.complained.is_some(), "complained"),
            (self.unsubscribed.is_some(), "unsubscribed"),
            (self.bounce.is_some(), "bounced_later"),
        ];
        outcomes.into_iter().find_map(|(is, word)| is.then_some(word))
    }
}

impl Workspace {
    /// Writes a file with all rows and columns of the results of `run`, and what came back since.
    pub(crate) fn write_with_feedback(&self, run: &StoredRun) -> Result<WithFeedback, JobError> {
        let (dir, manifest) = (run.dir(), run.manifest()?);
        let events = self.state()?.feedback()?.of_run(&manifest.campaign_id, manifest.run_id.as_str(), 0)?;
        let places = InputPlaces::of_run(run, &manifest, &events)?;
        let mut later: HashMap<String, HashMap<u64, Later>> = HashMap::new();
        for (logged, place) in events.iter().zip(places) {
            if let Some((file, row)) = place {
                later.entry(file).or_default().entry(row).or_default().add(logged);
            }
        }
        let all = later.values().flat_map(HashMap::values);
        let count = |test: &dyn Fn(&Later) -> bool| all.clone().filter(|later| test(later)).count() as u64;
        let counts = WithFeedback {
            file: dir.path().join(FILE),
            bounced_later: count(&|later| later.bounce.is_some()),
            complained: count(&|later| later.complained.is_some()),
            unsubscribed: count(&|later| later.unsubscribed.is_some()),
            taken_back: count(&|later| later.taken_back.is_some()),
            opened: count(&|later| later.opened.is_some()),
            clicked: count(&|later| later.clicked.is_some()),
        };
        let files = ResultFiles::open(&dir.results())?;
        let columns = files.schema()?;
        let schema = schema(&columns);
        let mut writer = TableWriter::create(&counts.file, Arc::clone(&schema))
            .map_err(ExportError::write(&counts.file))?;
        for batch in files.batches() {
            writer.write(&joined(&batch?, &schema, &later)).map_err(ExportError::write(&counts.file))?;
        }
        writer.share(manifest.campaign.results.mode).map_err(ExportError::write(&counts.file))?;
        writer.finish().map_err(ExportError::write(&counts.file))?;
        Ok(counts)
    }
}

/// The columns of the results, and what they are joined with.
fn schema(results: &Schema) -> SchemaRef {
    let text = |name, nullable| Arc::new(Field::new(name, DataType::Utf8, nullable));
    let time = |name| {
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Field::new(name, kind, true))
    };
    let number = |name| Arc::new(Field::new(name, DataType::UInt64, true));
    let later = [
        text("outcome", false),
        time("bounced_later_at"),
        text("bounced_later_class", true),
        text("bounced_later_status", true),
        Arc::new(Field::new("bounced_later_hard", DataType::Boolean, true)),
        text("bounced_later_text", true),
        time("complained_at"),
        time("taken_back_at"),
        time("unsubscribed_at"),
        time("delivered_at"),
        time("answered_at"),
        time("opened_at"),
        time("clicked_at"),
        number("clicks"),
        number("machine_requests"),
    ];
    Arc::new(Schema::new(results.fields().iter().cloned().chain(later).collect::<Vec<_>>()))
}

fn joined(
    results: &RecordBatch,
    schema: &SchemaRef,
    later: &HashMap<String, HashMap<u64, Later>>,
) -> RecordBatch {
    let column = |column: Column| results.column_by_name(column.name()).expect("results were checked");
    let files = column(Column::SourceFile).as_string::<i32>();
    let rows = column(Column::Row).as_primitive::<UInt64Type>();
    let dispositions = column(Column::Disposition).as_string::<i32>();
    let found: Vec<Option<&Later>> = files
        .iter()
        .zip(rows.values())
        .map(|(file, row)| later.get(file.unwrap_or_default())?.get(row))
        .collect();
    let time = |of: &dyn Fn(&Later) -> Option<Timestamp>| -> ArrayRef {
        let times = found.iter().map(|later| Some(of((*later)?)?.0));
        Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let number = |of: &dyn Fn(&Later) -> u64| -> ArrayRef {
        let numbers = found.iter().map(|later| later.map(of).filter(|number| *number > 0));
        Arc::new(numbers.collect::<UInt64Array>())
    };
    let bounces: Vec<Option<&Bounce>> = found.iter().map(|later| (*later)?.bounce.as_ref()).collect();
    let text = |of: &dyn Fn(&Bounce) -> Option<&str>| -> ArrayRef {
        Arc::new(bounces.iter().map(|bounce| of((*bounce)?)).collect::<StringArray>())
    };
    let outcomes = found
        .iter()
        .zip(dispositions)
        .map(|(later, disposition)| later.and_then(|later| later.outcome()).or(disposition));
    let hard = bounces.iter().map(|bounce| Some((*bounce)?.is_hard));
    let mut columns = results.columns().to_vec();
    columns.extend([
        Arc::new(outcomes.collect::<StringArray>()) as ArrayRef,
        time(&|later| later.bounce.as_ref().map(|bounce| bounce.at)),
        text(&|bounce| bounce.class),
        text(&|bounce| bounce.status.as_deref()),
        Arc::new(hard.collect::<BooleanArray>()),
        text(&|bounce| bounce.text.as_deref()),
        time(&|later| later.complained),
        time(&|later| later.taken_back),
        time(&|later| later.unsubscribed),
        time(&|later| later.delivered),
        time(&|later| later.answered),
        time(&|later| later.opened),
        time(&|later| later.clicked),
        number(&|later| later.clicks),
        number(&|later| later.machine),
    ]);
    RecordBatch::try_new(Arc::clone(schema), columns).expect("the columns are made for this schema")
}
