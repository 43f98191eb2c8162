//! Reading request bodies within limits of size and time. Bytes are counted as they arrive, after decompression.

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::AppState;
use crate::error::{ErrorCode, ServeError};

/// Size of the memory blocks for a body of unknown length, in bytes.
const BLOCK_BYTES: usize = 256 << 10;

/// Alignment of tensors in bytes: the length of a cache line.
const ALIGNMENT: usize = 64;

/// Reads the whole body. A body that arrives in one chunk is not copied. Any other is collected so that the byte at
/// index `tensors` is aligned for tensors, whose elements then need not be copied again.
pub(super) async fn read(body: Body, tensors: usize, state: &AppState) -> Result<Bytes, ServeError> {
    read_at_most(body, tensors, state.max_body_bytes, "--max-body-size", state).await
}

/// Reads the whole body within `limit` bytes. Errors for the client call the limit `name`.
pub(super) async fn read_at_most(
    body: Body,
    tensors: usize,
    limit: usize,
    name: &str,
    state: &AppState,
) -> Result<Bytes, ServeError> {
    let limit = limit.min(state.max_body_bytes);
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit, name));
    }
    match timeout(state.body_read_timeout, collect(body, tensors, limit, name)).await {
        Ok(read) => read,
        Err(_) => Err(ServeError::new(
            ErrorCode::RequestTimeout,
            format!(
                "the body did not arrive within {} s (--body-read-timeout)",
                state.body_read_timeout.as_secs_f64()
            ),
        )),
    }
}

async fn collect(mut body: Body, tensors: usize, limit: usize, name: &str) -> Result<Bytes, ServeError> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(too_large(limit, name));
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let announced = body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
    let mut blocks = Blocks::new(&first, announced, tensors);
    while let Some(part) = next(&mut body).await? {
        if part.len() > limit - blocks.length {
            return Err(too_large(limit, name));
        }
        blocks.append(&part);
    }
    Ok(blocks.join())
}

/// Collects a body in blocks, without moving the bytes that have arrived. The memory exceeds the received bytes by one
/// block at most, whatever the sizes of the client's chunks.
struct Blocks {
    parts: Vec<Vec<u8>>,
    /// Bytes of the first block before the body, for alignment.
    padding: usize,
    length: usize,
}

impl Blocks {
    /// Starts with the first chunk. `announced` is the length of the rest, if the client sent a length.
    fn new(first: &[u8], announced: Option<usize>, tensors: usize) -> Self {
        let room = first.len() + announced.unwrap_or(BLOCK_BYTES);
        let mut block: Vec<u8> = Vec::with_capacity(ALIGNMENT + room);
        let begin = block.as_ptr().addr().wrapping_add(tensors); // wraps, since the client chose `tensors`
        let padding = begin.wrapping_neg() % ALIGNMENT;
        block.resize(padding, 0);
        block.extend_from_slice(first);
        Self { parts: vec![block], padding, length: first.len() }
    }

    fn append(&mut self, mut part: &[u8]) {
        self.length += part.len();
        while !part.is_empty() {
            match self.parts.last_mut().filter(|block| block.len() < block.capacity()) {
                Some(block) => {
                    let (fits, rest) = part.split_at(part.len().min(block.capacity() - block.len()));
                    block.extend_from_slice(fits);
                    part = rest;
                }
                None => self.parts.push(Vec::with_capacity(BLOCK_BYTES)),
            }
        }
    }

    fn join(mut self) -> Bytes {
        if self.parts.len() == 1 {
            return Bytes::from(self.parts.remove(0)).slice(self.padding..);
        }
        let mut whole = Vec::with_capacity(self.padding + self.length);
        for block in self.parts {
            whole.extend_from_slice(&block); // and free the block
        }
        Bytes::from(whole).slice(self.padding..)
    }
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, ServeError> {
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ServeError::invalid(format!("the body cannot be read: {error}")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn too_large(limit: usize, name: &str) -> ServeError {
    ServeError::new(ErrorCode::PayloadTooLarge, format!("the body is larger than {limit} bytes ({name})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_aligned_and_the_body_is_unchanged() {
        let body: Vec<u8> = (0..2000).map(|index| index as u8).collect();
        for tensors in [0, 1, 149, 1999, usize::MAX] {
            let mut blocks = Blocks::new(&body[..100], Some(1900), tensors);
            body[100..].chunks(700).for_each(|part| blocks.append(part));
            let read = blocks.join();
            assert_eq!(read, body);
            assert_eq!(read.as_ptr().addr().wrapping_add(tensors) % ALIGNMENT, 0);
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_whole() {
        let body = vec![7; 3 * BLOCK_BYTES + 5];
        let mut blocks = Blocks::new(&body[..3], None, 2);
        body[3..].chunks(50_000).for_each(|part| blocks.append(part));
        assert_eq!(blocks.join(), body);
    }
}
