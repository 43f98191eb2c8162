//! Decoding of pictures, whole and damaged.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbaImage};
use ndarray::s;
use pictures::{
    DecodeError, Limits, decode,
    decode::{Format, dimensions},
};

/// A picture of 3 rows and 5 columns: red at the top left, else white.
pub(crate) fn corner() -> DynamicImage {
    let mut picture = RgbaImage::from_pixel(5, 3, image::Rgba([255; 4]));
    picture.put_pixel(0, 0, image::Rgba([255, 0, 0, 255]));
    DynamicImage::ImageRgba8(picture)
}

pub(crate) fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn read(bytes: &[u8]) -> Result<pictures::Rgba, DecodeError> {
    decode(bytes, &Limits::default())
}

const EXACT: [ImageFormat; 4] = [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp];

#[test]
fn every_format_is_read() {
    for format in EXACT {
        let bytes = encode(&corner(), format);
        let picture = read(&bytes).unwrap();
        assert_eq!(picture.dim(), (3, 5, 4), "{format:?}");
        assert_eq!(picture.slice(s![0, 0, ..]).to_vec(), [255, 0, 0, 255], "{format:?}");
        assert_eq!(picture.slice(s![2, 4, ..]).to_vec(), [255; 4], "{format:?}");
        assert_eq!(dimensions(&bytes).unwrap(), (5, 3));
    }
    let jpeg = encode(&DynamicImage::ImageRgb8(corner().into_rgb8()), ImageFormat::Jpeg);
    assert_eq!(read(&jpeg).unwrap().dim(), (3, 5, 4));
    assert_eq!(dimensions(&jpeg).unwrap(), (5, 3));
}

#[test]
fn depths_and_colours_become_eight_bits_of_each() {
    let corner = corner();
    let kinds = [
        DynamicImage::ImageLuma8(corner.to_luma8()),
        DynamicImage::ImageLumaA8(corner.to_luma_alpha8()),
        DynamicImage::ImageRgb8(corner.to_rgb8()),
        DynamicImage::ImageLuma16(corner.to_luma16()),
        DynamicImage::ImageRgb16(corner.to_rgb16()),
        DynamicImage::ImageRgba16(corner.to_rgba16()),
    ];
    for kind in kinds {
        let picture = read(&encode(&kind, ImageFormat::Png)).unwrap();
        assert_eq!(picture.slice(s![1, 1, ..]).to_vec(), [255; 4], "{:?}", kind.color());
        assert!(picture[[0, 0, 1]] < 90, "{:?}", kind.color());
    }
}

/// An EXIF block with only an orientation.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// The checksum at the end of a PNG chunk (CRC-32, ISO 3309).
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    })
}

#[test]
fn a_picture_is_turned_as_its_camera_was() {
    // The position of the red corner, by orientation.
    let turned = [(1, (0, 0)), (2, (0, 4)), (3, (2, 4)), (4, (2, 0)), (6, (0, 2)), (8, (4, 0))];
    for (orientation, (row, column)) in turned {
        let mut chunk = b"eXIf".to_vec();
        chunk.extend(exif(orientation));
        let mut png = encode(&corner(), ImageFormat::Png);
        let length = (chunk.len() as u32 - 4).to_be_bytes();
        let sum = crc(&chunk).to_be_bytes();
        png.splice(33..33, length.into_iter().chain(chunk).chain(sum));
        let picture = read(&png).unwrap();
        assert_eq!(picture.slice(s![row, column, ..]).to_vec(), [255, 0, 0, 255], "{orientation}");

        let large = corner().resize_exact(80, 48, image::imageops::FilterType::Nearest);
        let mut jpeg = encode(&DynamicImage::ImageRgb8(large.into_rgb8()), ImageFormat::Jpeg);
        let block = exif(orientation);
        let head = [0xff, 0xe1, 0, (8 + block.len()) as u8];
        jpeg.splice(2..2, head.into_iter().chain(*b"Exif\0\0").chain(block));
        let picture = read(&jpeg).unwrap();
        assert!(picture[[row * 16 + 8, column * 16 + 8, 1]] < 60, "{orientation}");
    }
}

