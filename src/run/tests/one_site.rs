//! Runs over one relay.

use super::*;

#[test]
fn every_row_is_sent_once_over_connections_that_are_kept() {
    let mut world = World::new(Setting { rows: 1_000, ..Setting::default() }, |_| (10 * MS, accepted()));
    world.run().assert_all(1_000, Disposition::Accepted);
    assert_eq!(world.sent.len(), 1_000);
    assert!(world.opened <= 4, "{} connections for a limit of 4", world.opened);
}

#[test]
fn what_is_in_flight_is_one_more_than_the_depth_of_each_connection() {
    let setting = Setting { connections: 3, depth: 2, ..Setting::default() };
    let mut world = World::new(setting, |_| (10 * MS, accepted()));
    world.run();
    assert_eq!(world.most_in_flight, 3 * (2 + 1));
}

#[test]
fn a_transient_refusal_is_tried_again_with_growing_waits() {
    let mut world = World::new(Setting { rows: 1, ..Setting::default() }, |sent| {
        (MS, if sent.attempt < 4 { refused(451, "4.3.0 try later") } else { accepted() })
    });
    world.run().assert_all(1, Disposition::Accepted);
    let waits: Vec<u64> = world.sent.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    assert_eq!(waits.len(), 3);
    assert!(waits[0] >= 20 && waits[1] > waits[0] && waits[2] > waits[1], "{waits:?}");
}

#[test]
fn what_stays_refused_is_deferred_when_the_time_is_over() {
    let mut world = World::new(Setting { rows: 3, ..Setting::default() }, |_| (MS, refused(451, "4.3.0 no")));
    world.run().assert_all(3, Disposition::Deferred);
    let took = world.now.since(START);
    assert!(
        took >= Duration::from_secs(3 * 3_600) && took <= Duration::from_secs(4 * 3_600 + 60),
        "{took:?}"
    );
}

#[test]
fn a_hard_bounce_ends_the_row_and_suppresses_its_address() {
    let mut world =
        World::new(Setting { rows: 2, ..Setting::default() }, |_| (MS, refused(550, "5.1.1 no such user")));
    world.run().assert_all(2, Disposition::Bounced);
    assert_eq!(world.suppressed, [0, 1]);
    assert_eq!(world.outcomes[0].class, Some(Class::BadMailbox));
}

#[test]
fn a_refusal_of_policy_suppresses_nobody() {
    let mut world =
        World::new(Setting { rows: 2, ..Setting::default() }, |_| (MS, refused(550, "5.7.1 policy")));
    world.run().assert_all(2, Disposition::Bounced);
    assert!(world.suppressed.is_empty());
}

#[test]
fn a_lost_connection_is_tried_again_and_a_lost_answer_never() {
    let lost = SessionError::Closed { awaiting: Command::Rcpt };
    let unanswered = SessionError::Closed { awaiting: Command::EndOfMessage };
    let mut world = World::new(Setting { rows: 10, ..Setting::default() }, move |sent| {
        let fate = match (sent.row, sent.attempt) {
            (3, 1) => Fate::Failed { error: lost.clone() },
            (5, _) => Fate::InDoubt { error: unanswered.clone() },
            _ => accepted(),
        };
        (MS, fate)
    });
    world.run();
    let finals = world.finals();
    assert_eq!(finals.len(), 10);
    assert_eq!((finals[&3], finals[&5]), (Disposition::Accepted, Disposition::InDoubt));
    assert_eq!(world.sent.iter().filter(|sent| sent.row == 5).count(), 1);
}

#[test]
fn a_message_that_was_not_started_goes_back_without_counting_as_an_attempt() {
    let mut expired = 0;
    let mut world = World::new(Setting { rows: 5, ..Setting::default() }, move |sent| {
        expired += u32::from(sent.row == 2);
        let fate = if sent.row == 2 && expired < 3 {
            Fate::NotStarted { why: NotStarted::Expired }
        } else {
            accepted()
        };
        (MS, fate)
    });
    world.run().assert_all(5, Disposition::Accepted);
    assert!(world.sent.iter().all(|sent| sent.attempt == 1));
    let withdrawn = world.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Withdrawn).count();
    assert_eq!(withdrawn, 2);
}

