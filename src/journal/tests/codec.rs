use proptest::prelude::*;

use super::super::codec::{LONGEST_TEXT, Record, Records, put_intent, put_outcome};
use super::*;

fn moments() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn replies() -> impl Strategy<Value = Reply> {
    let status = (prop_oneof![Just(2_u8), Just(4), Just(5)], 0..1000_u16, 0..1000_u16)
        .prop_map(|(class, subject, detail)| EnhancedStatus { class, subject, detail });
    (200..600_u16, proptest::option::of(status), ".{0,300}").prop_map(|(code, enhanced, text)| Reply {
        code,
        enhanced,
        text,
    })
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        (0..Disposition::ALL.len()).prop_map(|n| Verdict::Final(Disposition::ALL[n])),
        moments().prop_map(|at| Verdict::Retry { at }),
        Just(Verdict::Withdrawn),
        any::<bool>().prop_map(|ended| Verdict::Copy { ended }),
    ]
}

fn records() -> impl Strategy<Value = Record> {
    use proptest::option::of;
    let intents = (any::<u32>(), any::<u16>(), moments(), any::<u32>(), ".{0,80}", any::<bool>()).prop_map(
        |(row, attempt, at, connection, message_id, is_copy)| {
            Record::Intent(Intent { row, attempt, at, connection, message_id, is_copy })
        },
    );
    let heads = (any::<u32>(), any::<u16>(), verdicts(), moments());
    let times = (of(moments()), of(moments()), of(any::<u64>()), of(any::<u32>()), of(any::<u32>()));
    let words = (
        of(0..Class::ALL.len()),
        of(replies()),
        of(".{0,80}"),
        of(".{0,80}"),
        of(replies()),
        of(any::<u32>()),
    );
    let outcomes = (heads, times, words).prop_map(
        |(
            (row, attempt, verdict, at),
            (first_attempt_at, last_attempt_at, latency_us, bytes, connection),
            (class, reply, message_id, detail, archive, copied_by),
        )| {
            let class = class.map(|n| Class::ALL[n]);
            Record::Outcome(Outcome {
                row,
                attempt,
                verdict,
                at,
                connection,
                first_attempt_at,
                last_attempt_at,
                class,
                reply,
                latency_us,
                bytes,
                message_id,
                detail,
                archive,
                copied_by,
            })
        },
    );
    prop_oneof![intents, outcomes]
}

proptest! {
    #[test]
    fn records_read_back_as_they_were(group in proptest::collection::vec(records(), 0..20)) {
        let mut bytes = Vec::new();
        for record in &group {
            match record {
                Record::Intent(intent) => put_intent(&mut bytes, intent),
                Record::Outcome(outcome) => put_outcome(&mut bytes, outcome),
            }
        }
        let read: Vec<Record> = Records::new(&bytes).map(|raw| raw.unwrap().record().unwrap()).collect();
        prop_assert_eq!(&read, &group);
        for (raw, record) in Records::new(&bytes).zip(&group) {
            let head = raw.unwrap().head().unwrap();
            match record {
                Record::Intent(i) => prop_assert_eq!((head.row, head.attempt, head.verdict), (i.row, i.attempt, None)),
                Record::Outcome(o) => {
                    prop_assert_eq!((head.row, head.attempt, head.verdict), (o.row, o.attempt, Some(o.verdict)));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_records_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for raw in Records::new(&bytes).flatten() {
            let _ = raw.head();
            let _ = raw.record();
        }
    }

    #[test]
    fn spoiled_records_are_records_or_an_error(record in records(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = Vec::new();
        match &record {
            Record::Intent(intent) => put_intent(&mut bytes, intent),
            Record::Outcome(outcome) => put_outcome(&mut bytes, outcome),
        }
        let at = at % bytes.len();
        bytes[at] = byte;
        for raw in Records::new(&bytes).flatten() {
            let _ = raw.head();
            let _ = raw.record();
        }
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let mut outcome = accepted(7, 1, 0);
    outcome.detail = Some("é".repeat(40_000));
    let mut bytes = Vec::new();
    put_outcome(&mut bytes, &outcome);
    let Record::Outcome(read) = Records::new(&bytes).next().unwrap().unwrap().record().unwrap() else {
        panic!("an outcome was written")
    };
    assert_eq!(read.detail.unwrap(), "é".repeat(LONGEST_TEXT / 2));
    assert_eq!(read.message_id, outcome.message_id);
}
