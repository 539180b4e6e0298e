//! The result rows of a run, page after page.

use serde_json::{Value, json};

use super::error::JobError;
use super::workspace::Workspace;
use crate::mail::{Class, Disposition};
use crate::results::{Column, ResultFiles, ResultRow, Sought};
use crate::run_dir::StoredRun;

/// The columns of an answer.
const TOLD: [Column; 22] = [
    Column::Row,
    Column::SourceFile,
    Column::RecipientId,
    Column::Email,
    Column::Domain,
    Column::MessageId,
    Column::Disposition,
    Column::Class,
    Column::SmtpCode,
    Column::EnhancedStatus,
    Column::Reply,
    Column::RemoteHost,
    Column::Attempts,
    Column::FirstAttemptAt,
    Column::LastAttemptAt,
    Column::LatencyUs,
    Column::Bytes,
    Column::Detail,
    Column::IsTest,
    Column::DeliveredTo,
    Column::IsSeed,
    Column::Variant,
];

/// Some rows.
pub(crate) struct RowPage {
    /// The rows: an object with the columns of the results each.
    pub rows: Vec<Value>,
    /// The number of the row to go on with, from 0.
    pub next: u64,
    /// Whether there are more.
    pub has_more: bool,
}

impl Workspace {
    /// The result rows of a finished run from the row numbered `from` on, at most `most`; only
    /// those of this disposition and this class.
    pub(crate) fn row_page(
        &self,
        run: &StoredRun,
        disposition: Option<Disposition>,
        class: Option<Class>,
        from: u64,
        most: usize,
    ) -> Result<RowPage, JobError> {
        let files = ResultFiles::open(&run.dir().results())?;
        let sought = Sought { disposition, class, ..Sought::default() };
        let mut page = RowPage { rows: Vec::new(), next: from, has_more: false };
        files.find(&sought, &TOLD, from, &mut |number, row| {
            page.has_more = page.rows.len() == most;
            if !page.has_more {
                page.rows.push(shown(&row));
                page.next = number + 1;
            }
            !page.has_more
        })?;
        Ok(page)
    }
}

fn shown(row: &ResultRow<'_>) -> Value {
    json!({
        "row": row.row,
        "source_file": row.source_file,
        "recipient_id": row.recipient_id,
        "email": row.email,
        "domain": row.domain,
        "message_id": row.message_id,
        "disposition": row.disposition.as_str(),
        "class": row.class.map(Class::as_str),
        "smtp_code": row.smtp_code,
        "enhanced_status": row.enhanced_status.map(|status| status.to_string()),
        "reply": row.reply,
        "remote_host": row.remote_host,
        "attempts": row.attempts,
        "first_attempt_at": row.first_attempt_at.map(|at| at.to_string()),
        "last_attempt_at": row.last_attempt_at.map(|at| at.to_string()),
        "latency_us": row.latency_us,
        "bytes": row.bytes,
        "detail": row.detail,
        "is_test": row.is_test,
        "delivered_to": row.delivered_to,
        "is_seed": row.is_seed,
        "variant": row.variant,
    })
}
