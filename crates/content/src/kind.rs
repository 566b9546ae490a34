//! What kind of body it is, by its type and by its octets. A type is a claim: where the octets
//! say something else plainly, they win.

/// What a body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// JSON text.
    Json,
    /// XML or HTML text.
    Xml,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/…`, with its boundary.
    Multipart {
        /// What parts the parts.
        boundary: String,
    },
    /// A picture that can be told by its head.
    Image {
        /// What is its name.
        format: &'static str,
        /// Pixels from left to right.
        width: usize,
        /// Pixels from top to bottom.
        height: usize,
    },
    /// Any other text.
    Text,
    /// Anything else.
    Binary,
}

impl Kind {
    /// Whether it is text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !matches!(self, Self::Image { .. } | Self::Binary)
    }
}

/// So many octets tell what they are.
const HEAD: usize = 4096;

/// Tells what a decoded body is.
#[must_use]
pub fn kind(content_type: Option<&str>, octets: &[u8]) -> Kind {
    let media = content_type.unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if let Some(image) = image(octets) {
        return image;
    }
    if !is_text(octets) {
        // Text in another charset has no NUL and comes with a type that says text.
        let claims = essence.starts_with("text/")
            || essence.ends_with("xml")
            || essence.ends_with("json")
            || essence == "application/x-www-form-urlencoded";
        let multipart = essence.starts_with("multipart/");
        if !multipart && (!claims || octets.contains(&0)) {
            return Kind::Binary;
        }
    }
    if essence.starts_with("multipart/")
        && let Some(boundary) = crate::boundary(media)
    {
        return Kind::Multipart { boundary: boundary.to_owned() };
    }
    if essence == "application/x-www-form-urlencoded" {
        return Kind::Form;
    }
    // Byte order mark and white space before the first character.
    let start = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets).trim_ascii_start();
    match start.first() {
        Some(b'{' | b'[') => Kind::Json,
        Some(b'<') => Kind::Xml,
        Some(b'"') if essence.ends_with("json") => Kind::Json,
        _ if content_type.is_none() && looks_like_a_form(octets) => Kind::Form,
        _ => Kind::Text,
    }
}

fn image(octets: &[u8]) -> Option<Kind> {
    let format = match octets {
        [0x89, b'P', b'N', b'G', ..] => "PNG",
        [0xff, 0xd8, 0xff, ..] => "JPEG",
        [b'G', b'I', b'F', b'8', ..] => "GIF",
        [b'B', b'M', ..] => "BMP",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "WebP",
        [b'D', b'D', b'S', b' ', ..] => "DDS",
        _ => return None,
    };
    let size = imagesize::blob_size(octets).ok()?;
    Some(Kind::Image { format, width: size.width, height: size.height })
}

/// UTF-8 without controls but white space; a character that a cut parted is no reason against.
fn is_text(octets: &[u8]) -> bool {
    let head = &octets[..octets.len().min(HEAD)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

/// `a=b&c=d` without white space.
fn looks_like_a_form(octets: &[u8]) -> bool {
    octets.contains(&b'=')
        && octets.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%+&=*".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_win_over_a_wrong_type() {
        assert_eq!(kind(Some("text/plain"), b" {\"a\":1}"), Kind::Json);
        assert_eq!(kind(Some("application/octet-stream"), b"\xef\xbb\xbf<?xml?>"), Kind::Xml);
        assert_eq!(kind(Some("application/json"), b"\x7fCNT\0"), Kind::Binary);
        assert_eq!(kind(None, b"loginid=a%40b&x=1"), Kind::Form);
        assert_eq!(kind(Some("application/json"), b"\"text\""), Kind::Json);
        assert_eq!(kind(Some("text/plain; charset=latin1"), b"caf\xe9"), Kind::Text);
        assert_eq!(kind(None, b"caf\xe9!"), Kind::Binary);
    }

    #[test]
    fn a_picture_tells_its_size() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0\0\xf0\x08\x06\0\0\0";
        assert_eq!(
            kind(Some("text/html"), png),
            Kind::Image { format: "PNG", width: 320, height: 240 }
        );
        assert_eq!(kind(None, b"\x89PNG"), Kind::Binary);
    }

    proptest::proptest! {
        #[test]
        fn anything_has_a_kind(octets: Vec<u8>, magic in 0_usize..4) {
            let magics: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF    WEBP", b""];
            let _ = kind(None, &[magics[magic], &octets].concat());
        }
    }
}
