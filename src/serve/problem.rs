//! Why a request is not answered, whatever form the answer has.

use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};

/// Whom passwords are for (RFC 7617 §2.1: they are read as UTF-8).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"mailrun\", charset=\"UTF-8\"");

/// Why something is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// What is asked can't be understood.
    Bad(String),
    /// Nobody is known by these credentials from this address.
    Unknown,
    /// Others could read the credentials.
    Clear,
    /// There is nothing here, or nothing for this account.
    Nothing,
    /// The run has no results yet.
    Early,
    /// No page of ours sent this form.
    Foreign,
    /// It can only be read.
    Method,
    /// Too many ask at once.
    Busy,
    /// It can't be read.
    Failed,
}

impl Problem {
    /// The status, what is wrong, and what to do.
    pub(super) fn parts(&self) -> (StatusCode, &str, Option<&'static str>) {
        match self {
            Self::Bad(text) => (StatusCode::BAD_REQUEST, text, None),
            Self::Unknown => (
                StatusCode::UNAUTHORIZED,
                "no account with this name and password may ask from here",
                Some("name and password go into Basic authentication"),
            ),
            Self::Clear => (
                StatusCode::FORBIDDEN,
                "others could read the password on this connection",
                Some("ask with https"),
            ),
            Self::Nothing => {
                (StatusCode::NOT_FOUND, "nothing is found here, or nothing that this account sees", None)
            }
            Self::Early => (
                StatusCode::CONFLICT,
                "the run has no results before it is finished",
                Some("`/v1/events?run=ID` says what happened so far"),
            ),
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "no page of this server sent this form, or it is too old",
                Some("open the page again, and send it from there"),
            ),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "this can only be read", Some("ask with GET")),
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many ask at once", Some("try again in some seconds"))
            }
            Self::Failed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "this can't be read now",
                Some("the log of `mailrun serve` says why"),
            ),
        }
    }

    /// Adds the fields of the head that belong to it.
    pub(super) fn add_fields(&self, headers: &mut HeaderMap) {
        match self {
            Self::Unknown => drop(headers.insert(WWW_AUTHENTICATE, CHALLENGE)),
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"))),
            Self::Busy => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("5"))),
            Self::Bad(_) | Self::Clear | Self::Nothing | Self::Early | Self::Foreign | Self::Failed => {}
        }
    }
}
