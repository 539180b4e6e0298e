//! One file of JSON lines: the types of its columns, then its rows.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::DataType;

use super::column::{by_name, column, texts};
use super::lines::{Line, Lines};
use super::shape::{Clash, Columns as Shapes, MOST_NAMES};
use super::text::{self, Members, Value};
use crate::campaign::Encoding;
use crate::target_group::assemble::{self, Columns};
use crate::target_group::batch::{BATCH_BYTES, BATCH_ROWS, Batch, Place, Unreadable};
use crate::target_group::convert::{self, Faults};
use crate::target_group::error::TargetGroupError;
use crate::target_group::header;
use crate::target_group::reading::{self, Header, Known, LineEnds, TextReading};
use crate::target_group::schema::{Given, Unified};
use crate::target_group::source::Source;

/// A batch has no more values than this, absent ones included. A row that has more is unreadable.
const MOST_VALUES: usize = 4_000_000;

/// What the rows of a file of JSON lines hold.
#[derive(Debug)]
pub(in crate::target_group) struct JsonFile {
    /// Where the text starts, after a byte order mark.
    start: u64,
    /// The keys as they are in the file.
    keys: Vec<String>,
    pub(in crate::target_group) names: Vec<String>,
    types: Vec<DataType>,
    /// All names of the file, nested ones too.
    all_names: usize,
    pub(in crate::target_group) reading: TextReading,
}

impl JsonFile {
    /// Reads the whole file for the types of its columns; `start` is the length of its byte order
    /// mark, `head` its start. Rows that can't be read have none.
    pub(in crate::target_group) fn open(
        source: Source,
        start: u64,
        head: &[u8],
    ) -> Result<Self, TargetGroupError> {
        let cant_read = |error: io::Error| TargetGroupError::new("can't read the file").caused_by(error);
        let mut lines = lines(source, start).map_err(cant_read)?;
        let (mut shapes, mut all_names) = (Shapes::default(), 0);
        let mut first_fault = None;
        while let Some(line) = lines.next().map_err(cant_read)? {
            match parse(&line) {
                Ok(members) => {
                    shapes.add(&members, &mut all_names).map_err(|clash| refused(clash, line.number))?
                }
                Err(reason) => drop(first_fault.get_or_insert((line.number, reason))),
            }
        }
        let (keys, types): (Vec<_>, Vec<_>) =
            shapes.shapes.into_iter().map(|(name, shape)| (name, shape.data_type())).unzip();
        if let (true, Some((line, reason))) = (keys.is_empty(), first_fault) {
            return Err(TargetGroupError::new(format!("no line can be read as a row: {reason}"))
                .at_line(line)
                .hint("write one JSON object a line"));
        }
        let names = header::names(keys.iter().cloned())?;
        let reading = TextReading {
            encoding: (Encoding::UTF_8, Known::Format),
            delimiter: None,
            line_ends: LineEnds::of(head),
            header: Header::Keys,
            samples: reading::samples(&String::from_utf8_lossy(head), '"'),
        };
        Ok(Self { start, keys, names, types, all_names, reading })
    }

    pub(in crate::target_group) fn columns(&self) -> Vec<(String, Given)> {
        let given = |data_type: &DataType| match data_type {
            DataType::Utf8 => Given::Text,
            other => Given::Typed(other.clone()),
        };
        self.names.iter().cloned().zip(self.types.iter().map(given)).collect()
    }

    /// Its rows; `source` is the file that was opened, `number` its place in the target group.
    pub(in crate::target_group) fn read<'a>(
        &'a self,
        source: Source,
        number: usize,
        unified: &'a Unified,
    ) -> io::Result<JsonReader<'a>> {
        let lines = lines(source, self.start)?;
        let fields = unified.schema.fields().iter();
        let positions: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let sources = fields.map(|field| positions.get(field.name().as_str()).copied()).collect();
        Ok(JsonReader { json: self, lines, number, unified, sources, row: 0 })
    }
}

fn lines(mut source: Source, start: u64) -> io::Result<Lines<Source>> {
    source.seek(SeekFrom::Start(start))?;
    Ok(Lines::new(source))
}

/// The object in a line, or why there is none.
fn parse<'t>(line: &Line<'t>) -> Result<Members<'t>, String> {
    let bytes = line.text.ok_or("longer than 4 MiB")?;
    parse_bytes(bytes)
}

fn parse_bytes(bytes: &[u8]) -> Result<Members<'_>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        format!("the byte 0x{:02X} at byte {} is not UTF-8, which JSON is", bytes[at], at + 1)
    })?;
    text::object(text).map_err(|fault| fault.to_string())
}

fn refused(clash: Clash, line: u64) -> TargetGroupError {
    match clash {
        Clash::Nested { name, one, other } => {
            TargetGroupError::new(format!("`{name}` is {one} in earlier rows and {other} here"))
                .at_line(line)
                .at_column(&name)
                .hint("a column is the same in all rows: give one of them another name")
        }
        Clash::TooManyNames => {
            TargetGroupError::new(format!("the rows have more than {MOST_NAMES} different keys"))
                .at_line(line)
                .hint("keys are columns: write values that are used as keys in a list")
        }
    }
}

