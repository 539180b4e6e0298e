//! The text part of a campaign that has HTML only: every message should have one, for the clients
//! and the people that read no HTML. Links are kept, as notes below the text.

use html2text::config;

/// Lines of text are wrapped here; addresses of links never are.
const WIDTH: usize = 76;

/// `html` as text. An empty text when the HTML can't be made into one.
pub(super) fn from_html(html: &str) -> String {
    config::plain()
        .link_footnotes(true)
        .no_link_wrapping()
        .raw_mode(true)
        .no_table_borders()
        .allow_width_overflow()
        .string_from_read(html.as_bytes(), WIDTH)
        .unwrap_or_default()
}
