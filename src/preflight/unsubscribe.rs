//! Whether a newsletter can be left: its `List-Unsubscribe` header (RFC 2369, RFC 8058).

use super::finding::{Finding, Id};
use crate::campaign::{Campaign, Kind};

/// What there is to say of the header; nothing for mail that needs none.
pub(crate) fn check(campaign: &Campaign) -> Option<Finding> {
    match campaign.identity.kind {
        Kind::News => {}
        Kind::Update | Kind::Alarm => return None,
    }
    Some(match &campaign.unsubscribe {
        Some(unsubscribe) => {
            let one_click = if unsubscribe.https.is_some() { "with One-Click" } else { "by mail only" };
            Finding::new(Id::ListUnsubscribe, format!("List-Unsubscribe: {one_click}"))
        }
        None => Finding::new(
            Id::ListUnsubscribeMissing,
            "`kind = \"news\"` without `[unsubscribe]`: messages have no List-Unsubscribe header",
        )
        .worse_if(!campaign.identity.without_unsubscribe)
        .fix(
            "[unsubscribe] with https = \"https://…/{{token}}\"; `kind = \"update\"` if it is no marketing mail; or \
             `without-unsubscribe = true` in [campaign] if another system adds the header",
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Level;
    use super::*;

    fn found(kind: &str, more: &str) -> Option<(Id, Level)> {
        let text = format!(
            "[campaign]\nid = \"x\"\n{kind}\n[sender]\nfrom = \"a@example.com\"\n[target-group]\nfiles = [\"a.csv\"]\n\
             [template]\nsubject = \"x\"\ntext = \"a.hbs\"\n[delivery]\nroute = \"sandbox\"\n{more}\n"
        );
        let campaign = Campaign::parse(&text, Path::new("campaign.toml")).unwrap();
        check(&campaign).map(|finding| (finding.id, finding.level))
    }

    #[test]
    fn a_newsletter_without_the_header_is_refused_unless_the_campaign_says_so() {
        let missing = |level| Some((Id::ListUnsubscribeMissing, level));
        assert_eq!(found("", ""), missing(Level::Refused));
        assert_eq!(found("without-unsubscribe = true", ""), missing(Level::Note));
        let mailto = "[unsubscribe]\nmailto = \"u@example.com\"";
        assert_eq!(found("", mailto), Some((Id::ListUnsubscribe, Level::Ok)));
        for kind in ["kind = \"update\"", "kind = \"alarm\""] {
            assert_eq!(found(kind, ""), None);
        }
    }
}
