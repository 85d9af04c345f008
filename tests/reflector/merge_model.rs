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
    objects: BTreeMap<usize, (u64, Selected)>,
    log: Vec<Logged>,
}

#[derive(Clone, Copy)]
struct Logged {
    key: usize,
    before: Selected,
    after: Selected,
}

impl Server {
    fn version(&self) -> u64 {
        self.log.len() as u64
    }

    fn change(&mut self, key: usize, after: Selected) {
        let before = self.objects.get(&key).map_or([false; PARTS], |(_, selected)| *selected);
        if before == after && !after.contains(&true) {
            return;
        }
        self.log.push(Logged { key, before, after });
        match after.contains(&true) {
            true => self.objects.insert(key, (self.version(), after)),
            false => self.objects.remove(&key),
        };
    }

    fn selected_by(&self, part: usize) -> BTreeMap<usize, u64> {
        let own = self.objects.iter().filter(|(_, (_, selected))| selected[part]);
        own.map(|(key, (version, _))| (*key, *version)).collect()
    }
}

/// A part and its reflector: where it is in the log, and the list that is under way.
struct Reader {
    part: Part<Pod>,
    index: usize,
    position: Option<u64>,
    listing: Option<(u64, BTreeMap<usize, u64>)>,
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
        let pods = objects.iter().map(|(key, version)| Pod::new(&name(*key), *version));
        let listing = Listing::new(pods, Some(version.to_string().into())).unwrap();
        self.part.replace(&listing);
        self.position = Some(version);
    }

    /// Takes the next events as one batch.
    fn advance(&mut self, server: &Server, most: usize, names_last: bool) {
        let (Some(position), None) = (self.position, &self.listing) else { return };
        let mut batch = Batch::new();
        let from = position as usize;
        let until = server.log.len().min(from + most);
        for version in from..until {
            let Logged { key, before, after } = server.log[version];
            let pod = || Arc::new(Pod::new(&name(key), version as u64 + 1));
            let change = match (before[self.index], after[self.index]) {
                (_, true) => Change::Add(pod()),
                (true, false) => Change::Delete(names_last.then(pod)),
                (false, false) => continue,
            };
            batch.push(&name(key), change).unwrap();
        }
        batch.set_resource_version(until.to_string().into());
        self.part.apply(&batch);
        self.position = Some(until as u64);
    }
}

/// What the sinks hold; it fails as soon as a key goes back.
#[derive(Clone, Default)]
struct Content {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    listed: bool,
    objects: BTreeMap<String, u64>,
    newest: BTreeMap<String, u64>,
    version: Option<u64>,
}

impl State {
    fn put(&mut self, pod: &Pod) {
        let newest = self.newest.insert(pod.key.clone(), pod.version());
        assert!(newest <= Some(pod.version()), "{} goes back from {newest:?}", pod.key);
        let held = self.objects.insert(pod.key.clone(), pod.version());
        assert_ne!(held, Some(pod.version()), "{} is no news", pod.key);
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
                    let last = last.as_ref().map_or(held, |last| last.version());
                    assert!(last >= held, "{key} ends at {last}, {held} is held");
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
    Change(usize, Selected),
    Advance(usize, usize, bool),
    StartList(usize),
    FinishList(usize),
    Drop(usize),
    CatchUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let selected = || prop::array::uniform3(any::<bool>());
    let part = || 0..PARTS;
    let step = prop_oneof![
        6 => (0..KEYS, selected()).prop_map(|(key, selected)| Step::Change(key, selected)),
        5 => (part(), 1_usize..4, any::<bool>())
            .prop_map(|(part, most, last)| Step::Advance(part, most, last)),
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
                Step::Change(key, selected) => server.change(key, selected),
                // The last part's content stays when it is dropped.
                Step::Drop(part) if readers.len() > 1 => {
                    readers.retain(|reader| reader.index != part);
                }
                Step::Drop(_) => {}
                Step::Advance(part, most, last) => {
                    let reader = readers.iter_mut().find(|reader| reader.index == part);
                    reader.into_iter().for_each(|reader| reader.advance(&server, most, last));
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
                    for reader in &mut readers {
                        if reader.position.is_none() && reader.listing.is_none() {
                            reader.start_list(&server);
                        }
                        reader.finish_list();
                        reader.advance(&server, usize::MAX / 2, true);
                    }
                    let state = content.state.lock().unwrap();
                    let selected = readers.iter().flat_map(|reader| server.selected_by(reader.index));
                    let expected: BTreeMap<String, u64> =
                        selected.map(|(key, at)| (name(key), at)).collect();
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
