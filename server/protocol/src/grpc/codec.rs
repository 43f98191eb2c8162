//! Encodes and decodes the messages on a gRPC connection.

use std::marker::PhantomData;

use bytes::{Buf, BufMut};
use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Initial size of a buffer, and the step by which it grows, in bytes. One step is enough for a message of a small
/// model.
const BUFFER_BYTES: usize = 4 << 10;

/// The protocol buffers codec of `tonic`, with two differences. A message that cannot be decoded is reported as
/// `INVALID_ARGUMENT`, since the client made it. The buffer of a response has the size of the response from the start.
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

/// Decodes a protocol buffers message.
///
/// # Errors
/// `INVALID_ARGUMENT` if the bytes are not a message of this type.
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
