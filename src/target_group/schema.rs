//! One schema for all files: types as declared by the campaign, else those of Parquet, else text.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::error::TargetGroupError;
use super::header;
use super::types;
use crate::campaign::{self, NamedIn, TypedColumn};

/// What a file says about a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// A CSV column, or one of JSON lines with text in it.
    Text,
    /// A column with a type, and the type that it is read as.
    Typed(DataType),
    /// A Parquet column of a type that templates can't use.
    Unusable(DataType),
}

/// The columns of one file.
#[derive(Debug)]
pub(super) struct FileColumns {
    pub shown: String,
    pub columns: Vec<(String, Given)>,
}

/// The columns of all files.
#[derive(Debug)]
pub(super) struct Unified {
    pub schema: SchemaRef,
    pub email: usize,
    pub id: Option<usize>,
    pub name: Option<usize>,
    /// The type that all files give the ids; text where they differ, or where there are none.
    pub id_type: DataType,
    /// How the values of columns are written, where that is not the usual way.
    pub written: BTreeMap<String, TypedColumn>,
    /// Warnings about dropped columns.
    pub warnings: Vec<String>,
}

impl Unified {
    /// Drops the columns without a role that are not in `wanted`.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<String>) {
        let roles = [Some(self.email), self.id, self.name];
        let kept: Vec<usize> = (0..self.schema.fields().len())
            .filter(|index| {
                roles.contains(&Some(*index)) || wanted.contains(self.schema.field(*index).name())
            })
            .collect();
        for column in iter::once(&mut self.email).chain(&mut self.id).chain(&mut self.name) {
            *column = kept.binary_search(column).expect("a column with a role is kept");
        }
        self.schema = Arc::new(self.schema.project(&kept).expect("the columns were counted in this schema"));
    }
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Email,
    Id,
    Name,
    Template,
}

/// Unifies the columns of `files`, in order of first appearance.
pub(super) fn unify(
    spec: &campaign::TargetGroupSource,
    files: &[FileColumns],
) -> Result<Unified, TargetGroupError> {
    let email = spec.email.trim();
    for file in files {
        if !file.columns.iter().any(|(name, _)| name == email) {
            let columns: Vec<&str> = file.columns.iter().map(|(name, _)| name.as_str()).collect();
            return Err(header::missing(email, "email", spec.named_in, &columns).in_file(&file.shown));
        }
    }
    // A file may have a hundred thousand columns: each is looked up by its name.
    let mut names: Vec<&str> = Vec::new();
    let mut given_by_name: HashMap<&str, Vec<(&str, &Given)>> = HashMap::new();
    for file in files {
        for (name, given) in &file.columns {
            let given_here = given_by_name.entry(name).or_insert_with(|| {
                names.push(name);
                Vec::new()
            });
            given_here.push((file.shown.as_str(), given));
        }
    }
    let declared = spec.types.keys().map(|name| (name.trim(), "types"));
    let optional = [(spec.id.as_deref(), "id"), (spec.name.as_deref(), "name")];
    let optional = optional.into_iter().filter_map(|(name, key)| Some((name?.trim(), key)));
    for (name, key) in optional.chain(declared) {
        if !given_by_name.contains_key(name) {
            let error = header::missing(name, key, spec.named_in, &names);
            return Err(match files {
                [file] => error.in_file(&file.shown),
                _ => error,
            });
        }
    }

    let mut warnings = Vec::new();
    let mut fields = Vec::new();
    for name in names {
        let role = role(spec, name);
        let given = &given_by_name[name];
        if role == Role::Template {
            for (shown, given) in given {
                if let Given::Unusable(what) = given {
                    warnings.push(format!(
                        "column `{name}` of `{shown}` is left out: templates can't use its type, {what}"
                    ));
                }
            }
        }
        let data_type = match role {
            Role::Email | Role::Id | Role::Name => text_of_role(spec, name, role, given)?,
            Role::Template => template_type(spec, name, given)?,
        };
        if let Some(data_type) = data_type {
            fields.push(Field::new(name, data_type, true));
        }
    }
    let schema = Arc::new(Schema::new(fields));
    let index = |name: &str| schema.index_of(name.trim()).expect("a column with a role is kept or an error");
    let written = spec.types.iter().filter(|(_, column)| column.format.is_some() || column.decimal.is_some());
    let written = written.map(|(name, column)| (name.trim().to_owned(), column.clone())).collect();
    Ok(Unified {
        written,
        email: index(email),
        id: spec.id.as_deref().map(index),
        name: spec.name.as_deref().map(index),
        id_type: spec.id.as_deref().map_or(DataType::Utf8, |id| id_type(&given_by_name[id.trim()])),
        schema,
        warnings,
    })
}

/// The type of ids that are numbers in all files; ids are read as text.
fn id_type(given: &[(&str, &Given)]) -> DataType {
    let types = given.iter().map(|(_, given)| match given {
        Given::Typed(data_type) => data_type.clone(),
        Given::Text | Given::Unusable(_) => DataType::Utf8,
    });
    let types: Vec<DataType> = types.collect();
    match types.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other == first) && *first != DataType::Null => {
            first.clone()
        }
        all if all.iter().all(DataType::is_signed_integer) => DataType::Int64,
        all if all.iter().all(DataType::is_unsigned_integer) => DataType::UInt64,
        _ => DataType::Utf8,
    }
}

