//! Replays the corpora of the fuzz targets through the same functions: what was found once stays found.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;
use wrd_leader::login::Verdict;

#[test]
fn every_seed_is_taken_without_a_fault() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut seeds = 0;
        for entry in fs::read_dir(corpora.join(name)).unwrap_or_else(|error| panic!("no corpus for {name}: {error}")) {
            let file = entry.unwrap().path();
            let data = fs::read(&file).unwrap();
            target(&data);
            // Cut short anywhere it is no fault either.
            (0..data.len().min(600)).for_each(|length| target(&data[..length]));
            seeds += 1;
        }
        assert!(seeds > 0, "the corpus of {name} is empty");
    }
    let folders = fs::read_dir(&corpora).unwrap().count();
    assert_eq!(folders, targets::TARGETS.len(), "a corpus without a target, or the other way round");
}

#[test]
fn the_seeds_are_understood_and_not_only_survived() {
    let seed = |name: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name)).unwrap();
    let info = wrd_rdp::client_info::decode_client_info(&seed("client_info/client")).unwrap();
    assert_eq!((info.user.as_str(), info.password.unwrap().expose()), ("alice", b"canary".as_slice()));
    let back = wrd_rdp::client_info::decode_client_info(&seed("client_info/comes-back")).unwrap().returning.unwrap();
    assert_eq!((back.logon_id, back.verifier.expose()), (7, &[7; 16]));
    assert_eq!(wrd_rdp::client::ClientSettings::decode(&seed("client_settings/client")).unwrap().width, 1280);
    assert_eq!(wrd_rdp::input::events(&seed("input/several")).unwrap().len(), 2);
    let delegated = targets::delegated(&seed("credssp/raw")).unwrap();
    assert_eq!((delegated.user.as_str(), delegated.password.expose()), ("alice", b"canary".as_slice()));
    assert!(targets::delegated(&seed("credssp/raw-refused")).is_none());
    let transcript =
        wrd_sys::channel::decode::<wrd_proto::transcript::Transcript>(&seed("transcript/licensing")).unwrap();
    let (security, size) = wrd_rdp::replay::settings(&transcript);
    wrd_rdp::replay::replay(wrd_rdp::acceptor::new_acceptor(security, size), &transcript).unwrap();

    let alices = wrd_enrol::Entry::parse(&seed("enrolment/alice")[1..]).unwrap();
    let key = wrd_enrol::PrivateKey::decode(targets::KEY).unwrap();
    assert!(alices.open(&key, &"alice".try_into().unwrap()).is_ok());
    assert!(wrd_enrol::PublicKey::decode(&seed("enrolment/public-key")[1..]).unwrap() == key.public());

    let decided = |name: &str| targets::verdict(&seed(&format!("leader_login/{name}")));
    for name in ["starts", "second-factor", "proven", "comes-back-to-start"] {
        assert_eq!(decided(name), Some(Verdict::Start), "{name}");
    }
    assert_eq!(decided("comes-back"), Some(Verdict::HandedOver));
    for name in ["proven-another", "gone-and-admitted", "verdict-in-a-question", "denied-on-and-on", "two-descriptors"]
    {
        assert_eq!(decided(name), None, "{name}");
    }
    let linked = |name: &str| targets::is_linked(&seed(&format!("gate_login/{name}")));
    assert!(["link", "link-at-once", "leader-done", "comes-back"].into_iter().all(linked));
    assert!(!["link-for-nothing", "login-twice", "accepted-twice"].into_iter().any(linked));

    let verdict = |name: &str| {
        let proof = wrd_sys::channel::decode(&seed(name)).unwrap();
        wrd_dm::ntlm::judge(&proof, &targets::CHALLENGE, Some(&targets::HASH), &[0; 16])
    };
    assert_eq!(verdict("ntlm/right").unwrap().expose(), &[0x55; 16]);
    assert_eq!(verdict("ntlm/no-key-exchange"), Err(wrd_dm::ntlm::Refused::Mic));

    // The link's seeds get as far as an active connection, and its channels.
    let transcript =
        wrd_sys::channel::decode::<wrd_proto::transcript::Transcript>(&seed("transcript/licensing")).unwrap();
    let mut connection = wrd_session::link::Connection::new(&transcript).unwrap();
    let mut buffer = wrd_rdp::framing::PduBuffer::default();
    buffer.push(&seed("link/dynamic-channels"));
    let mut found = Vec::new();
    while let Some(pdu) = buffer.next_pdu().unwrap().map(<[u8]>::to_vec) {
        connection.receive(&pdu, &mut found).unwrap();
    }
    assert!(connection.is_active());
    assert!(found.len() >= 2, "{found:?}");
}
