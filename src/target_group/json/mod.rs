//! JSON lines: one object a line (RFC 8259), nested values included.

mod column;
mod file;
mod lines;
mod shape;
mod text;

pub(super) use file::{JsonFile, JsonReader, RawJson};
pub(super) use lines::holds_objects;
