//! The records of a group, groups that are nearly right, and stores that fail. What every backend
//! does is tested with the backends.

mod codec;
mod commit;
mod fuzz;

use super::testing::{accepted, at, intent, retry, run_of};
use super::*;
use crate::mail::{Class, Disposition, EnhancedStatus, Reply, Timestamp};
