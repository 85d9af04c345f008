//! The command on a terminal: what its screen shows at any width, and what signals make of it.
#![cfg(unix)]

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "servers/fake.rs"]
mod fake;

use std::fs::File;
use std::io::Read;
#[cfg(target_os = "linux")]
use std::io::{BufRead, BufReader};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal with the command in it.
struct Terminal {
    command: Child,
    master: Arc<OwnedFd>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn start(args: &[&str], size: (u16, u16), environment: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let name = name.to_str().expect("text").to_owned();
        let slave = File::options().read(true).write(true).open(name).expect("the other side");
        resize(&master, size);
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchcache"));
        for name in ["RUST_LOG", "NO_COLOR", "KUBECONFIG"] {
            command.env_remove(name);
        }
        command.args(args).env("TERM", "xterm-256color").envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(slave.try_clone().expect("a copy")).stderr(slave);
        let child = command.spawn().expect("the command starts");
        drop(command);
        let master = Arc::new(master);
        let screen =
            Arc::new(Mutex::new(vt100::Parser::new(positive(size.1), positive(size.0), 0)));
        let (reading, shown) = (Arc::clone(&master), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut output = File::from(reading.try_clone().expect("a copy"));
            let mut bytes = [0; 4096];
            // An error means that the command has ended.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
            }
        });
        Self { command: child, master, screen }
    }

    fn resize(&self, size: (u16, u16)) {
        self.screen().screen_mut().set_size(positive(size.1), positive(size.0));
        resize(&self.master, size);
        self.signal(Signal::WINCH);
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.command);
        kill_process(id, signal).expect("it is there");
    }

    fn screen(&self) -> std::sync::MutexGuard<'_, vt100::Parser> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows as they are shown.
    fn rows(&self) -> Vec<String> {
        let parser = self.screen();
        let (_, width) = parser.screen().size();
        parser.screen().rows(0, width.get()).collect()
    }

    /// The rows once this is so; fails if it never is.
    fn once(&self, what: impl Fn(&[String]) -> bool) -> Vec<String> {
        let limit = Instant::now() + Duration::from_secs(90);
        loop {
            let rows = self.rows();
            if what(&rows) {
                return rows;
            }
            assert!(Instant::now() < limit, "never so:\n{}", rows.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self) -> ExitStatus {
        let limit = Instant::now() + Duration::from_secs(90);
        loop {
            match self.command.try_wait().expect("it is there") {
                Some(status) => return status,
                None => assert!(Instant::now() < limit, "it never ends: {:?}", self.rows()),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}

fn positive(size: u16) -> NonZero<u16> {
    NonZero::new(size).expect("a size")
}

fn resize(master: &OwnedFd, (width, height): (u16, u16)) {
    let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("it is a terminal");
}

fn has(rows: &[String], text: &str) -> bool {
    rows.iter().any(|row| row.contains(text))
}

const SMALL: [&str; 6] = ["--objects", "50", "--rate", "200", "--readers", "0"];

fn mirror() -> Vec<&'static str> {
    [&["mirror", "pods,services"][..], &SMALL].concat()
}

/// A title with the time at its right end, at this width.
fn is_title(row: &str, width: u16) -> bool {
    let parts: Vec<_> = row.rsplit("  ").next().unwrap_or("").split(':').collect();
    let is_number = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_digit());
    row.chars().count() == width.into() && parts.len() == 3 && parts.iter().all(is_number)
}

/// Where numbers stand below their heading.
fn is_aligned(rows: &[String], heading: &str) -> bool {
    let Some(at) = rows.iter().position(|row| row.contains(heading)) else { return false };
    let chars = |row: &str| row.chars().collect::<Vec<_>>();
    let start = chars(&rows[at][..rows[at].find(heading).unwrap_or(0)]).len();
    let end = start + heading.chars().count();
    let cells = rows[at + 1..].iter().take_while(|row| !row.trim().is_empty());
    let cells: Vec<_> = cells.map(|row| chars(row)).collect();
    let ends_there = |row: &Vec<char>| {
        row.get(end - 1).is_some_and(|c| *c != ' ') && row.get(end).is_none_or(|c| *c == ' ')
    };
    !cells.is_empty() && cells.iter().all(ends_there)
}

#[test]
fn the_live_view_is_aligned_at_every_width_and_leaves_nothing_behind() {
    let mut terminal = Terminal::start(&mirror(), (120, 30), &[]);
    terminal.once(|rows| has(rows, "Ctrl-C stops and verifies"));
    for width in [200, 120, 80, 61, 40, 200, 40, 132] {
        let height = if width == 80 { 14 } else { 30 };
        terminal.resize((width, height));
        let drawn = |rows: &[String]| {
            rows.len() == usize::from(height)
                && is_title(&rows[0], width)
                && rows.last().is_some_and(|row| row.is_empty() || row.contains("Ctrl-C"))
        };
        let rows = terminal.once(drawn);
        let all = rows.join("\n");
        assert_eq!(all.matches("watchcache mirror").count(), 1, "one title at {width}:\n{all}");
        assert_eq!(all.matches("KIND").count(), 1, "one table at {width}:\n{all}");
        assert_eq!(all.matches("Ctrl-C stops").count(), 1, "one end at {width}:\n{all}");
        for heading in ["OBJECTS", "CHANGES/S", "P50", "P99"] {
            assert!(is_aligned(&rows, heading), "{heading} at {width}:\n{all}");
        }
        // What matters less is shown where there is room.
        assert_eq!(has(&rows, "STATE"), width >= 61, "at {width}:\n{all}");
        assert_eq!(has(&rows, "RESOURCEVERSION"), width >= 200, "at {width}:\n{all}");
        assert!(has(&rows, "all kinds"), "at {width}:\n{all}");
    }
    terminal.signal(Signal::TERM);
    let rows = terminal.once(|rows| has(rows, "verified: each store equals"));
    assert!(!has(&rows, "watchcache mirror"), "the screen is left:\n{}", rows.join("\n"));
    assert_eq!(terminal.end().code(), Some(0));
    let parser = terminal.screen();
    assert!(!parser.screen().alternate_screen() && !parser.screen().hide_cursor());
}

#[test]
fn top_fits_every_size() {
    let args = [&["top", "pods,nodes,services", "--limit", "2"][..], &SMALL[..4]].concat();
    let mut terminal = Terminal::start(&args, (100, 40), &[]);
    terminal.once(|rows| has(rows, "HOTTEST KEYS") && has(rows, "more namespace"));
    for (width, height) in [(200, 50), (80, 24), (40, 24), (60, 12), (120, 30)] {
        terminal.resize((width, height));
        let rows = terminal.once(|rows| {
            rows.len() == usize::from(height)
                && is_title(&rows[0], width)
                && has(rows, "Ctrl-C stops")
        });
        let all = rows.join("\n");
        assert_eq!(all.matches("watchcache top").count(), 1, "at {width}:\n{all}");
        assert!(is_aligned(&rows, "OBJECTS") && has(&rows, "pods"), "at {width}:\n{all}");
        assert_eq!(has(&rows, "HOTTEST KEYS"), height > 12, "at {width} x {height}:\n{all}");
    }
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.end().code(), Some(0));
    terminal.once(|rows| has(rows, "HOTTEST KEYS"));
    assert!(!has(&terminal.rows(), "watchcache top"));
}

#[test]
fn without_colours_it_says_the_same() {
    let terminal = Terminal::start(&mirror(), (100, 30), &[("NO_COLOR", "1")]);
    terminal.once(|rows| has(rows, "Ctrl-C stops and verifies"));
    let parser = terminal.screen();
    let (height, width) = parser.screen().size();
    for (row, column) in
        (0..height.get()).flat_map(|row| (0..width.get()).map(move |column| (row, column)))
    {
        let cell = parser.screen().cell(row, column).expect("it is there");
        assert_eq!(cell.fgcolor(), vt100::Color::Default);
        assert_eq!(cell.bgcolor(), vt100::Color::Default);
    }
}

#[test]
fn where_no_screen_can_be_drawn_it_is_plain() {
    for (size, environment) in [
        ((100, 30), &[("TERM", "dumb")][..]),
        ((39, 30), &[]),
        ((100, 9), &[]),
        ((100, 30), &[("RUST_LOG", "info")]),
    ] {
        let terminal = Terminal::start(&mirror(), size, environment);
        terminal.once(|rows| has(rows, "objects"));
        assert!(!terminal.screen().screen().alternate_screen(), "{size:?}");
    }
    let args = [mirror(), vec!["--output", "live"]].concat();
    let terminal = Terminal::start(&args, (100, 30), &[("TERM", "dumb")]);
    terminal.once(|rows| has(rows, "note: no live view: the terminal is a dumb one"));
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_it_goes_on() {
    let terminal = Terminal::start(&mirror(), (100, 30), &[]);
    terminal.once(|rows| has(rows, "Ctrl-C stops and verifies"));
    terminal.signal(Signal::TSTP);
    terminal.once(|rows| !has(rows, "Ctrl-C"));
    assert!(!terminal.screen().screen().alternate_screen());
    assert!(!terminal.screen().screen().hide_cursor());
    terminal.signal(Signal::CONT);
    terminal.once(|rows| has(rows, "Ctrl-C stops and verifies"));
    assert!(terminal.screen().screen().alternate_screen());
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_z_stops_a_verification_too() {
    use fake::{Answer, Fake, json};

    const PODS: &str = "/api/v1/pods";
    let lists = std::sync::atomic::AtomicUsize::new(0);
    let server = Fake::start(move |request| match () {
        () if request.is_list(PODS) => {
            match lists.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => json(
                    r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}"#,
                ),
                _ => Answer::Nothing,
            }
        }
        () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
        () => Answer::Default,
    });
    let terminal = Terminal::start(&["--server", &server.url()], (100, 30), &[]);
    terminal.once(|rows| has(rows, "Ctrl-C stops and verifies"));
    terminal.signal(Signal::INT);
    terminal.once(|rows| has(rows, "verifying"));
    let stat = format!("/proc/{}/stat", terminal.command.id());
    let is_stopped = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
    // Whether it was told before it was ready to be, nobody can see.
    terminal.once(|_| {
        terminal.signal(Signal::TSTP);
        is_stopped()
    });
    terminal.signal(Signal::CONT);
    terminal.once(|_| !is_stopped());
}

/// Signals, once there is something to sum up.
fn summed_up(signals: &[Signal]) {
    let mut terminal = Terminal::start(&mirror(), (100, 30), &[]);
    terminal.once(|rows| has(rows, "Ctrl-C stops and verifies"));
    signals.iter().for_each(|signal| terminal.signal(*signal));
    terminal.once(|rows| has(rows, "verified: each store equals"));
    assert_eq!(terminal.end().code(), Some(0), "{signals:?}");
}

#[test]
fn whatever_asks_it_to_end_is_answered_with_the_summary() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        // As by a shell for what it runs in the background; that stays so for the command.
        if !is_ignored(signal) {
            summed_up(&[signal]);
        }
    }
}

