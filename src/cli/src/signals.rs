//! Ctrl-C and its like.

use std::time::Duration;

#[cfg(unix)]
use std::task::Poll;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

#[cfg(unix)]
const SUSPEND: SignalKind = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());

/// How long a signal may be repeated: `timeout` sends it to the command, and then to its whole group.
const REPEATED: Duration = Duration::from_millis(500);

/// Requests to end: Ctrl-C, SIGTERM and SIGHUP. Once this was made, none of them ends the process by itself.
pub(crate) struct Interrupts(Signals);

/// What happens to the terminal, where it is told.
pub(crate) struct TerminalSignals(Signals);

pub(crate) enum Told {
    /// It has another size.
    Resized,
    /// Ctrl-Z.
    Suspended,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        #[cfg(unix)]
        let signals =
            Signals::new(&[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]);
        #[cfg(not(unix))]
        let signals = Signals;
        Self(signals)
    }

    pub(crate) async fn next(&mut self) {
        self.0.next().await;
    }

    /// From here on, the next one ends the process at once.
    pub(crate) fn end_at_next(self) {
        tokio::spawn(async move {
            tokio::time::sleep(REPEATED).await;
            drop(self);
            // Anew, so that those that came meanwhile are forgotten.
            let code = Self::new().0.next().await;
            std::process::exit(128 + code);
        });
    }
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
