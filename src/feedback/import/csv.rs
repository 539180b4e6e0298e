//! What providers say of sending addresses and domains, as CSV: Microsoft's SNDS, and exports of
//! Google's Postmaster Tools.

use std::io::{self, BufRead, BufReader, Read};

use chrono::{NaiveDate, NaiveDateTime};

use crate::feedback::reputation::{ComplaintRate, Observer, Reading, Subject, Verdict};
use crate::mail::Domain;

/// A longer line is none of theirs.
const LINE_BYTES: u64 = 64 << 10;
/// The columns of SNDS.
const SNDS_COLUMNS: usize = 14;

/// Shows each line of `input` to `visit`, with its number from 1, as the cells of a CSV record, or
/// why it is none. Empty lines are skipped. `visit` says whether to go on.
pub(super) fn each_record(
    input: impl Read,
    mut visit: impl FnMut(u64, Result<Vec<String>, &'static str>) -> bool,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let is_whole = line.ends_with(b"\n") || input.fill_buf()?.is_empty();
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        let goes_on = if !is_whole {
            input.skip_until(b'\n')?;
            visit(number, Err("the line is longer than 64 KiB"))
        } else if text.is_empty() {
            true
        } else {
            let mut records = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
            let record = records.records().next().and_then(Result::ok);
            let cells =
                record.map(|record| record.iter().map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
            visit(number, cells.ok_or("no CSV in UTF-8"))
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Whether the first record is one of SNDS, or its header.
pub(super) fn is_snds(cells: &[String]) -> bool {
    let first = cells.first().map(String::as_str).unwrap_or_default();
    cells.len() >= SNDS_COLUMNS - 1 && (first.parse::<std::net::IpAddr>().is_ok() || is_snds_header(first))
}

fn is_snds_header(first: &str) -> bool {
    ["ipaddress", "ip"].contains(&plain(first).as_str())
}

/// A record of SNDS; none for the header.
///
/// Address, begin and end of the activity, RCPT commands, DATA commands, message recipients,
/// filter result, complaint rate, begin and end of trap messages, trap hits, sample HELO, sample
/// MAIL FROM, comments.
pub(super) fn snds(cells: &[String]) -> Result<Option<Reading>, String> {
    let first = cells.first().map(String::as_str).unwrap_or_default();
    if is_snds_header(first) {
        return Ok(None);
    }
    let ip = first.parse().map_err(|_| format!("`{}` is no IP address", shown(first)))?;
    if cells.len() < SNDS_COLUMNS - 1 {
        return Err(format!("{} cells, not {SNDS_COLUMNS}", cells.len()));
    }
    Ok(Some(Reading {
        observer: Observer::Snds,
        subject: Subject::Ip(ip),
        day: day(&cells[1])?,
        messages: number(&cells[5])?,
        complaints: rate(&cells[7], Unit::Percent)?,
        verdict: verdict(&cells[6])?,
        trap_hits: number(&cells[10])?,
    }))
}

/// The columns of an export of the Postmaster Tools.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PostmasterColumns {
    day: usize,
    domain: Option<usize>,
    rate: Option<(usize, Unit)>,
    verdict: Option<usize>,
}

/// How a rate is written without a percent sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Percent,
    /// Of one.
    Ratio,
}

impl PostmasterColumns {
    /// Those that a header names. None: it names no day, or nothing that is said of it.
    pub(super) fn of(header: &[String]) -> Option<Self> {
        let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let find = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        let rate = names.iter().position(|name| {
            let is_bound = name.contains("bound");
            !is_bound && (name.contains("spamrat") || name.contains("spampercent"))
        });
        let unit = |at: usize| {
            let is_percent = names[at].contains("percent") || header[at].contains('%');
            (at, if is_percent { Unit::Percent } else { Unit::Ratio })
        };
        let columns = Self {
            day: find(&["date", "day", "trafficdate"])?,
            domain: find(&["domain", "domainname"]),
            rate: rate.map(unit),
            verdict: find(&["domainreputation", "reputation"]),
        };
        (columns.rate.is_some() || columns.verdict.is_some()).then_some(columns)
    }

    /// A record with these columns. `domain` is meant where none is named.
    pub(super) fn read(&self, cells: &[String], domain: Option<&Domain>) -> Result<Reading, String> {
        let cell = |at: usize| cells.get(at).map(String::as_str).unwrap_or_default();
        let domain = match (self.domain.map(cell), domain) {
            (Some(named), _) => named.parse().map_err(|_| format!("`{}` is no domain", shown(named)))?,
            (None, Some(domain)) => domain.clone(),
            (None, None) => return Err("no column `domain`: name it with `--domain`".to_owned()),
        };
        Ok(Reading {
            observer: Observer::Postmaster,
            subject: Subject::Domain(domain),
            day: day(cell(self.day))?,
            messages: None,
            complaints: self.rate.map_or(Ok(None), |(at, unit)| rate(cell(at), unit))?,
            verdict: self.verdict.map_or(Ok(None), |at| verdict(cell(at)))?,
            trap_hits: None,
        })
    }
}

/// The letters and digits of a name, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn day(text: &str) -> Result<NaiveDate, String> {
    let days = ["%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%b %d, %Y", "%B %d, %Y"];
    let times = ["%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"];
    let day = days.iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok());
    let time = || times.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    day.or_else(|| Some(time()?.date())).ok_or_else(|| format!("`{}` is no day", shown(text)))
}

