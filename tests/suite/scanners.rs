//! Messages pass every scanner of the campaign before they leave: what is infected does not, and
//! nothing leaves unscanned, whatever scanners do and whenever the program is killed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mailrun::mail::Disposition;
use mailrun::sandbox::Options;

use crate::kit::{Dir, Relay, campaign, list};

/// What a daemon does with a content.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Ok,
    Found(&'static str),
    Refuse,
    Hang,
    Garbage,
    /// A clean bill without its end.
    Cut,
    Close,
    /// A clean bill before it has seen anything.
    TooEarly,
}

/// A ClamAV daemon on loopback, and what it was asked.
#[derive(Clone)]
pub(crate) struct Clamd {
    address: String,
    /// Each content with how often it was called clean.
    clean: Arc<Mutex<HashMap<Vec<u8>, usize>>>,
    /// How often it was asked.
    asked: Arc<AtomicU64>,
}

impl Clamd {
    /// `judge` gets each content and the number of the question.
    pub(crate) fn start(judge: impl Fn(&[u8], u64) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let clamd = Self { address, clean: Arc::default(), asked: Arc::default() };
        let (clean, asked) = (Arc::clone(&clamd.clean), Arc::clone(&clamd.asked));
        let judge = Arc::new(judge);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (judge, clean) = (Arc::clone(&judge), Arc::clone(&clean));
                asked.fetch_add(1, Ordering::Relaxed);
                // A program that was killed is gone in the middle of its question.
                thread::spawn(move || drop(serve(stream.unwrap(), &*judge, number as u64, &clean)));
            }
        });
        clamd
    }

    pub(crate) fn table(&self, more: &str) -> String {
        format!("[[scanner]]\nkind = \"clamd\"\naddress = \"{}\"\n{more}\n", self.address)
    }

    fn times_clean(&self, content: &[u8]) -> usize {
        self.clean.lock().unwrap().get(content).copied().unwrap_or(0)
    }
}

fn serve(
    mut stream: TcpStream,
    judge: &(impl Fn(&[u8], u64) -> Answer + ?Sized),
    number: u64,
    clean: &Mutex<HashMap<Vec<u8>, usize>>,
) -> std::io::Result<()> {
    if let Answer::TooEarly = judge(b"", number) {
        return stream.write_all(b"stream: OK\0");
    }
    stream.read_exact(&mut [0; 10])?;
    let mut content = Vec::new();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut chunk = vec![0; u32::from_be_bytes(length) as usize];
        if chunk.is_empty() {
            break;
        }
        stream.read_exact(&mut chunk)?;
        content.extend(chunk);
    }
    let answer = match judge(&content, number) {
        Answer::Ok => {
            *clean.lock().unwrap().entry(content).or_default() += 1;
            "stream: OK\0".to_owned()
        }
        Answer::Found(name) => format!("stream: {name} FOUND\0"),
        Answer::Refuse => "INSTREAM size limit exceeded. ERROR\0".to_owned(),
        Answer::Hang => {
            // Until the program has had enough.
            return io::copy(&mut stream, &mut io::sink()).map(drop);
        }
        Answer::Garbage => "OK\0".to_owned(),
        Answer::Cut => "stream: OK".to_owned(),
        Answer::Close | Answer::TooEarly => return Ok(()),
    };
    stream.write_all(answer.as_bytes())
}

fn letter(n: usize) -> Vec<u8> {
    format!("Hello {n}\r\n").into_bytes()
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[test]
fn what_any_scanner_finds_does_not_leave_and_a_common_file_is_scanned_once() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 10);
    dir.write("terms.bin", "the terms");
    let one = Clamd::start(|content, _| match () {
        () if holds(content, "Hello 3\r") => Answer::Found("Own.First"),
        () if holds(content, "Hello 5\r") => Answer::Refuse,
        () => Answer::Ok,
    });
    let two = Clamd::start(|content, _| match holds(content, "Hello 4\r") {
        true => Answer::Found("Own.Second"),
        false => Answer::Ok,
    });
    let tables = one.table("") + &two.table("name = \"two\"");
    let file = campaign(&dir, "one", relay.port(), "", &tables);
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[template]\n", "[template]\nattachments = [\"terms.bin\"]\n"));
    let ran = dir.run(&["send", &file]).ended(1);
    assert!(ran.stdout().contains("infected"), "{}", ran.stdout());
    assert_eq!(relay.stats().accepted, 7);
    for row in dir.results("one") {
        let (end, detail) = match row.row {
            4 => (Disposition::Infected, Some("Own.First in the text part (scanner `clamd`)")),
            5 => (Disposition::Infected, Some("Own.Second in the text part (scanner `two`)")),
            6 => (
                Disposition::Deferred,
                Some("scanner `clamd` can't scan the text part: INSTREAM size limit exceeded."),
            ),
            _ => (Disposition::Accepted, None),
        };
        assert_eq!((row.disposition, row.detail.as_deref()), (end, detail), "row {}", row.row);
    }
    assert_eq!([&one, &two].map(|clamd| clamd.times_clean(b"the terms")), [1, 1]);
    // Others may judge otherwise, later.
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let harmless = Clamd::start(|_, _| Answer::Ok);
    dir.write(&file, text.replace(&one.address, &harmless.address).replace(&two.address, &harmless.address));
    dir.run(&["retry", "one", "--disposition", "infected"]).ended(0);
    assert_eq!(relay.stop().accepted, 9);
}

