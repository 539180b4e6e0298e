//! What the values of a file are: the types of its columns, from all of its rows.
//!
//! A key with texts and numbers is text, and its numbers stay as they are written. So is a whole
//! number that does not fit 64 bits, which no number type keeps.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};

use super::text::{Members, Value};

/// All names of a file, nested ones too. More of them are values, not names.
pub(super) const MOST_NAMES: usize = 10_000;

/// What a column or an item of it holds in the rows so far.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Shape {
    /// Nothing but nulls.
    #[default]
    Null,
    Boolean,
    Integer,
    Float,
    Text,
    List(Box<Shape>),
    Struct(Columns),
}

/// The members of objects, in the order in which they appear.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Columns {
    pub shapes: Vec<(String, Shape)>,
    places: HashMap<String, usize>,
}

/// Why a row does not go together with those before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// The value of this name is a list or an object in some rows and something else in others.
    Nested {
        name: String,
        one: &'static str,
        other: &'static str,
    },
    TooManyNames,
}

impl Columns {
    /// Takes a row into account; `names` counts the names of the file.
    pub(super) fn add(&mut self, members: &Members<'_>, names: &mut usize) -> Result<(), Clash> {
        for (name, value) in members {
            let place = match self.places.get(name.as_ref()) {
                Some(place) => *place,
                None => {
                    *names += 1;
                    if *names > MOST_NAMES {
                        return Err(Clash::TooManyNames);
                    }
                    self.places.insert(name.to_string(), self.shapes.len());
                    self.shapes.push((name.to_string(), Shape::Null));
                    self.shapes.len() - 1
                }
            };
            self.shapes[place].1.add(name, value, names)?;
        }
        Ok(())
    }
}

impl Shape {
    fn add(&mut self, name: &str, value: &Value<'_>, names: &mut usize) -> Result<(), Clash> {
        if *value == Value::Null {
            return Ok(());
        }
        if *self == Self::Null {
            *self = match value {
                Value::List(_) => Self::List(Box::default()),
                Value::Object(_) => Self::Struct(Columns::default()),
                single => Self::of_single(single),
            };
        }
        match (&mut *self, value) {
            (Self::List(item), Value::List(items)) => {
                items.iter().try_for_each(|value| item.add(name, value, names))
            }
            (Self::Struct(members), Value::Object(object)) => members.add(object, names),
            (Self::List(_) | Self::Struct(_), other) => Err(self.clash(name, other)),
            (_, Value::List(_) | Value::Object(_)) => Err(self.clash(name, value)),
            (single, value) => {
                let other = Self::of_single(value);
                if *single != other {
                    let numbers = [Self::Integer, Self::Float];
                    let both_numbers = numbers.contains(single) && numbers.contains(&other);
                    *self = if both_numbers { Self::Float } else { Self::Text };
                }
                Ok(())
            }
        }
    }

    /// The shape of a value that is no null, list or object.
    fn of_single(value: &Value<'_>) -> Self {
        match value {
            Value::Boolean(_) => Self::Boolean,
            Value::Number(number) if number.parse::<i64>().is_ok() => Self::Integer,
            Value::Number(number) if !is_whole(number) && number.parse().is_ok_and(f64::is_finite) => {
                Self::Float
            }
            Value::Number(_) | Value::Text(_) | Value::Null | Value::List(_) | Value::Object(_) => Self::Text,
        }
    }

    fn clash(&self, name: &str, value: &Value<'_>) -> Clash {
        let one = match self {
            Self::List(_) => "a list",
            Self::Struct(_) => "an object",
            Self::Null | Self::Boolean | Self::Integer | Self::Float | Self::Text => "a single value",
        };
        let other = match value {
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::Text(_) => "a single value",
        };
        Clash::Nested { name: name.to_owned(), one, other }
    }

    /// The type of such values.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::List(item) => DataType::List(Arc::new(Field::new("item", item.data_type(), true))),
            Self::Struct(members) => {
                let field = |(name, shape): &(String, Shape)| Field::new(name, shape.data_type(), true);
                DataType::Struct(members.shapes.iter().map(field).collect::<Fields>())
            }
        }
    }
}

/// A number without a fraction and an exponent.
pub(super) fn is_whole(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

#[cfg(test)]
mod tests {
    use super::super::text::object;
    use super::*;

    fn types(lines: &[&str]) -> Result<String, Clash> {
        let (mut members, mut names) = (Columns::default(), 0);
        for line in lines {
            members.add(&object(line).unwrap(), &mut names)?;
        }
        let types = members.shapes.iter().map(|(name, shape)| format!("{name}: {}", shape.data_type()));
        Ok(types.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_column_holds_the_values_of_all_rows() {
        for (lines, expected) in [
            (&[r#"{"a":1}"#, r#"{"b":null}"#, r#"{"a":-2}"#][..], "a: Int64, b: Null"),
            (&[r#"{"a":1}"#, r#"{"a":1.5}"#], "a: Float64"),
            (&[r#"{"a":1}"#, r#"{"a":"01"}"#, r#"{"a":true}"#], "a: Utf8"),
            (&[r#"{"a":true}"#, r#"{"a":1}"#], "a: Utf8"),
            (&[r#"{"a":9223372036854775808}"#], "a: Utf8"),
            (&[r#"{"a":1e400}"#], "a: Utf8"),
            (&[r#"{"a":[]}"#, r#"{"a":[1,null]}"#, r#"{"a":null}"#], "a: List(Int64)"),
            (&[r#"{"a":{"x":1}}"#, r#"{"a":{"y":["b"]}}"#], "a: Struct(\"x\": Int64, \"y\": List(Utf8))"),
        ] {
            assert_eq!(types(lines).unwrap(), expected);
        }
    }

    #[test]
    fn a_list_in_one_row_is_no_text_in_another() {
        let clash = |one, other| Clash::Nested { name: "a".into(), one, other };
        assert_eq!(types(&[r#"{"a":[1]}"#, r#"{"a":"b"}"#]), Err(clash("a list", "a single value")));
        assert_eq!(types(&[r#"{"a":1}"#, r#"{"a":{}}"#]), Err(clash("a single value", "an object")));
        assert_eq!(types(&[r#"{"a":[{}]}"#, r#"{"a":{}}"#]), Err(clash("a list", "an object")));
        let many: Vec<String> = (0..=MOST_NAMES).map(|n| format!("{{\"{n}\":1}}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(types(&many), Err(Clash::TooManyNames));
    }
}
