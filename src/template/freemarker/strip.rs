//! White-space stripping: lines with nothing but tags leave nothing, and `<#t>`, `<#lt>`, `<#rt>`,
//! `<#nt>` do what they say.

use super::lex::Wrong;
use super::scan::{Kind, Segment};

/// Elements in elements: each text keeps the list of those around it.
const DEEPEST: usize = 200;
/// Trimming tags on one line: each text there looks at all of them.
const MOST_TRIMS: usize = 100;

/// Strips the texts of a template.
pub(super) fn strip(template: &str, segments: &mut [Segment], strip: bool) -> Result<(), Wrong> {
    let starts: Vec<usize> =
        std::iter::once(0).chain(template.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line = |byte: usize| starts.partition_point(|start| *start <= byte);
    let mut leaves: Vec<Leaf> = Vec::new();
    let mut elements = Elements::default();
    for (number, segment) in segments.iter().enumerate() {
        let tag = &template[segment.start..segment.end];
        elements.pass(number, &segment.kind, tag);
        if elements.open.len() > DEEPEST {
            return Err((segment.start, "this is nested too deeply".to_owned()));
        }
        let what = match &segment.kind {
            Kind::Text(text) => What::Text(text.clone()),
            Kind::Print | Kind::PrintNumber => What::Print,
            Kind::Open(name) => match name.as_str() {
                "t" => What::Trim { left: true, right: true },
                "lt" => What::Trim { left: true, right: false },
                "rt" => What::Trim { left: false, right: true },
                "nt" => What::Trim { left: false, right: false },
                _ => continue,
            },
            Kind::Comment | Kind::Close(_) | Kind::Call | Kind::CloseCall(_) => continue,
        };
        let before = number.checked_sub(1).map(|before| &segments[before].kind);
        let tag_before = number
            .checked_sub(1)
            .map_or("", |before| &template[segments[before].start..segments[before].end]);
        let after = segments.get(number + 1).map(|after| &after.kind);
        leaves.push(Leaf {
            number,
            what,
            begin: line(segment.start),
            end: line(segment.end - 1),
            from_margin: starts.binary_search(&segment.start).is_ok(),
            around: elements.open.iter().map(|(number, _)| *number).collect(),
            inside: elements.blocks(),
            is_first: before.is_none(),
            ignorable: segments.len() > 1
                && before.is_none_or(|kind| prints_nothing_before(kind, tag_before))
                && after.is_none_or(prints_nothing_after),
        });
    }
    let is_trim = |(at, leaf): (usize, &Leaf)| matches!(leaf.what, What::Trim { .. }).then_some(at);
    let trims: Vec<usize> = leaves.iter().enumerate().filter_map(is_trim).collect();
    let crowded =
        trims.windows(MOST_TRIMS + 1).find(|trims| leaves[trims[0]].begin == leaves[trims[MOST_TRIMS]].begin);
    if let Some(trims) = crowded {
        let start = segments[leaves[trims[0]].number].start;
        return Err((start, format!("a line has more than {MOST_TRIMS} trimming tags")));
    }
    for at in 0..leaves.len() {
        if matches!(leaves[at].what, What::Text(_)) {
            clean(&mut leaves, &trims, at, strip);
        }
    }
    for leaf in leaves {
        let What::Text(text) = leaf.what else { continue };
        let drop = strip && leaf.ignorable && is_blank(&text);
        segments[leaf.number].kind = Kind::Text(if drop { String::new() } else { text });
    }
    Ok(())
}

/// The elements that are open at a place.
#[derive(Default)]
struct Elements {
    /// The segment that opens it, and its name; a macro or capture has a `!` before its name.
    open: Vec<(usize, String)>,
}

impl Elements {
    /// Goes past a segment.
    fn pass(&mut self, number: usize, kind: &Kind, tag: &str) {
        match kind {
            Kind::Open(name) if is_block(name, tag) => self.open.push((number, format!("!{name}"))),
            Kind::Open(name) => match name.as_str() {
                "if" | "list" | "foreach" | "forEach" | "items" | "switch" | "attempt" | "compress"
                | "escape" | "noescape" | "noEscape" | "autoesc" | "autoEsc" | "noautoesc" | "noAutoEsc"
                | "outputformat" | "outputFormat" | "sep" => self.open.push((number, name.clone())),
                // They end what the same element has before them.
                "else" | "elseif" | "elseIf" | "case" | "default" | "recover" => {
                    while self.open.last().is_some_and(|(_, name)| name == "sep") {
                        self.open.pop();
                    }
                    if let Some(last) = self.open.last_mut() {
                        last.0 = number;
                    }
                }
                _ => {}
            },
            Kind::Close(name) => {
                let opened = self.open.iter().rposition(|(_, open)| open.trim_start_matches('!') == name);
                self.open.truncate(opened.unwrap_or(self.open.len()));
            }
            Kind::Call if !tag.ends_with("/>") && !tag.ends_with("/]") => {
                self.open.push((number, "@".to_owned()))
            }
            Kind::CloseCall(_) => {
                let opened = self.open.iter().rposition(|(_, open)| open == "@");
                self.open.truncate(opened.unwrap_or(self.open.len()));
            }
            Kind::Call | Kind::Text(_) | Kind::Comment | Kind::Print | Kind::PrintNumber => {}
        }
    }

    /// The macros and captures.
    fn blocks(&self) -> Vec<usize> {
        self.open.iter().filter(|(_, name)| name.starts_with('!')).map(|(number, _)| *number).collect()
    }
}

/// A text, an interpolation or a trimming tag.
struct Leaf {
    number: usize,
    what: What,
    begin: usize,
    end: usize,
    /// It begins at the first column.
    from_margin: bool,
    is_first: bool,
    /// The elements that it is in.
    around: Vec<usize>,
    /// The macros and captures that it is in: from outside, each of them is one leaf.
    inside: Vec<usize>,
    /// Its neighbours print nothing: blank text there has no use.
    ignorable: bool,
}

enum What {
    Text(String),
    Print,
    Trim { left: bool, right: bool },
}

impl Leaf {
    fn text(&self) -> &str {
        match &self.what {
            What::Text(text) => text,
            What::Print | What::Trim { .. } => "",
        }
    }

    /// Whether white space before it, on its line, matters.
    fn heeds_before(&self) -> bool {
        match &self.what {
            What::Print => true,
            What::Trim { .. } => false,
            What::Text(text) => self.heeds(text.chars()),
        }
    }

    /// Whether white space after it, on its line, matters.
    fn heeds_after(&self) -> bool {
        match &self.what {
            What::Print => true,
            What::Trim { .. } => false,
            What::Text(text) => self.heeds(text.chars().rev()),
        }
    }

    fn heeds(&self, chars: impl Iterator<Item = char>) -> bool {
        if self.text().is_empty() || is_blank(self.text()) && self.ignorable {
            return false;
        }
        for c in chars {
            if c == '\n' {
                return false;
            }
            if !c.is_whitespace() {
                return true;
            }
        }
        true
    }
}

fn clean(leaves: &mut [Leaf], trims: &[usize], at: usize, strip: bool) {
    let left = trim_left(leaves, trims, at);
    let right = trim_right(leaves, trims, at);
    if !strip || leaves[at].text().is_empty() || leaves[at].is_first {
        return;
    }
    let trailing = if left { 0 } else { trailing(leaves, at) };
    let opening = if right { 0 } else { opening(leaves, at) };
    if opening == 0 && trailing == 0 {
        return;
    }
    let text = leaves[at].text();
    let end = text.len() - trailing;
    let kept = text.get(opening..end).unwrap_or("").to_owned();
    leaves[at].what = What::Text(kept);
    if opening > 0 {
        leaves[at].begin += 1;
        leaves[at].from_margin = true;
    }
}

/// The leaves after `at` that begin on the line on which it ends.
fn after(leaves: &[Leaf], at: usize) -> impl Iterator<Item = &Leaf> {
    let line = leaves[at].end;
    let inside = &leaves[at].inside;
    leaves[at + 1..]
        .iter()
        .filter(|leaf| leaf.is_seen_from(inside))
        .take_while(move |leaf| leaf.begin == line)
}

/// The leaves before `at` that end on the line on which it begins.
fn before(leaves: &[Leaf], at: usize) -> impl Iterator<Item = &Leaf> {
    let line = leaves[at].begin;
    let inside = &leaves[at].inside;
    leaves[..at]
        .iter()
        .rev()
        .filter(|leaf| leaf.is_seen_from(inside))
        .take_while(move |leaf| leaf.end == line)
}

impl Leaf {
    fn is_seen_from(&self, inside: &[usize]) -> bool {
        let is_gone = matches!(&self.what, What::Text(text) if text.is_empty());
        !is_gone && inside.starts_with(&self.inside)
    }
}

fn trim_left(leaves: &mut [Leaf], trims: &[usize], at: usize) -> bool {
    let (line, inside) = (leaves[at].end, &leaves[at].inside);
    let behind = &trims[trims.partition_point(|trim| *trim < at)..];
    let behind = behind.iter().map(|trim| &leaves[*trim]).take_while(|leaf| leaf.begin == line);
    let (mut found, mut trim) = (false, false);
    for leaf in behind.filter(|leaf| leaf.is_seen_from(inside)) {
        let What::Trim { left, right } = leaf.what else { continue };
        found |= left || !right;
        trim |= left;
    }
    if trim {
        let text = leaves[at].text();
        let newline = text.rfind('\n');
        if newline.is_some() || leaves[at].from_margin {
            let line = newline.map_or(0, |newline| newline + 1);
            let kept = format!("{}{}", &text[..line], text[line..].trim_start());
            leaves[at].what = What::Text(kept);
        }
    }
    found
}

fn trim_right(leaves: &mut [Leaf], trims: &[usize], at: usize) -> bool {
    let line = leaves[at].begin;
    let mut found = false;
    for trim in trims[..trims.partition_point(|trim| *trim < at)].iter().rev() {
        let leaf = &leaves[*trim];
        if leaf.end != line {
            break;
        }
        let What::Trim { left, right } = leaf.what else { continue };
        // Trimming tags go with the element that they are in, when it ends.
        if !leaves[at].around.starts_with(&leaf.around) || !leaf.is_seen_from(&leaves[at].inside) {
            continue;
        }
        found |= right || !left;
        if !right {
            continue;
        }
        let text = leaves[at].text();
        let Some(newline) = text.find('\n') else { return false };
        let (opening, trailing) = text.split_at(newline + 1);
        if is_blank(opening) {
            let kept = trailing.to_owned();
            leaves[at].what = What::Text(kept);
            leaves[at].begin += 1;
            leaves[at].from_margin = true;
            // It begins on another line now, where no more trims are.
            return true;
        } else {
            let mut trailing = trailing;
            if is_blank(trailing) {
                let mut drop = true;
                for leaf in after(leaves, at) {
                    if leaf.heeds_after() {
                        drop = false;
                    }
                    if matches!(leaf.what, What::Trim { left: true, .. }) {
                        drop = true;
                        break;
                    }
                }
                if drop {
                    trailing = "";
                }
            }
            let kept = format!("{}{trailing}", opening.trim_end());
            leaves[at].what = What::Text(kept);
        }
    }
    found
}

/// The bytes at the beginning that belong to a line of tags.
fn opening(leaves: &[Leaf], at: usize) -> usize {
    let text = leaves[at].text();
    let newline = text.find('\n');
    if newline.is_none() && !leaves[at].from_margin {
        return 0;
    }
    let length = newline.map_or(0, |newline| newline + 1);
    if !is_blank(&text[..length]) || before(leaves, at).any(Leaf::heeds_after) {
        return 0;
    }
    length
}

/// The bytes at the end that belong to a line of tags.
fn trailing(leaves: &[Leaf], at: usize) -> usize {
    let text = leaves[at].text();
    let newline = text.rfind('\n');
    if newline.is_none() && !leaves[at].from_margin {
        return 0;
    }
    let start = newline.map_or(0, |newline| newline + 1);
    if !is_blank(&text[start..]) || after(leaves, at).any(Leaf::heeds_before) {
        return 0;
    }
    text.len() - start
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte <= b' ')
}

