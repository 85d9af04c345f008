//! Ctrl-C and its like.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

use crate::failure::Failure;

#[cfg(unix)]
use std::task::Poll;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

#[cfg(unix)]
const SUSPEND: SignalKind = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());

/// How long a signal may be repeated: `timeout` sends it to the command, and then to its whole group.
const REPEATED: Duration = Duration::from_millis(500);

/// Requests to end: Ctrl-C, SIGTERM and SIGHUP. Once this was made, the first of them ends nothing by itself, and
/// the next one the process.
///
/// A thread of their own receives them: whatever holds up all others, as output that nobody reads does, does not
/// hold up the end of the process.
pub(crate) struct Interrupts(watch::Receiver<bool>);

/// What happens to the terminal, where it is told.
pub(crate) struct TerminalSignals(Signals);

pub(crate) enum Told {
    /// It has another size.
    Resized,
    /// Ctrl-Z.
    Suspended,
}

impl Interrupts {
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Here, and not once the thread runs: none that comes between may be lost.
        let mut signals = {
            let _inside = runtime.enter();
            Signals::to_end()
        };
        let (come, told) = watch::channel(false);
        let receive = async move {
            tokio::select! {
                biased;
                () = come.closed() => {}
                _ = signals.next() => {
                    come.send_replace(true);
                    tokio::time::sleep(REPEATED).await;
                    // Anew, so that those that came meanwhile are forgotten.
                    signals = Signals::to_end();
                }
            }
            let number = signals.next().await;
            std::process::exit(128 + number)
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(receive))?;
        Ok(Self(told))
    }

    /// The first one.
    pub(crate) async fn next(&mut self) {
        // An error would mean that the thread has ended, and it ends with the process.
        if self.0.wait_for(|come| *come).await.is_err() {
            std::future::pending().await
        }
    }

    /// From here on, the next one ends the process at once, even if it is the first.
    pub(crate) fn end_at_next(self) {
        drop(self);
    }
}

/// It was to end before there was anything to report.
pub(crate) fn too_early(why: &str) -> Failure {
    Failure::run(format!("stopped before the first list was complete: {why}"))
}

impl TerminalSignals {
    /// `live` if Ctrl-Z is to be told, and does not stop the process by itself.
    pub(crate) fn new(live: bool) -> Self {
        #[cfg(unix)]
        let signals = match live {
            true => Signals::new(&[SignalKind::window_change(), SUSPEND]),
            false => Signals(Vec::new()),
        };
        #[cfg(not(unix))]
        let signals = Signals;
        Self(signals)
    }

    /// From here on, Ctrl-Z stops the process by itself.
    pub(crate) fn obey(mut self) {
        tokio::spawn(async move {
            loop {
                match self.next().await {
                    Told::Suspended => suspend(),
                    Told::Resized => {}
                }
            }
        });
    }

    pub(crate) async fn next(&mut self) -> Told {
        #[cfg(unix)]
        return match self.0.next().await == SUSPEND.as_raw_value() {
            true => Told::Suspended,
            false => Told::Resized,
        };
        // The size is looked at with each tick.
        #[cfg(not(unix))]
        std::future::pending().await
    }
}

/// Stops the process as Ctrl-Z does, until it is told to go on.
pub(crate) fn suspend() {
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};
        // It may always stop itself.
        let _ = kill_process(getpid(), Signal::STOP);
    }
}

#[cfg(unix)]
struct Signals(Vec<(i32, Signal)>);

#[cfg(unix)]
impl Signals {
    /// Requests to end.
    fn to_end() -> Self {
        Self::new(&[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])
    }

    /// Without those that whoever started the process has switched off, as `nohup` does with SIGHUP.
    fn new(kinds: &[SignalKind]) -> Self {
        let ignored = ignored();
        let number = |kind: &SignalKind| kind.as_raw_value();
        let wanted = kinds.iter().filter(|kind| ignored >> (number(kind) - 1) & 1 == 0);
        // One that cannot be received ends the process, as it would without this.
        Self(wanted.filter_map(|kind| Some((number(kind), signal(*kind).ok()?))).collect())
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            let come = self.0.iter_mut().find_map(|(number, signal)| {
                matches!(signal.poll_recv(context), Poll::Ready(Some(()))).then_some(*number)
            });
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn to_end() -> Self {
        Self
    }

    async fn next(&mut self) -> i32 {
        // An error means that no signal can be received; then only killing helps.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}

/// The signals that the process ignores, as bits, where the system says which: Linux does.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
