//! The line ends and the end of a text part.

/// White space that the end of a text must not have: a body that ends in lines of white space is
/// read differently by different DKIM verifiers. NUL becomes a space.
pub(super) const BLANK: [char; 5] = [' ', '\t', '\r', '\n', '\0'];

/// `text` with CRLF at the end of each line, without NUL, and without white space after its last
/// word.
pub(super) fn normalize(text: &str) -> String {
    let text = text.trim_end_matches(BLANK);
    if text.is_empty() {
        return String::new();
    }
    let mut out = String::with_capacity(text.len() + text.len() / 16 + 2);
    set_line_ends(text, &mut out);
    out.push_str("\r\n");
    out
}

/// Appends `text` to `out` with CRLF for each LF, CR or CRLF, and a space for each NUL.
pub(super) fn set_line_ends(text: &str, out: &mut String) {
    // Templates come with LF alone, and few values hold anything else.
    if memchr::memchr2(b'\r', b'\0', text.as_bytes()).is_some() {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', " ");
        return set_line_ends(&text, out);
    }
    let mut rest = text;
    while let Some(end) = memchr::memchr(b'\n', rest.as_bytes()) {
        out.push_str(&rest[..end]);
        out.push_str("\r\n");
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_tails() {
        let check = |text: &str, normal: &str| assert_eq!(normalize(text), normal, "{text:?}");
        check("", "");
        check(" \t\r\n \n", "");
        check("a", "a\r\n");
        check("a\nb\rc\r\nd\n\r\n\t \n", "a\r\nb\r\nc\r\nd\r\n");
        check("a\0b\n\n", "a b\r\n");
        check("\n\na \n b", "\r\n\r\na \r\n b\r\n");
        check("a\n\rb", "a\r\n\r\nb\r\n");
    }
}
