//! The columns of the results. To add one, add a line at the end of this list, fill its field in
//! `merge.rs`, and describe it in `docs/results.md`.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::cell::Cell;
use super::declare::{PLAIN, Storage, columns, text};
use crate::mail::{Class, Disposition, EnhancedStatus, Timestamp};

/// The newest version of the schema. Raised when a column is removed or changes its type or
/// meaning, but not for a new column at the end. In version 2, `recipient_id` has the type that the
/// target group gives it; files whose ids are texts are of version 1.
pub const SCHEMA_VERSION: u32 = 2;
/// The version of files whose ids are texts.
const TEXT_IDS: u32 = 1;
/// The metadata key of [`SCHEMA_VERSION`].
pub(super) const VERSION_KEY: &str = "mailrun.schema";
/// The metadata key of the run's id.
pub(super) const RUN_KEY: &str = "mailrun.run";

columns! { <'a>
    /// Number of the row in its file, from 1.
    Row, row: u64, PLAIN.distinct();
    /// The file, as shown.
    SourceFile, source_file: Cow<'a, str>, text(24);
    /// From the id column.
    RecipientId, recipient_id: Option<Cow<'a, str>>, text(12).distinct();
    /// The address as given; null where the row could not be read.
    Email, email: Option<Cow<'a, str>>, text(24).distinct();
    /// The address's domain in A-labels.
    Domain, domain: Option<Cow<'a, str>>, text(16);
    /// The `Message-ID` of the last attempt, without angle brackets.
    MessageId, message_id: Option<Cow<'a, str>>, text(56).distinct();
    /// What became of the row.
    Disposition, disposition: Disposition, text(8);
    /// Why, from the last reply or the lack of one.
    Class, class: Option<Class>, text(4);
    /// The last reply's code (RFC 5321 §4.2).
    SmtpCode, smtp_code: Option<u16>, PLAIN;
    /// The last reply's enhanced status, as `5.1.1` (RFC 3463).
    EnhancedStatus, enhanced_status: Option<EnhancedStatus>, text(5);
    /// The last reply's text.
    Reply, reply: Option<Cow<'a, str>>, text(48).distinct();
    /// The next hop of the last attempt.
    RemoteHost, remote_host: Option<Cow<'a, str>>, text(24);
    /// The next hop's IP address.
    RemoteIp, remote_ip: Option<IpAddr>, text(14);
    /// The IP address that the message was sent from.
    LocalIp, local_ip: Option<IpAddr>, text(14);
    /// Protocol and cipher suite; null for a connection in clear text.
    Tls, tls: Option<Cow<'a, str>>, text(24);
    /// Transmissions; each counts against the capacity.
    Attempts, attempts: u16, PLAIN;
    /// When the first transmission started.
    FirstAttemptAt, first_attempt_at: Option<Timestamp>, PLAIN.distinct();
    /// When the last transmission started.
    LastAttemptAt, last_attempt_at: Option<Timestamp>, PLAIN.distinct();
    /// Duration of the last transmission in microseconds, from its start to the last reply.
    LatencyUs, latency_us: Option<u64>, PLAIN.distinct();
    /// The message's size.
    Bytes, bytes: Option<u32>, PLAIN;
    /// The start of the five minutes of `last_attempt_at`.
    Slot, slot: Option<Timestamp>, PLAIN;
    /// The reason where no reply gives one.
    Detail, detail: Option<Cow<'a, str>>, text(4);
    /// When each transmission started: an audit of the capacity counts these.
    AttemptsAt, attempts_at: Vec<Timestamp>, PLAIN.distinct();
    /// The reply to the archive's copy, as `250 2.0.0 queued`; null without a copy.
    Archive, archive: Option<Cow<'a, str>>, text(4).distinct().late();
    /// Whether the row belongs to a test (`--to`) or a rehearsal: its own recipient got nothing.
    IsTest, is_test: bool, PLAIN.late();
    /// Where the message of a test went instead: an address, or `sandbox`; null for real mail.
    DeliveredTo, delivered_to: Option<Cow<'a, str>>, text(4).late();
    /// Whether the row is a copy for a seed address, and no row of the target group.
    IsSeed, is_seed: bool, PLAIN.late();
    /// The variant of the letter that the row gets; null where the campaign has none.
    Variant, variant: Option<Cow<'a, str>>, text(4).late();
    /// When the archive's copy was sent again: an audit of the capacity counts these too. Rows that
    /// shared a message have one copy, which is in the first that was
    /// accepted.
    ArchiveAttemptsAt, archive_attempts_at: Vec<Timestamp>, PLAIN.late();
    /// What became of the mail with the password of secure documents; null without one.
    PasswordDisposition, password_disposition: Option<Disposition>, text(4).late();
    /// The last reply to that mail, as `250 2.0.0 queued`, or why there is none.
    PasswordReply, password_reply: Option<Cow<'a, str>>, text(4).distinct().late();
    /// When each transmission of that mail started: they count against the capacity too.
    PasswordAttemptsAt, password_attempts_at: Vec<Timestamp>, PLAIN.distinct().late();
    /// The size of that mail.
    PasswordBytes, password_bytes: Option<u32>, PLAIN.late();
    /// The address as it is compared, in lower case and with its domain in A-labels, where `email`
    /// has it in another way; else null.
    EmailFolded, email_folded: Option<Cow<'a, str>>, text(4).distinct().late();
}

impl Column {
    /// What tells when messages were sent, and what each counts as.
    pub(crate) const OF_TRANSMISSIONS: [Self; 5] = [
        Self::AttemptsAt,
        Self::ArchiveAttemptsAt,
        Self::PasswordAttemptsAt,
        Self::Bytes,
        Self::PasswordBytes,
    ];

    /// What rows are looked up by: each row group has a bloom filter of these.
    pub(super) const LOOKED_UP: [Self; 3] = [Self::MessageId, Self::Email, Self::EmailFolded];
}

/// The columns of a file whose ids have the type `ids`, and the columns that are passed through.
pub(super) fn schema(ids: &DataType, passed: &[FieldRef]) -> SchemaRef {
    let field = |column: Column| {
        let field = column.field();
        Arc::new(if column == Column::RecipientId { field.with_data_type(ids.clone()) } else { field })
    };
    Arc::new(Schema::new(
        Column::ALL.into_iter().map(field).chain(passed.iter().cloned()).collect::<Vec<_>>(),
    ))
}

/// The version of a file whose ids have the type `ids`.
pub(super) fn version(ids: &DataType) -> u32 {
    if *ids == DataType::Utf8 { TEXT_IDS } else { SCHEMA_VERSION }
}
