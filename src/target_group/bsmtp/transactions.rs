//! The transactions of a batch SMTP file: a message and its recipients, or what is wrong with them.
//!
//! A text is never taken for commands. So after a line that is neither command nor text, nothing is
//! sent until a dot on a line of its own has ended whatever that is; recipients before it become
//! rows with a reason. One exception is safe: a single such line before `MAIL FROM` or `HELO`.

use std::io::{self, Read};

use super::command::{Command, Sender, command};
use super::content::Content;
use super::lines::{End, Lines};
use crate::kit::text::grouped;
use crate::target_group::stored::StoredMessage;

/// Bytes of recipients that one message may have. Each is a row; more are rows with a reason.
const MOST_RECIPIENT_BYTES: usize = 16 * 1024 * 1024;

/// A recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipient {
    /// As it is in the file; none where it can't be read.
    pub address: Option<String>,
    /// The line of `RCPT TO`.
    pub line: u64,
    /// Why it has no message, if that is its own fault.
    pub fault: Option<String>,
}

/// A message and its recipients.
#[derive(Debug)]
pub(super) struct Transaction {
    /// Where it begins.
    pub line: u64,
    /// What `MAIL FROM` says.
    pub sender: String,
    pub recipients: Vec<Recipient>,
    /// The message and its id, or why there is none.
    pub message: Result<(StoredMessage, String), String>,
}

/// A transaction whose message has not come yet.
struct Open {
    line: u64,
    sender: Sender,
    recipients: Vec<Recipient>,
    recipient_bytes: usize,
    fault: Option<String>,
    /// Lines that were no commands, and whether only a dot ends what they are.
    unknown: u64,
}

pub(super) struct Transactions<R> {
    lines: Lines<R>,
    file: u32,
    largest: u64,
    /// Known from the first line.
    needs_crlf: Option<bool>,
    /// Begun by the line that ended the one before.
    open: Option<Open>,
}

impl Open {
    fn new(line: u64, sender: Result<Sender, String>) -> Self {
        let (sender, fault) = match sender {
            Ok(sender) => (sender, None),
            Err(fault) => (nobody(), Some(format!("line {line}: {fault}"))),
        };
        Self { line, sender, recipients: Vec::new(), recipient_bytes: 0, fault, unknown: 0 }
    }

    /// What began without `MAIL FROM`.
    fn stray(line: u64, fault: String) -> Self {
        Self { fault: Some(fault), ..Self::new(line, Ok(nobody())) }
    }

    fn add(&mut self, line: u64, address: Result<String, String>) {
        let (address, mut fault) = match address {
            Ok(address) => (Some(address), None),
            Err(fault) => (None, Some(format!("line {line}: {fault}"))),
        };
        self.recipient_bytes += address.as_ref().map_or(0, String::len) + size_of::<Recipient>();
        if self.recipient_bytes > MOST_RECIPIENT_BYTES {
            fault = Some(format!(
                "line {line}: the message has more recipients than fit into {} bytes",
                grouped(MOST_RECIPIENT_BYTES as u64)
            ));
        }
        self.recipients.push(Recipient { address, line, fault });
    }

    fn is_full(&self) -> bool {
        self.recipient_bytes > 2 * MOST_RECIPIENT_BYTES
    }

    fn without_message(self, why: String) -> Transaction {
        let Self { line, sender, recipients, fault, .. } = self;
        let message = Err(fault.unwrap_or(why));
        Transaction { line, sender: sender.address, recipients, message }
    }
}

fn nobody() -> Sender {
    Sender { address: String::new(), is_seven_bit: false, bytes: None }
}

impl<R: Read> Transactions<R> {
    /// Those of `source`, which is file number `file`. Messages have at most `largest` bytes.
    pub(super) fn new(source: R, file: u32, largest: u64) -> Self {
        Self { lines: Lines::new(source), file, largest, needs_crlf: None, open: None }
    }

