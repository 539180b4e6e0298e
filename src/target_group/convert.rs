//! Converts columns of a file to columns of the target group. A value that can't be converted makes
//! its row unreadable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, StringArray, make_array, new_null_array,
};
use arrow_cast::display::array_value_to_string;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ord::cmp::not_distinct;
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::schema::Unified;
use crate::campaign::{ColumnType, Encoding, TypedColumn};

/// Characters that are no text: NUL and escape.
const CONTROLS: [u8; 2] = [0, 0x1b];

/// Values in reasons are truncated to this many characters.
const SHOWN_CHARACTERS: usize = 60;

/// The unusable rows of a batch by index, each with its first reason.
pub(super) type Faults = BTreeMap<usize, String>;

/// Finds NUL and escape characters in the text of a column, in lists and structs too: they are no
/// text. Escapes command terminals, and announce other characters in ISO-2022-JP.
pub(super) fn refuse_controls(array: &ArrayRef, name: &str, faults: &mut Faults) {
    if !holds_controls(array) {
        return;
    }
    for index in (0..array.len()).filter(|index| array.is_valid(*index)) {
        let value = match array.as_string_opt::<i32>() {
            Some(text) => Cow::Borrowed(text.value(index)),
            None => Cow::Owned(shown(array, index)),
        };
        let Some(control) = value.bytes().find(|byte| CONTROLS.contains(byte)) else { continue };
        let what = if control == 0 { "a NUL character" } else { "an escape character (0x1B)" };
        faults.entry(index).or_insert_with(|| format!("column `{name}` holds {what}"));
    }
}

fn holds_controls(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value_data();
            memchr::memchr2(CONTROLS[0], CONTROLS[1], text).is_some()
        }
        DataType::List(_) => holds_controls(array.as_list::<i32>().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().any(holds_controls),
        DataType::Map(..) => array.as_map().entries().columns().iter().any(holds_controls),
        _ => false,
    }
}

/// A CSV column's bytes as text; an empty field is null.
pub(super) fn text(bytes: BinaryArray, name: &str, encoding: Encoding, faults: &mut Faults) -> StringArray {
    let (offsets, values, nulls) = bytes.into_parts();
    // Usually the whole column is valid: check it at once.
    if let Ok(text) = StringArray::try_new(offsets.clone(), values.clone(), nulls.clone()) {
        return text;
    }
    let bytes = BinaryArray::new(offsets, values, nulls);
    let mut text = StringBuilder::with_capacity(bytes.len(), bytes.value_data().len());
    for (index, value) in bytes.iter().enumerate() {
        match value.map(std::str::from_utf8) {
            None => text.append_null(),
            Some(Ok(value)) => text.append_value(value),
            Some(Err(error)) => {
                text.append_null();
                let bad = value.map_or(0, |value| value[error.valid_up_to()]);
                faults.entry(index).or_insert_with(|| not_text(name, encoding, bad));
            }
        }
    }
    text.finish()
}

fn not_text(name: &str, encoding: Encoding, bad: u8) -> String {
    if encoding == Encoding::UTF_8 {
        return format!(
            "column `{name}` holds the byte 0x{bad:02X}, which is not UTF-8 (is it Windows-1252?)"
        );
    }
    let is_wide = [Encoding::UTF_16LE, Encoding::UTF_16BE].contains(&encoding);
    let called = if is_wide { "UTF-16" } else { encoding.table().name() };
    format!("column `{name}` holds what is not {called}")
}

/// Converts a text column of a CSV file to the type of `field`, ignoring white space around values.
pub(super) fn parse(
    text: StringArray,
    unified: &Unified,
    field: &Field,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let (wanted, name) = (field.data_type(), field.name());
    let written = unified.written.get(name);
    if *wanted == DataType::Utf8 {
        return Ok(Arc::new(text));
    }
    let date = *wanted == DataType::Date32;
    let trimmed = text.iter().map(|value| value.map(str::trim).filter(|value| !value.is_empty()));
    let trimmed: StringArray = match written {
        Some(written) => trimmed.map(|value| plainly(value?, written)).collect(),
        None => trimmed.map(|value| value.filter(|value| !(date && value.len() > 10))).collect(),
    };
    let array = cast_zoned(&trimmed, wanted)?;
    let finite = |index| match wanted {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(index).is_finite(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(index).is_finite(),
        _ => true,
    };
    for index in 0..text.len() {
        let asked = !text.is_null(index) && !text.value(index).trim().is_empty();
        if asked && (array.is_null(index) || !finite(index)) {
            faults.entry(index).or_insert_with(|| {
                let value = text.value(index);
                match written.and_then(|column| column.format.as_deref()) {
                    Some(format) => {
                        format!("column `{name}`: `{}` is not written as `{format}`", short(value))
                    }
                    None => does_not_read(name, value, wanted),
                }
            });
        }
    }
    Ok(array)
}

/// A value that is written in the way of `column` as Arrow reads it; none if it is not.
fn plainly(value: &str, column: &TypedColumn) -> Option<String> {
    match (column.kind, &column.format, column.decimal) {
        (ColumnType::Date, Some(format), _) => {
            NaiveDate::parse_from_str(value, format).ok().map(|day| day.to_string())
        }
        (ColumnType::Timestamp, Some(format), _) => {
            let zoned = DateTime::parse_from_str(value, format).map(|moment| moment.naive_utc());
            let moment = zoned.or_else(|_| NaiveDateTime::parse_from_str(value, format));
            let moment = moment.or_else(|_| NaiveDate::parse_from_str(value, format).map(|day| day.into()));
            moment.ok().map(|moment| moment.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string())
        }
        (ColumnType::Integer | ColumnType::Number, _, Some(decimal)) => plain_number(value, decimal),
        _ => Some(value.to_owned()),
    }
}

/// `90.498,00` as `90498.00`: thousands may be grouped, by one mark, in threes.
fn plain_number(value: &str, decimal: char) -> Option<String> {
    let (whole, fraction) = match value.split_once(decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (value, None),
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole.strip_prefix('+').unwrap_or(whole)),
    };
    let mark = digits.chars().find(|c| !c.is_ascii_digit());
    if let Some(mark) = mark {
        let is_mark = mark != decimal && (".,'’".contains(mark) || mark.is_whitespace());
        let mut groups = digits.split(mark);
        let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()));
        if !is_mark || !first || !groups.all(|group| group.len() == 3) {
            return None;
        }
    }
    let digits: String = digits.chars().filter(|c| Some(*c) != mark).collect();
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(&digits) || !fraction.is_none_or(all_digits) {
        return None;
    }
    Some(match fraction {
        Some(fraction) => format!("{sign}{digits}.{fraction}"),
        None => format!("{sign}{digits}"),
    })
}

