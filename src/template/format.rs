//! Dates and numbers as a mail shows them. Exact: decimals are rounded as text, never through
//! floating point.

use std::fmt::Write;

use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, Timelike, Utc};

use super::local::Local;
use super::locale::Locale;
use super::zone::Zone;

/// How a number is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberStyle {
    /// Digits after the decimal separator; as many as the value has by default.
    pub decimals: Option<usize>,
    /// Between groups of three digits.
    pub thousands: String,
    /// Before the decimals.
    pub decimal: String,
    /// The currency stands behind the number.
    pub symbol_last: bool,
}

impl NumberStyle {
    /// The habits of a language or country: `en`, `de`, `at`, `ch`, `fr`, `es`, `it`, `nl`, `pt`,
    /// `pl`, `sv`.
    pub(crate) fn of_locale(locale: &str) -> Option<Self> {
        let language = locale.split(['-', '_']).next_back().unwrap_or(locale).to_ascii_lowercase();
        let (thousands, decimal, symbol_last) = match language.as_str() {
            "en" | "us" | "gb" | "uk" | "ie" => (",", ".", false),
            "de" | "at" | "es" | "it" | "pt" | "da" | "dk" => (".", ",", true),
            "nl" => (".", ",", false),
            "fr" | "be" => ("\u{202f}", ",", true),
            "pl" | "cs" | "cz" | "sv" | "se" | "fi" | "nb" | "no" => ("\u{a0}", ",", true),
            "ch" | "li" => ("’", ".", false),
            _ => return Locale::parse(locale).map(Self::of),
        };
        Some(Self { decimals: None, thousands: thousands.into(), decimal: decimal.into(), symbol_last })
    }

    /// The habits of a locale of ours.
    fn of(locale: Locale) -> Self {
        let (thousands, decimal) = locale.separators();
        let symbol_last = !locale.currency().0.starts_with('¤');
        Self { decimals: None, thousands: thousands.into(), decimal: decimal.into(), symbol_last }
    }

    /// `1234567.891` as this style writes it; `None` when the text is not a number.
    pub(crate) fn format(&self, number: &str) -> Option<String> {
        let (negative, mut digits, mut decimals) = decimal(number)?;
        if let Some(wanted) = self.decimals {
            round(&mut digits, &mut decimals, wanted);
        }
        let zero = digits.iter().chain(&decimals).all(|&digit| digit == b'0');
        let mut out = String::with_capacity(digits.len() * 2 + decimals.len() + 2);
        if negative && !zero {
            out.push('-');
        }
        for (at, &digit) in digits.iter().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                out.push_str(&self.thousands);
            }
            out.push(char::from(digit));
        }
        if !decimals.is_empty() {
            out.push_str(&self.decimal);
            out.extend(decimals.iter().map(|&digit| char::from(digit)));
        }
        Some(out)
    }
}

/// Sign, digits before and after the point.
fn decimal(number: &str) -> Option<(bool, Vec<u8>, Vec<u8>)> {
    let number = number.trim();
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    if number.contains(['e', 'E']) {
        let value: f64 = number.parse().ok().filter(|value: &f64| value.is_finite())?;
        let (_, digits, decimals) = decimal(&value.to_string())?;
        return Some((negative, digits, decimals));
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    Some((negative, whole.into(), fraction.into()))
}

/// To `wanted` decimals, halves away from zero.
fn round(digits: &mut Vec<u8>, decimals: &mut Vec<u8>, wanted: usize) {
    let up = decimals.get(wanted).is_some_and(|&next| next >= b'5');
    decimals.resize(wanted, b'0');
    if !up {
        return;
    }
    for digit in decimals.iter_mut().rev().chain(digits.iter_mut().rev()) {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

/// `value` as `pattern` (strftime) writes it in the language of `local`, after moving it to its
/// zone. A day without a time of day belongs to no zone and stays what it is; a time without a zone
/// is UTC.
pub(crate) fn date(value: &str, pattern: &str, local: Local) -> Result<String, String> {
    let value = value.trim();
    let (moment, zone) = match day(value) {
        Some(day) => (day, None),
        None => {
            let moment = timestamp(value).ok_or_else(|| format!("`{value}` is not a date"))?;
            match local.zone {
                Some(zone) => (moment.with_timezone(&zone.offset(moment.naive_utc())), Some(zone)),
                None => (moment, None),
            }
        }
    };
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    let locale = local.locale.unwrap_or(Locale::EN_US);
    let with_day = items.iter().any(|item| matches!(item, Item::Numeric(Numeric::Day, _)));
    let items = items.iter().map(|item| match named(item, &moment, locale, zone, with_day) {
        Some(name) => Item::OwnedLiteral(name.into()),
        None => item.clone(),
    });
    let mut out = String::new();
    write!(out, "{}", moment.format_with_items(items))
        .map_err(|_| format!("`{pattern}` is not a date pattern"))?;
    Ok(out)
}

/// What a language calls a part of a moment; none for numbers.
fn named(
    item: &Item<'_>,
    moment: &DateTime<FixedOffset>,
    locale: Locale,
    zone: Option<Zone>,
    with_day: bool,
) -> Option<String> {
    let Item::Fixed(part) = item else { return None };
    let (month, day) = (moment.month0() as usize, moment.weekday().num_days_from_monday() as usize);
    let half = if moment.hour() < 12 { locale.halves().0 } else { locale.halves().1 };
    Some(match part {
        Fixed::LongMonthName if with_day => locale.months()[month].to_owned(),
        Fixed::LongMonthName => locale.months_alone()[month].to_owned(),
        Fixed::ShortMonthName => locale.months_short()[month].to_owned(),
        Fixed::LongWeekdayName => locale.days()[day].to_owned(),
        Fixed::ShortWeekdayName => locale.days_short()[day].to_owned(),
        Fixed::UpperAmPm => half.to_owned(),
        Fixed::LowerAmPm => half.to_lowercase(),
        Fixed::TimezoneName => zone?.name(moment.naive_utc()),
        _ => return None,
    })
}

/// Refuses a strftime pattern that chrono does not know.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    match StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error)) {
        true => Err(format!("`{pattern}` is not a date pattern")),
        false => Ok(()),
    }
}

fn day(value: &str) -> Option<DateTime<FixedOffset>> {
    let day = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?;
    Some(day.and_time(chrono::NaiveTime::MIN).and_utc().fixed_offset())
}

fn timestamp(value: &str) -> Option<DateTime<FixedOffset>> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(value) {
        return Some(moment);
    }
    if let Ok(moment) = DateTime::parse_from_str(value, "%Y-%m-%d %H:%M:%S%.f%:z") {
        return Some(moment);
    }
    let value = value.trim_end_matches(" UTC").trim_end_matches('Z');
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|pattern| NaiveDateTime::parse_from_str(value, pattern).ok())
        .map(|moment| DateTime::<Utc>::from_naive_utc_and_offset(moment, Utc).fixed_offset())
}

