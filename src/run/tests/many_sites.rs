//! Runs over many sites, found by looking up domains.

use super::*;
use crate::pacing::Rate;

/// The limits of a site, unless the test says otherwise.
const LIMITS: LaneLimits = LaneLimits {
    connections: 10,
    initial: 5,
    pipeline_depth: 1,
    recipients: 1,
    one_domain: true,
    rate: None,
    openings: None,
    only_way: false,
};

/// A run over the domains that `domain_of` returns, each with a site of its own.
fn world(
    setting: Setting,
    domain_of: impl Fn(u32) -> String,
    site: impl FnMut(Sent) -> (Duration, Fate) + 'static,
) -> World {
    let domains: Vec<String> = (0..setting.rows).map(domain_of).collect();
    let rows = (0..setting.rows).collect();
    let directory = Directory::new(rows, Vec::new(), |row| domains[row as usize].as_str());
    let mut world = World::with(setting, Vec::new(), directory, site);
    world.routes = Box::new(move |row, _| Ok(route(&domains[row as usize])));
    world
}

fn route(domain: &str) -> Routed {
    Routed { site: hops(domain), limits: LIMITS, provider: None }
}

fn no_reply(pending: Command) -> Fate {
    Fate::InDoubt { error: SessionError::Timeout { awaiting: pending } }
}

fn per_hour(per_hour: u64) -> Option<Capacity> {
    Some(Capacity { per_hour, ..Capacity::default() })
}

/// When the last row of those that `of` takes was sent, in seconds from the start.
fn last_sent(world: &World, of: impl Fn(&Sent) -> bool) -> f64 {
    world
        .sent
        .iter()
        .filter(|sent| of(sent))
        .map(|sent| sent.at.since(START).as_secs_f64())
        .fold(0.0, f64::max)
}

#[test]
fn domains_of_one_site_share_its_lane() {
    let mut world = world(
        Setting { rows: 600, ..Setting::default() },
        |row| format!("d{}", row % 60),
        |_| (10 * MS, accepted()),
    );
    world.routes = Box::new(|row, _| Ok(route(if row % 2 == 0 { "even" } else { "odd" })));
    world.run().assert_all(600, Disposition::Accepted);
    assert_eq!(world.lookups, 60);
    assert_eq!(world.most_lanes, 2);
    assert!(world.opened <= 2 * LIMITS.connections, "{} connections", world.opened);
}

#[test]
fn a_domain_without_mail_bounces_without_a_connection() {
    let mut world =
        world(Setting { rows: 9, ..Setting::default() }, |row| format!("d{}", row % 3), |_| (MS, accepted()));
    world.routes = Box::new(|row, _| match row % 3 {
        0 => Err(NoRoute {
            permanent: true,
            class: Class::BadDomain,
            suppress: true,
            text: "`d0` takes no mail (null MX)".into(),
        }),
        _ => Ok(route("others")),
    });
    world.run();
    let finals = world.finals();
    assert_eq!(finals.values().filter(|d| **d == Disposition::Bounced).count(), 3);
    assert_eq!(world.sent.len(), 6);
    assert_eq!(world.suppressed, [0, 3, 6]);
    let bounced = world.outcomes.iter().find(|outcome| outcome.row == 3).unwrap();
    assert_eq!((bounced.class, bounced.attempt), (Some(Class::BadDomain), 0));
    assert!(bounced.detail.as_ref().unwrap().contains("null MX"));
}

#[test]
fn a_lookup_that_fails_for_the_moment_is_tried_again_and_given_up_in_the_end() {
    let mut world =
        world(Setting { rows: 2, ..Setting::default() }, |row| format!("d{row}"), |_| (MS, accepted()));
    let servfail = |permanent| NoRoute {
        permanent,
        class: Class::Network,
        suppress: false,
        text: "no answer from the name server for `d1`: SERVFAIL".into(),
    };
    world.routes = Box::new(move |row, now| {
        if row == 0 && now >= START + Duration::from_secs(600) {
            Ok(route("d0"))
        } else {
            Err(servfail(false))
        }
    });
    world.run();
    let finals = world.finals();
    assert_eq!((finals[&0], finals[&1]), (Disposition::Accepted, Disposition::Deferred));
    assert!(world.sent[0].at.since(START) < Duration::from_secs(1_600));
    assert!(world.now.since(START) > Duration::from_secs(3 * 3_600));
}

