//! The mirror: connects, reflects, measures, and verifies in the end.

mod cache;
mod cluster;
mod failures;

use std::process::ExitCode;

use crate::args::MirrorArgs;
use crate::connect::Step;
use crate::discovery;
use crate::exporter::Exporter;
use crate::failure::{Failure, note};
use crate::readers::Readers;
use crate::target::{Scope, Target};
use crate::verify::Fresh;
use crate::view::View;
use crate::{signals, verify};
use cache::Mirror;
use cluster::{Cluster, qualified};
use failures::too_short;

pub(crate) async fn run(args: MirrorArgs) -> Result<ExitCode, Failure> {
    let end = args.duration.map(|duration| tokio::time::Instant::now() + duration);
    let target = Target::of(&args)?;
    let scope = Scope::of(&args)?;
    let exporter = match args.metrics {
        Some(address) => Some(Exporter::start(address, &args.resource).await?),
        None => None,
    };
    if let Some(exporter) = &exporter {
        note(&format!("metrics are at http://{}/metrics", exporter.address()));
    }
    let step = Step::new("the server has not said yet what it has".to_owned());
    let opening = async {
        let cluster = Cluster::open(target, &step).await?;
        let found = discovery::find(&cluster.client, &cluster.url, &args.resource).await?;
        Ok((cluster, found))
    };
    let (cluster, found) = tokio::select! {
        biased;
        opened = opening => opened?,
        () = elapsed(end) => {
            return Err(too_short(&args, &step.borrow()));
        }
    };
    if scope.namespace.is_some() && !found.namespaced {
        return Err(Failure::run(format!("{} are in no namespace", found.resource.plural))
            .advise("leave out --namespace"));
    }
    let title = format!("{} of {}", qualified(&found), cluster.name());
    let mut view = View::new(args.output, &title);
    let mut mirror = Mirror::start(&cluster, &found, &scope, exporter.as_ref());
    let ran = mirror.watch(&args, end, &cluster, &found, &mut view).await;
    // Whatever ended it: once awaited, signals no longer end the process by themselves.
    signals::end_at_next();
    if let Err(failure) = ran {
        mirror.stop().await;
        return Err(failure);
    }
    let last = mirror.sample();
    view.note("verifying: comparing the store with a fresh list of the server");
    // The measurements are over; the verification may use the whole machine.
    mirror.readers.iter_mut().for_each(Readers::stop);
    if let Some(server) = &cluster.server {
        server.pause().await;
    }
    let fresh = Fresh::new(cluster.client.clone(), &found.resource, scope.clone());
    let verdict = verify::compare(&fresh, &mirror.states, &mirror.monitor).await;
    mirror.stop().await;
    let summary = mirror.summary(&args, &cluster, &found, &last, verdict);
    view.finish(&summary);
    drop(mirror);
    cluster.close().await;
    Ok(if summary.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for the end, if there is one.
async fn elapsed(end: Option<tokio::time::Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
