//! Panics of user code as errors.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls user code; its panic becomes a sentence. The state around it has to be whole before.
pub(crate) fn caught<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        // What was thrown is the user's, too, and so is its destructor.
        if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(thrown);
        }
        text.map_or_else(|| "it panicked".to_owned(), |text| format!("it panicked: {text}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload's destructor");
        }
    }

    #[test]
    fn whatever_is_thrown_becomes_a_sentence() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| panic!("no {}", 1)), Err::<(), _>("it panicked: no 1".to_owned()));
        let thrown = caught(|| std::panic::panic_any(Bomb));
        assert_eq!(thrown, Err::<(), _>("it panicked".to_owned()));
    }
}
