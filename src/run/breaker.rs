//! Stops a run automatically when its outcomes show that sending more does harm.

use std::collections::VecDeque;

use crate::campaign::Stop;
use crate::journal::{Outcome, Verdict};
use crate::mail::{Class, Disposition};
use crate::run_dir::StopReason;

/// How many different replies a reason names.
const REPLIES_NAMED: usize = 3;

/// Watches outcomes against the limits of `[stop]`.
#[derive(Debug)]
pub struct Breaker {
    limits: Stop,
    /// The last final outcomes: true for a bounce.
    window: VecDeque<bool>,
    bounces: usize,
    authentication_failures: usize,
    /// The latest different replies behind bounces and authentication failures.
    replies: VecDeque<String>,
}

impl Breaker {
    /// A breaker that has seen nothing yet.
    pub fn new(limits: Stop) -> Self {
        Self {
            limits,
            window: VecDeque::new(),
            bounces: 0,
            authentication_failures: 0,
            replies: VecDeque::new(),
        }
    }

    /// Counts one outcome; returns the reason to stop once a limit is exceeded.
    pub fn observe(&mut self, outcome: &Outcome) -> Option<StopReason> {
        let accepted = outcome.verdict == Verdict::Final(Disposition::Accepted);
        let bounced = outcome.verdict == Verdict::Final(Disposition::Bounced);
        let unauthenticated = outcome.class == Some(Class::Authentication);
        if bounced || unauthenticated {
            self.remember(outcome);
        }
        self.observe_authentication(accepted, unauthenticated)
            .or_else(|| if accepted || bounced { self.observe_bounce(bounced) } else { None })
    }

    fn observe_authentication(&mut self, accepted: bool, unauthenticated: bool) -> Option<StopReason> {
        if accepted {
            self.authentication_failures = 0;
        }
        if !unauthenticated {
            return None;
        }
        self.authentication_failures += 1;
        let failures = self.limits.authentication_failures;
        (failures > 0 && self.authentication_failures >= failures)
            .then(|| StopReason::AuthenticationFailures { failures, replies: self.replies() })
    }

    fn observe_bounce(&mut self, bounced: bool) -> Option<StopReason> {
        self.window.push_back(bounced);
        self.bounces += usize::from(bounced);
        if self.window.len() > self.limits.bounce_window {
            self.bounces -= usize::from(self.window.pop_front() == Some(true));
        }
        // A share means something only over a full window.
        let full = self.window.len() == self.limits.bounce_window;
        let percent = self.bounces as f64 * 100.0 / self.window.len() as f64;
        let is_passed = full && self.limits.bounce_percent > 0.0 && percent > self.limits.bounce_percent;
        is_passed.then(|| StopReason::TooManyBounces {
            bounces: self.bounces,
            window: self.limits.bounce_window,
            replies: self.replies(),
        })
    }

    fn remember(&mut self, outcome: &Outcome) {
        let text = match (&outcome.reply, &outcome.detail) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(detail)) => detail.clone(),
            (None, None) => return,
        };
        if !self.replies.contains(&text) {
            self.replies.push_front(text);
            self.replies.truncate(REPLIES_NAMED);
        }
    }

    fn replies(&self) -> Vec<String> {
        self.replies.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Reply, Timestamp};

    fn outcome(disposition: Disposition, class: Option<Class>, code: u16) -> Outcome {
        let mut outcome = Outcome::new(0, 1, Verdict::Final(disposition), Timestamp(0));
        outcome.class = class;
        outcome.reply = Some(Reply { code, enhanced: None, text: "no".into() });
        outcome
    }

    fn accepted() -> Outcome {
        outcome(Disposition::Accepted, None, 250)
    }

    fn bounced() -> Outcome {
        outcome(Disposition::Bounced, Some(Class::BadMailbox), 550)
    }

    fn unauthenticated() -> Outcome {
        outcome(Disposition::Bounced, Some(Class::Authentication), 550)
    }

    #[test]
    fn stops_when_too_many_of_the_last_outcomes_are_bounces() {
        let limits =
            Stop { bounce_percent: 20.0, bounce_window: 10, authentication_failures: 0, ..Stop::default() };
        let mut breaker = Breaker::new(limits);
        for _ in 0..8 {
            assert_eq!(breaker.observe(&accepted()), None);
        }
        assert_eq!(breaker.observe(&bounced()), None);
        assert_eq!(breaker.observe(&bounced()), None, "two of ten are not more than 20 %");
        let reason = StopReason::TooManyBounces { bounces: 3, window: 10, replies: vec!["550 no".into()] };
        assert_eq!(breaker.observe(&bounced()), Some(reason), "three of ten are");
    }

    #[test]
    fn stops_after_failures_of_authentication_in_a_row() {
        let limits =
            Stop { bounce_percent: 0.0, bounce_window: 10, authentication_failures: 3, ..Stop::default() };
        let mut breaker = Breaker::new(limits);
        for outcome in
            [unauthenticated(), unauthenticated(), accepted(), unauthenticated(), unauthenticated()]
        {
            assert_eq!(breaker.observe(&outcome), None);
        }
        let reason = StopReason::AuthenticationFailures { failures: 3, replies: vec!["550 no".into()] };
        assert_eq!(breaker.observe(&unauthenticated()), Some(reason));
    }

    #[test]
    fn zero_is_never() {
        let mut breaker = Breaker::new(Stop {
            bounce_percent: 0.0,
            bounce_window: 10,
            authentication_failures: 0,
            ..Stop::default()
        });
        assert!((0..100).all(|_| breaker.observe(&unauthenticated()).is_none()));
    }
}
