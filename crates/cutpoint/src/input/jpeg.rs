//! Whether a JPEG file is all there: decoders fill what is missing with grey and say nothing.

/// Whether the marker that ends the picture comes, with whole segments before it. Only lengths and
/// markers are looked at.
pub(super) fn is_complete(file: &[u8]) -> bool {
    const END: u8 = 0xD9;
    const START_OF_SCAN: u8 = 0xDA;
    let Some(mut rest) = file.strip_prefix(&[0xFF, 0xD8]) else { return false };
    loop {
        let Some((marker, after)) = next_marker(rest) else { return false };
        if marker == END {
            return true;
        }
        let Some((&[high, low], _)) = after.split_first_chunk::<2>() else { return false };
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let Some(behind) = after.get(length..) else { return false };
        rest = if marker == START_OF_SCAN { behind_scan(behind) } else { behind };
    }
}

/// The marker that comes next, fill bytes left out, and what follows it.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let start = bytes.iter().position(|&byte| byte == 0xFF)?;
    let rest = &bytes[start..];
    let marker = rest.iter().position(|&byte| byte != 0xFF)?;
    Some((rest[marker], &rest[marker + 1..]))
}

/// What follows the numbers of a scan, in which 0xFF stands before 0 or a restart marker.
fn behind_scan(bytes: &[u8]) -> &[u8] {
    let is_marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF);
    bytes.windows(2).position(is_marker).map_or(&[], |start| &bytes[start..])
}
