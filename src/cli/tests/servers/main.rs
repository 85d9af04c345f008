//! The command against servers, proxies and plugins as people meet them.

#[cfg(unix)]
mod credentials;
#[path = "../documented/mod.rs"]
mod documented;
mod fake;
mod proxy;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use documented::{documented, fields};
use fake::{Answer, Fake, json};
use proxy::Proxy;

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

#[test]
fn proxies_of_the_kubeconfig() {
    let server = quiet();
    for (name, proxy, scheme) in [
        ("http", Proxy::http(&server.address), "http"),
        ("socks5", Proxy::socks5(&server.address), "socks5"),
        ("socks5h", Proxy::socks5(&server.address), "socks5h"),
    ] {
        let cluster = format!(", proxy-url: \"{scheme}://{}\"", proxy.address);
        // A name that only the proxy knows.
        let config =
            kubeconfig(&format!("proxy-{name}"), "http://api.example.invalid", &cluster, "");
        // The kubeconfig's own is for this very server, whatever the environment says.
        let mut command = command(&["--kubeconfig", &config, "--duration", "5s"]);
        verified(command.env("NO_PROXY", "*.invalid").env("HTTP_PROXY", "http://127.0.0.1:1"));
        assert!(proxy.used() > 0, "{name}");
    }
    let cluster = ", proxy-url: \"http://me:secret@127.0.0.1:1\"";
    let config = kubeconfig("proxy-dead", "http://api.example.invalid", cluster, "");
    let text = failed(&mut command(&["--kubeconfig", &config]));
    let words = "the proxy http://127.0.0.1:1 (proxy-url of the kubeconfig) does not answer";
    assert!(text.contains(words) && text.contains("NO_PROXY"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let config =
        kubeconfig("proxy-ftp", "http://api.example.invalid", ", proxy-url: \"ftp://p\"", "");
    let text = failed(&mut command(&["--kubeconfig", &config]));
    assert!(text.contains("the proxy ftp://p") && text.contains("socks5"), "{text}");
}

#[test]
fn proxies_of_the_environment() {
    let server = quiet();
    let proxy = Proxy::http(&server.address);
    let args = ["--server", "http://api.example.invalid", "--duration", "5s"];
    // Without a scheme, as curl and Go take it.
    verified(command(&args).env("HTTP_PROXY", &proxy.address));
    let used = proxy.used();
    assert!(used > 0);
    let mut direct = command(&args);
    direct.env("HTTP_PROXY", &proxy.address).env("NO_PROXY", "other, .example.invalid,");
    assert!(failed(&mut direct).contains("cannot be resolved"));
    let text = failed(command(&args).env("http_proxy", "http://127.0.0.1:1"));
    assert!(text.contains("the proxy http://127.0.0.1:1 (http_proxy)"), "{text}");
    // This machine is reached without it.
    let mut local = command(&["--duration", "5s"]);
    verified(local.args(["--server", &server.url()]).env("HTTP_PROXY", "http://127.0.0.1:1"));
    assert_eq!(proxy.used(), used);
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
fn exceptions_from_the_proxy_may_be_empty() {
    let server = quiet();
    let config = kubeconfig("no-proxy", &server.url(), "", "");
    for exceptions in ["localhost,127.0.0.1,", "a,,b", ","] {
        let mut command = command(&["--kubeconfig", &config, "--duration", "3s"]);
        verified(command.env("NO_PROXY", exceptions).env("HTTPS_PROXY", "http://127.0.0.1:1"));
    }
    // For another scheme than the server's, it is nobody's.
    let mut command = command(&["--kubeconfig", &config, "--duration", "3s"]);
    verified(command.env("HTTPS_PROXY", "no address"));
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
fn what_the_mirror_takes_is_verified() {
    for body in [
        r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"529"}}"#,
        r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"529","remainingItemCount":-1},"items":null}"#,
    ] {
        let server = Fake::start(move |request| match () {
            () if request.is_list(PODS) => json(body),
            () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
            () => Answer::Default,
        });
        let (summary, _) = verified(&mut command(&["--server", &server.url(), "--duration", "4s"]));
        assert_eq!(summary["objects"], 0, "{summary}");
    }
    // A last page without anything, an object of which only the text can be kept, and one that is none.
    let deep = pod("deep", 6)
        .replace("}}", &format!("}},\"x\":{}{}}}", "[".repeat(9_000), "]".repeat(9_000)));
    let bytes = pod("bytes", 7).replace("\"u-", "\"\u{fffd}u-").into_bytes();
    let broken = "\u{fffd}".as_bytes();
    let server = Fake::start(move |request| {
        if request.is_watch(PODS) {
            return Answer::Watch(Vec::new());
        }
        if !request.is_list(PODS) {
            return Answer::Default;
        }
        if request.asks("continue") == "more" {
            return json(
                r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"10"},"items":null}"#,
            );
        }
        let start = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"10","continue":"more"},"items":["#;
        let at = bytes.windows(3).position(|part| part == broken).expect("there");
        let bytes = [&bytes[..at], b"\xff", &bytes[at + 3..]].concat();
        let items = [pod("a", 5).into_bytes(), deep.clone().into_bytes(), bytes].join(&b","[..]);
        json([start.as_bytes(), &items, b"]}"].concat())
    });
    // The others are; with this one, the store does not equal the list.
    let (summary, _) = ended(&mut command(&["--server", &server.url(), "--duration", "4s"]), 1);
    assert_eq!((&summary["objects"], &summary["quarantined"]), (&2.into(), &1.into()), "{summary}");
    assert_eq!((&summary["verified"], &summary["differing"]), (&false.into(), &0.into()));
    assert_eq!((&summary["left_out"], &summary["kinds"][0]["left_out"]), (&1.into(), &1.into()));
}

