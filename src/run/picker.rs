//! Picks messages that could leave, lane by lane in turn, and takes their places in everything that limits them: the
//! rates of lane, provider and source, and a connection.
//!
//! A rate counts recipients. Where it has fewer than a message has recipients, the message is split: the first ones get it
//! now, the others the same text later. It knows nothing of the agreement: that is the pacer's.

use std::collections::HashMap;

use super::event::{Action, LaneId};
use super::lane::Place;
use super::lanes::Lanes;
use super::provider::Providers;
use super::source::Sources;
use crate::mail::Timestamp;

/// What a message takes its place in.
pub struct Picker<'a> {
    pub lanes: &'a mut Lanes,
    pub providers: &'a mut Providers,
    pub sources: &'a mut Sources,
    pub now: Timestamp,
}

/// The next message of a lane, or as many of its recipients as have a place.
#[derive(Debug, PartialEq, Eq)]
pub struct Pick {
    pub lane: LaneId,
    pub place: Place,
}

/// How much of a lane's ready messages is picked: they still stand there.
#[derive(Debug, Default)]
struct Picked {
    messages: usize,
    /// Of the message behind those.
    recipients: usize,
}

impl Picker<'_> {
    /// Picks messages for up to `most` recipients, in turn, and takes their places.
    pub fn pick(&mut self, most: usize, actions: &mut Vec<Action>) -> Vec<Pick> {
        let mut picks = Vec::new();
        let mut picked_of: HashMap<LaneId, Picked> = HashMap::new();
        let mut left = most;
        while left > 0 {
            let Some(id) = self.lanes.next_in_rotation() else { break };
            let lane = &self.lanes[id];
            let picked = picked_of.entry(id).or_default();
            let Some(ready) = lane.ready.get(picked.messages).filter(|_| lane.could_go(self.now) > 0) else {
                continue;
            };
            let recipients = ready.tasks.len() - picked.recipients;
            match self.take_place(id, recipients.min(lane.recipients()).min(left)) {
                Ok(place) => {
                    left -= place.recipients;
                    *picked = if place.recipients == recipients {
                        Picked { messages: picked.messages + 1, recipients: 0 }
                    } else {
                        Picked { recipients: picked.recipients + place.recipients, ..*picked }
                    };
                    picks.push(Pick { lane: id, place });
                    let lane = &self.lanes[id];
                    if lane.could_go(self.now) > 0 && lane.ready.len() > picked.messages {
                        self.lanes.join_rotation(id);
                    }
                }
                Err(Timestamp(i64::MAX)) => {
                    // These local addresses have had what they may carry: connections are opened from others.
                    let sources = &self.sources;
                    for connection in self.lanes[id].retire_from(|source| sources.is_spent(source)) {
                        actions.push(Action::Close(connection));
                    }
                    self.lanes.touch(id);
                }
                Err(later) => {
                    let lane = &mut self.lanes[id];
                    lane.throttled_until = later;
                    let at = lane.timer.map_or(later, |timer| timer.min(later));
                    self.lanes.set_timer(id, Some(at));
                }
            }
        }
        picks
    }

    /// A place for a message with up to `most` recipients in everything that limits it; otherwise when to look again.
    fn take_place(&mut self, id: LaneId, most: usize) -> Result<Place, Timestamp> {
        let Self { lanes, providers, sources, now } = self;
        let (lane, now) = (&mut lanes[id], *now);
        let mut provider = providers.get(lane.provider);
        let allowed = match &mut provider {
            Some(provider) => provider.take(most, now)?,
            None => most,
        };
        let mut later: Option<Timestamp> = None;
        let place = lane.take_place(now, allowed, |source, most| match sources.take(source, most, now) {
            Ok(recipients) => Some(recipients),
            Err(at) => {
                let at = at.unwrap_or(Timestamp(i64::MAX));
                later = Some(later.map_or(at, |later| later.min(at)));
                None
            }
        });
        let used = place.as_ref().ok().and_then(Option::as_ref).map_or(0, |place| place.recipients);
        if let Some(provider) = provider {
            provider.put_back(allowed - used);
        }
        place?.ok_or(later.unwrap_or(now))
    }

    /// Only so many recipients may get their message now: the places of the others are given back, from the end.
    pub fn keep(&mut self, picks: &mut Vec<Pick>, admitted: usize) {
        let mut left = admitted;
        let whole = picks.iter().take_while(|pick| {
            let fits = pick.place.recipients <= left;
            left -= if fits { pick.place.recipients } else { 0 };
            fits
        });
        let mut kept = whole.count();
        if left > 0
            && let Some(pick) = picks.get_mut(kept)
        {
            let beyond = pick.place.recipients - left;
            pick.place.recipients = left;
            self.put_back(pick, beyond);
            kept += 1;
        }
        for pick in picks.drain(kept..).rev() {
            self.put_back(&pick, pick.place.recipients);
            self.lanes[pick.lane].free_place(pick.place.connection);
        }
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
