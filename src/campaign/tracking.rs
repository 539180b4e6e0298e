//! `[tracking]`: whether links of the HTML part and an image in it say that a message was opened
//! or a link followed. Nothing is tracked without it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Campaign;
use super::error::Mistake;
use super::units::{self, Span};
use crate::mail::Domain;

/// The longest `url`, in bytes: links are on lines of a message.
const LONGEST_URL: usize = 200;
const DAY: Duration = Duration::from_secs(86_400);
/// The longest time that links work: ten years.
const LONGEST_LIFE: Duration = Duration::from_secs(3_650 * 86_400);

/// `[tracking]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tracking {
    /// Where `mailrun serve` is reached: an https address that tokens are appended to.
    pub url: String,
    /// Links of the HTML part lead over `url`.
    #[serde(default)]
    pub clicks: bool,
    /// The HTML part has an image at `url`.
    #[serde(default)]
    pub opens: bool,
    /// Whether each recipient is known, or only their number.
    #[serde(default)]
    pub level: Level,
    /// The column that says whether a recipient agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_column: Option<String>,
    /// How long links work after a message was composed.
    #[serde(default = "default_expires", with = "units::text")]
    pub expires: Span,
}

/// What is known of who opens and clicks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Links say which row they are of.
    #[default]
    Recipient,
    /// Links are the same for all recipients.
    Aggregate,
}

fn default_expires() -> Span {
    Span::seconds(365 * 86_400)
}

impl Tracking {
    /// The host of `url`.
    pub(crate) fn host(&self) -> &str {
        let after = self.url.strip_prefix("https://").unwrap_or(&self.url);
        let authority = after.split('/').next().unwrap_or_default();
        authority.split(':').next().unwrap_or_default()
    }

    fn check(&self, campaign: &Campaign) -> Result<(), Mistake> {
        let mistake = |key, problem: &str, hint| Err(Mistake::new(key, problem, hint));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%".contains(c);
        let is_url = self.url.starts_with("https://")
            && self.url.len() <= LONGEST_URL
            && self.url.chars().all(is_plain)
            && Domain::parse(self.host()).is_ok();
        if !is_url {
            let problem = format!("`{}` can't be followed by tokens", self.url);
            let hint = "use an https address of a host and a path, such as https://click.example.com/";
            return Err(Mistake::new("tracking.url", problem, hint));
        }
        if !self.clicks && !self.opens {
            return mistake(
                "tracking.url",
                "neither clicks nor opens are tracked",
                "set `clicks = true` or `opens = true`, or leave `[tracking]` out",
            );
        }
        if self.expires.0 < DAY || self.expires.0 > LONGEST_LIFE {
            let problem = format!("links can't work for {}", self.expires);
            return Err(Mistake::new(
                "tracking.expires",
                problem,
                "use one day to ten years, such as \"365d\"",
            ));
        }
        if self.level == Level::Recipient && self.consent_column.is_none() {
            return mistake(
                "tracking.url",
                "nothing says which recipients agreed to be tracked",
                "name the column that says so in `consent-column`; or set `level = \"aggregate\"`: then nobody knows who opened or clicked",
            );
        }
        if !campaign.template.personalised
            && (self.level == Level::Recipient || self.consent_column.is_some())
        {
            return mistake(
                "tracking.level",
                "tracked links differ from row to row, but with `personalised = false` all get one text",
                "set `level = \"aggregate\"` without `consent-column`, or leave `[tracking]` out",
            );
        }
        // A signature says that the sender wrote what it covers.
        if !campaign.smime.is_empty() {
            return mistake(
                "tracking.url",
                "the certificate of `[smime]` would sign links that lead elsewhere than they say",
                "leave out `[tracking]` or `[smime]`",
            );
        }
        // Who gets confidential documents must be able to tell the sender's links from others.
        if campaign.secure_documents.is_some() {
            return mistake(
                "tracking.url",
                "messages with secure documents are confidential, and are not tracked",
                "leave out `[tracking]` or `[secure-documents]`",
            );
        }
        let mut letters = campaign.template.html.is_some();
        letters |= campaign.variants.0.values().any(|variant| variant.html.is_some());
        if !letters {
            return mistake(
                "tracking.url",
                "only HTML parts are tracked, and the campaign has none",
                "leave out `[tracking]`, or name a template in `html`",
            );
        }
        Ok(())
    }
}

impl Campaign {
    pub(super) fn check_tracking(&self) -> Result<(), Mistake> {
        self.tracking.as_ref().map_or(Ok(()), |tracking| tracking.check(self))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::SMALLEST;
    use super::*;

    const GOOD: &str =
        "[tracking]\nurl = \"https://click.example.com/c\"\nclicks = true\nconsent-column = \"agreed\"\n";

    fn parse(tracking: &str, change: impl Fn(String) -> String) -> Result<Campaign, String> {
        let text = format!("{}{tracking}", SMALLEST.replace("text = \"a.hbs\"", "html = \"a.hbs\""));
        Campaign::parse(&change(text), Path::new("c/campaign.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn who_agreed_is_said_or_nobody_is_known() {
        let campaign = parse(GOOD, |text| text).unwrap();
        let tracking = campaign.tracking.unwrap();
        assert_eq!(tracking.host(), "click.example.com");
        assert_eq!((tracking.clicks, tracking.opens, tracking.level), (true, false, Level::Recipient));
        let without = GOOD.replace("consent-column = \"agreed\"\n", "");
        assert!(parse(&without, |text| text).unwrap_err().contains("agreed to be tracked"));
        assert!(parse(&format!("{without}level = \"aggregate\"\n"), |text| text).is_ok());
    }

    #[test]
    fn what_conflicts_is_refused_with_the_reason() {
        for (from, to, said) in [
            ("https://click", "http://click", "followed by tokens"),
            ("example.com/c", "example.com/c?t=", "followed by tokens"),
            ("click.example.com", "-", "followed by tokens"),
            ("clicks = true", "clicks = false", "neither clicks nor opens"),
            ("clicks = true", "clicks = true\nexpires = \"1h\"", "can't work for"),
            ("clicks", "click", "unknown key `click`"),
        ] {
            let error = parse(&GOOD.replace(from, to), |text| text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let text_only = parse(GOOD, |text| text.replace("html = ", "text = ")).unwrap_err();
        assert!(text_only.contains("the campaign has none"), "{text_only}");
        let signed = format!("{GOOD}[smime]\ncertificate = \"c.p12\"\n");
        let signed = parse(&signed, |text| text).unwrap_err();
        assert!(signed.contains("would sign links"), "{signed}");
    }
}
