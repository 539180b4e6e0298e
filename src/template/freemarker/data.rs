//! The row's values as FreeMarker has them.

use std::rc::Rc;

use serde_json::Value as Json;

use super::number::Decimal;
use super::value::{Hash, List, Text, Value};

/// What `json` is; `None` where a number has too many digits, or lists are nested too deeply.
pub(super) fn borrowed<'a>(json: &'a Json) -> Option<Value<'a>> {
    of_json(json, Text::Borrowed)
}

/// The same, of JSON that does not last.
pub(super) fn copied<'a>(json: &Json) -> Option<Value<'a>> {
    of_json(json, |text| Text::Made(text.into()))
}

fn of_json<'j, 'a>(json: &'j Json, text: impl Fn(&'j str) -> Text<'a> + Copy) -> Option<Value<'a>> {
    Some(match json {
        Json::Null => Value::Nothing,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(match number.as_i64() {
            Some(number) => Decimal::from(number),
            None => Decimal::parse(&number.to_string())?,
        }),
        Json::String(string) => Value::Text(text(string)),
        Json::Array(items) => {
            Value::List(List::new(items.iter().map(|item| of_json(item, text)).collect::<Option<_>>()?)?)
        }
        Json::Object(entries) => {
            let mut hash = Hash::default();
            for (key, value) in entries {
                if !hash.insert(text(key), of_json(value, text)?) {
                    return None;
                }
            }
            Value::Hash(Rc::new(hash))
        }
    })
}
