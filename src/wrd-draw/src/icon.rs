//! The few pictograms, drawn as strokes so that they are crisp at any size.

use tiny_skia::{Path, PathBuilder};

/// A pictogram in a square; strokes are a tenth of its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Close,
    Maximize,
    Restore,
    Minimize,
    Terminal,
    /// An arrow leaving a screen.
    Disconnect,
    /// The power sign.
    LogOut,
    /// An eye.
    Reveal,
    Warning,
    Keyboard,
}

impl Icon {
    /// The strokes in a unit square.
    pub(crate) fn path(self) -> Option<Path> {
        let mut p = PathBuilder::new();
        match self {
            Icon::Close => {
                line(&mut p, &[(0.22, 0.22), (0.78, 0.78)]);
                line(&mut p, &[(0.78, 0.22), (0.22, 0.78)]);
            }
            Icon::Maximize => closed(&mut p, &[(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]),
            Icon::Restore => {
                closed(&mut p, &[(0.18, 0.36), (0.64, 0.36), (0.64, 0.82), (0.18, 0.82)]);
                line(&mut p, &[(0.36, 0.36), (0.36, 0.18), (0.82, 0.18), (0.82, 0.64), (0.64, 0.64)]);
            }
            Icon::Minimize => line(&mut p, &[(0.2, 0.75), (0.8, 0.75)]),
            Icon::Terminal => {
                closed(&mut p, &[(0.08, 0.15), (0.92, 0.15), (0.92, 0.85), (0.08, 0.85)]);
                line(&mut p, &[(0.24, 0.36), (0.4, 0.5), (0.24, 0.64)]);
                line(&mut p, &[(0.5, 0.66), (0.72, 0.66)]);
            }
            Icon::Disconnect => {
                line(&mut p, &[(0.5, 0.15), (0.12, 0.15), (0.12, 0.85), (0.5, 0.85)]);
                line(&mut p, &[(0.4, 0.5), (0.9, 0.5)]);
                line(&mut p, &[(0.7, 0.3), (0.9, 0.5), (0.7, 0.7)]);
            }
            Icon::LogOut => {
                line(&mut p, &[(0.5, 0.1), (0.5, 0.48)]);
                arc(&mut p, (0.5, 0.54), 0.36, -0.27, 1.27);
            }
            Icon::Reveal => {
                p.move_to(0.06, 0.5);
                p.quad_to(0.5, 0.02, 0.94, 0.5);
                p.quad_to(0.5, 0.98, 0.06, 0.5);
                p.close();
                p.push_circle(0.5, 0.5, 0.12);
            }
            Icon::Warning => {
                closed(&mut p, &[(0.5, 0.12), (0.92, 0.86), (0.08, 0.86)]);
                line(&mut p, &[(0.5, 0.4), (0.5, 0.62)]);
                line(&mut p, &[(0.5, 0.73), (0.5, 0.75)]);
            }
            Icon::Keyboard => {
                closed(&mut p, &[(0.04, 0.24), (0.96, 0.24), (0.96, 0.78), (0.04, 0.78)]);
                for x in [0.2, 0.4, 0.6, 0.8] {
                    line(&mut p, &[(x - 0.02, 0.42), (x + 0.02, 0.42)]);
                }
                line(&mut p, &[(0.28, 0.62), (0.72, 0.62)]);
            }
        }
        p.finish()
    }
}

fn line(p: &mut PathBuilder, points: &[(f32, f32)]) {
    for (index, (x, y)) in points.iter().enumerate() {
        if index == 0 { p.move_to(*x, *y) } else { p.line_to(*x, *y) }
    }
}

fn closed(p: &mut PathBuilder, points: &[(f32, f32)]) {
    line(p, points);
    p.close();
}

/// A circle's part from `from` to `to`, in half turns, 0 to the right and growing clockwise.
fn arc(p: &mut PathBuilder, (cx, cy): (f32, f32), radius: f32, from: f32, to: f32) {
    const STEPS: u32 = 32;
    for step in 0..=STEPS {
        let angle = std::f32::consts::PI * (from + (to - from) * step as f32 / STEPS as f32);
        let (x, y) = (cx + radius * angle.cos(), cy + radius * angle.sin());
        if step == 0 { p.move_to(x, y) } else { p.line_to(x, y) }
    }
}
