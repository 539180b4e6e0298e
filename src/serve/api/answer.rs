//! Answers: JSON, also where something is wrong.

use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::super::problem::Problem;
use crate::job::SCHEMA_VERSION;
use crate::kit::json::extend;
use crate::kit::outside_text;

/// What is answered, or why it is not.
pub(super) type Answer = Result<Response, Problem>;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, message, hint) = self.parts();
        let error = json!({"message": message, "place": null, "line": null, "hint": hint});
        let mut response = versioned(json!({ "error": error }));
        *response.status_mut() = status;
        self.add_fields(response.headers_mut());
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
