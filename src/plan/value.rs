//! Cells as templates see them.
//!
//! | Arrow | template |
//! |---|---|
//! | null, NaN, infinite | null |
//! | integers, floats | number; whole floats as integers |
//! | decimals | exact text such as `12.50`; the number 0 for zero, so that `{{#if}}` takes it for false |
//! | text | text |
//! | dates, times | `2026-05-31`, `12:30:00` |
//! | timestamps | RFC 3339, in the column's zone, otherwise in UTC |
//! | lists | array |
//! | structs, maps | object |
//! | dictionaries | their values |
//! | binary, intervals, durations, unions | not available; null inside of lists and structs |

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::timezone::Tz;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::types::ArrowTemporalType;
use arrow_array::types::{
    ArrowTimestampType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use chrono::SecondsFormat;
use serde_json::{Map, Number, Value};

/// The value of a cell.
pub(super) fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float16 => float(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => single(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(..) => decimal::<Decimal32Type>(array, row),
        DataType::Decimal64(..) => decimal::<Decimal64Type>(array, row),
        DataType::Decimal128(..) => decimal::<Decimal128Type>(array, row),
        DataType::Decimal256(..) => decimal::<Decimal256Type>(array, row),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Date32 => date::<Date32Type>(array, row),
        DataType::Date64 => date::<Date64Type>(array, row),
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(array, row),
        DataType::Time32(_) => time::<Time32MillisecondType>(array, row),
        DataType::Time64(TimeUnit::Microsecond) => time::<Time64MicrosecondType>(array, row),
        DataType::Time64(_) => time::<Time64NanosecondType>(array, row),
        DataType::Timestamp(TimeUnit::Second, zone) => {
            timestamp::<TimestampSecondType>(array, row, zone.as_deref())
        }
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            timestamp::<TimestampMillisecondType>(array, row, zone.as_deref())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            timestamp::<TimestampMicrosecondType>(array, row, zone.as_deref())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            timestamp::<TimestampNanosecondType>(array, row, zone.as_deref())
        }
        DataType::List(_) => list(&*array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&*array.as_list::<i64>().value(row)),
        DataType::ListView(_) => list(&*array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => list(&*array.as_list_view::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&*array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => {
            let array = array.as_struct();
            let fields = array.fields().iter().zip(array.columns());
            Value::Object(fields.map(|(field, column)| (field.name().clone(), value(column, row))).collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let pairs = (0..entries.len())
                .map(|entry| (key(value(entries.column(0), entry)), value(entries.column(1), entry)));
            Value::Object(pairs.collect::<Map<String, Value>>())
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            value(dictionary.values(), dictionary.normalized_keys()[row])
        }
        DataType::Null
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..) => Value::Null,
    }
}

/// A whole number is written as one: pandas makes floats of integers where some are missing.
fn float(number: f64) -> Value {
    // 2 to the power of 53: all whole numbers below are exact.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The shortest decimal that reads back as the same `f32`: 0.1 stays 0.1.
fn single(number: f32) -> Value {
    float(number.to_string().parse().expect("what a float prints is a number"))
}

fn decimal<T: DecimalType + ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Value
where
    T::Native: Default + PartialEq,
{
    let array = array.as_primitive::<T>();
    if array.value(row) == T::Native::default() {
        return 0.into();
    }
    array.value_as_string(row).into()
}

fn date<T: ArrowTemporalType>(array: &dyn Array, row: usize) -> Value
where
    i64: From<T::Native>,
{
    let date = array.as_primitive::<T>().value_as_date(row);
    date.map_or(Value::Null, |date| date.to_string().into())
}

fn time<T: ArrowTemporalType>(array: &dyn Array, row: usize) -> Value
where
    i64: From<T::Native>,
{
    let time = array.as_primitive::<T>().value_as_time(row);
    time.map_or(Value::Null, |time| time.to_string().into())
}

fn timestamp<T: ArrowTimestampType>(array: &dyn Array, row: usize, zone: Option<&str>) -> Value {
    let array = array.as_primitive::<T>();
    let offset = zone.and_then(|zone| zone.parse::<Tz>().ok());
    let text = match offset {
        Some(offset) => array
            .value_as_datetime_with_tz(row, offset)
            .map(|moment| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        None => array
            .value_as_datetime(row)
            .map(|moment| moment.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    };
    text.map_or(Value::Null, Value::String)
}

fn list(items: &dyn Array) -> Value {
    Value::Array((0..items.len()).map(|item| value(items, item)).collect())
}

/// A map's key as a name.
fn key(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::Int64Builder;
    use arrow_array::builder::{MapBuilder, StringBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, DictionaryArray,
        FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray,
        StringArray, StringViewArray, StructArray, Time32SecondArray, Time64MicrosecondArray,
        TimestampMicrosecondArray, TimestampSecondArray, UInt64Array, new_null_array,
    };
    use arrow_schema::Field;
    use serde_json::json;

    use super::*;

    /// 2026-05-31T12:30:00Z in seconds.
    const MOMENT: i64 = 1_780_230_600;

    fn check(array: impl Array, expected: Value) {
        let found: Vec<Value> = (0..array.len()).map(|row| value(&array, row)).collect();
        assert_eq!(Value::Array(found), expected, "{}", array.data_type());
    }

    #[test]
    fn scalars() {
        check(Int8Array::from(vec![Some(-7), None, Some(0)]), json!([-7, null, 0]));
        check(UInt64Array::from(vec![u64::MAX]), json!([u64::MAX]));
        check(Int64Array::from(vec![i64::MIN]), json!([i64::MIN]));
        check(Float64Array::from(vec![1.5, 0.0, f64::NAN, f64::INFINITY]), json!([1.5, 0, null, null]));
        check(Float32Array::from(vec![0.1_f32, -2.0]), json!([0.1, -2]));
        check(BooleanArray::from(vec![Some(true), Some(false), None]), json!([true, false, null]));
        check(StringArray::from(vec![Some("ä"), Some(""), None]), json!(["ä", "", null]));
        check(LargeStringArray::from(vec!["x"]), json!(["x"]));
        check(
            StringViewArray::from(vec!["a text that is longer than a view"]),
            json!(["a text that is longer than a view"]),
        );
        check(BinaryArray::from(vec![b"x".as_slice()]), json!([null]));
        check(new_null_array(&DataType::Null, 1), json!([null]));
    }

    #[test]
    fn decimals_are_exact_and_zero_is_false() {
        let decimals =
            |scale| Decimal128Array::from(vec![1_250, 0, -5]).with_precision_and_scale(38, scale).unwrap();
        check(decimals(2), json!(["12.50", 0, "-0.05"]));
        check(decimals(0), json!(["1250", 0, "-5"]));
        let large = Decimal128Array::from(vec![12_345_678_901_234_567_890_123_i128]);
        check(large.with_precision_and_scale(38, 2).unwrap(), json!(["123456789012345678901.23"]));
    }

    #[test]
    fn dates_and_times() {
        check(Date32Array::from(vec![20_604, -1]), json!(["2026-05-31", "1969-12-31"]));
        check(Date64Array::from(vec![MOMENT * 1_000]), json!(["2026-05-31"]));
        check(Time32SecondArray::from(vec![45_000]), json!(["12:30:00"]));
        check(Time64MicrosecondArray::from(vec![45_000_500_000]), json!(["12:30:00.500"]));
        check(TimestampSecondArray::from(vec![Some(MOMENT), None]), json!(["2026-05-31T12:30:00Z", null]));
        let micros = || TimestampMicrosecondArray::from(vec![MOMENT * 1_000_000 + 250_000]);
        check(micros().with_timezone("UTC"), json!(["2026-05-31T12:30:00.250Z"]));
        check(micros().with_timezone("+00:00"), json!(["2026-05-31T12:30:00.250Z"]));
        check(micros().with_timezone("+02:00"), json!(["2026-05-31T14:30:00.250+02:00"]));
        check(micros().with_timezone("Europe/Berlin"), json!(["2026-05-31T14:30:00.250+02:00"]));
        check(TimestampSecondArray::from(vec![i64::MAX]), json!([null]));
    }

    #[test]
    fn lists_structs_maps_and_dictionaries() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]);
        check(list, json!([[1, null], null, []]));
        let pair =
            FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)])], 2);
        check(pair, json!([[1, 2]]));
        let field = |name: &str, kind| Arc::new(Field::new(name, kind, true));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["Chair", "Table"]));
        let prices: ArrayRef = Arc::new(Int64Array::from(vec![Some(40), None]));
        let items = StructArray::from(vec![
            (field("name", DataType::Utf8), names),
            (field("price", DataType::Int64), prices),
        ]);
        check(items, json!([{ "name": "Chair", "price": 40 }, { "name": "Table", "price": null }]));
        check(["a", "b", "a"].into_iter().collect::<DictionaryArray<Int32Type>>(), json!(["a", "b", "a"]));
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        map.keys().append_value("size");
        map.values().append_value(5);
        map.append(true).unwrap();
        check(map.finish(), json!([{ "size": 5 }]));
    }
}
