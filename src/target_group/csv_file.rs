//! One CSV file, or a bare list of addresses: its encoding, delimiter and header, then its records
//! as columns.

use std::collections::{HashMap, HashSet};
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{Array, ArrayRef, BinaryArray, new_null_array};

use super::assemble::{self, Columns};
use super::batch::{BATCH_BYTES, BATCH_ROWS, Batch, Place, Unreadable};
use super::convert::{self, Faults};
use super::error::TargetGroupError;
use super::reading::{self, Header, Known, LineEnds, TextReading};
use super::records::{Fields, Record, Records};
use super::schema::{Given, Unified};
use super::source::Source;
use super::{delimiter, encoding, header};
use crate::campaign::{self, Bare, Encoding, NamedIn};

/// How much text decides the delimiter.
const SAMPLE_BYTES: usize = 128 * 1024;

/// A field with line breaks and more bytes than this is compared with its column.
const LONG_FIELD: usize = 1024;
/// It is far longer than its column from so many times the column's mean on.
const FAR_LONGER: usize = 50;
/// The mean of fewer values says nothing.
const KNOWN_VALUES: usize = 20;

/// A token's tag of 16 bytes and a byte of text, in base64.
const SHORTEST_TOKEN: usize = 23;

/// How a CSV file is written.
#[derive(Debug)]
pub(super) struct CsvFile {
    encoding: Encoding,
    mark_bytes: u64,
    delimiter: u8,
    /// Whether the first line is `sep=…` rather than the header.
    told: bool,
    /// Whether the records come after a line with the columns' names. A bare list has addresses
    /// only.
    has_header: bool,
    pub names: Vec<String>,
    pub reading: TextReading,
}

impl CsvFile {
    /// Detects how `file` is written and reads its header. `head` is its start.
    pub(super) fn open(
        mut file: Source,
        bytes: u64,
        head: &[u8],
        spec: &campaign::TargetGroupSource,
    ) -> Result<Self, TargetGroupError> {
        let cant_read = |error: io::Error| TargetGroupError::new("can't read the file").caused_by(error);
        let found = encoding::detect(&mut file, bytes, head, spec.encoding, spec.named_in)?;
        file.seek(SeekFrom::Start(found.mark_bytes)).map_err(cant_read)?;
        let mut text = encoding::Text::new(&mut file, found.encoding);
        let sample = delimiter::sample(&mut text, SAMPLE_BYTES).map_err(cant_read)?;
        let told = delimiter::told(&sample);
        let given = spec.delimiter.and_then(|given| u8::try_from(given).ok());
        let rest = match told {
            Some(_) => &sample[sample.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(0)..],
            None => &sample,
        };
        let (delimiter, known) = match (given, told) {
            (Some(given), _) => (given, Known::Named),
            (None, Some(told)) => (told, Known::FirstLine),
            (None, None) => (delimiter::find(rest, spec.email.trim()), Known::Detected),
        };
        let has_header = !is_bare(rest, delimiter, spec);
        let mut samples = reading::samples(&found.lines(), char::from(delimiter));
        if samples.is_empty() {
            samples = reading::samples(&String::from_utf8_lossy(&sample), char::from(delimiter));
        }
        let reading = TextReading {
            encoding: (found.encoding, found.known),
            delimiter: Some((char::from(delimiter), known)),
            line_ends: LineEnds::of(&sample),
            header: if has_header { Header::Line } else { Header::None },
            samples,
        };
        let mut csv = Self {
            encoding: found.encoding,
            mark_bytes: found.mark_bytes,
            delimiter,
            told: told.is_some(),
            has_header,
            names: vec![spec.email.trim().to_owned()],
            reading,
        };
        if csv.has_header {
            let mut records = csv.records(file).map_err(cant_read)?;
            csv.names = csv.header(&mut records, spec.named_in)?;
        }
        Ok(csv)
    }

    fn records(&self, mut file: Source) -> io::Result<Records<encoding::Text<Source>>> {
        file.seek(SeekFrom::Start(self.mark_bytes))?;
        let mut records = Records::new(encoding::Text::new(file, self.encoding), self.delimiter);
        if self.told {
            records.next()?;
        }
        Ok(records)
    }

