//! Links of the HTML part that lead over the sender's own host, and an image that says that the
//! message was opened.
//!
//! Links to http and https in `<a>` and `<area>` are tracked. Those of the unsubscribe link, those
//! with the attribute `data-no-track`, and those in comments (also conditional ones, for Outlook)
//! stay as they are, and so does the text part.

use std::ops::Range;

use super::tracked::{Deed, Target, Tokens};
use crate::campaign::{Level, Tracking as Settings};
use crate::kit::tags::{self, Piece};
use crate::mail::Timestamp;
use crate::plan::Row;

/// Marks a link that is not tracked.
const NOT_THIS: &str = "data-no-track";

/// What a column says for yes. Anything else is no.
const YES: [&str; 5] = ["true", "yes", "y", "1", "on"];

/// Tracks the messages of one run.
#[derive(Debug)]
pub(super) struct Tracking {
    tokens: Tokens,
    /// Ends in `/`.
    url: String,
    clicks: bool,
    opens: bool,
    level: Level,
    consent: Option<String>,
}

impl Tracking {
    /// `secret` is that of unsubscribe tokens.
    pub(super) fn new(settings: &Settings, secret: &[u8], is_test: bool, campaign: &str, run: &str) -> Self {
        let days = i64::try_from(settings.expires.0.as_secs() / 86_400).unwrap_or(i64::MAX);
        let end = if settings.url.ends_with('/') { "" } else { "/" };
        Self {
            tokens: Tokens::new(secret, is_test, days, campaign, run),
            url: format!("{}{end}", settings.url),
            clicks: settings.clicks,
            opens: settings.opens,
            level: settings.level,
            consent: settings.consent_column.clone(),
        }
    }

    /// The same, but what is done with its links counts for nobody.
    pub(super) fn for_nobody(self) -> Self {
        Self { tokens: self.tokens.of_test(), ..self }
    }

    /// The column that says who agreed.
    pub(super) fn column(&self) -> Option<&String> {
        self.consent.as_ref()
    }

    /// Whether the recipient of a row agreed. Without a value that says so they did not.
    pub(super) fn may(&self, row: &Row) -> bool {
        let Some(column) = &self.consent else { return true };
        match row.values.get(column) {
            Some(serde_json::Value::String(text)) => {
                YES.iter().any(|yes| text.trim().eq_ignore_ascii_case(yes))
            }
            Some(serde_json::Value::Bool(is)) => *is,
            Some(serde_json::Value::Number(number)) => number.as_f64() == Some(1.0),
            Some(_) | None => false,
        }
    }

    /// `html` with tracked links. `leaves` is the recipient's unsubscribe link, `date` the
    /// message's.
    pub(super) fn of(&self, html: &str, row: &Row, leaves: Option<&str>, date: Timestamp) -> String {
        let row = match self.level {
            Level::Recipient => Some(row.index),
            Level::Aggregate => None,
        };
        let link = |deed: &Deed| format!("{}{}", self.url, self.tokens.of(deed, row, date));
        let mut out = String::with_capacity(html.len() * 2);
        // Up to where `html` is in `out`, and where the image goes.
        let (mut done, mut end) = (0, None);
        for piece in tags::pieces(html) {
            let Piece::Tag { name, inner, ends } = piece else { continue };
            if ends {
                if name.eq_ignore_ascii_case("body") {
                    let start = inner.start - name.len() - "</".len();
                    out.push_str(&html[done..start]);
                    (done, end) = (start, Some(out.len()));
                }
                continue;
            }
            if !self.clicks || !(name.eq_ignore_ascii_case("a") || name.eq_ignore_ascii_case("area")) {
                continue;
            }
            let attributes = tags::attributes(html, inner);
            let named = |wanted: &str| attributes.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            if named(NOT_THIS).is_some() {
                continue;
            }
            let Some((_, value)) = named("href") else { continue };
            let written = tags::unescaped(html[value.clone()].trim());
            if is_doubtful(html, value, &written) {
                continue;
            }
            let is_to_leave = leaves.is_some_and(|leaves| written.starts_with(leaves));
            let Some(target) = Target::parse(&written).filter(|_| !is_to_leave) else { continue };
            out.push_str(&html[done..value.start]);
            out.push_str(&link(&Deed::Click(target)));
            done = value.end;
        }
        out.push_str(&html[done..]);
        if self.opens {
            let image = format!(
                "<img src=\"{}.gif\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\">",
                link(&Deed::Open)
            );
            let at = end.unwrap_or(out.trim_end().len());
            out.insert_str(at, &image);
        }
        out
    }
}

