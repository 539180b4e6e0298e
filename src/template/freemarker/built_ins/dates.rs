//! Built-ins of dates.

use super::super::super::zone::Zone;
use super::super::built_in::BuiltIn;
use super::super::moment::{Accuracy, Moment, MomentKind};
use super::super::run::{Res, Run, problem};
use super::super::value::Value;

impl<'a> Run<'a> {
    /// `None` where the built-in is of another kind.
    pub(super) fn of_date(
        &mut self,
        built_in: BuiltIn,
        target: &Value<'a>,
        arguments: &[Value<'a>],
    ) -> Res<Option<Value<'a>>> {
        use BuiltIn as B;
        let kind = match built_in {
            B::Date => MomentKind::Date,
            B::Time => MomentKind::Time,
            B::DateTime => MomentKind::DateTime,
            B::DateIfUnknown | B::TimeIfUnknown | B::DateTimeIfUnknown => return Ok(Some(target.clone())),
            B::NumberToDate | B::NumberToTime | B::NumberToDateTime => {
                let millis = super::super::eval::number(target)?.whole();
                let utc = millis.and_then(chrono::DateTime::from_timestamp_millis);
                let Some(utc) = utc else { return problem("this number is not a time") };
                let kind = match built_in {
                    B::NumberToDate => MomentKind::Date,
                    B::NumberToTime => MomentKind::Time,
                    _ => MomentKind::DateTime,
                };
                return Ok(Some(Value::Moment(Moment { utc: utc.naive_utc(), kind })));
            }
            _ => return self.iso(built_in, target, arguments),
        };
        if let Value::Moment(moment) = target {
            if moment.kind != kind && moment.kind != MomentKind::DateTime {
                return problem("a day has no time, and a time no day");
            }
            return Ok(Some(Value::Moment(Moment { utc: moment.utc, kind })));
        }
        let text = self.shown(target)?;
        let format = match arguments.first() {
            Some(format) => self.shown(format)?.into_owned(),
            None => self.settings.moment_format(kind).to_owned(),
        };
        match Moment::parse(&text, &format, kind, self.settings.locale, self.settings.zone) {
            Ok(moment) => Ok(Some(Value::Moment(moment))),
            Err(wrong) => problem(wrong),
        }
    }

    /// `?iso_utc` and its relatives.
    fn iso(
        &mut self,
        built_in: BuiltIn,
        target: &Value<'a>,
        arguments: &[Value<'a>],
    ) -> Res<Option<Value<'a>>> {
        let Some(rest) = built_in.name().strip_prefix("iso") else { return Ok(None) };
        let Value::Moment(moment) = target else {
            return problem(format!("`?{}` needs a date instead of {}", built_in.name(), target.kind()));
        };
        let (mut zone, mut accuracy, mut offset) = (self.settings.zone, Accuracy::Seconds, true);
        if let Some(given) = arguments.first() {
            let given = self.shown(given)?;
            zone = Zone::parse(&given).or_else(problem)?;
        }
        for word in rest.split('_') {
            match word {
                "utc" => zone = Zone::Utc,
                "h" => accuracy = Accuracy::Hours,
                "m" => accuracy = Accuracy::Minutes,
                "ms" => accuracy = Accuracy::Needed,
                "nz" => offset = false,
                _ => {}
            }
        }
        let text = moment.iso(accuracy, offset, zone);
        self.text(text).map(Some)
    }
}
