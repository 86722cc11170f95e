//! Popups: placed within the output, dismissed by a press elsewhere.

use super::core::Compositor;
use super::geometry::{Area, Place};
use smithay::desktop::{
    PopupGrab, PopupKeyboardGrab, PopupKind, PopupManager, PopupPointerGrab, PopupUngrabStrategy,
    find_popup_root_surface,
};
use smithay::input::pointer::Focus;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{SERIAL_COUNTER, Serial};
use smithay::wayland::shell::xdg::{PopupSurface, PositionerState};

impl Compositor {
    pub(super) fn add_popup(&mut self, popup: PopupSurface, positioner: PositionerState) {
        self.place_popup(&popup, positioner);
        if let Err(error) = self.popups.track_popup(PopupKind::Xdg(popup)) {
            tracing::debug!(%error, "ignoring a popup whose parent is gone");
        }
    }

    /// Whether it was a popup's surface.
    pub(super) fn popup_committed(&mut self, surface: &WlSurface) -> bool {
        let Some(PopupKind::Xdg(popup)) = self.popups.find_popup(surface) else { return false };
        if !popup.is_initial_configure_sent()
            && let Err(error) = popup.send_configure()
        {
            tracing::debug!(?error, "ignoring a popup that cannot be configured");
        }
        true
    }

    /// Where the positioner wants it, flipped, moved or shrunk until it is on the output.
    pub(super) fn place_popup(&self, popup: &PopupSurface, positioner: PositionerState) {
        let kind = PopupKind::Xdg(popup.clone());
        let target = self.room_for(&kind);
        popup.with_pending_state(|state| {
            state.geometry = target
                .map(|target| positioner.get_unconstrained_geometry(target))
                .unwrap_or_else(|| positioner.get_geometry());
            state.positioner = positioner;
        });
    }

    /// The output, in the coordinates of the popup's parent.
    fn room_for(&self, popup: &PopupKind) -> Option<Area> {
        let PopupKind::Xdg(xdg) = popup else { return None };
        let root = find_popup_root_surface(popup).ok()?;
        let placed = self.layout.get(self.windows.by_surface(&root)?)?;
        let parent = xdg.get_parent_surface()?;
        let offset = PopupManager::popups_for_surface(&root)
            .find(|(kind, _)| *kind.wl_surface() == parent)
            .map_or_else(Place::default, |(_, offset)| offset);
        let mut room = self.layout.output();
        room.loc -= self.layout.content_of(placed).loc + offset;
        Some(room)
    }

    /// The output has another size: reactive popups move, the others stay where they are.
    pub(super) fn reposition_popups(&mut self) {
        for window in self.windows.iter() {
            for (kind, _) in PopupManager::popups_for_surface(window.wl_surface()) {
                let PopupKind::Xdg(popup) = kind else { continue };
                let positioner = popup.with_pending_state(|state| state.positioner);
                if positioner.reactive {
                    self.place_popup(&popup, positioner);
                    if let Err(error) = popup.send_pending_configure() {
                        tracing::debug!(?error, "ignoring a popup that cannot be configured");
                    }
                }
            }
        }
    }

    pub(super) fn grab_popup(&mut self, popup: PopupSurface, serial: Serial) {
        let kind = PopupKind::Xdg(popup);
        let Ok(root) = find_popup_root_surface(&kind) else { return };
        let seat = self.seat.clone();
        let mut grab = match self.popups.grab_popup(root, kind, &seat, serial) {
            Ok(grab) => grab,
            Err(error) => {
                tracing::debug!(%error, "ignoring a popup's grab");
                return;
            }
        };
        let (keyboard, pointer) = (self.keyboard.clone(), self.pointer.clone());
        let before = grab.previous_serial().unwrap_or(serial);
        let foreign_keyboard = keyboard.is_grabbed() && !(keyboard.has_grab(serial) || keyboard.has_grab(before));
        // A press that is still held has a grab of its own, with the serial that the client passes on.
        let foreign_pointer = pointer.is_grabbed() && !(pointer.has_grab(serial) || pointer.has_grab(before));
        if foreign_keyboard || foreign_pointer || self.drag.is_some() {
            grab.ungrab(PopupUngrabStrategy::All);
            return;
        }
        keyboard.set_focus(self, grab.current_grab(), serial);
        keyboard.set_grab(self, PopupKeyboardGrab::new(&grab), serial);
        pointer.set_grab(self, PopupPointerGrab::new(&grab), serial, Focus::Keep);
        self.popup_grab = Some(grab);
    }

    /// Gives the input back when the popup that had it is gone.
    pub(super) fn tidy_popups(&mut self) {
        self.popups.cleanup();
        if self.popup_grab.as_ref().is_some_and(PopupGrab::has_ended) {
            self.end_popup_grab();
            self.update_focus();
            self.refresh_pointer();
        }
    }

    /// Dismisses the popups that have the input.
    pub(super) fn dismiss_popups(&mut self) {
        if let Some(grab) = &mut self.popup_grab {
            grab.ungrab(PopupUngrabStrategy::All);
            self.end_popup_grab();
        }
    }

    /// The toplevel below the popups that have the input.
    pub(super) fn popup_root(&self) -> Option<WlSurface> {
        let grabbed = self.popup_grab.as_ref()?.current_grab()?;
        match self.popups.find_popup(&grabbed) {
            Some(popup) => find_popup_root_surface(&popup).ok(),
            None => Some(grabbed),
        }
    }

    fn end_popup_grab(&mut self) {
        let Some(grab) = self.popup_grab.take() else { return };
        let (keyboard, pointer) = (self.keyboard.clone(), self.pointer.clone());
        if keyboard.has_grab(grab.serial()) {
            keyboard.unset_grab(self);
        }
        // A press elsewhere has ended this one already, and has a grab of its own.
        if pointer.has_grab(grab.serial()) {
            pointer.unset_grab(self, SERIAL_COUNTER.next_serial(), self.time());
        }
    }
}
