//! The `Message-ID` of each row (RFC 5322 §3.6.4).

use crate::plan::Row;

/// The characters of a tag.
const TAG: usize = 12;

/// Follows the row in the id of the mail with its password.
const PASSWORD: char = 'p';

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
        let tag = tag(campaign_id, run_id);
        Self {
            before: if name.is_empty() { String::new() } else { format!("{name}.") },
            after: format!(".{tag}@{domain}"),
        }
    }

    /// The id of a row's message, without angle brackets.
    pub(super) fn of(&self, row: &Row) -> String {
        format!("{}{}{}", self.before, row.index, self.after)
    }

    /// The id of the mail with a row's password.
    pub(super) fn of_password(&self, row: &Row) -> String {
        format!("{}{}{PASSWORD}{}", self.before, row.index, self.after)
    }

    /// The id if every row gets the same text: one message, however many recipients it has.
    pub(super) fn of_all(&self) -> String {
        format!("{}all{}", self.before, self.after)
    }
}

/// What a `Message-ID` of a run says. Anybody can make up another row's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The run: see [`tag`].
    pub tag: String,
    /// The row of the plan; none where all rows share one message.
    pub row: Option<u32>,
}

impl Named {
    /// What `id` says, without angle brackets.
    pub fn of(id: &str) -> Option<Self> {
        let (local, _) = id.split_once('@')?;
        let (before, tag) = local.rsplit_once('.')?;
        let row = before.rsplit_once('.').map_or(before, |(_, row)| row);
        let is_tag = tag.len() == TAG && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let row = match row {
            "all" => None,
            row => Some(row.strip_suffix(PASSWORD).unwrap_or(row).parse().ok()?),
        };
        is_tag.then(|| Self { tag: tag.to_ascii_lowercase(), row })
    }
}

/// The id of the message with a row's documents, where `id` is that of the mail with their
/// password; every other id as it is.
pub fn of_letter(id: &str) -> String {
    let letter = || {
        let (local, domain) = id.split_once('@')?;
        let (before, tag) = local.rsplit_once('.')?;
        let before =
            before.strip_suffix(PASSWORD).filter(|before| before.ends_with(|c: char| c.is_ascii_digit()))?;
        Some(format!("{before}.{tag}@{domain}"))
    };
    letter().unwrap_or_else(|| id.to_owned())
}

/// Tells runs of the same name in different campaigns apart.
pub fn tag(campaign_id: &str, run_id: &str) -> String {
    blake3::hash(format!("{campaign_id}\0{run_id}").as_bytes()).to_hex()[..TAG].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_its_run_and_row() {
        let check = |id: &str, row: Option<Option<u32>>| {
            assert_eq!(Named::of(id).map(|named| named.row), row, "{id}");
            assert!(Named::of(id).is_none_or(|named| named.tag == tag("spring", "run.1")));
        };
        let ids = MessageId::new("spring", "run.1", "example.com");
        check(&ids.of_all(), Some(None));
        check(&format!("{}7{}", ids.before, ids.after), Some(Some(7)));
        check(&format!("7{}", ids.after), Some(Some(7)));
        check(&format!("{}7p{}", ids.before, ids.after), Some(Some(7)));
        let letter = format!("{}7{}", ids.before, ids.after);
        for id in [&letter, &format!("{}7p{}", ids.before, ids.after)] {
            assert_eq!(of_letter(id), letter);
        }
        assert_eq!(of_letter("help.7@b.example"), "help.7@b.example");
        for other in ["", "a@b.example", "run.7.0123456789@b.example", "run.x.0123456789ab@b.example"] {
            check(other, None);
        }
    }
}