/// How it ends when SIGTERM comes again and again.
#[cfg(target_os = "linux")]
fn ended_by_signals(command: &mut Child) -> ExitStatus {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        kill_process(Pid::from_child(command), Signal::TERM).expect("it is there");
        std::thread::sleep(Duration::from_millis(100));
        if let Some(status) = command.try_wait().expect("it is there") {
            return status;
        }
        if Instant::now() > limit {
            command.kill().expect("it is there");
            panic!("no signal ends it");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_second_signal_ends_a_view_whose_terminal_is_stopped() {
    let mut terminal = Terminal::start(&mirror(), (100, 30), &[]);
    terminal.once(|rows| has(rows, "Ctrl-C stops and verifies"));
    // Ctrl-S; it has worked once the clock stands still.
    rustix::io::write(&*terminal.master, b"\x13").expect("it is typed");
    terminal.once(|before| {
        std::thread::sleep(Duration::from_secs(3));
        terminal.rows() == before
    });
    assert_eq!(ended_by_signals(&mut terminal.command).code(), Some(143));
}

#[cfg(target_os = "linux")]
#[test]
fn the_second_signal_ends_lines_that_nobody_reads() {
    use fake::{Answer, Fake, json};

    const PODS: &str = "/api/v1/pods";
    let server = Fake::start(|request| match () {
        () if request.is_list(PODS) => json(
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}"#,
        ),
        () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
        () => Answer::Default,
    });
    // Full from the start, so that the first line waits.
    let (_unread, full) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&full, true).expect("it is ours");
    while rustix::io::write(&full, &[b'.'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&full, false).expect("it is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchcache"))
        .args(["--server", &server.url(), "--output", "plain"])
        .env_remove("RUST_LOG")
        .stdout(full)
        .spawn()
        .expect("the command starts");
    asked(&server, "watch=true");
    assert_eq!(ended_by_signals(&mut command).code(), Some(143));
}

