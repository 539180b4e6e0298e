//! Days, times and moments: Java's `SimpleDateFormat` patterns, and ISO 8601.

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::super::locale::Locale;
use super::super::zone::{Zone, shown_offset};

/// A point in time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub utc: NaiveDateTime,
    pub kind: MomentKind,
}

/// The part of it that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MomentKind {
    Date,
    Time,
    DateTime,
}

/// How exact an ISO 8601 text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accuracy {
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
    /// Seconds, and milliseconds where there are any.
    Needed,
}

impl Moment {
    /// `short`, `medium_long`, `iso m`, `dd.MM.yyyy`; nothing is `medium`.
    pub(super) fn format(&self, format: &str, locale: Locale, zone: Zone) -> Result<String, String> {
        if let Some(options) = format.strip_prefix("iso").or_else(|| format.strip_prefix("xs")) {
            let xs = format.starts_with("xs");
            return self
                .iso_format(options, xs, zone)
                .ok_or_else(|| format!("`{format}` is not a date format"));
        }
        let pattern = self.kind.pattern(format, locale);
        let pattern = pattern.as_deref().unwrap_or(format);
        written(self.utc, pattern, locale, zone).ok_or_else(|| format!("`{format}` is not a date format"))
    }

    fn iso_format(&self, options: &str, xs: bool, mut zone: Zone) -> Option<String> {
        let mut accuracy = Accuracy::Needed;
        let mut offset = None;
        for option in options.split([' ', '_']).filter(|option| !option.is_empty()) {
            match option {
                "h" => accuracy = Accuracy::Hours,
                "m" => accuracy = Accuracy::Minutes,
                "s" => accuracy = Accuracy::Seconds,
                "ms" => accuracy = Accuracy::Milliseconds,
                "nz" => offset = Some(false),
                "fz" => offset = Some(true),
                "u" => zone = Zone::Utc,
                _ => return None,
            }
        }
        let offset = offset.unwrap_or(xs || self.kind != MomentKind::Date);
        Some(self.iso(accuracy, offset, zone))
    }

    /// ISO 8601.
    pub(super) fn iso(&self, accuracy: Accuracy, offset: bool, zone: Zone) -> String {
        let local = zone.local(self.utc);
        let mut out = String::new();
        if self.kind != MomentKind::Time {
            out.push_str(&format!("{:04}-{:02}-{:02}", local.year(), local.month(), local.day()));
        }
        if self.kind == MomentKind::DateTime {
            out.push('T');
        }
        if self.kind != MomentKind::Date {
            let millis = local.nanosecond() / 1_000_000;
            out.push_str(&format!("{:02}", local.hour()));
            if accuracy != Accuracy::Hours {
                out.push_str(&format!(":{:02}", local.minute()));
            }
            if !matches!(accuracy, Accuracy::Hours | Accuracy::Minutes) {
                out.push_str(&format!(":{:02}", local.second()));
            }
            match accuracy {
                Accuracy::Milliseconds => out.push_str(&format!(".{millis:03}")),
                Accuracy::Needed if millis > 0 => out.push_str(format!(".{millis:03}").trim_end_matches('0')),
                _ => {}
            }
        }
        if offset && self.kind != MomentKind::Date {
            match zone.offset(self.utc).local_minus_utc() {
                0 => out.push('Z'),
                _ => out.push_str(&shown_offset(zone.offset(self.utc), true)),
            }
        }
        out
    }

