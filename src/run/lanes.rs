//! All lanes of a run, however many: those that changed, those whose time has come, and those that could send, each found
//! without looking at the others.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::ops::{Index, IndexMut};

use super::event::LaneId;
use super::lane::Lane;
use crate::mail::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub struct Lanes {
    slots: Vec<Option<Lane>>,
    vacant: Vec<usize>,
    by_site: HashMap<String, LaneId>,
    /// Lanes that changed since they were looked at.
    touched: Vec<LaneId>,
    timers: BinaryHeap<Reverse<(Timestamp, LaneId)>>,
    /// Lanes that could send, in turn.
    rotation: VecDeque<LaneId>,
    active: usize,
}

impl Index<LaneId> for Lanes {
    type Output = Lane;

    fn index(&self, id: LaneId) -> &Lane {
        self.slots[id.0].as_ref().expect("a lane is there while anything belongs to it")
    }
}

impl IndexMut<LaneId> for Lanes {
    fn index_mut(&mut self, id: LaneId) -> &mut Lane {
        self.slots[id.0].as_mut().expect("a lane is there while anything belongs to it")
    }
}

impl Lanes {
    /// Adds a lane; there is one for each site.
    pub fn add(&mut self, lane: Lane) -> LaneId {
        let key = lane.site.key.clone();
        let id = match self.vacant.pop() {
            Some(slot) => {
                self.slots[slot] = Some(lane);
                LaneId(slot)
            }
            None => {
                self.slots.push(Some(lane));
                LaneId(self.slots.len() - 1)
            }
        };
        self.by_site.insert(key, id);
        self.touch(id);
        id
    }

    /// The lane of a site.
    pub fn of_site(&self, key: &str) -> Option<LaneId> {
        self.by_site.get(key).copied()
    }

    /// Removes a lane that has nothing left.
    pub fn remove(&mut self, id: LaneId) {
        if let Some(lane) = self.slots[id.0].take() {
            self.by_site.remove(&lane.site.key);
            self.active -= usize::from(lane.is_active);
            self.vacant.push(id.0);
        }
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.slots.iter().flatten()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// How many have something to do that nothing holds back.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Counts a lane among those that have something to do, or no longer.
    pub fn set_active(&mut self, id: LaneId, is_active: bool) {
        let lane = &mut self[id];
        let was_active = std::mem::replace(&mut lane.is_active, is_active);
        self.active = self.active + usize::from(is_active) - usize::from(was_active);
    }

    /// Marks a lane as changed.
    pub fn touch(&mut self, id: LaneId) {
        // The last one often changes several times in a row; others stand here twice now and then, which does no harm.
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// The lanes that changed or whose time has come; the list goes back with [`Self::reuse`].
    pub fn take_touched(&mut self, now: Timestamp) -> Vec<LaneId> {
        while let Some(Reverse((at, id))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.timers.pop();
            // A timer that was replaced, or whose lane is gone, means nothing.
            if let Some(Some(lane)) = self.slots.get_mut(id.0)
                && lane.timer == Some(at)
            {
                lane.timer = None;
                self.touched.push(id);
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        touched.retain(|id| self.slots[id.0].is_some());
        touched
    }

    /// Takes the emptied list back, so that it is not allocated every time.
    pub fn reuse(&mut self, mut list: Vec<LaneId>) {
        list.clear();
        if self.touched.is_empty() {
            self.touched = list;
        }
    }

    /// Has a lane looked at again at `at`, or at no certain time.
    pub fn set_timer(&mut self, id: LaneId, at: Option<Timestamp>) {
        let lane = &mut self[id];
        if lane.timer == at {
            return;
        }
        lane.timer = at;
        if let Some(at) = at {
            self.timers.push(Reverse((at, id)));
        }
        // Replaced timers are cleared away before they outnumber the lanes by far.
        if self.timers.len() > 64 + 8 * self.slots.len() {
            let slots = &self.slots;
            self.timers
                .retain(|Reverse((at, id))| slots[id.0].as_ref().is_some_and(|lane| lane.timer == Some(*at)));
        }
    }

    /// When the next lane wants to be looked at.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.touched.is_empty() { self.timers.peek().map(|Reverse((at, _))| *at) } else { Some(now) }
    }

    /// Puts a lane at the end of the rotation, unless it stands in it.
    pub fn join_rotation(&mut self, id: LaneId) {
        if !std::mem::replace(&mut self[id].in_rotation, true) {
            self.rotation.push_back(id);
        }
    }

    /// The next lane in turn; it leaves the rotation.
    pub fn next_in_rotation(&mut self) -> Option<LaneId> {
        while let Some(id) = self.rotation.pop_front() {
            if let Some(lane) = &mut self.slots[id.0]
                && std::mem::replace(&mut lane.in_rotation, false)
            {
                return Some(id);
            }
        }
        None
    }

    /// True when no lane could send.
    pub fn rotation_is_empty(&self) -> bool {
        self.rotation.is_empty()
    }
}
