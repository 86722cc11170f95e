//! Behind a right proof of a password in NLA: hashes that bind it to something else, and credentials that are none.
//!
//! Always true: up to the attack each connection is a good client's, with NTLM as such or in SPNEGO. Nothing is said
//! behind the attack, and no end of the stream either: it is the server that must end the connection.

use crate::cases::{self, Case};
use crate::net::Net;
use crate::ntlm::{Sealer, authenticate, challenge_in, negotiate, random};
use crate::ts_request::{Credentials, LEVELS, Lie, auth_info, der_length, init, octets, request, response, token};
use crate::walk::{Offer, Person, Stage, Walk};
use anyhow::Context;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use wrd_test_client::nla::{Tokens, utf16};

/// Whose password is proven, and that.
#[derive(Clone)]
struct Who {
    user: String,
    password: String,
}

impl Who {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (user, password) = text.split_once(':').context("no USER:PASSWORD")?;
        Ok(Self { user: user.to_owned(), password: password.to_owned() })
    }

    /// What a good client of theirs delegates.
    fn credentials(&self) -> Vec<u8> {
        Credentials { user: utf16(&self.user), password: utf16(&self.password), ..Credentials::default() }.encode()
    }
}

/// Plays everything. `names` are those of the attacks; `answered` has how many bytes the server still said, where it
/// said any.
pub fn run(net: &Net, proven: &str, tried: &str) -> anyhow::Result<Value> {
    let (proven, tried) = (Who::parse(proven)?, Who::parse(tried)?);
    let answered = Arc::new(Mutex::new(BTreeMap::new()));
    let (mut cases, mut names) = (Vec::new(), BTreeSet::new());
    for attack in attacks(net, &proven, &tried)? {
        for tokens in attack.tokens {
            let answered = answered.clone();
            let name = format!("{} {tokens:?}", [&*attack.name, &attack.how].join(" ").trim_end());
            let (attack, of) = (attack.play.clone(), name.clone());
            cases.push(Case::new(name, move |socket| {
                let mut proof = Proof::begin(socket, *tokens)?;
                attack(&mut proof)?;
                let said = proof.walk.hear_rest()?;
                if let Ok(mut answered) = answered.lock()
                    && said > 0
                {
                    answered.insert(of.clone(), said);
                }
                proof.walk.socket()?.try_clone()
            }));
        }
        names.insert(attack.name);
    }
    let mut report = cases::run(net, cases)?;
    report["names"] = names.into_iter().collect();
    report["answered"] = answered.lock().map(|answered| json!(*answered)).unwrap_or_default();
    Ok(report)
}

/// From the beginning of CredSSP to the attack.
type Play = Arc<dyn Fn(&mut Proof) -> io::Result<()> + Send + Sync>;

struct Attack {
    name: String,
    /// Which one of those of its name.
    how: String,
    tokens: &'static [Tokens],
    play: Play,
}

/// Where the hash stands beside the proof, and where it comes behind it.
const BOTH: &[Tokens] = &[Tokens::Raw, Tokens::Spnego];
const RAW: &[Tokens] = &[Tokens::Raw];

/// What a client knows that has heard the server's challenge.
struct Proof {
    walk: Walk,
    tokens: Tokens,
    challenge: Vec<u8>,
    key: Vec<u8>,
    nonce: [u8; 32],
}

impl Proof {
    fn begin(socket: TcpStream, tokens: Tokens) -> io::Result<Self> {
        let mut walk = Walk::offering(Offer::Nla(tokens), socket, &Person::default());
        walk.until(Stage::CredSsp)?;
        let hello = match tokens {
            Tokens::Raw => negotiate(),
            Tokens::Spnego => init(&negotiate()),
        };
        walk.say(&request(&[token(&hello)]))?;
        let heard = walk.hear_ts_request()?.nego_tokens.ok_or(io::ErrorKind::InvalidData)?;
        let (challenge, key) = (challenge_in(&heard)?.to_vec(), walk.server_key()?);
        Ok(Self { walk, tokens, challenge, key, nonce: random()? })
    }

