//! Walks the parts of a frame that hold short strings and tables, and mends them in place.

use std::ops::Range;

/// Largest table of headers. A publisher may fill a whole frame with headers, and the broker adds
/// its own on the way (`x-death`, `x-delivery-count`): the frame is then larger than what was
/// agreed on, and lapin gives up the connection.
const MAX_TABLE: usize = 64 * 1024;
/// Deepest nesting of tables and arrays in headers. RabbitMQ's own `x-death` needs four.
const MAX_DEPTH: usize = 32;

const BASIC: u16 = 60;
const DELIVER: u16 = 60;
const GET_OK: u16 = 71;
const RETURN: u16 = 50;

/// Mends the short strings of the methods that carry a publisher's routing key.
pub(super) fn mend_method(payload: &mut [u8]) {
    let mut cursor = Cursor {
        bytes: payload,
        at: 0,
    };
    // A method that ends too early is left for lapin to refuse.
    let _complete = mend_fields(&mut cursor);
}

fn mend_fields(cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.u16()? != BASIC {
        return Some(());
    }
    match cursor.u16()? {
        DELIVER => {
            cursor.short_string()?; // consumer tag
            cursor.skip(9)?; // delivery tag, redelivered
        }
        GET_OK => cursor.skip(9)?,
        RETURN => {
            cursor.skip(2)?; // reply code
            cursor.short_string()?; // reply text
        }
        _ => return Some(()),
    }
    cursor.short_string()?; // exchange
    cursor.short_string() // routing key
}

/// The properties of the class `basic` in the order of their flags, the highest bit first.
#[derive(Clone, Copy)]
enum Property {
    ShortString,
    Table,
    Octet,
    Timestamp,
}

const PROPERTIES: [Property; 14] = [
    Property::ShortString, // content-type
    Property::ShortString, // content-encoding
    Property::Table,       // headers
    Property::Octet,       // delivery-mode
    Property::Octet,       // priority
    Property::ShortString, // correlation-id
    Property::ShortString, // reply-to
    Property::ShortString, // expiration
    Property::ShortString, // message-id
    Property::Timestamp,
    Property::ShortString, // type
    Property::ShortString, // user-id
    Property::ShortString, // app-id
    Property::ShortString, // cluster-id
];

/// Mends a whole content-header frame whose payload begins at `start`.
pub(super) fn mend_content_header(frame: &mut Vec<u8>, start: usize) {
    let mut cursor = Cursor {
        bytes: &mut frame[start..],
        at: 0,
    };
    let mut bad = None;
    // Properties that end too early are left for lapin to refuse.
    let _complete = mend_properties(&mut cursor, &mut bad);
    if let Some(bad) = bad {
        let says = unreadable_table();
        frame.splice(start + bad.start..start + bad.end, says);
        // The payload has shrunk or grown; the frame's end byte is not counted.
        let size = frame.len() - start - 1;
        if let Ok(size) = u32::try_from(size) {
            frame[3..7].copy_from_slice(&size.to_be_bytes());
        }
    }
}

/// Mends short strings, and sets `bad` to the place of the headers when they must be replaced.
fn mend_properties(cursor: &mut Cursor<'_>, bad: &mut Option<Range<usize>>) -> Option<()> {
    cursor.skip(12)?; // class, weight, body size
    let flags = cursor.u16()?;
    for (index, property) in PROPERTIES.into_iter().enumerate() {
        if flags & (1 << (15 - index)) == 0 {
            continue;
        }
        match property {
            Property::ShortString => cursor.short_string()?,
            Property::Octet => cursor.skip(1)?,
            Property::Timestamp => cursor.skip(8)?,
            Property::Table => {
                let start = cursor.at;
                let end = cursor.long_end()?;
                if end - start > MAX_TABLE || cursor.table(end, 1).is_none() {
                    *bad = Some(start..end);
                }
                cursor.at = end;
            }
        }
    }
    Some(())
}

/// A table with one entry: [`super::UNREADABLE`], true.
fn unreadable_table() -> Vec<u8> {
    let name = super::UNREADABLE.as_bytes();
    let mut entry = Vec::with_capacity(name.len() + 7);
    // 19 letters and three bytes more.
    entry.extend([0, 0, 0, 22]);
    entry.push(19);
    entry.extend(name);
    entry.extend([b't', 1]);
    entry
}

/// A place in bytes. Every step gives `None` instead of leaving them.
struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        let at = self.at.checked_add(count)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let value = self.bytes.get(self.at..)?.first_chunk().copied()?;
        self.at += N;
        Some(value)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a length of 32 bits and gives the place where what follows ends.
    fn long_end(&mut self) -> Option<usize> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        let end = self.at.checked_add(length)?;
        (end <= self.bytes.len()).then_some(end)
    }

    /// Steps over a short string and replaces what is not UTF-8.
    fn short_string(&mut self) -> Option<()> {
        let [length] = self.array()?;
        let start = self.at;
        self.skip(usize::from(length))?;
        let mut rest = &mut self.bytes[start..self.at];
        while let Err(error) = str::from_utf8(rest) {
            let good = error.valid_up_to();
            let bad = error.error_len().unwrap_or(rest.len() - good);
            rest[good..good + bad].fill(b'?');
            rest = &mut rest[good + bad..];
        }
        Some(())
    }

    /// Walks the entries of a table up to `end`; `None` when they do not add up.
    fn table(&mut self, end: usize, depth: usize) -> Option<()> {
        while self.at < end {
            self.short_string()?;
            self.value(end, depth)?;
        }
        (self.at == end).then_some(())
    }

    fn value(&mut self, end: usize, depth: usize) -> Option<()> {
        let [kind] = self.array()?;
        match kind {
            b't' | b'b' | b'B' => self.skip(1)?,
            b's' | b'U' | b'u' => self.skip(2)?,
            b'I' | b'i' | b'f' => self.skip(4)?,
            b'D' => self.skip(5)?,
            b'L' | b'l' | b'd' | b'T' => self.skip(8)?,
            b'V' => {}
            b'S' | b'x' => self.at = self.long_end()?,
            b'A' | b'F' => {
                let inner = self.long_end()?;
                if depth >= MAX_DEPTH || inner > end {
                    return None;
                }
                if kind == b'F' {
                    self.table(inner, depth + 1)?;
                }
                while self.at < inner {
                    self.value(inner, depth + 1)?;
                }
            }
            _ => return None,
        }
        (self.at <= end).then_some(())
    }
}
