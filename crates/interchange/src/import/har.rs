//! HAR, also as other tools write it. Entries come in the order in which they began, whatever the
//! order of the file: viewers save what they show, sorted by size or by name.

mod entries;
mod entry;
mod websocket;

use std::io::{BufReader, Read, Seek};

use consoletap_flow::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use self::entries::Entries;
use super::{Broken, Import};

/// An entry in the file.
struct Place {
    started: Timestamp,
    /// Which of the file's it is.
    number: u64,
    offset: u64,
    length: usize,
}

/// Reads the file twice: to find where entries stand and when they began, and to take them in that
/// order. Held in memory are their places, and one entry.
pub(super) fn read(mut file: impl Read + Seek, import: &mut Import<'_>) -> Result<(), Broken> {
    let (mut places, end) = places(&mut file)?;
    // Stable: what began at the same time stays as it is in the file.
    places.sort_by_key(|place| place.started);
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.rewind()?;
    let (mut at, mut octets) = (0, Vec::new());
    for Place { started, number, offset, length } in places {
        // Within the buffer it stays in the buffer: a file in order is read through.
        reader.seek_relative(offset.wrapping_sub(at).cast_signed())?;
        octets.resize(length, 0);
        reader.read_exact(&mut octets)?;
        at = offset + length as u64;
        if let Err(why) = take(&octets, started, import) {
            import.remark(format!("entry {number} was left out: {why}"));
        }
    }
    end
}

/// Where the entries stand that can be read, and what is wrong behind them.
fn places(file: &mut (impl Read + Seek)) -> Result<(Vec<Place>, Result<(), Broken>), Broken> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.rewind()?;
    let mut entries = Entries::find(&mut reader)?;
    let mut places: Vec<Place> = Vec::new();
    loop {
        let (started, length) = match entries.next() {
            Ok(Some(octets)) => (started(octets), octets.len()),
            Ok(None) => return Ok((places, Ok(()))),
            Err(broken) => return Ok((places, Err(broken))),
        };
        // One that does not say when it began stays behind the one before it.
        let before = places.last().map_or_else(Timestamp::default, |place| place.started);
        places.push(Place {
            started: started.unwrap_or(before),
            number: places.len() as u64 + 1,
            offset: entries.position() - length as u64,
            length,
        });
    }
}

/// The one member that decides the order; what is no JSON is told when the entry is taken.
fn started(entry: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "startedDateTime")]
        started: Value,
    }
    entry::time(&serde_json::from_slice::<Entry>(entry).ok()?.started)
}

fn take(octets: &[u8], started: Timestamp, import: &mut Import<'_>) -> Result<(), String> {
    let entry: Value = serde_json::from_slice(octets).map_err(|error| error.to_string())?;
    let (flow, bodies) = entry::flow(&entry, started, import)?;
    import.flow(flow, bodies);
    Ok(())
}