    /// Reads a text: as `format` has it or, without a format, as ISO 8601 or the locale has it.
    pub(super) fn parse(
        text: &str,
        format: &str,
        kind: MomentKind,
        locale: Locale,
        zone: Zone,
    ) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` is not a date that `{format}` describes");
        let is_iso = format.starts_with("iso") || format.starts_with("xs");
        if is_iso || format.is_empty() {
            if let Some(utc) = read_iso(text, kind, zone) {
                return Ok(Self { utc, kind });
            }
            if is_iso {
                return Err(wrong());
            }
        }
        let pattern = kind.pattern(format, locale);
        let local = read(text, pattern.as_deref().unwrap_or(format), locale).ok_or_else(wrong)?;
        Ok(Self { utc: local.1.unwrap_or(zone).to_utc(local.0), kind })
    }
}

impl MomentKind {
    /// The pattern of a named style; `None` for patterns.
    fn pattern(self, format: &str, locale: Locale) -> Option<String> {
        let style = |name: &str| match name {
            "short" => Some(0),
            "medium" | "" => Some(1),
            "long" => Some(2),
            "full" => Some(3),
            _ => None,
        };
        let (day, time) = format.split_once('_').unwrap_or((format, format));
        let (day, time) = (style(day)?, style(time)?);
        Some(match self {
            Self::Date => locale.day_pattern(day).to_owned(),
            Self::Time => locale.time_pattern(time).to_owned(),
            Self::DateTime => {
                format!("{}{}{}", locale.day_pattern(day), locale.between(day), locale.time_pattern(time))
            }
        })
    }
}

/// The letters of a pattern with their counts, and the texts between them.
fn parts(pattern: &str) -> Option<Vec<(char, usize, String)>> {
    let mut parts: Vec<(char, usize, String)> = Vec::new();
    let mut chars = pattern.chars().peekable();
    let literal = |parts: &mut Vec<(char, usize, String)>, c: char| match parts.last_mut() {
        Some((' ', _, text)) => text.push(c),
        _ => parts.push((' ', 0, c.to_string())),
    };
    while let Some(c) = chars.next() {
        if c == '\'' {
            if chars.next_if_eq(&'\'').is_some() {
                literal(&mut parts, '\'');
                continue;
            }
            loop {
                match chars.next() {
                    Some('\'') if chars.next_if_eq(&'\'').is_some() => literal(&mut parts, '\''),
                    Some('\'') => break,
                    Some(c) => literal(&mut parts, c),
                    None => return None,
                }
            }
        } else if c.is_ascii_alphabetic() {
            if !"yYMLwDdEuaHkKhmsSzZX".contains(c) {
                return None;
            }
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            parts.push((c, count, String::new()));
        } else {
            literal(&mut parts, c);
        }
    }
    Some(parts)
}

fn written(utc: NaiveDateTime, pattern: &str, locale: Locale, zone: Zone) -> Option<String> {
    let (local, offset) = (zone.local(utc), zone.offset(utc));
    let mut out = String::new();
    for (letter, count, text) in parts(pattern)? {
        let month = local.month0() as usize;
        let day = local.weekday().num_days_from_monday() as usize;
        let number = |value: u32| format!("{value:0count$}");
        let year = |year: i32| {
            if count == 2 { format!("{:02}", year.rem_euclid(100)) } else { format!("{year:0count$}") }
        };
        out.push_str(&match letter {
            ' ' => text,
            'y' => year(local.year()),
            'Y' => year(week(local, locale).0),
            'M' | 'L' => match (letter, count) {
                (_, 1 | 2) => number(local.month()),
                (_, 3) => locale.months_short()[month].to_owned(),
                ('M', _) => locale.months()[month].to_owned(),
                _ => locale.months_alone()[month].to_owned(),
            },
            'w' => number(week(local, locale).1),
            'D' => number(local.ordinal()),
            'd' => number(local.day()),
            'E' if count < 4 => locale.days_short()[day].to_owned(),
            'E' => locale.days()[day].to_owned(),
            'u' => number(local.weekday().number_from_monday()),
            'a' => {
                if local.hour() < 12 {
                    locale.halves().0.to_owned()
                } else {
                    locale.halves().1.to_owned()
                }
            }
            'H' => number(local.hour()),
            'k' => number(if local.hour() == 0 { 24 } else { local.hour() }),
            'K' => number(local.hour() % 12),
            'h' => number((local.hour() + 11) % 12 + 1),
            'm' => number(local.minute()),
            's' => number(local.second()),
            'S' => number(local.nanosecond() / 1_000_000),
            'z' if count >= 4 && zone == Zone::Utc => "Coordinated Universal Time".to_owned(),
            'z' => zone.name(utc),
            'Z' => shown_offset(offset, false),
            _ if offset.local_minus_utc() == 0 => "Z".to_owned(),
            _ => {
                let whole = shown_offset(offset, count == 3);
                if count == 1 { whole[..3].to_owned() } else { whole }
            }
        });
    }
    Some(out)
}

/// The number of a week, and the year that it belongs to.
fn week(local: NaiveDateTime, locale: Locale) -> (i32, u32) {
    if !locale.weeks_of_january_first() {
        return (local.iso_week().year(), local.iso_week().week());
    }
    let saturday = local.date() + Duration::days(6 - i64::from(local.weekday().num_days_from_sunday()));
    (saturday.year(), saturday.ordinal0() / 7 + 1)
}

/// A local time and, where the text has one, its offset.
fn read(text: &str, pattern: &str, locale: Locale) -> Option<(NaiveDateTime, Option<Zone>)> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (1970_i32, 1_u32, 1_u32);
    let (mut hour, mut minute, mut second, mut millis) = (0_u32, 0_u32, 0_u32, 0_u32);
    let (mut afternoon, mut half_day) = (false, false);
    let mut offset = None;
    let parts = parts(pattern)?;
    for (at, (letter, count, literal)) in parts.iter().enumerate() {
        if *letter == ' ' {
            rest = rest
                .strip_prefix(literal.as_str())
                .or_else(|| rest.strip_prefix(literal.trim_end()).filter(|rest| rest.is_empty()))?;
            continue;
        }
        // Letters without anything between them: each has as many digits as letters.
        let next_is_number =
            parts.get(at + 1).is_some_and(|next| !matches!(next.0, ' ' | 'a' | 'z' | 'Z' | 'X' | 'E'));
        let mut number = || {
            let most = if next_is_number { *count } else { 9 };
            let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            let value: u32 = rest[..length].parse().ok()?;
            rest = &rest[length..];
            Some((value, length))
        };
        match letter {
            'y' | 'Y' => {
                let (value, length) = number()?;
                year = i32::try_from(value).ok()?;
                if *count == 2 && length == 2 {
                    year += if year < 50 { 2000 } else { 1900 };
                }
            }
            'M' | 'L' if *count >= 3 => {
                month = name(&mut rest, [locale.months(), locale.months_short()])? + 1
            }
            'M' | 'L' => month = number()?.0,
            'd' => day = number()?.0,
            'H' | 'k' => hour = number()?.0 % 24,
            'h' | 'K' => {
                hour = number()?.0 % 12;
                half_day = true;
            }
            'm' => minute = number()?.0,
            's' => second = number()?.0,
            'S' => millis = number()?.0,
            'E' => {
                name(&mut rest, [locale.days(), locale.days_short()])?;
            }
            'a' => {
                let (before, after) = locale.halves();
                let half =
                    |half: &str| rest.get(..half.len()).is_some_and(|start| start.eq_ignore_ascii_case(half));
                afternoon = half(after);
                let length = if afternoon { after.len() } else { half(before).then_some(before.len())? };
                rest = &rest[length..];
            }
            'z' | 'Z' | 'X' => {
                let length = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || "+-:".contains(c)))
                    .unwrap_or(rest.len());
                offset = Some(Zone::parse(&rest[..length]).ok()?);
                rest = &rest[length..];
            }
            _ => return None,
        }
    }
    if half_day && afternoon {
        hour += 12;
    }
    let time = NaiveTime::from_hms_milli_opt(hour, minute, second, millis)?;
    Some((NaiveDate::from_ymd_opt(year, month, day)?.and_time(time), offset))
}

/// The number of the name that `rest` begins with, which is taken.
fn name<const N: usize>(rest: &mut &str, tables: [&[&str; N]; 2]) -> Option<u32> {
    let lower = rest.to_lowercase();
    for table in tables {
        let found = table.iter().position(|name| lower.starts_with(&name.to_lowercase()));
        if let Some(found) = found {
            *rest = rest.get(table[found].len()..)?;
            return u32::try_from(found).ok();
        }
    }
    None
}

fn read_iso(text: &str, kind: MomentKind, zone: Zone) -> Option<NaiveDateTime> {
    let midnight = NaiveTime::MIN;
    let split = text.find(['T', ' ']);
    let (day, time) = match (kind, split) {
        (MomentKind::Time, None) => ("1970-01-01", Some(text)),
        (_, Some(at)) => (&text[..at], Some(&text[at + 1..])),
        (_, None) => (text, None),
    };
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d")
        .or_else(|_| NaiveDate::parse_from_str(day, "%Y%m%d"))
        .ok()?;
    let Some(time) = time else { return Some(zone.to_utc(day.and_time(midnight))) };
    let time = time.trim_end_matches(" UTC");
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => (&time[..at], Some(Zone::parse(&time[at..]).ok()?)),
        None => (time, None),
    };
    let clock =
        ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(clock, format).ok())?;
    let local = day.and_time(clock);
    let local = if kind == MomentKind::Date { day.and_time(midnight) } else { local };
    Some(offset.filter(|_| kind != MomentKind::Date).unwrap_or(zone).to_utc(local))
}
