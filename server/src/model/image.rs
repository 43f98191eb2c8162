//! The section `[image]` of a model's `config.toml`: which input takes encoded pictures, and how they are preprocessed.

use compact_str::CompactString;
use oip::Datatype;
use pictures::rgb::{Layout, Rgb};
use serde::Deserialize;

use super::{Dimension, Signature, TensorSpec};

/// Largest height and width of a model's input, and of a picture's shorter side before the crop, in pixels.
const LARGEST_SIDE: usize = 4096;

/// Height and width of MNIST's pictures, in pixels.
const MNIST_SIDE: usize = 28;

/// Name of the output with the position of each digit, in responses to requests for all digits of a picture.
pub const BOXES: &str = "boxes";

/// Shapes of one row that `preprocess = "mnist"` can fill.
const MNIST_ROWS: [&[usize]; 4] = [
    &[MNIST_SIDE, MNIST_SIDE, 1],
    &[1, MNIST_SIDE, MNIST_SIDE],
    &[MNIST_SIDE, MNIST_SIDE],
    &[MNIST_SIDE * MNIST_SIDE],
];

/// The keys of `[image]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Name of the input that takes pictures. `None` is enough for a model with one input.
    pub input: Option<String>,
    /// How pictures are preprocessed.
    pub preprocess: Preprocess,
    /// Height and width in pixels, if the ONNX file leaves them open.
    pub size: Option<[usize; 2]>,
    /// Length of the shorter side before the crop, in pixels.
    pub resize: Option<usize>,
    /// Values that are subtracted from red, green and blue, which range from 0 to 1.
    pub mean: Option<[f32; 3]>,
    /// Values by which red, green and blue are divided afterwards.
    pub deviation: Option<[f32; 3]>,
}

/// How pictures are preprocessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocess {
    /// A digit as in the MNIST data set: 28 x 28 pixels, bright on dark.
    Mnist,
    /// Colours, resized, cropped and normalised.
    Rgb,
}

impl Preprocess {
    /// Returns its name in `config.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::Rgb => "rgb",
        }
    }
}

/// An input that takes pictures, and how pictures fill it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageInput {
    /// Its name.
    pub name: CompactString,
    /// FP32 or UINT8.
    pub datatype: Datatype,
    /// Size along each axis except the first, which counts pictures.
    pub row: Vec<usize>,
    /// The number of pictures that each request must have, if the ONNX file fixes it.
    pub rows: Option<usize>,
    /// How pictures are preprocessed.
    pub steps: Steps,
}

/// The preprocessing steps of a picture, with their parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// See [`Preprocess::Mnist`].
    Mnist,
    /// See [`Preprocess::Rgb`].
    Rgb(Rgb),
}

impl ImageInput {
    /// Returns the name of the steps in a model's configuration.
    pub fn preprocess(&self) -> Preprocess {
        match self.steps {
            Steps::Mnist => Preprocess::Mnist,
            Steps::Rgb(_) => Preprocess::Rgb,
        }
    }

    /// Returns the number of elements of a row.
    pub fn row_elements(&self) -> usize {
        self.row.iter().product()
    }

    /// Returns the number of bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.row_elements() * self.datatype.size().unwrap_or(1)
    }
}

impl ImageConfig {
    /// Checks the keys, as far as that is possible without the model.
    ///
    /// # Errors
    /// A key is wrong. The text names it and what it takes.
    pub(super) fn check(&self) -> Result<(), String> {
        let of_rgb = [
            ("size", self.size.is_some()),
            ("resize", self.resize.is_some()),
            ("mean", self.mean.is_some()),
            ("deviation", self.deviation.is_some()),
        ];
        if self.preprocess == Preprocess::Mnist
            && let Some((key, _)) = of_rgb.into_iter().find(|(_, is_given)| *is_given)
        {
            return Err(format!("image.{key} is for preprocess = \"rgb\" alone"));
        }
        let is_side = |side: usize| (1..=LARGEST_SIDE).contains(&side);
        if let Some([height, width]) = self.size
            && !(is_side(height) && is_side(width))
        {
            return Err(format!("image.size must be [height, width], each from 1 to {LARGEST_SIDE}"));
        }
        if self.resize.is_some_and(|side| !is_side(side)) {
            return Err(format!("image.resize must be from 1 to {LARGEST_SIDE}"));
        }
        if self.mean.is_some_and(|mean| !mean.iter().all(|value| value.is_finite())) {
            return Err("image.mean must be three numbers: of red, green and blue, which are 0 to 1".into());
        }
        let is_divisor = |value: &f32| value.is_finite() && *value > 0.0;
        if self.deviation.is_some_and(|deviation| !deviation.iter().all(is_divisor)) {
            return Err("image.deviation must be three numbers above 0: of red, green and blue".into());
        }
        Ok(())
    }

