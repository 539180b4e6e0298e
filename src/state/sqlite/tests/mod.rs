//! What is particular to files: formats, damage, full disks, files that were replaced.

mod ledger;
mod life;
mod suppressions;
