//! How messages become bytes on a gRPC connection.

use std::marker::PhantomData;

use bytes::{Buf, BufMut};
use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Bytes that buffers start with and grow by: the messages of a small model fit in one.
const BUFFER_BYTES: usize = 4 << 10;

/// Protocol buffers, as `tonic`'s own codec has them, but for two things: a message that cannot be read is the
/// client's fault, and an answer's buffer is as large as the answer.
#[derive(Clone, Copy, Debug)]
pub struct MessageCodec<E, D>(PhantomData<(E, D)>);

impl<E, D> Default for MessageCodec<E, D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<E, D> Codec for MessageCodec<E, D>
where
    E: Message + 'static,
    D: Message + Default + 'static,
{
    type Encode = E;
    type Decode = D;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<E: Message, D> Encoder for MessageCodec<E, D> {
    type Item = E;
    type Error = Status;

    fn encode(&mut self, message: E, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        if buffer.remaining_mut() < message.encoded_len() {
            return Err(Status::internal("the answer is larger than a message can be"));
        }
        message.encode_raw(buffer);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, BUFFER_BYTES)
    }
}

/// Reads a message.
///
/// # Errors
/// `INVALID_ARGUMENT`: the bytes are no such message.
pub fn decode_message<M: Message + Default>(bytes: impl Buf) -> Result<M, Status> {
    let size = bytes.remaining();
    M::decode(bytes).map_err(|error| {
        Status::invalid_argument(format!("the message of {size} bytes cannot be read: {error}"))
    })
}

impl<E, D: Message + Default> Decoder for MessageCodec<E, D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        decode_message(buffer).map(Some)
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, BUFFER_BYTES)
    }
}
