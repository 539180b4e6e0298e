//! Tokens of tracked links and images: what [`token`](super::token) is to unsubscribe links.
//!
//! A token is a sequence of bytes, sealed for the label `tracking` (see `kit::seal`), so that none
//! can be made up and none is taken for an unsubscribe link:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the format: 1 |
//! | 1 | a letter: `c` a link, `o` an image; capital in a test message |
//! | 2 | the last day on which it counts: days since 1970, big-endian |
//! | 4 | the row: its index in the run's plan, from 0, big-endian; all ones where it has none |
//! | rest | `campaign NUL run NUL target` in UTF-8 |
//!
//! `target` is the address that the link leads to: http or https and printable ASCII. Nothing else
//! is sealed or followed. It is empty for an image. A token holds no address of a recipient.

use crate::kit::seal::Sealer;
use crate::mail::Timestamp;

/// What tokens are sealed for.
const LABEL: &str = "tracking";

const FORMAT: u8 = 1;

/// The bytes before the campaign's id.
const HEAD_BYTES: usize = 1 + 1 + 2 + 4;

/// The longest target, in bytes. Links to longer ones stay as they are.
pub(super) const LONGEST_TARGET: usize = 1_500;

/// In place of a row: the link is the same for all.
const NO_ROW: u32 = u32::MAX;

const DAY_MICROS: i64 = 86_400_000_000;

/// What a recipient did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// The image was fetched.
    Open,
    /// The link to this address was followed.
    Click(Target),
}

/// An address that a browser may be sent to: http or https, printable ASCII, so that it is one
/// value of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// Takes an address as links have it. `None`: it is none that is followed.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let (scheme, rest) = text.split_once("://")?;
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let has_host = rest.starts_with(|c: char| c.is_alphanumeric() || c == '[');
        if !is_web || !has_host || text.contains(char::is_control) {
            return None;
        }
        let mut target = String::with_capacity(text.len());
        for c in text.chars() {
            // As browsers do before they ask (WHATWG URL).
            if c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '`') {
                target.push(c);
            } else {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    target.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        (target.len() <= LONGEST_TARGET).then_some(Self(target))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// What was done.
    pub deed: Deed,
    /// It is of a test message, which counts for nobody.
    pub is_test: bool,
    /// The last day on which it counts, in days since 1970.
    last_day: u16,
    /// The row: its index in the run's plan, from 0; none where all recipients have the same link.
    pub row: Option<u32>,
    /// The campaign's id.
    pub campaign: String,
    /// The run's id.
    pub run: String,
}

impl Tracked {
    /// What a token says whose time is never over.
    #[cfg(test)]
    pub(crate) fn of(campaign: &str, run: &str, row: Option<u32>, deed: Deed) -> Self {
        let (campaign, run) = (campaign.to_owned(), run.to_owned());
        Self { deed, is_test: false, last_day: u16::MAX, row, campaign, run }
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.0.div_euclid(DAY_MICROS) > i64::from(self.last_day)
    }
}

/// Reads the tokens that were made with one secret.
#[derive(Debug)]
pub struct Opener(Sealer);

impl Opener {
    /// For tokens that were made with `secret`.
    pub fn new(secret: &[u8]) -> Self {
        Self(Sealer::new(secret, LABEL))
    }

    /// What `token` says; `None` where it was not made with this secret, or altered.
    pub fn open(&self, token: &str) -> Option<Tracked> {
        let bytes = self.0.open(token)?;
        let ([FORMAT, letter, day1, day2, row @ ..], rest) = bytes.split_first_chunk::<HEAD_BYTES>()? else {
            return None;
        };
        let mut parts = std::str::from_utf8(rest).ok()?.splitn(3, '\0');
        let (campaign, run, target) = (parts.next()?, parts.next()?, parts.next()?);
        let deed = match letter.to_ascii_lowercase() {
            b'o' => Deed::Open,
            b'c' => Deed::Click(Target::parse(target)?),
            _ => return None,
        };
        let row = Some(u32::from_be_bytes(*row)).filter(|row| *row != NO_ROW);
        Some(Tracked {
            deed,
            is_test: letter.is_ascii_uppercase(),
            last_day: u16::from_be_bytes([*day1, *day2]),
            row,
            campaign: campaign.to_owned(),
            run: run.to_owned(),
        })
    }
}

/// Makes the tokens of one run.
#[derive(Debug)]
pub(super) struct Tokens {
    sealer: Sealer,
    is_test: bool,
    /// Days that tokens count for.
    days: i64,
    /// `campaign NUL run NUL`
    names: String,
}

