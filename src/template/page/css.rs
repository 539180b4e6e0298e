//! Styles into the elements that they are for, since many mail programs drop `<style>`.
//!
//! It is done once for a template where that gives what doing it in each message would: the
//! expressions must leave the elements, their classes and the styles alone. Whether they do is
//! decided on the safe side. Nothing is fetched.

use std::fmt;

use css_inline::{CSSInliner, InlineError};
use thiserror::Error;

use super::expressions::{self, Kind};
use super::mask::{Masked, next_word, word};
use super::measure::{Beyond, Measure, measure};
use crate::campaign::Language;
use crate::kit::tags::{self, Piece};

/// Puts styles into elements.
pub(super) struct Inliner(CSSInliner<'static>);

impl fmt::Debug for Inliner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inliner")
    }
}

impl Inliner {
    pub(super) fn new() -> Self {
        // What can't be in an element, such as `@media` and `:hover`, stays in `<style>`.
        let inliner = CSSInliner::options()
            .load_remote_stylesheets(false)
            .keep_link_tags(true)
            .keep_style_tags(true)
            .remove_inlined_selectors(true)
            .build();
        Self(inliner)
    }

    /// # Errors
    /// Where the page is none for which the work has a bound.
    pub(super) fn inline(&self, html: &str) -> Result<String, CssError> {
        check_bounds(html)?;
        Ok(self.0.inline(html)?)
    }

    /// The styles of a template's page in its elements; `Err` says why that must be done in each
    /// message.
    pub(super) fn once(&self, page: &str, masked: &Masked, language: Language) -> Result<String, NotOnce> {
        let (commented, before) = comment_expressions(page, masked)?;
        let inlined =
            self.inline(&commented).map_err(|error| NotOnce { at: None, why: error.to_string() })?;
        let restored = restore_comments(&inlined, masked.asides.len());
        let inlined = without_added(&restored, &before).map_err(|at| {
            let near = before[..at].iter().rev().find_map(|part| match part {
                Part::Word(number) => Some(*number),
                Part::Opens(_) | Part::Closes(_) => None,
            });
            let why = match near {
                Some(number) => format!(
                    "after `{}`, elements are left open or closed out of order",
                    masked.asides[number].text
                ),
                None => "elements are left open or closed out of order".to_owned(),
            };
            NotOnce { at: near, why }
        })?;
        check_expressions(page, &inlined, masked, language)?;
        Ok(inlined)
    }
}

/// The language must find the expressions of `page`, and no others, in `inlined`: `&#123;` is text,
/// and a part of an expression without its character reference, which could print a value as it is.
fn check_expressions(page: &str, inlined: &str, masked: &Masked, language: Language) -> Result<(), NotOnce> {
    let (mut numbers, mut rest) = (Vec::new(), page);
    while let Some((_, number, after)) = next_word(rest) {
        numbers.push(number);
        rest = after;
    }
    let (before, after) = (masked.restore(page).0, masked.restore(inlined).0);
    let (expected, found) = (read(&before, language), read(&after, language));
    let is_same = |(number, found): &(&usize, &Read<'_>)| masked.asides[**number].text == found.text;
    let same = std::iter::zip(&numbers, &found).take_while(is_same).count();
    let is_whole = same == numbers.len() && same == found.len() && expected == found;
    if is_whole && other_marks(&before, language) == other_marks(&after, language) {
        return Ok(());
    }
    let why = "a text looks like an expression without its character references".to_owned();
    Err(NotOnce { at: numbers.get(same).copied(), why })
}

/// An expression, and how many backslashes before it may change its meaning.
#[derive(Debug, PartialEq, Eq)]
struct Read<'a> {
    text: &'a str,
    backslashes: usize,
}

/// The expressions of a text as its language reads them.
fn read(text: &str, language: Language) -> Vec<Read<'_>> {
    let read = |at: std::ops::Range<usize>| {
        let backslashes = text[..at.start].bytes().rev().take_while(|byte| *byte == b'\\').count();
        Read { text: &text[at], backslashes }
    };
    expressions::find(text, language).into_iter().map(|expression| read(expression.at)).collect()
}

/// How often a text has what is an expression in other forms of its language.
fn other_marks(text: &str, language: Language) -> usize {
    let marks: &[&str] = match language {
        Language::Handlebars => &["{{"],
        Language::Jinja => &["{{", "{%", "{#"],
        Language::Freemarker => &["${", "#{", "[=", "[#", "[/#", "[@", "[/@", "<#", "</#", "<@", "</@"],
    };
    marks.iter().map(|mark| text.matches(mark).count()).sum()
}

