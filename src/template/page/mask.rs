//! A page whose expressions are put aside while others work on it: each is a word that passes
//! through MJML and CSS unchanged. When they are put back, every place of the page is known as a
//! place of the files that it was made from.

use std::ops::Range;
use std::sync::Arc;

use super::expressions::{self, Kind};
use crate::campaign::Language;
use crate::kit::text::line_and_column;
use crate::template::engine::Origin;
use crate::template::error::TemplateError;

/// What stands for an expression begins with this, in lower case: HTML has names of attributes in
/// it.
const WORD: &str = "mailrunx";

/// An expression that was put aside.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    pub kind: Kind,
    /// As it is written.
    pub text: String,
    /// The file that it is from.
    pub file: usize,
    /// Where it is in that file.
    pub at: Range<usize>,
}

/// Files, and the expressions that were put aside.
#[derive(Debug, Default)]
pub(super) struct Masked {
    pub files: Vec<Origin>,
    pub asides: Vec<Aside>,
}

/// A stretch of a text, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    at: usize,
    file: usize,
    from: Range<usize>,
}

/// Where a text is from, stretch by stretch. What is between them belongs to the one before.
#[derive(Debug, Clone, Default)]
pub(super) struct Map(Vec<Stretch>);

impl Map {
    /// File and byte of the byte `at` of the text.
    pub(super) fn source(&self, at: usize) -> (usize, usize) {
        let next = self.0.partition_point(|stretch| stretch.at <= at);
        match next.checked_sub(1).map(|found| &self.0[found]) {
            Some(stretch) => (stretch.file, stretch.from.start + (at - stretch.at).min(stretch.from.len())),
            None => (0, 0),
        }
    }
}

impl Masked {
    /// Adds a file: its text with its expressions put aside, and where that is from.
    ///
    /// # Errors
    /// Where the text has a word that stands for an expression.
    pub(super) fn add(
        &mut self,
        origin: Origin,
        text: &str,
        language: Language,
    ) -> Result<(String, Map), TemplateError> {
        if let Some(at) = text.find(WORD) {
            let place = line_and_column(text, at);
            let problem = format!("`{WORD}` stands for expressions here, and can't be a part of a word");
            return Err(TemplateError::new(&origin.path, Some(place), problem));
        }
        let file = self.files.len();
        self.files.push(origin);
        let (mut out, mut map, mut done) = (String::with_capacity(text.len()), Map::default(), 0);
        let expressions = expressions::find(text, language);
        for expression in expressions {
            let at = expression.at;
            map.0.push(Stretch { at: out.len(), file, from: done..at.start });
            out.push_str(&text[done..at.start]);
            map.0.push(Stretch { at: out.len(), file, from: at.clone() });
            out.push_str(&word(self.asides.len()));
            done = at.end;
            self.asides.push(Aside { kind: expression.kind, text: text[at.clone()].to_owned(), file, at });
        }
        map.0.push(Stretch { at: out.len(), file, from: done..text.len() });
        out.push_str(&text[done..]);
        Ok((out, map))
    }

    /// The text with its expressions in it again, and where they are from.
    pub(super) fn restore(&self, masked: &str) -> (String, Map) {
        let (mut out, mut map, mut rest) = (String::with_capacity(masked.len() * 2), Map::default(), masked);
        while let Some((before, number, after)) = next_word(rest) {
            out.push_str(before);
            let aside = &self.asides[number];
            map.0.push(Stretch { at: out.len(), file: aside.file, from: aside.at.clone() });
            out.push_str(&aside.text);
            rest = after;
        }
        out.push_str(rest);
        (out, map)
    }

    /// The place of a byte of a file, from 1.
    pub(super) fn place(&self, (file, at): (usize, usize)) -> (&Origin, (usize, usize)) {
        let origin = &self.files[file];
        let text: &Arc<str> = &origin.text;
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        (origin, line_and_column(text, at))
    }

    /// An error at a byte of a file.
    pub(super) fn error(&self, source: (usize, usize), problem: impl Into<String>) -> TemplateError {
        let (origin, place) = self.place(source);
        TemplateError::new(&origin.path, Some(place), problem)
    }

    /// The first expression that `masked` has lost.
    pub(super) fn lost(&self, masked: &str) -> Option<&Aside> {
        let mut seen = vec![false; self.asides.len()];
        let mut rest = masked;
        while let Some((_, number, after)) = next_word(rest) {
            seen[number] = true;
            rest = after;
        }
        seen.iter().position(|seen| !seen).map(|number| &self.asides[number])
    }
}

/// What stands for an expression.
pub(super) fn word(number: usize) -> String {
    format!("{WORD}{number}x")
}

/// What is before the next word, the expression that it stands for, and what is after it.
pub(super) fn next_word(text: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(WORD)?;
        let rest = &text[at + WORD.len()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let (Ok(number), Some(after)) = (rest[..digits].parse(), rest[digits..].strip_prefix('x')) {
            return Some((&text[..at], number, after));
        }
        from = at + WORD.len();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::engine::Source;
    use super::*;

    #[test]
    fn what_was_put_aside_comes_back_and_every_place_is_known() {
        let text = "<p>ü {{a}}\n</p>{{#if b}}<br>{{/if}}";
        let mut masked = Masked::default();
        let origin = Source::value(Path::new("c/t.hbs"), "t.hbs", text).origin;
        let (out, map) = masked.add(origin, text, Language::Handlebars).unwrap();
        assert_eq!(out, "<p>ü mailrunx0x\n</p>mailrunx1x<br>mailrunx2x");
        let place = |found: &str| masked.place(map.source(out.find(found).unwrap())).1;
        assert_eq!([place("ü"), place("</p>"), place("<br>")], [(1, 4), (2, 1), (2, 14)]);
        let moved = format!("<html>{out}");
        let (whole, map) = masked.restore(&moved);
        assert_eq!(whole, format!("<html>{text}"));
        let place = |found: &str| masked.place(map.source(whole.find(found).unwrap())).1;
        assert_eq!([place("a}}"), place("if b"), place("{{/if}}")], [(1, 8), (2, 8), (2, 18)]);
        assert_eq!(masked.lost("mailrunx0x mailrunx2x").unwrap().text, "{{#if b}}");
        assert!(masked.lost(&out).is_none());
        let again = Source::value(Path::new("c/u.hbs"), "u.hbs", "").origin;
        assert_eq!(masked.add(again, "\n mailrunx", Language::Jinja).unwrap_err().place, Some((2, 2)));
    }
}
