//! Writes a list.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::error::SynthError;
use super::people::{People, Row};
use super::quotas::{Kind, Quotas};
use super::spec::{Spec, column_name};
use super::writer::{ListFormat, ListWriter};
use crate::kit::file::{Draft, ORDINARY};

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// All rows.
    pub rows: u64,
    /// With the address of an earlier row.
    pub duplicates: u64,
    /// With an address that can't be sent to.
    pub invalid: u64,
    /// With a character beyond ASCII, those that need SMTPUTF8 included.
    pub non_ascii: u64,
    /// With a local part beyond ASCII.
    pub smtputf8: u64,
    /// Distinct domains of addresses that can be sent to.
    pub domains: u64,
    /// The file's size.
    pub bytes: u64,
}

/// Writes a list to `path`, which must not exist unless `replace` is set; `seen` is called with the
/// number of rows from time to time.
pub fn write(
    spec: &Spec,
    path: &Path,
    format: ListFormat,
    replace: bool,
    mut seen: impl FnMut(u64),
) -> Result<Written, SynthError> {
    let failed = |source: io::Error| SynthError::Io { path: path.to_owned(), source };
    spec.check()?;
    let quotas = Quotas::new(spec)?;
    if !replace && path.symlink_metadata().is_ok() {
        return Err(SynthError::Exists(path.to_owned()));
    }
    let draft = Draft::unique(path, ORDINARY).map_err(failed)?;
    let people = People::new(spec, quotas);
    let header: Vec<String> = (1..=spec.columns).map(column_name).collect();
    let mut writer = ListWriter::create(draft.handle().map_err(failed)?, format, &header)
        .map_err(|error| error.at(path))?;
    let mut row = Row { kind: Kind::Plain, domain: None, cells: vec![String::new(); spec.columns] };
    let mut known = vec![false; people.domains()];
    let mut written = Written { rows: spec.rows, ..Written::default() };
    for number in 0..spec.rows {
        people.make(number, &mut row);
        match row.kind {
            Kind::Plain => {}
            Kind::Invalid => written.invalid += 1,
            Kind::Duplicate => written.duplicates += 1,
            Kind::NonAscii => written.non_ascii += 1,
            Kind::Smtputf8 => {
                written.non_ascii += 1;
                written.smtputf8 += 1;
            }
        }
        if let Some(domain) = row.domain {
            known[domain] = true;
        }
        writer.push(&row.cells).map_err(|error| error.at(path))?;
        if number % 4_096 == 4_095 {
            seen(number + 1);
        }
    }
    writer.finish().map_err(|error| error.at(path))?;
    written.domains = known.into_iter().filter(|known| *known).count() as u64;
    written.bytes = draft.bytes().map_err(failed)?;
    let published = if replace { draft.publish() } else { draft.publish_new() };
    published.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SynthError::Exists(path.to_owned()),
        _ => failed(error),
    })?;
    Ok(written)
}
