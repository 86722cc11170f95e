//! RDP after login, for one client: the acceptor's replay and rest, capability sets, channels, the
//! graphics pipeline or bitmap updates, reactivation.
//!
//! [`Connection`] is sans-I/O: PDUs in, [`Event`]s and bytes out; [`stream`] and [`outbox`] are its socket.
//! Always true: what a client sends ends its own connection at worst, as an error, and nothing that it can
//! make us write or keep grows without bound. Deliberately absent: pixels, codecs, pacing and the desktop.

pub mod capabilities;
mod channels;
mod event;
mod graphics;
pub mod outbox;
mod pointer;
pub mod stream;
pub mod update;

pub use capabilities::{Capabilities, Support};
pub use event::{Event, Farewell, LinkError, Output, Pixels, Show};

use crate::channels::display_control::DisplayControl;
use crate::source::{Pointer, Rect, Size};
use channels::{Channels, Seen};
use graphics::Said;
use ironrdp_acceptor::Acceptor;
use ironrdp_core::decode;
use ironrdp_dvc::DrdynvcServer;
use ironrdp_egfx::server::GraphicsPipelineServer;
use ironrdp_pdu::geometry::InclusiveRectangle;
use ironrdp_pdu::mcs::McsMessage;
use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::rdp::server_error_info::{ErrorInfo, RdpSpecificCode, ServerSetErrorInfoPdu};
use ironrdp_pdu::x224::X224;
use ironrdp_svc::StaticChannelSet;
use std::borrow::Cow;
use std::sync::mpsc::{Receiver, channel};
use update::Tile;
use wrd_proto::reconnect::Cookie;
use wrd_proto::transcript::Transcript;
use wrd_rdp::DesktopSize;
use wrd_rdp::acceptor::{DriveError, IO_CHANNEL, Pause, Waiting, drive, granted_size, new_acceptor};
use wrd_rdp::client::{ClientSettings, Keyboard};
use wrd_rdp::input::events;
use wrd_rdp::keymap::{LayoutName, listed};
use wrd_rdp::pdu::{self as pdus, share_data};
use wrd_rdp::replay::{replay, settings};

/// One client.
pub struct Connection {
    stage: Stage,
    client: ClientSettings,
    /// What the user chose on the login screen, until it is taken.
    layout: Option<LayoutName>,
    size: Size,
    capabilities: Capabilities,
    channels: Channels,
    pipeline: Pipeline,
    pointers: pointer::Pointers,
    said: Receiver<Said>,
    wishes: Receiver<Size>,
    /// A size to change to once the activation that is under way is finished.
    next_size: Option<Size>,
    output: Vec<u8>,
}

/// Where the activation stands. The acceptor is kept for the next one.
enum Stage {
    Activating(Box<Acceptor>),
    Active(Box<Acceptor>),
    /// An error was returned; nothing more is read.
    Over,
}

/// Whether this client has the graphics pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pipeline {
    /// It says so, and the channel is not open yet.
    Expected,
    Open {
        surface: u16,
    },
    Absent,
}

impl Connection {
    /// Replays the transcript and takes its connection over. What is to be sent is in
    /// [`Connection::take_output`] from here on.
    pub fn new(transcript: &Transcript) -> Result<Self, LinkError> {
        let (security, max) = settings(transcript);
        let largest = Size { width: max.width, height: max.height };
        let (say, said) = channel();
        let (wish, wishes) = channel();
        let has_pipeline = transcript
            .pdus
            .iter()
            .find_map(|pdu| ClientSettings::decode(pdu).ok())
            .is_some_and(|c| c.graphics_pipeline);
        let mut dynamic = DrdynvcServer::new();
        if has_pipeline {
            dynamic = dynamic.with_dynamic_channel(graphics::server(say));
        }
        dynamic = dynamic.with_dynamic_channel(DisplayControl::new(largest, wish));
        let mut acceptor = new_acceptor(security, max);
        acceptor.attach_static_channel(dynamic);
        let replayed = replay(acceptor, transcript)?;
        let mut connection = Self {
            stage: Stage::Over,
            size: granted(&replayed.client, max),
            client: replayed.client,
            layout: transcript.layout.and_then(listed),
            capabilities: Capabilities::default(),
            channels: Channels::default(),
            pipeline: if has_pipeline { Pipeline::Expected } else { Pipeline::Absent },
            pointers: pointer::Pointers::default(),
            said,
            wishes,
            next_size: None,
            output: Vec::new(),
        };
        let mut acceptor = replayed.acceptor;
        drive(&mut acceptor, None, Pause::Nowhere, &mut connection.output)?;
        connection.stage = Stage::Activating(Box::new(acceptor));
        Ok(connection)
    }

