//! `mailrun feedback read`: mails that came back, from where mailboxes keep them.

use serde_json::Value;

use crate::kit::Dir;

const BOUNCE: &str = "\
From: MAILER-DAEMON@mx.example
To: news@sender.example
Subject: failure notice

I'm afraid I wasn't able to deliver your message to the following addresses.

<bob@x.example>:
Remote host said: 550 5.1.1 User unknown

--- Below this line is a copy of the message.

Message-ID: <1.2@sender.example>
From: news@sender.example
To: bob@x.example
";
const ANSWER: &str =
    "From: Eve <eve@x.example>\nSubject: Out of Office: news\nAuto-Submitted: auto-replied\n\nI am away.\n";

#[test]
fn mails_are_read_from_files_mboxes_and_maildirs() {
    let dir = Dir::new();
    dir.write("one.eml", BOUNCE);
    let mbox =
        format!("From a Thu Apr 29 23:34:45 2015\n{BOUNCE}\nFrom b Thu Apr 29 23:34:46 2015\n{ANSWER}");
    dir.write("some.mbox", mbox);
    for folder in ["box/cur", "box/new", "box/tmp"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    dir.write("box/new/1", ANSWER);
    dir.write("box/tmp/2", BOUNCE);

    let bounce = "bounce  bob@x.example  bad_mailbox  5.1.1  hard";
    let ran = dir.run(&["feedback", "read", "one.eml", "some.mbox", "box"]).ended(0);
    let expected = format!(
        "one.eml  {bounce}\nsome.mbox:1  {bounce}\nsome.mbox:2  auto_reply  eve@x.example\n\
         box/new/1  auto_reply  eve@x.example\n"
    );
    assert_eq!(ran.stdout(), expected);

    let json = dir.run(&["feedback", "read", "--json", "one.eml", "some.mbox"]).ended(0);
    let mails: Vec<Value> = json.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(mails[0]["hash"], mails[1]["hash"]);
    assert_eq!(mails[0]["original_message_id"], "1.2@sender.example");
    assert_eq!(mails[0]["events"][0]["class"], "bad_mailbox");
    assert_eq!(mails[0]["events"][0]["permanent"], true);
    assert_eq!(mails[2]["kind"], "auto_reply");
}

#[test]
fn what_is_not_there_is_said() {
    let dir = Dir::new();
    dir.run(&["feedback", "read", "gone.eml"]).ended(2).says("failed to read `gone.eml`");
}
