//! What CredSSP is written in: TSRequests and TSCredentials (MS-CSSP 2.2.1), and SPNEGO's frames for a token.
//!
//! Written by hand, because whoever lies about a length does it in one place of many.

/// The elements of TSCredentials with TSPasswordCreds (MS-CSSP 2.2.1.2), outside in.
pub const LEVELS: [&str; 12] = [
    "credentials",
    "kind-field",
    "kind",
    "inner-field",
    "inner",
    "password-creds",
    "domain-field",
    "domain",
    "user-field",
    "user",
    "password-field",
    "password",
];

/// What an element says for its length.
pub type Lie = fn(usize) -> Vec<u8>;

/// TSCredentials, good unless something in it is not.
#[derive(Clone)]
pub struct Credentials {
    pub kind: Vec<u8>,
    pub domain: Vec<u8>,
    pub user: Vec<u8>,
    pub password: Vec<u8>,
    /// Where one element too many stands.
    pub trailing: &'static str,
    /// Which element's length is not its own.
    pub lie: Option<(&'static str, Lie)>,
}

impl Default for Credentials {
    fn default() -> Self {
        let (domain, user, password) = Default::default();
        Self { kind: vec![1], domain, user, password, trailing: "nowhere", lie: None }
    }
}

impl Credentials {
    pub fn encode(&self) -> Vec<u8> {
        let octets = |name: [&str; 2], number: u8, bytes: &[u8]| {
            self.element(name[0], 0xa0 | number, self.element(name[1], 4, bytes.to_vec()))
        };
        let fields = [
            octets(["domain-field", "domain"], 0, &self.domain),
            octets(["user-field", "user"], 1, &self.user),
            octets(["password-field", "password"], 2, &self.password),
        ];
        let inner = self.element("password-creds", 0x30, self.more("inside", fields.concat()));
        let kind = self.element("kind-field", 0xa0, self.element("kind", 2, self.kind.clone()));
        let inner = octets(["inner-field", "inner"], 1, &self.more("octets", inner));
        let whole = self.element("credentials", 0x30, self.more("outside", [kind, inner].concat()));
        self.more("behind", whole)
    }

    fn more(&self, place: &str, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.trailing == place {
            bytes.extend([5, 0]);
        }
        bytes
    }

    fn element(&self, name: &str, tag: u8, contents: Vec<u8>) -> Vec<u8> {
        let length = match self.lie {
            Some((level, lie)) if level == name => lie(contents.len()),
            _ => der_length(contents.len()),
        };
        [vec![tag], length, contents].concat()
    }
}

/// NegTokenInit with NTLM as its only mechanism (RFC 4178 4.2.1), in the frame of GSS-API.
pub fn init(message: &[u8]) -> Vec<u8> {
    const SPNEGO: &[u8] = &[6, 6, 0x2b, 6, 1, 5, 5, 2];
    const NTLM: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];
    let fields = [element(0xa0, &element(0x30, NTLM)), octets(2, message)].concat();
    element(0x60, &[SPNEGO, &element(0xa0, &element(0x30, &fields))].concat())
}

/// NegTokenResp (4.2.2).
pub fn response(message: &[u8]) -> Vec<u8> {
    element(0xa1, &element(0x30, &octets(2, message)))
}

/// A TSRequest of version 6 with these fields (MS-CSSP 2.2.1).
pub fn request(fields: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &[element(0xa0, &[2, 1, 6]), fields.concat()].concat())
}

pub fn auth_info(sealed: &[u8]) -> Vec<u8> {
    request(&[octets(2, sealed)])
}

pub fn token(bytes: &[u8]) -> Vec<u8> {
    element(0xa1, &element(0x30, &element(0x30, &octets(0, bytes))))
}

pub fn octets(number: u8, bytes: &[u8]) -> Vec<u8> {
    element(0xa0 | number, &element(4, bytes))
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    [&[tag], &der_length(contents.len())[..], contents].concat()
}

/// Of at most 64 KB.
pub fn der_length(length: usize) -> Vec<u8> {
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..0x80 => vec![low],
        0x80..0x100 => vec![0x81, low],
        _ => vec![0x82, high, low],
    }
}
