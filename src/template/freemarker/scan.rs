//! Cuts a template into text, tags and interpolations. Expressions are only skipped here.

use super::lex::{Lexer, Token, Wrong};

/// A stretch of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// What a stretch is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text(String),
    Comment,
    /// `${…}`
    Print,
    /// `#{…}`
    PrintNumber,
    /// `<#name …>`; the name.
    Open(String),
    /// `</#name>`
    Close(String),
    /// `<@…>`
    Call,
    /// `</@name>`
    CloseCall(String),
}

/// A template as it is cut.
#[derive(Debug)]
pub(super) struct Scanned {
    pub segments: Vec<Segment>,
    /// Tags are written `[#if x]`.
    pub square: bool,
    /// The bytes of what stands in `<#ftl …>`.
    pub header: Option<(usize, usize)>,
}

const DIRECTIVES: [&str; 42] = [
    "assign",
    "attempt",
    "autoesc",
    "break",
    "call",
    "case",
    "compress",
    "continue",
    "default",
    "else",
    "elseif",
    "escape",
    "fallback",
    "flush",
    "foreach",
    "ftl",
    "function",
    "global",
    "if",
    "import",
    "include",
    "items",
    "list",
    "local",
    "lt",
    "macro",
    "nested",
    "noautoesc",
    "noescape",
    "noparse",
    "nt",
    "outputformat",
    "recover",
    "recurse",
    "return",
    "rt",
    "sep",
    "setting",
    "stop",
    "switch",
    "t",
    "visit",
];

/// `elseIf`, `forEach` and the like in the lower case of the rest; `None` for no directive.
fn directive(name: &str) -> Option<&'static str> {
    let lower = match name {
        "elseIf" | "forEach" | "noParse" | "noEscape" | "autoEsc" | "noAutoEsc" | "outputFormat" => {
            name.to_ascii_lowercase()
        }
        _ => name.to_owned(),
    };
    DIRECTIVES.into_iter().find(|known| *known == lower)
}

/// Cuts `text`.
pub(super) fn scan(text: &str) -> Result<Scanned, Wrong> {
    let mut scan = Scan { text, at: 0, square: false, loose: false, segments: Vec::new() };
    let header = scan.header()?;
    scan.rest()?;
    Ok(Scanned { segments: scan.segments, square: scan.square, header })
}

struct Scan<'s> {
    text: &'s str,
    at: usize,
    square: bool,
    /// Tags need no `#`: `strict_syntax=false`, for old templates.
    loose: bool,
    segments: Vec<Segment>,
}

