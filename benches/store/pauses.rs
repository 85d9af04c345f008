//! The longest write beside readers.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::contestants::{Reader, Writer, dashmap, rwlock_hashmap, watchcache};
use crate::figures::{Figures, median};
use crate::hot_key::{Keys, OBJECTS, READERS, Writes, new_histogram};

/// With a hot key the longest write may take this much longer than with the same writes spread out.
const BAR: f64 = 2.0;

/// How long a round is: until enough time has passed and enough has been written, or too much time.
#[derive(Clone, Copy)]
struct Round {
    count: usize,
    at_least: Duration,
    at_most: Duration,
    writes: u64,
}

impl Round {
    const USUAL: Self = Self {
        count: 5,
        at_least: Duration::from_millis(100),
        at_most: Duration::from_millis(600),
        writes: 3_000,
    };
    /// One that only shows that it runs.
    const SMOKE: Self = Self {
        count: 1,
        at_least: Duration::from_millis(1),
        at_most: Duration::from_millis(20),
        writes: 10,
    };
}

/// In nanoseconds.
#[derive(Clone, Copy)]
struct Times {
    longest: u64,
    p999: u64,
}

/// For each number of readers, with a hot key and spread.
type Table = Vec<(usize, [Times; 2])>;

pub fn print(figures: &mut Figures) {
    let (round, of_peers) = match figures.test {
        true => (Round::SMOKE, Round::SMOKE),
        false => (Round::USUAL, Round { count: 3, ..Round::USUAL }),
    };
    println!(
        "us per write of one object at {OBJECTS} objects, medians of {} rounds, of peers {}:",
        round.count, of_peers.count
    );
    println!();
    println!(
        "| | readers | longest, hot | longest, spread | p99.9, hot | p99.9, spread | hot over spread | bar | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let store = watchcache::filled(OBJECTS);
    let ours = measure(watchcache::NAME, Writes::new(&store.clone(), store), round, Some(BAR));
    json(&ours).into_iter().for_each(|(name, value)| figures.set(&name, value));
    figures.set("objects", OBJECTS);
    figures.set("rounds", round.count);
    let map = dashmap::filled(OBJECTS);
    let sharded = measure(dashmap::NAME, Writes::new(&map.clone(), map), of_peers, None);
    let map = rwlock_hashmap::filled(OBJECTS);
    let locked = measure(rwlock_hashmap::NAME, Writes::new(&map.clone(), map), of_peers, None);
    for (name, table) in [(dashmap::NAME, &sharded), (rwlock_hashmap::NAME, &locked)] {
        figures.set(name, json(table));
    }
}

/// Measures, and prints each row as soon as it is known.
fn measure<R: Reader, W: Writer>(
    name: &str,
    mut writes: Writes<'_, R, W>,
    round: Round,
    bar: Option<f64>,
) -> Table {
    let row = |readers| {
        let times = times(&mut writes, readers, round);
        print_row(name, readers, times, bar);
        (readers, times)
    };
    READERS.map(row).into()
}

/// The longest write of a round, and its 99.9th percentile, each as the median over the rounds:
/// what the machine does to one round, or to two, then does not show, and what the store does to
/// more than half of them does. Rounds of both kinds of keys take turns, so that a busy hour meets
/// both.
fn times<R: Reader, W: Writer>(
    writes: &mut Writes<'_, R, W>,
    readers: usize,
    round: Round,
) -> [Times; 2] {
    let mut of = Keys::ALL.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..round.count {
        for (keys, (longest, p999)) in Keys::ALL.into_iter().zip(&mut of) {
            let mut histogram = new_histogram();
            let began = Instant::now();
            writes.beside(readers, keys, |took| {
                histogram.saturating_record(took.as_nanos() as u64);
                let elapsed = began.elapsed();
                let enough = elapsed >= round.at_least && histogram.len() >= round.writes;
                !enough && elapsed < round.at_most
            });
            longest.push(histogram.max());
            p999.push(histogram.value_at_quantile(0.999));
        }
    }
    of.map(|(longest, p999)| Times { longest: median(longest), p999: median(p999) })
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

fn print_row(name: &str, readers: usize, [hot, spread]: [Times; 2], bar: Option<f64>) {
    let ratio = hot.longest as f64 / spread.longest as f64;
    let cells = [hot.longest, spread.longest, hot.p999, spread.p999]
        .map(|figure| format!("{:.1}", microseconds(figure)));
    let verdict = match bar {
        Some(bar) => format!("{bar} | {}", if ratio <= bar { "pass" } else { "MISS" }),
        None => " | ".to_owned(),
    };
    println!("| {name} | {readers} | {} | {ratio:.2} | {verdict} |", cells.join(" | "));
}

/// `{"longest_write_us": {"READERS": {"hot": .., "spread": ..}}, "p999_write_us": {..}}`
fn json(table: &Table) -> Map<String, Value> {
    let by_readers = |time: fn(&Times) -> u64| -> Value {
        let row = |(readers, times): &(usize, [Times; 2])| {
            let of = |keys: Keys| microseconds(time(&times[keys as usize]));
            let row = json!({ "hot": of(Keys::Hot), "spread": of(Keys::Spread) });
            (readers.to_string(), row)
        };
        Value::Object(table.iter().map(row).collect())
    };
    Map::from_iter([
        ("longest_write_us".to_owned(), by_readers(|times| times.longest)),
        ("p999_write_us".to_owned(), by_readers(|times| times.p999)),
    ])
}