/// Every word with a capital: `MARY-ANN o'neil` becomes `Mary-Ann O'Neil`.
pub(crate) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        start = !c.is_alphanumeric();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |locale: &str, decimals: Option<usize>, number: &str, written: &str| {
            let style = NumberStyle { decimals, ..NumberStyle::of_locale(locale).unwrap() };
            assert_eq!(style.format(number).as_deref(), Some(written), "{number}");
        };
        check("en", None, "1234567.891", "1,234,567.891");
        check("de", Some(2), "1234567.891", "1.234.567,89");
        check("de-CH", Some(2), "1234.5", "1’234.50");
        check("en", Some(2), "0.005", "0.01");
        check("en", Some(2), "1.005", "1.01");
        check("en", Some(0), "999.5", "1,000");
        check("en", Some(2), "-0.001", "0.00");
        check("en", Some(1), "-9.96", "-10.0");
        check("en", None, " 007 ", "7");
        check("en", Some(2), ".5", "0.50");
        check("en", None, "1e3", "1,000");
        check("en", None, "12345678901234567890.12", "12,345,678,901,234,567,890.12");
        let plain = NumberStyle::of_locale("en").unwrap();
        for bad in ["", "-", ".", "1,5", "1.2.3", "abc", "1 000", "0x10", "1e999", "NaN"] {
            assert_eq!(plain.format(bad), None, "{bad}");
        }
        assert_eq!(NumberStyle::of_locale("tlh"), None);
    }

    #[test]
    fn dates() {
        let check = |value: &str, pattern: &str, zone: Option<&str>, written: &str| {
            let local = Local { zone: zone.map(|zone| Zone::parse(zone).unwrap()), locale: None };
            assert_eq!(date(value, pattern, local).as_deref(), Ok(written), "{value}");
        };
        check("2026-05-31", "%d.%m.%Y", None, "31.05.2026");
        check("2026-05-31", "%-d %B %Y", Some("+02:00"), "31 May 2026");
        check("2026-05-31T23:30:00Z", "%d.%m. %H:%M", Some("+02:00"), "01.06. 01:30");
        check("2026-05-31 23:30:00", "%H:%M", None, "23:30");
        check("2026-05-31T12:00:00.123456", "%H:%M:%S", Some("Z"), "12:00:00");
        check("2026-05-31 12:00:00+02:00", "%H:%M", Some("UTC"), "10:00");
        check("2026-05-31 12:00:00 UTC", "%H:%M", None, "12:00");
        for bad in ["soon", "31.05.2026", "2026-13-01", "1780000000", "2026-02-30"] {
            assert_eq!(date(bad, "%Y", Local::default()), Err(format!("`{bad}` is not a date")));
        }
        check("2026-01-31T12:00:00Z", "%H:%M %Z %z", Some("Europe/Berlin"), "13:00 CET +0100");
        check("2026-07-31T12:00:00Z", "%H:%M %Z %z", Some("Europe/Berlin"), "14:00 CEST +0200");
        assert!(check_pattern("%d.%m.%Y %H:%M %z").is_ok());
        assert!(check_pattern("%Q").is_err());
    }

    #[test]
    fn languages_have_names_for_months_and_days() {
        let check = |locale: &str, pattern: &str, written: &str| {
            let local = Local { zone: None, locale: Some(Locale::parse(locale).unwrap()) };
            assert_eq!(date("2026-03-02T15:04:05Z", pattern, local).as_deref(), Ok(written), "{locale}");
        };
        check("en", "%A, %-d %B %Y, %a %b %I %p", "Monday, 2 March 2026, Mon Mar 03 PM");
        check("de_DE", "%A, %-d. %B %Y (%a, %b)", "Montag, 2. März 2026 (Mo., März)");
        check("de_AT", "%A %B", "Montag März");
        check("fr", "%A %-d %B %Y", "lundi 2 mars 2026");
        check("es", "%A, %-d de %B de %Y", "lunes, 2 de marzo de 2026");
        check("it", "%A %-d %B %Y", "lunedì 2 marzo 2026");
        check("nl", "%A %-d %B %Y", "maandag 2 maart 2026");
        check("pl", "%A, %-d %B %Y", "poniedziałek, 2 marca 2026");
        check("pl", "%B %Y", "marzec 2026");
        check("pt_BR", "%A, %-d de %B de %Y", "segunda-feira, 2 de março de 2026");
    }

    #[test]
    fn titles() {
        assert_eq!(title("MARY-ANN o'neil"), "Mary-Ann O'Neil");
        assert_eq!(title("éva  ß"), "Éva  SS");
    }
}
