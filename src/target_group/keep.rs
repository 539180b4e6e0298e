//! The copies of files with ready messages that a run keeps.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

use super::error::TargetGroupError;
use super::group::TargetGroup;
use super::reading::FileKind;
use super::stored::stored_file;
use crate::kit::file::{create_private_folders, sync_folder};

impl TargetGroup {
    /// Copies the files with ready messages to `folder`, unpacked and synced: a run reads the same
    /// bytes whatever becomes of the files. With `lasting` false, links to them are enough.
    pub(crate) fn keep_messages(&self, folder: &Path, lasting: bool) -> Result<(), TargetGroupError> {
        let mut is_kept = false;
        for (number, file) in self.files.iter().enumerate() {
            if file.reading.kind != FileKind::Bsmtp {
                continue;
            }
            let to = stored_file(folder, u32::try_from(number).expect("a list has fewer files"));
            let kept = |error: io::Error| {
                TargetGroupError::new(format!("can't keep its messages in `{}`", to.display()))
                    .in_file(&file.shown)
                    .caused_by(error)
            };
            create_private_folders(folder).map_err(kept)?;
            is_kept = true;
            if !lasting && file.reading.packing.is_none() && file.object.is_none() {
                let from = fs::canonicalize(&file.path).map_err(kept)?;
                symlink(from, &to).map_err(kept)?;
                continue;
            }
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut copy = options.open(&to).map_err(kept)?;
            io::copy(&mut file.source()?, &mut copy).map_err(kept)?;
            if lasting {
                copy.sync_all().map_err(kept)?;
            }
            file.check_unchanged()?;
        }
        if is_kept && lasting {
            let synced = sync_folder(folder).and_then(|()| folder.parent().map_or(Ok(()), sync_folder));
            synced.map_err(|error| {
                TargetGroupError::new(format!("can't keep messages in `{}`", folder.display()))
                    .caused_by(error)
            })?;
        }
        Ok(())
    }
}
