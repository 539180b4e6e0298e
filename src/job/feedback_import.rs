//! Files of providers: what they hold, and what it does. It goes the same way as mails.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{JobError, WorkspaceError};
use super::feedback::FeedbackRead;
use super::read_mail::ReadMail;
use super::workspace::Workspace;
use crate::feedback::Effect;
use crate::feedback::import::{ImportOptions, Item, each_item};

/// What files held and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ImportedFeedback {
    /// Events of mails.
    pub events: u64,
    /// Days of senders.
    pub readings: u64,
    /// Events that say nothing of what became of a mail.
    pub skipped: u64,
    /// Of the events and days, those that are in the log already.
    pub known: u64,
    /// Those that were not kept, because they name a run that can't be read.
    pub left_out: u64,
    /// Places that can't be read.
    pub faults: u64,
    /// Recipients that were put on the suppression list.
    pub suppressed: u64,
    /// Events by what they did.
    pub effects: BTreeMap<&'static str, u64>,
    /// The number of the import; none where nothing new was found.
    pub import: Option<u64>,
}

impl Workspace {
    /// Reads files of providers; `-` is standard input. `fault` hears of each place that can't be
    /// read: the file, the line and why.
    ///
    /// # Errors
    /// Those of files that can't be opened or read, and of the state. What was kept before counts.
    pub(crate) fn import_feedback(
        &self,
        files: &[PathBuf],
        stdin: impl io::Read,
        options: &ImportOptions,
        dry_run: bool,
        mut fault: impl FnMut(&Path, u64, &str),
    ) -> Result<ImportedFeedback, JobError> {
        let names = files.iter().map(|file| file.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut read = FeedbackRead::new(self, &names, dry_run)?;
        let mut stdin = Some(stdin);
        let mut imported = ImportedFeedback::default();
        let mut result = Ok(());
        for file in files {
            let failed = |source| {
                let path = file.clone();
                JobError::from(WorkspaceError::Io { action: "read a file of feedback", path, source })
            };
            let mut visit = |line: u64, item: Result<Item, String>| {
                match item {
                    Ok(item) => {
                        imported.count(&item);
                        result = read.take(file, line, item).map(|done| imported.count_effects(&done));
                    }
                    Err(why) => {
                        imported.faults += 1;
                        fault(file, line, &why);
                    }
                }
                result.is_ok()
            };
            let visited = if file == Path::new("-") {
                stdin.take().map_or(Ok(()), |stdin| each_item(stdin, options, &mut visit))
            } else {
                File::open(file).and_then(|open| each_item(open, options, &mut visit))
            };
            if let Err(error) = visited {
                result = result.and(Err(failed(error)));
            }
            if result.is_err() {
                break;
            }
        }
        // What was read before a file that can't be read counts.
        let done = read.finish()?;
        imported.count_effects(&done);
        imported.import = read.import().filter(|_| !dry_run);
        result.map(|()| imported)
    }
}

impl ImportedFeedback {
    fn count(&mut self, item: &Item) {
        match item {
            Item::Notice(_) => self.events += 1,
            Item::Reading(_) => self.readings += 1,
            Item::Skipped => self.skipped += 1,
        }
    }

    fn count_effects(&mut self, mails: &[ReadMail]) {
        for mail in mails {
            self.known += u64::from(mail.effects.first() == Some(&Effect::ReadBefore));
            for effect in &mail.effects {
                *self.effects.entry(effect.as_str()).or_default() += 1;
                self.left_out += u64::from(*effect == Effect::LeftOut);
                self.suppressed += u64::from(*effect == Effect::Suppressed);
            }
        }
    }
}
