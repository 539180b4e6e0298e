use super::known::{Shown, classify};
use super::policy::Stage;
use super::*;
use crate::campaign::Senders;
use crate::feedback::{DmarcRow, KeptReport};
use crate::mail::Timestamp;

const DAY: u64 = 86_400;
/// A Monday.
const MONDAY: u64 = 20_003 * DAY;

fn known(registry: &str) -> Known {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("senders.toml");
    std::fs::write(&path, registry).unwrap();
    Known::new(Some(&Senders::load(&path).unwrap()))
}

const REGISTRY: &str = r#"
    [[sender]]
    domain = "x.example"
    [[sender.dkim]]
    domain = "x.example"
    selector = "own1"
    key = "k.pem"
    [[platform]]
    name = "Letters"
    addresses = ["203.0.113.0/24"]
    selectors = ["let1"]
    [[platform]]
    name = "Shop"
    dkim-domains = ["shop.example"]
    [[platform]]
    name = "Office"
    own = true
    spf-domains = ["office.example"]
"#;

/// A row by words: the address, `dkim+DOMAIN/SELECTOR` (`+` right, `-` wrong), `spf+DOMAIN`
/// likewise, `forwarded`. What is of `x.example` and right is aligned.
fn row(words: &str) -> DmarcRow {
    let mut row = DmarcRow { count: 1, from: "x.example".into(), ..DmarcRow::default() };
    let is_own = |domain: &str| domain == "x.example" || domain.ends_with(".x.example");
    for word in words.split(' ') {
        if let Some(key) = word.strip_prefix("dkim") {
            let (domain, selector) = key[1..].split_once('/').unwrap();
            row.dkim_pass = key.starts_with('+');
            row.dkim_aligned = row.dkim_pass && is_own(domain);
            (row.dkim_domain, row.selector) = (domain.into(), selector.into());
        } else if let Some(domain) = word.strip_prefix("spf") {
            row.spf_pass = domain.starts_with('+');
            row.spf_aligned = row.spf_pass && is_own(&domain[1..]);
            row.spf_domain = domain[1..].into();
        } else if word == "forwarded" {
            row.forwarded = true;
        } else {
            row.source = Some(word.parse().unwrap());
        }
    }
    row
}

#[test]
fn mails_are_told_apart_by_what_receivers_checked() {
    let with = known(REGISTRY);
    let without = Known::default();
    // What the reports show of our own.
    let seen = ["192.0.2.1 dkim+x.example/s1 spf+b.x.example", "192.0.2.2 spf+x.example"];
    let check = |words: &str, known: &Known, class: Class, name: Option<&str>| {
        let mut shown = Shown::default();
        seen.iter().for_each(|seen| shown.add(&row(seen), known));
        assert_eq!(classify(&row(words), known, &shown), (class, name), "{words}");
    };
    use Class::{Forwarder, Hostile, Ours, Platform, Unknown};
    for (words, class) in [
        (seen[0], Ours),
        (seen[1], Ours),
        // Own servers that do something wrong.
        ("192.0.2.2 spf-y.example", Ours),
        // Passed on: our key, from elsewhere, with whatever return path.
        ("198.51.100.1 dkim+x.example/s1 spf-x.example", Forwarder),
        ("198.51.100.1 dkim+x.example/s1 spf+list.example", Forwarder),
        ("198.51.100.1 dkim-x.example/s1 spf+list.example", Forwarder),
        ("198.51.100.1 spf-x.example forwarded", Forwarder),
        // Somebody has a key that nobody has named.
        ("198.51.100.2 dkim+x.example/new spf+esp.example", Unknown),
        // Somebody who is not hiding.
        ("198.51.100.3 spf+esp.example", Unknown),
        ("198.51.100.3 dkim+esp.example/e spf-x.example", Unknown),
        // Nothing is right.
        ("198.51.100.4 spf-x.example", Hostile),
        ("198.51.100.4 dkim-x.example/made-up spf-x.example", Hostile),
        ("198.51.100.4", Hostile),
    ] {
        check(words, &without, class, None);
        check(words, &with, class, None);
    }
    for (words, class, name) in [
        ("203.0.113.9 dkim+x.example/let1 spf+bounces.letters.example", Platform, Some("Letters")),
        ("203.0.113.9 spf-x.example", Platform, Some("Letters")),
        ("198.51.100.5 dkim+x.example/let1 spf+list.example", Forwarder, Some("Letters")),
        // Of a platform that is known by its signature only.
        ("198.51.100.6 dkim+mail.shop.example/k spf+b.shop.example", Platform, Some("Shop")),
        ("198.51.100.6 dkim+mail.shop.example/k spf-b.shop.example", Forwarder, Some("Shop")),
        ("198.51.100.6 dkim-mail.shop.example/k spf-x.example", Hostile, None),
        ("198.51.100.7 spf+out.office.example", Ours, Some("Office")),
        ("198.51.100.7 spf-out.office.example", Hostile, None),
        ("198.51.100.7 spf+notoffice.example", Unknown, None),
        // A key of the registry that no report has shown yet.
        ("198.51.100.8 dkim+x.example/own1 spf-x.example", Forwarder, None),
    ] {
        check(words, &with, class, name);
    }
}

