//! The closed set of error codes. Callers' programs depend on the words: they never change.

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:ident, $title:literal;)+) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the answer.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The HTTP status of the answer.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The sentence that goes with the code.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    InvalidJson = "invalid_json", BAD_REQUEST, "The body is not valid JSON";
    /// The query string is wrong.
    InvalidQuery = "invalid_query", BAD_REQUEST, "The query string is not valid";
    /// A header is wrong.
    InvalidHeader = "invalid_header", BAD_REQUEST, "A header is not valid";
    /// No key, or one that is not valid (any more).
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid API key is needed";
    /// The key's role does not allow this.
    Forbidden = "forbidden", FORBIDDEN, "The key's role does not allow this";
    /// Built-in profiles do not change.
    ProfileReadOnly = "profile_read_only", FORBIDDEN, "Built-in profiles are read-only";
    /// Does not exist, or is somebody else's.
    NotFound = "not_found", NOT_FOUND, "Not found";
    /// The path exists, with other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This path does not take this method";
    /// The request did not come in time.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    /// What stands is in the way.
    Conflict = "conflict", CONFLICT, "This is not possible as things stand";
    /// The default tenant stays.
    TenantProtected = "tenant_protected", CONFLICT, "This tenant cannot be deleted";
    /// A profile that endpoints name stays.
    ProfileInUse = "profile_in_use", CONFLICT, "Endpoints use this profile";
    /// The same request is being handled at this moment.
    RequestInProgress = "request_in_progress", CONFLICT, "The same request is still being handled";
    /// The key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", CONFLICT, "The Idempotency-Key was used for another request";
    /// The bytes of a stored event are no longer kept.
    BodyExpired = "body_expired", GONE, "The event's data is no longer kept";
    /// The body is larger than is taken.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The event's data is larger than is taken.
    EventTooLarge = "event_too_large", PAYLOAD_TOO_LARGE, "The event's data is too large";
    /// The body is of a type that is not taken.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body's type is not supported";
    /// The content breaks a rule; `errors` says which.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "The content of the request is not valid";
    /// The data does not fit the event type's schema.
    SchemaViolation = "schema_violation", UNPROCESSABLE_ENTITY, "The data does not fit the schema of its event type";
    /// The event went round in a circle.
    TooManyHops = "too_many_hops", UNPROCESSABLE_ENTITY, "This event has been through Signpost too often";
    /// Slow down.
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "Too many requests";
    /// Signpost's own fault.
    InternalError = "internal_error", INTERNAL_SERVER_ERROR, "Internal error";
    /// The broker does not take events now.
    BrokerUnavailable = "broker_unavailable", SERVICE_UNAVAILABLE, "The message broker is not available";
    /// The ledger cannot be read or written now.
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE, "The database is not available";
    /// More is waiting than is healthy.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too much is waiting already";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_what_is_written_to_json() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.as_str());
        }
    }
}
