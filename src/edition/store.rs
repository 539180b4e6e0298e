//! What a store remembers of runs: the trait that every backend implements, and the one decision
//! that it makes in a transaction.

use std::fmt;
use std::path::PathBuf;

use super::recipient::Recipient;
use crate::kit::store::StoreError;
use crate::mail::Timestamp;

/// One issue of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    /// The campaign's id.
    pub campaign: String,
    /// The name of the edition; empty for a campaign without editions.
    pub name: String,
}

/// A run, wherever its directory is. A copy of a run directory has the same mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMark(pub String);

/// A run of real mail, as the state remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// Which run.
    pub mark: RunMark,
    /// What it sends.
    pub edition: Edition,
    /// The run's id.
    pub run_id: String,
    /// Its directory when it last claimed or settled.
    pub dir: PathBuf,
    /// What all its messages have in common: a hash of templates and sender.
    pub letter: String,
    /// When it last claimed or settled.
    pub at: Timestamp,
    /// Whether it has claimed and not settled: it is sending, or was killed.
    pub is_open: bool,
}

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
}

/// What a run got.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Whom another run has mailed or may mail, sorted: this run must not.
    pub refused: Vec<Recipient>,
}

/// The runs of real mail and their recipients, shared by all processes of one state.
pub trait Editions: fmt::Debug + Send + Sync {
    /// Identifies this state: a run belongs to the state that made it.
    fn state_id(&self) -> Result<String, StoreError>;

    /// The runs of an edition, in the order in which they were first claimed.
    fn runs(&self, edition: &Edition) -> Result<Vec<PastRun>, StoreError>;

    /// The run with this mark.
    fn run(&self, mark: &RunMark) -> Result<Option<PastRun>, StoreError>;

    /// The recipients of a run, sorted; none if the run is not known.
    fn recipients(&self, mark: &RunMark) -> Result<Vec<Recipient>, StoreError>;

    /// Claims recipients for a run, in one transaction: it gets those whom no other run of the
    /// edition holds, besides those whom it has. A run that claims is open until it settles.
    fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError>;

    /// Replaces the recipients of a run by those who were mailed or may have been, sorted.
    fn settle(&self, run: &PastRun, mailed: &[Recipient]) -> Result<(), StoreError>;
}

/// What a claim comes to. `own` is what the run holds, and whether it settled; `others` are the
/// recipients of the other runs of the edition. All are sorted.
///
/// Returns who is refused, and what the run holds from now on.
pub fn decide(
    claim: &Claim<'_>,
    own: (&[Recipient], bool),
    others: &[Vec<Recipient>],
) -> (Vec<Recipient>, Vec<Recipient>) {
    let (own, settled) = own;
    let holds = |all: &[Recipient], one: &Recipient| all.binary_search(one).is_ok();
    // A run that has settled has mailed whom it holds: its journal is older than that if it says
    // otherwise. With several rows a recipient, another row may be meant.
    let mailed_before = |one: &Recipient| settled && !claim.repeats && holds(own, one);
    let is_refused = |one: &Recipient| {
        !claim.again && (mailed_before(one) || others.iter().any(|other| holds(other, one)))
    };
    let (refused, granted): (Vec<_>, Vec<_>) = claim.wanted.iter().partition(|one| is_refused(one));
    let mut held = [own, &granted].concat();
    held.sort_unstable();
    held.dedup();
    (refused, held)
}