    /// One whole PDU of the client.
    pub fn receive(&mut self, pdu: &[u8], found: &mut Vec<Event>) -> Result<(), LinkError> {
        let result = self.dispatch(pdu, found);
        if result.is_err() {
            self.stage = Stage::Over;
        }
        result
    }

    /// Bytes to send, whole PDUs.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    pub fn client(&self) -> &ClientSettings {
        &self.client
    }

    pub fn keyboard(&self) -> Keyboard {
        self.client.keyboard
    }

    /// The keyboard layout that the user chose on the login screen; once.
    pub fn take_layout(&mut self) -> Option<LayoutName> {
        self.layout.take()
    }

    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the client can be sent pictures and pointers.
    pub fn is_active(&self) -> bool {
        matches!(self.stage, Stage::Active(_))
    }

    /// The desktop size that this client was told last.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Tells the client of a new desktop size, if it can be told; [`Event::Ready`] follows.
    pub fn resize(&mut self, size: Size, found: &mut Vec<Event>) -> Result<(), LinkError> {
        if size == self.size {
            return Ok(());
        }
        match (&self.stage, self.pipeline) {
            (Stage::Activating(_), _) | (_, Pipeline::Expected) => self.next_size = Some(size),
            (Stage::Active(_), Pipeline::Open { .. }) => {
                self.size = size;
                self.open_surface(found)?;
            }
            (Stage::Active(_), Pipeline::Absent) if self.capabilities.resize == Support::Yes => {
                self.reactivate(size)?;
            }
            _ => tracing::debug!("the client cannot be told of another desktop size"),
        }
        Ok(())
    }

    /// One frame for [`Show::Pipeline`], in ClearCodec; returns its number and length in bytes.
    pub fn frame(&mut self, pictures: Vec<Pixels>, milliseconds: u32) -> Result<Option<u32>, LinkError> {
        let Pipeline::Open { surface } = self.pipeline else { return Ok(None) };
        let mut number = None;
        let bytes = self.channels.with_dynamic(|server: &mut GraphicsPipelineServer| {
            let (frame, messages) = graphics::frame(server, surface, pictures, milliseconds);
            number = frame;
            messages
        })?;
        self.output.extend(bytes);
        Ok(number)
    }

    /// Bitmaps for [`Show::Bitmaps`].
    pub fn bitmaps(&mut self, tiles: &[Tile]) {
        if self.is_active() {
            self.output.extend(update::bitmaps(&self.capabilities, tiles));
        }
    }

    pub fn pointer(&mut self, pointer: &Pointer) {
        if self.is_active() {
            self.output.extend(self.pointers.show(&self.capabilities, pointer));
        }
    }

    /// What the client may come back with, after a cut line.
    pub fn give_cookie(&mut self, cookie: &Cookie) {
        if self.is_active() {
            self.output.extend(pdus::reconnect_cookie(cookie));
        }
    }

    /// The last words to a client: the reason and the ultimatum. The reason is sent to those too who do
    /// not announce that they understand one: FreeRDP does not announce it and shows it, and to others
    /// it is a data PDU to skip, just before the end.
    pub fn farewell(&self, why: Farewell) -> Vec<u8> {
        let mut bytes = match why {
            Farewell::Reason(reason) => return pdus::end(reason),
            // ERRINFO_DATAPDUSEQUENCE: the nearest to "I do not understand you".
            Farewell::NotUnderstood => share_data(ShareDataPdu::ServerSetErrorInfo(ServerSetErrorInfoPdu(
                ErrorInfo::RdpSpecificCode(RdpSpecificCode::DataPdusEquence),
            ))),
        };
        bytes.extend(pdus::disconnect_ultimatum());
        bytes
    }

    fn dispatch(&mut self, pdu: &[u8], found: &mut Vec<Event>) -> Result<(), LinkError> {
        if matches!(self.stage, Stage::Over) {
            return Ok(());
        }
        if pdus::is_disconnect_ultimatum(pdu) {
            found.push(Event::Disconnected);
            return Ok(());
        }
        if let Some(chunk) = channel_chunk(pdu)? {
            let seen = self.channels.receive(chunk.channel, &chunk.data, &mut self.output)?;
            return self.after_channels(seen, found);
        }
        match &mut self.stage {
            Stage::Activating(acceptor) => {
                if drive(acceptor, Some(pdu), Pause::Nowhere, &mut self.output)? == Waiting::Active {
                    self.activated(found)?;
                }
                Ok(())
            }
            Stage::Active(_) => self.active(pdu, found),
            Stage::Over => Ok(()),
        }
    }

    /// The acceptor is done.
    fn activated(&mut self, found: &mut Vec<Event>) -> Result<(), LinkError> {
        let Stage::Activating(mut acceptor) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(()) };
        let Some(result) = acceptor.get_result() else { return Ok(()) };
        self.stage = Stage::Active(acceptor);
        self.capabilities = Capabilities::new(&result.capabilities);
        // A client starts every activation without pointers.
        self.pointers = pointer::Pointers::default();
        found.push(Event::Active);
        if !result.reactivation {
            self.channels = Channels::new(result.static_channels);
            self.output.extend(self.channels.start()?);
            if !self.channels.has_dynamic() {
                self.pipeline = Pipeline::Absent;
            }
        }
        match self.pipeline {
            Pipeline::Absent => found.push(Event::Ready(Show::Bitmaps)),
            Pipeline::Open { .. } => self.open_surface(found)?,
            Pipeline::Expected => {}
        }
        self.catch_up(found)
    }

    /// What the channels' servers were told meanwhile.
    fn after_channels(&mut self, seen: Seen, found: &mut Vec<Event>) -> Result<(), LinkError> {
        let declined = matches!(seen, Seen::Declined(id)
            if Some(id) == self.channels.dynamic_id::<GraphicsPipelineServer>());
        if declined && self.pipeline == Pipeline::Expected {
            self.without_pipeline(found)?;
        }
        while let Ok(said) = self.said.try_recv() {
            found.extend(said.event());
            match said {
                Said::Ready => self.open_surface(found)?,
                Said::Closed => self.without_pipeline(found)?,
                Said::Acknowledged { .. } => {}
            }
        }
        if let Some(size) = self.wishes.try_iter().last() {
            found.push(Event::Resize(size));
        }
        Ok(())
    }

    fn without_pipeline(&mut self, found: &mut Vec<Event>) -> Result<(), LinkError> {
        self.pipeline = Pipeline::Absent;
        if self.is_active() {
            found.push(Event::Ready(Show::Bitmaps));
        }
        self.catch_up(found)
    }

    fn open_surface(&mut self, found: &mut Vec<Event>) -> Result<(), LinkError> {
        let size = self.next_size.take().unwrap_or(self.size);
        self.size = size;
        let mut surface = None;
        let bytes = self.channels.with_dynamic(|server: &mut GraphicsPipelineServer| {
            let (made, messages) = graphics::reset(server, size);
            surface = made;
            messages
        })?;
        self.output.extend(bytes);
        if let Some(surface) = surface {
            self.pipeline = Pipeline::Open { surface };
            found.push(Event::Ready(Show::Pipeline));
        }
        Ok(())
    }

    /// Makes up for a resize that could not be made when it was wished for.
    fn catch_up(&mut self, found: &mut Vec<Event>) -> Result<(), LinkError> {
        match self.next_size.take() {
            Some(size) => self.resize(size, found),
            None => Ok(()),
        }
    }

    /// Deactivation-Reactivation Sequence (MS-RDPBCGR 1.3.1.3).
    fn reactivate(&mut self, size: Size) -> Result<(), LinkError> {
        let Stage::Active(acceptor) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(()) };
        let desktop = DesktopSize { width: size.width, height: size.height };
        // Our channels live on through it, so the acceptor gets none.
        let none = StaticChannelSet::new();
        let mut acceptor =
            Acceptor::new_deactivation_reactivation(*acceptor, none, desktop).map_err(DriveError::Refused)?;
        self.output.extend(pdus::deactivate_all());
        drive(&mut acceptor, None, Pause::Nowhere, &mut self.output)?;
        self.size = size;
        self.stage = Stage::Activating(Box::new(acceptor));
        Ok(())
    }

    /// A PDU on the I/O channel, or fast-path input.
    fn active(&mut self, pdu: &[u8], found: &mut Vec<Event>) -> Result<(), LinkError> {
        if wrd_rdp::framing::is_fast_path(pdu) || pdus::classify(pdu) == pdus::Slow::Data(pdus::data_type::INPUT) {
            let inputs = events(pdu)?;
            if !inputs.is_empty() {
                found.push(Event::Input(inputs));
            }
            return Ok(());
        }
        // Nothing else means anything here, and decoding a Confirm Active costs what it says.
        let (pdus::Slow::Data(_), Ok(X224(McsMessage::SendDataRequest(data)))) =
            (pdus::classify(pdu), decode::<X224<McsMessage<'_>>>(pdu))
        else {
            tracing::debug!("ignoring an MCS PDU that means nothing here");
            return Ok(());
        };
        let header = match decode::<ShareControlHeader>(&data.user_data) {
            Ok(header) => header,
            Err(error) if is_known(pdu) => return Err(LinkError::Malformed(error)),
            Err(error) => {
                tracing::debug!(%error, "ignoring a PDU that we do not know");
                return Ok(());
            }
        };
        let ShareControlPdu::Data(header) = header.share_control_pdu else { return Ok(()) };
        match header.share_data_pdu {
            ShareDataPdu::SuppressOutput(suppress) => found.push(Event::Output(match suppress.desktop_rect {
                Some(_) => Output::Wanted,
                None => Output::Suppressed,
            })),
            ShareDataPdu::RefreshRectangle(refresh) => {
                found.push(Event::Refresh(refresh.areas_to_refresh.iter().filter_map(area).collect()));
            }
            // The client asks before it closes its window; denied means: the session lives on, disconnect
            // (MS-RDPBCGR 1.3.1.4.1).
            ShareDataPdu::ShutdownRequest => self.output.extend(share_data(ShareDataPdu::ShutdownDenied)),
            other => tracing::debug!(pdu = other.as_short_name(), "ignoring a PDU that asks for nothing"),
        }
        Ok(())
    }
}

