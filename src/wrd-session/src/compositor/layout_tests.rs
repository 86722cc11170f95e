//! Tests of the layout: random operations, and the cases worth telling.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Add {
        w: i32,
        h: i32,
        ours: bool,
        parent: usize,
    },
    Remove(usize),
    Activate(usize),
    Minimise(usize),
    Maximise(usize),
    Float(usize),
    Fullscreen(usize),
    LeaveFullscreen(usize),
    Move {
        window: usize,
        x: i32,
        y: i32,
    },
    TearOff {
        window: usize,
        x: i32,
        y: i32,
    },
    Resize {
        window: usize,
        edges: (bool, bool, bool, bool),
        x: i32,
        y: i32,
    },
    /// The client draws what it was asked for, or something else.
    Draw {
        window: usize,
        other: Option<(i32, i32)>,
    },
    EndResize(usize),
    Frame {
        window: usize,
        ours: bool,
    },
    Limit {
        window: usize,
        min: (i32, i32),
        max: (i32, i32),
    },
    Parent {
        window: usize,
        parent: usize,
    },
    Output {
        w: i32,
        h: i32,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let side = 0..9000i32;
    prop_oneof![
        4 => (side.clone(), side.clone(), any::<bool>(), 0..12usize)
            .prop_map(|(w, h, ours, parent)| Op::Add { w, h, ours, parent }),
        1 => (0..9usize).prop_map(Op::Remove),
        1 => (0..9usize).prop_map(Op::Activate),
        1 => (0..9usize).prop_map(Op::Minimise),
        1 => (0..9usize).prop_map(Op::Maximise),
        1 => (0..9usize).prop_map(Op::Float),
        1 => (0..9usize).prop_map(Op::Fullscreen),
        1 => (0..9usize).prop_map(Op::LeaveFullscreen),
        2 => (0..9usize, -20_000..20_000, -20_000..20_000).prop_map(|(window, x, y)| Op::Move { window, x, y }),
        1 => (0..9usize, 0..4000, 0..3000).prop_map(|(window, x, y)| Op::TearOff { window, x, y }),
        2 => (0..9usize, any::<(bool, bool, bool, bool)>(), -9000..9000, -9000..9000)
            .prop_map(|(window, edges, x, y)| Op::Resize { window, edges, x, y }),
        3 => (0..9usize, proptest::option::of((side.clone(), side.clone())))
            .prop_map(|(window, other)| Op::Draw { window, other }),
        1 => (0..9usize).prop_map(Op::EndResize),
        1 => (0..9usize, any::<bool>()).prop_map(|(window, ours)| Op::Frame { window, ours }),
        1 => (0..9usize, (0..900, 0..900), (0..2000, 0..2000))
            .prop_map(|(window, min, max)| Op::Limit { window, min, max }),
        1 => (0..9usize, 0..9usize).prop_map(|(window, parent)| Op::Parent { window, parent }),
        2 => (200..8192i32, 200..8192i32).prop_map(|(w, h)| Op::Output { w, h }),
    ]
}

fn frame(ours: bool) -> Frame {
    if ours { Frame::Ours } else { Frame::Client }
}

fn apply(layout: &mut Layout, op: Op, next: &mut u64) {
    let ids: Vec<_> = layout.stack().iter().map(|window| window.id).collect();
    let pick = |index: usize| ids.get(index % ids.len().max(1)).copied().unwrap_or(WindowId(u64::MAX));
    match op {
        Op::Add { w, h, ours, parent } => {
            *next += 1;
            layout.add(WindowId(*next), (w, h).into(), frame(ours), ids.get(parent).copied());
        }
        Op::Remove(window) => layout.remove(pick(window)),
        Op::Activate(window) => layout.activate(pick(window)),
        Op::Minimise(window) => layout.minimise(pick(window)),
        Op::Maximise(window) => layout.set_fit(pick(window), Fit::Maximised),
        Op::Float(window) => layout.set_fit(pick(window), Fit::Floating),
        Op::Fullscreen(window) => layout.set_fit(pick(window), Fit::Fullscreen),
        Op::LeaveFullscreen(window) => layout.leave_fullscreen(pick(window)),
        Op::Move { window, x, y } => layout.move_frame(pick(window), (x, y).into()),
        Op::TearOff { window, x, y } => layout.tear_off(pick(window), (x, y).into()),
        Op::Resize { window, edges: (left, right, top, bottom), x, y } => {
            let id = pick(window);
            let start = layout.get(id).map(|window| layout.content_of(window)).unwrap_or_default();
            layout.resize(id, Edges { left, right: right && !left, top, bottom: bottom && !top }, start, (x, y).into());
        }
        Op::Draw { window, other } => {
            let id = pick(window);
            let asked = layout.get(id).map(|window| layout.wanted(window)).unwrap_or_default();
            layout.set_drawn(id, other.map(Extent::from).unwrap_or(asked));
        }
        Op::EndResize(window) => layout.end_resize(pick(window)),
        Op::Frame { window, ours } => layout.set_frame(pick(window), frame(ours)),
        Op::Limit { window, min, max } => layout.set_limits(pick(window), Limits { min: min.into(), max: max.into() }),
        Op::Parent { window, parent } => layout.set_parent(pick(window), Some(pick(parent))),
        Op::Output { w, h } => layout.set_output((w, h).into(), 40),
    }
}