/// The largest site stops for ten minutes: it accepts connections and answers nothing. The rest of
/// the mail goes on.
#[test]
fn a_site_that_stops_does_not_hold_up_the_others() {
    let rows = 60_000;
    let setting = || Setting { rows, capacity: per_hour(360_000), ..Setting::default() };
    // Half of the rows go to the site that stops.
    let domain = |row: u32| if row.is_multiple_of(2) { "big".to_owned() } else { format!("d{}", row % 200) };
    let stop_from = START + Duration::from_secs(20);
    let stop_to = stop_from + Duration::from_secs(600);
    let mut stopped = world(setting(), domain, move |sent| {
        if sent.site == "big" && sent.at >= stop_from && sent.at < stop_to {
            (
                Duration::from_secs(120),
                Fate::Failed { error: SessionError::Timeout { awaiting: Command::Rcpt } },
            )
        } else {
            (20 * MS, accepted())
        }
    });
    stopped.run().assert_all(rows, Disposition::Accepted);
    // The capacity is 100 a second. While the site stops, the others have all of it.
    let begin = stop_from + Duration::from_secs(5);
    let others_done = last_sent(&stopped, |sent| sent.site != "big");
    let others_end = START + Duration::from_secs_f64(others_done);
    let during = stopped.sent.iter().filter(|sent| sent.at >= begin && sent.at < others_end).count();
    let could = others_end.since(begin).as_secs_f64() * 100.0;
    assert!(others_end < stop_to, "the others are done before the site is back: {others_done}");
    assert!(during as f64 >= 0.99 * could, "{during} of {could}");
}

#[test]
fn a_slow_site_does_not_hold_up_the_others() {
    let setting = Setting { rows: 6_000, capacity: per_hour(360_000), ..Setting::default() };
    let domain = |row: u32| if row.is_multiple_of(20) { "slow".to_owned() } else { format!("d{}", row % 19) };
    let mut world = world(setting, domain, |sent| {
        (if sent.site == "slow" { Duration::from_secs(20) } else { 20 * MS }, accepted())
    });
    world.run().assert_all(6_000, Disposition::Accepted);
    // 5,700 at 100 a second.
    let others = last_sent(&world, |sent| sent.site != "slow");
    assert!(others < 57.0 * 1.03, "{others}");
}

#[test]
fn a_site_that_flaps_gets_its_rows_and_its_connections_follow() {
    let setting = Setting { rows: 3_000, ..Setting::default() };
    let mut world = world(
        setting,
        |_| "flap".to_owned(),
        |sent| {
            let minute = sent.at.since(START).as_secs() / 60;
            let busy = refused(451, "4.7.0 too many messages, slow down");
            (100 * MS, if minute % 2 == 0 && minute < 8 { busy } else { accepted() })
        },
    );
    world.run().assert_all(3_000, Disposition::Accepted);
    // It rested instead of running through its list with refusals: some attempts failed, not
    // thousands.
    let failed =
        world.outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Retry { .. })).count();
    assert!((5..200).contains(&failed), "{failed} refusals");
}

#[test]
fn a_known_reply_pauses_the_site() {
    let setting = Setting { rows: 400, ..Setting::default() };
    let mut world = world(
        setting,
        |row| ["yahoo", "other"][row as usize % 2].to_owned(),
        |sent| {
            let early = sent.at < START + Duration::from_secs(1);
            let ts = "4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume";
            (10 * MS, if sent.site == "yahoo" && early { refused(421, ts) } else { accepted() })
        },
    );
    world.run().assert_all(400, Disposition::Accepted);
    let yahoo: Vec<&Sent> = world.sent.iter().filter(|sent| sent.site == "yahoo").collect();
    let early = yahoo.iter().filter(|sent| sent.at < START + Duration::from_secs(7_200)).count();
    assert!(early <= 2 * LIMITS.connections, "{early} messages although the site was paused for two hours");
    assert!(last_sent(&world, |sent| sent.site == "other") < 5.0);
}

