//! Several kinds at once, of which one is refused, is never listed, or cannot be decoded.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::documented::{documented, fields};
use crate::fake::{Answer, Fake, json};
use crate::{PODS, SECRETS, command, ended, event, failed, list, pod, pods, resources, top};

/// A server of Pods and Secrets.
fn with_secrets(secrets: impl Fn() -> Answer + Send + Sync + 'static) -> Fake {
    Fake::start(move |request| match &*request.path {
        "/api/v1" => json(resources("v1", &["Pod", "Secret"])),
        PODS if request.is_list(PODS) => {
            let bad = pod("bytes", 7).replace("\"u-", "\"\u{fffd}u-").into_bytes();
            let at = bad.windows(3).position(|part| part == "\u{fffd}".as_bytes()).expect("there");
            // No text.
            let bad = [&bad[..at], b"\xff", &bad[at + 3..]].concat();
            let all = pods(10, &[pod("a", 5), "BAD".to_owned()]).into_bytes();
            let at = all.windows(3).position(|part| part == b"BAD").expect("there");
            json([&all[..at], &bad, &all[at + 3..]].concat())
        }
        PODS | SECRETS if request.is_watch(&request.path) => Answer::Watch(Vec::new()),
        SECRETS => secrets(),
        _ => Answer::Default,
    })
}

#[test]
fn a_kind_that_is_refused_is_named() {
    let server = with_secrets(|| {
        let status = r#"{"kind":"Status","status":"Failure","message":"secrets is forbidden","reason":"Forbidden","code":403}"#;
        Answer::Json(403, status.into())
    });
    let args = ["pods,secrets", "--server", &server.url()];
    let text = failed(&mut command(&args));
    assert!(text.contains("does not allow listing secrets: secrets is forbidden"), "{text}");
    // Others are shown beside it.
    let (report, notes) = ended(&mut top(&args), 1);
    let states = [0, 1].map(|i| report["kinds"][i]["state"].as_str().unwrap_or_default());
    assert_eq!(states, ["watching", "forbidden"], "{report}");
    assert_eq!(report["kinds"][0]["objects"], 1, "{report}");
    assert!(notes.contains("does not allow listing secrets"), "{notes}");
}

#[test]
fn all_kinds_that_are_refused_are_named_at_once() {
    let status = r#"{"kind":"Status","status":"Failure","message":"\u001b[2Jno","reason":"Forbidden","code":403}"#;
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let discovered = std::sync::Arc::clone(&asked);
    let server = Fake::start(move |request| match &*request.path {
        "/api/v1" => {
            discovered.fetch_add(1, Ordering::Relaxed);
            json(resources("v1", &["Pod", "Secret", "Node"]))
        }
        PODS | SECRETS => Answer::Json(403, status.into()),
        "/api/v1/nodes" if request.is_list("/api/v1/nodes") => json(list("NodeList", "v1", 1, "")),
        "/api/v1/nodes" => Answer::Watch(Vec::new()),
        _ => Answer::Default,
    });
    let args = ["pods,secrets,nodes", "--server", &server.url()];
    let text = failed(&mut command(&args));
    assert!(text.contains("listing pods: ") && text.contains("listing secrets: "), "{text}");
    assert!(!text.contains('\u{1b}'), "what a server says moves no cursor: {text}");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "what it has is asked for once");
}

#[test]
fn top_reports_the_others_of_a_kind_that_is_never_listed() {
    let server = with_secrets(|| {
        let status =
            r#"{"kind":"Status","status":"Failure","message":"planned maintenance","code":503}"#;
        Answer::Json(503, status.into())
    });
    let url = server.url();
    // By itself, and when its time is up.
    for more in [&[][..], &["--duration", "8s"]] {
        let (report, notes) = ended(top(&["pods,secrets", "--server", &url]).args(more), 1);
        let note = "note: waiting for the first list of secrets, trying again: planned maintenance";
        assert!(notes.contains(note), "{notes}");
        let [pods, secrets] = [&report["kinds"][0], &report["kinds"][1]];
        assert_eq!((&pods["state"], &pods["objects"]), (&"watching".into(), &1.into()), "{report}");
        let state = (&secrets["state"], &secrets["trouble"]);
        assert_eq!(state, (&"retrying".into(), &"planned maintenance".into()), "{report}");
        assert!(report["watched_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{report}");
    }
    // Where nothing came of any kind, there is nothing to report.
    let text = failed(&mut top(&["secrets", "--server", &url]));
    assert!(text.contains("no complete list came within 5s: planned maintenance"), "{text}");
}

#[test]
fn the_rate_of_top_is_that_of_the_last_second() {
    let server = Fake::start(|request| match () {
        () if request.is_list(PODS) => json(pods(10, &[pod("a", 5)])),
        () if request.is_watch(PODS) => {
            // Once changes count; and nothing more in the seconds that are left.
            std::thread::sleep(Duration::from_secs(1));
            Answer::Watch((11..31).map(|version| event("MODIFIED", &pod("a", version))).collect())
        }
        () => Answer::Default,
    });
    let (report, _) = ended(&mut top(&["pods", "--server", &server.url()]), 0);
    let pods = &report["kinds"][0];
    assert_eq!((&pods["changes"], &pods["changes_per_s"]), (&20.into(), &0.0.into()), "{report}");
}

#[test]
fn top_names_what_cannot_be_decoded() {
    let server = with_secrets(|| json(list("SecretList", "v1", 10, "")));
    let args = ["pods,secrets", "--server", &server.url(), "--duration", "4s"];
    let (report, text) = ended(&mut top(&args), 0);
    let bad = &report["quarantined"];
    assert_eq!(
        (&bad[0]["kind"], &bad[0]["key"]),
        (&"pods".into(), &"default/bytes".into()),
        "{text}"
    );
    assert!(bad[0]["error"].as_str().is_some_and(|error| error.contains("UTF-8")), "{text}");
    assert_eq!(report["kinds"][0]["quarantined"], 1, "{text}");
    assert_eq!(report["kinds"][1]["objects"], 0, "{text}");
    let mut found = fields(&report);
    // None has changed here.
    assert!(found.remove("hottest"), "{report}");
    let hot = ["kind", "key", "changes", "changes_at_most", "changes_per_s"];
    found.extend(hot.map(|name| format!("hottest[].{name}")));
    assert_eq!(found, documented("top"));
}

#[test]
fn it_is_ready_when_every_kind_is() {
    let server = with_secrets(|| Answer::Nothing);
    let mut command = command(&["pods,secrets", "--server", &server.url(), "--output", "json"]);
    let command = command.args(["--metrics", "127.0.0.1:0"]).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the command starts");
    let mut said =
        BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let note = said.find(|line| line.contains("/metrics")).expect("it says where");
    let (_, address) = note.split_once("http://").expect("an address");
    let address = address.trim_end_matches("/metrics");
    let mut answer = String::new();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request =
            format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is read");
        answer.clear();
        stream.read_to_string(&mut answer).expect("an answer");
        // Of the Pods there is nothing to wait for any more.
        if answer.contains("secrets: ") && !answer.contains("pods: ") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("not ready: secrets: 0 objects have come so far\n"), "{answer}");
}
