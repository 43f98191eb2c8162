//! The frame of a gRPC message: a flag for compression, the length, the message ("Length-Prefixed-Message" in the
//! specification "gRPC over HTTP/2").

use std::io::{self, Read as _};

use bytes::{BufMut, Bytes};
use flate2::{
    Compression,
    read::{GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder},
};
use prost::Message;

/// Bytes before the message: one for the flag, four for the length.
pub const PREFIX_BYTES: usize = 5;

/// The prefix of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Whether the message is compressed, with the encoding that the header `grpc-encoding` names.
    pub is_compressed: bool,
    /// Bytes of the message as it is sent, after compression.
    pub length: usize,
}

impl Prefix {
    /// Parses a prefix. `None` if the flag is neither 0 nor 1.
    pub fn read([flag, length @ ..]: [u8; PREFIX_BYTES]) -> Option<Self> {
        let length = u32::from_be_bytes(length) as usize;
        (flag <= 1).then_some(Self { is_compressed: flag == 1, length })
    }

    /// Bytes of the prefix and the message together.
    pub fn frame_bytes(self) -> usize {
        PREFIX_BYTES + self.length
    }
}

/// A compression method for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The gzip format (RFC 1952).
    Gzip,
    /// The zlib format (RFC 1950), which HTTP calls `deflate`.
    Deflate,
}

impl Encoding {
    /// All supported methods, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Deflate];

    /// The name in the header `grpc-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The method of this name, if it is supported.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// Decompresses a message. `None` if the decompressed message is longer than `most` bytes.
    ///
    /// # Errors
    /// The message is incomplete, or is not in this format.
    pub fn unpack(self, packed: &[u8], most: usize) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        let limit = most as u64 + 1;
        match self {
            Self::Gzip => GzDecoder::new(packed).take(limit).read_to_end(&mut message),
            Self::Deflate => ZlibDecoder::new(packed).take(limit).read_to_end(&mut message),
        }?;
        Ok((message.len() <= most).then_some(message))
    }

    fn pack(self, message: &[u8], packed: &mut Vec<u8>) {
        let packing = match self {
            Self::Gzip => GzEncoder::new(message, Compression::fast()).read_to_end(packed),
            Self::Deflate => ZlibEncoder::new(message, Compression::fast()).read_to_end(packed),
        };
        packing.expect("memory can be read and written");
    }
}

/// Encodes a message with its prefix, and compresses it if `encoding` is given. `None` if its length does not fit the
/// prefix.
pub fn framed(message: &impl Message, encoding: Option<Encoding>) -> Option<Bytes> {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(PREFIX_BYTES + length);
    frame.put_bytes(0, PREFIX_BYTES);
    match encoding {
        None => message.encode_raw(&mut frame),
        Some(encoding) => encoding.pack(&message.encode_to_vec(), &mut frame),
    }
    let length = u32::try_from(frame.len() - PREFIX_BYTES).ok()?;
    frame[0] = encoding.is_some().into();
    frame[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    Some(frame.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grpc::messages::ModelInferRequest;

    proptest! {
        #[test]
        fn what_is_framed_is_read(id in "\\PC{0,200}", encoding in 0..3_usize, spare in 0..3_usize) {
            let message = ModelInferRequest { id, ..ModelInferRequest::default() };
            let (encoding, length) = (Encoding::ALL.get(encoding).copied(), message.encoded_len());
            let frame = framed(&message, encoding).unwrap();
            let (prefix, packed) = frame.split_first_chunk().unwrap();
            let prefix = Prefix::read(*prefix).unwrap();
            prop_assert_eq!(prefix, Prefix { is_compressed: encoding.is_some(), length: packed.len() });
            let Some(encoding) = encoding else {
                prop_assert_eq!(ModelInferRequest::decode(packed).unwrap(), message);
                return Ok(());
            };
            let whole = encoding.unpack(packed, length + spare).unwrap().unwrap();
            prop_assert_eq!(ModelInferRequest::decode(&whole[..]).unwrap(), message);
            prop_assert!(length == 0 || encoding.unpack(packed, length - 1).unwrap().is_none());
            prop_assert!(encoding.unpack(&packed[..packed.len() - 1], length).is_err());
        }

        #[test]
        fn nothing_is_unpacked_beyond_what_is_allowed(bytes: Vec<u8>, most in 0..1000_usize) {
            for encoding in Encoding::ALL {
                if let Ok(Some(message)) = encoding.unpack(&bytes, most) {
                    prop_assert!(message.len() <= most);
                }
                let mut packed = Vec::new();
                encoding.pack(&bytes, &mut packed);
                let allowed = bytes.len() <= most;
                prop_assert_eq!(encoding.unpack(&packed, most).unwrap(), allowed.then_some(bytes.clone()));
            }
        }
    }

    #[test]
    fn a_flag_is_0_or_1() {
        assert_eq!(Prefix::read([1, 0, 1, 0, 2]), Some(Prefix { is_compressed: true, length: 0x1_0002 }));
        assert_eq!(Prefix::read([2, 0, 0, 0, 0]), None);
    }
}
