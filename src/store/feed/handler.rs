//! What an informer's handler is told.

use crate::{ArcRef, Object, ResourceVersion, Revision};

/// Is told of each change of a store, object by object; see [`Subscribe::handle`](super::Subscribe::handle).
///
/// * Calls come one at a time, those of one key in the order of its changes. Objects that change together
///   come in no particular order.
/// * The store is never behind what a call says: reading it shows that state of the object or a later one.
/// * Nothing is told where nothing changed, as by a relist that brings what was known.
/// * What is gone comes with the last state that the handler was told, however it was learnt: a relist
///   that no longer has it, or a handler that was late, are no exceptions. Only where
///   [`changes_of`](super::Subscribe::changes_of) leaves updates out, that is the state of the last of these,
///   and so is what an update has as the object before.
/// * A handler that is slow holds up nobody else, and is told less: for each key the state that it was told
///   last and the newest one. An object that was deleted and made anew meanwhile is an update, with another
///   uid. It keeps no more than [`keep_place`](super::Subscribe::keep_place) says.
/// * It ends with its store. A handler that owns the store that it follows, to look things up, keeps that from
///   ending: give it a [`Weak`](std::sync::Weak), or [remove](super::Registration::remove) it.
/// * A call that panics is over, and counts as made: the panic hook reports it, and
///   [`Registration`](super::Registration) has its text. The next call comes as ever.
///
/// All methods do nothing by default.
///
/// ```
/// use watchcache::store::feed::Handler;
/// use watchcache::{ArcRef, Key, Store};
///
/// #[derive(Default)]
/// struct Names(Vec<String>);
///
/// impl Handler<Key> for Names {
///     fn on_add(&mut self, key: ArcRef<'_, Key>, _is_initial: bool) {
///         self.0.push(key.name().to_owned());
///     }
/// }
///
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let handling = store.subscribe().handle(Names::default())?;
/// // It ends with its store.
/// drop(store);
/// assert_eq!(handling.run().0, ["web"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Handler<T: Object> {
    /// The object is new, to this handler. `is_initial` until the handler has been told the whole
    /// content once: what was there when it was added and, where the source had not told all by then,
    /// what it tells up to there.
    fn on_add(&mut self, object: ArcRef<'_, T>, is_initial: bool) {
        let _ = (object, is_initial);
    }

    /// The object changed, from what this handler was told last.
    fn on_update(&mut self, old: ArcRef<'_, T>, new: ArcRef<'_, T>) {
        let _ = (old, new);
    }

    /// The object is gone, or no longer what the handler is about. This is the last state that it was told.
    fn on_delete(&mut self, last: ArcRef<'_, T>) {
        let _ = last;
    }

    /// Everything up to here was told: comes after the calls for what became visible together, and with a
    /// source's bookmarks.
    fn on_progress(&mut self, revision: Revision, resource_version: Option<&ResourceVersion>) {
        let _ = (revision, resource_version);
    }

    /// The store's source has ended for good, and everything that it told was told: why, if it refused or
    /// failed; no error if it was stopped. A handler that is added afterwards is told so too, behind the
    /// content. The handler goes on: the store may be written to by others, or be given another source.
    fn on_ended(&mut self, error: Option<&str>) {
        let _ = error;
    }
}
