//! What mail programs do to the styles of an HTML part: some they drop, some are for nothing, and
//! some make a text unreadable in dark mode.

use std::collections::HashSet;

use super::mark::Mark;
use crate::kit::tags::{Piece, attributes, pieces};

/// Gmail drops a `<style>` with more characters.
const LONGEST_STYLE: usize = 8_192;
/// What mail programs put around a message, or into it: rules for these are on purpose.
const OF_PROGRAMS: [&str; 14] = [
    "externalclass",
    "readmsgbody",
    "outlook",
    "moz-text-html",
    "mj-outlook",
    "mj-full-width",
    "mj-column",
    "yshortcuts",
    "msooutlook",
    "apple-",
    "x-apple",
    "gmail",
    "owa",
    "body",
];
/// What makes an element a hidden preheader.
const HIDES: [&str; 6] =
    ["display:none", "max-height:0", "mso-hide:all", "font-size:0", "font-size:1px", "opacity:0"];

/// Calls `found` for each mark that the styles of `html` deserve, with an example.
pub(super) fn look(html: &str, mut found: impl FnMut(Mark, String)) {
    let page = Page::read(html);
    if let Some(dropped) = &page.dropped {
        found(Mark::StyleDropped, dropped.clone());
    }
    if let Some(unused) = page.unused() {
        found(Mark::StyleUnused, format!("`{unused}`"));
    }
    if let Some(trap) = page.dark_mode() {
        found(Mark::DarkMode, trap.to_owned());
    }
    if !page.has_preheader {
        found(Mark::NoPreheader, String::new());
    }
}

/// What there is in a page.
#[derive(Default)]
struct Page<'a> {
    styles: Vec<&'a str>,
    /// Classes and ids of elements, with `.` and `#`, in lower case.
    names: HashSet<String>,
    /// A style that programs drop.
    dropped: Option<String>,
    has_preheader: bool,
    sets_color: bool,
    sets_background: bool,
    knows_dark_mode: bool,
}

impl<'a> Page<'a> {
    fn read(html: &'a str) -> Self {
        let mut page = Self::default();
        // Elements in which all is hidden, and whether a reader has seen text yet.
        let (mut hidden, mut has_text, mut in_body) = (None, false, false);
        for piece in pieces(html) {
            match piece {
                Piece::Tag { name, ends: true, .. } => {
                    if hidden.is_some_and(|hiding: &str| hiding.eq_ignore_ascii_case(name)) {
                        hidden = None;
                    }
                }
                Piece::Tag { name, inner, ends: false } => {
                    in_body = in_body
                        || !["html", "head", "meta", "title", "style", "link", "base"]
                            .iter()
                            .any(|head| head.eq_ignore_ascii_case(name));
                    if page.tag(html, name, inner) && hidden.is_none() {
                        hidden = Some(name);
                    }
                }
                Piece::RawText { of, at } if of.eq_ignore_ascii_case("style") => page.style(&html[at]),
                Piece::Text(at) if in_body && !html[at.clone()].trim().is_empty() => {
                    if hidden.is_some() && !has_text {
                        page.has_preheader = true;
                    }
                    has_text = true;
                }
                Piece::Text(_) | Piece::RawText { .. } | Piece::Comment(_) => {}
            }
        }
        // A page without a text has none to hide.
        page.has_preheader |= !has_text;
        page
    }

    /// Notes what a tag has. True where it hides what is in it.
    fn tag(&mut self, html: &str, name: &str, inner: std::ops::Range<usize>) -> bool {
        let (mut hides, mut is_stylesheet) = (false, false);
        for (attribute, value) in attributes(html, inner) {
            let value = &html[value];
            match attribute.to_ascii_lowercase().as_str() {
                "class" => self
                    .names
                    .extend(value.split_whitespace().map(|name| format!(".{}", name.to_lowercase()))),
                "id" => {
                    self.names.insert(format!("#{}", value.trim().to_lowercase()));
                }
                "style" => {
                    let style: String = value.to_lowercase().split_whitespace().collect();
                    self.declarations(&style);
                    hides |= HIDES.iter().any(|hiding| style.contains(hiding));
                }
                "bgcolor" | "background" => self.sets_background = true,
                "color" | "text" => self.sets_color = true,
                "rel" => is_stylesheet = value.eq_ignore_ascii_case("stylesheet"),
                "name" if value.to_lowercase().contains("color-scheme") => self.knows_dark_mode = true,
                _ => {}
            }
        }
        if is_stylesheet && name.eq_ignore_ascii_case("link") {
            self.dropped.get_or_insert("`<link rel=\"stylesheet\">`".to_owned());
        }
        hides
    }

    /// Declarations in lower case and without white space.
    fn declarations(&mut self, style: &str) {
        self.sets_background |= style.contains("background:") || style.contains("background-color:");
        self.sets_color |=
            style.starts_with("color:") || style.contains(";color:") || style.contains("{color:");
    }

    fn style(&mut self, style: &'a str) {
        let flat: String = style.to_lowercase().split_whitespace().collect();
        self.declarations(&flat);
        self.knows_dark_mode |= flat.contains("prefers-color-scheme") || flat.contains("color-scheme:");
        if flat.contains("@import") {
            self.dropped.get_or_insert("`@import`".to_owned());
        }
        if style.chars().count() > LONGEST_STYLE {
            self.dropped.get_or_insert(format!("a `<style>` of more than {LONGEST_STYLE} characters"));
        }
        self.styles.push(style);
    }

