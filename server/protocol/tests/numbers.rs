//! Numbers in JSON data have exactly the value that the standard library's parser gives them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use oip::{Datatype, Nulls, Tensor, json};
use proptest::prelude::*;

/// Decodes a request with these elements.
fn decode(datatype: Datatype, elements: &[String]) -> Result<Tensor, oip::DecodeError> {
    let body = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"{datatype}","shape":[{}],"data":[{}]}}]}}"#,
        elements.len(),
        elements.join(",")
    );
    Ok(json::decode_request(&body.into(), Nulls::Refuse)?.inputs.remove(0).tensor)
}

/// Checks decimals as FP32 and as FP64, bit by bit.
fn check_floats(elements: &[String]) {
    let tensor = decode(Datatype::Fp32, elements).unwrap();
    for (text, bytes) in elements.iter().zip(tensor.data.as_chunks::<4>().0) {
        assert_eq!(f32::from_le_bytes(*bytes).to_bits(), text.parse::<f32>().unwrap().to_bits(), "{text}");
    }
    let tensor = decode(Datatype::Fp64, elements).unwrap();
    for (text, bytes) in elements.iter().zip(tensor.data.as_chunks::<8>().0) {
        assert_eq!(f64::from_le_bytes(*bytes).to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

#[test]
fn pixels_as_every_client_writes_them() {
    let mut elements = Vec::new();
    for value in 0..=255_u8 {
        let (single, double) = (f32::from(value) / 255.0, f64::from(value) / 255.0);
        elements.extend([format!("{single}"), format!("{single:?}"), format!("{double}")]);
        // A double that was rounded to single precision, as NumPy widens it.
        elements.extend([format!("{}", f64::from(single)), format!("{single:e}"), format!("{value}")]);
    }
    check_floats(&elements);
}

#[test]
fn every_decimal_of_up_to_six_digits() {
    for exponent in [-40, -30, -22, -9, -6, -3, 0, 3, 17, 30] {
        for first in (0..1_000_000).step_by(50_000) {
            let decimals = |mantissa| format!("{mantissa}e{exponent}");
            check_floats(&(first..first + 50_000).map(decimals).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_fraction_of_up_to_five_digits() {
    for digits in 1..=5_usize {
        let fractions = |fraction| format!("-7.{fraction:0digits$}");
        check_floats(&(0..10_u32.pow(digits as u32)).map(fractions).collect::<Vec<_>>());
    }
}

/// The value halfway between `value` and the next FP32, with all its digits.
fn halfway(value: f32) -> String {
    format!("{}", f64::midpoint(f64::from(value), f64::from(f32::from_bits(value.to_bits() + 1))))
}

/// An element in a spelling that clients use; most are zeros.
fn common_element() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just("0".to_owned()),
        8 => Just("0.0".to_owned()),
        1 => Just("-0.0".to_owned()),
        1 => (0..100_000_i64).prop_map(|value| value.to_string()),
        1 => any::<i64>().prop_map(|value| (value >> (value.unsigned_abs() % 64)).to_string()),
        2 => any::<u8>().prop_map(|value| (f32::from(value) / 255.0).to_string()),
        1 => any::<u8>().prop_map(|value| (f64::from(value) / 255.0).to_string()),
        1 => (-10.0..10.0_f32).prop_map(|value| format!("{value:?}")),
        1 => (-1e-6..1e-6_f32).prop_map(|value| format!("{value:e}")),
        1 => "-?[0-9]\\.[0-9]{1,18}",
    ]
}

proptest! {
    #[test]
    fn any_decimal(negative: bool, mantissa: u64, digits in 1..=20_usize, point in 0..20_usize, exponent in -60..60_i32) {
        let mut text: String = format!("{mantissa:020}").chars().skip(20 - digits).collect();
        text = text.trim_start_matches('0').to_owned();
        if text.is_empty() {
            text.push('0');
        }
        if point > 0 {
            text = format!("{}.{:0point$}", &text[..1], text[1..].parse::<u64>().unwrap_or(0));
        }
        text = format!("{}{text}e{exponent}", if negative { "-" } else { "" });
        let value: f32 = text.parse().unwrap();
        if value.is_finite() {
            check_floats(&[text]);
        } else {
            prop_assert!(decode(Datatype::Fp32, &[text]).is_err());
        }
    }

    /// Runs of zeros and usual spellings are read many at a time. Their value must not depend on their position.
    #[test]
    fn lists_as_many_writers_write_them(
        elements in prop::collection::vec(common_element(), 1..200),
        separator in prop::sample::select(vec![",", ", ", ",\n  ", " , ", ",  "]),
    ) {
        let body = format!(
            r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[{}],"data":[{}]}}]}}"#,
            elements.len(),
            elements.join(separator),
        );
        let tensor = json::decode_request(&body.into(), Nulls::Refuse).unwrap().inputs.remove(0).tensor;
        for (text, bytes) in elements.iter().zip(tensor.data.as_chunks::<4>().0) {
            prop_assert_eq!(f32::from_le_bytes(*bytes).to_bits(), text.parse::<f32>().unwrap().to_bits(), "{}", text);
        }
        let integers: Vec<String> = elements.into_iter().filter(|text| text.parse::<i64>().is_ok()).collect();
        let tensor = decode(Datatype::Int16, &integers).map(|tensor| tensor.data);
        let expected: Option<Vec<u8>> = integers
            .iter()
            .map(|text| Some(text.parse::<i16>().ok()?.to_le_bytes()))
            .collect::<Option<Vec<_>>>()
            .map(|values| values.concat());
        prop_assert_eq!(tensor.ok().map(Vec::from), expected);
    }

    /// Text that is not JSON is refused at any position.
    #[test]
    fn malformed_elements_among_common_ones(
        before in prop::collection::vec(common_element(), 0..60),
        malformed in prop::sample::select(vec!["00", "01", "-", "+1", ".5", "1.", "-.5", "0x1", "1e", "", "0 0", "--1", "1.2.3"]),
        after in prop::collection::vec(common_element(), 0..60),
    ) {
        let elements = [before, vec![malformed.to_owned()], after].concat();
        // A single empty element makes an empty list, so the number of elements is wrong.
        prop_assert!(decode(Datatype::Fp32, &elements).is_err());
    }

    #[test]
    fn halfway_cases(bits in 0x2000_0000..0x6000_0000_u32, digits in 5..40_usize) {
        let value = f32::from_bits(bits);
        let middle = halfway(value);
        let middle_value: f64 = middle.parse().unwrap();
        let (below, above) = (middle_value.next_down(), middle_value.next_up());
        check_floats(&[middle, format!("{below}"), format!("{above}"), format!("{middle_value:.digits$e}")]);
        check_floats(&[format!("{value}"), format!("{value:e}"), format!("{value:.digits$e}")]);
    }

    #[test]
    fn any_finite_float(single: f32, double: f64) {
        let texts = [format!("{single:?}"), format!("{double:?}")];
        if single.is_finite() {
            check_floats(&texts[..1]);
        }
        if double.is_finite() {
            prop_assert_eq!(&decode(Datatype::Fp64, &texts[1..]).unwrap().data[..], &double.to_le_bytes()[..]);
        }
    }

    #[test]
    fn integers_keep_to_their_range(value in any::<i128>().prop_map(|value| value >> (value.unsigned_abs() % 128))) {
        let texts = [value.to_string()];
        macro_rules! check {
            ($($datatype:ident: $type:ty),*) => {$(
                match (<$type>::try_from(value), decode(Datatype::$datatype, &texts)) {
                    (Ok(value), Ok(tensor)) => prop_assert_eq!(&tensor.data[..], &value.to_le_bytes()[..]),
                    (Err(_), Err(error)) => {
                        let expected = format!("{} is beyond {}", value, Datatype::$datatype);
                        let long = format!("{}…", &format!("{value:064}")[..64]);
                        prop_assert!(error.to_string().contains(&expected) || value.to_string().starts_with(&long));
                    }
                    other => prop_assert!(false, "{value}: {other:?}"),
                }
            )*};
        }
        check!(Uint8: u8, Uint16: u16, Uint32: u32, Uint64: u64, Int8: i8, Int16: i16, Int32: i32, Int64: i64);
    }
}

