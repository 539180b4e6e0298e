//! The page that lists rendered rows: one self-contained HTML file, read without scripts.

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::job::Preview;
use crate::kit::text::grouped;

/// Light and dark, on wide and narrow screens.
const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --faint: #777; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; position: sticky; top: 0; background: Canvas; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.faint { color: var(--faint); }
.failed { color: #c0392b; }
@media (max-width: 40rem) { thead { display: none; } td { display: block; border: 0; padding: .1rem 0; } tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line); } .number { text-align: left; } }
";

/// Writes the page row by row.
pub(super) struct Index<W> {
    out: W,
}

impl<W: Write> Index<W> {
    /// Starts the page about a campaign.
    pub(super) fn start(mut out: W, campaign: &str) -> io::Result<Self> {
        let head = html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "Messages of " (campaign) }
                style { (PreEscaped(STYLE)) }
            }
        };
        let columns = html! {
            tr { th class="number" { "row" } th { "recipient" } th { "subject and preheader" } th class="number" { "size" } }
        };
        let start = html! { (DOCTYPE) };
        write!(out, "{}<html lang=\"en\">{}", start.0, head.0)?;
        write!(out, "<body>{}<table><thead>{}</thead><tbody>\n", html! { h1 { (campaign) } }.0, columns.0)?;
        Ok(Self { out })
    }

    /// A row whose message is in `file`.
    pub(super) fn row(&mut self, index: u32, preview: &Preview, file: &str) -> io::Result<()> {
        let Preview { place, email, subject, preheader, bytes, .. } = preview;
        let subject = if subject.is_empty() { "(no subject)" } else { subject };
        self.line(html! {
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
        self.line(html! {
            tr {
                td class="number" { (grouped(u64::from(index) + 1)) }
                td class="failed" colspan="3" { (reason) }
            }
        })
    }

    fn line(&mut self, row: Markup) -> io::Result<()> {
        writeln!(self.out, "{}", row.0)
    }

    /// Ends the page.
    pub(super) fn end(mut self, written: u64, failed: u64) -> io::Result<W> {
        let counts =
            html! { p class="faint" { (grouped(written)) " rendered, " (grouped(failed)) " failed" } };
        write!(self.out, "</tbody></table>{}</body></html>\n", counts.0)?;
        Ok(self.out)
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
        assert!(page.starts_with("<!DOCTYPE html><html") && page.ends_with("</html>\n"), "{page}");
    }
}
