//! An asymmetric fence: free for readers, expensive for the writer.
//!
//! A reader's announcement and its later loads must not pass each other. With `membarrier` (Linux
//! 4.14) the writer makes every running thread of the process execute a full fence, so a reader only
//! keeps the compiler from reordering. Elsewhere both sides fence.
//!
//! A sandbox can refuse the call at any time, for one thread or for all (a seccomp filter that a process
//! installs after it has started). From the first refusal on readers fence. A read that began before it
//! may still rely on the call, so until every thread is known to fence, [`heavy`] returns false: nothing
//! is ordered, and the writer frees nothing.

use crate::sync::atomic::{AtomicUsize, Ordering, compiler_fence, fence};
use crate::sync::{MEMBARRIER, global};

/// `membarrier` was not requested yet, or is not available: readers fence.
const SYMMETRIC: usize = 0;
/// `membarrier` is registered: readers do not fence.
const ASYMMETRIC: usize = 1;
/// `membarrier` was refused: readers fence, but some may not know yet.
const REFUSED: usize = 2;
/// Every reader is known to fence, or always has.
const SETTLED: usize = 3;

global! {
    /// Only ever rises, so a thread that has once seen `REFUSED` never again skips its fence.
    static MODE: AtomicUsize = AtomicUsize::new(SYMMETRIC);
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

/// Call before an engine is shared.
pub(super) fn prepare() {
    // ORDERING: Relaxed, here and below. It is decided once, before the process's first engine is
    // shared, and that sharing orders the decision before each thread that reads or writes.
    if MEMBARRIER && MODE.load(Ordering::Relaxed) == SYMMETRIC {
        let registered = membarrier(Command::RegisterPrivateExpedited);
        let decided = if registered { ASYMMETRIC } else { SETTLED };
        let _ = MODE.compare_exchange(SYMMETRIC, decided, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The reader's side, between its announcement and its loads. Returns whether the reader has to report
/// that it fences; see [`heavy`].
#[inline]
pub(super) fn light() -> bool {
    // ORDERING: keeps the announcement before the load of the mode. A thread that `membarrier`
    // interrupts between the two has announced, or will load a mode that is not older than the
    // caller's.
    compiler_fence(Ordering::SeqCst);
    // ORDERING: Relaxed: the compiler fence, or the fence below, orders it.
    let mode = MODE.load(Ordering::Relaxed);
    if mode == ASYMMETRIC {
        // ORDERING: orders the compiler; `membarrier` in `heavy` orders the processor.
        compiler_fence(Ordering::SeqCst);
        return false;
    }
    // ORDERING: SeqCst pairs with the fence in `heavy`.
    fence(Ordering::SeqCst);
    mode == REFUSED
}

/// The writer's side, between its unlinking stores and its scan of announcements. Returns whether the
/// scan will see every reader that does not see those stores.
///
/// `all_fence` returns whether every thread that may be reading has reported that it fences.
pub(super) fn heavy(all_fence: impl FnOnce() -> bool) -> bool {
    // ORDERING: SeqCst pairs with the fence in `light`. Needed beside the call too: a reader may have
    // taken that side.
    fence(Ordering::SeqCst);
    // ORDERING: Acquire pairs with the Release below: a thread that sees `SETTLED` sees the announcements
    // of the reads that did not fence, as the thread that stored it did.
    let mode = MODE.load(Ordering::Acquire);
    if mode == SYMMETRIC || mode == SETTLED {
        return true;
    }
    let ordered = membarrier(Command::PrivateExpedited);
    if mode == ASYMMETRIC {
        if !ordered {
            // ORDERING: Relaxed: nothing that a reader has reported is relied on yet.
            let _ =
                MODE.compare_exchange(ASYMMETRIC, REFUSED, Ordering::Relaxed, Ordering::Relaxed);
        }
        return ordered;
    }
    // `REFUSED`, maybe by another thread. Where this one is allowed the call, every reader has now
    // announced visibly, or will see the mode and fence.
    let settled = ordered || all_fence();
    if settled {
        // ORDERING: Release pairs with the Acquire above.
        MODE.store(SETTLED, Ordering::Release);
    }
    settled
}
