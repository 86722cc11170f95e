//! Where the windows are: place, size, stacking, which one is active. Pure: no surfaces, no protocol.
//!
//! Always true (and tested with random operations): a floating window that is not minimised can be
//! reached by its title bar; exactly the visible windows can be active, and one is if there is one;
//! maximised and fullscreen windows follow the output.

use super::geometry::{Area, BORDER, Edges, Extent, GRIP, Limits, Part, Place, REACHABLE, SMALLEST, TITLE};
use super::geometry::{buttons, grown, moved_into};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Floating,
    Maximised,
    Fullscreen,
}

/// Who draws the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    Ours,
    /// The client's own, or none.
    Client,
}

/// One window.
#[derive(Clone, Debug)]
pub struct Placed {
    pub id: WindowId,
    pub parent: Option<WindowId>,
    pub frame: Frame,
    pub fit: Fit,
    pub minimised: bool,
    pub limits: Limits,
    /// Place and size of the content while floating; the size is what the client last drew.
    content: Area,
    /// The size the client is asked for while floating.
    wanted: Extent,
    /// Where the user or the first placement put it, before an output that is too small.
    wish: Area,
    squeezed: bool,
    /// Edges that move while the client follows a resize; the opposite ones stay.
    anchor: Edges,
    /// What comes back after fullscreen.
    before: Fit,
}

/// All windows on the one output.
#[derive(Debug)]
pub struct Layout {
    output: Extent,
    /// Height of the bar at the bottom.
    bar: i32,
    /// From the bottom to the top.
    stack: Vec<Placed>,
    active: Option<WindowId>,
    placed: i32,
}

impl Layout {
    pub fn new(output: Extent, bar: i32) -> Self {
        Self { output, bar, stack: Vec::new(), active: None, placed: 0 }
    }

    pub fn output(&self) -> Area {
        Area::from_size(self.output)
    }

    /// The output without the bar.
    pub fn work_area(&self) -> Area {
        Area::from_size((self.output.w, (self.output.h - self.bar).max(1)).into())
    }

    /// From the bottom to the top, minimised ones too.
    pub fn stack(&self) -> &[Placed] {
        &self.stack
    }

    /// From the top to the bottom.
    pub fn visible(&self) -> impl Iterator<Item = &Placed> {
        self.stack.iter().rev().filter(|window| !window.minimised)
    }

    fn topmost(&self) -> Option<WindowId> {
        self.visible().next().map(|window| window.id)
    }

    pub fn get(&self, id: WindowId) -> Option<&Placed> {
        self.stack.iter().find(|window| window.id == id)
    }

    pub fn active(&self) -> Option<WindowId> {
        self.active
    }

    /// Whether the active window covers everything, the bar too.
    pub fn is_covered(&self) -> bool {
        self.active.and_then(|id| self.get(id)).is_some_and(|window| window.fit == Fit::Fullscreen)
    }

    /// Adds a window with the size its client has drawn, on top and active; its place is sensible.
    pub fn add(&mut self, id: WindowId, size: Extent, frame: Frame, parent: Option<WindowId>) {
        self.stack.retain(|window| window.id != id);
        let mut window = Placed {
            id,
            parent: parent.filter(|parent| *parent != id),
            frame,
            fit: Fit::Floating,
            minimised: false,
            limits: Limits::default(),
            content: Area::from_size((size.w.max(1), size.h.max(1)).into()),
            wanted: size,
            wish: Area::default(),
            squeezed: false,
            anchor: Edges::default(),
            before: Fit::Floating,
        };
        let work = self.work_area();
        let outer = window.outer(window.content).size;
        let around = parent.and_then(|parent| self.get(parent)).map(|parent| self.frame_of(parent));
        let middle = around.unwrap_or(work);
        let step = if around.is_some() { 0 } else { self.cascade(&window, work) };
        let corner = Place::from((
            middle.loc.x + (middle.size.w - outer.w) / 2 + step,
            middle.loc.y + (middle.size.h - outer.h) / 2 + step,
        ));
        window.content.loc += corner - window.outer(window.content).loc;
        window.wish = window.content;
        window.fit_into(work);
        self.stack.push(window);
        self.activate(id);
    }

