//! Makes what the broker sends safe to parse.
//!
//! lapin's parser trusts two things that a publisher decides: short strings (routing keys, message
//! ids, header names…) are taken for UTF-8, and tables in headers are read by recursion. RabbitMQ
//! checks neither. One message with a byte 0xff in its routing key breaks the connection of
//! everybody who receives it, again and again; one with a header nested a few hundred deep
//! overflows the stack and ends the process. So the bytes pass through here first, on every
//! connection: bytes that are not UTF-8 become `?`, and headers that are too large, nested too deep
//! or do not add up are replaced by one that says so ([`UNREADABLE`]), which the decoders then
//! reject. All else, bodies above all, passes unchanged.
//!
//! Pure; [`stream`] applies it to a connection. It must never fail and never use recursion without
//! a bound. Format: AMQP 0-9-1, section 4.2 (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>)
//! with RabbitMQ's table types (<https://www.rabbitmq.com/amqp-0-9-1-errata#section_3>).

pub(crate) mod stream;
mod table;

/// The header that stands in for headers that could not be read.
pub(crate) const UNREADABLE: &str = "signpost-unreadable";

/// Type, channel and size; the payload and an end byte follow.
const FRAME_HEAD: usize = 7;
const METHOD: u8 = 1;
const CONTENT_HEADER: u8 = 2;
/// Frames that are larger than this are not looked into. RabbitMQ sends at most 128 KiB unless
/// configured otherwise.
const MAX_HELD: usize = 8 * 1024 * 1024;

/// The state of one connection's bytes.
#[derive(Debug, Default)]
pub(crate) struct FrameGuard {
    /// The frame that is looked into, as far as it has arrived.
    held: Vec<u8>,
    /// Bytes that pass without a look, up to the next frame.
    passing: usize,
    /// Not AMQP frames: everything passes, and lapin says what it thinks of it.
    is_open: bool,
}

impl FrameGuard {
    /// Takes bytes as they arrive and adds to `out` what may be parsed.
    pub(crate) fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() {
            if self.is_open {
                out.extend_from_slice(input);
                return;
            }
            if self.passing > 0 {
                let (bytes, rest) = input.split_at(self.passing.min(input.len()));
                out.extend_from_slice(bytes);
                self.passing -= bytes.len();
                input = rest;
                continue;
            }
            let missing = self.held_until() - self.held.len();
            let (bytes, rest) = input.split_at(missing.min(input.len()));
            self.held.extend_from_slice(bytes);
            input = rest;
            if self.held.len() == self.held_until() {
                self.release(out);
            }
        }
    }

    /// How many bytes of the present frame are kept back.
    fn held_until(&self) -> usize {
        frame_size(&self.held).map_or(FRAME_HEAD, |size| FRAME_HEAD + size + 1)
    }

    /// The held bytes are a whole frame, or the head of one that passes.
    fn release(&mut self, out: &mut Vec<u8>) {
        if self.held.len() == FRAME_HEAD {
            let size = u32::from_be_bytes([self.held[3], self.held[4], self.held[5], self.held[6]]);
            self.is_open = !matches!(self.held[0], 1 | 2 | 3 | 8);
            self.passing = size as usize + 1;
        } else if self.held[0] == METHOD {
            table::mend_method(&mut self.held[FRAME_HEAD..]);
        } else {
            table::mend_content_header(&mut self.held, FRAME_HEAD);
        }
        out.append(&mut self.held);
    }
}

