//! What the command line and the environment say in place of the campaign file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::CampaignError;

/// Whether a key holds a template, in which `${NAME}` stays what it is.
fn is_template(key: &str) -> bool {
    matches!(key, "template.subject" | "secure-documents.subject")
        || key.starts_with("variants.") && key.ends_with(".subject")
}

/// What is said for one run in place of the campaign file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// The files of the target group, or patterns of their names, instead of the campaign's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<String>,
    /// Values by their key, such as `template.defaults.month`: TOML, or else a text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// The environment's variables that the file asks for as `${NAME}`. What is here comes before
    /// the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl Parameters {
    /// True when the campaign file is used as it is.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.set.is_empty() && self.env.is_empty()
    }

    /// These, and where they say nothing, what was recorded with a run.
    pub fn or(&self, recorded: &Self) -> Self {
        let mut all = recorded.clone();
        if !self.list.is_empty() {
            all.list.clone_from(&self.list);
        }
        all.set.extend(self.set.clone());
        all.env.extend(self.env.clone());
        all
    }

    /// The id of the campaign in the text of a campaign file; nothing else in it is looked at.
    pub(super) fn id_in(&self, text: &str, path: &Path) -> Result<Option<String>, CampaignError> {
        let table = DeTable::parse(text).map_err(|error| CampaignError::toml(path, text, &error))?;
        let set = self.set.get("campaign.id").map(|value| value_of(value));
        let written = || Some(table.get_ref().get("campaign")?.get_ref().get("id")?.get_ref().clone());
        let Some(DeValue::String(id)) = set.or_else(written) else { return Ok(None) };
        let mut expansion = Expansion { given: self, used: BTreeMap::new() };
        let expanded = expansion.text(&id, 0);
        expanded.map(Some).map_err(|Unset { name, at }| CampaignError::unset(path, text, at, &name))
    }

    /// The key and the value of `set` that have this place behind the text.
    pub(super) fn setting_at(&self, place: usize, text: &str) -> Option<(&str, &str)> {
        let (key, value) = self.set.iter().nth(place.checked_sub(text.len() + 1)?)?;
        Some((key, value))
    }

    /// The table of a campaign file with these in it, and what of the environment it asked for.
    ///
    /// A value of `set` gets a place behind the end of the text, which [`Self::setting_at`] knows.
    pub(super) fn apply<'t>(
        &'t self,
        text: &'t str,
        path: &Path,
    ) -> Result<(Spanned<DeTable<'t>>, BTreeMap<String, String>), CampaignError> {
        let mut table = DeTable::parse(text).map_err(|error| CampaignError::toml(path, text, &error))?;
        for (n, (key, value)) in self.set.iter().enumerate() {
            let place = text.len() + 1 + n;
            put(table.get_mut(), key, value_of(value), place..place)
                .map_err(|problem| CampaignError::set(path, key, problem))?;
        }
        let mut expansion = Expansion { given: self, used: BTreeMap::new() };
        expansion
            .table("", table.get_mut())
            .map_err(|Unset { name, at }| CampaignError::unset(path, text, at, &name))?;
        Ok((table, expansion.used))
    }
}

/// A value as TOML has it, or else the text itself. Dates are text: no key has another use for
/// them.
fn value_of(text: &str) -> DeValue<'_> {
    match DeValue::parse(text).map(Spanned::into_inner) {
        Ok(DeValue::Datetime(_)) | Err(_) => DeValue::String(text.into()),
        Ok(value) => value,
    }
}

/// Puts a value where the dotted `key` leads.
fn put<'t>(
    table: &mut DeTable<'t>,
    key: &'t str,
    value: DeValue<'t>,
    place: Range<usize>,
) -> Result<(), &'static str> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let name = || Spanned::new(place.clone(), first.into());
    let Some(rest) = rest else {
        table.remove(first);
        table.insert(name(), Spanned::new(place, value));
        return Ok(());
    };
    let inner = table
        .entry(name())
        .or_insert_with(|| Spanned::new(place.clone(), DeValue::Table(DeTable::default())))
        .get_mut();
    match inner {
        DeValue::Table(inner) => put(inner, rest, value, place),
        DeValue::Array(_) => Err("a list has no keys of its own; change it in the campaign file"),
        _ => Err("what stands before the last dot is no table"),
    }
}

/// Replaces `${NAME}` in the texts of a campaign file.
struct Expansion<'p> {
    given: &'p Parameters,
    used: BTreeMap<String, String>,
}

/// A variable that has no value, and where the text that asks for it begins.
struct Unset {
    name: String,
    at: usize,
}

