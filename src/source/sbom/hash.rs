//! Hashes as sources write them → hexadecimal digits.

const NIX32: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A SHA-256 as 64 hexadecimal digits, from `sha256:HEX`, `sha256:NIX32` or `sha256-BASE64`.
pub(super) fn sha256(text: &str) -> Option<String> {
    let encoded = text
        .strip_prefix("sha256")
        .and_then(|rest| rest.strip_prefix([':', '-']))?;
    let bytes = match encoded.len() {
        64 if encoded.bytes().all(|b| b.is_ascii_hexdigit()) => {
            return Some(encoded.to_lowercase());
        }
        52 => nix32(encoded.as_bytes())?,
        44 => base64(encoded.strip_suffix('=')?.as_bytes())?,
        _ => return None,
    };
    Some(hex(&bytes))
}

/// Two lower-case digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16));
    digits.collect()
}

pub(super) fn is_nix32(digit: u8) -> bool {
    NIX32.contains(&digit)
}

/// Nix writes the last five bits first.
fn nix32(digits: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    for (i, digit) in digits.iter().rev().enumerate() {
        let value = NIX32.iter().position(|d| d == digit)? as u16;
        let bit = i * 5;
        let [low, high] = (value << (bit % 8)).to_le_bytes();
        *bytes.get_mut(bit / 8)? |= low;
        match bytes.get_mut(bit / 8 + 1) {
            Some(next) => *next |= high,
            None if high > 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

fn base64(digits: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = Vec::with_capacity(33);
    for chunk in digits.chunks(4) {
        let mut bits: u32 = 0;
        for digit in chunk {
            bits = bits << 6 | BASE64.iter().position(|d| d == digit)? as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        bytes.extend(bits.to_be_bytes().iter().skip(1).take(chunk.len() * 6 / 8));
    }
    bytes.try_into().ok()
}
