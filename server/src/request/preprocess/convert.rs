//! Conversion of encoded pictures to the rows of a tensor. It runs on a thread for blocking work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use compact_str::CompactString;
use oip::{BytesElements, Datatype, NotBase64, Shape, Tensor};
use pictures::{
    DecodeError, Limits, Rgba,
    mnist::{self, Bounds, Digit, MnistError},
};

use super::{PictureLimit, element};
use crate::{
    error::ServeError,
    model::{ImageInput, Steps},
};

/// Length of a box: the picture's index, left, top, width, height.
const BOX: usize = 5;

/// Decodes the pictures of one request.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) model: CompactString,
    pub(super) input: Arc<ImageInput>,
    pub(super) limits: Limits,
    pub(super) picture_limit: PictureLimit,
    pub(super) all_digits: bool,
}

/// The result of a [`Task`].
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) tensor: Tensor,
    /// The box of each digit, for models of digits.
    pub(super) boxes: Option<Tensor>,
}

impl Task {
    /// Decodes `count` pictures, one after another, until `cancelled` is set.
    pub(super) fn run(
        &self,
        count: usize,
        elements: BytesElements<'_>,
        cancelled: &AtomicBool,
    ) -> Result<Converted, ServeError> {
        let mut rows = Rows::new(&self.input);
        for (index, element) in elements.enumerate() {
            if cancelled.load(Ordering::Relaxed) {
                return Err(ServeError::internal("the pictures are not wanted any more"));
            }
            self.picture(index, element, &mut rows)
                .map_err(|fault| self.error(fault, (count > 1).then_some(index)))?;
            self.picture_limit.check("digits", rows.count)?;
        }
        Ok(rows.finish(&self.input))
    }

    fn picture(&self, index: usize, element: &[u8], rows: &mut Rows) -> Result<(), Fault> {
        let bytes = element::picture(element)?;
        let picture: Rgba = pictures::decode(&bytes, &self.limits)?;
        match &self.input.steps {
            Steps::Mnist if self.all_digits => {
                mnist::digits(picture.view())?.iter().for_each(|digit| rows.digit(index, digit));
            }
            Steps::Mnist => rows.digit(index, &mnist::digit(picture.view())?),
            Steps::Rgb(rgb) => rows.floats(rgb.apply(picture.view()).iter().copied()),
        }
        Ok(())
    }

    /// Makes the error for a client. If the request has several pictures, the text has the picture's index.
    fn error(&self, fault: Fault, index: Option<usize>) -> ServeError {
        let ServeError { code, message: reason } = match fault {
            Fault::Text(error) => ServeError::invalid(error.to_string()),
            Fault::Decode(error) => error.into(),
            Fault::Mnist(error @ MnistError::Several { .. }) => ServeError::invalid(format!(
                "{error}: to read each of them, from left to right, ask with \"parameters\": {{\"digits\": \"all\"}} \
                 (V2), or with ?digits=all in the URL (V2 and V1)"
            )),
            Fault::Mnist(error) => ServeError::invalid(error.to_string()),
        };
        let place = index.map(|index| format!(", picture {index}")).unwrap_or_default();
        let (model, input) = (&self.model, &self.input.name);
        ServeError::new(code, format!("model '{model}', input '{input}'{place}: {reason}"))
    }
}

/// What is wrong with one picture.
enum Fault {
    Text(NotBase64),
    Decode(DecodeError),
    Mnist(MnistError),
}

impl From<NotBase64> for Fault {
    fn from(error: NotBase64) -> Self {
        Self::Text(error)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<MnistError> for Fault {
    fn from(error: MnistError) -> Self {
        Self::Mnist(error)
    }
}

/// The rows of the pictures that were decoded.
struct Rows {
    datatype: Datatype,
    count: usize,
    data: Vec<u8>,
    boxes: Vec<u8>,
}

impl Rows {
    fn new(input: &ImageInput) -> Self {
        Self {
            datatype: input.datatype,
            count: 0,
            data: Vec::with_capacity(input.row_bytes()),
            boxes: Vec::new(),
        }
    }

    /// Adds a digit: pixels as bytes for UINT8, or as numbers from 0 to 1 for FP32.
    fn digit(&mut self, index: usize, digit: &Digit) {
        if self.datatype == Datatype::Uint8 {
            self.data.extend(digit.pixels.iter());
        } else {
            self.data.extend(digit.pixels.iter().flat_map(|&pixel| (f32::from(pixel) / 255.0).to_le_bytes()));
        }
        let Bounds { left, top, width, height } = digit.bounds;
        let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX).to_le_bytes();
        self.boxes.extend([index, left, top, width, height].into_iter().flat_map(number));
        self.count += 1;
    }

    fn floats(&mut self, values: impl Iterator<Item = f32>) {
        if self.datatype == Datatype::Uint8 {
            self.data.extend(values.map(|value| value.round().clamp(0.0, 255.0) as u8));
        } else {
            self.data.extend(values.flat_map(f32::to_le_bytes));
        }
        self.count += 1;
    }

    fn finish(self, input: &ImageInput) -> Converted {
        let shape = Shape([&[self.count], &input.row[..]].concat().into());
        let tensor = Tensor { datatype: self.datatype, shape, data: self.data.into() };
        let boxes = (input.steps == Steps::Mnist).then(|| Tensor {
            datatype: Datatype::Int32,
            shape: [self.count, BOX][..].into(),
            data: self.boxes.into(),
        });
        Converted { tensor, boxes }
    }
}