#[test]
fn a_provider_s_limits_hold_over_all_of_its_sites() {
    let setting = Setting { rows: 2_000, ..Setting::default() };
    let mut world = world(setting, |row| format!("tenant{}", row % 40), |_| (50 * MS, accepted()));
    let rate = Rate { tokens: 100, micros: 1_000_000 };
    world.routes = Box::new(move |row, _| {
        let limits = ProviderLimits { name: "365".into(), connections: Some(12), rate: Some(rate) };
        Ok(Routed { provider: Some(limits), ..route(&format!("tenant{}", row % 40)) })
    });
    world.run().assert_all(2_000, Disposition::Accepted);
    let took = last_sent(&world, |_| true);
    assert!((19.0..21.0).contains(&took), "2,000 at 100 a second took {took}");
    let mut ends: Vec<Timestamp> = Vec::new();
    for sent in &world.sent {
        ends.retain(|end| *end > sent.at);
        ends.push(sent.at + 50 * MS);
        // One more than the depth may be granted on each connection.
        assert!(ends.len() <= 2 * 12, "{} in flight over 12 connections", ends.len());
    }
}

#[test]
fn a_site_keeps_its_rate_and_its_rate_of_openings() {
    let setting = Setting { rows: 300, ..Setting::default() };
    let mut world = world(setting, |_| "site".to_owned(), |_| (MS, accepted()));
    world.routes = Box::new(|_, _| {
        let rate = Some(Rate { tokens: 10, micros: 1_000_000 });
        let openings = Some(Rate { tokens: 2, micros: 60_000_000 });
        Ok(Routed { limits: LaneLimits { rate, openings, ..LIMITS }, ..route("site") })
    });
    world.run().assert_all(300, Disposition::Accepted);
    let took = last_sent(&world, |_| true);
    assert!((29.0..31.0).contains(&took), "300 at 10 a second took {took}");
    assert!(world.opened <= 2, "{} connections", world.opened);
}

#[test]
fn a_local_address_keeps_its_rate() {
    let rate = Some(Rate { tokens: 40, micros: 1_000_000 });
    let sources = vec![SourceLimits { rate, ..SourceLimits::default() }; 2];
    let setting = Setting { rows: 4_000, sources, ..Setting::default() };
    let mut world = world(setting, |row| format!("d{}", row % 10), |_| (20 * MS, accepted()));
    world.run().assert_all(4_000, Disposition::Accepted);
    // Two addresses at 40 a second.
    let took = last_sent(&world, |_| true);
    assert!((49.0..52.0).contains(&took), "{took}");
}

#[test]
fn a_warm_up_s_day_ends_the_run_and_loses_nothing() {
    let sources = vec![SourceLimits { allowance: Some(50), ..SourceLimits::default() }];
    let setting = Setting { rows: 100, sources, ..Setting::default() };
    let mut world = world(setting, |row| format!("d{}", row % 3), |_| (20 * MS, accepted()));
    world.run();
    assert_eq!(*world.stopped(), StopReason::WarmUpSpent);
    assert_eq!((world.sent.len(), world.finals().len()), (50, 50));
}

#[test]
fn when_one_local_address_has_had_its_day_the_others_go_on() {
    let spent = SourceLimits { allowance: Some(10), ..SourceLimits::default() };
    let setting = Setting { rows: 200, sources: vec![spent, SourceLimits::default()], ..Setting::default() };
    let mut world = world(setting, |row| format!("d{}", row % 2), |_| (20 * MS, accepted()));
    world.run().assert_all(200, Disposition::Accepted);
}

#[test]
fn a_known_reply_in_place_of_a_greeting_pauses_the_provider() {
    let setting = Setting { rows: 60, ..Setting::default() };
    let mut world = world(setting, |row| format!("y{}", row % 3), |_| (MS, accepted()));
    world.routes = Box::new(|row, _| {
        let limits = ProviderLimits { name: "yahoo".into(), ..ProviderLimits::default() };
        Ok(Routed { provider: Some(limits), ..route(&format!("y{}", row % 3)) })
    });
    world.opens = Box::new(|site, now| {
        let ts = "4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume";
        let (reply, text) = (Some(reply(421, ts)), "no session: [TSS04]".to_owned());
        let trouble = Trouble { of_machine: false, permanent: false, class: Class::Network, text, reply };
        if site == "y0" && now < START + Duration::from_secs(1) { Err(trouble) } else { Ok(()) }
    });
    world.run().assert_all(60, Disposition::Accepted);
    let others = world.sent.iter().filter(|sent| sent.at < START + Duration::from_secs(7_000)).count();
    assert!(others <= 2 * 2 * LIMITS.connections, "{others} to the provider's other sites");
    assert!(last_sent(&world, |_| true) >= 7_200.0);
}

