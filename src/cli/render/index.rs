//! The page that lists rendered rows: one self-contained HTML file, read without scripts.

use std::io::{self, Write};

use maud::{PreEscaped, html};

use crate::job::Preview;
use crate::kit::text::grouped;
use crate::report::Page;

/// Writes the page row by row.
pub(super) struct Index<W>(Page<W>);

impl<W: Write> Index<W> {
    /// Starts the page about a campaign.
    pub(super) fn start(out: W, campaign: &str) -> io::Result<Self> {
        let mut page = Page::start(out, &format!("Messages of {campaign}"))?;
        page.add(&html! {
            h1 { (campaign) }
            (PreEscaped("<table class=\"rows\"><thead>"))
            tr {
                th class="number" { "row" }
                th { "recipient" }
                th { "subject and preheader" }
                th class="number" { "size" }
            }
            (PreEscaped("</thead><tbody>"))
        })?;
        Ok(Self(page))
    }

    /// A row whose message is in `file`.
    pub(super) fn row(&mut self, index: u32, preview: &Preview, file: &str) -> io::Result<()> {
        let Preview { place, email, subject, preheader, bytes, .. } = preview;
        let subject = if subject.is_empty() { "(no subject)" } else { subject };
        self.0.add(&html! {
            tr {
                td class="number" { (grouped(u64::from(index) + 1)) }
                td { (email) div class="faint" { (place) } }
                td { a href=(file) { (subject) } div class="faint" { (preheader) } }
                td class="number" { (bytes) }
            }
        })
    }

    /// A row that can't be rendered.
    pub(super) fn failed(&mut self, index: u32, reason: &str) -> io::Result<()> {
        self.0.add(&html! {
            tr {
                td class="number" { (grouped(u64::from(index) + 1)) }
                td class="failed" colspan="3" { (reason) }
            }
        })
    }

    /// Ends the page.
    pub(super) fn end(mut self, written: u64, failed: u64) -> io::Result<W> {
        self.0.add(&html! {
            (PreEscaped("</tbody></table>"))
            p class="faint" { (grouped(written)) " rendered, " (grouped(failed)) " failed" }
        })?;
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ByteSize;

    #[test]
    fn what_a_row_says_is_text() {
        let preview = Preview {
            place: "<list>.csv, row 1".into(),
            email: "\"<script>\"@example.com".into(),
            subject: "<img src=x onerror=alert(1)>".into(),
            preheader: "a & b".into(),
            text: String::new(),
            html: None,
            bytes: ByteSize(1_234),
        };
        let mut index = Index::start(Vec::new(), "spring</title>").unwrap();
        index.row(0, &preview, "00000001.html").unwrap();
        index.failed(1, "<b>no").unwrap();
        let page = String::from_utf8(index.end(1, 1).unwrap()).unwrap();
        for expected in [
            "<title>Messages of spring&lt;/title&gt;</title>",
            "<a href=\"00000001.html\">&lt;img src=x onerror=alert(1)&gt;</a>",
            "&lt;script&gt;",
            "a &amp; b",
            "&lt;b&gt;no",
            "1.2 kB",
        ] {
            assert!(page.contains(expected), "{expected} is not in {page}");
        }
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        assert!(page.starts_with("<!DOCTYPE html><html lang") && page.ends_with("</html>\n"), "{page}");
    }
}
