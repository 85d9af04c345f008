//! A subscription tells what has changed in a store, with the state before and the state after. It is for
//! being told: whoever has to look for himself looks too often, or too late.

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use watchcache::store::feed::{DeliveryKind, Handler, Subscription, WaitError};
use watchcache::{ArcRef, Batch, Fifo, Key, KeyRef, Object, Store};

// Here it is about parcels. Each is somewhere, and belongs to an order.
struct Parcel {
    number: &'static str,
    order: &'static str,
    place: &'static str,
}

impl Object for Parcel {
    fn key(&self) -> KeyRef<'_> {
        self.number.into()
    }
}

fn parcel(number: &'static str, place: &'static str) -> Parcel {
    Parcel { number, order: "order-7", place }
}

/// Where a parcel was, and where it is.
type Move = (Option<&'static str>, Option<&'static str>);

fn next(subscription: &mut Subscription<Parcel>) -> (DeliveryKind, Vec<Move>) {
    let delivery = subscription.try_next().unwrap();
    let place = |parcel: ArcRef<'_, Parcel>| parcel.place;
    let mut moves: Vec<_> =
        delivery.iter().map(|item| (item.old.map(place), item.new.map(place))).collect();
    moves.sort_unstable();
    (delivery.kind(), moves)
}

#[test]
fn step_01_a_change_has_a_before_and_an_after() -> Result<(), Box<dyn Error>> {
    let store = Store::new();
    store.add(parcel("p1", "depot"))?;
    let mut subscription = store.subscribe().start()?;
    store.add(parcel("p1", "van"))?;
    store.delete("p1");

    // Each publication is one delivery. A key that is new has no before, and one that is gone no after.
    let moved = vec![(Some("depot"), Some("van"))];
    assert_eq!(next(&mut subscription), (DeliveryKind::Changes, moved));
    let delivered = vec![(Some("van"), None)];
    assert_eq!(next(&mut subscription), (DeliveryKind::Changes, delivered));
    assert!(subscription.try_next().is_err(), "that was all");
    Ok(())
}

#[test]
fn step_02_who_comes_late_is_told_the_difference() -> Result<(), Box<dyn Error>> {
    // Nobody has kept the moves in between, and nobody misses them: what counts is what the subscriber
    // knew, and what is true now. That it is a difference, the delivery says.
    let store = Store::new();
    store.add(parcel("p1", "depot"))?;
    store.add(parcel("p2", "depot"))?;
    let known = store.snapshot();
    store.add(parcel("p1", "van"))?;
    store.add(parcel("p1", "door"))?;
    store.delete("p2");

    let mut subscription = store.subscribe().since(&known).start()?;
    let difference = vec![(Some("depot"), None), (Some("depot"), Some("door"))];
    assert_eq!(next(&mut subscription), (DeliveryKind::Coalesced, difference));
    Ok(())
}

#[test]
fn step_03_a_handler_is_called() -> Result<(), Box<dyn Error>> {
    // The form in which informers are known from Go: what is there comes first, then each change.
    #[derive(Default)]
    struct Diary(Vec<String>);

    impl Handler<Parcel> for Diary {
        fn on_add(&mut self, parcel: ArcRef<'_, Parcel>, _is_initial: bool) {
            self.0.push(format!("{} is in the {}", parcel.number, parcel.place));
        }

        fn on_update(&mut self, old: ArcRef<'_, Parcel>, new: ArcRef<'_, Parcel>) {
            self.0.push(format!("{} from {} to {}", new.number, old.place, new.place));
        }

        fn on_delete(&mut self, last: ArcRef<'_, Parcel>) {
            self.0.push(format!("{} was last in the {}", last.number, last.place));
        }
    }

    let store = Store::new();
    store.add(parcel("p1", "depot"))?;
    store.mark_synced();
    let handling = store.subscribe().handle(Diary::default())?;
    let registration = handling.registration();
    let thread = handling.spawn()?;
    registration.wait_synced(None)?;
    store.add(parcel("p1", "van"))?;
    store.delete("p1");

    // It ends with the store, and is told everything before.
    drop(store);
    let told = thread.join().unwrap().0;
    assert_eq!(told, ["p1 is in the depot", "p1 from depot to van", "p1 was last in the van"]);
    Ok(())
}

#[test]
fn step_04_what_a_change_leads_to_is_queued() -> Result<(), Box<dyn Error>> {
    // When a parcel moves, it is the order that is to be looked at. So the queue holds keys of orders,
    // and an order of two parcels is work once. Deletions are work, too: the last state names the order.
    let parcels = Store::new();
    let orders = Fifo::<Key>::new();
    let order = |parcel: &Parcel| parcel.order.parse::<Key>().ok();
    let thread = parcels.subscribe().enqueue_mapped(&orders, order)?.spawn()?;
    let mut batch = Batch::new();
    batch.add(parcel("p1", "depot"))?;
    batch.add(parcel("p2", "depot"))?;
    parcels.apply(&batch);

    let lease = orders.lease()?;
    assert_eq!((lease.key().name(), orders.len()), ("order-7", 0));
    lease.done();
    parcels.delete("p2");
    let lease = orders.lease()?;
    assert_eq!(lease.key().name(), "order-7");
    lease.done();
    drop(parcels);
    thread.join().unwrap();
    Ok(())
}

#[test]
fn step_05_who_knows_a_version_waits_for_it() -> Result<(), Box<dyn Error>> {
    // The server has answered a write with its version. To read what was written, wait until the store
    // has come to that version; a thread sleeps until then, and so does a task.
    let store = Arc::new(Store::<Parcel>::new());
    let reader = thread::spawn({
        let store = Arc::clone(&store);
        move || {
            store.wait_for_version(&"42".into(), None)?;
            Ok::<_, WaitError>(store.get("p1").map(|parcel| parcel.place))
        }
    });
    let mut batch = Batch::new();
    batch.add(parcel("p1", "door"))?;
    batch.set_resource_version("42".into());
    store.apply(&batch);
    assert_eq!(reader.join().unwrap(), Ok(Some("door")));

    // What is written to the store itself has a revision of the store's, which is waited for likewise.
    let written = store.add(parcel("p1", "depot"))?;
    store.wait_for(written.revision, None)?;
    // Whoever waits for what does not come may set a limit.
    let limit = Some(Duration::from_millis(1));
    assert_eq!(store.wait_for_version(&"43".into(), limit), Err(WaitError::Timeout));
    Ok(())
    // Where to go from here: `cargo run --example workers`, then docs/feed.md and docs/examples.md.
}
