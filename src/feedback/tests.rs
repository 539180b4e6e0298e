//! Mails as they come, through the reader.

mod fuzz;

use super::*;
use crate::mail::Class;

fn read(mail: &str) -> Feedback {
    Reader::default().read(mail.as_bytes())
}

/// Kind, address, class, hard and permanent of an event.
type Told = (Kind, Option<String>, Option<Class>, bool, Option<bool>);

fn told(mail: &str) -> Vec<Told> {
    let events = read(mail).events;
    events.into_iter().map(|e| (e.kind, e.address, e.class, e.hard, e.permanent)).collect()
}

#[track_caller]
fn check(mail: &str, address: &str, kind: Kind, class: Class, hard: bool, permanent: Option<bool>) {
    assert_eq!(told(mail), [(kind, Some(address.to_owned()), Some(class), hard, permanent)], "{mail}");
}

/// A report of Postfix with one recipient.
fn report(fields: &str) -> String {
    format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: news@sender.example\nSubject: Undelivered Mail\n\
         Auto-Submitted: auto-replied\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
         --b\nContent-Type: text/plain\n\nThis is the mail system.\n\n--b\nContent-Type: message/delivery-status\n\n\
         Reporting-MTA: dns; mx.example\n\n{fields}\n--b\nContent-Type: message/rfc822\n\n\
         Message-ID: <1.2@sender.example>\nFrom: news@sender.example\nTo: bob@x.example\n\nHello\n--b--\n"
    )
}

#[test]
fn a_delivery_status_is_read() {
    let mail = report(
        "Final-Recipient: rfc822; bob@x.example\nAction: failed\nStatus: 5.1.1\n\
         Diagnostic-Code: smtp; 550 5.1.1 <bob@x.example>: User unknown\n",
    );
    check(&mail, "bob@x.example", Kind::Bounce, Class::BadMailbox, true, Some(true));
    let feedback = read(&mail);
    assert_eq!(feedback.original_message_id.as_deref(), Some("1.2@sender.example"));
    assert_eq!(feedback.reader, "delivery-status");

    let full = report("Final-Recipient: rfc822; bob@x.example\nAction: failed\nStatus: 5.2.2\n");
    check(&full, "bob@x.example", Kind::Bounce, Class::MailboxFull, false, Some(true));
    let delay = report("Final-Recipient: rfc822; bob@x.example\nAction: delayed\nStatus: 4.4.1\n");
    check(&delay, "bob@x.example", Kind::Delay, Class::Network, false, Some(false));
    let expired = report(
        "Final-Recipient: rfc822; bob@x.example\nAction: failed\nStatus: 4.4.7\nDiagnostic-Code: smtp; 550 4.4.7 expired\n",
    );
    check(&expired, "bob@x.example", Kind::Bounce, Class::Network, false, Some(false));
}

#[test]
fn a_refused_sender_makes_no_address_bad() {
    let mail = report(
        "Final-Recipient: rfc822; bob@x.example\nAction: failed\nStatus: 5.1.2\n\
         Diagnostic-Code: smtp; 550 5.1.2 unknown domain (in reply to MAIL FROM command)\n",
    );
    check(&mail, "bob@x.example", Kind::Bounce, Class::Policy, false, Some(true));
}

#[test]
fn the_address_that_was_sent_to_comes_first() {
    let mail = report(
        "Original-Recipient: rfc822;bob@x.example\nFinal-Recipient: rfc822; robert@y.example\nAction: failed\n\
         Status: 5.1.1\nDiagnostic-Code: smtp; 550 User unknown\n",
    );
    let event = read(&mail).events.remove(0);
    assert_eq!(event.address.as_deref(), Some("bob@x.example"));
    assert_eq!(event.final_address.as_deref(), Some("robert@y.example"));
}

#[test]
fn what_was_delivered_is_no_bounce() {
    let mail = report("Final-Recipient: rfc822; bob@x.example\nAction: relayed\nStatus: 2.0.0\n");
    assert_eq!(told(&mail), [(Kind::Delivered, Some("bob@x.example".to_owned()), None, false, None)]);
}

/// A report in words.
fn words(text: &str) -> String {
    format!("From: MAILER-DAEMON@mx.example\nTo: news@sender.example\nSubject: failure notice\n\n{text}")
}

