//! A merge of overlapping selections of one server, against that server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use watchcache::reflector::{Merge, Part};
use watchcache::{Batch, Change, Listing, Sink};

use crate::common::Pod;

const PARTS: usize = 3;
const KEYS: usize = 4;

/// Which parts select an object; none once it is deleted.
type Selected = [bool; PARTS];

/// One server: what there is, and all that ever changed.
#[derive(Default)]
struct Server {
    objects: BTreeMap<usize, (Object, Selected)>,
    log: Vec<Logged>,
}

/// An object is another's whose uid is another; the uid is the version at which it came to be there.
/// So the pair never goes back, whatever the version alone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    uid: u64,
    version: u64,
}

impl Object {
    fn pod(self, key: usize) -> Pod {
        Pod::new(&name(key), self.version).with_uid(&self.uid.to_string())
    }

    fn of(pod: &Pod) -> Self {
        Self { uid: pod.uid.parse().unwrap(), version: pod.version() }
    }
}

#[derive(Clone, Copy)]
enum Logged {
    /// What an object became, or was when it was deleted.
    Change { key: usize, object: Object, before: Selected, after: Selected },
    /// Something that no watch tells: whoever has not listed since has to.
    Gap,
}

impl Server {
    fn version(&self) -> u64 {
        self.log.len() as u64
    }

    fn change(&mut self, key: usize, after: Selected, another: bool) {
        let before = self.objects.get(&key).copied();
        let selected = before.map_or([false; PARTS], |(_, selected)| selected);
        if selected == after && !after.contains(&true) {
            return;
        }
        let version = self.version() + 1;
        let uid = before.filter(|_| !another).map_or(version, |(object, _)| object.uid);
        let object = Object { uid, version };
        self.log.push(Logged::Change { key, object, before: selected, after });
        match after.contains(&true) {
            true => self.objects.insert(key, (object, after)),
            false => self.objects.remove(&key),
        };
    }

    /// Another object takes the key, in a version that is lower than the one before.
    fn replace(&mut self, key: usize) {
        let uid = self.version() + 1;
        if let Some((object, _)) = self.objects.get_mut(&key) {
            *object = Object { uid, version: object.version / 2 + 1 };
            self.log.push(Logged::Gap);
        }
    }

    fn selected_by(&self, part: usize) -> BTreeMap<usize, Object> {
        let own = self.objects.iter().filter(|(_, (_, selected))| selected[part]);
        own.map(|(key, (object, _))| (*key, *object)).collect()
    }
}

/// A part and its reflector: where it is in the log, and the list that is under way.
struct Reader {
    part: Part<Pod>,
    index: usize,
    position: Option<u64>,
    listing: Option<(u64, BTreeMap<usize, Object>)>,
}

fn name(key: usize) -> String {
    format!("n/{key}")
}

impl Reader {
    fn start_list(&mut self, server: &Server) {
        self.listing = Some((server.version(), server.selected_by(self.index)));
    }

    fn finish_list(&mut self) {
        let Some((version, objects)) = self.listing.take() else { return };
        let pods = objects.iter().map(|(key, object)| object.pod(*key));
        let listing = Listing::new(pods, Some(version.to_string().into())).unwrap();
        self.part.replace(&listing);
        self.position = Some(version);
    }

    /// Takes the next events as one batch, up to where it has to list.
    fn advance(&mut self, server: &Server, most: usize, told: Deletions) {
        let (Some(position), None) = (self.position, &self.listing) else { return };
        let mut batch = Batch::new();
        let mut until = position;
        for logged in server.log.iter().skip(position as usize).take(most) {
            let Logged::Change { key, object, before, after } = *logged else { break };
            until += 1;
            let pod = || Arc::new(object.pod(key));
            let change = match (before[self.index], after[self.index]) {
                (_, true) => Change::Add(pod()),
                (false, false) if !told.others_too => continue,
                (_, false) => Change::Delete(told.last_states.then(pod)),
            };
            batch.push(&name(key), change).unwrap();
        }
        batch.set_resource_version(until.to_string().into());
        self.part.apply(&batch);
        self.position = Some(until);
    }

    /// Whether the watch goes on from where it is.
    fn has_to_list(&self, server: &Server) -> bool {
        let gap = server.log.iter().rposition(|logged| matches!(logged, Logged::Gap));
        self.position.is_none_or(|position| gap.is_some_and(|gap| position <= gap as u64))
    }
}

/// How a watch tells deletions.
#[derive(Clone, Copy, Debug)]
struct Deletions {
    last_states: bool,
    /// Also of what it does not select, as of keys of other shards.
    others_too: bool,
}

/// What the sinks hold; it fails as soon as a key goes back.
#[derive(Clone, Default)]
struct Content {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    listed: bool,
    objects: BTreeMap<String, Object>,
    newest: BTreeMap<String, Object>,
    version: Option<u64>,
}

