//! Titles: metadata, update descriptions, manifests and packages.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use hyper::StatusCode;
use serde_json::json;

use super::Sizes;
use crate::content::Content;
use crate::origin::{Answer, Question};

/// The update of CUSA00135 as the page names it, without `.json` or `_n.pkg`.
pub(crate) const PATCH_CUSA00135: &str = "/gs2/ppkgo/prod/CUSA00135_00/21/f_06da3b33d65c72bc25dac70c5d3c5669addbe50a94e87cc644e5b9471101303f/f/EP1018-CUSA00135_00-BATMANARKHAMKNHT-A0118-V0100";
const PATCH_CUSA00001: &str = "/gs2/ppkgo/prod/CUSA00001_00/9/f_ef965b581d35637dabc96366f29f1f0ece58c8fa9158b0eb7de9407ae72272e8/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100";
/// Where the update of CUSA00135 is described.
pub(crate) const VERSION_CUSA00135: &str = "/plo/np/CUSA00135/9228795a710cf58e86af98f8496dc2db2ec104abd199812ba9780b8b691327a9/CUSA00135-ver.xml";

const GS2: &str = "http://gs2.ww.prod.dl.playstation.net";
const GST: &str = "http://gst.prod.dl.playstation.net";

/// The package behind a path of the gs2 and gst trees.
pub(super) fn package(path: &str, sizes: &Sizes) -> Option<Content> {
    let name = path.strip_suffix(".pkg")?.rsplit('/').next()?;
    if !path.starts_with("/gs2/") && !path.starts_with("/gst/") {
        return None;
    }
    let content_id = name.get(..36)?;
    let piece = name.rsplit_once('_').map(|(_, piece)| piece);
    let size = match piece {
        Some("2") => last_piece(sizes),
        Some("sc") => 64 << 10,
        _ if name.ends_with("-DP") => sizes.package_piece / 2,
        _ => sizes.package_piece,
    };
    Some(Content::package(path, content_id, size))
}

/// The last of three pieces: shorter, and no multiple of anything.
fn last_piece(sizes: &Sizes) -> u64 {
    sizes.package_piece / 2 + 77
}

pub(super) fn answer(question: &Question<'_>, sizes: &Sizes) -> Option<Answer> {
    match question.segments()[..] {
        ["tmdb2", folder, file] => {
            let id = file.strip_suffix(".json").filter(|id| folder.starts_with(id))?;
            Some(Answer::text("application/json", metadata(id)?))
        }
        ["plo", "np", id, _, file] if file.strip_suffix("-ver.xml") == Some(id) => {
            Some(ps4_update(id, sizes))
        }
        ["tpl", "np", id, file] if file.strip_suffix("-ver.xml") == Some(id) => Some(no_update()),
        ["pl", "np", id, _, file] if file.strip_suffix("-ver.xml") == Some(id) => Some(no_update()),
        ["gs2", "ppkgo" | "acpkgo" | "appkgo", "prod", _, _, _, "f", file] => {
            below_gs2(question.path, file, sizes)
        }
        ["sgst", "prod", "00", _, "app", "info", _, _, file] => {
            file.strip_suffix(".json")?;
            let json = question.path.replacen("/sgst/", "/gst/", 1).replacen("/info/", "/pkg/", 1);
            Some(manifest(GST, json.strip_suffix(".json")?, 3, sizes))
        }
        _ => None,
    }
}

fn below_gs2(path: &str, file: &str, sizes: &Sizes) -> Option<Answer> {
    if file == "playgo-manifest.xml" {
        return Some(Answer::text("application/xml", PLAYGO));
    }
    if let Some(package) = path.strip_suffix(".sha") {
        let content = self::package(&format!("{package}.pkg"), sizes)?;
        return Some(Answer::text("text/plain", digest(&SHA1_FOR_LEGACY_USE_ONLY, [&content])));
    }
    let package = path.strip_suffix(".json")?;
    let pieces = if package == PATCH_CUSA00135 { 3 } else { 1 };
    Some(manifest(GS2, package, pieces, sizes))
}

/// Only the element and attribute that public code reads are known of this file.
const PLAYGO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<psproject fmt="playgo-manifest" version="1.0">
  <chunks count="1"><chunk id="0" label="Chunk #0"/></chunks>
</psproject>
"#;