fn report(begin: u64, p: &str, testing: bool) -> KeptReport {
    let (org, domain) = ("Receiver".into(), "x.example".into());
    KeptReport { org, domain, report_id: begin.to_string(), begin, end: begin + DAY, p: p.into(), testing }
}

fn view(rows: &[(u64, u64, &str)], known: &Known) -> View {
    let mut all = Rows::new("x.example");
    for (begin, count, words) in rows {
        all.add(&report(*begin, "none", false), DmarcRow { count: *count, ..row(words) });
    }
    all.view(known)
}

#[test]
fn a_view_counts_by_source_and_week() {
    let rows = [
        (MONDAY, 10, "192.0.2.1 dkim+x.example/s1 spf+x.example"),
        (MONDAY, 5, "192.0.2.9 dkim+x.example/s1 spf+x.example"),
        (MONDAY - 1, 3, "198.51.100.4 spf-x.example"),
        (MONDAY + 15 * DAY, 1, "192.0.2.1 dkim-x.example/s1 spf+x.example"),
    ];
    let view = view(&rows, &Known::default());
    let counts = |week: &Week| (week.start.seconds() as u64, week.all.messages);
    let monday = |weeks: u64| MONDAY + weeks * 7 * DAY;
    assert_eq!(
        view.weeks.iter().map(counts).collect::<Vec<_>>(),
        [(monday(0) - 7 * DAY, 3), (monday(0), 15), (monday(1), 0), (monday(2), 1)]
    );
    let first = &view.sources[0];
    assert_eq!((first.network.as_str(), first.addresses, first.class), ("192.0.2.0/24", 2, Class::Ours));
    assert_eq!(first.all, Alignment { messages: 16, dkim_aligned: 15, spf_aligned: 16, dmarc_pass: 16 });
    assert_eq!(first.weeks.len(), 2);
    assert_eq!((view.sources[1].network.as_str(), view.sources[1].class), ("198.51.100.4", Class::Hostile));
    assert_eq!((view.reports, view.days, view.reporters[0].reports), (3, 3, 3));
    assert_eq!(view.own["own servers"].messages, 16);
}

#[test]
fn numbers_that_are_made_up_break_nothing() {
    let most = "192.0.2.1 dkim+x.example/s1";
    let view = view(&[(0, u64::MAX, most), (u64::MAX - DAY, u64::MAX, most)], &Known::default());
    assert_eq!((view.all.messages, view.weeks.len()), (u64::MAX, 106));
    assert!(serde_json::to_string(&view).is_ok());
}

/// A month of good reports, and what is added to it.
fn evidence(p: &str, testing: bool, since_days: u64, more: &[(u64, &str)]) -> View {
    let mut all = Rows::new("x.example");
    for day in 0..60 {
        let begin = MONDAY + day * DAY;
        let is_now = 60 - day <= since_days;
        let report = if is_now { report(begin, p, testing) } else { report(begin, "other", false) };
        all.add(&report, DmarcRow { count: 100, ..row("192.0.2.1 dkim+x.example/s1 spf+x.example") });
        for (count, words) in more {
            all.add(&report, DmarcRow { count: *count, ..row(words) });
        }
    }
    all.view(&Known::default())
}

fn advise(published: &str, view: &View, platforms: &[&str], pct: bool) -> Advice {
    let evidence = Evidence {
        all: view,
        month: view,
        week: view,
        platforms: platforms.iter().map(|name| (*name).to_owned()).collect(),
        now: Timestamp((MONDAY + 60 * DAY) as i64 * 1_000_000),
    };
    let texts: Vec<String> = (!published.is_empty()).then(|| published.to_owned()).into_iter().collect();
    let published = Published { at: (!texts.is_empty()).then(|| "x.example".into()), texts };
    advice("x.example", &published, &evidence, pct)
}

#[track_caller]
fn unmet(advice: &Advice) -> Vec<&'static str> {
    advice.needs.iter().filter(|need| !need.met).map(|need| need.id).collect()
}

