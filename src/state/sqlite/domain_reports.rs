//! The reports about domains as tables of the state database.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use super::error::{self, STATE};
use super::tables::Versioned;
use super::{feedback, file, suppressions};
use crate::feedback::domain_reports::key;
use crate::feedback::{DmarcRow, DomainReports, KeptReport, NewReport, Period, Report, TlsRow};
use crate::kit::store::{Store, StoreError};

/// The format of the tables below.
const FORMAT: i64 = 1;

/// Times are seconds since 1970. `mail` is the hash of the mail that brought a report, `hash` that
/// of the report. Rows lie in the order of their reports. `flags` are those of [`flags`].
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS domain_report_meta (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS domain_report (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        kind      TEXT NOT NULL,
        org       TEXT NOT NULL,
        domain    TEXT NOT NULL,
        report_id TEXT NOT NULL,
        begins    INTEGER NOT NULL,
        ends      INTEGER NOT NULL,
        hash      TEXT NOT NULL,
        p         TEXT NOT NULL,
        testing   INTEGER NOT NULL,
        mail      TEXT NOT NULL,
        UNIQUE (domain, begins, ends, org, report_id, hash)
    );
    CREATE TABLE IF NOT EXISTS dmarc_row (
        report      INTEGER NOT NULL,
        number      INTEGER NOT NULL,
        source      TEXT,
        count       INTEGER NOT NULL,
        from_domain TEXT NOT NULL,
        dkim_domain TEXT NOT NULL,
        selector    TEXT NOT NULL,
        spf_domain  TEXT NOT NULL,
        flags       INTEGER NOT NULL,
        PRIMARY KEY (report, number)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tls_row (
        report INTEGER NOT NULL,
        number INTEGER NOT NULL,
        domain TEXT NOT NULL,
        policy TEXT NOT NULL,
        ok     INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        PRIMARY KEY (report, number)
    ) WITHOUT ROWID;
";

/// The tables above.
const TABLES: Versioned = Versioned {
    part: "the reports about domains",
    action: "create the tables of reports about domains in",
    meta: "domain_report_meta",
    format: FORMAT,
    schema: SCHEMA,
    first: "INSERT OR IGNORE INTO domain_report_meta VALUES (1, ?1)",
    complete: &[],
};

/// The reports in one state database. Their users share one connection.
#[derive(Debug)]
pub(super) struct SqliteDomainReports {
    db: Mutex<Connection>,
    store: Store,
}

impl SqliteDomainReports {
    /// Opens the reports in the state database at `path`; creates the database where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut db = file::open(path)?;
        let store = error::store(&STATE, path);
        // The log of feedback knows what was taken back.
        suppressions::TABLES.prepare(&mut db, &store)?;
        feedback::TABLES.prepare(&mut db, &store)?;
        TABLES.prepare(&mut db, &store)?;
        Ok(Self { db: Mutex::new(db), store })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in between rolls its transaction back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the rows of a table that `which` selects by its report, with [`REPORT`] in front.
    fn each(
        &self,
        select: &str,
        period: &Period,
        mut visit: impl FnMut(&KeptReport, &Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let (since, until) = period.seconds();
        let mut read = || {
            let db = self.lock();
            let mut select = db.prepare_cached(select)?;
            let mut rows = select.query(params![since, until, period.domain])?;
            let mut kept: Option<(i64, KeptReport)> = None;
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                let report = match kept.take() {
                    Some((of, report)) if of == id => report,
                    Some(_) | None => report(row)?,
                };
                visit(&report, row)?;
                kept = Some((id, report));
            }
            Ok(())
        };
        read().map_err(|error| error::sqlite(&self.store, "read reports about domains from", error))
    }
}

/// What [`report`] takes, before the columns of a row.
const REPORT: &str = "r.id, r.org, r.domain, r.report_id, r.begins, r.ends, r.p, r.testing";
/// Within the time, and not taken back.
const COUNTS: &str = "r.begins >= ?1 AND r.begins < ?2
    AND NOT EXISTS (SELECT 1 FROM feedback f WHERE f.mail = r.mail AND f.undone_at IS NOT NULL)";

/// The domain `name`, or one below it.
fn covers(name: &str) -> String {
    format!("({name} = ?3 OR substr({name}, -length(?3) - 1) = '.' || ?3)")
}

impl DomainReports for SqliteDomainReports {
    fn keep(&self, reports: &[NewReport<'_>]) -> Result<usize, StoreError> {
        let failed = |error| error::sqlite(&self.store, "keep reports about domains in", error);
        let mut db = self.lock();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let mut new = 0;
        for report in reports {
            new += usize::from(add(&transaction, report).map_err(failed)?);
        }
        transaction.commit().map_err(failed)?;
        Ok(new)
    }

    fn each_dmarc(
        &self,
        period: &Period,
        visit: &mut dyn FnMut(&KeptReport, DmarcRow),
    ) -> Result<(), StoreError> {
        let select = format!(
            "SELECT {REPORT}, d.source, d.count, d.from_domain, d.dkim_domain, d.selector, d.spf_domain, d.flags
             FROM domain_report r JOIN dmarc_row d ON d.report = r.id
             WHERE {} AND {COUNTS} ORDER BY d.report, d.number",
            covers("r.domain")
        );
        self.each(&select, period, |report, row| {
            visit(report, dmarc_row(row)?);
            Ok(())
        })
    }

    fn each_tls(
        &self,
        period: &Period,
        visit: &mut dyn FnMut(&KeptReport, TlsRow),
    ) -> Result<(), StoreError> {
        let select = format!(
            "SELECT {REPORT}, t.domain, t.policy, t.ok, t.failed
             FROM domain_report r JOIN tls_row t ON t.report = r.id
             WHERE {} AND {COUNTS} ORDER BY t.report, t.number",
            covers("t.domain")
        );
        self.each(&select, period, |report, row| {
            let (ok, failed) = (unsigned(row.get(10)?), unsigned(row.get(11)?));
            visit(report, TlsRow { domain: row.get(8)?, policy: row.get(9)?, ok, failed });
            Ok(())
        })
    }
}

/// A number as SQLite has it: what is beyond its range is the largest.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    number.max(0).cast_unsigned()
}

/// Keeps a report. False where it is kept already.
fn add(db: &Transaction<'_>, new: &NewReport<'_>) -> rusqlite::Result<bool> {
    let (org, domain, report_id, begin, end, hash) = key(new.report);
    let (kind, p, testing) = match new.report {
        Report::Dmarc(report) => ("dmarc", report.p.as_str(), report.testing),
        Report::Tls(_) => ("tls", "", false),
    };
    let insert = "INSERT OR IGNORE INTO domain_report
                      (kind, org, domain, report_id, begins, ends, hash, p, testing, mail)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let added = db.prepare_cached(insert)?.execute(params![
        kind,
        org,
        domain,
        report_id,
        signed(begin),
        signed(end),
        hash,
        p,
        testing,
        new.mail
    ])?;
    if added == 0 {
        return Ok(false);
    }
    let id = db.last_insert_rowid();
    match new.report {
        Report::Dmarc(report) => {
            let mut insert =
                db.prepare_cached("INSERT INTO dmarc_row VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
            for (number, row) in (0_i64..).zip(&report.rows) {
                insert.execute(params![
                    id,
                    number,
                    row.source.map(|source| source.to_string()),
                    signed(row.count),
                    row.from,
                    row.dkim_domain,
                    row.selector,
                    row.spf_domain,
                    flags(row),
                ])?;
            }
        }
        Report::Tls(report) => {
            let mut insert = db.prepare_cached("INSERT INTO tls_row VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for (number, row) in (0_i64..).zip(&report.rows) {
                insert.execute(params![
                    id,
                    number,
                    row.domain,
                    row.policy,
                    signed(row.ok),
                    signed(row.failed)
                ])?;
            }
        }
    }
    Ok(true)
}

/// What is true of a row, a bit each.
fn flags(row: &DmarcRow) -> i64 {
    let bits = [row.dkim_aligned, row.spf_aligned, row.dkim_pass, row.spf_pass, row.forwarded, row.withheld];
    bits.iter().enumerate().map(|(bit, is_set)| i64::from(*is_set) << bit).sum()
}

/// The report of a row that begins with [`REPORT`].
fn report(row: &Row<'_>) -> rusqlite::Result<KeptReport> {
    Ok(KeptReport {
        org: row.get(1)?,
        domain: row.get(2)?,
        report_id: row.get(3)?,
        begin: unsigned(row.get(4)?),
        end: unsigned(row.get(5)?),
        p: row.get(6)?,
        testing: row.get(7)?,
    })
}

fn dmarc_row(row: &Row<'_>) -> rusqlite::Result<DmarcRow> {
    let flags: i64 = row.get(14)?;
    let is_set = |bit: u32| flags >> bit & 1 == 1;
    let source: Option<String> = row.get(8)?;
    Ok(DmarcRow {
        source: source.and_then(|source| source.parse::<IpAddr>().ok()),
        count: unsigned(row.get(9)?),
        from: row.get(10)?,
        dkim_domain: row.get(11)?,
        selector: row.get(12)?,
        spf_domain: row.get(13)?,
        dkim_aligned: is_set(0),
        spf_aligned: is_set(1),
        dkim_pass: is_set(2),
        spf_pass: is_set(3),
        forwarded: is_set(4),
        withheld: is_set(5),
    })
}
