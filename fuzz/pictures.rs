//! Fuzz target of the picture decoder: any input must be refused, or decoded within the limits and preprocessed.
//!
//! It runs like the decoders' targets: `cargo test -p fuzz` for two seconds, `DECIMA_FUZZ_SECONDS` for longer.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    env,
    io::Cursor,
    time::{Duration, Instant},
};

use image::{DynamicImage, ImageFormat, RgbaImage};
use pictures::{
    Limits, decode,
    decode::dimensions,
    mnist::digits,
    rgb::{Layout, Rgb},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{FileFailurePersistence, TestRunner},
};

/// A change to an encoded picture. Positions are taken modulo its length.
#[derive(Clone, Debug)]
enum Edit {
    Set { at: u16, byte: u8 },
    Delete { at: u16, length: u8 },
    Repeat { at: u16, length: u8, times: u8 },
    Length { at: u16, value: u32, is_big: bool },
    Cut { at: u16 },
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        // Most headers are at the start of a file.
        4 => (0_u16..64, any::<u8>()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Edit::Delete { at, length }),
        1 => (any::<u16>(), any::<u8>(), 1_u8..9)
            .prop_map(|(at, length, times)| Edit::Repeat { at, length, times }),
        2 => (0_u16..64, any::<u32>(), any::<bool>())
            .prop_map(|(at, value, is_big)| Edit::Length { at, value, is_big }),
        1 => any::<u16>().prop_map(|at| Edit::Cut { at }),
    ]
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) % bytes.len().max(1);
        match *self {
            _ if bytes.is_empty() => {}
            Self::Set { at, byte } => {
                let at = place(at);
                bytes[at] = byte;
            }
            Self::Delete { at, length } => {
                let at = place(at);
                let end = (at + usize::from(length)).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Repeat { at, length, times } => {
                let at = place(at);
                let part = bytes[at..(at + usize::from(length)).min(bytes.len())].repeat(usize::from(times));
                bytes.splice(at..at, part);
            }
            Self::Length { at, value, is_big } => {
                let value = if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
                for (byte, new) in bytes.iter_mut().skip(usize::from(at)).zip(value) {
                    *byte = new;
                }
            }
            Self::Cut { at } => bytes.truncate(place(at)),
        }
    }
}

/// A drawing in every supported format and several depths, and one file with two frames.
fn seeds() -> Vec<Vec<u8>> {
    let drawing = RgbaImage::from_fn(24, 20, |x, y| {
        let is_ink = (3..17).contains(&y) && (8..12).contains(&x);
        image::Rgba(if is_ink { [20, 20, 60, 255] } else { [250, 250, 240, if y < 2 { 0 } else { 255 }] })
    });
    let mut frames = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut frames);
    for _ in 0..2 {
        encoder.encode_frame(image::Frame::new(drawing.clone())).unwrap();
    }
    drop(encoder);
    let drawing = DynamicImage::ImageRgba8(drawing);
    let encode = |picture: DynamicImage, format: ImageFormat| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    vec![
        encode(drawing.clone(), ImageFormat::Png),
        encode(drawing.to_luma16().into(), ImageFormat::Png),
        encode(drawing.clone(), ImageFormat::WebP),
        encode(drawing.to_rgb8().into(), ImageFormat::WebP),
        encode(drawing.clone(), ImageFormat::Bmp),
        encode(drawing.to_luma8().into(), ImageFormat::Bmp),
        encode(drawing.to_rgb8().into(), ImageFormat::Jpeg),
        encode(drawing.to_luma8().into(), ImageFormat::Jpeg),
        frames,
    ]
}

fn check(bytes: &[u8]) {
    let limits = Limits { max_pixels: 1 << 14 };
    let size = dimensions(bytes);
    match decode(bytes, &limits) {
        Ok(picture) => {
            let (rows, columns, channels) = picture.dim();
            assert!(channels == 4 && rows * columns <= 1 << 14);
            let (width, height) = size.unwrap();
            assert_eq!(width as usize * height as usize, rows * columns);
            for digit in digits(picture.view()).unwrap_or_default() {
                assert_eq!(digit.pixels.dim(), (28, 28));
                assert!(digit.bounds.left + digit.bounds.width <= columns);
                assert!(digit.bounds.top + digit.bounds.height <= rows);
            }
            let values = Rgb::new(8, 8, Layout::Nchw).apply(picture.view());
            assert!(values.iter().all(|value| value.is_finite()));
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

#[test]
fn pictures_are_decoded_or_refused() {
    let seeds = seeds();
    for seed in &seeds {
        decode(seed, &Limits::default()).unwrap();
    }
    let seconds = env::var("DECIMA_FUZZ_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds);
    let cases = (0..seeds.len(), vec(edit(), 0..6));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions"))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    });
    while Instant::now() < until {
        let run = runner.run(&cases, |(seed, edits)| {
            let mut bytes = seeds[seed].clone();
            for edit in &edits {
                edit.apply(&mut bytes);
            }
            check(&bytes);
            Ok(())
        });
        run.unwrap();
    }
}