#[test]
fn words_of_mail_systems_are_read() {
    let qmail = words(
        "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the \
         following addresses.\n\n<bob@x.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n\
         --- Below this line is a copy of the message.\n\nFrom: news@sender.example\nTo: other@x.example\n",
    );
    check(&qmail, "bob@x.example", Kind::Bounce, Class::BadMailbox, true, Some(true));
    let exim = words(
        "A message that you sent could not be delivered to one or more of its\nrecipients. The following address(es) \
         failed:\n\n  bob@x.example\n    SMTP error from remote mail server after RCPT TO:<bob@x.example>:\n    \
         host mx.x.example [192.0.2.1]: 452 4.2.2 mailbox full\n",
    );
    check(&exim, "bob@x.example", Kind::Bounce, Class::MailboxFull, false, Some(false));
}

#[test]
fn reports_in_the_words_of_gateways() {
    // A name of its own, no null path, nothing returned.
    let gateway = |subject: &str, field: &str| {
        format!(
            "From: E500_Filter@x.example\nTo: news@sender.example\nSubject: {subject}\n{field}\n\
             Your message could not be delivered to the following recipients:\n\nbob@x.example\nuser unknown\n"
        )
    };
    let mail = gateway("Delivery failure notification", "");
    check(&mail, "bob@x.example", Kind::Bounce, Class::BadMailbox, true, Some(true));
    for (subject, field) in [
        ("Fwd: Delivery failure notification", ""),
        ("Re: Delivery failure notification", "In-Reply-To: <1@x.example>\n"),
        ("Delivery failure notification", "User-Agent: Mozilla Thunderbird\n"),
    ] {
        assert_eq!(read(&gateway(subject, field)).kind, Kind::Other, "what a person wrote: {subject}");
    }
    // Words of other languages, with capitals of their own.
    let mail = gateway("Не удалось доставить: новости", "").replace("user unknown", "Пользователь НЕ найден");
    check(&mail, "bob@x.example", Kind::Bounce, Class::BadMailbox, true, Some(true));
    // Who tells of a bounce is no mail system, nor is what answers for somebody.
    for (from, subject, field) in [
        ("Bob <bob@x.example>", "mail returned", ""),
        ("help@x.example", "[Ticket 12] Undelivered mail", "Auto-Submitted: auto-generated\n"),
        ("postmaster@x.example", "Account notice", ""),
    ] {
        let mail = format!(
            "From: {from}\nTo: news@sender.example\nSubject: {subject}\n{field}\n\
             The mail to carol@y.example came back: 550 5.1.1 user unknown\n"
        );
        assert!(read(&mail).events.iter().all(|event| !event.hard), "{subject}");
    }
    // Some name mailboxes without their domain.
    let mail = words(
        "Your mail to the following recipients could not be delivered because they are not accepting mail with \
         attachments:\n\tbob77\n",
    );
    check(&mail, "bob77@mx.example", Kind::Bounce, Class::Policy, false, Some(true));
    // The header of the mail comes before the list of those that failed.
    let mail = words(
        "Your message\n\n  To:      list@y.example\n  Subject: news\n  Sent:    Fri, 4 Oct 2002\n\n\
         did not reach the following recipient(s):\n\nbob@x.example on Fri, 4 Oct 2002\n    \
         The recipient name is not recognized\n",
    );
    check(&mail, "bob@x.example", Kind::Bounce, Class::BadMailbox, true, Some(true));
    // Whom to ask is no recipient.
    let mail = words(
        "You are not a member of this mailing list <list@x.example>.\n\nFor the guide, please send mail with the \
         body\n\n\tguide\n\nto the address\n\n\tlist-ctl@x.example\n",
    );
    check(&mail, "list@x.example", Kind::Bounce, Class::Policy, false, Some(true));
}

#[test]
fn a_report_may_be_passed_on_as_text() {
    let inner = report(
        "Final-Recipient: rfc822; bob@x.example\nAction: failed\nStatus: 5.1.1\n\
         Diagnostic-Code: smtp; 550 5.1.1 User unknown\n",
    );
    let mail = words(&format!(
        "The message could not be delivered.\nFor further assistance, please contact <help@y.example>\n\n{inner}"
    ));
    check(&mail, "bob@x.example", Kind::Bounce, Class::BadMailbox, true, Some(true));
}

