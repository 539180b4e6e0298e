//! Pseudorandom numbers that are the same on every machine: SplitMix64 (Steele, Lea, Flood: "Fast
//! splittable pseudorandom number generators", 2014), and a shuffle of any size in no memory.
//!
//! Not for secrets.

/// The golden ratio in 64 bits: SplitMix64's step.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads a number over 64 bits.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of one row: each row has its own, so that any row can be made again.
    pub(super) fn of_row(seed: u64, row: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)) ^ mix(row.wrapping_mul(STEP)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // Lemire's multiplication; the bias is below end / 2^64.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A shuffle of the numbers below `size`: a Feistel network over the next power of four, walked
/// until it is back below `size` (Black and Rogaway: "Ciphers with arbitrary finite domains",
/// 2002).
#[derive(Debug, Clone)]
pub(super) struct Shuffle {
    size: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

const ROUNDS: usize = 4;

impl Shuffle {
    /// Each `stream` of a seed has its own shuffle.
    pub(super) fn new(size: u64, seed: u64, stream: u64) -> Self {
        let bits = 64 - size.saturating_sub(1).leading_zeros();
        let mut random = Random::of_row(seed, stream);
        Self { size, half_bits: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| random.next()) }
    }

    /// Where `number` (below the size) goes: no two go to the same place.
    pub(super) fn place(&self, number: u64) -> u64 {
        debug_assert!(number < self.size);
        let mut place = self.encrypt(number);
        while place >= self.size {
            place = self.encrypt(place);
        }
        place
    }

    fn encrypt(&self, number: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_moves_every_number_to_a_place_of_its_own() {
        for size in [1, 2, 3, 5, 64, 100, 1_000, 4_097] {
            let shuffle = Shuffle::new(size, 7, 0);
            let mut places: Vec<u64> = (0..size).map(|number| shuffle.place(number)).collect();
            if size >= 100 {
                assert!(!places.is_sorted(), "{size}");
            }
            places.sort_unstable();
            assert!(places.into_iter().eq(0..size), "{size}");
        }
    }

    #[test]
    fn a_shuffle_spreads() {
        // The first tenth of a list has about a tenth of each kind.
        let shuffle = Shuffle::new(100_000, 1, 0);
        let low = (0..10_000).filter(|number| shuffle.place(*number) < 50_000).count();
        assert!((4_700..5_300).contains(&low), "{low}");
    }

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.next()).collect();
        // From Rosetta Code's table for this seed.
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
        assert!((0..1_000).all(|_| random.below(7) < 7));
    }
}