impl Expansion<'_> {
    fn table(&mut self, above: &str, table: &mut DeTable<'_>) -> Result<(), Unset> {
        table.iter_mut().try_for_each(|(name, value)| {
            let key = if above.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{above}.{}", name.get_ref())
            };
            if is_template(&key) { Ok(()) } else { self.value(&key, value) }
        })
    }

    fn value(&mut self, key: &str, value: &mut Spanned<DeValue<'_>>) -> Result<(), Unset> {
        let at = value.span().start;
        match value.get_mut() {
            DeValue::String(text) if text.contains("${") => {
                *text = self.text(text, at)?.into();
                Ok(())
            }
            DeValue::Array(values) => values.iter_mut().try_for_each(|value| self.value(key, value)),
            DeValue::Table(table) => self.table(key, table),
            _ => Ok(()),
        }
    }

    /// The text with the values of its variables; `$${NAME}` stands for `${NAME}` itself.
    fn text(&mut self, text: &str, at: usize) -> Result<String, Unset> {
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let name = after.split_once('}').filter(|(name, _)| is_name(name));
            let Some((name, behind)) = name else {
                whole.push_str(&rest[..before.len() + 2]);
                rest = after;
                continue;
            };
            rest = behind;
            if let Some(before) = before.strip_suffix('$') {
                whole.push_str(&format!("{before}${{{name}}}"));
            } else {
                whole.push_str(before);
                whole.push_str(&self.variable(name, at)?);
            }
        }
        Ok(whole + rest)
    }

    fn variable(&mut self, name: &str, at: usize) -> Result<String, Unset> {
        let value = self.given.env.get(name).cloned().or_else(|| std::env::var(name).ok());
        let value = value.ok_or_else(|| Unset { name: name.to_owned(), at })?;
        self.used.insert(name.to_owned(), value.clone());
        Ok(value)
    }
}

/// As a shell has it: letters, digits and `_`, no digit first.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::super::Campaign;
    use super::*;

    const FILE: &str = r#"[campaign]
id = "report"
[sender]
from = "News <news@example.com>"
[target-group]
files = ["lists/${REGION}/*.csv"]
[template]
subject = "Hello ${REGION}"
text = "a.hbs"
defaults = { price = "$${REGION} and ${" }
[delivery]
route = "sandbox"
"#;

    fn with(set: &[(&str, &str)], env: &[(&str, &str)]) -> Parameters {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Parameters { list: vec![], set: owned(set), env: owned(env) }
    }

    fn parsed(given: &Parameters) -> Result<Campaign, CampaignError> {
        Campaign::parse_with(FILE, Path::new("c/campaign.toml"), given)
    }

    #[test]
    fn variables_are_replaced_but_not_in_templates() {
        let campaign = parsed(&with(&[], &[("REGION", "de\"\nid = 1"), ("OTHER", "x")])).unwrap();
        assert_eq!(campaign.target_group.files, ["c/lists/de\"\nid = 1/*.csv"]);
        assert_eq!(*campaign.template.subject, "Hello ${REGION}");
        assert_eq!(campaign.template.defaults["price"].as_str(), Some("${REGION} and ${"));
        assert_eq!(campaign.parameters, with(&[], &[("REGION", "de\"\nid = 1")]), "only what was used");
    }

    #[test]
    fn variables_stay_in_the_subject_of_passwords() {
        let secure = "[secure-documents]\nattachments = [\"a.pdf\"]\nsecret-env = \"S\"\n\
                      subject = \"For ${REGION}\"\ntext = \"p.ftl\"\n[[scanner]]\nkind = \"clamd\"\n\
                      address = \"/clamd\"\n";
        let given = with(&[], &[("REGION", "de")]);
        let campaign = Campaign::parse_with(&format!("{FILE}{secure}"), Path::new("c"), &given).unwrap();
        assert_eq!(*campaign.secure_documents.unwrap().subject, "For ${REGION}");
    }

    #[test]
    fn a_variable_without_a_value_is_named_with_its_place() {
        let error = parsed(&Parameters::default()).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.place),
            ("the variable `REGION` is not set", Some((6, 10)))
        );
    }

    #[test]
    fn a_value_that_is_set_comes_before_the_file() {
        let env = [("REGION", "de")];
        let set = [
            ("campaign.edition", "2026-11-28"),
            ("capacity.per-hour", "1000"),
            ("template.defaults.code", "01234"),
            ("template.subject", "Hi"),
        ];
        let given = with(&set, &env);
        let campaign = parsed(&given).unwrap();
        assert_eq!(campaign.identity.edition.as_deref(), Some("2026-11-28"));
        assert_eq!((campaign.capacity.per_hour, campaign.template.subject.as_str()), (1000, "Hi"));
        assert_eq!(campaign.template.defaults["code"].as_str(), Some("01234"));
        assert_eq!(campaign.parameters, given);
    }

    #[test]
    fn a_list_replaces_the_files_and_starts_from_where_it_was_given() {
        let given = Parameters { list: vec!["/lists/x.csv".into()], ..with(&[], &[("REGION", "de")]) };
        assert_eq!(parsed(&given).unwrap().target_group.files, ["/lists/x.csv"]);
    }

    #[test]
    fn what_can_not_be_set_is_named() {
        let check = |key: &str, value: &str, problem: &str| {
            let error = parsed(&with(&[(key, value)], &[("REGION", "de")])).unwrap_err();
            assert_eq!(error.place, None);
            assert!(error.to_string().starts_with(&format!("`--set {key}`: ")), "{error}");
            assert!(error.to_string().contains(problem), "{error}");
        };
        check("capacity.per-our", "1", "unknown key `per-our`");
        check("capacity.per-hour", "many", "many");
        check("capacity.per-hour", "0", "");
        check("campaign.id", "5", "`campaign.id` is `5`, and must be a text in quotes");
        check("campaign.id.more", "5", "no table");
        check("target-group.files.0", "5", "no keys of its own");
    }

    #[test]
    fn what_is_said_now_comes_before_what_was_recorded() {
        let recorded = with(&[("a.b", "1"), ("a.c", "2")], &[("X", "old")]);
        let all = with(&[("a.b", "3")], &[]).or(&recorded);
        assert_eq!(all, with(&[("a.b", "3"), ("a.c", "2")], &[("X", "old")]));
    }
}
