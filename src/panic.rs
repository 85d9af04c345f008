//! Panics of user code: where they end, and their messages.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs user code; a panic becomes an error with its message.
///
/// Whatever the code can reach must be consistent whenever it may panic.
#[inline]
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(into_text)
}

#[cold]
fn into_text(payload: Box<dyn Any + Send>) -> String {
    let text = text(&*payload).unwrap_or("a panic without a text").to_owned();
    discard(payload);
    text
}

/// As [`catch`], with a message that says that it was a panic.
#[cfg(feature = "reflector")]
pub(crate) fn catch_as_sentence<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    catch(code).map_err(|text| format!("it panicked: {text}"))
}

/// Runs code that is not our caller's: a waker, an observer, a limiter. A panic ends here, once the panic
/// hook has reported it; the result is `None`.
#[inline]
pub(crate) fn contain<R>(code: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(code)).map_err(discard).ok()
}

/// An error's text, which the error's own code writes.
pub(crate) fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    catch(|| error.to_string()).unwrap_or_else(|panic| format!("an error without a text: {panic}"))
}

/// Drops all values, even if a destructor panics, and then resumes the first panic.
pub(crate) fn drop_all<V>(values: impl IntoIterator<Item = V>) {
    let mut values = values.into_iter();
    let mut drop_rest = || {
        for value in values.by_ref() {
            drop(value);
        }
    };
    let mut first = None;
    while let Err(payload) = catch_unwind(AssertUnwindSafe(&mut drop_rest)) {
        match first {
            None => first = Some(payload),
            Some(_) => discard(payload),
        }
    }
    match first {
        // A second panic while the thread unwinds would end the process.
        Some(payload) if std::thread::panicking() => discard(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}

/// Values that are taken one by one, and of which the rest is dropped by [`drop_all`].
#[cfg(feature = "reflector")]
pub(crate) struct OneByOne<I: Iterator>(pub(crate) I);

#[cfg(feature = "reflector")]
impl<I: Iterator> Iterator for OneByOne<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

#[cfg(feature = "reflector")]
impl<I: Iterator> Drop for OneByOne<I> {
    fn drop(&mut self) {
        drop_all(self.0.by_ref());
    }
}

/// Drops all values, whose destructors may be user code: a panic of one ends here, and the others are still
/// dropped.
pub(crate) fn let_go<V>(values: impl IntoIterator<Item = V>) {
    let mut values = values.into_iter();
    let mut drop_rest = || {
        for value in values.by_ref() {
            drop(value);
        }
    };
    while let Err(panic) = catch_unwind(AssertUnwindSafe(&mut drop_rest)) {
        discard(panic);
    }
}

/// Drops a panic's payload. If its destructor panics in turn, that second payload is leaked.
#[cold]
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(payload);
    }
}

/// A panic's message, if its payload is a string.
fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
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
    fn whatever_is_thrown_becomes_a_text() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| panic!("no {}", 1)), Err::<(), _>("no 1".to_owned()));
        let thrown = catch(|| std::panic::panic_any(Bomb));
        assert_eq!(thrown, Err::<(), _>("a panic without a text".to_owned()));
    }
}
