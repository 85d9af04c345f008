//! A reflector's counters.

use std::time::{Duration, Instant};

use crate::ResourceVersion;

/// What a reflector is doing.
///
/// ```
/// use std::time::Duration;
/// use watchcache::Key;
/// use watchcache::reflector::{Phase, Poll, Reflector};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let source = Poll::new(Duration::from_secs(10), async || Ok(Vec::<Key>::new()));
/// let reflector = Reflector::builder(source).build();
/// let monitor = reflector.monitor();
/// let phase = || monitor.progress().phase;
/// assert_eq!(phase(), Phase::Idle, "a reflector does nothing until it is run");
/// reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
/// assert_eq!(phase(), Phase::Stopped);
/// # Ok::<(), watchcache::reflector::SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It has not run yet.
    #[default]
    Idle,
    /// It is fetching the list.
    Listing,
    /// It is watching, or opening a watch.
    Watching,
    /// It waits before its next request: after a failure, or because lists follow each other too fast.
    BackingOff,
    /// It was stopped or dropped, or the source refused it for good.
    Stopped,
}

/// A reflector's counters at one moment.
///
/// For a page that says how a mirror is doing:
///
/// ```
/// use std::time::Duration;
/// use watchcache::Key;
/// use watchcache::reflector::{Poll, Progress, Reflector};
///
/// fn line(progress: &Progress) -> String {
///     let Progress { listed, relists, quarantined, failing, last_error, .. } = progress;
///     let wrong = last_error.as_deref().filter(|_| *failing).unwrap_or("none");
///     format!("{listed} listed, {relists} relists, {quarantined} quarantined; error: {wrong}")
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let source = Poll::new(Duration::from_secs(10), async || Ok(vec!["limit".parse::<Key>().unwrap()]));
/// let reflector = Reflector::builder(source).build();
/// let monitor = reflector.monitor();
/// reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
/// assert_eq!(line(&monitor.progress()), "1 listed, 0 relists, 0 quarantined; error: none");
/// # Ok::<(), watchcache::reflector::SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Whether the first list is in every sink.
    pub synced: bool,
    /// Objects received by the list that is running, or that ran last.
    pub listed: u64,
    /// How many objects that list has in all, if the source says so.
    pub total: Option<u64>,
    /// Times that a list was begun, in whatever way. The polls of a [`Poll`](super::Poll) are no lists but the
    /// first, and those that are asked for as watches go on failing.
    pub lists: u64,
    /// Lists after the first complete one.
    pub relists: u64,
    /// The relists by what made each necessary.
    pub relist_causes: RelistCauses,
    /// Times that the mirror started over, because the source's history was set back.
    pub restarts: u64,
    /// Times that a watch was asked for.
    pub watches: u64,
    /// Watches given up because nothing came from them for longer than the
    /// [limit](super::ReflectorBuilder::silence_limit), or past their agreed end.
    pub silences: u64,
    /// Changes applied from watches.
    pub events: u64,
    /// Batches in which they were applied.
    pub batches: u64,
    /// Most changes in one batch.
    pub largest_batch: u64,
    /// Events of a type this crate does not know.
    pub unknown_events: u64,
    /// Bookmarks without a version, which carry no information.
    pub empty_bookmarks: u64,
    /// Objects that could not be decoded, or are not of the expected kind, since the start.
    pub undecodable: u64,
    /// Objects that a sink refused, since the start: a store refuses an object on which an index function
    /// fails.
    pub refused: u64,
    /// Keys whose newest version could not be decoded, or was refused by a sink, now;
    /// [`Monitor::quarantined`](super::Monitor::quarantined) names them.
    pub quarantined: u64,
    /// Events that were not new: repeated ones, and ones older than what is known.
    pub stale_events: u64,
    /// Bytes received from the source, where it counts them.
    pub bytes: u64,
    /// When the source last responded, even if it only opened a watch.
    pub last_contact: Option<Instant>,
    /// When the content was last known to be complete.
    pub last_complete: Option<Instant>,
    /// Failed lists and watches.
    pub failures: u64,
    /// The source's version up to which the sinks are complete.
    pub resource_version: Option<ResourceVersion>,
    /// Whether the source's versions have no order, as far as its lists have shown: that one is a larger
    /// number than another then says nothing.
    pub unordered: bool,
    /// The source's own version while that is older than what it sent before: it lags behind
    /// another of its servers, or its history was set back.
    pub behind: Option<ResourceVersion>,
    /// The last failure, in a sentence; of a long text the first 4 KiB. It stays when the failure is over.
    pub last_error: Option<String>,
    /// Whether `last_error` is not known to be over: no list or watch has moved `last_complete` since, and no
    /// watch has ended without a failure. That a watch was opened again is not enough: where nothing changes it
    /// is over with the source's next bookmark, on an idle Kubernetes resource after up to a minute.
    pub failing: bool,
}

