//! A file that can be read more than once, of one that cannot: a packed one, or a pipe.

use std::fs::{self, File};
use std::io::{BufRead, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::Broken;

/// What was unpacked.
pub(super) struct Spooled {
    pub(super) file: File,
    /// Why there is not more of it.
    pub(super) cut: Option<Broken>,
}

/// Writes it all to a file in this folder which has no name any more: it ends with the process. Of
/// one that is cut short, what is before the cut.
pub(super) fn spool(reader: &mut dyn BufRead, folder: &Path) -> Result<Spooled, Broken> {
    // Readers of sessions ignore names that end so.
    let path = folder.join("unpacked.tmp");
    let mut options = File::options();
    options.read(true).write(true).create_new(true).mode(0o600);
    let mut file = options.open(&path).map_err(Broken::Unpack)?;
    fs::remove_file(&path).map_err(Broken::Unpack)?;
    let cut = loop {
        match reader.fill_buf() {
            Ok([]) => break None,
            Ok(block) => {
                file.write_all(block).map_err(Broken::Unpack)?;
                let length = block.len();
                reader.consume(length);
            }
            Err(error) => break Some(Broken::from(error)),
        }
    };
    file.rewind().map_err(Broken::Unpack)?;
    Ok(Spooled { file, cut })
}
