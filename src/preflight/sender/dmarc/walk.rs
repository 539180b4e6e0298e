//! The DNS tree walk of RFC 9989 §4.10, and the public suffix list that RFC 7489 used instead.
//!
//! The decisions are pure functions over the steps of a walk; only [`walk`] asks DNS.

use super::super::records::txt;
use super::record::{Psd, Record};
use crate::route::{DnsError, Resolver};

/// A longer name is cut to this many labels after its own query, so a walk has at most eight
/// queries (RFC 9989 §4.10).
const LABELS_AFTER_CUT: usize = 7;

/// The result of one query of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The domain; the query was for `_dmarc.` below it.
    pub domain: String,
    /// The number of DMARC records there.
    pub records: usize,
    /// The record, if there is exactly one.
    pub record: Option<Record>,
}

/// The domains that a walk from `domain` asks about, in order.
pub(crate) fn names(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let mut names = vec![domain.to_owned()];
    let next = if labels.len() > LABELS_AFTER_CUT { labels.len() - LABELS_AFTER_CUT } else { 1 };
    names.extend((next..labels.len()).map(|first| labels[first..].join(".")));
    names
}

/// Walks up from `domain` until a record ends the walk, or no label is left.
pub(crate) async fn walk(domain: &str, resolver: &Resolver) -> Result<Vec<Step>, DnsError> {
    let mut steps = Vec::new();
    for name in names(domain) {
        let found = txt(resolver, &format!("_dmarc.{name}")).await?;
        let mut records: Vec<Record> = found.iter().filter_map(|text| Record::parse(text)).collect();
        let count = records.len();
        let record = if count == 1 { records.pop() } else { None };
        let stop = record.as_ref().is_some_and(|record| record.psd != Psd::Unknown);
        steps.push(Step { domain: name, records: count, record });
        if stop {
            break;
        }
    }
    Ok(steps)
}

/// The organizational domain (RFC 9989 §4.10.2), from the steps of a walk, which start with the
/// domain itself. `None` without steps.
pub(crate) fn organizational(steps: &[Step]) -> Option<&str> {
    let start = steps.first()?;
    let found = || steps.iter().enumerate().filter_map(|(at, step)| Some((at, step, step.record.as_ref()?)));
    // From the longest name to the shortest.
    for (at, step, record) in found() {
        match record.psd {
            Psd::No => return Some(&step.domain),
            // One label below the public suffix.
            Psd::Yes if at > 0 => return Some(one_below(&start.domain, &step.domain)),
            Psd::Yes | Psd::Unknown => {}
        }
    }
    Some(found().next_back().map_or(&start.domain, |(_, step, _)| &step.domain))
}

/// The part of `domain` that has one label more than `suffix`.
fn one_below<'a>(domain: &'a str, suffix: &str) -> &'a str {
    let before = domain.strip_suffix(suffix).and_then(|before| before.strip_suffix('.')).unwrap_or("");
    match before.rfind('.') {
        Some(dot) => &domain[dot + 1..],
        None => domain,
    }
}

/// The record that applies to the author's domain, with the domain that has it (RFC 9989 §4.10.1):
/// its own, its organizational domain's, or its public suffix's.
pub(crate) fn applied(steps: &[Step]) -> Option<(&str, &Record)> {
    let at = |domain: &str| {
        let step = steps.iter().find(|step| step.domain == domain)?;
        Some((step.domain.as_str(), step.record.as_ref()?))
    };
    let psd = || {
        let step =
            steps.iter().find(|step| step.record.as_ref().is_some_and(|record| record.psd == Psd::Yes))?;
        Some((step.domain.as_str(), step.record.as_ref()?))
    };
    at(&steps.first()?.domain).or_else(|| at(organizational(steps)?)).or_else(psd)
}