    /// The next transaction with a recipient or a fault, or none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Transaction>> {
        loop {
            let Some(line) = self.lines.next()? else {
                let why = "the file ends before the message".to_owned();
                let open =
                    self.open.take().filter(|open| !open.recipients.is_empty() || open.fault.is_some());
                return Ok(open.map(|open| open.without_message(why)));
            };
            self.needs_crlf.get_or_insert(line.end == End::CrLf);
            let number = line.number;
            if line.text == b"." {
                match self.open.take() {
                    Some(open) => {
                        let why = format!("line {number}: a dot without `DATA` before it");
                        return Ok(Some(open.without_message(why)));
                    }
                    None => {
                        let fault = format!("line {number}: a dot without `DATA` before it");
                        return Ok(Some(Open::stray(number, fault).without_message(String::new())));
                    }
                }
            }
            match command(line.text, line.bytes) {
                Command::Nothing => {}
                Command::Unknown => {
                    let shown = shown(line.text);
                    let fault = format!("line {number}: `{shown}` is no command of batch SMTP");
                    let open = self.open.get_or_insert_with(|| Open::stray(number, fault.clone()));
                    open.fault.get_or_insert(fault);
                    open.unknown += 1;
                }
                Command::Recipient(address) => {
                    let stray = || {
                        Open::stray(number, format!("line {number}: `RCPT TO` without `MAIL FROM` before it"))
                    };
                    let open = self.open.get_or_insert_with(stray);
                    open.add(number, address);
                    if open.is_full() {
                        let rest = Open { unknown: 2, ..Open::stray(number, "too many recipients".into()) };
                        let open = self.open.replace(rest).expect("it was just there");
                        return Ok(Some(open.without_message("too many recipients".into())));
                    }
                }
                Command::Data => {
                    let stray = || {
                        Open::stray(number, format!("line {number}: `DATA` without `MAIL FROM` before it"))
                    };
                    let open = self.open.take().unwrap_or_else(stray);
                    return self.message(open, number).map(Some);
                }
                found @ (Command::Hello | Command::Mail(_) | Command::Reset | Command::Quit) => {
                    let is_begin = matches!(found, Command::Hello | Command::Mail(_));
                    if let Some(open) = &mut self.open
                        && open.unknown > 0
                        && !(is_begin && open.unknown == 1 && open.recipients.is_empty())
                    {
                        // Perhaps a text: see above.
                        open.unknown += 1;
                        continue;
                    }
                    let why = match found {
                        Command::Reset => format!("line {number}: `RSET` cancels the message"),
                        Command::Quit => format!("line {number}: `QUIT` before the message"),
                        _ => format!("line {number}: the next message begins before this one has come"),
                    };
                    let next = match found {
                        Command::Mail(sender) => Some(Open::new(number, sender)),
                        _ => None,
                    };
                    let open = std::mem::replace(&mut self.open, next);
                    if let Some(open) =
                        open.filter(|open| !open.recipients.is_empty() || open.fault.is_some())
                    {
                        return Ok(Some(open.without_message(why)));
                    }
                }
            }
        }
    }

    /// Reads the message up to its dot.
    fn message(&mut self, open: Open, data: u64) -> io::Result<Transaction> {
        let Open { line, sender, mut recipients, fault, .. } = open;
        let needs_crlf = self.needs_crlf.unwrap_or(false);
        let address = sender.address.clone();
        let mut content = Content::new(self.file, self.lines.at(), self.largest, sender, needs_crlf);
        let message = loop {
            match self.lines.next()? {
                None => {
                    let missing = format!(
                        "line {data}: the file ends before the dot on a line of its own that ends the message"
                    );
                    break content.finish().and(Err(missing));
                }
                Some(line) if content.ends_with(&line) => break content.finish(),
                Some(line) => content.take(&line),
            }
        };
        let none = || format!("line {data}: `DATA` without a recipient before it");
        let message = match fault.or_else(|| recipients.is_empty().then(none)) {
            Some(fault) => Err(fault),
            None => message,
        };
        let swallowed = content.swallowed.drain(..);
        recipients.extend(swallowed.map(|(address, line)| Recipient {
            address: Some(address),
            line,
            fault: None,
        }));
        Ok(Transaction { line, sender: address, recipients, message })
    }
}

