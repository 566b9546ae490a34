//! Firmware update lists: what a console asks for to learn whether there is newer firmware.
//!
//! Each platform has its own type; [`UpdateList`] tells by the content which one it is. `hide`
//! makes a list offer nothing newer than what the console has. Image URLs and sizes stay as they
//! are wherever the format allows it: a console that has the offered version does not fetch them.

mod playstation3;
mod playstation4;
mod playstation5;
mod vita;

pub use playstation3::Ps3UpdateList;
pub use playstation4::Ps4UpdateList;
pub use playstation5::Ps5UpdateList;
pub use vita::VitaUpdateList;

use crate::document::Content;
use crate::edit::Slot;
use crate::error::{DocumentError, shown};
use crate::firmware::{Firmware, is_zero, zeroed};
use crate::patch::Patch;
use crate::xml::{Attribute, Xml};

const FORMAT: &str = "an update list";

/// An update list of some platform.
#[derive(Debug, Clone)]
pub enum UpdateList<'a> {
    /// `ps3-updatelist.txt`, and the list of the PSP, which may have the same lines (unconfirmed)
    Ps3(Ps3UpdateList<'a>),
    /// `psp2-updatelist.xml`
    Vita(VitaUpdateList<'a>),
    /// `ps4-updatelist.xml`
    Ps4(Ps4UpdateList<'a>),
    /// `updatelist.xml` of the PS5
    Ps5(Ps5UpdateList<'a>),
}

impl<'a> UpdateList<'a> {
    /// Reads an update list of whichever platform.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        if body.starts_with(b"#") || body.starts_with(b"Dest=") {
            return Ps3UpdateList::parse(bytes).map(Self::Ps3);
        }
        let xml = parse_xml(bytes)?;
        let has = |name: &str| xml.elements().iter().any(|e| e.attribute(name).is_some());
        if has("upd_version") || has("auto_update_version") {
            Ps5UpdateList::read(xml).map(Self::Ps5)
        } else if xml.named("version").next().is_some() || xml.named("np").next().is_some() {
            VitaUpdateList::read(xml).map(Self::Vita)
        } else {
            Ps4UpdateList::read(xml).map(Self::Ps4)
        }
    }

    /// What it offers, in one line: `offers 5.05 (forced 4.55), region us`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Ps3(list) => list.summary(),
            Self::Vita(list) => list.summary(),
            Self::Ps4(list) => list.summary(),
            Self::Ps5(list) => list.summary(),
        }
    }

    /// The same list with nothing newer than `own`, the console's firmware; with nothing newer
    /// than 0.00 where that is not known. `None` where it has nothing newer already.
    #[must_use]
    pub fn hide(&self, own: Option<Firmware>) -> Option<Vec<u8>> {
        match self {
            Self::Ps3(list) => list.hide(),
            Self::Vita(list) => list.hide(own),
            Self::Ps4(list) => list.hide(own),
            Self::Ps5(list) => list.hide(),
        }
    }
}

impl Content for UpdateList<'_> {
    fn source(&self) -> &[u8] {
        match self {
            Self::Ps3(list) => list.source(),
            Self::Vita(VitaUpdateList(xml))
            | Self::Ps4(Ps4UpdateList(xml))
            | Self::Ps5(Ps5UpdateList(xml)) => xml.source.as_bytes(),
        }
    }

    fn summary(&self) -> String {
        self.summary()
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let xml = match self {
            Self::Ps3(list) => return list.slots(key),
            Self::Vita(VitaUpdateList(xml))
            | Self::Ps4(Ps4UpdateList(xml))
            | Self::Ps5(Ps5UpdateList(xml)) => xml,
        };
        match key {
            "region" => return xml.slots("region", "id"),
            "image" => return xml.text_slots("image"),
            "image_size" => return xml.slots("image", "size"),
            _ => {}
        }
        let (elements, is_version): (&[&str], fn(&str) -> bool) = match (key, self) {
            ("offer", Self::Vita(_)) => {
                (&["version"], |name| name == "system_version" || name == "label")
            }
            ("offer", Self::Ps5(_)) => (&["system_pup"], |name| name == "upd_version"),
            ("offer", _) => (&["system_pup"], |name| name == "version" || name == "label"),
            ("force", Self::Vita(_)) => (&["np", "np_d"], |name| name.ends_with("_system_version")),
            ("force", Self::Ps5(_)) => (&["system"], |name| name == "upd_version"),
            ("force", _) => (&["system"], |name| name.ends_with("_system_version")),
            _ => return Vec::new(),
        };
        let elements = xml.elements().iter().filter(|element| elements.contains(&element.name));
        elements
            .flat_map(|element| element.attributes())
            .filter(|attribute| is_version(attribute.name))
            .map(Attribute::slot)
            .collect()
    }
}

/// An XML update list with a region, which all of them have.
fn parse_xml(bytes: &[u8]) -> Result<Xml<'_>, DocumentError> {
    let xml = Xml::parse(FORMAT, bytes)?;
    xml.expect_root("update_data_list")?;
    if xml.named("region").all(|region| region.value("id").is_none()) {
        return Err(xml.error(xml.source.len(), "there is no <region id=\"…\">"));
    }
    Ok(xml)
}

/// `offers 5.05 (forced 4.55), region us`
fn offer(label: Option<&str>, forced: Option<&str>, xml: &Xml<'_>) -> String {
    let mut line = format!("offers {}", label.unwrap_or("nothing"));
    if let Some(forced) = forced.filter(|forced| !is_zero(forced)) {
        let version = forced.parse::<Firmware>();
        let shown = version.map_or_else(|_| forced.to_owned(), |version| version.to_string());
        line.push_str(&format!(" (forced {shown})"));
    }
    let regions: Vec<&str> = xml.named("region").filter_map(|region| region.value("id")).collect();
    line.push_str(&format!(", region {}", regions.join(" ")));
    shown(&line)
}

/// Makes an attribute say zero in its own shape.
fn zero(patch: &mut Patch, attribute: &Attribute<'_>) {
    if !is_zero(&attribute.value) {
        patch.replace(attribute.span.clone(), zeroed(attribute.raw));
    }
}

/// Makes an attribute say no more than `own`, or than zero where that is not known. A build
/// behind the version (`05.050.001`) is newer than the version itself.
fn lower(patch: &mut Patch, attribute: &Attribute<'_>, own: Option<Firmware>) {
    let value = &*attribute.value;
    let Ok(offered) = value.parse::<Firmware>() else {
        return zero(patch, attribute);
    };
    let own = own.unwrap_or(Firmware::ZERO);
    let has_build = value.split('.').nth(2).is_some_and(|build| !is_zero(build));
    if offered > own || offered == own && has_build {
        patch.replace(attribute.span.clone(), own.shaped_as(value));
    }
}
