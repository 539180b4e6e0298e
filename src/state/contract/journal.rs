use std::sync::mpsc::channel;

use super::{Fresh, RunOf};
use crate::journal::testing::{GROUP_RECORDS, accepted, at, group_sizes, host, intent, retry, spawn};
use crate::journal::{InDoubt, Intent, JournalError, OpenIntent, Outcome, RowState, RunKey, Verdict, Writer};
use crate::kit::store::StoreError;
use crate::mail::Disposition;

pub(super) fn an_intent_is_passed_on_once_it_can_be_read_by_others(fresh: &Fresh) {
    let run = fresh.run_of(10);
    let others = run.clone();
    let (seen_in, seen) = channel();
    let writer: Writer<u32> = Writer::spawn(
        run.create(),
        move |intents| {
            for (intent, message) in intents {
                seen_in.send((message, others.states().state(intent.row))).unwrap();
            }
        },
        |given_up| panic!("{given_up:?}"),
        |error| panic!("{error}"),
    )
    .unwrap();
    let connection = writer.register_connection(host("mx.example.net"));
    writer.intend(vec![(Intent { connection, ..intent(3, 1, 0) }, 33), (intent(4, 1, 0), 44)]);
    assert_eq!(seen.recv().unwrap(), (33, RowState::Open));
    assert_eq!(seen.recv().unwrap(), (44, RowState::Open));
    writer.record(accepted(3, 1, 1));
    writer.close().unwrap();
    assert_eq!(run.states().state(3), RowState::Final(Disposition::Accepted));
    assert_eq!(run.states().state(4), RowState::Open);
    assert_eq!(run.states().state(5), RowState::Untouched);
    assert_eq!(run.outcome(3), Some(accepted(3, 1, 1)));
}

