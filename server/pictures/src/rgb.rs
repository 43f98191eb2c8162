//! Prepares colour pictures for models that were trained on `ImageNet` or similar data: resizes, crops and normalises
//! them.

use std::collections::VecDeque;

use ndarray::{Array3, ArrayView3, Axis};

/// The position of the channel axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[channel, row, column]` for each picture, as in `PyTorch`.
    #[default]
    Nchw,
    /// `[row, column, channel]` for each picture, as in `TensorFlow`.
    Nhwc,
}

/// The steps from a picture to a model's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Rgb {
    /// Rows of the model's input.
    pub height: usize,
    /// Columns of the model's input.
    pub width: usize,
    /// Length of the shorter side after resizing, before the crop, in pixels.
    pub resize: usize,
    /// Mean of red, green and blue, each 0 to 1. It is subtracted from the channels.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue. The channels are divided by it after the subtraction.
    pub deviation: [f32; 3],
    /// The position of the channel axis.
    pub layout: Layout,
}

impl Rgb {
    /// Mean of `ImageNet`'s pictures: red, green, blue.
    pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    /// Standard deviation of `ImageNet`'s pictures: red, green, blue.
    pub const IMAGENET_DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

    /// A crop of `height` x `width` with `ImageNet`'s mean and deviation. The picture's shorter side is resized to 8/7
    /// of the crop's longer side, as in the usual pair of 256 and 224.
    pub fn new(height: usize, width: usize, layout: Layout) -> Self {
        let longer = height.max(width);
        Self {
            height,
            width,
            resize: (longer * 16 + 7) / 14,
            mean: Self::IMAGENET_MEAN,
            deviation: Self::IMAGENET_DEVIATION,
            layout,
        }
    }

    /// Puts a picture on white, resizes it, crops its centre and normalises it.
    ///
    /// Shrinking uses the antialiased bilinear filter of Pillow and torchvision: a weighted average of the pixels under
    /// each output pixel, with weights that fall off linearly. If the crop is larger than the picture, the outermost
    /// pixels are repeated. An empty picture counts as white.
    #[expect(clippy::needless_pass_by_value, reason = "views are passed by value")]
    pub fn apply(&self, picture: ArrayView3<'_, u8>) -> Array3<f32> {
        let (rows, columns, channels) = picture.dim();
        let mut nhwc = Array3::<f32>::zeros((self.height, self.width, 3));
        if rows == 0 || columns == 0 || channels != 4 {
            nhwc.fill(1.0);
        } else {
            let scale = self.resize.max(1) as f64 / rows.min(columns) as f64;
            let across: Vec<Taps> = taps(columns, self.width, scale);
            let mut line = vec![[0.0_f32; 3]; columns];
            // Each row of the picture is read once, because the rows of the crop start in ascending order.
            let down = taps(rows, self.height, scale);
            let mut cropped: VecDeque<(usize, Vec<[f32; 3]>)> = VecDeque::new();
            for (Taps { first, weights }, mut out) in down.into_iter().zip(nhwc.outer_iter_mut()) {
                while cropped.front().is_some_and(|(row, _)| *row < first) {
                    cropped.pop_front();
                }
                for (row, weight) in (first..).zip(weights) {
                    let at = cropped.front().map_or(0, |(front, _)| row - front);
                    if at == cropped.len() {
                        flatten(&picture, row, &mut line);
                        cropped.push_back((row, across.iter().map(|taps| taps.apply(&line)).collect()));
                    }
                    for (mut out, value) in out.outer_iter_mut().zip(&cropped[at].1) {
                        out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
                    }
                }
            }
        }
        for mut pixel in nhwc.rows_mut() {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = (*value - self.mean[channel]) / self.deviation[channel];
            }
        }
        match self.layout {
            Layout::Nhwc => nhwc,
            Layout::Nchw => nhwc.permuted_axes([2, 0, 1]).as_standard_layout().into_owned(),
        }
    }
}

/// The input pixels of one output pixel, and the weight of each.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn apply(&self, line: &[[f32; 3]]) -> [f32; 3] {
        let mut sum = [0.0; 3];
        for (pixel, weight) in line[self.first..].iter().zip(&self.weights) {
            sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += weight * value);
        }
        sum
    }
}

