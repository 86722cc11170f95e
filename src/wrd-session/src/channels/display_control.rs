//! Display control (MS-RDPEDISP): the client's window was resized and the desktop shall follow.
//!
//! One monitor is offered; of a layout with several only the primary one counts. A size that is not legal
//! is made legal; a PDU that is malformed is ignored, since the desktop can go on as it is.

use crate::source::Size;
use ironrdp_core::{decode, impl_as_any};
use ironrdp_displaycontrol::CHANNEL_NAME;
use ironrdp_displaycontrol::pdu::{DisplayControlCapabilities, DisplayControlMonitorLayout, DisplayControlPdu};
use ironrdp_dvc::{DvcMessage, DvcProcessor, DvcServerProcessor};
use ironrdp_pdu::{PduResult, decode_err};
use std::sync::mpsc::Sender;

/// Smallest width and height of a desktop in px (MS-RDPEDISP 2.2.2.2.1).
pub const MIN_SIDE: u16 = 200;
/// Largest width and height of a desktop in px.
pub const MAX_SIDE: u16 = 8192;

/// The server's end of the channel.
pub struct DisplayControl {
    largest: Size,
    wishes: Sender<Size>,
}

impl DisplayControl {
    /// Sizes that the client wishes for are sent to `wishes`; none is larger than `largest`.
    pub fn new(largest: Size, wishes: Sender<Size>) -> Self {
        Self { largest, wishes }
    }
}

/// The nearest size that a desktop may have: even width, within the limits.
pub fn legal(width: u32, height: u32, largest: Size) -> Size {
    let clamp = |side: u32, largest: u16| {
        let largest = largest.clamp(MIN_SIDE, MAX_SIDE);
        u16::try_from(side).unwrap_or(u16::MAX).clamp(MIN_SIDE, largest)
    };
    Size { width: clamp(width, largest.width) & !1, height: clamp(height, largest.height) }
}

fn wish(layout: &DisplayControlMonitorLayout, largest: Size) -> Option<Size> {
    let monitors = layout.monitors();
    let primary = monitors.iter().find(|monitor| monitor.is_primary()).or_else(|| monitors.first())?;
    let (width, height) = primary.dimensions();
    Some(legal(width, height, largest))
}

impl_as_any!(DisplayControl);

impl DvcProcessor for DisplayControl {
    fn channel_name(&self) -> &str {
        CHANNEL_NAME
    }

    fn start(&mut self, _channel_id: u32) -> PduResult<Vec<DvcMessage>> {
        let (width, height) = (self.largest.width.into(), self.largest.height.into());
        let capabilities = DisplayControlCapabilities::new(1, width, height).map_err(|e| decode_err!(e))?;
        Ok(vec![Box::new(DisplayControlPdu::from(capabilities))])
    }

    fn process(&mut self, _channel_id: u32, payload: &[u8]) -> PduResult<Vec<DvcMessage>> {
        match decode(payload) {
            Ok(DisplayControlPdu::MonitorLayout(layout)) => {
                if let Some(size) = wish(&layout, self.largest) {
                    // The receiver is the connection itself; without it nobody is there to resize for.
                    let _ = self.wishes.send(size);
                }
            }
            Ok(DisplayControlPdu::Caps(_)) => {}
            Err(error) => tracing::debug!(%error, "ignoring malformed display control, the desktop stays as it is"),
        }
        Ok(Vec::new())
    }
}

impl DvcServerProcessor for DisplayControl {}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_core::encode_vec;
    use ironrdp_displaycontrol::pdu::MonitorLayoutEntry;
    use std::sync::mpsc::channel;

    const LARGEST: Size = Size { width: 3840, height: 2160 };

    #[test]
    fn sizes_are_made_legal() {
        assert_eq!(legal(1281, 721, LARGEST), Size { width: 1280, height: 721 });
        assert_eq!(legal(0, u32::MAX, LARGEST), Size { width: 200, height: 2160 });
        assert_eq!(legal(9000, 9000, Size { width: 9999, height: 9999 }), Size { width: 8192, height: 8192 });
        assert_eq!(legal(300, 300, Size { width: 3, height: 3 }), Size { width: 200, height: 200 });
    }

    #[test]
    fn a_layout_becomes_a_wish_and_garbage_becomes_nothing() {
        let (sender, receiver) = channel();
        let mut channel = DisplayControl::new(LARGEST, sender);
        assert_eq!(channel.start(1).unwrap().len(), 1);
        let monitor = MonitorLayoutEntry::new_primary(1000, 700).unwrap();
        let pdu = DisplayControlPdu::from(DisplayControlMonitorLayout::new(&[monitor]).unwrap());
        channel.process(1, &encode_vec(&pdu).unwrap()).unwrap();
        channel.process(1, &[2, 0, 0, 0, 9]).unwrap();
        channel.process(1, &[]).unwrap();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [Size { width: 1000, height: 700 }]);
    }
}
