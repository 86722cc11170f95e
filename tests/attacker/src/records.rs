//! TLS as no client speaks it. After an honest handshake the keys are taken out of rustls, and records of any
//! kind and length are sealed by hand.

use crate::cases::Case;
use crate::walk::{Person, Stage, Walk, half_a_hello};
use ring::aead;
use rustls::{ClientConnection, ConnectionTrafficSecrets, SupportedProtocolVersion};
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use wrd_test_client::online::{Trust, tls_config};

/// Content types (RFC 8446 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// KeyUpdate with update_requested (RFC 8446 4.6.3).
const KEY_UPDATE: &[u8] = &[24, 0, 0, 1, 1];
const CLOSE_NOTIFY: &[u8] = &[1, 0];
/// user_canceled, as a warning.
const WARNING: &[u8] = &[1, 90];

pub fn cases() -> Vec<Case> {
    let plain: [(&str, Vec<u8>); 15] = [
        ("garbage", (0..=255).cycle().take(70_000).collect()),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("truncated-record", half_a_hello()),
        ("record-of-64k", [&[0x16, 3, 1, 0xff, 0xff][..], &[1; 70_000]].concat()),
        ("record-of-nothing", [0x16, 3, 1, 0, 0].repeat(5000)),
        ("hello-of-16m", record(HANDSHAKE, &[&[1, 0xff, 0xff, 0xff, 3, 3][..], &[0; 8000]].concat()).repeat(20)),
        ("hello-of-nothing", record(HANDSHAKE, &[1, 0, 0, 0]).repeat(100)),
        ("hello-in-bytes", half_a_hello()[5..].iter().flat_map(|byte| record(HANDSHAKE, &[*byte])).collect()),
        (
            "sessions-ids",
            record(HANDSHAKE, &[1, 0, 0, 40, 3, 3].iter().copied().chain([0xff; 40]).collect::<Vec<u8>>()),
        ),
        ("alerts", record(ALERT, WARNING).repeat(5000)),
        ("fatal-alert", record(ALERT, &[2, 40])),
        ("change-cipher-specs", record(CHANGE_CIPHER_SPEC, &[1]).repeat(5000)),
        ("data-before-keys", record(DATA, &[0; 1000])),
        ("sslv2", vec![0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10]),
        ("heartbleed", record(HEARTBEAT, &[1, 0x40, 0])),
    ];
    let mut cases: Vec<Case> = plain
        .into_iter()
        .map(|(name, bytes)| {
            Case::new(name, move |socket| {
                let mut walk = Walk::new(socket, &Person::default());
                walk.until(Stage::Negotiated)?;
                let _ = walk.say(&bytes);
                walk.socket()?.try_clone()
            })
        })
        .collect();
    for (version, name) in [(&rustls::version::TLS12, "1.2"), (&rustls::version::TLS13, "1.3")] {
        let sealed: [(&str, Flood); 9] = [
            ("renegotiation", Flood { kind: HANDSHAKE, plain: whole_hello(), times: 1 }),
            ("renegotiations", Flood { kind: HANDSHAKE, plain: whole_hello(), times: 500 }),
            ("key-updates", Flood { kind: HANDSHAKE, plain: KEY_UPDATE.to_vec(), times: 20_000 }),
            ("empty-data", Flood { kind: DATA, plain: Vec::new(), times: 20_000 }),
            ("empty-handshake", Flood { kind: HANDSHAKE, plain: Vec::new(), times: 1000 }),
            ("warnings", Flood { kind: ALERT, plain: WARNING.to_vec(), times: 5000 }),
            ("half-close", Flood { kind: ALERT, plain: CLOSE_NOTIFY.to_vec(), times: 1 }),
            ("close-and-on", Flood { kind: ALERT, plain: CLOSE_NOTIFY.to_vec(), times: 500 }),
            ("too-long", Flood { kind: DATA, plain: vec![0; 17_000], times: 3 }),
        ];
        for (what, flood) in sealed {
            cases.push(Case::new(format!("{what} in {name}"), move |socket| flood.play(socket, version)));
        }
        cases.push(Case::new(format!("a bad seal in {name}"), move |socket| {
            let (mut socket, _) = keys(socket, version)?;
            let _ = socket.write_all(&record(DATA, &[0x5a; 100]));
            Ok(socket)
        }));
        cases.push(Case::new(format!("a truncated record in {name}"), move |socket| {
            let (mut socket, mut keys) = keys(socket, version)?;
            let whole = keys.seal(DATA, &[3, 0, 0, 100])?;
            let _ = socket.write_all(whole.get(..whole.len() / 2).unwrap_or_default());
            Ok(socket)
        }));
    }
    cases
}

