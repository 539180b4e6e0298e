//! What all pages of accounts share: the document, its parts, and a policy under which nothing is
//! fetched from elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::assets;
use crate::kit::outside_text;

/// The policy of all pages (CSP).
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What stays as it is in a part of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// What is answered, or why it is not.
pub(super) type Answer = Result<Response, Refused>;

/// Why a page is not shown.
#[derive(Debug)]
pub(super) struct Refused(pub Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message, hint) = self.0.parts();
        let content = html! {
            h1 { (status.as_u16()) " " (status.canonical_reason().unwrap_or_default()) }
            p { (safe(message)) @if let Some(hint) = hint { ": " (hint) } }
        };
        let mut response = answer(status, document("Not shown", &html! {}, &content, None));
        self.0.add_fields(response.headers_mut());
        response
    }
}

/// A part of a page that is replaced when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The id of its element.
    pub id: &'static str,
    /// The element.
    pub html: Arc<str>,
}

impl Part {
    /// A part with this content.
    pub(super) fn new(id: &'static str, content: &Markup) -> Self {
        Self { id, html: html! { section id=(id) { (content) } }.into_string().into() }
    }
}

/// What others wrote, with what can't be seen written out.
pub(super) fn safe(text: &str) -> Cow<'_, str> {
    outside_text::line(text)
}

/// A part of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The address of a run's page.
pub(super) fn run_path(name: &str) -> String {
    let (campaign, run) = name.split_once('/').unwrap_or((name, ""));
    format!("/runs/{}/{}", segment(campaign), segment(run))
}

/// A page for an account. `here` is the address of the page in the list of pages, and `events`
/// where its changes come from.
pub(super) fn page(
    account: &Account,
    here: &str,
    title: &str,
    content: &Markup,
    events: Option<&str>,
) -> Response {
    let mut pages = vec![("/", "Runs"), ("/capacity", "Capacity"), ("/senders", "Senders")];
    pages.push(("/previews", "Previews"));
    if account.suppress {
        pages.push(("/suppression", "Suppression"));
    }
    let nav = html! {
        nav aria-label="Pages" {
            ul {
                @for (path, name) in pages {
                    li { a href=(path) aria-current=[(path == here).then_some("page")] { (name) } }
                }
            }
        }
        p class="faint account" { (account.name) }
    };
    answer(StatusCode::OK, document(title, &nav, content, events))
}

/// The parts of a page, as they are first.
pub(super) fn parts(parts: &[Part]) -> Markup {
    html! { @for part in parts { (PreEscaped(&*part.html)) } }
}

fn document(title: &str, nav: &Markup, content: &Markup, events: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (safe(title)) " – mailrun" }
                link rel="stylesheet" href=(assets::style_path());
                link rel="icon" href="data:,";
                @if events.is_some() { script src=(assets::script_path()) defer {} }
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header { (nav) }
                main id="main" tabindex="-1" data-events=[events] { (content) }
                @if events.is_some() {
                    footer class="faint" {
                        p id="connection" { "This page is as it was when it was opened. Reload it to see more." }
                        p id="said" class="unseen" role="status" {}
                    }
                }
            }
        }
    }
}

fn answer(status: StatusCode, page: Markup) -> Response {
    let head = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        // `no-referrer` would take the origin from forms, by which they are known.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    (status, head, page.into_string()).into_response()
}
