//! Encoded pictures in requests: what a client sends as PNG or JPEG becomes the tensor that the model takes.
//!
//! A request with pictures has BYTES where the model takes numbers. It is made into one with numbers before it is
//! checked, so that whatever comes after (the queue, batches, the model) knows nothing of pictures. Decoding never runs on
//! a connection's thread, for as many requests at once as there are threads for them.

mod convert;
mod element;
mod wishes;

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use compact_str::CompactString;
use oip::{Datatype, InferRequest, InputTensor, Tensor, bytes_elements};
use pictures::Limits;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use convert::{Converted, Task};
pub use wishes::{ALL, DIGITS, RETURN_INPUT, Wishes};

use crate::{
    error::{ErrorCode, ServeError},
    model::ImageInput,
    platform::workers,
    request::validate::Rules,
};

/// How much decoding there may be, for all models together.
#[derive(Clone, Debug)]
pub struct Decoding {
    turns: Arc<Semaphore>,
    limits: Limits,
    /// Bytes that the pictures of one request may become: as many as a request may have that brings the numbers itself.
    max_tensor_bytes: usize,
    /// Pictures that may wait for one model.
    max_waiting: usize,
}

impl Decoding {
    /// Decoding for `at_once` requests at once; of pictures of `max_pixels` at most, that become `max_tensor_bytes` of a
    /// request at most. `max_waiting` pictures may wait for one model.
    pub fn new(at_once: usize, max_pixels: u64, max_tensor_bytes: usize, max_waiting: usize) -> Self {
        let turns = Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)));
        Self { turns, limits: Limits { max_pixels }, max_tensor_bytes, max_waiting }
    }
}

/// Most pictures of one request, and what says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Most {
    count: usize,
    code: ErrorCode,
    setting: &'static str,
}

impl Most {
    fn of(input: &ImageInput, rules: &Rules, decoding: &Decoding) -> Self {
        let room = decoding.max_tensor_bytes / input.row_bytes().max(1);
        let mut most = Self {
            count: decoding.max_waiting.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize),
            code: ErrorCode::InvalidArgument,
            setting: "--max-queue-rows",
        };
        if room < most.count {
            most = Self { count: room.max(1), code: ErrorCode::PayloadTooLarge, setting: "--max-body-size" };
        }
        match rules.max_rows {
            Some(rows) if rows < most.count => Self {
                count: rows,
                code: ErrorCode::InvalidArgument,
                setting: "max_batch_size of the model's config.toml",
            },
            _ => most,
        }
    }

    fn check(self, what: &str, count: usize) -> Result<(), ServeError> {
        if count <= self.count {
            return Ok(());
        }
        let (most, setting) = (self.count, self.setting);
        let message = format!("{count} {what} in one request: at most {most} are accepted ({setting})");
        Err(ServeError::new(self.code, message))
    }
}

/// The pictures of one model.
#[derive(Debug)]
pub struct Pictures {
    /// Name of the model, for errors.
    model: CompactString,
    input: Arc<ImageInput>,
    decoding: Decoding,
    most: Most,
    /// For each picture that may wait.
    room: Arc<Semaphore>,
}

impl Pictures {
    /// Pictures for `input` of `model`, whose requests are checked by `rules`.
    pub fn new(model: &str, input: ImageInput, rules: &Rules, decoding: Decoding) -> Self {
        let most = Most::of(&input, rules, &decoding);
        let room = decoding.max_waiting.min(Semaphore::MAX_PERMITS);
        Self {
            model: model.into(),
            input: Arc::new(input),
            decoding,
            most,
            room: Arc::new(Semaphore::new(room)),
        }
    }

    /// The input that takes pictures.
    pub fn input(&self) -> &ImageInput {
        &self.input
    }

    /// Whether the request brings pictures.
    pub fn are_in(&self, request: &InferRequest) -> bool {
        request.inputs.iter().any(|input| self.is_pictures(input))
    }

    fn is_pictures(&self, input: &InputTensor) -> bool {
        input.tensor.datatype == Datatype::Bytes && input.name == self.input.name
    }

    /// A request with one picture.
    pub fn request(&self, picture: &[u8]) -> InferRequest {
        let mut data = Vec::with_capacity(4 + picture.len());
        oip::push_bytes_element(&mut data, picture);
        let tensor = Tensor { datatype: Datatype::Bytes, shape: [1][..].into(), data: data.into() };
        let input =
            InputTensor { name: self.input.name.clone(), parameters: oip::Parameters::default(), tensor };
        InferRequest { inputs: vec![input], ..InferRequest::default() }
    }