/// One record, again and again.
struct Flood {
    kind: u8,
    plain: Vec<u8>,
    times: usize,
}

impl Flood {
    fn play(&self, socket: TcpStream, version: &'static SupportedProtocolVersion) -> io::Result<TcpStream> {
        let (mut socket, mut keys) = keys(socket, version)?;
        for _ in 0..self.times {
            let sealed = keys.seal(self.kind, &self.plain)?;
            if socket.write_all(&sealed).is_err() {
                break;
            }
        }
        Ok(socket)
    }
}

/// The client's keys of a connection, and how many records they have sealed.
struct Keys {
    key: aead::LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
    /// TLS 1.3 hides the content type inside.
    hides_kind: bool,
    /// TLS 1.2 sends a part of AES-GCM's nonce along (RFC 5288 3).
    nonce_is_sent: bool,
}

/// Up to the end of the handshake, and no further.
fn keys(socket: TcpStream, version: &'static SupportedProtocolVersion) -> io::Result<(TcpStream, Keys)> {
    let mut walk = Walk::new(socket, &Person::default());
    walk.until(Stage::Negotiated)?;
    let mut socket = walk.socket()?.try_clone()?;
    let mut config = tls_config(Trust::Any, version);
    config.enable_secret_extraction = true;
    let name = "localhost".try_into().map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() || connection.wants_write() {
        connection.complete_io(&mut socket)?;
    }
    let hides_kind = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let secrets = connection.dangerous_extract_secrets().map_err(io::Error::other)?;
    let (sequence, secrets) = secrets.tx;
    let (algorithm, key, iv) = match &secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&aead::CHACHA20_POLY1305, key, iv),
        _ => return Err(io::Error::other("an unknown cipher")),
    };
    let nonce_is_sent = !hides_kind && algorithm != &aead::CHACHA20_POLY1305;
    let key = aead::UnboundKey::new(algorithm, key.as_ref()).map_err(|_| io::Error::other("no key"))?;
    let iv = iv.as_ref().try_into().map_err(io::Error::other)?;
    Ok((socket, Keys { key: aead::LessSafeKey::new(key), iv, sequence, hides_kind, nonce_is_sent }))
}

impl Keys {
    /// A record that the server can open (RFC 8446 5.2, RFC 5288, RFC 7905).
    fn seal(&mut self, kind: u8, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = self.iv;
        for (byte, count) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *byte ^= count;
        }
        let sent: &[u8] = if self.nonce_is_sent { &nonce[4..] } else { &[] };
        let mut body = plain.to_vec();
        let head = |kind: u8, length: usize| {
            let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
            [kind, 3, 3, length[0], length[1]]
        };
        let (outer, authenticated) = if self.hides_kind {
            body.push(kind);
            let outer = head(DATA, body.len() + 16);
            (outer, outer.to_vec())
        } else {
            let authenticated = [&self.sequence.to_be_bytes()[..], &head(kind, body.len())].concat();
            (head(kind, sent.len() + body.len() + 16), authenticated)
        };
        self.sequence += 1;
        self.key
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(&authenticated),
                &mut body,
            )
            .map_err(|_| io::Error::other("cannot seal"))?;
        Ok([&outer[..], sent, &body].concat())
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[kind, 3, 3, length[0], length[1]], body].concat()
}

/// A ClientHello that could begin a connection, without the record around it.
fn whole_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    // No session, one cipher of TLS 1.2, no compression, no extension.
    body.extend([0, 0, 2, 0xcc, 0xa9, 1, 0, 0, 0]);
    [&[1, 0, 0, body.len() as u8][..], &body].concat()
}
