//! The command against servers, proxies and plugins as people meet them.

#[cfg(unix)]
mod credentials;
#[path = "../documented/mod.rs"]
mod documented;
mod fake;
mod kinds;
mod proxies;
mod proxy;
mod verification;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use fake::{Answer, Fake, json};

const PODS: &str = "/api/v1/pods";
const SECRETS: &str = "/api/v1/secrets";

fn pod(name: &str, version: u64) -> String {
    format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"default","uid":"u-{name}","resourceVersion":"{version}"}}}}"#
    )
}

fn list(kind: &str, api_version: &str, version: u64, items: &str) -> String {
    format!(
        r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{version}"}},"items":[{items}]}}"#
    )
}

fn pods(version: u64, items: &[String]) -> String {
    list("PodList", "v1", version, &items.join(","))
}

fn event(kind: &str, object: &str) -> Vec<u8> {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into_bytes()
}

/// A server with one Pod, and nothing else to tell.
fn quiet() -> Fake {
    Fake::start(|request| match () {
        () if request.is_list(PODS) => json(pods(10, &[pod("a", 5)])),
        () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
        () => Answer::Default,
    })
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchcache"));
    command.args(["mirror", "--readers", "0", "--workers", "0"]).args(args).stdin(Stdio::null());
    for name in ["RUST_LOG", "KUBECONFIG", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// Runs it to its end; one that never ends fails the test instead of hanging it.
fn run(command: &mut Command) -> Output {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let limit = Instant::now() + Duration::from_secs(120);
    while child.try_wait().expect("it is there").is_none() {
        if Instant::now() > limit {
            child.kill().expect("it is there");
            let output = child.wait_with_output().expect("it ends");
            panic!("it never ends: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("it has ended")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn top(args: &[&str]) -> Command {
    let mut top = Command::new(env!("CARGO_BIN_EXE_watchcache"));
    top.arg("top").args(args).stdin(Stdio::null()).env_remove("RUST_LOG");
    top
}

/// The summary of a run that has verified what it mirrored.
fn verified(command: &mut Command) -> (Value, String) {
    let (summary, text) = ended(command, 0);
    assert_eq!(summary["verified"], true, "{summary}");
    (summary, text)
}

/// The summary of a run that ends like this, and what it noted.
fn ended(command: &mut Command, code: i32) -> (Value, String) {
    let output = run(command.args(["--output", "json"]));
    let text = String::from_utf8_lossy(&output.stdout);
    let summary: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {text}{}", stderr(&output)));
    assert_eq!(output.status.code(), Some(code), "{summary}");
    (summary, stderr(&output))
}

/// What a run that fails says of it.
fn failed(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    stderr(&output)
}

/// A file of this content, in the directory that cargo gives to tests.
fn file(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the file is written");
    path
}

fn kubeconfig(name: &str, server: &str, cluster: &str, user: &str) -> String {
    let content = format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts: [{{ name: test, context: {{ cluster: test, user: test }} }}]
clusters: [{{ name: test, cluster: {{ server: \"{server}\"{cluster} }} }}]
users: [{{ name: test, user: {{ {user} }} }}]
"
    );
    file(name, &content).display().to_string()
}

#[test]
fn the_duration_counts_from_the_start_and_the_reason_is_told() {
    let server = Fake::start(|request| match request.path.as_str() {
        PODS => Answer::Json(
            503,
            br#"{"kind":"Status","status":"Failure","message":"planned maintenance","code":503}"#
                .to_vec(),
        ),
        _ => Answer::Default,
    });
    let url = server.url();
    let text = failed(&mut command(&["--server", &url, "--duration", "3s", "--output", "json"]));
    let note = "note: waiting for the first list of pods, trying again: planned maintenance";
    assert!(text.contains(note), "{text}");
    assert_eq!(text.matches("note: ").count(), 1, "a reason is told once: {text}");
    assert!(text.contains("no complete list came within 3s: planned maintenance"), "{text}");

    let silent = Fake::start(|request| match request.path.as_str() {
        "/apis" => Answer::Nothing,
        _ => Answer::Default,
    });
    let url = silent.url();
    let args = ["--server", &url, "--duration", "1s", "things"];
    assert!(failed(&mut command(&args)).contains("no complete list came within 1s"));
}

fn groups(versions: &[(&str, &[&str])]) -> String {
    let group = |(name, versions): &(&str, &[&str])| {
        let version = |v: &&str| format!(r#"{{"groupVersion":"{name}/{v}","version":"{v}"}}"#);
        let all: Vec<_> = versions.iter().map(version).collect();
        format!(
            r#"{{"name":"{name}","versions":[{}],"preferredVersion":{}}}"#,
            all.join(","),
            all[0]
        )
    };
    let groups: Vec<_> = versions.iter().map(group).collect();
    format!(r#"{{"kind":"APIGroupList","apiVersion":"v1","groups":[{}]}}"#, groups.join(","))
}

fn resources(version: &str, names: &[&str]) -> String {
    let resource = |name: &&str| {
        let lower = name.to_lowercase();
        format!(
            r#"{{"name":"{lower}s","singularName":"{lower}","namespaced":true,"kind":"{name}","verbs":["list","watch"]}}"#
        )
    };
    let resources: Vec<_> = names.iter().map(resource).collect();
    format!(
        r#"{{"kind":"APIResourceList","groupVersion":"{version}","resources":[{}]}}"#,
        resources.join(",")
    )
}

#[test]
fn a_group_that_does_not_answer_is_told_and_left_out() {
    let server = Fake::start(|request| {
        match request.path.as_str() {
        "/apis" => json(groups(&[("gone.io", &["v1"]), ("down.io", &["v1"]), ("x.io", &["v2", "v1"])])),
        "/apis/gone.io/v1" => Answer::Nothing,
        "/apis/down.io/v1" => Answer::Json(
            503,
            br#"{"kind":"Status","status":"Failure","message":"not now","reason":"ServiceUnavailable","code":503}"#.to_vec(),
        ),
        // Only a version that is not the preferred one has it.
        "/apis/x.io/v2" => json(resources("x.io/v2", &["other"])),
        "/apis/x.io/v1" => json(resources("x.io/v1", &["other", "thing"])),
        "/apis/x.io/v1/things" if request.is_list("/apis/x.io/v1/things") => {
            json(list("thingList", "x.io/v1", 7, r#"{"metadata":{"name":"a","resourceVersion":"5"}}"#))
        }
        "/apis/x.io/v1/things" => Answer::Watch(Vec::new()),
        _ => Answer::Default,
    }
    });
    let url = server.url();
    let args = ["--server", &url, "thing", "--duration", "15s"];
    let (summary, text) = verified(&mut command(&args));
    assert_eq!(summary["objects"], 1, "{summary}");
    assert!(
        text.contains("note: left out gone.io/v1") && text.contains("no answer within"),
        "{text}"
    );
    assert!(text.contains("note: left out down.io/v1"), "{text}");
    let text = failed(&mut command(&["--server", &url, "gone"]));
    assert!(text.contains("no resource \"gone\"; these could not be asked: gone.io/v1"), "{text}");
}

#[test]
fn what_reads_only_the_first_lines_ends_it() {
    let server = quiet();
    let mut child = command(&["--server", &server.url(), "--output", "plain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.next().is_some_and(|line| line.is_ok()));
    drop(lines);
    let limit = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match child.try_wait().expect("it is there") {
            Some(status) => break status,
            None if Instant::now() > limit => {
                child.kill().expect("it is there");
                panic!("it goes on though nobody reads");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status.code(), Some(1));
    let mut text = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut text).expect("text");
    assert!(text.contains("error: the output cannot be written: Broken pipe"), "{text}");
}

#[test]
fn a_failure_that_is_over_is_not_why_it_tries_again() {
    let watches = AtomicUsize::new(0);
    let server = Fake::start(move |request| {
        match () {
        () if request.is_list(PODS) => json(pods(10, &[pod("a", 5)])),
        () if request.is_watch(PODS) => match watches.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Json(
                503,
                br#"{"kind":"Status","status":"Failure","message":"planned maintenance","code":503}"#
                    .to_vec(),
            ),
            _ => Answer::Ended(Vec::new()),
        },
        () => Answer::Default,
    }
    });
    let mut child = command(&["--server", &server.url(), "--output", "plain"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut lines =
        BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok).take(60);
    // One comes a second.
    let words = "trying again: the server ended the watch without a word";
    let told = lines.any(|line| line.contains(words));
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    assert!(told, "it is never why");
}
