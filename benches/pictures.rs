//! Pictures: decoding, and preprocessing for a model.

use std::{hint::black_box, io::Cursor};

use criterion::{Criterion, criterion_group, criterion_main};
use image::{DynamicImage, ImageFormat, RgbaImage};
use pictures::{
    Limits, decode,
    mnist::digits,
    rgb::{Layout, Rgb},
};

/// A handwritten 7: drawn on the canvas of a page, or photographed on paper that is lit from one side.
fn seven(width: u32, height: u32, is_photo: bool) -> DynamicImage {
    let pen = width.min(height) as f32 / 30.0;
    let picture = RgbaImage::from_fn(width, height, |x, y| {
        let (across, down) = (x as f32 / width as f32, y as f32 / height as f32);
        let bar = (down - 0.25).abs() * height as f32 <= pen && (0.3..0.7).contains(&across);
        let stem =
            (across - 0.7 + (down - 0.25) * 0.5).abs() * width as f32 <= pen && (0.25..0.8).contains(&down);
        let light = if is_photo { 0.6 + 0.3 * across } else { 1.0 };
        let grain = if is_photo { (x * 31 + y * 17) % 7 } else { 0 };
        let tone = if bar || stem { 20.0 } else { 245.0 };
        let value = (tone * light) as u8 + grain as u8;
        image::Rgba([value, value, value, 255])
    });
    DynamicImage::ImageRgba8(picture)
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("a picture in memory is encoded");
    bytes.into_inner()
}

fn roads(criterion: &mut Criterion) {
    let canvas = encode(&seven(280, 280, false), ImageFormat::Png);
    let photo = DynamicImage::ImageRgb8(seven(4000, 3000, true).into_rgb8());
    let photo = encode(&photo, ImageFormat::Jpeg);
    let small = DynamicImage::ImageRgb8(seven(640, 480, true).into_rgb8());
    let small = encode(&small, ImageFormat::Jpeg);
    let limits = Limits::default();
    for (name, bytes) in
        [("canvas_280_png", canvas), ("photo_640_jpeg", small), ("photo_12_megapixels_jpeg", photo)]
    {
        let mut group = criterion.benchmark_group(format!("pictures/{name}"));
        group.sample_size(20);
        let picture = decode(&bytes, &limits).expect("an encoded picture is decoded");
        group.bench_function("decode", |bencher| bencher.iter(|| decode(black_box(&bytes), &limits)));
        group.bench_function("mnist", |bencher| bencher.iter(|| digits(black_box(&picture).view())));
        let rgb = Rgb::new(224, 224, Layout::Nchw);
        group.bench_function("rgb", |bencher| bencher.iter(|| rgb.apply(black_box(&picture).view())));
        group.finish();
    }
}

criterion_group!(benches, roads);
criterion_main!(benches);
