//! Memory that is wiped as it is freed, for programs that handle passwords.
//!
//! A type that wipes itself is not enough: buffers that grow, TLS, decoders and `CString` leave copies behind that
//! nobody names. Of what C libraries free the C library's own wiping takes care as far as it goes
//! ([`crate::harden::wipe_freed_memory`]), which is not to the last bytes of a block, and not of every block.

use nix::libc;
use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which forgets: `#[global_allocator] static MEMORY: Wiping = Wiping;`
pub struct Wiping;

#[allow(unsafe_code)]
// SAFETY: what is given and taken is the system's, as the caller asks for it; a block is written to while it is still
// the caller's.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is of that size, and nobody else's. Not a plain write, which the compiler may leave out.
        unsafe { libc::explicit_bzero(block.cast(), layout.size()) };
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(block, layout) }
    }

    // `realloc` is the trait's own: a new block, a copy, and `dealloc` for the old one.
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    /// How many bytes of `value` stand at an address, whoever has it now.
    fn left(address: usize, length: usize, value: u8) -> usize {
        let mut bytes = vec![0; length];
        // Where the block went back to the kernel nothing can be read.
        let read = File::open("/proc/self/mem").unwrap().read_at(&mut bytes, address as u64).unwrap_or(0);
        bytes[..read].iter().filter(|byte| **byte == value).count()
    }

    #[test]
    #[allow(unsafe_code)]
    fn what_is_freed_or_has_grown_away_is_gone() {
        for size in [24, 40, 1000, 5000] {
            let (layout, larger) = [size, size * 3].map(|size| Layout::from_size_align(size, 8).unwrap()).into();
            // SAFETY: a layout with a size.
            let block = unsafe { Wiping.alloc(layout) };
            // SAFETY: it has that many bytes.
            unsafe { block.write_bytes(0x43, size) };
            assert_eq!(left(block.addr(), size, 0x43), size);
            // SAFETY: the block is of this layout.
            let grown = unsafe { Wiping.realloc(block, layout, larger.size()) };
            assert_eq!(left(grown.addr(), size, 0x43), size);
            assert!(left(block.addr(), size, 0x43) < 8, "{size}");
            // SAFETY: the block is of this layout.
            unsafe { Wiping.dealloc(grown, larger) };
            assert!(left(grown.addr(), size, 0x43) < 8, "{size}");
        }
    }
}
