//! What hyper runs for each request of a connection: the call, then the sending of its answer.
//! An exchange whose reader reads nothing ends: first the answer is given up, then the stream
//! is reset, which frees what HTTP/2 holds of it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::{
    answer::{Verdict, Watch},
    connection::{Connection, OpenCall},
};

/// Runs the exchanges of one connection.
#[derive(Clone, Debug)]
pub struct Exchanges {
    connection: Connection,
}

impl Exchanges {
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

impl<F> Executor<F> for Exchanges
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, exchange: F) {
        tokio::spawn(Exchange {
            inner: exchange,
            watching: Watching::default(),
            _open: self.connection.call(),
        });
    }
}

pin_project! {
    struct Exchange<F> {
        #[pin]
        inner: F,
        watching: Watching,
        _open: OpenCall,
    }
}

impl<F: Future<Output = ()>> Future for Exchange<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let inner = this.inner;
        let polled = this.watching.poll(context, |context| inner.poll(context));
        // Dropping the exchange resets its stream.
        polled.map(|_| ())
    }
}

/// Watches the answer of whatever is polled within.
#[derive(Default)]
pub struct Watching {
    watch: Watch,
    /// Runs while an answer waits for its reader.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Watching {
    /// Polls; `None` when the reader of the answer does not even take that it was given up.
    pub fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        inner: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        if let Poll::Ready(done) = self.watch.during(|| inner(context)) {
            return Poll::Ready(Some(done));
        }
        loop {
            let until = match self.watch.judge(Instant::now()) {
                Verdict::Fine => {
                    self.sleep = None;
                    return Poll::Pending;
                }
                Verdict::Cut => return Poll::Ready(None),
                Verdict::LookAgain(until) => until,
            };
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            // One that wakes too early looks again; only one that is late is set anew.
            if sleep.deadline() > until {
                sleep.as_mut().reset(until);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }
}