/// The payload's size, when the head is there and the frame is one to look into.
fn frame_size(held: &[u8]) -> Option<usize> {
    let first: &[u8; FRAME_HEAD] = held.first_chunk()?;
    let size = u32::from_be_bytes([first[3], first[4], first[5], first[6]]) as usize;
    (matches!(first[0], METHOD | CONTENT_HEADER) && (1..=MAX_HELD).contains(&size)).then_some(size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(0xce);
        frame
    }

    fn short(text: &[u8]) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text].concat()
    }

    fn deliver(routing_key: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 60];
        payload.extend(short(b"tag"));
        payload.extend(7_u64.to_be_bytes());
        payload.push(0);
        payload.extend(short(b"signpost.events"));
        payload.extend(short(routing_key));
        frame(METHOD, &payload)
    }

    /// A content header with a content type, headers and a message id.
    fn content_header(headers: &[u8], message_id: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0];
        payload.extend(2_u64.to_be_bytes());
        payload.extend((1_u16 << 15 | 1 << 13 | 1 << 7).to_be_bytes());
        payload.extend(short(b"application/json"));
        payload.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
        payload.extend(headers);
        payload.extend(short(message_id));
        frame(CONTENT_HEADER, &payload)
    }

    fn entry(name: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
        [&short(name)[..], &[kind], value].concat()
    }

    fn long(bytes: &[u8]) -> Vec<u8> {
        [
            &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..],
            bytes,
        ]
        .concat()
    }

    fn nested(depth: usize) -> Vec<u8> {
        let mut value = vec![b't', 1];
        for _ in 1..depth {
            value = [&[b'A'][..], &long(&value)].concat();
        }
        entry(b"deep", b'A', &long(&value))
    }

    fn guarded(input: &[u8], chunk: usize) -> Vec<u8> {
        let (mut guard, mut out) = (FrameGuard::default(), Vec::new());
        for bytes in input.chunks(chunk) {
            guard.feed(bytes, &mut out);
        }
        out
    }

    #[test]
    fn good_frames_pass_unchanged_however_they_are_cut() {
        let headers = [
            entry(b"traceparent", b'S', &long(b"00-ab")),
            entry(b"bytes", b'S', &long(b"\xff\xfe")),
            entry(b"n", b'l', &7_u64.to_be_bytes()),
            entry(b"void", b'V', &[]),
            entry("Grüße".as_bytes(), b'D', &[2, 0, 0, 0, 9]),
            nested(20),
        ]
        .concat();
        let stream = [
            deliver("acme.ä".as_bytes()),
            content_header(&headers, b"evt_1"),
            frame(3, b"{\"body\":\"\xff is none of our business\"}"),
            frame(8, b""),
            deliver(b"acme.b"),
        ]
        .concat();
        for chunk in [1, 2, 3, 7, 8, 64, stream.len()] {
            assert_eq!(guarded(&stream, chunk), stream, "chunks of {chunk}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_become_question_marks() {
        assert_eq!(guarded(&deliver(b"acme.\xff\xc3"), 5), deliver(b"acme.??"));
        assert_eq!(
            guarded(
                &content_header(&entry(b"a\xf0\x9f", b't', &[1]), b"\xffevt"),
                9
            ),
            content_header(&entry(b"a??", b't', &[1]), b"?evt")
        );
    }

    #[test]
    fn headers_too_deep_or_broken_are_replaced_and_the_rest_stays() {
        let broken = [
            nested(40),
            nested(10_000),
            entry(b"a", b'?', &[1]),          // a type that does not exist
            entry(b"a", b'S', &[0, 0, 1, 0]), // longer than the table
            vec![200, 1],                     // a name longer than the table
            entry(b"a", b'S', &long(&vec![b'x'; 65 * 1024])),
        ];
        for headers in broken {
            let mended = guarded(&content_header(&headers, b"evt_1"), 4096);
            let says = entry(UNREADABLE.as_bytes(), b't', &[1]);
            assert_eq!(mended, content_header(&says, b"evt_1"));
        }
    }

    #[test]
    fn what_is_not_amqp_passes_for_lapin_to_judge() {
        let greeting = b"AMQP\x00\x01\x00\x00 and more";
        assert_eq!(guarded(greeting, 3), greeting);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_nothing_is_kept_back_between_frames(
            frames in proptest::collection::vec((0_u8..10, proptest::collection::vec(any::<u8>(), 0..200)), 0..20),
            chunk in 1_usize..300,
        ) {
            let stream: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let (mut guard, mut out) = (FrameGuard::default(), Vec::new());
            for bytes in stream.chunks(chunk) {
                guard.feed(bytes, &mut out);
            }
            prop_assert!(guard.held.is_empty());
        }

        #[test]
        fn any_headers_are_mended_into_ones_that_need_no_mending(
            headers in proptest::collection::vec(any::<u8>(), 0..300),
            id in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let once = guarded(&content_header(&headers, &id), 64);
            prop_assert_eq!(guarded(&once, 64), once);
        }
    }
}
