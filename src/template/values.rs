//! The row as templates see it: its columns or their defaults, and the built-in names.

use std::cell::OnceCell;

use handlebars::Context;
use serde_json::{Map, Value};

use super::local::Local;
use crate::plan::Row;

/// The names of the columns that a row has as fields of its own.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The column with the address.
    pub email: String,
    /// The column with the recipient's id, where there is one.
    pub id: Option<String>,
    /// The column with the recipient's name, where there is one.
    pub name: Option<String>,
}

/// What the names in a template mean for one row.
pub(crate) struct Values<'a> {
    row: &'a Row,
    columns: &'a Columns,
    defaults: &'a Map<String, Value>,
    /// The built-in names that the templates use, with their values.
    built_in: Vec<(&'a str, Option<&'a str>)>,
    local: Local,
    /// All names, made when a template first asks for them: by Handlebars' own wrapper of JSON, so
    /// that it need not be copied for each template.
    all: OnceCell<Context>,
}

/// What one name means. A value of nothing but white space is [`Found::Nothing`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Found<'a> {
    /// There is no such name, or it has no value.
    Nothing,
    /// A text.
    Text(&'a str),
    /// A number, a truth value, a list or a group of values.
    Json(&'a Value),
}

impl<'a> Found<'a> {
    fn of_text(text: Option<&'a str>) -> Self {
        text.filter(|text| !text.trim_start().is_empty()).map_or(Self::Nothing, Self::Text)
    }

    fn of_json(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::of_text(Some(text)),
            Value::Null => Self::Nothing,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }
}

impl<'a> Values<'a> {
    /// The values of `row`. `defaults` stand in for columns without a value; `built_in` has the
    /// built-in names that the templates use.
    pub(crate) fn new(
        row: &'a Row,
        columns: &'a Columns,
        defaults: &'a Map<String, Value>,
        built_in: Vec<(&'a str, Option<&'a str>)>,
    ) -> Self {
        Self { row, columns, defaults, built_in, local: Local::default(), all: OnceCell::new() }
    }

    /// The values of a row whose recipient is there.
    pub(crate) fn at(self, local: Local) -> Self {
        Self { local, ..self }
    }

    /// Where the recipient is.
    pub(super) fn local(&self) -> Local {
        self.local
    }

    /// What `name` means.
    pub(super) fn get(&self, name: &str) -> Found<'a> {
        if let Some((_, value)) = self.built_in.iter().find(|(built_in, _)| *built_in == name) {
            return value.map_or(Found::Nothing, Found::Text);
        }
        let found = match self.row.values.get(name) {
            Some(value) => Found::of_json(value),
            None => {
                let own = self
                    .own()
                    .into_iter()
                    .find(|(column, value)| value.is_some() && column.is_some_and(|column| column == name));
                Found::of_text(own.and_then(|(_, value)| value).map(String::as_str))
            }
        };
        match (found, self.defaults.get(name)) {
            // A default is what its author wants, blank or not.
            (Found::Nothing, Some(Value::String(text))) => Found::Text(text),
            (Found::Nothing, Some(value)) => Found::Json(value),
            (found, _) => found,
        }
    }

    /// All names, as Handlebars takes them; [`Context::data`] is the JSON object.
    pub(super) fn all(&self) -> &Context {
        self.all.get_or_init(|| {
            let mut values = self.row.values.clone();
            for (column, value) in self.own() {
                if let (Some(column), Some(value)) = (column, value)
                    && !values.contains_key(column)
                {
                    values.insert(column.clone(), Value::String(value.clone()));
                }
            }
            for (_, value) in values.iter_mut() {
                if is_blank(value) {
                    *value = Value::Null;
                }
            }
            for (name, default) in self.defaults {
                if values.get(name).is_none_or(Value::is_null) {
                    values.insert(name.clone(), default.clone());
                }
            }
            for &(name, value) in &self.built_in {
                let value = value.map_or(Value::Null, |value| Value::String(value.to_owned()));
                values.insert(name.to_owned(), value);
            }
            Context::from(Value::Object(values))
        })
    }

    /// The columns that are fields of the row.
    fn own(&self) -> [(Option<&'a String>, Option<&'a String>); 3] {
        let Self { row, columns, .. } = self;
        [
            (Some(&columns.email), Some(&row.email)),
            (columns.id.as_ref(), row.id.as_ref()),
            (columns.name.as_ref(), row.name.as_ref()),
        ]
    }
}

/// Whether a value is null or text of nothing but white space: printing it would leave a gap.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim_start().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}
