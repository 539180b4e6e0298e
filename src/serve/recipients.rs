//! What recipients reach: the page behind an unsubscribe link, and the POST of RFC 8058.
//!
//! A link is any path whose last part, or any value of its query, is a token: so it does not
//! matter what comes before it in the campaign's `https`. A GET changes nothing, since scanners
//! open links; a POST is answered 200 once it is durable. Nobody is redirected, and no cookie is
//! set.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::header::{ACCEPT_LANGUAGE, ALLOW, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use percent_encoding::percent_decode;
use tokio::sync::{mpsc, oneshot};

use super::page::{self, Body};
use super::server::BODY_BYTES;
use super::tracking::{Tracking, Tracks};
use super::words::Words;
use crate::compose::token::{Purpose, Token};
use crate::job::{TokenSecrets, UnsubscribeRequest, Unsubscribing};

/// What a POST holds that unsubscribes (RFC 8058 §3.2).
const FIELD: (&str, &str) = ("List-Unsubscribe", "One-Click");

/// Answers recipients.
#[derive(Clone)]
pub(super) struct Recipients {
    secrets: TokenSecrets,
    to: mpsc::Sender<UnsubscribeRequest>,
    tracking: Tracking,
    policy: Arc<HeaderValue>,
}

impl Recipients {
    /// Reads tokens with `secrets`, and sends what is asked for to `to`; tracked links are for
    /// `tracking`.
    pub(super) fn new(
        secrets: TokenSecrets,
        to: mpsc::Sender<UnsubscribeRequest>,
        tracking: Tracking,
    ) -> Self {
        Self { secrets, to, tracking, policy: Arc::new(page::policy()) }
    }

    /// Answers every path.
    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/health", get(|| async { "ok\n" }))
            .route("/robots.txt", get(|| async { "User-agent: *\nDisallow: /\n" }))
            .fallback(link)
            .with_state(self)
    }

    /// The token in an address, as it is written, and what it says.
    fn token(&self, uri: &Uri) -> Option<(String, Token)> {
        let last = uri.path().rsplit('/').next();
        let values = uri.query().into_iter().flat_map(|query| query.split('&'));
        let values = values.filter_map(|pair| Some(pair.split_once('=')?.1));
        last.into_iter().chain(values).filter(|text| !text.is_empty()).find_map(|text| {
            let text = percent_decode(text.as_bytes()).decode_utf8().ok()?.into_owned();
            let token = self.secrets.decode(&text).ok()?;
            Some((text, token))
        })
    }

    /// Has a request kept; what became of it.
    async fn unsubscribe(&self, text: String, token: Token) -> Unsubscribing {
        let (answer, answered) = oneshot::channel();
        if self.to.send(UnsubscribeRequest { text, token, answer }).await.is_err() {
            return Unsubscribing::Failed;
        }
        answered.await.unwrap_or(Unsubscribing::Failed)
    }

    fn show(&self, status: StatusCode, words: &Words, body: &Body) -> Response {
        let fixed = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (HeaderName::from_static("cache-control"), "no-store"),
            (HeaderName::from_static("referrer-policy"), "no-referrer"),
            (HeaderName::from_static("x-content-type-options"), "nosniff"),
            (HeaderName::from_static("x-robots-tag"), "noindex"),
        ];
        let mut response = (status, fixed, page::page(words, body).into_string()).into_response();
        response
            .headers_mut()
            .insert(HeaderName::from_static("content-security-policy"), HeaderValue::clone(&self.policy));
        response
    }
}

/// Answers a link.
async fn link(State(recipients): State<Recipients>, request: Request) -> Response {
    let words = words_of(request.headers());
    match recipients.tracking.answer(request.method(), request.uri(), request.headers()).await {
        Tracks::Nothing => {}
        Tracks::Over => return recipients.show(StatusCode::GONE, words, &Body::Unknown),
        Tracks::Answer(answer) => return answer,
    }
    let Some((text, token)) = recipients.token(request.uri()) else {
        return recipients.show(StatusCode::NOT_FOUND, words, &Body::Unknown);
    };
    match *request.method() {
        Method::GET | Method::HEAD => {
            let body = match token.purpose {
                Purpose::Unsubscribe => Body::Ask { masked: token.address.as_ref().map(masked) },
                Purpose::Test => Body::Test,
            };
            recipients.show(StatusCode::OK, words, &body)
        }
        Method::POST => {
            if !is_one_click(request).await {
                return recipients.show(
                    StatusCode::BAD_REQUEST,
                    words,
                    &Body::Ask { masked: token.address.as_ref().map(masked) },
                );
            }
            match recipients.unsubscribe(text, token).await {
                Unsubscribing::Done => recipients.show(StatusCode::OK, words, &Body::Done),
                Unsubscribing::Test => recipients.show(StatusCode::OK, words, &Body::Test),
                Unsubscribing::Gone => recipients.show(StatusCode::GONE, words, &Body::Unknown),
                Unsubscribing::Failed => {
                    let mut response = recipients.show(StatusCode::SERVICE_UNAVAILABLE, words, &Body::Failed);
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
                    response
                }
            }
        }
        _ => {
            let allow = [(ALLOW, "GET, HEAD, POST")];
            (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
        }
    }
}

/// Whether a POST says what unsubscribes: as `application/x-www-form-urlencoded` or
/// `multipart/form-data` (RFC 8058 §3.2).
async fn is_one_click(request: Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with(b"multipart/form-data") {
        let Ok(mut parts) = Multipart::from_request(request, &()).await else { return false };
        while let Ok(Some(part)) = parts.next_field().await {
            let is_named = part.name() == Some(FIELD.0);
            // Each part is read, so that the next one is found.
            let Ok(text) = part.text().await else { return false };
            if is_named && text.trim() == FIELD.1 {
                return true;
            }
        }
        return false;
    }
    let Ok(body) = axum::body::to_bytes(request.into_body(), BODY_BYTES).await else { return false };
    body.trim_ascii().split(|byte| *byte == b'&').any(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let is =
            |half: Option<&[u8]>, text: &str| half.is_some_and(|half| percent_decode(half).eq(text.bytes()));
        is(halves.next(), FIELD.0) && is(halves.next(), FIELD.1)
    })
}

/// The words of the language that comes first.
fn words_of(headers: &HeaderMap) -> &'static Words {
    let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Words::of(accepted.unwrap_or_default())
}

/// An address that its owner knows again, and nobody else learns: `a…@example.com`.
fn masked(address: &crate::mail::Address) -> String {
    let text = address.to_string();
    let (local, domain) = text.rsplit_once('@').unwrap_or((&text, ""));
    format!("{}…@{domain}", local.chars().next().unwrap_or('…'))
}