impl Scan<'_> {
    fn header(&mut self) -> Result<Option<(usize, usize)>, Wrong> {
        let start = self.text.len() - self.text.trim_start().len();
        let rest = &self.text[start..];
        let after = rest.strip_prefix("<#ftl").or_else(|| rest.strip_prefix("[#ftl"));
        let Some(after) = after.filter(|after| after.starts_with([' ', '\t', '\n', '>', ']', '/'])) else {
            return Ok(None);
        };
        self.square = rest.starts_with('[');
        let begin = self.text.len() - after.len();
        let end = self.tag_end(begin, start)?;
        let options: String =
            self.text[begin..end].chars().filter(|c| c.is_ascii_alphabetic() || *c == '=').collect();
        let options = options.to_ascii_lowercase();
        self.loose = ["f", "n"].iter().any(|no| options.contains(&format!("strictsyntax={no}")));
        // The rest of the header's line is no text.
        let blank = self.text[end..].trim_start_matches([' ', '\t']);
        self.at = match blank.strip_prefix('\n') {
            Some(rest) => self.text.len() - rest.len(),
            None if blank.is_empty() => self.text.len(),
            None => end,
        };
        Ok(Some((begin, end)))
    }

    fn rest(&mut self) -> Result<(), Wrong> {
        let open = if self.square { '[' } else { '<' };
        let mut text_start = self.at;
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let Some(skip) = rest.find([open, '$', '#']) else { break };
            let start = self.at + skip;
            match self.segment(start)? {
                None => self.at = start + 1,
                Some((kind, end)) => {
                    self.text_between(text_start, start);
                    let verbatim = kind == Kind::Open("noparse".to_owned());
                    self.segments.push(Segment { kind, start, end });
                    self.at = end;
                    if verbatim {
                        self.verbatim(start)?;
                    }
                    text_start = self.at;
                }
            }
        }
        self.text_between(text_start, self.text.len());
        Ok(())
    }

    fn text_between(&mut self, start: usize, end: usize) {
        if start < end {
            let kind = Kind::Text(self.text[start..end].to_owned());
            self.segments.push(Segment { kind, start, end });
        }
    }

    /// The text of `#noparse`, in place of its tags.
    fn verbatim(&mut self, start: usize) -> Result<(), Wrong> {
        self.segments.pop();
        let open = if self.square { '[' } else { '<' };
        let close = if self.square { ']' } else { '>' };
        let rest = &self.text[self.at..];
        let ends = [format!("{open}/#noparse"), format!("{open}/#noParse")];
        let found = ends.iter().filter_map(|end| rest.find(end.as_str())).min();
        let ended = found.and_then(|at| Some((at, at + rest[at..].find(close)? + 1)));
        let (length, after) = ended.ok_or_else(|| (start, "`#noparse` is never closed".to_owned()))?;
        self.text_between(self.at, self.at + length);
        self.at += after;
        Ok(())
    }

    /// What begins at `start`, and where it ends; `None` for text.
    fn segment(&self, start: usize) -> Result<Option<(Kind, usize)>, Wrong> {
        let rest = &self.text[start..];
        if rest.starts_with("${") || rest.starts_with("#{") {
            let kind = if rest.starts_with('$') { Kind::Print } else { Kind::PrintNumber };
            return Ok(Some((kind, self.interpolation_end(start)?)));
        }
        if rest.starts_with(['$', '#']) {
            return Ok(None);
        }
        let rest = &rest[1..];
        if rest.starts_with("#--") {
            let end = if self.square { "--]" } else { "-->" };
            let length = rest.find(end).ok_or_else(|| (start, "this comment is never closed".to_owned()))?;
            return Ok(Some((Kind::Comment, start + 1 + length + 3)));
        }
        if rest.starts_with('@') {
            return Ok(Some((Kind::Call, self.tag_end(start + 2, start)?)));
        }
        if let Some(name) = rest.strip_prefix("/@") {
            let close = if self.square { ']' } else { '>' };
            let length = name.find(close).ok_or_else(|| (start, "this tag has no end".to_owned()))?;
            return Ok(Some((Kind::CloseCall(name[..length].trim().to_owned()), start + 3 + length + 1)));
        }
        let (closing, name) = match (rest.strip_prefix("/#"), rest.strip_prefix('#')) {
            (Some(name), _) => (true, name),
            (None, Some(name)) => (false, name),
            (None, None) => return self.loose_tag(start),
        };
        let length = name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Ok(None);
        }
        let name = &name[..length];
        let Some(known) = directive(name) else {
            return Err((start, format!("`#{name}` is not a directive")));
        };
        if matches!(known, "visit" | "recurse" | "fallback") {
            return Err((start, format!("`#{known}` is for XML, which letters can't use")));
        }
        let after = start + 2 + usize::from(closing) + length;
        let end = self.tag_end(after, start)?;
        if closing {
            let inner = self.text[after..end].trim_end_matches(['>', ']', '/']);
            if !inner.trim().is_empty() {
                return Err((start, format!("`{}` does not belong into a closing tag", inner.trim())));
            }
            return Ok(Some((Kind::Close(name.to_owned()), end)));
        }
        Ok(Some((Kind::Open(name.to_owned()), end)))
    }

    /// A tag without `#`.
    fn loose_tag(&self, start: usize) -> Result<Option<(Kind, usize)>, Wrong> {
        let rest = &self.text[start + 1..];
        let closing = rest.starts_with('/');
        let name = rest.trim_start_matches('/');
        let length = name.bytes().take_while(u8::is_ascii_alphabetic).count();
        let ends = name[length..].starts_with([' ', '\n', '\t', '>', '/']);
        let Some(known) = directive(&name[..length]).filter(|_| self.loose && ends) else { return Ok(None) };
        let end = self.tag_end(start + 1 + usize::from(closing) + length, start)?;
        let name = known.to_owned();
        Ok(Some((if closing { Kind::Close(name) } else { Kind::Open(name) }, end)))
    }

    /// Where the tag ends whose words begin at `at`.
    fn tag_end(&self, at: usize, start: usize) -> Result<usize, Wrong> {
        let mut lexer = Lexer { text: self.text, at, tag_end: !self.square };
        let (mut round, mut edged) = (0_usize, 0_usize);
        loop {
            lexer.tag_end = !self.square && round == 0;
            let (_, token) = lexer.next()?;
            match token {
                Token::Symbol(">" | "/>") if lexer.tag_end => return Ok(lexer.at),
                Token::Symbol("]" | "/]") if self.square && edged == 0 => return Ok(lexer.at),
                Token::Symbol("(") => round += 1,
                Token::Symbol(")") => round = round.saturating_sub(1),
                Token::Symbol("[") => edged += 1,
                Token::Symbol("]") => edged = edged.saturating_sub(1),
                Token::End => return Err((start, "this tag has no end".to_owned())),
                Token::Symbol(_) | Token::Identifier(_) | Token::Text(..) | Token::Number(_) => {}
            }
        }
    }

    fn interpolation_end(&self, start: usize) -> Result<usize, Wrong> {
        let mut lexer = Lexer { text: self.text, at: start + 2, tag_end: false };
        let mut depth = 0_usize;
        loop {
            match lexer.next()?.1 {
                Token::Symbol("{") => depth += 1,
                Token::Symbol("}") if depth == 0 => return Ok(lexer.at),
                Token::Symbol("}") => depth -= 1,
                Token::End => return Err((start, "this interpolation has no `}`".to_owned())),
                Token::Symbol(_) | Token::Identifier(_) | Token::Text(..) | Token::Number(_) => {}
            }
        }
    }
}
