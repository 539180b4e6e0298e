//! What can be seen in a message that a recipient, or a receiver, would mind.

use super::super::finding::{Finding, Group};
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
    EmptyText,
    EmptySubject,
    LongSubject,
    LongLine,
    Clipped,
}

/// The longest line of a message without its CRLF (RFC 5322 §2.1.1).
pub(super) const LONGEST_LINE: usize = 998;
/// Subjects longer than this are cut everywhere; phones show a third of it.
pub(super) const LONGEST_SUBJECT: usize = 150;
/// Gmail shows no more of an HTML part than this, and hides the rest behind a link.
pub(super) const CLIPPED_BYTES: usize = 102 * 1_024;

impl Mark {
    /// The finding for `rows` messages with this mark; `example` is what the first of them has, `place` where.
    pub(super) fn finding(self, rows: &str, example: &str, place: &str, kind: Kind) -> Finding {
        use Group::{Content, List};
        let seen = |what: &str| format!("{rows} {what}: {example} ({place})");
        match self {
            Self::Unfilled => Finding::warning(List, "unfilled-placeholder", seen("hold an unfilled `{{`"))
                .why("a recipient sees the placeholder instead of a value, or a link leads nowhere")
                .mend("look for `\\{{` in the template and for `{{` in the column's values"),
            Self::RelativeLink => Finding::warning(Content, "relative-link", seen("have a link that is not absolute"))
                .why("a message has no address of its own that a relative link could start from: it leads nowhere (RFC 2557 §5)")
                .mend(format!("href=\"https://www.example.com/{}\"", example.trim_matches(['`', '/']))),
            Self::EmptyLink => Finding::warning(Content, "empty-link", seen("have a link without an address"))
                .why("it looks like a link and does nothing")
                .mend("give the link its address, or take the `<a>` away"),
            Self::HttpLink => Finding::note(Content, "http-link", seen("have a link without TLS"))
                .why("browsers warn of http links, and filters count them against a message")
                .mend(example.replacen("http://", "https://", 1)),
            Self::NoAlt => Finding::note(Content, "image-without-alt", seen("have an image without `alt`"))
                .why("most readers show no images at first, and some people never see them; filters count it too (WCAG 2.2, 1.1.1)")
                .mend("alt=\"what the picture shows\", or alt=\"\" for mere decoration"),
            Self::Active => Finding::warning(Content, "active-content", seen("have a tag that mail readers take out"))
                .why("scripts, forms and frames are removed, and make filters suspicious")
                .mend("link to a page that has it"),
            Self::NoUnsubscribeLink => {
                let why = "Google's and Yahoo's rules for bulk senders ask for a visible unsubscribe link in the body of marketing mail; many laws do too";
                let mend = "<a href=\"{{unsubscribe_url}}\">No more letters</a>";
                let seen = format!("{rows} have no unsubscribe link in the body (first: {place})");
                match kind {
                    Kind::News => Finding::warning(Content, "no-unsubscribe-link", seen),
                    Kind::Update | Kind::Alarm => Finding::note(Content, "no-unsubscribe-link", seen),
                }
                .why(why)
                .mend(mend)
            }
            Self::EmptyText => Finding::warning(Content, "empty-text-part", format!("{rows} have nothing in their text part (first: {place})"))
                .why("readers that show text only show nothing, and filters take it for spam (RFC 2046 §5.1.4: the parts are alternatives of each other)")
                .mend("text = \"templates/letter.txt.hbs\" in [template]"),
            Self::EmptySubject => Finding::warning(List, "empty-subject", format!("{rows} have an empty subject (first: {place})"))
                .why("a message without a subject looks like spam to people and filters")
                .mend("give the subject's columns a value in [template.defaults]"),
            Self::LongSubject => {
                Finding::note(List, "long-subject", format!("{rows} have a subject of more than {LONGEST_SUBJECT} characters: {example} ({place})"))
                    .why("readers cut it: phones after about 40 characters, others after 70")
            }
            Self::LongLine => Finding::warning(List, "long-line", seen("have a line that is too long"))
                .why("RFC 5322 §2.1.1: a line has at most 998 octets; servers cut or refuse longer ones, and the signature breaks")
                .mend("shorten the header value: a word without a space can't be folded"),
            Self::Clipped => Finding::note(Content, "html-clipped", seen("have an HTML part that Gmail cuts off"))
                .why("Gmail shows the first 102 kB and hides the rest, the unsubscribe link at its end among it"),
        }
    }
}
