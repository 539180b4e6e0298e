//! Result rows to record batches.

use std::fmt::{Display, Write};
use std::sync::Arc;

use arrow_array::builder::{
    Int16Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder, UInt16Builder, UInt32Builder,
    UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, SchemaRef};

use super::row::ResultRow;
use super::schema::{self, Column, moment};
use crate::mail::Timestamp;

/// Rows of one batch.
pub(super) const BATCH_ROWS: usize = 8_192;

/// The columns of a batch that is being filled.
pub(super) struct Batch {
    schema: SchemaRef,
    row: UInt64Builder,
    source_file: StringBuilder,
    recipient_id: StringBuilder,
    email: StringBuilder,
    domain: StringBuilder,
    message_id: StringBuilder,
    disposition: StringBuilder,
    class: StringBuilder,
    smtp_code: Int16Builder,
    enhanced_status: StringBuilder,
    reply: StringBuilder,
    remote_host: StringBuilder,
    remote_ip: StringBuilder,
    local_ip: StringBuilder,
    tls: StringBuilder,
    attempts: UInt16Builder,
    first_attempt_at: TimestampMicrosecondBuilder,
    last_attempt_at: TimestampMicrosecondBuilder,
    latency_us: UInt64Builder,
    bytes: UInt32Builder,
    slot: TimestampMicrosecondBuilder,
    detail: StringBuilder,
    attempts_at: ListBuilder<TimestampMicrosecondBuilder>,
    archive: StringBuilder,
    rows: usize,
}

impl Batch {
    pub fn new() -> Self {
        let text = |bytes: usize| StringBuilder::with_capacity(BATCH_ROWS, BATCH_ROWS * bytes);
        let moments = || TimestampMicrosecondBuilder::with_capacity(BATCH_ROWS).with_data_type(moment());
        Self {
            schema: schema::schema(),
            row: UInt64Builder::with_capacity(BATCH_ROWS),
            source_file: text(24),
            recipient_id: text(12),
            email: text(24),
            domain: text(16),
            message_id: text(56),
            disposition: text(8),
            class: text(4),
            smtp_code: Int16Builder::with_capacity(BATCH_ROWS),
            enhanced_status: text(5),
            reply: text(48),
            remote_host: text(24),
            remote_ip: text(14),
            local_ip: text(14),
            tls: text(24),
            attempts: UInt16Builder::with_capacity(BATCH_ROWS),
            first_attempt_at: moments(),
            last_attempt_at: moments(),
            latency_us: UInt64Builder::with_capacity(BATCH_ROWS),
            bytes: UInt32Builder::with_capacity(BATCH_ROWS),
            slot: moments(),
            detail: text(4),
            attempts_at: ListBuilder::with_capacity(moments(), BATCH_ROWS)
                .with_field(Arc::new(Field::new_list_field(moment(), false))),
            archive: text(4),
            rows: 0,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn push(&mut self, row: &ResultRow<'_>) {
        let micros = |at: Option<Timestamp>| at.map(|at| at.0);
        self.row.append_value(row.row);
        self.source_file.append_value(&row.source_file);
        self.recipient_id.append_option(row.recipient_id.as_deref());
        self.email.append_option(row.email.as_deref());
        self.domain.append_option(row.domain.as_deref());
        self.message_id.append_option(row.message_id.as_deref());
        self.disposition.append_value(row.disposition.as_str());
        self.class.append_option(row.class.map(|class| class.as_str()));
        // A reply's code is 200 to 599.
        self.smtp_code.append_option(row.smtp_code.and_then(|code| i16::try_from(code).ok()));
        append_shown(&mut self.enhanced_status, row.enhanced_status);
        self.reply.append_option(row.reply.as_deref());
        self.remote_host.append_option(row.remote_host.as_deref());
        append_shown(&mut self.remote_ip, row.remote_ip);
        append_shown(&mut self.local_ip, row.local_ip);
        self.tls.append_option(row.tls.as_deref());
        self.attempts.append_value(row.attempts);
        self.first_attempt_at.append_option(micros(row.first_attempt_at));
        self.last_attempt_at.append_option(micros(row.last_attempt_at));
        self.latency_us.append_option(row.latency_us);
        self.bytes.append_option(row.bytes);
        self.slot.append_option(micros(row.slot));
        self.detail.append_option(row.detail.as_deref());
        for at in &row.attempts_at {
            self.attempts_at.values().append_value(at.0);
        }
        self.attempts_at.append(true);
        self.archive.append_option(row.archive.as_deref());
        self.rows += 1;
    }

    /// The rows so far; the batch is empty afterwards.
    pub fn take(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns = Column::ALL.map(|column| self.finish(column)).to_vec();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("every column has its declared type and gets one value a row")
    }

    fn finish(&mut self, column: Column) -> ArrayRef {
        match column {
            Column::Row => Arc::new(self.row.finish()),
            Column::SourceFile => Arc::new(self.source_file.finish()),
            Column::RecipientId => Arc::new(self.recipient_id.finish()),
            Column::Email => Arc::new(self.email.finish()),
            Column::Domain => Arc::new(self.domain.finish()),
            Column::MessageId => Arc::new(self.message_id.finish()),
            Column::Disposition => Arc::new(self.disposition.finish()),
            Column::Class => Arc::new(self.class.finish()),
            Column::SmtpCode => Arc::new(self.smtp_code.finish()),
            Column::EnhancedStatus => Arc::new(self.enhanced_status.finish()),
            Column::Reply => Arc::new(self.reply.finish()),
            Column::RemoteHost => Arc::new(self.remote_host.finish()),
            Column::RemoteIp => Arc::new(self.remote_ip.finish()),
            Column::LocalIp => Arc::new(self.local_ip.finish()),
            Column::Tls => Arc::new(self.tls.finish()),
            Column::Attempts => Arc::new(self.attempts.finish()),
            Column::FirstAttemptAt => Arc::new(self.first_attempt_at.finish()),
            Column::LastAttemptAt => Arc::new(self.last_attempt_at.finish()),
            Column::LatencyUs => Arc::new(self.latency_us.finish()),
            Column::Bytes => Arc::new(self.bytes.finish()),
            Column::Slot => Arc::new(self.slot.finish()),
            Column::Detail => Arc::new(self.detail.finish()),
            Column::AttemptsAt => Arc::new(self.attempts_at.finish()),
            Column::Archive => Arc::new(self.archive.finish()),
        }
    }
}

/// Writes a value as text straight into the column.
fn append_shown(column: &mut StringBuilder, value: Option<impl Display>) {
    match value {
        Some(value) => {
            write!(column, "{value}").expect("writing to memory does not fail");
            column.append_value("");
        }
        None => column.append_null(),
    }
}
