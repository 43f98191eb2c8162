//! The wire format of protocol buffers, as far as copying needs it: it splits a message into fields.

/// The bytes are not a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Wire type of a field that starts with its length: a message, a string, bytes, or packed numbers.
const LENGTH_DELIMITED: u64 = 2;

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) tag: u64,
    /// The bytes of the whole field, with tag and length.
    pub(super) whole: &'a [u8],
    /// The content, if the field is length-delimited; else empty.
    pub(super) content: &'a [u8],
}

/// Iterates over the fields of a message, in their order.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Malformed>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or(Malformed))
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *rest;
    let key = varint(rest)?;
    let (tag, kind) = (key >> 3, key & 7);
    let content = match kind {
        0 => {
            varint(rest)?;
            &[][..]
        }
        1 => take(rest, 8).map(|_| &[][..])?,
        LENGTH_DELIMITED => {
            let length = usize::try_from(varint(rest)?).ok()?;
            take(rest, length)?
        }
        5 => take(rest, 4).map(|_| &[][..])?,
        _ => return None,
    };
    Some(Field { tag, whole: &start[..start.len() - rest.len()], content })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Appends a length-delimited field.
pub(super) fn put(message: &mut Vec<u8>, tag: u64, content: &[u8]) {
    put_varint(message, tag << 3 | LENGTH_DELIMITED);
    put_varint(message, content.len() as u64);
    message.extend_from_slice(content);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_all_kinds_are_found_whole() {
        let message = [0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 2, 9, 9, 0x25, 1, 2, 3, 4];
        let found: Vec<_> = fields(&message).collect::<Result<_, _>>().unwrap();
        let tags: Vec<_> = found.iter().map(|field| (field.tag, field.whole.len(), field.content)).collect();
        assert_eq!(tags, [(1, 3, &[][..]), (2, 9, &[]), (3, 4, &[9, 9]), (4, 5, &[])]);
        assert_eq!(found.iter().flat_map(|field| field.whole.to_vec()).collect::<Vec<_>>(), message);
    }

    #[test]
    fn what_is_cut_short_or_no_field_is_malformed() {
        for message in [&[0x08][..], &[0x08, 0x80], &[0x1a, 5, 1], &[0x11, 1], &[0x0b], &[0x80; 11]] {
            assert_eq!(fields(message).last(), Some(Err(Malformed)), "{message:?}");
        }
        assert_eq!(fields(&[]).count(), 0);
    }

    #[test]
    fn what_is_put_is_found() {
        let (mut message, content) = (Vec::new(), vec![7; 300]);
        put(&mut message, 25, &content);
        let field = fields(&message).next().unwrap().unwrap();
        assert_eq!((field.tag, field.content, field.whole.len()), (25, &content[..], message.len()));
    }
}
