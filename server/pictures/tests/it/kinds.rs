//! Less common kinds of files: JPEGs in CMYK, pictures turned by EXIF, animations.

use image::{DynamicImage, ImageFormat, RgbaImage};
use ndarray::s;

use crate::decoding::{anmf, chunk, corner, crc, encode, exif, read, riff, vp8x};

/// A CMYK JPEG of one block, 8 x 8, of one colour. `stored` has the four values as they are in the file.
fn inks(stored: [u8; 4], adobe_transform: Option<u8>) -> Vec<u8> {
    let segment = |marker: u8, data: &[u8]| {
        let length = (data.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], &length[..], data].concat()
    };
    let mut bytes = vec![0xff, 0xd8];
    if let Some(transform) = adobe_transform {
        bytes.extend(segment(0xee, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat()));
    }
    // A quantisation table of ones: nothing is quantised.
    bytes.extend(segment(0xdb, &[vec![0], vec![1; 64]].concat()));
    let components = (1..=4).flat_map(|component| [component, 0x11, 0]);
    bytes.extend(segment(0xc0, &[vec![8, 0, 8, 0, 8, 4], components.collect()].concat()));
    // Huffman codes: differences of 0, 10 and 11 bits have the codes 00, 01 and 10; the end of a block has the code 0.
    bytes.extend(segment(0xc4, &[&[0, 0, 3], &[0; 14][..], &[0, 10, 11]].concat()));
    bytes.extend(segment(0xc4, &[&[0x10, 1], &[0; 15][..], &[0]].concat()));
    let components = (1..=4).flat_map(|component| [component, 0]);
    bytes.extend(segment(0xda, &[vec![4], components.collect(), vec![0, 63, 0]].concat()));
    let mut bits = Vec::new();
    for value in stored {
        let mean = 8 * (i32::from(value) - 128);
        let (code, length) = match mean.unsigned_abs() {
            0 => ([0, 0], 0),
            512..1024 => ([0, 1], 10),
            1024.. => ([1, 0], 11),
            small => panic!("no code for a mean of {small}"),
        };
        let written = if mean < 0 { mean + (1 << length) - 1 } else { mean };
        bits.extend(code);
        bits.extend((0..length).rev().map(|bit| (written >> bit & 1) as u8));
        bits.push(0);
    }
    for bits in bits.chunks(8) {
        // The last byte is padded with ones.
        let byte = (0..8).fold(0, |byte, at| byte << 1 | bits.get(at).unwrap_or(&1));
        bytes.push(byte);
        if byte == 0xff {
            bytes.push(0);
        }
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

#[test]
fn a_cmyk_jpeg_has_the_right_colours() {
    // Adobe's programs and most others store inks inverted: 255 means no ink.
    for (stored, colour) in [
        ([255, 255, 255, 255], [255, 255, 255]),
        ([255, 0, 0, 255], [255, 0, 0]),
        ([0, 255, 255, 255], [0, 255, 255]),
        ([255, 255, 255, 0], [0, 0, 0]),
    ] {
        let picture = read(&inks(stored, Some(0))).unwrap();
        assert_eq!(picture.dim(), (8, 8, 4));
        for (value, want) in picture.slice(s![4, 4, ..3]).iter().zip(colour) {
            assert!(value.abs_diff(want) <= 2, "{stored:?}: {:?}", picture.slice(s![4, 4, ..]));
        }
    }
}

#[test]
fn a_webp_is_turned_as_its_camera_was() {
    const HAS_EXIF: u8 = 8;
    let image = encode(&corner(), ImageFormat::WebP)[12..].to_vec();
    for (orientation, (row, column)) in [
        (1, (0, 0)),
        (2, (0, 4)),
        (3, (2, 4)),
        (4, (2, 0)),
        (5, (0, 0)),
        (6, (0, 2)),
        (7, (4, 2)),
        (8, (4, 0)),
    ] {
        let block = chunk(b"EXIF", &exif(orientation));
        let picture = read(&riff(&[vp8x(HAS_EXIF), image.clone(), block])).unwrap();
        assert_eq!(picture.dim(), if orientation < 5 { (3, 5, 4) } else { (5, 3, 4) }, "{orientation}");
        assert_eq!(picture.slice(s![row, column, ..]).to_vec(), [255, 0, 0, 255], "{orientation}");
    }
}

/// A picture of 5 x 3 pixels of one colour.
fn plain(red: u8) -> DynamicImage {
    DynamicImage::ImageRgba8(RgbaImage::from_pixel(5, 3, image::Rgba([red, 0, 0, 255])))
}

fn png_chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
    let named = [name, data].concat();
    [&(data.len() as u32).to_be_bytes()[..], &named, &crc(&named).to_be_bytes()].concat()
}

/// An animated PNG of two frames. The picture for programs that do not support animations is the first frame or, with
/// `of_its_own`, a third picture.
fn apng(of_its_own: bool) -> Vec<u8> {
    let frame_control = |number: u8| {
        let mut data = vec![0, 0, 0, number, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        data.extend([0, 1, 0, 10, 0, 0]);
        png_chunk(b"fcTL", &data)
    };
    // The chunk with the pixels.
    let pixels = |red: u8| {
        let png = encode(&plain(red), ImageFormat::Png);
        let at = png.windows(4).position(|name| name == b"IDAT").unwrap();
        png[at + 4..png.len() - 16].to_vec()
    };
    let later = |number: u8, red: u8| png_chunk(b"fdAT", &[vec![0, 0, 0, number], pixels(red)].concat());
    let png = encode(&plain(200), ImageFormat::Png);
    let mut bytes = png[..33].to_vec();
    bytes.extend(png_chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]));
    let whole = png_chunk(b"IDAT", &pixels(200));
    if of_its_own {
        bytes.extend([whole, frame_control(0), later(1, 100), frame_control(2), later(3, 50)].concat());
    } else {
        bytes.extend([frame_control(0), whole, frame_control(1), later(2, 50)].concat());
    }
    bytes.extend(png_chunk(b"IEND", &[]));
    bytes
}

#[test]
fn the_first_frame_of_an_animated_png_is_read_or_the_picture_that_it_has_instead() {
    for of_its_own in [false, true] {
        let picture = read(&apng(of_its_own)).unwrap();
        assert_eq!(picture.dim(), (3, 5, 4));
        assert_eq!(picture.slice(s![1, 2, ..]).to_vec(), [200, 0, 0, 255], "{of_its_own}");
    }
}

#[test]
fn the_first_frame_of_an_animated_webp_is_read() {
    const ANIMATED: u8 = 2;
    let frame = |red: u8| anmf([0, 0, 4, 2], &[encode(&plain(red), ImageFormat::WebP)[12..].to_vec()]);
    let bytes = riff(&[vp8x(ANIMATED), chunk(b"ANIM", &[0; 6]), frame(200), frame(50)]);
    let picture = read(&bytes).unwrap();
    assert_eq!(picture.dim(), (3, 5, 4));
    assert!(picture.slice(s![1, 2, ..]).iter().zip([200, 0, 0, 255]).all(|(a, b)| a.abs_diff(b) <= 1));
}