/// The organizational domain by the public suffix list (RFC 7489 §3.2); the domain itself if it is
/// a suffix.
pub(crate) fn by_suffix_list(domain: &str) -> &str {
    psl2::lookup(domain).and_then(|name| name.registrable_domain()).unwrap_or(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9989 §4.10's own examples.
    #[test]
    fn the_names_that_are_asked() {
        assert_eq!(names("example.com"), ["example.com", "com"]);
        assert_eq!(
            names("a.mail.example.com"),
            ["a.mail.example.com", "mail.example.com", "example.com", "com"]
        );
        let long = "a.b.c.d.e.f.g.h.i.j.mail.example.com";
        let cut = [
            long,
            "g.h.i.j.mail.example.com",
            "h.i.j.mail.example.com",
            "i.j.mail.example.com",
            "j.mail.example.com",
            "mail.example.com",
            "example.com",
            "com",
        ];
        assert_eq!(names(long), cut);
        // Seven labels: none is left out. Eight: the first query, then seven labels.
        assert_eq!(names("a.b.c.d.e.example.com").len(), 7);
        assert_eq!(names("a.b.c.d.e.f.example.com").len(), 8);
        assert_eq!(names("a.b.c.d.e.f.g.example.com").len(), 8);
    }

    /// A walk over these domains, longest first; an empty text means no record.
    fn steps(found: &[(&str, &str)]) -> Vec<Step> {
        found
            .iter()
            .map(|(domain, text)| {
                let record = Record::parse(text);
                Step { domain: (*domain).into(), records: usize::from(record.is_some()), record }
            })
            .collect()
    }

    fn check(found: &[(&str, &str)], organizational_domain: &str, applied_at: Option<&str>) {
        let steps = steps(found);
        assert_eq!(organizational(&steps), Some(organizational_domain), "{found:?}");
        assert_eq!(applied(&steps).map(|(domain, _)| domain), applied_at, "{found:?}");
    }

    #[test]
    fn organizational_domains_and_the_record_that_applies() {
        const PLAIN: &str = "v=DMARC1; p=reject";
        const PSD: &str = "v=DMARC1; p=reject; psd=y";
        const ORG: &str = "v=DMARC1; p=reject; psd=n";
        // The simple case: only the domain below the suffix has a record.
        check(
            &[("mail.example.com", ""), ("example.com", PLAIN), ("com", "")],
            "example.com",
            Some("example.com"),
        );
        // Several records: the shortest name is the organization, the author's own record applies.
        let deep =
            [("a.mail.example.com", PLAIN), ("mail.example.com", PLAIN), ("example.com", PLAIN), ("com", "")];
        check(&deep, "example.com", Some("a.mail.example.com"));
        // An intermediate record is neither: the organization's applies.
        let between =
            [("a.mail.example.com", ""), ("mail.example.com", PLAIN), ("example.com", PLAIN), ("com", "")];
        check(&between, "example.com", Some("example.com"));
        // A public suffix with a record: the organization is one label below it.
        check(
            &[("mail.example.bank", ""), ("example.bank", ""), ("bank", PSD)],
            "example.bank",
            Some("bank"),
        );
        check(
            &[("mail.example.bank", ""), ("example.bank", PLAIN), ("bank", PSD)],
            "example.bank",
            Some("example.bank"),
        );
        check(&[("example.bank", ""), ("bank", PSD)], "example.bank", Some("bank"));
        // psd=n ends the walk at a delegated part of an organization.
        check(
            &[("a.mail.example.com", ""), ("mail.example.com", ORG)],
            "mail.example.com",
            Some("mail.example.com"),
        );
        // A public suffix that sends mail itself is its own organization.
        check(&[("bank", PSD)], "bank", Some("bank"));
        // No record at all.
        check(&[("mail.example.com", ""), ("example.com", ""), ("com", "")], "mail.example.com", None);
    }

    #[test]
    fn several_records_at_one_name_are_none() {
        let mut found = steps(&[("example.com", ""), ("com", "")]);
        found[0].records = 2;
        assert_eq!(applied(&found), None);
    }

    #[test]
    fn the_public_suffix_list() {
        for (domain, expected) in [
            ("mail.example.com", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("shop.github.io", "shop.github.io"),
            ("mail.harbourlane.example", "harbourlane.example"),
        ] {
            assert_eq!(by_suffix_list(domain), expected, "{domain}");
        }
    }
}