/// Why styles can't be put into elements.
#[derive(Debug, Error)]
pub(super) enum CssError {
    #[error("more than {DEEPEST} elements in one another")]
    Deep,
    #[error("more than {DEEPEST} brackets in one another in a style")]
    Brackets,
    #[error("more than {DEEPEST_SELECTORS} selectors in one another, as in `:not(:is(…))`")]
    Selectors,
    #[error("`<{name}>`, which mail programs drop, has rules of its own for what is in it")]
    Element { name: String },
    #[error("an element has more than {MOST_ATTRIBUTES} attributes")]
    Attributes,
    #[error("{elements} elements and {style_bytes} bytes of styles are too much work")]
    Large { elements: usize, style_bytes: usize },
    #[error(transparent)]
    Inline(#[from] InlineError),
}

/// Elements in one another: each takes some of the stack.
const DEEPEST: usize = 200;
/// Selectors in one another: each is tried for each element that the one around it is tried for.
const DEEPEST_SELECTORS: usize = 3;
/// Attributes of an element: each is compared with those before it.
const MOST_ATTRIBUTES: usize = 500;
/// Elements times bytes of styles: each rule is tried with each element, and may go into it.
const MOST_WORK: usize = 32 << 20;
/// Of selectors that look at the elements beside an element.
const LOOKS_ASIDE: [&str; 9] =
    [":nth", ":first", ":last", ":only", ":empty", ":not", ":is", ":where", ":has"];

/// Time and memory follow from what is counted here.
fn check_bounds(html: &str) -> Result<(), CssError> {
    let Measure { elements, attributes, styles } = measure(html, DEEPEST).map_err(|beyond| match beyond {
        Beyond::Deep => CssError::Deep,
        Beyond::Element(name) => CssError::Element { name: name.to_ascii_lowercase() },
    })?;
    if attributes > MOST_ATTRIBUTES {
        return Err(CssError::Attributes);
    }
    let (mut style_bytes, mut looks_aside) = (0_usize, 0_usize);
    for style in styles {
        check_brackets(style)?;
        style_bytes += style.len();
        // A backslash may hide a letter.
        looks_aside += style.matches(['~', '+', '\\']).count();
        let style = style.to_ascii_lowercase();
        looks_aside += LOOKS_ASIDE.iter().map(|name| style.matches(name).count()).sum::<usize>();
    }
    let aside = looks_aside.saturating_mul(elements).saturating_mul(elements);
    if elements.saturating_mul(style_bytes) > MOST_WORK || aside > MOST_WORK {
        return Err(CssError::Large { elements, style_bytes });
    }
    Ok(())
}

/// Brackets in one another may each take some of the stack, and selectors in one another multiply
/// their work. Those of strings and comments count too.
fn check_brackets(style: &str) -> Result<(), CssError> {
    let hides_names = style.contains('\\');
    let mut open: Vec<bool> = Vec::new();
    for (at, byte) in style.bytes().enumerate() {
        match byte {
            b'(' => open.push(hides_names || is_of_selector(&style.as_bytes()[..at])),
            b'[' | b'{' => open.push(false),
            b')' | b']' | b'}' => drop(open.pop()),
            _ => continue,
        }
        if open.len() > DEEPEST {
            return Err(CssError::Brackets);
        }
        if open.iter().filter(|is_of_selector| **is_of_selector).count() > DEEPEST_SELECTORS {
            return Err(CssError::Selectors);
        }
    }
    Ok(())
}

/// Whether what is before a bracket ends in a name with a colon before it, as `:not` does.
fn is_of_selector(before: &[u8]) -> bool {
    let is_of_name =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || !byte.is_ascii();
    let name = before.iter().rev().take_while(|byte| is_of_name(byte)).count();
    before[..before.len() - name].last() == Some(&b':')
}

/// Tags that a parser adds where they are not written.
const MAY_BE_ADDED: [&str; 4] = ["html", "head", "body", "tbody"];

/// Why styles can't be put into the elements once for all messages.
#[derive(Debug)]
pub(super) struct NotOnce {
    /// The number of the expression that keeps it, where it is one.
    pub at: Option<usize>,
    /// A fragment.
    pub why: String,
}

/// A page as a list of tags and expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Opens(String),
    Closes(String),
    Word(usize),
}

/// `page` without the tags that a parser adds to `before`, its shape as it was written. `Err` is
/// where it is another page: elements that an expression opens and another closes, or whose end is
/// left out, are completed.
fn without_added(page: &str, before: &[Part]) -> Result<String, usize> {
    let (mut out, mut next) = (String::with_capacity(page.len()), 0);
    for piece in tags::pieces(page) {
        let range = match &piece {
            Piece::Text(at) | Piece::RawText { at, .. } | Piece::Comment(at) => at.clone(),
            Piece::Tag { name, inner, ends } => {
                let start = inner.start - name.len() - 1 - usize::from(*ends);
                start..(inner.end + 1).min(page.len())
            }
        };
        let parts = parts_of(page, &piece);
        let is_written = before.get(next..next + parts.len()) == Some(&parts[..]);
        match &piece {
            _ if is_written => next += parts.len(),
            Piece::Tag { name, .. } if parts.len() == 1 && MAY_BE_ADDED.contains(name) => continue,
            _ => return Err(next),
        }
        out.push_str(&page[range]);
    }
    if next < before.len() { Err(next) } else { Ok(out) }
}

