//! Values as text.

use std::borrow::Cow;

use super::number::{Decimal, Rounding};
use super::run::{Res, Run, problem};
use super::value::Value;

impl<'a> Run<'a> {
    /// The text of a value that is printed or joined to a string.
    pub(super) fn shown<'v>(&self, value: &'v Value<'a>) -> Res<Cow<'v, str>> {
        match value {
            Value::Text(text) => Ok(Cow::Borrowed(text)),
            Value::Match(found) => Ok(Cow::Borrowed(&found.text)),
            Value::Number(number) => Ok(Cow::Owned(self.settings.number.format(*number))),
            Value::Bool(value) => match &self.settings.boolean {
                Some((yes, no)) => Ok(Cow::Borrowed(if *value { yes } else { no }).into_owned().into()),
                None => problem(
                    "a boolean can't be printed as it is; write `?c`, `?string(\"yes\", \"no\")` or `?then(…)`",
                ),
            },
            Value::Moment(moment) => {
                let format = self.settings.moment_format(moment.kind);
                moment
                    .format(format, self.settings.locale, self.settings.zone)
                    .map(Cow::Owned)
                    .or_else(problem)
            }
            Value::Markup(markup) => match &markup.plain {
                Some(_) | None => {
                    problem(format!("expected a string instead of {} markup", markup.format.name()))
                }
            },
            other => problem(format!("expected a string instead of {}", other.kind())),
        }
    }

    /// `#{…}`: a number with digits after the point, in the locale's way.
    pub(super) fn fixed(&self, number: Decimal, digits: Option<(u32, u32)>) -> String {
        let (point, separator) = (self.settings.locale.separators().1, ".");
        let Some((fewest, most)) = digits else {
            let shown = number.rounded(16, Rounding::HalfEven).to_string();
            return shown.replace(separator, &point.to_string());
        };
        let rounded = number.rounded(most.min(30), Rounding::HalfEven);
        let (whole, mut fraction) = rounded.digits();
        while fraction.len() < fewest as usize {
            fraction.push('0');
        }
        let sign = if number.is_negative() { "-" } else { "" };
        match fraction.is_empty() {
            true => format!("{sign}{whole}"),
            false => format!("{sign}{whole}{point}{fraction}"),
        }
    }
}
