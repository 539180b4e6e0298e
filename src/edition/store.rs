//! What a store remembers of runs: the trait that every backend implements, and the one decision
//! that it makes in a transaction.

use std::fmt;

use super::cap::Cap;
use super::past_run::{Edition, PastRun, RunMark};
use super::recipient::{Mailed, Recipient};
use crate::kit::store::StoreError;

/// What a run asks for before it sends.
#[derive(Debug)]
pub struct Claim<'a> {
    /// The run.
    pub run: &'a PastRun,
    /// Whom it may still mail, sorted.
    pub wanted: &'a [Recipient],
    /// Send to those who got the edition, too.
    pub again: bool,
    /// Whether several rows of the run can be of one recipient.
    pub repeats: bool,
    /// The run whose rows are sent again: what it holds does not matter, and goes over to this one.
    pub from: Option<&'a RunMark>,
    /// How much mail a recipient may have got before.
    pub cap: Option<&'a Cap>,
}

/// What a run got.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Whom another run has mailed or may mail, sorted: this run must not.
    pub refused: Vec<Recipient>,
    /// Who got too much mail, sorted: this run must not add to it.
    pub capped: Vec<Recipient>,
}

impl Claimed {
    /// Whether the run may mail one of those whom it wants.
    pub fn grants(&self, one: &Recipient) -> bool {
        [&self.refused, &self.capped].iter().all(|left_out| left_out.binary_search(one).is_err())
    }
}

/// The runs of real mail and their recipients, shared by all processes of one state.
pub trait Editions: fmt::Debug + Send + Sync {
    /// Identifies this state: a run belongs to the state that made it.
    fn state_id(&self) -> Result<String, StoreError>;

    /// All runs, in the order in which they were first claimed.
    fn all_runs(&self) -> Result<Vec<PastRun>, StoreError>;

    /// Who got at least [`Cap::least`] of the mails that `cap` counts, those of the run `except`
    /// left out; sorted.
    fn mailed(&self, cap: &Cap, except: &RunMark) -> Result<Vec<Mailed>, StoreError>;

    /// The runs of an edition, in the order in which they were first claimed.
    fn runs(&self, edition: &Edition) -> Result<Vec<PastRun>, StoreError>;

    /// The run with this mark.
    fn run(&self, mark: &RunMark) -> Result<Option<PastRun>, StoreError>;

    /// The recipients of a run, sorted; none if the run is not known.
    fn recipients(&self, mark: &RunMark) -> Result<Vec<Recipient>, StoreError>;

    /// Claims recipients for a run, in one transaction: it gets those whom no other run of the
    /// edition holds and who did not get too much mail, besides those whom it has. A run that
    /// claims is open until it settles.
    fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError>;

    /// Replaces the recipients of a run by those who were mailed or may have been, sorted.
    fn settle(&self, run: &PastRun, mailed: &[Recipient]) -> Result<(), StoreError>;
}

/// What a claim comes to. `own` is what the run holds, and whether it settled; `others` are the
/// recipients of the other runs of the edition; `mailed` is who got how much mail that counts, but
/// for the rows that go over to this run. All are sorted.
///
/// Returns what the run gets, and what it holds from now on.
pub fn decide(
    claim: &Claim<'_>,
    own: (&[Recipient], bool),
    others: &[Vec<Recipient>],
    mailed: &[Mailed],
) -> (Claimed, Vec<Recipient>) {
    let (own, settled) = own;
    let holds = |all: &[Recipient], one: &Recipient| all.binary_search(one).is_ok();
    // A run that has settled has mailed whom it holds: its journal is older than that if it says
    // otherwise. With several rows a recipient, another row may be meant.
    let mailed_before = |one: &Recipient| settled && !claim.repeats && holds(own, one);
    let is_refused = |one: &Recipient| {
        !claim.again && (mailed_before(one) || others.iter().any(|other| holds(other, one)))
    };
    let (refused, granted): (Vec<_>, Vec<_>) = claim.wanted.iter().partition(|one| is_refused(one));
    let stays = |one: &&Recipient| !holds(claim.wanted, one);
    let capped = claim.cap.map_or_else(Vec::new, |cap| {
        // What it holds and does not want any more, it has mailed.
        let before: Vec<_> = own.iter().filter(stays).copied().collect();
        cap.beyond(&granted, &before, mailed)
    });
    let mut held = [own, &granted].concat();
    held.sort_unstable();
    held.dedup();
    held.retain(|one| !holds(&capped, one));
    (Claimed { refused, capped }, held)
}
