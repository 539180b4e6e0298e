//! What a listener asks of whoever keeps the mails.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::room::Held;

/// A question of a session. An answer that is dropped is a failure for now.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub question: Question,
    /// Where the client comes from; nowhere on a Unix socket.
    pub from: Option<IpAddr>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// May this client log in?
    Login(Login),
    /// May the client that logged in by this name send from this address? Empty is the null return
    /// path.
    From(Arc<str>, String),
    /// Is mail for this recipient accepted? As the client says it.
    Accept(String),
    /// Keep this mail: accepted once nothing can lose it.
    Keep(Delivery),
}

/// A name and a password (RFC 4616).
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Vec<u8>,
}

/// Shows no password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What is answered to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Accepted,
    /// No, with the reply that says why.
    Refused {
        /// The reply code.
        code: u16,
        /// The enhanced status (RFC 3463).
        enhanced: &'static str,
        /// The words, without line ends.
        text: String,
    },
    /// That can't be said now.
    Failed,
}

/// A mail with its envelope.
#[derive(Debug)]
pub struct Delivery {
    /// Who logged in, where clients have to.
    pub user: Option<Arc<str>>,
    /// The return path; empty for a report.
    pub return_path: String,
    /// As the client says them, each once.
    pub recipients: Vec<String>,
    /// It has bytes above 127 (RFC 6152).
    pub eight_bit: bool,
    /// It needs international addresses (RFC 6531).
    pub smtp_utf8: bool,
    /// The content, as it came.
    pub content: Vec<u8>,
    /// The memory that it takes.
    pub(super) _held: Held,
}
