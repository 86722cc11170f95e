//! A real RDP client (ironrdp) with what it shows, and the gate's part of its connection.

use ironrdp_acceptor::{Acceptor, DesktopSize};
use ironrdp_connector::connection_activation::{ConnectionActivationFactory, ConnectionActivationState};
use ironrdp_connector::{ClientConnector, ConnectionOutcome, Sequence};
use ironrdp_core::{WriteBuf, decode};
use ironrdp_displaycontrol::client::DisplayControlClient;
use ironrdp_dvc::DrdynvcClient;
use ironrdp_egfx::client::{GraphicsPipelineClient, GraphicsPipelineHandler};
use ironrdp_graphics::image_processing::PixelFormat;
use ironrdp_pdu::Action;
use ironrdp_pdu::input::fast_path::FastPathInputEvent;
use ironrdp_pdu::mcs::McsMessage;
use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::rdp::session_info::{InfoData, SaveSessionInfoPdu, ServerAutoReconnect};
use ironrdp_pdu::x224::X224;
use ironrdp_session::image::DecodedImage;
use ironrdp_session::{ActiveStage, ActiveStageBuilder, ActiveStageOutput};
use ironrdp_svc::SvcProcessorMessages;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use wrd_proto::Key;
use wrd_proto::reconnect::Cookie;
use wrd_proto::transcript::{Progress, Transcript};
use wrd_rdp::framing::{PduBuffer, is_fast_path};
pub use wrd_test_client::Kind;
use wrd_test_client::dialogue::Dialogue;

pub const MAX: DesktopSize = DesktopSize { width: 4000, height: 3000 };

pub const PLAIN: Kind<'static> =
    Kind { width: 403, height: 301, scale: 0, layout: 0x0407, pipeline: false, ..wrd_test_client::PLAIN };

struct Gfx;
impl GraphicsPipelineHandler for Gfx {}

/// A client before its link is there, and what the gate has of it.
pub struct Arrival {
    dialogue: Dialogue,
    transcript: Transcript,
}

impl Arrival {
    /// Comes as far as the gate brings a client that sent its password along.
    pub fn new(kind: Kind<'_>) -> Self {
        Self::with_gate(kind).0
    }

    fn with_gate(kind: Kind<'_>) -> (Self, Acceptor) {
        let mut dynamic = DrdynvcClient::new().with_dynamic_channel(DisplayControlClient::new(|_| Ok(Vec::new())));
        if kind.pipeline {
            dynamic = dynamic.with_dynamic_channel(GraphicsPipelineClient::new(Box::new(Gfx), None));
        }
        let mut dialogue = Dialogue::with_dynamic(kind, dynamic);
        let (acceptor, transcript) = dialogue.gate(MAX, |_, _| {});
        (Self { dialogue, transcript }, acceptor)
    }

    /// Comes as far as the gate brings a client to its login screen, and from there.
    pub fn from_login_screen(kind: Kind<'_>) -> (Self, ActiveStage, ConnectionActivationFactory) {
        let (mut arrival, mut acceptor) = Self::with_gate(kind);
        arrival.dialogue.finish(&mut acceptor);
        let (stage, factory, _) = connected(&mut arrival.dialogue.connector);
        arrival.transcript.progress = Progress::Deactivated;
        (arrival, stage, factory)
    }

    /// With a layout that its user chose on the login screen.
    pub fn choosing(mut self, layout: u32) -> Self {
        self.transcript.layout = Some(layout);
        self
    }

    /// What the gate writes first.
    pub fn block(&self) -> Vec<u8> {
        let body = wrd_sys::channel::encode(&self.transcript).unwrap();
        let mut block = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        block.extend_from_slice(&body);
        block
    }

