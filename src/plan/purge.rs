//! A plan without one person: their rows keep their places, with nothing of the person in them.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, StructArray, new_null_array};
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave;

use super::error::PlanError;
use super::files::PlanFiles;
use super::layout::{PURGED, column};
use super::reader::Plan;
use super::screened::{self, ScreenedRows};
use super::sealed::{FileFacts, SealedFile, SealedWriter};
use crate::kit::file::Draft;
use crate::mail::Address;
use crate::suppression::AddressKey;

/// A person, by the address as the suppression list compares it.
#[derive(Debug, Clone)]
pub struct Person(AddressKey);

impl Person {
    /// Whoever has this address.
    pub fn new(address: &Address) -> Self {
        Self(address.into())
    }

    /// The address as the suppression list compares it.
    pub fn key(&self) -> &AddressKey {
        &self.0
    }

    /// Whether this is their address.
    pub fn is(&self, address: &str) -> bool {
        Address::parse(address.trim()).is_ok_and(|address| AddressKey::from(&address) == self.0)
    }

    /// Whether this text names their address.
    pub fn is_named(&self, text: &str) -> bool {
        self.0.is_in(text)
    }
}

/// Which rows of a run are a person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsOfPerson {
    /// Rows of the plan, ascending.
    pub planned: Vec<u32>,
    /// How many rows were screened out.
    pub screened: u64,
}

impl RowsOfPerson {
    /// Those in the plan and the screened rows at `files`.
    pub fn find(plan: &Plan, files: &PlanFiles, person: &Person) -> Result<Self, PlanError> {
        let planned = (0..plan.len()).filter(|row| AddressKey::from(&plan.address(*row)) == *person.key());
        let mut screened = 0;
        for row in ScreenedRows::open(&files.screened)? {
            let row = row?;
            screened += u64::from(is_screened(person, row.email.as_deref(), &row.detail));
        }
        Ok(Self { planned: planned.collect(), screened })
    }

