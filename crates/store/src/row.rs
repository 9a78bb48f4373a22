//! Reading columns as the domain's words. A column that breaks their rules is a decode error,
//! never a panic.

use std::{error::Error, str::FromStr};

use bytes::Bytes;
use sqlx::{Row as _, postgres::PgRow};

/// A text column as a type that parses.
pub(crate) fn parsed<T>(row: &PgRow, column: &'static str) -> Result<T, sqlx::Error>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|error| unreadable(column, error))
}

/// A text column that may be NULL as a type that parses.
pub(crate) fn parsed_optional<T>(
    row: &PgRow,
    column: &'static str,
) -> Result<Option<T>, sqlx::Error>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|error| unreadable(column, error)))
        .transpose()
}

/// A text column as a value of a closed set.
pub(crate) fn word<T>(
    row: &PgRow,
    column: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    parse(text).ok_or_else(|| unreadable(column, UnknownWord(text.to_owned())))
}

/// A count or a number of retries; never negative.
pub(crate) fn count(row: &PgRow, column: &'static str) -> Result<u32, sqlx::Error> {
    let number: i32 = row.try_get(column)?;
    u32::try_from(number).map_err(|error| unreadable(column, error))
}

/// An HTTP status code that may be NULL.
pub(crate) fn status_code(row: &PgRow, column: &'static str) -> Result<Option<u16>, sqlx::Error> {
    let number: Option<i16> = row.try_get(column)?;
    number
        .map(|code| u16::try_from(code).map_err(|error| unreadable(column, error)))
        .transpose()
}

/// JSON text that may be NULL, byte for byte.
pub(crate) fn bytes(row: &PgRow, column: &'static str) -> Result<Option<Bytes>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.map(Bytes::from))
}

fn unreadable(column: &str, source: impl Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not one of this column's words")]
struct UnknownWord(String);

/// That `d`, which is looked for by its key, is pending. Not `d.status = 'pending'`: that would let
/// PostgreSQL read the whole partial index of what is due, in place of the key's, as long as its
/// statistics are of a time when hardly anything was pending.
macro_rules! is_pending {
    () => {
        "d.status IN ('pending', '')"
    };
}
pub(crate) use is_pending;