#[test]
fn a_site_that_refuses_for_good_ends_its_own_rows_only() {
    let mut world = world(
        Setting { rows: 100, ..Setting::default() },
        |row| format!("d{}", row % 2),
        |_| (MS, accepted()),
    );
    world.opens = Box::new(|site, _| {
        let text = "no session with `d1`: TLS is required, and was not offered".to_owned();
        let trouble =
            Trouble { of_machine: false, permanent: true, class: Class::TlsRequired, text, reply: None };
        if site == "d1" { Err(trouble) } else { Ok(()) }
    });
    world.run();
    let finals = world.finals();
    assert_eq!(*world.dispatcher.phase(), Phase::Finished);
    assert!(finals.iter().all(|(row, end)| (*end == Disposition::Bounced) == (row % 2 == 1)));
    assert!(world.outcomes.iter().all(|o| (o.class == Some(Class::TlsRequired)) == (o.row % 2 == 1)));
}

#[test]
fn the_answer_of_one_site_does_not_stop_the_run() {
    let mut world = world(
        Setting { rows: 40, ..Setting::default() },
        |row| format!("d{}", row % 2),
        |sent| {
            let refusal = refused(
                550,
                "5.7.515 Access denied, sending domain does not meet the required authentication level",
            );
            (MS, if sent.site == "d1" { refusal } else { accepted() })
        },
    );
    world.run();
    assert_eq!(*world.dispatcher.phase(), Phase::Finished);
    assert_eq!(world.finals().values().filter(|d| **d == Disposition::Accepted).count(), 20);
    assert!(world.suppressed.is_empty());
}

/// Many sites where nobody answers: they wait, take next to nothing, and the others are served.
#[test]
fn dead_sites_do_not_keep_the_others_from_being_looked_up() {
    let rows = 12_000;
    let mut world =
        world(Setting { rows, ..Setting::default() }, |row| format!("d{row}"), |_| (20 * MS, accepted()));
    world.opens = Box::new(|site, now| {
        let number: u32 = site[1..].parse().unwrap();
        let trouble = Trouble {
            of_machine: false,
            permanent: false,
            class: Class::Network,
            text: "timed out".into(),
            reply: None,
        };
        let dead = number.is_multiple_of(2) && now < START + Duration::from_secs(3_000);
        if dead { Err(trouble) } else { Ok(()) }
    });
    world.run().assert_all(rows, Disposition::Accepted);
    let living = last_sent(&world, |sent| sent.row % 2 == 1);
    assert!(living < 60.0, "{living}");
}

#[test]
fn a_lost_answer_at_one_site_is_in_doubt_there() {
    let mut world = world(
        Setting { rows: 10, ..Setting::default() },
        |row| format!("d{row}"),
        |sent| (MS, if sent.row == 4 { no_reply(Command::EndOfMessage) } else { accepted() }),
    );
    world.run();
    let finals = world.finals();
    assert_eq!(finals[&4], Disposition::InDoubt);
    assert_eq!(finals.values().filter(|d| **d == Disposition::Accepted).count(), 9);
}

#[test]
fn a_lane_stays_while_an_intent_of_its_last_connection_is_on_the_way() {
    let mut world =
        world(Setting { rows: 1, ..Setting::default() }, |_| "d".to_owned(), |_| (MS, accepted()));
    let (now, mut actions) = (world.now, Vec::new());
    let mut step = |world: &mut World, event: Option<Event>| {
        event.into_iter().for_each(|event| world.dispatcher.handle(event, now, &mut actions));
        world.dispatcher.advance(now, &mut actions);
        actions.pop()
    };
    let Some(Action::LookUp(domain, _)) = step(&mut world, None) else { panic!("no lookup") };
    let routed = Event::Routed(domain, Ok(route("d")));
    let Some(Action::Prepare { lane, tasks, .. }) = step(&mut world, Some(routed)) else {
        panic!("not prepared")
    };
    let prepared = Event::Prepared(world.prepare(lane, &tasks[..1]).remove(0));
    let Some(Action::Open { connection, .. }) = step(&mut world, Some(prepared)) else {
        panic!("not opened")
    };
    assert!(matches!(step(&mut world, Some(Event::Opened(connection, 1))), Some(Action::Grant(_))));
    // The connection closes before the intent is durable: the journal's thread can't hand the
    // transaction over.
    step(&mut world, Some(Event::Closed(connection, None)));
    world.dispatcher.handle(Event::Undelivered(connection, 0), now, &mut Vec::new());
    world.run().assert_all(1, Disposition::Accepted);
}
