//! A fence of which readers pay nothing and the writer everything.
//!
//! A reader's announcement and its later loads must not pass each other. With `membarrier`
//! (Linux 4.14) the writer makes every running thread of the process execute a full fence, so the
//! reader only has to keep the compiler from reordering. Elsewhere, and where a sandbox forbids the
//! call, both sides use a `SeqCst` fence.

use crate::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};
use crate::sync::{MEMBARRIER, global};

global! {
    /// Whether `membarrier` is registered. Set before the first reader exists, and never cleared.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
}

#[derive(Clone, Copy)]
enum Command {
    PrivateExpedited = 1 << 3,
    RegisterPrivateExpedited = 1 << 4,
}

#[cfg(target_os = "linux")]
fn membarrier(command: Command) -> bool {
    // SAFETY: the call reads two integers, and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command as libc::c_int, 0) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn membarrier(_: Command) -> bool {
    false
}

/// Called before an engine is shared.
pub(super) fn prepare() {
    // ORDERING: Relaxed, here and below. Every engine's maker registers before it shares the engine,
    // and that sharing orders the store before any reader's load. Once set, it stays: a thread that
    // still sees `false` only fences more than it must.
    if MEMBARRIER
        && !REGISTERED.load(Ordering::Relaxed)
        && membarrier(Command::RegisterPrivateExpedited)
    {
        REGISTERED.store(true, Ordering::Relaxed);
    }
}

/// The reader's side: between its announcement and its loads.
#[inline]
pub(super) fn light() {
    // ORDERING: Relaxed, as in `prepare`.
    if MEMBARRIER && REGISTERED.load(Ordering::Relaxed) {
        // ORDERING: orders the compiler; `membarrier` in `heavy` orders the processor.
        compiler_fence(Ordering::SeqCst);
    } else {
        // ORDERING: pairs with the fence in `heavy`.
        fence(Ordering::SeqCst);
    }
}

/// The writer's side: between its unlinking stores and its scan of announcements.
pub(super) fn heavy() {
    // ORDERING: pairs with the fence in `light`. Needed beside the call too: a reader may have taken
    // that side.
    fence(Ordering::SeqCst);
    // ORDERING: Relaxed, as in `prepare`.
    if MEMBARRIER && REGISTERED.load(Ordering::Relaxed) {
        assert!(membarrier(Command::PrivateExpedited), "membarrier was registered, then refused");
    }
}
