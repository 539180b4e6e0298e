//! How receivers took the sender's mail of the last days, against the limits that providers
//! publish.

use std::collections::BTreeMap;

use super::finding::{Finding, Id};
use super::sender::dmarc::walk::by_suffix_list;
use crate::feedback::reputation::{Reading, Verdict};
use crate::kit::text::{counted, grouped};

/// The days that rates are formed over, up to now.
pub(crate) const WINDOWS: [u32; 3] = [1, 7, 30];
/// Complaints in percent of the accepted mails: what Google and Yahoo ask senders to stay below,
const COMPLAINTS: f64 = 0.1;
/// and above which they treat the mail as spam.
const MANY_COMPLAINTS: f64 = 0.3;
/// Bounces in percent: above it Amazon SES looks at a sender.
const BOUNCES: f64 = 5.0;
/// Refusals because of the sender or the content, in percent. Nobody publishes a limit.
const BLOCKED: f64 = 1.0;
/// A few events in a few mails say nothing: fewer mails count as so many.
const LEAST: u64 = 1_000;

/// Mails, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Accepted by the next hop.
    pub accepted: u64,
    /// Refused or bounced for good, now or later.
    pub bounced: u64,
    /// Of those, or of those given up, because of the sender or the content: policy, spam, block
    /// lists.
    pub blocked: u64,
    /// Recipients who complained.
    pub complaints: u64,
}

impl Counts {
    /// Adds others.
    pub(crate) fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.bounced += other.bounced;
        self.blocked += other.blocked;
        self.complaints += other.complaints;
    }

    fn sent(&self) -> u64 {
        self.accepted + self.bounced
    }
}

/// Mails that have something in common, by [`WINDOWS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// What they have in common: `mails from \`x.example\``.
    pub name: String,
    /// The counts of each window.
    pub windows: [Counts; WINDOWS.len()],
}

