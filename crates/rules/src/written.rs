//! A rule file as it is written: the shapes of its TOML, and nothing of what they mean. Unknown
//! keys are errors, so that a key that comes later can never be misread.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::action::{Block, Fault, Kind, Store, Throttle, Tls};
use crate::amount::{Bytes, Time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenFile {
    #[serde(rename = "description")]
    pub(crate) _description: Option<String>,
    /// Read on its own, before the rest.
    #[serde(rename = "settings")]
    pub(crate) _settings: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) rule: Vec<Spanned<WrittenRule>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table with a rule")]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WrittenRule {
    pub(crate) name: Spanned<String>,
    pub(crate) when: Spanned<String>,
    pub(crate) client: Option<Texts>,
    pub(crate) url: Option<Spanned<String>>,
    pub(crate) block: Option<Spanned<WrittenBlock>>,
    pub(crate) answer: Option<Spanned<WrittenAnswer>>,
    pub(crate) map_local: Option<Spanned<WrittenMapLocal>>,
    pub(crate) map_remote: Option<Spanned<WrittenMapRemote>>,
    pub(crate) set_header: Option<Spanned<WrittenHeads<Pairs<Texts>>>>,
    pub(crate) remove_header: Option<Spanned<WrittenHeads<Texts>>>,
    pub(crate) rename_header: Option<Spanned<WrittenHeads<Pairs<Spanned<String>>>>>,
    pub(crate) rewrite: Option<Spanned<WrittenRewrite>>,
    pub(crate) rewrite_request: Option<Spanned<WrittenRewriteRequest>>,
    pub(crate) delay: Option<Spanned<Time>>,
    pub(crate) throttle: Option<Spanned<WrittenThrottle>>,
    pub(crate) fault: Option<Spanned<WrittenFault>>,
    pub(crate) tls: Option<Spanned<WrittenTls>>,
    pub(crate) store: Option<Spanned<WrittenStore>>,
    pub(crate) tag: Option<Spanned<Texts>>,
}

impl WrittenRule {
    /// The actions that are there, in the order of the documentation.
    pub(crate) fn actions(&self) -> Vec<Kind> {
        let there = [
            (Kind::Block, self.block.is_some()),
            (Kind::Answer, self.answer.is_some()),
            (Kind::MapLocal, self.map_local.is_some()),
            (Kind::MapRemote, self.map_remote.is_some()),
            (Kind::SetHeader, self.set_header.is_some()),
            (Kind::RemoveHeader, self.remove_header.is_some()),
            (Kind::RenameHeader, self.rename_header.is_some()),
            (Kind::Rewrite, self.rewrite.is_some()),
            (Kind::RewriteRequest, self.rewrite_request.is_some()),
            (Kind::Delay, self.delay.is_some()),
            (Kind::Throttle, self.throttle.is_some()),
            (Kind::Fault, self.fault.is_some()),
            (Kind::Tls, self.tls.is_some()),
            (Kind::Store, self.store.is_some()),
            (Kind::Tag, self.tag.is_some()),
        ];
        there.into_iter().filter(|(_, there)| *there).map(|(kind, _)| kind).collect()
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a table, as { status = 200, body = \"…\" }")]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WrittenAnswer {
    pub(crate) status: Option<Spanned<i64>>,
    pub(crate) headers: Option<Pairs<Texts>>,
    pub(crate) body: Option<Spanned<String>>,
    pub(crate) zeros: Option<Spanned<Bytes>>,
    pub(crate) file: Option<Spanned<String>>,
    pub(crate) folder: Option<Spanned<String>>,
    pub(crate) path: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table, as { folder = \"…\", path = \"{file}\" }")]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WrittenMapLocal {
    pub(crate) file: Option<Spanned<String>>,
    pub(crate) folder: Option<Spanned<String>>,
    pub(crate) path: Option<Spanned<String>>,
    pub(crate) missing: Option<WrittenMissing>,
    pub(crate) content_type: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WrittenMissing {
    NotFound,
    Net,
}

#[derive(Deserialize)]
#[serde(expecting = "a table, as { host = \"…\" }")]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WrittenMapRemote {
    pub(crate) scheme: Option<consoletap_flow::Scheme>,
    pub(crate) host: Option<Spanned<String>>,
    pub(crate) path: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) keep_host: bool,
}

/// Changes to the heads of requests, of answers, or of both.
#[derive(Deserialize)]
#[serde(expecting = "a table, as { answer = … }")]
#[serde(deny_unknown_fields, bound = "T: Deserialize<'de>")]
pub(crate) struct WrittenHeads<T> {
    pub(crate) request: Option<T>,
    pub(crate) answer: Option<T>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table, as { json = { … } }")]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WrittenRewrite {
    pub(crate) firmware: Option<WrittenFirmware>,
    pub(crate) json: Option<Spanned<toml::Table>>,
    pub(crate) document: Option<Spanned<toml::Table>>,
    pub(crate) replace: Option<Spanned<Replaces>>,
    pub(crate) json_patch: Option<Spanned<toml::Value>>,
    pub(crate) json_merge_patch: Option<Spanned<toml::Value>>,
    pub(crate) xml: Option<Spanned<Pairs<Spanned<String>>>>,
}

