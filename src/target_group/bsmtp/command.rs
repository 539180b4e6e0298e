//! The commands of batch SMTP (RFC 5321 §4.1.1), with parameters (RFC 1870, 3461, 4954, 6152,
//! 6531).

use crate::kit::text::grouped;

/// The most bytes of a command: those of RFC 5321 §4.5.3.1.4 and what parameters add.
const MOST_BYTES: u64 = 2_048;

/// A line where a command is expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `HELO`, `EHLO`.
    Hello,
    /// `MAIL FROM`, or why it can't be used.
    Mail(Result<Sender, String>),
    /// `RCPT TO` with its address, or why it can't be used.
    Recipient(Result<String, String>),
    Data,
    Reset,
    Quit,
    /// `NOOP` and others that change nothing.
    Nothing,
    /// No command of batch SMTP.
    Unknown,
}

/// What `MAIL FROM` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender {
    /// Empty for the null sender.
    pub address: String,
    /// `BODY=7BIT`.
    pub is_seven_bit: bool,
    /// `SIZE=`.
    pub bytes: Option<u64>,
}

/// The command in a line; `bytes` is its whole length.
pub(super) fn command(text: &[u8], bytes: u64) -> Command {
    let Ok(line) = std::str::from_utf8(text) else {
        return match verb(text) {
            Some((name @ (b"MAIL" | b"RCPT"), _)) => faulty(name, "holds bytes that are not UTF-8".into()),
            _ => Command::Unknown,
        };
    };
    let line = line.trim_end_matches([' ', '\t']);
    if line.is_empty() {
        return Command::Nothing;
    }
    let Some((name, rest)) = verb(line.as_bytes()) else { return Command::Unknown };
    if bytes > MOST_BYTES {
        let problem =
            format!("has {} bytes, and a command has at most {}", grouped(bytes), grouped(MOST_BYTES));
        return faulty(name, problem);
    }
    if let Some(control) = line.chars().find(|c| c.is_control()) {
        return faulty(name, format!("holds the control character {control:?}"));
    }
    let rest = &line[line.len() - rest..];
    match name {
        b"HELO" | b"EHLO" => Command::Hello,
        b"MAIL" => Command::Mail(path(rest, "FROM").and_then(|(address, more)| sender(address, more))),
        b"RCPT" => Command::Recipient(path(rest, "TO").and_then(|(address, more)| {
            parameters(more, |name, _| match name {
                "NOTIFY" | "ORCPT" => Ok(()),
                _ => Err(unknown(name, "RCPT TO")),
            })?;
            Ok(address.to_owned())
        })),
        b"DATA" if rest.is_empty() => Command::Data,
        b"RSET" if rest.is_empty() => Command::Reset,
        b"QUIT" if rest.is_empty() => Command::Quit,
        b"NOOP" | b"HELP" | b"VRFY" | b"EXPN" => Command::Nothing,
        _ => Command::Unknown,
    }
}

/// The verb in capitals, and the length of what follows it and the space after it.
fn verb(text: &[u8]) -> Option<(&'static [u8], usize)> {
    const VERBS: [&[u8]; 11] =
        [b"HELO", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"QUIT", b"NOOP", b"HELP", b"VRFY", b"EXPN"];
    let (first, rest) = text.split_at_checked(4)?;
    let verb = VERBS.into_iter().find(|verb| first.eq_ignore_ascii_case(verb))?;
    match rest {
        [] => Some((verb, 0)),
        [b' ' | b'\t', ..] => Some((verb, rest.trim_ascii_start().len())),
        _ => None,
    }
}

fn faulty(verb: &[u8], problem: String) -> Command {
    match verb {
        b"MAIL" => Command::Mail(Err(format!("`MAIL FROM` {problem}"))),
        b"RCPT" => Command::Recipient(Err(format!("`RCPT TO` {problem}"))),
        _ => Command::Unknown,
    }
}

