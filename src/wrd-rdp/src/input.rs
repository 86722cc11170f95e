//! Input events of a client, fast path and slow path, as one type.
//!
//! A PDU holds at most [`MAX_EVENTS`] of them; kinds that we do not serve (relative mouse, QoE time
//! stamps) are skipped, malformed ones end the PDU with an error.

use crate::framing::{Kind, measure};
use crate::pdu::{Slow, classify, data_type, io_channel_body};
use ironrdp_core::{Decode, ReadCursor};
use ironrdp_pdu::input::fast_path::{FastPathInputEvent, KeyboardFlags as FastFlags, SynchronizeFlags};
use ironrdp_pdu::input::mouse::PointerFlags;
use ironrdp_pdu::input::mouse_x::PointerXFlags;
use ironrdp_pdu::input::{InputEvent as SlowEvent, MousePdu, MouseXPdu, scan_code, unicode};

/// Most events in one PDU that are looked at; the field of the fast path has 8 bits.
pub const MAX_EVENTS: usize = 255;

/// One thing a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Scancode(Scancode),
    /// One UTF-16 code unit; characters beyond the first plane come as two.
    Unicode {
        unit: u16,
        action: Action,
    },
    /// The pointer is here, in px.
    Motion {
        x: u16,
        y: u16,
    },
    /// A button went down or up, here.
    Button {
        button: Button,
        action: Action,
        x: u16,
        y: u16,
    },
    /// The wheel turned: 120 is one notch, positive is up or right.
    Wheel {
        axis: Axis,
        units: i16,
    },
    /// The client (re)gained the focus: all keys are up, and these locks are on.
    Sync(Locks),
}

/// A key by its position: a set 1 scan code and its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scancode {
    pub code: u8,
    pub prefix: Prefix,
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    None,
    E0,
    E1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Press,
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    Left,
    Right,
    Middle,
    /// "Back".
    Extra1,
    /// "Forward".
    Extra2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Vertical,
    Horizontal,
}

/// Which lock keys are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    pub scroll: bool,
    pub num: bool,
    pub caps: bool,
    pub kana: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("encrypted input, though the transport is")]
    Encrypted,
    #[error("input ends too early")]
    TooShort,
    #[error("malformed input: {0}")]
    Malformed(ironrdp_core::DecodeError),
}

/// The events of a whole PDU of a client; none where it is no input PDU.
pub fn events(pdu: &[u8]) -> Result<Vec<Input>, InputError> {
    match measure(pdu) {
        Ok(Some((Kind::FastPath, length))) if length == pdu.len() => fast_path(pdu),
        Ok(Some((Kind::Tpkt, length))) if length == pdu.len() => match classify(pdu) {
            Slow::Data(data_type::INPUT) => slow_path(io_channel_body(pdu).unwrap_or_default()),
            _ => Ok(Vec::new()),
        },
        _ => Err(InputError::TooShort),
    }
}

/// MS-RDPBCGR 2.2.8.1.2.
fn fast_path(pdu: &[u8]) -> Result<Vec<Input>, InputError> {
    let first = *pdu.first().ok_or(InputError::TooShort)?;
    if first & 0xc0 != 0 {
        return Err(InputError::Encrypted);
    }
    let header = if pdu.get(1).is_some_and(|length| length & 0x80 != 0) { 3 } else { 2 };
    let mut body = pdu.get(header..).ok_or(InputError::TooShort)?;
    let mut count = usize::from((first >> 2) & 0x0f);
    if count == 0 {
        let (number, rest) = body.split_first().ok_or(InputError::TooShort)?;
        (count, body) = (usize::from(*number), rest);
    }
    let mut cursor = ReadCursor::new(body);
    let mut events = Vec::with_capacity(count * 2);
    for _ in 0..count {
        match FastPathInputEvent::decode(&mut cursor).map_err(InputError::Malformed)? {
            FastPathInputEvent::KeyboardEvent(flags, code) => events.push(Input::Scancode(Scancode {
                code,
                prefix: prefix(flags.contains(FastFlags::EXTENDED), flags.contains(FastFlags::EXTENDED1)),
                action: action(flags.contains(FastFlags::RELEASE)),
            })),
            FastPathInputEvent::UnicodeKeyboardEvent(flags, unit) => {
                events.push(Input::Unicode { unit, action: action(flags.contains(FastFlags::RELEASE)) });
            }
            FastPathInputEvent::MouseEvent(mouse) => push_mouse(&mouse, &mut events),
            FastPathInputEvent::MouseEventEx(mouse) => push_mouse_x(&mouse, &mut events),
            FastPathInputEvent::SyncEvent(flags) => events.push(Input::Sync(Locks {
                scroll: flags.contains(SynchronizeFlags::SCROLL_LOCK),
                num: flags.contains(SynchronizeFlags::NUM_LOCK),
                caps: flags.contains(SynchronizeFlags::CAPS_LOCK),
                kana: flags.contains(SynchronizeFlags::KANA_LOCK),
            })),
            FastPathInputEvent::MouseEventRel(_) | FastPathInputEvent::QoeEvent(_) => {}
        }
    }
    Ok(events)
}