/// What the groups say; the first is all of the sender's mail.
pub(crate) fn check(groups: &[Group]) -> Vec<Finding> {
    let Some(all) = groups.first() else { return Vec::new() };
    let [.., month] = all.windows;
    if month.sent() == 0 {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = groups.iter().flat_map(of_group).collect();
    if findings.is_empty() {
        let seen = format!(
            "of {} from `{}` in 30 days {} bounced and {} brought complaints",
            counted(month.sent(), "mail", "mails"),
            all.name,
            grouped(month.bounced),
            grouped(month.complaints)
        );
        findings.push(Finding::new(Id::Reputation, seen));
    }
    findings
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(LEAST) as f64
}

/// What is above a limit, each in the window in which it is worst.
fn of_group(group: &Group) -> Vec<Finding> {
    let worst = |part: fn(&Counts) -> u64, whole: fn(&Counts) -> u64| {
        let shares = WINDOWS
            .iter()
            .zip(&group.windows)
            .map(|(days, counts)| (percent(part(counts), whole(counts)), *days, part(counts), whole(counts)));
        shares.fold((0.0, 0, 0, 0), |worst, one| if one.0 > worst.0 { one } else { worst })
    };
    let seen = |(share, days, part, whole): (f64, u32, u64, u64), what: &str| {
        format!(
            "`{}`: {} {what} of {} in {}, {share:.2} %",
            group.name,
            grouped(part),
            counted(whole, "mail", "mails"),
            counted(u64::from(days), "day", "days")
        )
    };
    let mut findings = Vec::new();
    let complaints = worst(|counts| counts.complaints, |counts| counts.accepted);
    if complaints.0 > COMPLAINTS {
        let finding = Finding::new(Id::ReputationComplaints, seen(complaints, "complaints"));
        findings.push(finding.worse_if(complaints.0 > MANY_COMPLAINTS));
    }
    let bounces = worst(|counts| counts.bounced, Counts::sent);
    if bounces.0 > BOUNCES {
        findings.push(Finding::new(Id::ReputationBounces, seen(bounces, "bounces")));
    }
    let blocked = worst(|counts| counts.blocked, Counts::sent);
    if blocked.0 > BLOCKED {
        findings.push(Finding::new(Id::ReputationBlocked, seen(blocked, "refusals")));
    }
    findings
}

/// What providers say of the sender's addresses and domain: of each, what they said last. The
/// readings are in the order of days.
pub(crate) fn of_readings(readings: &[Reading]) -> Vec<Finding> {
    let last: BTreeMap<_, &Reading> =
        readings.iter().map(|reading| ((reading.observer, &reading.subject), reading)).collect();
    let mut findings: Vec<Finding> = last.values().filter_map(|reading| of_reading(reading)).collect();
    if findings.is_empty() && !last.is_empty() {
        let seen = format!(
            "nothing bad of {}",
            counted(last.len() as u64, "address or domain", "addresses and domains")
        );
        findings.push(Finding::new(Id::ReputationProviders, seen));
    }
    findings
}

/// What is bad in a reading, if anything is.
fn of_reading(reading: &Reading) -> Option<Finding> {
    let complaints = reading.complaints.map(|rate| rate.percent).filter(|percent| *percent > COMPLAINTS);
    let verdict = reading.verdict.filter(|verdict| !matches!(verdict, Verdict::Green | Verdict::High));
    let traps = reading.trap_hits.filter(|hits| *hits > 0);
    let parts = [
        verdict.map(|verdict| verdict.as_str().to_owned()),
        complaints.map(|percent| format!("{percent:.2} % complaints")),
        traps.map(|hits| format!("{} to spam traps", counted(hits, "message", "messages"))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return None;
    }
    let (subject, observer, day) = (&reading.subject, reading.observer.as_str(), reading.day);
    let seen = format!("`{subject}`: {} ({observer}, {day})", parts.join(", "));
    let is_worse = matches!(verdict, Some(Verdict::Red | Verdict::Low | Verdict::Bad))
        || complaints.is_some_and(|percent| percent > MANY_COMPLAINTS);
    Some(Finding::new(Id::ReputationVerdict, seen).worse_if(is_worse))
}

/// Who keeps the mailboxes of a domain.
pub(crate) fn provider(domain: &str) -> &str {
    let first = domain.split('.').next().unwrap_or_default();
    match (domain, first) {
        ("gmail.com" | "googlemail.com", _) => "google",
        ("outlook.com" | "msn.com", _) | (_, "hotmail" | "live" | "outlook") => "microsoft",
        ("ymail.com" | "rocketmail.com" | "aol.com", _) | (_, "yahoo") => "yahoo",
        ("icloud.com" | "me.com" | "mac.com", _) => "apple",
        ("web.de" | "mail.com", _) | (_, "gmx") => "gmx",
        _ => by_suffix_list(domain),
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::feedback::reputation::{ComplaintRate, Observer};
    use crate::preflight::Level;

    fn group(name: &str, windows: [(u64, u64, u64, u64); 3]) -> Group {
        let counts =
            |(accepted, bounced, blocked, complaints)| Counts { accepted, bounced, blocked, complaints };
        Group { name: name.to_owned(), windows: windows.map(counts) }
    }

    fn seen(groups: &[Group]) -> Vec<(Level, String)> {
        check(groups).into_iter().map(|finding| (finding.level, finding.seen)).collect()
    }

    #[test]
    fn rates_are_held_against_published_limits() {
        let quiet = (9_000, 100, 10, 9);
        let good = group("x.example", [(0, 0, 0, 0), (0, 0, 0, 0), quiet]);
        let text = "of 9,100 mails from `x.example` in 30 days 100 bounced and 9 brought complaints";
        assert_eq!(seen(std::slice::from_ref(&good)), [(Level::Ok, text.to_owned())]);
        // 0.2 % of a week, and less of the month; a provider above 0.3 %; a blocked address.
        let some = group("x.example", [(0, 0, 0, 0), (5_000, 0, 0, 10), (50_000, 0, 0, 10)]);
        let many = group("google", [(2_000, 0, 0, 7), (2_000, 0, 0, 7), (2_000, 0, 0, 7)]);
        let bad = group("192.0.2.1", [(900, 100, 20, 0), (9_000, 100, 20, 0), (9_000, 100, 20, 0)]);
        assert_eq!(
            seen(&[some, many, bad]),
            [
                (Level::Note, "`x.example`: 10 complaints of 5,000 mails in 7 days, 0.20 %".to_owned()),
                (Level::Warning, "`google`: 7 complaints of 2,000 mails in 1 day, 0.35 %".to_owned()),
                (Level::Warning, "`192.0.2.1`: 100 bounces of 1,000 mails in 1 day, 10.00 %".to_owned()),
                (Level::Warning, "`192.0.2.1`: 20 refusals of 1,000 mails in 1 day, 2.00 %".to_owned()),
            ]
        );
        // One complaint about ten mails is no rate.
        let few = group("x.example", [(10, 1, 1, 1), (10, 1, 1, 1), (10, 1, 1, 1)]);
        assert_eq!(seen(&[few])[0].0, Level::Ok);
        assert_eq!(seen(&[group("x.example", [(0, 0, 0, 0); 3])]), []);
        assert_eq!(seen(&[]), []);
    }

    #[test]
    fn the_last_word_of_a_provider_counts() {
        let reading = |subject: &str, day: u32, percent: f64, verdict: Verdict, trap_hits: u64| Reading {
            observer: Observer::Snds,
            subject: subject.parse().unwrap(),
            day: NaiveDate::from_ymd_opt(2026, 11, day).unwrap(),
            messages: None,
            complaints: Some(ComplaintRate { percent, is_less: percent == 0.1 }),
            verdict: Some(verdict),
            trap_hits: Some(trap_hits),
        };
        let seen = |readings: &[Reading]| -> Vec<(Level, String)> {
            of_readings(readings).into_iter().map(|finding| (finding.level, finding.seen)).collect()
        };
        let good = reading("192.0.2.1", 3, 0.1, Verdict::Green, 0);
        let bad = reading("192.0.2.1", 2, 0.4, Verdict::Red, 2);
        let ok = (Level::Ok, "nothing bad of 1 address or domain".to_owned());
        assert_eq!(seen(&[bad.clone(), good]), [ok]);
        let poor = reading("192.0.2.2", 2, 0.1, Verdict::Yellow, 0);
        assert_eq!(
            seen(&[bad, poor]),
            [
                (
                    Level::Warning,
                    "`192.0.2.1`: red, 0.40 % complaints, 2 messages to spam traps (snds, 2026-11-02)"
                        .to_owned()
                ),
                (Level::Note, "`192.0.2.2`: yellow (snds, 2026-11-02)".to_owned()),
            ]
        );
        assert_eq!(seen(&[]), []);
    }

    #[test]
    fn domains_of_one_provider_are_one() {
        for (domain, expected) in [
            ("googlemail.com", "google"),
            ("hotmail.co.uk", "microsoft"),
            ("yahoo.fr", "yahoo"),
            ("mail.shop.co.uk", "shop.co.uk"),
            ("notgmail.com", "notgmail.com"),
        ] {
            assert_eq!(provider(domain), expected, "{domain}");
        }
    }
}
