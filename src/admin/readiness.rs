//! Whether the server takes calls: the one state that `/readyz` and the gRPC health tell.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// What the server is up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It opens its store, and builds the ranks that nobody could be answered without.
    #[default]
    Starting,
    /// It answers, and its store takes writes.
    Serving,
    /// Its store does not; with the reason, of a closed set, so that it names nobody.
    Failing(&'static str),
    /// It ends what is in work.
    Draining,
}

impl State {
    /// Whether calls are welcome.
    pub fn is_serving(self) -> bool {
        self == Self::Serving
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => formatter.write_str("starting"),
            Self::Serving => formatter.write_str("serving"),
            Self::Failing(reason) => write!(formatter, "{reason}; the log says why"),
            Self::Draining => formatter.write_str("draining"),
        }
    }
}

/// The state of a server, set by whoever serves. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

impl Readiness {
    /// What the server is up to.
    pub fn now(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what the server is up to from now on, and returns what it was until now.
    pub fn set(&self, state: State) -> State {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *now, state)
    }
}
