//! Every datatype survives the whole road, in every form.

use oip::{Datatype, Shape, Tensor, push_bytes_element};
use smallvec::smallvec;

use crate::support::{ServerBuilder, infer, infer_binary, models};

/// Two rows of two elements: small, large, negative where there is such a thing.
fn sample(datatype: Datatype) -> Tensor {
    let data: Vec<u8> = match datatype {
        Datatype::Bool => vec![1, 0, 0, 1],
        Datatype::Uint8 => vec![0, 1, 127, 255],
        Datatype::Int8 => [0_i8, -1, i8::MAX, i8::MIN].map(i8::to_le_bytes).concat(),
        Datatype::Uint16 => [0_u16, 1, 256, u16::MAX].map(u16::to_le_bytes).concat(),
        Datatype::Int16 => [0_i16, -1, i16::MAX, i16::MIN].map(i16::to_le_bytes).concat(),
        Datatype::Uint32 => [0_u32, 1, 1 << 24, u32::MAX].map(u32::to_le_bytes).concat(),
        Datatype::Int32 => [0_i32, -1, i32::MAX, i32::MIN].map(i32::to_le_bytes).concat(),
        Datatype::Uint64 => [0_u64, 1, (1 << 53) + 1, u64::MAX].map(u64::to_le_bytes).concat(),
        Datatype::Int64 => [0_i64, -1, i64::MAX, i64::MIN].map(i64::to_le_bytes).concat(),
        // 0.0, -1.5, 0.33325195, the largest
        Datatype::Fp16 => [0_u16, 0xBE00, 0x3555, 0x7BFF].map(u16::to_le_bytes).concat(),
        // 0.0, -1.5, 0.33398438, the largest
        Datatype::Bf16 => [0_u16, 0xBFC0, 0x3EAB, 0x7F7F].map(u16::to_le_bytes).concat(),
        Datatype::Fp32 => [0.0_f32, -0.1, 16_777_217.0, f32::MAX].map(f32::to_le_bytes).concat(),
        Datatype::Fp64 => [-0.0_f64, 0.1, f64::MIN_POSITIVE, f64::MAX].map(f64::to_le_bytes).concat(),
        Datatype::Bytes => {
            let mut data = Vec::new();
            for element in ["", "digit", "größer\n\"7\"", "数"] {
                push_bytes_element(&mut data, element.as_bytes());
            }
            data
        }
    };
    Tensor { datatype, shape: Shape(smallvec![2, 2]), data: data.into() }
}

#[test]
fn every_datatype_comes_back_to_the_bit_as_json_and_as_binary() {
    let server = Datatype::ALL.iter().fold(ServerBuilder::new(), |builder, &datatype| {
        builder.model(datatype.as_str(), "1", &models::identity(datatype))
    });
    let server = server.start();
    for datatype in Datatype::ALL {
        let tensor = sample(datatype);
        for send in [infer, infer_binary] {
            let response = send(&server.url(), datatype.as_str(), &[("x", tensor.clone())]).response();
            assert_eq!(response.outputs, [("y".into(), tensor.clone())], "{datatype}");
        }
    }
}

#[test]
fn the_metadata_names_what_the_file_declares() {
    let onnx = models::identity_of(Datatype::Int16, &["N", "3", "size"], &["N", "3", "size"]);
    let server = ServerBuilder::new().model("m", "7", &onnx).start();
    let metadata = crate::support::get(&format!("{}/v2/models/m", server.url())).json();
    assert_eq!(
        metadata,
        serde_json::json!({
            "name": "m",
            "versions": ["7"],
            "platform": "onnxruntime_onnx",
            "inputs": [{ "name": "x", "datatype": "INT16", "shape": [-1, 3, -1] }],
            "outputs": [{ "name": "y", "datatype": "INT16", "shape": [-1, 3, -1] }],
        })
    );
}

#[test]
fn numbers_that_json_cannot_write_are_null_there_and_whole_in_binary() {
    let server = ServerBuilder::new().model("root", "1", &models::square_root()).start();
    let data = [4.0_f32, -1.0, f32::INFINITY].map(f32::to_le_bytes).concat();
    let numbers = Tensor { datatype: Datatype::Fp32, shape: Shape(smallvec![3]), data: data.into() };
    let binary = infer_binary(&server.url(), "root", &[("x", numbers)]).response();
    let roots: Vec<f32> = binary.outputs[0]
        .1
        .data
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!((roots[0], roots[1].is_nan(), roots[2]), (2.0, true, f32::INFINITY));
    let request = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[4,-1]}]}"#;
    let json = crate::support::post(&format!("{}/v2/models/root/infer", server.url()), &[], request).json();
    assert_eq!(json["outputs"][0]["data"], serde_json::json!([2.0, null]));
}
