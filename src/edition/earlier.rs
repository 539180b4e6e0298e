//! Screens a whole target group: who got this edition before, and from which run.

use std::collections::BTreeSet;

use super::capped::Capped;
use super::past_run::{PastRun, RunMark};
use super::recipient::{Recipient, Recognise};
use super::store::Editions;
use crate::kit::store::StoreError;

/// What earlier runs mean for the rows of a new one.
#[derive(Debug, Default)]
pub struct Past {
    /// Who got the edition, where that matters.
    pub earlier: Option<Earlier>,
    /// Who got too much mail lately, where that matters.
    pub capped: Option<Capped>,
}

/// The earlier runs of an edition and their recipients: 16 bytes of memory a recipient.
#[derive(Debug)]
pub struct Earlier {
    recognise: Recognise,
    runs: Vec<(PastRun, Vec<Recipient>)>,
    /// The letter that is to be sent.
    letter: String,
    /// How many rows are of somebody who got another letter.
    other_letters: u64,
    /// The runs that they got it from.
    named: BTreeSet<usize>,
}

impl Earlier {
    /// Reads the recipients of `runs`, all but the run `except`. `letter` is what is to be sent.
    pub fn open(
        editions: &dyn Editions,
        runs: Vec<PastRun>,
        except: Option<&RunMark>,
        recognise: Recognise,
        letter: String,
    ) -> Result<Self, StoreError> {
        let mut with = Vec::new();
        for run in runs.into_iter().filter(|run| Some(&run.mark) != except) {
            let recipients = editions.recipients(&run.mark)?;
            if !recipients.is_empty() {
                with.push((run, recipients));
            }
        }
        Ok(Self { recognise, runs: with, letter, other_letters: 0, named: BTreeSet::new() })
    }

    /// How rows are recognised.
    pub fn recognise(&self) -> Recognise {
        self.recognise
    }

    /// True when nobody got the edition yet.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The run that a recipient got the edition from, for people: one with this letter, if there is
    /// one. Counted, see [`Self::other_letters`].
    pub fn check(&mut self, recipient: Recipient) -> Option<String> {
        let holds = |(_, all): &&(PastRun, Vec<Recipient>)| all.binary_search(&recipient).is_ok();
        let of = |is_same: bool| {
            let mut runs = self.runs.iter().enumerate();
            runs.find(|(_, run)| (run.0.letter == self.letter) == is_same && holds(run))
        };
        let (number, (run, _)) = of(true).or_else(|| of(false))?;
        if run.letter != self.letter {
            self.other_letters += 1;
            self.named.insert(number);
        }
        let whose = format!("run {}/{}", run.edition.campaign, run.run_id);
        Some(if run.is_open {
            format!("may get this edition from {whose}, which is unfinished")
        } else {
            format!("got this edition from {whose}")
        })
    }

    /// How many rows were of somebody who got the edition with other templates or another sender,
    /// and the runs that they got it from.
    pub fn other_letters(&self) -> (u64, Vec<String>) {
        let name = |number: &usize| self.runs[*number].0.run_id.clone();
        (self.other_letters, self.named.iter().map(name).collect())
    }
}
