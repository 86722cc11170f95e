//! The graphics pipeline (MS-RDPEGFX) of one client: one surface as large as the desktop.
//!
//! `ironrdp-egfx` negotiates and keeps the protocol's state; when to send is `pace`'s decision, so its own
//! limit of frames in flight is off. ZGFX compression is off too: its compressor needs 150 ms for a screen
//! of text and 1.8 s for one of noise (measured), where ClearCodec alone takes 6.

use super::{Event, Pixels};
use crate::source::{Rect, Size};
use ironrdp_dvc::DvcMessage;
use ironrdp_egfx::pdu::{CapabilitiesAdvertisePdu, CapabilitySet};
use ironrdp_egfx::server::{GraphicsPipelineHandler, GraphicsPipelineServer, MixedTilePayload};
use ironrdp_pdu::gcc::{Monitor, MonitorFlags};
use ironrdp_pdu::geometry::ExclusiveRectangle;
use std::sync::mpsc::Sender;

/// What the client says on the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is ready, for the first time or anew, and has no surface.
    Ready,
    Acknowledged {
        frame: u32,
        queue_depth: u32,
    },
    Closed,
}

/// The server of the channel; what the client says goes to `said`.
pub fn server(said: Sender<Said>) -> GraphicsPipelineServer {
    let mut server = GraphicsPipelineServer::new(Box::new(Handler(said)));
    server.set_max_frames_in_flight(0);
    server
}

/// Gives the client a surface of `size`, instead of any it had.
pub fn reset(server: &mut GraphicsPipelineServer, size: Size) -> (Option<u16>, Vec<DvcMessage>) {
    let monitor = Monitor {
        left: 0,
        top: 0,
        right: i32::from(size.width) - 1,
        bottom: i32::from(size.height) - 1,
        flags: MonitorFlags::PRIMARY,
    };
    server.resize_with_monitors(size.width, size.height, vec![monitor]);
    let surface = server.create_surface(size.width, size.height);
    if let Some(surface) = surface {
        server.map_surface_to_output(surface, 0, 0);
    }
    (surface, server.drain_output())
}

/// One frame of ClearCodec rectangles.
pub fn frame(
    server: &mut GraphicsPipelineServer,
    surface: u16,
    pictures: Vec<Pixels>,
    milliseconds: u32,
) -> (Option<u32>, Vec<DvcMessage>) {
    let tiles = pictures
        .into_iter()
        .map(|picture| MixedTilePayload::ClearCodec {
            destination: exclusive(picture.target),
            bitmap_data: picture.data,
        })
        .collect();
    let frame = server.send_mixed_frame(surface, tiles, milliseconds);
    (frame, server.drain_output())
}

impl Said {
    pub(super) fn event(self) -> Option<Event> {
        match self {
            Self::Acknowledged { frame, queue_depth } => Some(Event::Acknowledged { frame, queue_depth }),
            Self::Ready | Self::Closed => None,
        }
    }
}

fn exclusive(rect: Rect) -> ExclusiveRectangle {
    ExclusiveRectangle {
        left: rect.x,
        top: rect.y,
        right: rect.x.saturating_add(rect.width),
        bottom: rect.y.saturating_add(rect.height),
    }
}

struct Handler(Sender<Said>);

// The receiver is the connection that owns the channel: where it is gone, nobody wants to know.
impl GraphicsPipelineHandler for Handler {
    fn capabilities_advertise(&mut self, _: &CapabilitiesAdvertisePdu) {}

    fn on_ready(&mut self, negotiated: &CapabilitySet) {
        tracing::debug!(?negotiated, "graphics pipeline ready");
        let _ = self.0.send(Said::Ready);
    }

    fn on_frame_ack(&mut self, frame: u32, queue_depth: u32, _total: u32) {
        let _ = self.0.send(Said::Acknowledged { frame, queue_depth });
    }

    fn on_close(&mut self) {
        let _ = self.0.send(Said::Closed);
    }
}