/// Whether it is not sure which address browsers read: an unquoted value with characters that do
/// not belong in one, or an entity that is not known here.
fn is_doubtful(html: &str, value: &Range<usize>, written: &str) -> bool {
    let is_quoted = html[..value.start].ends_with(['"', '\'']);
    let is_odd = !is_quoted && html[value.clone()].contains(['<', '>', '"', '\'']);
    let is_entity = |after: &str| {
        let name = after.split_once(';').map(|(name, _)| name.strip_prefix('#').unwrap_or(name));
        name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    is_odd || written.split('&').skip(1).any(is_entity)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::tracked::{Opener, Tracked};
    use super::*;
    use crate::mail::Address;

    const SECRET: &[u8] = b"0123456789abcdef";
    const DATE: Timestamp = Timestamp(1_780_000_000_000_000);

    fn tracking(more: &str) -> Tracking {
        let text = format!("url = \"https://click.example.com/c\"\nconsent-column = \"agreed\"\n{more}");
        Tracking::new(&toml::from_str(&text).unwrap(), SECRET, false, "c", "r")
    }

    fn row(agreed: Value) -> Row {
        let address = Address::parse("ann@example.com").unwrap();
        let values = Map::from_iter([("agreed".to_owned(), agreed)]);
        Row {
            index: 7,
            file: 0,
            row: 8,
            email: address.to_string(),
            address,
            id: None,
            name: None,
            values,
            messages: None,
        }
    }

    /// The HTML with `[target]` for each tracked link, and `[]` for the image.
    fn shown(tracking: &Tracking, html: &str) -> String {
        let made = tracking.of(html, &row(json!(true)), Some("https://mail.example.com/u/T"), DATE);
        let mut parts = made.split("https://click.example.com/c/");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
            let (token, after) = part.split_at(end.unwrap_or(part.len()));
            let Tracked { deed, row, .. } = Opener::new(SECRET).open(token).unwrap();
            assert_eq!(row, (tracking.level == Level::Recipient).then_some(7));
            match deed {
                Deed::Click(target) => out.push_str(&format!("[{}]", target.as_str())),
                Deed::Open => out.push_str("[]"),
            }
            out.push_str(after);
        }
        out
    }

    #[test]
    fn links_of_the_web_are_tracked_and_no_others() {
        let tracking = tracking("clicks = true");
        let check = |html: &str, expected: &str| assert_eq!(shown(&tracking, html), expected);
        check(
            "<p><a href=\"https://a.example/?x=1&amp;y=2\">https://a.example</a> <A class=x HREF='http://b.example'>b</A>",
            "<p><a href=\"[https://a.example/?x=1&y=2]\">https://a.example</a> <A class=x HREF='[http://b.example]'>b</A>",
        );
        check(
            "<a href=https://a.example/kid's>Kid's</a><a href=\"https://b.example/?x=1&y=2;z\">x</a>",
            "<a href=https://a.example/kid's>Kid's</a><a href=\"[https://b.example/?x=1&y=2;z]\">x</a>",
        );
        check("<a href=https://a.example/>x</a>", "<a href=[https://a.example/]>x</a>");
        check("<area href=\" https&#58;//a.example \">", "<area href=\"[https://a.example]\">");
        for same in [
            "<a href=\"#top\">x</a><a href=\"mailto:a@b.example\">x</a><a href='tel:+1'>x</a><a href>x</a>",
            "<a href=\"https://a.example\" data-no-track>x</a>",
            "<a DATA-NO-TRACK='' href=\"https://a.example\">x</a>",
            "<a href=\"https://mail.example.com/u/T\">leave</a>",
            "<a href=\"https://mail.example.com/u/T?lang=de\">leave</a>",
            "<!-- <a href=\"https://a.example\">x</a> --><img src=\"https://a.example/i.png\">",
            "<link href=\"https://a.example/x.css\"><style>a[href=\"https://a.example\"]{}</style>",
            "<a href=\"javascript:alert(1)\">x</a></body>",
            "<a href=https://shop.example/kid's>Kid's</a>",
            "<a href=https://shop.example/<b>x</a>",
            "<a href=\"https://shop.example/caf&eacute;\">x</a>",
            "<a href=\"https://shop.example/?a&#x110000;\">x</a>",
        ] {
            check(same, same);
        }
    }

    #[test]
    fn the_image_is_at_the_end_of_the_body() {
        let tracking = tracking("opens = true");
        let image = "<img src=\"[].gif\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\">";
        let check = |html: &str, expected: &str| {
            assert_eq!(shown(&tracking, html), expected.replace('@', image));
        };
        check(
            "<body><a href=\"https://a.example\">x</a></body></html>\r\n",
            "<body><a href=\"https://a.example\">x</a>@</body></html>\r\n",
        );
        check("<p>x</p>\r\n", "<p>x</p>@\r\n");
        check("", "@");
    }

    #[test]
    fn who_did_not_say_yes_is_not_tracked() {
        let own = tracking("opens = true");
        for yes in [json!(true), json!("TRUE"), json!(" yes "), json!("1"), json!(1), json!("on")] {
            assert!(own.may(&row(yes.clone())), "{yes}");
        }
        for no in [json!(false), json!(""), json!("no"), json!("0"), json!(0), json!(null), json!("?")] {
            assert!(!own.may(&row(no.clone())), "{no}");
        }
        assert!(!own.may(&Row { values: Map::new(), ..row(json!(null)) }));
        let all = tracking("opens = true\nlevel = \"aggregate\"");
        assert_eq!(shown(&all, "x").matches("[]").count(), 1);
    }
}
