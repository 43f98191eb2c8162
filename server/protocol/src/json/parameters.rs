//! Parameter objects.

use compact_str::CompactString;

use super::reader::Reader;
use crate::{Parameter, Parameters, Problem};

/// Reads an object of parameters; `null` counts as an empty object.
///
/// `reserved` is called first for each key. If it returns `true`, it has read the value itself, and the parameter is
/// not added to the result.
pub(super) fn read(
    reader: &mut Reader<'_>,
    mut reserved: impl FnMut(&mut Reader<'_>, &[u8]) -> Result<bool, Problem>,
) -> Result<Parameters, Problem> {
    let mut parameters = Parameters::default();
    if reader.null() {
        return Ok(parameters);
    }
    reader.object("an object of parameters", |reader, key| {
        if !reserved(reader, key)?
            && let Some(value) = value(reader)?
        {
            let key = CompactString::from_utf8(key).expect("keys are UTF-8");
            parameters.0.push((key, value));
        }
        Ok::<_, Problem>(())
    })?;
    Ok(parameters)
}

/// Reads the value of a parameter. `None` for `null`.
fn value(reader: &mut Reader<'_>) -> Result<Option<Parameter>, Problem> {
    const EXPECTED: &str = "a parameter: a string, a number, true or false";
    Ok(Some(match reader.peek() {
        Some(b'"') => Parameter::String(reader.string(EXPECTED)?.into()),
        Some(b't' | b'f') => Parameter::Bool(reader.boolean(EXPECTED)?),
        Some(b'n') if reader.null() => return Ok(None),
        _ => {
            let start = *reader;
            let number = reader.number(EXPECTED)?;
            let integer = number.to_i128().filter(|_| number.is_integer());
            let signed = integer.and_then(|value| i64::try_from(value).ok()).map(Parameter::Int64);
            let unsigned = integer.and_then(|value| u64::try_from(value).ok()).map(Parameter::Uint64);
            let double = || number.to_f64().map(Parameter::Double);
            signed.or(unsigned).or_else(double).ok_or_else(|| start.unexpected("a number that fits FP64"))?
        }
    }))
}
