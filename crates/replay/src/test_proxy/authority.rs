//! What a test proxy opens TLS with: a CA of its own, in a build with the feature `interception`.

#[cfg(not(feature = "interception"))]
mod absent;
#[cfg(feature = "interception")]
mod made;

#[cfg(not(feature = "interception"))]
pub(super) use absent::TestAuthority;
#[cfg(feature = "interception")]
pub(super) use made::TestAuthority;
