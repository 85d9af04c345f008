//! How a failed request is reported.

use std::time::Duration;

use super::SourceError;

/// A list or a watch that failed, as [`ReflectorBuilder::on_failure`](super::ReflectorBuilder::on_failure)
/// gets it. (A lease's is [`fifo::Failure`](crate::fifo::Failure).)
///
/// ```
/// use std::time::Duration;
/// use watchcache::Key;
/// use watchcache::reflector::{Failure, Poll, Reflector, SourceError};
///
/// fn line(failure: &Failure<'_>) -> String {
///     let Failure { request, error, wait, .. } = failure;
///     format!("{request:?}: {error}; again in {} s", wait.as_secs())
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let source = Poll::new(Duration::from_secs(10), async || -> Result<Vec<Key>, _> {
///     Err(SourceError::transport("no route"))
/// });
/// let (log, mut lines) = tokio::sync::mpsc::unbounded_channel();
/// let reflector = Reflector::builder(source)
///     .backoff(Duration::from_secs(60), Duration::from_secs(60))
///     .on_failure(move |failure| _ = log.send(line(failure)))
///     .build();
/// reflector
///     .run(async {
///         let first = lines.recv().await.unwrap_or_default();
///         assert!(first.starts_with("List: no route; again in "));
///     })
///     .await?;
/// # Ok::<(), SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// The request that failed.
    pub request: RequestKind,
    /// What went wrong.
    pub error: &'a SourceError,
    /// How long the reflector waits before its next request.
    pub wait: Duration,
}

/// What a reflector asks a source for.
///
/// ```
/// use watchcache::reflector::RequestKind;
///
/// /// A label for counts of failures.
/// fn label(request: RequestKind) -> &'static str {
///     match request {
///         RequestKind::List => "list",
///         RequestKind::Watch => "watch",
///         _ => "other",
///     }
/// }
/// assert_eq!(label(RequestKind::Watch), "watch");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// The whole content, in pages, at once, or as the beginning of a watch.
    List,
    /// The changes since a version.
    Watch,
}
