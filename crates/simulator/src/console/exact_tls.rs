//! A handshake that begins with the octets of a capture. A TLS library adds something of its own here
//! and there (OpenSSL a suite to the hello of PS3 4.75). So this is a client for the one thing that old consoles do: RSA key exchange
//! with a cipher in CBC or RC4 (RFC 2246, 4346, 5246), over the primitives of the vendored OpenSSL. It
//! is for tests against a server of ours, takes no care of timing, and must be used for nothing else.

use std::io;

use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::sign::Signer;
use openssl::stack::Stack;
use openssl::symm::{Cipher, Crypter, Mode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509StoreContext};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::legacy_hello::LegacyHello;
use super::legacy_tls::load_providers;

const TLS11: u16 = 0x0302;
const TLS12: u16 = 0x0303;

/// Content types of records.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// An opened connection of an old console.
pub struct ExactTls {
    records: Records,
    suite: u16,
}

impl std::fmt::Debug for ExactTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExactTls").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl LegacyHello {
    /// Sends the hello and goes on as the console would, with a server whose certificate must come
    /// from `ca_pem`.
    ///
    /// # Errors
    /// What the server does that is none of this.
    pub async fn handshake(&self, stream: TcpStream, ca_pem: &str) -> io::Result<ExactTls> {
        load_providers()?;
        let mut records = Records::new(stream, self.version());
        let mut said = Transcript::default();
        let hello = self.bytes();
        said.0.extend(&hello[5..]);
        records.stream.write_all(&hello).await?;

        let server = said.message(&mut records, 2).await?;
        let id = usize::from(*server.get(34).ok_or_else(|| wrong("its hello is short"))?);
        let number = |at: usize| Some(u16::from_be_bytes([*server.get(at)?, *server.get(at + 1)?]));
        let (Some(version), Some(suite)) = (number(0), number(35 + id)) else {
            return Err(wrong("its hello is short"));
        };
        if version != self.version() {
            return Err(wrong("it chose another version"));
        }
        let suite = Suite::of(suite).ok_or_else(|| wrong("it chose another kind of suite"))?;
        let randoms = [&hello[11..43], &server[2..34]];

        let shown = certificates(&said.message(&mut records, 11).await?)?;
        let leaf = believed(&shown, ca_pem)?;
        said.message(&mut records, 14).await?;

        let mut secret = vec![0; 48];
        openssl::rand::rand_bytes(&mut secret)?;
        secret[..2].copy_from_slice(&version.to_be_bytes());
        let rsa = leaf.public_key()?.rsa()?;
        let mut sealed = vec![0; rsa.size() as usize];
        let length = rsa.public_encrypt(&secret, &mut sealed, Padding::PKCS1)?;
        let mut exchange = u16::try_from(length).map_err(io::Error::other)?.to_be_bytes().to_vec();
        exchange.extend(&sealed[..length]);
        said.say(&mut records, 16, &exchange).await?;

        let prf = Prf { tls12: version == TLS12 };
        let master = prf.derive(&secret, "master secret", &randoms.concat(), 48)?;
        let [client, server] = randoms;
        let mut keys = prf.derive(&master, "key expansion", &[server, client].concat(), 256)?;
        let mut take = |count: usize| -> Vec<u8> { keys.drain(..count).collect() };
        let mac = [take(suite.mac.size()), take(suite.mac.size())];
        let key = [take(suite.cipher.key_len()), take(suite.cipher.key_len())];
        let iv = suite.cipher.iv_len().unwrap_or(0);
        let iv = [take(iv), take(iv)];
        let [my_mac, its_mac] = mac;
        let [my_key, its_key] = key;
        let [my_iv, its_iv] = iv;

        records.write(CHANGE_CIPHER_SPEC, &[1]).await?;
        records.sealing = Some(Protection::new(suite, my_mac, my_key, my_iv, Mode::Encrypt)?);
        let verify = prf.derive(&master, "client finished", &said.digest(prf)?, 12)?;
        said.say(&mut records, 20, &verify).await?;

        if records.read().await? != (CHANGE_CIPHER_SPEC, vec![1]) {
            return Err(wrong("it does not change to what was agreed"));
        }
        records.opening = Some(Protection::new(suite, its_mac, its_key, its_iv, Mode::Decrypt)?);
        let expected = prf.derive(&master, "server finished", &said.digest(prf)?, 12)?;
        if said.message(&mut records, 20).await? != expected {
            return Err(wrong("its Finished is wrong"));
        }
        Ok(ExactTls { records, suite: suite.number })
    }
}

impl ExactTls {
    /// The suite that the server chose.
    #[must_use]
    pub fn suite(&self) -> u16 {
        self.suite
    }

    /// Sends octets, in one record.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.records.write(APPLICATION_DATA, octets).await
    }

    /// The octets of the next record.
    ///
    /// # Errors
    /// When the connection ends, in whatever way.
    pub async fn read(&mut self) -> io::Result<Vec<u8>> {
        match self.records.read().await? {
            (APPLICATION_DATA, octets) => Ok(octets),
            (ALERT, alert) => Err(wrong(&format!("it sent the alert {alert:?}"))),
            _ => Err(wrong("it sent something else than data")),
        }
    }
}

