//! Reading a body: bounded in bytes, counted as they stream and after decompression, and in time.

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::AppState;
use crate::error::{ErrorCode, ServeError};

/// Reads the whole body. A body that arrives in one piece is not copied.
pub(super) async fn read(body: Body, state: &AppState) -> Result<Bytes, ServeError> {
    let limit = state.max_body_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    match timeout(state.body_read_timeout, collect(body, limit)).await {
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

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, ServeError> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(too_large(limit));
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    // The announced length is believed as far as the limit goes; memory never grows beyond the limit.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut whole = Vec::with_capacity(first.len().saturating_add(announced).min(limit));
    whole.extend_from_slice(&first);
    while let Some(part) = next(&mut body).await? {
        if part.len() > limit - whole.len() {
            return Err(too_large(limit));
        }
        if whole.capacity() - whole.len() < part.len() {
            let doubled = (whole.len() * 2).clamp(whole.len() + part.len(), limit);
            whole.reserve_exact(doubled - whole.len());
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.into())
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

fn too_large(limit: usize) -> ServeError {
    ServeError::new(
        ErrorCode::PayloadTooLarge,
        format!("the body is larger than {limit} bytes (--max-body-size)"),
    )
}
