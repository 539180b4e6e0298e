//! Scripts in a recipient's local part. The table in [`super`] defines them.
//!
//! Parses scripts, counts attempts and their rate; the session acts on them.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::mail::EnhancedStatus;

/// Each form of a local part that scripts the sandbox, and its effect.
pub const BEHAVIOURS: &[(&str, &str)] = &[
    ("rcpt-<code>[-<x.y.z>]", "RCPT is answered with this code (400 to 599) and enhanced status"),
    ("predata-<code>[-<x.y.z>]", "DATA, or the first BDAT, is answered with it"),
    ("data-<code>[-<x.y.z>]", "the end of the message is answered with it; the message is not accepted"),
    ("421", "as rcpt-421; after any 421 the connection is closed"),
    ("greylist", "as rcpt-451-4.7.1-once"),
    (
        "rate-<n>",
        "at most so many messages a second, over all connections; beyond that RCPT is answered 451 4.4.5",
    ),
    ("slow-<n>ms, slow-<n>s", "the message is accepted; its reply comes after this time"),
    ("slow-rcpt-<n>ms, slow-rcpt-<n>s", "the reply to RCPT comes after this time"),
    ("multiline", "the message is accepted with a reply of three lines"),
    ("drop-at-rcpt", "the connection is closed instead of a reply to RCPT"),
    ("drop-in-data", "the connection is closed when the first bytes of the content arrive"),
    ("drop-after-dot", "the message is accepted; the connection is closed instead of a reply"),
    ("lose-after-dot", "the connection is closed instead of a reply; the message is not accepted"),
    ("reset-at-rcpt, reset-in-data, reset-after-dot", "as drop-…, with a TCP reset"),
    ("stall-at-rcpt", "RCPT is never answered; the connection stays open"),
    ("stall-in-data", "the rest of the content is not read; the connection stays open"),
    ("stall-after-dot", "the message is accepted and never answered; the connection stays open"),
    ("garbage-at-rcpt", "RCPT is answered with bytes that are not a reply; the connection is closed"),
    ("garbage-after-dot", "the message is accepted; its end is answered with bytes that are not a reply"),
    ("overlong-after-dot", "the message is accepted; the reply is a line of 100,000 octets"),
];

/// Suffixes of these forms: how often a script acts, and how to write several addresses with one
/// script.
pub const BEHAVIOUR_SUFFIXES: &[(&str, &str)] = &[
    ("…-once, …-twice, …-<n>-times", "only the first attempts at this address; later ones are accepted"),
    ("…-always", "every attempt (the default of all but greylist)"),
    ("…+<anything>", "another address with the same script"),
];

/// The point of a transaction where a script acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Point {
    /// At RCPT.
    Recipient,
    /// At DATA or the first BDAT.
    ContentCommand,
    /// When the first bytes of the content arrive.
    InContent,
    /// After the end of the content.
    ContentEnd,
}

/// What happens there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Answer with this, and refuse.
    Refuse { code: u16, enhanced: Option<EnhancedStatus> },
    /// Accept so many in any second, over all addresses with this script; refuse the rest.
    Throttle(u32),
    /// Accept after this time.
    Slow(Duration),
    /// Accept in three lines.
    Multiline,
    /// Close without a reply; at the end of the content, the message is accepted.
    Drop,
    /// Close without a reply, and do not accept the message.
    Lose,
    /// Like `Drop`, with a TCP reset.
    Reset,
    /// Stay silent.
    Stall,
    /// Answer with bytes that are not a reply.
    Garbage,
    /// Accept with a line that no client should read to its end.
    Overlong,
}

/// A deed at a point, for the first `times` attempts or always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub point: Point,
    pub deed: Deed,
    pub times: Option<u32>,
}

