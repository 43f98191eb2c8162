//! Data augmentation: random distortions that leave a digit readable as the same digit. They are drawn anew for each
//! picture and epoch, so the network never sees the same pixels twice.
//!
//! First, some pictures get a thinner or thicker pen. Then one resampling step rotates, stretches, shears, shifts and
//! bends the picture: it computes where each output pixel lies in the original, and interpolates bilinearly between
//! the four pixels around that point. Last, some pictures are blurred or get noise.

use rand::RngExt;
use rand_distr::StandardNormal;

use crate::data::{PIXELS, SIDE};
use crate::random::Generator;
use crate::simd::vectorised;

/// Largest rotation, in degrees, either way.
const ROTATION_DEGREES: f32 = 12.0;
/// Largest relative stretch of each axis: 0.12 means 12 % longer or shorter.
const STRETCH: f32 = 0.12;
/// Largest slant (shear), in columns per row.
const SLANT: f32 = 0.15;
/// Largest shift along each axis, in pixels.
const SHIFT_PIXELS: f32 = 2.0;
/// Standard deviation of the bending (an elastic distortion) at each control point, in pixels.
const BEND_PIXELS: f32 = 0.6;
/// Number of control points of the bending along each axis. They are evenly spaced over the picture.
const CONTROL_POINTS: usize = 6;

/// Share of the pictures that get a thinner pen, 0 to 1. The same share gets a thicker one.
const PEN_CHANGE_SHARE: f32 = 0.1;
/// Share of the pictures that are blurred, 0 to 1.
const BLUR_SHARE: f32 = 0.03;
/// Share of the pictures that get noise, 0 to 1.
const NOISE_SHARE: f32 = 0.03;
/// Largest noise, in grey values (of 0 to 255).
const LARGEST_NOISE: f32 = 40.0;

/// Width of the zero padding around the original, in pixels. Interpolation then needs no test for the edge.
const BORDER: usize = 2;
/// Rows and columns of the padded picture.
const PADDED: usize = SIDE + 2 * BORDER;

/// The shift along one axis at each control point, in pixels.
type Bend = [[f32; CONTROL_POINTS]; CONTROL_POINTS];

/// One value for each pixel of a row.
type Row<T> = [T; SIDE];

/// Weights of linear interpolation between control points, `[control point, pixel]`: 1 at the control point itself,
/// falling to 0 at the control points beside it.
const BEND_WEIGHTS: [[f32; SIDE]; CONTROL_POINTS] = bend_weights();

const fn bend_weights() -> [[f32; SIDE]; CONTROL_POINTS] {
    let mut weights = [[0.0; SIDE]; CONTROL_POINTS];
    let mut pixel = 0;
    while pixel < SIDE {
        let scaled = pixel * (CONTROL_POINTS - 1);
        let before = scaled / (SIDE - 1);
        let share = (scaled % (SIDE - 1)) as f32 / (SIDE - 1) as f32;
        weights[before][pixel] = 1.0 - share;
        if before + 1 < CONTROL_POINTS {
            weights[before + 1][pixel] = share;
        }
        pixel += 1;
    }
    weights
}

/// Writes a distorted copy of `picture` to `out`, as grey values on the same scale (0 to 255).
pub fn distort(picture: &[u8], generator: &mut Generator, out: &mut [f32]) {
    let mut padded = pad(picture);
    change_pen(&mut padded, generator);
    let [yy, yx, xy, xx] = linear_map(generator);
    let centre = (SIDE - 1) as f32 / 2.0;
    let origin_y = centre + symmetric(generator, SHIFT_PIXELS);
    let origin_x = centre + symmetric(generator, SHIFT_PIXELS);
    let bend_y = random_bend(generator);
    let bend_x = random_bend(generator);
    vectorised(
        #[inline(always)]
        || {
            for (row, out) in out[..PIXELS].chunks_exact_mut(SIDE).enumerate() {
                let y = row as f32 - centre;
                let from_y = source_coordinates(yy * y + origin_y - yx * centre, yx, &bend_y, row);
                let from_x = source_coordinates(xy * y + origin_x - xx * centre, xx, &bend_x, row);
                read_row(&padded, &from_y, &from_x, out);
            }
        },
    );
    if generator.random_range(0.0..1.0_f32) < BLUR_SHARE {
        blur(&mut out[..PIXELS]);
    }
    if generator.random_range(0.0..1.0_f32) < NOISE_SHARE {
        let most = generator.random_range(0.0..LARGEST_NOISE);
        for pixel in &mut out[..PIXELS] {
            *pixel = (*pixel + symmetric(generator, most)).clamp(0.0, 255.0);
        }
    }
}

