//! The types that a result column can have: each is a Rust type, and knows how it is stored in
//! Arrow.

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Int16Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int16Type, TimestampMicrosecondType, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::mail::{Class, Disposition, EnhancedStatus, Timestamp};

/// The value of a column in one row.
pub(super) trait Cell: Sized {
    /// Collects the values of a batch.
    type Builder;

    /// Whether a row may have no value.
    const NULLABLE: bool;

    /// The type in Arrow.
    fn data_type() -> DataType;

    /// A builder with room for `rows` values; `text_bytes` is what a text takes on average.
    fn builder(rows: usize, text_bytes: usize) -> Self::Builder;

    /// Adds a value.
    fn append(&self, builder: &mut Self::Builder);

    /// The values so far; the builder is empty afterwards.
    fn finish(builder: &mut Self::Builder) -> ArrayRef;

    /// The value in a column that was not read.
    fn absent() -> Self;

    /// Reads the value at `at` of a column with [`Self::data_type`].
    ///
    /// # Errors
    /// The text that does not parse, of types that are stored as text.
    fn read(column: &dyn Array, at: usize) -> Result<Self, String>;
}

fn number<T: ArrowPrimitiveType>(column: &dyn Array, at: usize) -> Option<T::Native> {
    column.is_valid(at).then(|| column.as_primitive::<T>().value(at))
}

fn text(column: &dyn Array, at: usize) -> Option<&str> {
    column.is_valid(at).then(|| column.as_string::<i32>().value(at))
}

fn parsed<T: FromStr>(column: &dyn Array, at: usize) -> Result<Option<T>, String> {
    text(column, at).map(|text| text.parse().map_err(|_| text.to_owned())).transpose()
}

/// A moment in UTC, in microseconds.
fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn moments(rows: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(moment())
}

fn texts(rows: usize, text_bytes: usize) -> StringBuilder {
    StringBuilder::with_capacity(rows, rows * text_bytes)
}

macro_rules! numbers {
    ($($number:ty, $arrow:ident, $arrow_type:ty, $builder:ident;)*) => {$(
        impl Cell for $number {
            type Builder = $builder;
            const NULLABLE: bool = false;

            fn data_type() -> DataType {
                DataType::$arrow
            }

            fn builder(rows: usize, _: usize) -> $builder {
                $builder::with_capacity(rows)
            }

            #[inline]
            fn append(&self, builder: &mut $builder) {
                builder.append_value(*self);
            }

            fn finish(builder: &mut $builder) -> ArrayRef {
                Arc::new(builder.finish())
            }

            fn absent() -> Self {
                0
            }

            fn read(column: &dyn Array, at: usize) -> Result<Self, String> {
                Ok(column.as_primitive::<$arrow_type>().value(at))
            }
        }
    )*};
}

numbers! {
    u64, UInt64, UInt64Type, UInt64Builder;
    u16, UInt16, UInt16Type, UInt16Builder;
}

macro_rules! optional_numbers {
    ($($value:ty, $type:expr, $builder:ident, $new:expr, $to:expr, $from:expr;)*) => {$(
        impl Cell for Option<$value> {
            type Builder = $builder;
            const NULLABLE: bool = true;

            fn data_type() -> DataType {
                $type
            }

            fn builder(rows: usize, _: usize) -> $builder {
                $new(rows)
            }

            #[inline]
            fn append(&self, builder: &mut $builder) {
                builder.append_option(self.and_then($to));
            }

            fn finish(builder: &mut $builder) -> ArrayRef {
                Arc::new(builder.finish())
            }

            fn absent() -> Self {
                None
            }

            fn read(column: &dyn Array, at: usize) -> Result<Self, String> {
                Ok($from(column, at))
            }
        }
    )*};
}

optional_numbers! {
    // A reply's code: 200 to 599.
    u16, DataType::Int16, Int16Builder, Int16Builder::with_capacity, |code| i16::try_from(code).ok(),
        |column, at| number::<Int16Type>(column, at).and_then(|code| u16::try_from(code).ok());
    u32, DataType::UInt32, UInt32Builder, UInt32Builder::with_capacity, Some, number::<UInt32Type>;
    u64, DataType::UInt64, UInt64Builder, UInt64Builder::with_capacity, Some, number::<UInt64Type>;
    Timestamp, moment(), TimestampMicrosecondBuilder, moments, |at: Timestamp| Some(at.0),
        |column, at| number::<TimestampMicrosecondType>(column, at).map(Timestamp);
}

