use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_journal_is_made_once() {
    let dir = Dir::new(1);
    dir.create();
    let again = Journal::create(&dir.path(), &dir.key, Durability::PowerLoss);
    assert!(matches!(again, Err(JournalError::Exists(_))));
    assert!(dir.open().is_ok());
}

#[test]
fn what_a_crash_left_of_a_half_made_journal_is_made_anew() {
    let dir = Dir::new(1);
    fs::write(dir.folder.path().join("journal.db.new"), b"half").unwrap();
    dir.create();
    assert_eq!(dir.states().state(0), State::Untouched);
}

#[test]
fn files_that_are_no_journal_of_ours_say_what_they_are() {
    let dir = Dir::new(1);
    let refused = |expected: &str| {
        let text = dir.open().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        let text = read(&dir.path()).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    };
    refused("no journal at");
    fs::write(dir.path(), b"").unwrap();
    refused("is not a journal: it is empty");
    fs::write(dir.path(), vec![b'x'; 8_192]).unwrap();
    refused("file is not a database");
    fs::remove_file(dir.path()).unwrap();
    rusqlite::Connection::open(dir.path()).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    refused("it is another program's database");
}

#[test]
fn a_newer_format_names_both_versions() {
    let dir = Dir::new(1);
    dir.create().db.pragma_update(None, "user_version", 7).unwrap();
    let error = dir.open().unwrap_err();
    assert!(matches!(error, JournalError::Newer { found: 7, known: 1, .. }), "{error}");
    assert_eq!(error.hint(), Some("go on with the version of mailrun that began this run"));
}

#[test]
fn the_journal_of_another_plan_is_refused() {
    let dir = Dir::new(10);
    dir.create();
    let check = |key: RunKey, expected: &str| {
        let error = Journal::open(&dir.path(), &key, Durability::PowerLoss).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    };
    let key = || dir.key.clone();
    check(RunKey { run_id: "x".into(), ..key() }, "it has run id `spring-4f2a`, this run has `x`");
    check(RunKey { plan_rows: 9, ..key() }, "it has plan rows `10`, this run has `9`");
    check(RunKey { plan_hash: "tea".into(), ..key() }, "it has plan hash `c0ffee`, this run has `tea`");
}

/// Root may write everywhere: then the test has nothing to say.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0)
}