/// Makes the pen of some pictures thinner or thicker, by at most one pixel on each side.
fn change_pen(padded: &mut [f32; PADDED * PADDED], generator: &mut Generator) {
    let draw = generator.random_range(0.0..1.0_f32);
    let amount = generator.random_range(0.2..1.0_f32);
    if draw < PEN_CHANGE_SHARE {
        // At full strength a thin line would vanish.
        dilate_or_erode(padded, 0.6 * amount, f32::min);
    } else if draw < 2.0 * PEN_CHANGE_SHARE {
        dilate_or_erode(padded, amount, f32::max);
    }
}

/// Moves each grey value towards the `extreme` of itself and its four neighbours, by `share` of the difference: with
/// `f32::max` lines grow (dilation), with `f32::min` they shrink (erosion).
fn dilate_or_erode(padded: &mut [f32; PADDED * PADDED], share: f32, extreme: fn(f32, f32) -> f32) {
    let from = *padded;
    for at in PADDED..PADDED * (PADDED - 1) {
        let around = [at - PADDED, at - 1, at + 1, at + PADDED].map(|neighbour| from[neighbour]);
        let most = around.into_iter().fold(from[at], extreme);
        padded[at] += share * (most - from[at]);
    }
}

/// Blurs the picture: each pixel keeps half of its grey value and takes a quarter of each neighbour's, first along rows
/// and then along columns.
fn blur(picture: &mut [f32]) {
    for stride in [1, SIDE] {
        let from = picture.to_vec();
        let grey = |at: Option<usize>| at.and_then(|at| from.get(at)).copied().unwrap_or(0.0);
        for (at, pixel) in picture.iter_mut().enumerate() {
            *pixel = 0.5 * from[at] + 0.25 * (grey(at.checked_sub(stride)) + grey(Some(at + stride)));
        }
    }
}

/// One coordinate of the points in the original that a row's pixels are read from: a straight line plus the bending.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn source_coordinates(start: f32, slope: f32, bend: &Bend, row: usize) -> Row<f32> {
    let mut coordinates: Row<f32> = std::array::from_fn(|column| start + slope * column as f32);
    for (control, column_weights) in BEND_WEIGHTS.iter().enumerate() {
        let mut shift = 0.0;
        for (line, row_weights) in bend.iter().zip(&BEND_WEIGHTS) {
            shift += line[control] * row_weights[row];
        }
        for (coordinate, weight) in coordinates.iter_mut().zip(column_weights) {
            *coordinate += shift * weight;
        }
    }
    coordinates
}

/// A random 2×2 matrix that maps (row, column) of the result to (row, column) of the original: rotation, stretch and
/// slant.
fn linear_map(generator: &mut Generator) -> [f32; 4] {
    let (sin, cos) = symmetric(generator, ROTATION_DEGREES.to_radians()).sin_cos();
    let height = 1.0 + symmetric(generator, STRETCH);
    let width = 1.0 + symmetric(generator, STRETCH);
    let slant = symmetric(generator, SLANT);
    [cos * height, -sin * width, (sin + slant * cos) * height, (cos - slant * sin) * width]
}

fn symmetric(generator: &mut Generator, largest: f32) -> f32 {
    generator.random_range(-largest..=largest)
}

fn random_bend(generator: &mut Generator) -> Bend {
    std::array::from_fn(|_| std::array::from_fn(|_| generator.sample::<f32, _>(StandardNormal) * BEND_PIXELS))
}

fn pad(picture: &[u8]) -> [f32; PADDED * PADDED] {
    let mut padded = [0.0; PADDED * PADDED];
    let rows = padded[BORDER * PADDED..].chunks_exact_mut(PADDED);
    for (from, to) in picture.chunks_exact(SIDE).zip(rows) {
        for (from, to) in from.iter().zip(&mut to[BORDER..]) {
            *to = f32::from(*from);
        }
    }
    padded
}

