//! What is particular to files: formats, damage, full disks, files that were replaced.

mod domain_reports;
mod journal;
mod ledger;
mod life;
mod property;
mod results;
mod suppressions;
mod upgrade;