    /// The first selector whose class or id no element has.
    fn unused(&self) -> Option<String> {
        self.styles.iter().flat_map(|style| selectors(style)).find(|selector| {
            let lower = selector.to_lowercase();
            let of_program = OF_PROGRAMS.iter().any(|name| lower.contains(name)) || lower.contains('[');
            !of_program && names_in(&lower).iter().any(|name| !self.names.contains(name))
        })
    }

    fn dark_mode(&self) -> Option<&'static str> {
        match (self.knows_dark_mode, self.sets_color, self.sets_background) {
            (true, ..) | (_, true, true) | (_, false, false) => None,
            (false, true, false) => Some("colours of text and none of a background"),
            (false, false, true) => Some("colours of backgrounds and none of a text"),
        }
    }
}

/// The selectors of a style sheet, those within `@media` too.
fn selectors(style: &str) -> Vec<String> {
    let mut plain = String::with_capacity(style.len());
    let mut rest = style;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let mut found = Vec::new();
    // What is between `{`, `}` or `;` and the next `{` is a selector or an at-rule.
    let mut start = 0;
    for (at, byte) in plain.bytes().enumerate() {
        match byte {
            b'{' => {
                let prelude = plain[start..at].trim();
                if !prelude.starts_with('@') {
                    found.extend(prelude.split(',').map(|one| one.trim().to_owned()));
                }
                start = at + 1;
            }
            b'}' | b';' => start = at + 1,
            _ => {}
        }
    }
    found.retain(|selector| !selector.is_empty());
    found
}

/// The classes and ids of a selector, with `.` and `#`.
fn names_in(selector: &str) -> Vec<String> {
    let mut names = Vec::new();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    for (at, mark) in selector.match_indices(['.', '#']) {
        let name: String = selector[at + 1..].chars().take_while(|c| is_part(*c)).collect();
        // Numbers are steps of an animation: `12.5%`.
        if name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '-' | '_')) {
            names.push(format!("{mark}{name}"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(html: &str) -> Vec<(Mark, String)> {
        let mut found = Vec::new();
        look(html, |mark, example| found.push((mark, example)));
        found
    }

    const PREHEADER: &str = "<div style=\"display: none\">News</div>";

    #[track_caller]
    fn check(head: &str, body: &str, expected: &[(Mark, &str)]) {
        let found =
            marks(&format!("<html><head><title>x</title>{head}</head><body>{PREHEADER}{body}</body></html>"));
        let found: Vec<_> = found.iter().map(|(mark, example)| (*mark, example.as_str())).collect();
        assert_eq!(found, expected, "{head} {body}");
    }

    #[test]
    fn what_mail_programs_do_to_styles() {
        check("<style>.a, p { color: red; background: white }</style>", "<p class=\"a b\">x</p>", &[]);
        check(
            "<style>/* .z{} */ p .b-c{x:y}@media (max-width:9px){ #d{x:y} }</style>",
            "<p class=b-c>x",
            &[(Mark::StyleUnused, "`#d`")],
        );
        check("<style>#outlook a, .ExternalClass *{x:y} 0%,12.5%{x:y} [data-x].q{x:y}</style>", "<p>x", &[]);
        check(
            "<link rel='stylesheet' href='https://x.example/a.css'>",
            "<p>x",
            &[(Mark::StyleDropped, "`<link rel=\"stylesheet\">`")],
        );
        check("<style>@import url(x.css);</style>", "<p>x", &[(Mark::StyleDropped, "`@import`")]);
        let long = format!("<style>p{{x:{}}}</style>", "y".repeat(LONGEST_STYLE));
        check(&long, "<p>x", &[(Mark::StyleDropped, "a `<style>` of more than 8192 characters")]);
        let dark = [(Mark::DarkMode, "colours of text and none of a background")];
        check("", "<p style=\"margin:0; color : #333\">x", &dark);
        check("", "<font color=red>x</font>", &dark);
        check("<style>p{color:red}</style>", "<p>x", &dark);
        check(
            "",
            "<table bgcolor=white><tr><td>x",
            &[(Mark::DarkMode, "colours of backgrounds and none of a text")],
        );
        check("<meta name=\"color-scheme\" content=\"light dark\">", "<p style=color:red>x", &[]);
        check(
            "<style>@media (prefers-color-scheme: dark){p{color:#fff}}</style>",
            "<p style=color:red>x",
            &[],
        );
    }

    #[test]
    fn a_preheader_is_hidden_text_before_any_other() {
        let has = |body: &str| !marks(body).iter().any(|(mark, _)| *mark == Mark::NoPreheader);
        assert!(has(&format!("<body>{PREHEADER}<p>Dear</p>")));
        assert!(has("<body><span style='font-size:0;mso-hide:all'>News</span><p>Dear"));
        assert!(!has(&format!("<body><p>Dear</p>{PREHEADER}")));
        assert!(!has("<body><p>Dear</p>"));
        assert!(!has("<body><div style='display:none'></div><p>Dear</p>"));
        assert!(has("<body><img src=x>"));
    }
}
