//! Output formats, and what each makes of special characters.

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing is known: nothing is escaped, and everything may be mixed.
    Undefined,
    Plain,
    Html,
    Xhtml,
    Xml,
    JavaScript,
    Json,
    Css,
}

impl Format {
    const ALL: [Self; 8] = [
        Self::Undefined,
        Self::Plain,
        Self::Html,
        Self::Xhtml,
        Self::Xml,
        Self::JavaScript,
        Self::Json,
        Self::Css,
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Plain => "plainText",
            Self::Html => "HTML",
            Self::Xhtml => "XHTML",
            Self::Xml => "XML",
            Self::JavaScript => "JavaScript",
            Self::Json => "JSON",
            Self::Css => "CSS",
        }
    }

    /// Whether the format has special characters, which are escaped.
    pub(super) fn is_markup(self) -> bool {
        matches!(self, Self::Html | Self::Xhtml | Self::Xml)
    }

    /// Writes `text` so that it means itself.
    pub(super) fn escape(self, text: &str, out: &mut String) {
        let apostrophe = match self {
            Self::Html | Self::Xhtml => "&#39;",
            Self::Xml => "&apos;",
            Self::Undefined | Self::Plain | Self::JavaScript | Self::Json | Self::Css => {
                return out.push_str(text);
            }
        };
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'')) {
            out.push_str(&rest[..at]);
            out.push_str(match rest.as_bytes()[at] {
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'&' => "&amp;",
                b'"' => "&quot;",
                _ => apostrophe,
            });
            rest = &rest[at + 1..];
        }
        out.push_str(rest);
    }
}
