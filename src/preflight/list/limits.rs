//! Lists that are refused before anything is sent: with too few rows, too many invalid ones, or
//! rows in stray quotes.

use super::super::finding::{Finding, Id};
use crate::campaign::{Campaign, Stop, StrayQuotes};
use crate::kit::text::{counted, grouped};
use crate::screen::{Counts, Stray};

/// Why the list is refused. `files` are the target group's, as shown.
pub(crate) fn beyond_limits(campaign: &Campaign, counts: &Counts, files: &[&str]) -> Vec<Finding> {
    let mut findings = share_of_rows(&campaign.stop, counts);
    findings.extend(
        counts.stray_quotes.map(|stray| stray_quotes(campaign.target_group.stray_quotes, stray, files)),
    );
    findings
}

/// Rows in quotes that make one of several: others' data would be in somebody's message.
fn stray_quotes(setting: StrayQuotes, stray: Stray, files: &[&str]) -> Finding {
    let Stray { rows, file, row, line } = stray;
    let file = files.get(file).copied().unwrap_or_default();
    let seen = format!(
        "{} a quoted field that goes over several lines and seems to hold other rows: {file}:{line}, row {row}",
        counted(rows, "row has", "rows have")
    );
    Finding::new(Id::StrayQuotes, seen).worse_if(setting == StrayQuotes::Refuse).fix(
        "look for a stray quote on that line; if the field is as it should be, say so: `stray-quotes = \"allow\"` in [target-group]",
    )
}

fn share_of_rows(stop: &Stop, counts: &Counts) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Beyond `--limit`, or with this edition or enough other mail in their mailbox: good rows all
    // the same.
    let good = counts.accepted + counts.not_attempted + counts.already_sent + counts.capped;
    if good < stop.min_rows {
        let seen = format!(
            "{} screening, and `[stop] min-rows` is {}",
            counted(good, "row passes", "rows pass"),
            grouped(stop.min_rows)
        );
        findings.push(Finding::new(Id::TooFewRows, seen).fix("send the whole list, or lower `min-rows`"));
    }
    let percent = counts.invalid as f64 * 100.0 / counts.rows.max(1) as f64;
    if percent > stop.max_invalid_percent {
        let seen = format!(
            "{} of {} {} invalid ({percent:.1} %), and `[stop] max-invalid-percent` is {}",
            grouped(counts.invalid),
            counted(counts.rows, "row", "rows"),
            if counts.invalid == 1 { "is" } else { "are" },
            stop.max_invalid_percent
        );
        findings.push(Finding::new(Id::TooManyInvalid, seen).fix(
            "`mailrun plan` shows why rows are invalid; correct the list, or raise `max-invalid-percent`",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stop: &Stop, counts: Counts, expected: &[&str]) {
        let found = share_of_rows(stop, &counts);
        assert_eq!(found.iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_exceeds_a_limit_is_refused_and_what_reaches_it_is_not() {
        let stop = Stop { min_rows: 80, ..Stop::default() };
        let counts = Counts { rows: 100, accepted: 80, invalid: 20, ..Counts::default() };
        check(&stop, counts, &[]);
        check(&stop, Counts { accepted: 1, already_sent: 29, capped: 10, not_attempted: 40, ..counts }, &[]);
        check(&stop, Counts { accepted: 79, invalid: 21, ..counts }, &["too-few-rows", "too-many-invalid"]);
        let none = Counts::default();
        check(&stop, none, &["too-few-rows"]);
        check(&Stop::default(), none, &[]);
        let stop = Stop { max_invalid_percent: 100.0, ..Stop::default() };
        check(&stop, Counts { accepted: 0, invalid: 100, ..counts }, &[]);
    }
}
