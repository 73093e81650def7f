//! How messages are read from the wire: as prost does, after a look at how many entries
//! they have. Two bytes are an empty event, and in memory some hundred times as much, so
//! the limit on the size of a message alone would let 4 MiB become a gigabyte. Free-form
//! values may still take some sixty times their size until the limits of an event are checked.

use prost::{
    Message,
    encoding::{DecodeContext, decode_key, skip_field},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Entries of a message, those of its repeated fields included: many more than the API
/// allows, so that somebody who sends a few too many is told which field it is.
pub const MAX_ENTRIES: usize = 16 * 1024;

/// prost's codec, for messages of at most [`MAX_ENTRIES`].
#[derive(Clone, Debug)]
pub struct BoundedCodec<T, U>(ProstCodec<T, U>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(self.0.decoder())
    }
}

/// The decoder of [`BoundedCodec`].
#[derive(Clone, Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The buffer is one piece, so this is the whole message.
        if has_too_many_entries(prost::bytes::Buf::chunk(buffer)) {
            return Err(Status::out_of_range(format!(
                "it has more than {MAX_ENTRIES} entries"
            )));
        }
        self.0.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// Whether a message has more than [`MAX_ENTRIES`]. What is malformed is left to prost.
fn has_too_many_entries(mut message: &[u8]) -> bool {
    for _ in 0..MAX_ENTRIES {
        if message.is_empty() {
            return false;
        }
        let skipped = decode_key(&mut message).and_then(|(tag, wire_type)| {
            skip_field(wire_type, tag, &mut message, DecodeContext::default())
        });
        if skipped.is_err() {
            return false;
        }
    }
    !message.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    fn with_events(count: usize) -> Vec<u8> {
        let event = v1::Event {
            text: "as long as it likes".repeat(20),
            ..Default::default()
        };
        let request = v1::ScoreEventsRequest {
            events: vec![event; count],
            ..Default::default()
        };
        request.encode_to_vec()
    }

    #[test]
    fn entries_are_counted_to_the_last() {
        assert!(!has_too_many_entries(&[]));
        assert!(!has_too_many_entries(&with_events(MAX_ENTRIES)));
        assert!(has_too_many_entries(&with_events(MAX_ENTRIES + 1)));
    }

    #[test]
    fn what_is_no_message_is_left_to_the_decoder() {
        assert!(!has_too_many_entries(&[0xFF; 8]));
        let cut = with_events(3);
        assert!(!has_too_many_entries(&cut[..cut.len() - 1]));
    }
}
