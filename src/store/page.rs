//! Ordered listings, page by page.

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use super::Snapshot;
use super::engine::{Entry, IndexView};
use super::error::PageError;
use crate::{ArcRef, Key, KeyRef, Object, Revision};

/// Where a page ended, so that the next one can continue after it. As text it is `revision:key`.
///
/// ```
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// for key in ["a/db", "a/web"] {
///     store.add(key.parse::<Key>()?)?;
/// }
/// let first = store.snapshot().page("", 1, None)?.next.expect("one is left");
/// assert_eq!((&*first.to_string(), first.after().name()), ("2:a/db", "db"));
///
/// // The listing goes on, with what there is by now.
/// store.add("a/cache".parse::<Key>()?)?;
/// let now = store.snapshot();
/// let rest = now.page("", 10, Some(&first.at(now.revision())))?;
/// assert_eq!(rest.entries.len(), 1, "what comes before the page is missed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    revision: Revision,
    after: Key,
}

impl PageToken {
    /// The revision of the listing.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The last key of the page.
    #[must_use]
    pub fn after(&self) -> &Key {
        &self.after
    }

    /// The same position at another revision. The pages before it may be out of date by then: the listing
    /// as a whole is no longer consistent.
    #[must_use]
    pub fn at(self, revision: Revision) -> Self {
        Self { revision, ..self }
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.revision, self.after)
    }
}

impl FromStr for PageToken {
    type Err = PageError;

    fn from_str(text: &str) -> Result<Self, PageError> {
        let malformed = || PageError::Malformed(text.to_owned());
        let (revision, key) = text.split_once(':').ok_or_else(malformed)?;
        Ok(Self {
            revision: Revision::new(revision.parse().map_err(|_| malformed())?),
            after: key.parse().map_err(|_| malformed())?,
        })
    }
}

/// One page of an ordered listing.
///
/// ```
/// use watchcache::store::PageToken;
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// for key in ["a/db", "a/web", "b/web"] {
///     store.add(key.parse::<Key>()?)?;
/// }
/// let snapshot = store.snapshot();
/// let first = snapshot.page("", 2, None)?;
/// assert_eq!((first.entries.len(), first.remaining), (2, 1));
///
/// // The token may travel as a text.
/// let token: PageToken = first.next.expect("one is left").to_string().parse()?;
/// let last = snapshot.page("", 2, Some(&token))?;
/// assert_eq!(last.entries[0].0.to_string(), "b/web");
/// assert!(last.next.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Page<'a, T> {
    /// The objects, in key order.
    pub entries: Vec<(KeyRef<'a>, ArcRef<'a, T>)>,
    /// Continues after this page; `None` on the last one.
    pub next: Option<PageToken>,
    /// How many objects come after this page.
    pub remaining: usize,
}

impl<T> fmt::Debug for Page<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("len", &self.entries.len())
            .field("next", &self.next)
            .field("remaining", &self.remaining)
            .finish()
    }
}

pub(super) fn page<'a, T: Object>(
    snapshot: &'a Snapshot<T>,
    prefix: &str,
    limit: usize,
    token: Option<&PageToken>,
) -> Result<Page<'a, T>, PageError> {
    if let Some(token) = token
        && token.revision != snapshot.revision()
    {
        return Err(PageError::Expired { token: token.revision, snapshot: snapshot.revision() });
    }
    let after = token.map(|token| token.after.as_ref());
    let mut rest = ordered(snapshot.by_namespace(), prefix, after);
    let limit = if limit == 0 { usize::MAX } else { limit };
    let entries: Vec<_> = rest.by_ref().take(limit).collect();
    let remaining = if entries.len() < limit { 0 } else { rest.count() };
    let next = match entries.last() {
        Some((last, _)) if remaining > 0 => {
            Some(PageToken { revision: snapshot.revision(), after: last.to_key_unchecked() })
        }
        _ => None,
    };
    Ok(Page { entries, next, remaining })
}

/// Every entry whose key begins with a prefix, in key order, after a key.
pub(super) fn ordered<'a, 'p, T: Object>(
    namespaces: IndexView<'a, T>,
    prefix: &'p str,
    after: Option<KeyRef<'p>>,
) -> impl Iterator<Item = Entry<'a, T>> + use<'a, 'p, T> {
    // A prefix with a '/' lies within one namespace, or, if it begins with that, among the cluster-scoped names
    // that have one. One without is a prefix of the other cluster-scoped names and of namespaces.
    let (within, names) = match prefix.split_once('/') {
        Some((namespace, names)) => (Some(namespace), names),
        None => (None, prefix),
    };
    let past = after.map_or("", |after| after.parts().0);
    let from = |first: &'p str| (Bound::Included(first.max(past)), Bound::Unbounded);
    // Cluster-scoped objects come first, then, after a gap, the namespaces with the prefix.
    let cluster_scoped = namespaces.values(from("")).take(1);
    let cluster_scoped = cluster_scoped
        .filter(move |(namespace, _)| within.is_none_or(str::is_empty) && namespace.is_empty());
    let namespaced =
        namespaces.values(from(within.unwrap_or(prefix))).take_while(move |(namespace, _)| {
            match within {
                Some(within) => !within.is_empty() && *namespace == within,
                None => namespace.starts_with(prefix),
            }
        });
    let namespaced = namespaced.filter(|(namespace, _)| !namespace.is_empty());
    cluster_scoped.chain(namespaced).flat_map(move |(namespace, _)| {
        // The prefix of names within this namespace, and where to begin.
        let names = if within.is_some() || namespace.is_empty() { names } else { "" };
        let first = KeyRef::from((namespace, names));
        let begin = match after {
            Some(after) if after >= first => Bound::Excluded(after),
            _ => Bound::Included(first),
        };
        namespaces
            .entries(namespace, begin)
            .take_while(move |(key, _)| key.name().starts_with(names))
            .filter(move |(key, _)| {
                prefix.is_empty()
                    || !namespace.is_empty()
                    || within.is_some() == key.name().contains('/')
            })
    })
}
