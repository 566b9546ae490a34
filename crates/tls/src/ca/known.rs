//! Keys of authorities that anybody can download, for they are the examples of other programs.

use aws_lc_rs::digest;

/// The SHA-256 of the public key (its SubjectPublicKeyInfo) in hex, and who publishes the private one.
const PUBLISHED: [(&str, &str); 2] = [
    // examples/ca/hudsucker.pem, which many programs built on hudsucker have copied.
    (
        "6ab5d772dd9501e1a912292126123d28ba8d6320ea359fa9205707267aeefb24",
        "the examples of hudsucker",
    ),
    // test/mitmproxy/data/servercert/trusted-root.pem, key and all.
    ("13953f8bb9acea7e5a85b82685c445675a0ba773e12b9abe960cdafdf5c33504", "the tests of mitmproxy"),
];

/// Who publishes the private key that belongs to this public one.
pub(super) fn whose(public: &[u8]) -> Option<&'static str> {
    let digest = digest::digest(&digest::SHA256, public);
    let hex: String = digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    PUBLISHED.iter().find(|(known, _)| *known == hex).map(|(_, program)| *program)
}
