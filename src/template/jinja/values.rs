//! The row's values as Jinja has them.

use minijinja::Value;
use serde_json::Value as Json;

use super::super::values::{Found, Values, is_blank};

/// What `names` mean for a row; those without a value are left out.
pub(super) fn of_row(names: &[String], values: &Values<'_>) -> Value {
    let found = names.iter().filter_map(|name| {
        let value = match values.get(name) {
            Found::Nothing => return None,
            Found::Text(text) => Value::from(text),
            Found::Json(json) => of_json(json),
        };
        Some((name.as_str(), value))
    });
    Value::from_pairs(found)
}

/// What `json` is. Null and blank texts have no value: printing them fails.
fn of_json(json: &Json) -> Value {
    match json {
        _ if is_blank(json) => Value::UNDEFINED,
        Json::Null => Value::UNDEFINED,
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Value::from(number),
            (None, Some(number), _) => Value::from(number),
            (None, None, Some(number)) => Value::from(number),
            (None, None, None) => Value::from(number.to_string()),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => Value::from(items.iter().map(of_json).collect::<Vec<_>>()),
        Json::Object(entries) => {
            Value::from_pairs(entries.iter().map(|(key, value)| (key.as_str(), of_json(value))))
        }
    }
}

/// A value as the helpers of all languages take it.
pub(super) fn to_json(value: &Value) -> Json {
    if let Some(text) = value.as_str() {
        return Json::String(text.to_owned());
    }
    if value.is_undefined() || value.is_none() {
        return Json::Null;
    }
    if value.is_number() {
        let text = value.to_string();
        return serde_json::from_str(&text).unwrap_or(Json::String(text));
    }
    if let Ok(flag) = bool::try_from(value.clone()) {
        return Json::Bool(flag);
    }
    match value.try_iter() {
        Ok(items) if value.kind() != minijinja::value::ValueKind::Map => {
            Json::Array(items.map(|item| to_json(&item)).collect())
        }
        Ok(_) | Err(_) => Json::Object(serde_json::Map::new()),
    }
}
