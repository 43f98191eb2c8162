//! Turns ink into a picture with the colours, light and noise of paper, cameras and scanners.

use ndarray::{Array2, Array3};

use super::dice::Dice;

/// Red, green, blue.
type Colour = [f32; 3];

/// Typical pairs of ink and background colour.
const COLOURS: &[(Colour, Colour)] = &[
    ([0.0, 0.0, 0.0], [255.0, 255.0, 255.0]),
    ([255.0, 255.0, 255.0], [0.0, 0.0, 0.0]),
    ([32.0, 60.0, 160.0], [250.0, 246.0, 230.0]),
    ([40.0, 40.0, 40.0], [235.0, 235.0, 235.0]),
];

/// How a picture was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Exported from a drawing canvas: clean colours.
    Canvas,
    /// Taken by a camera or a scanner: uneven light, noise, blur, low contrast.
    Camera,
}

/// Draws ink, `[row, column]` from 0 to 1, on a background. Returns `[row, column, channel]` with the channels red,
/// green, blue, alpha.
pub fn picture(ink: &Array2<f32>, taken: Taken, dice: &mut Dice<'_>) -> Array3<u8> {
    match taken {
        Taken::Canvas => {
            let (ink_colour, ground) = COLOURS[dice.below(COLOURS.len())];
            // Some pictures have a transparent background or faint ink.
            let clear = dice.chance(0.1) && ink_colour[0] < 128.0;
            let strength = if dice.chance(0.15) { dice.between(0.08, 0.6) } else { 1.0 };
            let (rows, columns) = ink.dim();
            Array3::from_shape_fn((rows, columns, 4), |(row, column, channel)| {
                let here = ink[[row, column]] * strength;
                match (channel, clear) {
                    (3, true) => (255.0 * here) as u8,
                    (3, false) => 255,
                    (channel, true) => ink_colour[channel] as u8,
                    (channel, false) => {
                        (ground[channel] + (ink_colour[channel] - ground[channel]) * here).round() as u8
                    }
                }
            })
        }
        Taken::Camera => photograph(ink, dice),
    }
}

fn photograph(ink: &Array2<f32>, dice: &mut Dice<'_>) -> Array3<u8> {
    let (rows, columns) = ink.dim();
    let blurred = if dice.chance(0.6) {
        blur(ink, 1 + rows.min(columns) / (60 + dice.below(200)))
    } else {
        ink.clone()
    };
    let paper = dice.between(130.0, 250.0);
    let contrast = dice.between(0.25, 0.95);
    // The light falls off to one side and in the corners.
    let (slope_x, slope_y) = (dice.between(-0.25, 0.25), dice.between(-0.25, 0.25));
    let corner = dice.between(0.0, 0.2);
    let grain = if dice.chance(0.7) { dice.between(1.0, 9.0) } else { 0.0 };
    let inverted = dice.chance(0.1);
    let mut grey = Array2::from_shape_fn((rows, columns), |(row, column)| {
        let (y, x) = (row as f32 / rows as f32 - 0.5, column as f32 / columns as f32 - 0.5);
        let light = 1.0 + slope_x * x + slope_y * y - corner * 2.0 * (x * x + y * y);
        paper * light * (1.0 - contrast * blurred[[row, column]])
    });
    if grain > 0.0 {
        grey.mapv_inplace(|value| value + grain * dice.between(-1.7, 1.7));
    }
    Array3::from_shape_fn((rows, columns, 4), |(row, column, channel)| {
        let value = grey[[row, column]].clamp(0.0, 255.0) as u8;
        match channel {
            3 => 255,
            _ if inverted => 255 - value,
            _ => value,
        }
    })
}

/// Box blur along both axes: the mean over `radius` pixels to each side.
fn blur(ink: &Array2<f32>, radius: usize) -> Array2<f32> {
    let along = |from: &Array2<f32>| {
        let mut to = from.clone();
        let length = from.ncols();
        for (from, mut to) in from.rows().into_iter().zip(to.rows_mut()) {
            // A running sum over the row; beyond its ends, the outermost pixels are repeated.
            let at = |index: isize| from[index.clamp(0, length as isize - 1) as usize];
            let reach = radius as isize;
            let mut sum: f32 = (-reach..=reach).map(at).sum();
            for (index, value) in to.iter_mut().enumerate() {
                *value = (sum / (2 * radius + 1) as f32).clamp(0.0, 1.0);
                sum += at(index as isize + reach + 1) - at(index as isize - reach);
            }
        }
        to
    };
    let across = along(ink).reversed_axes().as_standard_layout().into_owned();
    along(&across).reversed_axes().as_standard_layout().into_owned()
}