fn role(spec: &campaign::TargetGroupSource, name: &str) -> Role {
    let is = |column: &Option<String>| column.as_deref().map(str::trim) == Some(name);
    if spec.email.trim() == name {
        Role::Email
    } else if is(&spec.id) {
        Role::Id
    } else if is(&spec.name) {
        Role::Name
    } else {
        Role::Template
    }
}

fn declared(spec: &campaign::TargetGroupSource, name: &str) -> Option<DataType> {
    spec.types
        .iter()
        .find(|(column, _)| column.trim() == name)
        .map(|(_, column)| types::declared(column.kind))
}

/// Addresses, ids and names are text; fails if they can't be.
fn text_of_role(
    spec: &campaign::TargetGroupSource,
    name: &str,
    role: Role,
    given: &[(&str, &Given)],
) -> Result<Option<DataType>, TargetGroupError> {
    let (what, wants) = match role {
        Role::Id => ("ids", "text or whole numbers"),
        Role::Email => ("addresses", "text"),
        Role::Name | Role::Template => ("names", "text"),
    };
    let fits = |data_type: &DataType| match role {
        Role::Id => types::names_a_recipient(data_type),
        Role::Email | Role::Name | Role::Template => matches!(data_type, DataType::Utf8 | DataType::Null),
    };
    if let Some(declared) = declared(spec, name).filter(|declared| !fits(declared)) {
        return Err(TargetGroupError::new(format!(
            "column `{name}` holds the {what}, which are {wants}, but `target-group.types` says {declared}"
        ))
        .at_column(name)
        .hint("leave it out of `target-group.types`"));
    }
    for (shown, given) in given {
        let found = match given {
            Given::Text => continue,
            Given::Typed(data_type) if fits(data_type) => continue,
            Given::Typed(data_type) | Given::Unusable(data_type) => data_type,
        };
        return Err(TargetGroupError::new(format!(
            "column `{name}` holds the {what}, which are {wants}, but its type is {found}"
        ))
        .in_file(shown)
        .at_column(name)
        .hint("name another column, or write this one as text"));
    }
    Ok(Some(DataType::Utf8))
}

/// The type of a column for templates; none if no file has a usable one.
fn template_type(
    spec: &campaign::TargetGroupSource,
    name: &str,
    given: &[(&str, &Given)],
) -> Result<Option<DataType>, TargetGroupError> {
    let typed = || {
        given.iter().filter_map(|(shown, given)| match given {
            Given::Typed(data_type) => Some((*shown, data_type)),
            Given::Text | Given::Unusable(_) => None,
        })
    };
    let text = given.iter().find(|(_, given)| **given == Given::Text).map(|(shown, _)| *shown);
    let clash = |one: (&str, &DataType), other: (&str, &DataType), hint: &str| {
        TargetGroupError::new(format!(
            "column `{name}` is {} in `{}` and {} in `{}`",
            one.1, one.0, other.1, other.0
        ))
        .in_file(other.0)
        .at_column(name)
        .hint(hint)
    };

    if let Some(declared) = declared(spec, name) {
        return match typed().find(|(_, data_type)| !types::castable(data_type, &declared)) {
            None => Ok(Some(declared)),
            Some((shown, found)) => Err(TargetGroupError::new(format!(
                "column `{name}` is {found}, which can't be read as {declared}, as `target-group.types` says"
            ))
            .in_file(shown)
            .at_column(name)
            .hint("leave it out of `target-group.types`")),
        };
    }
    let mut agreed: Option<(&str, DataType)> = None;
    for (shown, data_type) in typed() {
        let widened = match &agreed {
            None => data_type.clone(),
            Some((first, so_far)) => types::widen(so_far, data_type).ok_or_else(|| {
                let hint = match spec.named_in {
                    NamedIn::Campaign => {
                        format!("say in `[target-group.types]` what `{name}` is, or write both files alike")
                    }
                    NamedIn::CommandLine => "write both files alike".to_owned(),
                };
                clash((first, so_far), (shown, data_type), &hint)
            })?,
        };
        agreed = Some((agreed.map_or(shown, |(first, _)| first), widened));
    }
    match (agreed, text) {
        (None, None) => Ok(None),
        (None | Some((_, DataType::Null)), _) => Ok(Some(DataType::Utf8)),
        (Some((shown, found)), Some(csv)) if found.is_nested() => {
            let hint = "text can't hold lists or structs: rename or remove one of the columns";
            Err(clash((shown, &found), (csv, &DataType::Utf8), hint))
        }
        // `01234` and `K1A` say more than a number can: text wins.
        (Some((_, found)), Some(_)) if types::is_number(&found) => Ok(Some(DataType::Utf8)),
        (Some((_, found)), _) => Ok(Some(found)),
    }
}
