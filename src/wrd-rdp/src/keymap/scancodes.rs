//! Scan codes (set 1, as RDP sends them) and the kernel's key codes, which xkb's rules `evdev` count from.

use crate::input::{Prefix, Scancode};

/// Translates the keys of one client; it remembers the first half of the one key that comes in two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys {
    pause: bool,
}

impl Keys {
    /// The evdev code (`KEY_*`) of a key, or `None` where there is none, or not yet. An xkb key code is 8 more.
    pub fn evdev(&mut self, key: Scancode) -> Option<u32> {
        // Pause is E1 1D, 45 when pressed and when released: no key but it begins with E1.
        let pause = std::mem::replace(&mut self.pause, key.prefix == Prefix::E1 && key.code == 0x1d);
        match key.prefix {
            Prefix::None if pause && key.code == 0x45 => Some(KEY_PAUSE),
            Prefix::None => plain(key.code),
            Prefix::E0 => extended(key.code),
            Prefix::E1 => None,
        }
    }
}

const KEY_PAUSE: u32 = 119;

fn plain(code: u8) -> Option<u32> {
    Some(match code {
        // The kernel numbered these keys after the AT keyboard's scan codes.
        0x01..=0x53 => u32::from(code),
        0x54 => 99,  // SysRq
        0x56 => 86,  // 102nd
        0x57 => 87,  // F11
        0x58 => 88,  // F12
        0x59 => 117, // keypad =
        0x5c => 95,  // keypad , (Japanese)
        // F13 to F23
        0x64..=0x6e => 183 + u32::from(code - 0x64),
        0x70 => 93,         // katakana/hiragana
        0x71 | 0xf1 => 123, // Hanja
        0x72 | 0xf2 => 122, // Hangul
        0x73 => 89,         // Ro, ABNT /
        0x76 => 194,        // F24
        0x77 => 91,         // hiragana
        0x78 => 90,         // katakana
        0x79 => 92,         // henkan
        0x7b => 94,         // muhenkan
        0x7d => 124,        // yen
        0x7e => 121,        // ABNT keypad .
        _ => return None,
    })
}

fn extended(code: u8) -> Option<u32> {
    Some(match code {
        0x10 => 165,        // previous song
        0x19 => 163,        // next song
        0x1c => 96,         // keypad enter
        0x1d => 97,         // right control
        0x20 => 113,        // mute
        0x21 => 140,        // calculator
        0x22 => 164,        // play/pause
        0x24 => 166,        // stop
        0x2e => 114,        // volume down
        0x30 => 115,        // volume up
        0x32 => 172,        // home page
        0x35 => 98,         // keypad /
        0x37 => 99,         // print screen
        0x38 => 100,        // right alt
        0x45 => 69,         // num lock, which some clients send as extended
        0x46 => KEY_PAUSE,  // control + pause
        0x47 => 102,        // home
        0x48 => 103,        // up
        0x49 => 104,        // page up
        0x4b => 105,        // left
        0x4d => 106,        // right
        0x4f => 107,        // end
        0x50 => 108,        // down
        0x51 => 109,        // page down
        0x52 => 110,        // insert
        0x53 => 111,        // delete
        0x5b => 125,        // left meta
        0x5c => 126,        // right meta
        0x5d => 127,        // menu
        0x5e => 116,        // power
        0x5f => 142,        // sleep
        0x63 => 143,        // wake up
        0x65 => 217,        // search
        0x66 => 156,        // bookmarks
        0x67 => 173,        // refresh
        0x68 => 128,        // stop
        0x69 => 159,        // forward
        0x6a => 158,        // back
        0x6b => 157,        // computer
        0x6c => 155,        // mail
        0x6d => 226,        // media
        0x71 | 0xf1 => 123, // Hanja
        0x72 | 0xf2 => 122, // Hangul
        // E0 2A and E0 36 are shifts that keyboards add of their own accord.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Action;

    fn key(code: u8, prefix: Prefix) -> Option<u32> {
        Keys::default().evdev(Scancode { code, prefix, action: Action::Press })
    }

    #[test]
    fn keys_are_where_the_kernel_has_them() {
        for (code, prefix, evdev) in [
            (0x01, Prefix::None, 1),   // Esc
            (0x1e, Prefix::None, 30),  // A
            (0x1c, Prefix::None, 28),  // Enter
            (0x1c, Prefix::E0, 96),    // keypad Enter
            (0x45, Prefix::None, 69),  // NumLock
            (0x53, Prefix::None, 83),  // keypad .
            (0x53, Prefix::E0, 111),   // Delete
            (0x58, Prefix::None, 88),  // F12
            (0x64, Prefix::None, 183), // F13
            (0x6e, Prefix::None, 193), // F23
            (0x38, Prefix::E0, 100),   // AltGr
            (0x7d, Prefix::None, 124), // ¥
        ] {
            assert_eq!(key(code, prefix), Some(evdev), "{code:#x}");
        }
        assert_eq!(key(0x00, Prefix::None), None);
        assert_eq!(key(0x2a, Prefix::E0), None);
        assert_eq!(key(0xff, Prefix::None), None);
    }

    #[test]
    fn pause_comes_in_two_halves_and_num_lock_after_it_is_num_lock() {
        let mut keys = Keys::default();
        let press = |code, prefix| Scancode { code, prefix, action: Action::Press };
        assert_eq!(keys.evdev(press(0x1d, Prefix::E1)), None);
        assert_eq!(keys.evdev(press(0x45, Prefix::None)), Some(119));
        assert_eq!(keys.evdev(press(0x45, Prefix::None)), Some(69));
    }
}
