//! What a sink of a merge refused, and which parts have to report it.

use super::merged::Merged;
use super::state::State;
use crate::{Key, Object, Refused};

impl<T: Object> Merged<T> {
    /// A sink refused these objects.
    pub(super) fn refuse(&mut self, refused: Vec<Refused>) {
        for refused in refused {
            for index in 0..self.parts.len() {
                if self.holds_as_told(index, &refused.key) {
                    self.parts[index].unreported.push(refused.key.clone());
                }
            }
            self.refused.insert(refused.key.clone(), refused);
        }
    }

    /// The refused objects that the part holds, since the last call.
    pub(super) fn report(&mut self, index: usize) -> Vec<Refused> {
        let mut keys = std::mem::take(&mut self.parts[index].unreported);
        // It may have released them in the same batch.
        keys.retain(|key| self.holds_as_told(index, key));
        keys.iter().filter_map(|key| self.refused.get(key).cloned()).collect()
    }

    /// Returns whether the part holds the key in the state that the sinks received last.
    fn holds_as_told(&self, index: usize, key: &Key) -> bool {
        let held = self.parts[index].objects.get(key).map(|object| State::of(&**object));
        held.zip(self.told.get(key)).is_some_and(|(held, told)| held.is_alike(*told))
    }
}
