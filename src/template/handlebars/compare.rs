//! `eq`, `ne`, `gt`, `gte`, `lt` and `lte`. Columns of a CSV file are text: `(gt points 100)`
//! compares numbers where both sides can be read as one, and `(eq points 5)` where one side is one.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::helpers::scalar;
use super::super::values::is_blank;

/// Whether a comparison holds.
pub(super) type Test = fn(&Value, &Value) -> bool;

/// The comparisons.
pub(super) const ALL: [(&str, Test); 6] = [
    ("eq", equal),
    ("ne", |a, b| !equal(a, b)),
    ("gt", |a, b| compare(a, b).is_some_and(Ordering::is_gt)),
    ("gte", |a, b| compare(a, b).is_some_and(Ordering::is_ge)),
    ("lt", |a, b| compare(a, b).is_some_and(Ordering::is_lt)),
    ("lte", |a, b| compare(a, b).is_some_and(Ordering::is_le)),
];

fn equal(a: &Value, b: &Value) -> bool {
    if is_blank(a) || is_blank(b) {
        return is_blank(a) && is_blank(b);
    }
    if a == b {
        return true;
    }
    // Two texts are equal as texts only: the postcodes `07` and `7` differ.
    let one_is = |is: fn(&Value) -> bool| is(a) || is(b);
    if one_is(Value::is_number) {
        return compare(a, b).is_some_and(Ordering::is_eq);
    }
    one_is(Value::is_boolean) && scalar(a).zip(scalar(b)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b))
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    if is_blank(a) || is_blank(b) {
        return None;
    }
    if let (Some(a), Some(b)) = (as_integer(a), as_integer(b)) {
        return Some(a.cmp(&b));
    }
    match (as_number(a), as_number(b)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => match (a, b) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => None,
        },
    }
}

/// Whole numbers are compared exactly, also where floating point could not tell them apart.
fn as_integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_i128(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let text = text.trim();
            // Not `inf`, `nan` or `1e5x`.
            let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
            if numeric { text.parse().ok() } else { None }
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
