//! What happened to the recipients of runs, one event after the other: one schema over journals,
//! plans and the log of feedback, read from a cursor.
//!
//! An [`Event`] is made when it is read, so that nothing is written twice and a run waits for no
//! reader. Its id is a hash of what it is about: the same whoever reads it, and whenever.
//!
//! The events of a run are in three parts, each in an order of its own: [`RunEvents::received`] has
//! the rows as they were planned, [`RunEvents::sent`] what the journal says, and
//! [`RunEvents::came_back`] what the log of feedback says. A [`Cursor`] has a place in each.

mod cursor;
mod event;
mod run;

pub(crate) use cursor::{BadCursor, Cursor};
pub(crate) use event::{Event, Kind};
pub(crate) use run::RunEvents;
