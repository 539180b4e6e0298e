//! Results of a journal that was cut off.

use std::fs::{self, File};

use super::journal::Dir;
use crate::journal::testing::{accepted, host, intent, spawn};
use crate::journal::{Intent, Outcome};
use crate::mail::Disposition;
use crate::results::{InputRow, Known, Options, Results, ScreeningOutcome, Summary};

const ROWS: u32 = 2_000;

/// The results of all rows.
fn write(dir: &Dir) -> Summary {
    let reader = dir.read().unwrap();
    let states = reader.states().unwrap();
    let known = Known { states: &states, details: reader.details() };
    let folder = dir.folder.path().join("results");
    let mut results = Results::create(&folder, known, Options::default()).unwrap();
    for index in 0..ROWS {
        let row = InputRow {
            file: "list.csv",
            row: u64::from(index) + 1,
            email: Some("bob@example.com"),
            domain: Some("example.com"),
            id: None,
            screening: ScreeningOutcome::Planned { index },
        };
        results.push(&row).unwrap();
    }
    results.finish().unwrap()
}

#[test]
fn of_a_truncated_journal_what_is_left_is_written() {
    let dir = Dir::new(ROWS);
    let run = spawn(dir.create());
    for row in 0..ROWS {
        let connection = run.writer.register_connection(host(&format!("mx{row}.example.com")));
        run.writer.intend(vec![(Intent { connection, ..intent(row, 1, 0) }, row)]);
        run.writer.record(Outcome { connection: Some(connection), ..accepted(row, 1, 0) });
    }
    drop(run.writer.close().unwrap());
    let length = fs::metadata(dir.path()).unwrap().len();
    let mut before = 2_000;
    for eighths in (2..8).rev() {
        File::options().write(true).open(dir.path()).unwrap().set_len(length * eighths / 8).unwrap();
        let summary = write(&dir);
        let accepted = summary.count(Disposition::Accepted);
        assert_eq!((summary.rows, accepted + summary.count(Disposition::InDoubt)), (2_000, 2_000));
        assert!((1..=before).contains(&accepted), "{eighths} eighths: {accepted}");
        before = accepted;
    }
    assert!(before < 2_000);
}
