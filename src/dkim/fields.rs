//! Which header fields a signature covers (RFC 6376 §5.4).

/// Signed wherever they are present. Both unsubscribe fields must be (RFC 8058 §4).
const ALWAYS: [&str; 14] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
    "Auto-Submitted",
    "X-CSA-Complaints",
];

/// A field's name, and its value as it is after the colon.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

/// The names to sign where they are present: those that always are, then `configured`.
pub(super) fn to_sign(configured: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ALWAYS.iter().map(|&name| name.to_owned()).collect();
    for name in configured {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.clone());
        }
    }
    names
}

/// The fields of a header section; a line that starts with white space belongs to the field before
/// it.
pub(super) fn split(header: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::with_capacity(20);
    let mut start = 0;
    let mut end = 0;
    for line in header.split_inclusive(|&byte| byte == b'\n') {
        if end > start && !matches!(line.first(), Some(b' ' | b'\t')) {
            fields.extend(field(&header[start..end]));
            start = end;
        }
        end += line.len();
    }
    fields.extend(field(&header[start..end]));
    fields
}

fn field(text: &[u8]) -> Option<Field<'_>> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    Some((&text[..colon], &text[colon + 1..]))
}

/// The names for `h=` and the fields in the order in which they are hashed. Every instance of a
/// name is signed, the lowest one first (RFC 6376 §5.4.2); `From` is named once more often than it
/// occurs, so that nobody can add one.
pub(super) fn select<'a>(names: &[String], fields: &[Field<'a>]) -> (Vec<String>, Vec<Field<'a>>) {
    let mut signed = Vec::with_capacity(fields.len() + 1);
    let mut chosen = Vec::with_capacity(fields.len());
    for name in names {
        for field in fields.iter().rev().filter(|field| field.0.eq_ignore_ascii_case(name.as_bytes())) {
            signed.push(name.clone());
            chosen.push(*field);
        }
        if name == "From" {
            signed.push(name.clone());
        }
    }
    (signed, chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn folded_fields_stay_together() {
        let header = b"From: a\r\nSubject: one\r\n two\r\nX-A:b\r\n";
        let fields = split(header);
        let fields: Vec<_> = fields.into_iter().map(|(name, value)| (text(name), text(value))).collect();
        assert_eq!(fields, [("From", " a\r\n"), ("Subject", " one\r\n two\r\n"), ("X-A", "b\r\n")]);
    }

    #[test]
    fn from_is_over_signed_and_instances_go_from_the_bottom_up() {
        let header = b"X-A: 1\r\nfrom: a\r\nX-A: 2\r\nX-B: 3\r\n";
        let (names, chosen) = select(&to_sign(&["x-a".to_owned()]), &split(header));
        assert_eq!(names, ["From", "From", "x-a", "x-a"]);
        let values: Vec<_> = chosen.iter().map(|(_, value)| text(value).trim()).collect();
        assert_eq!(values, ["a", "2", "1"]);
    }

    #[test]
    fn a_configured_name_is_not_named_twice() {
        assert_eq!(to_sign(&["SUBJECT".to_owned()]).len(), to_sign(&[]).len());
    }
}
