//! A worker's end of a link, as far as the gate's tests need one.

use ironrdp_acceptor::Acceptor;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use wrd_proto::transcript::Transcript;
use wrd_rdp::acceptor::{Pause, Waiting, drive, new_acceptor};
use wrd_rdp::framing::PduBuffer;
use wrd_rdp::replay::{replay, settings};
use wrd_test_client::online::next_pdu;

/// What the gate says before it relays, as it was sent.
pub fn read_block(link: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    link.read_exact(&mut length)?;
    let mut block = vec![0; u32::from_le_bytes(length) as usize];
    link.read_exact(&mut block)?;
    Ok(block)
}

pub fn read_transcript(link: &mut UnixStream) -> io::Result<Transcript> {
    Ok(wrd_sys::channel::decode(&read_block(link)?).unwrap())
}

/// An acceptor that stands where the gate has left the client.
pub fn acceptor(transcript: &Transcript) -> Acceptor {
    let (security, size) = settings(transcript);
    replay(new_acceptor(security, size), transcript).unwrap().acceptor
}

/// Brings the client to its desktop. What came behind that; nothing where the client goes before.
pub fn activate(link: &mut UnixStream, acceptor: &mut Acceptor) -> io::Result<Option<PduBuffer>> {
    let mut incoming = PduBuffer::default();
    let mut input = None;
    loop {
        let mut output = Vec::new();
        let waiting = drive(acceptor, input.as_deref(), Pause::Nowhere, &mut output).unwrap();
        link.write_all(&output)?;
        if waiting == Waiting::Active {
            return Ok(Some(incoming));
        }
        input = next_pdu(link, &mut incoming)?;
        if input.is_none() {
            return Ok(None);
        }
    }
}
