//! What a scanner said of contents, so that each is scanned once.
//!
//! Those who ask for the same content at the same time share one scan. A scan that failed is
//! forgotten: the next one who asks has the content scanned again.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use blake3::Hash;
use rustc_hash::FxHashMap;

use super::ScanResult;

/// Contents of each of the two generations: with both, some 10 MB.
const MOST: usize = 32_768;

/// What became of a scan; the error is why there is no result.
pub(super) type Verdict = Result<ScanResult, String>;
type Slot = Arc<OnceLock<Verdict>>;

/// See the module. Contents that nobody asked for during two times [`MOST`] others are forgotten.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: FxHashMap<Hash, Slot>,
    old: FxHashMap<Hash, Slot>,
}

impl Verdicts {
    /// The verdict on the content with this hash; `scan` finds it where it is not known.
    pub(super) fn of(&self, hash: Hash, scan: impl FnOnce() -> Verdict) -> Verdict {
        let slot = self.lock().slot(hash);
        let verdict = slot.get_or_init(scan).clone();
        if verdict.is_err() {
            self.lock().forget(hash, &slot);
        }
        verdict
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        // A panic elsewhere leaves the maps whole.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn slot(&mut self, hash: Hash) -> Slot {
        if let Some(slot) = self.young.get(&hash) {
            return Arc::clone(slot);
        }
        let slot = self.old.remove(&hash).unwrap_or_default();
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, Arc::clone(&slot));
        slot
    }

    fn forget(&mut self, hash: Hash, slot: &Slot) {
        for generation in [&mut self.young, &mut self.old] {
            if generation.get(&hash).is_some_and(|kept| Arc::ptr_eq(kept, slot)) {
                generation.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_who_ask_at_once_share_one_scan() {
        let (verdicts, scans) = (Verdicts::default(), AtomicUsize::new(0));
        let ask = || {
            verdicts.of(blake3::hash(b"x"), || {
                scans.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(20));
                Ok(ScanResult::Clean)
            })
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(ask(), Ok(ScanResult::Clean)));
            }
        });
        assert_eq!(ask(), Ok(ScanResult::Clean));
        assert_eq!(scans.into_inner(), 1);
    }

    #[test]
    fn a_failure_is_forgotten_and_a_verdict_is_not() {
        let verdicts = Verdicts::default();
        let hash = blake3::hash(b"x");
        assert_eq!(verdicts.of(hash, || Err("down".into())), Err("down".into()));
        let infected = Ok(ScanResult::Infected("Eicar".into()));
        assert_eq!(verdicts.of(hash, || infected.clone()), infected);
        for number in 0..MOST + 10 {
            let other = blake3::hash(&number.to_le_bytes());
            assert_eq!(verdicts.of(other, || Ok(ScanResult::Clean)), Ok(ScanResult::Clean));
            // Whoever is asked for stays.
            assert_eq!(verdicts.of(hash, || unreachable!()), infected);
        }
        let kept = verdicts.lock();
        assert!(kept.young.len() + kept.old.len() <= 2 * MOST);
    }
}
