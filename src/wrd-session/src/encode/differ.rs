//! What the client shows, and where it differs from the frame.
//!
//! Reported damage only says where to look: clients of the compositor report whole lines for one glyph.
//! The screen is divided into cells; damaged cells are compared with the shadow, neighbours that differ
//! grow into wide rectangles (which compress better than tiles) and those shrink to the px that changed.
//! Always true: after [`Differ::take`] has returned nothing, the shadow equals every frame it was shown,
//! and a rectangle that was returned is in the shadow already: the caller must send it.

use super::BYTES;
use crate::source::{Frame, Rect, Size};

/// Largest rectangle that is returned, in px; it bounds the PDU that carries it to about 1 MB.
pub const MAX_AREA: usize = 256 * 1024;

const CELL_WIDTH: usize = 64;
const CELL_HEIGHT: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// The client shows the frame.
    Clean,
    /// The frame may have changed.
    Damaged,
    /// Nobody knows what the client shows.
    Unknown,
}

/// See the module.
#[derive(Debug)]
pub struct Differ {
    size: Size,
    shadow: Vec<u8>,
    cells: Vec<Cell>,
    columns: usize,
    dirty: usize,
    /// The cell row where the next [`Differ::take`] begins, so that no part of the screen starves.
    next: usize,
}

impl Differ {
    /// For a client of which nothing is known: everything is to be sent.
    pub fn new(size: Size) -> Self {
        let columns = usize::from(size.width).div_ceil(CELL_WIDTH);
        let rows = usize::from(size.height).div_ceil(CELL_HEIGHT);
        Self {
            size,
            shadow: vec![0; usize::from(size.width) * usize::from(size.height) * BYTES],
            cells: vec![Cell::Unknown; columns * rows],
            columns,
            dirty: columns * rows,
            next: 0,
        }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// Whether there is something to look at.
    pub fn is_pending(&self) -> bool {
        self.dirty > 0
    }

    /// The frame may have changed here.
    pub fn damage(&mut self, rects: &[Rect]) {
        for rect in rects {
            self.mark(*rect, Cell::Damaged);
        }
    }

    /// The client has lost what it showed here.
    pub fn forget(&mut self, rect: Rect) {
        self.mark(rect, Cell::Unknown);
    }

    /// The client has lost everything.
    pub fn forget_all(&mut self) {
        self.cells.fill(Cell::Unknown);
        self.dirty = self.cells.len();
        self.next = 0;
    }

    /// Where the client has to be told, about `area` px at most; call it until it returns nothing, or go on
    /// later with a newer frame.
    pub fn take(&mut self, frame: &Frame<'_>, area: usize) -> Vec<Rect> {
        let mut found: Vec<Run> = Vec::new();
        if frame.size != self.size || self.columns == 0 {
            return Vec::new();
        }
        let rows = self.cells.len() / self.columns;
        let mut taken = 0;
        for _ in 0..rows {
            if self.dirty == 0 || taken >= area {
                break;
            }
            let row = self.next;
            self.next = (self.next + 1) % rows;
            let runs = self.runs(frame, row);
            taken += runs.iter().map(|run| run.area()).sum::<usize>();
            for run in runs {
                extend(&mut found, run);
            }
        }
        let mut rects: Vec<Rect> = found.iter().filter_map(|run| self.shrink(frame, run)).collect();
        // Where a run is the lower part of several, nothing is left of it.
        rects.retain(|rect| rect.width > 0 && rect.height > 0);
        for rect in &rects {
            self.remember(frame, *rect);
        }
        rects
    }

    fn mark(&mut self, rect: Rect, as_what: Cell) {
        let right = (usize::from(rect.x) + usize::from(rect.width)).div_ceil(CELL_WIDTH).min(self.columns);
        let bottom = (usize::from(rect.y) + usize::from(rect.height)).div_ceil(CELL_HEIGHT);
        for row in usize::from(rect.y) / CELL_HEIGHT..bottom {
            for column in usize::from(rect.x) / CELL_WIDTH..right {
                let Some(cell) = self.cells.get_mut(row * self.columns + column) else { return };
                match (*cell, as_what) {
                    (Cell::Clean, _) => {
                        self.dirty += 1;
                        *cell = as_what;
                    }
                    (Cell::Damaged, Cell::Unknown) => *cell = Cell::Unknown,
                    _ => {}
                }
            }
        }
    }

    /// The cells of one row that differ, neighbours as one, and all of them clean from now on.
    fn runs(&mut self, frame: &Frame<'_>, row: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let top = row * CELL_HEIGHT;
        let bottom = (top + CELL_HEIGHT).min(self.size.height.into());
        for column in 0..self.columns {
            let index = row * self.columns + column;
            let cell = self.cells.get(index).copied().unwrap_or(Cell::Clean);
            if cell == Cell::Clean {
                continue;
            }
            if let Some(cell) = self.cells.get_mut(index) {
                *cell = Cell::Clean;
                self.dirty -= 1;
            }
            let left = column * CELL_WIDTH;
            let right = (left + CELL_WIDTH).min(self.size.width.into());
            let unknown = cell == Cell::Unknown;
            if !unknown && (top..bottom).all(|y| self.same(frame, y, left, right)) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.right == left => {
                    run.right = right;
                    run.unknown |= unknown;
                }
                _ => runs.push(Run { left, right, top, bottom, unknown }),
            }
        }
        runs
    }