    /// Goes on over the link until the client is connected.
    pub fn connect(mut self, mut link: UnixStream) -> Client {
        link.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        link.write_all(&self.block()).unwrap();
        while !self.dialogue.step() {
            self.send(&mut link);
            let length = self.dialogue.to_client.fill(65536, |space| link.read(space)).unwrap();
            assert!(length > 0, "the worker has closed the link");
        }
        self.send(&mut link);
        let (stage, factory, size) = connected(&mut self.dialogue.connector);
        Client::new(link, self.dialogue.to_client, stage, factory, size)
    }

    fn send(&mut self, link: &mut UnixStream) {
        let bytes = self.dialogue.to_server.rest().to_vec();
        self.dialogue.to_server.consume(bytes.len());
        link.write_all(&bytes).unwrap();
    }
}

fn connected(connector: &mut ClientConnector) -> (ActiveStage, ConnectionActivationFactory, DesktopSize) {
    let Some(ConnectionOutcome::Connected(result)) = connector.state.take_outcome() else { panic!("not connected") };
    let stage = ActiveStageBuilder {
        static_channels: result.static_channels,
        user_channel_id: result.user_channel_id,
        io_channel_id: result.io_channel_id,
        message_channel_id: result.message_channel_id,
        share_id: result.share_id,
        compression_type: result.compression_type,
        enable_server_pointer: result.enable_server_pointer,
        pointer_software_rendering: result.pointer_software_rendering,
    }
    .build();
    (stage, result.activation_factory, result.desktop_size)
}

/// A connected client.
pub struct Client {
    pub link: UnixStream,
    input: PduBuffer,
    stage: ActiveStage,
    factory: ConnectionActivationFactory,
    pub image: DecodedImage,
    /// Codes of Set Error Info, in order.
    pub errors: Vec<u32>,
    /// Those that the server has sent.
    pub cookies: Vec<Cookie>,
    pub pointers: Vec<String>,
    pub bytes: usize,
    pub ended: bool,
    pub denied: bool,
}

impl Client {
    pub fn new(
        link: UnixStream,
        input: PduBuffer,
        stage: ActiveStage,
        factory: ConnectionActivationFactory,
        size: DesktopSize,
    ) -> Self {
        Self {
            link,
            input,
            stage,
            factory,
            image: DecodedImage::new(PixelFormat::RgbA32, size.width, size.height),
            errors: Vec::new(),
            cookies: Vec::new(),
            pointers: Vec::new(),
            bytes: 0,
            ended: false,
            denied: false,
        }
    }

