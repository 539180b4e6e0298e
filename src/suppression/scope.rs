//! What mail an entry blocks.

use std::borrow::Cow;
use std::fmt;

use crate::mail::ListId;

/// What mail an entry blocks: all, or that of one list. An address may have an entry for each, with
/// terms and reasons of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All mail.
    #[default]
    All,
    /// The mail of campaigns with this `list-id`.
    List(ListId),
}

impl Scope {
    /// That of a list; all mail where there is none.
    pub fn of(list: Option<ListId>) -> Self {
        list.map_or(Self::All, Self::List)
    }

    /// The list; none for all mail.
    pub fn list(&self) -> Option<&ListId> {
        match self {
            Self::All => None,
            Self::List(list) => Some(list),
        }
    }

    /// The word that a store keeps: the list's id, or nothing.
    pub fn as_str(&self) -> &str {
        self.list().map_or("", ListId::as_str)
    }

    /// The scope that a store has kept.
    pub fn of_word(word: &str) -> Self {
        Self::of(word.parse().ok())
    }

    /// Whether all that is in `other` is in this one too.
    pub fn covers(&self, other: &Self) -> bool {
        *self == Self::All || self == other
    }

    /// Names the entry of the address with the key `address`: the key itself, and the list after a
    /// blank, which neither of them holds. Sorts by address, all mail before the lists.
    pub(crate) fn place<'a>(&self, address: &'a str) -> Cow<'a, str> {
        match self {
            Self::All => Cow::Borrowed(address),
            Self::List(list) => Cow::Owned(format!("{address} {list}")),
        }
    }
}

/// Reads after a reason: nothing for all mail.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list().map_or(Ok(()), |list| write!(f, ", for list {list}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_list(id: &str) -> Scope {
        Scope::List(id.parse().unwrap())
    }

    #[test]
    fn words_are_read_again() {
        for scope in [Scope::All, of_list("news.example.com")] {
            assert_eq!(Scope::of_word(scope.as_str()), scope);
        }
    }

    #[test]
    fn places_sort_by_address_and_then_by_list() {
        let mut places = [
            of_list("z.example").place("ann@b.example").into_owned(),
            Scope::All.place("ann@b.example.org").into_owned(),
            of_list("a.example").place("ann@b.example").into_owned(),
            Scope::All.place("ann@b.example").into_owned(),
        ];
        places.sort();
        let sorted =
            ["ann@b.example", "ann@b.example a.example", "ann@b.example z.example", "ann@b.example.org"];
        assert_eq!(places, sorted);
    }

    #[test]
    fn all_mail_covers_each_list_and_no_list_another() {
        let (one, other) = (of_list("one.example"), of_list("other.example"));
        assert!(Scope::All.covers(&one) && Scope::All.covers(&Scope::All) && one.covers(&one));
        assert!(!one.covers(&Scope::All) && !one.covers(&other));
    }
}
