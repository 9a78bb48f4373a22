//! Paging by opaque cursors: "what comes after this row", so that rows that are added or removed
//! meanwhile neither repeat nor skip others.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike as _, Utc};
use signpost_domain::DeliveryId;

use crate::StoreError;

/// Most rows that a page looks at where a filter has no index of its own.
pub(crate) const SEARCH_EFFORT: i64 = 10_000;
/// The same where those rows do not lie side by side, so that each may be a read of its own.
pub(crate) const SCATTERED_SEARCH_EFFORT: i64 = 2_000;

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Most items of the page.
    pub limit: u32,
    /// Where the page before ended: its `next_cursor`. `None` for the first page.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// The first page.
    pub const fn first(limit: u32) -> Self {
        Self {
            limit,
            cursor: None,
        }
    }

    /// One row more than the page holds: it tells whether another page follows.
    pub(crate) fn rows_wanted(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The cursor's one field, for lists that are ordered by id.
    pub(crate) fn after_id(&self) -> Result<Option<String>, StoreError> {
        let fields = self.fields()?;
        match fields.as_deref() {
            None => Ok(None),
            Some([id]) => Ok(Some(id.clone())),
            Some(_) => Err(StoreError::BadCursor),
        }
    }

    /// The cursor's time and id, for lists that are ordered by both.
    pub(crate) fn after_time(&self) -> Result<Option<(DateTime<Utc>, String)>, StoreError> {
        let fields = self.fields()?;
        match fields.as_deref() {
            None => Ok(None),
            Some([micros, id]) => {
                let at = micros
                    .parse()
                    .ok()
                    .and_then(DateTime::from_timestamp_micros)
                    .filter(|at| at.year() > 0 && at.year() < 10_000);
                at.map(|at| Some((at, id.clone())))
                    .ok_or(StoreError::BadCursor)
            }
            Some(_) => Err(StoreError::BadCursor),
        }
    }

    fn fields(&self) -> Result<Option<Vec<String>>, StoreError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        // NUL is the one character that PostgreSQL's text cannot hold.
        let text = text
            .filter(|text| !text.contains('\0'))
            .ok_or(StoreError::BadCursor)?;
        Ok(Some(text.split('|').map(str::to_owned).collect()))
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items; a filtered page may hold fewer than asked for although more follow.
    pub items: Vec<T>,
    /// What to ask with for the next page; `None` after the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Takes the rows of a query that asked for one more than the limit. `examined_to` is where a
    /// search with a bounded effort stopped, if it did not reach the end.
    pub(crate) fn from_rows(
        mut items: Vec<T>,
        request: &PageRequest,
        examined_to: Option<String>,
        cursor_of: impl Fn(&T) -> String,
    ) -> Self {
        let limit = request.limit as usize;
        let next_cursor = if items.len() > limit {
            items.truncate(limit);
            items.last().map(cursor_of)
        } else {
            examined_to
        };
        Self { items, next_cursor }
    }
}

/// The cursor after a row of a list that is ordered by id.
pub(crate) fn id_cursor(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The cursor after a row of a list that is ordered by time and id.
pub(crate) fn time_cursor(at: DateTime<Utc>, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}|{id}", at.timestamp_micros()))
}

/// How far a delivery's id may be from its `created_at`: the id is made before the row.
const ID_SLACK: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// No delivery created at or after `since` has a lower id.
pub(crate) fn lowest_id_since(since: DateTime<Utc>) -> String {
    id_bound(since - ID_SLACK)
}

/// No delivery created before `until` has this id or a higher one.
pub(crate) fn highest_id_until(until: DateTime<Utc>) -> String {
    id_bound(until + ID_SLACK)
}

/// Delivery ids begin with their time, in milliseconds (UUIDv7, RFC 9562, section 5.7).
fn id_bound(at: DateTime<Utc>) -> String {
    DeliveryId::generate(at, [0; 10]).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(cursor: &str) -> PageRequest {
        PageRequest {
            limit: 2,
            cursor: Some(cursor.to_owned()),
        }
    }

    #[test]
    fn a_cursor_says_where_the_next_page_begins() {
        let page = Page::from_rows(vec!["c", "b", "a"], &PageRequest::first(2), None, |id| {
            id_cursor(id)
        });
        assert_eq!(page.items, ["c", "b"]);
        let next = request(&page.next_cursor.unwrap());
        assert_eq!(next.after_id().unwrap().as_deref(), Some("b"));
        let last = Page::from_rows(vec!["a"], &next, None, |id| id_cursor(id));
        assert_eq!(last.next_cursor, None);
    }

    #[test]
    fn a_cursor_of_another_list_or_of_nobody_is_refused() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let cursor = time_cursor(at, "evt_1");
        assert_eq!(
            request(&cursor).after_time().unwrap(),
            Some((at, "evt_1".to_owned()))
        );
        assert!(request(&cursor).after_id().is_err());
        for bad in [
            "%",
            "ÿ",
            &URL_SAFE_NO_PAD.encode("x\0"),
            &URL_SAFE_NO_PAD.encode([0xff]),
        ] {
            assert!(request(bad).after_id().is_err(), "{bad}");
        }
        // Too large for a number, for a time here, and for a time in PostgreSQL.
        for micros in [
            "99999999999999999999",
            "9000000000000000000",
            "-300000000000000000",
        ] {
            let cursor = URL_SAFE_NO_PAD.encode(format!("{micros}|x"));
            assert!(request(&cursor).after_time().is_err(), "{micros}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_a_cursor_panic(text in ".*", micros: i64, rest in ".{0,20}") {
            for cursor in [
                text.clone(),
                URL_SAFE_NO_PAD.encode(&text),
                URL_SAFE_NO_PAD.encode(format!("{micros}|{rest}")),
            ] {
                // What PostgreSQL can hold: no NUL, and times of four-digit years.
                if let Ok(Some(id)) = request(&cursor).after_id() {
                    prop_assert!(!id.contains('\0'));
                }
                if let Ok(Some((at, id))) = request(&cursor).after_time() {
                    prop_assert!((1..10_000).contains(&at.year()) && !id.contains('\0'));
                }
            }
        }

        #[test]
        fn a_cursor_comes_back_as_it_went(seconds in 0_i64..253_402_300_799, micros in 0_u32..1_000_000, id in "[A-Za-z0-9_-]{1,128}") {
            let at = DateTime::from_timestamp(seconds, micros * 1_000).unwrap();
            prop_assert_eq!(request(&time_cursor(at, &id)).after_time().unwrap(), Some((at, id.clone())));
            prop_assert_eq!(request(&id_cursor(&id)).after_id().unwrap(), Some(id));
        }
    }

    #[test]
    fn ids_made_within_a_time_lie_within_its_bounds() {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        for random in [[0; 10], [255; 10]] {
            let id = DeliveryId::generate(at, random);
            assert!(id.as_str() >= lowest_id_since(at).as_str());
            assert!(id.as_str() < highest_id_until(at).as_str());
        }
    }
}