    /// Finds the input of the model that takes pictures.
    ///
    /// # Errors
    /// The model has no such input, or needs other inputs too, or no picture can fill the input.
    pub fn resolve(&self, signature: &Signature) -> Result<ImageInput, String> {
        let spec = self.find(signature)?;
        let name = &spec.name;
        if let Some(other) = signature.required().iter().find(|other| other.name != *name) {
            return Err(format!(
                "[image] input '{name}': the model needs '{}' too, and a picture fills one input",
                other.name
            ));
        }
        let added = [name.as_str(), BOXES];
        if let Some(output) = signature.outputs.iter().find(|output| added.contains(&output.name.as_str())) {
            return Err(format!(
                "[image]: the model's own output '{}' has the name of an output that is added for pictures: rename it in the ONNX file",
                output.name
            ));
        }
        if !matches!(spec.datatype, Datatype::Fp32 | Datatype::Uint8) {
            let datatype = spec.datatype;
            return Err(format!("[image] input '{name}' is {datatype}: pictures become FP32 or UINT8"));
        }
        let (row, steps) = match self.preprocess {
            Preprocess::Mnist => (mnist_row(spec)?, Steps::Mnist),
            Preprocess::Rgb => self.rgb(spec)?,
        };
        let rows = spec.dims.as_ref().and_then(|dims| match dims.first() {
            Some(Dimension::Fixed(rows)) => Some(*rows),
            _ => None,
        });
        Ok(ImageInput { name: name.clone(), datatype: spec.datatype, row, rows, steps })
    }

    fn find<'a>(&self, signature: &'a Signature) -> Result<&'a TensorSpec, String> {
        let names = || signature.inputs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ");
        match (&self.input, signature.required(), &signature.inputs[..]) {
            (Some(name), _, inputs) => inputs
                .iter()
                .find(|spec| spec.name == *name)
                .ok_or_else(|| format!("[image] input '{name}': the model has {}", names())),
            (None, [only], _) | (None, [], [only]) => Ok(only),
            (None, ..) => Err(format!("[image]: say which input takes pictures: input = one of {}", names())),
        }
    }

    fn rgb(&self, spec: &TensorSpec) -> Result<(Vec<usize>, Steps), String> {
        let name = &spec.name;
        let expected = || {
            format!(
                "[image] input '{name}' {spec}: preprocess = \"rgb\" fills [rows, 3, height, width] and \
                 [rows, height, width, 3]"
            )
        };
        let Some([_, axes @ ..]) = spec.dims.as_deref() else { return Err(expected()) };
        let [first, second, third] = axes else { return Err(expected()) };
        let is_three = |dim: &Dimension| *dim == Dimension::Fixed(3);
        let (layout, sides) = match (is_three(first), is_three(third)) {
            (true, _) => (Layout::Nchw, [second, third]),
            (false, true) => (Layout::Nhwc, [first, second]),
            (false, false) => return Err(expected()),
        };
        let mut size = [0; 2];
        for (axis, dim) in sides.into_iter().enumerate() {
            size[axis] = match (dim, self.size.map(|size| size[axis])) {
                (Dimension::Fixed(fixed), Some(given)) if *fixed != given => {
                    return Err(format!(
                        "[image] input '{name}' {spec}: size is {:?} in config.toml, which does not fit",
                        self.size.unwrap_or_default()
                    ));
                }
                (Dimension::Fixed(fixed), _) => *fixed,
                (Dimension::Dynamic(_), Some(given)) => given,
                (Dimension::Dynamic(_), None) => {
                    return Err(format!(
                        "[image] input '{name}' {spec}: the file leaves the size open: say size = [height, width]"
                    ));
                }
            };
        }
        let [height, width] = size;
        if !size.iter().all(|side| (1..=LARGEST_SIDE).contains(side)) {
            return Err(format!("[image] input '{name}' {spec}: sides are from 1 to {LARGEST_SIDE}"));
        }
        let mut rgb = Rgb::new(height, width, layout);
        if let Some(resize) = self.resize {
            if resize < height.max(width) {
                return Err(format!(
                    "[image] resize is {resize}, and {height} x {width} is cropped out of it: it must be as large"
                ));
            }
            rgb.resize = resize;
        }
        if spec.datatype == Datatype::Uint8 {
            if self.mean.is_some() || self.deviation.is_some() {
                return Err(format!(
                    "[image] input '{name}' is UINT8 and takes colours from 0 to 255: leave mean and deviation out"
                ));
            }
            (rgb.mean, rgb.deviation) = ([0.0; 3], [1.0 / 255.0; 3]);
        }
        rgb.mean = self.mean.unwrap_or(rgb.mean);
        rgb.deviation = self.deviation.unwrap_or(rgb.deviation);
        let row = match layout {
            Layout::Nchw => vec![3, height, width],
            Layout::Nhwc => vec![height, width, 3],
        };
        Ok((row, Steps::Rgb(rgb)))
    }
}

/// Returns the only shape of MNIST's that fits a row of the input.
fn mnist_row(spec: &TensorSpec) -> Result<Vec<usize>, String> {
    let fits = |row: &&&[usize]| spec.dims.is_some() && spec.accepts(&[&[first(spec)], **row].concat());
    let mut fitting = MNIST_ROWS.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(row), None) => Ok(row.to_vec()),
        _ => Err(format!(
            "[image] input '{}' {spec}: preprocess = \"mnist\" fills [rows,28,28,1], [rows,1,28,28], [rows,28,28] \
             and [rows,784]",
            spec.name
        )),
    }
}

/// Returns a size along the first axis that the input accepts.
fn first(spec: &TensorSpec) -> usize {
    match spec.dims.as_ref().and_then(|dims| dims.first()) {
        Some(Dimension::Fixed(rows)) => *rows,
        _ => 1,
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
