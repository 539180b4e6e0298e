//! What the Rust peers share: the job file, the list, the templates, the DKIM signature, and the
//! threads that prepare messages.
//!
//! The peers differ in what they are measured for: how a message is built and how it is sent.

mod job;
mod letters;
mod prepare;
mod signer;

pub use job::{Attachment, Job};
pub use letters::{Letter, Letters};
pub use prepare::{Prepared, prepare};
pub use signer::Signer;

/// Runs a peer: reads the job that the command line names, and reports how many messages were sent.
///
/// # Errors
///
/// Whatever `send` fails with.
pub fn main<F>(send: impl FnOnce(Job) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<usize>>,
{
    let path = std::env::args_os().nth(1).ok_or_else(|| anyhow::anyhow!("usage: PEER JOB.json"))?;
    let job = Job::read(path.as_ref())?;
    let sent = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(send(job))?;
    println!("{sent}");
    Ok(())
}
