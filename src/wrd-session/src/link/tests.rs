//! What a client can send in the middle of a session, against [`Connection`] alone. `tests/link.rs` has real clients.

#[path = "../../../wrd-rdp/tests/shared/many_sets.rs"]
mod many_sets;

use super::*;
use wrd_rdp::framing::PduBuffer;

/// From the end of the transcript to an active connection; the fuzz targets begin here, too.
fn active() -> Connection {
    let transcript = include_bytes!("../../../../tests/fuzz/corpus/transcript/licensing");
    let transcript = wrd_sys::channel::decode::<Transcript>(transcript).unwrap();
    let mut connection = Connection::new(&transcript).unwrap();
    let mut buffer = PduBuffer::default();
    buffer.push(include_bytes!("../../../../tests/fuzz/corpus/link/activation"));
    let mut found = Vec::new();
    while let Some(pdu) = buffer.next_pdu().unwrap().map(<[u8]>::to_vec) {
        connection.receive(&pdu, &mut found).unwrap();
    }
    assert!(connection.is_active());
    connection
}

#[test]
fn a_confirm_active_in_the_middle_of_a_session_is_not_decoded() {
    many_sets::is_not_decoded(
        "link::tests::a_confirm_active_in_the_middle_of_a_session_is_not_decoded",
        |_| active(),
        |mut connection, confirm| {
            let mut found = Vec::new();
            connection.receive(confirm, &mut found).unwrap();
            assert!(connection.is_active() && found.is_empty());
        },
    );
}
