//! What a client can show, from the capability sets of its Confirm Active.

use ironrdp_pdu::rdp::capability_sets::{CapabilitySet, GeneralExtraFlags, LargePointerSupportFlags};

/// See the module. The defaults are those of a client that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub fast_path: Support,
    /// Bits a pixel of bitmap updates.
    pub bits_per_pixel: u16,
    /// The desktop may be resized by deactivation and reactivation.
    pub resize: Support,
    /// Pointers the client keeps, at most 25 as we announced; 0 where it takes 24-bit ones only.
    pub pointer_cache: u16,
    pub color_pointer_cache: u16,
    /// Width and height of the largest pointer in px.
    pub max_pointer: u16,
    /// Largest update in bytes that the client puts together from fragments; 0 where it cannot.
    pub max_update: usize,
}

/// Whether the client has a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Yes,
    No,
}

impl Support {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// The pointers a client is told to keep; the acceptor announces the same.
const POINTER_CACHE: u16 = 25;

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            fast_path: Support::No,
            bits_per_pixel: 16,
            resize: Support::No,
            pointer_cache: 0,
            color_pointer_cache: 0,
            max_pointer: 32,
            max_update: 0,
        }
    }
}

impl Capabilities {
    pub fn new(sets: &[CapabilitySet]) -> Self {
        let mut found = Self::default();
        for set in sets {
            match set {
                CapabilitySet::General(general) => {
                    let flag = GeneralExtraFlags::FASTPATH_OUTPUT_SUPPORTED;
                    found.fast_path = Support::of(general.extra_flags.contains(flag));
                }
                CapabilitySet::Bitmap(bitmap) => {
                    found.bits_per_pixel = bitmap.pref_bits_per_pix;
                    found.resize = Support::of(bitmap.desktop_resize_flag);
                }
                CapabilitySet::Pointer(pointer) => {
                    found.pointer_cache = pointer.pointer_cache_size.min(POINTER_CACHE);
                    found.color_pointer_cache = pointer.color_pointer_cache_size.min(POINTER_CACHE);
                }
                CapabilitySet::LargePointer(large) => {
                    if large.flags.contains(LargePointerSupportFlags::UP_TO_384X384_PIXELS) {
                        found.max_pointer = 384;
                    } else if large.flags.contains(LargePointerSupportFlags::UP_TO_96X96_PIXELS) {
                        found.max_pointer = 96;
                    }
                }
                CapabilitySet::MultiFragmentUpdate(fragments) => {
                    found.max_update = usize::try_from(fragments.max_request_size).unwrap_or(usize::MAX);
                }
                _ => {}
            }
        }
        found
    }
}
