//! The totals of a sandbox.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of the totals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that were opened.
    pub connections: u64,
    /// Of these, still open.
    pub open: u64,
    /// TLS handshakes that succeeded.
    pub tls: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Messages accepted and answered 2xx.
    pub accepted: u64,
    /// Recipients of the accepted messages, answered or not; a message to three counts as three.
    pub recipients: u64,
    /// Messages accepted whose reply was withheld, such as by `drop-after-dot`.
    pub unanswered: u64,
    /// 4xx replies to RCPT, to DATA or to the end of a message.
    pub deferred: u64,
    /// 5xx replies to RCPT, to DATA or to the end of a message.
    pub rejected: u64,
    /// Connections closed or reset on purpose without a reply.
    pub dropped: u64,
    /// Connections closed after a 421 to RCPT, to DATA or to the end of a message.
    pub closed: u64,
    /// Content bytes of the accepted messages, without dot-stuffing.
    pub bytes: u64,
    /// Commands that were malformed, out of sequence or sent too early; a correct client sends
    /// none.
    pub client_errors: u64,
    /// With [`super::Keep::Count`]: messages per recipient domain, most frequent first.
    pub domains: Vec<(String, u64)>,
}

macro_rules! counters {
    ($($name:ident),*) => {
        /// The totals as they are counted.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub $name: AtomicU64,)*
        }

        impl Counters {
            /// The totals now, without the domains.
            pub(super) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* domains: Vec::new() }
            }
        }
    };
}

counters!(
    connections,
    open,
    tls,
    logins,
    accepted,
    recipients,
    unanswered,
    deferred,
    rejected,
    dropped,
    closed,
    bytes,
    client_errors
);

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
