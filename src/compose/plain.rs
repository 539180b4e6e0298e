//! The text part of a campaign that has only HTML, for clients and people that read no HTML. Links
//! become footnotes.

use html2text::config;
use html2text::render::TrivialDecorator;

/// Text is wrapped at this column; links never are.
const WIDTH: usize = 76;

/// `html` as text; empty if it can't be converted.
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

/// The words of `html` alone, without links and marks; empty if it can't be converted.
pub(super) fn words_of_html(html: &str) -> String {
    config::with_decorator(TrivialDecorator::new())
        .raw_mode(true)
        .no_table_borders()
        .allow_width_overflow()
        .string_from_read(html.as_bytes(), WIDTH)
        .unwrap_or_default()
}
