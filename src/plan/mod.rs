//! The frozen plan, the run directory, the manifest.

mod row;

pub use row::Row;