/// Fields and types of tmdb2; invented values for a title whose real ones nobody needs here.
fn metadata(np_title_id: &str) -> Option<String> {
    let title_id = np_title_id.strip_suffix("_00").filter(|id| id.len() == 9)?;
    let media = "http://gs2-sec.ww.prod.dl.playstation.net/gs2-sec/appkgo/prod";
    let metadata = json!({
        "revision": 3,
        "patchRevision": 1,
        "formatVersion": 1,
        "npTitleId": np_title_id,
        "console": "PS4",
        "names": [
            {"name": format!("Simulated title {title_id}")},
            {"name": format!("Titre simulé {title_id}"), "lang": "fr-FR"},
        ],
        "icons": [{"icon": format!("{media}/{np_title_id}/icon0.png"), "type": "512x512"}],
        "parentalLevel": 5,
        "pronunciation": format!("{media}/{np_title_id}/pronunciation.xml"),
        "contentId": format!("EP9000-{np_title_id}-SIMULATEDTITLE00"),
        "backgroundImage": format!("{media}/{np_title_id}/pic1.png"),
        "bgm": format!("{media}/{np_title_id}/snd0.at9"),
        "category": "gd",
        "psVr": 0,
        "neoEnable": 0,
    });
    Some(metadata.to_string())
}

/// `-ver.xml`: the two titles that the page gives in full; the answer for others is what Sony's
/// store of these files says where there is none.
fn ps4_update(title_id: &str, sizes: &Sizes) -> Answer {
    let (patch, pieces, version) = match title_id {
        "CUSA00135" => (PATCH_CUSA00135, 3, "01.18"),
        "CUSA00001" => (PATCH_CUSA00001, 1, "01.07"),
        _ => return no_update(),
    };
    let contents = pieces_of(patch, pieces, sizes);
    let size: u64 = contents.iter().map(|(_, content)| content.size()).sum();
    let digest = digest(&SHA256, contents.iter().map(|(_, content)| content)).to_uppercase();
    let content_id = patch.rsplit('/').next().and_then(|name| name.get(..36)).unwrap_or_default();
    // system_ver is decimal: 33554432 is 0x02000000, firmware 2.00.
    let xml = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<titlepatch titleid="{title_id}">
 <tag name="37" mandatory="true">
  <package version="{version}" size="{size}" digest="{digest}" manifest_url="{GS2}{patch}.json" content_id="{content_id}" system_ver="33554432" type="cumulative" remaster="false" patchgo="true">
   <delta_info_set url="{GS2}{patch}-DP.pkg"/>
   <paramsfo><title>Simulated title {title_id}</title></paramsfo>
  </package>
 </tag>
</titlepatch>
"#
    );
    Answer::text("application/xml", xml)
}

fn no_update() -> Answer {
    let error =
        "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";
    Answer::status(StatusCode::NOT_FOUND, "application/xml", error)
}

/// The update manifest: where the pieces lie and what they hash to.
fn manifest(origin: &str, package: &str, pieces: usize, sizes: &Sizes) -> Answer {
    let contents = pieces_of(package, pieces, sizes);
    if contents.is_empty() {
        return Answer::not_found("The name of a manifest begins with a content id.\n");
    }
    let mut offset = 0;
    let mut list = Vec::new();
    for (path, content) in &contents {
        list.push(json!({
            "url": format!("{origin}{path}"),
            "fileOffset": offset,
            "fileSize": content.size(),
            "hashValue": digest(&SHA1_FOR_LEGACY_USE_ONLY, [content]),
        }));
        offset += content.size();
    }
    let manifest = json!({
        "originalFileSize": offset,
        "packageDigest": digest(&SHA256, contents.iter().map(|(_, c)| c)).to_uppercase(),
        "numberOfSplitFiles": contents.len(),
        "pieces": list,
    });
    Answer::text("application/json", manifest.to_string())
}

fn pieces_of(package: &str, pieces: usize, sizes: &Sizes) -> Vec<(String, Content)> {
    let paths = (0..pieces).map(|piece| match pieces {
        1 => format!("{package}.pkg"),
        _ => format!("{package}_{piece}.pkg"),
    });
    paths.filter_map(|path| self::package(&path, sizes).map(|content| (path, content))).collect()
}

/// Hexadecimal digest of files laid end to end.
fn digest<'a>(
    algorithm: &'static Algorithm,
    contents: impl IntoIterator<Item = &'a Content>,
) -> String {
    const STEP: u64 = 256 << 10;
    let mut context = Context::new(algorithm);
    for content in contents {
        let mut offset = 0;
        while offset < content.size() {
            context.update(&content.read(offset..offset + STEP));
            offset += STEP;
        }
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_tells_the_truth_about_its_pieces() {
        let sizes = Sizes { package_piece: 1000, firmware: 0 };
        let contents = pieces_of(PATCH_CUSA00135, 3, &sizes);
        assert_eq!(contents.iter().map(|(_, c)| c.size()).collect::<Vec<_>>(), [1000, 1000, 577]);
        assert_eq!(
            digest(&SHA1_FOR_LEGACY_USE_ONLY, []),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
        let zeros = Content::zeros(3);
        assert_eq!(
            digest(&SHA1_FOR_LEGACY_USE_ONLY, [&zeros]),
            "29e2dcfbb16f63bb0254df7585a15bb6fb5e927d"
        );
    }
}
