//! Applies the rules to the whole list, batch by batch in input order.

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use super::error::ScreenError;
use super::parse::{Columns, Parsed, Parser, cell};
use crate::campaign::Duplicates;
use crate::edition::{Capped, Earlier, Past};
use crate::kit::text::counted;
use crate::mail::{Address, Disposition};
use crate::suppression::{AddressKey, Checker, EntryId, FingerprintMap, why};
use crate::target_group::Place;

/// How many fingerprints are looked up together: their slots fit the L1 cache.
const FETCHED_ROWS: usize = 64;

/// The rules of screening besides the suppression list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// When two addresses are the same.
    pub duplicates: Duplicates,
    /// Accept at most this many rows; those beyond are `not_attempted`.
    pub rows: Option<u64>,
}

/// Screens a target group.
#[derive(Debug)]
pub struct Screener {
    parser: Parser,
    limits: Limits,
    checker: Checker,
    /// Who got this edition before, where it matters.
    earlier: Option<Earlier>,
    /// Who got too much mail lately, where it matters.
    capped: Option<Capped>,
    files: Vec<String>,
    /// For each file reached so far, the number of rows in the files before it: converts a place to
    /// a number and back.
    rows_before: Vec<u64>,
    /// The largest row number so far in the present file.
    rows: u64,
    /// Each address with the number of the first row that had it.
    seen: FingerprintMap,
    counts: Counts,
    blocked: Vec<EntryId>,
}

/// A row that is not sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// Which file: an index into the target group's files.
    pub file: usize,
    /// Where in the file.
    pub place: Place,
    /// The address as given; `None` if the row can't be read that far.
    pub email: Option<String>,
    /// The recipient's id.
    pub id: Option<String>,
    /// `invalid`, `duplicate`, `suppressed`, `already_sent`, `capped` or `not_attempted`.
    pub disposition: Disposition,
    /// Why, a lowercase fragment.
    pub detail: String,
}

/// The rows of a batch that are sent to.
#[derive(Debug, Clone)]
pub struct Accepted {
    parsed: Parsed,
    keep: Vec<u32>,
}

/// A screened batch: each row is in one of the two lists.
#[derive(Debug, Clone)]
pub struct ScreenedBatch {
    /// The rows that are sent to, in the order of the file.
    pub accepted: Accepted,
    /// The rest, in the order of the file.
    pub screened: Vec<Screened>,
}

/// How many rows passed screening, and why the rest did not. `rows` is the sum of all but
/// `smtputf8` and `stray_quotes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All rows.
    pub rows: u64,
    /// Sent to.
    pub accepted: u64,
    /// Unreadable, or with a bad address.
    pub invalid: u64,
    /// With the address of an earlier row.
    pub duplicate: u64,
    /// With an address on the suppression list.
    pub suppressed: u64,
    /// Beyond the limit.
    pub not_attempted: u64,
    /// Who got this edition from an earlier run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub already_sent: u64,
    /// Who got as many mails lately as the campaign file allows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub capped: u64,
    /// Of the accepted ones, those whose address needs SMTPUTF8 (RFC 6531).
    pub smtputf8: u64,
    /// Rows with a quoted field that seems to hold other rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stray_quotes: Option<Stray>,
}

