//! A plain thread in front of an account, so that nobody else waits for the disk.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle, spawn};

use super::{Account, LedgerError, Request, Reservation};

/// A pacer has one request outstanding at a time, and gives tokens back once at its end.
const REQUESTS: usize = 4;

/// Called with the answer, on the ledger's thread.
pub type Answer = Box<dyn FnOnce(Result<Reservation, LedgerError>) + Send>;

/// An account on a thread of its own. Dropping it waits until all requests are answered.
#[derive(Debug)]
pub struct LedgerThread {
    requests: Option<SyncSender<(Request, Pending)>>,
    thread: Option<JoinHandle<()>>,
}

impl LedgerThread {
    /// Starts the thread.
    pub fn start(account: Box<dyn Account>) -> io::Result<Self> {
        let (requests, work) = sync_channel(REQUESTS);
        let thread = Builder::new().name("ledger".into()).spawn(move || serve(account, work))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Sends `request` to the ledger. Never blocks; `answer` is called exactly once, on another
    /// thread.
    pub fn request(&self, request: Request, answer: Answer) {
        let requests = self.requests.as_ref().expect("the channel is taken only when it is dropped");
        if let Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) =
            requests.try_send((request, Pending(Some(answer))))
        {
            // The thread has panicked, or hangs. The caller may be a task that must not block in
            // `answer`.
            spawn(move || drop(unsent));
        }
    }
}

/// An answer that is still owed. Dropped unanswered, it answers with an error.
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

fn serve(mut account: Box<dyn Account>, work: Receiver<(Request, Pending)>) {
    for (request, owed) in work {
        owed.give(account.reserve(&request));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::campaign::Capacity;
    use crate::mail::Timestamp;
    use crate::pacing::clock::Clock;
    use crate::pacing::ledger::{Holder, Ledger, MemoryLedger};
    use crate::pacing::pacer::Pacer;

    #[test]
    fn answers_come_back_and_what_is_asked_last_is_still_done() {
        let ledger = MemoryLedger::new(Clock::system());
        let capacity = Capacity::default();
        let account = ledger.join(Holder::new("news", "1"), (&capacity).into()).unwrap();
        let thread = LedgerThread::start(account).unwrap();
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
        assert_eq!(ledger.usage().unwrap()[0].hour_used, 0);
    }

    #[derive(Debug)]
    struct Broken;

    impl Account for Broken {
        fn reserve(&mut self, _: &Request) -> Result<Reservation, LedgerError> {
            panic!("as the test wants it");
        }
    }

    #[test]
    fn every_request_is_answered_even_when_the_thread_is_gone() {
        let thread = LedgerThread::start(Box::new(Broken)).unwrap();
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