impl Progress {
    /// Time since the content was last known to be complete: an upper bound on its staleness, apart from
    /// the source's own delay. `None` before the first list.
    ///
    /// A list, a new event, and a bookmark that is not older than what is known confirm it; an opened
    /// watch, a repeated event or an old bookmark do not.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.last_complete.map(|complete| now().saturating_duration_since(complete))
    }

    /// Returns whether the first list is in every sink, the reflector runs, and the content was known to
    /// be complete within `max_lag`.
    #[must_use]
    pub fn is_ready(&self, max_lag: Duration) -> bool {
        self.synced && self.phase != Phase::Stopped && self.lag().is_some_and(|lag| lag <= max_lag)
    }
}

/// Relists by what made each necessary.
///
/// ```
/// use watchcache::reflector::RelistCauses;
///
/// /// What is worth an alarm at once: that a version expires is the usual end of a long break, and worth one only
/// /// if it goes on.
/// fn alarms(causes: &RelistCauses) -> Vec<&'static str> {
///     let unusual = causes.iter().filter(|(cause, count)| *count > 0 && *cause != "expired");
///     unusual.map(|(cause, _)| cause).collect()
/// }
/// let mut causes = RelistCauses::default();
/// causes.expired = 2;
/// causes.stalled = 1;
/// assert_eq!(alarms(&causes), ["stalled"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelistCauses {
    /// The source no longer had the changes since the last version.
    pub expired: u64,
    /// The source did not know a version as new as the last one, again and again.
    pub version_too_large: u64,
    /// The watch could not be understood at the same place, again and again.
    pub protocol: u64,
    /// The watch failed at the same place, or ended there without progress, again and again.
    pub stalled: u64,
    /// Watches were granted and said nothing, not even that there is nothing.
    pub quiet: u64,
    /// The source's bookmarks named versions older than what it had sent before, again and again.
    pub behind: u64,
    /// Events came in versions older than what had come before, and were no repetition of it.
    pub out_of_order: u64,
    /// There was no version from which a watch could have gone on.
    pub unversioned: u64,
}

/// What made a relist necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Expired,
    VersionTooLarge,
    Protocol,
    Stalled,
    Quiet,
    Behind,
    OutOfOrder,
    Unversioned,
}

impl Cause {
    /// Returns whether a watch cannot go on before a list succeeded.
    pub(super) fn is_mandatory(self) -> bool {
        matches!(self, Self::Expired | Self::Unversioned)
    }
}

impl RelistCauses {
    /// Each cause by its name, which is the field's, with how often it was one.
    ///
    /// ```
    /// use watchcache::reflector::RelistCauses;
    ///
    /// let all: u64 = RelistCauses::default().iter().map(|(_, count)| count).sum();
    /// assert_eq!(all, 0);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        // Without `..`, so that none can be forgotten.
        let Self {
            expired,
            version_too_large,
            protocol,
            stalled,
            quiet,
            behind,
            out_of_order,
            unversioned,
        } = *self;
        [
            ("expired", expired),
            ("version_too_large", version_too_large),
            ("protocol", protocol),
            ("stalled", stalled),
            ("quiet", quiet),
            ("behind", behind),
            ("out_of_order", out_of_order),
            ("unversioned", unversioned),
        ]
        .into_iter()
    }

    pub(super) fn count(&mut self, cause: Cause) {
        *match cause {
            Cause::Expired => &mut self.expired,
            Cause::VersionTooLarge => &mut self.version_too_large,
            Cause::Protocol => &mut self.protocol,
            Cause::Stalled => &mut self.stalled,
            Cause::Quiet => &mut self.quiet,
            Cause::Behind => &mut self.behind,
            Cause::OutOfOrder => &mut self.out_of_order,
            Cause::Unversioned => &mut self.unversioned,
        } += 1;
    }
}

/// The time on tokio's clock, so that paused time counts too.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
