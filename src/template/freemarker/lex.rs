//! The words of expressions.

/// What is wrong, and at which byte.
pub(super) type Wrong = (usize, String);

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Identifier(String),
    /// What stands between the quotes, and whether it is raw.
    Text(String, bool),
    Number(String),
    Symbol(&'static str),
    End,
}

impl Token {
    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self, Self::Symbol(own) if *own == symbol)
    }
}

/// Longer symbols first.
const SYMBOLS: [&str; 54] = [
    "&amp;&amp;",
    "\\and",
    "\\lte",
    "\\gte",
    "\\lt",
    "\\gt",
    "/]",
    "&lt;=",
    "&gt;=",
    "&lt;",
    "&gt;",
    "...",
    "..<",
    "..!",
    "..*",
    "..",
    "??",
    "?",
    "!=",
    "!",
    "==",
    "=",
    "+=",
    "-=",
    "*=",
    "/=",
    "%=",
    "++",
    "--",
    "->",
    "+",
    "-",
    "*",
    "/",
    "%",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ";",
    ".",
    "&&",
    "&",
    "||",
    "|",
    "<=",
    "<",
    ">=",
    ">",
    "#",
];

/// Where the words come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'s> {
    pub text: &'s str,
    pub at: usize,
    /// In a tag, outside parentheses: `>` ends it.
    pub tag_end: bool,
}

impl<'s> Lexer<'s> {
    /// Skips white space and comments.
    pub(super) fn skip(&mut self) -> Result<(), Wrong> {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            let Some(close) = ["<#--", "[#--"].iter().find(|open| trimmed.starts_with(**open)) else {
                return Ok(());
            };
            let close = if close.starts_with('<') { "-->" } else { "--]" };
            match trimmed.find(close) {
                Some(length) => self.at += length + 3,
                None => return Err((self.at, "this comment is never closed".to_owned())),
            }
        }
    }

    /// The next word, with where it begins.
    pub(super) fn next(&mut self) -> Result<(usize, Token), Wrong> {
        self.skip()?;
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else { return Ok((start, Token::End)) };
        if first == '"' || first == '\'' || rest.starts_with("r\"") || rest.starts_with("r'") {
            return Ok((start, self.quoted()?));
        }
        if first.is_ascii_digit() {
            let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
            let mut length = digits(rest);
            if rest[length..].starts_with('.') && digits(&rest[length + 1..]) > 0 {
                length += 1 + digits(&rest[length + 1..]);
            }
            self.at += length;
            return Ok((start, Token::Number(rest[..length].to_owned())));
        }
        if is_start(first) || (first == '\\' && rest[1..].starts_with(['-', '.', ':', '#'])) {
            return Ok((start, self.identifier()));
        }
        if self.tag_end && (rest.starts_with('>') || rest.starts_with("/>")) {
            let end = if first == '>' { ">" } else { "/>" };
            self.at += end.len();
            return Ok((start, Token::Symbol(end)));
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok((start, Token::Symbol(symbol)))
            }
            None => Err((start, format!("`{first}` does not belong into an expression"))),
        }
    }

    /// The next word, left where it is.
    pub(super) fn peek(&self) -> Result<Token, Wrong> {
        let mut ahead = *self;
        ahead.next().map(|(_, token)| token)
    }

    fn identifier(&mut self) -> Token {
        let mut name = String::new();
        let mut chars = self.text[self.at..].char_indices();
        let mut length = 0;
        while let Some((at, c)) = chars.next() {
            if c == '\\' && self.text[self.at + at + 1..].starts_with(['-', '.', ':', '#']) {
                name.extend(chars.next().map(|(_, c)| c));
                length = at + 2;
            } else if is_start(c) || c.is_numeric() {
                name.push(c);
                length = at + c.len_utf8();
            } else {
                break;
            }
        }
        self.at += length;
        match name.as_str() {
            "gt" => Token::Symbol("&gt;"),
            "gte" => Token::Symbol("&gt;="),
            "lt" => Token::Symbol("&lt;"),
            "lte" => Token::Symbol("&lt;="),
            _ => Token::Identifier(name),
        }
    }

    fn quoted(&mut self) -> Result<Token, Wrong> {
        let start = self.at;
        let raw = self.text[start..].starts_with('r');
        let open = start + usize::from(raw);
        let quote = self.text.as_bytes()[open];
        let bytes = self.text.as_bytes();
        let mut at = open + 1;
        while at < bytes.len() && bytes[at] != quote {
            at += if bytes[at] == b'\\' && !raw { 2 } else { 1 };
        }
        if at >= bytes.len() {
            return Err((start, "this string is never closed".to_owned()));
        }
        self.at = at + 1;
        Ok(Token::Text(self.text[open + 1..at].to_owned(), raw))
    }
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$' | '@')
}

/// A string literal without its escapes. The second value has the bytes of the first that an
/// escaped `{` is at: it begins no interpolation.
pub(super) fn unescaped(text: &str) -> Result<(String, Vec<usize>), Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut escaped = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => out.push('\n'),
            Some((_, 'r')) => out.push('\r'),
            Some((_, 't')) => out.push('\t'),
            Some((_, 'f')) => out.push('\u{c}'),
            Some((_, 'b')) => out.push('\u{8}'),
            Some((_, 'g')) => out.push('>'),
            Some((_, 'l')) => out.push('<'),
            Some((_, 'a')) => out.push('&'),
            Some((_, '{')) => {
                escaped.push(out.len());
                out.push('{');
            }
            Some((_, c @ ('"' | '\'' | '\\' | '='))) => out.push(c),
            Some((_, 'x')) => {
                let mut code = 0;
                let mut count = 0;
                while let Some(digit) = chars.peek().and_then(|(_, c)| c.to_digit(16)).filter(|_| count < 4) {
                    code = code * 16 + digit;
                    count += 1;
                    chars.next();
                }
                let c = char::from_u32(code).filter(|_| count > 0);
                out.push(c.ok_or_else(|| (at, "`\\x` needs the number of a character".to_owned()))?);
            }
            Some((_, other)) => return Err((at, format!("`\\{other}` is not an escape"))),
            None => return Err((at, "this string ends with `\\`".to_owned())),
        }
    }
    Ok((out, escaped))
}