impl State {
    fn put(&mut self, pod: &Pod) {
        let object = Object::of(pod);
        let newest = self.newest.insert(pod.key.clone(), object);
        assert!(newest <= Some(object), "{} goes back from {newest:?}", pod.key);
        let held = self.objects.insert(pod.key.clone(), object);
        assert_ne!(held, Some(object), "{} is no news", pod.key);
        // A store would take it for older.
        assert!(held.is_none_or(|held| held.version <= object.version), "{} is not taken", pod.key);
    }
}

impl Sink<Pod> for Content {
    fn apply(&self, batch: &Batch<Pod>) {
        let mut state = self.state.lock().unwrap();
        assert!(state.listed, "a batch before the list");
        for (key, change) in batch.changes() {
            match change {
                Change::Add(pod) => state.put(pod),
                Change::Delete(last) => {
                    let held = state.objects.remove(&key.to_string());
                    let held = held.unwrap_or_else(|| panic!("{key} was not there"));
                    let last = last.as_ref().map_or(held, |last| Object::of(last));
                    assert!(last >= held, "{key} ends at {last:?}, {held:?} is held");
                }
            }
        }
        state.version = batch.resource_version().and_then(|version| version.number());
    }

    fn replace(&self, listing: &Listing<Pod>) {
        let mut state = self.state.lock().unwrap();
        assert!(!std::mem::replace(&mut state.listed, true), "a second list");
        listing.objects().for_each(|(_, pod)| state.put(pod));
        state.version = listing.resource_version().and_then(|version| version.number());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Change(usize, Selected, bool),
    Replace(usize),
    Advance(usize, usize, Deletions),
    StartList(usize),
    FinishList(usize),
    Drop(usize),
    CatchUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let selected = || prop::array::uniform3(any::<bool>());
    let part = || 0..PARTS;
    let step = prop_oneof![
        6 => (0..KEYS, selected(), prop::bool::weighted(0.2))
            .prop_map(|(key, selected, another)| Step::Change(key, selected, another)),
        1 => (0..KEYS).prop_map(Step::Replace),
        5 => (part(), 1_usize..4, any::<bool>(), any::<bool>()).prop_map(
            |(part, most, last_states, others_too)| {
                Step::Advance(part, most, Deletions { last_states, others_too })
            }
        ),
        2 => part().prop_map(Step::StartList),
        3 => part().prop_map(Step::FinishList),
        1 => part().prop_map(Step::Drop),
        1 => Just(Step::CatchUp),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_merge_holds_what_its_parts_select_and_never_goes_back(steps in steps()) {
        let mut server = Server::default();
        let content = Content::default();
        let parts: [Part<Pod>; PARTS] = Merge::new([content.clone()]).parts();
        let mut readers: Vec<Reader> = parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| Reader { part, index, position: None, listing: None })
            .collect();
        for step in steps.into_iter().chain([Step::CatchUp]) {
            match step {
                Step::Change(key, selected, another) => server.change(key, selected, another),
                Step::Replace(key) => server.replace(key),
                // The last part's content stays when it is dropped.
                Step::Drop(part) if readers.len() > 1 => {
                    readers.retain(|reader| reader.index != part);
                }
                Step::Drop(_) => {}
                Step::Advance(part, most, told) => {
                    let reader = readers.iter_mut().find(|reader| reader.index == part);
                    reader.into_iter().for_each(|reader| reader.advance(&server, most, told));
                }
                Step::StartList(part) => {
                    let reader = readers.iter_mut().find(|reader| reader.index == part);
                    reader.into_iter().for_each(|reader| reader.start_list(&server));
                }
                Step::FinishList(part) => {
                    let reader = readers.iter_mut().find(|reader| reader.index == part);
                    reader.into_iter().for_each(Reader::finish_list);
                }
                Step::CatchUp => {
                    let told = Deletions { last_states: true, others_too: false };
                    for reader in &mut readers {
                        reader.finish_list();
                        if reader.has_to_list(&server) {
                            reader.start_list(&server);
                            reader.finish_list();
                        }
                        reader.advance(&server, usize::MAX, told);
                    }
                    let state = content.state.lock().unwrap();
                    let selected = readers.iter().flat_map(|reader| server.selected_by(reader.index));
                    let expected: BTreeMap<String, Object> =
                        selected.map(|(key, object)| (name(key), object)).collect();
                    prop_assert_eq!(&state.objects, &expected);
                }
            }
            let oldest = readers.iter().map(|reader| reader.position).min().flatten();
            let state = content.state.lock().unwrap();
            if state.listed {
                prop_assert_eq!(state.version, oldest);
            }
        }
    }
}
