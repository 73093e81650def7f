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
            watch: Watch::default(),
            sleep: None,
            _open: self.connection.call(),
        });
    }
}

pin_project! {
    struct Exchange<F> {
        #[pin]
        inner: F,
        watch: Watch,
        // Runs while an answer waits for its reader.
        sleep: Option<Pin<Box<Sleep>>>,
        _open: OpenCall,
    }
}

impl<F: Future<Output = ()>> Future for Exchange<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let inner = this.inner;
        if this.watch.during(|| inner.poll(context)).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let until = match this.watch.judge(Instant::now()) {
                Verdict::Fine => {
                    *this.sleep = None;
                    return Poll::Pending;
                }
                // Dropping the exchange resets its stream.
                Verdict::Cut => return Poll::Ready(()),
                Verdict::LookAgain(until) => until,
            };
            let sleep = this
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            // One that wakes too early looks again; only one that is late is set anew.
            if sleep.deadline() > until {
                sleep.as_mut().reset(until);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            *this.sleep = None;
        }
    }
}
