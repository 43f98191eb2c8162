//! Reading a body: bounded in bytes, counted as they stream and after decompression, and in time.

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::AppState;
use crate::error::{ErrorCode, ServeError};

/// Grain of the memory for a body that does not say how long it is.
const BLOCK_BYTES: usize = 256 << 10;

/// Reads the whole body. A body that arrives in one piece is not copied.
pub(super) async fn read(body: Body, state: &AppState) -> Result<Bytes, ServeError> {
    read_at_most(body, state.max_body_bytes, "--max-body-size", state).await
}

/// Reads the whole body within a limit of its own, whose name is for the client.
pub(super) async fn read_at_most(
    body: Body,
    limit: usize,
    name: &str,
    state: &AppState,
) -> Result<Bytes, ServeError> {
    let limit = limit.min(state.max_body_bytes);
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit, name));
    }
    match timeout(state.body_read_timeout, collect(body, limit, name)).await {
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

async fn collect(mut body: Body, limit: usize, name: &str) -> Result<Bytes, ServeError> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(too_large(limit, name));
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let announced = body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
    let mut blocks = Blocks::new(&first, announced);
    while let Some(part) = next(&mut body).await? {
        if part.len() > limit - blocks.length {
            return Err(too_large(limit, name));
        }
        blocks.append(&part);
    }
    Ok(blocks.join())
}

/// A body of unknown length, collected without ever moving what is there: memory stays within a block of
/// what was received, however the client cuts its body up.
struct Blocks {
    blocks: Vec<Vec<u8>>,
    length: usize,
}

impl Blocks {
    /// `announced` bytes follow `first`, where the client said so.
    fn new(first: &[u8], announced: Option<usize>) -> Self {
        let mut block = Vec::with_capacity(first.len() + announced.unwrap_or(BLOCK_BYTES));
        block.extend_from_slice(first);
        Self { blocks: vec![block], length: first.len() }
    }

    fn append(&mut self, mut part: &[u8]) {
        self.length += part.len();
        while !part.is_empty() {
            match self.blocks.last_mut().filter(|block| block.len() < block.capacity()) {
                Some(block) => {
                    let (fits, rest) = part.split_at(part.len().min(block.capacity() - block.len()));
                    block.extend_from_slice(fits);
                    part = rest;
                }
                None => self.blocks.push(Vec::with_capacity(BLOCK_BYTES)),
            }
        }
    }

    fn join(mut self) -> Bytes {
        if self.blocks.len() == 1 {
            return self.blocks.remove(0).into();
        }
        let mut whole = Vec::with_capacity(self.length);
        for block in self.blocks {
            whole.extend_from_slice(&block); // and free the block
        }
        whole.into()
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
