//! Style and script of the pages, from this program. Their addresses hold their hashes, so that
//! browsers keep them until they change.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::report;

/// A file that pages name.
struct Asset {
    text: String,
    tag: String,
    kind: &'static str,
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(format!("{}{}", report::STYLE, include_str!("live.css")), "text/css"));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(include_str!("live.js").to_owned(), "text/javascript"));

impl Asset {
    fn new(text: String, kind: &'static str) -> Self {
        let tag = blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        Self { text, tag, kind }
    }

    fn answer(&'static self, headers: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", self.tag);
        let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let head = [
            (CONTENT_TYPE, format!("{}; charset=utf-8", self.kind)),
            (CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned()),
            (ETAG, tag),
            (HeaderName::from_static("x-content-type-options"), "nosniff".to_owned()),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin".to_owned()),
        ];
        match is_known {
            true => (StatusCode::NOT_MODIFIED, head).into_response(),
            false => (head, self.text.as_str()).into_response(),
        }
    }
}

/// Where the style is.
pub(super) fn style_path() -> String {
    format!("/live.css?{}", STYLE.tag)
}

/// Where the script is.
pub(super) fn script_path() -> String {
    format!("/live.js?{}", SCRIPT.tag)
}

/// The style.
pub(super) async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}

/// The script.
pub(super) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.answer(&headers)
}