macro_rules! texts {
    ($($(@$life:lifetime)? $value:ty, $nullable:literal, $append:expr, $absent:expr, $read:expr;)*) => {$(
        impl$(<$life>)? Cell for $value {
            type Builder = StringBuilder;
            const NULLABLE: bool = $nullable;

            fn data_type() -> DataType {
                DataType::Utf8
            }

            fn builder(rows: usize, text_bytes: usize) -> StringBuilder {
                texts(rows, text_bytes)
            }

            #[inline]
            fn append(&self, builder: &mut StringBuilder) {
                $append(builder, self);
            }

            fn finish(builder: &mut StringBuilder) -> ArrayRef {
                Arc::new(builder.finish())
            }

            fn absent() -> Self {
                $absent
            }

            fn read(column: &dyn Array, at: usize) -> Result<Self, String> {
                $read(column, at)
            }
        }
    )*};
}

texts! {
    @'a Cow<'a, str>, false, |builder: &mut StringBuilder, text| builder.append_value(text), Cow::Borrowed(""),
        |column, at| Ok(Cow::Owned(text(column, at).unwrap_or_default().to_owned()));
    @'a Option<Cow<'a, str>>, true,
        |builder: &mut StringBuilder, text: &Option<Cow<'a, str>>| builder.append_option(text.as_deref()), None,
        |column, at| Ok(text(column, at).map(|text| Cow::Owned(text.to_owned())));
    Disposition, false, |builder: &mut StringBuilder, word: &Self| builder.append_value(word.as_str()),
        Disposition::NotAttempted,
        |column, at| Ok(parsed(column, at)?.unwrap_or_else(Self::absent));
    Option<Disposition>, true,
        |builder: &mut StringBuilder, word: &Self| builder.append_option(word.map(|word| word.as_str())), None, parsed;
    Option<Class>, true,
        |builder: &mut StringBuilder, word: &Self| builder.append_option(word.map(|word| word.as_str())), None, parsed;
    Option<EnhancedStatus>, true, append_shown, None, parsed;
    Option<IpAddr>, true, append_shown, None, parsed;
}

/// Writes a value as text straight into the column.
fn append_shown(builder: &mut StringBuilder, value: &Option<impl Display>) {
    match value {
        Some(value) => {
            write!(builder, "{value}").expect("writing to memory does not fail");
            builder.append_value("");
        }
        None => builder.append_null(),
    }
}

impl Cell for bool {
    type Builder = BooleanBuilder;
    const NULLABLE: bool = false;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn builder(rows: usize, _: usize) -> BooleanBuilder {
        BooleanBuilder::with_capacity(rows)
    }

    #[inline]
    fn append(&self, builder: &mut BooleanBuilder) {
        builder.append_value(*self);
    }

    fn finish(builder: &mut BooleanBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn absent() -> Self {
        false
    }

    fn read(column: &dyn Array, at: usize) -> Result<Self, String> {
        Ok(column.as_boolean().value(at))
    }
}

impl Cell for Vec<Timestamp> {
    type Builder = ListBuilder<TimestampMicrosecondBuilder>;
    const NULLABLE: bool = false;

    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new_list_field(moment(), false)))
    }

    fn builder(rows: usize, _: usize) -> Self::Builder {
        ListBuilder::with_capacity(moments(rows), rows)
            .with_field(Arc::new(Field::new_list_field(moment(), false)))
    }

    #[inline]
    fn append(&self, builder: &mut Self::Builder) {
        for at in self {
            builder.values().append_value(at.0);
        }
        builder.append(true);
    }

    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn absent() -> Self {
        Self::new()
    }

    fn read(column: &dyn Array, at: usize) -> Result<Self, String> {
        let values = column.as_list::<i32>().value(at);
        Ok(values
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .iter()
            .map(|&at| Timestamp(at))
            .collect())
    }
}