/// A suite with RSA key exchange.
#[derive(Clone, Copy)]
struct Suite {
    number: u16,
    cipher: Cipher,
    mac: MessageDigest,
}

impl Suite {
    fn of(number: u16) -> Option<Self> {
        let (cipher, mac) = match number {
            0x0004 => (Cipher::rc4(), MessageDigest::md5()),
            0x0005 => (Cipher::rc4(), MessageDigest::sha1()),
            0x000a => (Cipher::des_ede3_cbc(), MessageDigest::sha1()),
            0x002f => (Cipher::aes_128_cbc(), MessageDigest::sha1()),
            0x0035 => (Cipher::aes_256_cbc(), MessageDigest::sha1()),
            0x003c => (Cipher::aes_128_cbc(), MessageDigest::sha256()),
            0x003d => (Cipher::aes_256_cbc(), MessageDigest::sha256()),
            _ => return None,
        };
        Some(Self { number, cipher, mac })
    }
}

/// The handshake messages of both sides so far.
#[derive(Default)]
struct Transcript(Vec<u8>);

impl Transcript {
    /// The body of the next message, which must be of this type.
    async fn message(&mut self, records: &mut Records, kind: u8) -> io::Result<Vec<u8>> {
        let (message, body) = loop {
            if let [_, high, middle, low, ..] = records.held[..] {
                let length = u32::from_be_bytes([0, high, middle, low]) as usize;
                if records.held.len() >= 4 + length {
                    let rest = records.held.split_off(4 + length);
                    let message = std::mem::replace(&mut records.held, rest);
                    let body = message[4..].to_vec();
                    break (message, body);
                }
            }
            match records.read().await? {
                (HANDSHAKE, octets) => records.held.extend(octets),
                (ALERT, alert) => return Err(wrong(&format!("it sent the alert {alert:?}"))),
                _ => return Err(wrong("it broke the handshake off")),
            }
        };
        if message[0] != kind {
            return Err(wrong(&format!("it sent message {} and not {kind}", message[0])));
        }
        self.0.extend(&message);
        Ok(body)
    }

    async fn say(&mut self, records: &mut Records, kind: u8, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_be_bytes();
        let message = [&[kind], &length[1..], body].concat();
        self.0.extend(&message);
        records.write(HANDSHAKE, &message).await
    }

    /// RFC 2246 7.4.9, and RFC 5246 7.4.9.
    fn digest(&self, prf: Prf) -> Result<Vec<u8>, ErrorStack> {
        if prf.tls12 {
            return Ok(hash(MessageDigest::sha256(), &self.0)?.to_vec());
        }
        let md5 = hash(MessageDigest::md5(), &self.0)?;
        Ok([&*md5, &*hash(MessageDigest::sha1(), &self.0)?].concat())
    }
}

/// The pseudo-random function (section 5 of all three).
#[derive(Clone, Copy)]
struct Prf {
    tls12: bool,
}

impl Prf {
    fn derive(
        self,
        secret: &[u8],
        label: &str,
        seed: &[u8],
        count: usize,
    ) -> Result<Vec<u8>, ErrorStack> {
        let seed = [label.as_bytes(), seed].concat();
        if self.tls12 {
            return expand(MessageDigest::sha256(), secret, &seed, count);
        }
        let half = secret.len().div_ceil(2);
        let md5 = expand(MessageDigest::md5(), &secret[..half], &seed, count)?;
        let sha1 = expand(MessageDigest::sha1(), &secret[secret.len() - half..], &seed, count)?;
        Ok(md5.iter().zip(sha1).map(|(one, other)| one ^ other).collect())
    }
}

/// `P_hash`.
fn expand(
    digest: MessageDigest,
    secret: &[u8],
    seed: &[u8],
    count: usize,
) -> Result<Vec<u8>, ErrorStack> {
    let (mut a, mut derived) = (seed.to_vec(), Vec::new());
    while derived.len() < count {
        a = hmac(digest, secret, &a)?;
        derived.extend(hmac(digest, secret, &[&a, seed].concat())?);
    }
    derived.truncate(count);
    Ok(derived)
}

fn hmac(digest: MessageDigest, key: &[u8], octets: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(digest, &key)?;
    signer.update(octets)?;
    signer.sign_to_vec()
}

/// One direction once its keys count.
struct Protection {
    suite: Suite,
    mac: Vec<u8>,
    key: Vec<u8>,
    /// The block before, which TLS 1.0 goes on from.
    iv: Vec<u8>,
    stream: Option<Crypter>,
    mode: Mode,
    sequence: u64,
}

impl Protection {
    fn new(
        suite: Suite,
        mac: Vec<u8>,
        key: Vec<u8>,
        iv: Vec<u8>,
        mode: Mode,
    ) -> Result<Self, ErrorStack> {
        let stream = match iv.is_empty() {
            true => Some(Crypter::new(suite.cipher, mode, &key, None)?),
            false => None,
        };
        Ok(Self { suite, mac, key, iv, stream, mode, sequence: 0 })
    }

