//! Joins records that span several lines in parentheses (RFC 1035 §5.1) into one line each, without
//! the comments within. The parser splits a quoted string inside parentheses at its blanks, and
//! keys are written in that way.

/// `text` without parentheses outside of strings and comments: their content is in one line.
pub(super) fn unfold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut quoted, mut comment, mut escaped) = (0_u32, false, false, false);
    for c in text.chars() {
        if comment {
            comment = c != '\n';
            if comment {
                if depth == 0 {
                    out.push(c);
                }
                continue;
            }
        }
        let plain = !quoted && !escaped;
        match c {
            ';' if plain => {
                comment = true;
                if depth == 0 {
                    out.push(c);
                }
            }
            '(' if plain => {
                depth += 1;
                out.push(' ');
            }
            ')' if plain => {
                depth = depth.saturating_sub(1);
                out.push(' ');
            }
            '\r' | '\n' if depth > 0 && !quoted => out.push(' '),
            c => out.push(c),
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_hold_a_record_together() {
        let check = |text: &str, expected: &str| {
            let words = |text: &str| {
                text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
            };
            assert_eq!(words(&unfold(text)), words(expected), "{text}");
        };
        check(
            "a IN TXT ( \"v=DKIM1; k=rsa; \"\n  \"p=x\" )\nb IN A 192.0.2.1",
            "a IN TXT \"v=DKIM1; k=rsa; \" \"p=x\"\nb IN A 192.0.2.1",
        );
        check("@ SOA ns h (\n 1 ; serial (new)\n 2 ) ; end\n", "@ SOA ns h 1 2 ; end\n");
        check("a TXT \"(b)\" ; (c\nd TXT \"\\\"(\"", "a TXT \"(b)\" ; (c\nd TXT \"\\\"(\"");
        check("a TXT \"x\\\\\" (\n\"y\"\n)", "a TXT \"x\\\\\" \"y\"");
    }
}
