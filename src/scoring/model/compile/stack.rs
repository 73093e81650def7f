//! Room for the parser of expressions, which recurses.

use std::{io, panic, thread};

/// The stack that a model is read on. The parser of expressions recurses for each link of a
/// chain such as `1 + 1 + 1`, before anybody can say that it is too long.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Does what recurses deep.
pub(super) fn on_a_large_stack<T: Send>(read: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let reader = thread::Builder::new().stack_size(STACK_BYTES);
        let reader = reader.spawn_scoped(scope, read)?;
        reader.join().map_err(|panic| panic::resume_unwind(panic))
    })
}
