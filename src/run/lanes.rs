//! All lanes of a run, however many: those that changed, those whose time has come, and those that
//! could send, each found without looking at the others.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::ops::{Index, IndexMut};

use super::ids::LaneId;
use super::lane::Lane;
use crate::mail::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub struct Lanes {
    slots: Vec<Option<Slot>>,
    vacant: Vec<usize>,
    by_site: HashMap<String, LaneId>,
    /// Lanes that changed since they were looked at.
    touched: Vec<LaneId>,
    timers: BinaryHeap<Reverse<(Timestamp, LaneId)>>,
    /// Lanes that could send, in turn.
    rotation: VecDeque<LaneId>,
    active: usize,
}

/// A lane and its marks in the lists of [`Lanes`].
#[derive(Debug)]
struct Slot {
    lane: Lane,
    /// It is in the rotation.
    in_rotation: bool,
    /// It counts among those that have something to do.
    is_active: bool,
    /// The time for which a timer is set.
    timer: Option<Timestamp>,
}

impl Index<LaneId> for Lanes {
    type Output = Lane;

    fn index(&self, id: LaneId) -> &Lane {
        &self.slots[id.0].as_ref().expect("a lane exists while anything belongs to it").lane
    }
}

impl IndexMut<LaneId> for Lanes {
    fn index_mut(&mut self, id: LaneId) -> &mut Lane {
        &mut self.slot(id).lane
    }
}

impl Lanes {
    /// Adds a lane; each site has one.
    pub fn add(&mut self, lane: Lane) -> LaneId {
        let key = lane.site.key.clone();
        let slot = Some(Slot { lane, in_rotation: false, is_active: false, timer: None });
        let id = match self.vacant.pop() {
            Some(vacant) => {
                self.slots[vacant] = slot;
                LaneId(vacant)
            }
            None => {
                self.slots.push(slot);
                LaneId(self.slots.len() - 1)
            }
        };
        self.by_site.insert(key, id);
        self.touch(id);
        id
    }

    fn slot(&mut self, id: LaneId) -> &mut Slot {
        self.slots[id.0].as_mut().expect("a lane exists while anything belongs to it")
    }

    /// The lane of a site.
    pub fn of_site(&self, key: &str) -> Option<LaneId> {
        self.by_site.get(key).copied()
    }

    /// Removes a lane that has nothing left.
    pub fn remove(&mut self, id: LaneId) {
        if let Some(slot) = self.slots[id.0].take() {
            self.by_site.remove(&slot.lane.site.key);
            self.active -= usize::from(slot.is_active);
            self.vacant.push(id.0);
        }
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.slots.iter().flatten().map(|slot| &slot.lane)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// How many have something to do and are not held back.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Counts a lane among those that have something to do, or no longer.
    pub fn set_active(&mut self, id: LaneId, is_active: bool) {
        let was_active = std::mem::replace(&mut self.slot(id).is_active, is_active);
        self.active = self.active + usize::from(is_active) - usize::from(was_active);
    }

    /// Marks a lane as changed.
    pub fn touch(&mut self, id: LaneId) {
        // The last one often changes several times in a row. Others are in the list twice now and
        // then, which does no harm.
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// The lanes that changed or whose time has come; return the list with [`Self::reuse`].
    pub fn take_touched(&mut self, now: Timestamp) -> Vec<LaneId> {
        while let Some(Reverse((at, id))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.timers.pop();
            // A timer that was replaced, or whose lane is gone, means nothing.
            if let Some(Some(slot)) = self.slots.get_mut(id.0)
                && slot.timer == Some(at)
            {
                slot.timer = None;
                self.touched.push(id);
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        touched.retain(|id| self.slots[id.0].is_some());
        touched
    }

    /// Takes a list back, so that it is not allocated every time.
    pub fn reuse(&mut self, mut list: Vec<LaneId>) {
        list.clear();
        if self.touched.is_empty() {
            self.touched = list;
        }
    }

    /// Has a lane looked at again at `at`, or at no particular time.
    pub fn set_timer(&mut self, id: LaneId, at: Option<Timestamp>) {
        let slot = self.slot(id);
        if slot.timer == at {
            return;
        }
        slot.timer = at;
        if let Some(at) = at {
            self.timers.push(Reverse((at, id)));
        }
        // Replaced timers are cleared away before they outnumber the lanes by far.
        if self.timers.len() > 64 + 8 * self.slots.len() {
            let slots = &self.slots;
            self.timers
                .retain(|Reverse((at, id))| slots[id.0].as_ref().is_some_and(|slot| slot.timer == Some(*at)));
        }
    }

    /// Rate-limits a lane until `until`, and has it looked at again then at the latest.
    pub fn throttle(&mut self, id: LaneId, until: Timestamp) {
        let slot = self.slot(id);
        slot.lane.throttle(until);
        let at = slot.timer.map_or(until, |timer| timer.min(until));
        self.set_timer(id, Some(at));
    }

    /// When to look at the next lane.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.touched.is_empty() { self.timers.peek().map(|Reverse((at, _))| *at) } else { Some(now) }
    }

    /// Puts a lane at the end of the rotation, unless it is in it.
    pub fn join_rotation(&mut self, id: LaneId) {
        if !std::mem::replace(&mut self.slot(id).in_rotation, true) {
            self.rotation.push_back(id);
        }
    }

    /// The next lane in turn; it leaves the rotation.
    pub fn next_in_rotation(&mut self) -> Option<LaneId> {
        while let Some(id) = self.rotation.pop_front() {
            if let Some(slot) = &mut self.slots[id.0]
                && std::mem::replace(&mut slot.in_rotation, false)
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
