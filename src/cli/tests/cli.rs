//! The command as a user meets it: what it prints, and the code with which it exits.

mod documented;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use documented::{documented, fields};
use serde_json::Value;
use watchcache_embedded_server::{Config, EmbeddedServer};

fn watchcache(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchcache"))
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

/// Mirrors for a bounded time: for longer each time until it lasts for a list and for what is `awaited` of
/// the output, however slow the machine. One at a time, so that they do not slow each other down.
fn bounded(args: &[&str], awaited: impl Fn(&Output) -> bool) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seconds = 4;
    loop {
        let duration = format!("{seconds}s");
        let output = watchcache(&[args, &["--duration", &duration]].concat());
        let was_too_short = stderr(&output).contains("no complete list came within")
            || (output.status.success() && !awaited(&output));
        if !was_too_short || seconds > 100 {
            return output;
        }
        seconds *= 3;
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails with this exit code and these words, and with nothing that looks like a crash.
fn fails(args: &[&str], code: i32, words: &[&str]) {
    let output = watchcache(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?} lacks {word:?}: {text}");
    }
    for crash in ["panicked", "backtrace", "Error {", "Err("] {
        assert!(!text.contains(crash), "{args:?}: {text}");
    }
}

/// A file of this content, in the directory that cargo gives to tests.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the file is written");
    path
}

fn last_line(output: &Output) -> Value {
    let text = stdout(output);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}{}", stderr(output)))
}

/// What a run of which something came has more than none of.
const POSITIVE: &[&str] = &[
    "/objects",
    "/events",
    "/kinds/0/revision",
    "/kinds/0/batches",
    "/reads",
    "/items",
    "/seed",
    "/duration_s",
    "/staleness_us/p50",
    "/staleness_us/p99",
    "/staleness_us/max",
    "/staleness_last_10s_us/p50",
    "/get_ns/p50",
    "/get_ns/p99",
    "/get_ns/p999",
    "/list_us/p50",
    "/kinds/0/fifo/popped",
];

fn is_positive(summary: &Value, pointer: &str) -> bool {
    summary.pointer(pointer).and_then(Value::as_f64).is_some_and(|value| value > 0.0)
}

#[test]
fn json_of_a_bounded_run() {
    let args = ["mirror", "--objects", "300", "--rate", "200", "--output", "json"];
    let output = bounded(&args, |output| {
        let summary = last_line(output);
        POSITIVE.iter().all(|pointer| is_positive(&summary, pointer))
    });
    let summary = last_line(&output);
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert_eq!(summary["verified"], true, "{summary}");
    assert_eq!(summary["relists"], 0, "{summary}");
    for pointer in POSITIVE {
        assert!(is_positive(&summary, pointer), "{pointer}: {summary}");
    }
    assert_eq!(fields(&summary), documented("mirror"));
    let pods = &summary["kinds"][0];
    assert_eq!(pods["kind"], "pods", "{summary}");
    assert!(pods["fifo"]["coalesced"].is_u64(), "{summary}");
    assert!(pods["resource_version"].is_string(), "{summary}");
    assert_eq!(stdout(&output).lines().count(), 1, "nothing but the summary");
}

