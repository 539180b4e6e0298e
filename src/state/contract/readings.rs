use std::sync::Arc;

use chrono::{Days, NaiveDate};

use super::Fresh;
use crate::feedback::reputation::{ComplaintRate, NewReading, Observer, Reading, Readings, Subject, Verdict};
use crate::feedback::{Action, Effect, Import, Kind, Policy, Undo};
use crate::state::State;
use crate::state::contract::feedback::record;
use crate::suppression::testing::NOW;

fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 1).unwrap() + Days::new(number)
}

fn reading(subject: &str, number: u64) -> Reading {
    let subject: Subject = subject.parse().unwrap();
    let observer = match subject {
        Subject::Ip(_) => Observer::Snds,
        Subject::Domain(_) => Observer::Postmaster,
    };
    Reading {
        observer,
        subject,
        day: day(number),
        messages: Some(1_000),
        complaints: Some(ComplaintRate { percent: 0.1, is_less: true }),
        verdict: Some(Verdict::Green),
        trap_hits: None,
    }
}

fn keep(store: &dyn Readings, mail: &str, reading: &Reading) {
    store.keep(&[NewReading { mail, reading }]).unwrap();
}

pub(super) fn readings_are_found_by_day_and_the_last_counts(fresh: &Fresh) {
    let store = fresh.open().readings().unwrap();
    let (ip, domain) = (reading("192.0.2.1", 1), reading("x.example", 0));
    let empty = Reading { messages: None, complaints: None, verdict: None, trap_hits: Some(7), ..ip.clone() };
    let next = Reading { day: day(2), ..empty.clone() };
    keep(&*store, "a", &domain);
    keep(&*store, "b", &ip);
    keep(&*store, "c", &next);
    assert_eq!(store.since(day(0)).unwrap(), [ip.clone(), next.clone(), domain.clone()]);
    assert_eq!(store.since(day(1)).unwrap(), [ip.clone(), next.clone()]);
    keep(&*store, "d", &empty);
    assert_eq!(fresh.open().readings().unwrap().since(day(1)).unwrap(), [empty.clone(), next.clone()]);
    // One that is kept already changes nothing.
    keep(&*store, "b", &ip);
    assert_eq!(store.since(day(1)).unwrap(), [empty, next]);
}

pub(super) fn a_reading_that_was_taken_back_counts_no_longer(fresh: &Fresh) {
    let state: Arc<dyn State> = fresh.open();
    let (store, log) = (state.readings().unwrap(), state.feedback().unwrap());
    let (first, second) = (reading("192.0.2.1", 1), reading("192.0.2.1", 2));
    keep(&*store, "a", &first);
    keep(&*store, "b", &second);
    let mut import = Import { id: None, source: "snds.csv".into() };
    let records = ["a", "b"].map(|mail| {
        let nothing = record(mail, "ann@x.example", Action::Nothing(Effect::None));
        crate::feedback::Record { kind: Kind::Reputation, address: None, ..nothing }
    });
    log.append(&mut import, &records, &Policy::default(), NOW).unwrap();
    log.undo(&Undo::Mail("b".into()), &Policy::default(), NOW).unwrap();
    assert_eq!(store.since(day(0)).unwrap(), [first]);
    log.undo(&Undo::Import(import.id.unwrap()), &Policy::default(), NOW).unwrap();
    assert_eq!(store.since(day(0)).unwrap(), []);
}
