//! Which letter a row gets, where a campaign has several: by language, and by variant.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::RenderFailure;
use crate::campaign::Campaign;
use crate::plan::Row;

/// What chooses among the letters of a campaign.
pub(super) struct Letters {
    /// The numbers of the letters, by variant and language; none for all others.
    pub numbers: BTreeMap<(Option<String>, Option<String>), usize>,
    /// The column with the language.
    pub column: Option<String>,
    /// It says which variant a recipient gets.
    pub campaign: Campaign,
}

impl Letters {
    /// The number of the letter for `row`.
    pub(super) fn number(&self, row: &Row) -> Result<usize, RenderFailure> {
        let variant = self.campaign.variant_of(&row.address.to_string()).map(str::to_owned);
        let said = self.column.as_ref().and_then(|column| row.values.get(column));
        let said = match said {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let own = self.numbers.get(&(variant.clone(), Some(said.clone())));
        match own.or_else(|| self.numbers.get(&(variant, None))) {
            Some(number) => Ok(*number),
            None => {
                let column = self.column.clone().unwrap_or_default();
                Err(RenderFailure::Language { column, language: said })
            }
        }
    }
}
