//! The filters that are ours: those of all languages where Jinja has none, and what differs.

use minijinja::value::{Rest, StringInput, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::super::helpers::{Call, HELPERS, Helper};
use super::super::local;
use super::print::{html, problem};
use super::values::to_json;

/// What Jinja's `urlencode` leaves: RFC 3986 §2.3, and `/`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Those of Jinja that are made here.
pub(super) const OWN: &[&str] = &["urlencode"];

/// The helpers of all languages that Jinja has none for.
pub(super) fn common() -> impl Iterator<Item = &'static Helper> {
    HELPERS.iter().filter(|helper| !super::names::FILTERS.contains(&helper.name))
}

/// Gives `environment` the filters.
pub(super) fn add(environment: &mut Environment<'static>, strict: bool) {
    for helper in common() {
        environment.add_filter(
            helper.name,
            move |state: &State, value: &Value, rest: Rest<ValueOrKwargs>| {
                if strict {
                    // It fails where there is no value, and says whose.
                    StringInput::new(state, value)?;
                }
                call(helper, value, rest.into_values())
            },
        );
    }
    environment.add_filter("urlencode", |text: String| utf8_percent_encode(&text, PATH).to_string());
    for name in ["e", "escape"] {
        environment.add_filter(name, move |state: &State, value: &Value| {
            if strict {
                StringInput::new(state, value)?;
            }
            Ok::<_, Error>(escape(value))
        });
    }
    // A column without a value is neither defined nor something.
    environment.add_test("none", |value: &Value| value.is_none() || value.is_undefined());
}

/// Escapes as `{{ x }}` does in HTML, wherever it is.
fn escape(value: &Value) -> Value {
    match value.is_undefined() || value.is_safe() {
        true => value.clone(),
        false => Value::from_safe_string(html(value.as_str().unwrap_or(&value.to_string()))),
    }
}

fn call(helper: &Helper, value: &Value, mut rest: Vec<Value>) -> Result<String, Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(String::new());
    }
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Err(problem(format!("`{}` needs one value, and this holds several", helper.name)));
    }
    let named = rest.pop_if(|last| last.is_kwargs());
    let mut options: Vec<(String, Json)> = Vec::new();
    if let Some(named) = named {
        for name in named.try_iter()? {
            options.push((name.to_string(), to_json(&named.get_item(&name)?)));
        }
    }
    let arguments: Vec<Json> = std::iter::once(value).chain(&rest).map(to_json).collect();
    let arguments: Vec<&Json> = arguments.iter().collect();
    let options: Vec<(&str, &Json)> = options.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let shown = || "the value".to_owned();
    let call = Call {
        helper: helper.name,
        arguments: &arguments,
        options: &options,
        shown: &shown,
        local: local::current(),
    };
    (helper.make)(&call).map_err(problem)
}
