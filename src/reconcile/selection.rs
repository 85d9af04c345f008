//! Which objects a controller is about.

use crate::Object;
use crate::panic::catch;
use crate::store::feed::Subscribe;
use crate::sync::Arc;

/// What narrows the subscription, and what an object has to be that another store leads to.
pub(super) struct Selection<K: Object> {
    narrowings: Vec<Box<Narrowing<K>>>,
    wanted: Vec<Arc<Wanted<K>>>,
}

type Narrowing<K> = dyn for<'s> FnOnce(Subscribe<'s, K>) -> Subscribe<'s, K> + Send;
type Wanted<K> = dyn Fn(&K) -> bool + Send + Sync;

impl<K: Object> Selection<K> {
    pub(super) fn all() -> Self {
        Self { narrowings: Vec::new(), wanted: Vec::new() }
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
        self.narrowings.drain(..).fold(subscribe, |subscribe, narrowing| narrowing(subscribe))
    }

    /// As the subscription has it: an object on which the user's code panics is not wanted.
    pub(super) fn has(&self, object: &K) -> bool {
        self.wanted.iter().all(|wanted| catch(|| wanted(object)).unwrap_or(false))
    }
}
