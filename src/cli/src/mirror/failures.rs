//! Why a run failed, with advice on what to do.

use watchcache::reflector::SourceError;

use super::cluster::{Cluster, qualified};
use crate::args::MirrorArgs;
use crate::discovery::Found;
use crate::failure::Failure;

/// The time was up before there was anything to mirror.
pub(super) fn too_short(args: &MirrorArgs, why: &str) -> Failure {
    let duration = args.duration.unwrap_or_default();
    Failure::run(format!("no complete list came within {duration:?}: {why}"))
        .advise("a longer --duration, if nothing is wrong with the server")
}

/// Why the reflector ended without having been stopped.
pub(super) fn explain_end(
    ended: Result<Result<(), SourceError>, tokio::task::JoinError>,
    cluster: &Cluster,
    found: &Found,
) -> Failure {
    let what = qualified(found);
    match ended {
        Ok(Err(SourceError::Status(status))) if status.is_forbidden() => {
            Failure::run(format!("{} forbids to list {what}: {}", cluster.url, status.message()))
                .advise(format!("ask for list and watch on {what}, or narrow with --namespace"))
        }
        Ok(Err(SourceError::Status(status))) if status.is_unauthorized() => Failure::run(format!(
            "{} does not accept the credentials: {}",
            cluster.url,
            status.message()
        ))
        .advise("log in again, so that the kubeconfig gets fresh credentials"),
        Ok(Err(SourceError::Status(status))) if status.is_bad_request() => {
            Failure::run(format!("{} does not understand: {}", cluster.url, status.message()))
                .advise("other --selector and --field-selector: each resource has its own fields")
        }
        Ok(Err(error)) => {
            Failure::run(format!("{what} of {} cannot be listed: {error}", cluster.url))
                .advise("the same list with kubectl")
        }
        Ok(Ok(())) => Failure::run("the reflector stopped by itself"),
        Err(error) => Failure::run(format!("the reflector failed: {error}")),
    }
}
