//! The longest write beside readers, as a table and as `store_report.json` in the target folder.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::contestants::{Reader, Writer, dashmap, rwlock_hashmap, watchcache};
use crate::hot_key::{Keys, OBJECTS, READERS, Writes, new_histogram};
use crate::ratios::target;

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
struct Figures {
    longest: u64,
    p999: u64,
}

/// For each number of readers, with a hot key and spread.
type Table = Vec<(usize, [Figures; 2])>;

/// Prints the figures, and writes them down unless it is only to be seen that this runs.
pub fn print(test: bool) {
    let (round, of_peers) = match test {
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
    let mut report = json(&ours);
    report.insert("objects".to_owned(), OBJECTS.into());
    report.insert("rounds".to_owned(), round.count.into());
    // Before the peers too, so that a reader of the file need not wait for them.
    write(&report, test);
    let map = dashmap::filled(OBJECTS);
    let sharded = measure(dashmap::NAME, Writes::new(&map.clone(), map), of_peers, None);
    let map = rwlock_hashmap::filled(OBJECTS);
    let locked = measure(rwlock_hashmap::NAME, Writes::new(&map.clone(), map), of_peers, None);
    for (name, table) in [(dashmap::NAME, &sharded), (rwlock_hashmap::NAME, &locked)] {
        report.insert(name.to_owned(), json(table).into());
    }
    if let Some(path) = write(&report, test) {
        println!("\nwritten: {path}");
    }
}

/// Writes the report down, unless it is only to be seen that this runs; where to.
fn write(report: &Map<String, Value>, test: bool) -> Option<String> {
    let path = target().join("store_report.json");
    let written =
        (!test).then(|| fs::write(&path, format!("{:#}\n", Value::from(report.clone()))))?;
    match written {
        Ok(()) => Some(path.display().to_string()),
        Err(error) => {
            println!("\n{}: {error}", path.display());
            None
        }
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
        let figures = figures(&mut writes, readers, round);
        print_row(name, readers, figures, bar);
        (readers, figures)
    };
    READERS.map(row).into()
}

/// The longest write of a round, and its 99.9th percentile, each as the median over the rounds:
/// what the machine does to one round, or to two, then does not show, and what the store does to
/// more than half of them does. Rounds of both kinds of keys take turns, so that a busy hour meets
/// both.
fn figures<R: Reader, W: Writer>(
    writes: &mut Writes<'_, R, W>,
    readers: usize,
    round: Round,
) -> [Figures; 2] {
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
    of.map(|(longest, p999)| Figures { longest: median(longest), p999: median(p999) })
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

fn print_row(name: &str, readers: usize, [hot, spread]: [Figures; 2], bar: Option<f64>) {
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
    let by_readers = |figure: fn(&Figures) -> u64| -> Value {
        let row = |(readers, figures): &(usize, [Figures; 2])| {
            let of = |keys: Keys| microseconds(figure(&figures[keys as usize]));
            let row = json!({ "hot": of(Keys::Hot), "spread": of(Keys::Spread) });
            (readers.to_string(), row)
        };
        Value::Object(table.iter().map(row).collect())
    };
    Map::from_iter([
        ("longest_write_us".to_owned(), by_readers(|figures| figures.longest)),
        ("p999_write_us".to_owned(), by_readers(|figures| figures.p999)),
    ])
}
