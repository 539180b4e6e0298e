//! The identity of a mailing list (RFC 2919).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a list, such as `news.example.com`: what is in the angle brackets of `List-Id`, in
/// lower case. RFC 2919 §6: the name before it does not count, and neither does the case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListId(String);

/// The text names no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no id of a list: use the `list-id` of a campaign, such as `news.example.com`")]
pub struct NoListId;

impl ListId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListId {
    type Err = NoListId;

    /// Takes the id alone, or a whole `List-Id` header such as `Spring news <news.example.com>`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inside = text.split_once('<').map_or(text, |(_, after)| after.split('>').next().unwrap_or(after));
        let id = inside.trim().to_lowercase();
        if id.is_empty() || id.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(NoListId);
        }
        Ok(Self(id))
    }
}

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_case_nor_name_matters() {
        let check = |text: &str, id: Option<&str>| {
            let read = text.parse::<ListId>().ok();
            assert_eq!(read.as_ref().map(ListId::as_str), id, "{text}");
        };
        check("news.example.com", Some("news.example.com"));
        check("Spring news <News.Example.com>", Some("news.example.com"));
        check(" <news.example.com>", Some("news.example.com"));
        check("<>", None);
        check("  ", None);
        check("two words", None);
        check("a\tb", None);
    }
}
