//! What screening found, as findings.

use super::super::finding::{Finding, Id};
use crate::kit::text::{counted, grouped};
use crate::mail::Disposition;
use crate::screen::{Counts, Screened};

/// How many rows are named for each disposition.
const NAMED: usize = 3;
/// A larger share of invalid rows, in percent, is a warning: the list is not what it should be.
const USUAL_PERCENT: u64 = 5;

/// Findings about what screening decided.
///
/// `screened` are the rows that will not be sent to, `files` the target group's files as shown, and
/// `suppressed` counts the accepted rows whose address is on this machine's suppression list.
pub(crate) fn screening(
    counts: &Counts,
    screened: &[Screened],
    files: &[String],
    suppressed: u64,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all = counted(counts.rows, "row", "rows");
    let to_send = counts.accepted.saturating_sub(suppressed);
    if to_send == 0 {
        let seen = format!("none of {all} can be sent to");
        findings.push(
            Finding::new(Id::NoRows, seen).fix("see the reasons below, and check `email` in [target-group]"),
        );
    } else {
        let seen = format!("{} of {all} can be sent to", grouped(to_send));
        findings.push(Finding::new(Id::Rows, seen));
    }
    let examples = |disposition: Disposition| {
        let named = screened.iter().filter(|row| row.disposition == disposition).take(NAMED);
        let named: Vec<String> = named
            .map(|row| {
                let file = files.get(row.file).map_or("", String::as_str);
                format!("{file}, row {}: {}", row.place.row, row.detail)
            })
            .collect();
        named.join("; ")
    };
    if counts.invalid > 0 {
        let rows = counted(counts.invalid, "row is", "rows are");
        let seen = format!("{rows} invalid: {}", examples(Disposition::Invalid));
        findings.push(
            Finding::new(Id::InvalidRows, seen)
                .worse_if(counts.invalid * 100 > counts.rows * USUAL_PERCENT)
                .fix("correct the rows, or leave them"),
        );
    }
    if counts.duplicate > 0 {
        let rows = counted(counts.duplicate, "row repeats", "rows repeat");
        let seen = format!("{rows} the address of an earlier row: {}", examples(Disposition::Duplicate));
        findings.push(Finding::new(Id::DuplicateRows, seen));
    }
    if suppressed > 0 {
        let addresses = counted(suppressed, "address is", "addresses are");
        let seen = format!("{addresses} on this machine's suppression list");
        findings.push(Finding::new(Id::SuppressedRows, seen));
    }
    if counts.smtputf8 > 0 {
        let addresses = counted(counts.smtputf8, "address needs", "addresses need");
        findings.push(Finding::new(Id::Smtputf8, format!("{addresses} SMTPUTF8")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Level;
    use crate::target_group::Place;

    fn check(counts: Counts, expected: &[(Level, &str)]) {
        let row = |disposition, row| Screened {
            file: 0,
            place: Place { row, line: None },
            email: None,
            id: None,
            disposition,
            detail: "no `@`".into(),
        };
        let screened = [row(Disposition::Invalid, 7), row(Disposition::Duplicate, 9)];
        let findings = screening(&counts, &screened, &["a.csv".into()], counts.suppressed);
        let found: Vec<_> = findings.iter().map(|f| (f.level, f.id.as_str())).collect();
        assert_eq!(found, expected);
        for finding in findings.iter().filter(|f| f.id == Id::InvalidRows) {
            assert!(finding.seen.ends_with("a.csv, row 7: no `@`"), "{}", finding.seen);
        }
    }

    #[test]
    fn each_disposition_has_its_finding() {
        let all = Counts { rows: 100, accepted: 100, ..Counts::default() };
        check(all, &[(Level::Ok, "rows")]);
        check(
            Counts { accepted: 95, invalid: 5, ..all },
            &[(Level::Ok, "rows"), (Level::Note, "invalid-rows")],
        );
        check(
            Counts { accepted: 94, invalid: 6, ..all },
            &[(Level::Ok, "rows"), (Level::Warning, "invalid-rows")],
        );
        let mixed = Counts { accepted: 98, duplicate: 1, suppressed: 1, smtputf8: 1, ..all };
        let notes = ["duplicate-rows", "suppressed-rows", "smtputf8"].map(|id| (Level::Note, id));
        check(mixed, &[&[(Level::Ok, "rows")], &notes[..]].concat());
        check(Counts { rows: 0, accepted: 0, ..all }, &[(Level::Refused, "no-rows")]);
        let nobody = Counts { rows: 2, accepted: 2, suppressed: 2, ..all };
        check(nobody, &[(Level::Refused, "no-rows"), (Level::Note, "suppressed-rows")]);
        let findings = screening(&Counts { rows: 3, accepted: 3, ..all }, &[], &[], 1);
        assert_eq!(findings[0].seen, "2 of 3 rows can be sent to");
    }
}