    fn tag(&mut self, kind: u8, version: u16, octets: &[u8]) -> io::Result<Vec<u8>> {
        let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
        let mut text = self.sequence.to_be_bytes().to_vec();
        self.sequence += 1;
        text.push(kind);
        text.extend(version.to_be_bytes());
        text.extend(length.to_be_bytes());
        text.extend(octets);
        Ok(hmac(self.suite.mac, &self.mac, &text)?)
    }

    fn seal(&mut self, kind: u8, version: u16, octets: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = octets.to_vec();
        plain.extend(self.tag(kind, version, octets)?);
        if self.stream.is_some() {
            return Ok(self.crypt(&plain)?);
        }
        let block = self.suite.cipher.block_size();
        let padding = block - plain.len() % block;
        plain.resize(plain.len() + padding, u8::try_from(padding - 1).unwrap_or(0));
        let mut sealed = Vec::new();
        if version >= TLS11 {
            openssl::rand::rand_bytes(&mut self.iv)?;
            sealed.clone_from(&self.iv);
        }
        sealed.extend(self.crypt(&plain)?);
        self.iv = sealed[sealed.len() - block..].to_vec();
        Ok(sealed)
    }

    fn open(&mut self, kind: u8, version: u16, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let short = || wrong("a record of it is too short");
        let mut plain = if self.stream.is_some() {
            self.crypt(sealed)?
        } else {
            let block = self.suite.cipher.block_size();
            let last = sealed.len().checked_sub(block).ok_or_else(short)?;
            let body = if version >= TLS11 {
                self.iv = sealed[..block].to_vec();
                &sealed[block..]
            } else {
                sealed
            };
            let mut plain = self.crypt(body)?;
            self.iv = sealed[last..].to_vec();
            let padding = usize::from(*plain.last().ok_or_else(short)?) + 1;
            plain.truncate(plain.len().checked_sub(padding).ok_or_else(short)?);
            plain
        };
        let at = plain.len().checked_sub(self.suite.mac.size()).ok_or_else(short)?;
        let tag = plain.split_off(at);
        if self.tag(kind, version, &plain)? != tag {
            return Err(wrong("a record of it is not authentic"));
        }
        Ok(plain)
    }

    fn crypt(&mut self, octets: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let block = self.suite.cipher.block_size();
        let mut out = vec![0; octets.len() + block];
        let count = match &mut self.stream {
            Some(stream) => stream.update(octets, &mut out)?,
            None => {
                let cipher = self.suite.cipher;
                let mut crypter = Crypter::new(cipher, self.mode, &self.key, Some(&self.iv))?;
                crypter.pad(false);
                let count = crypter.update(octets, &mut out)?;
                count + crypter.finalize(&mut out[count..])?
            }
        };
        out.truncate(count);
        Ok(out)
    }
}

/// Records on their connection.
struct Records {
    stream: TcpStream,
    version: u16,
    sealing: Option<Protection>,
    opening: Option<Protection>,
    /// What came of a handshake message that is under way.
    held: Vec<u8>,
}

impl Records {
    fn new(stream: TcpStream, version: u16) -> Self {
        Self { stream, version, sealing: None, opening: None, held: Vec::new() }
    }

    async fn write(&mut self, kind: u8, octets: &[u8]) -> io::Result<()> {
        let body = match &mut self.sealing {
            Some(sealing) => sealing.seal(kind, self.version, octets)?,
            None => octets.to_vec(),
        };
        let mut record = vec![kind];
        record.extend(self.version.to_be_bytes());
        record.extend(u16::try_from(body.len()).map_err(io::Error::other)?.to_be_bytes());
        record.extend(body);
        self.stream.write_all(&record).await
    }

    async fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).await?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        self.stream.read_exact(&mut body).await?;
        match &mut self.opening {
            Some(opening) => Ok((head[0], opening.open(head[0], self.version, &body)?)),
            None => Ok((head[0], body)),
        }
    }
}

/// RFC 5246 7.4.2: a list of certificates, each behind its length in three octets.
fn certificates(message: &[u8]) -> io::Result<Vec<X509>> {
    let mut list = message.get(3..).unwrap_or_default();
    let mut shown = Vec::new();
    while let [high, middle, low, rest @ ..] = list {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        let (one, later) = rest
            .split_at_checked(length)
            .ok_or_else(|| wrong("its list of certificates is cut"))?;
        shown.push(X509::from_der(one)?);
        list = later;
    }
    Ok(shown)
}

/// The server's certificate, where it comes from this authority.
fn believed<'c>(shown: &'c [X509], ca_pem: &str) -> io::Result<&'c X509> {
    let (leaf, others) = shown.split_first().ok_or_else(|| wrong("it shows no certificate"))?;
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(X509::from_pem(ca_pem.as_bytes())?)?;
    let mut between = Stack::new()?;
    for certificate in others {
        between.push(certificate.clone())?;
    }
    let store = store.build();
    let verified = X509StoreContext::new()?.init(&store, leaf, &between, |it| it.verify_cert())?;
    if verified { Ok(leaf) } else { Err(wrong("its certificate is not valid")) }
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(format!("the server: {what}"))
}
