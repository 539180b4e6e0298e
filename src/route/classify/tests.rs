use std::sync::LazyLock;

use super::*;
use crate::mail::EnhancedStatus;

static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(Classifier::default);

fn reply(text: &str) -> Reply {
    rule::sample(text).unwrap_or_else(|| panic!("not a reply: {text}"))
}

#[test]
fn every_rule_fits_its_tests_and_no_rule_before_it_does() {
    let classifier = &*CLASSIFIER;
    let mut wrong = Vec::new();
    for rule in &classifier.rules {
        assert!(!rule.tests.is_empty(), "rule `{}` has no test", rule.name);
        for test in &rule.tests {
            let found = classifier.rule_name(&reply(test));
            if found != Some(&rule.name) {
                wrong.push(format!("{}: {found:?} matches {test}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_have_different_names() {
    let mut names: Vec<String> = CLASSIFIER.rules.iter().map(|rule| rule.name.clone()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// Replies that no rule has as its test, and their meaning.
#[test]
fn replies_from_the_world() {
    use Class::*;
    use Reaction::{GiveUp, StopRun, TryAgain};
    let classifier = &*CLASSIFIER;
    let provider_for = |minutes: u64| Reaction::PauseProvider(Duration::from_secs(minutes * 60));
    let check = |text: &str, class: Class, reaction: Reaction, suppress: bool| {
        let expected = Classification { class, reaction, suppress, is_final: false };
        let reply = reply(text);
        assert_eq!(classifier.classify(&reply), expected, "{text} (rule {:?})", classifier.rule_name(&reply));
    };
    // Mailboxes and domains that do not exist.
    check("550 5.1.1 <x@y.example>: Recipient address rejected: User unknown", BadMailbox, GiveUp, true);
    check("550 5.1.1 User Unknown - https://example.net/help", BadMailbox, GiveUp, true);
    check("550 5.1.1 <x@y.example> User doesn't exist: x@y.example", BadMailbox, GiveUp, true);
    check("550 no mailbox by that name is currently available", BadMailbox, GiveUp, true);
    check("550 Mailbox not found", BadMailbox, GiveUp, true);
    check("550 Recipient not found", BadMailbox, GiveUp, true);
    check(
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
        BadMailbox,
        GiveUp,
        false,
    );
    check("550 5.1.10 RESOLVER.ADR.ExRecipientNotFound; not found", BadMailbox, GiveUp, true);
    check("556 5.1.10 Recipient address has a null MX", BadDomain, GiveUp, true);
    check(
        "450 4.1.1 <x@y.example>: Recipient address rejected: undeliverable address",
        BadMailbox,
        TryAgain,
        false,
    );
    // A code and a status that contradict each other suppress nobody.
    check("550 4.1.1 Recipient unknown", BadMailbox, GiveUp, false);
    // A status that speaks of policy suppresses nobody either.
    check("554 5.7.1 <x@y.example>: Recipient address rejected: user unknown", BadMailbox, GiveUp, false);
    check("550 5.7.1 <mail.example.com>: Helo command rejected: Host not found", Policy, GiveUp, false);
    check("521 mx.y.example does not accept mail", BadDomain, GiveUp, false);
    check("550 Host unknown", BadDomain, GiveUp, true);
    // Full.
    check("552 5.2.2 Over quota", MailboxFull, TryAgain, false);
    check("554 5.2.2 mailbox full", MailboxFull, TryAgain, false);
    check("422 4.2.2 Mailbox over quota", MailboxFull, TryAgain, false);
    // Authentication: never suppresses, whatever else it says.
    check("550 5.7.515 Access denied, user unknown", Authentication, GiveUp, false);
    check(
        "550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
        Authentication,
        GiveUp,
        false,
    );
    check(
        "550 5.7.1 Message rejected: DMARC policy of reject, recipient x@y.example not found",
        Authentication,
        GiveUp,
        false,
    );
    check(
        "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
        Authentication,
        GiveUp,
        false,
    );
    check("535 5.7.139 Authentication unsuccessful", Authentication, StopRun, false);
    // Rates.
    check(
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred",
        RateLimited,
        provider_for(120),
        false,
    );
    check("421 RL000010 try later", RateLimited, provider_for(5), false);
    check("421 4.7.28 Our system has detected an unusual rate", RateLimited, provider_for(10), false);
    check("421 4.7.0 too many errors from 192.0.2.1", RateLimited, TryAgain, false);
    check("451 4.7.500 Server busy.", RateLimited, provider_for(10), false);
    // Policy, spam, lists.
    check("554 5.7.1 Message rejected due to content restrictions", Spam, GiveUp, false);
    check("550 5.7.1 Message contains spam or virus", Spam, GiveUp, false);
    check("550 5.7.1 Your IP is listed in the SORBS DNSBL", Blocklist, GiveUp, false);
    check(
        "550 5.7.1 Access denied, sender domain example.com blacklisted, recipient unknown",
        Blocklist,
        GiveUp,
        false,
    );
    check(
        "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
        Policy,
        GiveUp,
        false,
    );
    // The rest.
    check(
        "451 4.7.1 <x@y.example>: Recipient address rejected: Greylisted for 60 seconds",
        Greylisted,
        TryAgain,
        false,
    );
    check("552 5.3.4 Message too big", TooLarge, GiveUp, false);
    check("530 5.7.0 Must issue a STARTTLS command first.", TlsRequired, GiveUp, false);
    check("451 4.3.0 <x@y.example>: Temporary lookup failure", Unavailable, TryAgain, false);
    check("554 5.4.6 Too many hops", Routing, GiveUp, false);
    check("554 5.7.1 <x@y.example>: Relay access denied", Routing, GiveUp, false);
    check("451 Local error", Unavailable, TryAgain, false);
    check("554 No", Other, GiveUp, false);
    check("554 Transaction failed", Other, GiveUp, false);
    check("250 2.0.0 Ok", Protocol, TryAgain, false);
    check("354 Go on", Protocol, TryAgain, false);
}

/// All classes but two, with every code and any text: no suppression.
#[test]
fn only_permanent_failures_of_mailbox_or_domain_suppress() {
    let classifier = &*CLASSIFIER;
    for rule in &classifier.rules {
        for test in &rule.tests {
            for code in [421, 450, 451, 452, 550, 552, 554] {
                let reply = Reply { code, ..reply(test) };
                let meaning = classifier.classify(&reply);
                if meaning.suppress {
                    assert!(matches!(meaning.class, Class::BadMailbox | Class::BadDomain), "{reply}");
                    assert_eq!((code / 100, meaning.reaction), (5, Reaction::GiveUp), "{reply}");
                    assert!(
                        reply.enhanced.is_none_or(|status| status.class == 5 && status.subject != 7),
                        "{reply}"
                    );
                }
            }
        }
    }
}

/// Every status of the IANA registry has a class that is more exact than "other", with either code.
#[test]
fn every_registered_status_is_known() {
    let classifier = &*CLASSIFIER;
    let subjects: [(u16, u16); 7] = [(1, 10), (2, 4), (3, 6), (4, 7), (5, 6), (6, 10), (7, 30)];
    for (subject, last) in subjects {
        for detail in 0..=last {
            for class in [4, 5] {
                let enhanced = Some(EnhancedStatus { class, subject, detail });
                let reply = Reply { code: u16::from(class) * 100 + 50, enhanced, text: "Qq".to_owned() };
                let meaning = classifier.classify(&reply);
                let known = !matches!(meaning.class, Class::Other);
                assert!(known || (subject, detail) == (3, 6), "{reply}: {:?}", classifier.rule_name(&reply));
                if class == 4 {
                    assert_ne!(meaning.reaction, Reaction::StopRun, "{reply}");
                }
            }
        }
    }
}

fn extra(toml: &str) -> Result<Classifier, RuleError> {
    Classifier::new(rule::parse(toml)?)
}

#[test]
fn rules_of_the_campaign_come_first() {
    let classifier = extra(
        "[[rule]]\nname = 'ours'\ncode = [550]\ntext = 'come back'\nclass = 'rate_limited'\naction = 'pause'\npause = '30m'\ntests = ['550 5.1.1 Come back on Monday']",
    )
    .unwrap();
    let meaning = classifier.classify(&reply("550 5.1.1 come back on Tuesday"));
    assert_eq!(meaning.reaction, Reaction::PauseSite(Duration::from_secs(1_800)));
    assert_eq!(classifier.classify(&reply("550 5.1.1 No")).class, Class::BadMailbox);
}

#[test]
fn rules_that_can_not_be_used_say_why() {
    let check = |rule: &str, expected: &str| {
        let error = extra(&format!("[[rule]]\nname = 'ours'\n{rule}")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        "class = 'policy'\ncode = [550]\nsuppress = true",
        "rule `ours`: class `policy` never suppresses an address",
    );
    check("class = 'policy'", "rule `ours`: it matches every reply");
    check("class = 'nonsense'\ncode = [550]", "unknown class `nonsense`");
    check("class = 'policy'\ncode = [55]", "rule `ours`: 55 is not a reply code");
    check("class = 'policy'\nstatus = ['5.1']", "rule `ours`: `5.1` is not a status");
    check(
        "class = 'policy'\ncode = [4]\naction = 'pause'",
        "rule `ours`: `action = \"pause\"` needs `pause`",
    );
    check("class = 'policy'\ntext = '('", "not a regular expression");
    check("class = 'policy'\ncode = [4]\ncolour = 'red'", "unknown field `colour`");
    check("class = 'policy'\ncode = [4]\ntests = ['hello']", "rule `ours`: `hello` is not a reply");
    check(
        "class = 'policy'\ncode = [4]\ntests = ['550 5.1.1 No']",
        "rule `status-bad-mailbox` matches its test",
    );
}

#[test]
fn failures_without_a_reply() {
    let check = |failure: Failure, class: Class, reaction: Reaction, suppress: bool| {
        assert_eq!(
            class_of_failure(failure),
            Classification { class, reaction, suppress, is_final: false },
            "{failure:?}"
        );
    };
    check(Failure::Dns, Class::Network, Reaction::TryAgain, false);
    check(Failure::NoDomain, Class::BadDomain, Reaction::GiveUp, true);
    check(Failure::Connection, Class::Network, Reaction::TryAgain, false);
    check(Failure::Tls, Class::TlsRequired, Reaction::TryAgain, false);
    check(Failure::Authentication, Class::Authentication, Reaction::StopRun, false);
    check(Failure::Protocol, Class::Protocol, Reaction::TryAgain, false);
    check(Failure::TooLarge, Class::TooLarge, Reaction::GiveUp, false);
    check(Failure::Unfit, Class::Protocol, Reaction::GiveUp, false);
}

#[test]
fn more_rules_than_there_is_room_for_are_refused() {
    let one = rule::parse(RULES).unwrap().remove(0);
    let error = Classifier::new(vec![one; MOST_RULES]).unwrap_err();
    assert!(matches!(error, RuleError::TooMany { own: MOST_RULES, .. }), "{error}");
}
