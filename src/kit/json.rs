//! JSON objects.

use serde_json::Value;

/// Adds the keys of `more`, an object, to those of `value`.
pub(crate) fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
