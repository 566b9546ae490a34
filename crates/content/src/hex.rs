//! Octets as a hex dump.

use std::fmt::Write as _;

/// The octets, sixteen a line: offset, hex, and the printable ASCII among them (the form of
/// `hexdump -C`).
#[must_use]
pub fn hex_dump(octets: &[u8]) -> String {
    let mut text = String::new();
    for (line, row) in octets.chunks(16).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:08x}  ", line * 16);
        for column in 0..16 {
            let _ = match row.get(column) {
                Some(octet) => write!(text, "{octet:02x} "),
                None => write!(text, "   "),
            };
            if column == 7 {
                text.push(' ');
            }
        }
        text.push_str(" |");
        text.extend(row.iter().map(|&octet| match octet {
            b' '..=b'~' => char::from(octet),
            _ => '.',
        }));
        text.push_str("|\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_hexdump() {
        assert_eq!(
            hex_dump(b"\x7fCNT\0\x01\x02\x03 consoles"),
            "00000000  7f 43 4e 54 00 01 02 03  20 63 6f 6e 73 6f 6c 65  |.CNT.... console|\n\
             00000010  73                                                |s|\n"
        );
    }
}
