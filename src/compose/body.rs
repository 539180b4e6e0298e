//! The templates of the body, and what they give for one row.

use super::lines::{Leaf, Lines};
use super::mime::Texts;
use super::plain;
use crate::template::{Fault, Template, Values, render_to_string};

/// The templates of the body.
#[derive(Debug)]
pub(super) enum Parts {
    /// A text part alone.
    Text(TextPart),
    /// An HTML part; the text part is derived from it.
    Html(Box<dyn Template>),
    /// A part of either kind.
    Both { text: TextPart, html: TextPart },
}

/// A template with its fixed lines encoded.
#[derive(Debug)]
pub(super) struct TextPart {
    template: Box<dyn Template>,
    lines: Lines,
}

impl Parts {
    /// Whether messages have an HTML part.
    pub(super) fn has_html(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Html(_) | Self::Both { .. } => true,
        }
    }

    /// The templates, text first.
    pub(super) fn templates(&self) -> Vec<&dyn Template> {
        match self {
            Self::Text(text) => vec![&*text.template],
            Self::Html(html) => vec![&**html],
            Self::Both { text, html } => vec![&*text.template, &*html.template],
        }
    }

    /// Bytes that a body will at least have, images and attachments aside.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.lines.bytes(),
            Self::Html(_) => 0,
            Self::Both { text, html } => text.lines.bytes() + html.lines.bytes(),
        }
    }

    /// The texts for one row.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<Texts<'_>, Fault> {
        Ok(match self {
            Self::Text(text) => Texts { text: text.render(values)?, html: None },
            Self::Both { text, html } => {
                Texts { text: text.render(values)?, html: Some(html.render(values)?) }
            }
            Self::Html(html) => {
                let html = render_to_string(&**html, values)?;
                let text = plain::from_html(&html);
                Texts { text: Leaf::whole(&text), html: Some(Leaf::whole(&html)) }
            }
        })
    }
}

impl TextPart {
    pub(super) fn new(template: Box<dyn Template>) -> Self {
        let lines = Lines::new(template.texts());
        Self { template, lines }
    }

    fn render(&self, values: &Values<'_>) -> Result<Leaf<'_>, Fault> {
        let mut written = self.lines.start();
        self.template.render(values, &mut written)?;
        Ok(written.finish())
    }
}
