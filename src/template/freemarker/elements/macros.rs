//! `#macro` and `#function`, and calls of macros.

use super::{Elements, Parsed};
use crate::template::freemarker::lex::Token;
use crate::template::freemarker::parser::Around;
use crate::template::freemarker::scan::{Kind, Segment};
use crate::template::freemarker::tree::{Call, Expr, Macro, Name, Node};

impl Elements<'_> {
    pub(super) fn macro_(&mut self, kind: &str, segment: &Segment) -> Parsed {
        let inside =
            self.parser.around.iter().any(|around| matches!(around, Around::Macro | Around::Function));
        if inside {
            return Err((segment.start, format!("`#{kind}` can't stand in a macro or function")));
        }
        let name = match self.parser.lexer.next()? {
            (_, Token::Identifier(name) | Token::Text(name, _)) => name,
            (at, _) => return Err((at, "expected a name".to_owned())),
        };
        let name = self.parser.shared.names.number(&name);
        self.parser.shared.names.assign(name);
        let outer_locals = std::mem::take(&mut self.parser.locals);
        let parenthesis = self.parser.takes("(")?;
        let mut parameters: Vec<(Name, Option<Expr>)> = Vec::new();
        let mut rest = None;
        loop {
            if parenthesis && self.parser.takes(")")? || !parenthesis && self.at_tag_end()? {
                break;
            }
            let (at, parameter) = self.parser.identifier()?;
            let parameter = self.parser.shared.names.number(&parameter);
            if rest.is_some() {
                return Err((at, "no parameter comes after the one with `...`".to_owned()));
            }
            self.parser.locals.push(parameter);
            if self.parser.takes("...")? {
                rest = Some(parameter);
            } else {
                let default = if self.parser.takes("=")? { Some(self.parser.expression()?) } else { None };
                parameters.push((parameter, default));
            }
            self.parser.takes(",")?;
        }
        self.tag_end()?;
        let around = if kind == "macro" { Around::Macro } else { Around::Function };
        self.parser.around.push(around);
        let body = self.until(segment)?;
        self.parser.around.pop();
        self.parser.locals = outer_locals;
        let is_function = kind == "function";
        self.parser.shared.macros.push(Macro { name, parameters, rest, body, is_function });
        Ok(Node::Macro(self.parser.shared.macros.len() - 1))
    }

    pub(super) fn call(&mut self, segment: &Segment) -> Parsed {
        self.enter(segment.start + 2);
        let name_start = self.parser.lexer.at;
        let callee = self.parser.primary()?;
        let name = self.parser.lexer.text[name_start..self.parser.lexer.at].trim().to_owned();
        let mut arguments = Vec::new();
        let mut variables = Vec::new();
        while !self.at_tag_end()? {
            if self.parser.takes(";")? {
                while !self.at_tag_end()? {
                    let (_, variable) = self.parser.identifier()?;
                    variables.push(self.parser.shared.names.number(&variable));
                    self.parser.takes(",")?;
                }
                break;
            }
            let mut ahead = self.parser.lexer;
            let named = match ahead.next()?.1 {
                Token::Identifier(name) if ahead.peek()?.is("=") => Some(name),
                _ => None,
            };
            let parameter = named.map(|name| {
                ahead.next().ok();
                self.parser.lexer = ahead;
                self.parser.shared.names.number(&name)
            });
            let (place, value) = (self.parser.lexer.at, self.parser.expression()?);
            if arguments
                .last()
                .is_some_and(|(last, _): &(Option<Name>, Expr)| last.is_some() != parameter.is_some())
            {
                return Err((place, "arguments are all named or all without names".to_owned()));
            }
            arguments.push((parameter, value));
            self.parser.takes(",")?;
        }
        let empty = self.tag_end()?;
        let mut body = None;
        if !empty {
            let outer = self.parser.locals.len();
            self.parser.locals.extend(&variables);
            let (nodes, ended) = self.block()?;
            self.parser.locals.truncate(outer);
            match ended {
                Some(Segment { kind: Kind::CloseCall(close), .. }) if close.is_empty() || close == name => {}
                Some(ended) => {
                    return Err((
                        ended.start,
                        format!("`{}` comes before `<@{name}>` is closed", self.shown(&ended)),
                    ));
                }
                None => return Err((segment.start, format!("`<@{name}>` is never closed"))),
            }
            body = Some(nodes);
        }
        let at = self.parser.at(segment.start);
        Ok(Node::Call(Box::new(Call { callee, arguments, variables, body, at })))
    }
}
