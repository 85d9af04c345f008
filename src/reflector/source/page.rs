//! What a list answers with: pages of objects, and of what could not be used.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};

use crate::panic::OneByOne;
use crate::{Key, Refused, ResourceVersion};

/// One page of a list.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::Key;
/// use watchcache::reflector::{Item, ListPage};
///
/// let mut page = ListPage::new(vec![Item::Object(Arc::new("node-1".parse::<Key>()?))], "7");
/// page.continue_token = Some("after node-1".to_owned());
/// assert_eq!((page.count, page.remaining), (1, None));
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[non_exhaustive]
pub struct ListPage<T> {
    /// The objects of this page, in the source's order.
    pub items: Items<T>,
    /// The version of the page; an empty one means none. A list without one is used, but each watch that
    /// ends is followed by another list.
    pub resource_version: Option<ResourceVersion>,
    /// Where the next page starts; `None` on the last.
    pub continue_token: Option<String>,
    /// How many objects follow this page, if the source says so.
    pub remaining: Option<u64>,
    /// How many objects the page has at the source, those included that are left out of `items`
    /// because nobody [wants](crate::reflector::Interest::wants) them: such a page is no empty one.
    pub count: usize,
}

/// The objects of a page; a stream, so that they may decode as they are taken, on other threads. What does not decode
/// is an item, too: what a list leaves out is deleted. (A delivery's are [`feed::Items`](crate::store::feed::Items).)
///
/// ```
/// use std::sync::Arc;
/// use futures_util::stream::{self, StreamExt};
/// use watchcache::Key;
/// use watchcache::reflector::{Item, Items, ListPage, Undecodable};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let lines = ["a/web", ""];
/// let items: Items<Key> = stream::iter(lines)
///     .map(|line| match line.parse::<Key>() {
///         Ok(key) => Item::Object(Arc::new(key)),
///         Err(error) => Item::Undecodable(Undecodable::new(None, None, format!("{line:?}: {error}"))),
///     })
///     .boxed();
/// let page = ListPage::streamed(items, lines.len());
/// assert_eq!((page.count, page.items.count().await), (2, 2));
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Items<T> = BoxStream<'static, Item<T>>;

impl<T: Send + Sync + 'static> ListPage<T> {
    /// A page of items that are already decoded, and the last one.
    #[must_use]
    pub fn new(items: Vec<Item<T>>, resource_version: impl Into<ResourceVersion>) -> Self {
        let count = items.len();
        let mut page = Self::streamed(stream::iter(OneByOne(items.into_iter())).boxed(), count);
        page.resource_version = Some(resource_version.into());
        page
    }

    /// A page of items that decode as they are taken, of [`count`](Self::count) objects at the source. It has no
    /// version, and is the last one.
    #[must_use]
    pub fn streamed(items: Items<T>, count: usize) -> Self {
        Self { items, count, resource_version: None, continue_token: None, remaining: None }
    }
}

impl<T> fmt::Debug for ListPage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListPage")
            .field("resource_version", &self.resource_version)
            .field("continue_token", &self.continue_token)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

/// An object as it came from the source.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::Key;
/// use watchcache::reflector::{Item, Undecodable};
///
/// fn item(line: &str) -> Item<Key> {
///     match line.parse() {
///         Ok(key) => Item::Object(Arc::new(key)),
///         Err(error) => {
///             let mut bad = Undecodable::new(None, None, format!("{error}"));
///             bad.raw = Some(line.into());
///             Item::Undecodable(bad)
///         }
///     }
/// }
/// assert!(matches!(item("a/web"), Item::Object(key) if key.name() == "web"));
/// assert!(matches!(item("a/"), Item::Undecodable(bad) if bad.raw.as_deref() == Some("a/")));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Item<T> {
    /// It decoded.
    Object(Arc<T>),
    /// A sink holds it in this very version, and returned it: see [`Interest`](crate::reflector::Interest).
    Held(Arc<T>),
    /// It did not; the stream goes on without it.
    Undecodable(Undecodable),
}

/// An object that is there but could not be used.
///
/// ```
/// use watchcache::reflector::Undecodable;
///
/// let key = "limits/cpu".parse().ok();
/// let mut bad = Undecodable::new(key, Some("7".into()), "expected a number, found \"many\"");
/// bad.raw = Some("{\"cpu\":\"many\"}".into());
/// assert!(!bad.deleted);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Undecodable {
    /// Its key, if at least that could be read.
    pub key: Option<Key>,
    /// Its version, if at least that could be read, so that the watch can go on after it.
    pub resource_version: Option<ResourceVersion>,
    /// Why it could not be used.
    pub error: String,
    /// The object as the source wrote it; as JSON, if it wrote protobuf that reads as such.
    pub raw: Option<Arc<str>>,
    /// Whether it came as a deletion: then the key is deleted, whatever the object contains.
    pub deleted: bool,
}

impl Undecodable {
    /// One of this key and version, as far as they are known, that is there and cannot be used for this reason.
    #[must_use]
    pub fn new(
        key: Option<Key>,
        resource_version: Option<ResourceVersion>,
        error: impl Into<String>,
    ) -> Self {
        Self { key, resource_version, error: error.into(), raw: None, deleted: false }
    }
}

impl From<Refused> for Undecodable {
    fn from(refused: Refused) -> Self {
        let Refused { key, resource_version, error } = refused;
        Self { key: Some(key), resource_version, error, ..Self::default() }
    }
}
