//! Addresses as 128-bit fingerprints, and a compact table of them.
//!
//! A fingerprint is two SipHashes with keys that each process draws at random, so nobody can make
//! two addresses collide on purpose. Fingerprints are never written to disk.

use std::hash::{BuildHasher, Hasher, RandomState};

/// An address by its two keyed hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    low: u64,
    high: u64,
}

/// Makes [`Fingerprint`]s. Only those of one fingerprinter (and its clones) can be compared.
#[derive(Debug, Clone, Default)]
pub struct Fingerprinter {
    low: RandomState,
    high: RandomState,
}

impl Fingerprinter {
    /// The fingerprint of `text`.
    pub fn of(&self, text: &str) -> Fingerprint {
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(text.as_bytes());
            hasher.finish()
        };
        Fingerprint { low: hash(&self.low), high: hash(&self.high) }
    }
}

/// The table is cut into this many parts that grow one by one, so that growing never needs the
/// memory twice.
const PARTS: usize = 256;
/// A part is at most four fifths full …
const FULL: (usize, usize) = (4, 5);
/// … and grows by about a third: 16 bytes a slot come to 20 to 27 bytes an entry.
const GROWTH: (usize, usize) = (27, 20);
/// The first sizes of the parts lie between this and the next one, so that some have just grown
/// while others are full. Together they take 24 bytes an entry.
const FIRST_SLOTS: usize = 64;
const FIRST_SIZES: usize = FIRST_SLOTS * GROWTH.0 / GROWTH.1 - FIRST_SLOTS;

/// A map from fingerprints to numbers, in at most 24 bytes an entry while it grows.
///
/// Of the 128 bits, 104 are compared: among 100 million addresses the chance that any two collide
/// is below 10^-15.
#[derive(Debug)]
pub struct FingerprintMap {
    parts: Vec<Part>,
    len: usize,
}

/// Open addressing with linear probing; nothing is ever taken out.
#[derive(Debug, Default)]
struct Part {
    slots: Vec<Slot>,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    low: u64,
    high: u32,
    value: u32,
}

/// The value that marks a free slot.
const FREE: u32 = u32::MAX;
const FREE_SLOT: Slot = Slot { low: 0, high: 0, value: FREE };

impl Default for FingerprintMap {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Part::default()).collect(), len: 0 }
    }
}

impl FingerprintMap {
    /// The number that is kept for `fingerprint`.
    pub fn get(&self, fingerprint: Fingerprint) -> Option<u32> {
        let part = &self.parts[part_of(fingerprint)];
        if part.slots.is_empty() {
            return None;
        }
        let slot = part.slots[part.find(fingerprint.low, fingerprint.high as u32)];
        (slot.value != FREE).then_some(slot.value)
    }

    /// Brings the slots of `fingerprints` into the processor's cache. In a table of millions each
    /// look waits for main memory; those of many fingerprints are independent here, so they wait
    /// together.
    pub fn fetch(&self, fingerprints: &[Fingerprint]) {
        let mut seen = 0;
        for fingerprint in fingerprints {
            let slots = &self.parts[part_of(*fingerprint)].slots;
            seen ^= slots.get(first_slot(fingerprint.low, slots.len())).map_or(0, |slot| slot.value);
        }
        std::hint::black_box(seen);
    }

    /// Keeps `value` for `fingerprint` where none is kept yet; otherwise returns the one that is.
    ///
    /// # Panics
    /// When `value` is `u32::MAX`, which marks a free slot.
    pub fn insert(&mut self, fingerprint: Fingerprint, value: u32) -> Option<u32> {
        assert_ne!(value, FREE, "the largest number marks a free slot");
        let (low, high) = (fingerprint.low, fingerprint.high as u32);
        let part = &mut self.parts[part_of(fingerprint)];
        if part.used * FULL.1 >= part.slots.len() * FULL.0 {
            part.grow(part_of(fingerprint));
        }
        let at = part.find(low, high);
        let slot = &mut part.slots[at];
        if slot.value != FREE {
            return Some(slot.value);
        }
        *slot = Slot { low, high, value };
        part.used += 1;
        self.len += 1;
        None
    }

