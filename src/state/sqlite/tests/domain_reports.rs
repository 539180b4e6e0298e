use crate::feedback::{DomainReports, Period};
use crate::state::sqlite::domain_reports::SqliteDomainReports;
use crate::state::sqlite::feedback::SqliteFeedback;
use crate::state::sqlite::file;

#[test]
fn a_state_of_an_earlier_version_gets_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    // Version 0.1.0 had the log of feedback at most.
    drop(SqliteFeedback::open(&path).unwrap());
    let reports = SqliteDomainReports::open(&path).unwrap();
    let period = Period { domain: "x.example".into(), since: None, until: None };
    reports.each_dmarc(&period, &mut |_, _| panic!("there is none")).unwrap();
    assert_eq!(reports.keep(&[]).unwrap(), 0);
}

#[test]
fn newer_tables_are_refused_with_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(SqliteDomainReports::open(&path).unwrap());
    file::open(&path).unwrap().execute("UPDATE domain_report_meta SET version = 7", []).unwrap();
    let error = SqliteDomainReports::open(&path).unwrap_err();
    assert!(error.to_string().contains("format 7 of the reports about domains"), "{error}");
}
