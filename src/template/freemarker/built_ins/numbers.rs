//! Built-ins of numbers and truth values.

use super::super::built_in::BuiltIn;
use super::super::eval::number;
use super::super::number::{Decimal, Rounding};
use super::super::run::{Res, Run, problem};
use super::super::value::{Text, Value};

impl<'a> Run<'a> {
    /// `None` where the built-in is of another kind.
    pub(super) fn of_number(&mut self, built_in: BuiltIn, target: &Value<'a>) -> Res<Option<Value<'a>>> {
        use BuiltIn as B;
        let result = match built_in {
            B::Abs => {
                let number = number(target)?;
                if number.is_negative() { number.negated() } else { number }
            }
            B::Ceiling => number(target)?.rounded(0, Rounding::Ceiling),
            B::Floor => number(target)?.rounded(0, Rounding::Floor),
            B::Round => number(target)?.nearest(),
            B::Int | B::Long | B::Short | B::Byte => Decimal::from(number(target)?.truncated()),
            B::Float | B::Double => number(target)?,
            B::IsNan | B::IsInfinite => {
                number(target)?;
                return Ok(Some(Value::Bool(false)));
            }
            B::LowerAbc => return self.letters(number(target)?, b'a').map(Some),
            B::UpperAbc => return self.letters(number(target)?, b'A').map(Some),
            B::C => {
                return Ok(Some(match target {
                    Value::Bool(value) => Value::Text(Text::Borrowed(if *value { "true" } else { "false" })),
                    Value::Matches(matches) => {
                        Value::Text(Text::Borrowed(if matches.whole { "true" } else { "false" }))
                    }
                    Value::Number(number) => Value::made(number.rounded(16, Rounding::HalfEven).to_string()),
                    other => {
                        return problem(format!(
                            "`?c` needs a number or boolean instead of {}",
                            other.kind()
                        ));
                    }
                }));
            }
            _ => return Ok(None),
        };
        Ok(Some(Value::Number(result)))
    }

    /// `a` to `z`, `aa` and so on.
    fn letters(&mut self, number: Decimal, first: u8) -> Res<Value<'a>> {
        let Some(mut number) = number.whole().filter(|number| *number > 0) else {
            return problem("`?lower_abc` and `?upper_abc` need a whole number from 1");
        };
        let mut letters = Vec::new();
        while number > 0 {
            number -= 1;
            letters.push(char::from(first + u8::try_from(number % 26).unwrap_or(0)));
            number /= 26;
        }
        self.text(letters.iter().rev().collect::<String>())
    }
}
