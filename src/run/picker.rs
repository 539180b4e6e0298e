//! Picks messages that could leave, lane by lane in turn, and takes their places in everything that
//! limits them: the rates of lane, provider and source, and a connection.
//!
//! A rate counts recipients. Where it has fewer than a message has recipients, the message is
//! split: the first ones get it now, the rest get the same text later. The agreed capacity is not
//! its concern but the pacer's.

use std::collections::HashMap;

use super::event::Action;
use super::ids::LaneId;
use super::lane::Place;
use super::lanes::Lanes;
use super::provider::Providers;
use super::source::{NoPlace, Sources};
use crate::mail::Timestamp;

/// Everything in which a message takes its place.
pub(super) struct Picker<'a> {
    /// The lanes.
    pub lanes: &'a mut Lanes,
    /// Their providers.
    pub providers: &'a mut Providers,
    /// The local addresses.
    pub sources: &'a mut Sources,
    /// The time.
    pub now: Timestamp,
}

/// The next message of a lane, or as many of its recipients as have a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pick {
    /// The lane.
    pub lane: LaneId,
    /// The place on one of its connections.
    pub place: Place,
    /// What one recipient counts as against the agreed capacity.
    pub each: u64,
}

impl Pick {
    /// What the message counts as.
    pub(super) fn cost(&self) -> u64 {
        self.each.saturating_mul(self.place.recipients as u64)
    }
}

/// How much of a lane's ready messages is picked; the lane still has them.
#[derive(Debug, Default)]
struct Picked {
    messages: usize,
    /// Recipients of the message after those.
    recipients: usize,
}

impl Picker<'_> {
    /// Picks messages for up to `most` recipients, in turn, and takes their places. `cost` is what
    /// a message of so many bytes counts as.
    pub(super) fn pick(
        &mut self,
        most: usize,
        cost: impl Fn(usize) -> u64,
        actions: &mut Vec<Action>,
    ) -> Vec<Pick> {
        let mut picks = Vec::new();
        let mut picked_of: HashMap<LaneId, Picked> = HashMap::new();
        let mut left = most;
        while left > 0 {
            let Some(id) = self.lanes.next_in_rotation() else { break };
            let lane = &self.lanes[id];
            let picked = picked_of.entry(id).or_default();
            let ready = lane.recipients_of_ready(picked.messages);
            let Some(ready) = ready.filter(|_| lane.can_send(self.now)) else { continue };
            let each = lane.bytes_of_ready(picked.messages).map_or(1, &cost);
            let recipients = ready - picked.recipients;
            match self.take_place(id, recipients.min(lane.recipients()).min(left)) {
                Ok(place) => {
                    left -= place.recipients;
                    *picked = if place.recipients == recipients {
                        Picked { messages: picked.messages + 1, recipients: 0 }
                    } else {
                        Picked { recipients: picked.recipients + place.recipients, ..*picked }
                    };
                    picks.push(Pick { lane: id, place, each });
                    let lane = &self.lanes[id];
                    if lane.can_send(self.now) && lane.recipients_of_ready(picked.messages).is_some() {
                        self.lanes.join_rotation(id);
                    }
                }
                Err(NoPlace::Spent) => {
                    // Connections are opened from local addresses that may still send.
                    let sources = &self.sources;
                    for connection in self.lanes[id].retire_from(|source| sources.is_spent(source)) {
                        actions.push(Action::Close(connection));
                    }
                    self.lanes.touch(id);
                }
                Err(NoPlace::Until(later)) => self.lanes.throttle(id, later),
            }
        }
        picks
    }

    /// A place for a message with up to `most` recipients in everything that limits it.
    fn take_place(&mut self, id: LaneId, most: usize) -> Result<Place, NoPlace> {
        let Self { lanes, providers, sources, now } = self;
        let (lane, now) = (&mut lanes[id], *now);
        let mut provider = providers.get(lane.provider);
        let allowed = match &mut provider {
            Some(provider) => provider.take(most, now).map_err(NoPlace::Until)?,
            None => most,
        };
        let place = lane.take_place(allowed, now, |source, most| sources.take(source, most, now));
        let used = place.as_ref().map_or(0, |place| place.recipients);
        if let Some(provider) = provider {
            provider.put_back(allowed - used);
        }
        place
    }

    /// Only what counts as `admitted` may leave now: the places of the rest are given back, from
    /// the end. Returns what the kept ones count as.
    pub(super) fn keep(&mut self, picks: &mut Vec<Pick>, admitted: u64) -> u64 {
        let mut left = admitted;
        let whole = picks.iter().take_while(|pick| {
            let fits = pick.cost() <= left;
            left -= if fits { pick.cost() } else { 0 };
            fits
        });
        let mut kept = whole.count();
        if let Some(pick) = picks.get_mut(kept)
            && left >= pick.each
        {
            let recipients = usize::try_from(left / pick.each).unwrap_or(usize::MAX);
            let beyond = pick.place.recipients - recipients;
            pick.place.recipients = recipients;
            left -= pick.cost();
            self.put_back(pick, beyond);
            kept += 1;
        }
        for pick in picks.drain(kept..).rev() {
            self.put_back(&pick, pick.place.recipients);
            self.lanes[pick.lane].free_place(pick.place.connection);
        }
        admitted - left
    }

    /// Recipients that were picked do not get their message now.
    fn put_back(&mut self, pick: &Pick, recipients: usize) {
        let lane = &mut self.lanes[pick.lane];
        lane.put_back_rate(recipients);
        self.sources.put_back(pick.place.source, recipients);
        if let Some(provider) = self.providers.get(lane.provider) {
            provider.put_back(recipients);
        }
        self.lanes.join_rotation(pick.lane);
    }
}