/// The same for the body of a request.
#[derive(Deserialize)]
#[serde(expecting = "a table, as { form = { … } }")]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WrittenRewriteRequest {
    pub(crate) form: Option<Spanned<Pairs<Spanned<String>>>>,
    pub(crate) replace: Option<Spanned<Replaces>>,
    pub(crate) json_patch: Option<Spanned<toml::Value>>,
    pub(crate) json_merge_patch: Option<Spanned<toml::Value>>,
    pub(crate) xml: Option<Spanned<Pairs<Spanned<String>>>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table, as { find = \"…\", with = \"…\" }")]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenReplace {
    pub(crate) find: Spanned<String>,
    pub(crate) with: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WrittenFirmware {
    Hide,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WrittenTls {
    Tunnel,
    Intercept,
}

impl From<WrittenTls> for Tls {
    fn from(written: WrittenTls) -> Self {
        match written {
            WrittenTls::Tunnel => Self::Tunnel,
            WrittenTls::Intercept => Self::Intercept,
        }
    }
}

/// A text or a list of them.
pub(crate) struct Texts(pub(crate) Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<OneOrMore<String, Spanned<String>>>::deserialize(deserializer)?;
        let span = written.span();
        Ok(Self(match written.into_inner() {
            OneOrMore::One(text) => vec![Spanned::new(span, text)],
            OneOrMore::More(texts) => texts,
        }))
    }
}

/// A replacement or a list of them.
pub(crate) struct Replaces(pub(crate) Vec<WrittenReplace>);

impl<'de> Deserialize<'de> for Replaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(replace) => vec![replace],
            OneOrMore::More(replaces) => replaces,
        }))
    }
}

/// One thing, or a list. Not an untagged enum of serde's: that forgets where things stand.
enum OneOrMore<T, E = T> {
    One(T),
    More(Vec<E>),
}

impl<'de, T: Deserialize<'de>, E: Deserialize<'de>> Deserialize<'de> for OneOrMore<T, E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T, E>(PhantomData<(T, E)>);
        impl<'de, T: Deserialize<'de>, E: Deserialize<'de>> Visitor<'de> for Read<T, E> {
            type Value = OneOrMore<T, E>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one, or a list of them")
            }

            fn visit_str<X: Error>(self, text: &str) -> Result<Self::Value, X> {
                T::deserialize(text.into_deserializer()).map(OneOrMore::One)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMore::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    list.push(element);
                }
                Ok(OneOrMore::More(list))
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

/// A table in the order in which it is written.
pub(crate) struct Pairs<T>(pub(crate) Vec<(Spanned<String>, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, as { \"Name\" = \"value\" }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs: Vec<(Spanned<String>, T)> = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                pairs.sort_by_key(|(name, _)| name.span().start);
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Read(PhantomData))
    }
}

pub(crate) struct WrittenBlock(pub(crate) Block);

impl<'de> Deserialize<'de> for WrittenBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a status from 400 to 599, \"drop\" or \"reset\" was expected";
        struct Read;
        impl Visitor<'_> for Read {
            type Value = WrittenBlock;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status from 400 to 599, \"drop\" or \"reset\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<WrittenBlock, E> {
                match u16::try_from(number) {
                    Ok(status @ 400..=599) => Ok(WrittenBlock(Block::Status(status))),
                    _ => Err(E::custom(EXPECTED)),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenBlock, E> {
                match text {
                    "drop" => Ok(WrittenBlock(Block::Drop)),
                    "reset" => Ok(WrittenBlock(Block::Reset)),
                    _ => Err(E::custom(EXPECTED)),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

pub(crate) struct WrittenStore(pub(crate) Store);

impl<'de> Deserialize<'de> for WrittenStore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "\"none\", \"head\", \"full\" or a number of bytes was expected";
        struct Read;
        impl Visitor<'_> for Read {
            type Value = WrittenStore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\", \"head\", \"full\" or a number of bytes")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<WrittenStore, E> {
                let bytes = u64::try_from(number).map_err(|_| E::custom(EXPECTED))?;
                Ok(WrittenStore(Store::First(bytes)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenStore, E> {
                Ok(WrittenStore(match text {
                    "none" => Store::None,
                    "head" => Store::Head,
                    "full" => Store::Full,
                    text => {
                        let bytes = Bytes::parse(text).ok_or_else(|| E::custom(EXPECTED))?;
                        Store::First(bytes.0)
                    }
                }))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a table, as { down = \"500k\" }")]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenThrottle {
    down: Option<Bytes>,
    up: Option<Bytes>,
}

impl WrittenThrottle {
    pub(crate) fn read(&self) -> Result<Throttle, &'static str> {
        let Self { down, up } = self;
        if down.is_none() && up.is_none() {
            return Err("`throttle` needs down, up or both: bytes a second, as down = \"500k\"");
        }
        if [down, up].into_iter().flatten().any(|rate| rate.0 == 0) {
            return Err("a rate of 0 lets nothing pass; use fault = { stall = 0 } for that");
        }
        Ok(Throttle { down: down.map(|rate| rate.0), up: up.map(|rate| rate.0) })
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a table, as { cut = \"1m\" }")]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenFault {
    cut: Option<Bytes>,
    stall: Option<Bytes>,
    corrupt: Option<Bytes>,
}

impl WrittenFault {
    pub(crate) fn read(&self) -> Result<Fault, &'static str> {
        match (self.cut, self.stall, self.corrupt) {
            (Some(after), None, None) => Ok(Fault::Cut(after.0)),
            (None, Some(after), None) => Ok(Fault::Stall(after.0)),
            (None, None, Some(after)) => Ok(Fault::Corrupt(after.0)),
            _ => Err("`fault` needs one of cut, stall and corrupt: after how many bytes"),
        }
    }
}
