//! `top`: what a cluster has by kind and namespace, what changes most there, and what mirroring it takes.

mod changes;
mod report;
mod screen;
mod watched;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::args::TopArgs;
use crate::cluster::Cluster;
use crate::course::{Course, Event};
use crate::failure::Failure;
use crate::kind::Ended;
use crate::limit::Limit;
use crate::notes::Notes;
use crate::report::tenths;
use crate::signals::Interrupts;
use crate::target::{Scope, Target};
use crate::view::screen::{Screen, Size};
use crate::view::{self, Form, PLAIN};
use report::{NamespaceReport, Report};
use watched::Watched;

/// How long it watches once every first list is in, or does not come for now, unless it is told or live.
const ONCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: TopArgs, mut interrupts: Interrupts) -> Result<ExitCode, Failure> {
    let limit = Limit::from_now(args.duration);
    let (target, scope) = (Target::of(&args.source)?, Scope::of(&args.source)?);
    let form = Form::of(args.output);
    let (cluster, found) =
        Cluster::open(target, scope, &args.kinds, limit, &mut interrupts).await?;
    let kinds = found.into_iter().map(|found| Watched::start(&cluster, found)).collect();
    let mut top = Top {
        kinds,
        started: Instant::now(),
        began: None,
        limit: args.limit.into(),
        notes: Notes::default(),
        cluster,
    };
    let mut course = Course::new(limit, form, interrupts);
    let ended = top.watch(form, args.duration.is_none(), &mut course).await;
    // Whatever ended it: the next signal does so at once.
    course.end();
    let mut whole = false;
    if ended.is_ok() {
        let mut report = top.report();
        whole = report.kinds.iter().all(|kind| kind.whole);
        report.source = top.cluster.lasting_name();
        match form {
            // Only numbers and strings: serialization cannot fail.
            Form::Json => view::json(&serde_json::to_string(&report).unwrap_or_default())?,
            Form::Live => view::line(&screen::text(&report, Size::now().width))?,
            Form::Plain => view::line(&screen::text(&report, PLAIN))?,
        }
    }
    for watched in &mut top.kinds {
        watched.kind.stop().await;
    }
    top.cluster.close().await;
    ended.map(|()| if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Top {
    kinds: Vec<Watched>,
    started: Instant,
    /// When every first list was in, or did not come for now.
    began: Option<Instant>,
    limit: usize,
    notes: Notes,
    cluster: Cluster,
}

impl Top {
    /// Until the time is up or a signal comes. Without a limit, and not live, that is after a while.
    async fn watch(
        &mut self,
        form: Form,
        without_limit: bool,
        course: &mut Course,
    ) -> Result<(), Failure> {
        let screen = match form {
            Form::Live => Some(Screen::open().map_err(|error| view::unwritten(&error))?),
            Form::Plain | Form::Json => None,
        };
        let mut shown = Report::default();
        loop {
            let going_on = self.kinds.iter_mut().filter(|watched| watched.ended.is_none());
            let kinds = going_on.map(|watched| &mut watched.kind);
            let event = course.next(kinds.collect()).await;
            if self.began.is_none() && self.kinds.iter().all(Watched::is_settled) {
                self.began = Some(Instant::now());
                self.kinds.iter_mut().for_each(Watched::begin);
                course.begin();
                if form != Form::Live && without_limit {
                    course.limit(Limit::from_now(Some(ONCE)));
                }
            }
            match event {
                Event::Synced => {}
                Event::Ended(ended) => self.end(ended, form)?,
                Event::Tick if screen.is_some() => shown = self.report(),
                Event::Tick => self.tick(),
                Event::Suspended => {
                    let suspended = screen.as_ref().map_or(Ok(()), Screen::suspend);
                    suspended.map_err(|error| view::unwritten(&error))?;
                }
                Event::Resized => {}
                // What there is, if there is anything.
                Event::End(ended) => {
                    return if self.kinds.iter().any(Watched::is_synced) { Ok(()) } else { ended };
                }
            }
            if let Some(screen) = &screen {
                let size = Size::now();
                let frame = screen::frame(&shown, size);
                screen.draw(&frame, size).map_err(|error| view::unwritten(&error))?;
            }
        }
    }

    /// The others go on, if there are any.
    fn end(&mut self, ended: Vec<Ended>, form: Form) -> Result<(), Failure> {
        let why: Vec<_> = ended.iter().map(|one| one.failure.message().to_owned()).collect();
        for one in ended {
            if let Some(of) = self.kinds.iter_mut().find(|of| of.kind.name == one.kind) {
                of.ended = Some(one);
            }
        }
        if self.kinds.iter().all(|watched| watched.ended.is_some()) {
            let all = self.kinds.iter_mut().filter_map(|watched| watched.ended.take());
            return Err(Ended::failure(all.collect()));
        }
        if form != Form::Live {
            why.into_iter().for_each(|why| self.notes.note(why));
        }
        Ok(())
    }

    /// Where there is no screen: measures, and notes why it takes so long.
    fn tick(&mut self) {
        for watched in &mut self.kinds {
            let progress = watched.kind.monitor.progress();
            watched.measure(&progress);
            self.notes.retry(&watched.kind.name, &progress);
        }
    }

    fn report(&mut self) -> Report {
        let watched = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        let seconds = watched.as_secs_f64();
        let begun = self.began.is_some();
        let hottest: Vec<_> = self.kinds.iter().map(|kind| kind.hottest(self.limit)).collect();
        let over = hottest.iter().map(|(_, over)| *over).max().filter(|_| begun);
        let mut hottest: Vec<_> = hottest.into_iter().flat_map(|(keys, _)| keys).collect();
        hottest.sort_by_key(|hot| Reverse(hot.changes));
        hottest.truncate(if begun { self.limit } else { 0 });
        let mut namespaces = self.namespaces();
        let namespaces_in_all = namespaces.iter().filter(|one| one.namespace.is_some()).count();
        // What is in no namespace is none that could be left out.
        let mut room = self.limit;
        namespaces.retain(|one| {
            let fits = one.namespace.is_none() || room > 0;
            room -= usize::from(one.namespace.is_some() && fits);
            fits
        });
        Report {
            source: self.cluster.name(),
            namespace: self.cluster.scope.namespace.clone(),
            scope: self.cluster.scope.describe(),
            running_s: self.started.elapsed().as_secs_f64(),
            watched_s: tenths(seconds),
            hottest_over_s: tenths(over.unwrap_or_default().as_secs_f64()),
            quarantined: self
                .kinds
                .iter()
                .flat_map(Watched::quarantined)
                .take(self.limit)
                .collect(),
            kinds: self.kinds.iter_mut().map(|kind| kind.report(begun)).collect(),
            namespaces,
            namespaces_in_all,
            hottest,
        }
    }

    fn namespaces(&self) -> Vec<NamespaceReport> {
        let mut all: BTreeMap<Option<String>, BTreeMap<String, u64>> = BTreeMap::new();
        for watched in &self.kinds {
            let snapshot = watched.kind.store.snapshot();
            for (namespace, objects) in snapshot.namespaces().filter(|(_, objects)| *objects > 0) {
                let by_kind = all.entry(namespace.map(ToOwned::to_owned)).or_default();
                by_kind.insert(watched.kind.name.clone(), objects as u64);
            }
        }
        let mut all: Vec<_> = all
            .into_iter()
            .map(|(namespace, by_kind)| NamespaceReport {
                namespace,
                objects: by_kind.values().sum(),
                by_kind,
            })
            .collect();
        // Of equal ones always the same.
        all.sort_by_key(|namespace| Reverse(namespace.objects));
        all
    }
}
