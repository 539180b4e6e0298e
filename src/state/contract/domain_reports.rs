use std::sync::Arc;

use super::Fresh;
use crate::feedback::{
    DmarcReport, DmarcRow, DomainReports, Import, Kind, NewReport, Period, Policy, Record, Report, TlsReport,
    TlsRow, Undo,
};
use crate::mail::Timestamp;
use crate::suppression::testing::NOW;

fn row(source: &str, count: u64) -> DmarcRow {
    DmarcRow {
        source: source.parse().ok(),
        count,
        from: "news.x.example".into(),
        dkim_aligned: true,
        spf_aligned: false,
        dkim_domain: "x.example".into(),
        selector: "s1".into(),
        dkim_pass: true,
        spf_domain: "b.y.example".into(),
        spf_pass: false,
        forwarded: true,
        withheld: false,
    }
}

fn dmarc(domain: &str, id: &str, begin: u64, rows: Vec<DmarcRow>) -> Report {
    Report::Dmarc(DmarcReport {
        org: "Receiver \u{1b}".into(),
        report_id: id.into(),
        begin,
        end: begin + 86_400,
        domain: domain.into(),
        p: "none".into(),
        testing: true,
        hash: format!("{rows:?}"),
        rows,
        ..DmarcReport::default()
    })
}

fn keep(store: &dyn DomainReports, mail: &str, reports: &[&Report]) -> usize {
    let reports: Vec<_> = reports.iter().map(|report| NewReport { mail, report }).collect();
    store.keep(&reports).unwrap()
}

fn period(domain: &str, since: Option<i64>, until: Option<i64>) -> Period {
    let at = |seconds: i64| Timestamp(seconds * 1_000_000);
    Period { domain: domain.into(), since: since.map(at), until: until.map(at) }
}

/// The counts of the rows that are asked for, in order.
fn counts(store: &dyn DomainReports, period: &Period) -> Vec<u64> {
    let mut counts = Vec::new();
    store.each_dmarc(period, &mut |_, row| counts.push(row.count)).unwrap();
    counts.sort_unstable();
    counts
}

fn open(fresh: &Fresh) -> Arc<dyn DomainReports> {
    fresh.open().domain_reports().unwrap()
}

pub(super) fn a_report_is_read_again_as_it_was_kept(fresh: &Fresh) {
    let rows = vec![row("192.0.2.1", 7), row("2001:db8::1", 3), row("none", u64::MAX / 4)];
    assert_eq!(keep(&*open(fresh), "m1", &[&dmarc("x.example", "1", 100, rows.clone())]), 1);
    let mut found = Vec::new();
    open(fresh)
        .each_dmarc(&period("x.example", None, None), &mut |report, row| {
            let head = (report.org.as_str(), report.report_id.as_str(), report.begin, report.end);
            assert_eq!(head, ("Receiver \u{1b}", "1", 100, 86_500));
            assert_eq!(
                (report.domain.as_str(), report.p.as_str(), report.testing),
                ("x.example", "none", true)
            );
            found.push(row);
        })
        .unwrap();
    assert_eq!(found, rows);
}

pub(super) fn the_same_report_counts_once_and_ids_may_repeat(fresh: &Fresh) {
    let one = dmarc("x.example", "1", 100, vec![row("192.0.2.1", 1)]);
    let other_content = dmarc("x.example", "1", 100, vec![row("192.0.2.1", 2)]);
    let other_time = dmarc("x.example", "1", 200, vec![row("192.0.2.1", 1)]);
    let store = open(fresh);
    assert_eq!(keep(&*store, "m1", &[&one, &one]), 1);
    assert_eq!(keep(&*open(fresh), "m2", &[&one, &other_content, &other_time]), 2);
    assert_eq!(counts(&*store, &period("x.example", None, None)), [1, 1, 2]);
}

pub(super) fn reports_are_found_by_domain_and_time(fresh: &Fresh) {
    let store = open(fresh);
    let reports =
        [("x.example", 100, 1), ("news.x.example", 200, 2), ("xx.example", 200, 4), ("example", 200, 8)]
            .map(|(domain, begin, count)| dmarc(domain, "1", begin, vec![row("192.0.2.1", count)]));
    keep(&*store, "m1", &reports.iter().collect::<Vec<_>>());
    for (domain, since, until, expected) in [
        ("x.example", None, None, &[1, 2][..]),
        ("news.x.example", None, None, &[2]),
        ("x.example", Some(101), None, &[2]),
        ("x.example", Some(100), Some(200), &[1]),
        ("%.example", None, None, &[]),
    ] {
        assert_eq!(counts(&*store, &period(domain, since, until)), expected, "{domain} {since:?} {until:?}");
    }
}

pub(super) fn what_was_taken_back_counts_no_longer(fresh: &Fresh) {
    let state = fresh.open();
    let store = state.domain_reports().unwrap();
    for (mail, count) in [("m1", 1), ("m2", 2)] {
        keep(&*store, mail, &[&dmarc("x.example", mail, 100, vec![row("192.0.2.1", count)])]);
        let record = Record::of_mail(mail, Kind::DmarcAggregate, NOW);
        let mut import = Import { id: None, source: "test".into() };
        state.feedback().unwrap().append(&mut import, &[record], &Policy::default(), NOW).unwrap();
    }
    state.feedback().unwrap().undo(&Undo::Mail("m1".into()), &Policy::default(), NOW).unwrap();
    assert_eq!(counts(&*store, &period("x.example", None, None)), [2]);
}

pub(super) fn tls_reports_are_kept_by_policy(fresh: &Fresh) {
    let of = |domain: &str, ok| TlsRow { domain: domain.into(), policy: "sts".into(), ok, failed: 1 };
    let report = Report::Tls(TlsReport {
        org: "Receiver".into(),
        report_id: "1".into(),
        policies: 2,
        domains: vec![],
        ok: 0,
        failed: 0,
        begin: 100,
        end: 200,
        rows: vec![of("y.example", 5), of("mail.x.example", 7)],
        hash: "h".into(),
    });
    let store = open(fresh);
    assert_eq!([keep(&*store, "m1", &[&report]), keep(&*store, "m2", &[&report])], [1, 0]);
    let mut found = Vec::new();
    store
        .each_tls(&period("x.example", None, None), &mut |report, row| found.push((report.begin, row)))
        .unwrap();
    assert_eq!(found, [(100, of("mail.x.example", 7))]);
    assert_eq!(counts(&*store, &period("x.example", None, None)), [0; 0]);
}

pub(super) fn threads_that_keep_the_same_reports_count_each_once(fresh: &Fresh) {
    let new: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let store = open(fresh);
                scope.spawn(move || {
                    let report = |n: u64| dmarc("x.example", &n.to_string(), n, vec![row("192.0.2.1", n)]);
                    (0..20).map(|n| keep(&*store, "m", &[&report(n), &report(n + 1)])).sum::<usize>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(new, 21);
}
