//! Planned and screened rows together in input order, so that results are written in one pass.

use std::iter::Peekable;

use super::error::PlanError;
use super::reader::Plan;
use super::screened::ScreenedRows;
use crate::screen::Screened;

/// A row of the input, wherever it was frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputRow {
    /// It is in the plan, with this index.
    Planned(u32),
    /// It was screened.
    Screened(Screened),
}

/// Merges a plan and its screened rows by file and row.
pub fn input_order(plan: &Plan, screened: ScreenedRows) -> impl Iterator<Item = Result<InputRow, PlanError>> {
    Merge { plan, next: 0, screened: screened.peekable() }
}

struct Merge<'a> {
    plan: &'a Plan,
    next: u32,
    screened: Peekable<ScreenedRows>,
}

impl Iterator for Merge<'_> {
    type Item = Result<InputRow, PlanError>;

    fn next(&mut self) -> Option<Self::Item> {
        let planned = (self.next < self.plan.len()).then(|| self.plan.place(self.next));
        let screened_first = match (self.screened.peek(), planned) {
            (None, None) => return None,
            (None, Some(_)) => false,
            (Some(_), None) => true,
            // An error is returned immediately.
            (Some(Err(_)), Some(_)) => true,
            (Some(Ok(screened)), Some((file, row))) => {
                (screened.file, screened.place.row) < (file as usize, row)
            }
        };
        if screened_first {
            return self.screened.next().map(|row| row.map(InputRow::Screened));
        }
        self.next += 1;
        Some(Ok(InputRow::Planned(self.next - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::freeze::tests::{frozen, plan_files};
    use super::*;
    use crate::screen::testing::batch_at;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

        /// Every row of the input comes out once, in its place.
        #[test]
        fn the_merge_is_the_input(
            files in proptest::collection::vec(
                proptest::collection::vec("[a-f]@x[.]example|suppressed@b[.]example|bad", 0..20), 1..4),
            chunk in 1_usize..7,
        ) {
            let mut batches = Vec::new();
            for (file, emails) in files.iter().enumerate() {
                let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
                for (n, emails) in emails.chunks(chunk).enumerate() {
                    batches.push(batch_at(file, (n * chunk) as u64 + 1, emails));
                }
            }
            let (_folder, at) = plan_files();
            frozen(&at, batches);
            let plan = Plan::open(&at.plan).unwrap();
            let screened = ScreenedRows::open(&at.screened).unwrap();
            let merged: Vec<(usize, u64, String)> = input_order(&plan, screened)
                .map(|row| match row.unwrap() {
                    InputRow::Planned(index) => {
                        let (file, row) = plan.place(index);
                        (file as usize, row, plan.email(index).to_owned())
                    }
                    InputRow::Screened(row) => (row.file, row.place.row, row.email.unwrap()),
                })
                .collect();
            let input: Vec<(usize, u64, String)> = files
                .iter()
                .enumerate()
                .flat_map(|(file, emails)| {
                    emails.iter().enumerate().map(move |(row, email)| (file, row as u64 + 1, email.clone()))
                })
                .collect();
            proptest::prop_assert_eq!(merged, input);
        }
    }
}
