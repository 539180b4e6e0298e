//! Campaigns of ready messages: no `[template]`, and files of batch SMTP (RFC 2442).

use super::error::Mistake;
use super::{Campaign, Duplicates};

/// What the names of batch SMTP files end in, compressed ones too.
const ENDINGS: [&str; 3] = [".bsmtp", ".bsmtp.gz", ".bsmtp.zst"];

/// The columns of ready messages.
pub(crate) mod column {
    /// The recipient: what follows `RCPT TO`.
    pub(crate) const EMAIL: &str = "email";
    /// The `Message-ID`, or what stands for it.
    pub(crate) const ID: &str = "id";
    /// The sender: what follows `MAIL FROM`.
    pub(crate) const SENDER: &str = "sender";
    /// Where the message is.
    pub(crate) const MESSAGE: &str = "message";
}

/// Whether a file is one of batch SMTP, by its name.
fn is_bsmtp(file: &str) -> bool {
    let file = file.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| file.ends_with(ending))
}

impl Campaign {
    /// Whether the target group holds ready messages.
    pub(crate) fn is_ready(&self) -> bool {
        self.template.is_ready
    }

    /// Every recipient of every message is a row, told apart by their ids; one person may have
    /// several messages.
    pub(super) fn prepare_ready(&mut self) {
        if !self.is_ready() {
            return;
        }
        let group = &mut self.target_group;
        group.duplicates = Duplicates::Keep;
        group.id.get_or_insert_with(|| column::ID.to_owned());
        if let Some(largest) = group.largest {
            self.template.largest = largest;
        }
    }

    /// Checks that there are templates or ready messages, and what goes with these.
    pub(super) fn check_ready(&self) -> Result<(), Mistake> {
        let group = &self.target_group;
        if !self.is_ready() {
            if let Some(file) = group.files.iter().find(|file| is_bsmtp(file)) {
                return Err(Mistake::new(
                    "template.subject",
                    format!("`{file}` holds ready messages, which no template can change"),
                    "leave `[template]` out, or name a list in `files`",
                ));
            }
            if group.largest.is_some() {
                return Err(Mistake::new(
                    "target-group.largest",
                    "`largest` is of ready messages here",
                    "set it in `[template]`",
                ));
            }
            return Ok(());
        }
        if let Some(file) = group.files.iter().find(|file| !is_bsmtp(file)) {
            return Err(Mistake::new(
                "target-group.files",
                format!("there is no `[template]`, and `{file}` does not hold ready messages"),
                "add `[template]` with `subject` and `text` or `html`; files of ready messages are batch SMTP and end in `.bsmtp`",
            ));
        }
        let kept = "ready messages are sent as they are";
        let columns = [("target-group.email", Some(&group.email), column::EMAIL)];
        let columns = columns.into_iter().chain([("target-group.id", group.id.as_ref(), column::ID)]);
        for (key, given, own) in columns {
            if given.is_some_and(|given| given.trim() != own) {
                return Err(Mistake::new(
                    key,
                    format!("ready messages have their `{own}` in column `{own}`"),
                    "leave it out",
                ));
            }
        }
        let sender = &self.sender;
        for (key, is_set) in [
            ("target-group.name", group.name.is_some()),
            ("target-group.types", !group.types.is_empty()),
            ("variants", !self.variants.is_empty()),
            ("secure-documents", self.secure_documents.is_some()),
            ("unsubscribe", self.unsubscribe.is_some()),
            ("tracking", self.tracking.is_some()),
            ("tracking", self.tracking.is_some()),
            ("smime", !self.smime.is_empty()),
            ("sender.headers", !sender.headers.is_empty()),
            ("sender.reply-to", sender.reply_to.is_some()),
        ] {
            if is_set {
                return Err(Mistake::new(
                    key,
                    format!("`{key}` would change messages, and {kept}"),
                    "leave it out, or let the program that writes the messages do it",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::SMALLEST;
    use super::*;

    fn ready(more: &str) -> String {
        let text = SMALLEST.replace("a.csv", "spool/*.bsmtp");
        text.replace("[template]\nsubject = \"Hello\"\ntext = \"a.hbs\"\n", more)
    }

    fn refused(text: &str) -> String {
        Campaign::parse(text, Path::new("c/campaign.toml")).unwrap_err().problem
    }

    #[test]
    fn without_templates_messages_are_ready_and_stay_so_in_a_manifest() {
        let campaign = Campaign::parse(&ready(""), Path::new("c/campaign.toml")).unwrap();
        assert!(campaign.is_ready());
        assert_eq!(campaign.target_group.duplicates, Duplicates::Keep);
        let kept = serde_json::to_string(&campaign).unwrap();
        assert!(serde_json::from_str::<Campaign>(&kept).unwrap().is_ready(), "{kept}");
    }

    #[test]
    fn what_would_change_ready_messages_is_refused() {
        assert!(refused(&ready("[sender.headers]\nx-a = \"b\"\n")).contains("sent as they are"));
        let mixed = SMALLEST.replace("a.csv", "spool/a.bsmtp");
        assert!(refused(&mixed).contains("holds ready messages"));
        let list = ready("").replace("spool/*.bsmtp", "a.csv");
        assert!(refused(&list).contains("there is no `[template]`"));
    }
}