    /// Every new window a bit further down than the last, starting again where it would not fit.
    fn cascade(&mut self, window: &Placed, work: Area) -> i32 {
        if self.stack.is_empty() {
            self.placed = 0;
        }
        let outer = window.outer(window.content).size;
        let room = ((work.size.w - outer.w).min(work.size.h - outer.h) / 2).max(0);
        let steps = (room / TITLE).clamp(1, 8);
        let step = (self.placed % steps) * TITLE;
        self.placed += 1;
        step
    }

    pub fn remove(&mut self, id: WindowId) {
        let parent = self.get(id).and_then(|window| window.parent);
        self.stack.retain(|window| window.id != id);
        for window in &mut self.stack {
            if window.parent == Some(id) {
                window.parent = parent;
            }
        }
        if self.active == Some(id) {
            let heir = parent.filter(|parent| self.visible().any(|window| window.id == *parent));
            self.active = heir.or_else(|| self.topmost());
        }
    }

    /// Shows the window on top of all others, with its dialogs above it.
    pub fn activate(&mut self, id: WindowId) {
        if self.get(id).is_none() {
            return;
        }
        let family = self.descendants(id);
        let (mut above, mut below): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.stack).into_iter().partition(|window| family.contains(&window.id));
        // The window itself first, whatever the order was: its dialogs stand above it.
        above.sort_by_key(|window| window.id != id);
        below.append(&mut above);
        self.stack = below;
        if let Some(window) = self.stack.iter_mut().find(|window| window.id == id) {
            window.minimised = false;
        }
        self.active = Some(id);
    }

    /// `id` and the windows that have it as parent, at any remove.
    fn descendants(&self, id: WindowId) -> Vec<WindowId> {
        let mut family = vec![id];
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            next += 1;
            for window in &self.stack {
                if window.parent == Some(parent) && !family.contains(&window.id) {
                    family.push(window.id);
                }
            }
        }
        family
    }

    pub fn minimise(&mut self, id: WindowId) {
        let family = self.descendants(id);
        for window in self.stack.iter_mut().filter(|window| family.contains(&window.id)) {
            window.minimised = true;
        }
        if self.active.is_some_and(|active| family.contains(&active)) {
            self.active = self.topmost();
        }
    }

    pub fn set_fit(&mut self, id: WindowId, fit: Fit) {
        let work = self.work_area();
        if let Some(window) = self.find(id) {
            if fit == Fit::Fullscreen && window.fit != Fit::Fullscreen {
                window.before = window.fit;
            }
            window.fit = fit;
            if fit == Fit::Floating {
                window.anchor = Edges::default();
                window.fit_into(work);
            }
        }
    }

    pub fn leave_fullscreen(&mut self, id: WindowId) {
        if let Some(before) = self.get(id).filter(|window| window.fit == Fit::Fullscreen).map(|window| window.before) {
            self.set_fit(id, before);
        }
    }

    pub fn set_frame(&mut self, id: WindowId, frame: Frame) {
        let work = self.work_area();
        if let Some(window) = self.find(id)
            && window.frame != frame
        {
            window.frame = frame;
            window.fit_into(work);
        }
    }

    pub fn set_limits(&mut self, id: WindowId, limits: Limits) {
        if let Some(window) = self.find(id) {
            window.limits = limits;
        }
    }

    pub fn set_parent(&mut self, id: WindowId, parent: Option<WindowId>) {
        let family = self.descendants(id);
        if let Some(window) = self.find(id) {
            window.parent = parent.filter(|parent| !family.contains(parent));
        }
    }

    /// The client has drawn this size.
    pub fn set_drawn(&mut self, id: WindowId, size: Extent) {
        let work = self.work_area();
        let Some(window) = self.find(id) else { return };
        let size = Extent::from((size.w.max(1), size.h.max(1)));
        if window.fit != Fit::Floating || window.content.size == size {
            return;
        }
        if window.anchor.left {
            window.content.loc.x += window.content.size.w - size.w;
        }
        if window.anchor.top {
            window.content.loc.y += window.content.size.h - size.h;
        }
        window.content.size = size;
        if !window.anchor.any() {
            window.wanted = size;
        }
        if !window.squeezed {
            window.wish = window.content;
        }
        window.keep_reachable(work);
    }

    /// Moves the frame's top left corner to `corner`.
    pub fn move_frame(&mut self, id: WindowId, corner: Place) {
        let work = self.work_area();
        if let Some(window) = self.find(id)
            && window.fit == Fit::Floating
        {
            window.content.loc += corner - window.outer(window.content).loc;
            window.keep_reachable(work);
            window.anchor = Edges::default();
            window.settle();
        }
    }

    /// A maximised window that is dragged floats again below the pointer, which keeps its share of the
    /// title bar.
    pub fn tear_off(&mut self, id: WindowId, pointer: Place) {
        let Some(from) = self.get(id).filter(|window| window.fit == Fit::Maximised).map(|window| self.frame_of(window))
        else {
            return;
        };
        self.set_fit(id, Fit::Floating);
        let Some(width) = self.get(id).map(|window| window.outer(window.content).size.w) else { return };
        let share = (pointer.x - from.loc.x) * width / from.size.w.max(1);
        self.move_frame(id, (pointer.x - share, from.loc.y).into());
    }

    /// Asks for the size that an edge dragged by `by` since the window was `start` comes to.
    pub fn resize(&mut self, id: WindowId, edges: Edges, start: Area, by: Place) {
        let work = self.work_area();
        let Some(window) = self.find(id) else { return };
        if window.fit != Fit::Floating {
            return;
        }
        let grow = |before: bool, after: bool, by: i32| {
            if before {
                -by
            } else if after {
                by
            } else {
                0
            }
        };
        let mut size = start.size;
        size.w = size.w.saturating_add(grow(edges.left, edges.right, by.x)).clamp(SMALLEST.0, 16_000);
        size.h = size.h.saturating_add(grow(edges.top, edges.bottom, by.y)).clamp(SMALLEST.1, 16_000);
        if edges.top {
            // The title bar stops at the top of the work area.
            let room = start.loc.y + start.size.h - work.loc.y - window.above();
            size.h = size.h.min(room.max(SMALLEST.1));
        }
        if !edges.left && !edges.right {
            size.w = start.size.w;
        }
        if !edges.top && !edges.bottom {
            size.h = start.size.h;
        }
        window.anchor = edges;
        window.wanted = window.limits.clamp(size);
        window.squeezed = false;
    }

    /// The client has followed the last step of a resize.
    pub fn end_resize(&mut self, id: WindowId) {
        if let Some(window) = self.find(id)
            && window.anchor.any()
        {
            window.anchor = Edges::default();
            window.wanted = window.content.size;
            window.settle();
        }
    }

    /// Another output: nothing is lost. What had to be squeezed comes back when there is room again.
    pub fn set_output(&mut self, output: Extent, bar: i32) {
        self.output = output;
        self.bar = bar;
        let work = self.work_area();
        for window in &mut self.stack {
            window.fit_into(work);
        }
    }

    /// Where the content is, or shall be while maximised or fullscreen.
    pub fn content_of(&self, window: &Placed) -> Area {
        match window.fit {
            Fit::Floating => window.content,
            Fit::Fullscreen => self.output(),
            Fit::Maximised => {
                let mut area = self.work_area();
                if window.frame == Frame::Ours {
                    area.loc.y += TITLE;
                    area.size.h = (area.size.h - TITLE).max(1);
                }
                area
            }
        }
    }

    /// The content with its frame, where it is ours.
    pub fn frame_of(&self, window: &Placed) -> Area {
        match window.fit {
            Fit::Floating => window.outer(window.content),
            Fit::Fullscreen => self.output(),
            Fit::Maximised => self.work_area(),
        }
    }

    /// The size the client shall be asked for.
    pub fn wanted(&self, window: &Placed) -> Extent {
        if window.fit == Fit::Floating { window.wanted } else { self.content_of(window).size }
    }

    /// What a point is for, of a window whose frame is ours.
    pub fn part_at(&self, window: &Placed, point: Place) -> Option<Part> {
        if window.frame == Frame::Client || window.fit == Fit::Fullscreen {
            return None;
        }
        let frame = self.frame_of(window);
        let sizeable = window.fit == Fit::Floating && !window.limits.is_fixed();
        if !frame.contains(point) {
            let edges = Edges::near(frame, point, GRIP);
            return (sizeable && edges.any()).then_some(Part::Edge(edges));
        }
        if self.content_of(window).contains(point) {
            return Some(Part::Content);
        }
        let inside = point - frame.loc;
        if inside.y >= TITLE {
            let edges = Edges::near(grown(frame, -BORDER), point, GRIP);
            return (sizeable && edges.any()).then_some(Part::Edge(edges));
        }
        if sizeable && inside.y < 3 {
            return Some(Part::Edge(Edges::near(
                Area::new((frame.loc.x, frame.loc.y + 3).into(), frame.size),
                point,
                GRIP,
            )));
        }
        let button = buttons(frame.size.w).into_iter().find(|(_, area)| area.contains(inside));
        Some(button.map_or(Part::Title, |(part, _)| part))
    }

    fn find(&mut self, id: WindowId) -> Option<&mut Placed> {
        self.stack.iter_mut().find(|window| window.id == id)
    }
}