    fn header(
        &self,
        records: &mut Records<encoding::Text<Source>>,
        named_in: NamedIn,
    ) -> Result<Vec<String>, TargetGroupError> {
        let record = records
            .next()
            .map_err(|error| TargetGroupError::new("can't read the file").caused_by(error))?
            .ok_or_else(|| TargetGroupError::new("the file has no header: it holds empty lines only"))?;
        let line = record.line;
        let fields = record.fields.map_err(|fault| {
            TargetGroupError::new(format!("the header can't be read: {}", fault.what)).at_line(line)
        })?;
        let mut given = Vec::with_capacity(fields.len());
        fields.each(|_, name| given.push(std::str::from_utf8(name).map(str::to_owned)));
        let given = given.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| {
            TargetGroupError::new("the header is not UTF-8")
                .at_line(line)
                .hint(match named_in {
                    NamedIn::Campaign => "name the file's encoding in `target-group.encoding`",
                    NamedIn::CommandLine => "write the file in UTF-8",
                })
                .caused_by(error)
        })?;
        if let Some(name) = given.iter().find(|name| name.contains(['\0', '\u{1b}'])) {
            return Err(TargetGroupError::new(format!(
                "the header holds a control character, in `{}`",
                name.escape_debug()
            ))
            .at_line(line)
            .hint("write the file as plain text"));
        }
        header::names(given).map_err(|error| error.at_line(line))
    }

    fn ragged(&self, found: usize, last_line: u64, lines: u64) -> String {
        let fields = if found == 1 { "field" } else { "fields" };
        let what = if self.has_header { "the header has" } else { "the list has" };
        let mut reason = format!("{found} {fields}, {what} {}", self.names.len());
        if lines > 1 {
            reason.push_str(&format!("; a quoted field runs on to line {last_line}"));
        }
        reason
    }

    pub(super) fn columns(&self) -> Vec<(String, Given)> {
        self.names.iter().map(|name| (name.clone(), Given::Text)).collect()
    }

    /// Its rows; `file` is the one that was opened, `number` its place in the target group.
    pub(super) fn read<'a>(
        &'a self,
        file: Source,
        number: usize,
        unified: &'a Unified,
    ) -> io::Result<CsvReader<'a>> {
        let mut records = self.records(file)?;
        if self.has_header {
            records.next()?;
        }
        let positions: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let position = |name: &String| positions.get(name.as_str()).copied();
        let of_schema = |index: usize| position(unified.schema.field(index).name());
        let sources: Vec<Option<usize>> =
            unified.schema.fields().iter().map(|field| position(field.name())).collect();
        let known: HashSet<usize> = sources.iter().flatten().copied().collect();
        let used = (0..self.names.len()).map(|index| known.contains(&index));
        Ok(CsvReader {
            csv: self,
            records,
            number,
            unified,
            email: of_schema(unified.email),
            id: unified.id.and_then(of_schema),
            before: vec![(0, 0); self.names.len()],
            builders: used.map(|used| used.then(BinaryBuilder::new)).collect(),
            sources: sources.into(),
            row: 0,
        })
    }
}

/// The rows of one CSV file.
pub(super) struct CsvReader<'a> {
    csv: &'a CsvFile,
    records: Records<encoding::Text<Source>>,
    number: usize,
    unified: &'a Unified,
    /// The fields with the address and the id.
    email: Option<usize>,
    id: Option<usize>,
    /// The field of each column of the target group.
    sources: Arc<[Option<usize>]>,
    /// One per field of the file; none for unused fields.
    builders: Vec<Option<BinaryBuilder>>,
    /// Of each field in earlier batches: its bytes, and how many were not empty.
    before: Vec<(usize, usize)>,
    row: u64,
}

/// Records of a CSV file, split into their fields.
pub(super) struct RawCsv<'a> {
    csv: &'a CsvFile,
    number: usize,
    unified: &'a Unified,
    sources: Arc<[Option<usize>]>,
    /// For each field of the file.
    fields: Vec<Option<BinaryArray>>,
    places: Vec<Place>,
    unreadable: Vec<Unreadable>,
    stray: Vec<Place>,
}

impl<'a> CsvReader<'a> {
    /// The next rows; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<RawCsv<'a>>, TargetGroupError> {
        let mut places = Vec::with_capacity(BATCH_ROWS);
        let mut unreadable = Vec::new();
        let mut stray = Vec::new();
        let mut bytes = 0;
        while places.len() + unreadable.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let record = self.records.next().map_err(|error| {
                TargetGroupError::new(format!("can't read on after row {}", self.row)).caused_by(error)
            })?;
            let Some(Record { line, lines, fields }) = record else { break };
            self.row += 1;
            let place = Place { row: self.row, line: Some(line) };
            match fields {
                Ok(fields) if fields.len() == self.builders.len() => {
                    if lines > 1 && is_stray(&fields, &self.builders, &self.before) {
                        stray.push(place);
                    }
                    fields.each(|index, field| {
                        let Some(builder) = &mut self.builders[index] else { return };
                        bytes += field.len();
                        match field {
                            [] => builder.append_null(),
                            field => builder.append_value(field),
                        }
                    });
                    places.push(place);
                }
                Ok(fields) => {
                    let reason = self.csv.ragged(fields.len(), line + lines - 1, lines);
                    let field = |index: Option<usize>| index.and_then(|index| fields.get(index));
                    unreadable.push(unreadable_row(place, field(self.email), field(self.id), reason));
                }
                Err(fault) => {
                    let field =
                        |index: Option<usize>| index.and_then(|index| fault.get(index, self.csv.delimiter));
                    let reason = fault.what.to_string();
                    unreadable.push(unreadable_row(place, field(self.email), field(self.id), reason));
                }
            }
        }
        if places.is_empty() && unreadable.is_empty() {
            return Ok(None);
        }
        let fields: Vec<Option<BinaryArray>> =
            self.builders.iter_mut().map(|builder| builder.as_mut().map(BinaryBuilder::finish)).collect();
        for (before, field) in self.before.iter_mut().zip(&fields) {
            if let Some(field) = field {
                before.0 += field.values().len();
                before.1 += field.len() - field.null_count();
            }
        }
        let sources = Arc::clone(&self.sources);
        let (csv, number, unified) = (self.csv, self.number, self.unified);
        Ok(Some(RawCsv { csv, number, unified, sources, fields, places, unreadable, stray }))
    }
}