#[test]
fn limits_of_each_datatype() {
    let accepted = [
        (Datatype::Uint64, "18446744073709551615"),
        (Datatype::Int64, "-9223372036854775808"),
        (Datatype::Int8, "-0"),
        (Datatype::Fp16, "65504"),
        (Datatype::Fp16, "65519.999"),
        (Datatype::Bf16, "3.3895314e38"),
        (Datatype::Fp32, "3.4028235e38"),
        (Datatype::Fp32, "1e-400"),
        (Datatype::Fp64, "1.7976931348623157e308"),
        (Datatype::Bool, "1"),
    ];
    for (datatype, text) in accepted {
        assert!(decode(datatype, &[text.to_owned()]).is_ok(), "{datatype} {text}");
    }
    let refused = [
        (Datatype::Uint64, "18446744073709551616"),
        (Datatype::Int64, "-9223372036854775809"),
        (Datatype::Uint8, "-1"),
        (Datatype::Uint8, "1e2"),
        (Datatype::Int32, "1.0"),
        (Datatype::Fp16, "65520"),
        (Datatype::Bf16, "3.4e38"),
        (Datatype::Fp32, "3.4028236e38"),
        (Datatype::Fp32, "1e39"),
        (Datatype::Fp64, "-1e400"),
        (Datatype::Fp64, "1e99999999999999999999"),
        (Datatype::Bool, "2"),
        (Datatype::Bool, "1.0"),
        (Datatype::Bool, "-1"),
    ];
    for (datatype, text) in refused {
        assert!(decode(datatype, &[text.to_owned()]).is_err(), "{datatype} {text}");
    }
}

#[test]
fn a_million_digits_are_one_number() {
    let long = format!("0.{}", "3".repeat(1_000_000));
    check_floats(&[long, "0".to_owned()]);
    assert!(decode(Datatype::Int32, &["9".repeat(1_000_000)]).unwrap_err().to_string().len() < 200);
}