/// The start of a line that can't be read.
fn shown(text: &[u8]) -> String {
    const SHOWN_BYTES: usize = 40;
    let cut = &text[..text.len().min(SHOWN_BYTES)];
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", String::from_utf8_lossy(cut).escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: u64 = 2_000;

    /// Each transaction in a line: its recipients, and its message or what is wrong with it.
    fn of(text: &str) -> Vec<String> {
        let mut transactions = Transactions::new(text.as_bytes(), 0, LARGEST);
        let mut all = Vec::new();
        while let Some(transaction) = transactions.next().unwrap() {
            let recipients = transaction.recipients.iter().map(|recipient| match &recipient.fault {
                Some(fault) => format!("({fault})"),
                None => recipient.address.clone().unwrap_or_default(),
            });
            let recipients: Vec<String> = recipients.collect();
            let message = match transaction.message {
                Ok((stored, id)) => {
                    let place = stored.to_string();
                    let mut parts = place.split(':').skip(1).map(|part| part.parse::<usize>().unwrap_or(0));
                    let (start, bytes) = (parts.next().unwrap(), parts.next().unwrap());
                    format!("{id} {:?}", &text[start..start + bytes])
                }
                Err(fault) => format!("! {fault}"),
            };
            all.push(format!("{} {message}", recipients.join(",")));
        }
        all
    }

    fn message(to: &str, id: &str) -> String {
        format!(
            "MAIL FROM:<s@a.example>\r\nRCPT TO:<{to}>\r\nDATA\r\nMessage-ID: <{id}>\r\n\r\nHello\r\n.\r\n"
        )
    }

    #[track_caller]
    fn only_fault(text: &str, says: &str) {
        let all = of(&format!(
            "HELO x\r\n{}{text}{}QUIT\r\n",
            message("a@b.example", "1"),
            message("z@b.example", "9")
        ));
        assert!(all[0].starts_with("a@b.example 1 "), "{all:#?}");
        assert!(all.last().unwrap().starts_with("z@b.example 9 "), "{all:#?}");
        let faulty = &all[1..all.len() - 1];
        assert!(
            !faulty.is_empty() && faulty.iter().all(|one| one.contains('!') || one.contains('(')),
            "{all:#?}"
        );
        assert!(faulty.iter().any(|one| one.contains(says)), "{all:#?}");
    }

    #[test]
    fn each_message_has_its_recipients_and_its_bytes() {
        let text = "EHLO x\nMAIL FROM:<> BODY=8BITMIME\nRCPT TO:<a@b.example>\nRCPT TO:<c@d.example>\nDATA\nMessage-ID:\n <1@x>\n\n..\nend\n.\nQUIT\n";
        assert_eq!(of(text), ["a@b.example,c@d.example 1@x \"Message-ID:\\n <1@x>\\n\\n..\\nend\\n\""]);
        let files =
            [message("a@b.example", "1"), "QUIT\r\nHELO y\r\n".into(), message("c@b.example", "2")].concat();
        assert_eq!(of(&files).len(), 2);
        assert!(of("").is_empty() && of("HELO x\nMAIL FROM:<>\nRSET\nQUIT\n").is_empty());
    }

    #[test]
    fn a_faulty_transaction_spoils_no_other() {
        only_fault("NONSENSE\r\n", "`NONSENSE` is no command");
        only_fault(
            "MAIL a@b.example\r\nRCPT TO:<x@b.example>\r\nDATA\r\nhi\r\n.\r\n",
            "not followed by `FROM:`",
        );
        only_fault("MAIL FROM:<>\r\nRCPT TO x\r\nDATA\r\nhi\r\n.\r\n", "not followed by `TO:`");
        only_fault("MAIL FROM:<>\r\nDATA\r\nhi\r\n.\r\n", "without a recipient");
        only_fault("RCPT TO:<x@b.example>\r\nDATA\r\nhi\r\n.\r\n", "`RCPT TO` without `MAIL FROM`");
        only_fault("MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nRSET\r\n", "`RSET` cancels");
        only_fault("MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\n", "the next message begins before");
        only_fault(
            "MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nSubject: no DATA\r\n\r\nMAIL FROM:<>\r\n.\r\n",
            "no command",
        );
        let data = "MAIL FROM:<> BODY=7BIT\r\nRCPT TO:<x@b.example>\r\nDATA\r\n";
        only_fault(&format!("{data}{}\r\n.\r\n", "x".repeat(999)), "has 999 octets");
        only_fault(&format!("{data}{}.\r\n", "many lines\r\n".repeat(200)), "more than 2,000 bytes");
        only_fault(&format!("{data}a\0b\r\n.\r\n"), "NUL");
        only_fault(&format!("{data}a\rb\r\n.\r\n"), "carriage return");
        only_fault(&format!("{data}a\n.\nb\r\n.\r\n"), "LF alone");
        only_fault(&format!("{data}ä\r\n.\r\n"), "BODY=7BIT");
    }

    /// Its commands are text as long as the dot is missing: nobody gets what was not meant for
    /// them.
    #[test]
    fn without_its_dot_neither_a_message_nor_the_next_one_is_sent() {
        let cut = "MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nDATA\r\nSecret\r\n";
        let all = of(&format!("{cut}{}{}", message("y@b.example", "2"), message("z@b.example", "3")));
        assert_eq!(all.len(), 2);
        assert!(all[0].starts_with("x@b.example,y@b.example ! another message begins at line 5"), "{all:?}");
        assert!(all[1].starts_with("z@b.example 3 "), "{all:?}");
        assert!(of(cut)[0].contains("the file ends before the dot"));
        // Single commands are text like any other.
        let quoted = message("a@b.example", "1").replace("Hello", "MAIL FROM:<a@b.example>\r\nDATA");
        assert!(of(&quoted)[0].starts_with("a@b.example 1 "));
    }
}
