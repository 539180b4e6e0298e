//! From a row of the plan to a complete message: header, MIME parts, links, attachments.
//!
//! Everything that is the same for all messages is made once, in [`Composer::new`]: templates are
//! compiled, attachments encoded, header fields written. Composing a row looks at no clock and
//! draws no random number: the same row gives the same bytes, the date aside.
//!
//! Templates know the columns of the target group under their headers' names, and two names more:
//!
//! - `unsubscribe_url`: the recipient's own link, where `unsubscribe.https` is set;
//! - `message_id`: the `Message-ID`, without its angle brackets.
//!
//! Those of the mail with the password of secure documents know `password` too.
//!
//! A value of nothing but white space counts as no value, for `{{#if}}` too.
//!
//! With `personalised = false` there is one message for all: templates that use a column are
//! refused, `To` is a group without members, and the `Message-ID` is the same for all.

mod attachment;
mod body;
mod common;
mod composer;
mod error;
mod header;
mod in_campaign;
mod letters;
mod line_ends;
mod lines;
mod locals;
pub mod message_id;
mod mime;
mod plain;
mod preview;
mod ready;
pub mod return_path;
mod row_files;
mod secure;
mod setup;
pub mod token;
pub mod tracked;
mod tracking;
mod unsubscribe;

pub(crate) use composer::ToScan;
pub use composer::{Composer, Rendered};
pub use error::RenderFailure;
pub(crate) use preview::{InlineImages, preheader};
pub(crate) use ready::handed_over;
pub use return_path::{NoRoom, ReturnPaths};
pub(crate) use secure::mark_of_secret;
pub use setup::RunFacts;

#[cfg(test)]
mod tests;
