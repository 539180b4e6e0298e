//! Durations and sizes as people write them: `"90s"`, `"15m"`, `"4h"`, `"20 MB"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration: a number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// A number of bytes: a number and one of `B`, `kB`, `MB`, `GB` (powers of 1,000) or `KiB`, `MiB`,
/// `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// A rate: a number, a slash and one of `s`, `min`, `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frequency {
    /// How many within `time`.
    pub count: u64,
    /// One second, minute or hour.
    pub time: Duration,
}

/// The most mails within some time: a number, a slash and a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaxPer {
    /// How many.
    pub count: u32,
    /// Within what time.
    pub time: Span,
}

impl Span {
    /// `seconds` seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    Some((number, text[end..].trim()))
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is not a duration: write a number and ms, s, m, h or d, such as \"90s\"");
        let (number, unit) = split_unit(text).ok_or_else(bad)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(bad()),
        };
        Duration::try_from_secs_f64(number * seconds).map(Self).map_err(|_| bad())
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a size: write a number and B, kB, MB or GB, such as \"20 MB\"");
        let (number, unit) = split_unit(text).ok_or_else(bad)?;
        let factor: f64 = match unit.to_ascii_lowercase().as_str() {
            "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "kib" => 1_024.0,
            "mib" => 1_048_576.0,
            "gib" => 1_073_741_824.0,
            _ => return Err(bad()),
        };
        Ok(Self((number * factor).round() as u64))
    }
}

impl FromStr for Frequency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is not a rate: write a whole number, / and s, min or h, such as \"40/s\"");
        let (count, unit) = text.split_once('/').ok_or_else(bad)?;
        let count = count.trim().replace('_', "").parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
        let time = match unit.trim() {
            "s" => Duration::from_secs(1),
            "m" | "min" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            _ => return Err(bad()),
        };
        Ok(Self { count, time })
    }
}

impl FromStr for MaxPer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{text}` is not a number of mails within some time: write a whole number, / and a duration, such as \"2/7d\""
            )
        };
        let (count, time) = text.split_once('/').ok_or_else(bad)?;
        let count = count.trim().replace('_', "").parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
        let time: Span = time.parse().map_err(|_| bad())?;
        if time.0.is_zero() { Err(bad()) } else { Ok(Self { count, time }) }
    }
}

impl fmt::Display for MaxPer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.time)
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.time.as_secs() {
            1 => "s",
            60 => "min",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        match ms {
            _ if !ms.is_multiple_of(1_000) => write!(f, "{ms}ms"),
            _ if !ms.is_multiple_of(60_000) || ms == 0 => write!(f, "{}s", ms / 1_000),
            _ if !ms.is_multiple_of(3_600_000) => write!(f, "{}m", ms / 60_000),
            _ if !ms.is_multiple_of(86_400_000) => write!(f, "{}h", ms / 3_600_000),
            _ => write!(f, "{}d", ms / 86_400_000),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1_000_000_000 => write!(f, "{:.1} GB", bytes as f64 / 1e9),
            bytes if bytes >= 1_000_000 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            bytes if bytes >= 1_000 => write!(f, "{:.1} kB", bytes as f64 / 1e3),
            bytes => write!(f, "{bytes} B"),
        }
    }
}

macro_rules! serde_as_text {
    ($type:ty, $write:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$type) -> String = $write;
                serializer.serialize_str(&write(self))
            }
        }
    };
}
serde_as_text!(Span, |span| span.to_string());
serde_as_text!(Frequency, |frequency| frequency.to_string());
serde_as_text!(MaxPer, |most| most.to_string());
serde_as_text!(ByteSize, |size| format!("{} B", size.0));

/// Reads and writes a value such as an address as text: a `with` module for serde.
pub(super) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format_args!("`{text}`: {error}")))
    }
}

/// Like [`text`], for a key that may be missing.
pub(super) mod optional_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        crate::campaign::units::text::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check =
            |text: &str, ms: u128| assert_eq!(text.parse::<Span>().unwrap().0.as_millis(), ms, "{text}");
        check("90s", 90_000);
        check("15m", 900_000);
        check("1.5h", 5_400_000);
        check("45d", 45 * 86_400_000);
        check("200ms", 200);
        for bad in ["", "90", "s", "-1s", "1 fortnight", "1e400s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_print_as_they_are_written() {
        for text in ["90s", "15m", "4h", "45d", "250ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn frequencies() {
        for text in ["40/s", "100/min", "5000/h"] {
            assert_eq!(text.parse::<Frequency>().unwrap().to_string(), text);
        }
        for bad in ["", "40", "0/s", "-1/s", "40/day", "4.5/s"] {
            assert!(bad.parse::<Frequency>().is_err(), "{bad}");
        }
    }

    #[test]
    fn mails_within_some_time() {
        let two = MaxPer { count: 2, time: Span::seconds(7 * 86_400) };
        assert_eq!("2/7d".parse(), Ok(two));
        assert_eq!(" 2 / 168h ".parse::<MaxPer>().unwrap().to_string(), "2/7d");
        for bad in ["", "2", "2/", "/7d", "0/7d", "-1/7d", "2/0d", "2.5/7d", "2/7", "2/week", "2 7d"] {
            assert!(bad.parse::<MaxPer>().unwrap_err().contains("such as \"2/7d\""), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: u64| assert_eq!(text.parse::<ByteSize>().unwrap().0, bytes, "{text}");
        check("20 MB", 20_000_000);
        check("1_000 kB", 1_000_000);
        check("2MiB", 2_097_152);
        assert!("20".parse::<ByteSize>().is_err());
    }
}