    /// What the request wants beside the model's outputs; that is taken out of the outputs that it asks for.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorCode::InvalidArgument): a parameter has another value than it may, an output is asked for
    /// twice or by its classes.
    pub fn wishes(&self, request: &mut InferRequest) -> Result<Wishes, ServeError> {
        Wishes::take(request, &self.input)
    }

    /// Puts numbers in the place of the request's pictures, by `deadline`. Where the future is dropped, decoding ends after
    /// the picture at hand.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorCode::InvalidArgument): a picture is broken, of a format that is not read, empty, or shows
    /// several digits; there are too many. [`PayloadTooLarge`](ErrorCode::PayloadTooLarge): one has too many pixels.
    /// [`Overloaded`](ErrorCode::Overloaded): too many wait. [`DeadlineExceeded`](ErrorCode::DeadlineExceeded).
    pub async fn prepare(
        &self,
        request: &mut InferRequest,
        wishes: &Wishes,
        deadline: Instant,
    ) -> Result<Added, ServeError> {
        let Some(given) = request.inputs.iter_mut().find(|input| self.is_pictures(input)) else {
            return Ok(Added::default());
        };
        let count = self.count(&given.tensor, wishes)?;
        let encoded = mem::take(&mut given.tensor.data);
        let Converted { tensor, boxes } = self.convert(encoded, count, wishes.all_digits, deadline).await?;
        let input = wishes.returns_input().then(|| tensor.clone());
        given.tensor = tensor;
        Ok(Added { input, boxes: boxes.filter(|_| wishes.has_boxes()) })
    }

    /// How many pictures there are, where they may be as many.
    fn count(&self, tensor: &Tensor, wishes: &Wishes) -> Result<usize, ServeError> {
        let name = &self.input.name;
        let ([count] | [count, 1]) = tensor.shape.0[..] else {
            return Err(ServeError::invalid(format!(
                "input '{name}' has pictures of shape {}: send shape [n] or [n,1]",
                tensor.shape
            )));
        };
        if count == 0 {
            return Err(ServeError::invalid(format!("input '{name}' has no rows")));
        }
        self.most.check("pictures", count)?;
        if let Some(rows) = self.input.rows.filter(|&rows| rows != count && !wishes.all_digits) {
            let message = format!("input '{name}' has {count} pictures, the model takes {rows} at a time");
            return Err(ServeError::invalid(message));
        }
        Ok(count)
    }

    async fn convert(
        &self,
        encoded: Bytes,
        count: usize,
        all_digits: bool,
        deadline: Instant,
    ) -> Result<Converted, ServeError> {
        let place = self.place(count)?;
        let turn = Arc::clone(&self.decoding.turns).acquire_owned();
        let turn = timeout_at(deadline, turn).await.map_err(|_| late())?;
        let unwanted = Unwanted::default();
        let gone = Arc::clone(&unwanted.0);
        let task = Task {
            model: self.model.clone(),
            input: Arc::clone(&self.input),
            limits: self.decoding.limits,
            most: self.most,
            all_digits,
        };
        // The turn lasts as long as the work, whatever becomes of the request.
        let work = workers::run_blocking(move || {
            let _held = (turn, place);
            task.run(count, bytes_elements(&encoded), &gone)
        });
        timeout_at(deadline, work).await.map_err(|_| late())?
    }

    fn place(&self, count: usize) -> Result<OwnedSemaphorePermit, ServeError> {
        let permits = u32::try_from(count).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(permits).map_err(|_| {
            let most = self.decoding.max_waiting;
            let message = format!(
                "too many pictures wait to be decoded: no room for {count} (--max-queue-rows is {most})"
            );
            ServeError::new(ErrorCode::Overloaded, message)
        })
    }
}

/// Tells, once it is dropped, that nobody waits for the work any more.
#[derive(Default)]
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What an answer has beside the model's outputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// What the model was shown.
    pub input: Option<Tensor>,
    /// Where each digit lies: the picture's index, left, top, width, height.
    pub boxes: Option<Tensor>,
}

fn late() -> ServeError {
    ServeError::new(
        ErrorCode::DeadlineExceeded,
        "the request's time ran out before its pictures were decoded",
    )
}

#[cfg(test)]
mod tests;