/// Whether a tag opens a macro or capture; without a value, an assignment does.
fn is_block(name: &str, tag: &str) -> bool {
    match name {
        "macro" | "function" => true,
        "assign" | "local" | "global" => !["=", "++", "--"].iter().any(|sign| tag.contains(sign)),
        _ => false,
    }
}

const QUIET: [&str; 7] = ["assign", "local", "global", "macro", "function", "setting", "import"];

fn prints_nothing_before(kind: &Kind, tag: &str) -> bool {
    match kind {
        Kind::Comment => true,
        Kind::Open(name) => match name.as_str() {
            "setting" | "import" => true,
            "assign" | "local" | "global" => !is_block(name, tag),
            _ => false,
        },
        Kind::Close(name) => QUIET.contains(&name.as_str()),
        Kind::Text(_) | Kind::Print | Kind::PrintNumber | Kind::Call | Kind::CloseCall(_) => false,
    }
}

fn prints_nothing_after(kind: &Kind) -> bool {
    match kind {
        Kind::Comment => true,
        Kind::Open(name) => QUIET.contains(&name.as_str()),
        Kind::Close(_)
        | Kind::Text(_)
        | Kind::Print
        | Kind::PrintNumber
        | Kind::Call
        | Kind::CloseCall(_) => false,
    }
}
