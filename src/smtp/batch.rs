//! Batch SMTP (RFC 2442): transactions in a file, which nobody answers.

/// Whether a line of a message's text, in front of which a dot is allowed (RFC 5321 §4.5.2), should
/// have one because it looks like the begin of the next transaction: readers suspect a dot that is
/// missing then.
pub(crate) fn looks_like_command(line: &[u8]) -> bool {
    let verbs: [&[u8]; 3] = [b"MAIL", b"RCPT", b"DATA"];
    line.get(..4).is_some_and(|verb| verbs.iter().any(|one| verb.eq_ignore_ascii_case(one)))
}