#[test]
fn a_scanner_looks_only_at_what_it_is_asked_to() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    dir.write("terms.bin", "the terms");
    let clamd = Clamd::start(|content, _| match content {
        b"the terms" => Answer::Ok,
        _ => Answer::Found("Text"),
    });
    let file = campaign(&dir, "one", relay.port(), "", &clamd.table("scan = [\"attachments\"]"));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[template]\n", "[template]\nattachments = [\"terms.bin\"]\n"));
    dir.run(&["send", &file]).ended(0);
    assert_eq!(relay.stop().accepted, 2);
}

#[test]
fn nothing_leaves_while_a_scanner_is_down_and_it_ends_deferred() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 20);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tables = format!(
        "[delivery.retry]\ngive-up-after = \"2s\"\nfirst = \"1s\"\nlongest = \"1s\"\n\
         [[scanner]]\nkind = \"clamd\"\naddress = \"{nobody}\"\n"
    );
    let file = campaign(&dir, "one", relay.port(), "", &tables);
    dir.run(&["send", &file, "--no-check"]).ended(1).says("nothing leaves unscanned, rows wait");
    assert_eq!(dir.dispositions("one"), [("deferred".to_owned(), 20)]);
    assert!(dir.results("one")[0].detail.as_deref().unwrap().contains("gives no answer"));
    assert_eq!(relay.stop().accepted, 0);
}

#[test]
fn check_asks_the_scanners_too() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let clamd = Clamd::start(|content, _| match holds(content, "Hello 0\r") {
        true => Answer::Found("Own.First"),
        false => Answer::Ok,
    });
    let file = campaign(&dir, "one", relay.port(), "", &clamd.table(""));
    let checked = dir.run(&["check", &file]).ended(3);
    assert!(checked.stdout().contains("Own.First in the text part"), "{}", checked.stdout());
    dir.write("letter.hbs", "Good day {{n}}\n");
    let checked = dir.run(&["check", &file, "--json"]).ended(0).stdout();
    assert!(checked.contains("\"scanned\""), "{checked}");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace(&clamd.address, "127.0.0.1:1"));
    let checked = dir.run(&["check", &file]).ended(3).stdout();
    assert!(checked.contains("scanner-unreachable"), "{checked}");
    assert_eq!(relay.stop().accepted, 0);
}

/// Rows of the campaign that is killed.
const ROWS: usize = 200;

/// Two scanners fail in every way, and the program is killed while they do: no row that is infected
/// leaves, and none before both have called its text clean. `MAILRUN_SCANNER_KILLS` asks for more
/// kills.
#[test]
fn killed_with_failing_scanners_nothing_leaves_unscanned_or_infected() {
    let kills: u64 = std::env::var("MAILRUN_SCANNER_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let fault = |number: u64| match number % 89 {
        3 => Some(Answer::Garbage),
        7 => Some(Answer::Cut),
        11 => Some(Answer::Close),
        13 => Some(Answer::TooEarly),
        17 => Some(Answer::Hang),
        _ => None,
    };
    let is_infected = |n: usize, by: usize| n % 20 == by;
    let daemon = move |by: usize| {
        Clamd::start(move |content, number| match fault(number) {
            Some(fault) => fault,
            None if (0..ROWS).any(|n| is_infected(n, by) && content == letter(n)) => Answer::Found("Own.Sig"),
            None => Answer::Ok,
        })
    };
    let mut sent = 0;
    let mut left = kills;
    while left > 0 {
        let dir = Dir::new();
        let record = dir.path().join("taken.jsonl");
        let relay = Relay::start(Options { record: Some(record.clone()), ..Options::default() });
        list(&dir, "one", ROWS);
        let daemons = [daemon(3), daemon(8)];
        let tables = daemons[0].table("timeout = \"300ms\"")
            + &daemons[1].table("name = \"two\"\ntimeout = \"300ms\"")
            + "[stop]\nbounce-percent = 0\n";
        let file = campaign(&dir, "one", relay.port(), "", &tables);
        let of_round = left.min(6);
        left -= of_round;
        for kill in 0..of_round {
            let until = daemons[0].asked.load(Ordering::Relaxed) + 5 + 17 * kill;
            let mut child = dir.start(&["send", &file, "--no-progress", "--no-check"]);
            while daemons[0].asked.load(Ordering::Relaxed) < until && child.try_wait().unwrap().is_none() {
                thread::sleep(Duration::from_millis(1));
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
        dir.run(&["send", &file, "--no-progress", "--no-check"]).ended(1);
        relay.stop();
        let taken: Vec<String> = fs::read_to_string(&record).unwrap().lines().map(str::to_owned).collect();
        let taken_by = |n: usize| taken.iter().filter(|line| line.contains(&format!("\"r{n}@one"))).count();
        let mut ends = HashSet::new();
        for row in dir.results("one") {
            let n = row.row as usize - 1;
            let times = taken_by(n);
            let infected = is_infected(n, 3) || is_infected(n, 8);
            assert!(!infected || times == 0, "row {n} is infected and left");
            assert_eq!(infected, row.disposition == Disposition::Infected, "row {n}: {}", row.disposition);
            for daemon in &daemons {
                assert!(times == 0 || daemon.times_clean(&letter(n)) > 0, "row {n} left unscanned");
            }
            sent += times;
            ends.insert(row.disposition.as_str());
        }
        assert!(ends.contains("accepted") && ends.contains("infected"), "{ends:?}");
    }
    assert!(sent > 0);
}
