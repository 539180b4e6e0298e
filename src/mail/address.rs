//! Addresses that can be sent to: a dot-atom local part and a domain name
//! (RFC 5321 §4.1.2, RFC 5322 §3.4.1; internationalised: RFC 6531 §3.3, RFC 5891).
//!
//! Quoted local parts, comments and address literals are legal in places, but no subscriber list
//! holds them on purpose: they are refused with a reason.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A domain name as it goes on the wire: A-labels, lower case, no trailing dot (RFC 5890 §2.3.2.1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>);

/// An address that can be sent to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: Box<str>,
    domain: Domain,
}

/// An address that can be sent to, borrowed from the text that it was read from: for reading many
/// addresses and keeping few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressParts<'a> {
    /// The part before the `@`, as given.
    pub local: &'a str,
    /// The domain as it goes on the wire (see [`Domain`]).
    pub domain: Cow<'a, str>,
}

/// A display name with its address, as in `From:` (RFC 5322 §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, decoded: no quotes around it.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

/// Why a text is not an address that can be sent to. Reads after "invalid address `…`: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing but white space.
    #[error("empty")]
    Empty,
    /// There is no `@`.
    #[error("no `@`")]
    NoAt,
    /// More than one `@` outside quotes.
    #[error("more than one `@`")]
    TwoAts,
    /// Nothing before the `@`.
    #[error("nothing before the `@`")]
    EmptyLocal,
    /// RFC 5321 §4.5.3.1.1.
    #[error("local part longer than 64 octets")]
    LongLocal,
    /// A local part in quotes: legal, not sent to.
    #[error("quoted local part is not supported")]
    QuotedLocal,
    /// A leading, trailing or double dot in the local part.
    #[error("misplaced dot in the local part")]
    LocalDot,
    /// A character that a dot-atom can't hold.
    #[error("character {0:?} in the local part")]
    LocalCharacter(char),
    /// Nothing after the `@`.
    #[error("nothing after the `@`")]
    EmptyDomain,
    /// `[192.0.2.1]`: legal, not sent to.
    #[error("address literal is not supported")]
    Literal,
    /// Not a host name: a bad character, hyphen, dot or label length, or refused by IDNA.
    #[error("`{}` is not a domain name", .0.escape_debug())]
    BadDomain(String),
    /// A single label, such as `localhost`.
    #[error("`{0}` is not a fully qualified domain name")]
    NotQualified(String),
    /// RFC 5321 §4.5.3.1.3 (a path is at most 256 octets with its angle brackets).
    #[error("longer than 254 octets")]
    LongAddress,
    /// The part before `<` or after `>` is malformed.
    #[error("not of the form `Name <local@domain>`")]
    BadMailbox,
}

impl Domain {
    /// Reads a host name of at least two labels, in Unicode or A-labels.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Self::read(text).map(|name| Self(name.into()))
    }

    fn read(text: &str) -> Result<Cow<'_, str>, AddressError> {
        if text.is_empty() {
            return Err(AddressError::EmptyDomain);
        }
        if text.starts_with('[') {
            return Err(AddressError::Literal);
        }
        let ascii = if is_plain_host(text) {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(Self::to_ascii(text).ok_or_else(|| AddressError::BadDomain(text.to_owned()))?)
        };
        if !ascii.contains('.') {
            return Err(AddressError::NotQualified(text.to_owned()));
        }
        Ok(ascii)
    }

    /// A-labels in lower case, when every label is a host name's (RFC 1123 §2.1) and the whole has
    /// at most 253 octets.
    fn to_ascii(text: &str) -> Option<String> {
        let ascii = if text.is_ascii() && !contains_a_label(text) {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::STD3).ok()?.into_owned()
        };
        let host_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        // A last label of digits only would be read as an IPv4 address by some resolvers.
        let numeric = ascii.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        (ascii.len() <= 253 && !numeric && ascii.split('.').all(host_label)).then_some(ascii)
    }

    /// The name as it goes on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A quick check in one pass, true for most host names: those that [`Domain::to_ascii`] would
