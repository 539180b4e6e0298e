//! What a page asks of a parser of HTML: how many elements it has, and how deep in one another they
//! can be. Counted without a tree, and never too low.
//!
//! Tags are read as the HTML standard reads them (§13.2.5). How deep they are is decided by a stack
//! of those that were opened, and whatever is not certain to close one leaves it open: an end tag
//! closes the last element that is open, or one with nothing but elements in it whose end may be
//! left out. Elements whose texts and children are read in ways of their own are not counted but
//! reported.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::kit::tags::is_void;

/// What a page asks of a parser.
#[derive(Debug, Default)]
pub(super) struct Measure<'a> {
    /// Its start tags.
    pub elements: usize,
    /// The most attributes of an element.
    pub attributes: usize,
    /// The texts of its `<style>` elements.
    pub styles: Vec<&'a str>,
}

/// Why a page has no measure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beyond<'a> {
    /// Elements may be deeper in one another than was asked.
    Deep,
    /// It has this element.
    Element(&'a str),
}

/// Elements after which tags are read, or nested, by rules of their own.
const OWN_RULES: [&str; 13] = [
    "frameset",
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "script",
    "select",
    "svg",
    "template",
    "textarea",
    "xmp",
];
/// Elements that a parser opens again where their end is missing.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
/// Elements whose end may be left out within those of [`BLOCKS`].
const IMPLIED: [&str; 4] = ["dd", "dt", "li", "p"];
/// Elements whose end tag ends what is open of [`IMPLIED`] in them.
const BLOCKS: [&str; 19] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "header",
    "li",
    "main",
    "nav",
    "ol",
    "section",
    "ul",
];
/// The parts of a table, whose end tags end the parts in them.
const OF_TABLES: [&str; 9] = ["caption", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"];
/// Elements that end one of the same name before them.
const ENDED_BY_NEXT: [&str; 7] = ["dd", "dt", "li", "p", "td", "th", "tr"];

/// Measures `html`, which must have at most `deepest` elements in one another.
pub(super) fn measure(html: &str, deepest: usize) -> Result<Measure<'_>, Beyond<'_>> {
    let bytes = html.as_bytes();
    let (mut found, mut open, mut at) = (Measure::default(), Open::default(), 0);
    // Those of all `<html>` and `<body>` go into one element.
    let mut of_page = 0;
    while let Some(start) = memchr(b'<', &bytes[at..]).map(|start| at + start) {
        let rest = &bytes[start..];
        let ends = rest.get(1) == Some(&b'/');
        let is_name = rest.get(1 + usize::from(ends)).is_some_and(u8::is_ascii_alphabetic);
        if !is_name {
            at = match rest.get(1) {
                Some(b'!') if rest.starts_with(b"<!--") => end_of_comment(bytes, start),
                Some(b'!' | b'?' | b'/') => memchr(b'>', rest).map_or(bytes.len(), |end| start + end + 1),
                Some(_) | None => start + 1,
            };
            continue;
        }
        let Some(tag) = Tag::read(html, start + 1 + usize::from(ends)) else { break };
        at = tag.end;
        let is = |names: &[&str]| is_one_of(tag.name, names);
        if ends {
            open.end(tag.name);
            if open.depth() > deepest {
                return Err(Beyond::Deep);
            }
            continue;
        }
        if is(&OWN_RULES) {
            return Err(Beyond::Element(tag.name));
        }
        found.elements += 1;
        found.attributes = found.attributes.max(tag.attributes);
        if is(&["html", "head", "body"]) {
            of_page += tag.attributes;
            found.attributes = found.attributes.max(of_page);
        } else if is(&["style", "title"]) {
            let text = at..end_of_text(bytes, at, tag.name.as_bytes());
            at = text.end;
            if is(&["style"]) {
                found.styles.push(&html[text]);
            }
        } else if !is_void(tag.name) {
            open.start(tag.name);
            if open.depth() > deepest {
                return Err(Beyond::Deep);
            }
        }
    }
    Ok(found)
}

/// The elements that may be open.
#[derive(Debug, Default)]
struct Open<'a> {
    names: Vec<&'a str>,
    /// The elements that a parser adds to those.
    added: usize,
}

impl<'a> Open<'a> {
    fn depth(&self) -> usize {
        self.names.len() + self.added
    }

    fn start(&mut self, name: &'a str) {
        if is_one_of(name, &ENDED_BY_NEXT) && self.names.last().is_some_and(|last| same(last, name)) {
            self.names.pop();
        }
        self.names.push(name);
        if same(name, "table") {
            self.added += 2;
        }
    }

    fn end(&mut self, name: &str) {
        let may_be_in = |inner: &str| {
            is_one_of(inner, &IMPLIED) && (is_one_of(name, &BLOCKS) || is_one_of(name, &OF_TABLES))
                || is_one_of(inner, &OF_TABLES) && is_one_of(name, &OF_TABLES) && !same(inner, "table")
        };
        let ended = self.names.iter().rposition(|open| same(open, name) || !may_be_in(open));
        match ended {
            Some(at) if same(self.names[at], name) => {
                self.names.truncate(at);
                if same(name, "table") {
                    self.added -= 2;
                }
            }
            // It takes formatting apart, which is then opened again where it was not.
            Some(_) | None => self.added += usize::from(is_one_of(name, &FORMATTING)),
        }
    }
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| same(name, other))
}

