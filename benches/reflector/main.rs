//! A mirror of 50,000 Pods over HTTP on loopback, beside kube-runtime's: how long the first list
//! takes, how fast changes are applied, what an object costs in memory, and the peak of a relist.
//!
//! The server runs here; each contestant is a process of its own, so that its memory and CPU time
//! are its own. Changes are made while the contestant is stopped, so that the speed of what makes
//! them does not count. `--test` runs it small; `REFLECTOR_PODS` and `REFLECTOR_CHANGES` set the size.
//! Beside each figure is how many times better it is than kube-runtime's. The table is written to
//! `target/reflector.json`, too.

mod contestant;
mod process;
#[path = "../slim.rs"]
mod slim;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};
use watchcache_embedded_server::{Config, EmbeddedServer, HistoryLimit};

const CONTESTANTS: [&str; 7] = [
    "watchcache-typed",
    "watchcache-lazy",
    "watchcache-slim",
    "watchcache-typed-protobuf",
    "watchcache-lazy-protobuf",
    "watchcache-slim-protobuf",
    "kube-runtime",
];

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, name, url] = arguments.as_slice()
        && mode == "contestant"
    {
        return contestant::run(name, url);
    }
    let small = arguments.iter().any(|argument| argument == "--test");
    let number = |name, full, test| match std::env::var(name) {
        Ok(text) => text.parse().map_err(Failure::from),
        Err(_) => Ok(if small { test } else { full }),
    };
    let pods = number("REFLECTOR_PODS", 50_000, 300)?;
    let changes = number("REFLECTOR_CHANGES", 30_000, 500)?;
    let mut rows = Map::new();
    for name in CONTESTANTS {
        let figures = measure(name, pods, changes as u64)?;
        for (row, value) in figures {
            if let Value::Object(row) = rows.entry(row).or_insert_with(|| json!({})) {
                row.insert(name.to_owned(), value);
            }
        }
    }
    print(&rows);
    let report = json!({"pods": pods, "changes": changes, "rows": rows});
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
    std::fs::create_dir_all(target)?;
    std::fs::write(format!("{target}/reflector.json"), format!("{report:#}\n"))?;
    Ok(())
}

/// One contestant's figures, by row.
fn measure(name: &str, pods: usize, changes: u64) -> Result<Map<String, Value>, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let history = HistoryLimit::changes(2 * changes as usize + 1_000);
    let config = Config { pods, rate: 0, seed: 1, history, ..Config::default() };
    let server = runtime.block_on(EmbeddedServer::start(config))?;
    // The server encodes an object once, for whoever asks first: that should be nobody who is measured.
    let encoded = match name.ends_with("-protobuf") {
        true => Some(runtime.block_on(contestant::in_protobuf(&server.url()))?),
        false => None,
    };
    let mut child = Contestant::start(name, &server.url())?;
    let mut rows = Map::new();

    let synced = child.answer()?;
    child.signal("STOP")?;
    server.advance(changes);
    if let Some(encoded) = &encoded {
        let last = server.resource_version().to_string();
        runtime.block_on(encoded.wait_for(&last.as_str().into()))?;
    }
    child.signal("CONT")?;
    let watched = child.answer()?;

    child.signal("STOP")?;
    server.disconnect_watches();
    // The server notices the cut before it has anything to send.
    std::thread::sleep(Duration::from_millis(500));
    server.advance(changes.min(500));
    server.compact(server.resource_version());
    child.ask("relist")?;
    child.signal("CONT")?;
    let relisted = child.answer()?;

    rows.insert(
        "initial_sync".to_owned(),
        json!({"seconds": synced["seconds"], "cpu_seconds": synced["cpu_seconds"]}),
    );
    rows.insert("watch".to_owned(), watched);
    let per_object = synced["resident_bytes"].as_f64().unwrap_or(0.0)
        / synced["objects"].as_f64().unwrap_or(1.0);
    rows.insert("resident".to_owned(), json!({"bytes_per_object": per_object.round()}));
    rows.insert("relist_peak".to_owned(), relisted);
    runtime.block_on(server.stop());
    Ok(rows)
}

struct Contestant {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Contestant {
    fn start(name: &str, url: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["contestant", name, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self { child, answers })
    }

    fn answer(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    fn ask(&mut self, what: &str) -> Result<(), Failure> {
        Ok(writeln!(self.child.stdin.as_mut().ok_or("no stdin")?, "{what}")?)
    }

    fn signal(&self, signal: &str) -> Result<(), Failure> {
        let sent =
            Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("cannot send {signal}").into()) }
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // It has said all it had to say; what is awaited is its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn print(rows: &Map<String, Value>) {
    for (row, contestants) in rows {
        println!("{row}");
        for name in CONTESTANTS {
            let ratios = json!(ratios(&contestants[name], &contestants["kube-runtime"]));
            println!("  {name:<26} {}, ratios {ratios}", contestants[name]);
        }
    }
}

/// How many times better each of our figures is than theirs.
fn ratios(ours: &Value, theirs: &Value) -> Map<String, Value> {
    let ratio = |(name, ours): (&String, &Value)| {
        let (ours, theirs) = (ours.as_f64()?, theirs[name].as_f64()?);
        let ratio = if name == "events_per_second" { ours / theirs } else { theirs / ours };
        Some((name.clone(), json!((100.0 * ratio).round() / 100.0)))
    };
    ours.as_object().into_iter().flatten().filter_map(ratio).collect()
}
