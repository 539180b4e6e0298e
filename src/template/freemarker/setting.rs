//! `#setting`.

use std::sync::Arc;

use super::super::local::Local;
use super::super::locale::Locale;
use super::super::zone::Zone;
use super::number_format::NumberFormat;
use super::run::{LARGEST, Res, Run, Settings, problem};
use super::tree::Setting;
use super::value::Value;

impl Default for Settings {
    /// What holds where nothing is set.
    fn default() -> Self {
        let number = NumberFormat::parse("number", Locale::EN_US).expect("it is a format");
        Self {
            locale: Locale::EN_US,
            number: Arc::new(number),
            boolean: None,
            date: String::new(),
            time: String::new(),
            datetime: String::new(),
            number_format: "number".to_owned(),
            zone: Zone::Utc,
            largest: LARGEST,
        }
    }
}

impl Settings {
    /// These, for a recipient who is there.
    pub(super) fn at(&self, local: Local) -> Self {
        let mut settings = self.clone();
        if let Some(locale) = local.locale {
            settings.locale = locale;
            let number = NumberFormat::parse(&settings.number_format, locale);
            settings.number = Arc::new(number.expect("it was read for another locale"));
        }
        if let Some(zone) = local.zone {
            settings.zone = zone;
        }
        settings
    }

    pub(super) fn set(&mut self, setting: Setting, text: &str) -> Result<(), String> {
        match setting {
            Setting::Locale => {
                let locale = Locale::parse(text);
                self.locale = locale.ok_or_else(|| format!("locale `{text}` is not known"))?;
                self.number = Arc::new(NumberFormat::parse(&self.number_format, self.locale)?);
            }
            Setting::NumberFormat => {
                self.number = Arc::new(NumberFormat::parse(text, self.locale)?);
                text.clone_into(&mut self.number_format);
            }
            Setting::BooleanFormat => {
                self.boolean = match text.split_once(',') {
                    None if text == "c" => Some(("true".to_owned(), "false".to_owned())),
                    None => return Err(format!("`{text}` is not a boolean format such as `yes,no`")),
                    Some(("true", "false")) => None,
                    Some((yes, no)) => Some((yes.to_owned(), no.to_owned())),
                }
            }
            Setting::DateFormat => text.clone_into(&mut self.date),
            Setting::TimeFormat => text.clone_into(&mut self.time),
            Setting::DateTimeFormat => text.clone_into(&mut self.datetime),
            Setting::TimeZone => self.zone = Zone::parse(text)?,
            Setting::UrlCharset => {
                if !text.eq_ignore_ascii_case("utf-8") {
                    return Err("URLs are always in UTF-8".to_owned());
                }
            }
        }
        Ok(())
    }
}

impl<'a> Run<'a> {
    pub(super) fn set(&mut self, setting: Setting, value: &Value<'a>) -> Res<()> {
        let text = match value {
            Value::Bool(value) => value.to_string(),
            value => self.shown(value)?.into_owned(),
        };
        self.number_formats.clear();
        self.settings.set(setting, &text).or_else(problem)
    }
}
