//! Tests that run in a process of their own: they change what holds for the whole process (a seccomp
//! filter, a pin that is never let go), or must not take the other tests down with them when they
//! fail by an abort.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::watchdog::patience;

/// Set, to the name of the test, in the process that runs its body.
const VARIABLE: &str = "WATCHCACHE_CHILD";

/// Runs the body in a process of its own: this test binary anew, with only the present test. Fails if
/// that process fails, aborts, or does not end.
///
/// The body is a closure written in the test function itself, whose name it tells.
pub fn in_a_process_of_its_own<F: FnOnce()>(body: F) {
    // `binary::module::test::{{closure}}`
    let closure = std::any::type_name::<F>();
    let path = closure.split_once("::").map_or(closure, |(_, path)| path);
    let name = path.strip_suffix("::{{closure}}").unwrap_or(path).to_owned();
    // Miri starts no processes; each of its tests is one already.
    if cfg!(miri) || std::env::var(VARIABLE).is_ok_and(|running| running == name) {
        return body();
    }
    let binary = std::env::current_exe().expect("the test binary has a path");
    let mut child = Command::new(binary)
        .args(["--exact", &name, "--nocapture"])
        .env(VARIABLE, &name)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test binary can be started");
    // Read meanwhile, or the child would wait for room in the pipe.
    let mut words = child.stderr.take().expect("it is piped");
    let words = thread::spawn(move || {
        let mut text = String::new();
        let _ = words.read_to_string(&mut text);
        text
    });
    let began = Instant::now();
    let limit = Duration::from_secs(120) * patience();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break Some(status);
        }
        if began.elapsed() > limit {
            // It may have ended just now.
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    if status.is_none_or(|status| !status.success()) {
        let words = words.join().unwrap_or_default();
        let from = words.char_indices().rev().nth(4_000).map_or(0, |(at, _)| at);
        let ended = status.map_or("did not end".to_owned(), |status| status.to_string());
        panic!("in a process of its own: {ended}; its last words:\n{}", &words[from..]);
    }
}