    /// Proves a password, and says `fields` beside that where the hash is due there, or behind it.
    fn bind(&mut self, who: &Who, fields: impl FnOnce(&mut Bind<'_>) -> Vec<Vec<u8>>) -> io::Result<Sealer> {
        let (message, mut sealer) = authenticate((&who.user, &who.password), &self.challenge)?;
        let fields = fields(&mut Bind { sealer: &mut sealer, key: &self.key, nonce: self.nonce });
        match self.tokens {
            Tokens::Raw => self.walk.say(&request(&[&[token(&message)], &fields[..]].concat()))?,
            Tokens::Spnego => {
                self.walk.say(&request(&[token(&response(&message))]))?;
                let refused = self.walk.hear_ts_request()?.error_code;
                if refused.is_some() {
                    return Err(io::Error::other("the proof was refused"));
                }
                self.walk.say(&request(&fields))?;
            }
        }
        Ok(sealer)
    }

    /// The same with the right hash, until the server has shown its own.
    fn bind_well(&mut self, who: &Who) -> io::Result<Sealer> {
        let sealer = self.bind(who, |bind| bind.right())?;
        match self.walk.hear_ts_request()?.pub_key_auth {
            Some(_) => Ok(sealer),
            None => Err(io::Error::other("the server shows no hash")),
        }
    }

    /// Says the last word; from here on the server may end the connection at any byte.
    fn last(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _ = self.walk.say(bytes);
        Ok(())
    }
}

/// What the fields with the hash are made of.
struct Bind<'a> {
    sealer: &'a mut Sealer,
    key: &'a [u8],
    nonce: [u8; 32],
}

impl Bind<'_> {
    fn hash(&self) -> [u8; 32] {
        hash(CLIENT, &self.nonce, self.key)
    }

    fn seal_right(&mut self) -> Vec<u8> {
        let hash = self.hash();
        self.sealer.seal(&hash)
    }

    fn right(&mut self) -> Vec<Vec<u8>> {
        let sealed = self.seal_right();
        self.with(&sealed)
    }

    /// This, sealed, in place of the hash.
    fn sealed(&mut self, hash: &[u8]) -> Vec<Vec<u8>> {
        let sealed = self.sealer.seal(hash);
        self.with(&sealed)
    }

    fn with(&self, sealed: &[u8]) -> Vec<Vec<u8>> {
        vec![octets(3, sealed), octets(5, &self.nonce)]
    }
}

/// MS-CSSP 3.1.5.
const CLIENT: &[u8] = b"CredSSP Client-To-Server Binding Hash\0";
const SERVER: &[u8] = b"CredSSP Server-To-Client Binding Hash\0";

fn hash(magic: &[u8], nonce: &[u8], key: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(magic).chain_update(nonce).chain_update(key).finalize().into()
}

fn attacks(net: &Net, proven: &Who, tried: &Who) -> anyhow::Result<Vec<Attack>> {
    // What a good client says on a connection of its own: its hash, and its credentials.
    let mut other = Proof::begin(net.dial()?, Tokens::Raw).context("the good connection")?;
    let mut others_hash = Vec::new();
    let mut sealer = other.bind(proven, |bind| {
        others_hash = bind.right();
        others_hash.clone()
    })?;
    let others_credentials = sealer.seal(&proven.credentials());

    // First those that take their time.
    let mut all = taken(proven, tried);
    all.extend(hashes(proven, &others_hash));
    all.extend(seals(proven, &others_credentials));
    all.extend(texts(proven));
    all.extend(lengths(proven));
    Ok(all)
}