/// Rows with a quoted field that seems to hold other rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// How many.
    pub rows: u64,
    /// The file of the first one: an index into the target group's files.
    pub file: usize,
    /// Its number in the file.
    pub row: u64,
    /// The line it starts on.
    pub line: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Screener {
    /// A screener for records with this schema and the checker's snapshot of the suppression list.
    /// `files` are the names of the target group's files as results show them.
    pub fn new(
        schema: &Schema,
        columns: Columns,
        limits: Limits,
        files: Vec<String>,
        checker: Checker,
    ) -> Result<Self, ScreenError> {
        let parser = Parser::new(schema, columns, limits.duplicates, checker.fingerprinter().clone())?;
        Ok(Self {
            parser,
            limits,
            checker,
            earlier: None,
            capped: None,
            files,
            rows_before: Vec::new(),
            rows: 0,
            seen: FingerprintMap::default(),
            counts: Counts::default(),
            blocked: Vec::new(),
        })
    }

    /// Leaves out who got the edition before, or too much mail lately.
    #[must_use]
    pub fn with_past(mut self, past: Past) -> Self {
        self.earlier = past.earlier.filter(|earlier| !earlier.is_empty());
        self.capped = past.capped.filter(|capped| !capped.is_empty());
        let edition = self.earlier.as_ref().map(Earlier::recognise);
        self.parser.recognise = edition.or_else(|| self.capped.as_ref().map(Capped::recognise));
        self
    }

    /// The parser whose batches [`Self::accept`] takes.
    pub fn parser(&self) -> Parser {
        self.parser.clone()
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The number of rows in each file so far.
    pub fn rows_by_file(&self) -> Vec<u64> {
        let ends = self.rows_before.iter().skip(1).copied();
        let end = self.rows_before.last().map_or(0, |before| before + self.rows);
        let mut rows: Vec<u64> =
            std::iter::zip(&self.rows_before, ends.chain([end])).map(|(before, end)| end - before).collect();
        rows.resize(self.files.len(), 0);
        rows
    }

    /// The entries of the suppression list that blocked a row so far. Each counts as an attempt,
    /// which restarts the entry's term (see [`crate::suppression::Suppressions::restart_time`]).
    pub fn blocked(&self) -> &[EntryId] {
        &self.blocked
    }

    /// The last change of the suppression list that was seen (see [`Checker::change`]).
    pub fn suppression_change(&self) -> u64 {
        self.checker.change()
    }

    /// How many rows are of somebody who got the edition with other templates or another sender,
    /// and the runs that they got it from.
    pub fn other_letters(&self) -> (u64, Vec<String>) {
        self.earlier.as_ref().map(Earlier::other_letters).unwrap_or_default()
    }

    /// Applies the rules to a batch.
    ///
    /// # Panics
    /// When batches are not in input order.
    pub fn accept(&mut self, mut parsed: Parsed) -> Result<ScreenedBatch, ScreenError> {
        self.enter(&parsed)?;
        let mut screened = Vec::new();
        if let [first, ..] = parsed.stray.as_slice() {
            let (file, row, line) = (parsed.file, first.row, first.line.unwrap_or_default());
            let stray = self.counts.stray_quotes.get_or_insert(Stray { rows: 0, file, row, line });
            stray.rows += parsed.stray.len() as u64;
        }
        for row in std::mem::take(&mut parsed.unreadable) {
            self.counts.invalid += 1;
            screened.push(Screened {
                file: parsed.file,
                place: row.place,
                email: row.email,
                id: row.id,
                disposition: Disposition::Invalid,
                detail: row.reason,
            });
        }
        let readable = screened.len();

        // Reasons are popped from the end.
        let mut faults = std::mem::take(&mut parsed.faults);
        faults.reverse();
        let mut keep = Vec::with_capacity(parsed.places.len());
        for row in 0..parsed.places.len() {
            if row % FETCHED_ROWS == 0 {
                let rows = row..parsed.places.len().min(row + FETCHED_ROWS);
                self.seen.fetch(&parsed.exact.as_ref().unwrap_or(&parsed.keys)[rows.clone()]);
                self.checker.fetch(&parsed.keys[rows]);
            }
            let refused = if parsed.addresses.is_null(row) {
                let fault = faults.pop().expect("there is a reason for each address that is null");
                self.counts.invalid += 1;
                Some((Disposition::Invalid, format!("bad address: {fault}")))
            } else {
                self.refuse(&parsed, row)?
            };
            match refused {
                None => keep.push(row as u32),
                Some((disposition, detail)) => screened.push(parsed.screened(row, disposition, detail)),
            }
        }
        if readable > 0 {
            screened.sort_by_key(|row| row.place.row);
        }
        self.counts.rows += (keep.len() + screened.len()) as u64;
        Ok(ScreenedBatch { accepted: Accepted { parsed, keep }, screened })
    }

    /// Why a row with a good address is not sent to; `None` when it is.
    fn refuse(&mut self, parsed: &Parsed, row: usize) -> Result<Option<(Disposition, String)>, ScreenError> {
        if self.limits.duplicates != Duplicates::Keep {
            let number = self.number(parsed.file, parsed.places[row].row);
            let fingerprint = parsed.exact.as_ref().unwrap_or(&parsed.keys)[row];
            if let Some(first) = self.seen.insert(fingerprint, number) {
                let (file, first) = self.place(first);
                self.counts.duplicate += 1;
                let detail = format!("same address as {}, row {first}", self.files[file]);
                return Ok(Some((Disposition::Duplicate, detail)));
            }
        }
        let address = parsed.addresses.value(row);
        let key = || {
            let address = Address::parse(address).expect("an address that was parsed parses again");
            AddressKey::from(&address).as_str().to_owned()
        };
        let entries = self.checker.check(parsed.keys[row], key)?;
        if let Some(why) = why(&entries) {
            self.counts.suppressed += 1;
            self.blocked.extend(entries.iter().map(|entry| entry.id));
            return Ok(Some((Disposition::Suppressed, why)));
        }
        if let (Some(earlier), Some(recipients)) = (&mut self.earlier, &parsed.recipients)
            && let Some(why) = earlier.check(recipients[row])
        {
            self.counts.already_sent += 1;
            return Ok(Some((Disposition::AlreadySent, why)));
        }
        if let (Some(capped), Some(recipients)) = (&self.capped, &parsed.recipients)
            && let Some(why) = capped.check(recipients[row])
        {
            self.counts.capped += 1;
            return Ok(Some((Disposition::Capped, why)));
        }
        if let Some(limit) = self.limits.rows
            && self.counts.accepted >= limit
        {
            self.counts.not_attempted += 1;
            let limit = counted(limit, "row", "rows");
            return Ok(Some((Disposition::NotAttempted, format!("beyond the limit of {limit}"))));
        }
        self.counts.accepted += 1;
        if let (Some(capped), Some(recipients)) = (&mut self.capped, &parsed.recipients) {
            capped.add(recipients[row]);
        }
        // The domain is always ASCII.
        self.counts.smtputf8 += u64::from(!parsed.all_ascii && !address.is_ascii());
        Ok(None)
    }

    /// Advances to the batch's file and rows, and checks that each of its rows has a number.
    fn enter(&mut self, parsed: &Parsed) -> Result<(), ScreenError> {
        assert!(parsed.file + 1 >= self.rows_before.len(), "batches come in the order of the files");
        while self.rows_before.len() <= parsed.file {
            let before = self.rows_before.last().map_or(0, |before| before + self.rows);
            self.rows_before.push(before);
            self.rows = 0;
        }
        let places = parsed.places.iter().chain(parsed.unreadable.iter().map(|row| &row.place));
        let (first, last) =
            places.fold((u64::MAX, 0), |(first, last), place| (first.min(place.row), last.max(place.row)));
        assert!(first > self.rows, "batches come in the order of the rows");
        self.rows = self.rows.max(last);
        let before = self.rows_before[parsed.file];
        if before + self.rows >= u64::from(u32::MAX) {
            return Err(ScreenError::TooManyRows);
        }
        Ok(())
    }

    /// The row's number over all files.
    fn number(&self, file: usize, row: u64) -> u32 {
        u32::try_from(self.rows_before[file] + row)
            .expect("a batch with rows beyond is refused when it comes in")
    }

    /// The file and row of a number from [`Self::number`].
    fn place(&self, number: u32) -> (usize, u64) {
        // Rows are numbered from 1, so a file's rows start after the number of rows before it.
        let file = self.rows_before.partition_point(|before| *before < u64::from(number)) - 1;
        (file, u64::from(number) - self.rows_before[file])
    }
}

impl Parsed {
    fn screened(&self, row: usize, disposition: Disposition, detail: String) -> Screened {
        Screened {
            file: self.file,
            place: self.places[row],
            email: self.emails.is_valid(row).then(|| self.emails.value(row).to_owned()),
            id: cell(self.ids.as_ref(), row).map(str::to_owned),
            disposition,
            detail,
        }
    }
}

impl Accepted {
    /// How many.
    pub fn len(&self) -> usize {
        self.keep.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.keep.is_empty()
    }

    /// Which file: an index into the target group's files.
    pub fn file(&self) -> usize {
        self.parsed.file
    }

    /// The batch's records, including rows that are not accepted.
    pub fn records(&self) -> &RecordBatch {
        &self.parsed.records
    }

    /// Which of [`Self::records`] are accepted, ascending.
    pub fn keep(&self) -> &[u32] {
        &self.keep
    }

    /// The place of each of [`Self::records`].
    pub fn places(&self) -> &[Place] {
        &self.parsed.places
    }

    /// The address as given for each of [`Self::records`].
    pub fn emails(&self) -> &StringArray {
        &self.parsed.emails
    }

    /// The address on the wire for each of [`Self::records`]; null for some that are not accepted.
    pub fn addresses(&self) -> &StringArray {
        &self.parsed.addresses
    }

    /// The domain of each accepted row.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.keep.iter().map(|row| {
            let address = self.parsed.addresses.value(*row as usize);
            // A local part holds no `@`: addresses with quotes are not accepted.
            address.split_once('@').map_or("", |(_, domain)| domain)
        })
    }

    /// Those of [`Self::records`] whose address on the wire differs from the one given, ascending.
    pub fn rewritten(&self) -> &[u32] {
        &self.parsed.rewritten
    }

    /// The recipient's id for each of [`Self::records`].
    pub fn ids(&self) -> Option<&StringArray> {
        self.parsed.ids.as_ref()
    }

    /// The display name for each of [`Self::records`].
    pub fn names(&self) -> Option<&StringArray> {
        self.parsed.names.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{address, batch, batch_at, columns, schema, suppression};
    use super::*;
    use crate::target_group::{Batch, Unreadable};

    fn screener(limits: Limits, suppressed: &[&str]) -> Screener {
        let checker = suppression(suppressed);
        Screener::new(
            &schema(),
            columns(),
            limits,
            vec!["a.csv".into(), "b.csv".into(), "c.csv".into()],
            checker,
        )
        .unwrap()
    }

    fn run(screener: &mut Screener, batches: Vec<Batch>) -> Vec<ScreenedBatch> {
        let parser = screener.parser();
        batches.into_iter().map(|batch| screener.accept(parser.parse(batch).unwrap()).unwrap()).collect()
    }

    fn accepted(batches: &[ScreenedBatch]) -> Vec<String> {
        let emails = |batch: &ScreenedBatch| {
            let accepted = &batch.accepted;
            accepted
                .keep()
                .iter()
                .map(|row| accepted.emails().value(*row as usize).to_owned())
                .collect::<Vec<_>>()
        };
        batches.iter().flat_map(emails).collect()
    }

    /// Screens one file of these addresses; each outcome as `file:row disposition detail`.
    fn check(limits: Limits, suppressed: &[&str], emails: &[&str], refused: &[&str]) {
        let mut screener = screener(limits, suppressed);
        let batches = run(&mut screener, vec![batch(0, emails)]);
        let found: Vec<String> = batches[0]
            .screened
            .iter()
            .map(|row| format!("{} {} {}", row.place.row, row.disposition, row.detail))
            .collect();
        assert_eq!(found, refused, "{emails:?}");
        let counts = screener.counts();
        assert_eq!(counts.rows, emails.len() as u64);
        assert_eq!(counts.accepted as usize, batches[0].accepted.len());
        assert_eq!(counts.rows - counts.accepted, refused.len() as u64);
    }

    #[test]
    fn the_rules_in_their_order() {
        let usual = Limits::default();
        check(usual, &[], &["a@b.example", "c@b.example"], &[]);
        check(
            usual,
            &[],
            &["a@@b.example", ""],
            &["1 invalid bad address: more than one `@`", "2 invalid bad address: empty"],
        );
        check(usual, &[], &["a@b.example", " A@B.Example "], &["2 duplicate same address as a.csv, row 1"]);
        check(usual, &["a@b.example"], &["A@b.example"], &["1 suppressed manual, from test, for ever"]);
        // A second row of a suppressed address is a duplicate of the first; a bad address is never
        // a duplicate.
        check(
            usual,
            &["a@b.example"],
            &["a@b.example", "a@b.example", "x", "x"],
            &[
                "1 suppressed manual, from test, for ever",
                "2 duplicate same address as a.csv, row 1",
                "3 invalid bad address: no `@`",
                "4 invalid bad address: no `@`",
            ],
        );
    }

    #[test]
    fn what_counts_as_the_same_address_is_a_setting() {
        let rows = ["Bob@b.example", "bob@B.example", "bob@b.example"];
        let limits = |duplicates| Limits { duplicates, rows: None };
        let same = |row: u32, first: u32| format!("{row} duplicate same address as a.csv, row {first}");
        check(limits(Duplicates::IgnoreCase), &[], &rows, &[&same(2, 1), &same(3, 1)]);
        check(limits(Duplicates::ExactLocalPart), &[], &rows, &[&same(3, 2)]);
        check(limits(Duplicates::Keep), &[], &rows, &[]);
        // The suppression list ignores case with each of these settings.
        for duplicates in [Duplicates::IgnoreCase, Duplicates::ExactLocalPart, Duplicates::Keep] {
            check(
                limits(duplicates),
                &["bob@b.example"],
                &rows[..1],
                &["1 suppressed manual, from test, for ever"],
            );
        }
    }

    #[test]
    fn rows_beyond_the_limit_are_not_attempted() {
        let limits = Limits { rows: Some(2), ..Limits::default() };
        let rows = ["a@b.example", "a@b.example", "c@b.example", "d@b.example", "x"];
        check(
            limits,
            &[],
            &rows,
            &[
                "2 duplicate same address as a.csv, row 1",
                "4 not_attempted beyond the limit of 2 rows",
                "5 invalid bad address: no `@`",
            ],
        );
    }

    #[test]
    fn a_duplicate_names_the_file_and_row_of_the_first() {
        let mut screener = screener(Limits::default(), &[]);
        let batches = vec![
            batch(0, &["a@b.example", "b@b.example"]),
            batch_at(0, 3, &["c@b.example"]),
            // The file between has no rows.
            batch(2, &["d@b.example"]),
            batch_at(2, 2, &["C@b.example", "D@b.example", "a@b.example"]),
        ];
        let batches = run(&mut screener, batches);
        let details: Vec<&str> = batches[3].screened.iter().map(|row| row.detail.as_str()).collect();
        assert_eq!(
            details,
            ["same address as a.csv, row 3", "same address as c.csv, row 1", "same address as a.csv, row 1"]
        );
    }

    #[test]
    fn unreadable_rows_keep_their_place_among_the_others() {
        let mut screener = screener(Limits::default(), &[]);
        let mut batch = batch(0, &["a@b.example", "bad", "c@b.example", "worse"]);
        for (place, row) in batch.places.iter_mut().zip([1, 3, 4, 6]) {
            place.row = row;
        }
        let unreadable = |row, email: Option<&str>| Unreadable {
            place: Place { row, line: Some(row + 1) },
            email: email.map(str::to_owned),
            id: None,
            reason: "3 fields instead of 2".into(),
        };
        batch.unreadable = vec![unreadable(2, Some("u@b.example")), unreadable(5, None)];
        let batches = run(&mut screener, vec![batch]);
        let rows: Vec<(u64, &str)> = batches[0]
            .screened
            .iter()
            .map(|row| (row.place.row, row.email.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(rows, [(2, "u@b.example"), (3, "bad"), (5, "-"), (6, "worse")]);
        assert_eq!(batches[0].screened[0].detail, "3 fields instead of 2");
        assert_eq!(screener.counts().invalid, 4);
        assert_eq!(screener.counts().rows, 6);
    }

    #[test]
    fn what_was_blocked_is_known_for_the_list() {
        let checker = suppression(&["a@b.example", "c@b.example"]);
        let files = vec!["a.csv".into()];
        let mut screener = Screener::new(&schema(), columns(), Limits::default(), files, checker).unwrap();
        run(&mut screener, vec![batch(0, &["A@b.example", "b@b.example", "a@b.example"])]);
        assert_eq!(screener.blocked().len(), 1);
    }

    #[test]
    fn addresses_that_need_smtputf8_are_counted() {
        let mut screener = screener(Limits::default(), &[]);
        let batches = run(&mut screener, vec![batch(0, &["josé@b.example", "jose@müller.example"])]);
        assert_eq!(screener.counts().smtputf8, 1);
        assert_eq!(batches[0].accepted.addresses().value(1), "jose@xn--mller-kva.example");
        assert_eq!(Address::parse("josé@b.example").unwrap(), address("josé@b.example"));
    }

    #[test]
    fn a_column_that_is_no_text_is_refused_by_name() {
        use arrow_schema::{DataType, Field};
        let tags = DataType::List(Field::new("item", DataType::Utf8, true).into());
        let schema =
            Schema::new(vec![Field::new("email", DataType::Utf8, true), Field::new("tags", tags, true)]);
        let checker = suppression(&[]);
        let columns = Columns { email: 0, id: Some(1), name: None };
        let error = Screener::new(&schema, columns, Limits::default(), vec![], checker).unwrap_err();
        assert!(error.to_string().contains("column `tags`"), "{error}");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        /// Against a model that keeps everything: each row is in exactly one of accepted and
        /// screened, for the right reason, and both are in the order of the file.
        #[test]
        fn every_row_is_accepted_or_screened(
            rows in proptest::collection::vec((0_usize..3, "[abAB]{1,2}@[xX][.]example|[a]{0,2}@?"), 0..60),
            chunk in 1_usize..9,
            limit in proptest::option::of(0_u64..20),
        ) {
            let mut rows = rows;
            rows.sort_by_key(|(file, _)| *file);
            let suppressed = ["a@x.example", "bb@x.example"];
            let mut screener = screener(Limits { rows: limit, ..Limits::default() }, &suppressed);

            let mut expected = Vec::new();
            let mut seen = Vec::new();
            let mut taken = 0;
            for (_, email) in &rows {
                let key = email.to_lowercase();
                let disposition = if Address::parse(email).is_err() {
                    Some(Disposition::Invalid)
                } else if seen.contains(&key) {
                    Some(Disposition::Duplicate)
                } else {
                    seen.push(key.clone());
                    if suppressed.contains(&key.as_str()) {
                        Some(Disposition::Suppressed)
                    } else if limit.is_some_and(|limit| taken >= limit) {
                        Some(Disposition::NotAttempted)
                    } else {
                        taken += 1;
                        None
                    }
                };
                expected.push((email.clone(), disposition));
            }

            let mut batches = Vec::new();
            for file in 0..3 {
                let emails: Vec<&str> = rows.iter().filter(|row| row.0 == file).map(|row| row.1.as_str()).collect();
                for (n, emails) in emails.chunks(chunk).enumerate() {
                    batches.push(batch_at(file, (n * chunk) as u64 + 1, emails));
                }
            }
            let batches = run(&mut screener, batches);
            let mut found = Vec::new();
            for batch in &batches {
                let accepted = &batch.accepted;
                let mut rows: Vec<(u64, String, Option<Disposition>)> = accepted
                    .keep()
                    .iter()
                    .map(|row| *row as usize)
                    .map(|row| (accepted.places()[row].row, accepted.emails().value(row).to_owned(), None))
                    .collect();
                proptest::prop_assert!(rows.is_sorted());
                proptest::prop_assert!(batch.screened.is_sorted_by_key(|row| row.place.row));
                rows.extend(batch.screened.iter().map(|row| {
                    (row.place.row, row.email.clone().unwrap(), Some(row.disposition))
                }));
                rows.sort_by_key(|row| row.0);
                found.extend(rows.into_iter().map(|(_, email, disposition)| (email, disposition)));
            }
            proptest::prop_assert_eq!(found, expected);
            proptest::prop_assert_eq!(screener.counts().rows, rows.len() as u64);
            proptest::prop_assert_eq!(accepted(&batches).len() as u64, screener.counts().accepted);
        }
    }
}
