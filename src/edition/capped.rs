//! Screens a whole target group by how much mail its recipients got lately.

use std::collections::HashMap;

use super::cap::{Cap, times};
use super::past_run::RunMark;
use super::recipient::{Mailed, Recipient, Recognise};
use super::store::Editions;
use crate::kit::store::StoreError;

/// Who got as much mail as a [`Cap`] allows: 16 bytes of memory a recipient who got too much.
#[derive(Debug)]
pub struct Capped {
    cap: Cap,
    recognise: Recognise,
    mailed: Vec<Mailed>,
    /// The rows of this run so far, where several can have one address.
    own: HashMap<Recipient, u32>,
}

impl Capped {
    /// Reads who got too much mail, that of the run `except` left out.
    pub fn open(
        editions: &dyn Editions,
        cap: Cap,
        except: &RunMark,
        recognise: Recognise,
    ) -> Result<Self, StoreError> {
        let mailed = editions.mailed(&cap, except)?;
        Ok(Self { cap, recognise, mailed, own: HashMap::new() })
    }

    /// How rows are recognised.
    pub fn recognise(&self) -> Recognise {
        self.recognise
    }

    /// True when nobody can be over the limit.
    pub fn is_empty(&self) -> bool {
        self.mailed.is_empty() && !self.cap.repeats
    }

    /// Why a recipient gets nothing; `None` for one who may get another mail.
    pub fn check(&self, recipient: Recipient) -> Option<String> {
        let address = recipient.address();
        let own = self.own.get(&address).copied().unwrap_or(0);
        let had = times(&self.mailed, address).saturating_add(own);
        (had >= self.cap.most.count).then(|| self.cap.why())
    }

    /// Counts a row that the run sends.
    pub fn add(&mut self, recipient: Recipient) {
        if self.cap.repeats {
            *self.own.entry(recipient.address()).or_insert(0) += 1;
        }
    }
}