/// Something else where the hash of the server's key is due.
fn hashes(proven: &Who, others: &[Vec<u8>]) -> Vec<Attack> {
    type Fields = Box<dyn Fn(&mut Bind<'_>) -> Vec<Vec<u8>> + Send + Sync>;
    let mut all = Vec::new();
    let mut add = |name: &str, fields: Fields| {
        let who = proven.clone();
        let play: Play = Arc::new(move |proof| proof.bind(&who, |bind| fields(bind)).map(drop));
        all.push(Attack { name: name.to_owned(), how: String::new(), tokens: BOTH, play });
    };
    add("hash-of-another-key", Box::new(|bind| bind.sealed(&hash(CLIENT, &bind.nonce, &[4; 65]))));
    add("hash-of-the-server", Box::new(|bind| bind.sealed(&hash(SERVER, &bind.nonce, bind.key))));
    add("hash-with-another-nonce", Box::new(|bind| bind.sealed(&hash(CLIENT, &[9; 32], bind.key))));
    add("hash-without-nonce", Box::new(|bind| bind.right().into_iter().take(1).collect()));
    for size in [0, 31, 33] {
        let fields = move |bind: &mut Bind<'_>| vec![bind.right().swap_remove(0), octets(5, &[9; 33][..size])];
        add(&format!("nonce-of-{size}"), Box::new(fields));
    }
    for size in [0, 31] {
        add(&format!("hash-of-{size}"), Box::new(move |bind| bind.sealed(&bind.hash()[..size])));
    }
    add("hash-of-33", Box::new(|bind| bind.sealed(&[&bind.hash()[..], &[0]].concat())));
    add("hash-of-12k", Box::new(|bind| bind.sealed(&bind.hash().repeat(400))));
    add("hash-of-60k", Box::new(|bind| bind.sealed(&bind.hash().repeat(1900))));
    for size in [0, 15, 16] {
        add(&format!("sealed-hash-of-{size}"), Box::new(move |bind| bind.with(&[1; 16][..size])));
    }
    add("hash-not-sealed", Box::new(|bind| bind.with(&[&[0; 16][..], &bind.hash()].concat())));
    for (how, at) in [("signed", 5), ("sealed", 20)] {
        let fields = move |bind: &mut Bind<'_>| {
            let sealed = bind.seal_right();
            bind.with(&flipped(&sealed, at))
        };
        add(&format!("hash-badly-{how}"), Box::new(fields));
    }
    add(
        "hash-as-second-message",
        Box::new(|bind| {
            bind.sealer.sequence = 1;
            bind.right()
        }),
    );
    let others = others.to_vec();
    add("hash-of-another-connection", Box::new(move |_| others.clone()));
    let credentials = proven.credentials();
    add("credentials-for-a-hash", Box::new(move |bind| vec![octets(2, &bind.sealer.seal(&credentials))]));
    add("nothing-for-a-hash", Box::new(|_| Vec::new()));
    all
}

