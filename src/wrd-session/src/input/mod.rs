//! RDP input → the seat's terms: evdev codes, px of the desktop, whole characters.

use crate::source::{Axis, InputEvent, Press, Size, Source, Toggle};
use wrd_rdp::input::{self, Action, Button, Input};
use wrd_rdp::keymap::Keys;

/// Translates one client's input; a new client gets a new one.
#[derive(Debug, Default)]
pub struct Translator {
    keys: Keys,
    /// The first half of a character beyond the first plane.
    surrogate: Option<u16>,
}

/// evdev `BTN_*`.
mod button {
    pub const LEFT: u32 = 0x110;
    pub const RIGHT: u32 = 0x111;
    pub const MIDDLE: u32 = 0x112;
    pub const SIDE: u32 = 0x113;
    pub const EXTRA: u32 = 0x114;
}

impl Translator {
    /// Hands `inputs` to the desktop, which is `size` large.
    pub fn hand_over(&mut self, inputs: &[Input], size: Size, desktop: &mut impl Source) {
        for input in inputs {
            if matches!(input, Input::Sync(_)) {
                // The client's window has the focus anew: whatever went down before is up (MS-RDPBCGR
                // 2.2.8.1.1.3.1.1.5).
                self.keys = Keys::default();
                self.surrogate = None;
                desktop.release_all();
            }
            self.translate(*input, size, |event| desktop.input(event));
        }
    }

    fn translate(&mut self, input: Input, size: Size, mut give: impl FnMut(InputEvent)) {
        match input {
            Input::Scancode(key) => {
                if let Some(code) = self.keys.evdev(key) {
                    give(InputEvent::Key { code, state: press(key.action) });
                }
            }
            Input::Unicode { unit, action } => {
                if let Some(unit) = self.character(unit) {
                    give(InputEvent::Unicode { unit, state: press(action) });
                }
            }
            Input::Motion { x, y } => give(motion(x, y, size)),
            Input::Button { button, action, x, y } => {
                give(motion(x, y, size));
                give(InputEvent::Button { code: button_code(button), state: press(action) });
            }
            Input::Wheel { axis, units } => give(match axis {
                // RDP: positive is up or right; here: down or right.
                input::Axis::Vertical => InputEvent::Wheel { axis: Axis::Vertical, v120: -i32::from(units) },
                input::Axis::Horizontal => InputEvent::Wheel { axis: Axis::Horizontal, v120: units.into() },
            }),
            Input::Sync(locks) => give(InputEvent::Locks {
                caps: toggle(locks.caps),
                num: toggle(locks.num),
                scroll: toggle(locks.scroll),
            }),
        }
    }

    fn character(&mut self, unit: u16) -> Option<char> {
        if (0xd800..0xdc00).contains(&unit) {
            self.surrogate = Some(unit);
            return None;
        }
        let units = self.surrogate.take().into_iter().chain([unit]);
        char::decode_utf16(units).filter_map(Result::ok).last()
    }
}

fn motion(x: u16, y: u16, size: Size) -> InputEvent {
    InputEvent::Motion { x: x.min(size.width.saturating_sub(1)), y: y.min(size.height.saturating_sub(1)) }
}

fn press(action: Action) -> Press {
    match action {
        Action::Press => Press::Pressed,
        Action::Release => Press::Released,
    }
}

fn toggle(on: bool) -> Toggle {
    if on { Toggle::On } else { Toggle::Off }
}

fn button_code(button: Button) -> u32 {
    match button {
        Button::Left => button::LEFT,
        Button::Right => button::RIGHT,
        Button::Middle => button::MIDDLE,
        Button::Extra1 => button::SIDE,
        Button::Extra2 => button::EXTRA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrd_rdp::input::{Locks, Prefix, Scancode};

    fn translated(inputs: &[Input]) -> Vec<InputEvent> {
        let mut translator = Translator::default();
        let mut events = Vec::new();
        for input in inputs {
            translator.translate(*input, Size { width: 800, height: 600 }, |event| events.push(event));
        }
        events
    }

    #[test]
    fn input_arrives_in_the_seats_terms() {
        let key = Scancode { code: 0x1e, prefix: Prefix::None, action: Action::Press };
        assert_eq!(
            translated(&[
                Input::Scancode(key),
                Input::Button { button: Button::Right, action: Action::Release, x: 900, y: 5 },
                Input::Wheel { axis: input::Axis::Vertical, units: 120 },
                Input::Sync(Locks { num: true, ..Locks::default() }),
            ]),
            [
                InputEvent::Key { code: 30, state: Press::Pressed },
                InputEvent::Motion { x: 799, y: 5 },
                InputEvent::Button { code: 0x111, state: Press::Released },
                InputEvent::Wheel { axis: Axis::Vertical, v120: -120 },
                InputEvent::Locks { caps: Toggle::Off, num: Toggle::On, scroll: Toggle::Off },
            ]
        );
    }

    #[test]
    fn two_halves_make_one_character_and_a_lone_half_none() {
        let unit = |unit| Input::Unicode { unit, action: Action::Press };
        let event = |unit| InputEvent::Unicode { unit, state: Press::Pressed };
        assert_eq!(translated(&[unit(0xd83d), unit(0xde00)]), [event('😀')]);
        assert_eq!(translated(&[unit(0xde00), unit(0xd83d), unit(0x61)]), [event('a')]);
    }
}