impl Script {
    /// The script in an address; `None` if its local part has none of the forms.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        let base = local.split('+').next().expect("split gives at least one part").to_ascii_lowercase();
        let (base, times) = split_times(&base);
        let script = |point, deed| Some(Self { point, deed, times: times.unwrap_or(None) });
        match base {
            "421" => return script(Point::Recipient, Deed::Refuse { code: 421, enhanced: None }),
            "greylist" => {
                let deed = Deed::Refuse { code: 451, enhanced: "4.7.1".parse().ok() };
                return Some(Self { point: Point::Recipient, deed, times: times.unwrap_or(Some(1)) });
            }
            "multiline" => return script(Point::ContentEnd, Deed::Multiline),
            _ => {}
        }
        let (verb, rest) = base.split_once('-')?;
        match verb {
            "rcpt" => script(Point::Recipient, refusal(rest)?),
            "predata" => script(Point::ContentCommand, refusal(rest)?),
            "data" => script(Point::ContentEnd, refusal(rest)?),
            "rate" => script(Point::Recipient, Deed::Throttle(rest.parse().ok().filter(|most| *most > 0)?)),
            "slow" => match rest.strip_prefix("rcpt-") {
                Some(time) => script(Point::Recipient, Deed::Slow(duration(time)?)),
                None => script(Point::ContentEnd, Deed::Slow(duration(rest)?)),
            },
            _ => {
                let deed = match verb {
                    "drop" => Deed::Drop,
                    "lose" => Deed::Lose,
                    "reset" => Deed::Reset,
                    "stall" => Deed::Stall,
                    "garbage" => Deed::Garbage,
                    "overlong" => Deed::Overlong,
                    _ => return None,
                };
                let point = match rest {
                    "at-rcpt" => Point::Recipient,
                    "in-data" => Point::InContent,
                    "after-dot" => Point::ContentEnd,
                    _ => return None,
                };
                let known = match deed {
                    Deed::Lose | Deed::Overlong => point == Point::ContentEnd,
                    Deed::Garbage => point != Point::InContent,
                    Deed::Drop | Deed::Reset | Deed::Stall => true,
                    Deed::Refuse { .. } | Deed::Throttle(_) | Deed::Slow(_) | Deed::Multiline => false,
                };
                known.then(|| script(point, deed)).flatten()
            }
        }
    }
}

/// Removes `-once`, `-twice`, `-<n>-times` or `-always` from the end. `Some(None)` means always,
/// `None` that there is no suffix.
fn split_times(base: &str) -> (&str, Option<Option<u32>>) {
    let Some((head, word)) = base.rsplit_once('-') else { return (base, None) };
    match word {
        "once" => (head, Some(Some(1))),
        "twice" => (head, Some(Some(2))),
        "always" => (head, Some(None)),
        "times" => match head.rsplit_once('-').and_then(|(head, n)| Some((head, n.parse().ok()?))) {
            Some((head, n)) => (head, Some(Some(n))),
            None => (base, None),
        },
        _ => (base, None),
    }
}

/// `<code>` or `<code>-<x.y.z>`.
fn refusal(text: &str) -> Option<Deed> {
    let (code, enhanced) = match text.split_once('-') {
        Some((code, enhanced)) => (code, Some(enhanced.parse().ok()?)),
        None => (text, None),
    };
    let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let code = code.parse().ok().filter(|code| digits && (400..=599).contains(code))?;
    Some(Deed::Refuse { code, enhanced })
}

