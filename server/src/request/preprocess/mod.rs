//! Preprocessing of encoded pictures: a PNG or JPEG in a request becomes the model's input tensor.
//!
//! A request with pictures has BYTES for an input of numbers. Pictures are converted before the request is validated,
//! so that all later steps (queue, batches, model) need not know about them. Decoding never runs on a connection's
//! thread. At most as many requests decode at the same time as there are threads for runs.

mod convert;
mod element;
mod options;

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
pub use options::{ALL, DIGITS, PictureOptions, RETURN_INPUT};

use crate::{
    error::{ErrorCode, ServeError},
    model::{ImageInput, Steps},
    platform::workers,
    request::validate::Rules,
};

/// Limits on decoding, for all models together.
#[derive(Clone, Debug)]
pub struct Decoding {
    decoders: Arc<Semaphore>,
    limits: Limits,
    /// Most bytes that the pictures of one request may become: as many as a body with the numbers may have.
    max_tensor_bytes: usize,
    /// Most pictures that wait for one model.
    max_waiting: usize,
}

impl Decoding {
    /// Makes limits: `at_once` requests decode at the same time, a picture has at most `max_pixels`, the tensor of a
    /// request has at most `max_tensor_bytes`, and at most `max_waiting` pictures wait for one model.
    pub fn new(at_once: usize, max_pixels: u64, max_tensor_bytes: usize, max_waiting: usize) -> Self {
        let decoders = Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)));
        Self { decoders, limits: Limits { max_pixels }, max_tensor_bytes, max_waiting }
    }
}

/// The limit on pictures of one request, with its error code and the setting that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PictureLimit {
    count: usize,
    code: ErrorCode,
    setting: &'static str,
}

