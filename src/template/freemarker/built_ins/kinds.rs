//! Built-ins that ask what a value is, and those of markup.

use std::rc::Rc;

use super::super::built_in::BuiltIn;
use super::super::escape::Format;
use super::super::moment::MomentKind;
use super::super::run::{Res, Run, problem};
use super::super::value::{Markup, Space, Value};

impl<'a> Run<'a> {
    /// `None` where the built-in is of another kind.
    pub(super) fn of_kind(
        &mut self,
        built_in: BuiltIn,
        target: &Value<'a>,
        format: Format,
    ) -> Res<Option<Value<'a>>> {
        use BuiltIn as B;
        let is_macro = matches!(target, Value::Macro { .. });
        let is_list = matches!(target, Value::List(_) | Value::Range(_) | Value::Matches(_));
        let is_hash = matches!(target, Value::Hash(_) | Value::Space(_));
        let moment = match target {
            Value::Moment(moment) => Some(moment.kind),
            _ => None,
        };
        let answer = match built_in {
            B::IsString => matches!(target, Value::Text(_) | Value::Match(_)),
            B::IsNumber => matches!(target, Value::Number(_)),
            B::IsBoolean => matches!(target, Value::Bool(_) | Value::Matches(_)),
            B::IsDate | B::IsDateLike => moment.is_some(),
            B::IsDateOnly => moment == Some(MomentKind::Date),
            B::IsTime => moment == Some(MomentKind::Time),
            B::IsDateTime => moment == Some(MomentKind::DateTime),
            B::IsUnknownDateLike | B::IsNode => false,
            B::IsSequence | B::IsIndexable | B::IsEnumerable => is_list,
            B::IsCollection | B::IsCollectionEx => matches!(target, Value::Matches(_)),
            B::IsHash => is_hash,
            B::IsHashEx => matches!(target, Value::Hash(_) | Value::Space(_)),
            B::IsMacro => {
                matches!(target, Value::Macro { number, .. } if !self.program.macros[*number].is_function)
            }
            B::IsDirective | B::IsTransform => is_macro,
            B::IsMethod => {
                matches!(target, Value::Method(_))
                    || matches!(target, Value::Macro { number, .. } if self.program.macros[*number].is_function)
            }
            B::IsMarkupOutput => matches!(target, Value::Markup(_)),
            B::Esc => return self.as_markup(target, format).map(|markup| Some(Value::Markup(markup))),
            B::NoEsc => {
                let markup = match target {
                    Value::Markup(markup) => return self.reformatted(markup, format).map(Some),
                    other => self.shown(other)?.into_owned(),
                };
                return Ok(Some(Value::Markup(Rc::new(Markup { format, markup, plain: None }))));
            }
            B::MarkupString => match target {
                Value::Markup(markup) => return self.text(markup.markup.clone()).map(Some),
                other => {
                    return problem(format!("`?markup_string` needs markup instead of {}", other.kind()));
                }
            },
            B::Namespace => match target {
                Value::Macro { space, .. } => return Ok(Some(Value::Space(Space::Namespace(*space)))),
                other => return problem(format!("`?namespace` needs a macro instead of {}", other.kind())),
            },
            _ => return Ok(None),
        };
        Ok(Some(Value::Bool(answer)))
    }

    fn reformatted(&mut self, markup: &Rc<Markup>, format: Format) -> Res<Value<'a>> {
        self.as_markup(&Value::Markup(Rc::clone(markup)), format).map(Value::Markup)
    }
}
