use super::super::writer::GROUP_RECORDS;
use super::*;

#[test]
fn an_intent_is_passed_on_once_it_can_be_read_by_others() {
    let dir = Dir::new(10);
    let path = dir.path();
    let (seen_in, seen) = channel();
    let writer: Writer<u32> = Writer::spawn(
        dir.create(),
        move |intents| {
            for (intent, message) in intents {
                seen_in.send((message, read(&path).unwrap().state(intent.row))).unwrap();
            }
        },
        |given_up| panic!("{given_up:?}"),
        |error| panic!("{error}"),
    )
    .unwrap();
    let connection = writer.register_connection(host("mx.example.net"));
    writer.intend(vec![(Intent { connection, ..intent(3, 1, 0) }, 33), (intent(4, 1, 0), 44)]);
    assert_eq!(seen.recv().unwrap(), (33, State::Open));
    assert_eq!(seen.recv().unwrap(), (44, State::Open));
    writer.record(accepted(3, 1, 1));
    writer.close().unwrap();
    assert_eq!(dir.states().state(3), State::Final(Disposition::Accepted));
    assert_eq!(dir.states().state(4), State::Open);
    assert_eq!(dir.states().state(5), State::Untouched);
    assert_eq!(dir.outcome(3), Some(accepted(3, 1, 1)));
}

/// A message for many rows is passed on with its last intent, wherever commits cut them apart.
#[test]
fn with_the_last_of_many_intents_all_can_be_read_by_others() {
    let rows = GROUP_RECORDS as u32 * 2 + 10;
    let dir = Dir::new(rows);
    let path = dir.path();
    let (seen_in, seen) = channel();
    let writer: Writer<Option<u32>> = Writer::spawn(
        dir.create(),
        move |intents| {
            for rows in intents.into_iter().filter_map(|(_, rows)| rows) {
                let states = read(&path).unwrap();
                seen_in.send((0..rows).all(|row| states.state(row) == State::Open)).unwrap();
            }
        },
        |given_up| panic!("{given_up:?}"),
        |error| panic!("{error}"),
    )
    .unwrap();
    writer.register_connection(host("mx.example.net"));
    writer.intend((0..rows).map(|row| (intent(row, 1, 0), (row + 1 == rows).then_some(rows))).collect());
    assert!(seen.recv().unwrap());
    writer.close().unwrap();
    assert!(seen.recv().is_err(), "passed on once");
}

