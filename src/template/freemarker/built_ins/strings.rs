//! Built-ins of strings, and those that make strings of other values.

use std::rc::Rc;
use std::sync::Arc;

use super::super::built_in::BuiltIn;
use super::super::data::copied;
use super::super::escape::Format;
use super::super::escapes;
use super::super::number::Decimal;
use super::super::number_format::NumberFormat;
use super::super::pattern::{Flags, Pattern};
use super::super::run::{Res, Run, problem};
use super::super::value::{List, Match, Matches, Text, Value};

impl<'a> Run<'a> {
    /// The rest of the built-ins, which all begin with a text.
    pub(super) fn of_string(
        &mut self,
        built_in: BuiltIn,
        target: &Value<'a>,
        arguments: &[Value<'a>],
        format: Format,
    ) -> Res<Value<'a>> {
        use BuiltIn as B;
        if built_in == B::String {
            return self.string(target, arguments);
        }
        if built_in == B::Groups {
            return match target {
                Value::Match(found) => Ok(Value::List(Rc::clone(&found.groups))),
                Value::Matches(matches) => Ok(Value::List(Rc::clone(&matches.groups))),
                other => {
                    problem(format!("`?groups` needs what `?matches` gives instead of {}", other.kind()))
                }
            };
        }
        if let (B::Number, Value::Number(_)) | (B::Boolean, Value::Bool(_)) = (built_in, target) {
            return Ok(target.clone());
        }
        if let (B::Number | B::EvalJson | B::Boolean | B::Length, Value::Bool(_)) = (built_in, target) {
            return problem(format!("`?{}` needs a string instead of a boolean", built_in.name()));
        }
        let text = self.shown(target)?.into_owned();
        self.steps(text.len() / 8)?;
        let trailing = |c: char| c.is_whitespace();
        let made = match built_in {
            B::CapFirst => escapes::first(&text, |c| c.to_uppercase().collect()),
            B::UncapFirst => escapes::first(&text, |c| c.to_lowercase().collect()),
            B::Capitalize => escapes::capitalized(&text),
            B::LowerCase => text.to_lowercase(),
            B::UpperCase => text.to_uppercase(),
            B::Trim => text.trim_matches(|c: char| c <= ' ' || trailing(c)).to_owned(),
            B::ChopLinebreak => text
                .strip_suffix("\r\n")
                .or_else(|| text.strip_suffix(['\n', '\r']))
                .unwrap_or(&text)
                .to_owned(),
            B::Html | B::Xhtml => escapes::html(&text),
            B::Xml => escapes::xml(&text),
            B::Rtf => escapes::rtf(&text),
            B::JString | B::JsString | B::JsonString => escapes::quoted(built_in, &text),
            B::Url | B::UrlPath if arguments.first().is_some_and(|charset| !is_utf8(charset)) => {
                return problem("URLs are always in UTF-8");
            }
            B::Url | B::UrlPath => escapes::url(&text, built_in == B::UrlPath),
            B::Length => return Ok(Value::Number(text.encode_utf16().count().into())),
            B::Number => {
                return match Decimal::parse(text.trim()) {
                    Some(number) => Ok(Value::Number(number)),
                    None => problem(format!("`{text}` is not a number")),
                };
            }
            B::Boolean => {
                return match text.as_str() {
                    "true" => Ok(Value::Bool(true)),
                    "false" => Ok(Value::Bool(false)),
                    text if self.settings.boolean.as_ref().is_some_and(|(yes, _)| yes == text) => {
                        Ok(Value::Bool(true))
                    }
                    text if self.settings.boolean.as_ref().is_some_and(|(_, no)| no == text) => {
                        Ok(Value::Bool(false))
                    }
                    _ => problem(format!("`{text}` is not a boolean")),
                };
            }
            B::EvalJson => {
                let json: serde_json::Value = serde_json::from_str(&text)
                    .or_else(|error| problem(format!("this is not JSON: {error}")))?;
                self.steps(text.len())?;
                return match copied(&json) {
                    Some(value) => Ok(value),
                    None => problem("this JSON has a number of too many digits, or is nested too deeply"),
                };
            }
            B::WordList => {
                let words = text.split_whitespace().map(Value::made).collect();
                return self.list(words);
            }
            B::Contains => return Ok(Value::Bool(text.contains(&*self.argument(arguments, 0)?))),
            B::StartsWith => return Ok(Value::Bool(text.starts_with(&*self.argument(arguments, 0)?))),
            B::EndsWith => return Ok(Value::Bool(text.ends_with(&*self.argument(arguments, 0)?))),
            B::EnsureEndsWith => {
                let end = self.argument(arguments, 0)?;
                if text.ends_with(&end) { text } else { text + &end }
            }
            B::EnsureStartsWith => self.ensure_starts_with(&text, arguments)?,
            B::RemoveBeginning => {
                let start = self.argument(arguments, 0)?;
                text.strip_prefix(start.as_str()).unwrap_or(&text).to_owned()
            }
            B::RemoveEnding => {
                let end = self.argument(arguments, 0)?;
                text.strip_suffix(end.as_str()).unwrap_or(&text).to_owned()
            }
            B::IndexOf | B::LastIndexOf => {
                return self.index_of(built_in == B::LastIndexOf, &text, arguments);
            }
            B::LeftPad | B::RightPad => self.padded(built_in == B::LeftPad, &text, arguments)?,
            B::KeepAfter | B::KeepAfterLast | B::KeepBefore | B::KeepBeforeLast => {
                self.kept(built_in, &text, arguments)?
            }
            B::Substring => return self.substring(&text, arguments),
            B::Replace => {
                let flags = self.flags(arguments, 2)?;
                let (from, to) = (self.argument(arguments, 0)?, self.argument(arguments, 1)?);
                let pattern = self.pattern(&from, flags)?;
                self.steps(text.len() / 8 + (text.len() + 1).saturating_mul(to.len()) / 512)?;
                match pattern.replace(&text, &to, flags) {
                    Ok(text) => text,
                    Err(wrong) => return problem(wrong),
                }
            }
            B::Split => {
                let flags = self.flags(arguments, 1)?;
                let by = self.argument(arguments, 0)?;
                let pattern = self.pattern(&by, flags)?;
                self.steps(text.len())?;
                let parts = pattern.split(&text, flags).into_iter().map(Value::made).collect();
                return self.list(parts);
            }
            B::Matches => return self.matches(&text, arguments),
            B::Truncate | B::TruncateC | B::TruncateW | B::TruncateM | B::TruncateCM | B::TruncateWM => {
                return self.truncated(built_in, &text, arguments, format);
            }
            _ => return problem(format!("`?{}` can't be used here", built_in.name())),
        };
        self.text(made)
    }

