//! `#list` and `#foreach`, with `#items`.

use super::{Elements, Parsed};
use crate::template::freemarker::parser::Around;
use crate::template::freemarker::scan::{Kind, Segment};
use crate::template::freemarker::tree::{List, Name, Node};

impl Elements<'_> {
    pub(super) fn list(&mut self, name: &str, segment: &Segment) -> Parsed {
        let at = self.parser.at(segment.start);
        let (source, names) = if name == "foreach" {
            let (_, variable) = self.parser.identifier()?;
            self.word("in")?;
            let variable = self.parser.shared.names.number(&variable);
            (self.parser.expression()?, Some((variable, None)))
        } else {
            let source = self.parser.expression()?;
            let named = self.takes_word("as")?;
            (source, if named { Some(self.loop_names()?) } else { None })
        };
        self.tag_end()?;
        let outer = self.parser.locals.len();
        self.parser.around.push(match names {
            Some((first, second)) => {
                self.parser.locals.extend([first].into_iter().chain(second));
                Around::Loop(first)
            }
            None => Around::List,
        });
        let (body, ended) = self.block()?;
        self.parser.around.pop();
        self.parser.locals.truncate(outer);
        if names.is_none() && !has_items(&body) {
            return Err((segment.start, "`#list` needs `as` with a name, or `#items` in it".to_owned()));
        }
        let mut otherwise = Vec::new();
        match ended {
            Some(else_tag) if else_tag.kind == Kind::Open("else".to_owned()) => {
                self.enter_tag(&else_tag, "else");
                self.tag_end()?;
                otherwise = self.until(segment)?;
            }
            ended => self.closes(segment, ended)?,
        }
        Ok(Node::List(Box::new(List { source, names, body, otherwise, at })))
    }

    fn loop_names(&mut self) -> Parsed<(Name, Option<Name>)> {
        let (_, first) = self.parser.identifier()?;
        let first = self.parser.shared.names.number(&first);
        let second = if self.parser.takes(",")? {
            let (_, second) = self.parser.identifier()?;
            Some(self.parser.shared.names.number(&second))
        } else {
            None
        };
        Ok((first, second))
    }

    pub(super) fn items(&mut self, segment: &Segment) -> Parsed {
        let inner = self.parser.around.iter().rev().find(|around| !matches!(around, Around::Switch));
        match inner {
            Some(Around::List) => {}
            Some(Around::Items(_)) => {
                return Err((segment.start, "`#items` stands in another `#items`".to_owned()));
            }
            _ => return Err((segment.start, "`#items` stands in a `#list` without `as`".to_owned())),
        }
        self.word("as")?;
        let names = self.loop_names()?;
        self.tag_end()?;
        let outer = self.parser.locals.len();
        self.parser.locals.extend([names.0].into_iter().chain(names.1));
        self.parser.around.push(Around::Items(names.0));
        let body = self.until(segment)?;
        self.parser.around.pop();
        self.parser.locals.truncate(outer);
        Ok(Node::Items { names, body, at: self.parser.at(segment.start) })
    }
}

/// Whether `#items` stands somewhere in a list.
fn has_items(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Items { .. } => true,
        Node::If(branches) | Node::Switch { cases: branches, .. } => {
            branches.iter().any(|(_, body)| has_items(body))
        }
        Node::Sep(body) | Node::Compress { body, .. } | Node::Capture { body, .. } => has_items(body),
        Node::Attempt { body, recover } => has_items(body) || has_items(recover),
        Node::Call(call) => call.body.as_ref().is_some_and(|body| has_items(body)),
        Node::List(list) => has_items(&list.body),
        _ => false,
    })
}