#[test]
fn each_step_leads_to_the_next() {
    const RUA: &str = "rua=mailto:a@x.example";
    let strict = "sp=reject; np=reject";
    for (published, p, testing, days, record, next) in [
        ("p=none; rua=mailto:a@x.example", "none", false, 31, "p=quarantine; S; t=y; R", None),
        (
            "p=none; rua=mailto:a@x.example",
            "none",
            false,
            29,
            "p=none; S; R",
            Some("p=quarantine; S; t=y; R"),
        ),
        ("p=quarantine; t=y; R", "quarantine", true, 7, "p=quarantine; S; R", None),
        (
            "p=quarantine; t=y; R",
            "quarantine",
            true,
            6,
            "p=quarantine; S; t=y; R",
            Some("p=quarantine; S; R"),
        ),
        // Receivers that do not report `t` have seen the same step.
        ("p=quarantine; t=y; R", "quarantine", false, 8, "p=quarantine; S; R", None),
        ("p=quarantine; R", "quarantine", false, 30, "p=reject; S; t=y; R", None),
        ("p=quarantine; R", "quarantine", false, 20, "p=quarantine; S; R", Some("p=reject; S; t=y; R")),
        ("p=reject; t=y; R", "reject", true, 10, "p=reject; S; R", None),
        ("p=reject; R", "reject", false, 40, "p=reject; S; R", None),
    ] {
        let whole = |text: &str| format!("v=DMARC1; {}", text.replace('S', strict).replace('R', RUA));
        let advice = advise(&whole(published), &evidence(p, testing, days, &[]), &[], false);
        assert_eq!(advice.record, whole(record), "{published} {days}");
        assert_eq!(advice.next_record, next.map(whole), "{published} {days}");
        assert_eq!(unmet(&advice), if next.is_some() { vec!["time"] } else { vec![] }, "{published} {days}");
        assert!(!advice.step_back);
    }
}

#[test]
fn without_a_record_or_reports_these_come_first() {
    let view = Rows::new("x.example").view(&Known::default());
    let advice = advise("", &view, &[], false);
    assert_eq!((advice.stage, advice.ready), (Stage::NoRecord, true));
    assert_eq!(advice.record, "v=DMARC1; p=none; rua=mailto:dmarc@x.example");
    let advice = advise("v=DMARC1; p=none; pct=50; fo=1", &view, &[], false);
    assert_eq!((advice.stage, advice.next), (Stage::NoReports, Some(Stage::Monitoring)));
    assert_eq!(advice.record, "v=DMARC1; p=none; fo=1; rua=mailto:dmarc@x.example");
    // Nothing is known of what would be lost.
    let advice = advise("v=DMARC1; p=quarantine; rua=mailto:a@x.example", &view, &[], false);
    assert_eq!((advice.stage, advice.ready), (Stage::Quarantine, false));
    assert_eq!(unmet(&advice), ["time", "days-reported", "dkim-aligned"]);
}

#[test]
fn a_step_waits_for_platforms_signatures_and_names() {
    const NONE: &str = "v=DMARC1; p=none; rua=mailto:a@x.example";
    let check = |more: &[(u64, &str)], platforms: &[&str], expected: &[&str]| {
        let advice = advise(NONE, &evidence("none", false, 60, more), platforms, false);
        assert_eq!(unmet(&advice), expected, "{more:?}");
    };
    check(&[], &["Letters"], &["platforms-seen"]);
    // 3 of 103 are not signed, and pass by SPF alone.
    check(&[(3, "192.0.2.2 spf+x.example")], &[], &["dkim-aligned"]);
    check(&[(2, "192.0.2.2 spf+x.example")], &[], &[]);
    check(&[(2, "198.51.100.3 spf+esp.example")], &[], &["sources-known"]);
    // What others do, and what forwarders break, holds nothing up.
    check(
        &[(500, "198.51.100.4 spf-x.example"), (500, "198.51.100.1 dkim-x.example/s1 spf+l.example")],
        &[],
        &[],
    );
    check(&[(1, "192.0.2.1 spf-y.example")], &[], &["own-failures"]);
}

#[test]
fn own_failures_lead_a_step_back() {
    const REJECT: &str = "v=DMARC1; p=reject; rua=mailto:a@x.example";
    let broken = evidence("reject", false, 60, &[(1, "192.0.2.1 spf-y.example")]);
    let advice = advise(REJECT, &broken, &[], false);
    assert!(advice.step_back && advice.ready);
    assert_eq!(advice.record, "v=DMARC1; p=reject; sp=reject; np=reject; t=y; rua=mailto:a@x.example");
    // For those that only know RFC 7489, and only where it is asked for.
    let advice = advise(REJECT, &broken, &[], true);
    assert!(advice.record.contains("; t=y; pct=0; "), "{}", advice.record);
    let forwarded = evidence("reject", false, 60, &[(50, "198.51.100.1 dkim-x.example/s1 spf+l.example")]);
    assert!(!advise(REJECT, &forwarded, &[], false).step_back);
}
