//! Finds the links, images and active tags of an HTML text.
//!
//! One pass over the tags, without a tree, since every message of a large list is scanned. Reads
//! tags as browsers do (WHATWG HTML §13.2.5): comments, quoted and bare attributes, letters of any
//! case, and the raw text of `<script>`, `<style>`, `<title>` and `<textarea>`. Never changes or
//! judges a text.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::kit::tags::unescaped;

/// What a tag is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The address of an `<a>` or `<area>`, trimmed and with its entities resolved.
    Link(Cow<'a, str>),
    /// An `<img>`: its source, and whether it has an `alt`, even an empty one.
    Image { src: Cow<'a, str>, has_alt: bool },
    /// A tag that mail programs remove: its name as written.
    Active(&'a str),
}

/// Calls `found` for each link, image and active tag of `html`, in their order.
pub(super) fn scan<'a>(html: &'a str, mut found: impl FnMut(Found<'a>)) {
    let bytes = html.as_bytes();
    let mut at = 0;
    while let Some(open) = memchr(b'<', &bytes[at..]) {
        let start = at + open + 1;
        let rest = &bytes[start..];
        if rest.starts_with(b"!--") {
            // `<!-->` is a whole comment.
            let after = start + 1;
            at = memmem::find(&bytes[after..], b"-->").map_or(bytes.len(), |end| after + end + 3);
            continue;
        }
        if !rest.first().is_some_and(u8::is_ascii_alphabetic) {
            at = start;
            continue;
        }
        let name_end = start + rest.iter().position(|&byte| ends_name(byte)).unwrap_or(rest.len());
        let name = &html[start..name_end];
        let mut attributes = Attributes { html, at: name_end, done: false };
        if is(name, "a") || is(name, "area") {
            if let Some(value) = attributes.find(|attribute| is(attribute, "href")) {
                found(Found::Link(value));
            }
        } else if is(name, "img") {
            let (mut src, mut has_alt) = (Cow::Borrowed(""), false);
            for (attribute, value) in &mut attributes {
                if is(attribute, "src") {
                    src = value;
                } else if is(attribute, "alt") {
                    has_alt = true;
                }
            }
            found(Found::Image { src, has_alt });
        } else if ["script", "iframe", "form", "object", "embed"].iter().any(|active| is(name, active)) {
            found(Found::Active(name));
        }
        at = attributes.end();
        if ["script", "style", "title", "textarea"].iter().any(|raw| is(name, raw)) {
            at = end_of_raw_text(bytes, at, name.as_bytes());
        }
    }
}

fn is(name: &str, wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted)
}

fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'>' || byte == b'/'
}

/// Where the text of a raw-text element ends: at its end tag, or with the document.
fn end_of_raw_text(bytes: &[u8], mut at: usize, name: &[u8]) -> usize {
    while let Some(end) = memmem::find(&bytes[at..], b"</") {
        let tag = at + end + 2;
        if bytes[tag..].get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return at + end;
        }
        at = tag;
    }
    bytes.len()
}

/// Iterates over the attributes of a tag: names as written, values with their entities resolved.
struct Attributes<'a> {
    html: &'a str,
    at: usize,
    done: bool,
}

