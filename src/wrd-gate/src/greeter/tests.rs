//! What a client can send to the login screen that is no input, against [`Greeter`] alone. `tests/logins.rs` has whole
//! logins.

#[path = "../../../wrd-rdp/tests/shared/many_sets.rs"]
mod many_sets;

use super::*;
use crate::monitor::Monitor;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use wrd_sys::RawChannel;

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

#[test]
fn a_confirm_active_at_the_login_screen_is_not_decoded() {
    let prepare = |confirm: &[u8]| {
        assert_eq!(pdu::classify(confirm), Slow::ConfirmActive);
        let (minute, deadlines) = (Duration::from_secs(60), Deadlines::default());
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut client = Client::new(ours.into(), minute).unwrap();
        let (gates, monitors) = RawChannel::pair().unwrap();
        let login = Login::new(Arc::new(Monitor::new(gates.into(), minute).unwrap()), deadlines);
        theirs.write_all(confirm).unwrap();
        assert!(client.receive().unwrap() == Stream::Open && client.incoming.len() == confirm.len());
        (greeter(), client, login, (theirs, monitors))
    };
    many_sets::is_not_decoded(
        "greeter::tests::a_confirm_active_at_the_login_screen_is_not_decoded",
        prepare,
        |(mut greeter, mut client, mut login, _others), _| {
            assert!(greeter.take_input(&mut client, &mut login).unwrap().is_none(), "the screen stays");
            assert!(client.incoming.is_empty(), "it was looked at");
        },
    );
}
