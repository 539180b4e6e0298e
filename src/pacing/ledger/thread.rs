//! A plain thread in front of a ledger, so that nobody else waits for the disk.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle, spawn};

use super::{Ledger, LedgerError, Request, Reservation};
use crate::pacing::clock::Clock;

/// A pacer has one request out at a time, and gives back once more at its end.
const REQUESTS: usize = 4;

/// What is done with the answer, on the ledger's thread.
pub type Answer = Box<dyn FnOnce(Result<Reservation, LedgerError>) + Send>;

/// A ledger on its own thread. Dropping it waits until what was asked is done.
#[derive(Debug)]
pub struct LedgerThread {
    requests: Option<SyncSender<(Request, Pending)>>,
    thread: Option<JoinHandle<()>>,
}

impl LedgerThread {
    /// Starts the thread.
    pub fn start(ledger: impl Ledger + Send + 'static) -> io::Result<Self> {
        let (requests, work) = sync_channel(REQUESTS);
        let thread = Builder::new().name("ledger".into()).spawn(move || serve(ledger, work))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Sends `request` to the ledger. Never blocks; `answer` is called exactly once, on another thread.
    pub fn request(&self, request: Request, answer: Answer) {
        let requests = self.requests.as_ref().expect("the channel is taken only when it is dropped");
        if let Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) =
            requests.try_send((request, Pending(Some(answer))))
        {
            // The thread has panicked, or hangs. The caller may be a task that must not block in `answer`.
            spawn(move || drop(unsent));
        }
    }
}

/// An answer that is still owed: when it can't be given, that is the answer.
struct Pending(Option<Answer>);

impl Pending {
    fn give(mut self, answer: Result<Reservation, LedgerError>) {
        if let Some(owed) = self.0.take() {
            owed(answer);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(owed) = self.0.take() {
            owed(Err(LedgerError::Stopped));
        }
    }
}

impl Drop for LedgerThread {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by the thread itself; there is nothing left to keep.
            let _ = thread.join();
        }
    }
}

fn serve(mut ledger: impl Ledger, work: Receiver<(Request, Pending)>) {
    let clock = Clock::system();
    for (request, owed) in work {
        owed.give(ledger.reserve(clock.reading(), &request));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::campaign::Capacity;
    use crate::mail::Timestamp;
    use crate::pacing::clock::Reading;
    use crate::pacing::ledger::{Holder, MemoryLedger};
    use crate::pacing::pacer::Pacer;

    #[test]
    fn answers_come_back_and_what_is_asked_last_is_still_done() {
        let ledger = MemoryLedger::new();
        let capacity = Capacity::default();
        let thread = LedgerThread::start(ledger.join(Holder::new("news", "1"), &capacity)).unwrap();
        let mut pacer = Pacer::new(&capacity, Timestamp::now());
        let request = pacer.admit(Timestamp::now(), 10).request.unwrap();
        let (answers_in, answers) = channel();
        thread.request(request, Box::new(move |answer| answers_in.send(answer).unwrap()));
        let reservation = answers.recv().unwrap().unwrap();
        assert_eq!(reservation.block.unwrap().count, 10);
        pacer.reserved(Timestamp::now(), reservation);

        let last = pacer.give_back(Timestamp::now()).unwrap();
        thread.request(last, Box::new(|answer| assert!(answer.is_ok())));
        drop(thread);
        assert_eq!(ledger.usage("default", Clock::system().reading()).unwrap().hour_used, 0);
    }

    struct Broken;

    impl Ledger for Broken {
        fn reserve(&mut self, _: Reading, _: &Request) -> Result<Reservation, LedgerError> {
            panic!("as the test wants it");
        }
    }

    #[test]
    fn every_request_is_answered_even_when_the_thread_is_gone() {
        let thread = LedgerThread::start(Broken).unwrap();
        let mut pacer = Pacer::new(&Capacity::default(), Timestamp::now());
        let request = pacer.admit(Timestamp::now(), 10).request.unwrap();
        for _ in 0..20 {
            let (answers_in, answers) = channel();
            let answer = move |answer: Result<_, LedgerError>| answers_in.send(answer.is_err()).unwrap();
            thread.request(request.clone(), Box::new(answer));
            assert!(answers.recv().unwrap());
        }
    }
}
