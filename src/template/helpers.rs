//! The helpers that every template language has: a value goes in, a text comes out.
//!
//! **To add one**: an entry in [`HELPERS`], and its line in `docs/templates.md`. Missing values
//! never get here: an argument without a value fails the row first.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::format::{self, NumberStyle};
use super::local::{Local, locale};
use super::locale::Locale;
use super::values::is_blank;
use super::zone::Zone;

/// All of them.
pub(super) static HELPERS: [Helper; 8] = [
    Helper { name: "upper", make: |call| Ok(call.text()?.to_uppercase()), ..PLAIN },
    Helper { name: "lower", make: |call| Ok(call.text()?.to_lowercase()), ..PLAIN },
    Helper { name: "title", make: |call| Ok(format::title(&call.text()?)), ..PLAIN },
    Helper {
        name: "url",
        make: |call| Ok(utf8_percent_encode(&call.text()?, UNRESERVED).to_string()),
        ..PLAIN
    },
    Helper {
        name: "date",
        arguments: (1, 2),
        options: &["format", "zone", "locale"],
        make: date,
        check: check_date,
    },
    Helper { name: "number", options: NUMBER_OPTIONS, make: number, check: check_locale, ..PLAIN },
    Helper {
        name: "currency",
        arguments: (2, 2),
        options: NUMBER_OPTIONS,
        make: currency,
        check: check_locale,
    },
    Helper { name: "join", arguments: (1, 2), make: join, ..PLAIN },
];

/// A helper: how it is called and what it does.
pub(super) struct Helper {
    pub name: &'static str,
    /// The fewest and the most arguments, the value itself among them.
    pub arguments: (usize, usize),
    /// The options (`name=value`) that it knows.
    pub options: &'static [&'static str],
    /// What comes out; or what is wrong, a lowercase fragment.
    pub make: fn(&Call<'_>) -> Result<String, String>,
    /// What is wrong with what the template itself says, before the first row.
    pub check: fn(&Literals<'_>) -> Result<(), String>,
}

/// A helper of one argument.
const PLAIN: Helper =
    Helper { name: "", arguments: (1, 1), options: &[], make: |call| call.text(), check: |_| Ok(()) };

const NUMBER_OPTIONS: &[&str] = &["decimals", "thousands", "decimal", "locale"];

/// RFC 3986 §2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One call of a helper, for one row.
pub(super) struct Call<'a> {
    pub helper: &'a str,
    /// The arguments; those that come from the row have a value.
    pub arguments: &'a [&'a Value],
    pub options: &'a [(&'a str, &'a Value)],
    /// What the template calls the first argument.
    pub shown: &'a dyn Fn() -> String,
    /// Where the recipient is.
    pub local: Local,
}

/// What the template itself gives a call, as texts; `None` for what comes from the row.
pub(super) struct Literals<'a> {
    pub arguments: &'a [Option<&'a str>],
    pub options: &'a [(&'a str, &'a str)],
}

impl Call<'_> {
    fn value(&self) -> &Value {
        self.arguments.first().copied().unwrap_or(&Value::Null)
    }

    /// The first argument as a text.
    fn text(&self) -> Result<String, String> {
        scalar(self.value())
            .ok_or_else(|| format!("`{}` needs one value, `{}` holds several", self.helper, (self.shown)()))
    }

    fn argument(&self, at: usize) -> Option<String> {
        scalar(self.arguments.get(at)?)
    }

    fn option(&self, name: &str) -> Option<String> {
        self.options.iter().find(|(option, _)| *option == name).and_then(|(_, value)| scalar(value))
    }
}

impl Literals<'_> {
    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| *option == name).map(|(_, text)| *text)
    }
}

/// A value that is one text; `None` for lists and groups of values.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn date(call: &Call<'_>) -> Result<String, String> {
    let pattern = call.argument(1).or_else(|| call.option("format")).unwrap_or_else(|| "%Y-%m-%d".into());
    let mut local = call.local;
    if let Some(zone) = call.option("zone") {
        local.zone = Some(Zone::parse(&zone)?);
    }
    if let Some(name) = call.option("locale") {
        local.locale = Some(locale(&name)?);
    }
    format::date(&call.text()?, &pattern, local)
}

fn check_date(literals: &Literals<'_>) -> Result<(), String> {
    let pattern = match literals.arguments.get(1) {
        Some(given) => *given,
        None => literals.option("format"),
    };
    pattern.map_or(Ok(()), format::check_pattern)?;
    literals.option("locale").map_or(Ok(()), |name| locale(name).map(drop))?;
    literals.option("zone").map_or(Ok(()), |zone| Zone::parse(zone).map(drop))
}

fn number(call: &Call<'_>) -> Result<String, String> {
    written(call, None, "")
}

fn currency(call: &Call<'_>) -> Result<String, String> {
    written(call, Some(2), &call.argument(1).unwrap_or_default())
}

fn check_locale(literals: &Literals<'_>) -> Result<(), String> {
    literals.option("locale").map_or(Ok(()), |locale| style(locale).map(drop))
}

fn style(locale: &str) -> Result<NumberStyle, String> {
    NumberStyle::of_locale(locale).ok_or_else(|| format!("locale `{locale}` is not known"))
}

/// A number, with the symbol of a currency unless that is empty.
fn written(call: &Call<'_>, decimals: Option<usize>, symbol: &str) -> Result<String, String> {
    let own = || call.local.locale.map_or_else(|| "en".to_owned(), Locale::name);
    let mut style = style(&call.option("locale").unwrap_or_else(own))?;
    style.decimals = decimals;
    if let Some(decimals) = call.option("decimals") {
        let wanted = decimals.parse().ok().filter(|wanted| *wanted <= 20);
        style.decimals = Some(wanted.ok_or_else(|| format!("`{decimals}` is not a number of decimals"))?);
    }
    if let Some(thousands) = call.option("thousands") {
        style.thousands = thousands;
    }
    if let Some(decimal) = call.option("decimal") {
        style.decimal = decimal;
    }
    let text = call.text()?;
    let number = style.format(&text).ok_or_else(|| format!("`{text}` is not a number"))?;
    Ok(match (symbol, style.symbol_last) {
        ("", _) => number,
        (_, true) => format!("{number}\u{a0}{symbol}"),
        (_, false) if symbol.chars().all(char::is_alphabetic) => format!("{symbol}\u{a0}{number}"),
        (_, false) => match number.strip_prefix('-') {
            Some(number) => format!("-{symbol}{number}"),
            None => format!("{symbol}{number}"),
        },
    })
}

fn join(call: &Call<'_>) -> Result<String, String> {
    let between = call.argument(1).unwrap_or_else(|| ", ".into());
    match call.value() {
        Value::Array(items) => {
            let texts: Option<Vec<String>> =
                items.iter().filter(|item| !is_blank(item)).map(scalar).collect();
            texts
                .map(|texts| texts.join(&between))
                .ok_or_else(|| "`join` needs a list of plain values".into())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => call.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_helper_is_documented() {
        let docs = include_str!("../../docs/templates.md");
        for helper in &HELPERS {
            assert!(docs.contains(&format!("`{{{{{} ", helper.name)), "docs/templates.md: `{}`", helper.name);
        }
    }
}
