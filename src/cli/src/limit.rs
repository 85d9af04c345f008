//! `--duration`: when to stop.

use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// A time from the start on; or none, and it goes on until it is stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(Option<(Duration, Instant)>);

impl Limit {
    pub(crate) fn from_now(duration: Option<Duration>) -> Self {
        Self(duration.map(|duration| (duration, Instant::now() + duration)))
    }

    pub(crate) async fn passed(self) {
        match self.0 {
            Some((_, end)) => tokio::time::sleep_until(end).await,
            None => std::future::pending().await,
        }
    }

    /// It has passed before there was anything to mirror.
    pub(crate) fn too_short(self, why: &str) -> Failure {
        let duration = self.0.map_or(Duration::ZERO, |(duration, _)| duration);
        Failure::run(format!("no complete list came within {duration:?}: {why}"))
            .advise("a longer --duration, if nothing is wrong with the server")
    }
}
