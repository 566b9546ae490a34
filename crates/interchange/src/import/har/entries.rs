//! Where the entries of a HAR file stand: `log.entries` cut into its elements without reading what is
//! around them, since a file may be larger than memory.

use std::io::BufRead;

use crate::import::Broken;

/// One entry with its bodies is not larger than this.
const LARGEST_ENTRY: u64 = 1 << 30;

/// The list, element by element.
pub(super) struct Entries<'r> {
    reader: &'r mut dyn BufRead,
    /// How much was taken of it.
    position: u64,
    octets: Vec<u8>,
    over: bool,
}

impl<'r> Entries<'r> {
    /// Goes to the beginning of the list: the first member `entries` whose value is a list.
    pub(super) fn find(reader: &'r mut dyn BufRead) -> Result<Self, Broken> {
        let mut entries = Self { reader, position: 0, octets: Vec::new(), over: false };
        let mut depth = 0_u32;
        loop {
            match entries.byte()? {
                None => return Err(Broken::Content("there is no list of entries".to_owned())),
                Some(b'"') => {
                    let word = entries.string()?;
                    if word != b"entries" || depth != 2 {
                        continue;
                    }
                    if entries.peek_solid()? != Some(b':') {
                        continue;
                    }
                    entries.byte()?;
                    if entries.peek_solid()? == Some(b'[') {
                        entries.byte()?;
                        return Ok(entries);
                    }
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth = depth.saturating_sub(1),
                Some(_) => {}
            }
        }
    }

    /// Where the element ends that was given last.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    fn consume(&mut self, octets: usize) {
        self.reader.consume(octets);
        self.position += octets as u64;
    }

    fn byte(&mut self) -> Result<Option<u8>, Broken> {
        let byte = self.reader.fill_buf()?.first().copied();
        self.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// The next byte that is no white space, without taking it.
    fn peek_solid(&mut self) -> Result<Option<u8>, Broken> {
        loop {
            match self.reader.fill_buf()?.first() {
                Some(byte) if byte.is_ascii_whitespace() => self.consume(1),
                byte => return Ok(byte.copied()),
            }
        }
    }

    /// The rest of a string; of a long one its beginning.
    fn string(&mut self) -> Result<Vec<u8>, Broken> {
        let mut word = Vec::new();
        let mut escaped = false;
        while let Some(byte) = self.byte()? {
            match byte {
                b'"' if !escaped => return Ok(word),
                b'\\' if !escaped => escaped = true,
                _ => escaped = false,
            }
            if word.len() < 64 {
                word.push(byte);
            }
        }
        Err(Broken::Content("it ends within a string".to_owned()))
    }

    /// The octets of the next element.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Broken> {
        if self.over {
            return Ok(None);
        }
        while self.peek_solid()? == Some(b',') {
            self.byte()?;
        }
        match self.peek_solid()? {
            Some(b'{') => {}
            Some(b']') => {
                self.over = true;
                return Ok(None);
            }
            _ => {
                return Err(Broken::Content("an entry is no object, or the file ends here".into()));
            }
        }
        self.octets.clear();
        let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
        loop {
            let block = self.reader.fill_buf()?;
            if block.is_empty() {
                return Err(Broken::Content("it ends within an entry".to_owned()));
            }
            let mut used = block.len();
            for (at, byte) in block.iter().enumerate() {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    used = at + 1;
                    break;
                }
            }
            self.octets.extend_from_slice(&block[..used]);
            self.consume(used);
            if depth == 0 {
                return Ok(Some(&self.octets));
            }
            if self.octets.len() as u64 > LARGEST_ENTRY {
                return Err(Broken::Content("an entry is larger than 1 GiB".to_owned()));
            }
        }
    }
}
