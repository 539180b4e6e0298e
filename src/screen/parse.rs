//! Parses one batch of records into addresses and their fingerprints: pure, for any thread.

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::{can_cast_types, cast};
use arrow_schema::{DataType, Schema};

use super::error::ScreenError;
use crate::campaign::Duplicates;
use crate::edition::{Recipient, Recognise};
use crate::mail::{AddressError, AddressParts};
use crate::suppression::{AddressKey, Fingerprint, Fingerprinter};
use crate::target_group::{Batch, Place, Unreadable};

/// The indices of the columns with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The address.
    pub email: usize,
    /// The recipient's id.
    pub id: Option<usize>,
    /// The display name.
    pub name: Option<usize>,
}

/// Parses batches. Clones make the same fingerprints.
#[derive(Debug, Clone)]
pub struct Parser {
    columns: Columns,
    duplicates: Duplicates,
    fingerprinter: Fingerprinter,
    /// Set where it matters who got the edition before.
    pub(super) recognise: Option<Recognise>,
}

/// A batch with parsed addresses.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub(super) file: usize,
    pub(super) places: Vec<Place>,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) stray: Vec<Place>,
    /// All columns of the records.
    pub(super) records: RecordBatch,
    /// The address as given; null if the cell is.
    pub(super) emails: StringArray,
    pub(super) ids: Option<StringArray>,
    pub(super) names: Option<StringArray>,
    /// The address as it goes on the wire; null if it is invalid.
    pub(super) addresses: StringArray,
    /// The rows whose address on the wire differs from the one given, ascending.
    pub(super) rewritten: Vec<u32>,
    /// The reason for each null in `addresses`, in order.
    pub(super) faults: Vec<AddressError>,
    /// Whether no address needs SMTPUTF8.
    pub(super) all_ascii: bool,
    /// The fingerprint that the suppression list compares, for each record; that of the empty text
    /// if the address is invalid.
    pub(super) keys: Vec<Fingerprint>,
    /// The fingerprint that identifies duplicates, if it differs from `keys`.
    pub(super) exact: Option<Vec<Fingerprint>>,
    /// The recipient of each record, if it matters who got the edition before; of an invalid
    /// address that of the empty text.
    pub(super) recipients: Option<Vec<Recipient>>,
}

impl Parser {
    pub(super) fn new(
        schema: &Schema,
        columns: Columns,
        duplicates: Duplicates,
        fingerprinter: Fingerprinter,
    ) -> Result<Self, ScreenError> {
        for column in [Some(columns.email), columns.id, columns.name].into_iter().flatten() {
            let field = schema.field(column);
            if !can_cast_types(field.data_type(), &DataType::Utf8) || field.data_type().is_nested() {
                return Err(ScreenError::NotText {
                    column: field.name().clone(),
                    kind: field.data_type().to_string(),
                });
            }
        }
        Ok(Self { columns, duplicates, fingerprinter, recognise: None })
    }

    /// Parses the addresses of a batch.
    ///
    /// # Errors
    /// Only when Arrow can't convert one of the columns to text.
    pub fn parse(&self, batch: Batch) -> Result<Parsed, ScreenError> {
        let Batch { file, records, places, unreadable, stray } = batch;
        assert_eq!(records.num_rows(), places.len(), "a batch holds a place for each of its records");
        let emails = text(records.column(self.columns.email))?;
        let ids = self.columns.id.map(|column| text(records.column(column))).transpose()?;
        let names = self.columns.name.map(|column| text(records.column(column))).transpose()?;

        let rows = records.num_rows();
        let mut addresses = StringBuilder::with_capacity(rows, emails.value_data().len());
        let mut rewritten = Vec::new();
        let mut faults = Vec::new();
        let mut keys = Vec::with_capacity(rows);
        let mut exact = (self.duplicates == Duplicates::ExactLocalPart).then(|| Vec::with_capacity(rows));
        let mut recipients = self.recognise.map(|recognise| (recognise, Vec::with_capacity(rows)));
        let mut rewrite = String::new();
        let mut key = String::new();
        for row in 0..rows {
            let given = if emails.is_null(row) { "" } else { emails.value(row) };
            let address = match AddressParts::parse(given) {
                Ok(address) => address,
                Err(fault) => {
                    addresses.append_null();
                    faults.push(fault);
                    keys.push(self.fingerprinter.of(""));
                    exact.iter_mut().for_each(|exact| exact.push(self.fingerprinter.of("")));
                    if let Some((recognise, recipients)) = &mut recipients {
                        recipients.push(recognise.recipient("", "", None));
                    }
                    continue;
                }
            };
            let (local, domain) = (address.local, address.domain.as_ref());
            let as_given = given.len() == local.len() + 1 + domain.len() && given.ends_with(domain);
            let wire = if as_given {
                given
            } else {
                rewritten.push(row as u32);
                rewrite.clear();
                rewrite.extend([local, "@", domain]);
                &rewrite
            };
            addresses.append_value(wire);
            let key = if local.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
                wire
            } else {
                AddressKey::write(local, domain, &mut key);
                &key
            };
            keys.push(self.fingerprinter.of(key));
            if let Some((recognise, recipients)) = &mut recipients {
                recipients.push(recognise.recipient(key, wire, cell(ids.as_ref(), row)));
            }
            if let Some(exact) = &mut exact {
                exact.push(self.fingerprinter.of(wire));
            }
        }
        let addresses = addresses.finish();
        Ok(Parsed {
            file,
            places,
            unreadable,
            stray,
            records,
            emails,
            ids,
            names,
            all_ascii: addresses.value_data().is_ascii(),
            addresses,
            rewritten,
            faults,
            keys,
            exact,
            recipients: recipients.map(|(_, recipients)| recipients),
        })
    }
}

/// A column as UTF-8, without a copy if it is UTF-8 already.
fn text(column: &ArrayRef) -> Result<StringArray, ScreenError> {
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string().clone(),
        _ => cast(column, &DataType::Utf8)?.as_string().clone(),
    })
}

/// A cell's text; an empty one counts as none.
pub(super) fn cell(column: Option<&StringArray>, row: usize) -> Option<&str> {
    let column = column.filter(|column| column.is_valid(row))?;
    Some(column.value(row)).filter(|text| !text.trim().is_empty())
}
