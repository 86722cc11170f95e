//! Which key, with which modifiers, types a character; and a keymap with a spare key for one that none
//! types. Pure but for libxkbcommon's reading of its data files.

use crate::source::KeyboardLayout;
use smithay::input::keyboard::{Keycode, xkb};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Most characters that have a spare key at a time.
const SPARES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroke {
    pub keycode: Keycode,
    pub shift: bool,
    pub level3: bool,
}

pub struct Typist {
    strokes: HashMap<char, Stroke>,
    /// The keymap as text, in two halves: spare keys go between them.
    head: String,
    tail: String,
    /// Keys of the keymap that mean nothing, by code and name.
    spares: Vec<(Keycode, String)>,
    given: Vec<char>,
    next: usize,
}

impl Typist {
    pub fn new(layout: &KeyboardLayout) -> Option<Self> {
        let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
        let keymap = xkb::Keymap::new_from_names(
            &context,
            "",
            &layout.model,
            &layout.layout,
            &layout.variant,
            Some(layout.options.clone()),
            xkb::KEYMAP_COMPILE_NO_FLAGS,
        )?;
        let text = keymap.get_as_string(xkb::KEYMAP_FORMAT_TEXT_V1);
        let symbols = text.find("xkb_symbols")?;
        let end = symbols + text.get(symbols..)?.find("\n};")? + 1;
        let (head, tail) = text.split_at_checked(end)?;
        Some(Self {
            strokes: strokes(&keymap),
            head: head.to_owned(),
            tail: tail.to_owned(),
            spares: spares(&keymap),
            given: Vec::new(),
            next: 0,
        })
    }

    /// How to type `unit`, and the keymap that has to be set before, if it is another one.
    pub fn stroke(&mut self, unit: char) -> Option<(Stroke, Option<String>)> {
        if let Some(stroke) = self.strokes.get(&unit) {
            return Some((*stroke, None));
        }
        let known = self.given.iter().position(|given| *given == unit);
        let slot = known.unwrap_or(self.next);
        let (keycode, _) = self.spares.get(slot)?;
        let stroke = Stroke { keycode: *keycode, shift: false, level3: false };
        if known.is_some() {
            return Some((stroke, None));
        }
        match self.given.get_mut(slot) {
            Some(given) => *given = unit,
            None => self.given.push(unit),
        }
        self.next = (slot + 1) % self.spares.len();
        Some((stroke, Some(self.keymap())))
    }

    fn keymap(&self) -> String {
        let mut text = self.head.clone();
        for ((_, name), unit) in self.spares.iter().zip(&self.given) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\tkey <{name}> {{ [ U{:04X} ] }};", u32::from(*unit));
        }
        text.push_str(&self.tail);
        text
    }
}

/// Every character that a key types alone, with Shift, with AltGr, or with both; the simplest way wins.
fn strokes(keymap: &xkb::Keymap) -> HashMap<char, Stroke> {
    let mask = |name: &str| match keymap.mod_get_index(name) {
        xkb::MOD_INVALID => 0,
        index => 1u32 << index,
    };
    let (shift, level3) = (mask(xkb::MOD_NAME_SHIFT), mask(xkb::MOD_NAME_ISO_LEVEL3_SHIFT));
    let mut state = xkb::State::new(keymap);
    let mut strokes = HashMap::new();
    for (with_shift, with_level3) in [(false, false), (true, false), (false, true), (true, true)] {
        let mods = if with_shift { shift } else { 0 } | if with_level3 { level3 } else { 0 };
        state.update_mask(mods, 0, 0, 0, 0, 0);
        for code in keymap.min_keycode().raw()..=keymap.max_keycode().raw().min(255) {
            let keycode = Keycode::new(code);
            // A dead key would wait for the next one.
            let sym = state.key_get_one_sym(keycode);
            let dead = (0xfe50..=0xfe93).contains(&sym.raw());
            if let Some(unit) = sym.key_char().filter(|unit| !dead && !unit.is_control()) {
                strokes.entry(unit).or_insert(Stroke { keycode, shift: with_shift, level3: with_level3 });
            }
        }
    }
    strokes
}

fn spares(keymap: &xkb::Keymap) -> Vec<(Keycode, String)> {
    (keymap.min_keycode().raw()..=keymap.max_keycode().raw().min(255))
        .map(Keycode::new)
        .filter(|code| keymap.num_layouts_for_key(*code) == 0)
        .filter_map(|code| keymap.key_get_name(code).map(|name| (code, name.to_owned())))
        .take(SPARES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn german() -> Typist {
        let layout = KeyboardLayout { layout: "de".into(), ..KeyboardLayout::default() };
        Typist::new(&layout).expect("xkb-data is installed")
    }

    #[test]
    fn characters_of_the_layout_are_typed_with_its_keys() {
        let mut typist = german();
        let mut stroke = |unit| {
            typist.stroke(unit).map(|(stroke, keymap)| {
                assert!(keymap.is_none(), "{unit} needs no other keymap");
                (stroke.keycode.raw() - 8, stroke.shift, stroke.level3)
            })
        };
        assert_eq!(stroke('z'), Some((21, false, false)));
        assert_eq!(stroke('Z'), Some((21, true, false)));
        assert_eq!(stroke('ß'), Some((12, false, false)));
        assert_eq!(stroke('@'), Some((16, false, true)));
        assert_eq!(stroke('€'), Some((18, false, true)));
    }

    #[test]
    fn other_characters_get_a_spare_key_each() {
        let mut typist = german();
        let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
        for unit in ['я', '漢', '😀'] {
            let (stroke, keymap) = typist.stroke(unit).unwrap();
            let text = keymap.expect("a new keymap");
            let keymap =
                xkb::Keymap::new_from_string(&context, text, xkb::KEYMAP_FORMAT_TEXT_V1, xkb::KEYMAP_COMPILE_NO_FLAGS)
                    .expect("xkb takes it");
            assert_eq!(xkb::State::new(&keymap).key_get_one_sym(stroke.keycode).key_char(), Some(unit));
            let (again, keymap) = typist.stroke(unit).unwrap();
            assert_eq!((again, keymap), (stroke, None));
        }
        for code in 0x4e00..0x4e40u32 {
            assert!(typist.stroke(char::from_u32(code).unwrap()).is_some(), "spare keys are used again");
        }
    }
}