impl Placed {
    /// Height of what is above the content.
    fn above(&self) -> i32 {
        if self.frame == Frame::Ours { TITLE } else { 0 }
    }

    fn outer(&self, content: Area) -> Area {
        if self.frame == Frame::Client {
            return content;
        }
        Area::new(
            (content.loc.x - BORDER, content.loc.y - TITLE).into(),
            (content.size.w + 2 * BORDER, content.size.h + TITLE + BORDER).into(),
        )
    }

    /// The user has put it here.
    fn settle(&mut self) {
        self.wish = self.content;
        self.squeezed = false;
    }

    /// From the wish: as large as there is room, all of it inside.
    fn fit_into(&mut self, work: Area) {
        let around = self.outer(Area::default()).size;
        let room = Extent::from(((work.size.w - around.w).max(1), (work.size.h - around.h).max(1)));
        let size = Extent::from((self.wish.size.w.min(room.w), self.wish.size.h.min(room.h)));
        let size = if size == self.wish.size { size } else { self.limits.clamp(size) };
        let inside = moved_into(self.outer(Area::new(self.wish.loc, size)), work);
        self.squeezed = size != self.wish.size || inside.loc != self.outer(self.wish).loc;
        self.content = Area::new(self.wish.loc, size);
        self.content.loc += inside.loc - self.outer(self.content).loc;
        self.wanted = size;
        self.anchor = Edges::default();
        self.keep_reachable(work);
    }

    fn keep_reachable(&mut self, work: Area) {
        let outer = self.outer(self.content);
        let grip = REACHABLE.min(outer.size.w).min(work.size.w);
        let x = outer.loc.x.max(work.loc.x + grip - outer.size.w).min(work.loc.x + work.size.w - grip);
        let y = outer.loc.y.min(work.loc.y + work.size.h - TITLE).max(work.loc.y);
        self.content.loc += Place::from((x, y)) - outer.loc;
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
