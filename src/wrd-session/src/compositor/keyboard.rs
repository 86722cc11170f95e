//! The keyboard: keys, lock keys, characters from clients without scan codes, and the few shortcuts of
//! the window manager.

use super::core::Compositor;
use super::layout::{Layout, WindowId};
use super::unicode::{Stroke, Typist};
use crate::source::{KeyboardLayout, Press, Toggle};
use smithay::backend::input::KeyState;
use smithay::input::keyboard::{FilterResult, KeyboardTarget, Keycode, Keysym, ModifiersState, XkbConfig};
use smithay::utils::SERIAL_COUNTER;
use std::collections::HashSet;

/// X's key codes are evdev's plus this.
const EVDEV_OFFSET: u32 = 8;
/// Codes beyond are no keys (`KEY_MAX`).
const MAX_CODE: u32 = 0x2ff;

#[derive(Default)]
pub struct Keys {
    /// evdev codes that are down: clients of RDP repeat presses, applications repeat by themselves.
    down: HashSet<u32>,
    /// Presses that no application saw, so that their releases are kept from it too.
    intercepted: HashSet<u32>,
    /// Alt is held after Alt+Tab.
    cycle: Option<Cycle>,
    typist: Option<Typist>,
    layout: KeyboardLayout,
}

/// The windows as they were stacked when Alt+Tab began, and which is shown.
struct Cycle {
    order: Vec<Candidate>,
    at: usize,
}

struct Candidate {
    id: WindowId,
    minimised: bool,
}

impl Cycle {
    fn new(layout: &Layout) -> Self {
        let stack = layout.stack().iter().rev();
        let mut order: Vec<_> = stack.map(|placed| Candidate { id: placed.id, minimised: placed.minimised }).collect();
        order.sort_by_key(|candidate| candidate.minimised);
        if let Some(at) = order.iter().position(|candidate| Some(candidate.id) == layout.active()) {
            // A dialog may stand above the active window; start from the active one all the same.
            order.rotate_left(at);
        }
        Self { order, at: 0 }
    }
}

/// What a shortcut does.
enum Shortcut {
    Close,
    Cycle { back: bool },
    PanelKey(PanelKey),
    Nothing,
}

/// A key while a panel is shown.
pub enum PanelKey {
    Confirm,
    Cancel,
    Next,
    Other,
}

impl Compositor {
    pub(super) fn set_keyboard_layout(&mut self, layout: &KeyboardLayout) {
        let keyboard = self.keyboard.clone();
        let locks = keyboard.modifier_state();
        let config = XkbConfig {
            rules: "",
            model: &layout.model,
            layout: &layout.layout,
            variant: &layout.variant,
            options: Some(layout.options.clone()),
        };
        match keyboard.set_xkb_config(self, config) {
            Ok(()) => {
                self.keys.typist = None;
                self.keys.layout = layout.clone();
                self.set_locks(locks.caps_lock, locks.num_lock);
            }
            Err(error) => {
                tracing::warn!(%error, ?layout, "ignoring the client's keyboard layout: xkb does not know it");
            }
        }
    }

    pub(super) fn key(&mut self, code: u32, press: Press) {
        let new = match press {
            Press::Pressed => code <= MAX_CODE && self.keys.down.insert(code),
            Press::Released => self.keys.down.remove(&code),
        };
        if !new {
            return;
        }
        let state = if press == Press::Pressed { KeyState::Pressed } else { KeyState::Released };
        let (serial, time) = (SERIAL_COUNTER.next_serial(), self.time());
        let keyboard = self.keyboard.clone();
        let keycode = Keycode::new(code + EVDEV_OFFSET);
        let shortcut = keyboard.input(self, keycode, state, serial, time, |this, modifiers, key| {
            if press == Press::Released {
                let intercepted = this.keys.intercepted.remove(&code);
                return if intercepted { FilterResult::Intercept(Shortcut::Nothing) } else { FilterResult::Forward };
            }
            match this.shortcut(modifiers, key.modified_sym()) {
                Some(shortcut) => {
                    this.keys.intercepted.insert(code);
                    FilterResult::Intercept(shortcut)
                }
                None => FilterResult::Forward,
            }
        });
        match shortcut {
            Some(Shortcut::Close) => {
                if let Some(id) = self.layout.active() {
                    self.close(id);
                }
            }
            Some(Shortcut::Cycle { back }) => self.cycle(back),
            Some(Shortcut::PanelKey(key)) => self.panel_key(key),
            Some(Shortcut::Nothing) | None => {}
        }
        if self.keys.cycle.is_some() && !keyboard.modifier_state().alt {
            self.keys.cycle = None;
        }
    }

