//! The words of an HTML text, without looks: tags go, blocks become lines.

/// Tags that end a line.
const BLOCKS: [&str; 12] = ["br", "p", "div", "tr", "td", "li", "table", "h1", "h2", "h3", "pre", "hr"];
/// Elements whose content is no text.
const HIDDEN: [&str; 4] = ["style", "script", "head", "title"];

/// The text of `html`, in one pass.
pub(super) fn text(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 4);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        push(&mut text, &rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(end) = rest.find('>') else { break };
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let is_end = tag.starts_with('/');
        let name = tag.trim_start_matches('/').split([' ', '/', '\n', '\r', '\t']).next().unwrap_or_default();
        let is_any = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if !is_end && is_any(&HIDDEN) {
            rest = after_end_of(name, rest);
        } else if is_any(&BLOCKS) {
            text.push('\n');
        }
    }
    push(&mut text, rest);
    text
}

/// What follows `</name`; all of it is hidden if that never comes.
fn after_end_of<'a>(name: &str, html: &'a str) -> &'a str {
    let ends = memchr::memmem::find_iter(html.as_bytes(), "</");
    let is_end = |at: &usize| {
        let word = html.as_bytes().get(at + 2..at + 2 + name.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let end = ends.into_iter().find(is_end);
    end.map_or("", |at| &html[at..])
}

/// Adds text whose entities are resolved; line breaks in it are blanks.
fn push(text: &mut String, part: &str) {
    let mut rest = part;
    while let Some(at) = rest.find(['&', '\r', '\n']) {
        text.push_str(&rest[..at]);
        let special = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        if special != b'&' {
            if !text.ends_with([' ', '\n']) {
                text.push(' ');
            }
            continue;
        }
        // The longest name here has 5 letters.
        let semicolon = rest.bytes().take(9).position(|byte| byte == b';');
        match semicolon.and_then(|end| Some((entity(&rest[..end])?, end))) {
            Some((resolved, end)) => {
                text.push(resolved);
                rest = &rest[end + 1..];
            }
            None => text.push('&'),
        }
    }
    text.push_str(rest);
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "szlig" => 'ß',
        "#160" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control())?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_html() {
        let check = |html: &str, expected: &str| assert_eq!(text(html), expected, "{html}");
        check("<p>to <b>a&#64;b.example</b> &lt;x&gt;</p>\nend", "\nto a@b.example <x>\nend");
        check("<STYLE>p{}</style>a<br/>b", "a\nb");
        check("<script>a", "");
        check("a<!-- <b> -->c & d&unknown;<", "ac & d&unknown;<");
    }
}