#[test]
fn the_pace_is_kept_and_retries_count() {
    let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
    let setting = Setting { rows: 3_000, capacity: Some(capacity), ..Setting::default() };
    let mut world = World::new(setting, |sent| {
        (MS, if sent.row % 3 == 0 && sent.attempt == 1 { refused(451, "4.3.0 no") } else { accepted() })
    });
    world.run().assert_all(3_000, Disposition::Accepted);
    assert_eq!(world.sent.len(), 4_000);
    let took = world.now.since(START).as_secs_f64();
    assert!((395.0..=440.0).contains(&took), "4,000 attempts at 10/s took {took} s");
}

#[test]
fn what_was_reserved_goes_back_soon_when_nothing_is_ready() {
    let capacity = Capacity { per_hour: 3_600_000, ..Capacity::default() };
    let setting = Setting { rows: 600, connections: 50, capacity: Some(capacity), ..Setting::default() };
    let mut world = World::new(setting, |sent| {
        (
            MS,
            if sent.attempt == 1 {
                refused(451, "4.7.1 Greylisted, please come back later")
            } else {
                accepted()
            },
        )
    });
    // All were refused once, and none is due again: other runs may have the rest of the capacity.
    world.run_until(START + Duration::from_secs(15));
    assert_eq!(world.sent.len(), 600);
    world.clock.set(Reading::simulated(world.now));
    let usage = world.ledger.usage().unwrap().remove(0);
    assert_eq!(usage.hour_used, 600);
    world.run().assert_all(600, Disposition::Accepted);
}

#[test]
fn a_ledger_that_fails_for_long_ends_the_run_and_for_a_moment_does_not() {
    let run = |fails: Duration| {
        let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
        let setting = Setting { rows: 1_000, capacity: Some(capacity), ..Setting::default() };
        let mut world = World::new(setting, |_| (MS, accepted()));
        let (from, to) = (START + Duration::from_secs(20), START + Duration::from_secs(20) + fails);
        world.ledger_fails = Box::new(move |now| now >= from && now < to);
        world.run();
        assert!(world.sent.iter().all(|sent| sent.at < from + Duration::from_secs(5) || sent.at >= to));
        world
    };
    run(Duration::from_secs(20)).assert_all(1_000, Disposition::Accepted);
    let stopped = run(Duration::from_secs(60));
    let detail = "can't reserve capacity in `state.db`: disk full".to_owned();
    assert_eq!(*stopped.stopped(), StopReason::LedgerFailed { detail });
    assert_eq!(stopped.finals().len(), stopped.sent.len(), "messages in flight have their outcome");
    assert!(stopped.now.since(START) < Duration::from_secs(60), "it did not wait for the ledger");
}

#[test]
fn rows_without_a_message_end_and_the_others_go_on() {
    let mut world = World::new(Setting { rows: 10, ..Setting::default() }, |_| (MS, accepted()));
    world.broken.insert(2, NotComposed::RenderFailed("no `name`".into()));
    world.broken.insert(4, NotComposed::Suppressed("unsubscribed".into()));
    world.run();
    let finals = world.finals();
    assert_eq!((finals[&2], finals[&4]), (Disposition::RenderFailed, Disposition::Suppressed));
    assert_eq!(world.sent.len(), 8);
    assert_eq!(*world.dispatcher.phase(), Phase::Finished);
}