    /// Reads and shows until `done` or the link ends.
    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !done(self) {
            assert!(std::time::Instant::now() < deadline, "waited too long for: {what}");
            if self.ended {
                panic!("the link ended while waiting for: {what} (errors {:?})", self.errors);
            }
            self.pump();
        }
    }

    /// Reads to the end, and closes as a gate does.
    pub fn until_end(&mut self) {
        while !self.ended {
            self.pump();
        }
        let _ = self.link.shutdown(std::net::Shutdown::Both);
    }

    /// All PDUs at hand; where there are none, one read first.
    pub fn pump(&mut self) {
        if self.show_all() {
            return;
        }
        let link = &mut self.link;
        match self.input.fill(65536, |space| link.read(space)) {
            Ok(0) => self.ended = true,
            Ok(length) => self.bytes += length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => self.ended = true,
            Err(error) => panic!("{error}"),
        }
        self.show_all();
    }

    fn show_all(&mut self) -> bool {
        let mut any = false;
        while let Some(pdu) = self.input.next_pdu().unwrap().map(<[u8]>::to_vec) {
            any = true;
            self.show(&pdu);
        }
        any
    }

    fn show(&mut self, pdu: &[u8]) {
        self.note(pdu);
        let action = if is_fast_path(pdu) { Action::FastPath } else { Action::X224 };
        for output in self.stage.process(&mut self.image, action, pdu, None).unwrap() {
            match output {
                ActiveStageOutput::ResponseFrame(bytes) => self.say(&bytes),
                ActiveStageOutput::DeactivateAll => self.reactivate(),
                ActiveStageOutput::PointerDefault => self.pointers.push("default".into()),
                ActiveStageOutput::PointerHidden => self.pointers.push("hidden".into()),
                ActiveStageOutput::PointerBitmap(pointer) => {
                    self.pointers.push(format!("{}x{}", pointer.width, pointer.height));
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, pdu: &[u8]) {
        let Ok(X224(McsMessage::SendDataIndication(data))) = decode::<X224<McsMessage<'_>>>(pdu) else { return };
        let Ok(header) = decode::<ShareControlHeader>(&data.user_data) else { return };
        let ShareControlPdu::Data(header) = header.share_control_pdu else { return };
        match header.share_data_pdu {
            ShareDataPdu::ServerSetErrorInfo(_) => {
                self.errors.push(u32::from_le_bytes(*data.user_data.last_chunk().unwrap()));
            }
            ShareDataPdu::SaveSessionInfo(SaveSessionInfoPdu { info_data: InfoData::LogonExtended(info), .. }) => {
                let ServerAutoReconnect { logon_id, random_bits } = info.auto_reconnect.unwrap();
                self.cookies.push(Cookie { logon_id, secret: Key::new(random_bits) });
            }
            ShareDataPdu::ShutdownDenied => self.denied = true,
            _ => {}
        }
    }

    /// Deactivation-Reactivation Sequence; also what follows a login screen.
    pub fn reactivate(&mut self) {
        let mut sequence = self.factory.create();
        loop {
            if let ConnectionActivationState::Finalized { desktop_size, share_id, static_channel_chunk_size, .. } =
                sequence.connection_activation_state()
            {
                let (io, user) = (sequence.io_channel_id(), sequence.user_channel_id());
                assert!(self.stage.reactivate(io, user, share_id, true, false, static_channel_chunk_size));
                self.image = DecodedImage::new(PixelFormat::RgbA32, desktop_size.width, desktop_size.height);
                return;
            }
            let input = match sequence.next_pdu_hint() {
                None => Vec::new(),
                Some(_) => loop {
                    if let Some(pdu) = self.input.next_pdu().unwrap() {
                        break pdu.to_vec();
                    }
                    let link = &mut self.link;
                    assert!(self.input.fill(65536, |space| link.read(space)).unwrap() > 0);
                },
            };
            // Updates that were under way are not for the sequence.
            if is_fast_path(&input) && !input.is_empty() {
                continue;
            }
            let mut output = WriteBuf::new();
            sequence.step(&input, None, &mut output).unwrap();
            let bytes = output.filled().to_vec();
            self.say(&bytes);
        }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        // Who was sent away may find nobody to talk to.
        let _ = self.link.write_all(bytes);
    }

    pub fn type_events(&mut self, events: &[FastPathInputEvent]) {
        for output in self.stage.process_fastpath_input(&mut self.image, events).unwrap() {
            if let ActiveStageOutput::ResponseFrame(bytes) = output {
                self.say(&bytes);
            }
        }
    }

    pub fn say_share_data(&mut self, pdu: ShareDataPdu) {
        let mut output = WriteBuf::new();
        self.stage.encode_static(&mut output, pdu).unwrap();
        self.say(output.filled());
    }

    pub fn wish_size(&mut self, width: u32, height: u32) {
        let messages = {
            let channel = self.stage.get_dvc::<DisplayControlClient>().expect("display control is open");
            channel.processor().encode_single_primary_monitor(channel.channel_id(), width, height, None, None).unwrap()
        };
        let messages = SvcProcessorMessages::<DrdynvcClient>::new(messages);
        let bytes = self.stage.process_svc_processor_messages(messages).unwrap();
        self.say(&bytes);
    }

    pub fn has_display_control(&mut self) -> bool {
        self.stage.display_control_ready() == Some(true)
    }
}
