//! Addresses in texts that others wrote.

use std::sync::LazyLock;

use regex::Regex;

use super::regexes::regex;

/// An address in running text, for regular expressions: wide in the local part, strict in the
/// domain.
pub(super) const PATTERN: &str = r#"(?:"[^"@<>\r\n]+"|[^\s"<>()\[\]\\,;:@'`]+(?:'[^\s"<>()\[\]\\,;:@'`]+)?)@[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}])?"#;

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| regex(PATTERN));

/// All addresses in `text`, with their places.
pub(super) fn find(text: &str) -> impl Iterator<Item = (usize, &str)> {
    ADDRESS
        .find_iter(text)
        .map(|found| {
            let address = without_words(found.as_str());
            // It is a part of what was found.
            (found.start() + (address.as_ptr() as usize - found.as_str().as_ptr() as usize), address)
        })
        .filter(|(_, text)| is_plausible(text))
}

/// `address` without the words that stand right beside it, as in languages without blanks.
pub(super) fn without_words(address: &str) -> &str {
    let is_word = |c: char| c >= '\u{2e80}';
    let Some((local, domain)) = address.rsplit_once('@') else { return address };
    let start =
        local.rfind(is_word).map_or(0, |at| at + local[at..].chars().next().map_or(0, char::len_utf8));
    let end = domain.find(is_word).unwrap_or(domain.len());
    let start = if start < local.len() { start } else { 0 };
    // A domain may be of such letters itself.
    let is_whole = domain[..end].contains('.') && !domain[..end].ends_with('.');
    let end = if is_whole { end } else { domain.len() };
    &address[start..local.len() + 1 + end]
}

/// The first address in `text`.
pub(super) fn first(text: &str) -> Option<&str> {
    if !text.contains('@') {
        return None;
    }
    find(text).next().map(|(_, address)| address)
}

/// Whether this can be the address of a person: a domain with a dot, or an address literal.
pub(super) fn is_plausible(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    !local.is_empty()
        && local.len() <= 200
        && domain.len() <= 255
        && domain.contains('.')
        && !domain.contains("..")
        && !domain.ends_with('.')
        && !address.contains(char::is_control)
}

/// The address of an address field of a report: `rfc822; <a@b>`, `a@b (comment)`, `"x" <a@b>`.
pub(super) fn of_field(value: &str) -> Option<String> {
    let (kind, value) = match value.split_once(';') {
        Some((kind, rest)) if !kind.contains('@') => (kind.trim(), rest),
        _ => ("", value),
    };
    // Some write the type twice.
    let value = match value.split_once(';') {
        Some((again, rest)) if !again.contains('@') => rest.trim(),
        _ => value.trim(),
    };
    let value = match (value.find('<'), value.rfind('>')) {
        (Some(start), Some(end)) if start < end => &value[start + 1..end],
        _ => value.trim_matches(['<', '>', '\'', ' ']),
    };
    // RFC 5321 §4.1.1.3: a source route is skipped.
    let value = match value.strip_prefix('@').and_then(|route| route.split_once(':')) {
        Some((_, address)) => address,
        None => value,
    };
    let value = if kind.eq_ignore_ascii_case("utf-8") { from_utf8_xtext(value) } else { value.to_owned() };
    let value = match value.split_once(" (") {
        Some((address, _)) => address.to_owned(),
        None => value,
    };
    let plain = value.trim();
    // Blanks belong to a quoted local part only.
    let is_whole = is_plausible(plain) && (!plain.contains([' ', '\t']) || plain.starts_with('"'));
    if is_whole { Some(plain.to_owned()) } else { first(plain).map(str::to_owned) }
}

/// RFC 6533 §3: `\x{20AC}` in an address of type `utf-8`.
fn from_utf8_xtext(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\\x{") {
        decoded.push_str(before);
        let character = behind.bytes().take(8).position(|byte| byte == b'}').and_then(|end| {
            let code = u32::from_str_radix(&behind[..end], 16).ok()?;
            Some((char::from_u32(code).filter(|c| !c.is_control())?, end))
        });
        match character {
            Some((character, end)) => {
                decoded.push(character);
                rest = &behind[end + 1..];
            }
            None => {
                decoded.push_str("\\x{");
                rest = behind;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// Whether both are one mailbox, as far as a stranger can tell.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether the local part is that of a mail system, not of a person.
pub(super) fn is_system(address: &str) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String = local.chars().filter(char::is_ascii_alphanumeric).collect();
    [
        "mailerdaemon",
        "postmaster",
        "mailadmin",
        "maildeliverysystem",
        "maildeliverysubsystem",
        "mailsystem",
        "maildaemon",
        "daemon",
        "mdaemon",
        "bounceaction",
        "smtpdaemon",
    ]
    .iter()
    .any(|name| plain == *name)
        || local.starts_with("mailer-daemon")
        || local.starts_with("postmaster")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_text() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<&str> = find(text).map(|(_, address)| address).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(
            "to <a.b+c@x.example>: 'd@y.example', (e@z.example).",
            &["a.b+c@x.example", "d@y.example", "e@z.example"],
        );
        check("RCPT TO:<o'neil@x.example>... Sent to a@b.example.", &["o'neil@x.example", "a@b.example"]);
        check("id 123@host and @x.example and a@", &[]);
        check("jürgen@müller.example:", &["jürgen@müller.example"]);
        check("收件人bob@x.example的邮箱", &["bob@x.example"]);
        check("さくら@例え.example a@例え.テスト", &["さくら@例え.example", "a@例え.テスト"]);
        check(r#"<"a b"@x.example>"#, &[r#""a b"@x.example"#]);
    }

    #[test]
    fn addresses_in_fields_of_reports() {
        let check = |field: &str, expected: Option<&str>| {
            assert_eq!(of_field(field).as_deref(), expected, "{field}");
        };
        check("rfc822; a@x.example", Some("a@x.example"));
        check("RFC822;<a@x.example>", Some("a@x.example"));
        check("rfc822; rfc822;a@x.example", Some("a@x.example"));
        check("a@x.example (was a@y.example)", Some("a@x.example"));
        check("\"A\" <a@x.example>", Some("a@x.example"));
        check("utf-8; \\x{FC}ser@x.example", Some("üser@x.example"));
        check("rfc822;@relay.example:a@x.example", Some("a@x.example"));
        check("rfc822; =?utf-8?b?8J+Q?=@x.example", Some("=?utf-8?b?8J+Q?=@x.example"));
        check("rfc822; unknown", None);
        check("X-Local; |/usr/bin/procmail", None);
    }
}
