//! What a client can send in the middle of a session, against [`Connection`] alone. `tests/link.rs` has real clients.

use super::*;
use nix::sys::resource::{Resource, setrlimit};
use std::process::Command;
use wrd_rdp::framing::PduBuffer;

/// From the end of the transcript to an active connection; the fuzz targets begin here, too.
fn active() -> (Connection, Vec<Vec<u8>>) {
    let transcript = include_bytes!("../../../../tests/fuzz/corpus/transcript/licensing");
    let transcript = wrd_sys::channel::decode::<Transcript>(transcript).unwrap();
    let mut connection = Connection::new(&transcript).unwrap();
    let mut buffer = PduBuffer::default();
    buffer.push(include_bytes!("../../../../tests/fuzz/corpus/link/activation"));
    let (mut pdus, mut found) = (Vec::new(), Vec::new());
    while let Some(pdu) = buffer.next_pdu().unwrap().map(<[u8]>::to_vec) {
        connection.receive(&pdu, &mut found).unwrap();
        pdus.push(pdu);
    }
    assert!(connection.is_active());
    (connection, pdus)
}

/// More than anything here takes, and less than room for 65,280 capability sets.
const LITTLE: u64 = 1 << 20;

fn leave_little_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    let bytes = kilobytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
    setrlimit(Resource::RLIMIT_DATA, bytes + LITTLE, bytes + LITTLE).unwrap();
}

/// In a process of its own, which ends where memory does.
#[test]
fn a_confirm_active_in_the_middle_of_a_session_is_not_decoded() {
    const CHILD: &str = "WRD_TEST_CHILD";
    let Some(child) = std::env::var_os(CHILD) else {
        let run = |what: &str| {
            let name = "link::tests::a_confirm_active_in_the_middle_of_a_session_is_not_decoded";
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", name, "--test-threads=1"]).env(CHILD, what).output().unwrap()
        };
        let ours = run("ours");
        assert!(ours.status.success(), "{}", String::from_utf8_lossy(&ours.stderr));
        // Should this succeed one day, the library has mended it: docs/upstream.md.
        assert!(!run("theirs").status.success());
        return;
    };
    let (mut connection, mut pdus) = active();
    // As in `a_confirm_active_that_announces_more_sets_than_it_has_is_refused_unread` (wrd-rdp).
    let mut confirm = pdus.swap_remove(0);
    let count_at = 15 + 16 + usize::from(confirm[15 + 12]);
    confirm[count_at + 1] = 0xff;
    let mut found = Vec::new();
    leave_little_memory();
    if child == "theirs" {
        let Ok(X224(McsMessage::SendDataRequest(data))) = decode::<X224<McsMessage<'_>>>(&confirm) else { return };
        let _ = decode::<ShareControlHeader>(&data.user_data);
        return;
    }
    connection.receive(&confirm, &mut found).unwrap();
    assert!(connection.is_active() && found.is_empty());
}