/// MS-RDPBCGR 2.2.8.1.1.3; `body` begins with the share control header.
fn slow_path(body: &[u8]) -> Result<Vec<Input>, InputError> {
    const SHARE_HEADERS: usize = 18;
    let Some(&[low, high, _, _]) = body.get(SHARE_HEADERS..).and_then(|b| b.first_chunk()) else {
        return Err(InputError::TooShort);
    };
    let count = usize::from(u16::from_le_bytes([low, high])).min(MAX_EVENTS);
    let mut cursor = ReadCursor::new(body.get(SHARE_HEADERS + 4..).unwrap_or_default());
    let mut events = Vec::with_capacity(count * 2);
    for _ in 0..count {
        match SlowEvent::decode(&mut cursor).map_err(InputError::Malformed)? {
            SlowEvent::ScanCode(key) => {
                let flags = key.flags;
                let extended = flags.contains(scan_code::KeyboardFlags::EXTENDED);
                events.push(Input::Scancode(Scancode {
                    code: (key.key_code & 0xff) as u8,
                    prefix: prefix(extended, flags.contains(scan_code::KeyboardFlags::EXTENDED_1)),
                    action: action(flags.contains(scan_code::KeyboardFlags::RELEASE)),
                }));
            }
            SlowEvent::Unicode(key) => events.push(Input::Unicode {
                unit: key.unicode_code,
                action: action(key.flags.contains(unicode::KeyboardFlags::RELEASE)),
            }),
            SlowEvent::Mouse(mouse) => push_mouse(&mouse, &mut events),
            SlowEvent::MouseX(mouse) => push_mouse_x(&mouse, &mut events),
            SlowEvent::Sync(sync) => {
                let bits = sync.flags.bits();
                let on = |bit| bits & bit != 0;
                events.push(Input::Sync(Locks { scroll: on(1), num: on(2), caps: on(4), kana: on(8) }));
            }
            SlowEvent::MouseRel(_) | SlowEvent::Unused(_) => {}
        }
    }
    Ok(events)
}

/// One mouse PDU may be a motion and a button at once; a wheel has no position.
fn push_mouse(mouse: &MousePdu, events: &mut Vec<Input>) {
    let (x, y) = (mouse.x_position, mouse.y_position);
    let units = mouse.number_of_wheel_rotation_units;
    if mouse.flags.contains(PointerFlags::VERTICAL_WHEEL) {
        events.push(Input::Wheel { axis: Axis::Vertical, units });
        return;
    }
    if mouse.flags.contains(PointerFlags::HORIZONTAL_WHEEL) {
        events.push(Input::Wheel { axis: Axis::Horizontal, units });
        return;
    }
    if mouse.flags.contains(PointerFlags::MOVE) {
        events.push(Input::Motion { x, y });
    }
    let action = action(!mouse.flags.contains(PointerFlags::DOWN));
    let button = if mouse.flags.contains(PointerFlags::LEFT_BUTTON) {
        Button::Left
    } else if mouse.flags.contains(PointerFlags::RIGHT_BUTTON) {
        Button::Right
    } else if mouse.flags.contains(PointerFlags::MIDDLE_BUTTON_OR_WHEEL) {
        Button::Middle
    } else {
        return;
    };
    events.push(Input::Button { button, action, x, y });
}

fn push_mouse_x(mouse: &MouseXPdu, events: &mut Vec<Input>) {
    let (x, y) = (mouse.x_position, mouse.y_position);
    let action = action(!mouse.flags.contains(PointerXFlags::DOWN));
    let button = if mouse.flags.contains(PointerXFlags::BUTTON1) {
        Button::Extra1
    } else if mouse.flags.contains(PointerXFlags::BUTTON2) {
        Button::Extra2
    } else {
        return;
    };
    events.push(Input::Button { button, action, x, y });
}

fn prefix(e0: bool, e1: bool) -> Prefix {
    match (e0, e1) {
        (_, true) => Prefix::E1,
        (true, false) => Prefix::E0,
        (false, false) => Prefix::None,
    }
}