#[test]
fn what_cannot_be_decoded_is_neither_absent_nor_verified() {
    let bad = |i: u64| pod(&format!("bad-{i}"), i + 1).replace(&format!("\"u-bad-{i}\""), "5");
    let bad: Vec<_> = (0..25).map(bad).collect();
    let server = Fake::start(move |request| match () {
        () if request.is_list(PODS) => json(pods(50, &bad)),
        () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
        () => Answer::Default,
    });
    let url = server.url();
    let mirror = ["--server", &url, "--duration", "4s", "--output", "plain"];
    let output = run(&mut command(&mirror));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("verified, but for 25 objects that cannot be decoded"), "{text}");
    assert!(text.contains("pods: 25 objects cannot be decoded\n"), "told once: {text}");
    assert!(!text.contains("empty") && !text.contains("There are no"), "{text}");
    let output = run(top(&["pods", "--server", &url, "--duration", "4s"]).args(["-l", "a=b"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("and 15 more objects"), "{text}{}", stderr(&output));
    assert!(!text.contains("empty") && !text.contains("There are no"), "{text}");
}

/// A server whose lists are answered like this after the first of each kind.
fn with_lists(after: impl Fn() -> Answer + Send + Sync + 'static) -> Fake {
    let listed = std::sync::Mutex::new(std::collections::HashSet::new());
    Fake::start(move |request| match &*request.path {
        "/api/v1" => json(resources("v1", &["Pod", "Secret"])),
        path @ (PODS | SECRETS) if request.is_list(path) => {
            let kind = if path == PODS { "PodList" } else { "SecretList" };
            match listed.lock().expect("no panic").insert(path.to_owned()) {
                true => json(list(kind, "v1", 10, "")),
                false => after(),
            }
        }
        PODS | SECRETS => Answer::Watch(Vec::new()),
        _ => Answer::Default,
    })
}

#[test]
fn a_list_that_fails_is_no_difference() {
    let refused = r#"{"kind":"Status","status":"Failure","message":"etcd is away","reason":"InternalError","code":500}"#;
    let server = with_lists(|| Answer::Json(500, refused.into()));
    let args = ["pods", "--server", &server.url(), "--duration", "4s", "--output"];
    let output = run(&mut command(&[&args[..], &["json"]].concat()));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&summary["verified"], &summary["differing"]), (&false.into(), &0.into()));
    let why = summary["kinds"][0]["not_compared"].as_str().unwrap_or_default();
    assert!(why.starts_with("the server could not be listed: "), "{summary}");
    let server = with_lists(|| Answer::Json(500, refused.into()));
    let args = ["pods", "--server", &server.url(), "--duration", "4s", "--output", "plain"];
    let output = run(&mut command(&args));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("NOT VERIFIED: pods: the server could not be listed: "), "{text}");
    assert!(!text.contains("differ"), "{text}");
}

