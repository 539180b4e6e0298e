//! A small disk of a test's own, which can be filled up and made read-only.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A file system in memory, mounted on a folder until the test ends.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts `bytes` on `folder`. `None` where this user may not mount: then the test says that it
    /// was not run, and fails where `MAILRUN_DEMAND_SMALL_DISK` is set, as CI does.
    pub(crate) fn mount(folder: PathBuf, bytes: u64) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let options = format!("size={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "mailrun-test"]).arg(&folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        assert!(
            std::env::var_os("MAILRUN_DEMAND_SMALL_DISK").is_none(),
            "a small disk could not be mounted, and MAILRUN_DEMAND_SMALL_DISK demands it"
        );
        // Past the capture of the test's output: a test that did not run should not look as if it
        // had.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(std::io::stderr(), "not run: {test}: mounting a small disk needs root");
        None
    }

    /// Fills the disk up until only `bytes` are left.
    pub(crate) fn leave(&self, bytes: u64) {
        let mut filler = OpenOptions::new().create(true).append(true).open(self.filler()).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        let length = filler.metadata().unwrap().len();
        filler
            .set_len(length.checked_sub(bytes).expect("the disk is larger than what is to be left"))
            .unwrap();
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Whether anything can be written from now on.
    pub(crate) fn writable(&self, writable: bool) {
        let options = if writable { "remount,rw" } else { "remount,ro" };
        let done = Command::new("mount").args(["-o", options]).arg(&self.folder).status().unwrap();
        assert!(done.success());
        assert_eq!(File::create(self.folder.join("probe")).is_ok(), writable);
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.folder).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("`{}` is still mounted", self.folder.display());
        }
    }
}
