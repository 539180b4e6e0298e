//! Styles that go into the elements of each message, and what that costs.

use super::finding::{Finding, Id};
use crate::template::CssInEach;

/// What there is to say of templates whose styles can't be put into their elements once.
pub(crate) fn check(in_each: &[CssInEach]) -> Option<Finding> {
    let first = in_each.first()?;
    let takes: f64 = in_each.iter().map(|each| each.takes.as_secs_f64() * 1_000.0).fold(0.0, f64::max);
    let more = match in_each.len() {
        1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let seen = format!("{} ({}){more}: about {takes:.1} ms for each message", first.why, first.place);
    Some(Finding::new(Id::CssInEach, seen))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::template::Place;

    #[test]
    fn the_reason_and_its_cost_are_named() {
        assert_eq!(check(&[]), None);
        let each = |micros| CssInEach {
            place: Place { template: "a.hbs".into(), line: 2, column: 3 },
            why: "`{{x}}` is in a class or an id".into(),
            takes: Duration::from_micros(micros),
        };
        let seen = |each: &[CssInEach]| check(each).unwrap().seen;
        assert_eq!(
            seen(&[each(340)]),
            "`{{x}}` is in a class or an id (a.hbs:2:3): about 0.3 ms for each message"
        );
        assert!(
            seen(&[each(340), each(1_250)])
                .ends_with("(a.hbs:2:3) and 1 more: about 1.2 ms for each message")
        );
    }
}