fn action(released: bool) -> Action {
    if released { Action::Release } else { Action::Press }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_core::encode_vec;
    use ironrdp_pdu::input::fast_path::FastPathInput;
    use ironrdp_pdu::input::{InputEventPdu, ScanCodePdu, SyncPdu, sync::SyncToggleFlags};
    use ironrdp_pdu::mcs::SendDataRequest;
    use ironrdp_pdu::rdp::headers::{
        CompressionFlags, ShareControlHeader, ShareControlPdu, ShareDataHeader, ShareDataPdu, StreamPriority,
    };
    use ironrdp_pdu::x224::X224;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn mouse(flags: PointerFlags, units: i16) -> MousePdu {
        MousePdu { flags, number_of_wheel_rotation_units: units, x_position: 7, y_position: 9 }
    }

    #[test]
    fn fast_path_events_come_out_in_order() {
        let events_in = vec![
            FastPathInputEvent::KeyboardEvent(FastFlags::EXTENDED, 0x1d),
            FastPathInputEvent::KeyboardEvent(FastFlags::RELEASE, 0x1e),
            FastPathInputEvent::UnicodeKeyboardEvent(FastFlags::empty(), 0x20ac),
            FastPathInputEvent::MouseEvent(mouse(PointerFlags::MOVE, 0)),
            FastPathInputEvent::MouseEvent(mouse(PointerFlags::LEFT_BUTTON | PointerFlags::DOWN, 0)),
            FastPathInputEvent::MouseEvent(mouse(PointerFlags::VERTICAL_WHEEL, -120)),
            FastPathInputEvent::QoeEvent(1),
            FastPathInputEvent::SyncEvent(SynchronizeFlags::CAPS_LOCK),
        ];
        let pdu = encode_vec(&FastPathInput::new(events_in).unwrap()).unwrap();
        let key = |code, prefix, action| Input::Scancode(Scancode { code, prefix, action });
        assert_eq!(
            events(&pdu).unwrap(),
            [
                key(0x1d, Prefix::E0, Action::Press),
                key(0x1e, Prefix::None, Action::Release),
                Input::Unicode { unit: 0x20ac, action: Action::Press },
                Input::Motion { x: 7, y: 9 },
                Input::Button { button: Button::Left, action: Action::Press, x: 7, y: 9 },
                Input::Wheel { axis: Axis::Vertical, units: -120 },
                Input::Sync(Locks { caps: true, ..Default::default() }),
            ]
        );
    }

    #[test]
    fn slow_path_events_are_the_same() {
        let key = ScanCodePdu { flags: scan_code::KeyboardFlags::RELEASE, key_code: 0x1e };
        let input = InputEventPdu(vec![
            SlowEvent::ScanCode(key),
            SlowEvent::Sync(SyncPdu { flags: SyncToggleFlags::NUM_LOCK }),
            SlowEvent::Mouse(mouse(PointerFlags::MOVE, 0)),
        ]);
        let message = ShareControlHeader {
            share_control_pdu: ShareControlPdu::Data(ShareDataHeader {
                share_data_pdu: ShareDataPdu::Input(input),
                stream_priority: StreamPriority::Medium,
                compression_flags: CompressionFlags::empty(),
                compression_type: ironrdp_pdu::rdp::client_info::CompressionType::K8,
            }),
            pdu_source: 1002,
            share_id: 0,
        };
        let user_data = Cow::Owned(encode_vec(&message).unwrap());
        let pdu = encode_vec(&X224(SendDataRequest { initiator_id: 1002, channel_id: 1003, user_data })).unwrap();
        assert_eq!(
            events(&pdu).unwrap(),
            [
                Input::Scancode(Scancode { code: 0x1e, prefix: Prefix::None, action: Action::Release }),
                Input::Sync(Locks { num: true, ..Default::default() }),
                Input::Motion { x: 7, y: 9 },
            ]
        );
    }

    #[test]
    fn encrypted_or_cut_input_is_an_error() {
        assert!(matches!(events(&[0x84, 4, 0, 0x1e]), Err(InputError::Encrypted)));
        assert!(events(&[0x04, 3, 0]).is_err());
        assert!(events(&[0x00, 3, 9]).is_err());
        assert!(events(&[]).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 2..120)) {
            let _ = events(&bytes);
            bytes[0] &= 0x3c;
            bytes[1] = bytes.len() as u8;
            if let Ok(found) = events(&bytes) {
                prop_assert!(found.len() <= 2 * MAX_EVENTS);
            }
        }
    }
}
