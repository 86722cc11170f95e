//! The little of SPNEGO (RFC 4178, MS-SPNG) that a server with one mechanism needs.
//!
//! The client's first token lists mechanisms; ours is NTLM. Where it is the client's favourite its message came
//! along, else the client is told to take it and to sign the list, so that nobody in between has shortened it.

use super::der::{
    APPLICATION_0, BIT_STRING, DerError, ENUMERATED, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, element, field,
};

/// 1.3.6.1.5.5.2, SPNEGO itself.
const SPNEGO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
/// 1.3.6.1.4.1.311.2.2.10, NTLM.
const NTLM: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];
/// More than any client has.
const MAX_MECHANISMS: usize = 16;

/// The client's NegTokenInit (RFC 4178 4.2.1).
#[derive(Debug)]
pub struct Init<'a> {
    /// The MechTypeList as it came, which is what a mechListMIC is made of.
    pub mechanisms: &'a [u8],
    pub offer: Offer<'a>,
}

/// What the client thinks of NTLM.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer<'a> {
    /// It is what it wants, and this is its first message, if it came along.
    Favourite(Option<&'a [u8]>),
    /// It takes it, too; the message that may have come along is another mechanism's.
    Accepted,
    None,
}

/// A NegTokenResp (4.2.2) of the client.
#[derive(Debug)]
pub struct Response<'a> {
    pub token: Option<&'a [u8]>,
    pub mic: Option<&'a [u8]>,
}

/// negState (4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Completed = 0,
    Incomplete = 1,
    /// Incomplete, and the list must be signed.
    RequestMic = 3,
}

/// Whether a token is SPNEGO at all; it is NTLM's own otherwise.
pub fn is_spnego(token: &[u8]) -> bool {
    matches!(token.first(), Some(&APPLICATION_0) | Some(&0xa0) | Some(&0xa1))
}

/// Decodes the client's first token, with the frame of GSS-API (RFC 2743 3.1) or without.
pub fn decode_init(token: &[u8]) -> Result<Init<'_>, DerError> {
    let mut outside = Reader::new(token);
    let mut choice = match outside.enter_optional(APPLICATION_0)? {
        None => outside,
        Some(mut framed) => {
            outside.end()?;
            if framed.read(OBJECT_IDENTIFIER)? != SPNEGO {
                return Err(DerError::Value);
            }
            framed
        }
    };
    let mut init = choice.enter(field(0))?;
    choice.end()?;
    let mut fields = init.enter(SEQUENCE)?;
    init.end()?;
    let mechanisms = fields.read(field(0))?;
    fields.read_optional_field(1, BIT_STRING)?;
    let message = fields.read_optional_field(2, OCTET_STRING)?;
    // negHints or a mechListMIC: nothing that a first token can mean to us.
    fields.read_optional(field(3))?;
    fields.end()?;

    let mut list = Reader::new(mechanisms);
    let mut names = list.enter(SEQUENCE)?;
    list.end()?;
    let mut place = None;
    for at in 0.. {
        if names.is_empty() {
            break;
        }
        if at == MAX_MECHANISMS {
            return Err(DerError::Value);
        }
        if names.read(OBJECT_IDENTIFIER)? == NTLM {
            place = place.or(Some(at));
        }
    }
    let offer = match place {
        Some(0) => Offer::Favourite(message),
        Some(_) => Offer::Accepted,
        None => Offer::None,
    };
    Ok(Init { mechanisms, offer })
}

/// Decodes any later token of the client.
pub fn decode_response(token: &[u8]) -> Result<Response<'_>, DerError> {
    let mut outside = Reader::new(token);
    let mut response = outside.enter(field(1))?;
    outside.end()?;
    let mut fields = response.enter(SEQUENCE)?;
    response.end()?;
    fields.read_optional_field(0, ENUMERATED)?;
    fields.read_optional_field(1, OBJECT_IDENTIFIER)?;
    let token = fields.read_optional_field(2, OCTET_STRING)?;
    let mic = fields.read_optional_field(3, OCTET_STRING)?;
    fields.end()?;
    Ok(Response { token, mic })
}

/// Our first token, which names the mechanism.
pub fn first_response(state: State, message: Option<&[u8]>) -> Vec<u8> {
    response(state, Some(NTLM), message, None)
}

/// A later one.
pub fn response_with(state: State, message: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    response(state, None, message, mic)
}

fn response(state: State, mechanism: Option<&[u8]>, message: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    let mut fields = element(field(0), &[&element(ENUMERATED, &[&[state as u8]])]);
    let mut add = |number, tag, contents: Option<&[u8]>| {
        if let Some(contents) = contents {
            fields.extend(element(field(number), &[&element(tag, &[contents])]));
        }
    };
    add(1, OBJECT_IDENTIFIER, mechanism);
    add(2, OCTET_STRING, message);
    add(3, OCTET_STRING, mic);
    element(field(1), &[&element(SEQUENCE, &[&fields])])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 1.2.840.113554.1.2.2
    pub const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
    pub const NTLM: &[u8] = super::NTLM;

    /// A client's first token.
    pub fn init(mechanisms: &[&[u8]], message: Option<&[u8]>) -> Vec<u8> {
        let names: Vec<u8> = mechanisms.iter().flat_map(|name| element(OBJECT_IDENTIFIER, &[name])).collect();
        let mut fields = element(field(0), &[&element(SEQUENCE, &[&names])]);
        if let Some(message) = message {
            fields.extend(element(field(2), &[&element(OCTET_STRING, &[message])]));
        }
        let choice = element(field(0), &[&element(SEQUENCE, &[&fields])]);
        element(APPLICATION_0, &[&element(OBJECT_IDENTIFIER, &[SPNEGO]), &choice])
    }

    #[test]
    fn the_offer_is_where_ntlm_stands_in_the_list() {
        let offer = |mechanisms: &[&[u8]]| match decode_init(&init(mechanisms, Some(b"first"))).unwrap().offer {
            Offer::Favourite(message) => Some(message.map(<[u8]>::to_vec)),
            Offer::Accepted => Some(None),
            Offer::None => None,
        };
        assert_eq!(offer(&[NTLM, KERBEROS]), Some(Some(b"first".to_vec())));
        assert_eq!(offer(&[KERBEROS, NTLM]), Some(None));
        assert_eq!(offer(&[KERBEROS]), None);
        assert_eq!(offer(&[]), None);
        assert!(decode_init(&init(&[KERBEROS; 17], None)).is_err());
    }

    #[test]
    fn a_response_is_read_as_it_was_written() {
        let written = response_with(State::Incomplete, Some(b"message"), Some(b"mic"));
        let read = decode_response(&written).unwrap();
        assert_eq!((read.token, read.mic), (Some(b"message".as_slice()), Some(b"mic".as_slice())));
        let read = first_response(State::RequestMic, None);
        assert!(decode_response(&read).unwrap().token.is_none());
        assert!(is_spnego(&written) && is_spnego(&init(&[], None)) && !is_spnego(b"NTLMSSP\0"));
    }
}
