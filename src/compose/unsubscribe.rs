//! `List-Unsubscribe` and `List-Unsubscribe-Post` (RFC 2369, RFC 8058), one token per recipient.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::token::{Purpose, Tokens};
use crate::campaign::Unsubscribe;
use crate::plan::Row;

/// The characters of a `mailto:` address that must be escaped (RFC 6068 §2).
const MAILTO: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The longest URI with its token: it is on one line of the header (RFC 5322 §2.1.1).
const LONGEST_URI: usize = 910;

const TOKEN: &str = "{{token}}";

/// The two links, ready for the tokens.
#[derive(Debug)]
pub(super) struct Links {
    tokens: Tokens,
    https: Option<String>,
    mailto: Option<String>,
}

impl Links {
    /// `Err` is the problem and its hint.
    pub(super) fn new(
        unsubscribe: &Unsubscribe,
        secret: &[u8],
        purpose: Purpose,
        campaign: &str,
        run: &str,
    ) -> Result<Self, (String, &'static str)> {
        let tokens = Tokens::new(secret, purpose, campaign, run);
        if let Some(uri) = &unsubscribe.https {
            if uri.replace(TOKEN, "").contains("{{") {
                let problem = format!("`{uri}` contains other placeholders than `{TOKEN}`");
                return Err((problem, "the token alone identifies the recipient, the campaign and the run"));
            }
            if !uri.is_ascii() {
                return Err((format!("`{uri}` is not a URI"), "write it with A-labels and percent-encoding"));
            }
            if uri.len() + tokens.longest() > LONGEST_URI {
                return Err((
                    "the unsubscribe link is too long".into(),
                    "use a shorter URI, campaign id or run id",
                ));
            }
        }
        let mailto = unsubscribe.mailto.as_ref().map(|address| {
            format!("mailto:{}@{}?subject=", utf8_percent_encode(address.local(), MAILTO), address.domain())
        });
        Ok(Self { tokens, https: unsubscribe.https.clone(), mailto })
    }

    /// Whether there is an https link: then `unsubscribe_url` has a value, and One-Click is
    /// announced.
    pub(super) fn one_click(&self) -> bool {
        self.https.is_some()
    }

    /// The https link and the value of `List-Unsubscribe` for the recipient of a row. Its id, or
    /// its address where it has none, fits into a token.
    pub(super) fn of(&self, row: &Row, address: &str) -> (Option<String>, String) {
        let token = self.tokens.of(row.index, address, row.id.as_deref());
        let https = self.https.as_ref().map(|uri| uri.replace(TOKEN, &token));
        let mut value = String::with_capacity(token.len() * 2 + 200);
        if let Some(https) = &https {
            value.push('<');
            value.push_str(https);
            value.push('>');
        }
        if let Some(mailto) = &self.mailto {
            value.push_str(if value.is_empty() { "<" } else { ", <" });
            value.push_str(mailto);
            value.push_str(&token);
            value.push('>');
        }
        (https, value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::token;
    use super::*;
    use crate::mail::Address;

    fn unsubscribe(https: Option<&str>, mailto: Option<&str>) -> Unsubscribe {
        Unsubscribe {
            https: https.map(str::to_owned),
            mailto: mailto.map(|address| Address::parse(address).unwrap()),
            secret_env: None,
            secret_file: None,
        }
    }

    fn links(form: &Unsubscribe, campaign: &str) -> Result<Links, (String, &'static str)> {
        Links::new(form, b"secret", Purpose::Unsubscribe, campaign, "r")
    }

    fn of(links: &Links) -> (Option<String>, String) {
        let address = Address::parse("ann@example.com").unwrap();
        let row = Row {
            index: 7,
            file: 0,
            row: 8,
            email: address.to_string(),
            address,
            id: Some("42".into()),
            name: None,
            values: Map::new(),
            messages: None,
        };
        links.of(&row, &row.email)
    }

    #[test]
    fn both_links_carry_the_token() {
        let form = unsubscribe(Some("https://example.com/u/{{token}}?a=b"), Some("un+sub/x@example.com"));
        let (https, value) = of(&links(&form, "c").unwrap());
        let token = https.as_ref().unwrap().strip_prefix("https://example.com/u/").unwrap();
        let token = token.strip_suffix("?a=b").unwrap();
        let said = token::decode(b"secret", token).unwrap();
        assert_eq!((said.recipient.as_str(), said.row), ("42", Some(7)));
        assert_eq!(said.address.unwrap().to_string(), "ann@example.com");
        let mailto = format!("<mailto:un+sub%2Fx@example.com?subject={token}>");
        assert_eq!(value, format!("<{}>, {mailto}", https.unwrap()));
    }

    #[test]
    fn a_mail_address_alone_is_no_one_click() {
        let links = links(&unsubscribe(None, Some("u@example.com")), "c").unwrap();
        assert!(!links.one_click());
        assert_eq!(of(&links).0, None);
        assert!(of(&links).1.starts_with("<mailto:u@example.com?subject="));
    }

    #[test]
    fn links_that_could_not_be_sent_are_refused() {
        let refused = |uri: &str| links(&unsubscribe(Some(uri), None), "c").unwrap_err().0;
        assert!(refused("https://e.example/{{token}}/{{id}}").contains("other placeholders than"));
        assert!(refused("https://ü.example/{{token}}").contains("is not a URI"));
        let long = format!("https://e.example/{}/{{{{token}}}}", "x".repeat(600));
        assert!(refused(&long).contains("too long"));
    }
}