/// The first process of a container loses what it does not receive.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_is_received_before_there_is_anything_to_mirror() {
    use fake::{Answer, Fake};

    for command in ["mirror", "top"] {
        let server = Fake::start(|_| Answer::Nothing);
        let mut child = Command::new(env!("CARGO_BIN_EXE_watchcache"))
            .args([command, "--server", &server.url()])
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        asked(&server, "/version");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it is there");
        let mut said = String::new();
        let mut stderr = child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut said).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(1), "{said}");
        assert!(said.contains("error: stopped before the first list was complete: "), "{said}");
    }
}

/// Waits until the server is asked for this.
#[cfg(target_os = "linux")]
fn asked(server: &fake::Fake, part: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    while server.asked(part) == 0 {
        assert!(Instant::now() < limit, "never asked for {part}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether these tests were started with a signal ignored, as far as the system says.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set >> (signal.as_raw() - 1) & 1 == 1)
}

/// `timeout` sends its signal to the command and then to the group, which the command is of.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    summed_up(&[Signal::TERM, Signal::TERM]);
}

#[cfg(target_os = "linux")]
#[test]
fn timeout_does_not_lose_the_summary() {
    for seconds in [4, 12, 60] {
        let output = Command::new("timeout")
            .args([&format!("{seconds}s"), env!("CARGO_BIN_EXE_watchcache")])
            .args(mirror())
            .env_remove("RUST_LOG")
            .output()
            .expect("timeout is a part of every system");
        let said = String::from_utf8_lossy(&output.stdout);
        // Its code for what it had to end, whatever that made of it.
        assert_eq!(output.status.code(), Some(124), "{said}");
        if said.contains("verified: each store equals") {
            return;
        }
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(why.is_empty() || why.contains("before the first list"), "{said}{why}");
        assert!(!said.contains("changes/s"), "there was something to sum up: {said}");
    }
    panic!("no list came within a minute");
}

#[cfg(target_os = "linux")]
#[test]
fn what_was_ignored_from_the_start_stays_so() {
    let command = format!("trap '' HUP; exec \"$0\" {}", mirror().join(" "));
    let mut child = Command::new("sh")
        .args(["-c", &command, env!("CARGO_BIN_EXE_watchcache")])
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut until = |words: &str| lines.any(|line| line.is_ok_and(|line| line.contains(words)));
    let id = Pid::from_child(&child);
    assert!(until("changes/s"));
    kill_process(id, Signal::HUP).expect("it is there");
    assert!(until("changes/s"), "it goes on");
    kill_process(id, Signal::TERM).expect("it is there");
    assert!(until("verified: each store equals"));
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
