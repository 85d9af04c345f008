//! Waiting for a store's whole content, and saying so.

use std::time::{Duration, Instant};

use crate::store::feed::SyncError;

/// How often it is said.
const EACH: Duration = Duration::from_secs(10);

/// Waits in attempts of so long, and says after each that there is no content yet, and what the source failed with
/// last.
pub(super) async fn wait<Fut>(
    objects: &str,
    deadline: Option<Instant>,
    attempt: impl Fn(Duration) -> Fut,
) -> Result<(), SyncError>
where
    Fut: Future<Output = Result<(), SyncError>>,
{
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let each = left.map_or(EACH, |left| left.min(EACH));
        match attempt(each).await {
            Err(SyncError::Timeout { last_error }) if left.is_none_or(|left| left > each) => {
                let error = last_error.as_deref();
                tracing::warn!(objects, error, "waiting for the whole content of a store");
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;

    /// Counts what is said.
    #[derive(Clone, Default)]
    struct Ear(Arc<AtomicUsize>);

    impl Subscriber for Ear {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    const LATE: SyncError = SyncError::Timeout { last_error: None };

    /// What comes of a wait for what has these outcomes, and how often it is said that it waits.
    fn told(
        deadline: Option<Instant>,
        outcomes: &[Result<(), SyncError>],
    ) -> (Option<Result<(), SyncError>>, usize) {
        let ear = Ear::default();
        let outcomes = RefCell::new(outcomes.iter().cloned());
        let attempt = |_| async { outcomes.borrow_mut().next().expect("one that ends it") };
        let waited = tracing::subscriber::with_default(ear.clone(), || {
            wait("Pod", deadline, attempt).now_or_never()
        });
        (waited, ear.0.load(Ordering::SeqCst))
    }

    #[test]
    fn what_is_waited_for_is_said_until_it_is_there_or_the_time_is_over() {
        assert_eq!(told(None, &[Ok(())]), (Some(Ok(())), 0));
        assert_eq!(told(None, &[Err(LATE), Err(LATE), Ok(())]), (Some(Ok(())), 2));
        assert_eq!(told(Some(Instant::now()), &[Err(LATE)]), (Some(Err(LATE)), 0));
        let far = Instant::now().checked_add(EACH * 1000);
        let ended = Err(SyncError::Ended);
        assert_eq!(told(far, &[Err(LATE), ended.clone()]), (Some(ended), 1));
    }
}
