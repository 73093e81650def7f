//! Hands the requests of a connection to the calls.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::{Status, body::Body};
use tower::Service;

use super::connection::{Connection, OpenCall};

/// What answers the calls of every connection.
pub trait Calls:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Calls for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// The requests of one connection.
pub struct Requests<S> {
    calls: S,
    connection: Connection,
}

impl<S> Requests<S> {
    pub const fn new(calls: S, connection: Connection) -> Self {
        Self { calls, connection }
    }
}

type Counted = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S: Calls> hyper::service::Service<Request<Incoming>> for Requests<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Counted>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.connection.clone());
        let is_http2 = request.version() == Version::HTTP_2;
        // None of the services behind is ever busy.
        let answer = self.calls.clone().call(request);
        if is_http2 {
            // It is counted by what runs it.
            return Either::Left(answer);
        }
        let open = self.connection.call();
        Either::Right(Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|inner| Body::new(Open { inner, _open: open })))
        }))
    }
}

/// An answer in HTTP/1.1, whose call is over when it is sent.
struct Open {
    inner: Body,
    _open: OpenCall,
}

impl HttpBody for Open {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