impl PictureLimit {
    fn of(input: &ImageInput, rules: &Rules, decoding: &Decoding) -> Self {
        let room = decoding.max_tensor_bytes / input.row_bytes().max(1);
        let mut limit = Self {
            count: decoding.max_waiting.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize),
            code: ErrorCode::InvalidArgument,
            setting: "--max-queue-rows",
        };
        if room < limit.count {
            limit = Self { count: room.max(1), code: ErrorCode::PayloadTooLarge, setting: "--max-body-size" };
        }
        match rules.max_rows {
            Some(rows) if rows < limit.count => Self {
                count: rows,
                code: ErrorCode::InvalidArgument,
                setting: "max_batch_size of the model's config.toml",
            },
            _ => limit,
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

/// Converts the pictures in requests to one model.
#[derive(Debug)]
pub struct Pictures {
    /// Name of the model, for errors.
    model: CompactString,
    input: Arc<ImageInput>,
    decoding: Decoding,
    limit: PictureLimit,
    /// Has a permit for each picture that may wait.
    queue: Arc<Semaphore>,
}

impl Pictures {
    /// Makes the conversion for `input` of `model`, whose requests are validated by `rules`.
    pub fn new(model: &str, input: ImageInput, rules: &Rules, decoding: Decoding) -> Self {
        let limit = PictureLimit::of(&input, rules, &decoding);
        let room = decoding.max_waiting.min(Semaphore::MAX_PERMITS);
        Self {
            model: model.into(),
            input: Arc::new(input),
            decoding,
            limit,
            queue: Arc::new(Semaphore::new(room)),
        }
    }

    /// Returns the input that takes pictures.
    pub fn input(&self) -> &ImageInput {
        &self.input
    }

    /// Returns whether the model reads digits. Then a picture shows one digit, or several if a request asks for all.
    pub fn are_digits(&self) -> bool {
        self.input.steps == Steps::Mnist
    }

    /// Returns whether the request has pictures.
    pub fn are_in(&self, request: &InferRequest) -> bool {
        request.inputs.iter().any(|input| self.is_pictures(input))
    }

    fn is_pictures(&self, input: &InputTensor) -> bool {
        input.tensor.datatype == Datatype::Bytes && input.name == self.input.name
    }

    /// Makes a request with one picture.
    pub fn request(&self, picture: &[u8]) -> InferRequest {
        let mut data = Vec::with_capacity(4 + picture.len());
        oip::push_bytes_element(&mut data, picture);
        let tensor = Tensor { datatype: Datatype::Bytes, shape: [1][..].into(), data: data.into() };
        let input =
            InputTensor { name: self.input.name.clone(), parameters: oip::Parameters::default(), tensor };
        InferRequest { inputs: vec![input], ..InferRequest::default() }
    }

    /// Reads the picture options of a request. Removes the added outputs from its list of requested outputs.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorCode::InvalidArgument): a parameter has a wrong value, or an added output is requested
    /// twice or by its classes.
    pub fn options(&self, request: &mut InferRequest) -> Result<PictureOptions, ServeError> {
        PictureOptions::take(request, &self.input)
    }

    /// Replaces the request's pictures with numbers, by `deadline`. If the future is dropped, decoding ends after the
    /// current picture.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorCode::InvalidArgument): a picture is broken, empty, of an unknown format, or shows
    /// several digits; or there are too many pictures. [`PayloadTooLarge`](ErrorCode::PayloadTooLarge): a picture has
    /// too many pixels. [`Overloaded`](ErrorCode::Overloaded): too many pictures wait.
    /// [`DeadlineExceeded`](ErrorCode::DeadlineExceeded): `deadline` passed.
    pub async fn prepare(
        &self,
        request: &mut InferRequest,
        options: &PictureOptions,
        deadline: Instant,
    ) -> Result<AddedOutputs, ServeError> {
        let Some(given) = request.inputs.iter_mut().find(|input| self.is_pictures(input)) else {
            return Ok(AddedOutputs::default());
        };
        let count = self.count(&given.tensor, options)?;
        let encoded = mem::take(&mut given.tensor.data);
        let Converted { tensor, boxes } = self.convert(encoded, count, options.all_digits, deadline).await?;
        let input = options.returns_input().then(|| tensor.clone());
        given.tensor = tensor;
        Ok(AddedOutputs { input, boxes: boxes.filter(|_| options.has_boxes()) })
    }

    /// Returns the number of pictures, if the request may have this number.
    fn count(&self, tensor: &Tensor, options: &PictureOptions) -> Result<usize, ServeError> {
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
        self.limit.check("pictures", count)?;
        if let Some(rows) = self.input.rows.filter(|&rows| rows != count && !options.all_digits) {
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
        let queue_place = self.reserve(count)?;
        let decoder = Arc::clone(&self.decoding.decoders).acquire_owned();
        let decoder = timeout_at(deadline, decoder).await.map_err(|_| deadline_exceeded())?;
        let cancel = CancelOnDrop::default();
        let cancelled = Arc::clone(&cancel.0);
        let task = Task {
            model: self.model.clone(),
            input: Arc::clone(&self.input),
            limits: self.decoding.limits,
            picture_limit: self.limit,
            all_digits,
        };
        // The permits are kept until the work ends, even if the request is dropped before.
        let work = workers::run_blocking(move || {
            let _held = (decoder, queue_place);
            task.run(count, bytes_elements(&encoded), &cancelled)
        });
        timeout_at(deadline, work).await.map_err(|_| deadline_exceeded())?
    }

    fn reserve(&self, count: usize) -> Result<OwnedSemaphorePermit, ServeError> {
        let permits = u32::try_from(count).unwrap_or(u32::MAX);
        Arc::clone(&self.queue).try_acquire_many_owned(permits).map_err(|_| {
            let most = self.decoding.max_waiting;
            let message = format!(
                "too many pictures wait to be decoded: no room for {count} (--max-queue-rows is {most})"
            );
            ServeError::new(ErrorCode::Overloaded, message)
        })
    }
}

/// Cancels the decoding when it is dropped with the request's future.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The outputs that a response has in addition to the model's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddedOutputs {
    /// The model's input tensor.
    pub input: Option<Tensor>,
    /// The box of each digit: the picture's index, left, top, width, height, in pixels.
    pub boxes: Option<Tensor>,
}

fn deadline_exceeded() -> ServeError {
    ServeError::new(
        ErrorCode::DeadlineExceeded,
        "the request's time ran out before its pictures were decoded",
    )
}

#[cfg(test)]
mod tests;