impl<'a> Attributes<'a> {
    /// The value of the first attribute with a name that fits.
    fn find(&mut self, fits: impl Fn(&str) -> bool) -> Option<Cow<'a, str>> {
        Iterator::find(&mut *self, |(name, _)| fits(name)).map(|(_, value)| value)
    }

    /// Where the tag ends.
    fn end(mut self) -> usize {
        while self.next().is_some() {}
        self.at
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) -> Option<u8> {
        let bytes = &self.html.as_bytes()[self.at..];
        let count = bytes.iter().position(|&byte| !skipped(byte)).unwrap_or(bytes.len());
        self.at += count;
        bytes.get(count).copied()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let first = self.skip(|byte| byte.is_ascii_whitespace() || byte == b'/')?;
        if first == b'>' {
            self.at += 1;
            self.done = true;
            return None;
        }
        let start = self.at;
        // A name may begin with `=` (§13.2.5.32).
        self.at += 1;
        self.skip(|byte| !ends_name(byte) && byte != b'=');
        // Both ends are at an ASCII character or at the end of the text, so this slice is valid
        // UTF-8.
        let name = &self.html[start..self.at];
        if self.skip(|byte| byte.is_ascii_whitespace()) != Some(b'=') {
            return Some((name, Cow::Borrowed("")));
        }
        self.at += 1;
        let first = self.skip(|byte| byte.is_ascii_whitespace());
        let value = match first {
            Some(quote @ (b'"' | b'\'')) => {
                let start = self.at + 1;
                let rest = &self.html.as_bytes()[start..];
                let length = memchr(quote, rest).unwrap_or(rest.len());
                self.at = (start + length + 1).min(self.html.len());
                // A `>` inside a quoted value does not end the tag.
                &self.html[start..start + length]
            }
            Some(b'>') | None => "",
            Some(_) => {
                let start = self.at;
                self.skip(|byte| !byte.is_ascii_whitespace() && byte != b'>');
                &self.html[start..self.at]
            }
        };
        Some((name, unescaped(value.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str) -> Vec<String> {
        let mut all = Vec::new();
        scan(html, |found| {
            all.push(match found {
                Found::Link(to) => format!("link {to}"),
                Found::Image { src, has_alt } => format!("image {src} {has_alt}"),
                Found::Active(name) => format!("active {name}"),
            });
        });
        all
    }

    fn check(html: &str, expected: &[&str]) {
        assert_eq!(found(html), expected, "{html}");
    }

    #[test]
    fn links_in_every_notation() {
        check(r#"<a href="https://a.example/?x=1&amp;y=2">x</a>"#, &["link https://a.example/?x=1&y=2"]);
        check("<A class=b HREF = 'http://a.example' >x</A>", &["link http://a.example"]);
        check("<a href=/x/y>x</a><a\nhref=z/>", &["link /x/y", "link z/"]);
        check("<a href>x</a><a name=top><a href=''>", &["link ", "link "]);
        check(r#"<area href="a&#x3D;b&#61;c&unknown;d&e">"#, &["link a=b=c&unknown;d&e"]);
        check(r#"<a title="a > b" href="x">"#, &["link x"]);
        check(r#"<a href=" {{url}} ">"#, &["link {{url}}"]);
        check("<abbr href=x><link href=x>", &[]);
    }

    #[test]
    fn images_have_an_alt_or_not() {
        check(r#"<img src="a.png" alt="">"#, &["image a.png true"]);
        check(r#"<img src="a.png">"#, &["image a.png false"]);
        check(r#"<img alt src='cid:a'/>"#, &["image cid:a true"]);
        check("<img data-alt=x src=a.png>", &["image a.png false"]);
    }

    #[test]
    fn text_that_is_no_tag_is_skipped() {
        check("<!-- <a href=x> --><!--><a href=y>", &["link y"]);
        check("<!--[if mso]><a href=x><![endif]-->", &[]);
        check("<style>a:before { content: '<a href=x>' }</style><a href=y>", &["link y"]);
        check("<script>'<a href=x>'</SCRIPT ><a href=y>", &["active script", "link y"]);
        check("1 < 2 <a href=y> < <", &["link y"]);
        check("<style><a href=x>", &[]);
    }

    #[test]
    fn torn_tags_end_with_the_text() {
        for html in [
            "<",
            "<a",
            "<a ",
            "<a href",
            "<a href=",
            "<a href=\"",
            "<a href=\"x",
            "<!--",
            "<!",
            "<style",
            "<a ü",
            "<a =ü=ü>",
        ] {
            found(html);
        }
        check("<a href=\"x", &["link x"]);
        check("<a ü=1 href=y>", &["link y"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(parts in proptest::collection::vec("[<>a=\"'/ !ü-]{0,6}|<a href=|<img |<!--|-->|</style>|<style>", 0..40)) {
            found(&parts.concat());
        }
    }
}
