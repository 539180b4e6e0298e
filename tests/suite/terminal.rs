//! What a person at a terminal sees and is asked.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use mailrun::sandbox::Options;
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::kit::{Dir, Relay, campaign, list};

/// Runs a command at a pseudo-terminal of so many columns, where somebody types `typed`. Its exit
/// code, and what the terminal showed.
fn at_terminal(mut command: Command, columns: u16, typed: &str) -> (i32, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
    let no_controlling_terminal = OFlags::NOCTTY.bits().cast_signed();
    let side =
        OpenOptions::new().read(true).write(true).custom_flags(no_controlling_terminal).open(name).unwrap();
    command.stdin(Stdio::from(side.try_clone().unwrap()));
    command.stdout(Stdio::from(side.try_clone().unwrap())).stderr(Stdio::from(side));
    let mut child = command.env("TERM", "xterm").spawn().unwrap();
    // The program's end of the terminal is open in the program only.
    drop(command);
    let mut terminal = std::fs::File::from(master);
    terminal.write_all(typed.as_bytes()).unwrap();
    let shown = thread::spawn(move || {
        let (mut shown, mut bytes) = (Vec::new(), [0; 4_096]);
        // When nobody has the other end any more, that is an error (EIO).
        while let Ok(read @ 1..) = terminal.read(&mut bytes) {
            shown.extend_from_slice(&bytes[..read]);
        }
        shown
    });
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&shown.join().unwrap()).into_owned())
}

#[test]
fn somebody_is_asked_once_before_the_first_real_message() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "");
    let send = |more: &[&str], typed: &str| {
        at_terminal(dir.command(&[&["send", file.as_str()], more].concat()), 80, typed)
    };
    let question = "send to 2 recipients by 127.0.0.1? [y/N]";
    for typed in ["n\n", "\n", "no way\n"] {
        let (code, shown) = send(&[], typed);
        assert!(shown.contains(question) && shown.contains("not confirmed; nothing was sent"), "{shown}");
        assert_eq!((code, relay.stats().accepted), (2, 0), "{shown}");
    }
    // A rehearsal asks nothing.
    let (code, shown) = send(&["--sandbox", "--unpaced"], "");
    assert!(code == 0 && !shown.contains("[y/N]"), "{shown}");
    let (code, shown) = send(&["--not-after", "2001-01-01T00:00:00Z"], "y\n");
    assert!(code == 4 && shown.contains(question), "{shown}");
    // It has begun: nothing is asked when it resumes, or when it is over.
    for _ in 0..2 {
        let (code, shown) = send(&[], "");
        assert!(code == 0 && !shown.contains("[y/N]"), "{shown}");
    }
    let (code, shown) = send(&["--again", "--yes"], "");
    assert!(code == 0 && !shown.contains("[y/N]"), "{shown}");
    assert_eq!(relay.stop().accepted, 4);
}

#[test]
fn check_fits_the_terminal_and_has_colours_only_there() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "");
    let command = || dir.command(&["check", &file]);
    let without_colours = |text: &str| {
        let parts = text.split('\u{1b}').enumerate();
        let parts = parts.map(|(n, part)| if n == 0 { part } else { part.split_once('m').unwrap().1 });
        parts.collect::<String>()
    };
    let (code, narrow) = at_terminal(command(), 60, "");
    assert!(code == 0 && narrow.contains("\u{1b}[32mok     \u{1b}[0m"), "{narrow}");
    // Records and lines to copy are never wrapped, nor are tables.
    let plain = without_colours(&narrow);
    let is_text = |line: &&str| {
        let starts = ["  ok  ", "  note  ", "  warning  ", "           why  ", "           fix  run `"];
        starts.iter().any(|start| line.starts_with(start))
    };
    let texts: Vec<&str> = plain.lines().filter(is_text).collect();
    assert!(texts.len() > 5 && texts.iter().all(|line| line.chars().count() <= 60), "{plain}");
    let (_, wide) = at_terminal(command(), 300, "");
    assert!(wide.lines().count() < narrow.lines().count(), "{wide}");
    let mut colourless = command();
    colourless.env("NO_COLOR", "1");
    let (_, shown) = at_terminal(colourless, 60, "");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(!dir.run(&["check", &file]).ended(0).stdout().contains('\u{1b}'));
}