/// return as is. The rest (upper case, `--` as in A-labels, mistakes) go through that function.
fn is_plain_host(text: &str) -> bool {
    let (mut label_bytes, mut numeric, mut previous) = (0, true, b'.');
    for &byte in text.as_bytes() {
        match byte {
            b'a'..=b'z' => numeric = false,
            b'0'..=b'9' => {}
            b'-' if label_bytes > 0 && previous != b'-' => numeric = false,
            b'.' if label_bytes > 0 && previous != b'-' => numeric = true,
            _ => return false,
        }
        label_bytes = if byte == b'.' { 0 } else { label_bytes + 1 };
        if label_bytes > 63 {
            return false;
        }
        previous = byte;
    }
    label_bytes > 0 && previous != b'-' && !numeric && text.len() <= 253
}

fn contains_a_label(text: &str) -> bool {
    text.split('.').any(|label| label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--")))
}

impl Address {
    /// Reads `local@domain`. Blanks around it are removed; blanks within it and line ends anywhere
    /// are refused.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let AddressParts { local, domain } = AddressParts::parse(text)?;
        Ok(Self { local: local.into(), domain: Domain(domain.into()) })
    }

    /// The part before the `@`, as given.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// True when the local part is not ASCII: the next hop must offer SMTPUTF8 (RFC 6531 §3.4).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

impl<'a> AddressParts<'a> {
    /// What [`Address::parse`] reads.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        let text = trim_blanks(text);
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.starts_with('"') {
            return Err(AddressError::QuotedLocal);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        if !is_plain_local(local) {
            if local.contains('@') {
                return Err(AddressError::TwoAts);
            }
            check_local(local)?;
        }
        let domain = Domain::read(domain)?;
        if local.len() + 1 + domain.len() > 254 {
            return Err(AddressError::LongAddress);
        }
        Ok(Self { local, domain })
    }
}

/// Removes what people type around an address: spaces of any kind and tabs. A line end is never a
/// typing mistake, so it stays and the address is refused.
fn trim_blanks(text: &str) -> &str {
    if let [first, .., last] = text.as_bytes()
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return text;
    }
    let line_end = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    text.trim_matches(|c: char| c.is_whitespace() && !line_end(c))
}

/// A quick check in one pass, true for most local parts: ASCII that [`check_local`] accepts. The
/// rest go through that function.
fn is_plain_local(local: &str) -> bool {
    let mut previous = b'.';
    for &byte in local.as_bytes() {
        let fits = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'+' => true,
            b'.' => previous != b'.',
            _ => false,
        };
        if !fits {
            return false;
        }
        previous = byte;
    }
    previous != b'.' && local.len() <= 64
}