    /// The px of a run that changed.
    fn shrink(&self, frame: &Frame<'_>, run: &Run) -> Option<Rect> {
        let Run { mut left, mut right, mut top, mut bottom, unknown } = *run;
        if !unknown {
            while top < bottom && self.same(frame, top, left, right) {
                top += 1;
            }
            while bottom > top && self.same(frame, bottom - 1, left, right) {
                bottom -= 1;
            }
            let same_column = |x| (top..bottom).all(|y| self.same(frame, y, x, x + 1));
            while left < right && same_column(left) {
                left += 1;
            }
            while right > left && same_column(right - 1) {
                right -= 1;
            }
        }
        Some(Rect {
            x: left.try_into().ok()?,
            y: top.try_into().ok()?,
            width: (right - left).try_into().ok()?,
            height: (bottom - top).try_into().ok()?,
        })
    }

    /// Whether the px from `left` up to `right` of one line are what the client shows.
    fn same(&self, frame: &Frame<'_>, y: usize, left: usize, right: usize) -> bool {
        let ours = y * usize::from(self.size.width) * BYTES;
        let theirs = y * frame.stride;
        let (from, to) = (left * BYTES, right * BYTES);
        self.shadow.get(ours + from..ours + to) == frame.pixels.get(theirs + from..theirs + to)
    }

    fn remember(&mut self, frame: &Frame<'_>, rect: Rect) {
        for line in 0..rect.height {
            let source = super::row(frame, rect, line);
            let y = usize::from(rect.y) + usize::from(line);
            let from = (y * usize::from(self.size.width) + usize::from(rect.x)) * BYTES;
            if let Some(target) = self.shadow.get_mut(from..from + source.len()) {
                target.copy_from_slice(source);
            }
        }
    }
}

/// Cells that differ, in px; `right` and `bottom` are exclusive.
#[derive(Clone, Copy, Debug)]
struct Run {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
    unknown: bool,
}

impl Run {
    fn area(&self) -> usize {
        (self.right - self.left) * (self.bottom - self.top)
    }
}

