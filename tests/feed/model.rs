//! Any subscriber at any speed over any history: what it was told, put together, is the content at the
//! revision to which it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use watchcache::store::{FeedLimits, Index};
use watchcache::{Batch, Store};

use crate::follower::{Follower, SHORTEST};
use crate::thing::{Thing, app, batch, listing, put};

const KEYS: [&str; 6] = ["a/0", "a/1", "b/0", "b/1", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u32),
    Delete(usize),
    Apply(Vec<(usize, Option<u32>)>),
    Replace(BTreeMap<usize, u32>),
    Progress,
    /// Many changes, so that the log goes on.
    Churn(u32),
    /// Whether it settles.
    Subscribe(From, About, bool),
    /// One delivery, or all that are there.
    Take(usize, bool),
    Leave(usize),
    Keep,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Now,
    Content,
    /// One of the snapshots kept.
    Snapshot(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum About {
    All,
    Namespace,
    Labels,
    Index,
}

impl About {
    fn has(self, key: &str, thing: &Thing) -> bool {
        match self {
            Self::All => true,
            Self::Namespace => key.starts_with("a/"),
            Self::Labels | Self::Index => app(thing.value) == "even",
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let change = (key.clone(), prop::option::of(0..10_u32));
    let from =
        prop_oneof![Just(From::Now), Just(From::Content), (0..4_usize).prop_map(From::Snapshot)];
    let about = prop_oneof![
        Just(About::All),
        Just(About::Namespace),
        Just(About::Labels),
        Just(About::Index)
    ];
    prop_oneof![
        4 => (key.clone(), 0..10_u32).prop_map(|(key, value)| Step::Put(key, value)),
        2 => key.clone().prop_map(Step::Delete),
        3 => prop::collection::vec(change, 1..8).prop_map(Step::Apply),
        1 => prop::collection::btree_map(key, 0..10_u32, 0..6).prop_map(Step::Replace),
        1 => Just(Step::Progress),
        1 => (1..80_u32).prop_map(Step::Churn),
        2 => (from, about, any::<bool>())
            .prop_map(|(from, about, settles)| Step::Subscribe(from, about, settles)),
        5 => (0..8_usize, any::<bool>()).prop_map(|(who, all)| Step::Take(who, all)),
        1 => (0..8_usize).prop_map(Step::Leave),
        1 => Just(Step::Keep),
    ]
}

type Content = BTreeMap<String, Arc<Thing>>;

fn content(store: &Store<Thing>) -> Content {
    let snapshot = store.snapshot();
    snapshot.iter().map(|(key, thing)| (key.to_string(), thing.to_arc())).collect()
}

fn about(content: &Content, about: About) -> Content {
    let wanted = content.iter().filter(|(key, thing)| about.has(key, thing));
    wanted.map(|(key, thing)| (key.clone(), Arc::clone(thing))).collect()
}

fn run(limits: FeedLimits, steps: Vec<Step>) {
    let by_app = Index::new("app", |thing: &Thing| [app(thing.value)]);
    let store = Store::builder().feed(limits).index(&by_app).build();
    // The content at each revision.
    let mut history = vec![Content::new(), Content::new()];
    history.truncate(store.revision().get() as usize + 1);
    let mut followers: Vec<(About, Follower<Thing>)> = Vec::new();
    let mut kept = vec![store.snapshot()];
    let mut version = 0_u64;
    for step in steps {
        let mut writes = Vec::new();
        match step {
            Step::Put(key, value) => writes.push((key, Some(value))),
            Step::Delete(key) => writes.push((key, None)),
            Step::Churn(times) => {
                writes.extend((0..times).map(|i| (i as usize % 3, Some(i))));
            }
            Step::Apply(changes) => {
                let changes: Vec<_> =
                    changes.iter().map(|(key, value)| (KEYS[*key], *value)).collect();
                drop(store.apply(&batch(&changes)));
            }
            Step::Replace(things) => {
                let things: Vec<_> =
                    things.iter().map(|(key, value)| (KEYS[*key], *value)).collect();
                version += 1;
                drop(store.replace(&listing(&things, Some(version))));
            }
            Step::Progress => {
                version += 1;
                let mut bookmark = Batch::new();
                bookmark.set_resource_version(version.to_string().into());
                drop(store.apply(&bookmark));
            }
            Step::Subscribe(from, what, settles) => {
                let each = if settles { SHORTEST } else { Duration::ZERO };
                let subscribe = store.subscribe().settle(each);
                let subscribe = match what {
                    About::All => subscribe,
                    About::Namespace => subscribe.namespace("a"),
                    About::Labels => subscribe.labels("app=even".parse().unwrap()),
                    About::Index => subscribe.index(&by_app, "even"),
                };
                let (subscribe, known) = match from {
                    From::Now => (subscribe, content(&store)),
                    From::Content => (subscribe.with_content(), Content::new()),
                    From::Snapshot(which) => {
                        let snapshot = &kept[which % kept.len()];
                        let known = history[snapshot.revision().get() as usize].clone();
                        (subscribe.since(snapshot), known)
                    }
                };
                let known = about(&known, what);
                followers.push((what, Follower::new(subscribe.start().unwrap(), known)));
            }
            Step::Take(who, all) if !followers.is_empty() => {
                let who = who % followers.len();
                let (what, follower) = &mut followers[who];
                while follower.step() {
                    let revision = follower.revision.unwrap().get() as usize;
                    assert_eq!(follower.known, about(&history[revision], *what));
                    if !all {
                        break;
                    }
                }
                if all {
                    assert_eq!(follower.known, about(&content(&store), *what));
                    assert_eq!(follower.subscription.revision(), store.revision());
                }
            }
            Step::Leave(who) if !followers.is_empty() => {
                drop(followers.swap_remove(who % followers.len()));
            }
            Step::Keep => kept.push(store.snapshot()),
            Step::Take(..) | Step::Leave(_) => {}
        }
        for (key, value) in writes {
            match value {
                Some(value) => put(&store, KEYS[key], value),
                None => drop(store.delete(KEYS[key])),
            }
            note(&mut history, &store);
        }
        note(&mut history, &store);
        kept.drain(..kept.len().saturating_sub(4));
    }
    drop(kept);
    let last = content(&store);
    drop(store);
    for (what, mut follower) in followers {
        follower.drain();
        assert_eq!(follower.known, about(&last, what));
        assert!(follower.subscription.next().is_none());
    }
}

fn note(history: &mut Vec<Content>, store: &Store<Thing>) {
    let revision = store.revision().get() as usize;
    if revision == history.len() {
        history.push(content(store));
    }
    assert_eq!(history.len(), revision + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 300 }))]

    #[test]
    fn what_was_told_is_the_content(
        log in 1..60_usize,
        behind in 1..100_usize,
        always in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let limits = FeedLimits::default().log(log, usize::MAX).behind(behind, usize::MAX);
        run(limits.always(always), steps);
    }
}
