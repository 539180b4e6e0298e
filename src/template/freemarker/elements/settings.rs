//! `#ftl`, `#setting` and `#escape`: how the rest is read and printed.

use std::sync::Arc;

use super::{Elements, Parsed};
use crate::template::freemarker::escape::Format;
use crate::template::freemarker::lex::Token;
use crate::template::freemarker::scan::Segment;
use crate::template::freemarker::tree::{Block, Expr, Node, Setting};

impl Elements<'_> {
    pub(super) fn header(&mut self, at: usize, end: usize, strips: &mut bool) -> Parsed<()> {
        self.enter(at);
        while self.parser.lexer.at < end - 1 {
            let (at, token) = self.parser.lexer.next()?;
            let Token::Identifier(name) = token else { break };
            self.parser.expect("=")?;
            let value = self.parser.primary()?;
            match (crate::template::freemarker::built_in::snake_case(&name).as_str(), value) {
                ("output_format", Expr::Text(name)) => self.parser.format = self.format_of(&name, at)?,
                ("auto_esc", Expr::Bool(auto)) => {
                    if auto && !self.parser.format.is_markup() {
                        return Err((at, "`auto_esc` needs an output format that has escapes".to_owned()));
                    }
                    self.parser.auto_esc = auto;
                    if !auto && self.parser.must_escape {
                        return Err((
                            at,
                            "`auto_esc=false` would leave a whole HTML part unescaped".to_owned(),
                        ));
                    }
                }
                ("strip_whitespace", Expr::Bool(strip)) => *strips = strip,
                ("encoding" | "strip_text", _) | ("strict_syntax", Expr::Bool(_) | Expr::Text(_)) => {}
                _ => return Err((at, format!("`{name}` is no setting of `#ftl`, or has a wrong value"))),
            }
        }
        Ok(())
    }

    pub(super) fn format_of(&self, name: &str, at: usize) -> Parsed<Format> {
        let format = Format::parse(name);
        let format = format.ok_or_else(|| (at, format!("output format `{name}` is not known here")))?;
        if self.parser.must_escape && !format.is_markup() {
            return Err((
                at,
                format!("output format `{name}` would leave values unescaped in an HTML part; use `?no_esc`"),
            ));
        }
        Ok(format)
    }

    pub(super) fn setting(&mut self, segment: &Segment) -> Parsed {
        let (at, name) = self.parser.identifier()?;
        let setting = match crate::template::freemarker::built_in::snake_case(&name).as_str() {
            "locale" => Setting::Locale,
            "number_format" => Setting::NumberFormat,
            "boolean_format" => Setting::BooleanFormat,
            "date_format" => Setting::DateFormat,
            "time_format" => Setting::TimeFormat,
            "datetime_format" => Setting::DateTimeFormat,
            "time_zone" => Setting::TimeZone,
            "url_escaping_charset" => Setting::UrlCharset,
            _ => return Err((at, format!("`{name}` is not a setting that letters have"))),
        };
        self.parser.expect("=")?;
        let value = self.parser.expression()?;
        self.tag_end()?;
        Ok(Node::Setting { name: setting, value, at: self.parser.at(segment.start) })
    }

    pub(super) fn escape(&mut self, segment: &Segment, nodes: &mut Block) -> Parsed<()> {
        if self.parser.auto_esc && self.parser.format.is_markup() {
            return Err((
                segment.start,
                "`#escape` would escape twice: this output is escaped automatically".to_owned(),
            ));
        }
        let (_, name) = self.parser.identifier()?;
        let name = self.parser.shared.names.number(&name);
        self.word("as")?;
        self.parser.escapes.push((name, Arc::new(Expr::Bool(false))));
        let body = self.parser.expression()?;
        self.parser.escapes.pop();
        self.tag_end()?;
        self.parser.escapes.push((name, Arc::new(body)));
        nodes.extend(self.until(segment)?);
        self.parser.escapes.pop();
        Ok(())
    }
}
