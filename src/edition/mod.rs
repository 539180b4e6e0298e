//! Who got which edition of a campaign: nobody gets one edition twice, whatever run sends it.
//!
//! - [`Editions`] is what a store remembers: the runs of real mail and their [`Recipient`]s;
//!   [`crate::state`] has its backends, [`MemoryEditions`] keeps them for a process.
//! - [`Earlier`] screens a whole target group: who got the edition from which run.
//! - [`Cap`] is how much mail somebody may get within some time, of whatever campaign; [`Capped`]
//!   screens by it.
//!
//! A run *claims* its recipients before its first message leaves, and *settles* when it ends: then
//! it keeps those who were accepted or are in doubt. So a run that was killed holds everybody that
//! it may have mailed.

mod cap;
mod capped;
mod earlier;
mod memory;
mod past_run;
mod recipient;
mod store;

pub use cap::{Cap, count_mails};
pub use capped::Capped;
pub use earlier::{Earlier, Past};
pub use memory::MemoryEditions;
pub use past_run::{Edition, PastRun, RunMark};
pub use recipient::{Mailed, Recipient, Recognise};
pub use store::{Claim, Claimed, Editions, decide};
