//! What a message can have that a recipient, or a receiver, would mind.

use super::super::finding::{Finding, Id};
use crate::campaign::Kind;

/// Something seen in a message, counted over the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Unfilled,
    RelativeLink,
    EmptyLink,
    HttpLink,
    NoAlt,
    Active,
    NoUnsubscribeLink,
    NoImprint,
    EmptyText,
    EmptySubject,
    LongSubject,
    LongLine,
    Clipped,
    StyleDropped,
    StyleUnused,
    DarkMode,
    NoPreheader,
}

/// The longest line of a message without its CRLF (RFC 5322 §2.1.1).
pub(super) const LONGEST_LINE: usize = 998;
/// Every mail program cuts longer subjects; phones show a third of it.
pub(super) const LONGEST_SUBJECT: usize = 150;
/// Gmail shows no more of an HTML part than this, and hides the rest behind a link.
pub(super) const CLIPPED_BYTES: usize = 102 * 1_024;

impl Mark {
    /// The finding for `messages` with this mark, such as `3 messages`; `example` is from the first
    /// of them, and `place` says where that is.
    pub(super) fn finding(self, messages: &str, example: &str, place: &str, kind: Kind) -> Finding {
        let with_example = |what: &str| format!("{what} in {messages}: {example} ({place})");
        let without = |what: &str| format!("{what} {messages} (first: {place})");
        match self {
            Self::Unfilled => Finding::new(Id::UnfilledPlaceholder, with_example("an unfilled placeholder"))
                .fix("look for `\\{{` in the template and for `{{` in the column's values"),
            Self::RelativeLink => {
                let link = example.trim_matches(['`', '/']);
                // A host without its scheme is meant, not a path.
                let host =
                    if link.to_ascii_lowercase().starts_with("www.") { "" } else { "www.example.com/" };
                let absolute = format!("href=\"https://{host}{link}\"");
                Finding::new(Id::RelativeLink, with_example("a link that is not absolute")).fix(absolute)
            }
            Self::EmptyLink => Finding::new(Id::EmptyLink, with_example("a link without an address"))
                .fix("give the link its address, or remove the `<a>`"),
            Self::HttpLink => Finding::new(Id::HttpLink, with_example("a link without TLS"))
                .fix(example.replacen("http://", "https://", 1)),
            Self::NoAlt => Finding::new(Id::ImageWithoutAlt, with_example("an image without `alt`"))
                .fix("alt=\"what the picture shows\", or alt=\"\" if it is only decoration"),
            Self::Active => Finding::new(Id::ActiveContent, with_example("active content"))
                .fix("link to a page that has it"),
            Self::NoUnsubscribeLink => {
                Finding::new(Id::NoUnsubscribeLink, without("no unsubscribe link in the body of"))
                    .worse_if(kind == Kind::News)
                    .fix("<a href=\"{{unsubscribe_url}}\">Unsubscribe</a>")
            }
            Self::NoImprint => Finding::new(Id::CsaImprint, without("no link to an imprint in"))
                .fix("<a href=\"https://www.example.com/imprint\">Imprint</a>"),
            Self::EmptyText => Finding::new(Id::EmptyTextPart, without("an empty text part in"))
                .fix("text = \"templates/letter.txt.hbs\" in [template]"),
            Self::EmptySubject => Finding::new(Id::EmptySubject, without("an empty subject in"))
                .fix("give the subject's columns a value in [template.defaults]"),
            Self::LongSubject => {
                let what = format!("a subject of more than {LONGEST_SUBJECT} characters");
                Finding::new(Id::LongSubject, with_example(&what))
            }
            Self::LongLine => {
                let what = format!("a line of more than {LONGEST_LINE} octets");
                Finding::new(Id::LongLine, with_example(&what))
                    .fix("shorten the header value: a word without a space can't be folded")
            }
            Self::StyleDropped => {
                Finding::new(Id::StyleDropped, with_example("styles that mail programs drop"))
                    .fix("inline-css = true in [template], with the styles in the template")
            }
            Self::StyleUnused => {
                Finding::new(Id::StyleUnused, with_example("a rule for a class or an id that no element has"))
                    .fix("correct the name, or remove the rule")
            }
            Self::DarkMode => Finding::new(Id::DarkMode, with_example("colours that dark mode may spoil"))
                .fix("set both on one element, or add <meta name=\"color-scheme\" content=\"light dark\">"),
            Self::NoPreheader => Finding::new(Id::NoPreheader, without("no preheader in"))
                .fix("<div style=\"display:none\">What it is about</div> at the start of the body"),
            Self::Clipped => Finding::new(Id::HtmlClipped, with_example("an HTML part that Gmail cuts off")),
        }
    }
}
