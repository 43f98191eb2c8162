//! Distortions that leave a digit the same digit: the network never sees a picture twice.
//!
//! A picture's pen is made thinner or thicker; it is turned, stretched, slanted, moved and bent a little, all in
//! one resampling: for every pixel of the result the place in the original is worked out, and read between its
//! four neighbours; and some pictures are blurred or get grain.

use rand::RngExt;
use rand_distr::StandardNormal;

use crate::data::{PIXELS, SIDE};
use crate::random::Generator;
use crate::simd::vectorised;

/// Largest rotation, in degrees, either way.
const ROTATION_DEGREES: f32 = 12.0;
/// Largest relative stretch of each axis.
const STRETCH: f32 = 0.12;
/// Largest slant: columns moved per row.
const SLANT: f32 = 0.15;
/// Largest move along each axis, in pixels.
const SHIFT_PIXELS: f32 = 2.0;
/// Standard deviation of the bending at each control point, in pixels.
const BEND_PIXELS: f32 = 0.6;
/// Control points of the bending along each axis, evenly spread over the picture.
const CONTROLS: usize = 6;

/// Share of the pictures whose pen is made thinner, and as many thicker.
const OTHER_PENS: f32 = 0.1;
/// Share of the pictures that are blurred.
const BLURRED: f32 = 0.03;
/// Share of the pictures that get grain.
const GRAINY: f32 = 0.03;
/// Largest grain, on the scale of grey values.
const GRAIN: f32 = 40.0;

/// Zeros around the original, so that reading between pixels needs no test for the edge.
const BORDER: usize = 2;
const PADDED: usize = SIDE + 2 * BORDER;

/// Moves along one axis at every control point.
type Bend = [[f32; CONTROLS]; CONTROLS];

/// One row's places in the original, or their parts.
type Row<T> = [T; SIDE];

/// How much each control point says about each pixel: all at its own place, nothing at its neighbours'.
const HATS: [[f32; SIDE]; CONTROLS] = hats();

const fn hats() -> [[f32; SIDE]; CONTROLS] {
    let mut hats = [[0.0; SIDE]; CONTROLS];
    let mut pixel = 0;
    while pixel < SIDE {
        let scaled = pixel * (CONTROLS - 1);
        let before = scaled / (SIDE - 1);
        let share = (scaled % (SIDE - 1)) as f32 / (SIDE - 1) as f32;
        hats[before][pixel] = 1.0 - share;
        if before + 1 < CONTROLS {
            hats[before + 1][pixel] = share;
        }
        pixel += 1;
    }
    hats
}

/// Writes a distorted copy of `picture` to `out`, grey values on the same scale (0 to 255).
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
                let from_y = places(yy * y + origin_y - yx * centre, yx, &bend_y, row);
                let from_x = places(xy * y + origin_x - xx * centre, xx, &bend_x, row);
                read_row(&padded, &from_y, &from_x, out);
            }
        },
    );
    if generator.random_range(0.0..1.0_f32) < BLURRED {
        blur(&mut out[..PIXELS]);
    }
    if generator.random_range(0.0..1.0_f32) < GRAINY {
        let most = generator.random_range(0.0..GRAIN);
        for pixel in &mut out[..PIXELS] {
            *pixel = (*pixel + symmetric(generator, most)).clamp(0.0, 255.0);
        }
    }
}

/// Makes the pen thinner or thicker by up to a pixel on each side, or leaves it.
fn change_pen(padded: &mut [f32; PADDED * PADDED], generator: &mut Generator) {
    let draw = generator.random_range(0.0..1.0_f32);
    let amount = generator.random_range(0.2..1.0_f32);
    if draw < OTHER_PENS {
        // A thin pen must leave something: half of the way is enough.
        spread(padded, 0.6 * amount, f32::min);
    } else if draw < 2.0 * OTHER_PENS {
        spread(padded, amount, f32::max);
    }
}

/// Moves every pixel by a share of the way to the `extreme` of itself and its four neighbours.
fn spread(padded: &mut [f32; PADDED * PADDED], share: f32, extreme: fn(f32, f32) -> f32) {
    let from = *padded;
    for at in PADDED..PADDED * (PADDED - 1) {
        let around = [at - PADDED, at - 1, at + 1, at + PADDED].map(|neighbour| from[neighbour]);
        let most = around.into_iter().fold(from[at], extreme);
        padded[at] += share * (most - from[at]);
    }
}

/// Shares every pixel's grey among its neighbours.
fn blur(picture: &mut [f32]) {
    for stride in [1, SIDE] {
        let from = picture.to_vec();
        let grey = |at: Option<usize>| at.and_then(|at| from.get(at)).copied().unwrap_or(0.0);
        for (at, pixel) in picture.iter_mut().enumerate() {
            *pixel = 0.5 * from[at] + 0.25 * (grey(at.checked_sub(stride)) + grey(Some(at + stride)));
        }
    }
}

/// One coordinate of a row's places: a straight line, bent.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn places(start: f32, slope: f32, bend: &Bend, row: usize) -> Row<f32> {
    let mut places: Row<f32> = std::array::from_fn(|column| start + slope * column as f32);
    for (control, hat) in HATS.iter().enumerate() {
        let mut height = 0.0;
        for (line, weight) in bend.iter().zip(&HATS) {
            height += line[control] * weight[row];
        }
        for (place, weight) in places.iter_mut().zip(hat) {
            *place += height * weight;
        }
    }
    places
}

/// The 2×2 map from the result's (row, column) to the original's: rotation, stretch and slant.
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

/// Writes the grey values at a row's places in the original, 0 outside.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn read_row(padded: &[f32; PADDED * PADDED], y: &Row<f32>, x: &Row<f32>, out: &mut [f32]) {
    let (rows, down) = split(y);
    let (columns, right) = split(x);
    // The four neighbours are fetched one by one, everything else is done for many pixels at once.
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

/// Places as whole pixels of the padded picture, and what is left over.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn split(places: &Row<f32>) -> (Row<i32>, Row<f32>) {
    // Anything further out than the border reads the same zeros.
    let limit = (PADDED - 2) as f32;
    let inside = places.map(|place| (place + BORDER as f32).clamp(0.0, limit));
    let whole = inside.map(|place| place as i32);
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
        spread(&mut thin, 0.6, f32::min);
        spread(&mut thick, 1.0, f32::max);
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
