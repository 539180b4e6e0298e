//! The columns of the results: their names, types and meaning. The version stands in each file's metadata.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// Raised when a column goes, changes its type or changes its meaning; a new column at the end leaves it.
pub const SCHEMA_VERSION: u32 = 1;
/// The metadata key of [`SCHEMA_VERSION`].
pub(super) const VERSION_KEY: &str = "mailrun.schema";
/// The metadata key of the run's id.
pub(super) const RUN_KEY: &str = "mailrun.run";

/// A column of the results, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Number of the row in its file, from 1.
    Row,
    /// The file, as shown.
    SourceFile,
    /// From the id column.
    RecipientId,
    /// The address as given; null where the row could not be read.
    Email,
    /// The address's domain in A-labels.
    Domain,
    /// Of the last attempt, without angle brackets.
    MessageId,
    /// What became of the row.
    Disposition,
    /// Why, from the last reply or the lack of one.
    Class,
    /// The last reply's code.
    SmtpCode,
    /// The last reply's enhanced status, as `5.1.1`.
    EnhancedStatus,
    /// The last reply's text.
    Reply,
    /// The next hop of the last attempt.
    RemoteHost,
    /// Its address.
    RemoteIp,
    /// The address that it was sent from.
    LocalIp,
    /// Protocol and cipher suite; null in clear.
    Tls,
    /// Transmissions; each counts against the capacity.
    Attempts,
    /// When the first of them started.
    FirstAttemptAt,
    /// When the last of them started.
    LastAttemptAt,
    /// Duration of the last one, from its start to the last reply.
    LatencyUs,
    /// The message's size.
    Bytes,
    /// The start of the five minutes of `last_attempt_at`.
    Slot,
    /// The reason where no reply tells it.
    Detail,
    /// When each of the transmissions started: what an audit of the capacity counts.
    AttemptsAt,
    /// The reply that tells what became of the archive's copy, as `250 2.0.0 queued`; null without one.
    Archive,
}

impl Column {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 24] = [
        Self::Row,
        Self::SourceFile,
        Self::RecipientId,
        Self::Email,
        Self::Domain,
        Self::MessageId,
        Self::Disposition,
        Self::Class,
        Self::SmtpCode,
        Self::EnhancedStatus,
        Self::Reply,
        Self::RemoteHost,
        Self::RemoteIp,
        Self::LocalIp,
        Self::Tls,
        Self::Attempts,
        Self::FirstAttemptAt,
        Self::LastAttemptAt,
        Self::LatencyUs,
        Self::Bytes,
        Self::Slot,
        Self::Detail,
        Self::AttemptsAt,
        Self::Archive,
    ];

    /// The column's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::SourceFile => "source_file",
            Self::RecipientId => "recipient_id",
            Self::Email => "email",
            Self::Domain => "domain",
            Self::MessageId => "message_id",
            Self::Disposition => "disposition",
            Self::Class => "class",
            Self::SmtpCode => "smtp_code",
            Self::EnhancedStatus => "enhanced_status",
            Self::Reply => "reply",
            Self::RemoteHost => "remote_host",
            Self::RemoteIp => "remote_ip",
            Self::LocalIp => "local_ip",
            Self::Tls => "tls",
            Self::Attempts => "attempts",
            Self::FirstAttemptAt => "first_attempt_at",
            Self::LastAttemptAt => "last_attempt_at",
            Self::LatencyUs => "latency_us",
            Self::Bytes => "bytes",
            Self::Slot => "slot",
            Self::Detail => "detail",
            Self::AttemptsAt => "attempts_at",
            Self::Archive => "archive",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Row | Self::LatencyUs => DataType::UInt64,
            Self::SourceFile
            | Self::RecipientId
            | Self::Email
            | Self::Domain
            | Self::MessageId
            | Self::Disposition
            | Self::Class
            | Self::EnhancedStatus
            | Self::Reply
            | Self::RemoteHost
            | Self::RemoteIp
            | Self::LocalIp
            | Self::Tls
            | Self::Detail
            | Self::Archive => DataType::Utf8,
            Self::SmtpCode => DataType::Int16,
            Self::Attempts => DataType::UInt16,
            Self::Bytes => DataType::UInt32,
            Self::FirstAttemptAt | Self::LastAttemptAt | Self::Slot => moment(),
            Self::AttemptsAt => DataType::List(Arc::new(Field::new_list_field(moment(), false))),
        }
    }

    /// The columns that no row leaves empty.
    fn nullable(self) -> bool {
        !matches!(self, Self::Row | Self::SourceFile | Self::Disposition | Self::Attempts | Self::AttemptsAt)
    }

    /// True for columns whose values are nearly all different: a Parquet dictionary of them is built for nothing.
    pub(super) fn is_distinct(self) -> bool {
        matches!(
            self,
            Self::Row
                | Self::RecipientId
                | Self::Email
                | Self::MessageId
                | Self::Reply
                | Self::FirstAttemptAt
                | Self::LastAttemptAt
                | Self::LatencyUs
                | Self::AttemptsAt
                | Self::Archive
        )
    }

    /// The columns that files of this version from before them do without.
    pub(super) fn is_late(self) -> bool {
        matches!(self, Self::Archive)
    }

    pub(super) fn field(self) -> Field {
        Field::new(self.name(), self.data_type(), self.nullable())
    }
}

/// A moment in UTC, in microseconds.
pub(super) fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// All columns.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(Column::ALL.map(Column::field).to_vec()))
}
