//! Pictures as people send them, and models that take them.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use oip::{Datatype, Shape, Tensor};
use onnx_graph::proto::{AttributeProto, GraphProto, NodeProto, attribute_type};

use super::models::{model, node, tensor};

/// The configuration of a model that takes digits.
pub(crate) const MNIST: &str = "[image]\npreprocess = \"mnist\"\n";

/// Strokes of a seven in a square of 1 x 1.
const SEVEN: [[(f32, f32); 2]; 2] = [[(0.3, 0.2), (0.7, 0.2)], [(0.7, 0.2), (0.42, 0.82)]];

/// Strokes of a one.
const ONE: [[(f32, f32); 2]; 1] = [[(0.5, 0.18), (0.5, 0.82)]];

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = picture.to_rgb8(); // grey is not for every format
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// How far a point is from a stroke.
fn distance((x, y): (f32, f32), [(x0, y0), (x1, y1)]: [(f32, f32); 2]) -> f32 {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let along = (((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    ((x - x0 - along * dx).powi(2) + (y - y0 - along * dy).powi(2)).sqrt()
}

/// Dark strokes on white paper, for each a square of `side` pixels, side by side.
fn drawn(digits: &[&[[(f32, f32); 2]]], side: u32) -> DynamicImage {
    let pixel = |x: u32, y: u32| {
        let point = ((x % side) as f32 / side as f32, y as f32 / side as f32);
        let strokes = digits[(x / side) as usize];
        let is_ink = strokes.iter().any(|&stroke| distance(point, stroke) < 0.04);
        Luma([if is_ink { 20 } else { 255 }])
    };
    DynamicImage::ImageLuma8(GrayImage::from_fn(side * digits.len() as u32, side, pixel))
}

/// A drawn seven, 280 x 280.
pub(crate) fn seven(format: ImageFormat) -> Vec<u8> {
    encoded(&drawn(&[&SEVEN], 280), format)
}

/// A one and a seven beside it, 560 x 280.
pub(crate) fn one_and_seven() -> Vec<u8> {
    encoded(&drawn(&[&ONE, &SEVEN], 280), ImageFormat::Png)
}

/// White paper.
pub(crate) fn blank() -> Vec<u8> {
    encoded(&drawn(&[&[]], 100), ImageFormat::Png)
}

/// One colour all over.
pub(crate) fn plain(width: u32, height: u32, colour: [u8; 3], format: ImageFormat) -> Vec<u8> {
    encoded(&DynamicImage::ImageRgb8(RgbImage::from_pixel(width, height, Rgb(colour))), format)
}

/// A picture of so many pixels that takes long to decode, since nothing in it repeats.
pub(crate) fn noise(side: u32) -> Vec<u8> {
    let random = fastrand::Rng::with_seed(7);
    let random = std::cell::RefCell::new(random);
    let pixel = |_, _| Rgb([(); 3].map(|()| random.borrow_mut().u8(..)));
    encoded(&DynamicImage::ImageRgb8(RgbImage::from_fn(side, side, pixel)), ImageFormat::Png)
}

/// The head of a PNG of 50,000 x 50,000 pixels, with next to nothing after it.
pub(crate) fn claim() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let side = 50_000_u32.to_be_bytes();
    chunk(&mut bytes, *b"IHDR", &[&side[..], &side, &[8, 6, 0, 0, 0]].concat());
    chunk(&mut bytes, *b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]);
    chunk(&mut bytes, *b"IEND", &[]);
    bytes
}

fn chunk(bytes: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    bytes.extend((data.len() as u32).to_be_bytes());
    let start = bytes.len();
    bytes.extend(kind);
    bytes.extend(data);
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[start..]);
    bytes.extend(sum.sum().to_be_bytes());
}

/// What a digit model sees of a picture.
pub(crate) fn seen(picture: &[u8]) -> Vec<u8> {
    let picture = pictures::decode(picture, &pictures::Limits::default()).unwrap();
    let digit = pictures::mnist::digit(picture.view()).unwrap();
    digit.pixels.iter().flat_map(|&pixel| (f32::from(pixel) / 255.0).to_le_bytes()).collect()
}

/// BYTES of shape `[n]`.
pub(crate) fn elements(elements: &[&[u8]]) -> Tensor {
    let mut data = Vec::new();
    for element in elements {
        oip::push_bytes_element(&mut data, element);
    }
    Tensor::new(Datatype::Bytes, Shape::from(&[elements.len()][..]), data.into()).unwrap()
}

/// `y`, shape `[N, 3]`: the mean over the two axes of `x` that are those of pixels, and `x` of this shape.
pub(crate) fn mean_colour(datatype: Datatype, dims: &[&str], axes: [i64; 2]) -> Vec<u8> {
    let attribute =
        |name: &str, kind| AttributeProto { name: name.into(), r#type: kind, ..AttributeProto::default() };
    let to = AttributeProto { i: 1, ..attribute("to", attribute_type::INT) };
    let axes = AttributeProto { ints: axes.to_vec(), ..attribute("axes", attribute_type::INTS) };
    let keep = attribute("keepdims", attribute_type::INT); // 0
    model(GraphProto {
        node: vec![
            NodeProto { attribute: vec![to], ..node("Cast", &["x"], "floats") },
            NodeProto { attribute: vec![axes, keep], ..node("ReduceMean", &["floats"], "y") },
        ],
        input: vec![tensor("x", datatype, dims)],
        output: vec![tensor("y", Datatype::Fp32, &["N", "3"])],
        ..GraphProto::default()
    })
}