    /// How many they are.
    pub fn len(&self) -> u64 {
        self.planned.len() as u64 + self.screened
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Writes the plan and the screened rows at `from` to new files at `to`, without what they hold of
/// a person. Returns the facts about both.
pub fn without_person(
    from: &PlanFiles,
    person: &Person,
    to: &PlanFiles,
) -> Result<[FileFacts; 2], PlanError> {
    let plan = rewrite(&from.plan, super::reader::KIND, &to.plan, &|batch| {
        let addresses: &StringArray = batch.column(column::ADDRESS).as_string();
        let is_meant: Vec<bool> = addresses.iter().map(|one| one.is_some_and(|one| person.is(one))).collect();
        blanked(batch, &is_meant, |at, array| match at {
            column::FILE | column::ROW => Ok(Arc::clone(array)),
            column::ADDRESS => Ok(replaced(addresses, &is_meant, PURGED)),
            _ => emptied(array, &is_meant),
        })
    })?;
    let screened = rewrite(&from.screened, screened::KIND, &to.screened, &|batch| {
        let text = |at: usize| -> &StringArray { batch.column(at).as_string() };
        let (emails, details) = (text(screened::EMAIL), text(screened::DETAIL));
        let is_meant: Vec<bool> = std::iter::zip(emails, details)
            .map(|(email, detail)| is_screened(person, email, detail.unwrap_or_default()))
            .collect();
        blanked(batch, &is_meant, |at, array| match at {
            screened::EMAIL | screened::ID | screened::CELLS => emptied(array, &is_meant),
            screened::DETAIL => Ok(replaced(details, &is_meant, "")),
            _ => Ok(Arc::clone(array)),
        })
    })?;
    Ok([plan, screened])
}

fn is_screened(person: &Person, email: Option<&str>, detail: &str) -> bool {
    email.is_some_and(|email| person.is(email) || person.is_named(email)) || person.is_named(detail)
}

fn rewrite(
    from: &Path,
    kind: &'static str,
    to: &Path,
    change: &dyn Fn(&RecordBatch) -> Result<RecordBatch, ArrowError>,
) -> Result<FileFacts, PlanError> {
    let file = SealedFile::open(from, kind)?;
    let draft = Draft::create(to).map_err(PlanError::io("create", to))?;
    let mut writer = SealedWriter::new(draft, to, kind, &file.schema)?;
    for number in 0..file.batches() {
        writer.write(&change(&file.batch(number)?).map_err(PlanError::writing(to))?)?;
    }
    let (draft, facts) = writer.finish()?;
    draft.publish().map_err(PlanError::io("write", to))?;
    Ok(facts)
}

/// The batch with each of its columns changed, where any of its rows is meant.
fn blanked(
    batch: &RecordBatch,
    is_meant: &[bool],
    change: impl Fn(usize, &ArrayRef) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    if !is_meant.contains(&true) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().enumerate().map(|(at, array)| change(at, array));
    RecordBatch::try_new(batch.schema(), columns.collect::<Result<_, _>>()?)
}

/// The array with nothing in these rows. Arrays are built again: under a null that is only marked
/// as one, the value would still be in the file.
fn emptied(array: &ArrayRef, rows: &[bool]) -> Result<ArrayRef, ArrowError> {
    if let Some(cells) = array.as_struct_opt().filter(|cells| cells.nulls().is_none()) {
        let columns = cells.columns().iter().map(|column| emptied(column, rows));
        let columns = columns.collect::<Result<_, _>>()?;
        let fields = cells.fields().clone();
        return Ok(Arc::new(StructArray::try_new_with_length(fields, columns, None, cells.len())?));
    }
    let nothing = new_null_array(array.data_type(), 1);
    let places: Vec<(usize, usize)> =
        rows.iter().enumerate().map(|(row, is_meant)| if *is_meant { (1, 0) } else { (0, row) }).collect();
    interleave(&[&**array, &*nothing], &places)
}

fn replaced(texts: &StringArray, rows: &[bool], by: &str) -> ArrayRef {
    let text = |(text, is_meant): (Option<_>, &bool)| if *is_meant { Some(by) } else { text };
    Arc::new(std::iter::zip(texts, rows).map(text).collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::{frozen, plan_files};
    use super::*;
    use crate::screen::testing::batch;

    #[test]
    fn the_rows_of_a_person_keep_their_places_and_nothing_else() {
        let (_folder, files) = plan_files();
        let rows = ["Bob@B.Example ", "eve@b.example", "bob@b.example", "bob@@b.example", "bad"];
        let before = frozen(&files, vec![batch(0, &rows)]);
        let person = Person::new(&Address::parse("BOB@b.example").unwrap());
        let plan = Plan::open(&files.plan).unwrap();
        let found = RowsOfPerson::find(&plan, &files, &person).unwrap();
        assert_eq!((found.planned.as_slice(), found.screened), ([0].as_slice(), 1), "one is a duplicate");

        let (_other, to) = plan_files();
        let [facts, _] = without_person(&files, &person, &to).unwrap();
        assert_ne!(facts.hash, before.plan.hash);
        let after = Plan::open(&to.plan).unwrap();
        assert_eq!((after.hash(), after.len()), (facts.hash.as_str(), plan.len()));
        assert_eq!(after.row(1).unwrap(), plan.row(1).unwrap());
        let row = after.row(0).unwrap();
        assert!(after.is_purged(0) && !after.is_purged(1));
        assert_eq!((row.file, row.row, row.id, row.name), (0, 1, None, None));
        assert!(row.values.values().all(serde_json::Value::is_null), "{:?}", row.values);
        let places = |files: &PlanFiles| -> Vec<_> {
            ScreenedRows::open(&files.screened).unwrap().map(|row| row.unwrap().place).collect()
        };
        assert_eq!(places(&to), places(&files));
        for file in [&to.plan, &to.screened] {
            let bytes = fs::read(file).unwrap().to_ascii_lowercase();
            let found = bytes.windows(13).any(|part| part == b"bob@b.example");
            assert!(!found, "{}", file.display());
        }
        assert_eq!(
            without_person(&to, &person, &plan_files().1).unwrap()[0],
            facts,
            "nothing is left to remove"
        );
    }
}