/// Writes a row of grey values, interpolated at the points (`y`, `x`) of the original. Outside the original they are 0.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn read_row(padded: &[f32; PADDED * PADDED], y: &Row<f32>, x: &Row<f32>, out: &mut [f32]) {
    let (rows, down) = split(y);
    let (columns, right) = split(x);
    // Only this loop reads pixel by pixel; the compiler vectorises the rest.
    let mut corners = [[0.0; SIDE]; 4];
    for column in 0..SIDE {
        let at = (rows[column] * PADDED as i32 + columns[column]) as usize;
        let at = at.min(PADDED * PADDED - PADDED - 2);
        corners[0][column] = padded[at];
        corners[1][column] = padded[at + 1];
        corners[2][column] = padded[at + PADDED];
        corners[3][column] = padded[at + PADDED + 1];
    }
    let [a, b, c, d] = corners;
    for (column, out) in out.iter_mut().enumerate().take(SIDE) {
        let upper = a[column] + (b[column] - a[column]) * right[column];
        let lower = c[column] + (d[column] - c[column]) * right[column];
        *out = upper + (lower - upper) * down[column];
    }
}

/// Splits coordinates into whole pixels of the padded picture and the fraction of a pixel beyond them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn split(coordinates: &Row<f32>) -> (Row<i32>, Row<f32>) {
    // A point further out than the border reads the border's zeros.
    let limit = (PADDED - 2) as f32;
    let inside = coordinates.map(|coordinate| (coordinate + BORDER as f32).clamp(0.0, limit));
    let whole = inside.map(|coordinate| coordinate as i32);
    (whole, std::array::from_fn(|i| inside[i] - whole[i] as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    /// A blurred ring, about what a digit looks like.
    fn ring() -> Vec<u8> {
        let ring = |i: usize| {
            let (y, x) = ((i / SIDE) as f32 - 13.5, (i % SIDE) as f32 - 13.5);
            (255.0 * (1.0 - ((y.hypot(x) - 7.0) / 2.0).powi(2)).max(0.0)) as u8
        };
        (0..PIXELS).map(ring).collect()
    }

    #[test]
    fn a_distorted_picture_is_another_one_of_about_as_much_ink() {
        let picture = ring();
        let ink: f32 = picture.iter().map(|&p| f32::from(p)).sum();
        for index in 0..50 {
            let mut out = vec![0.0; PIXELS];
            distort(&picture, &mut generator(1, Purpose::Augmentation, 0, index), &mut out);
            let ratio = out.iter().sum::<f32>() / ink;
            assert!((0.3..2.6).contains(&ratio), "ink times {ratio}");
            let changed = out.iter().zip(&picture).filter(|(a, b)| (*a - f32::from(**b)).abs() > 20.0);
            assert!(changed.count() > 20);
            assert!(out.iter().all(|value| (0.0..=255.0).contains(value)));
        }
    }

    #[test]
    fn a_thinner_pen_takes_ink_away_and_a_thicker_one_adds_it() {
        let before = pad(&ring());
        let (mut thin, mut thick) = (before, before);
        dilate_or_erode(&mut thin, 0.6, f32::min);
        dilate_or_erode(&mut thick, 1.0, f32::max);
        let ink = |picture: &[f32]| picture.iter().sum::<f32>();
        assert!(ink(&thin) < 0.9 * ink(&before) && ink(&thin) > 0.2 * ink(&before));
        assert!(ink(&thick) > 1.1 * ink(&before) && ink(&thick) < 2.0 * ink(&before));
        for ((before, thin), thick) in before.iter().zip(&thin).zip(&thick) {
            assert!(thin <= before && before <= thick && *thick <= 255.0);
        }
    }

    #[test]
    fn blur_moves_ink_and_keeps_its_sum() {
        let mut picture: Vec<f32> = ring().into_iter().map(f32::from).collect();
        let before: f32 = picture.iter().sum();
        let most = picture.iter().copied().fold(0.0, f32::max);
        blur(&mut picture);
        assert!((picture.iter().sum::<f32>() - before).abs() < 1e-3 * before);
        assert!(picture.iter().copied().fold(0.0, f32::max) < most);
    }

    #[test]
    fn the_same_key_gives_the_same_picture() {
        let draw = |index| {
            let mut out = vec![0.0; PIXELS];
            distort(&ring(), &mut generator(1, Purpose::Augmentation, 3, index), &mut out);
            out
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn reading_between_pixels_is_bilinear_and_zero_outside() {
        let mut picture = vec![0; PIXELS];
        picture[0] = 100;
        picture[1] = 200;
        let padded = pad(&picture);
        for (y, x, expected) in [(0.0, 0.0, 100.0), (0.0, 0.5, 150.0), (-0.5, 0.5, 75.0), (40.0, -9.0, 0.0)] {
            let mut out = [0.0; SIDE];
            read_row(&padded, &[y; SIDE], &[x; SIDE], &mut out);
            assert!(out.iter().all(|value| (value - expected).abs() < 1e-3), "at {y}, {x}: {out:?}");
        }
    }
}
