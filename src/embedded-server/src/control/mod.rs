//! What controllers do in a cluster, for the objects that clients write.

use std::sync::Arc;

use crate::simulation::Scheduler;
use crate::write::Writer;

/// Runs until it is aborted.
pub(crate) async fn run(_writer: Arc<Writer>, _scheduler: Scheduler) {
    std::future::pending().await
}
