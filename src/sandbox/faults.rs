//! Random faults. The same seed gives each connection the same sequence.

use std::time::Duration;

use super::script::{Deed, Point};

/// The probability of each kind of fault, from 0 to 1, for recipients that script nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// The seed. Each connection has its own sequence, made from the seed and its number.
    pub seed: u64,
    /// RCPT is answered 451.
    pub defer_recipient: f64,
    /// RCPT is answered 421 and the connection closed.
    pub close_service: f64,
    /// The connection is closed in the middle of the content.
    pub drop_in_content: f64,
    /// The connection is reset in the middle of the content.
    pub reset_in_content: f64,
    /// The end of the content is answered 451.
    pub defer_content: f64,
    /// The end of the content is answered 554.
    pub refuse_content: f64,
    /// The message is accepted; the connection is closed without a reply.
    pub drop_after_content: f64,
    /// The message is not accepted; the connection is closed without a reply.
    pub lose_after_content: f64,
    /// The reply to the end of the content is delayed by `delay_by`.
    pub delay: f64,
    /// The delay.
    pub delay_by: Duration,
}

impl Faults {
    /// Every kind with the same probability, with delays of 50 ms.
    pub fn evenly(probability: f64, seed: u64) -> Self {
        Self {
            seed,
            defer_recipient: probability,
            close_service: probability,
            drop_in_content: probability,
            reset_in_content: probability,
            defer_content: probability,
            refuse_content: probability,
            drop_after_content: probability,
            lose_after_content: probability,
            delay: probability,
            delay_by: Duration::from_millis(50),
        }
    }

    /// The faults of a point, with their probabilities.
    fn at(&self, point: Point) -> Vec<(f64, Deed)> {
        let refuse = |code| Deed::Refuse { code, enhanced: None };
        match point {
            Point::Recipient => vec![(self.defer_recipient, refuse(451)), (self.close_service, refuse(421))],
            Point::ContentCommand => vec![],
            Point::InContent => {
                vec![(self.drop_in_content, Deed::Drop), (self.reset_in_content, Deed::Reset)]
            }
            Point::ContentEnd => vec![
                (self.defer_content, refuse(451)),
                (self.refuse_content, refuse(554)),
                (self.drop_after_content, Deed::Drop),
                (self.lose_after_content, Deed::Lose),
                (self.delay, Deed::Slow(self.delay_by)),
            ],
        }
    }
}

/// The random sequence of one connection.
#[derive(Debug)]
pub(super) struct Dice {
    faults: Option<Faults>,
    state: u64,
}

impl Dice {
    pub(super) fn new(faults: Option<Faults>, connection: u64) -> Self {
        let seed = faults.as_ref().map_or(0, |faults| faults.seed);
        // The sequences of different connections start far apart: the constant differs from
        // splitmix's step.
        Self { faults, state: seed ^ connection.wrapping_mul(0xd1b5_4a32_d192_ed03) }
    }

    /// One throw for a point: at most one of its faults happens.
    pub(super) fn throw(&mut self, point: Point) -> Option<Deed> {
        let choices = self.faults.as_ref()?.at(point);
        let mut left = self.uniform();
        choices.into_iter().find_map(|(probability, deed)| {
            left -= probability;
            (left < 0.0).then_some(deed)
        })
    }

    /// The next number from 0 to below 1 (splitmix64, Steele et al. 2014).
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throws(seed: u64, connection: u64) -> Vec<Option<Deed>> {
        let mut dice = Dice::new(Some(Faults::evenly(0.1, seed)), connection);
        (0..10_000).map(|_| dice.throw(Point::ContentEnd)).collect()
    }

    #[test]
    fn each_fault_is_as_frequent_as_asked_for() {
        let thrown = throws(7, 1);
        let nothing = thrown.iter().filter(|deed| deed.is_none()).count();
        assert!((4_700..5_300).contains(&nothing), "{nothing} of 10,000 without a fault, 5 × 10 % asked for");
        for (_, deed) in Faults::evenly(0.1, 7).at(Point::ContentEnd) {
            let count = thrown.iter().flatten().filter(|other| **other == deed).count();
            assert!((850..1_150).contains(&count), "{deed:?}: {count} of 10,000, 10 % asked for");
        }
    }

    #[test]
    fn seed_and_connection_decide() {
        assert_eq!(throws(7, 1), throws(7, 1));
        assert_ne!(throws(7, 1), throws(7, 2));
        assert_ne!(throws(7, 1), throws(8, 1));
    }

    #[test]
    fn without_faults_nothing_happens() {
        let mut dice = Dice::new(None, 1);
        assert!((0..100).all(|_| dice.throw(Point::Recipient).is_none()));
    }
}
