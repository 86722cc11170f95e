//! Compiles the keyboard layouts of the login screen into tables, so that the gate needs neither libxkbcommon
//! nor a file once it is in its sandbox.
//!
//! What the tables mean stands in `src/greeter/keymap.rs`, which includes them.

#[path = "../wrd-rdp/src/keymap/names.rs"]
mod names;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use xkbcommon::xkb;

/// The real modifiers that choose a symbol: Shift, Lock, Mod2 (Num Lock), Mod3 (level 5), Mod5 (AltGr). Bit `n`
/// of a column's number stands for the `n`th of them.
const CHOOSERS: [u32; 5] = [1 << 0, 1 << 1, 1 << 4, 1 << 5, 1 << 7];
const COLUMNS: u32 = 1 << CHOOSERS.len();
/// An xkb key code is an evdev code and this.
const OFFSET: u32 = 8;
/// The evdev codes that scan codes become (wrd-rdp, `keymap/scancodes.rs`).
const CODES: std::ops::RangeInclusive<u32> = 1..=127;
/// Marks a keysym, as opposed to a character.
const KEYSYM: u32 = 1 << 31;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../wrd-rdp/src/keymap/names.rs");
    let mut context = xkb::Context::new(xkb::CONTEXT_NO_ENVIRONMENT_NAMES);
    context.set_log_level(xkb::LogLevel::Critical);
    let mut tables = Tables::default();
    let mut done = BTreeMap::new();
    for (_, names::LayoutName { layout, variant, .. }) in names::LAYOUTS {
        // A variant that this system's data does not have is its layout without it.
        let keymap = [variant, ""].into_iter().find_map(|variant| {
            let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
            xkb::Keymap::new_from_names(&context, "evdev", "pc105", layout, variant, None, flags)
        });
        let keymap = keymap.unwrap_or_else(|| panic!("the keyboard layout {layout} {variant}: is xkb-data installed?"));
        done.entry((*layout, *variant)).or_insert_with(|| tables.add(&keymap));
    }
    let mut text = String::new();
    writeln!(text, "static LAYOUTS: [Layout; {}] = [", done.len()).unwrap();
    for ((layout, variant), Spans { keys, modifiers }) in &done {
        writeln!(
            text,
            "    Layout {{ layout: {layout:?}, variant: {variant:?}, keys: {keys:?}, modifiers: {modifiers:?} }},"
        )
        .unwrap();
    }
    writeln!(text, "];").unwrap();
    tables.write(&mut text);
    let out = std::env::var_os("OUT_DIR").unwrap();
    std::fs::write(Path::new(&out).join("keymaps.rs"), text).unwrap();
}

/// Where a layout's rows are: the first and the one behind the last.
struct Spans {
    keys: (usize, usize),
    modifiers: (usize, usize),
}

#[derive(Default)]
struct Tables {
    /// Code, selector, first symbol.
    keys: Vec<(u32, usize, usize)>,
    /// Code, what it does, to which modifiers, in which columns (a bit each).
    modifiers: Vec<(u32, &'static str, u32, u32)>,
    /// For each column which of a key's symbols it is.
    selectors: Vec<Vec<usize>>,
    symbols: Vec<u32>,
    /// Where a list of symbols begins that is there already.
    known: BTreeMap<Vec<u32>, usize>,
}

impl Tables {
    fn add(&mut self, keymap: &xkb::Keymap) -> Spans {
        let (keys, modifiers) = (self.keys.len(), self.modifiers.len());
        for code in CODES {
            self.add_modifier(keymap, code);
            self.add_key(keymap, code);
        }
        Spans { keys: (keys, self.keys.len()), modifiers: (modifiers, self.modifiers.len()) }
    }

