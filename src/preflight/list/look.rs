//! Looks at the texts of one message for what a recipient would mind.

use memchr::memmem;

use super::html::{self, Found};
use super::mark::{CLIPPED_BYTES, LONGEST_SUBJECT, Mark};
use super::styles;
use crate::campaign::{Campaign, Kind};
use crate::compose::Rendered;

/// Long enough for an example, short enough for a line.
const EXAMPLE_CHARACTERS: usize = 120;

/// What a dry run looks for, besides the campaign's templates.
#[derive(Debug, Clone)]
pub(crate) struct Looking {
    pub(super) kind: Kind,
    /// A link to an imprint, as the Certified Senders Alliance asks for.
    imprint: bool,
    /// The address for unsubscribing by mail.
    mailto: Option<String>,
    /// Bytes that signatures will add to each message.
    pub(super) signatures: u64,
}

impl Looking {
    /// What to look for in the messages of this campaign.
    pub(crate) fn new(campaign: &Campaign) -> Self {
        let mailto = campaign.unsubscribe.as_ref().and_then(|unsubscribe| unsubscribe.mailto.as_ref());
        Self {
            kind: campaign.identity.kind,
            imprint: campaign.sender.csa,
            mailto: mailto.map(ToString::to_string),
            signatures: (campaign.dkim.len() * crate::dkim::SIGNATURE_BYTES) as u64
                + campaign.smime.most_bytes(),
        }
    }
}

/// The marks of a message, each with an example, in the order in which they were seen.
pub(super) fn look(rendered: &Rendered<'_>, looking: &Looking) -> Vec<(Mark, String)> {
    let mut seen = RowMarks::default();
    match rendered.subject.chars().count() {
        0 => seen.add(Mark::EmptySubject, String::new),
        1..=LONGEST_SUBJECT => {}
        _ => seen.add(Mark::LongSubject, || quoted(&rendered.subject)),
    }
    let mut unsubscribe = looking.kind == Kind::Alarm || unsubscribes(&rendered.text, rendered, looking);
    let mut imprint = !looking.imprint || text_links_imprint(&rendered.text);
    if rendered.text.trim().is_empty() {
        seen.add(Mark::EmptyText, String::new);
    }
    if let Some(at) = memmem::find(rendered.text.as_bytes(), b"http://") {
        seen.add(Mark::HttpLink, || quoted(first_word(&rendered.text[at..])));
    }
    for text in [Some(&rendered.text), rendered.html.as_ref()].into_iter().flatten() {
        if let Some(at) = memmem::find(text.as_bytes(), b"{{") {
            seen.add(Mark::Unfilled, || quoted(first_line(&text[at..])));
        }
    }
    if rendered.subject.contains("{{") {
        seen.add(Mark::Unfilled, || quoted(&rendered.subject));
    }
    if let Some(html) = &rendered.html {
        if html.len() > CLIPPED_BYTES {
            seen.add(Mark::Clipped, || format!("{} bytes", html.len()));
        }
        styles::look(html, |mark, example| seen.add(mark, || example));
        html::scan(html, |found| match found {
            Found::Link(to) => {
                look_at_link(&to, &mut seen);
                unsubscribe = unsubscribe || unsubscribes(&to, rendered, looking);
                imprint = imprint || names_imprint(&to);
            }
            Found::Image { src, has_alt } => {
                if !has_alt {
                    seen.add(Mark::NoAlt, || quoted(&src));
                }
                look_at_link(&src, &mut seen);
            }
            Found::Active(name) => seen.add(Mark::Active, || format!("`<{name}>`")),
        });
    }
    if !unsubscribe {
        seen.add(Mark::NoUnsubscribeLink, String::new);
    }
    if !imprint && !rendered.html.as_deref().is_some_and(links_imprint) {
        seen.add(Mark::NoImprint, String::new);
    }
    seen.0
}

/// The marks of one row, each once.
#[derive(Default)]
struct RowMarks(Vec<(Mark, String)>);

impl RowMarks {
    fn add(&mut self, mark: Mark, example: impl FnOnce() -> String) {
        if !self.0.iter().any(|(seen, _)| *seen == mark) {
            self.0.push((mark, example()));
        }
    }
}

fn look_at_link(to: &str, seen: &mut RowMarks) {
    let lower = |prefix: &str| to.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if to.is_empty() {
        seen.add(Mark::EmptyLink, || "`href=\"\"`".into());
    } else if to.contains("{{") {
        // The text has it already.
    } else if lower("http://") {
        seen.add(Mark::HttpLink, || quoted(to));
    } else if !has_scheme(to) && !to.starts_with('#') {
        seen.add(Mark::RelativeLink, || quoted(to));
    }
}

/// Whether a link is absolute (RFC 3986 §3.1).
fn has_scheme(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// True when `text` has a way to unsubscribe: the recipient's own link, or something with such a
/// name.
fn unsubscribes(text: &str, rendered: &Rendered<'_>, looking: &Looking) -> bool {
    let holds = |needle: &str| memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
    rendered.unsubscribe_url.as_deref().is_some_and(holds)
        || looking.mailto.as_deref().is_some_and(holds)
        || ["unsubscribe", "Unsubscribe", "opt-out", "optout", "opt_out"].into_iter().any(holds)
}

/// Words that links to an imprint have, in lower case.
const IMPRINT: [&str; 8] = [
    "imprint",
    "impressum",
    "legal-notice",
    "legal_notice",
    "legal notice",
    "legalnotice",
    "mentions-legales",
    "mentions légales",
];

/// True when `text` names an imprint, whatever its letters' case.
fn names_imprint(text: &str) -> bool {
    let lower = text.to_lowercase();
    IMPRINT.into_iter().any(|word| lower.contains(word))
}

/// True when a line of a plain text names an imprint, with a link on it or on the next.
fn text_links_imprint(text: &str) -> bool {
    let links = |line: &str| line.contains("https://") || line.contains("http://");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let linked = |at: usize| lines[at..].iter().take(2).any(|line| links(line));
    (0..lines.len()).any(|at| names_imprint(lines[at]) && linked(at))
}

/// True when the text of a link in `html` names an imprint.
fn links_imprint(html: &str) -> bool {
    let lower = html.to_lowercase();
    let links = lower.split("<a ").skip(1).filter_map(|rest| rest.split_once("</a")).map(|(link, _)| link);
    links.into_iter().any(|link| IMPRINT.into_iter().any(|word| link.contains(word)))
}

fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(EXAMPLE_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || matches!(c, '>' | '"' | ')')).next().unwrap_or(text)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}
