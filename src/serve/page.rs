//! Pages for recipients: no script, no image, nothing from elsewhere.

use axum::http::HeaderValue;
use base64::prelude::{BASE64_STANDARD, Engine};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};

use super::words::Words;

/// Light and dark, on any width.
const STYLE: &str = include_str!("page.css");

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// Whether the recipient wants no more mail.
    Ask {
        /// Their address, hidden but for its first letter and its domain.
        masked: Option<String>,
    },
    /// They get no more.
    Done,
    /// The link is that of a test message.
    Test,
    /// The link says nothing.
    Unknown,
    /// It can't be kept now.
    Failed,
}

/// The policy of all pages (CSP): their own style, and forms that come back here.
pub(super) fn policy() -> HeaderValue {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a hash in base64 is ASCII")
}

/// A page in a language.
pub(super) fn page(words: &Words, body: &Body) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(words.tag) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (words.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (words.title) }
                    @match body {
                        Body::Ask { masked } => {
                            p { (words.question) @if let Some(masked) = masked { br; strong { (masked) } } }
                            // Without `action` a form goes to the page's own address.
                            form method="post" {
                                input type="hidden" name="List-Unsubscribe" value="One-Click";
                                button type="submit" { (words.button) }
                            }
                        }
                        Body::Done => p role="status" { (words.done) },
                        Body::Test => p { (words.test) },
                        Body::Unknown => p { (words.unknown) },
                        Body::Failed => p role="alert" { (words.failed) },
                    }
                }
            }
        }
    }
}
