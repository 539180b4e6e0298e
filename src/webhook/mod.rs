//! Events, delivered to other programs by HTTP POST, signed as
//! [Standard Webhooks](https://www.standardwebhooks.com) says: at least once, over any kill.
//!
//! | file | its noun |
//! |---|---|
//! | `settings` | `[[webhook]]` |
//! | `signature` | secrets and signatures |
//! | `body` | what a request holds |
//! | `address` | addresses that events may go to |
//! | `client` | one request and its answer |
//! | `backoff` | what an answer means, and how long to wait |
//! | `error` | what is wrong, where, and what to do |
//! | `place` | how far a webhook is, on disk |
//! | `courier` | requests in flight, retries, the end |

mod address;
mod backoff;
mod body;
mod client;
mod courier;
mod error;
mod place;
mod settings;
mod signature;

pub(crate) use body::{Batch, Item};
pub(crate) use client::{Answer, Client};
pub(crate) use courier::{Courier, Halt, Patience};
pub(crate) use error::WebhookError;
pub(crate) use place::{Disabled, Place, Progress, enable};
pub(crate) use settings::{Table, Webhook, checked, read, read_any};
pub(crate) use signature::Keys;
