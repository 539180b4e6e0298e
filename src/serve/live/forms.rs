//! Forms that change something: only a page of ours, of the same account, can send them.
//!
//! A browser sends the password of Basic authentication with every request, whoever made it ask. So
//! a form holds a token that only our pages hold, and where a browser says which page made it ask
//! (`Sec-Fetch-Site`, or else `Origin`), it has to be one of ours. There is no cookie.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use percent_encoding::percent_decode;

use super::super::accounts::Account;
use super::super::problem::Problem;

/// How long a token counts at least, in seconds; at most twice as long.
const LIFETIME: u64 = 6 * 3_600;
/// Fields of a form.
const MOST_FIELDS: usize = 16;

/// Makes and knows the tokens of forms.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    key: [u8; 32],
}

/// What a form says.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Tokens {
    /// With a key that nobody else knows.
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn at(&self, account: &Account, period: u64) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"form").update(account.name.as_bytes()).update(&[0]).update(&period.to_be_bytes());
        hasher.finalize()
    }

    /// The token of an account's forms.
    pub(super) fn of(&self, account: &Account) -> String {
        self.at(account, period()).to_hex().to_string()
    }

    /// Whether a token is one of the account's.
    fn is_of(&self, account: &Account, token: &str) -> bool {
        // The comparison of two hashes takes the same time wherever they differ.
        let Ok(token) = blake3::Hash::from_hex(token) else { return false };
        let now = period();
        [now, now.saturating_sub(1)].into_iter().any(|period| self.at(account, period) == token)
    }

    /// The form in `body`, if one of our pages sent it.
    pub(super) fn read(&self, account: &Account, headers: &HeaderMap, body: &[u8]) -> Result<Form, Problem> {
        if !is_ours(headers) {
            return Err(Problem::Foreign);
        }
        let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        if !kind.to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded") {
            return Err(Problem::Bad("this is no form".to_owned()));
        }
        let form = Form::parse(body)?;
        if !self.is_of(account, form.get("token")) {
            return Err(Problem::Foreign);
        }
        Ok(form)
    }
}

fn period() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() / LIFETIME)
}

/// Whether a page of ours made a browser ask, as far as the browser says.
fn is_ours(headers: &HeaderMap) -> bool {
    let all = |name: &str| headers.get_all(name).iter().map(|value| value.as_bytes()).collect::<Vec<_>>();
    match all("sec-fetch-site")[..] {
        [] => {}
        [site] => return site == b"same-origin",
        [..] => return false,
    }
    match all(ORIGIN.as_str())[..] {
        [] => true,
        [origin] => {
            let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
            let own = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
            own.is_some_and(|own| !own.is_empty() && own.eq_ignore_ascii_case(host))
        }
        [..] => false,
    }
}

impl Form {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let text = |bytes: &[u8]| {
            let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            let text = percent_decode(&spaced).decode_utf8().map(|text| text.trim().to_owned());
            text.map_err(|_| Problem::Bad("the form is no UTF-8".to_owned()))
        };
        let parts = body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).take(MOST_FIELDS);
        let fields = parts.map(|part| {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            Ok((text(name)?, text(value)?))
        });
        Ok(Self(fields.collect::<Result<_, Problem>>()?))
    }

    /// A field; empty where it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(heads: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "mail.example.com:8443".parse().unwrap());
        for (name, value) in heads {
            headers.append(*name, value.parse().unwrap());
        }
        super::is_ours(&headers)
    }

    #[test]
    fn who_made_the_browser_ask() {
        for (heads, ours) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://upstream")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", "https://mail.example.com:8443")], true),
            (&[("origin", "https://MAIL.example.com:8443")], true),
            (&[("origin", "https://mail.example.com")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "https://mail.example.com:8443"), ("origin", "null")], false),
        ] {
            assert_eq!(is_ours(heads), ours, "{heads:?}");
        }
    }

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = Form::parse(b"address=a%2Bb%40c.example&note=+two+words+&x&=&address=other").unwrap();
        assert_eq!(
            (form.get("address"), form.get("note"), form.get("x")),
            ("a+b@c.example", "two words", "")
        );
        assert_eq!(form.get("none"), "");
        assert!(Form::parse(b"a=%ff").is_err());
    }
}