/// `<n>ms` or `<n>s`, at most an hour.
fn duration(text: &str) -> Option<Duration> {
    let time = match text.strip_suffix("ms") {
        Some(n) => Duration::from_millis(n.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    (time <= Duration::from_secs(3600)).then_some(time)
}

/// How often each address with a counted script was tried, and how many were accepted within the
/// last second at each rate; for all connections.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    counts: Mutex<HashMap<(Point, String), u32>>,
    accepted: Mutex<HashMap<u32, VecDeque<Instant>>>,
}

/// Addresses that are counted: some 100 MB. Beyond it all counts start again.
const COUNTED_ADDRESSES: usize = 1 << 20;

impl Attempts {
    /// Counts one attempt; true while the script still acts on it.
    pub(super) fn acts(&self, script: &Script, address: &str) -> bool {
        if let Deed::Throttle(most) = script.deed
            && self.has_room(most, Instant::now())
        {
            return false;
        }
        let Some(times) = script.times else { return true };
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if counts.len() >= COUNTED_ADDRESSES {
            counts.clear();
        }
        let count = counts.entry((script.point, address.to_lowercase())).or_default();
        *count = count.saturating_add(1);
        *count <= times
    }

    /// Takes a place among `most` in a second; false if there is none.
    fn has_room(&self, most: u32, now: Instant) -> bool {
        let mut accepted = self.accepted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let accepted = accepted.entry(most).or_default();
        while accepted.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
            accepted.pop_front();
        }
        let has_room = accepted.len() < most as usize;
        if has_room {
            accepted.push_back(now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(local: &str, point: Point, deed: Deed, times: Option<u32>) {
        let address = format!("{local}@example.com");
        assert_eq!(Script::parse(&address), Some(Script { point, deed, times }), "{local}");
    }

    fn refuse(code: u16, enhanced: &str) -> Deed {
        Deed::Refuse { code, enhanced: enhanced.parse().ok() }
    }

    #[test]
    fn every_form_is_understood() {
        use Deed::*;
        use Point::*;
        reads("rcpt-550", Recipient, refuse(550, ""), None);
        reads("RCPT-552-5.2.2+17", Recipient, refuse(552, "5.2.2"), None);
        reads("rcpt-451-twice+a+b-once", Recipient, refuse(451, ""), Some(2));
        reads("rcpt-451-4.7.1-12-times", Recipient, refuse(451, "4.7.1"), Some(12));
        reads("rcpt-451-always", Recipient, refuse(451, ""), None);
        reads("predata-450-once", ContentCommand, refuse(450, ""), Some(1));
        reads("data-554-5.7.1", ContentEnd, refuse(554, "5.7.1"), None);
        reads("421", Recipient, refuse(421, ""), None);
        reads("421-once+x", Recipient, refuse(421, ""), Some(1));
        reads("greylist", Recipient, refuse(451, "4.7.1"), Some(1));
        reads("greylist-twice", Recipient, refuse(451, "4.7.1"), Some(2));
        reads("greylist-always", Recipient, refuse(451, "4.7.1"), None);
        reads("rate-10+7", Recipient, Throttle(10), None);
        reads("slow-200ms", ContentEnd, Slow(Duration::from_millis(200)), None);
        reads("slow-2s", ContentEnd, Slow(Duration::from_secs(2)), None);
        reads("slow-rcpt-5ms-once", Recipient, Slow(Duration::from_millis(5)), Some(1));
        reads("multiline", ContentEnd, Multiline, None);
        reads("drop-at-rcpt", Recipient, Drop, None);
        reads("drop-in-data-once", InContent, Drop, Some(1));
        reads("drop-after-dot", ContentEnd, Drop, None);
        reads("lose-after-dot", ContentEnd, Lose, None);
        reads("reset-at-rcpt", Recipient, Reset, None);
        reads("reset-in-data", InContent, Reset, None);
        reads("reset-after-dot", ContentEnd, Reset, None);
        reads("stall-at-rcpt", Recipient, Stall, None);
        reads("stall-in-data", InContent, Stall, None);
        reads("stall-after-dot", ContentEnd, Stall, None);
        reads("garbage-at-rcpt", Recipient, Garbage, None);
        reads("garbage-after-dot", ContentEnd, Garbage, None);
        reads("overlong-after-dot", ContentEnd, Overlong, None);
    }

    #[test]
    fn the_table_lists_nothing_that_is_not_understood() {
        for (forms, _) in BEHAVIOURS {
            for form in forms.split(", ") {
                let with_all = form.replace("<code>", "450").replace("<n>", "3").replace("<x.y.z>", "4.2.1");
                let with_all = with_all.replace(['[', ']'], "");
                assert!(Script::parse(&with_all).is_some(), "{form}");
                for (suffixes, _) in BEHAVIOUR_SUFFIXES {
                    for suffix in suffixes.split(", ") {
                        let end = suffix.replace('…', "").replace("<n>", "7");
                        assert!(Script::parse(&format!("{with_all}{end}")).is_some(), "{form}{suffix}");
                    }
                }
            }
        }
    }

    #[test]
    fn people_are_not_scripts() {
        for local in [
            "bob",
            "rcpt",
            "rcpt-",
            "rcpt-250",
            "rcpt-600",
            "rcpt-4510",
            "rcpt-+55",
            "rcpt-550-5.1",
            "data-entry",
            "slow",
            "slow-motion",
            "rate-0",
            "rate-limit",
            "slow-ms",
            "slow-9999s",
            "drop-off",
            "garbage-in-data",
            "overlong-at-rcpt",
            "once",
            "-once",
            "4210",
            "greylists",
            "times",
            "x-times",
            "a-3-times",
            "",
        ] {
            assert_eq!(Script::parse(&format!("{local}@example.com")), None, "{local}");
        }
    }

    #[test]
    fn a_rate_holds_for_all_of_its_addresses_in_any_second() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let taken = |ms: u64| attempts.has_room(2, start + Duration::from_millis(ms));
        assert_eq!([0, 500, 999, 1_000, 1_499, 1_500].map(taken), [true, true, false, true, false, true]);
        assert!(attempts.has_room(3, start), "another rate counts for itself");
    }

    #[test]
    fn attempts_are_counted_per_address_and_point() {
        let attempts = Attempts::default();
        let script = Script::parse("rcpt-451-twice@example.com").unwrap();
        let acts: Vec<bool> = (0..4).map(|_| attempts.acts(&script, "rcpt-451-twice@example.com")).collect();
        assert_eq!(acts, [true, true, false, false]);
        assert!(attempts.acts(&script, "rcpt-451-twice+2@example.com"), "another address counts for itself");
        assert!(!attempts.acts(&script, "RCPT-451-twice@Example.com"), "case does not tell addresses apart");
        let always = Script::parse("rcpt-451@example.com").unwrap();
        assert!((0..5).all(|_| attempts.acts(&always, "rcpt-451@example.com")));
    }
}