#[test]
fn a_finished_journal_can_be_read_where_nothing_can_be_written() {
    let dir = Dir::new(2);
    let run = spawn(dir.create());
    run.writer.record(accepted(0, 1, 0));
    drop(run.writer.close().unwrap());
    assert!(!wal(&dir.path()).exists(), "a journal that was closed stands for itself");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(dir.folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    assert_eq!(dir.states().state(0), State::Final(Disposition::Accepted));
    if is_root() {
        eprintln!("writing to a read-only journal is not tried: root may");
    } else {
        let error = dir.open().unwrap_err();
        assert!(matches!(error, JournalError::ReadOnly { .. }), "{error:?}");
    }
    fs::set_permissions(dir.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_that_is_not_there_can_not_get_a_journal() {
    let dir = Dir::new(2);
    let path = dir.folder.path().join("gone").join("journal.db");
    let error = Journal::create(&path, &dir.key, Durability::PowerLoss).unwrap_err();
    assert!(error.to_string().starts_with("can't create journal"), "{error}");
}

/// A journal whose WAL was copied into the file, with an outcome for each row.
fn written(rows: u32) -> Dir {
    let dir = Dir::new(rows);
    let run = spawn(dir.create());
    for chunk in (0..rows).collect::<Vec<_>>().chunks(100) {
        run.writer.intend(chunk.iter().map(|&row| (intent(row, 1, 0), row)).collect());
        chunk.iter().for_each(|&row| run.writer.record(accepted(row, 1, 0)));
        run.writer.flush().unwrap();
    }
    drop(run.writer.close().unwrap());
    dir
}

#[test]
fn of_a_truncated_journal_the_rest_is_known_and_it_is_not_gone_on_with() {
    let dir = written(3_000);
    let length = fs::metadata(dir.path()).unwrap().len();
    OpenOptions::new().write(true).open(dir.path()).unwrap().set_len(length / 2).unwrap();
    let states = dir.states();
    assert!(states.damage.is_some());
    let count = |state: State| states.iter().filter(|(_, other)| *other == state).count();
    let known = count(State::Final(Disposition::Accepted));
    assert!(known > 0, "what comes before the damage is known");
    assert_eq!(known + count(State::Unknown), 3_000);
    let journal = dir.open();
    let error = journal.and_then(|journal| journal.states().map(|_| ())).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("mailrun results RUN"));
}

#[test]
fn a_spoiled_byte_costs_one_group_only() {
    let dir = written(3_000);
    let mut bytes = fs::read(dir.path()).unwrap();
    let place = bytes.windows(9).position(|window| window == b"queued as").unwrap();
    bytes[place] ^= 1;
    fs::write(dir.path(), bytes).unwrap();
    let states = dir.states();
    assert!(states.damage.as_ref().unwrap().why.contains("checksum"), "{:?}", states.damage);
    let known = states.iter().filter(|(_, state)| *state == State::Final(Disposition::Accepted)).count();
    assert!((2_700..3_000).contains(&known), "{known}");
}

#[test]
fn a_missing_group_is_damage() {
    let dir = written(1_000);
    rusqlite::Connection::open(dir.path())
        .unwrap()
        .execute("DELETE FROM journal_group WHERE seq = 3", [])
        .unwrap();
    assert_eq!(dir.states().damage.unwrap().why, "group 3 is missing");
}

#[test]
fn a_record_of_a_row_that_the_plan_does_not_have_is_damage() {
    let dir = written(1_000);
    let db = rusqlite::Connection::open(dir.path()).unwrap();
    db.execute("UPDATE meta SET value = '500' WHERE key = 'plan_rows'", []).unwrap();
    drop(db);
    let why = dir.states().damage.unwrap().why;
    assert!(why.contains("no record of a known form"), "{why}");
}

#[test]
fn open_intents_become_in_doubt_with_time_and_connection() {
    let dir = Dir::new(3);
    let run = spawn(dir.create());
    let connection = run.writer.register_connection(host("mx.example.net"));
    run.writer.intend(vec![(intent(0, 1, 0), 0)]);
    run.writer.record(Outcome { first_attempt_at: Some(at(0)), ..retry(0, 1, 1) });
    run.writer.intend(vec![(Intent { connection, ..intent(0, 2, 31) }, 0), (intent(2, 1, 31), 2)]);
    let mut journal = run.writer.close().unwrap();
    let mut states = journal.states().unwrap();
    assert_eq!(states.open_intents(), 2);

    let open = journal.resolve_open_intents(&mut states, at(100), InDoubt::Keep).unwrap();
    assert_eq!(open[0], OpenIntent { row: 0, at: at(31), remote_host: Some("mx.example.net".to_owned()) });
    assert_eq!(states.open_intents(), 0);
    assert_eq!(states.state(0), State::Final(Disposition::InDoubt));
    assert_eq!(states.state(1), State::Untouched);
    assert_eq!(states.state(2), State::Final(Disposition::InDoubt));
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

#[test]
fn what_is_in_doubt_is_sent_again_by_choice_only() {
    let dir = Dir::new(4);
    let run = spawn(dir.create());
    run.writer.intend(vec![(intent(0, 1, 0), 0), (intent(1, 1, 0), 1), (intent(3, 1, 0), 3)]);
    run.writer.record(accepted(3, 1, 1));
    let mut journal = run.writer.close().unwrap();
    let mut states = journal.states().unwrap();
    journal.resolve_open_intents(&mut states, at(50), InDoubt::Keep).unwrap();
    journal.resolve_open_intents(&mut states, at(100), InDoubt::Resend).unwrap();
    let all: Vec<State> = states.iter().map(|(_, state)| state).collect();
    let done = State::Final(Disposition::Accepted);
    assert_eq!(all, [State::Pending, State::Pending, State::Untouched, done]);
    let outcome = journal.details().outcome(&states, 0).unwrap().unwrap();
    assert_eq!(
        (outcome.attempt, outcome.verdict),
        (1, Verdict::Retry { at: at(100) }),
        "the attempt still counts"
    );
}

#[test]
fn what_is_known_of_a_damaged_file_can_be_read_wherever_it_is_damaged() {
    use super::super::codec::put_outcome;
    use super::super::db::checksum;

    const ROWS: u32 = 1_500;
    let dir = Dir::new(ROWS);
    let journal = dir.create();
    journal.db.execute_batch("BEGIN").unwrap();
    for row in 0..ROWS {
        // A group each, so that the table has pages that only lead to others.
        let (number, mut records) = (u64::from(row) + 1, Vec::new());
        put_outcome(&mut records, &accepted(row, 1, 1));
        let line = (number as i64, checksum(number, &records), records);
        journal.db.execute("INSERT INTO journal_group VALUES (?1, ?2, ?3)", line).unwrap();
    }
    journal.db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(journal);
    let whole = fs::read(dir.path()).unwrap();
    let mut known = 0;
    for place in (0..whole.len() - 64).step_by(1_024) {
        let mut spoiled = whole.clone();
        spoiled[place..place + 64].fill(0xa5);
        fs::write(dir.path(), &spoiled).unwrap();
        let Ok(reader) = Reader::open(&dir.path()) else { continue };
        let Ok(states) = reader.states() else { continue };
        let mut details = reader.details();
        for (row, state) in states.iter() {
            if let State::Final(_) = state {
                let outcome = details.outcome(&states, row);
                assert!(
                    matches!(&outcome, Ok(Some(found)) if found.row == row),
                    "damaged at {place}: row {row}: {outcome:?}"
                );
                known += 1;
            }
        }
    }
    assert!(known > ROWS, "{known} outcomes were read from damaged files");
}
