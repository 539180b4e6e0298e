//! `#assign`, `#global` and `#local`.

use super::{Elements, Parsed};
use crate::template::freemarker::lex::Token;
use crate::template::freemarker::parser::Around;
use crate::template::freemarker::scan::Segment;
use crate::template::freemarker::tree::{Block, Name, Node, Operator, Target};

impl Elements<'_> {
    pub(super) fn assign(&mut self, kind: &str, segment: &Segment, nodes: &mut Block) -> Parsed<()> {
        let at = self.parser.at(segment.start);
        if kind == "local" && !self.in_macro(Around::Macro) && !self.in_macro(Around::Function) {
            return Err((segment.start, "`#local` stands in a macro or function".to_owned()));
        }
        let target = |space| match kind {
            "assign" => Target::Namespace(space),
            "local" => Target::Local,
            _ => Target::Global,
        };
        let mut assigned = Vec::new();
        loop {
            let name = match self.parser.lexer.next()? {
                (_, Token::Identifier(name) | Token::Text(name, _)) => name,
                (at, _) => return Err((at, "expected a name".to_owned())),
            };
            let name = self.parser.shared.names.number(&name);
            let how = match self.parser.lexer.peek()? {
                Token::Symbol("=") => Some((Operator::Set, true)),
                Token::Symbol("+=") => Some((Operator::Add, true)),
                Token::Symbol("-=") => Some((Operator::Subtract, true)),
                Token::Symbol("*=") => Some((Operator::Multiply, true)),
                Token::Symbol("/=") => Some((Operator::Divide, true)),
                Token::Symbol("%=") => Some((Operator::Modulo, true)),
                Token::Symbol("++") => Some((Operator::Add, false)),
                Token::Symbol("--") => Some((Operator::Subtract, false)),
                _ => None,
            };
            let Some((how, valued)) = how else {
                if !assigned.is_empty() {
                    return Err((self.parser.lexer.at, "expected `=`".to_owned()));
                }
                let space = if self.takes_word("in")? { Some(self.parser.expression()?) } else { None };
                self.tag_end()?;
                self.declare(kind, name);
                let body = self.until(segment)?;
                nodes.push(Node::Capture {
                    target: target(space),
                    name,
                    body,
                    format: self.parser.format,
                    at,
                });
                return Ok(());
            };
            self.parser.lexer.next()?;
            let value = if valued { Some(self.parser.expression()?) } else { None };
            self.declare(kind, name);
            assigned.push((name, how, value));
            self.parser.takes(",")?;
            if self.at_tag_end()?
                || matches!(self.parser.lexer.peek()?, Token::Identifier(word) if word == "in")
            {
                break;
            }
        }
        let mut space = None;
        if self.takes_word("in")? {
            if assigned.len() > 1 {
                return Err((self.parser.lexer.at, "several assignments can't have `in`".to_owned()));
            }
            space = Some(self.parser.expression()?);
        }
        self.tag_end()?;
        for (name, how, value) in assigned {
            nodes.push(Node::Assign { target: target(space.take()), name, how, value, at });
        }
        Ok(())
    }

    fn declare(&mut self, kind: &str, name: Name) {
        match kind {
            "local" => self.parser.locals.push(name),
            _ => self.parser.shared.names.assign(name),
        }
    }
}
