//! Who got which edition of a campaign: nobody gets one edition twice, whatever run sends it.
//!
//! - [`Editions`] is what a store remembers: the runs of real mail and their [`Recipient`]s;
//!   [`crate::state`] has its backends, [`MemoryEditions`] keeps them for a process.
//! - [`Earlier`] screens a whole target group: who got the edition from which run.
//!
//! A run *claims* its recipients before its first message leaves, and *settles* when it ends: then
//! it keeps those who were accepted or are in doubt. So a run that was killed holds everybody that
//! it may have mailed.

mod earlier;
mod memory;
mod recipient;
mod store;

pub use earlier::Earlier;
pub use memory::MemoryEditions;
pub use recipient::{Recipient, Recognise};
pub use store::{Claim, Claimed, Edition, Editions, PastRun, RunMark, decide};