fn signal(name: &str) -> StopReason {
    StopReason::Signal { signal: name.to_owned() }
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_starts_nothing() {
    let mut world = World::new(Setting { rows: 10_000, ..Setting::default() }, |_| (10 * MS, accepted()));
    world.later(Duration::from_secs(1), Event::Shutdown(Shutdown::Drain, signal("SIGINT")));
    world.run();
    assert_eq!(*world.stopped(), signal("SIGINT"));
    assert_eq!(world.finals().len(), world.sent.len());
    assert!(world.sent.len() < 10_000 && world.sent.last().unwrap().at <= START + Duration::from_secs(1));
}

#[test]
fn a_drain_does_not_wait_for_ever() {
    let mut world =
        World::new(Setting { rows: 10, ..Setting::default() }, |_| (Duration::from_secs(3_600), accepted()));
    world.later(Duration::from_secs(1), Event::Shutdown(Shutdown::Drain, signal("SIGTERM")));
    world.run();
    assert_eq!(world.now.since(START), Duration::from_secs(31));
    assert!(world.finals().is_empty());
}

#[test]
fn nothing_starts_after_the_time_given() {
    let end = START + Duration::from_secs(60);
    let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
    let ends = Some((end, StopReason::NotAfter));
    let setting = Setting { rows: 10_000, capacity: Some(capacity), end: ends, ..Setting::default() };
    let mut world = World::new(setting, |_| (MS, accepted()));
    world.run();
    assert_eq!(*world.stopped(), StopReason::NotAfter);
    assert!(world.sent.iter().all(|sent| sent.at < end));
    assert!((500..=620).contains(&world.sent.len()), "{} in a minute at 10/s", world.sent.len());
}

#[test]
fn a_site_that_is_never_reached_defers_its_rows() {
    let mut world = World::new(Setting { rows: 50, ..Setting::default() }, |_| (MS, accepted()));
    world.opens = Box::new(|_, _| {
        Err(Trouble {
            of_machine: false,
            permanent: false,
            class: Class::Network,
            text: "refused".into(),
            reply: None,
        })
    });
    world.run().assert_all(50, Disposition::Deferred);
    assert!(world.now.since(START) >= Duration::from_secs(4 * 3_600));
    assert!(world.opened < 300, "{} attempts to connect in four hours", world.opened);
}

#[test]
fn a_site_that_comes_back_gets_its_rows() {
    let mut world = World::new(Setting { rows: 50, ..Setting::default() }, |_| (MS, accepted()));
    world.opens = Box::new(|_, now| {
        let trouble = Trouble {
            of_machine: false,
            permanent: false,
            class: Class::Network,
            text: "refused".into(),
            reply: None,
        };
        if now < START + Duration::from_secs(600) { Err(trouble) } else { Ok(()) }
    });
    world.run().assert_all(50, Disposition::Accepted);
    assert!(world.now.since(START) <= Duration::from_secs(700));
}

#[test]
fn a_refused_login_stops_the_run_and_loses_nothing() {
    let mut world = World::new(Setting { rows: 50, ..Setting::default() }, |_| (MS, accepted()));
    world.opens = Box::new(|_, _| {
        let text = "535 5.7.8 bad password".to_owned();
        Err(Trouble { of_machine: false, permanent: true, class: Class::Authentication, text, reply: None })
    });
    world.run();
    let detail = "535 5.7.8 bad password".to_owned();
    assert_eq!(*world.stopped(), StopReason::LoginRefused { detail });
    assert!(world.outcomes.is_empty());
}

#[test]
fn too_many_bounces_stop_the_run() {
    let stop =
        Stop { bounce_percent: 20.0, bounce_window: 50, authentication_failures: 0, ..Stop::default() };
    let setting = Setting { rows: 10_000, stop, ..Setting::default() };
    let mut world = World::new(setting, |_| (MS, refused(550, "5.7.1 go away")));
    world.run();
    let replies = vec!["550 5.7.1 go away".to_owned()];
    assert_eq!(*world.stopped(), StopReason::TooManyBounces { bounces: 50, window: 50, replies });
    assert!(world.sent.len() < 100);
}

#[test]
fn an_intent_that_found_its_connection_gone_is_withdrawn_and_sent_again() {
    let mut world =
        World::new(Setting { rows: 1, connections: 1, ..Setting::default() }, |_| (MS, accepted()));
    // The connection closes while the intent is on its way: the journal's thread can't hand the
    // transaction over.
    let mut actions = Vec::new();
    let now = world.now;
    world.dispatcher.advance(now, &mut actions);
    let prepared = match actions.pop() {
        Some(Action::Prepare { lane, tasks, .. }) => world.prepare(lane, &tasks[..1]).remove(0),
        other => panic!("{other:?}"),
    };
    world.dispatcher.handle(Event::Prepared(prepared), now, &mut actions);
    world.dispatcher.advance(now, &mut actions);
    assert!(matches!(actions.pop(), Some(Action::Open { connection: ConnectionId(1), .. })));
    world.dispatcher.handle(Event::Opened(ConnectionId(1), 1), now, &mut actions);
    world.dispatcher.advance(now, &mut actions);
    assert!(matches!(actions.pop(), Some(Action::Grant(_))));
    world.dispatcher.handle(Event::Closed(ConnectionId(1), None), now, &mut actions);
    world.dispatcher.handle(Event::Undelivered(ConnectionId(1), 0), now, &mut actions);
    assert!(matches!(actions.pop(), Some(Action::Record(o)) if o.verdict == Verdict::Withdrawn));
    world.run().assert_all(1, Disposition::Accepted);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn connections_that_are_lost_before_any_message_are_failures_of_the_site() {
    let lost = || Fate::NotStarted { why: NotStarted::Lost(SessionError::ClosedIdle) };
    let mut world = World::new(Setting { rows: 10, ..Setting::default() }, move |_| (Duration::ZERO, lost()));
    world.loses = Some((MS, SessionError::ClosedIdle));
    world.run().assert_all(10, Disposition::Deferred);
    let took = world.now.since(START).as_secs();
    assert!((4 * 3_600..4 * 3_600 + 120).contains(&took), "given up after {took} s");
    assert!(world.opened < 300, "{} connections in four hours", world.opened);
    assert!(world.sent.iter().all(|sent| sent.attempt == 1), "no attempt was made");
    let detail = world.outcomes.last().and_then(|outcome| outcome.detail.clone()).unwrap_or_default();
    assert!(detail.contains("lost before the first message: connection closed by the server"), "{detail}");
}

#[test]
fn a_site_that_comes_back_gets_all_of_its_connections_once_a_message_has_gone() {
    let mut world = World::new(Setting { rows: 200, ..Setting::default() }, |_| (10 * MS, accepted()));
    world.opens = Box::new(|_, now| if now.since(START).as_secs() < 60 { Err(down()) } else { Ok(()) });
    world.run().assert_all(200, Disposition::Accepted);
    assert!(world.now.since(START).as_secs() < 130, "{}", world.now);
    assert!(world.most_in_flight > 2, "{} in flight at once", world.most_in_flight);
}

fn down() -> Trouble {
    Trouble {
        of_machine: false,
        permanent: false,
        class: Class::Network,
        text: "refused".into(),
        reply: None,
    }
}

#[test]
fn a_row_does_not_outlive_its_time_in_a_pause() {
    let setting = Setting {
        rows: 3,
        connections: 1,
        retry: RetryPolicy { give_up_after: Span::seconds(1_200), ..RetryPolicy::default() },
        ..Setting::default()
    };
    // Row 0 waits for another attempt when the answer to row 1 pauses the site for two hours. Row 2
    // was never tried: it has all its time.
    let mut world = World::new(setting, |sent| {
        let pausing = "4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to user complaints";
        match (sent.row, sent.attempt) {
            (0, _) => (MS, refused(451, "4.3.0 later")),
            (1, _) => (20 * MS, refused(421, pausing)),
            (2, 1) if sent.at < START + Duration::from_secs(60) => (40 * MS, not_started()),
            (_, _) => (MS, accepted()),
        }
    });
    world.run();
    let ended = |row: u32| {
        let end = world.outcomes.iter().find(|o| o.row == row && matches!(o.verdict, Verdict::Final(_)));
        let Outcome { verdict, at, .. } = end.unwrap();
        (*verdict, at.since(START).as_secs())
    };
    let deferred = Verdict::Final(Disposition::Deferred);
    assert_eq!([0, 1].map(ended), [(deferred, 0), (deferred, 0)], "no attempt comes in time");
    assert_eq!((ended(2).0, ended(2).1 / 60), (Verdict::Final(Disposition::Accepted), 120));
}

fn not_started() -> Fate {
    Fate::NotStarted { why: NotStarted::Expired }
}

#[test]
fn without_free_files_the_run_has_fewer_connections_and_no_row_ends_for_it() {
    let mut world = World::new(Setting { rows: 400, ..Setting::default() }, |_| (10 * MS, accepted()));
    let mut tries = 0;
    world.opens = Box::new(move |_, _| {
        tries += 1;
        if tries > 2 && tries < 20 { Err(no_file()) } else { Ok(()) }
    });
    world.run().assert_all(400, Disposition::Accepted);
    assert!(world.sent.iter().all(|sent| sent.attempt == 1));
    assert!(world.opened <= 5, "{} connections tried", world.opened);
}

#[test]
fn a_machine_without_a_single_free_file_stops_the_run_and_loses_nothing() {
    let mut world = World::new(Setting { rows: 50, ..Setting::default() }, |_| (MS, accepted()));
    world.opens = Box::new(|_, _| Err(no_file()));
    world.run();
    let detail = "too many open files; raise `ulimit -n`".to_owned();
    assert_eq!(*world.stopped(), StopReason::NoSession { detail });
    assert!(world.outcomes.is_empty());
    assert_eq!(world.now.since(START).as_secs(), 30);
}

fn no_file() -> Trouble {
    Trouble { of_machine: true, text: "too many open files".into(), ..down() }
}