#[test]
fn a_picture_that_is_too_large_is_refused_before_memory_is_allocated() {
    let limits = Limits { max_pixels: 1000 };
    for format in EXACT {
        let bytes = encode(&DynamicImage::new_rgba8(40, 26), format);
        let error = decode(&bytes, &limits).unwrap_err();
        assert_eq!(error, DecodeError::TooLarge { width: 40, height: 26, limit: 1000 });
    }
    let mut png = encode(&corner(), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let error = read(&png).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the picture has 50000 x 50000 pixels, more than the limit of 16777216: make it smaller"
    );
    let mut bmp = encode(&corner(), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0x80]);
    assert!(matches!(read(&bmp), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn frames_larger_than_the_picture_are_refused() {
    // A screen of 5 x 3, and a frame whose header says 65535 x 65535.
    let mut gif = encode(&corner(), ImageFormat::Gif);
    let at = gif.windows(9).position(|at| at == [0x2c, 0, 0, 0, 0, 5, 0, 3, 0]).unwrap();
    gif[at + 5..at + 9].fill(0xff);
    assert!(matches!(read(&gif), Err(DecodeError::Broken { format: Format::Gif, .. })));
    // A frame that is a little larger is cut.
    let mut gif = encode(&corner(), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[2, 0, 2, 0]);
    assert_eq!(read(&gif).unwrap().dim(), (2, 2, 4));
    // A frame that is much larger is refused, although a decoder would have the memory for it.
    let mut gif = encode(&corner(), ImageFormat::Gif);
    let at = gif.windows(9).position(|at| at == [0x2c, 0, 0, 0, 0, 5, 0, 3, 0]).unwrap();
    gif[at + 5..at + 9].copy_from_slice(&[0, 0x10, 1, 0x10]);
    let reason = "a frame has 4096 x 4097 pixels, more than the limit of 16777216";
    assert_eq!(read(&gif).unwrap_err(), DecodeError::Broken { format: Format::Gif, reason: reason.into() });
}

/// A chunk of a RIFF file.
pub(crate) fn chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut chunk = name.to_vec();
    chunk.extend((data.len() as u32).to_le_bytes());
    chunk.extend(data);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

pub(crate) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
}

/// The header of a VP8 key frame, without image data.
fn vp8(width: u16, height: u16) -> Vec<u8> {
    let mut frame = b"\x10\0\0\x9d\x01\x2a".to_vec();
    frame.extend(width.to_le_bytes());
    frame.extend(height.to_le_bytes());
    frame.resize(64, 0);
    chunk(b"VP8 ", &frame)
}

fn vp8l(width: u32, height: u32) -> Vec<u8> {
    let mut frame = vec![0x2f];
    frame.extend(((width - 1) | ((height - 1) << 14)).to_le_bytes());
    frame.resize(64, 0);
    chunk(b"VP8L", &frame)
}

/// The header of an extended WebP with a canvas of 5 x 3.
pub(crate) fn vp8x(flags: u8) -> Vec<u8> {
    chunk(b"VP8X", &[flags, 0, 0, 0, 4, 0, 0, 2, 0, 0])
}

/// A frame of an animation. `place` is left and top in units of two pixels, and width and height minus 1.
pub(crate) fn anmf(place: [u32; 4], inner: &[Vec<u8>]) -> Vec<u8> {
    let mut data: Vec<u8> = place.iter().flat_map(|value| value.to_le_bytes()[..3].to_vec()).collect();
    data.extend([0; 4]);
    data.extend(inner.concat());
    chunk(b"ANMF", &data)
}

#[test]
fn webp_frames_have_the_size_of_their_place() {
    const ANIMATED: u8 = 2;
    const ALPHA: u8 = 16;
    let anim = || chunk(b"ANIM", &[0; 6]);
    let alpha = || chunk(b"ALPH", &[0; 16]);
    let still = |frame| riff(&[vp8x(0), frame]);
    let moving = |frame| riff(&[vp8x(ANIMATED), anim(), frame]);
    let whole = [0, 0, 4, 2];
    let cases = [
        (still(vp8(16383, 16383)), "a frame has 16383 x 16383 pixels instead of 5 x 3"),
        (still(vp8l(16384, 16384)), "a frame has 16384 x 16384 pixels instead of 5 x 3"),
        (still(vp8(5, 2)), "a frame has 5 x 2 pixels instead of 5 x 3"),
        (riff(&[vp8x(ALPHA), alpha(), vp8(9, 9)]), "a frame has 9 x 9 pixels instead of 5 x 3"),
        (moving(anmf(whole, &[vp8(16383, 16383)])), "a frame has 16383 x 16383 pixels instead of 5 x 3"),
        (moving(anmf(whole, &[vp8l(16384, 1)])), "a frame has 16384 x 1 pixels instead of 5 x 3"),
        (moving(anmf(whole, &[alpha(), vp8(6, 3)])), "a frame has 6 x 3 pixels instead of 5 x 3"),
        (moving(anmf(whole, &[alpha(), chunk(b"none", &vp8(9, 9)[8..])])), "a frame has transparency only"),
        (
            moving(anmf([0, 0, 0xff_ffff, 0xff_ffff], &[vp8(5, 3)])),
            "a frame of 16777216 x 16777216 pixels lies outside the picture",
        ),
        (
            moving(anmf([0xff_ffff, 0, 1, 1], &[vp8(2, 2)])),
            "a frame of 2 x 2 pixels lies outside the picture",
        ),
        (moving(chunk(b"ANMF", &[0; 9])), "a frame is cut off"),
        (still(chunk(b"VP8 ", &[0; 8])), "a frame is cut off"),
    ];
    for (bytes, want) in cases {
        let want = DecodeError::Broken { format: Format::WebP, reason: want.to_owned() };
        assert_eq!(read(&bytes), Err(want));
    }
    // A chunk whose header says that it is longer than the file.
    let mut bytes = riff(&[vp8x(8), vp8l(5, 3), chunk(b"EXIF", &exif(1))]);
    let at = bytes.windows(4).position(|name| name == b"EXIF").unwrap();
    bytes[at + 4..at + 8].copy_from_slice(&[0, 0, 0, 0xf0]);
    let want = DecodeError::Broken { format: Format::WebP, reason: "its chunk EXIF is cut off".to_owned() };
    assert_eq!(read(&bytes), Err(want));
}

#[test]
fn a_complete_webp_is_decoded_despite_unknown_data_around_it() {
    let simple = encode(&corner(), ImageFormat::WebP);
    let image = simple[12..].to_vec();
    let exif = chunk(b"EXIF", &exif(1));
    let unknown = chunk(b"none", &[1; 7]);
    let mut longer = simple.clone();
    longer.extend(b"EXIF\xff\xff\xff\xff");
    let mut files = vec![simple, riff(&[vp8x(16), unknown.clone(), image.clone(), exif, unknown])];
    files.push(riff(&[vp8x(18), chunk(b"ANIM", &[0; 6]), anmf([0, 0, 4, 2], &[image])]));
    for bytes in files {
        let picture = read(&bytes).unwrap();
        // A frame of an animation is blended with the canvas.
        assert!(picture[[0, 0, 0]] > 250 && picture[[0, 0, 1]] < 5);
        assert_eq!(picture.dim(), (3, 5, 4));
    }
}

#[test]
fn sizes_that_contradict_each_other_are_broken() {
    // A second frame header in a JPEG, and a frame of an animated PNG.
    let mut jpeg = encode(&DynamicImage::ImageRgb8(corner().into_rgb8()), ImageFormat::Jpeg);
    let at = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let length = usize::from(jpeg[at + 3]) + 2;
    let mut second = jpeg[at..at + length].to_vec();
    second[5..9].fill(0xff);
    jpeg.splice(at + length..at + length, second);
    assert!(matches!(read(&jpeg), Err(DecodeError::Broken { format: Format::Jpeg, .. })));
    let mut png = encode(&corner(), ImageFormat::Png);
    let mut control = b"acTL\0\0\0\x01\0\0\0\0".to_vec();
    let mut chunks = Vec::new();
    let mut frame = b"fcTL\0\0\0\0".to_vec();
    frame.extend([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    frame.resize(30, 0);
    for chunk in [&mut control, &mut frame] {
        chunks.extend((chunk.len() as u32 - 4).to_be_bytes());
        chunks.extend(&*chunk);
        chunks.extend(crc(chunk).to_be_bytes());
    }
    png.splice(33..33, chunks);
    assert!(matches!(read(&png), Err(DecodeError::Broken { format: Format::Png, .. })));
}

#[test]
fn the_first_of_several_frames_is_read() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for red in [200, 0] {
        let frame = RgbaImage::from_pixel(4, 4, image::Rgba([red, 0, 0, 255]));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    assert_eq!(read(&bytes).unwrap()[[0, 0, 0]], 200);
}

#[test]
fn an_incomplete_file_is_an_error_and_never_a_panic() {
    let noise = RgbaImage::from_fn(24, 24, |x, y| {
        image::Rgba([(x * 37 + y * 91) as u8, (x * y) as u8, x as u8, 255])
    });
    let noise = DynamicImage::ImageRgba8(noise);
    let mut files: Vec<Vec<u8>> = EXACT.iter().map(|&format| encode(&noise, format)).collect();
    files.push(encode(&DynamicImage::ImageRgb8(noise.into_rgb8()), ImageFormat::Jpeg));
    for bytes in files {
        let format = Format::of(&bytes).unwrap();
        for end in 12..bytes.len() {
            match read(&bytes[..end]) {
                Err(DecodeError::Broken { format: named, reason }) => {
                    assert_eq!(named, format);
                    assert!(!reason.is_empty());
                }
                // Only the end mark of a PNG or GIF is missing: the picture is complete.
                Ok(picture) => {
                    assert_ne!(format, Format::Jpeg, "{end} of {} bytes", bytes.len());
                    assert_eq!(picture.dim(), (24, 24, 4));
                }
                Err(other) => panic!("{format}: {other}"),
            }
        }
    }
}

#[test]
fn other_formats_are_named() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "the picture is empty: it has no bytes"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "an SVG drawing"),
        (b"<!DOCTYPE html><html></html>", "an HTML or XML document"),
        (b"II*\0\x08\0\0\0", "a TIFF picture"),
        (b"\0\0\0\x1cftypavif", "an AVIF picture"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture"),
        (b"%PDF-1.7", "a PDF document"),
        (b"{\"image\": 7}", "a JSON document"),
        (b"data:image/png;base64,iVBORw0KGgo=", "a data URL"),
        (b"\x00\x01\x02", "the format of these bytes"),
        (b"seven", "the format of these bytes"),
    ];
    for (bytes, want) in cases {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
        assert!(
            bytes.is_empty() || error.ends_with("is not supported: send a PNG, JPEG, WebP, GIF or BMP"),
            "{error}"
        );
    }
}
