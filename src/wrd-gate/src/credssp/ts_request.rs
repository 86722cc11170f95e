//! TSRequest (MS-CSSP 2.2.1), the envelope of everything in CredSSP.
//!
//! Decoded here and not by `sspi`, though that is in the program by way of the acceptor: its decoder stops before the
//! end of what it was given, copies the sealed password into a plain `Vec`, and takes versions that are not served
//! here. The reader that this needs is needed for what is inside as well.

use super::der::{DerError, Header, INTEGER, OCTET_STRING, Reader, SEQUENCE, element, field, unsigned};

/// Largest TSRequest in bytes. Real ones have some 100 to 2,000; Kerberos tickets, which are not served, more.
pub const MAX_TS_REQUEST: usize = 16 * 1024;
/// The version that we speak (MS-CSSP 2.2.1).
pub const OUR_VERSION: u32 = 6;

/// What a client sent, still in its own bytes.
#[derive(Clone, Debug)]
pub struct TsRequest<'a> {
    pub version: u32,
    /// The one token of `negoTokens`: NTLM or SPNEGO.
    pub token: Option<&'a [u8]>,
    /// The sealed TSCredentials.
    pub auth_info: Option<&'a [u8]>,
    /// The sealed hash that binds this to the TLS below.
    pub pub_key_auth: Option<&'a [u8]>,
    pub client_nonce: Option<[u8; 32]>,
}

/// What we send.
#[derive(Clone, Debug, Default)]
pub struct TsAnswer<'a> {
    pub token: Option<&'a [u8]>,
    pub pub_key_auth: Option<&'a [u8]>,
    /// An NTSTATUS.
    pub error_code: Option<u32>,
}

/// The whole length of the TSRequest that `bytes` begin with, or `None` while that cannot be told yet.
pub fn measure(bytes: &[u8]) -> Result<Option<usize>, DerError> {
    match bytes.first() {
        Some(&SEQUENCE) | None => {}
        Some(&found) => return Err(DerError::Tag { wanted: SEQUENCE, found }),
    }
    let Some(header) = Header::read(bytes)? else { return Ok(None) };
    let length = header.size + header.length;
    if length > MAX_TS_REQUEST { Err(DerError::TooLong(length, MAX_TS_REQUEST)) } else { Ok(Some(length)) }
}

impl<'a> TsRequest<'a> {
    /// Decodes one whole TSRequest.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DerError> {
        if bytes.len() > MAX_TS_REQUEST {
            return Err(DerError::TooLong(bytes.len(), MAX_TS_REQUEST));
        }
        let mut outside = Reader::new(bytes);
        let mut fields = outside.enter(SEQUENCE)?;
        outside.end()?;
        let version = unsigned(fields.read_field(0, INTEGER)?)?;
        let token = match fields.enter_optional(field(1))? {
            None => None,
            Some(mut nego_tokens) => {
                let mut list = nego_tokens.enter(SEQUENCE)?;
                nego_tokens.end()?;
                let mut item = list.enter(SEQUENCE)?;
                list.end()?;
                let token = item.read_field(0, OCTET_STRING)?;
                item.end()?;
                Some(token)
            }
        };
        let auth_info = fields.read_optional_field(2, OCTET_STRING)?;
        let pub_key_auth = fields.read_optional_field(3, OCTET_STRING)?;
        // A client has no use for it; what it means by it we need not know.
        fields.read_optional_field(4, INTEGER)?;
        let client_nonce = match fields.read_optional_field(5, OCTET_STRING)? {
            None => None,
            Some(nonce) => Some(nonce.try_into().map_err(|_| DerError::TooLong(nonce.len(), 32))?),
        };
        fields.end()?;
        Ok(Self { version, token, auth_info, pub_key_auth, client_nonce })
    }
}

impl TsAnswer<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let octets = |number, bytes: &[u8]| element(field(number), &[&element(OCTET_STRING, &[bytes])]);
        let integer = |number, bytes: &[u8]| element(field(number), &[&element(INTEGER, &[bytes])]);
        let mut fields = integer(0, &[OUR_VERSION as u8]);
        if let Some(token) = self.token {
            let list = element(SEQUENCE, &[&element(SEQUENCE, &[&octets(0, token)])]);
            fields.extend(element(field(1), &[&list]));
        }
        if let Some(sealed) = self.pub_key_auth {
            fields.extend(octets(3, sealed));
        }
        if let Some(code) = self.error_code {
            // Four bytes, as Windows has it, though an NTSTATUS that is an error makes the number negative.
            fields.extend(integer(4, &code.to_be_bytes()));
        }
        element(SEQUENCE, &[&fields])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_connector::sspi;

    #[test]
    fn the_peers_codec_and_ours_understand_each_other() {
        let theirs = sspi::credssp::TsRequest {
            version: 6,
            nego_tokens: Some(vec![7; 300]),
            auth_info: Some(vec![8; 200]),
            pub_key_auth: Some(vec![9; 48]),
            error_code: None,
            client_nonce: Some([3; 32]),
        };
        let mut bytes = Vec::new();
        theirs.encode_ts_request(&mut bytes).unwrap();
        assert_eq!(measure(&bytes), Ok(Some(bytes.len())));
        assert_eq!(measure(&bytes[..3]), Ok(None));
        let request = TsRequest::decode(&bytes).unwrap();
        assert_eq!((request.version, request.token.unwrap()), (6, [7; 300].as_slice()));
        assert_eq!(request.auth_info.unwrap(), [8; 200]);
        assert_eq!((request.pub_key_auth.unwrap(), request.client_nonce), ([9; 48].as_slice(), Some([3; 32])));

        let ours = TsAnswer { token: Some(&[1; 150]), pub_key_auth: Some(&[2; 48]), error_code: Some(0xc000_006d) };
        let read = sspi::credssp::TsRequest::from_buffer(&ours.encode()).unwrap();
        assert_eq!(read.nego_tokens.unwrap(), [1; 150]);
        assert_eq!(read.pub_key_auth.unwrap(), [2; 48]);
        assert_eq!(read.error_code.unwrap().0, 0xc000_006d);
    }

    #[test]
    fn what_is_too_long_is_known_before_it_has_come() {
        assert_eq!(measure(&[]), Ok(None));
        assert_eq!(measure(&[SEQUENCE, 0x82, 0x40, 0x01]), Err(DerError::TooLong(0x4005, MAX_TS_REQUEST)));
        assert_eq!(measure(&[SEQUENCE, 0x84, 0xff]), Err(DerError::Length));
        assert!(matches!(measure(&[3]), Err(DerError::Tag { found: 3, .. })));
    }

    #[test]
    fn a_nonce_of_another_length_and_bytes_behind_the_end_are_errors() {
        let version = element(field(0), &[&element(INTEGER, &[&[6]])]);
        let nonce = element(field(5), &[&element(OCTET_STRING, &[&[0; 31]])]);
        assert!(TsRequest::decode(&element(SEQUENCE, &[&version, &nonce])).is_err());
        assert!(TsRequest::decode(&element(SEQUENCE, &[&version])).is_ok());
        assert_eq!(TsRequest::decode(&element(SEQUENCE, &[&version, &[5, 0]])).unwrap_err(), DerError::Trailing);
        let mut longer = element(SEQUENCE, &[&version]);
        longer.push(0);
        assert_eq!(TsRequest::decode(&longer).unwrap_err(), DerError::Trailing);
    }
}