#[test]
fn a_server_that_hangs_holds_up_the_verification_of_all_kinds_once() {
    let server = with_lists(|| Answer::Nothing);
    let args = ["pods,secrets", "--server", &server.url(), "--duration", "4s"];
    let (summary, _) = ended(&mut command(&args), 1);
    for kind in summary["kinds"].as_array().expect("kinds") {
        let why = kind["not_compared"].as_str().unwrap_or_default();
        assert!(why.contains("nothing came for"), "{summary}");
    }
}

#[cfg(unix)]
#[test]
fn the_second_signal_ends_a_verification_that_hangs() {
    use rustix::process::{Pid, Signal, kill_process};

    let lists = AtomicUsize::new(0);
    let server = Fake::start(move |request| match () {
        () if request.is_list(PODS) => match lists.fetch_add(1, Ordering::Relaxed) {
            0 => json(pods(10, &[pod("a", 5)])),
            _ => Answer::Nothing,
        },
        () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
        () => Answer::Default,
    });
    let mut child = command(&["--server", &server.url(), "--output", "plain"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut until = |words: &str| lines.any(|line| line.is_ok_and(|line| line.contains(words)));
    let id = Pid::from_child(&child);
    assert!(until("changes/s"));
    kill_process(id, Signal::TERM).expect("it is there");
    assert!(until("verifying"));
    let limit = Instant::now() + Duration::from_secs(60);
    let status = loop {
        // The first moments belong to the first one.
        kill_process(id, Signal::TERM).expect("it is there");
        std::thread::sleep(Duration::from_millis(100));
        match child.try_wait().expect("it is there") {
            Some(status) => break status,
            None => assert!(Instant::now() < limit, "it goes on"),
        }
    };
    assert_eq!(status.code(), Some(143));
}

#[test]
fn a_server_that_repeats_itself_is_no_end_of_the_verification() {
    // The same page again and again, two in turn, and always another that brings nothing.
    for (pages, words) in [
        (1, "names the same next page again"),
        (2, "names the same next page again"),
        (usize::MAX, "pages in a row bring nothing new"),
    ] {
        let lists = AtomicUsize::new(0);
        let server = Fake::start(move |request| match () {
            () if request.is_list(PODS) => match lists.fetch_add(1, Ordering::Relaxed) {
                0 => json(pods(10, &[pod("a", 5)])),
                list => json(format!(
                    r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"10","continue":"stuck-{}"}},"items":[]}}"#,
                    list % pages
                )),
            },
            () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
            () => Answer::Default,
        });
        let args = ["--server", &server.url(), "--duration", "4s", "--output", "plain"];
        let output = run(&mut command(&args));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(words), "{text}{}", stderr(&output));
        assert_eq!(output.status.code(), Some(1));
    }
}

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
fn top_says_why_it_waits() {
    let server = with_secrets(|| {
        let status =
            r#"{"kind":"Status","status":"Failure","message":"planned maintenance","code":503}"#;
        Answer::Json(503, status.into())
    });
    let args = ["pods,secrets", "--server", &server.url(), "--duration", "3s", "--output", "plain"];
    let text = failed(&mut top(&args));
    let note = "note: waiting for the first list of secrets, trying again: planned maintenance";
    assert!(text.contains(note), "{text}");
    assert!(text.contains("within 3s: secrets: planned maintenance"), "{text}");
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
