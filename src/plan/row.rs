//! One row of the plan, as the next stages use it.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::mail::Address;

/// A row that is sent to.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its index in the plan, from 0.
    pub index: u32,
    /// Which file it comes from: an index into the manifest's inputs.
    pub file: u32,
    /// Its number in that file, from 1.
    pub row: u64,
    /// The address as given.
    pub email: String,
    /// The address.
    pub address: Address,
    /// The recipient's id, if any.
    pub id: Option<String>,
    /// The display name, if any.
    pub name: Option<String>,
    /// The columns that the templates use, by name, in the order of the target group. Null stays
    /// null.
    pub values: Map<String, Value>,
    /// The folder with the messages, where the target group holds ready ones.
    pub messages: Option<Arc<Path>>,
}