#[test]
fn records_keep_their_order_within_a_group() {
    let dir = Dir::new(4);
    let run = spawn(dir.create());
    // Row 0: put off and sent again; row 1: withdrawn and sent again; row 2: put off, not yet sent again.
    run.writer.intend(vec![(intent(0, 1, 0), 0), (intent(1, 1, 0), 1), (intent(2, 1, 0), 2)]);
    run.writer.record(retry(0, 1, 1));
    run.writer.record(Outcome::new(1, 1, Verdict::Withdrawn, at(1)));
    run.writer.record(retry(2, 1, 1));
    run.writer.intend(vec![(intent(0, 2, 31), 0), (intent(1, 1, 31), 1)]);
    run.writer.close().unwrap();
    let states = dir.states();
    let all: Vec<State> = states.iter().map(|(_, state)| state).collect();
    assert_eq!(all, [State::Open, State::Open, State::Pending, State::Untouched]);
    assert_eq!(run.durable.iter().collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
}

#[test]
fn a_withdrawn_intent_leaves_the_row_as_it_was() {
    let dir = Dir::new(2);
    let run = spawn(dir.create());
    run.writer.intend(vec![(intent(0, 1, 0), 0)]);
    run.writer.record(retry(0, 1, 1));
    run.writer.intend(vec![(intent(0, 2, 31), 0), (intent(1, 1, 31), 1)]);
    for (row, attempt) in [(0, 2), (1, 1)] {
        run.writer.record(Outcome::new(row, attempt, Verdict::Withdrawn, at(32)));
    }
    run.writer.close().unwrap();
    let states = dir.states();
    assert_eq!((states.state(0), states.state(1)), (State::Pending, State::Untouched));
    assert_eq!(dir.outcome(0), Some(retry(0, 1, 1)));
}

#[test]
fn flush_waits_for_all_that_was_handed_over() {
    let dir = Dir::new(5_000);
    let run = spawn(dir.create());
    for row in 0..5_000 {
        run.writer.record(accepted(row, 0, 0));
    }
    run.writer.flush().unwrap();
    let done = dir.states().iter().filter(|(_, state)| *state == State::Final(Disposition::Accepted)).count();
    assert_eq!(done, 5_000);
    run.writer.close().unwrap();
}

#[test]
fn no_group_holds_more_than_its_share() {
    let dir = Dir::new(2_000);
    let run = spawn(dir.create());
    run.writer.intend((0..2_000).map(|row| (intent(row, 1, 0), row)).collect());
    let journal = run.writer.close().unwrap();
    let mut groups = journal.db.prepare("SELECT records FROM journal_group").unwrap();
    let groups: Vec<Vec<u8>> =
        groups.query_map([], |line| line.get(0)).unwrap().map(Result::unwrap).collect();
    let sizes: Vec<usize> = groups.iter().map(|g| super::super::codec::Records::new(g).count()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 2_000);
    assert!(sizes.iter().all(|size| *size <= GROUP_RECORDS), "{sizes:?}");
}

#[test]
fn connections_keep_their_numbers_apart_over_resumes() {
    let dir = Dir::new(2);
    let run = spawn(dir.create());
    let first = run.writer.register_connection(host("one.example.net"));
    run.writer.close().unwrap();
    let run = spawn(dir.open().unwrap());
    let second = run.writer.register_connection(host("two.example.net"));
    run.writer.close().unwrap();
    assert_ne!(first, second);
    let reader = Reader::open(&dir.path()).unwrap();
    let mut details = reader.details();
    assert_eq!(*details.connection(first).unwrap().unwrap(), host("one.example.net"));
    assert_eq!(*details.connection(second).unwrap().unwrap(), host("two.example.net"));
    assert_eq!(details.connection(99).unwrap(), None);
}

/// Lets no page be added to the file any more, as a full disk does.
pub(in crate::journal) fn fill_the_disk(journal: &Journal) {
    let pages: i64 = journal.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    journal.db.pragma_update(None, "max_page_count", pages).unwrap();
}

#[test]
fn on_a_full_disk_nothing_is_passed_on_and_what_is_known_is_kept() {
    let dir = Dir::new(3_000);
    let journal = dir.create();
    fill_the_disk(&journal);
    let run = spawn(journal);
    run.writer.intend(vec![(intent(0, 1, 0), 0)]);
    assert_eq!(run.durable.recv().unwrap(), 0, "the first record fits on the table's own page");
    run.writer.intend((1..3_000).map(|row| (intent(row, 1, 0), row)).collect());
    let error = run.errors.recv().unwrap();
    assert!(matches!(error, JournalError::Full { .. }), "{error:?}");
    assert_eq!(error.hint(), Some("free some space; the same command resumes"));
    assert!(run.writer.flush().is_err());
    assert!(run.writer.has_failed());
    // What a failed commit holds is not passed on, and neither is anything after it.
    run.writer.intend(vec![(intent(1, 1, 0), 1)]);
    run.writer.record(accepted(0, 1, 1));
    // As the dispatcher does with those that come back: it is true of an intent that is there, and of one that is not.
    run.writer.record(Outcome::new(1, 1, Verdict::Withdrawn, at(1)));
    let _ = run.writer.close();
    assert_eq!(run.durable.iter().count(), 0);
    assert!(run.given_up.iter().eq((1..3_000).chain([1])), "all of them come back");
    // The record of the outcome may have had room or not; an intent that was not passed on never did.
    let states = dir.states();
    assert!(matches!(states.state(0), State::Open | State::Final(Disposition::Accepted)));
    assert!((1..3_000).all(|row| states.state(row) == State::Untouched));
}

#[test]
fn a_reader_of_a_run_that_goes_on_catches_up() {
    let dir = Dir::new(3);
    let run = spawn(dir.create());
    let reader = Reader::open(&dir.path()).unwrap();
    let mut states = reader.states().unwrap();
    assert_eq!(states.state(0), State::Untouched);
    run.writer.intend(vec![(intent(0, 1, 0), 0)]);
    run.writer.flush().unwrap();
    reader.catch_up(&mut states).unwrap();
    assert_eq!(states.state(0), State::Open);
    run.writer.record(accepted(0, 1, 1));
    run.writer.flush().unwrap();
    reader.catch_up(&mut states).unwrap();
    assert_eq!(states.state(0), State::Final(Disposition::Accepted));
    assert_eq!(reader.details().outcome(&states, 0).unwrap(), Some(accepted(0, 1, 1)));
}

#[test]
fn the_history_of_a_row() {
    let dir = Dir::new(3);
    let run = spawn(dir.create());
    let number = run.writer.register_connection(host("mx.example.net"));
    run.writer.intend(vec![(intent(0, 1, 0), 0), (intent(1, 1, 0), 0)]);
    run.writer.record(retry(0, 1, 1));
    run.writer.intend(vec![(intent(0, 2, 31), 0)]);
    run.writer.record(Outcome { connection: Some(number), ..accepted(0, 2, 32) });
    run.writer.record(Outcome::new(2, 0, Verdict::Final(Disposition::Suppressed), at(33)));
    run.writer.close().unwrap();
    let reader = Reader::open(&dir.path()).unwrap();
    let attempts = reader.attempts(0).unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].intent, Some(intent(0, 1, 0)));
    assert_eq!(attempts[0].outcome, Some(retry(0, 1, 1)));
    assert_eq!(attempts[1].outcome, Some(accepted(0, 2, 32)));
    assert_eq!(attempts[1].connection, Some(host("mx.example.net")));
    let suppressed = reader.attempts(2).unwrap();
    assert_eq!((suppressed.len(), &suppressed[0].intent), (1, &None));
}

#[test]
fn a_panic_of_the_callback_does_not_hang_those_who_wait() {
    let dir = Dir::new(2);
    let writer: Writer<u32> =
        Writer::spawn(dir.create(), |_| panic!("as a broken caller would"), |_| (), |_| ()).unwrap();
    writer.intend(vec![(intent(0, 1, 0), 0)]);
    assert!(writer.flush().is_err());
    assert!(matches!(writer.close(), Err(JournalError::Ended(_))));
}
