//! The frozen plan: the rows that passed screening and those that did not, on disk.
//!
//! Each file is written under a temporary name, synced and renamed, so it is whole or absent. Files
//! are checked before they are read: a truncated or altered plan is an error, never a shorter list.

mod domains;
mod error;
mod files;
mod forecast;
mod freeze;
mod layout;
mod order;
mod purge;
mod reader;
mod row;
mod screened;
mod sealed;
mod seeds;
mod value;

#[cfg(test)]
pub(crate) use freeze::tests as testing;

pub use domains::{TopDomains, top_domains};
pub use error::PlanError;
pub(crate) use error::io_hint;
pub use files::PlanFiles;
pub(crate) use files::messages_in;
pub use forecast::{Forecast, SlotForecast, forecast, forecast_at, slots};
pub use freeze::{Freeze, Frozen, freeze_rows};
pub use layout::{Layout, LeftOut, PURGED};
pub use order::{InputRow, input_order};
pub use purge::{Person, RowsOfPerson, without_person};
pub use reader::Plan;
pub use row::Row;
pub use screened::{ScreenedCells, ScreenedRows};
pub use sealed::FileFacts;
pub use seeds::{SOURCE as SEED_SOURCE, Seeds};
