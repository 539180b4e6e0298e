//! A recipient of an edition, as 16 bytes that a store can keep and compare.

use crate::campaign::Duplicates;
use crate::mail::Address;
use crate::suppression::AddressKey;

/// How many bits of a [`Recipient`] tell recipients with the same address apart.
const DETAIL_BITS: u32 = 48;

/// A recipient of an edition: 80 bits of BLAKE3 of the address in lower case, and 48 bits of what
/// tells recipients with the same address apart, 0 where nothing does.
///
/// Among 100 million addresses the chance that any two share the 80 bits is below one in a hundred
/// million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient(u128);

impl Recipient {
    fn new(key: &str, detail: Option<&str>) -> Self {
        let bits = |text: &str| {
            let hash = blake3::hash(text.as_bytes());
            u128::from_be_bytes(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes"))
        };
        let address = bits(key) >> DETAIL_BITS << DETAIL_BITS;
        Self(address | detail.map_or(0, |detail| bits(detail) >> (u128::BITS - DETAIL_BITS)))
    }

    /// The same address, whatever else tells its rows apart.
    pub(super) fn address(self) -> Self {
        Self(self.0 >> DETAIL_BITS << DETAIL_BITS)
    }

    /// The bytes that a store keeps. They sort like recipients.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The recipient with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// How many mails an address got, in the 16 bytes of a [`Recipient`]: the count is in place of the
/// detail. They sort by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mailed(u128);

impl Mailed {
    /// `address` got `times` mails.
    pub(super) fn new(address: Recipient, times: u32) -> Self {
        Self(address.address().0 | u128::from(times))
    }

    /// The address, as a recipient without details.
    pub(super) fn address(self) -> Recipient {
        Recipient(self.0).address()
    }

    /// How many mails.
    pub fn times(self) -> u32 {
        self.0 as u32
    }
}

/// Which rows are of the same recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recognise(Duplicates);

impl Recognise {
    /// By the rule of the target group. Where it keeps duplicates, rows with the same address are
    /// told apart by their ids.
    pub fn by(duplicates: Duplicates) -> Self {
        Self(duplicates)
    }

    /// Whether several rows of one run can be of one recipient.
    pub fn repeats(self) -> bool {
        self.0 == Duplicates::Keep
    }

    /// Whether several rows of one run can have one address, in upper or lower case.
    pub fn repeats_addresses(self) -> bool {
        self.0 != Duplicates::IgnoreCase
    }

    /// The recipient whose address has this [`AddressKey`] and is `wire` on the wire.
    pub fn recipient(self, key: &str, wire: &str, id: Option<&str>) -> Recipient {
        match self.0 {
            Duplicates::IgnoreCase => Recipient::new(key, None),
            Duplicates::ExactLocalPart => Recipient::new(key, Some(wire)),
            Duplicates::Keep => Recipient::new(key, id),
        }
    }

    /// The recipient of a row.
    pub fn of(self, address: &Address, id: Option<&str>) -> Recipient {
        self.recipient(AddressKey::from(address).as_str(), &address.to_string(), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_for_duplicates_tells_who_is_the_same() {
        let of =
            |rule, email: &str, id: Option<&str>| Recognise::by(rule).of(&Address::parse(email).unwrap(), id);
        let same =
            |rule, one: (&str, _), other: (&str, _)| of(rule, one.0, one.1) == of(rule, other.0, other.1);
        let (bob, small) = ("Bob@b.example", "bob@B.example");
        assert!(same(Duplicates::IgnoreCase, (bob, Some("1")), (small, Some("2"))));
        assert!(!same(Duplicates::IgnoreCase, (bob, None), ("rob@b.example", None)));
        assert!(!same(Duplicates::ExactLocalPart, (bob, None), (small, None)));
        assert!(same(Duplicates::ExactLocalPart, (bob, Some("1")), ("Bob@B.example", None)));
        assert!(!same(Duplicates::Keep, (bob, Some("1")), (bob, Some("2"))));
        assert!(same(Duplicates::Keep, (bob, Some("1")), (small, Some("1"))));
    }

    /// Pinned: with other bytes after an update, everybody would get the edition again.
    #[test]
    fn its_bytes_are_the_same_in_every_version() {
        let bob = Recognise::by(Duplicates::IgnoreCase).of(&Address::parse("bob@b.example").unwrap(), None);
        let hex: String = bob.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let reference = blake3::hash(b"bob@b.example").to_hex();
        assert_eq!(hex, format!("{}000000000000", &reference[..20]));
        assert_eq!(Recipient::from_bytes(bob.to_bytes()), bob);
    }
}
