//! Colour pictures for models that were trained on `ImageNet` and the like: resized, cropped, normalised.

use ndarray::{Array3, ArrayView3, s};

/// Where the channels lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[channel, row, column]` of each picture, as `PyTorch` has them.
    #[default]
    Nchw,
    /// `[row, column, channel]` of each picture, as `TensorFlow` has them.
    Nhwc,
}

/// The steps from a picture to a model's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Rgb {
    /// Rows that the model takes.
    pub height: usize,
    /// Columns that the model takes.
    pub width: usize,
    /// Pixels of the shorter side before the crop.
    pub resize: usize,
    /// Subtracted from each channel after scaling to 0 to 1: red, green, blue.
    pub mean: [f32; 3],
    /// Each channel is divided by it then.
    pub deviation: [f32; 3],
    /// Where the channels lie.
    pub layout: Layout,
}

impl Rgb {
    /// Mean of `ImageNet`'s pictures: red, green, blue.
    pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    /// Standard deviation of `ImageNet`'s pictures: red, green, blue.
    pub const IMAGENET_DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

    /// A crop of `height` x `width` out of a picture whose shorter side is 8/7 of the longer of the two, as 256 is
    /// of 224, with `ImageNet`'s mean and deviation.
    pub fn new(height: usize, width: usize, layout: Layout) -> Self {
        let longer = height.max(width);
        Self {
            height,
            width,
            resize: (longer * 8 + 3) / 7,
            mean: Self::IMAGENET_MEAN,
            deviation: Self::IMAGENET_DEVIATION,
            layout,
        }
    }

    /// The picture over white, resized, cropped at its centre and normalised.
    #[expect(clippy::needless_pass_by_value, reason = "views are passed by value")]
    pub fn apply(&self, picture: ArrayView3<'_, u8>) -> Array3<f32> {
        let (rows, columns, _) = picture.dim();
        let mut nhwc = Array3::<f32>::zeros((self.height, self.width, 3));
        if rows > 0 && columns > 0 {
            let scale = self.resize as f32 / rows.min(columns) as f32;
            let top = (rows as f32 * scale - self.height as f32) / 2.0;
            let left = (columns as f32 * scale - self.width as f32) / 2.0;
            for ((row, column, channel), value) in nhwc.indexed_iter_mut() {
                let from = |at: usize, start: f32, length: usize| {
                    (((at as f32 + 0.5 + start) / scale).max(0.0) as usize).min(length - 1)
                };
                let pixel = picture.slice(s![from(row, top, rows), from(column, left, columns), ..]);
                let alpha = f32::from(pixel[3]) / 255.0;
                let colour = f32::from(pixel[channel]) / 255.0 * alpha + 1.0 - alpha;
                *value = (colour - self.mean[channel]) / self.deviation[channel];
            }
        }
        match self.layout {
            Layout::Nhwc => nhwc,
            Layout::Nchw => nhwc.permuted_axes([2, 0, 1]).as_standard_layout().into_owned(),
        }
    }
}
