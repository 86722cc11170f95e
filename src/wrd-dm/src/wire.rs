//! A message socket in the event loop: non-blocking, one message a turn, gone from the loop when dropped.

use calloop::generic::Generic;
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use nix::sys::socket::{Shutdown, shutdown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use wrd_sys::channel::Blocking;
use wrd_sys::{Channel, ChannelError, RawChannel};

pub struct Wire<S: 'static, Tx: 'static, Rx: 'static> {
    channel: Rc<Channel<Tx, Rx>>,
    token: RegistrationToken,
    handle: LoopHandle<'static, S>,
}

impl<S: 'static, Tx: Serialize + 'static, Rx: DeserializeOwned + 'static> Wire<S, Tx, Rx> {
    /// Puts `socket` into the loop. `on_message` gets each message; after an error it gets no more, and
    /// the wire should be dropped.
    pub fn open(
        handle: &LoopHandle<'static, S>,
        socket: RawChannel,
        mut on_message: impl FnMut(&mut S, Result<Rx, ChannelError>) + 'static,
    ) -> anyhow::Result<Self> {
        let channel = Rc::new(socket.typed::<Tx, Rx>());
        channel.set_nonblocking(Blocking::No)?;
        let source = Generic::new(Rc::clone(&channel), Interest::READ, Mode::Level);
        let token = handle
            .insert_source(source, move |_, channel, state| match channel.recv() {
                Err(ChannelError::WouldBlock) => Ok(PostAction::Continue),
                Ok(message) => {
                    on_message(state, Ok(message));
                    Ok(PostAction::Continue)
                }
                Err(error) => {
                    on_message(state, Err(error));
                    Ok(PostAction::Remove)
                }
            })
            .map_err(|error| error.error)?;
        Ok(Self { channel, token, handle: handle.clone() })
    }
}

impl<S, Tx: Serialize, Rx: DeserializeOwned> Wire<S, Tx, Rx> {
    /// Sends without waiting: a peer that lets its queue fill up is `WouldBlock`.
    pub fn send(&self, message: &Tx, fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.channel.send_fds(message, fds)
    }

    /// Tells the peer that nothing more comes. What it says until it has closed is still heard.
    pub fn finish(&self) {
        // One that has closed already needs no telling.
        let _ = shutdown(self.channel.as_fd().as_raw_fd(), Shutdown::Write);
    }

    /// A message that waits already, without the loop.
    pub fn receive(&self) -> Result<Rx, ChannelError> {
        self.channel.recv()
    }
}

impl<S, Tx, Rx> Drop for Wire<S, Tx, Rx> {
    fn drop(&mut self) {
        self.handle.remove(self.token);
    }
}
