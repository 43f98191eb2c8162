//! JPEGs that end too early, and what may follow the end of one.

use image::{DynamicImage, ImageFormat, RgbImage};
use pictures::{DecodeError, decode::Format};

use crate::decoding::{encode, read};

/// A square JPEG in which no two rows are alike.
fn jpeg(side: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(side, side, |x, y| {
        image::Rgb([(x * 37 + y * 91) as u8, (x * y) as u8, (x + 2 * y) as u8])
    });
    encode(&DynamicImage::ImageRgb8(picture), ImageFormat::Jpeg)
}

/// A JPEG with a thumbnail, itself a JPEG, in its header, as cameras write it.
fn with_thumbnail() -> Vec<u8> {
    let (mut whole, small) = (jpeg(64), jpeg(8));
    let head = [&[0xff, 0xe1][..], &(small.len() as u16 + 8).to_be_bytes(), b"Exif\0\0"].concat();
    whole.splice(2..2, head.into_iter().chain(small));
    whole
}

#[test]
fn a_jpeg_that_ends_early_is_refused() {
    for whole in [jpeg(64), with_thumbnail()] {
        let scan = whole.windows(2).rposition(|two| two == [0xff, 0xda]).unwrap();
        let places = (1..100).map(|part| scan + 14 + (whole.len() - scan - 14) * part / 100);
        for end in places.chain([whole.len() - 2, whole.len() - 1]) {
            let reason =
                "its end marker is missing, so the file may be incomplete: send the whole file".to_owned();
            let want = DecodeError::Broken { format: Format::Jpeg, reason };
            assert_eq!(read(&whole[..end]), Err(want), "{end} of {} bytes", whole.len());
        }
        for end in 3..scan + 14 {
            assert!(matches!(read(&whole[..end]), Err(DecodeError::Broken { .. })), "{end}");
        }
    }
}

#[test]
fn a_jpeg_is_whole_whatever_follows_it() {
    let plain = jpeg(64);
    let want = read(&plain).unwrap();
    let scan_end = plain.len() - 2;
    let inside = |bytes: &[u8]| [&plain[..scan_end], bytes, &plain[scan_end..]].concat();
    let after = |bytes: &[u8]| [&plain[..], bytes].concat();
    let files = [
        ("a thumbnail", with_thumbnail()),
        ("bytes that fill up", inside(&[0xff, 0xff])),
        ("zeros after it", after(&[0; 100])),
        ("a note after it", after(b"\r\nsent by a phone\r\n")),
        ("half a marker after it", after(&[0xff])),
        ("a second picture after it", after(&jpeg(16))),
        ("half a second picture after it", after(&jpeg(16)[..200])),
        ("a video after it", after(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")),
    ];
    for (what, bytes) in files {
        let picture = read(&bytes).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert!(picture == want, "{what}");
    }
}
