//! What failures of the crates below mean to a caller of the API.

use signpost_broker::PublishError;
use signpost_store::StoreError;

use super::{ApiError, ErrorCode};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::BadCursor) {
            let problem = signpost_domain::Problem::new(
                "/cursor",
                "this is not a `next_cursor` of this list",
            );
            return Self::listing(ErrorCode::InvalidQuery, vec![problem]);
        }
        if error.is_transient() {
            return Self::database_unavailable(&error);
        }
        Self::internal(&error)
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Unavailable => Self::broker_unavailable(
                "The message broker cannot be reached. The event may be published all the same: \
                 send it again with the same id.",
            ),
            PublishError::TimedOut => Self::broker_unavailable(
                "The message broker did not confirm in time. The event may be published all the \
                 same: send it again with the same id.",
            ),
            PublishError::Blocked => Self::broker_unavailable(
                "The message broker takes no messages for lack of memory or disk.",
            ),
            PublishError::Nacked | PublishError::Unroutable => {
                Self::broker_unavailable("The message broker refused the message for now.")
            }
            PublishError::TooMany => Self::new(
                ErrorCode::Overloaded,
                "Too many events wait for the message broker's confirm.",
            )
            .retry_after(1),
            PublishError::Invalid(why) => Self::internal_text(why),
        }
    }
}
