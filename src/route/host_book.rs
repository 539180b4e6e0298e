//! Which hosts are dead, and when each is tried again. Pure: the caller passes the time.
//!
//! Once a connection to a host has failed, all later connections skip the host, for a time that
//! doubles with each failure. When that time is over, one connection tries the host again; the
//! others keep skipping it until the result is known. So a dead host costs the first round of
//! connections, and those that had begun meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use crate::mail::Timestamp;

/// How long a host is skipped after its first failure; it doubles with each further one.
const FIRST_REST: Duration = Duration::from_secs(30);
/// The longest time for which a host is skipped.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);
/// A trial without a result is over after this time.
const TRIAL: Duration = Duration::from_secs(60);
/// The most dead hosts remembered; beyond that, those that may be tried again are forgotten first.
const MOST_DEAD: usize = 65_536;

/// See the module.
#[derive(Debug, Default)]
pub struct HostBook {
    dead: HashMap<Box<str>, Dead>,
}

#[derive(Debug, Clone, Copy)]
struct Dead {
    /// Failures in a row.
    failures: u32,
    /// Skipped until this time.
    until: Timestamp,
    /// One connection is trying it now.
    on_trial: bool,
}

impl HostBook {
    /// No address of `host` could be connected to. Returns the time until which the host is
    /// skipped.
    pub fn failed(&mut self, host: &str, now: Timestamp) -> Timestamp {
        if self.dead.len() >= MOST_DEAD && !self.dead.contains_key(host) {
            self.forget(now);
        }
        let dead = self.dead.entry(host.into()).or_insert(Dead { failures: 0, until: now, on_trial: false });
        // Connections that were begun together fail together: that counts once.
        if dead.on_trial || now >= dead.until {
            dead.failures += 1;
            dead.until = now + rest(dead.failures);
            dead.on_trial = false;
        }
        dead.until
    }

    /// A connection to `host` was opened: the host is alive.
    pub fn succeeded(&mut self, host: &str) {
        self.dead.remove(host);
    }

    /// The hosts that a new connection should try, in their order: the living, and the dead whose
    /// time is over, which nobody else tries meanwhile. If all are dead, the error is when the
    /// first of them may be tried again.
    pub fn admit<T: AsRef<str>>(&mut self, hosts: Vec<T>, now: Timestamp) -> Result<Vec<T>, Timestamp> {
        let mut earliest = None;
        let mut admitted = Vec::with_capacity(hosts.len());
        for host in hosts {
            match self.dead.get_mut(host.as_ref()) {
                None => admitted.push(host),
                Some(dead) if now < dead.until => {
                    earliest = Some(earliest.map_or(dead.until, |at: Timestamp| at.min(dead.until)));
                }
                Some(dead) => {
                    dead.until = now + TRIAL;
                    dead.on_trial = true;
                    admitted.push(host);
                }
            }
        }
        match earliest {
            Some(at) if admitted.is_empty() => Err(at),
            Some(_) | None => Ok(admitted),
        }
    }

    /// The number of hosts that failed and were not reached since.
    pub fn len(&self) -> usize {
        self.dead.len()
    }

    /// True when no host is known to be dead.
    pub fn is_empty(&self) -> bool {
        self.dead.is_empty()
    }

    fn forget(&mut self, now: Timestamp) {
        self.dead.retain(|_, dead| now < dead.until);
        if self.dead.len() >= MOST_DEAD {
            // All of them are skipped now: finding them dead again costs one connection each.
            self.dead.clear();
        }
    }
}

fn rest(failures: u32) -> Duration {
    FIRST_REST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(0) + Duration::from_secs(seconds)
    }

    const HOSTS: [&str; 3] = ["a", "b", "c"];

    fn admit(book: &mut HostBook, now: u64) -> Vec<&'static str> {
        book.admit(HOSTS.to_vec(), at(now)).unwrap()
    }

    #[test]
    fn a_dead_first_host_costs_one_round_and_those_begun_meanwhile() {
        let mut book = HostBook::default();
        // Ten connections begin together, and five more before the first failure is known.
        for second in [0, 4] {
            assert_eq!(admit(&mut book, second), HOSTS);
        }
        for failure in [5, 5, 5, 9, 9] {
            assert_eq!(book.failed("a", at(failure)), at(35), "they count once");
        }
        for second in [5, 9, 34] {
            assert_eq!(admit(&mut book, second), ["b", "c"]);
        }
    }

    #[test]
    fn one_connection_finds_out_whether_a_dead_host_is_back() {
        let mut book = HostBook::default();
        book.failed("a", at(0));
        assert_eq!(admit(&mut book, 30), HOSTS, "the trial");
        assert_eq!(admit(&mut book, 31), ["b", "c"], "the others skip it");
        assert_eq!(book.failed("a", at(35)), at(95), "its rest has doubled");
        assert_eq!(admit(&mut book, 94), ["b", "c"]);
        assert_eq!(admit(&mut book, 95), HOSTS);
        book.succeeded("a");
        assert_eq!(admit(&mut book, 96), HOSTS);
        assert_eq!(book.failed("a", at(100)), at(130), "it starts again from the first rest");
    }

    #[test]
    fn a_trial_without_an_end_is_made_again() {
        let mut book = HostBook::default();
        book.failed("a", at(0));
        assert_eq!(admit(&mut book, 40), HOSTS);
        assert_eq!(admit(&mut book, 99), ["b", "c"]);
        assert_eq!(admit(&mut book, 100), HOSTS);
    }

    #[test]
    fn with_all_hosts_dead_the_earliest_trial_is_returned() {
        let mut book = HostBook::default();
        for (host, second) in HOSTS.iter().zip([7, 3, 5]) {
            book.failed(host, at(second));
        }
        assert_eq!(book.admit(HOSTS.to_vec(), at(10)), Err(at(33)));
        assert_eq!(admit(&mut book, 33), ["b"]);
        assert!(book.admit(vec!["a"], at(33)).is_err() && book.admit(vec!["x"], at(33)).is_ok());
    }

    #[test]
    fn rests_grow_to_a_quarter_of_an_hour() {
        let mut book = HostBook::default();
        let mut now = at(0);
        let rests: Vec<_> = (0..8)
            .map(|_| {
                book.admit(vec!["a"], now).unwrap();
                let until = book.failed("a", now);
                let rest = until.since(now).as_secs();
                now = until;
                rest
            })
            .collect();
        assert_eq!(rests, [30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn the_book_of_dead_hosts_does_not_grow_without_end() {
        let mut book = HostBook::default();
        for n in 0..200_000 {
            book.failed(&format!("mx{n}.example"), at(n / 1_000));
        }
        assert!(book.len() <= MOST_DEAD, "{}", book.len());
        assert!(book.admit(vec!["mx199999.example"], at(200)).is_err());
    }
}
