//! How deep blocks and expressions are nested. The crate parses, checks, renders and drops them by
//! recursion, so what is too deep is refused before the crate sees it.

/// So many blocks and parentheses may be inside one another, those of partials included. The
/// smallest stack that templates are parsed and rendered on, 2 MB, takes several times as many.
pub(super) const DEEPEST: usize = 100;

/// What is wrong with a template that is nested too deep.
pub(super) fn problem() -> String {
    format!("blocks, partials and parentheses are nested more than {DEEPEST} deep")
}

/// Where a template is nested too deep: the byte at which the tag begins. Texts that are not
/// Handlebars are looked at as far as the crate can parse them.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    // For each open block how many levels it has: every `{{else if}}` is a block in the last one.
    let mut blocks: Vec<usize> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        let rest = &text[start..];
        at = if is_escaped(&text[at..start]) {
            start + if rest.starts_with("{{{{") { 4 } else { 2 }
        } else if rest.starts_with("{{{{") {
            start + raw_block(rest)?
        } else if let Some(comment) = rest.strip_prefix("{{!") {
            start + 3 + end_of_comment(comment)?
        } else {
            let tag = Tag::read(&rest[2..])?;
            match tag.kind {
                Kind::Opens => blocks.push(1),
                Kind::Chains => *blocks.last_mut()? += 1,
                Kind::Closes => depth -= blocks.pop()?,
                Kind::Other => {}
            }
            depth += usize::from(matches!(tag.kind, Kind::Opens | Kind::Chains));
            if depth + tag.deepest > DEEPEST {
                return Some(start);
            }
            start + 2 + tag.bytes
        };
    }
    None
}

/// `\{{` is text; with more backslashes it is a tag again.
fn is_escaped(before: &str) -> bool {
    before.ends_with('\\') && !before.ends_with("\\\\")
}

/// The bytes of `{{{{raw}}}} … {{{{/raw}}}}`, in which nothing else is a tag.
fn raw_block(text: &str) -> Option<usize> {
    let mut at = text.find("}}}}")? + 4;
    loop {
        let end = at + text[at..].find("{{{{")?;
        if !is_escaped(&text[at..end]) {
            return Some(end + text[end..].find("}}}}")? + 4);
        }
        at = end + 4;
    }
}

/// The bytes of a comment behind `{{!`.
fn end_of_comment(text: &str) -> Option<usize> {
    let dashes = text.trim_start().strip_prefix("--");
    let long = dashes.and_then(|rest| Some(text.len() - rest.len() + rest.find("--}}")? + 4));
    long.or_else(|| Some(text.find("}}")? + 2))
}

#[derive(Clone, Copy)]
enum Kind {
    /// `{{#if x}}`, also of partials and inline partials.
    Opens,
    /// `{{else if x}}`
    Chains,
    /// `{{/if}}`
    Closes,
    Other,
}

/// A tag behind its `{{`.
struct Tag {
    kind: Kind,
    bytes: usize,
    /// How deep its parentheses, lists and groups are nested.
    deepest: usize,
}

impl Tag {
    fn read(text: &str) -> Option<Self> {
        let inner = text.trim_start_matches(|c: char| c == '~' || c.is_ascii_whitespace());
        let chained =
            inner.strip_prefix("else").filter(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace()));
        let kind = match (inner.as_bytes().first()?, chained.or(inner.strip_prefix('^'))) {
            (b'#', _) => Kind::Opens,
            (b'/', _) => Kind::Closes,
            (_, Some(rest)) if !rest.trim_start().trim_start_matches('~').starts_with("}}") => Kind::Chains,
            _ => Kind::Other,
        };
        let bytes = text.as_bytes();
        let (mut at, mut depth, mut deepest) = (0, 0_usize, 0);
        loop {
            match bytes.get(at)? {
                b'}' if depth == 0 && text[at..].starts_with("}}") => break,
                quote @ (b'"' | b'\'') => at += string(&bytes[at + 1..], *quote)? + 1,
                b'[' if !is_list(&text[at + 1..]) => at += text[at..].find(']')?,
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
            at += 1;
        }
        // The third brace of `{{{x}}}` nests nothing.
        Some(Self { kind, bytes: at + 2, deepest: deepest - usize::from(inner.starts_with('{')) })
    }
}

