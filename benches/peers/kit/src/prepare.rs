//! One thread a core renders, builds and signs; a bounded channel hands the messages to the
//! connections.

use std::sync::Arc;
use std::thread;

use async_channel::{Receiver, Sender};

use crate::{Job, Letter, Letters, Signer};

/// A message that is ready to go.
pub struct Prepared {
    pub email: String,
    pub message: Vec<u8>,
}

/// Messages ready per connection: enough that none waits for the processor's next turn.
const READY: usize = 4;

/// Starts the threads. `build` makes a letter's message; a failure of any of them comes out of the
/// channel.
pub fn prepare<B>(job: &Job, build: B) -> anyhow::Result<Receiver<anyhow::Result<Prepared>>>
where
    B: Fn(&Letter) -> anyhow::Result<Vec<u8>> + Clone + Send + 'static,
{
    let letters = Arc::new(Letters::open(job)?);
    let signer = Arc::new(Signer::load(job)?);
    let (sender, receiver) = async_channel::bounded(job.connections * READY);
    for _ in 0..thread::available_parallelism()?.get() {
        let (letters, signer, build, sender) =
            (letters.clone(), signer.clone(), build.clone(), sender.clone());
        thread::spawn(move || {
            if let Err(error) = work(&letters, &signer, build, &sender) {
                let _ = sender.send_blocking(Err(error)); // nobody receives any more: another failure came first
            }
        });
    }
    Ok(receiver)
}

fn work(
    letters: &Letters,
    signer: &Signer,
    build: impl Fn(&Letter) -> anyhow::Result<Vec<u8>>,
    sender: &Sender<anyhow::Result<Prepared>>,
) -> anyhow::Result<()> {
    loop {
        let batch = letters.next()?;
        if batch.is_empty() {
            return Ok(());
        }
        for letter in batch {
            let message = signer.sign(build(&letter)?)?;
            if sender.send_blocking(Ok(Prepared { email: letter.email, message })).is_err() {
                return Ok(());
            }
        }
    }
}
