//! A connection whose gate holds as much for it as a gate does for a stranger: a transcript at its limit, incoming PDUs
//! at theirs, a TLS record that wants its last byte, and where there is a login screen output that nobody takes.

use crate::fields::in_tpkt;
use crate::walk::{Offer, Person, Stage, Walk};
use std::io;
use std::net::TcpStream;
use wrd_proto::transcript::MAX_TRANSCRIPT;
use wrd_rdp::framing::MAX_PDU;

/// What the other PDUs of a transcript need.
const OTHERS: usize = 4096;
/// More than a gate holds, so that it finds as much as it can hold at once.
const PDUS: usize = 16;

/// Comes to `stage`, which is `Joined` or `Active`, and fills everything.
pub fn fill(socket: TcpStream, person: &Person, stage: Stage) -> io::Result<Walk> {
    let mut walk = Walk::offering(Offer::Tls, socket, person);
    while let Some(mut pdu) = walk.next()? {
        if stage == Stage::Joined && walk.next_is_client_info() {
            break;
        }
        if is_erect_domain(&pdu) {
            // What is behind it nobody looks at; it is recorded all the same.
            pdu = padded(&pdu, MAX_TRANSCRIPT - OTHERS);
        }
        walk.say(&pdu)?;
    }
    let largest = padded(&in_tpkt(&[]), MAX_PDU);
    if stage == Stage::Active {
        // Meanwhile the login screen comes, which is more than two sockets hold where nobody reads.
        walk.say(&largest.repeat(PDUS))?;
    }
    walk.say_all_but_a_byte(&largest)?;
    Ok(walk)
}

/// MCS Erect Domain Request (T.125, T.122), behind the headers of TPKT and X.224.
fn is_erect_domain(pdu: &[u8]) -> bool {
    pdu.get(4..8) == Some(&[2, 0xf0, 0x80, 0x04])
}

fn padded(pdu: &[u8], length: usize) -> Vec<u8> {
    let mut pdu = pdu.to_vec();
    pdu.resize(length, 0);
    if let Some(field) = pdu.get_mut(2..4) {
        field.copy_from_slice(&(length as u16).to_be_bytes());
    }
    pdu
}
