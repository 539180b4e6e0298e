//! How long a template's expressions may be. The crate bounds how deeply they are nested, but
//! follows chains such as `1 + 1 + …` and `elif` by calling itself, too.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The most operators in one tag, and the most `elif` in open conditions.
pub(super) const LONGEST: usize = 100;

/// Where `text` has a longer chain, in bytes.
pub(super) fn too_long(text: &str) -> Option<usize> {
    let mut operators = 0;
    // The `elif` of each open condition.
    let mut open: Vec<usize> = Vec::new();
    let mut chained = 0;
    let mut is_first = false;
    let mut after_value = false;
    for token in tokenize(text, false, SyntaxConfig::default()) {
        // What can't be read is for the parser.
        let Ok((token, span)) = token else { return None };
        match &token {
            Token::TemplateData(_) => continue,
            Token::VariableStart | Token::BlockStart => {
                operators = 0;
                is_first = matches!(token, Token::BlockStart);
                after_value = false;
                continue;
            }
            Token::Ident("if") if is_first => open.push(0),
            Token::Ident("elif") if is_first => {
                chained += 1;
                if let Some(own) = open.last_mut() {
                    *own += 1;
                }
            }
            Token::Ident("endif") if is_first => chained -= open.pop().unwrap_or(0),
            Token::Ident("and" | "or" | "not" | "is" | "in" | "if" | "else") => operators += 1,
            Token::BracketOpen | Token::ParenOpen if !after_value => {}
            Token::Ident(_)
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_)
            | Token::Comma
            | Token::Colon
            | Token::Assign
            | Token::BracketClose
            | Token::ParenClose
            | Token::BraceOpen
            | Token::BraceClose
            | Token::VariableEnd
            | Token::BlockEnd => {}
            _ => operators += 1,
        }
        is_first = false;
        after_value = matches!(
            token,
            Token::Ident(_) | Token::Str(_) | Token::String(_) | Token::BracketClose | Token::ParenClose
        );
        if operators > LONGEST || chained > LONGEST {
            return Some(span.start_offset as usize);
        }
    }
    None
}