impl Tokens {
    pub(super) fn new(secret: &[u8], is_test: bool, days: i64, campaign: &str, run: &str) -> Self {
        Self { sealer: Sealer::new(secret, LABEL), is_test, days, names: format!("{campaign}\0{run}\0") }
    }

    /// Tokens that count for nobody.
    pub(super) fn of_test(self) -> Self {
        Self { is_test: true, ..self }
    }

    /// The token of a message that is dated `date`.
    pub(super) fn of(&self, deed: &Deed, row: Option<u32>, date: Timestamp) -> String {
        let (letter, target) = match deed {
            Deed::Open => (b'o', ""),
            Deed::Click(target) => (b'c', target.as_str()),
        };
        let letter = if self.is_test { letter.to_ascii_uppercase() } else { letter };
        let last_day = date.0.div_euclid(DAY_MICROS).saturating_add(self.days);
        let last_day = u16::try_from(last_day.max(0)).unwrap_or(u16::MAX);
        let mut text = Vec::with_capacity(HEAD_BYTES + self.names.len() + target.len());
        text.extend_from_slice(&[FORMAT, letter]);
        text.extend_from_slice(&last_day.to_be_bytes());
        text.extend_from_slice(&row.unwrap_or(NO_ROW).to_be_bytes());
        text.extend_from_slice(self.names.as_bytes());
        text.extend_from_slice(target.as_bytes());
        self.sealer.seal(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::token;
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef";
    const DATE: Timestamp = Timestamp(20_000 * DAY_MICROS + 5);

    fn click(to: &str) -> Deed {
        Deed::Click(Target::parse(to).unwrap())
    }

    fn tokens(is_test: bool) -> Tokens {
        Tokens::new(SECRET, is_test, 30, "spring-news", "2026-05-31")
    }

    #[test]
    fn a_token_says_what_went_in_until_its_time_is_over() {
        for (deed, row) in [(click("https://shop.example/a?b=c#d"), Some(7)), (Deed::Open, None)] {
            let text = tokens(false).of(&deed, row, DATE);
            assert_eq!(text, tokens(false).of(&deed, row, DATE), "the same each time");
            let said = Opener::new(SECRET).open(&text).unwrap();
            assert_eq!((&said.deed, said.row, said.is_test), (&deed, row, false));
            assert_eq!((said.campaign.as_str(), said.run.as_str()), ("spring-news", "2026-05-31"));
            assert!(!said.is_over(DATE) && !said.is_over(Timestamp(20_031 * DAY_MICROS - 1)));
            assert!(said.is_over(Timestamp(20_031 * DAY_MICROS)));
            assert_eq!(Opener::new(b"another").open(&text), None);
        }
        let test = tokens(true).of(&Deed::Open, Some(1), DATE);
        assert!(Opener::new(SECRET).open(&test).unwrap().is_test);
    }

    #[test]
    fn no_token_is_taken_for_one_of_another_kind() {
        let tracked = tokens(false).of(&click("https://shop.example/"), Some(7), DATE);
        assert_eq!(token::decode(SECRET, &tracked), Err(token::TokenError::Secret));
        let leaves = token::Tokens::new(SECRET, token::Purpose::Unsubscribe, "c", "r");
        assert_eq!(Opener::new(SECRET).open(&leaves.of(1, "a@b.example", None)), None);
    }

    #[test]
    fn only_addresses_of_the_web_are_targets() {
        let check = |text: &str, target: Option<&str>| {
            assert_eq!(Target::parse(text).as_ref().map(Target::as_str), target, "{text}");
        };
        check(" HTTP://a.example/x y\u{e9}\"\n", Some("HTTP://a.example/x%20y%C3%A9%22"));
        check("https://[::1]/", Some("https://[::1]/"));
        for bad in [
            "",
            "#top",
            "/x",
            "//a.example",
            "mailto:a@b.example",
            "tel:+1",
            "javascript://a%0aalert(1)",
            "data:text/html,x",
            "ftp://a.example/",
            "https://",
            "https:///x",
            "https://a.example/\r\nx: y",
            "https://a.example/\u{0}",
            "https:a.example",
        ] {
            check(bad, None);
        }
        check(&format!("https://a.example/{}", "x".repeat(LONGEST_TARGET)), None);
        let sealed = |target: &str| {
            let mut text = b"\x01c\xff\xff\0\0\0\x01c\0r\0".to_vec();
            text.extend_from_slice(target.as_bytes());
            Opener::new(SECRET).open(&Sealer::new(SECRET, LABEL).seal(text))
        };
        assert!(sealed("https://a.example/").is_some());
        assert_eq!(sealed("javascript:alert(1)"), None, "sealed or not");
    }
}
