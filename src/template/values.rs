//! The row as templates see it: its columns or their defaults, and the built-in names.

use std::cell::OnceCell;

use handlebars::Context;
use serde_json::{Map, Value};

use super::handlebars::helpers;
use crate::plan::Row;

/// The names of the columns that a row has as fields of its own.
#[derive(Debug)]
pub(crate) struct Columns {
    pub email: String,
    pub id: Option<String>,
    pub name: Option<String>,
}

/// What a row's names mean.
pub(crate) struct Values<'a> {
    pub row: &'a Row,
    pub columns: &'a Columns,
    pub defaults: &'a Map<String, Value>,
    /// The built-in names that the templates use, with their values.
    pub built_in: Vec<(&'a str, Option<&'a str>)>,
    /// All of it as Handlebars takes it, made when it is needed first.
    context: OnceCell<Context>,
}

/// What a name stands for; nothing but white space is [`Found::Nothing`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Found<'a> {
    Nothing,
    Text(&'a str),
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
    pub(crate) fn new(
        row: &'a Row,
        columns: &'a Columns,
        defaults: &'a Map<String, Value>,
        built_in: Vec<(&'a str, Option<&'a str>)>,
    ) -> Self {
        Self { row, columns, defaults, built_in, context: OnceCell::new() }
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

    /// What `name` stands for.
    pub(crate) fn get(&self, name: &str) -> Found<'a> {
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

    /// All of it.
    pub(crate) fn context(&self) -> &Context {
        self.context.get_or_init(|| {
            let mut values = self.row.values.clone();
            for (column, value) in self.own() {
                if let (Some(column), Some(value)) = (column, value)
                    && !values.contains_key(column)
                {
                    values.insert(column.clone(), Value::String(value.clone()));
                }
            }
            for (_, value) in values.iter_mut() {
                if helpers::is_blank(value) {
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
}
