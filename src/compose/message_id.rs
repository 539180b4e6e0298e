//! The `Message-ID` of each row (RFC 5322 §3.6.4).

use crate::plan::Row;

/// `run.row.tag@domain`: the tag tells runs of the same name in different campaigns apart.
#[derive(Debug)]
pub(super) struct MessageId {
    before: String,
    after: String,
}

impl MessageId {
    /// The ids of a run; `domain` is that of `From`.
    pub(super) fn new(campaign_id: &str, run_id: &str, domain: &str) -> Self {
        let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let name: String = run_id.chars().take(60).map(fits).collect();
        let whole = blake3::hash(format!("{campaign_id}\0{run_id}").as_bytes());
        let tag = &whole.to_hex()[..12];
        Self {
            before: if name.is_empty() { String::new() } else { format!("{name}.") },
            after: format!(".{tag}@{domain}"),
        }
    }

    /// The id of a row's message, without angle brackets.
    pub(super) fn of(&self, row: &Row) -> String {
        format!("{}{}{}", self.before, row.index, self.after)
    }

    /// The id if every row gets the same text: one message, however many recipients it has.
    pub(super) fn of_all(&self) -> String {
        format!("{}all{}", self.before, self.after)
    }
}
