//! What all pages share.

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Light and dark, on wide and narrow screens, and on paper.
pub(crate) const STYLE: &str = include_str!("page.css");

/// A page that is written piece by piece.
pub(crate) struct Page<W> {
    out: W,
}

impl<W: Write> Page<W> {
    /// Starts a page with this title.
    pub(crate) fn start(mut out: W, title: &str) -> io::Result<Self> {
        let head = html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
        };
        writeln!(out, "{}<html lang=\"en\">{}<body>", DOCTYPE.0, head.0)?;
        Ok(Self { out })
    }

    /// Writes the next piece.
    pub(crate) fn add(&mut self, piece: &Markup) -> io::Result<()> {
        writeln!(self.out, "{}", piece.0)
    }

    /// Ends the page.
    pub(crate) fn end(mut self) -> io::Result<W> {
        self.out.write_all(b"</body></html>\n")?;
        Ok(self.out)
    }
}