/// Behind the right hash: a message, which gets what it needs to be sealed with, and the good credentials.
fn behind(
    name: &str,
    how: &str,
    who: &Who,
    say: impl Fn(&mut Sealer, &[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> Attack {
    let who = who.clone();
    let play: Play = Arc::new(move |proof| {
        let mut sealer = proof.bind_well(&who)?;
        proof.last(&say(&mut sealer, &who.credentials()))
    });
    Attack { name: name.to_owned(), how: how.to_owned(), tokens: RAW, play }
}

/// The right credentials, badly sealed; the same again; none.
fn seals(proven: &Who, others: &[u8]) -> Vec<Attack> {
    let mut all = Vec::new();
    let mut add = |name: &str, seal: fn(&mut Sealer, &[u8]) -> Vec<u8>| {
        all.push(behind(name, "", proven, move |sealer, good| auth_info(&seal(sealer, good))));
    };
    add("credentials-badly-signed", |sealer, good| flipped(&sealer.seal(good), 5));
    add("credentials-badly-sealed", |sealer, good| flipped(&sealer.seal(good), 40));
    add("credentials-cut", |sealer, good| {
        let sealed = sealer.seal(good);
        sealed.split_last().map_or(Vec::new(), |(_, rest)| rest.to_vec())
    });
    add("credentials-of-another-version", |sealer, good| flipped(&sealer.seal(good), 0));
    add("credentials-as-first-message", |sealer, good| {
        sealer.sequence = 0;
        sealer.seal(good)
    });
    add("credentials-as-third-message", |sealer, good| {
        sealer.sequence = 2;
        sealer.seal(good)
    });
    add("credentials-after-one-that-is-lost", |sealer, good| {
        sealer.seal(good);
        sealer.seal(good)
    });
    add("credentials-not-sealed", |_, good| [&[0; 16], good].concat());
    add("credentials-of-nothing", |sealer, _| sealer.seal(&[]));
    add("sealed-credentials-of-0", |_, _| Vec::new());
    add("sealed-credentials-of-15", |_, _| vec![1; 15]);
    add("sealed-credentials-of-16", |_, _| vec![1; 16]);
    add("credentials-of-60k", |sealer, good| sealer.seal(&good.repeat(60_000 / good.len())));
    let others = others.to_vec();
    all.push(behind("credentials-of-another-connection", "", proven, move |_, _| auth_info(&others)));
    all.push(behind("no-credentials", "", proven, |_, _| request(&[])));
    all.push(behind("a-token-again", "", proven, |_, _| request(&[token(&negotiate())])));
    let who = proven.clone();
    let play: Play = Arc::new(move |proof| {
        // The whole message with the hash, once more, and the hash as credentials.
        let mut said = Vec::new();
        proof.bind(&who, |bind| {
            said = bind.right();
            said.clone()
        })?;
        proof.walk.hear_ts_request()?;
        proof.last(&request(&said))
    });
    all.push(Attack { name: "hash-again".to_owned(), how: String::new(), tokens: BOTH, play });
    let who = proven.clone();
    let play: Play = Arc::new(move |proof| {
        let mut sealed = Vec::new();
        proof.bind(&who, |bind| {
            sealed = bind.seal_right();
            bind.with(&sealed)
        })?;
        proof.walk.hear_ts_request()?;
        proof.last(&auth_info(&sealed))
    });
    all.push(Attack { name: "hash-for-credentials".to_owned(), how: String::new(), tokens: BOTH, play });
    all
}

/// Well sealed, and what is inside is of another kind, no text, too much or too little.
fn texts(proven: &Who) -> Vec<Attack> {
    let good = || Credentials { user: utf16("carol"), password: utf16(CANARY), ..Credentials::default() };
    let mut all = Vec::new();
    let mut add = |name: &str, how: &str, credentials: Vec<u8>| {
        all.push(behind(name, how, proven, move |sealer, _| auth_info(&sealer.seal(&credentials))));
    };
    // A smart card (2), Remote Credential Guard (6), and kinds that nobody knows.
    for kind in [&[0][..], &[2], &[6], &[7], &[0x7f], &[0xff], &[], &[1, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 1]] {
        add("kind", &format!("{kind:02x?}"), Credentials { kind: kind.to_vec(), ..good() }.encode());
    }
    let long = |letters: usize| utf16(&"x".repeat(letters));
    let bad: [(&str, Vec<u8>); 5] = [
        ("odd", b"abc".to_vec()),
        ("high-surrogate", vec![b'a', 0, 0x3d, 0xd8]),
        ("low-surrogate", vec![0x11, 0xdd, b'a', 0]),
        ("surrogates-turned-round", vec![0x11, 0xdd, 0x3d, 0xd8]),
        ("long", long(6000)),
    ];
    for (how, text) in bad {
        add("domain", how, Credentials { domain: text.clone(), ..good() }.encode());
        add("user", how, Credentials { user: text.clone(), ..good() }.encode());
        add("password", how, Credentials { password: text, ..good() }.encode());
    }
    let nul = || utf16("carol\0");
    add("domain", "nul", Credentials { domain: nul(), ..good() }.encode());
    add("user", "nul", Credentials { user: nul(), ..good() }.encode());
    add("user", "just-too-long", Credentials { user: long(257), ..good() }.encode());
    add("password", "just-too-long", Credentials { password: long(1025), ..good() }.encode());
    for place in ["behind", "outside", "octets", "inside"] {
        add("trailing", place, Credentials { trailing: place, ..good() }.encode());
    }
    let nested: Vec<u8> =
        (0..3000u16).rev().flat_map(|level| [&[0x30, 0x82][..], &(level * 4).to_be_bytes()].concat()).collect();
    add("nested", "definite", nested);
    add("nested", "indefinite", [0x30, 0x80].repeat(6000));
    add("garbage", "", (0..=255).cycle().take(3000).collect());
    add("hash-inside", "", vec![7; 32]);
    all
}

/// The length of each element is another one than its own.
fn lengths(proven: &Who) -> Vec<Attack> {
    let longest = |_| vec![0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let lies: [(&str, Lie); 12] = [
        ("none", |_| vec![0]),
        ("one-less", |length| der_length(length.saturating_sub(1))),
        ("one-more", |length| der_length(length + 1)),
        ("twice", |length| der_length(2 * length)),
        ("indefinite", |_| vec![0x80]),
        ("reserved", |_| vec![0xff]),
        ("64k", |_| vec![0x82, 0xff, 0xff]),
        ("64k-and-one", |_| vec![0x83, 1, 0, 1]),
        ("10m", |_| vec![0x84, 0x00, 0x98, 0x96, 0x80]),
        ("minus-one", |_| vec![0x84, 0xff, 0xff, 0xff, 0xff]),
        ("longest", longest),
        ("of-no-bytes", |_| vec![0x82]),
    ];
    let mut all = Vec::new();
    for level in LEVELS {
        for (how, lie) in lies {
            let credentials = Credentials {
                domain: utf16("DOM"),
                user: utf16("carol"),
                password: utf16(CANARY),
                lie: Some((level, lie)),
                ..Credentials::default()
            };
            let bytes = credentials.encode();
            let name = format!("length-of-{level}");
            all.push(behind(&name, how, proven, move |sealer, _| auth_info(&sealer.seal(&bytes))));
        }
    }
    all
}

/// What the server finds no fault with, so that the connection goes on, or waits for more; and nobody gets in by it.
fn taken(proven: &Who, tried: &Who) -> Vec<Attack> {
    let mut all = Vec::new();
    all.push(behind("half-a-request", "", proven, |sealer, good| {
        let mut bytes = auth_info(&sealer.seal(good));
        bytes.truncate(bytes.len() / 2);
        bytes
    }));
    all.push(behind("silence", "", proven, |_, _| Vec::new()));
    all.push(behind("credentials-twice", "", proven, |sealer, good| {
        [auth_info(&sealer.seal(good)), auth_info(&sealer.seal(good))].concat()
    }));
    all.push(behind("credentials-and-on", "", proven, |sealer, good| {
        [auth_info(&sealer.seal(good)), vec![0; 20_000]].concat()
    }));
    let mut add = |name: &str, who: &Who, credentials: Credentials| {
        let (who, credentials) = (who.clone(), credentials.encode());
        let play: Play = Arc::new(move |proof| {
            let mut sealer = proof.bind_well(&who)?;
            proof.walk.say(&auth_info(&sealer.seal(&credentials)))?;
            proof.walk.credssp_is_done()?;
            proof.walk.until(Stage::Active)
        });
        all.push(Attack { name: name.to_owned(), how: String::new(), tokens: RAW, play });
    };
    let of = |who: &Who, more: &str| Credentials {
        user: utf16(&who.user),
        password: utf16(&format!("{}{more}", who.password)),
        ..Credentials::default()
    };
    add("nothing-delegated", proven, Credentials::default());
    add("another-user", proven, of(tried, ""));
    // The right password up to where a string of C ends.
    add("password-with-nul", tried, of(tried, "\0x"));
    all
}

/// A password that is nobody's, looked for in the journal.
const CANARY: &str = "canary-in-credentials";

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    bytes.iter().enumerate().map(|(index, byte)| if index == at { byte ^ 1 } else { *byte }).collect()
}
