//! The values of a batch as columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, NullArray, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;

use super::shape::is_whole;
use super::text::{Members, Value};
use crate::target_group::convert::{Faults, does_not_read};

/// A value and its row.
pub(super) type Cell<'v, 't> = (usize, Option<&'v Value<'t>>);

/// These values as a column of type `wanted`, which a [shape](super::shape::Shape) of theirs has.
/// Whole numbers that a float can't tell apart make their row unreadable.
pub(super) fn column(cells: &[Cell<'_, '_>], wanted: &DataType, name: &str, faults: &mut Faults) -> ArrayRef {
    match wanted {
        DataType::Null => Arc::new(NullArray::new(cells.len())),
        DataType::Boolean => {
            let boolean = |value: &Value<'_>| match value {
                Value::Boolean(value) => Some(*value),
                _ => None,
            };
            Arc::new(cells.iter().map(|(_, value)| value.and_then(boolean)).collect::<BooleanArray>())
        }
        DataType::Int64 => {
            let integer = |value: &Value<'_>| number(value)?.parse::<i64>().ok();
            Arc::new(cells.iter().map(|(_, value)| value.and_then(integer)).collect::<Int64Array>())
        }
        DataType::Float64 => {
            let mut float = |row: usize, value: &Value<'_>| {
                let number = number(value)?;
                let float = number.parse::<f64>().ok()?;
                // Nothing is rounded silently.
                if is_whole(number) && number.parse::<i64>().ok() != Some(float as i64) {
                    faults.entry(row).or_insert_with(|| does_not_read(name, number, wanted));
                }
                Some(float)
            };
            let floats = cells.iter().map(|(row, value)| value.and_then(|value| float(*row, value)));
            Arc::new(floats.collect::<Float64Array>())
        }
        DataType::List(item) => {
            let lengths = cells.iter().map(|(_, value)| list(*value).map_or(0, <[Value<'_>]>::len));
            let offsets = OffsetBuffer::from_lengths(lengths);
            let inner: Vec<Cell<'_, '_>> = cells
                .iter()
                .flat_map(|(row, value)| list(*value).into_iter().flatten().map(|value| (*row, Some(value))))
                .collect();
            let values = column(&inner, item.data_type(), name, faults);
            let nulls = NullBuffer::from_iter(cells.iter().map(|(_, value)| list(*value).is_some()));
            Arc::new(ListArray::new(Arc::clone(item), offsets, values, Some(nulls)))
        }
        DataType::Struct(fields) => {
            let names = fields.iter().map(|field| field.name().as_str());
            let objects: Vec<_> = cells.iter().map(|(row, value)| (*row, object(*value))).collect();
            let inner = by_name(&objects, names);
            let columns = fields.iter().zip(inner);
            let columns = columns.map(|(field, cells)| column(&cells, field.data_type(), name, faults));
            let columns = columns.collect();
            let nulls = NullBuffer::from_iter(objects.iter().map(|(_, object)| object.is_some()));
            Arc::new(
                StructArray::try_new_with_length(fields.clone(), columns, Some(nulls), cells.len())
                    .expect("the columns are made for these fields"),
            )
        }
        _ => Arc::new(texts(cells)),
    }
}

/// The values as text, numbers as they are written.
pub(super) fn texts(cells: &[Cell<'_, '_>]) -> StringArray {
    let text = |value: &Value<'_>| match value {
        Value::Null | Value::List(_) | Value::Object(_) => None,
        Value::Boolean(true) => Some("true".to_owned()),
        Value::Boolean(false) => Some("false".to_owned()),
        Value::Number(number) => Some((*number).to_owned()),
        Value::Text(text) => Some(text.to_string()),
    };
    cells.iter().map(|(_, value)| value.and_then(text)).collect()
}

fn number<'t>(value: &Value<'t>) -> Option<&'t str> {
    match value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

fn list<'v, 't>(value: Option<&'v Value<'t>>) -> Option<&'v [Value<'t>]> {
    match value {
        Some(Value::List(items)) => Some(items),
        _ => None,
    }
}

fn object<'v, 't>(value: Option<&'v Value<'t>>) -> Option<&'v Members<'t>> {
    match value {
        Some(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// The values of these names, for each name those of all objects.
pub(super) fn by_name<'v, 't, 'n>(
    objects: &[(usize, Option<&'v Members<'t>>)],
    names: impl Iterator<Item = &'n str>,
) -> Vec<Vec<Cell<'v, 't>>> {
    let places: HashMap<&str, usize> = names.enumerate().map(|(place, name)| (name, place)).collect();
    let absent: Vec<Cell<'_, '_>> = objects.iter().map(|(row, _)| (*row, None)).collect();
    let mut columns = vec![absent; places.len()];
    for (index, (_, members)) in objects.iter().enumerate() {
        for (name, value) in members.iter().copied().flatten() {
            if let Some(place) = places.get(name.as_ref()) {
                columns[*place][index].1 = Some(value);
            }
        }
    }
    columns
}