/// A message for many rows is passed on with its last intent, wherever commits cut them apart.
pub(super) fn with_the_last_of_many_intents_all_can_be_read_by_others(fresh: &Fresh) {
    let rows = GROUP_RECORDS as u32 * 2 + 10;
    let run = fresh.run_of(rows);
    let others = run.clone();
    let (seen_in, seen) = channel();
    let writer: Writer<Option<u32>> = Writer::spawn(
        run.create(),
        move |intents| {
            for rows in intents.into_iter().filter_map(|(_, rows)| rows) {
                let states = others.states();
                seen_in.send((0..rows).all(|row| states.state(row) == RowState::Open)).unwrap();
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

pub(super) fn records_keep_their_order_within_a_group(fresh: &Fresh) {
    let run = fresh.run_of(4);
    let written = spawn(run.create());
    // Row 0: deferred and sent again; row 1: withdrawn and sent again; row 2: deferred, not yet
    // sent again.
    written.writer.intend(vec![(intent(0, 1, 0), 0), (intent(1, 1, 0), 1), (intent(2, 1, 0), 2)]);
    written.writer.record(retry(0, 1, 1));
    written.writer.record(Outcome::new(1, 1, Verdict::Withdrawn, at(1)));
    written.writer.record(retry(2, 1, 1));
    written.writer.intend(vec![(intent(0, 2, 31), 0), (intent(1, 1, 31), 1)]);
    written.writer.close().unwrap();
    let states = run.states();
    let all: Vec<RowState> = states.iter().map(|(_, state)| state).collect();
    assert_eq!(all, [RowState::Open, RowState::Open, RowState::Pending, RowState::Untouched]);
    assert_eq!(written.durable.iter().collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
}

pub(super) fn a_withdrawn_intent_leaves_the_row_as_it_was(fresh: &Fresh) {
    let run = fresh.run_of(2);
    let written = spawn(run.create());
    written.writer.intend(vec![(intent(0, 1, 0), 0)]);
    written.writer.record(retry(0, 1, 1));
    written.writer.intend(vec![(intent(0, 2, 31), 0), (intent(1, 1, 31), 1)]);
    for (row, attempt) in [(0, 2), (1, 1)] {
        written.writer.record(Outcome::new(row, attempt, Verdict::Withdrawn, at(32)));
    }
    written.writer.close().unwrap();
    let states = run.states();
    assert_eq!((states.state(0), states.state(1)), (RowState::Pending, RowState::Untouched));
    assert_eq!(run.outcome(0), Some(retry(0, 1, 1)));
}

pub(super) fn flush_waits_for_all_that_was_handed_over(fresh: &Fresh) {
    let run = fresh.run_of(5_000);
    let written = spawn(run.create());
    for row in 0..5_000 {
        written.writer.record(accepted(row, 0, 0));
    }
    written.writer.flush().unwrap();
    let done =
        run.states().iter().filter(|(_, state)| *state == RowState::Final(Disposition::Accepted)).count();
    assert_eq!(done, 5_000);
    written.writer.close().unwrap();
}

pub(super) fn no_group_holds_more_than_its_share(fresh: &Fresh) {
    let run = fresh.run_of(2_000);
    let written = spawn(run.create());
    written.writer.intend((0..2_000).map(|row| (intent(row, 1, 0), row)).collect());
    let sizes = group_sizes(&written.writer.close().unwrap());
    assert_eq!(sizes.iter().sum::<usize>(), 2_000);
    assert!(sizes.iter().all(|size| *size <= GROUP_RECORDS), "{sizes:?}");
}

pub(super) fn connections_keep_their_numbers_apart_over_resumes(fresh: &Fresh) {
    let run = fresh.run_of(2);
    let written = spawn(run.create());
    let first = written.writer.register_connection(host("one.example.net"));
    written.writer.close().unwrap();
    let written = spawn(run.open().unwrap());
    let second = written.writer.register_connection(host("two.example.net"));
    written.writer.close().unwrap();
    assert_ne!(first, second);
    let reader = run.read();
    let mut details = reader.details();
    assert_eq!(*details.connection(first).unwrap().unwrap(), host("one.example.net"));
    assert_eq!(*details.connection(second).unwrap().unwrap(), host("two.example.net"));
    assert_eq!(details.connection(99).unwrap(), None);
}

pub(super) fn a_reader_of_a_run_that_goes_on_catches_up(fresh: &Fresh) {
    let run = fresh.run_of(3);
    let written = spawn(run.create());
    let reader = run.read();
    let mut states = reader.states().unwrap();
    assert_eq!(states.state(0), RowState::Untouched);
    written.writer.intend(vec![(intent(0, 1, 0), 0)]);
    written.writer.flush().unwrap();
    reader.catch_up(&mut states).unwrap();
    assert_eq!(states.state(0), RowState::Open);
    written.writer.record(accepted(0, 1, 1));
    written.writer.flush().unwrap();
    reader.catch_up(&mut states).unwrap();
    assert_eq!(states.state(0), RowState::Final(Disposition::Accepted));
    assert_eq!(reader.details().outcome(&states, 0).unwrap(), Some(accepted(0, 1, 1)));
}

pub(super) fn the_history_of_a_row(fresh: &Fresh) {
    let run = fresh.run_of(3);
    let written = spawn(run.create());
    let number = written.writer.register_connection(host("mx.example.net"));
    written.writer.intend(vec![(intent(0, 1, 0), 0), (intent(1, 1, 0), 0)]);
    written.writer.record(retry(0, 1, 1));
    written.writer.intend(vec![(intent(0, 2, 31), 0)]);
    written.writer.record(Outcome { connection: Some(number), ..accepted(0, 2, 32) });
    written.writer.record(Outcome::new(2, 0, Verdict::Final(Disposition::Suppressed), at(33)));
    written.writer.close().unwrap();
    let reader = run.read();
    let attempts = reader.attempts(0..3).unwrap();
    let suppressed = &attempts[2];
    assert_eq!((suppressed.len(), &suppressed[0].intent), (1, &None));
    assert_eq!(reader.attempts(2..3).unwrap(), attempts[2..]);
    let attempts = &attempts[0];
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].intent, Some(intent(0, 1, 0)));
    assert_eq!(attempts[0].outcome, Some(retry(0, 1, 1)));
    assert_eq!(attempts[1].outcome, Some(accepted(0, 2, 32)));
    assert_eq!(attempts[1].connection, Some(host("mx.example.net")));
}

pub(super) fn a_panic_of_the_callback_does_not_hang_those_who_wait(fresh: &Fresh) {
    let run = fresh.run_of(2);
    let writer: Writer<u32> =
        Writer::spawn(run.create(), |_| panic!("as a broken caller would"), |_| (), |_| ()).unwrap();
    writer.intend(vec![(intent(0, 1, 0), 0)]);
    assert!(writer.flush().is_err());
    assert!(matches!(writer.close(), Err(JournalError::Ended(_))));
}

pub(super) fn a_journal_is_created_once(fresh: &Fresh) {
    let run = fresh.run_of(1);
    assert!(!run.exists());
    assert!(matches!(run.open(), Err(JournalError::Store(StoreError::Missing(_)))));
    assert!(matches!(run.try_read(), Err(StoreError::Missing(_))));
    run.create();
    assert!(run.exists());
    assert!(matches!(run.try_create(), Err(JournalError::Store(StoreError::Exists(_)))));
    assert!(run.open().is_ok());
}

pub(super) fn the_journal_of_another_plan_is_refused(fresh: &Fresh) {
    let run = fresh.run_of(10);
    run.create();
    let check = |key: RunKey, expected: &str| {
        let other = RunOf { key, ..run.clone() };
        let error = other.open().unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(error.hint().is_some());
    };
    let key = || run.key.clone();
    check(RunKey { run_id: "x".into(), ..key() }, "it has run id `spring-4f2a`, this run has `x`");
    check(RunKey { plan_rows: 9, ..key() }, "it has plan rows `10`, this run has `9`");
    check(RunKey { plan_hash: "tea".into(), ..key() }, "it has plan hash `c0ffee`, this run has `tea`");
}

/// The number of a group is the fence: who was opened before another one wrote sends nothing more.
pub(super) fn who_has_lost_its_turn_passes_nothing_on(fresh: &Fresh) {
    let run = fresh.run_of(100);
    let first = spawn(run.create());
    first.writer.intend(vec![(intent(0, 1, 0), 0)]);
    first.writer.flush().unwrap();
    // Another process takes the run over: what the first has on the wire is in doubt.
    let mut journal = run.open().unwrap();
    let mut states = journal.states().unwrap();
    assert_eq!(journal.resolve_open_intents(&mut states, at(10), InDoubt::Keep).unwrap().len(), 1);
    let second = spawn(journal);
    second.writer.intend(vec![(intent(1, 1, 11), 1)]);
    second.writer.flush().unwrap();

    first.writer.intend(vec![(intent(2, 1, 12), 2), (intent(3, 1, 12), 3)]);
    let error = first.errors.recv().unwrap();
    assert!(matches!(error, JournalError::Fenced(_)), "{error}");
    assert!(error.hint().is_some());
    first.writer.record(accepted(0, 1, 13));
    assert!(first.writer.close().is_err());
    assert_eq!(first.durable.iter().collect::<Vec<_>>(), [0]);
    assert_eq!(first.given_up.iter().collect::<Vec<_>>(), [2, 3]);

    second.writer.record(accepted(1, 1, 14));
    second.writer.close().unwrap();
    let states = run.states();
    assert_eq!(states.damage, None);
    assert_eq!(states.state(0), RowState::Final(Disposition::InDoubt));
    assert_eq!(states.state(1), RowState::Final(Disposition::Accepted));
    assert_eq!((states.state(2), states.state(3)), (RowState::Untouched, RowState::Untouched));
}

pub(super) fn journals_are_apart(fresh: &Fresh) {
    let (one, other) = (fresh.run_of(1), fresh.run_of(1));
    let written = spawn(one.create());
    other.create();
    written.writer.record(accepted(0, 1, 0));
    written.writer.close().unwrap();
    assert_eq!(one.states().state(0), RowState::Final(Disposition::Accepted));
    assert_eq!(other.states().state(0), RowState::Untouched);
}

pub(super) fn a_row_given_up_without_another_attempt_keeps_what_the_last_one_brought(fresh: &Fresh) {
    let run = fresh.run_of(2);
    let written = spawn(run.create());
    let given_up = |row| Outcome::new(row, 1, Verdict::Final(Disposition::Deferred), at(60));
    written.writer.intend(vec![(intent(0, 1, 0), 0), (intent(1, 1, 0), 1)]);
    (0..2).for_each(|row| written.writer.record(retry(row, 1, 1)));
    written.writer.record(given_up(0));
    written.writer.record(Outcome { detail: Some("no connection".into()), ..given_up(1) });
    written.writer.close().unwrap();
    let states = run.states();
    let deferred = RowState::Final(Disposition::Deferred);
    assert_eq!((states.state(0), states.state(1)), (deferred, deferred));
    assert_eq!(run.outcome(0), Some(retry(0, 1, 1)), "class, reply and connection of the last attempt");
    assert_eq!(run.outcome(1).unwrap().detail.as_deref(), Some("no connection"), "a reason of its own holds");
}

pub(super) fn open_intents_become_in_doubt_with_time_and_connection(fresh: &Fresh) {
    let run = fresh.run_of(3);
    let written = spawn(run.create());
    let connection = written.writer.register_connection(host("mx.example.net"));
    written.writer.intend(vec![(intent(0, 1, 0), 0)]);
    written.writer.record(Outcome { first_attempt_at: Some(at(0)), ..retry(0, 1, 1) });
    written.writer.intend(vec![(Intent { connection, ..intent(0, 2, 31) }, 0), (intent(2, 1, 31), 2)]);
    let mut journal = written.writer.close().unwrap();
    let mut states = journal.states().unwrap();
    assert_eq!(states.open_intents(), 2);

    let open = journal.resolve_open_intents(&mut states, at(100), InDoubt::Keep).unwrap();
    assert_eq!(open[0], OpenIntent { row: 0, at: at(31), remote_host: Some("mx.example.net".to_owned()) });
    assert_eq!(states.open_intents(), 0);
    assert_eq!(states.state(0), RowState::Final(Disposition::InDoubt));
    assert_eq!(states.state(1), RowState::Untouched);
    assert_eq!(states.state(2), RowState::Final(Disposition::InDoubt));
    let outcome = journal.details().outcome(&states, 0).unwrap().unwrap();
    assert_eq!((outcome.first_attempt_at, outcome.last_attempt_at), (Some(at(0)), Some(at(31))));
    assert_eq!((outcome.attempt, outcome.at, outcome.connection), (2, at(100), Some(connection)));
    assert_eq!(outcome.message_id.as_deref(), Some("0.2@example.com"));
    assert_eq!(
        outcome.detail.as_deref(),
        Some(
            "the run was cut off after this was given to connection 1 to `mx.example.net` at 2026-05-28T20:27:11.000Z; no reply was seen"
        )
    );
    // A second look finds nothing to do.
    assert_eq!(journal.resolve_open_intents(&mut states, at(101), InDoubt::Keep).unwrap(), []);
}

pub(super) fn what_is_in_doubt_is_sent_again_by_choice_only(fresh: &Fresh) {
    let run = fresh.run_of(4);
    let written = spawn(run.create());
    written.writer.intend(vec![(intent(0, 1, 0), 0), (intent(1, 1, 0), 1), (intent(3, 1, 0), 3)]);
    written.writer.record(accepted(3, 1, 1));
    let mut journal = written.writer.close().unwrap();
    let mut states = journal.states().unwrap();
    journal.resolve_open_intents(&mut states, at(50), InDoubt::Keep).unwrap();
    journal.resolve_open_intents(&mut states, at(100), InDoubt::Resend).unwrap();
    let all: Vec<RowState> = states.iter().map(|(_, state)| state).collect();
    let done = RowState::Final(Disposition::Accepted);
    assert_eq!(all, [RowState::Pending, RowState::Pending, RowState::Untouched, done]);
    let outcome = journal.details().outcome(&states, 0).unwrap().unwrap();
    assert_eq!(
        (outcome.attempt, outcome.verdict),
        (1, Verdict::Retry { at: at(100) }),
        "the attempt still counts"
    );
}