/// The taps of one axis: `length` pixels are scaled, and `wanted` pixels are cut from the middle.
fn taps(length: usize, wanted: usize, scale: f64) -> Vec<Taps> {
    let start = (length as f64 * scale - wanted as f64) / 2.0;
    let reach = (1.0 / scale).max(1.0);
    let last = (length - 1) as f64;
    let tap = |at: usize| {
        // The centre of pixel i is at i + 0.5.
        let middle = ((at as f64 + 0.5 + start) / scale - 0.5).clamp(0.0, last);
        let first = (middle - reach).ceil().max(0.0) as usize;
        let end = ((middle + reach).floor() as usize).min(length - 1);
        let weights: Vec<f64> =
            (first..=end).map(|near| (1.0 - (near as f64 - middle).abs() / reach).max(0.0)).collect();
        let sum: f64 = weights.iter().sum();
        Taps { first, weights: weights.iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..wanted).map(tap).collect()
}

/// Puts a row on white. Writes red, green and blue, each 0 to 1.
fn flatten(picture: &ArrayView3<'_, u8>, row: usize, line: &mut [[f32; 3]]) {
    for (pixel, out) in picture.index_axis(Axis(0), row).outer_iter().zip(line) {
        let alpha = f32::from(pixel[3]) / 255.0;
        *out = [0, 1, 2].map(|channel| f32::from(pixel[channel]) / 255.0 * alpha + 1.0 - alpha);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(height: usize, width: usize, resize: usize, layout: Layout) -> Rgb {
        Rgb { height, width, resize, mean: [0.0; 3], deviation: [1.0; 3], layout }
    }

    #[test]
    fn the_usual_sizes_are_imagenet_s() {
        assert_eq!(Rgb::new(224, 224, Layout::Nchw).resize, 256);
        assert_eq!(Rgb::new(299, 299, Layout::Nhwc).resize, 342);
    }

    #[test]
    fn channels_are_normalised_and_laid_out() {
        let mut picture = Array3::from_elem((8, 8, 4), 255_u8);
        picture.slice_mut(ndarray::s![.., .., 1]).fill(0);
        let rgb = Rgb { mean: [0.5, 0.0, 0.0], deviation: [0.5, 1.0, 2.0], ..plain(4, 6, 8, Layout::Nchw) };
        let planes = rgb.apply(picture.view());
        assert_eq!(planes.dim(), (3, 4, 6));
        for (channel, want) in [1.0, 0.0, 0.5].into_iter().enumerate() {
            assert!(planes.index_axis(Axis(0), channel).iter().all(|value| (value - want).abs() < 1e-6));
        }
        let pixels = Rgb { layout: Layout::Nhwc, ..rgb }.apply(picture.view());
        assert_eq!(pixels.dim(), (4, 6, 3));
        assert!((pixels[[3, 5, 2]] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_crop_takes_the_middle() {
        // A ramp to the right: the middle of the crop is the middle of the picture at every scale.
        let picture = Array3::from_shape_fn((60, 240, 4), |(_, column, _)| column as u8);
        for (resize, side) in [(60, 60), (30, 28), (90, 64), (7, 7)] {
            let opaque = {
                let mut picture = picture.clone();
                picture.slice_mut(ndarray::s![.., .., 3]).fill(255);
                picture
            };
            let cropped = plain(side, side, resize, Layout::Nhwc).apply(opaque.view());
            let mean = cropped.mean().unwrap() * 255.0;
            assert!((mean - 119.5).abs() < 0.6, "{resize} {side}: {mean}");
        }
    }

    #[test]
    fn fine_stripes_become_grey_and_not_a_pattern() {
        let stripes =
            Array3::from_shape_fn(
                (256, 256, 4),
                |(_, column, channel)| {
                    if channel == 3 || column % 2 == 0 { 255 } else { 0 }
                },
            );
        let small = plain(32, 32, 32, Layout::Nhwc).apply(stripes.view());
        assert!(small.iter().all(|value| (value - 0.5).abs() < 0.05));
    }

    #[test]
    fn what_is_transparent_is_white() {
        let clear = Array3::<u8>::zeros((3, 5, 4));
        assert!(
            plain(2, 2, 2, Layout::Nchw).apply(clear.view()).iter().all(|value| (value - 1.0).abs() < 1e-6)
        );
        assert!(
            plain(2, 2, 2, Layout::Nchw)
                .apply(Array3::zeros((0, 5, 4)).view())
                .iter()
                .all(|value| (value - 1.0).abs() < 1e-6)
        );
    }

    #[test]
    fn a_line_of_pixels_costs_no_more_than_its_crop() {
        let line = Array3::from_elem((1, 200_000, 4), 255_u8);
        assert_eq!(plain(224, 224, 256, Layout::Nchw).apply(line.view()).dim(), (3, 224, 224));
    }
}