#[test]
fn a_receipt_may_be_a_refusal() {
    let mail = |words: &str| {
        format!(
            "From: mail@x.example\nSubject: Automatically rejected mail\n\
             Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\n{words}\n\
             --b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; bob@x.example\n\
             Disposition: automatic-action/MDN-sent-automatically; deleted\n--b--\n"
        )
    };
    let full = mail("Your message to <bob@x.example> was automatically rejected:\nQuota exceeded");
    check(&full, "bob@x.example", Kind::Bounce, Class::MailboxFull, false, Some(true));
    let unread = mail("Your message was deleted without being read.");
    assert_eq!(told(&unread), [(Kind::Delivered, Some("bob@x.example".to_owned()), None, false, None)]);
}

#[test]
fn nobody_is_bad_by_what_is_no_bounce() {
    for (subject, kind) in [
        ("Automatic reply: your news", Kind::AutoReply),
        ("Please confirm your message", Kind::Challenge),
        ("unsubscribe", Kind::Unsubscribe),
        ("Re: Undelivered Mail Returned to Sender", Kind::Other),
    ] {
        let mail = format!(
            "From: Bob <bob@x.example>\nTo: news@sender.example\nSubject: {subject}\n\nHello\n\n\
             > <carol@x.example>: 550 5.1.1 User unknown\n"
        );
        let events = told(&mail);
        assert_eq!((events.len(), events[0].0, events[0].3), (1, kind, false), "{subject}");
    }
}

#[test]
fn complaints_name_their_recipients() {
    let arf = |kind: &str| {
        format!(
            "From: fbl@isp.example\nSubject: FW: news\nContent-Type: multipart/report; boundary=b\n\n--b\n\n\
             Complaint\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: x\n\
             Version: 1\nOriginal-Rcpt-To: <bob@x.example>\nOriginal-Rcpt-To: carol@x.example\n--b\n\
             Content-Type: message/rfc822\n\nMessage-ID: <1@sender.example>\nTo: bob@x.example\n\nHello\n--b--\n"
        )
    };
    for (word, kind) in [
        ("abuse", Kind::Complaint),
        ("Opt-Out", Kind::Unsubscribe),
        ("not-spam", Kind::NotSpam),
        ("auth-failure", Kind::AuthFailure),
        ("new-kind", Kind::Complaint),
    ] {
        let feedback = read(&arf(word));
        let addresses: Vec<_> = feedback.events.iter().filter_map(|event| event.address.as_deref()).collect();
        assert_eq!((feedback.kind, addresses), (kind, vec!["bob@x.example", "carol@x.example"]), "{word}");
    }
    let jmrp = "From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\n\
                Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n\
                X-HmXmrOriginalRecipient: bob@x.example\nFrom: news@sender.example\nTo: x@y.example\n\nHello\n--b--\n";
    let feedback = read(jmrp);
    assert_eq!(
        (feedback.kind, feedback.events[0].address.as_deref()),
        (Kind::Complaint, Some("bob@x.example"))
    );
}

#[test]
fn no_shape_of_a_mail_costs_more_than_its_bytes() {
    let reader = Reader::default();
    let head = "From: MAILER-DAEMON@x.example\nSubject: failure notice\nX-Failed-Recipients: a@b.example\n";
    let many = |piece: &str| piece.repeat((64 << 10) / piece.len());
    for mail in [
        format!("{head}\n{}", many("<a@b.example>: ")),
        format!("{head}\n{}", many("a@b.example\n")),
        format!("{head}\n{}", many("From: a@b.example\n")),
        format!("{head}\n{}", many("\"@\"<")),
        format!("{head}\n{}", many("550 5.1.1 ")),
        format!("{head}{}", many("To: a@b.example\n")),
        format!("{head}Subject: {}", many("=?utf-8?q?")),
        format!("{head}Content-Type: multipart/mixed; boundary=\"=\"\n\n{}", many("--=\nA: b;\n")),
        format!("{head}Content-Type: text/html\n\n{}", many("<style><!--&")),
        format!(
            "{head}Content-Type: message/delivery-status\n\n{}",
            many("Final-Recipient: rfc822;a@b.example\n")
        ),
        format!("Content-Type: message/feedback-report\n\n{}", many("Original-Rcpt-To: a@b.example\n")),
        many("<feedback><record>"),
    ] {
        let start = own_seconds();
        reader.read(mail.as_bytes());
        // Without optimisation; what is quadratic takes minutes.
        let took = own_seconds() - start;
        assert!(took < 20.0, "{took} s: {}", &mail[..200]);
    }
}

/// The CPU seconds of this thread, however busy the machine is.
fn own_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
