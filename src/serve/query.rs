//! What comes behind `?` in an address.

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// One of the words that are known: the value of a parameter.
pub(super) fn word<T: std::str::FromStr<Err: std::fmt::Display>>(value: &str) -> Result<T, Problem> {
    value.parse().map_err(|error: T::Err| Problem::Bad(error.to_string()))
}

/// Names and values in their order. `?` separates them as `&` does, since the specification of the
/// notification service shows it so; `+` is itself, as in addresses.
pub(super) fn pairs(uri: &Uri, known: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let parts = uri.query().unwrap_or_default().split(['&', '?']).filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let text = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let (Ok(name), Ok(value)) = (text(name), text(value)) else {
            return Err(Problem::Bad("the query is no UTF-8".to_owned()));
        };
        if !known.contains(&name.as_str()) {
            let known = known.join("`, `");
            return Err(Problem::Bad(format!("the query has `{name}`; it may have `{known}`")));
        }
        Ok((name, value))
    });
    pairs.collect()
}