/// A tag that has an end.
struct Tag<'a> {
    name: &'a str,
    attributes: usize,
    /// After its `>`.
    end: usize,
}

impl<'a> Tag<'a> {
    /// The tag whose name begins at `start`; none where the text ends before it does.
    fn read(html: &'a str, start: usize) -> Option<Self> {
        let bytes = html.as_bytes();
        let skip = |from: usize, is_part: fn(u8) -> bool| -> usize {
            let length = bytes[from..].iter().position(|byte| !is_part(*byte));
            length.map_or(bytes.len(), |length| from + length)
        };
        let name: Range<usize> = start..skip(start, |byte| !is_space(byte) && !matches!(byte, b'/' | b'>'));
        let (mut at, mut attributes) = (name.end, 0);
        loop {
            at = skip(at, |byte| is_space(byte) || byte == b'/');
            if *bytes.get(at)? == b'>' {
                return Some(Self { name: &html[name], attributes, end: at + 1 });
            }
            attributes += 1;
            // A name may begin with `=`.
            at = skip(at + 1, |byte| !is_space(byte) && !matches!(byte, b'/' | b'>' | b'='));
            at = skip(at, is_space);
            if bytes.get(at) != Some(&b'=') {
                continue;
            }
            at = skip(at + 1, is_space);
            at = match *bytes.get(at)? {
                quote @ (b'"' | b'\'') => at + 1 + memchr(quote, &bytes[at + 1..])? + 1,
                _ => skip(at, |byte| !is_space(byte) && byte != b'>'),
            };
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

/// After the comment that begins at `start`: `<!-->` is one, and `--!>` ends one.
fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let usual = memmem::find(&bytes[start + 2..], b"-->").map(|end| start + 2 + end + 3);
    let other = memmem::find(&bytes[start + 4..], b"--!>").map(|end| start + 4 + end + 4);
    usual.into_iter().chain(other).min().unwrap_or(bytes.len())
}

/// Where the end tag of an element without tags begins: `</stylex` is none of `style`.
fn end_of_text(bytes: &[u8], mut at: usize, name: &[u8]) -> usize {
    while let Some(end) = memmem::find(&bytes[at..], b"</").map(|end| at + end) {
        let rest = &bytes[end + 2..];
        let is_it = rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        if is_it && rest.get(name.len()).is_some_and(|next| is_space(*next) || matches!(next, b'/' | b'>')) {
            return end;
        }
        at = end + 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth_holds(html: &str, deepest: usize) -> bool {
        match measure(html, deepest) {
            Ok(_) => true,
            Err(Beyond::Deep) => false,
            Err(Beyond::Element(name)) => panic!("{name}"),
        }
    }

    /// Each nests when it is repeated, whatever it looks like.
    #[test]
    fn nothing_hides_how_deep_elements_are() {
        for one in [
            "<div>",
            "<div/>",
            "<DIV\n>",
            "<b>",
            "<font a=1>",
            "</x><div>",
            "</div><p></div><i>",
            "<p><b></p>",
            "<!-- --!><div>",
            "<!--><div>",
            "<!---><div><!-- -->",
            "<!DOCTYPE \"><div>\">",
            "<![CDATA[><div>]]>",
            "<style></stylex></style><div>",
            "<style><!--</style><div>",
            "<title></titl></title/><div>",
            "<a\"b><div>",
            "<a b=c\"><div>",
            "<a b=\">\"><c d='",
            "<table><td>",
            "<table><tr><td><p>",
            "<span></b></div>",
            "<div><b></div>",
            "<b><p></b>",
            "<details><summary>",
            "<i></i/ x><u>",
        ] {
            let html = format!("<body>{}", one.repeat(100_000));
            assert!(!depth_holds(&html, 200), "{one}");
        }
        for own in OWN_RULES {
            let html = format!("<p><{own}>");
            assert_eq!(measure(&html, 200).unwrap_err(), Beyond::Element(own));
        }
    }

    #[test]
    fn what_mails_have_is_not_counted_as_deep() {
        for one in [
            "<div><p>a<p>b</div>",
            "<br><br/><img src=\"a>b\">",
            "<ul><li>a<li>b</ul>",
            "<b>a</b> <a href=x><i>c</i></a>",
            "<table><tr><td>a<td>b<tr><td><p>c</table>",
            "<table><tbody><tr><td>a</td></tr></tbody></table>",
            "<!--[if mso]><table><tr><td><svg><![endif]-->a<!--[if mso]></td></tr></table><![endif]-->",
            "<p>a",
            "</div>",
            "<style>a>b{}</style><title><b></title>",
            "<!-- <b> -->",
            "a < b <1 </ >",
            "<h1>x</h1>",
        ] {
            assert!(depth_holds(&one.repeat(1_000), 10), "{one}");
        }
    }

    #[test]
    fn elements_attributes_and_styles_are_counted() {
        let html = "<html a b><body c d='>' e = f g/h><style>x</style><p i=\"<b>\"><title></title><style>y";
        let found = measure(html, 10).unwrap();
        assert_eq!((found.elements, found.attributes, found.styles), (6, 7, vec!["x", "y"]));
    }
}
