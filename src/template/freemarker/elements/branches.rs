//! `#if`, `#switch` and `#attempt`: what may be printed, and what instead.

use super::{Elements, Parsed};
use crate::template::freemarker::parser::Around;
use crate::template::freemarker::scan::{Kind, Segment};
use crate::template::freemarker::tree::{Block, Expr, Node};

impl Elements<'_> {
    pub(super) fn condition(&mut self, segment: &Segment) -> Parsed {
        let mut branches = Vec::new();
        let mut condition = Some(self.parser.expression()?);
        self.tag_end()?;
        loop {
            let (body, ended) = self.block()?;
            let was_else = condition.is_none();
            branches.push((condition.take(), body));
            match ended {
                Some(Segment { kind: Kind::Open(ref name), start, .. }) if !was_else => {
                    self.enter_tag(&ended.clone().expect("it was matched"), name);
                    match name.as_str() {
                        "else" => {}
                        "elseif" | "elseIf" => condition = Some(self.parser.expression()?),
                        _ => return Err((start, format!("`#{name}` can't stand here"))),
                    }
                    self.tag_end()?;
                }
                ended => {
                    self.closes(segment, ended)?;
                    return Ok(Node::If(branches));
                }
            }
        }
    }

    pub(super) fn switch(&mut self, segment: &Segment) -> Parsed {
        let value = self.parser.expression()?;
        self.tag_end()?;
        self.parser.around.push(Around::Switch);
        let mut cases = Vec::new();
        let (before, mut ended) = self.block()?;
        if before.iter().any(|node| !matches!(node, Node::Text(text) if text.trim().is_empty())) {
            return Err((segment.start, "`#switch` begins with `#case`".to_owned()));
        }
        while let Some(Segment { kind: Kind::Open(name), start, .. }) = &ended {
            let (name, start) = (name.clone(), *start);
            self.enter_tag(&ended.clone().expect("it was matched"), &name);
            let condition = match name.as_str() {
                "case" => Some(self.parser.expression()?),
                "default" => None,
                _ => break,
            };
            if condition.is_none()
                && cases.iter().any(|(condition, _): &(Option<Expr>, Block)| condition.is_none())
            {
                return Err((start, "`#switch` has two `#default`".to_owned()));
            }
            self.tag_end()?;
            let (body, next) = self.block()?;
            cases.push((condition, body));
            ended = next;
        }
        self.parser.around.pop();
        self.closes(segment, ended)?;
        Ok(Node::Switch { value, cases, at: self.parser.at(segment.start) })
    }

    pub(super) fn attempt(&mut self, segment: &Segment) -> Parsed {
        self.tag_end()?;
        self.parser.attempts += 1;
        let (body, ended) = self.block()?;
        self.parser.attempts -= 1;
        match ended {
            Some(recover) if recover.kind == Kind::Open("recover".to_owned()) => {
                self.enter_tag(&recover, "recover");
                self.tag_end()?;
            }
            Some(ended) => return Err((ended.start, "`#attempt` needs `#recover`".to_owned())),
            None => return Err((segment.start, "`#attempt` is never closed".to_owned())),
        }
        let (recover, ended) = self.block()?;
        match ended {
            Some(Segment { kind: Kind::Close(name), .. }) if name == "attempt" || name == "recover" => {}
            ended => self.closes(segment, ended)?,
        }
        Ok(Node::Attempt { body, recover })
    }
}
