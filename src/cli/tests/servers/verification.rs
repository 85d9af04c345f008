//! The comparison with a fresh list, which may fail, hang, or have what cannot be decoded.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fake::{Answer, Fake, json};
use crate::{
    PODS, SECRETS, command, ended, list, pod, pods, resources, run, stderr, top, verified,
};

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