    fn argument(&self, arguments: &[Value<'a>], at: usize) -> Res<String> {
        match arguments.get(at) {
            Some(value) => self.shown(value).map(std::borrow::Cow::into_owned),
            None => problem("an argument is missing"),
        }
    }

    fn count(&self, arguments: &[Value<'a>], at: usize) -> Res<i64> {
        match arguments.get(at) {
            Some(value) => {
                Ok(i64::try_from(super::super::eval::number(value)?.truncated()).unwrap_or(i64::MAX))
            }
            None => problem("an argument is missing"),
        }
    }

    fn flags(&self, arguments: &[Value<'a>], at: usize) -> Res<Flags> {
        match arguments.get(at) {
            Some(value) => Flags::parse(&self.shown(value)?).or_else(problem),
            None => Ok(Flags::default()),
        }
    }

    /// A pattern, or a plain text to look for.
    fn pattern(&mut self, text: &str, flags: Flags) -> Res<Pattern> {
        if !flags.regex && !flags.ignore_case {
            return Ok(Pattern::Plain(text.to_owned()));
        }
        let written = flags.written(text);
        if let Some(known) = self.patterns.get(&written) {
            return Ok(Pattern::Regex(known.clone()));
        }
        self.steps(5_000)?;
        let regex = regex::RegexBuilder::new(&written).size_limit(1 << 20).build();
        let regex = regex.or_else(|error| {
            let error = error.to_string();
            problem(format!("this pattern can't be used: {}", error.lines().last().unwrap_or("").trim()))
        })?;
        if self.patterns.len() < 100 {
            self.patterns.insert(written, regex.clone());
        }
        Ok(Pattern::Regex(regex))
    }

    /// `?string`, with or without a format.
    fn string(&mut self, target: &Value<'a>, arguments: &[Value<'a>]) -> Res<Value<'a>> {
        match (target, arguments) {
            (Value::Text(_), []) => Ok(target.clone()),
            (Value::Bool(value), [yes, no]) => {
                let text = self.shown(if *value { yes } else { no })?.into_owned();
                self.text(text)
            }
            (Value::Number(number), [pattern]) => {
                let format = match pattern {
                    Value::Text(pattern) => self.number_format(pattern)?,
                    other => problem(format!("a format is a string, not {}", other.kind()))?,
                };
                self.text(format.format(*number))
            }
            (Value::Moment(moment), [pattern]) => {
                let pattern = self.shown(pattern)?.into_owned();
                match moment.format(&pattern, self.settings.locale, self.settings.zone) {
                    Ok(text) => self.text(text),
                    Err(wrong) => problem(wrong),
                }
            }
            (Value::Bool(value), []) if self.settings.boolean.is_none() => {
                self.text(if *value { "true" } else { "false" })
            }
            (_, []) => {
                let text = self.shown(target)?.into_owned();
                self.text(text)
            }
            (Value::Text(_), [_]) => problem(
                "`?string` with a format prints numbers, dates and booleans, and this is a string; a column that is \
                 no text gets its type in `[target-group.types]`",
            ),
            (other, _) => problem(format!(
                "`?string` can't be used with {} arguments on {}",
                arguments.len(),
                other.kind()
            )),
        }
    }

    /// A number format of the locale.
    fn number_format(&mut self, pattern: &str) -> Res<Arc<NumberFormat>> {
        self.steps(pattern.len() / 8)?;
        if let Some(known) = self.number_formats.get(pattern) {
            return Ok(Arc::clone(known));
        }
        let format = Arc::new(NumberFormat::parse(pattern, self.settings.locale).or_else(problem)?);
        if self.number_formats.len() < 100 {
            self.number_formats.insert(pattern.to_owned(), Arc::clone(&format));
        }
        Ok(format)
    }

    fn ensure_starts_with(&mut self, text: &str, arguments: &[Value<'a>]) -> Res<String> {
        let start = self.argument(arguments, 0)?;
        let (starts, added) = match arguments.get(1) {
            None => (text.starts_with(&start), start),
            Some(added) => {
                let added = self.shown(added)?.into_owned();
                let mut flags = self.flags(arguments, 2)?;
                flags.regex = true;
                let pattern = self.pattern(&start, flags)?;
                (pattern.first(text).is_some_and(|(from, _)| from == 0), added)
            }
        };
        Ok(if starts { text.to_owned() } else { format!("{added}{text}") })
    }

    fn index_of(&mut self, last: bool, text: &str, arguments: &[Value<'a>]) -> Res<Value<'a>> {
        let wanted: Vec<u16> = self.argument(arguments, 0)?.encode_utf16().collect();
        let units: Vec<u16> = text.encode_utf16().collect();
        let from = if arguments.len() > 1 { Some(self.count(arguments, 1)?) } else { None };
        // Each place is compared until it differs.
        self.steps(units.len().saturating_mul(wanted.len()) / 64)?;
        let latest = units.len().checked_sub(wanted.len());
        let fits = |at: usize| units[at..].starts_with(&wanted);
        let found = match (last, latest) {
            (_, None) => None,
            (false, Some(latest)) => {
                let from = usize::try_from(from.unwrap_or(0)).unwrap_or(0);
                (from..=latest).find(|at| fits(*at))
            }
            (true, Some(latest)) => match from {
                Some(from) if from < 0 => None,
                from => (0..=from.map_or(latest, |from| latest.min(usize::try_from(from).unwrap_or(0))))
                    .rev()
                    .find(|at| fits(*at)),
            },
        };
        Ok(Value::Number(match found {
            Some(at) => at.into(),
            None => (-1_i64).into(),
        }))
    }

    fn padded(&mut self, left: bool, text: &str, arguments: &[Value<'a>]) -> Res<String> {
        let width = usize::try_from(self.count(arguments, 0)?).unwrap_or(0);
        let fill = if arguments.len() > 1 { self.argument(arguments, 1)? } else { " ".to_owned() };
        let length = text.encode_utf16().count();
        if fill.is_empty() {
            return problem("padding can't be empty");
        }
        let missing = width.saturating_sub(length);
        self.steps(missing / 2)?;
        if left {
            let padding: String = fill.chars().cycle().take(missing).collect();
            return Ok(padding + text);
        }
        // The padding on the right begins as if it had begun under the text.
        let skip = length % fill.chars().count();
        Ok(text.chars().chain(fill.chars().cycle().skip(skip).take(missing)).collect())
    }

    fn kept(&mut self, built_in: BuiltIn, text: &str, arguments: &[Value<'a>]) -> Res<String> {
        let flags = self.flags(arguments, 1)?;
        let by = self.argument(arguments, 0)?;
        let last = matches!(built_in, BuiltIn::KeepAfterLast | BuiltIn::KeepBeforeLast);
        let found = if by.is_empty() && !flags.regex {
            Some(if last { (text.len(), text.len()) } else { (0, 0) })
        } else {
            let pattern = self.pattern(&by, flags)?;
            if last { pattern.last(text) } else { pattern.first(text) }
        };
        let after = matches!(built_in, BuiltIn::KeepAfter | BuiltIn::KeepAfterLast);
        Ok(match (found, after) {
            (Some((_, end)), true) => text[end..].to_owned(),
            (None, true) => String::new(),
            (Some((start, _)), false) => text[..start].to_owned(),
            (None, false) => text.to_owned(),
        })
    }

    fn substring(&mut self, text: &str, arguments: &[Value<'a>]) -> Res<Value<'a>> {
        let units: Vec<u16> = text.encode_utf16().collect();
        let start = usize::try_from(self.count(arguments, 0)?).ok();
        let end = if arguments.len() > 1 {
            usize::try_from(self.count(arguments, 1)?).ok()
        } else {
            Some(units.len())
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= units.len() => {
                self.text(String::from_utf16_lossy(&units[start..end]))
            }
            _ => problem("`?substring` goes beyond the string"),
        }
    }

    fn matches(&mut self, text: &str, arguments: &[Value<'a>]) -> Res<Value<'a>> {
        let mut flags = self.flags(arguments, 1)?;
        flags.regex = true;
        let written = self.argument(arguments, 0)?;
        let whole = self.pattern(&format!("^(?:{written})$"), flags)?;
        let pattern = self.pattern(&written, flags)?;
        let (Pattern::Regex(whole), Pattern::Regex(regex)) = (whole, pattern) else {
            return problem("this pattern can't be used");
        };
        let groups = |captures: &regex::Captures<'_>| {
            let texts = captures.iter().map(|group| Value::made(group.map_or("", |group| group.as_str())));
            List::new(texts.collect())
        };
        let mut places = Vec::new();
        for captures in regex.captures_iter(text) {
            self.steps(20 + captures[0].len() / 4)?;
            let Some(groups) = groups(&captures) else { break };
            places.push(Value::Match(Rc::new(Match { text: Text::Made(captures[0].into()), groups })));
        }
        let full = whole.captures(text);
        let groups = full.as_ref().and_then(groups).or_else(|| List::new(Vec::new()));
        match (groups, List::new(places)) {
            (Some(groups), Some(places)) => {
                Ok(Value::Matches(Rc::new(Matches { whole: full.is_some(), groups, places })))
            }
            _ => problem("this matches too much"),
        }
    }

    /// `?truncate`: at most so many characters, with `[...]` in place of the rest.
    fn truncated(
        &mut self,
        built_in: BuiltIn,
        text: &str,
        arguments: &[Value<'a>],
        format: Format,
    ) -> Res<Value<'a>> {
        let Ok(most) = usize::try_from(self.count(arguments, 0)?) else {
            return problem("`?truncate` needs a length from 0");
        };
        let markup = matches!(built_in, BuiltIn::TruncateM | BuiltIn::TruncateCM | BuiltIn::TruncateWM);
        let given = match arguments.get(1) {
            Some(Value::Markup(given)) if markup => Some(given.markup.clone()),
            Some(given) => Some(self.shown(given)?.into_owned()),
            None => None,
        };
        let is_markup = matches!(arguments.get(1), Some(Value::Markup(_)));
        let end = match (&given, markup) {
            (Some(given), _) => given.clone(),
            (None, true) if format.is_markup() => {
                "<span class='truncateTerminator'>[&#8230;]</span>".to_owned()
            }
            (None, _) => "[...]".to_owned(),
        };
        let length = if arguments.len() > 2 {
            usize::try_from(self.count(arguments, 2)?).unwrap_or(0)
        } else if given.is_none() && markup && format.is_markup() {
            3
        } else if is_markup {
            escapes::visible(&end)
        } else {
            end.chars().count()
        };
        let how = match built_in {
            BuiltIn::TruncateC | BuiltIn::TruncateCM => escapes::Cut::Characters,
            BuiltIn::TruncateW | BuiltIn::TruncateWM => escapes::Cut::Words,
            _ => escapes::Cut::Auto,
        };
        let Some(kept) = escapes::truncated(text, most, &end, length, how) else {
            return self.text(text);
        };
        if markup && format.is_markup() && (is_markup || given.is_none()) {
            let mut out = String::new();
            format.escape(&kept, &mut out);
            out.push_str(&end);
            let markup = super::super::value::Markup { format, markup: out, plain: None };
            return Ok(Value::Markup(Rc::new(markup)));
        }
        self.text(kept + &end)
    }
}

fn is_utf8(charset: &Value<'_>) -> bool {
    matches!(charset, Value::Text(name) if name.eq_ignore_ascii_case("utf-8"))
}
