//! How many files, sockets included, this process may have open.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. Where that is not possible, the limit stays.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Some systems have no limit here and a lower one elsewhere: then this is refused.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The limit; `None` without one.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// How many more can be opened; `None` when that is not known.
pub(crate) fn free() -> Option<u64> {
    // One of them is the folder itself.
    let open = fs::read_dir("/dev/fd").ok()?.count().saturating_sub(1);
    Some(limit()?.saturating_sub(open as u64))
}

/// True when something failed because no more files can be open, in this process or on the machine.
pub(crate) fn are_used_up(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_is_one_less_that_is_free() {
        assert!(free() < limit(), "some are open");
        assert!(are_used_up(&io::Error::from_raw_os_error(Errno::MFILE.raw_os_error())));
        assert!(!are_used_up(&io::Error::from_raw_os_error(Errno::CONNREFUSED.raw_os_error())));
    }
}
