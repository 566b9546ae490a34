//! What a file is, by its name, as the consoles' own servers say it.

/// The media type of a file of this name.
pub(super) fn of_name(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "xml" => "application/xml",
        "json" => "application/json",
        "txt" | "crc" => "text/plain",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "js" => "text/javascript",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "mp4" => "video/mp4",
        "m3u8" => "application/vnd.apple.mpegurl",
        "mp3" => "audio/mpeg",
        "at3" | "at9" => "audio/atrac3",
        "zip" => "application/zip",
        // PKG, PUP and everything else that is for a console alone.
        _ => "application/octet-stream",
    }
}
