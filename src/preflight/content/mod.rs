//! What others say about the content: SpamAssassin on a message of the list, ClamAV on it and on every attachment.
//!
//! Both daemons are asked where the campaign names them, and nowhere else. Neither gets to see who the other recipients are.

use std::io;

use super::finding::{Finding, Group};
use crate::campaign::Checks;
use crate::scan::{Clamd, Score, Spamd, Verdict};

/// Asks the daemons that `checks` names about `message`, and about `files`: name and content of each attachment.
pub fn check(checks: &Checks, message: &[u8], files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(endpoint) = &checks.spamd {
        findings.push(match Spamd::at(endpoint).score(message) {
            Ok(score) => spam(&score, checks.spam_threshold),
            Err(error) => unreachable("spamd-unreachable", "SpamAssassin", endpoint, &error),
        });
    }
    if let Some(endpoint) = &checks.clamd {
        findings.extend(viruses(endpoint, message, files));
    }
    findings
}

fn unreachable(id: &'static str, who: &str, endpoint: &str, error: &io::Error) -> Finding {
    Finding::warning(Group::Content, id, format!("{who} at `{endpoint}` did not answer: {error}"))
        .why("the content has not been looked at")
        .mend("start the daemon, or correct its address in [check]")
}

fn spam(score: &Score, threshold: f64) -> Finding {
    let rules = if score.rules.is_empty() { String::new() } else { format!(": {}", score.rules.join(", ")) };
    let seen = format!(
        "SpamAssassin gives the message {:.1} points, {threshold:.1} are refused{rules}",
        score.points
    );
    if score.points < threshold {
        return Finding::ok(Group::Content, "spam-score", seen);
    }
    Finding::refused(Group::Content, "spam-score-high", seen)
        .why("receivers with the same rules put it into the spam folder or refuse it")
        .mend("look the rules up at https://spamassassin.apache.org/tests.html, or raise `spam-threshold` in [check]")
}

fn viruses(endpoint: &str, message: &[u8], files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut clean = 0;
    let clamd = Clamd::at(endpoint);
    let whole = ("a message of the list".to_owned(), message);
    let all = files.iter().map(|(name, content)| (format!("`{name}`"), content.as_slice()));
    for (name, content) in std::iter::once(whole).chain(all) {
        match clamd.scan(content) {
            Ok(Verdict::Clean) => clean += 1,
            Ok(Verdict::Infected(what)) => findings.push(
                Finding::refused(Group::Content, "virus", format!("ClamAV finds {what} in {name}"))
                    .why("receivers refuse it, and the domain's reputation with it")
                    .mend("take the file out"),
            ),
            Ok(Verdict::Refused(error)) => findings.push(
                Finding::warning(
                    Group::Content,
                    "clamd-error",
                    format!("ClamAV can't look at {name}: {error}"),
                )
                .why("the content has not been looked at")
                .mend("StreamMaxLength in clamd.conf must be as large as the largest attachment"),
            ),
            Err(error) => {
                findings.push(unreachable("clamd-unreachable", "ClamAV", endpoint, &error));
                return findings;
            }
        }
    }
    if clean > 0 {
        let seen = format!("ClamAV finds nothing in {clean} of {} texts and files", files.len() + 1);
        findings.push(Finding::ok(Group::Content, "clamd", seen));
    }
    findings
}

#[cfg(test)]
mod tests;
