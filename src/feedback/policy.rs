//! What an event does: whom it puts on the suppression list, for how long, and why not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attribution::Recipient;
use super::event::{Event, Kind};
use crate::mail::{Class, ListId, Timestamp};
use crate::suppression::{Reason, Scope, Term};

/// A token says who bounced for this long.
const BOUNCES_FOR: Duration = Duration::from_secs(30 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// How events become suppressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many soft bounces suppress an address.
    pub soft_limit: u32,
    /// They count within this time.
    pub soft_within: Duration,
    /// How long a bounce suppresses an address.
    pub term: Duration,
    /// What mail a complaint stops.
    pub complaint_scope: ComplaintScope,
}

/// What mail a complaint stops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComplaintScope {
    /// All.
    #[default]
    All,
    /// That of the list whose mail the complaint is about; all, where that has no `list-id`.
    List,
}

impl Policy {
    /// What mail `action` stops, or allows again, where the mail that it is about is of `list`.
    pub fn scope(&self, action: Action, list: Option<&ListId>) -> Scope {
        let is_of_list = match action {
            // Whoever leaves a newsletter has not left what else there is.
            Action::Unsubscribe => true,
            Action::Complaint | Action::TakeBack => self.complaint_scope == ComplaintScope::List,
            // The address is bad, whatever is sent to it.
            Action::Hard | Action::Soft | Action::Nothing(_) => false,
        };
        Scope::of(list.filter(|_| is_of_list).cloned())
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            soft_limit: 3,
            soft_within: 14 * DAY,
            term: 45 * DAY,
            complaint_scope: ComplaintScope::default(),
        }
    }
}

/// What an event is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The recipient goes on the suppression list: the address is bad.
    Hard,
    /// It goes there once there were too many of these.
    Soft,
    /// It goes there for ever: the recipient complained.
    Complaint,
    /// It goes there for ever: the recipient wants no more mail.
    Unsubscribe,
    /// Complaints of the recipient count no longer.
    TakeBack,
    /// Nothing.
    Nothing(Effect),
}

impl Action {
    /// The word that a store keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::TakeBack => "take_back",
            Self::Nothing(_) => "nothing",
        }
    }

    /// The action that a store has kept; [`Effect::None`] stands for the reason of nothing.
    pub fn of_word(word: &str) -> Self {
        [Self::Hard, Self::Soft, Self::Complaint, Self::Unsubscribe, Self::TakeBack]
            .into_iter()
            .find(|action| action.as_str() == word)
            .unwrap_or(Self::Nothing(Effect::None))
    }

    /// The reason and the term of an entry that the action makes.
    pub(super) fn entry(self, policy: &Policy) -> Option<(Reason, Term)> {
        match self {
            Self::Hard => Some((Reason::BadMailbox, Term::For(policy.term))),
            Self::Soft => Some((Reason::Other("soft_bounces".to_owned()), Term::For(policy.term))),
            Self::Complaint => Some((Reason::Complaint, Term::Permanent)),
            Self::Unsubscribe => Some((Reason::Unsubscribe, Term::Permanent)),
            Self::TakeBack | Self::Nothing(_) => None,
        }
    }
}

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The address is on the suppression list since, or for longer.
    Suppressed,
    /// It was there for ever.
    AlreadySuppressed,
    /// A soft bounce: counted, and not the last that is allowed.
    Counted,
    /// Complaints count no longer.
    TakenBack,
    /// Nothing, as others of its kind.
    None,
    /// Nothing: the mail names no recipient of a run.
    NotOurs,
    /// Nothing: it may be made up.
    Unverified,
    /// Nothing: the run is too long ago.
    Expired,
    /// Nothing: the message was never handed over.
    NotHandedOver,
    /// Nothing: the mail was read before.
    ReadBefore,
    /// Nothing: it names a run that can't be read, or may be about one. The mail is not in the log,
    /// and can be read again.
    LeftOut,
}

impl Effect {
    /// All effects.
    pub const ALL: [Self; 11] = [
        Self::Suppressed,
        Self::AlreadySuppressed,
        Self::Counted,
        Self::TakenBack,
        Self::None,
        Self::NotOurs,
        Self::Unverified,
        Self::Expired,
        Self::NotHandedOver,
        Self::ReadBefore,
        Self::LeftOut,
    ];

    /// The word in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::AlreadySuppressed => "already_suppressed",
            Self::Counted => "counted",
            Self::TakenBack => "taken_back",
            Self::None => "none",
            Self::NotOurs => "not_ours",
            Self::Unverified => "unverified",
            Self::Expired => "expired",
            Self::NotHandedOver => "not_handed_over",
            Self::ReadBefore => "read_before",
            Self::LeftOut => "left_out",
        }
    }

    /// The effect that a store has kept.
    pub fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|effect| effect.as_str() == word).unwrap_or(Self::None)
    }
}

/// What `event` is to do at `now`, which concerns `recipient`.
pub fn decide(event: &Event, recipient: Option<&Recipient>, now: Timestamp) -> Action {
    let action = match event.kind {
        Kind::Bounce if event.hard => Action::Hard,
        Kind::Bounce if is_about_the_address(event.class) => Action::Soft,
        Kind::Complaint => Action::Complaint,
        Kind::NotSpam => Action::TakeBack,
        Kind::Unsubscribe => Action::Unsubscribe,
        Kind::Bounce
        | Kind::Delay
        | Kind::Delivered
        | Kind::AuthFailure
        | Kind::AutoReply
        | Kind::Challenge
        | Kind::DmarcAggregate
        | Kind::TlsReport
        | Kind::Reputation
        | Kind::Open
        | Kind::Click
        | Kind::Other => return Action::Nothing(Effect::None),
    };
    let Some(recipient) = recipient else { return Action::Nothing(Effect::NotOurs) };
    if !recipient.trusted {
        return Action::Nothing(Effect::Unverified);
    }
    match (action, recipient.handed_over) {
        // Links are followed for years, and who has one need not be asked whence.
        (Action::Unsubscribe, _) => action,
        (_, None) => Action::Nothing(Effect::NotHandedOver),
        (Action::Hard | Action::Soft, Some(at)) if now.since(at) > BOUNCES_FOR => {
            Action::Nothing(Effect::Expired)
        }
        (_, Some(_)) => action,
    }
}