/// The address in `FROM:<address> parameters`, and the parameters.
fn path<'t>(rest: &'t str, keyword: &str) -> Result<(&'t str, &'t str), String> {
    let verb = if keyword == "FROM" { "MAIL" } else { "RCPT" };
    let after = rest
        .split_at_checked(keyword.len())
        .filter(|(given, _)| given.eq_ignore_ascii_case(keyword))
        .and_then(|(_, after)| after.trim_start().strip_prefix(':'))
        .ok_or_else(|| format!("`{verb}` is not followed by `{keyword}:`"))?;
    let after = after.trim_start();
    let inner = after
        .strip_prefix('<')
        .ok_or_else(|| format!("the address after `{verb} {keyword}:` is not in angle brackets"))?;
    let (address, more) = inner
        .split_once('>')
        .ok_or_else(|| format!("the address after `{verb} {keyword}:` has no closing angle bracket"))?;
    if !more.is_empty() && !more.starts_with([' ', '\t']) {
        return Err(format!("text directly after the address of `{verb} {keyword}`"));
    }
    Ok((address, more))
}

fn sender(address: &str, more: &str) -> Result<Sender, String> {
    let mut sender = Sender { address: address.to_owned(), is_seven_bit: false, bytes: None };
    parameters(more, |name, value| {
        match name {
            "BODY" if value.eq_ignore_ascii_case("7BIT") => sender.is_seven_bit = true,
            "BODY" if value.eq_ignore_ascii_case("8BITMIME") => {}
            "BODY" => return Err(format!("`BODY={value}` is neither `7BIT` nor `8BITMIME`")),
            "SIZE" => {
                let bytes = value.parse().map_err(|_| format!("`SIZE={value}` is no number of bytes"))?;
                sender.bytes = Some(bytes);
            }
            "SMTPUTF8" | "RET" | "ENVID" | "AUTH" => {}
            _ => return Err(unknown(name, "MAIL FROM")),
        }
        Ok(())
    })?;
    Ok(sender)
}

fn parameters(more: &str, mut take: impl FnMut(&str, &str) -> Result<(), String>) -> Result<(), String> {
    for parameter in more.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        take(&name.to_ascii_uppercase(), value)?;
    }
    Ok(())
}

fn unknown(name: &str, command: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    format!("`{command}` has a parameter `{shown}`, which is not known here")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Command {
        command(text.as_bytes(), text.len() as u64)
    }

    fn fault(text: &str) -> String {
        match of(text) {
            Command::Mail(Err(problem)) | Command::Recipient(Err(problem)) => problem,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn commands_are_read_in_any_case_with_their_parameters() {
        assert_eq!(of("ehlo host"), Command::Hello);
        assert_eq!(of("rcpt to: <a@b.example> NOTIFY=NEVER"), Command::Recipient(Ok("a@b.example".into())));
        let Command::Mail(Ok(sender)) = of("MAIL FROM:<> size=12 BODY=8bitmime SMTPUTF8") else { panic!() };
        assert_eq!((sender.address.as_str(), sender.bytes, sender.is_seven_bit), ("", Some(12), false));
        assert_eq!(of("DATA"), Command::Data);
        assert_eq!(of("Subject: hello"), Command::Unknown);
        assert_eq!(of("DATABASE"), Command::Unknown);
    }

    #[test]
    fn faults_say_what_is_wrong() {
        assert!(fault("MAIL a@b.example").contains("not followed by `FROM:`"));
        assert!(fault("RCPT TO:a@b.example").contains("angle brackets"));
        assert!(fault("RCPT TO:<a@b.example").contains("no closing"));
        assert!(fault("MAIL FROM:<a@b.example> BODY=BINARYMIME").contains("BINARYMIME"));
        assert!(fault("MAIL FROM:<a@b.example> XFOO=1").contains("`XFOO`"));
        assert!(fault("RCPT TO:<a\u{1}@b.example>").contains("control"));
        let Command::Recipient(Err(problem)) = command(b"RCPT TO:<\xff@b.example>", 20) else { panic!() };
        assert!(problem.contains("UTF-8"));
        let Command::Mail(Err(problem)) = command(b"MAIL FROM:<a@b.example>", 9_999) else { panic!() };
        assert!(problem.contains("9,999 bytes"));
    }
}
