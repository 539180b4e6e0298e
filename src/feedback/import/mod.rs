//! Files of providers: their events as JSON, and what they say of senders as CSV.
//!
//! An event says the same as a mail that came back, and goes the same way from here on.

mod csv;
mod field;
mod json;
mod mailgun;
mod postmark;
mod sendgrid;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;

use serde_json::Value;

use self::csv::PostmasterColumns;
use super::notice::Notice;
use super::reputation::Reading;
use super::ses;
use super::traces::Traces;
use crate::mail::{Domain, Timestamp};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Events of Amazon SES.
    Ses,
    /// Events of SendGrid.
    Sendgrid,
    /// Events of Mailgun.
    Mailgun,
    /// Events of Postmark.
    Postmark,
    /// Microsoft's SNDS.
    Snds,
    /// Google's Postmaster Tools.
    Postmaster,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ses, Self::Sendgrid, Self::Mailgun, Self::Postmark, Self::Snds, Self::Postmaster];

    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Sendgrid => "sendgrid",
            Self::Mailgun => "mailgun",
            Self::Postmark => "postmark",
            Self::Snds => "snds",
            Self::Postmaster => "postmaster",
        }
    }

    const fn is_csv(self) -> bool {
        match self {
            Self::Snds | Self::Postmaster => true,
            Self::Ses | Self::Sendgrid | Self::Mailgun | Self::Postmark => false,
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("use one of {names}"))
    }
}

/// What a file holds at one place.
#[derive(Debug)]
pub enum Item {
    /// An event.
    Notice(Box<Notice>),
    /// What is said of a sender.
    Reading(Reading),
    /// An event that says nothing of what became of a mail, such as that it was opened.
    Skipped,
}

impl Item {
    /// A hash, the same when the provider says it again; none where nothing is kept.
    pub fn hash(&self) -> Option<String> {
        let (reader, key) = match self {
            Self::Notice(notice) => (notice.reader, notice.key.clone()),
            Self::Reading(reading) => ("reading", reading.key()),
            Self::Skipped => return None,
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(reader.as_bytes());
        hasher.update(b"\n");
        hasher.update(key.as_bytes());
        Some(hasher.finalize().to_hex()[..32].to_owned())
    }
}

impl Notice {
    /// What of our own mail is in it.
    pub fn traces(&self) -> Traces {
        // The header is that of the mail that it is about, not its own.
        let mut traces = Traces::read(format!("\n{}", self.header).as_bytes());
        traces.date = self.at;
        traces
    }
}

/// How files are read.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What they are; each place says it where this does not.
    pub format: Option<Format>,
    /// The domain of an export that names none.
    pub domain: Option<Domain>,
}

/// Shows what a file holds to `visit`, with the line, or why a place of it can't be read. `visit`
/// says whether to go on.
pub fn each_item(
    input: impl Read,
    options: &ImportOptions,
    mut visit: impl FnMut(u64, Result<Item, String>) -> bool,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let is_csv = match options.format {
        Some(format) => format.is_csv(),
        None => !looks_like_json(input.fill_buf()?),
    };
    if is_csv {
        return each_reading(input, options, visit);
    }
    json::each_object(input, |line, object| {
        let value = object.map_err(str::to_owned).and_then(|object| {
            serde_json::from_slice::<Value>(object).map_err(|error| format!("no JSON: {error}"))
        });
        match value {
            Ok(value) => items(value, options.format).into_iter().all(|item| visit(line, item)),
            Err(why) => visit(line, Err(why)),
        }
    })
}

fn looks_like_json(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    matches!(start.trim_ascii_start().first(), Some(b'{' | b'[' | 0x1e))
}

/// The events of an object: one, or those of a page.
fn items(mut object: Value, format: Option<Format>) -> Vec<Result<Item, String>> {
    let Some(format) = format.or_else(|| format_of(&object)) else {
        return vec![Err("no event of a provider that is known: name it with `--from`".to_owned())];
    };
    let page = match format {
        Format::Mailgun => object.get_mut("items").map(Value::take),
        Format::Postmark => object.get_mut("Bounces").map(Value::take),
        Format::Ses | Format::Sendgrid | Format::Snds | Format::Postmaster => None,
    };
    if let Some(Value::Array(events)) = page {
        return events.into_iter().map(|event| item(event, format)).collect();
    }
    let event = match object.get_mut("event-data").filter(|_| format == Format::Mailgun) {
        Some(event) => event.take(),
        None => object,
    };
    vec![item(event, format)]
}

fn item(event: Value, format: Format) -> Result<Item, String> {
    let notice = match format {
        Format::Ses => ses::of_value(event),
        Format::Sendgrid => sendgrid::notice(&event),
        Format::Mailgun => mailgun::notice(&event),
        Format::Postmark => postmark::notice(&event),
        Format::Snds | Format::Postmaster => Ok(None),
    };
    let notice = notice.map_err(|why| format!("no event of {}: {why}", format.as_str()))?;
    Ok(notice.map_or(Item::Skipped, |notice| Item::Notice(Box::new(notice))))
}

fn format_of(object: &Value) -> Option<Format> {
    let object = object.as_object()?;
    match object {
        _ if ses::is_event(object) => Some(Format::Ses),
        _ if postmark::is_event(object) => Some(Format::Postmark),
        _ if mailgun::is_event(object) => Some(Format::Mailgun),
        _ if sendgrid::is_event(object) => Some(Format::Sendgrid),
        _ => None,
    }
}

/// How the records of a CSV file are read.
enum Records {
    Snds,
    Postmaster(PostmasterColumns),
}

fn each_reading(
    input: impl Read,
    options: &ImportOptions,
    mut visit: impl FnMut(u64, Result<Item, String>) -> bool,
) -> io::Result<()> {
    let mut records = None;
    csv::each_record(input, |line, cells| {
        let cells = match cells {
            Ok(cells) => cells,
            Err(why) => return visit(line, Err(why.to_owned())),
        };
        let read = match &records {
            Some(Records::Snds) => csv::snds(&cells),
            Some(Records::Postmaster(columns)) => columns.read(&cells, options.domain.as_ref()).map(Some),
            None if options.format == Some(Format::Snds)
                || options.format.is_none() && csv::is_snds(&cells) =>
            {
                records = Some(Records::Snds);
                csv::snds(&cells)
            }
            None => match PostmasterColumns::of(&cells) {
                Some(columns) => {
                    records = Some(Records::Postmaster(columns));
                    Ok(None)
                }
                // Nothing in the file can be read without its columns.
                None => {
                    let why = "neither JSON, nor CSV of SNDS, nor a header with `date` and `spam rate` or \
                               `domain reputation`";
                    visit(line, Err(why.to_owned()));
                    return false;
                }
            },
        };
        match read {
            Ok(Some(reading)) => visit(line, Ok(Item::Reading(reading))),
            Ok(None) => true,
            Err(why) => visit(line, Err(why)),
        }
    })
}

/// When a reading is from: the day's begin, in UTC.
pub fn begin_of(reading: &Reading) -> Timestamp {
    let begin = reading.day.and_hms_opt(0, 0, 0).expect("a day begins");
    Timestamp(begin.and_utc().timestamp_micros())
}