/// Words in texts become comments, which may be anywhere in a page; its shape.
fn comment_expressions(page: &str, masked: &Masked) -> Result<(String, Vec<Part>), NotOnce> {
    let not = |number: usize, why: &str| {
        let why = format!("`{}` {why}", masked.asides[number].text);
        NotOnce { at: Some(number), why }
    };
    let mut styles = String::new();
    for piece in tags::pieces(page) {
        if let Piece::RawText { of, at } = piece
            && of.eq_ignore_ascii_case("style")
        {
            if let Some((_, number, _)) = next_word(&page[at.clone()]) {
                return Err(not(number, "is in a `<style>`"));
            }
            styles.push_str(&page[at]);
        }
    }
    let selects_attributes = styles.contains('[');
    let selects_places = [":first", ":last", ":nth", ":only", ":empty", ":has", ":not", "+", "~"]
        .iter()
        .any(|selector| styles.contains(selector));
    for (number, aside) in masked.asides.iter().enumerate() {
        match aside.kind {
            Kind::Raw => return Err(not(number, "may bring elements")),
            Kind::Include => return Err(not(number, "brings elements")),
            Kind::Statement if selects_places => {
                return Err(not(number, "decides which elements there are, and a selector counts them"));
            }
            Kind::Print | Kind::Statement => {}
        }
    }
    let mut out = String::with_capacity(page.len() + masked.asides.len() * 8);
    for piece in tags::pieces(page) {
        match piece {
            Piece::Text(at) => {
                let mut rest = &page[at];
                while let Some((before, number, after)) = next_word(rest) {
                    out.push_str(before);
                    out.push_str(&comment(number));
                    rest = after;
                }
                out.push_str(rest);
            }
            Piece::RawText { at, .. } | Piece::Comment(at) => out.push_str(&page[at]),
            Piece::Tag { name, inner, ends } => {
                if next_word(&page[inner.clone()]).is_some() {
                    check_attributes(page, inner.clone(), selects_attributes)
                        .map_err(|(number, why)| not(number, why))?;
                }
                out.push_str(if ends { "</" } else { "<" });
                out.push_str(name);
                out.push_str(&page[inner.clone()]);
                if inner.end < page.len() {
                    out.push('>');
                }
            }
        }
    }
    Ok((out, shape(page)))
}

/// Expressions may be in the values of attributes that no style looks at.
fn check_attributes(
    page: &str,
    inner: std::ops::Range<usize>,
    selects_attributes: bool,
) -> Result<(), (usize, &'static str)> {
    for (name, value) in tags::attributes(page, inner) {
        if let Some((_, number, _)) = next_word(name) {
            return Err((number, "is among the attributes of an element"));
        }
        let Some((_, number, _)) = next_word(&page[value]) else { continue };
        match name.to_ascii_lowercase().as_str() {
            "class" | "id" => return Err((number, "is in a class or an id")),
            "style" => return Err((number, "is in a style")),
            _ if selects_attributes => {
                return Err((number, "is in an attribute, and a selector looks at those"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn comment(number: usize) -> String {
    format!("<!--{}-->", word(number))
}

fn restore_comments(page: &str, count: usize) -> String {
    let (mut out, mut rest) = (String::with_capacity(page.len()), page);
    while let Some((before, number, after)) = next_word(rest) {
        let is_comment = before.ends_with("<!--") && after.starts_with("-->") && number < count;
        out.push_str(if is_comment { &before[..before.len() - 4] } else { before });
        out.push_str(&word(number));
        rest = if is_comment { &after[3..] } else { after };
    }
    out.push_str(rest);
    out
}

/// Tags and words in order.
fn shape(page: &str) -> Vec<Part> {
    tags::pieces(page).iter().flat_map(|piece| parts_of(page, piece)).collect()
}

/// What a piece adds to the shape: nothing for a `<style>`, which may go.
fn parts_of(page: &str, piece: &Piece<'_>) -> Vec<Part> {
    let (mut parts, range) = match piece {
        Piece::Text(at) | Piece::RawText { at, .. } | Piece::Comment(at) => (Vec::new(), at.clone()),
        Piece::Tag { name, inner, ends } => {
            let name = name.to_ascii_lowercase();
            let counts = name != "style" && !(*ends && tags::is_void(&name));
            let part = if *ends { Part::Closes(name) } else { Part::Opens(name) };
            (if counts { vec![part] } else { Vec::new() }, inner.clone())
        }
    };
    let mut rest = &page[range];
    while let Some((_, number, after)) = next_word(rest) {
        parts.push(Part::Word(number));
        rest = after;
    }
    parts
}
