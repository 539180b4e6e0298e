//! The letters of a campaign: one, or one for each language and variant.

use std::collections::BTreeSet;

use super::Campaign;
use super::choice::{By, Choice};
use super::error::Mistake;

impl Campaign {
    /// The column with the language, where letters differ by one.
    pub(crate) fn letter_column(&self) -> Option<&str> {
        self.columns_that_choose().first().copied()
    }

    /// The variants; one without a name where there are none.
    pub(crate) fn letter_variants(&self) -> Vec<Option<&str>> {
        match self.variants.is_empty() {
            true => vec![None],
            false => self.variants.0.keys().map(|name| Some(name.as_str())).collect(),
        }
    }

    /// What all other rows get, and the languages.
    pub(crate) fn letter_languages(&self) -> Vec<Option<&str>> {
        let languages: BTreeSet<&str> = self.choices().into_iter().flat_map(languages_of).collect();
        std::iter::once(None).chain(languages.into_iter().map(Some)).collect()
    }

    /// The campaign as those see it who get this letter. There may be none for all other languages.
    pub(crate) fn letter(&self, variant: Option<&str>, language: Option<&str>) -> Option<Self> {
        let mut own = self.clone();
        if let Some(variant) = variant.and_then(|name| self.variants.0.get(name)) {
            let template = &mut own.template;
            template.subject = variant.subject.clone().unwrap_or(template.subject.clone());
            template.text = variant.text.clone().or(template.text.take());
            template.html = variant.html.clone().or(template.html.take());
        }
        let template = &mut own.template;
        template.subject = Choice::one(template.subject.of(language)?.clone());
        if let Some(text) = &template.text {
            template.text = Some(Choice::one(text.of(language)?.clone()));
        }
        if let Some(html) = &template.html {
            template.html = Some(Choice::one(html.of(language)?.clone()));
        }
        own.variants.0.clear();
        Some(own)
    }

    /// The variant that a recipient gets, where there are several.
    pub(crate) fn variant_of(&self, address: &str) -> Option<&str> {
        let edition = self.identity.edition.as_deref().unwrap_or_default();
        self.variants.of(&format!("{}\0{edition}", self.identity.id), address)
    }

    pub(super) fn check_letters(&self) -> Result<(), Mistake> {
        self.variants.check()?;
        if let [first, second, ..] = self.columns_that_choose()[..] {
            return Err(Mistake::new(
                "template.subject",
                format!("letters are chosen by column `{first}` and by column `{second}`"),
                "use one column for all",
            ));
        }
        if !self.template.personalised && (!self.variants.is_empty() || self.letter_column().is_some()) {
            return Err(Mistake::new(
                "template.personalised",
                "there are several letters, but with `personalised = false` all get one text",
                "set `personalised = true`, or leave the languages and variants out",
            ));
        }
        for variant in self.letter_variants() {
            for language in self.letter_languages().into_iter().flatten() {
                if self.letter(variant, Some(language)).is_none() {
                    let of_variant = variant.map_or(String::new(), |name| format!(" in variant `{name}`"));
                    return Err(Mistake::new(
                        "template.subject",
                        format!(
                            "one of `subject`, `text` and `html` has nothing for `{language}`{of_variant}"
                        ),
                        "give it the language, or a `default`",
                    ));
                }
            }
        }
        Ok(())
    }

    /// The columns that choose, without repetitions.
    fn columns_that_choose(&self) -> Vec<&str> {
        let columns: BTreeSet<&str> = self.choices().into_iter().map(|choice| choice.column()).collect();
        columns.into_iter().collect()
    }

    /// Everything that differs by a column.
    fn choices(&self) -> Vec<&dyn Chooses> {
        let template = &self.template;
        let variants = self.variants.0.values();
        let subjects = std::iter::once(&template.subject)
            .chain(variants.clone().filter_map(|variant| variant.subject.as_ref()))
            .filter_map(|choice| choice.by().map(|by| by as &dyn Chooses));
        let paths = variants.flat_map(|variant| variant.text.iter().chain(&variant.html));
        let paths = template.text.iter().chain(&template.html).chain(paths);
        subjects.chain(paths.filter_map(|choice| choice.by().map(|by| by as &dyn Chooses))).collect()
    }
}

/// A [`By`] of whatever.
trait Chooses {
    fn column(&self) -> &str;
    fn languages(&self) -> Vec<&str>;
}

impl<T> Chooses for By<T> {
    fn column(&self) -> &str {
        &self.column
    }

    fn languages(&self) -> Vec<&str> {
        self.values.keys().map(String::as_str).collect()
    }
}

fn languages_of(choice: &dyn Chooses) -> Vec<&str> {
    choice.languages()
}
