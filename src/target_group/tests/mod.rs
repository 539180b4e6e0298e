//! A target group in a folder of its own, read to its end.

mod arrow;
mod corpora;
mod csv;
mod files;
mod fuzz;
mod json;
mod packed;
mod parquet;
mod partitions;
mod random;
mod reading;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow_array::{Array, ArrayRef, RecordBatch};
use tempfile::TempDir;

use super::convert::shown;
use super::{Place, TargetGroup, TargetGroupError, Unreadable, open};
use crate::campaign;

/// Files, and the campaign's keys about them.
struct Kit {
    folder: TempDir,
    keys: String,
}

/// What was read: values as text, null as none.
#[derive(Debug, Default)]
struct Contents {
    columns: Vec<String>,
    types: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    places: Vec<Place>,
    unreadable: Vec<Unreadable>,
}

fn kit() -> Kit {
    Kit { folder: tempfile::tempdir().unwrap(), keys: String::new() }
}

/// One CSV file of these bytes, read to its end.
fn csv(bytes: impl AsRef<[u8]>) -> Contents {
    kit().file("a.csv", bytes).contents()
}

impl Kit {
    fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn parquet(self, name: &str, columns: Vec<(&str, ArrayRef)>) -> Self {
        let records = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        let file = File::create(self.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, records.schema(), None).unwrap();
        writer.write(&records).unwrap();
        writer.close().unwrap();
        self
    }

    fn keys(mut self, keys: &str) -> Self {
        self.keys = keys.to_owned();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The target group of `patterns`.
    fn open_files(&self, patterns: &[&str]) -> Result<TargetGroup, TargetGroupError> {
        let patterns: Vec<_> = patterns.iter().map(|pattern| self.path(pattern)).collect();
        let mut spec: campaign::TargetGroupSource =
            toml::from_str(&format!("files = {patterns:?}\n{}", self.keys)).unwrap();
        spec.folder = self.folder.path().to_owned();
        open(&spec)
    }

    fn open(&self) -> Result<TargetGroup, TargetGroupError> {
        self.open_files(&["*"])
    }

    fn contents(&self) -> Contents {
        contents(&self.open().unwrap()).unwrap()
    }

    fn refused(&self) -> TargetGroupError {
        self.open().unwrap_err()
    }
}

fn contents(group: &TargetGroup) -> Result<Contents, TargetGroupError> {
    let schema = group.schema();
    let mut contents = Contents {
        columns: schema.fields().iter().map(|field| field.name().clone()).collect(),
        types: schema.fields().iter().map(|field| field.data_type().to_string()).collect(),
        ..Contents::default()
    };
    for batch in group.batches() {
        let batch = batch?;
        assert_eq!(batch.records.schema(), schema);
        assert_eq!(batch.records.num_rows(), batch.places.len());
        for row in 0..batch.records.num_rows() {
            let value = |column: &ArrayRef| (!column.is_null(row)).then(|| shown(column, row));
            contents.rows.push(batch.records.columns().iter().map(value).collect());
        }
        contents.places.extend(batch.places);
        contents.unreadable.extend(batch.unreadable);
    }
    Ok(contents)
}

impl Contents {
    /// Rows as `a|b|c`, null as `-`.
    fn lines(&self) -> Vec<String> {
        let line = |row: &Vec<Option<String>>| {
            row.iter().map(|value| value.as_deref().unwrap_or("-")).collect::<Vec<_>>().join("|")
        };
        self.rows.iter().map(line).collect()
    }

    /// Unreadable rows as `row:line reason`.
    fn reasons(&self) -> Vec<String> {
        let reason = |row: &Unreadable| {
            let line = row.place.line.map_or(String::new(), |line| format!(":{line}"));
            format!("{}{line} {}", row.place.row, row.reason)
        };
        self.unreadable.iter().map(reason).collect()
    }

    /// Rows and lines of the readable records.
    fn places(&self) -> Vec<(u64, Option<u64>)> {
        self.places.iter().map(|place| (place.row, place.line)).collect()
    }
}

fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// The folder of test data from outside, where there is one.
fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("MAILRUN_CORPORA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("not run: MAILRUN_CORPORA is not set");
    }
    folder
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