/// A column of UUIDs as text.
fn uuids(array: &FixedSizeBinaryArray) -> StringArray {
    let written = |bytes: &[u8]| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    };
    array.iter().map(|bytes| bytes.map(written)).collect()
}

/// Converts a Parquet column to `wanted`.
pub(super) fn cast(
    array: &ArrayRef,
    wanted: &DataType,
    name: &str,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    if let DataType::FixedSizeBinary(16) = array.data_type() {
        let text: ArrayRef = Arc::new(uuids(array.as_fixed_size_binary()));
        return cast(&text, wanted, name, faults);
    }
    if array.data_type().is_null() {
        return Ok(new_null_array(wanted, array.len()));
    }
    let cast = cast_zoned(array, wanted)?;
    refuse_narrowed(array, &cast, name, faults)?;
    if cast.logical_null_count() > array.logical_null_count() {
        let (before, after) = (array.logical_nulls(), cast.logical_nulls());
        for index in 0..array.len() {
            let null =
                |nulls: &Option<arrow_buffer::NullBuffer>| nulls.as_ref().is_some_and(|n| n.is_null(index));
            if null(&after) && !null(&before) {
                let value = shown(array, index);
                faults.entry(index).or_insert_with(|| does_not_read(name, &value, wanted));
            }
        }
    }
    Ok(cast)
}

/// Numbers that another type would change (`7000.7` as a whole number, integers that a float can't
/// tell apart) are no values of that type: nothing is rounded silently.
fn refuse_narrowed(
    array: &ArrayRef,
    cast: &ArrayRef,
    name: &str,
    faults: &mut Faults,
) -> Result<(), ArrowError> {
    let (given, wanted) = (array.data_type(), cast.data_type());
    let drops_fractions = wanted.is_integer() && (given.is_floating() || given.is_decimal());
    let drops_digits = wanted.is_floating() && given.is_integer();
    if !drops_fractions && !drops_digits {
        return Ok(());
    }
    let back = cast_zoned(cast, given)?;
    let same = not_distinct(&back.as_ref(), &array.as_ref())?;
    for index in 0..array.len() {
        // Values that can't be read at all are reported elsewhere.
        if !same.value(index) && !cast.is_null(index) {
            faults.entry(index).or_insert_with(|| does_not_read(name, &shown(array, index), wanted));
        }
    }
    Ok(())
}

/// A value in a reason.
fn short(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}

/// The reason of a row with a value that is none of its column's type.
pub(super) fn does_not_read(name: &str, value: &str, wanted: &DataType) -> String {
    let shown = short(value);
    let what = match wanted {
        DataType::Boolean => "true or false".to_owned(),
        DataType::Date32 => "a date (2026-05-31)".to_owned(),
        DataType::Timestamp(..) => "a timestamp (2026-05-31T12:00:00Z)".to_owned(),
        integer if integer.is_integer() => "a whole number".to_owned(),
        number if number.is_floating() || number.is_decimal() => "a number".to_owned(),
        DataType::List(_) | DataType::LargeList(_) => "a list".to_owned(),
        _ => "its column's type".to_owned(),
    };
    format!("column `{name}`: `{shown}` does not read as {what}")
}

/// Casts via timestamps without a zone, in UTC. (Arrow knows zone names only with a time zone
/// database; timestamp values are UTC in any zone.)
fn cast_zoned(array: &dyn Array, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let DataType::Timestamp(unit, zone) = wanted else {
        return cast_with_options(&rezone(array, Some("+00:00".into())), wanted, &options);
    };
    let unzoned = rezone(array, None);
    let cast = cast_with_options(&unzoned, &DataType::Timestamp(*unit, None), &options)?;
    Ok(with_zone(&cast, *unit, zone.clone()))
}

/// Timestamps with another zone; anything else unchanged.
fn rezone(array: &dyn Array, zone: Option<Arc<str>>) -> ArrayRef {
    match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => with_zone(array, *unit, zone),
        _ => make_array(array.to_data()),
    }
}

/// A value as shown to people.
pub(super) fn shown(array: &dyn Array, index: usize) -> String {
    let array = rezone(array, Some("+00:00".into()));
    array_value_to_string(&array, index).unwrap_or_else(|_| "the value".to_owned())
}

fn with_zone(array: &dyn Array, unit: TimeUnit, zone: Option<Arc<str>>) -> ArrayRef {
    match unit {
        TimeUnit::Second => {
            Arc::new(array.as_primitive::<TimestampSecondType>().clone().with_timezone_opt(zone))
        }
        TimeUnit::Millisecond => {
            Arc::new(array.as_primitive::<TimestampMillisecondType>().clone().with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => {
            Arc::new(array.as_primitive::<TimestampNanosecondType>().clone().with_timezone_opt(zone))
        }
    }
}
