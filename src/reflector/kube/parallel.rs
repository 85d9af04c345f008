//! Decoding on several threads, in order.

use std::num::NonZero;
use std::thread;

use futures_util::future::{self, Either, FutureExt};
use futures_util::stream::{self, Stream, StreamExt};

/// Less text than this, in bytes, is decoded faster than it is handed to another thread.
const SMALL: usize = 16 << 10;

/// As many as the machine runs at once.
pub(super) fn default_decoders() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// A stretch of text, and what it decodes to.
pub(super) struct Work<F> {
    pub(super) bytes: usize,
    pub(super) decode: F,
}

/// What each piece of work gives, in the order of the pieces; at most `decoders` of them are under
/// way at once, as tasks of the runtime.
///
/// # Panics
/// Where a piece of work does.
pub(super) fn in_order<W, F, R>(work: W, decoders: NonZero<usize>) -> impl Stream<Item = R> + Send
where
    W: Stream<Item = Work<F>> + Send,
    F: FnOnce() -> Vec<R> + Send + 'static,
    R: Send + 'static,
{
    let decoded = work.map(move |Work { bytes, decode }| {
        if bytes < SMALL || decoders.get() == 1 {
            return Either::Left(future::ready(decode()));
        }
        let task = tokio::spawn(async move { decode() });
        Either::Right(task.then(|result| async {
            match result {
                Ok(decoded) => decoded,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime shuts down, and what waits for this with it.
                    Err(_) => future::pending().await,
                },
            }
        }))
    });
    decoded.buffered(decoders.get()).flat_map(stream::iter)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_order_is_that_of_the_work_whoever_is_done_first() {
        let decoders = NonZero::new(4).expect("not zero");
        let work = stream::iter(0..200_u64).map(|n| Work {
            bytes: if n % 3 == 0 { 0 } else { SMALL },
            decode: move || {
                std::thread::sleep(Duration::from_micros(n * 37 % 200));
                vec![2 * n, 2 * n + 1]
            },
        });
        let decoded: Vec<u64> = in_order(work, decoders).collect().await;
        assert_eq!(decoded, (0..400).collect::<Vec<_>>());
    }

    #[tokio::test]
    #[should_panic(expected = "a bad implementation")]
    async fn a_panic_is_passed_on() {
        let decode = || -> Vec<u64> { panic!("a bad implementation") };
        let work = stream::iter([Work { bytes: SMALL, decode }]);
        let decoders = NonZero::new(2).expect("not zero");
        in_order(work, decoders).collect::<Vec<_>>().await;
    }
}
