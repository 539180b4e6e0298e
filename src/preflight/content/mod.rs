//! Scans the content: SpamAssassin scores a message of the list, ClamAV scans it and every
//! attachment, and so do the campaign's own scanners.
//!
//! Uses a daemon only if the campaign names it.

use std::io;

use super::finding::{Finding, Id};
use crate::campaign::Checks;
use crate::kit::text::counted;
use crate::scan::{Clamd, Item, Judgement, ScanResult, Scanners, Score, Spamd};

/// A message of the list, with the row that it is for: `list.csv, row 2`.
pub(crate) struct Sample {
    /// The row.
    pub row: String,
    /// The message.
    pub message: Vec<u8>,
}

/// Has the daemons that `checks` names scan a message and `files`, the attachments by name (and the
/// row that names it) and content.
pub(crate) fn check(checks: &Checks, sample: &Sample, files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let message = sample.message.as_slice();
    let mut findings = Vec::new();
    if let Some(endpoint) = &checks.spamd {
        findings.push(match Spamd::at(endpoint).score(message) {
            Ok(score) => spam(&score, checks.spam_threshold),
            Err(error) => unreachable(Id::SpamdUnreachable, "SpamAssassin", endpoint, &error),
        });
    }
    if let Some(endpoint) = &checks.clamd {
        findings.extend(viruses(endpoint, sample, files));
    }
    findings
}

/// Has the scanners that every message passes look at `items`: the parts of a message, and files.
pub(crate) fn check_items(scanners: &Scanners, items: &[Item]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for item in items {
        match scanners.judge(std::slice::from_ref(item)) {
            Judgement::Clean => {}
            Judgement::Infected(what) => {
                findings.push(Finding::new(Id::Infected, format!("found: {what}")).fix("remove it"));
            }
            Judgement::Refused(why) => findings.push(
                Finding::new(Id::ScannerError, why)
                    .fix("raise the scanner's limits, or make the part smaller"),
            ),
            Judgement::NoAnswer(why) => {
                findings.push(
                    Finding::new(Id::ScannerUnreachable, why)
                        .fix("start the scanner, or correct its address in [[scanner]]"),
                );
                return findings;
            }
        }
    }
    if findings.is_empty() {
        let seen = format!("the scanners find nothing in {}", counted(items.len() as u64, "part", "parts"));
        findings.push(Finding::new(Id::Scanned, seen));
    }
    findings
}

fn unreachable(id: Id, who: &str, endpoint: &str, error: &io::Error) -> Finding {
    Finding::new(id, format!("{who} at `{endpoint}` did not answer: {error}"))
        .fix("start the daemon, or correct its address in [check]")
}

fn spam(score: &Score, threshold: f64) -> Finding {
    let rules = if score.rules.is_empty() { String::new() } else { format!(": {}", score.rules.join(", ")) };
    let seen = format!(
        "SpamAssassin gives the message {:.1} points; the threshold is {threshold:.1}{rules}",
        score.points
    );
    if score.points < threshold {
        return Finding::new(Id::SpamScore, seen);
    }
    Finding::new(Id::SpamScoreHigh, seen).fix(
        "see https://spamassassin.apache.org/tests.html for the rules, or raise `spam-threshold` in [check]",
    )
}

fn viruses(endpoint: &str, sample: &Sample, files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut clean = 0;
    let clamd = Clamd::at(endpoint);
    let whole = format!("the message of {}", sample.row);
    let whole = (whole, sample.message.as_slice(), "see the findings about its files, or else its templates");
    let all = files.iter().map(|(name, content)| (name.clone(), content.as_slice(), "remove the file"));
    for (name, content, fix) in std::iter::once(whole).chain(all) {
        match clamd.scan(content) {
            Ok(ScanResult::Clean) => clean += 1,
            Ok(ScanResult::Infected(what)) => {
                findings.push(Finding::new(Id::Virus, format!("ClamAV finds {what} in {name}")).fix(fix))
            }
            Ok(ScanResult::Refused(error)) => findings.push(
                Finding::new(Id::ClamdError, format!("ClamAV can't scan {name}: {error}"))
                    .fix("set StreamMaxLength in clamd.conf at least as large as the largest attachment"),
            ),
            Err(error) => {
                findings.push(unreachable(Id::ClamdUnreachable, "ClamAV", endpoint, &error));
                return findings;
            }
        }
    }
    if clean > 0 {
        let seen = format!("ClamAV finds nothing in {clean} of {} scanned items", files.len() + 1);
        findings.push(Finding::new(Id::Clamd, seen));
    }
    findings
}

#[cfg(test)]
mod tests;
