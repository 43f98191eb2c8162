//! Properties that hold for all pictures.

use ndarray::{Array2, Array3, Axis, concatenate};
use pictures::{
    Limits, Rgba, decode,
    mnist::{digit, digits},
    rgb::{Layout, Rgb},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::drawing::{ALL, BLACK, Pen, Strokes, WHITE, cover, difference, paint};

fn drawn(strokes: Strokes, left: f32, top: f32, size: f32, width: f32) -> Array2<f32> {
    cover(240, 240, &[(strokes, Pen { left, top, size, width })])
}

fn seen(picture: &Rgba) -> Array2<u8> {
    digit(picture.view()).unwrap().pixels
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_digit_is_the_same_wherever_and_however_large_it_is_drawn(
        strokes in select(&ALL[..]), left in 10.0_f32..80.0, top in 10.0_f32..90.0, size in 70.0_f32..130.0,
    ) {
        let here = seen(&paint(&drawn(strokes, left, top, size, size / 10.0), WHITE, BLACK));
        let there = seen(&paint(&drawn(strokes, 60.0, 60.0, 120.0, 12.0), WHITE, BLACK));
        prop_assert!(difference(&here, &there) < 0.25, "{}", difference(&here, &there));
    }

    #[test]
    fn a_digit_is_the_same_in_all_colours(
        strokes in select(&ALL[..]), left in 10.0_f32..80.0, width in 4.0_f32..18.0,
        ground in 0_u8..=255, contrast in 60_u8..=255,
    ) {
        let cover = drawn(strokes, left, 50.0, 120.0, width);
        let plain = seen(&paint(&cover, WHITE, BLACK));
        let other = if ground > 127 { ground.saturating_sub(contrast) } else { ground.saturating_add(contrast) };
        let opaque = |value: u8| [value, value, value, 255];
        let pictures = [
            paint(&cover, BLACK, WHITE),
            paint(&cover, opaque(ground), opaque(other)),
            paint(&cover, [0; 4], BLACK),
            paint(&cover, [255, 255, 255, 0], WHITE),
            paint(&cover, [90, 90, 90, 0], [200, 30, 30, 255]),
        ];
        for picture in pictures {
            let apart = difference(&plain, &seen(&picture));
            prop_assert!(apart < 0.25, "{apart}");
        }
    }

    #[test]
    fn margins_change_nothing(strokes in select(&ALL[..]), rows in 0_usize..200, columns in 0_usize..200) {
        let picture = paint(&drawn(strokes, 60.0, 60.0, 120.0, 12.0), WHITE, BLACK);
        let wider = concatenate![Axis(0), picture, Array3::from_elem((rows, 240, 4), 255)];
        let wider = concatenate![Axis(1), Array3::from_elem((240 + rows, columns, 4), 255), wider];
        let apart = difference(&seen(&picture), &seen(&wider));
        prop_assert!(apart < 0.1, "{apart}");
    }

    #[test]
    fn any_array_has_digits_inside_of_it_or_none(
        rows in 0_usize..40, columns in 0_usize..40, channels in 3_usize..6, bytes in vec(any::<u8>(), 64),
        step in 1_usize..90,
    ) {
        let picture = Array3::from_shape_fn((rows, columns, channels), |(row, column, channel)| {
            bytes[((row * columns + column) / step * 4 + channel) % bytes.len()]
        });
        if let Ok(found) = digits(picture.view()) {
            prop_assert!(!found.is_empty());
            for digit in found {
                prop_assert_eq!(digit.pixels.dim(), (28, 28));
                prop_assert_eq!(digit.pixels.iter().max(), Some(&255));
                prop_assert!(digit.bounds.left + digit.bounds.width <= columns);
                prop_assert!(digit.bounds.top + digit.bounds.height <= rows);
            }
        }
        let turned = picture.view().permuted_axes([1, 0, 2]);
        let _ = digits(turned);
        let values = Rgb::new(5, 7, Layout::Nchw).apply(picture.view());
        prop_assert!(values.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn any_bytes_are_a_picture_or_an_error(head in select(&HEADS[..]), rest in vec(any::<u8>(), 0..300)) {
        let bytes = [head, &rest].concat();
        let limits = Limits { max_pixels: 1 << 16 };
        match decode(&bytes, &limits) {
            Ok(picture) => prop_assert!(picture.len() <= 4 << 16),
            Err(why) => prop_assert!(!why.to_string().is_empty()),
        }
    }
}

/// First bytes of the supported formats.
const HEADS: [&[u8]; 9] = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x08\0\0\0\x08\x08\x06\0\0\0",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"\xff\xd8\xff\xc0\0\x11\x08\0\x10\0\x10\x03",
    b"RIFF\x40\0\0\0WEBPVP8L",
    b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0",
    b"GIF89a\x10\0\x10\0\x80",
    b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x10\0\0\0\x10\0\0\0\x01\0\x18\0",
];
