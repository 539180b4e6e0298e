//! What screening set aside, as findings.

use super::super::finding::{Finding, Group};
use super::super::grouped;
use crate::mail::Disposition;
use crate::screen::{Counts, Screened};

/// Rows named for each disposition.
const NAMED: usize = 3;
/// A larger share of rows that can't be sent to, in percent, is a warning: the list is not what it should be.
const USUAL_PERCENT: u64 = 5;

/// What became of the rows. `screened` are those set aside, `files` the target group's files as shown; `suppressed` is the number of
/// accepted rows whose address is on this machine's suppression list.
pub fn screening(counts: &Counts, screened: &[Screened], files: &[String], suppressed: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all = grouped(counts.rows);
    if counts.accepted == 0 {
        let seen = format!("none of {all} rows can be sent to");
        let finding = Finding::refused(Group::List, "no-rows", seen).why("there is nobody to send to");
        findings.push(finding.mend("look at the reasons below, and at `email` in [target-group]"));
    } else {
        let seen = format!("{} of {all} rows can be sent to", grouped(counts.accepted));
        findings.push(Finding::ok(Group::List, "rows", seen));
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
        let seen =
            format!("{} rows are invalid: {}", grouped(counts.invalid), examples(Disposition::Invalid));
        let many = counts.invalid * 100 > counts.rows * USUAL_PERCENT;
        let make = if many { Finding::warning } else { Finding::note };
        findings.push(
            make(Group::List, "invalid-rows", seen)
                .why("they are recorded as `invalid` and get nothing; the others are sent")
                .mend("correct the rows, or leave them"),
        );
    }
    if counts.duplicate > 0 {
        let seen = format!(
            "{} rows have the address of an earlier one: {}",
            grouped(counts.duplicate),
            examples(Disposition::Duplicate)
        );
        findings
            .push(Finding::note(Group::List, "duplicate-rows", seen).why("each address gets one message"));
    }
    if suppressed > 0 {
        let seen = format!("{} rows are on this machine's suppression list", grouped(suppressed));
        findings.push(Finding::note(Group::List, "suppressed-rows", seen).why("they get nothing"));
    }
    if counts.smtputf8 > 0 {
        let seen = format!("{} addresses need SMTPUTF8", grouped(counts.smtputf8));
        findings.push(
            Finding::note(Group::List, "smtputf8", seen)
                .why("the next hop must offer SMTPUTF8, or these rows bounce (RFC 6531 §3.4)"),
        );
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
        let found: Vec<_> = findings.iter().map(|f| (f.level, f.id)).collect();
        assert_eq!(found, expected);
        for finding in findings.iter().filter(|f| f.id == "invalid-rows") {
            assert!(finding.seen.ends_with("a.csv, row 7: no `@`"), "{}", finding.seen);
        }
    }

    #[test]
    fn rows_are_told_by_what_became_of_them() {
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
    }
}
