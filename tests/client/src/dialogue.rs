//! A client without a socket, and the server's part of its connection as gate and worker play it.

use crate::{Kind, config};
use ironrdp_acceptor::{Acceptor, DesktopSize};
use ironrdp_connector::{ClientConnector, ClientConnectorState, Sequence};
use ironrdp_core::WriteBuf;
use ironrdp_dvc::DrdynvcClient;
use ironrdp_pdu::nego::SecurityProtocol;
use wrd_proto::Bytes;
use wrd_proto::transcript::{Progress, Transcript};
use wrd_rdp::acceptor::{Pause, Waiting, drive, expects_client_info, new_acceptor, tls_is_up};
use wrd_rdp::client_info::scrub;
use wrd_rdp::framing::PduBuffer;

/// A client and what is under way between it and the server.
pub struct Dialogue {
    pub connector: ClientConnector,
    pub to_server: PduBuffer,
    pub to_client: PduBuffer,
}

impl Dialogue {
    /// A client that joins no channel.
    pub fn new(kind: Kind<'_>) -> Self {
        let connector = ClientConnector::new(config(kind), "127.0.0.1:1".parse().unwrap());
        Self { connector, to_server: PduBuffer::default(), to_client: PduBuffer::default() }
    }

    /// A client that joins drdynvc.
    pub fn with_dynamic(kind: Kind<'_>, dynamic: DrdynvcClient) -> Self {
        let mut dialogue = Self::new(kind);
        dialogue.connector.attach_static_channel(dynamic);
        dialogue
    }

    /// Steps as far as the bytes at hand go; whether the client is connected.
    pub fn step(&mut self) -> bool {
        loop {
            if matches!(self.connector.state, ClientConnectorState::Connected { .. }) {
                return true;
            }
            if self.connector.should_perform_security_upgrade() {
                self.connector.mark_security_upgrade_as_done();
                continue;
            }
            let input = match self.connector.next_pdu_hint() {
                Some(_) => match self.to_client.next_pdu().unwrap() {
                    Some(pdu) => pdu.to_vec(),
                    None => return false,
                },
                None => Vec::new(),
            };
            let mut output = WriteBuf::new();
            self.connector.step(&input, None, &mut output).unwrap();
            self.to_server.push(output.filled());
        }
    }

    /// What the client says next; it must have something to say.
    pub fn speak(&mut self) -> Vec<u8> {
        self.step();
        self.to_server.next_pdu().unwrap().expect("the client has something to say").to_vec()
    }

    /// The gate's part: up to licensing. `seen` is shown every PDU as it came; in the transcript Client Info is
    /// blanked.
    pub fn gate(&mut self, max: DesktopSize, mut seen: impl FnMut(&Acceptor, &[u8])) -> (Acceptor, Transcript) {
        let security = SecurityProtocol::SSL;
        let mut acceptor = new_acceptor(security, max);
        let mut transcript = Transcript {
            security: security.bits(),
            max_width: max.width,
            max_height: max.height,
            progress: Progress::Licensing,
            layout: None,
            pdus: Vec::new(),
        };
        loop {
            let mut pdu = self.speak();
            seen(&acceptor, &pdu);
            if expects_client_info(&acceptor) {
                scrub(&mut pdu).unwrap();
            }
            let mut output = Vec::new();
            let mut waiting = drive(&mut acceptor, Some(&pdu), Pause::BeforeLicensing, &mut output).unwrap();
            if waiting == Waiting::ForTls {
                tls_is_up(&mut acceptor);
                waiting = drive(&mut acceptor, None, Pause::BeforeLicensing, &mut output).unwrap();
            }
            self.to_client.push(&output);
            transcript.pdus.push(Bytes::try_from(pdu).unwrap());
            if waiting == Waiting::AtLicensing {
                return (acceptor, transcript);
            }
        }
    }

    /// Drives `acceptor` from where it stands until both sides are active. Given back is what the client said.
    pub fn finish(&mut self, acceptor: &mut Acceptor) -> Vec<Vec<u8>> {
        let mut said: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut output = Vec::new();
            let waiting = drive(acceptor, said.last().map(Vec::as_slice), Pause::Nowhere, &mut output).unwrap();
            self.to_client.push(&output);
            if waiting == Waiting::Active {
                assert!(self.step(), "the server is active before the client");
                return said;
            }
            said.push(self.speak());
        }
    }
}
