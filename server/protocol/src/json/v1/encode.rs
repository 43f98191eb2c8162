//! Writes responses of the V1 protocol: values are nested as their shape says.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use compact_str::CompactString;

use super::Form;
use crate::{
    BytesElements, Datatype, EncodeError, InferResponse, Tensor, bytes_elements,
    json::{data::BASE64, write_numbers, write_string},
};

/// Writes a response in the form of its request: `predictions`, with one row per instance, or `outputs`. The values of
/// a single output are written directly. Several outputs are written as an object by name; in the row form, there is
/// one such object per row.
///
/// BYTES elements that are not UTF-8 are written as `{"b64": "…"}`, and NaN and infinity as `null`.
///
/// # Errors
/// [`EncodeError::NoRows`] if an output does not have one row per instance. [`EncodeError::Inconsistent`] if an
/// output's data does not match its datatype and shape.
pub fn encode_response(response: &InferResponse, form: Form) -> Result<Bytes, EncodeError> {
    let outputs = &response.outputs;
    for (name, tensor) in outputs {
        if tensor.check().is_err() {
            return Err(EncodeError::Inconsistent { name: name.clone() });
        }
        if let Form::Rows(rows) = form
            && tensor.rows() != Some(rows)
        {
            return Err(EncodeError::NoRows { name: name.clone(), shape: tensor.shape.clone(), rows });
        }
    }
    // An element rarely takes more than four bytes of text per byte of its size, brackets included.
    let size = outputs.iter().map(|(name, tensor)| name.len() + 4 * tensor.data.len()).sum::<usize>();
    let mut out = Vec::with_capacity(64 + size);
    match (form, &outputs[..]) {
        (Form::Rows(_), [(_, only)]) => {
            out.extend_from_slice(b"{\"predictions\":");
            Cursor::new(only).write(&only.shape.0, &mut out);
        }
        (Form::Rows(rows), several) => {
            out.extend_from_slice(b"{\"predictions\":");
            write_rows(several, rows, &mut out);
        }
        (Form::Columns, [(_, only)]) => {
            out.extend_from_slice(b"{\"outputs\":");
            Cursor::new(only).write(&only.shape.0, &mut out);
        }
        (Form::Columns, several) => {
            out.extend_from_slice(b"{\"outputs\":");
            let mut values =
                several.iter().map(|(name, tensor)| (name, Cursor::new(tensor), &tensor.shape.0[..]));
            write_object(&mut values, &mut out, Cursor::write);
        }
    }
    out.push(b'}');
    Ok(out.into())
}

/// Writes one object per row, with that row of every output.
fn write_rows(outputs: &[(CompactString, Tensor)], rows: usize, out: &mut Vec<u8>) {
    let mut cursors: Vec<Cursor<'_>> = outputs.iter().map(|(_, tensor)| Cursor::new(tensor)).collect();
    list(rows, out, |out| {
        let mut values = outputs
            .iter()
            .zip(&mut cursors)
            .map(|((name, tensor), cursor)| (name, cursor, &tensor.shape.0[1..]));
        write_object(&mut values, out, |cursor, dims, out| cursor.write(dims, out));
    });
}

fn write_object<'a, C>(
    values: &mut dyn Iterator<Item = (&'a CompactString, C, &'a [usize])>,
    out: &mut Vec<u8>,
    write: impl Fn(&mut C, &[usize], &mut Vec<u8>),
) {
    out.push(b'{');
    for (index, (name, mut cursor, dims)) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write(&mut cursor, dims, out);
    }
    out.push(b'}');
}

/// Writes `count` values in brackets, with commas between them.
fn list(count: usize, out: &mut Vec<u8>, mut value: impl FnMut(&mut Vec<u8>)) {
    out.push(b'[');
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        value(out);
    }
    out.push(b']');
}

/// The elements of a tensor that have not been written yet.
struct Cursor<'a> {
    datatype: Datatype,
    rest: BytesElements<'a>,
    data: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn new(tensor: &'a Tensor) -> Self {
        Self { datatype: tensor.datatype, rest: bytes_elements(&tensor.data), data: &tensor.data }
    }

    /// Writes the next elements, nested as `dims` says.
    fn write(&mut self, dims: &[usize], out: &mut Vec<u8>) {
        match dims {
            [] => self.elements(1, out),
            [count] => {
                out.push(b'[');
                self.elements(*count, out);
                out.push(b']');
            }
            [count, inner @ ..] => list(*count, out, |out| self.write(inner, out)),
        }
    }

    /// Writes the next `count` elements, with commas between them.
    fn elements(&mut self, count: usize, out: &mut Vec<u8>) {
        let Some(size) = self.datatype.size() else {
            for (index, element) in self.rest.by_ref().take(count).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_blob(element, out);
            }
            return;
        };
        let (next, rest) = self.data.split_at((count * size).min(self.data.len()));
        self.data = rest;
        write_numbers(self.datatype, next, out);
    }
}

fn write_blob(element: &[u8], out: &mut Vec<u8>) {
    if let Ok(text) = str::from_utf8(element) {
        return write_string(text, out);
    }
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(BASE64.as_bytes());
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(STANDARD.encode(element).as_bytes());
    out.extend_from_slice(b"\"}");
}
