//! A value that may differ from row to row: `"a.hbs"`, or by a column
//! `{ by = "lang", de = "a.de.hbs", default = "a.en.hbs" }`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{self, MapAccess};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The key that names the column.
const BY: &str = "by";
/// The key of what all other rows get.
const DEFAULT: &str = "default";

/// A value for all rows, or one for each value of a column. Used as a value, it is that of all
/// rows, or else the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T> {
    one: T,
    by: Option<By<T>>,
}

/// The values by a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By<T> {
    /// The column.
    pub column: String,
    /// The value for each value of the column.
    pub values: BTreeMap<String, T>,
    /// The value for all other rows; without it they fail.
    pub default: Option<T>,
}

impl<T> Choice<T> {
    /// The same for all rows.
    pub fn one(value: T) -> Self {
        Self { one: value, by: None }
    }

    /// The values by a column, where it is one of several.
    pub fn by(&self) -> Option<&By<T>> {
        self.by.as_ref()
    }

    /// The value for rows whose column has `key`; with nothing, the default.
    pub(crate) fn of(&self, key: Option<&str>) -> Option<&T> {
        match &self.by {
            None => Some(&self.one),
            Some(by) => key.and_then(|key| by.values.get(key)).or(by.default.as_ref()),
        }
    }

    /// All values.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        let several = self.by.iter().flat_map(|by| by.values.values().chain(&by.default));
        self.by.is_none().then_some(&self.one).into_iter().chain(several)
    }

    pub(super) fn map(&mut self, change: impl Fn(&T) -> T) {
        self.one = change(&self.one);
        if let Some(by) = &mut self.by {
            by.values.values_mut().chain(&mut by.default).for_each(|value| *value = change(value));
        }
    }
}

impl<T> Deref for Choice<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.one
    }
}

impl<'de, T: Deserialize<'de> + Clone + From<String>> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Clone + From<String>> de::Visitor<'de> for Either<T> {
            type Value = Choice<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Choice<T>, E> {
                Ok(Choice::one(text.to_owned().into()))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Choice<T>, M::Error> {
                let (mut column, mut values, mut default) = (None, BTreeMap::new(), None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        BY => column = Some(map.next_value()?),
                        DEFAULT => default = Some(map.next_value()?),
                        _ => drop(values.insert(key, map.next_value()?)),
                    }
                }
                let column = column.ok_or_else(|| de::Error::missing_field(BY))?;
                let first: Option<&T> = default.as_ref().or(values.values().next());
                let one = first.ok_or_else(|| de::Error::custom("there is nothing to choose from"))?.clone();
                Ok(Choice { one, by: Some(By { column, values, default }) })
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<T: Serialize> Serialize for Choice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(by) = &self.by else { return self.one.serialize(serializer) };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(BY, &by.column)?;
        for (key, value) in &by.values {
            map.serialize_entry(key, value)?;
        }
        if let Some(default) = &by.default {
            map.serialize_entry(DEFAULT, default)?;
        }
        map.end()
    }
}
