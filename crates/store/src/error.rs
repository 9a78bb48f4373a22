//! What can go wrong with the database, and what a caller should do about it.
//!
//! Two questions matter: will the same call succeed later ([`StoreError::is_transient`]), and
//! which rule of the schema did it break ([`StoreError::conflict`]). A row that is not there is
//! no error: those functions answer `None`.

use std::time::Duration;

use sqlx::{error::ErrorKind, migrate::MigrateError};

use crate::keyring::SecretError;

/// Why a call of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL of the database cannot be read.
    #[error("the database URL is not one of PostgreSQL's (postgres://user@host:port/database)")]
    Url(#[source] sqlx::Error),
    /// PostgreSQL said no, or could not be reached.
    #[error("{operation}")]
    Database {
        /// What was tried, in words that fit after "failed to".
        operation: &'static str,
        /// What PostgreSQL or the connection said.
        #[source]
        source: sqlx::Error,
    },
    /// No answer came in time; whether the change was made is not known.
    #[error("{operation}: no answer from PostgreSQL within {limit:?}")]
    Deadline {
        /// What was tried, in words that fit after "failed to".
        operation: &'static str,
        /// How long the answer was waited for.
        limit: Duration,
    },
    /// A stored secret cannot be read.
    #[error("read a stored secret")]
    Secret(#[from] SecretError),
    /// Event data is not UTF-8, so it is not JSON either.
    #[error("store event {event_id}: its data is not UTF-8")]
    NotUtf8 {
        /// The event.
        event_id: String,
    },
    /// A page was asked for with a cursor that no list gave.
    #[error("the cursor is not one that this list gave")]
    BadCursor,
    /// The schema could not be brought up to date.
    #[error("migrate the database")]
    Migrate(#[source] MigrateError),
}

impl StoreError {
    /// Whether the same call may succeed later without a change of its input.
    ///
    /// True for everything but the input's own faults (it breaks a constraint, it does not fit a
    /// column), so that no message is ever given up because of the database's state.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Deadline { .. } => true,
            Self::Database { source, .. }
            | Self::Migrate(
                MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _),
            ) => is_transient(source),
            Self::Url(_)
            | Self::Secret(_)
            | Self::NotUtf8 { .. }
            | Self::BadCursor
            | Self::Migrate(_) => false,
        }
    }

    /// The constraint that the change would have broken, by its name in the schema.
    pub fn conflict(&self) -> Option<&str> {
        let Self::Database {
            source: sqlx::Error::Database(error),
            ..
        } = self
        else {
            return None;
        };
        match error.kind() {
            ErrorKind::UniqueViolation
            | ErrorKind::ForeignKeyViolation
            | ErrorKind::CheckViolation
            | ErrorKind::ExclusionViolation => error.constraint(),
            _ => None,
        }
    }
}

/// PostgreSQL manual, appendix A: the class of a SQLSTATE is its first two characters.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            // 21 cardinality, 22 data, 23 integrity constraint, 54 program limit (an index row
            // too long): the input's fault. All else is the state of the server: connections,
            // shutdown, locks, deadlock, serialization, read-only, disk full, a missing
            // migration, a wrong password.
            !matches!(code.get(..2), Some("21" | "22" | "23" | "54"))
        }
        sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_transient_and_an_unreadable_row_is_not() {
        let failed = |source| StoreError::Database {
            operation: "test",
            source,
        };
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(failed(sqlx::Error::Io(lost)).is_transient());
        assert!(failed(sqlx::Error::PoolTimedOut).is_transient());
        assert!(!failed(sqlx::Error::Decode("bad".into())).is_transient());
        assert!(failed(sqlx::Error::PoolTimedOut).conflict().is_none());
    }
}
