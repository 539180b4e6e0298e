//! A value that several threads use one after another, in the order of their numbers.
//!
//! Threads that take numbered pieces of work and do most of it in parallel need no extra thread to
//! combine the results in order: whoever has the next piece does it.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Gives `T` to one thread at a time, in the order of their numbers, from 0.
pub(super) struct Turns<T> {
    state: Mutex<State<T>>,
    passed_on: Condvar,
}

struct State<T> {
    next: u64,
    closed: bool,
    inner: T,
}

/// One thread's turn; it ends when this is dropped.
pub(super) struct Turn<'a, T> {
    turns: &'a Turns<T>,
    state: MutexGuard<'a, State<T>>,
}

impl<T> Turns<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { state: Mutex::new(State { next: 0, closed: false, inner }), passed_on: Condvar::new() }
    }

    /// Waits until all smaller numbers have had their turn. `None` once the turns are closed. Some
    /// thread must wait for every number, or the turns must be closed.
    pub(super) fn wait(&self, number: u64) -> Option<Turn<'_, T>> {
        let mut state = self.lock();
        while !state.closed && state.next != number {
            state = self.passed_on.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.closed).then_some(Turn { turns: self, state })
    }

    /// Ends all waiting: nobody gets a turn any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.passed_on.notify_all();
    }

    pub(super) fn into_inner(self) -> T {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).inner
    }

    /// A thread that panicked in its turn has closed the turns; its panic shows where it is joined.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Turn<'_, T> {
    /// This is the last turn.
    pub(super) fn close(&mut self) {
        self.state.closed = true;
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state.inner
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state.inner
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.state.next += 1;
        self.state.closed |= std::thread::panicking();
        self.turns.passed_on.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn threads_put_their_pieces_together_in_order() {
        let numbers = AtomicU64::new(0);
        let turns = Turns::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        if number == 1_000 {
                            turns.close();
                        }
                        // Work of different length, so that they come out of order.
                        (0..number % 7).for_each(|_| thread::yield_now());
                        let Some(mut turn) = turns.wait(number) else { return };
                        turn.push(number);
                    }
                });
            }
        });
        let made = turns.into_inner();
        assert!(made.iter().copied().eq(0..made.len() as u64), "{made:?}");
    }

    #[test]
    fn after_the_last_turn_nobody_waits() {
        let turns = Turns::new(0);
        thread::scope(|scope| {
            let later: Vec<_> = (1..4)
                .map(|n| {
                    scope.spawn({
                        let turns = &turns;
                        move || turns.wait(n).is_some()
                    })
                })
                .collect();
            let mut turn = turns.wait(0).unwrap();
            *turn += 1;
            turn.close();
            drop(turn);
            assert!(later.into_iter().all(|waits| !waits.join().unwrap()));
        });
        assert_eq!(turns.into_inner(), 1);
    }

    #[test]
    fn a_panic_in_a_turn_holds_nobody_up() {
        let turns = Turns::new(());
        thread::scope(|scope| {
            let later = scope.spawn(|| turns.wait(1).is_some());
            let broken = scope.spawn(|| {
                let _turn = turns.wait(0).unwrap();
                panic!("as a thread may");
            });
            assert!(broken.join().is_err());
            assert!(!later.join().unwrap());
        });
    }
}