    /// Keeps `value` for `fingerprint`, whatever was kept before.
    ///
    /// # Panics
    /// When `value` is `u32::MAX`, which marks a free slot.
    pub fn replace(&mut self, fingerprint: Fingerprint, value: u32) {
        if self.insert(fingerprint, value).is_some() {
            let part = &mut self.parts[part_of(fingerprint)];
            let at = part.find(fingerprint.low, fingerprint.high as u32);
            part.slots[at].value = value;
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the slots take, in bytes.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.slots.capacity() * size_of::<Slot>()).sum()
    }
}

/// The top bits choose the part; they are not kept in the slot, since a part's entries share them.
fn part_of(fingerprint: Fingerprint) -> usize {
    (fingerprint.high >> 56) as usize
}

/// Where a fingerprint's slot is looked for first, in a part of so many slots.
fn first_slot(low: u64, slots: usize) -> usize {
    ((u128::from(low) * slots as u128) >> 64) as usize
}

impl Part {
    /// The slot that holds the fingerprint, or the free one where it belongs. There is always a
    /// free one.
    fn find(&self, low: u64, high: u32) -> usize {
        let size = self.slots.len();
        let mut at = first_slot(low, size);
        loop {
            let slot = &self.slots[at];
            if slot.value == FREE || (slot.low == low && slot.high == high) {
                return at;
            }
            at += 1;
            if at == size {
                at = 0;
            }
        }
    }

    /// `number` is the part's.
    fn grow(&mut self, number: usize) {
        let size = match self.slots.len() {
            0 => FIRST_SLOTS + number % FIRST_SIZES,
            size => size * GROWTH.0 / GROWTH.1,
        };
        let old = std::mem::replace(&mut self.slots, vec![FREE_SLOT; size]);
        for slot in old.into_iter().filter(|slot| slot.value != FREE) {
            let at = self.find(slot.low, slot.high);
            self.slots[at] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_first_number_stays() {
        let hash = Fingerprinter::default();
        let mut map = FingerprintMap::default();
        assert_eq!(map.get(hash.of("a")), None);
        assert_eq!(map.insert(hash.of("a"), 1), None);
        assert_eq!(map.insert(hash.of("a"), 2), Some(1));
        assert_eq!(map.get(hash.of("a")), Some(1));
        map.replace(hash.of("a"), 3);
        map.replace(hash.of("b"), 4);
        // Changes nothing, and does not mind parts without slots.
        map.fetch(&["a", "b", "c", "d", "e"].map(|text| hash.of(text)));
        assert_eq!((map.get(hash.of("a")), map.get(hash.of("b")), map.len()), (Some(3), Some(4), 2));
    }

    #[test]
    fn it_holds_what_a_hash_map_holds_in_24_bytes_an_entry() {
        let hash = Fingerprinter::default();
        let mut map = FingerprintMap::default();
        let mut model: HashMap<String, u32> = HashMap::new();
        for n in 0..200_000_u32 {
            let text = format!("{}@example.com", n % 150_000);
            assert_eq!(map.insert(hash.of(&text), n), model.get(&text).copied(), "{text}");
            model.entry(text).or_insert(n);
            if n > 50_000 && n % 1_000 == 0 {
                assert!(map.bytes() <= map.len() * 245 / 10, "{} bytes for {}", map.bytes(), map.len());
            }
        }
        assert_eq!(map.len(), model.len());
        assert!(model.iter().all(|(text, value)| map.get(hash.of(text)) == Some(*value)));
        assert!((0..10_000).all(|n| map.get(hash.of(&format!("{n}@example.org"))).is_none()));
    }

    /// Both halves must take part: fingerprints that differ in one of them only are different.
    #[test]
    fn both_halves_are_compared() {
        let mut map = FingerprintMap::default();
        let one = Fingerprint { low: 7, high: 9 };
        map.insert(one, 1);
        for (low, high) in [(8, 9), (7, 10), (7, 9 | 1 << 56)] {
            assert_eq!(map.get(Fingerprint { low, high }), None, "{low} {high}");
        }
    }
}
