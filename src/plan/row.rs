//! One accepted row, as composing needs it.

use serde_json::{Map, Value};

use crate::mail::Address;

/// One accepted row of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its number in the plan, from 0.
    pub index: u32,
    /// Which file it is from: an index into the target group's files.
    pub file: u32,
    /// The record's number in its file, from 1.
    pub row: u64,
    /// The address as given.
    pub email: String,
    /// The address as it is sent to.
    pub address: Address,
    /// The recipient's id, where the target group has one.
    pub id: Option<String>,
    /// The display name for `To`.
    pub name: Option<String>,
    /// The columns that the templates use, under their headers' names.
    pub values: Map<String, Value>,
}
