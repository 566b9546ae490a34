//! Firmware: the update lists of PS3, Vita, PS4 and PS5, and the images they name.

use super::Sizes;
use crate::content::Content;
use crate::origin::{Answer, Question};

/// Firmware images by the name that ends their path.
const IMAGES: [(&str, &[u8]); 6] = [
    ("PS4UPDATE.PUP", b"SLB2"),
    ("PS5UPDATE.PUP", b"SLB2"),
    ("PS3UPDAT.PUP", b"SCEUF\0\0\x01"),
    ("PS3PATCH.PUP", b"SCEUF\0\0\x01"),
    ("PSP2UPDAT.PUP", b"SCEUF\0\0\x01"),
    ("PSVUPDAT.PUP", b"SCEUF\0\0\x01"),
];

pub(super) fn image(path: &str, sizes: &Sizes) -> Option<Content> {
    let name = path.strip_prefix("/update/")?.rsplit('/').next()?;
    let (_, magic) = IMAGES.iter().find(|(image, _)| *image == name)?;
    Some(Content::noise(path, sizes.firmware).with_head(magic.to_vec()))
}

pub(super) fn answer(question: &Question<'_>, sizes: &Sizes) -> Option<Answer> {
    let size = sizes.firmware;
    match question.segments()[..] {
        ["update", "ps3", "list", region, "ps3-updatelist.txt"] => {
            Some(Answer::text("text/plain", ps3_list(region)?))
        }
        ["update", "psp2", "list", region, "psp2-updatelist.xml"] => {
            Some(Answer::text("application/xml", vita_list(checked(region)?, size)))
        }
        ["update", "ps4", "list", region, "ps4-updatelist.xml"] => {
            Some(Answer::text("application/xml", ps4_list(checked(region)?, size)))
        }
        ["update", "ps5", "official", folder, "list", region, "updatelist.xml"] => {
            Some(Answer::text("application/xml", ps5_list(folder, checked(region)?, size)))
        }
        _ => None,
    }
}

fn checked(region: &str) -> Option<&str> {
    (region.len() == 2 && region.bytes().all(|b| b.is_ascii_lowercase())).then_some(region)
}

/// `Dest` by region: psdevwiki and the region table of PS3-Proxy-Server-for-Android.
const PS3_DESTINATIONS: [(&str, &str); 12] = [
    ("jp", "83"),
    ("us", "84"),
    ("eu", "85"),
    ("kr", "86"),
    ("uk", "87"),
    ("mx", "88"),
    ("au", "89"),
    ("sa", "8A"),
    ("tw", "8B"),
    ("ru", "8C"),
    ("cn", "8D"),
    ("br", "8F"),
];

/// The console insists on CRLF (PS3-custom-fwversion-proxy).
fn ps3_list(region: &str) -> Option<String> {
    let (_, dest) = PS3_DESTINATIONS.iter().find(|(name, _)| *name == region)?;
    let folder = format!(
        "http://d{region}01.ps3.update.playstation.net/update/ps3/image/{region}/2016_1101_{}",
        "0123456789abcdef0123456789abcdef"
    );
    let image = "ImageVersion=000104e2;SystemSoftwareVersion=4.8100";
    Some(format!(
        "# {}\r\n\
         Dest={dest};CompatibleSystemSoftwareVersion=4.8100-;\r\n\
         Dest={dest};IncrementalUpdateVersion=0001036c-0001036c;{image};\
         CDN={folder}/PS3PATCH.PUP;CDN_Timeout=30;\r\n\
         Dest={dest};{image};CDN={folder}/PS3UPDAT.PUP;CDN_Timeout=30;\r\n",
        region.to_uppercase()
    ))
}

fn vita_list(region: &str, size: u64) -> String {
    let images =
        format!("http://d{region}01.psp2.update.playstation.net/update/psp2/image/2017_0317");
    let md5 = "0123456789abcdef0123456789abcdef";
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<update_data_list>
  <region id="{region}">
    <np level0_system_version="01.600.000" level1_system_version="03.650.000" level2_system_version="03.650.000" map="03.650.000"/>
    <version system_version="03.650.000" label="3.65">
      <update_data update_type="full"><image size="{size}">{images}/rel_{md5}/PSP2UPDAT.PUP</image></update_data>
    </version>
    <recovery spkg_type="systemdata"><image spkg_version="01.000.010" size="{size}">{images}/sd_{md5}/PSP2UPDAT.PUP</image></recovery>
    <recovery spkg_type="preinst"><image spkg_version="01.000.000" size="{size}">{images}/pre_{md5}/PSP2UPDAT.PUP</image></recovery>
  </region>
</update_data_list>
"#
    )
}

/// The images are those of the page ("Network connections by the System").
fn ps4_list(region: &str, size: u64) -> String {
    let images =
        format!("http://d{region}01.ps4.update.playstation.net/update/ps4/image/2014_0528");
    format!(
        r#"<?xml version="1.0" ?>
<update_data_list>
  <region id="{region}">
    <force_update><system level0_system_version="01.500.000" level1_system_version="01.720.000"/></force_update>
    <system_pup label="1.72" sdk_version="01.720.021" version="01.720.000">
      <update_data update_type="full"><image size="{size}">{images}/sys_ce90f2e9274e4614ffde6934e08e4b6e/PS4UPDATE.PUP?dest={region}</image></update_data>
    </system_pup>
    <recovery_pup type="default">
      <preinst_pup version="00.000.000"/>
      <system_pup label="1.72" sdk_version="01.720.021" version="01.720.000"/>
      <image size="{size}">{images}/rec_7f84e2f63d1f6a5b4348bb528b35f2d7/PS4UPDATE.PUP?dest={region}</image>
    </recovery_pup>
  </region>
</update_data_list>
"#
    )
}

fn ps5_list(folder: &str, region: &str, size: u64) -> String {
    let folder: String = folder.chars().filter(char::is_ascii_alphanumeric).collect();
    let image = format!(
        "http://d{region}01.ps5.update.playstation.net/update/ps5/official/{folder}/image/2020_1112"
    );
    let sha256 = "0123456789abcdef".repeat(4);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<update_data_list>
  <region id="{region}">
    <force_update><system auto_update_version="00.00" sdk_version="01.00.00.09-00.00.00.0.0" upd_version="01.00.00.00"/></force_update>
    <system_pup auto_update_version="00.00" label="20.02.02.20.00.07-00.00.00.0.0" sdk_version="02.20.00.07-00.00.00.0.0" upd_version="02.20.00.00">
      <update_data update_type="full"><image size="{size}">{image}/sys_{sha256}/PS5UPDATE.PUP?dest={region}</image></update_data>
    </system_pup>
    <recovery_pup type="default">
      <image size="{size}">{image}/rec_{sha256}/PS5UPDATE.PUP?dest={region}</image>
    </recovery_pup>
  </region>
</update_data_list>
"#
    )
}
