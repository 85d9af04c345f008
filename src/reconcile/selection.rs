//! Which objects a controller is about.

use super::Faults;
use crate::Object;
use crate::panic::catch;
use crate::store::feed::Subscribe;
use crate::sync::Arc;

/// What narrows the subscription, and what an object has to be that another store leads to.
pub(super) struct Selection<K: Object> {
    narrowings: Vec<Box<Narrowing<K>>>,
    wanted: Vec<Arc<Wanted<K>>>,
    faults: Faults,
}

type Narrowing<K> = dyn for<'s> FnOnce(Subscribe<'s, K>) -> Subscribe<'s, K> + Send;
type Wanted<K> = dyn Fn(&K) -> bool + Send + Sync;

impl<K: Object> Selection<K> {
    pub(super) fn all(faults: Faults) -> Self {
        Self { narrowings: Vec::new(), wanted: Vec::new(), faults }
    }

    pub(super) fn filter(&mut self, wanted: impl Fn(&K) -> bool + Send + Sync + 'static) {
        let wanted: Arc<Wanted<K>> = Arc::new(wanted);
        self.wanted.push(Arc::clone(&wanted));
        self.narrow(move |subscribe| subscribe.filter(move |object| wanted(object)));
    }

    /// Narrows what is told of objects, and not which they are.
    pub(super) fn narrow(
        &mut self,
        narrowing: impl for<'s> FnOnce(Subscribe<'s, K>) -> Subscribe<'s, K> + Send + 'static,
    ) {
        self.narrowings.push(Box::new(narrowing));
    }

    pub(super) fn apply<'s>(&mut self, subscribe: Subscribe<'s, K>) -> Subscribe<'s, K> {
        let subscribe = subscribe.counts_failures(&self.faults.filters);
        self.narrowings.drain(..).fold(subscribe, |subscribe, narrowing| narrowing(subscribe))
    }

    /// As the subscription has it: an object on which the user's code panics is not wanted.
    pub(super) fn has(&self, object: &K) -> bool {
        let holds = |wanted: &Arc<Wanted<K>>| {
            catch(|| wanted(object)).unwrap_or_else(|_| {
                self.faults.count_filter();
                false
            })
        };
        self.wanted.iter().all(holds)
    }
}
