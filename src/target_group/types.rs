//! Column types: which Parquet types templates can use, and the common type of two files.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::campaign::ColumnType;

/// The type that the campaign file declares for a column.
pub(super) fn declared(column: ColumnType) -> DataType {
    match column {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Number => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// The type as which a Parquet column of type `given` is read; none if templates can't use it.
///
/// Text becomes `Utf8`, lists become `List`, dictionaries become their values; numbers, dates and
/// times stay the same.
pub(super) fn usable(given: &DataType) -> Option<DataType> {
    use DataType::*;
    Some(match given {
        Utf8 | LargeUtf8 | Utf8View => Utf8,
        Float16 => Float32,
        Date64 => Date32,
        Null | Boolean | Date32 | Float32 | Float64 | Timestamp(..) | Time32(_) | Time64(_) => given.clone(),
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => given.clone(),
        integer if integer.is_integer() => given.clone(),
        Dictionary(_, values) => usable(values)?,
        List(item) | LargeList(item) | FixedSizeList(item, _) | ListView(item) | LargeListView(item) => {
            List(Arc::new(Field::new("item", usable(item.data_type())?, true)))
        }
        Struct(fields) => Struct(
            fields
                .iter()
                .map(|field| Some(Field::new(field.name(), usable(field.data_type())?, true)))
                .collect::<Option<Fields>>()?,
        ),
        Map(entries, sorted) => {
            let Struct(fields) = entries.data_type() else { return None };
            let [key, value] = &**fields else { return None };
            let key = Field::new(key.name(), usable(key.data_type())?, false);
            let value = Field::new(value.name(), usable(value.data_type())?, true);
            let entry = Struct(vec![key, value].into());
            Map(Arc::new(Field::new(entries.name(), entry, false)), *sorted)
        }
        // Bytes, intervals, unions and future types of Arrow.
        _ => return None,
    })
}

/// The type as which a whole column is read: as [`usable`], and UUIDs, which are 16 bytes, as text.
pub(super) fn usable_column(given: &DataType) -> Option<DataType> {
    match given {
        DataType::FixedSizeBinary(16) => Some(DataType::Utf8),
        other => usable(other),
    }
}

/// A type that holds the values of both; none if there is no such type.
pub(super) fn widen(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::*;
    if one == other || other.is_null() {
        return Some(one.clone());
    }
    if one.is_null() {
        return Some(other.clone());
    }
    match (one, other) {
        (Timestamp(a, zone_a), Timestamp(b, zone_b)) if zone_a.is_some() == zone_b.is_some() => {
            let zone = if zone_a == zone_b { zone_a.clone() } else { Some("UTC".into()) };
            Some(Timestamp(*a.max(b), zone))
        }
        (List(a), List(b)) => {
            Some(List(Arc::new(Field::new("item", widen(a.data_type(), b.data_type())?, true))))
        }
        (a, b) if a.is_integer() && b.is_integer() => Some(widen_integers(a, b)),
        (a, b) if is_number(a) && is_number(b) && (a.is_floating() || b.is_floating()) => Some(Float64),
        (a, b) if is_number(a) && is_number(b) => {
            let ((whole_a, scale_a), (whole_b, scale_b)) = (digits(a)?, digits(b)?);
            let scale = scale_a.max(scale_b);
            let precision = whole_a.max(whole_b) + scale;
            (precision <= 38).then_some(Decimal128(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
        }
        _ => None,
    }
}

/// True for integers, floats and decimals.
pub(super) fn is_number(given: &DataType) -> bool {
    given.is_integer() || given.is_floating() || given.is_decimal()
}

fn widen_integers(a: &DataType, b: &DataType) -> DataType {
    use DataType::*;
    let bits = |given: &DataType| given.primitive_width().unwrap_or(8) * 8;
    let wider = if bits(a) >= bits(b) { a } else { b };
    if a.is_signed_integer() == b.is_signed_integer() {
        return wider.clone();
    }
    let (signed, unsigned) = if a.is_signed_integer() { (a, b) } else { (b, a) };
    if bits(signed) > bits(unsigned) {
        return signed.clone();
    }
    match bits(unsigned) {
        8 => Int16,
        16 => Int32,
        32 => Int64,
        _ => Decimal128(20, 0),
    }
}

/// Digits before and after the point.
fn digits(given: &DataType) -> Option<(i32, i32)> {
    use DataType::*;
    match given {
        Decimal32(precision, scale)
        | Decimal64(precision, scale)
        | Decimal128(precision, scale)
        | Decimal256(precision, scale) => {
            Some((i32::from(*precision) - i32::from(*scale), i32::from(*scale).max(0)))
        }
        UInt64 => Some((20, 0)),
        integer if integer.is_integer() => Some((19, 0)),
        _ => None,
    }
}

/// Whether values of type `given` can be read as `wanted`. A single value that can't makes its row
/// unreadable.
pub(super) fn castable(given: &DataType, wanted: &DataType) -> bool {
    given == wanted
        || given.is_null()
        || (!given.is_nested() && !wanted.is_nested() && arrow_cast::can_cast_types(given, wanted))
}

/// Whether the type identifies a recipient the same way in every file: text and whole numbers.
pub(super) fn names_a_recipient(given: &DataType) -> bool {
    matches!(given, DataType::Utf8 | DataType::Null)
        || given.is_integer()
        || digits(given).is_some_and(|(_, scale)| scale == 0 && given.is_decimal())
}

#[cfg(test)]
mod tests {
    use DataType::*;

    use super::*;

    #[test]
    fn types_widen_or_do_not() {
        let list = |item: DataType| List(Arc::new(Field::new("item", item, true)));
        let stamp = |unit, zone: Option<&str>| Timestamp(unit, zone.map(Into::into));
        for (one, other, expected) in [
            (Utf8, Utf8, Some(Utf8)),
            (Null, Date32, Some(Date32)),
            (Int8, Int64, Some(Int64)),
            (UInt8, Int8, Some(Int16)),
            (UInt32, Int32, Some(Int64)),
            (UInt32, Int64, Some(Int64)),
            (UInt64, Int64, Some(Decimal128(20, 0))),
            (Int32, Float32, Some(Float64)),
            (Float32, Float64, Some(Float64)),
            (Decimal128(10, 2), Decimal64(8, 4), Some(Decimal128(12, 4))),
            (Decimal128(10, 2), Int32, Some(Decimal128(21, 2))),
            (Decimal128(38, 10), Decimal128(38, 2), None),
            (Decimal128(10, 2), Float64, Some(Float64)),
            (
                stamp(TimeUnit::Millisecond, Some("UTC")),
                stamp(TimeUnit::Microsecond, Some("Europe/Berlin")),
                Some(stamp(TimeUnit::Microsecond, Some("UTC"))),
            ),
            (stamp(TimeUnit::Millisecond, None), stamp(TimeUnit::Millisecond, Some("UTC")), None),
            (list(Int32), list(Int64), Some(list(Int64))),
            (list(Int32), Utf8, None),
            (Utf8, Int32, None),
            (Boolean, Int32, None),
            (Date32, Int32, None),
        ] {
            assert_eq!(widen(&one, &other), expected, "{one} {other}");
            assert_eq!(widen(&other, &one), expected, "{other} {one}");
        }
    }

    #[test]
    fn parquet_types_are_usable_or_not() {
        let dictionary = |value: DataType| Dictionary(Box::new(Int32), Box::new(value));
        let field = |name: &str, given: DataType| Field::new(name, given, false);
        let map = |key: DataType, value: DataType| {
            let entry = Struct(vec![field("key", key), field("value", value)].into());
            Map(Arc::new(field("entries", entry)), false)
        };
        let read = |value: DataType| {
            let entry = Struct(vec![field("key", Utf8), Field::new("value", value, true)].into());
            Map(Arc::new(field("entries", entry)), false)
        };
        for (given, expected) in [
            (LargeUtf8, Some(Utf8)),
            (Utf8View, Some(Utf8)),
            (dictionary(LargeUtf8), Some(Utf8)),
            (dictionary(Binary), None),
            (Date64, Some(Date32)),
            (Binary, None),
            (map(Utf8, LargeUtf8), Some(read(Utf8))),
            (map(Utf8, Binary), None),
            (
                LargeList(Arc::new(field("element", Utf8View))),
                Some(List(Arc::new(Field::new("item", Utf8, true)))),
            ),
            (List(Arc::new(field("element", map(Utf8, Binary)))), None),
            (
                Struct(vec![field("a", LargeUtf8)].into()),
                Some(Struct(vec![Field::new("a", Utf8, true)].into())),
            ),
            (Struct(vec![field("a", Binary)].into()), None),
        ] {
            assert_eq!(usable(&given), expected, "{given}");
        }
    }
}
