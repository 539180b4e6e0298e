//! Where the recipient of a row is: its language and time zone.

use super::error::RenderFailure;
use crate::campaign::Campaign;
use crate::plan::Row;
use crate::template::{Local, TemplateError, Zone, locale_of};

/// What says where recipients are.
#[derive(Debug)]
pub(super) struct Locals {
    /// Where they are unless their row says otherwise.
    pub(super) default: Local,
    locale_column: Option<String>,
    zone_column: Option<String>,
}

impl Locals {
    /// # Errors
    /// The campaign names a locale or a zone that does not exist.
    pub(super) fn of(campaign: &Campaign) -> Result<Self, TemplateError> {
        let template = &campaign.template;
        let wrong = |key: &str, problem: String| {
            TemplateError::new(&campaign.path, None, format!("{problem} (in `template.{key}`)"))
        };
        let locale = template.locale.as_deref().map(locale_of).transpose();
        let zone = template.zone.as_deref().map(Zone::parse).transpose();
        let default = Local {
            locale: locale.map_err(|problem| wrong("locale", problem))?,
            zone: zone.map_err(|problem| wrong("zone", problem))?,
        };
        let (locale_column, zone_column) = (template.locale_column.clone(), template.zone_column.clone());
        Ok(Self { default, locale_column, zone_column })
    }

    /// The columns that say it, with their keys.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let locale = self.locale_column.iter().map(|column| ("locale-column", column));
        locale.chain(self.zone_column.iter().map(|column| ("zone-column", column)))
    }

    /// Where the recipient of `row` is. A row that says nothing has the campaign's.
    pub(super) fn of_row(&self, row: &Row) -> Result<Local, RenderFailure> {
        let mut local = self.default;
        if let Some((column, name)) = said(row, self.locale_column.as_ref()) {
            local.locale = Some(locale_of(name).map_err(|problem| wrong(column, problem))?);
        }
        if let Some((column, name)) = said(row, self.zone_column.as_ref()) {
            local.zone = Some(Zone::parse(name).map_err(|problem| wrong(column, problem))?);
        }
        Ok(local)
    }
}

fn said<'r>(row: &'r Row, column: Option<&'r String>) -> Option<(&'r String, &'r str)> {
    let column = column?;
    let said = row.values.get(column)?.as_str()?.trim();
    (!said.is_empty()).then_some((column, said))
}

fn wrong(column: &str, problem: String) -> RenderFailure {
    RenderFailure::Local { column: column.to_owned(), problem }
}