/// Whether many refusals of this class tell that mail to the address is useless. The rest is about
/// the sender, the message or the moment.
fn is_about_the_address(class: Option<Class>) -> bool {
    match class {
        Some(
            Class::BadMailbox
            | Class::BadDomain
            | Class::MailboxFull
            | Class::Unavailable
            | Class::Network
            | Class::Routing
            | Class::Protocol
            | Class::Other,
        )
        | None => true,
        Some(
            Class::Policy
            | Class::Spam
            | Class::Blocklist
            | Class::Authentication
            | Class::RateLimited
            | Class::TlsRequired
            | Class::TooLarge
            | Class::Greylisted,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::attribution::By;
    use super::*;
    use crate::mail::Address;

    const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

    fn recipient(by: By, trusted: bool, days: Option<u32>) -> Recipient {
        Recipient {
            campaign: "spring".into(),
            run: "run".into(),
            row: Some(7),
            address: Address::parse("ann@a.example").unwrap(),
            list_id: None,
            by,
            trusted,
            handed_over: days.map(|days| NOW - days * DAY),
        }
    }

    fn event(kind: Kind, class: Option<Class>, hard: bool) -> Event {
        Event { class, hard, ..Event::new(kind, None) }
    }

    #[test]
    fn each_kind_does_what_the_docs_say() {
        let check = |kind: Kind, class: Option<Class>, hard: bool, action: Action| {
            let sure = recipient(By::Envelope, true, Some(1));
            assert_eq!(decide(&event(kind, class, hard), Some(&sure), NOW), action, "{kind:?} {class:?}");
        };
        check(Kind::Bounce, Some(Class::BadMailbox), true, Action::Hard);
        check(Kind::Bounce, Some(Class::MailboxFull), false, Action::Soft);
        for class in [Class::Policy, Class::Spam, Class::Blocklist, Class::Authentication, Class::RateLimited]
        {
            check(Kind::Bounce, Some(class), false, Action::Nothing(Effect::None));
        }
        check(Kind::Complaint, None, false, Action::Complaint);
        check(Kind::NotSpam, None, false, Action::TakeBack);
        check(Kind::Unsubscribe, None, false, Action::Unsubscribe);
        for kind in [
            Kind::Delay,
            Kind::Delivered,
            Kind::AuthFailure,
            Kind::AutoReply,
            Kind::Challenge,
            Kind::DmarcAggregate,
            Kind::TlsReport,
            Kind::Reputation,
            Kind::Open,
            Kind::Click,
            Kind::Other,
        ] {
            check(kind, Some(Class::BadMailbox), false, Action::Nothing(Effect::None));
        }
    }

    #[test]
    fn what_is_not_sure_does_nothing() {
        let check = |kind: Kind, recipient: Option<Recipient>, action: Action| {
            let event = event(kind, Some(Class::BadMailbox), kind == Kind::Bounce);
            assert_eq!(decide(&event, recipient.as_ref(), NOW), action, "{kind:?} {recipient:?}");
        };
        let nothing = Action::Nothing;
        for kind in [Kind::Bounce, Kind::Complaint, Kind::Unsubscribe, Kind::NotSpam] {
            check(kind, None, nothing(Effect::NotOurs));
            check(kind, Some(recipient(By::Address, false, Some(1))), nothing(Effect::Unverified));
        }
        check(Kind::Bounce, Some(recipient(By::Envelope, true, Some(31))), nothing(Effect::Expired));
        check(Kind::Bounce, Some(recipient(By::Envelope, true, None)), nothing(Effect::NotHandedOver));
        check(Kind::Complaint, Some(recipient(By::Envelope, true, None)), nothing(Effect::NotHandedOver));
        check(Kind::Complaint, Some(recipient(By::Envelope, true, Some(99))), Action::Complaint);
        check(Kind::Unsubscribe, Some(recipient(By::Link, true, None)), Action::Unsubscribe);
    }

    #[test]
    fn an_unsubscribe_is_for_its_list_and_a_bad_address_for_all_mail() {
        let news: ListId = "news.example".parse().unwrap();
        let of_list = Policy { complaint_scope: ComplaintScope::List, ..Policy::default() };
        let check = |action: Action, usual: Option<&ListId>, with_list: Option<&ListId>| {
            assert_eq!(Policy::default().scope(action, Some(&news)).list(), usual, "{action:?}");
            assert_eq!(of_list.scope(action, Some(&news)).list(), with_list, "{action:?}");
            assert_eq!(of_list.scope(action, None), Scope::All, "{action:?}");
        };
        check(Action::Hard, None, None);
        check(Action::Soft, None, None);
        check(Action::Complaint, None, Some(&news));
        check(Action::TakeBack, None, Some(&news));
        check(Action::Unsubscribe, Some(&news), Some(&news));
    }

    #[test]
    fn words_are_read_again() {
        assert!(Effect::ALL.into_iter().all(|effect| Effect::of_word(effect.as_str()) == effect));
        for action in [Action::Hard, Action::Soft, Action::Complaint, Action::Unsubscribe, Action::TakeBack] {
            assert_eq!(Action::of_word(action.as_str()), action);
        }
    }
}
