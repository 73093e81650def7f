//! What stands before each message of gRPC, and of a stream in Connect: a byte of marks, such as
//! whether it is compressed, and the length of the message.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Bytes of a prefix.
pub const PREFIX_BYTES: usize = 5;

/// The marks and the length at the beginning of these bytes; `None` while the prefix is not whole.
pub fn prefix_of(bytes: &[u8]) -> Option<(u8, usize)> {
    let (prefix, _) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
    let [marks, length @ ..] = *prefix;
    Some((marks, u32::from_be_bytes(length) as usize))
}

/// Bytes of the first message and its prefix, when it is whole.
pub fn first_whole(bytes: &[u8]) -> Option<usize> {
    let (_, length) = prefix_of(bytes)?;
    let whole = PREFIX_BYTES + length;
    (bytes.len() >= whole).then_some(whole)
}

/// Takes the first message, without its prefix, when it is whole.
pub fn next_message(messages: &mut Bytes) -> Option<Bytes> {
    let mut message = messages.split_to(first_whole(messages)?);
    message.advance(PREFIX_BYTES);
    Some(message)
}

/// Adds a message with its prefix.
pub fn put_message(made: &mut BytesMut, marks: u8, message: &[u8]) {
    made.reserve(PREFIX_BYTES + message.len());
    made.put_u8(marks);
    made.put_slice(&in_prefix(message.len()));
    made.put_slice(message);
}

/// Writes the prefix of a message before which room was left for it.
pub fn complete(message: &mut [u8], marks: u8) {
    let length = in_prefix(message.len() - PREFIX_BYTES);
    message[0] = marks;
    message[1..PREFIX_BYTES].copy_from_slice(&length);
}

fn in_prefix(length: usize) -> [u8; 4] {
    // No message is longer: it is shorter than a message may be, and that is set in 32 bits.
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_comes_back_one_by_one_and_never_in_part() {
        let mut made = BytesMut::new();
        put_message(&mut made, 0, b"ab");
        put_message(&mut made, 1, b"");
        let whole = made.len();
        let mut left_room = vec![0; PREFIX_BYTES];
        left_room.extend_from_slice(b"c");
        complete(&mut left_room, 2);
        made.extend_from_slice(&left_room);
        assert_eq!(first_whole(&made), Some(PREFIX_BYTES + 2));
        assert_eq!(prefix_of(&made[whole..]), Some((2, 1)));
        for cut in whole..made.len() {
            let mut messages = made.clone().freeze().split_to(cut);
            assert_eq!(next_message(&mut messages).unwrap(), "ab");
            assert_eq!(next_message(&mut messages).unwrap(), "");
            assert_eq!(next_message(&mut messages), None);
            assert_eq!(messages.len(), cut - whole);
        }
    }
}