/// The desktop size that the acceptor agrees on with this client.
fn granted(client: &ClientSettings, max: DesktopSize) -> Size {
    let DesktopSize { width, height } = granted_size(DesktopSize { width: client.width, height: client.height }, max);
    Size { width, height }
}

/// What a client says on a virtual channel.
struct Chunk<'a> {
    channel: u16,
    data: Cow<'a, [u8]>,
}

/// The chunk in a PDU on a virtual channel.
fn channel_chunk(pdu: &[u8]) -> Result<Option<Chunk<'_>>, LinkError> {
    if wrd_rdp::framing::is_fast_path(pdu) {
        return Ok(None);
    }
    match decode::<X224<McsMessage<'_>>>(pdu).map_err(LinkError::Malformed)?.0 {
        McsMessage::SendDataRequest(request) if request.channel_id != IO_CHANNEL => {
            Ok(Some(Chunk { channel: request.channel_id, data: request.user_data }))
        }
        _ => Ok(None),
    }
}

/// Whether the headers say that this is a PDU which we must be able to read.
fn is_known(pdu: &[u8]) -> bool {
    use pdus::{Slow, data_type as kind};
    matches!(
        pdus::classify(pdu),
        Slow::Data(kind::REFRESH_RECT | kind::SUPPRESS_OUTPUT | kind::SHUTDOWN_REQUEST | kind::FRAME_ACKNOWLEDGE)
    )
}

fn area(rect: &InclusiveRectangle) -> Option<Rect> {
    let width = rect.right.checked_sub(rect.left)?.checked_add(1)?;
    let height = rect.bottom.checked_sub(rect.top)?.checked_add(1)?;
    Some(Rect { x: rect.left, y: rect.top, width, height })
}

#[cfg(test)]
mod tests;