fn number(text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits: String = text.chars().filter(|c| *c != ',').collect();
    digits.parse().map(Some).map_err(|_| format!("`{}` is no number", shown(text)))
}

/// `0.3%`, `< 0.1%`, or without the sign.
fn rate(text: &str, unit: Unit) -> Result<Option<ComplaintRate>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_less = text.starts_with('<');
    let number = text.trim_start_matches(['<', '>']).trim();
    let (number, unit) = match number.strip_suffix('%') {
        Some(number) => (number.trim(), Unit::Percent),
        None => (number, unit),
    };
    let percent = number.parse::<f64>().ok().map(|number| match unit {
        Unit::Percent => number,
        Unit::Ratio => number * 100.0,
    });
    match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
        Some(percent) => Ok(Some(ComplaintRate { percent, is_less })),
        None => Err(format!("`{}` is no rate", shown(text))),
    }
}

fn verdict(text: &str) -> Result<Option<Verdict>, String> {
    // Google's API names what it does not know.
    if text.is_empty() || text.eq_ignore_ascii_case("REPUTATION_CATEGORY_UNSPECIFIED") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|()| format!("`{}` is no colour or reputation", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_record(line.as_bytes(), |_, record| {
            found = record.unwrap();
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn a_record_of_snds() {
        let line = "192.0.2.7,11/2/2026 1:00 AM,11/2/2026 11:00 PM,1203,1201,\"1,199\",YELLOW,< 0.1%,,,2,mx.example,n@x.example,";
        assert!(is_snds(&cells(line)));
        let expected = Reading {
            observer: Observer::Snds,
            subject: Subject::Ip("192.0.2.7".parse().unwrap()),
            day: NaiveDate::from_ymd_opt(2026, 11, 2).unwrap(),
            messages: Some(1_199),
            complaints: Some(ComplaintRate { percent: 0.1, is_less: true }),
            verdict: Some(Verdict::Yellow),
            trap_hits: Some(2),
        };
        assert_eq!(snds(&cells(line)), Ok(Some(expected)));
        for (bad, why) in [
            (line.replace("192.0.2.7", "x"), "`x` is no IP address"),
            (line.replace("11/2/2026 1:00 AM", "soon"), "`soon` is no day"),
            (line.replace("YELLOW", "BLUE"), "`BLUE` is no colour or reputation"),
            (line.replace("< 0.1%", "120%"), "`120%` is no rate"),
            ("192.0.2.7,a,b".to_owned(), "3 cells, not 14"),
        ] {
            assert_eq!(snds(&cells(&bad)), Err(why.to_owned()));
        }
    }

    #[test]
    fn records_of_postmaster_tools() {
        let check = |header: &str, line: &str, percent: Option<f64>, verdict: Option<Verdict>| {
            let columns = PostmasterColumns::of(&cells(header)).unwrap();
            let domain = "x.example".parse().unwrap();
            let reading = columns.read(&cells(line), Some(&domain)).unwrap();
            assert_eq!(reading.day, NaiveDate::from_ymd_opt(2026, 11, 2).unwrap(), "{line}");
            assert_eq!(reading.complaints.map(|rate| rate.percent), percent, "{line}");
            assert_eq!(reading.verdict, verdict, "{line}");
            assert_eq!(reading.subject.to_string(), "x.example");
        };
        check("Date,User-reported spam rate", "2026-11-02,0.3%", Some(0.3), None);
        check("Date,Spam rate (%)", "\"Nov 2, 2026\",0.3", Some(0.3), None);
        check("domain,date,userReportedSpamRatio", "x.example,20261102,0.005", Some(0.5), None);
        check("day,domain,domain_reputation", "11/02/2026,x.example,MEDIUM", None, Some(Verdict::Medium));
        for header in ["date,other", "spam rate,domain", "a"] {
            assert_eq!(PostmasterColumns::of(&cells(header)), None, "{header}");
        }
        let columns = PostmasterColumns::of(&cells("date,spam rate")).unwrap();
        let error = columns.read(&cells("2026-11-02,0.3%"), None).unwrap_err();
        assert!(error.contains("--domain"), "{error}");
    }

    #[test]
    fn a_long_line_is_no_record() {
        let text = format!("{}\na,b\n", "x".repeat(1 << 20));
        let mut found = Vec::new();
        each_record(text.as_bytes(), |line, record| {
            found.push((line, record.map(|cells| cells.len())));
            true
        })
        .unwrap();
        assert_eq!(found, [(1, Err("the line is longer than 64 KiB")), (2, Ok(2))]);
    }
}