impl RawCsv<'_> {
    /// Converts the fields to columns.
    pub(super) fn read(self) -> Result<Batch, TargetGroupError> {
        let Self { csv, number, unified, sources, fields, places, unreadable, stray } = self;
        let mut faults = Faults::new();
        let mut texts: Vec<Option<_>> = Vec::with_capacity(fields.len());
        for (field, name) in fields.into_iter().zip(&csv.names) {
            texts.push(field.map(|field| convert::text(field, name, csv.encoding, &mut faults)));
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(sources.len());
        for (field, source) in unified.schema.fields().iter().zip(sources.iter()) {
            let column = match source.map(|source| texts[source].take().expect("a field has one column")) {
                Some(text) => convert::parse(text, unified, field, &mut faults)
                    .map_err(|error| assemble::failed(field.name(), error))?,
                None => new_null_array(field.data_type(), places.len()),
            };
            columns.push(column);
        }
        let columns = Columns { arrays: columns, places, faults, unreadable };
        Ok(Batch { stray, ..assemble::batch(unified, number, columns)? })
    }
}

/// Whether a field of a record that goes over several lines seems to hold rows: between two stray
/// quotes there is at least one address, or far more text than in the field's other rows.
fn is_stray(fields: &Fields<'_>, builders: &[Option<BinaryBuilder>], before: &[(usize, usize)]) -> bool {
    let mut stray = false;
    fields.each(|index, field| {
        if !field.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return;
        }
        stray |= holds_address(field);
        let Some(builder) = builders[index].as_ref().filter(|_| field.len() > LONG_FIELD) else { return };
        let (mut bytes, mut values) = before[index];
        bytes += builder.values_slice().len();
        values += builder.offsets_slice().windows(2).filter(|pair| pair[0] < pair[1]).count();
        stray |= values >= KNOWN_VALUES && field.len() / FAR_LONGER > bytes / values;
    });
    stray
}

/// Whether there is something like `bob@example` in `field`.
fn holds_address(field: &[u8]) -> bool {
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80);
    let mut ats = field.iter().enumerate().filter(|(_, byte)| **byte == b'@');
    ats.any(|(at, _)| at > 0 && part(field.get(at - 1)) && part(field.get(at + 1)))
}

/// A row whose fields can't be split, or are too many or too few. The address is reported only if
/// it looks like one, and the id only with it.
fn unreadable_row(place: Place, email: Option<&[u8]>, id: Option<&[u8]>, reason: String) -> Unreadable {
    let text = |field: Option<&[u8]>| Some(std::str::from_utf8(field?).ok()?.trim().to_owned());
    let email = text(email).filter(|email| email.contains('@'));
    let id = text(id).filter(|id| email.is_some() && !id.is_empty());
    Unreadable { place, email, id, reason }
}

/// Whether a text that starts with `sample` is a bare list of addresses or tokens, one a line,
/// without a header: its first line is one field that looks like one and isn't the name of the
/// column, and most lines are one field.
fn is_bare(sample: &[u8], delimiter: u8, spec: &campaign::TargetGroupSource) -> bool {
    let looks_like_one = |field: &[u8]| match spec.bare {
        Bare::Addresses => field.contains(&b'@'),
        // A name of a column is shorter.
        Bare::Tokens => {
            let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            field.trim_ascii().len() >= SHORTEST_TOKEN && field.trim_ascii().iter().all(letter)
        }
    };
    let mut records = Records::new(sample, delimiter);
    let (mut seen, mut single) = (0, 0);
    while let Ok(Some(Record { fields, .. })) = records.next() {
        let field = fields.ok().filter(|fields| fields.len() == 1).and_then(|fields| fields.get(0));
        let begins = field
            .is_some_and(|field| looks_like_one(field) && field.trim_ascii() != spec.email.trim().as_bytes());
        if seen == 0 && !begins {
            return false;
        }
        seen += 1;
        single += usize::from(field.is_some());
    }
    single * 2 > seen
}
