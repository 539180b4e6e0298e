//! The parts of a body whose lines are encoded before the run, and what one row fills into them.

use super::lines::{Encoding, Lines, Written};
use super::mime::{Leaf, Texts};
use super::{HTML, Parts, TEXT};
use crate::template::handlebars::script::{Elsewhere, Script};
use crate::template::handlebars::source::Sources;
use crate::template::values::Values;

/// The parts of a body.
#[derive(Debug)]
pub(super) struct Ahead {
    text: Part,
    html: Option<Part>,
    /// About what the own segment of a message has in bytes.
    pub bytes: usize,
}

#[derive(Debug)]
struct Part {
    script: Script,
    lines: Lines,
}

/// The parts of one message.
pub(super) struct Filled<'a> {
    text: (Written<'a>, Encoding),
    html: Option<(Written<'a>, Encoding)>,
}

impl Ahead {
    /// Room for the header section and for what a row adds to its message.
    const OWN_BYTES: usize = 4_096;

    /// `None` where a part can only be rendered as a whole.
    pub(super) fn new(text: &Sources, html: &Sources, parts: Parts) -> Option<Self> {
        let (text, html) = match parts {
            Parts::Text => (Part::new(text, TEXT)?, None),
            Parts::Both => (Part::new(text, TEXT)?, Some(Part::new(html, HTML)?)),
            // The text is made from the whole HTML.
            Parts::Html => return None,
        };
        let lines = text.lines.bytes() + html.as_ref().map_or(0, |html| html.lines.bytes());
        Some(Self { text, html, bytes: lines + lines / 8 + Self::OWN_BYTES })
    }

    /// The parts for one row.
    pub(super) fn fill(
        &self,
        text: &Sources,
        html: &Sources,
        values: &Values<'_>,
    ) -> Result<Filled<'_>, Elsewhere> {
        let text = self.text.fill(text, values)?;
        let html = self.html.as_ref().map(|part| part.fill(html, values)).transpose()?;
        Ok(Filled { text, html })
    }
}

impl Part {
    fn new(sources: &Sources, name: &str) -> Option<Self> {
        let (script, texts) = Script::of(sources, name)?;
        Some(Self { script, lines: Lines::new(&texts) })
    }

    fn fill(&self, sources: &Sources, values: &Values<'_>) -> Result<(Written<'_>, Encoding), Elsewhere> {
        let mut written = self.lines.start();
        self.script.write(&sources.registry, values, &mut written)?;
        written.finish()?;
        let encoding = written.encoding()?;
        Ok((written, encoding))
    }
}

impl Filled<'_> {
    pub(super) fn texts(&self) -> Texts<'_> {
        let (text, encoding) = &self.text;
        let html = self.html.as_ref().map(|(html, encoding)| Leaf::Lines(html, *encoding));
        Texts { text: Leaf::Lines(text, *encoding), html }
    }
}
