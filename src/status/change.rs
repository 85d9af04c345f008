//! Changing a [`Status`], property by property.

use std::time::Duration;

use super::{Status, StatusCause, StatusDetails};

/// Changes, each of which returns the status.
impl Status {
    /// Replaces the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Replaces the HTTP code.
    #[must_use]
    pub fn with_code(mut self, code: u16) -> Self {
        self.code = code;
        self
    }

    /// Replaces the details.
    #[must_use]
    pub fn with_details(mut self, details: StatusDetails) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Adds a cause to the details.
    #[must_use]
    pub fn with_cause(self, cause: StatusCause) -> Self {
        self.map_details(|details| details.with_cause(cause))
    }

    /// Says how long to wait before another try, in whole seconds rounded up.
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        self.map_details(|details| details.with_retry_after(delay))
    }

    /// Sets the resource version of the metadata.
    #[must_use]
    pub fn with_resource_version(mut self, version: impl Into<String>) -> Self {
        self.metadata.resource_version = version.into();
        self
    }

    /// Sets the token to continue a list with.
    #[must_use]
    pub fn with_continue_token(mut self, token: impl Into<String>) -> Self {
        self.metadata.continue_token = token.into();
        self
    }

    /// Sets the count of items that a list has left.
    #[must_use]
    pub fn with_remaining_item_count(mut self, count: i64) -> Self {
        self.metadata.remaining_item_count = Some(count);
        self
    }

    fn map_details(mut self, change: impl FnOnce(StatusDetails) -> StatusDetails) -> Self {
        let details = self.details.take().map_or_else(Default::default, |old| *old);
        self.with_details(change(details))
    }
}
