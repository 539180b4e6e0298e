//! Secrets in every form in which a server may repeat them, and a way to blot them out.
//!
//! Replies are kept in results, the journal and logs. Some servers repeat the line that they
//! refuse, so every reply is cleared of the run's secrets before anybody else sees it.

use std::fmt;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};

use super::codec::TEXT_BYTES;
use crate::kit::outside_text;
use crate::mail::Reply;

/// What is shown in place of a secret.
const SHOWN: &str = "[secret]";
/// Shorter pieces of base64 occur by chance in texts that hold no secret.
const SHORTEST_BASE64: usize = 6;
/// A text that was cut off may end in the beginning of a secret: so many characters of it count.
const SHORTEST_BEGINNING: usize = 4;

/// The secrets of a run; they don't show in `Debug`.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The longest first, so that a whole AUTH line goes before the password in it.
    forms: Arc<Vec<String>>,
}

impl Secrets {
    /// These and `secret`: as it is, as a reply shows it, and in base64 wherever in a longer text
    /// it is.
    pub fn and(self, secret: &str) -> Self {
        let encoded = (0..3).map(|before| encoded_behind(before, secret.as_bytes()));
        let encoded = encoded.filter(|form| form.len() >= SHORTEST_BASE64);
        self.with([secret.to_owned(), outside_text::line(secret).into_owned()].into_iter().chain(encoded))
    }

    /// These and a line of AUTH as it goes on the wire, without its end.
    pub(super) fn and_line(self, line: &str) -> Self {
        // A server may repeat it with padding or without.
        let form = line.trim_end().trim_end_matches('=');
        if form.len() < SHORTEST_BASE64 { self } else { self.with(std::iter::once(form.to_owned())) }
    }

    fn with(mut self, more: impl Iterator<Item = String>) -> Self {
        let forms = Arc::make_mut(&mut self.forms);
        forms.extend(more.filter(|form| !form.is_empty()));
        forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        self
    }

    /// Blots the secrets out of a reply.
    pub(super) fn hide_in(&self, reply: &mut Reply) {
        if !self.forms.is_empty() {
            // A character more than fits is left out.
            let is_cut = reply.text.len() + outside_text::LONGEST > TEXT_BYTES;
            self.hide(&mut reply.text, is_cut);
        }
    }

    /// The text of an error, which shows a part of a line, without the secrets.
    pub(crate) fn hidden(&self, text: String) -> String {
        let mut shown = text.trim_end_matches('`').to_owned();
        let end = text[shown.len()..].to_owned();
        self.hide(&mut shown, true);
        shown + &end
    }

    /// Blots the secrets out of `text`; `is_cut` when it may end in the middle of one.
    fn hide(&self, text: &mut String, is_cut: bool) {
        for form in self.forms.iter() {
            if text.contains(form.as_str()) {
                *text = text.replace(form.as_str(), SHOWN);
            }
        }
        if !is_cut {
            return;
        }
        let beginning = |form: &String| {
            let ends = form.char_indices().map(|(at, _)| at).filter(|at| *at >= SHORTEST_BEGINNING);
            ends.filter(|at| text.ends_with(&form[..*at])).max()
        };
        if let Some(bytes) = self.forms.iter().filter_map(beginning).max() {
            text.truncate(text.len() - bytes);
            text.push_str(SHOWN);
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.forms.len())
    }
}

/// The part of the base64 of any text that holds `secret` behind `before` bytes (modulo 3) which
/// depends on the secret alone.
fn encoded_behind(before: usize, secret: &[u8]) -> String {
    let text: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.iter().copied()).collect();
    let encoded = BASE64_STANDARD_NO_PAD.encode(&text);
    // A character stands for six bits: those that are shared with bytes around it are left out.
    let (from, to) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
    encoded.get(from..to).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn hidden(text: &str) -> String {
        let secrets = Secrets::default().and("wr0ng-secret").and_line("AG5ld3MAd3Iwbmctc2VjcmV0==\r\n");
        let mut text = text.to_owned();
        secrets.hide(&mut text, false);
        text
    }

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        assert_eq!(hidden("AUTH PLAIN AG5ld3MAd3Iwbmctc2VjcmV0 refused"), "AUTH PLAIN [secret] refused");
        assert_eq!(hidden("wr0ng-secret is wrong"), "[secret] is wrong");
        for before in ["", "a", "ab", "abc", "\0news\0", "user=news\x01auth=Bearer "] {
            for after in ["", "z", "zz", "\x01\x01"] {
                let encoded = BASE64_STANDARD.encode(format!("{before}wr0ng-secret{after}"));
                let text = hidden(&encoded);
                assert!(text.contains(SHOWN), "{before:?} {after:?}: {encoded}");
                assert!(text.len() - SHOWN.len() <= encoded.len() - 14, "{before:?} {after:?}: {text}");
            }
        }
        assert_eq!(hidden("5.7.8 Error: authentication failed"), "5.7.8 Error: authentication failed");
    }

    #[test]
    fn the_beginning_of_a_secret_at_a_cut_is_hidden_too() {
        let secrets = Secrets::default().and("wr0ng-secret");
        for (text, expected) in
            [("no: wr0ng-se", "no: [secret]"), ("no: wr0", "no: wr0"), ("no: d3Iwbmc", "no: [secret]")]
        {
            let mut cut = text.to_owned();
            secrets.hide(&mut cut, true);
            assert_eq!(cut, expected);
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(4)");
    }
}