/// RFC 5322 §3.2.3 dot-atom-text, with the UTF-8 of RFC 6532 §3.2.
fn check_local(local: &str) -> Result<(), AddressError> {
    if local.is_empty() {
        return Err(AddressError::EmptyLocal);
    }
    if local.len() > 64 {
        return Err(AddressError::LongLocal);
    }
    let atext = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_' | '`' | '{'
        | '|' | '}' | '~' => true,
        _ => !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_invisible(c),
    };
    if let Some(bad) = local.chars().find(|&c| c != '.' && !atext(c)) {
        return Err(AddressError::LocalCharacter(bad));
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressError::LocalDot);
    }
    Ok(())
}

/// Format characters that come along with copy and paste and are never part of a mailbox's name.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
}

impl Mailbox {
    /// Reads `Name <local@domain>`, `"Name" <local@domain>` or `local@domain`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = trim_blanks(text);
        let Some(open) = text.rfind('<') else {
            return Ok(Self { name: None, address: Address::parse(text)? });
        };
        let address = text[open + 1..].strip_suffix('>').ok_or(AddressError::BadMailbox)?;
        let name = text[..open].trim();
        let name = match name.strip_prefix('"') {
            Some(rest) => unquote(rest.strip_suffix('"').ok_or(AddressError::BadMailbox)?),
            None => name.to_owned(),
        };
        if name.chars().any(char::is_control) {
            return Err(AddressError::BadMailbox);
        }
        Ok(Self { name: (!name.is_empty()).then_some(name), address: Address::parse(address)? })
    }
}

/// Takes the backslashes out of a quoted string (RFC 5322 §3.2.4).
fn unquote(text: &str) -> String {
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            escaped = c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}@{}\"", self.local, self.domain)
    }
}

/// As [`Mailbox::parse`] reads it: quoted where the name would be taken for something else.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) if name.starts_with('"') || name.trim() != name => {
                write!(f, "\"{}\" <{}>", name.replace('\\', r"\\").replace('"', r#"\""#), self.address)
            }
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &str, wire: &str) {
        assert_eq!(Address::parse(text).map(|a| a.to_string()), Ok(wire.to_owned()), "{text}");
    }

    fn refuses(text: &str, why: AddressError) {
        assert_eq!(Address::parse(text), Err(why), "{text}");
    }

    #[test]
    fn sendable_addresses() {
        accepts("bob@example.com", "bob@example.com");
        accepts("  Bob.O'Neil+x@EXAMPLE.Com ", "Bob.O'Neil+x@example.com");
        accepts("josé@müller.example", "josé@xn--mller-kva.example");
        accepts("a@XN--MLLER-KVA.example", "a@xn--mller-kva.example");
        assert!(Address::parse("josé@example.com").unwrap().needs_smtputf8());
        assert!(!Address::parse("jose@müller.example").unwrap().needs_smtputf8());
    }

    #[test]
    fn refused_addresses_say_why() {
        refuses(" ", AddressError::Empty);
        refuses("bob", AddressError::NoAt);
        refuses("bob@@example.com", AddressError::TwoAts);
        refuses("@example.com", AddressError::EmptyLocal);
        refuses("bob@", AddressError::EmptyDomain);
        refuses("bob..x@example.com", AddressError::LocalDot);
        refuses("bob smith@example.com", AddressError::LocalCharacter(' '));
        refuses("bob\r\nRCPT@example.com", AddressError::LocalCharacter('\r'));
        refuses("bob\u{200b}@example.com", AddressError::LocalCharacter('\u{200b}'));
        refuses("\"bob\"@example.com", AddressError::QuotedLocal);
        refuses("bob@[192.0.2.1]", AddressError::Literal);
        refuses("bob@localhost", AddressError::NotQualified("localhost".into()));
        refuses("bob@-x.com", AddressError::BadDomain("-x.com".into()));
        refuses("bob@x..com", AddressError::BadDomain("x..com".into()));
        refuses("bob@192.0.2.1", AddressError::BadDomain("192.0.2.1".into()));
        refuses(&format!("{}@example.com", "a".repeat(65)), AddressError::LongLocal);
    }

    #[test]
    fn line_ends_are_refused_at_the_ends_too() {
        accepts("\tbob@example.com\u{a0} ", "bob@example.com");
        refuses("\rbob@example.com", AddressError::LocalCharacter('\r'));
        refuses(" \n bob@example.com", AddressError::LocalCharacter('\n'));
        refuses("bob@example.com\r\n", AddressError::BadDomain("example.com\r\n".into()));
        refuses("bob@example.com\u{2028}", AddressError::BadDomain("example.com\u{2028}".into()));
        let text = AddressError::BadDomain("x\r\n".into()).to_string();
        assert_eq!(text, r"`x\r\n` is not a domain name");
    }

    proptest::proptest! {
        /// What is told in one pass is what the rules themselves say.
        #[test]
        fn plain_parts_pass_the_rules(local in "[a-zA-Z0-9+_.@é-]{0,66}", host in "([a-zA-Z0-9-]{0,3}|[a-z]{62,65}|xn--[a-z]{3})([.][a-z0-9-]{0,3}){0,3}") {
            if is_plain_local(&local) {
                proptest::prop_assert_eq!(check_local(&local), Ok(()));
            }
            if is_plain_host(&host) {
                proptest::prop_assert_eq!(Domain::to_ascii(&host), Some(host));
            }
        }
    }

    #[test]
    fn plain_parts_are_told_at_once() {
        assert!(is_plain_local("ann.smith-1+tag_2") && is_plain_host("mail-1.b2.example"));
        for local in ["", ".a", "a.", "a..b", "a@b", "é", "a b", &"a".repeat(65)] {
            assert!(!is_plain_local(local), "{local}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for host in
            ["", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "a.b-", "A.b", "xn--a.b", "é.b", "1.2.3.4", &long]
        {
            assert!(!is_plain_host(host), "{host}");
        }
    }

    #[test]
    fn mailboxes() {
        let mailbox = Mailbox::parse("Example News <news@example.com>").unwrap();
        assert_eq!(mailbox.name.as_deref(), Some("Example News"));
        assert_eq!(
            Mailbox::parse(r#""A \"B\", C" <a@b.example>"#).unwrap().name.as_deref(),
            Some(r#"A "B", C"#)
        );
        assert_eq!(Mailbox::parse("a@b.example").unwrap().name, None);
        assert_eq!(Mailbox::parse("A <a@b.example"), Err(AddressError::BadMailbox));
    }
}
