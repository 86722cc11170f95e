//! The measures of a window's frame, and the arithmetic of rectangles that window management needs.
//! All in px; the output's scale is always 1, so logical and physical px are the same.

use smithay::utils::{Logical, Point, Rectangle, Size};

pub type Area = Rectangle<i32, Logical>;
pub type Place = Point<i32, Logical>;
pub type Extent = Size<i32, Logical>;

/// Height of the title bar.
pub const TITLE: i32 = 32;
/// The line around a floating window.
pub const BORDER: i32 = 1;
/// How far outside (and at corners inside) the line a window can be grabbed to resize it.
pub const GRIP: i32 = 6;
/// Corners reach this far along the edges.
pub const CORNER: i32 = 18;
/// Width of a button in the title bar.
pub const BUTTON: i32 = 40;
/// No window gets smaller than this by dragging an edge.
pub const SMALLEST: (i32, i32) = (160, 80);
/// This much of a title bar always stays within the work area.
pub const REACHABLE: i32 = 96;

/// The edges of a window that follow the pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edges {
    pub left: bool,
    pub right: bool,
    pub top: bool,
    pub bottom: bool,
}

impl Edges {
    pub fn any(self) -> bool {
        self.left || self.right || self.top || self.bottom
    }

    /// The edges next to `point`, seen from outside, within `reach`; both at a corner.
    pub fn near(area: Area, point: Place, reach: i32) -> Self {
        let right = area.loc.x + area.size.w;
        let bottom = area.loc.y + area.size.h;
        let beside_x = point.x < area.loc.x || point.x >= right;
        let beside_y = point.y < area.loc.y || point.y >= bottom;
        if !grown(area, reach).contains(point) || !(beside_x || beside_y) {
            return Self::default();
        }
        Self {
            left: point.x < area.loc.x || (beside_y && point.x < area.loc.x + CORNER),
            right: point.x >= right || (beside_y && point.x >= right - CORNER),
            top: point.y < area.loc.y || (beside_x && point.y < area.loc.y + CORNER),
            bottom: point.y >= bottom || (beside_x && point.y >= bottom - CORNER),
        }
    }
}

/// What a point of a window's frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Content,
    Title,
    Minimise,
    Maximise,
    Close,
    Edge(Edges),
}

/// The buttons of a title bar that is `width` wide, in its own coordinates, from the right.
pub fn buttons(width: i32) -> [(Part, Area); 3] {
    let button = |index: i32| Area::new((width - BUTTON * (index + 1), 0).into(), (BUTTON, TITLE).into());
    [(Part::Close, button(0)), (Part::Maximise, button(1)), (Part::Minimise, button(2))]
}

pub fn grown(area: Area, by: i32) -> Area {
    Area::new((area.loc.x - by, area.loc.y - by).into(), (area.size.w + 2 * by, area.size.h + 2 * by).into())
}

/// Moves `area` into `within` as far as it fits; its top left corner counts most.
pub fn moved_into(area: Area, within: Area) -> Area {
    let x = area.loc.x.min(within.loc.x + within.size.w - area.size.w).max(within.loc.x);
    let y = area.loc.y.min(within.loc.y + within.size.h - area.size.h).max(within.loc.y);
    Area::new((x, y).into(), area.size)
}

/// The smallest and the largest size a client wants; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub min: Extent,
    pub max: Extent,
}

impl Limits {
    /// The nearest size the client accepts, and never less than 1×1.
    pub fn clamp(self, size: Extent) -> Extent {
        let side = |wish: i32, min: i32, max: i32| {
            let wish = if max > 0 { wish.min(max) } else { wish };
            wish.max(min).max(1)
        };
        Extent::from((side(size.w, self.min.w, self.max.w), side(size.h, self.min.h, self.max.h)))
    }

    /// Whether the client has exactly one size.
    pub fn is_fixed(self) -> bool {
        self.min.w > 0 && self.min.h > 0 && self.min == self.max
    }
}
