//! A Confirm Active that announces more capability sets than there is room for, and processes in which it shows whether
//! anybody decodes it. For the unit tests of gate and worker, who must not.

use ironrdp_core::decode;
use ironrdp_pdu::mcs::McsMessage;
use ironrdp_pdu::rdp::headers::ShareControlHeader;
use ironrdp_pdu::x224::X224;
use nix::sys::resource::{Resource, setrlimit};
use std::process::Command;
use wrd_rdp::framing::PduBuffer;

/// More than anything here takes, and less than room for 65,280 capability sets.
const LITTLE: u64 = 1 << 20;

/// A client's, as in `a_confirm_active_that_announces_more_sets_than_it_has_is_refused_unread` (wrd-rdp).
pub fn confirm_active() -> Vec<u8> {
    let mut buffer = PduBuffer::default();
    buffer.push(include_bytes!("../../../../tests/fuzz/corpus/link/activation"));
    let mut confirm = buffer.next_pdu().unwrap().unwrap().to_vec();
    let count_at = 15 + 16 + usize::from(confirm[15 + 12]);
    confirm[count_at + 1] = 0xff;
    confirm
}

/// Runs the test of this name in processes of their own, which end where memory does: in one `take` gets the PDU, in the
/// other the library does, which must not end well. `prepare` makes what `take` needs while there is memory.
pub fn is_not_decoded<T>(name: &str, prepare: impl FnOnce(&[u8]) -> T, take: impl FnOnce(T, &[u8])) {
    const CHILD: &str = "WRD_TEST_CHILD";
    let Some(child) = std::env::var_os(CHILD) else {
        let run = |what: &str| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", name, "--test-threads=1"]).env(CHILD, what).output().unwrap()
        };
        let ours = run("ours");
        assert!(ours.status.success(), "{}", String::from_utf8_lossy(&ours.stderr));
        // Should this succeed one day, the library has mended it: docs/upstream.md.
        assert!(!run("theirs").status.success());
        return;
    };
    let confirm = confirm_active();
    let prepared = prepare(&confirm);
    leave_little_memory();
    if child == "theirs" {
        let Ok(X224(McsMessage::SendDataRequest(data))) = decode::<X224<McsMessage<'_>>>(&confirm) else { return };
        let _ = decode::<ShareControlHeader>(&data.user_data);
        return;
    }
    take(prepared, &confirm);
}

fn leave_little_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    let bytes = kilobytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
    setrlimit(Resource::RLIMIT_DATA, bytes + LITTLE, bytes + LITTLE).unwrap();
}