    /// What pressing the key and letting it go does to the modifiers, which may depend on those in effect: a
    /// Japanese Caps Lock locks with Shift only.
    fn add_modifier(&mut self, keymap: &xkb::Keymap, code: u32) {
        let mut found: BTreeMap<(&'static str, u32), u32> = BTreeMap::new();
        let mut plain_latch = 0;
        for column in 0..COLUMNS {
            let chosen = mask_of(column);
            let mut state = xkb::State::new(keymap);
            // As latches, which a modifier key leaves as they are: what it holds and locks is its own.
            state.update_mask(0, chosen, 0, 0, 0, 0);
            state.update_key((code + OFFSET).into(), xkb::KeyDirection::Down);
            let held = state.serialize_mods(xkb::STATE_MODS_DEPRESSED);
            let locked = state.serialize_mods(xkb::STATE_MODS_LOCKED);
            state.update_key((code + OFFSET).into(), xkb::KeyDirection::Up);
            // What was latched before cannot be told from what is now: as without.
            let latched = state.serialize_mods(xkb::STATE_MODS_LATCHED) & !chosen | plain_latch & held;
            if column == 0 {
                plain_latch = latched;
            }
            for (does, mask) in [("Lock", locked), ("Latch", latched), ("Hold", held & !locked & !latched)] {
                if mask != 0 {
                    *found.entry((does, mask)).or_default() |= 1 << column;
                }
            }
        }
        self.modifiers.extend(found.into_iter().map(|((does, mask), columns)| (code, does, mask, columns)));
    }

    fn add_key(&mut self, keymap: &xkb::Keymap, code: u32) {
        let mut state = xkb::State::new(keymap);
        let row: Vec<u32> = (0..COLUMNS)
            .map(|column| {
                state.update_mask(mask_of(column), 0, 0, 0, 0, 0);
                symbol(&state, (code + OFFSET).into())
            })
            .collect();
        if row.iter().all(|symbol| *symbol == 0) {
            return;
        }
        let mut symbols: Vec<u32> = Vec::new();
        let mut selector = Vec::new();
        for symbol in row {
            let place = symbols.iter().position(|known| *known == symbol).unwrap_or_else(|| {
                symbols.push(symbol);
                symbols.len() - 1
            });
            selector.push(place);
        }
        let selector = self.selectors.iter().position(|known| *known == selector).unwrap_or_else(|| {
            self.selectors.push(selector);
            self.selectors.len() - 1
        });
        let behind = self.symbols.len();
        let first = *self.known.entry(symbols).or_insert_with_key(|symbols| {
            self.symbols.extend(symbols);
            behind
        });
        self.keys.push((code, selector, first));
    }

    fn write(&self, text: &mut String) {
        writeln!(text, "static KEYS: [Key; {}] = [", self.keys.len()).unwrap();
        for (code, selector, first) in &self.keys {
            writeln!(text, "    Key {{ code: {code}, selector: {selector}, first: {first} }},").unwrap();
        }
        writeln!(text, "];\nstatic MODIFIERS: [Modifier; {}] = [", self.modifiers.len()).unwrap();
        for (code, does, mask, columns) in &self.modifiers {
            writeln!(
                text,
                "    Modifier {{ code: {code}, does: Does::{does}, mask: {mask:#04x}, columns: {columns:#x} }},"
            )
            .unwrap();
        }
        writeln!(text, "];\nstatic SELECTORS: [[u8; {COLUMNS}]; {}] = {:?};", self.selectors.len(), self.selectors)
            .unwrap();
        writeln!(text, "static SYMBOLS: [u32; {}] = {:?};", self.symbols.len(), self.symbols).unwrap();
    }
}

/// The modifiers of a column.
fn mask_of(column: u32) -> u32 {
    CHOOSERS.iter().enumerate().filter(|(bit, _)| column & (1 << bit) != 0).map(|(_, mask)| mask).sum()
}

/// The character that a key types, or its keysym where it types none; 0 for nothing at all.
fn symbol(state: &xkb::State, code: xkb::Keycode) -> u32 {
    match char::from_u32(state.key_get_utf32(code)) {
        Some(c) if c != '\0' && !c.is_control() => c.into(),
        _ => match state.key_get_one_sym(code).raw() {
            0 => 0,
            keysym => keysym | KEYSYM,
        },
    }
}
