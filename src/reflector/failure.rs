//! How a failed request is reported.

use std::time::Duration;

use super::SourceError;

/// A list or a watch that failed, as [`ReflectorBuilder::on_failure`](super::ReflectorBuilder::on_failure)
/// gets it.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// The whole content, in pages, at once, or as the beginning of a watch.
    List,
    /// The changes since a version.
    Watch,
}
