//! What a client can send to the login screen that is no input, against [`Greeter`] alone. `tests/logins.rs` has whole
//! logins.

use super::*;
use crate::monitor::Monitor;
use ironrdp_core::decode;
use ironrdp_pdu::mcs::McsMessage;
use ironrdp_pdu::rdp::headers::ShareControlHeader;
use ironrdp_pdu::x224::X224;
use nix::sys::resource::{Resource, setrlimit};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use wrd_rdp::framing::PduBuffer;
use wrd_sys::RawChannel;

/// More than anything here takes, and less than room for 65,280 capability sets.
const LITTLE: u64 = 1 << 20;

fn leave_little_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    let bytes = kilobytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
    setrlimit(Resource::RLIMIT_DATA, bytes + LITTLE, bytes + LITTLE).unwrap();
}

/// A client's, as in `a_confirm_active_that_announces_more_sets_than_it_has_is_refused_unread` (wrd-rdp).
fn confirm_active_of_many_sets() -> Vec<u8> {
    let mut buffer = PduBuffer::default();
    buffer.push(include_bytes!("../../../../tests/fuzz/corpus/link/activation"));
    let mut confirm = buffer.next_pdu().unwrap().unwrap().to_vec();
    let count_at = 15 + 16 + usize::from(confirm[15 + 12]);
    confirm[count_at + 1] = 0xff;
    assert_eq!(pdu::classify(&confirm), Slow::ConfirmActive);
    confirm
}

fn greeter() -> Greeter {
    let scene = Scene {
        size: DesktopSize { width: 800, height: 600 },
        scale: 100,
        host_name: "lab.example.org".to_owned(),
        keyboard: KeyboardSettings::default(),
        sessions: Vec::new(),
    };
    Greeter::new(scene, &UserName::default(), Opening::Fresh, Deadlines::default())
}

/// In a process of its own, which ends where memory does.
#[test]
fn a_confirm_active_at_the_login_screen_is_not_decoded() {
    const CHILD: &str = "WRD_TEST_CHILD";
    let Some(child) = std::env::var_os(CHILD) else {
        let run = |what: &str| {
            let name = "greeter::tests::a_confirm_active_at_the_login_screen_is_not_decoded";
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", name, "--test-threads=1"]).env(CHILD, what).output().unwrap()
        };
        let ours = run("ours");
        assert!(ours.status.success(), "{}", String::from_utf8_lossy(&ours.stderr));
        // Should this succeed one day, the library has mended it: docs/upstream.md.
        assert!(!run("theirs").status.success());
        return;
    };
    let confirm = confirm_active_of_many_sets();
    let (minute, deadlines) = (Duration::from_secs(60), Deadlines::default());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut client = Client::new(ours.into(), minute).unwrap();
    let (gates, _monitors) = RawChannel::pair().unwrap();
    let mut login = Login::new(Arc::new(Monitor::new(gates.into(), minute).unwrap()), deadlines);
    let mut greeter = greeter();
    theirs.write_all(&confirm).unwrap();
    assert!(client.receive().unwrap() == Stream::Open && client.incoming.len() == confirm.len());
    leave_little_memory();
    if child == "theirs" {
        let Ok(X224(McsMessage::SendDataRequest(data))) = decode::<X224<McsMessage<'_>>>(&confirm) else { return };
        let _ = decode::<ShareControlHeader>(&data.user_data);
        return;
    }
    assert!(greeter.take_input(&mut client, &mut login).unwrap().is_none(), "the screen stays");
    assert!(client.incoming.is_empty(), "it was looked at");
}