#[test]
fn plain_without_a_terminal_and_without_a_subcommand() {
    let output = bounded(&["--objects", "50", "--rate", "50"], |output| {
        stdout(output).contains("staleness p99")
    });
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    for word in ["pods of the embedded server", "changes/s", "staleness p99", "verified: "] {
        assert!(text.contains(word), "lacks {word:?}: {text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn several_kinds_at_once() {
    // By two names, it is one kind still.
    let args =
        ["mirror", "pods,deployments.apps", "po", "nodes", "--objects", "100", "--rate", "100"];
    let output = bounded(&[&args[..], &["--output", "json"]].concat(), |output| {
        is_positive(&last_line(output), "/kinds/0/events")
    });
    let summary = last_line(&output);
    assert_eq!(output.status.code(), Some(0), "{summary}");
    let kinds = summary["kinds"].as_array().expect("kinds");
    let names: Vec<_> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["pods", "deployments.apps", "nodes"], "{summary}");
    assert!(kinds.iter().all(|kind| kind["verified"] == true), "{summary}");
    for figure in ["objects", "events", "items"] {
        let sum: u64 = kinds.iter().filter_map(|kind| kind[figure].as_u64()).sum();
        assert_eq!(summary[figure], sum, "{figure}: {summary}");
    }

    let output = bounded(&args, |_| true);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    assert!(text.starts_with("pods, deployments.apps, nodes of the embedded server at "), "{text}");
    for word in ["s  deployments.apps  ", "all kinds", "verified: each store equals"] {
        assert!(text.contains(word), "lacks {word:?}: {text}");
    }
}

#[test]
fn items_per_second_leave_the_first_list_out() {
    let still = ["--objects", "2000", "--rate", "0", "--readers", "0", "--output", "json"];
    let worked_off = |output: &Output| last_line(output)["kinds"][0]["fifo"]["depth"] == 0;
    let summary = last_line(&bounded(&still, worked_off));
    assert!(summary["items"].as_u64().is_some_and(|items| items >= 1_900), "{summary}");
    assert_eq!(summary["items_per_s"], 0.0, "{summary}");
}

#[test]
fn an_empty_namespace_is_said() {
    let args = ["--objects", "20", "--rate", "0", "-n", "nowhere"];
    let output = bounded(&[&args[..], &["--output", "json"]].concat(), |_| true);
    assert_eq!(last_line(&output)["objects"], 0);
    let note = "note: there are no pods in the namespace nowhere";
    assert_eq!(stderr(&output).matches(note).count(), 1, "{}", stderr(&output));
    let output = bounded(&args, |_| true);
    assert_eq!(output.status.code(), Some(0));
    let said = "There are no pods in the namespace nowhere.";
    assert!(stdout(&output).contains(said), "{}", stdout(&output));
    let output = bounded(&[&["top"], &args[..]].concat(), |_| true);
    assert!(stdout(&output).contains(said), "{}", stdout(&output));
}

#[test]
fn top_prints_once() {
    let args = ["top", "pods,nodes", "--objects", "200", "--rate", "200", "--limit", "2"];
    let output = bounded(&[&args[..], &["--output", "json"]].concat(), |output| {
        is_positive(&last_line(output), "/hottest/0/changes")
    });
    let report = last_line(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(stdout(&output).lines().count(), 1, "nothing but the report");
    assert_eq!(report["kinds"][0]["kind"], "pods", "{report}");
    for pointer in ["/kinds/0/objects", "/kinds/1/objects", "/kinds/0/changes"] {
        assert!(is_positive(&report, pointer), "{pointer}: {report}");
    }
    for pointer in ["/kinds/0/memory/objects", "/kinds/0/memory/table", "/namespaces/0/objects"] {
        assert!(is_positive(&report, pointer), "{pointer}: {report}");
    }
    assert!(report["kinds"][0]["lag_s"].is_number(), "{report}");
    assert_eq!(report["quarantined"], serde_json::json!([]), "{report}");
    let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    assert!(list("namespaces").len() == 3 && list("hottest").len() <= 2, "{report}");
    let unnamed = |one: &&Value| one["namespace"].is_null();
    assert_eq!(list("namespaces").iter().filter(unnamed).count(), 1, "{report}");
    let sorted =
        |list: &[Value], by: &str| list.is_sorted_by_key(|one| -(one[by].as_i64().unwrap_or(0)));
    assert!(sorted(&list("namespaces"), "objects"), "{report}");
    assert!(sorted(&list("hottest"), "changes"), "{report}");

    // By itself, after a while.
    let output = watchcache(&args);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    for word in ["KIND", "MEMORY", "RETAINED", "LAG", "NAMESPACE", "HOTTEST KEYS", "more namespace"]
    {
        assert!(text.contains(word), "lacks {word:?}: {text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn advice_for_the_embedded_server_names_what_it_has() {
    // There is no server to ask any more when this is read.
    fails(
        &["top", "flobs", "--objects", "5", "--rate", "0"],
        1,
        &["no resource \"flobs\"", "try: pods, ", "deployments.apps"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_an_error() {
    let short = ["--objects", "5", "--rate", "0", "--readers", "0", "--duration", "60s"];
    let json = [&["mirror", "--output", "json", "--duration", "4s"][..], &short[..6]].concat();
    let once = [&["top", "--output", "json"][..], &short[..4]].concat();
    for args in [&short[..], &json, &once, &["--help"], &["--version"], &["embedded-server"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let output = Command::new(env!("CARGO_BIN_EXE_watchcache"))
            .args(args)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("the command starts");
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(
            text.contains("error: the output cannot be written: No space left"),
            "{args:?}: {text}"
        );
    }
}

#[test]
fn no_workers_no_readers_no_changes() {
    let still = ["--objects", "20", "--rate", "0", "--workers", "0", "--readers", "0"];
    let output = bounded(&[&still[..], &["--output", "json"]].concat(), |_| true);
    let summary = last_line(&output);
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert_eq!(
        (&summary["verified"], &summary["objects"]),
        (&true.into(), &20.into()),
        "{summary}"
    );
    assert_eq!((&summary["get_ns"], &summary["staleness_us"]), (&Value::Null, &Value::Null));
    let fifo = &summary["kinds"][0]["fifo"];
    assert_eq!((&fifo["popped"], &fifo["depth"]), (&0.into(), &20.into()));
}

#[test]
fn wrong_command_lines() {
    let server = ["--server", "http://127.0.0.1:1"];
    let cases: &[(&[&str], &[&str])] = &[
        (&["--objects", "0"], &["--objects", "1..=1000000"]),
        (&["--objects", "many"], &["--objects"]),
        (&["--rate", "99999999999"], &["--rate"]),
        (&["--rate", "5000000"], &["--rate", "0..=1000000"]),
        (&["--workers", "1000"], &["--workers", "0..=256"]),
        (&["--duration", "5"], &["--duration", "no unit"]),
        (&["--duration", "0s"], &["longer than nothing"]),
        (&["--output", "xml"], &["live", "plain", "json"]),
        (&["--selector", "app in web"], &["--selector", "app in web"]),
        (&["--field-selector", "phase"], &["--field-selector", "field=value"]),
        (&["--namespace", "No Such"], &["--namespace", "lower-case"]),
        (&["--server", "127.0.0.1:8001"], &["--server", "http://127.0.0.1:8001"]),
        (&["--server", "ftp://there"], &["--server", "http://"]),
        (&[server[0], server[1], "--objects", "5"], &["--objects", "embedded server only"]),
        (&[server[0], server[1], "--seed", "5"], &["--seed", "embedded server only"]),
        (&["--context", "a", "--rate", "5"], &["--context", "embedded server only"]),
        (&[server[0], server[1], "--context", "a"], &["cannot be used with"]),
        (&["--frobnicate"], &["--frobnicate"]),
        (&["--objects", "5", "mirror"], &["tip: ", "watchcache mirror --objects"]),
        (&["--objects", "5", "-A", "top"], &["tip: ", "watchcache top --objects"]),
        (&["miror"], &["miror", "'mirror'"]),
        (&["mirror", "pods,,nodes"], &["[KIND]"]),
        (&["mirror", "-A", "-n", "default"], &["cannot be used with"]),
        (&["--metrics", "localhost"], &["--metrics", ":9090"]),
        (&["top", "--limit", "0"], &["--limit", "1..=10000"]),
        (&["embedded-server", "--port", "70000"], &["--port"]),
        (&["embedded-server", "--admission", "https://localhost"], &["--admission", "plain HTTP"]),
        (&["embedded-server", "--admission-timeout", "1s"], &["--admission <URL>"]),
    ];
    for (args, words) in cases {
        fails(args, 2, words);
    }
}

#[test]
fn kubeconfigs_that_cannot_be_used() {
    let path = |path: &PathBuf| path.display().to_string();
    let garbage = path(&file("garbage", "]][[ this: is: not yaml"));
    fails(&["--kubeconfig", &garbage], 1, &["garbage", "does not parse"]);
    let text = path(&file("text", "just some text\n"));
    fails(&["--kubeconfig", &text], 1, &["text", "does not parse"]);
    let empty = path(&file("empty", ""));
    fails(&["--kubeconfig", &empty], 1, &["no current context", "--context"]);
    fails(&["--kubeconfig", &empty, "--context", "prod"], 1, &["no context \"prod\""]);
    fails(&["--kubeconfig", "/nowhere/config"], 1, &["/nowhere/config", "cannot be read"]);
    let dead = path(&file("dead", &kubeconfig("http://127.0.0.1:1")));
    fails(&["--kubeconfig", &dead], 1, &["nothing listens at http://127.0.0.1:1"]);
}

#[test]
fn nothing_at_the_address() {
    let words = ["nothing listens at http://127.0.0.1:1", "kubectl proxy"];
    let args = ["--server", "http://127.0.0.1:1"];
    fails(&args, 1, &words);
    // Whoever reads JSON is told, too.
    for command in ["mirror", "top"] {
        let output = watchcache(&[&[command][..], &args, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(1));
        let report = last_line(&output);
        assert_eq!(fields(&report), documented("A run that failed"), "{report}");
        let message = report["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(words[0]), "{report}");
    }
}

#[test]
fn something_else_at_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        }
    });
    fails(&["--server", &url], 1, &["does not answer as a Kubernetes API server"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn against_a_server_that_is_already_there() {
    let config = Config { pods: 100, rate: 100, ..Config::default() };
    let server = EmbeddedServer::start(config).await.expect("the server starts");
    let url = server.url();

    let kubectl = format!("`kubectl --server {url} api-resources`");
    fails(&["mirror", "flobs", "--server", &url], 1, &["no resource \"flobs\"", &kubectl]);
    let nearly = ["mirror", "deploymnets", "--server", &url];
    fails(&nearly, 1, &["try: deployments.apps; ", &kubectl]);
    fails(
        &["top", "pods,nodes", "--server", &url, "-n", "default"],
        1,
        &["nodes have no namespace", "--namespace"],
    );
    let unknown_field = ["--server", &url, "--field-selector", "spec.unknown=1"];
    fails(&unknown_field, 1, &["of pods", "spec.unknown", "--field-selector"]);

    for resource in ["po", "Node", "endpointslices.discovery.k8s.io"] {
        let args = ["mirror", resource, "--server", &url, "--output", "json"];
        let output = bounded(&args, |_| true);
        let summary = last_line(&output);
        assert_eq!(output.status.code(), Some(0), "{summary}");
        assert_eq!(summary["verified"], true, "{summary}");
        assert_eq!(summary["staleness_us"], Value::Null, "{summary}");
        assert_eq!(summary["seed"], Value::Null, "{summary}");
        // They would take a processor from a cluster's neighbours.
        assert_eq!(summary["readers"], 0, "{summary}");
    }

    let config = file("kubeconfig", &kubeconfig(&url)).display().to_string();
    let args = ["--kubeconfig", &config, "--field-selector", "status.phase!=Running"];
    let output = bounded(&[&args[..], &["--output", "json"]].concat(), |_| true);
    let summary = last_line(&output);
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert!(summary["objects"].as_u64().is_some_and(|objects| objects < 50), "{summary}");
    server.stop().await;
}

#[test]
fn help_has_examples() {
    for args in [&["--help"][..], &["mirror", "--help"], &["top", "--help"]] {
        let output = watchcache(args);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0));
        for word in ["Examples:", "--output json", "kubectl proxy", "Exit codes:", "--duration"] {
            assert!(text.contains(word), "lacks {word:?}: {text}");
        }
    }
}

#[test]
fn the_embedded_server_alone() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watchcache"))
        .args(["embedded-server", "--objects", "5", "--rate", "1"])
        // Nobody is there, so nothing can be written.
        .args(["--admission", "http://127.0.0.1:1/"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut lines =
        BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let url = first.rsplit(' ').next().unwrap_or_default().to_owned();
    let kubectl = lines.find(|line| line.contains("kubectl --server"));

    let address = url.strip_prefix("http://").expect("an address").to_owned();
    let version = ask(&address, "GET /version", "");
    let namespace = r#"{"metadata":{"name":"a"}}"#;
    let created = ask(&address, "POST /api/v1/namespaces", namespace);
    child.kill().expect("it is there");
    child.wait().expect("it ends");

    assert!(kubectl.is_some_and(|line| line.contains(&url)));
    assert!(version.starts_with("HTTP/1.1 200"), "{version}");
    assert!(version.contains("gitVersion"), "{version}");
    assert!(created.starts_with("HTTP/1.1 500"), "{created}");
    assert!(created.contains("failed calling webhook"), "{created}");
}

#[test]
fn metrics_and_probes_are_served() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchcache"));
    command.args(["mirror", "po,deployments", "--objects", "50", "--rate", "50"]);
    command.args(["--output", "plain", "--metrics", "127.0.0.1:0"]).env_remove("RUST_LOG");
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Ended(command.spawn().expect("the command starts"));
    let mut said = BufReader::new(running.0.stderr.take().expect("it is piped")).lines();
    let at = said.find_map(|line| {
        let line = line.expect("text");
        let (_, url) = line.split_once("http://")?;
        url.strip_suffix("/metrics").map(str::to_owned)
    });
    let address = at.expect("it says where");
    assert!(ask(&address, "GET /healthz", "").starts_with("HTTP/1.1 200"));
    let until = |what: &str, words: &str| {
        for _ in 0..600 {
            let answer = ask(&address, what, "");
            if answer.contains(words) {
                return answer;
            }
            assert!(!answer.contains("HTTP/1.1 500"), "{answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what} never has {words:?}: {}", ask(&address, what, ""));
    };
    assert!(until("GET /readyz", "\r\n\r\nready").starts_with("HTTP/1.1 200"));
    until("GET /metrics", "workqueue_work_duration_seconds_bucket{name=\"pods\",le=\"10\"}");
    let metrics = until("GET /metrics", "watchcache_store_objects{name=\"pods\"} ");
    for name in [
        "workqueue_depth{name=\"pods\"}",
        "workqueue_depth{name=\"deployments.apps\"}",
        "watchcache_store_objects{name=\"deployments.apps\"}",
        "workqueue_queue_duration_seconds_bucket{name=\"pods\",le=\"10\"}",
        "reflector_lists_total{name=\"pods\"} 1",
        "watchcache_reflector_synced{name=\"pods\"} 1",
        "# HELP reflector_lists_total",
    ] {
        assert!(metrics.contains(name), "{name} is missing: {metrics}");
    }
    // Whoever comes second is told so.
    fails(&["--metrics", &address], 1, &["no metrics can be served", &address]);
}

/// A process that does not outlive its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The whole answer to one request.
fn ask(address: &str, what: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts: [{{ name: test, context: {{ cluster: test, user: test }} }}]
clusters: [{{ name: test, cluster: {{ server: \"{server}\" }} }}]
users: [{{ name: test, user: {{}} }}]
"
    )
}
