//! How many connections a site gets: more while it accepts, fewer when it complains.
//!
//! This is Postfix's feedback (its SCHEDULER_README, "Concurrency limits"): each success adds
//! `1/√N` and each complaint subtracts `1/√N`, where N is the number of connections. Both are
//! summed separately and change N by one when they reach 1 (the hysteresis), so that N does not
//! flap. The first complaint after a change takes effect immediately.

/// The sum that changes N by one.
const HYSTERESIS: f32 = 1.0;
/// After so many complaints in a row a site with one connection left gets a rest.
const PATIENCE: u32 = 10;

/// The number of connections that a site is trusted with.
#[derive(Debug, Clone)]
pub(super) struct Concurrency {
    limit: usize,
    window: usize,
    successes: f32,
    complaints: f32,
    /// Complaints since the last success.
    in_a_row: u32,
}

/// What a success or a complaint changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing yet.
    None,
    /// The number of connections.
    Window,
    /// One connection is left, and it brings only complaints: the site should rest.
    Rest,
}

impl Concurrency {
    /// Starts with `initial` connections and never allows more than `limit`. Both count as at least
    /// 1.
    pub(super) fn new(initial: usize, limit: usize) -> Self {
        let limit = limit.max(1);
        Self { limit, window: initial.clamp(1, limit), successes: 0.0, complaints: 0.0, in_a_row: 0 }
    }

    /// How many connections are allowed now.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// The site accepted a message.
    pub(super) fn succeeded(&mut self) -> Change {
        self.in_a_row = 0;
        if self.window == self.limit {
            self.complaints = self.complaints.min(HYSTERESIS);
            return Change::None;
        }
        self.successes += self.feedback();
        if self.successes < HYSTERESIS {
            return Change::None;
        }
        self.successes -= HYSTERESIS;
        self.complaints = 0.0;
        self.window += 1;
        Change::Window
    }

    /// The site deferred a message, hung up, did not answer or could not be reached.
    pub(super) fn complained(&mut self) -> Change {
        self.in_a_row += 1;
        self.complaints -= self.feedback();
        if self.complaints < 0.0 {
            self.complaints += HYSTERESIS;
            self.successes = 0.0;
            if self.window > 1 {
                self.window -= 1;
                return Change::Window;
            }
        }
        if self.window == 1 && self.in_a_row >= PATIENCE {
            self.in_a_row = 0;
            return Change::Rest;
        }
        Change::None
    }

    fn feedback(&self) -> f32 {
        1.0 / (self.window as f32).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_the_square_root_and_no_further_than_its_limit() {
        let mut concurrency = Concurrency::new(4, 6);
        let grown: Vec<usize> = (0..10)
            .map(|_| {
                concurrency.succeeded();
                concurrency.window()
            })
            .collect();
        // Two successes at N = 4 (1/2 each), three at N = 5 (0.447 each).
        assert_eq!(grown, [4, 5, 5, 5, 6, 6, 6, 6, 6, 6]);
    }

    #[test]
    fn the_first_complaint_counts_at_once_and_the_next_add_up() {
        let mut concurrency = Concurrency::new(4, 10);
        let shrunk: Vec<usize> = (0..4)
            .map(|_| {
                concurrency.complained();
                concurrency.window()
            })
            .collect();
        assert_eq!(shrunk, [3, 2, 2, 1]);
    }

    #[test]
    fn ups_and_downs_leave_it_about_where_it_is() {
        let mut concurrency = Concurrency::new(10, 20);
        for _ in 0..1_000 {
            concurrency.succeeded();
            concurrency.complained();
        }
        assert!((8..=11).contains(&concurrency.window()), "{}", concurrency.window());
    }

    #[test]
    fn a_site_that_only_complains_rests_and_one_success_gives_it_time() {
        let mut concurrency = Concurrency::new(1, 10);
        for _ in 0..PATIENCE - 1 {
            assert_ne!(concurrency.complained(), Change::Rest);
        }
        assert_eq!(concurrency.complained(), Change::Rest);
        for _ in 0..PATIENCE - 1 {
            concurrency.complained();
        }
        concurrency.succeeded();
        assert_ne!(concurrency.complained(), Change::Rest);
        assert!(concurrency.window() >= 1);
    }
}
