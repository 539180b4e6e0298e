//! Answers: JSON, also where something is wrong.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::job::SCHEMA_VERSION;
use crate::kit::json::extend;
use crate::kit::outside_text;

/// Whom passwords are for (RFC 7617 §2.1: they are read as UTF-8).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"mailrun\", charset=\"UTF-8\"");

/// What is answered, or why it is not.
pub(super) type Answer = Result<Response, Problem>;

/// Why something is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve) enum Problem {
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
    /// It can only be read.
    Method,
    /// Too many ask at once.
    Busy,
    /// It can't be read.
    Failed,
}

impl Problem {
    fn parts(&self) -> (StatusCode, &str, Option<&'static str>) {
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
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, message, hint) = self.parts();
        let error = json!({"message": message, "place": null, "line": null, "hint": hint});
        let mut response = versioned(json!({ "error": error }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        match self {
            Self::Unknown => drop(headers.insert(WWW_AUTHENTICATE, CHALLENGE)),
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"))),
            Self::Busy => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("5"))),
            Self::Bad(_) | Self::Clear | Self::Nothing | Self::Early | Self::Failed => {}
        }
        response
    }
}

/// An object with the version of its form.
pub(super) fn versioned(answer: Value) -> Response {
    let mut document = json!({ "schema_version": SCHEMA_VERSION });
    extend(&mut document, answer);
    plain(&document)
}

/// An object as it is.
pub(super) fn plain(document: &Value) -> Response {
    let mut text = outside_text::json(&document.to_string()).into_owned();
    text.push('\n');
    written(text)
}

/// A text that is JSON.
pub(super) fn written(text: impl IntoResponse) -> Response {
    let head = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("content-security-policy"), "default-src 'none'; frame-ancestors 'none'"),
    ];
    (head, text).into_response()
}