/// Adds a run below others, as a part of the one it continues.
fn extend(found: &mut Vec<Run>, run: Run) {
    let above = found.iter_mut().rev().take_while(|above| above.bottom >= run.top).find(|above| {
        above.bottom == run.top
            && (above.left, above.right, above.unknown) == (run.left, run.right, run.unknown)
            && above.area() + run.area() <= MAX_AREA
    });
    match above {
        Some(above) => above.bottom = run.bottom,
        None => found.push(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Screen {
        size: Size,
        pixels: Vec<u8>,
    }

    impl Screen {
        fn new(width: u16, height: u16) -> Self {
            let size = Size { width, height };
            // A stride of its own, to find who mistakes it for the width.
            Self { size, pixels: vec![7; (usize::from(width) * BYTES + 12) * usize::from(height)] }
        }

        fn stride(&self) -> usize {
            usize::from(self.size.width) * BYTES + 12
        }

        fn frame(&self) -> Frame<'_> {
            Frame { size: self.size, stride: self.stride(), pixels: &self.pixels }
        }

        fn fill(&mut self, rect: Rect, value: u8) {
            for y in rect.y..(rect.y + rect.height).min(self.size.height) {
                for x in rect.x..(rect.x + rect.width).min(self.size.width) {
                    let at = usize::from(y) * self.stride() + usize::from(x) * BYTES;
                    self.pixels[at..at + BYTES].fill(value);
                }
            }
        }
    }

    fn rect(x: u16, y: u16, width: u16, height: u16) -> Rect {
        Rect { x, y, width, height }
    }

    fn take_all(differ: &mut Differ, screen: &Screen, shown: &mut [u8]) -> Vec<Rect> {
        let mut all = Vec::new();
        loop {
            let rects = differ.take(&screen.frame(), 5000);
            if rects.is_empty() && !differ.is_pending() {
                return all;
            }
            for rect in &rects {
                assert!(usize::from(rect.width) * usize::from(rect.height) <= MAX_AREA);
                for y in rect.y..rect.y + rect.height {
                    let from = usize::from(y) * screen.stride() + usize::from(rect.x) * BYTES;
                    let length = usize::from(rect.width) * BYTES;
                    shown[from..from + length].copy_from_slice(&screen.pixels[from..from + length]);
                }
            }
            all.extend(rects);
        }
    }

    #[test]
    fn a_changed_glyph_in_a_damaged_line_comes_out_alone() {
        let mut screen = Screen::new(1000, 300);
        let mut differ = Differ::new(screen.size);
        let mut shown = screen.pixels.clone();
        take_all(&mut differ, &screen, &mut shown);
        screen.fill(rect(500, 100, 9, 18), 3);
        differ.damage(&[rect(0, 96, 1000, 24)]);
        let rects = take_all(&mut differ, &screen, &mut shown);
        assert_eq!(rects, [rect(500, 100, 9, 18)]);
        differ.damage(&[rect(0, 0, 1000, 300)]);
        assert!(take_all(&mut differ, &screen, &mut shown).is_empty());
    }

    #[test]
    fn a_whole_unknown_screen_is_one_rectangle_where_it_may_be() {
        let screen = Screen::new(640, 400);
        let mut differ = Differ::new(screen.size);
        assert_eq!(differ.take(&screen.frame(), MAX_AREA), [rect(0, 0, 640, 400)]);
        differ.forget(rect(70, 20, 1, 1));
        assert_eq!(differ.take(&screen.frame(), MAX_AREA), [rect(64, 16, 64, 16)]);
    }

    #[test]
    fn a_frame_of_another_size_gives_nothing() {
        let mut differ = Differ::new(Size { width: 300, height: 200 });
        assert!(differ.take(&Screen::new(200, 300).frame(), MAX_AREA).is_empty());
        assert!(differ.is_pending());
    }

    proptest! {
        #[test]
        fn what_is_sent_makes_the_client_show_the_frame(
            (width, height) in (1u16..300, 1u16..120),
            changes in proptest::collection::vec((0u16..300, 0u16..120, 1u16..200, 1u16..90, any::<u8>()), 1..12),
        ) {
            let mut screen = Screen::new(width, height);
            let mut differ = Differ::new(screen.size);
            let mut shown = vec![0; screen.pixels.len()];
            for y in 0..usize::from(height) {
                // The padding of a line is nobody's.
                let end = (y + 1) * screen.stride();
                shown[end - 12..end].fill(7);
            }
            take_all(&mut differ, &screen, &mut shown);
            prop_assert!(shown == screen.pixels);
            for (x, y, w, h, value) in changes {
                let area = rect(x, y, w, h);
                screen.fill(area, value);
                differ.damage(&[area]);
                if value % 3 == 0 {
                    take_all(&mut differ, &screen, &mut shown);
                    prop_assert!(shown == screen.pixels);
                }
            }
            take_all(&mut differ, &screen, &mut shown);
            prop_assert!(shown == screen.pixels);
        }
    }
}