    fn shortcut(&self, modifiers: &ModifiersState, sym: Keysym) -> Option<Shortcut> {
        let is_modifier = sym.is_modifier_key();
        if self.furniture.is_modal() && !is_modifier {
            return Some(Shortcut::PanelKey(match sym {
                Keysym::Return | Keysym::KP_Enter | Keysym::space => PanelKey::Confirm,
                Keysym::Escape => PanelKey::Cancel,
                Keysym::Tab | Keysym::ISO_Left_Tab | Keysym::Left | Keysym::Right => PanelKey::Next,
                _ => PanelKey::Other,
            }));
        }
        if !modifiers.alt || modifiers.ctrl || modifiers.logo || self.is_left_alone() {
            return None;
        }
        match sym {
            Keysym::F4 => Some(Shortcut::Close),
            Keysym::Tab | Keysym::ISO_Left_Tab => Some(Shortcut::Cycle { back: modifiers.shift }),
            _ => None,
        }
    }

    /// Another desktop fills ours: its window manager has the shortcuts.
    pub(super) fn is_left_alone(&self) -> bool {
        !self.furniture.has_bar() && self.layout.is_covered()
    }

    /// Alt+Tab: the next window of those there were when Alt was pressed; minimised ones come last.
    fn cycle(&mut self, back: bool) {
        let mut cycle = self.keys.cycle.take().unwrap_or_else(|| Cycle::new(&self.layout));
        let count = cycle.order.len();
        if count == 0 {
            return;
        }
        cycle.at = if back { cycle.at + count - 1 } else { cycle.at + 1 } % count;
        // The windows passed by stay as they were.
        for candidate in cycle.order.iter().rev() {
            if candidate.minimised {
                self.layout.minimise(candidate.id);
            } else {
                self.layout.activate(candidate.id);
            }
        }
        if let Some(candidate) = cycle.order.get(cycle.at) {
            self.layout.activate(candidate.id);
        }
        self.keys.cycle = Some(cycle);
        self.update_focus();
        self.refresh_pointer();
    }

    pub(super) fn release_keys(&mut self) {
        let down: Vec<_> = self.keys.down.iter().copied().collect();
        for code in down {
            self.key(code, Press::Released);
        }
        self.keys.cycle = None;
    }

    pub(super) fn sync_locks(&mut self, caps: Toggle, num: Toggle) {
        self.set_locks(caps == Toggle::On, num == Toggle::On);
    }

    fn set_locks(&mut self, caps: bool, num: bool) {
        let mut modifiers = self.keyboard.modifier_state();
        if (modifiers.caps_lock, modifiers.num_lock) != (caps, num) {
            (modifiers.caps_lock, modifiers.num_lock) = (caps, num);
            self.impose(modifiers);
        }
    }

    /// Sets the modifiers without a key, and tells the focus.
    fn impose(&mut self, modifiers: ModifiersState) {
        self.keyboard.set_modifier_state(modifiers);
        let now = self.keyboard.modifier_state();
        let seat = self.seat.clone();
        if let Some(focus) = self.keyboard.current_focus() {
            KeyboardTarget::modifiers(&focus, &seat, self, now, SERIAL_COUNTER.next_serial());
        }
    }

    /// Types a character: with a key that has it, else with a spare key that is given it.
    pub(super) fn unicode(&mut self, unit: char, press: Press) {
        if press == Press::Released {
            return;
        }
        if let Some(code) = control_key(unit) {
            self.key(code, Press::Pressed);
            self.key(code, Press::Released);
            return;
        }
        if self.keys.typist.is_none() {
            self.keys.typist = Typist::new(&self.keys.layout);
        }
        let Some(typist) = self.keys.typist.as_mut() else { return };
        let Some((stroke, keymap)) = typist.stroke(unit) else {
            tracing::debug!(code = u32::from(unit), "ignoring a character that no key can be given");
            return;
        };
        if let Some(keymap) = keymap {
            let locks = self.keyboard.modifier_state();
            let keyboard = self.keyboard.clone();
            if let Err(error) = keyboard.set_keymap_from_string(self, keymap) {
                tracing::warn!(%error, "ignoring a character: xkb refuses a key for it");
                return;
            }
            self.set_locks(locks.caps_lock, locks.num_lock);
        }
        self.strike(stroke);
    }

    fn strike(&mut self, stroke: Stroke) {
        let before = self.keyboard.modifier_state();
        let during = ModifiersState {
            shift: stroke.shift,
            iso_level3_shift: stroke.level3,
            num_lock: before.num_lock,
            ..ModifiersState::default()
        };
        self.impose(during);
        let keyboard = self.keyboard.clone();
        for state in [KeyState::Pressed, KeyState::Released] {
            let (serial, time) = (SERIAL_COUNTER.next_serial(), self.time());
            let modal = self.furniture.is_modal();
            keyboard.input(self, stroke.keycode, state, serial, time, |_, _, _| {
                if modal { FilterResult::Intercept(()) } else { FilterResult::Forward }
            });
        }
        self.impose(before);
    }
}

/// Characters that are keys rather than text, as evdev codes.
fn control_key(unit: char) -> Option<u32> {
    match unit {
        '\u{8}' => Some(14),
        '\t' => Some(15),
        '\r' | '\n' => Some(28),
        '\u{1b}' => Some(1),
        _ => None,
    }
}