/// The bytes of a string up to its closing quote.
fn string(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    while *text.get(at)? != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    Some(at)
}

/// Whether a list of literals begins here, and not the name in `[a name]`.
fn is_list(text: &str) -> bool {
    text.trim_start().starts_with(['"', '\'', '[', '{', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        "{{#if x}}".repeat(depth) + &"{{/if}}".repeat(depth)
    }

    #[test]
    fn blocks_and_expressions_are_counted_together() {
        assert_eq!(too_deep(&nested(DEEPEST)), None);
        assert_eq!(too_deep(&nested(DEEPEST).repeat(3)), None);
        assert_eq!(too_deep(&nested(DEEPEST + 1)), Some(9 * DEEPEST));
        let expression = |depth: usize| format!("{{{{x {}y{}}}}}", "(not ".repeat(depth), ")".repeat(depth));
        assert_eq!(too_deep(&expression(DEEPEST)), None);
        assert_eq!(too_deep(&expression(DEEPEST + 1)), Some(0));
        let both = nested(50).replacen("{{/if}}", &(expression(51) + "{{/if}}"), 1);
        assert_eq!(too_deep(&both), Some(9 * 50));
        let chain = |links: usize| format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(links));
        assert_eq!(too_deep(&chain(DEEPEST - 1).repeat(2)), None);
        assert_eq!(too_deep(&chain(DEEPEST)), Some(9 + 13 * (DEEPEST - 1)));
        assert_eq!(too_deep(&format!("{{{{x {}{} }}}}", "[".repeat(101), "]".repeat(101))), Some(0));
    }

    #[test]
    fn what_is_no_tag_opens_and_closes_nothing() {
        let open = "{{#if x}}".repeat(DEEPEST);
        for hidden in [
            "{{!-- {{/if}} --}}",
            "{{! -- {{/if}} --}}",
            "{{! /if }}",
            "\\{{/if}}",
            "{{{{raw}}}}{{/if}}{{{{/raw}}}}",
            "{{x \"{{/if}}\"}}",
            "{{x '{{/if}}' \"\\\"{{/if}}\"}}",
            "{{[a {{/if}}]}}",
            "{{{x}}}",
            "{{else}}{{^}}{{ ~else~ }}",
        ] {
            assert_eq!(too_deep(&format!("{open}{hidden}")), None, "{hidden}");
            let deeper = format!("{open}{hidden}{{{{#if y}}}}");
            assert_eq!(too_deep(&deeper), Some(open.len() + hidden.len()), "{hidden}");
        }
        // The braces of a group end no tag.
        let group = "{{#if x}}".repeat(DEEPEST - 2) + "{{x {\"a\": {\"b\": 1}} }}";
        assert_eq!(too_deep(&format!("{group}{{{{#if y}}}}{{{{#if y}}}}")), None);
        assert!(too_deep(&format!("{group}{}", "{{#if y}}".repeat(3))).is_some());
        for tag in [
            "{{~#if x}}",
            "{{ # if x}}",
            "{{#> part}}",
            "{{#*inline \"x\"}}",
            "\\\\{{#if x}}",
            "{{else\nif x}}",
        ] {
            assert!(too_deep(&format!("{open}{tag}")).is_some(), "{tag}");
        }
        for closed in ["{{/if}}", "{{~/if~}}", "{{ / if }}", "\\\\{{/if}}"] {
            assert_eq!(too_deep(&format!("{open}{closed}{{{{#if y}}}}")), None, "{closed}");
        }
    }
}