/// The rows of one file of JSON lines.
pub(in crate::target_group) struct JsonReader<'a> {
    json: &'a JsonFile,
    lines: Lines<Source>,
    number: usize,
    unified: &'a Unified,
    /// The key of each column of the target group.
    sources: Arc<[Option<usize>]>,
    row: u64,
}

/// Lines of a file, not parsed yet.
pub(in crate::target_group) struct RawJson<'a> {
    json: &'a JsonFile,
    number: usize,
    unified: &'a Unified,
    sources: Arc<[Option<usize>]>,
    text: Vec<u8>,
    /// Where the line of each of `places` ends in `text`.
    ends: Vec<usize>,
    places: Vec<Place>,
    unreadable: Vec<Unreadable>,
}

impl<'a> JsonReader<'a> {
    /// The next rows; none at the end.
    pub(in crate::target_group) fn next(&mut self) -> Result<Option<RawJson<'a>>, TargetGroupError> {
        let (mut text, mut ends, mut places, mut unreadable) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut values = 0;
        while places.len() + unreadable.len() < BATCH_ROWS && text.len() < BATCH_BYTES && values < MOST_VALUES
        {
            let line = self.lines.next().map_err(|error| {
                TargetGroupError::new(format!("can't read on after row {}", self.row)).caused_by(error)
            })?;
            let Some(Line { number, text: line }) = line else { break };
            self.row += 1;
            let place = Place { row: self.row, line: Some(number) };
            match line {
                Some(line) => {
                    values += line.iter().filter(|&&byte| byte == b'{').count() * self.json.all_names;
                    text.extend_from_slice(line);
                    ends.push(text.len());
                    places.push(place);
                }
                None => unreadable.push(unreadable_row(place, "longer than 4 MiB".to_owned())),
            }
        }
        if places.is_empty() && unreadable.is_empty() {
            return Ok(None);
        }
        let (json, number, unified) = (self.json, self.number, self.unified);
        let sources = Arc::clone(&self.sources);
        Ok(Some(RawJson { json, number, unified, sources, text, ends, places, unreadable }))
    }
}

impl RawJson<'_> {
    /// Parses the lines and converts their values to columns.
    pub(in crate::target_group) fn read(self) -> Result<Batch, TargetGroupError> {
        let Self { json, number, unified, sources, text, ends, places, mut unreadable } = self;
        let (mut rows, mut kept) = (Vec::with_capacity(places.len()), Vec::with_capacity(places.len()));
        let mut start = 0;
        for (end, place) in ends.into_iter().zip(places) {
            match parse_bytes(&text[start..end]).and_then(|row| within_limit(row, json.all_names)) {
                Ok(row) => {
                    rows.push(row);
                    kept.push(place);
                }
                Err(reason) => unreadable.push(unreadable_row(place, reason)),
            }
            start = end;
        }
        let objects: Vec<_> = rows.iter().enumerate().map(|(row, members)| (row, Some(members))).collect();
        let used: Vec<usize> = sources.iter().flatten().copied().collect();
        let cells = by_name(&objects, used.iter().map(|key| json.keys[*key].as_str()));
        let mut cells = cells.into_iter();
        let mut faults = Faults::new();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(sources.len());
        for (field, source) in unified.schema.fields().iter().zip(sources.iter()) {
            let Some(key) = source else {
                arrays.push(new_null_array(field.data_type(), rows.len()));
                continue;
            };
            let cells = cells.next().expect("each key that is used has its cells");
            let (given, wanted, name) = (&json.types[*key], field.data_type(), field.name());
            let array = match (given, wanted) {
                (DataType::Utf8, _) => convert::parse(texts(&cells), unified, field, &mut faults),
                (_, DataType::Utf8) => Ok(Arc::new(texts(&cells)) as ArrayRef),
                (given, wanted) => {
                    let array = column(&cells, given, name, &mut faults);
                    convert::cast(&array, wanted, name, &mut faults)
                }
            };
            arrays.push(array.map_err(|error| assemble::failed(name, error))?);
        }
        unreadable.sort_by_key(|row| row.place.row);
        assemble::batch(unified, number, Columns { arrays, places: kept, faults, unreadable })
    }
}

/// The row, unless its objects take too many values as columns.
fn within_limit(row: Members<'_>, all_names: usize) -> Result<Members<'_>, String> {
    let objects = 1 + row.iter().map(|(_, value)| objects_in(value)).sum::<usize>();
    if objects * all_names <= MOST_VALUES {
        return Ok(row);
    }
    Err(format!("{objects} objects in a row, too many for a file with {all_names} different keys"))
}

fn objects_in(value: &Value<'_>) -> usize {
    match value {
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::Text(_) => 0,
        Value::List(items) => items.iter().map(objects_in).sum(),
        Value::Object(members) => 1 + members.iter().map(|(_, value)| objects_in(value)).sum::<usize>(),
    }
}

fn unreadable_row(place: Place, reason: String) -> Unreadable {
    Unreadable { place, email: None, id: None, reason }
}