fn check(layout: &Layout) {
    let work = layout.work_area();
    let mut seen = Vec::new();
    for window in layout.stack() {
        assert!(!seen.contains(&window.id), "twice in the stack");
        seen.push(window.id);
        assert!(window.parent != Some(window.id));
        let frame = layout.frame_of(window);
        let wanted = layout.wanted(window);
        assert!(wanted.w >= 1 && wanted.h >= 1 && frame.size.w >= 1 && frame.size.h >= 1, "{window:?}");
        match window.fit {
            Fit::Maximised => assert_eq!(frame, work),
            Fit::Fullscreen => assert_eq!(frame, layout.output()),
            Fit::Floating => {
                let title = Area::new(frame.loc, (frame.size.w, TITLE).into());
                let seen = title.intersection(work).expect("the title bar is within the work area");
                assert!(seen.size.w >= REACHABLE.min(frame.size.w).min(work.size.w), "{seen:?} of {frame:?}");
                assert!(frame.loc.y >= 0, "{frame:?}");
            }
        }
    }
    let visible: Vec<_> = layout.visible().map(|window| window.id).collect();
    match layout.active() {
        Some(active) => assert!(visible.contains(&active), "a window that cannot be seen is active"),
        None => assert!(visible.is_empty(), "no window is active"),
    }
}

proptest! {
    #[test]
    fn windows_stay_reachable_and_stacking_consistent(ops in proptest::collection::vec(op(), 1..60)) {
        let mut layout = Layout::new((1280, 720).into(), 40);
        let mut next = 0;
        for op in ops {
            apply(&mut layout, op, &mut next);
            check(&layout);
        }
    }
}

#[test]
fn what_a_small_output_squeezed_comes_back() {
    let mut layout = Layout::new((1920, 1080).into(), 40);
    let id = WindowId(1);
    layout.add(id, (1500, 900).into(), Frame::Ours, None);
    layout.move_frame(id, (400, 100).into());
    let before = layout.frame_of(layout.get(id).unwrap());
    layout.set_output((800, 600).into(), 40);
    let squeezed = layout.frame_of(layout.get(id).unwrap());
    assert_eq!(layout.work_area().intersection(squeezed), Some(squeezed));
    // The client rounds what it is asked for.
    layout.set_drawn(id, (790, 520).into());
    layout.set_output((1920, 1080).into(), 40);
    assert_eq!(layout.frame_of(layout.get(id).unwrap()), before);
}

#[test]
fn a_left_edge_moves_and_the_right_one_stays() {
    let mut layout = Layout::new((1920, 1080).into(), 40);
    let id = WindowId(1);
    layout.add(id, (600, 400).into(), Frame::Ours, None);
    let start = layout.content_of(layout.get(id).unwrap());
    let edges = Edges { left: true, top: true, ..Edges::default() };
    layout.resize(id, edges, start, (-50, 20).into());
    assert_eq!(layout.wanted(layout.get(id).unwrap()), (650, 380).into());
    // The client only takes multiples of ten.
    layout.set_drawn(id, (640, 380).into());
    let now = layout.content_of(layout.get(id).unwrap());
    assert_eq!(now.loc + now.size, start.loc + start.size);
}

#[test]
fn dialogs_stay_above_their_window() {
    let mut layout = Layout::new((1920, 1080).into(), 40);
    let (main, dialog, other) = (WindowId(1), WindowId(2), WindowId(3));
    layout.add(main, (600, 400).into(), Frame::Ours, None);
    layout.add(dialog, (200, 100).into(), Frame::Ours, Some(main));
    layout.add(other, (200, 100).into(), Frame::Ours, None);
    layout.activate(main);
    let order: Vec<_> = layout.stack().iter().map(|window| window.id).collect();
    assert_eq!((order, layout.active()), (vec![other, main, dialog], Some(main)));
    layout.remove(dialog);
    assert_eq!(layout.active(), Some(main));
}

#[test]
fn parts_of_a_frame() {
    let mut layout = Layout::new((1920, 1080).into(), 40);
    let id = WindowId(1);
    layout.add(id, (600, 400).into(), Frame::Ours, None);
    layout.move_frame(id, (100, 100).into());
    let window = layout.get(id).unwrap();
    let part = |x: i32, y: i32| layout.part_at(window, (100 + x, 100 + y).into());
    assert_eq!(part(300, 16), Some(Part::Title));
    assert_eq!(part(601 - 20, 16), Some(Part::Close));
    assert_eq!(part(601 - 60, 16), Some(Part::Maximise));
    assert_eq!(part(601 - 100, 16), Some(Part::Minimise));
    assert_eq!(part(300, 200), Some(Part::Content));
    assert_eq!(part(-3, 200), Some(Part::Edge(Edges { left: true, ..Edges::default() })));
    assert_eq!(part(-3, 8), Some(Part::Edge(Edges { left: true, top: true, ..Edges::default() })));
    assert_eq!(part(300, 1), Some(Part::Edge(Edges { top: true, ..Edges::default() })));
    assert_eq!(part(0, 200), Some(Part::Edge(Edges { left: true, ..Edges::default() })));
    assert_eq!(part(300, 440), None);
}
