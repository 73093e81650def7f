//! The one layer in front of every call: it turns calls away when there is too much to do,
//! before anything of them is read, bounds how long each takes, corrects what the decoder says, and reports what became of it. It is one
//! small layer because every call pays for it.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::Either;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Span;

use super::{
    authentication::{Authentication, Credentials},
    caller::Caller,
    deadline::{Deadlines, sent_timeout},
    method::Method,
    transport::{Connection, Guard, Sending},
};
use crate::{
    access::Denied,
    admission::{Gate, Ticket},
    api::{self, status},
    proto::methods::METHODS,
    telemetry::{Shed, Telemetry},
};

/// The instant at which a stream must end, for its handler; absent for none.
#[derive(Clone, Copy, Debug)]
pub struct StreamDeadline(pub Instant);

/// Puts [`Calls`] in front of a service.
#[derive(Clone, Debug)]
pub struct CallsLayer {
    authentication: Authentication,
    deadlines: Deadlines,
    gate: Gate,
    guard: Guard,
    telemetry: Telemetry,
}

impl CallsLayer {
    /// A layer for all connections of a server together.
    pub fn new(
        authentication: Authentication,
        deadlines: Deadlines,
        gate: Gate,
        guard: Guard,
        telemetry: Telemetry,
    ) -> Self {
        // Here, or the first call would wait for the descriptors to be read.
        LazyLock::force(&METHODS);
        Self {
            authentication,
            deadlines,
            gate,
            guard,
            telemetry,
        }
    }
}

impl<S> Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls {
            inner,
            settings: self.clone(),
        }
    }
}

/// A service behind the layer.
#[derive(Clone, Debug)]
pub struct Calls<S> {
    inner: S,
    settings: CallsLayer,
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Call<Either<S::Future, Again>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let method = Method::of(request.uri().path());
        let span = self.settings.telemetry.span(method.name, request.headers());
        let authenticated = self.authenticate(method, &request);
        if let Err(Refusal::MayPass(credentials)) = authenticated {
            return self.call_again(method, credentials, request);
        }
        let admitted = self
            .admit(method, started, &request)
            .and_then(|(ticket, deadline)| {
                let caller = authenticated.map_err(Refusal::into_status)?;
                let guard = &self.settings.guard;
                let (mut request, sending) = guard.take_in(request, method.is_stream, deadline)?;
                if let Some(mut caller) = caller {
                    if !method.is_stream {
                        caller = caller.with_ticket(ticket.clone());
                    }
                    request.extensions_mut().insert(caller);
                }
                Ok((ticket, deadline, request, sending))
            });
        let (state, deadline) = match admitted {
            Err(status) => (
                CallState::Refused {
                    status: Some(status),
                },
                None,
            ),
            Ok((ticket, deadline, mut request, sending)) => {
                if method.is_stream
                    && let Some(deadline) = deadline
                {
                    request.extensions_mut().insert(StreamDeadline(deadline));
                }
                let state = CallState::Running {
                    inner: Either::Left(span.in_scope(|| self.inner.call(request))),
                    sending: Some(sending),
                    ticket,
                };
                (state, deadline)
            }
        };
        Call {
            state,
            sleep: deadline.map(tokio::time::sleep_until),
            report: Report {
                method,
                started,
                telemetry: self.settings.telemetry.clone(),
                span,
                is_done: false,
            },
        }
    }
}

type Admitted = (Option<Arc<Ticket>>, Option<Instant>);

impl<S> Calls<S> {
    /// How long a call may take; `None` for as long as it goes on.
    fn timeout(&self, method: Method, headers: &HeaderMap) -> Result<Option<Duration>, Status> {
        let timeout = if method.is_stream {
            sent_timeout(headers)
        } else {
            self.settings.deadlines.of_unary(headers).map(Some)
        };
        timeout.map_err(|malformed| Status::invalid_argument(malformed.to_string()))
    }

    fn admit(
        &self,
        method: Method,
        started: Instant,
        request: &Request<Body>,
    ) -> Result<Admitted, Status> {
        let timeout = self.timeout(method, request.headers())?;
        // Work that nobody waits for any more is not begun.
        if timeout == Some(Duration::ZERO) {
            return Err(status::deadline_exceeded());
        }
        // Who asks for the health waits for nothing, and must not take a server that has much
        // to do for a dead one.
        let ticket = if method.is_health() {
            None
        } else {
            let connection = Connection::of(request.extensions());
            let connection = connection.map_or(0, |connection| connection.id().number());
            let entered = self
                .settings
                .gate
                .enter(method.class, method.name, connection);
            Some(entered.map_err(|refused| {
                self.settings.telemetry.shed(Shed::Overload);
                status::overloaded(refused.retry_after)
            })?)
        };
        Ok((
            ticket,
            timeout.and_then(|timeout| started.checked_add(timeout)),
        ))
    }
}

impl<S> Calls<S> {
    /// Who calls; `None` for a call of the health, which anybody may ask for. Refused here is who is
    /// nobody, and who may not make such a call for any tenant.
    fn authenticate(
        &self,
        method: Method,
        request: &Request<Body>,
    ) -> Result<Option<Caller>, Refusal> {
        if method.is_health() {
            return Ok(None);
        }
        let authentication = &self.settings.authentication;
        let connection = Connection::of(request.extensions());
        let shown = authentication.credentials(request.headers(), connection);
        let credentials = shown.map_err(Refusal::Denied)?;
        let found = match method.call {
            Some(call) => Caller::new(authentication, credentials.clone(), call).map(Some),
            // What the API looks like is for everybody who has a key.
            None => authentication.principal(&credentials).map(|_| None),
        };
        let has_looked = request.extensions().get::<HasLookedAgain>().is_some();
        found.map_err(|denied| match denied {
            Denied::UnknownTokenKey { .. } if !has_looked => Refusal::MayPass(credentials),
            denied => Refusal::Denied(denied),
        })
    }
}

/// Why a call is not let in.
enum Refusal {
    Denied(Denied),
    /// Its token is signed by a key that is not known, and may be once it is looked for.
    MayPass(Credentials),
}

impl Refusal {
    fn into_status(self) -> Status {
        match self {
            Self::Denied(denied) => api::denied(&denied),
            // It is looked for before.
            Self::MayPass(_) => status::inconsistent(),
        }
    }
}

/// The keys of who has issued the token were looked for, for this very call.
#[derive(Clone, Copy, Debug)]
struct HasLookedAgain;

/// A call that is made once the keys of who has issued its token are known.
type Again = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    fn call_again(
        &self,
        method: Method,
        credentials: Credentials,
        mut request: Request<Body>,
    ) -> Call<Either<S::Future, Again>> {
        let mut calls = self.clone();
        let timeout = self.timeout(method, request.headers());
        let again = async move {
            let authentication = calls.settings.authentication.clone();
            let looked = authentication.look_again(&credentials);
            match timeout {
                Ok(Some(timeout)) => {
                    if tokio::time::timeout(timeout, looked).await.is_err() {
                        return Ok(status::deadline_exceeded().into_http());
                    }
                }
                _ => looked.await,
            }
            request.extensions_mut().insert(HasLookedAgain);
            calls.call(request).await
        };
        Call {
            state: CallState::Running {
                inner: Either::Right(Box::pin(again)),
                sending: None,
                ticket: None,
            },
            sleep: None,
            // It is reported by itself.
            report: Report {
                method,
                started: Instant::now(),
                telemetry: self.settings.telemetry.clone(),
                span: Span::none(),
                is_done: true,
            },
        }
    }
}

pin_project! {
    /// A call that is not answered yet.
    pub struct Call<F> {
        #[pin]
        state: CallState<F>,
        #[pin]
        sleep: Option<Sleep>,
        report: Report,
    }
}

pin_project! {
    #[project = CallStateProjection]
    enum CallState<F> {
        Refused { status: Option<Status> },
        Running {
            #[pin]
            inner: F,
            sending: Option<Sending>,
            ticket: Option<Arc<Ticket>>,
        },
    }
}

impl<F> Future for Call<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut call = self.project();
        let span = call.report.span.clone();
        let _entered = span.enter();
        let mut ended = None;
        let response = match call.state.project() {
            CallStateProjection::Refused { status } => status
                .take()
                .unwrap_or_else(status::deadline_exceeded)
                .into_http(),
            CallStateProjection::Running {
                inner,
                sending,
                ticket,
            } => match inner.poll(context) {
                Poll::Ready(response) => {
                    ended = ticket.take();
                    let response = corrected(response?);
                    match sending.take() {
                        Some(sending) => sending.of(response),
                        None => response,
                    }
                }
                Poll::Pending => {
                    let Some(mut sleep) = call.sleep.as_mut().as_pin_mut() else {
                        return Poll::Pending;
                    };
                    // The clock is asked too, because tonic's own timer for the same
                    // deadline may wake this task a moment before ours does.
                    if sleep.deadline() > Instant::now() {
                        ready!(sleep.as_mut().poll(context));
                    }
                    ended = ticket.take();
                    status::deadline_exceeded().into_http()
                }
            },
        };
        let code = code_of(response.headers());
        if let Some(ticket) = ended
            && has_done_its_work(code)
        {
            ticket.answered();
        }
        if code == Code::Ok && call.report.method.is_stream {
            // It has only begun; its handler reports how it ends.
            call.report.is_done = true;
        } else {
            call.report.finish(code);
        }
        Poll::Ready(Ok(response))
    }
}

/// The code of a response. A failed call has it in its headers; a unary call without it
/// succeeded; a stream without it has begun.
fn code_of(headers: &HeaderMap) -> Code {
    headers
        .get(Status::GRPC_STATUS)
        .map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Whether a call with this end has waited for all that such a call waits for. One that was
/// refused early says nothing about how long others wait.
const fn has_done_its_work(code: Code) -> bool {
    matches!(
        code,
        Code::Ok | Code::NotFound | Code::DeadlineExceeded | Code::Unknown | Code::Aborted
    )
}

/// The response, with a better status when the message could not be read.
fn corrected(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if matches!(
        code_of(headers),
        Code::Internal | Code::OutOfRange | Code::ResourceExhausted
    ) && let Some(tonic_status) = Status::from_header_map(headers)
    {
        return status::of_decoder(tonic_status).into_http();
    }
    response
}

/// Says once what became of a call, also when the caller went away.
struct Report {
    method: Method,
    started: Instant,
    telemetry: Telemetry,
    span: Span,
    is_done: bool,
}

impl Report {
    fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        self.telemetry
            .call_ended(self.method.name, code, self.started.elapsed());
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.is_done {
            self.finish(Code::Cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready as done};

    use tonic_types::StatusExt as _;
    use tower::service_fn;

    use super::*;

    const GET_PROFILE: &str = "/bellwether.v1.ScoringService/GetProfile";
    const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
    const SCORE_EVENTS: &str = "/bellwether.v1.ScoringService/ScoreEvents";

    fn layer(max_calls_in_flight: usize) -> CallsLayer {
        layer_with(max_calls_in_flight, Telemetry::disabled())
    }

    fn layer_with(max_calls_in_flight: usize, telemetry: Telemetry) -> CallsLayer {
        let deadlines = Deadlines {
            default: Duration::from_secs(10),
            maximum: Duration::from_secs(60),
        };
        let config = crate::config::Config::load(&Default::default(), |_| None).unwrap();
        let guard = Guard::new(&config, &telemetry.counters());
        CallsLayer::new(
            Authentication::none(Arc::new(Default::default)),
            deadlines,
            Gate::new(max_calls_in_flight, 1),
            guard,
            telemetry,
        )
    }

    fn request(path: &str, timeout: Option<&str>) -> Request<Body> {
        let builder = Request::builder().uri(path);
        match timeout {
            Some(timeout) => builder.header("grpc-timeout", timeout),
            None => builder,
        }
        .body(Body::empty())
        .unwrap()
    }

    async fn status_of(
        call: impl Future<Output = Result<Response<Body>, Infallible>>,
    ) -> Option<Status> {
        Status::from_header_map(call.await.unwrap().headers())
    }

    fn never() -> impl Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Body>, Infallible>> + Send,
    > + Clone
    + Send
    + 'static {
        service_fn(|_: Request<Body>| pending())
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_call_is_answered_deadline_exceeded_at_its_bounded_deadline() {
        let mut calls = layer(8).layer(never());
        for (timeout, expected) in [
            (None, Duration::from_secs(10)),
            (Some("250m"), Duration::from_millis(250)),
            (Some("1H"), Duration::from_secs(60)),
            (Some("0S"), Duration::ZERO),
        ] {
            let started = Instant::now();
            let status = status_of(calls.call(request(GET_PROFILE, timeout)))
                .await
                .unwrap();
            assert_eq!(status.code(), Code::DeadlineExceeded);
            let taken = started.elapsed();
            assert!(
                taken >= expected && taken < expected + Duration::from_millis(5),
                "{taken:?} {expected:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_has_no_deadline_unless_sent_and_then_its_handler_knows() {
        let mut calls = layer(8).layer(service_fn(|request: Request<Body>| {
            let deadline = request.extensions().get::<StreamDeadline>();
            let left = deadline.map(|deadline| deadline.0 - Instant::now());
            assert_eq!(
                left,
                (request.headers().contains_key("grpc-timeout"))
                    .then_some(Duration::from_secs(7_200))
            );
            done(Ok(Response::new(Body::empty())))
        }));
        for timeout in [None, Some("2H")] {
            let status = status_of(calls.call(request(SCORE_EVENTS, timeout))).await;
            assert!(status.is_none());
        }
    }

    #[tokio::test]
    async fn a_malformed_timeout_is_refused() {
        let mut calls = layer(8).layer(never());
        let status = status_of(calls.call(request(GET_PROFILE, Some("soon"))))
            .await
            .unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
    }

    #[tokio::test]
    async fn calls_beyond_the_bound_are_turned_away_until_one_ends_and_health_never_is() {
        let telemetry = Telemetry::scraped_alone().unwrap();
        let mut calls = layer_with(1, telemetry.clone()).layer(never());
        let first = calls.call(request(GET_PROFILE, None));
        let status = status_of(calls.call(request(GET_PROFILE, None)))
            .await
            .unwrap();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.get_details_retry_info().is_some());

        let health = calls.call(request(HEALTH_CHECK, None));
        assert!(matches!(health.state, CallState::Running { .. }));

        drop(first);
        let third = calls.call(request(GET_PROFILE, None));
        assert!(matches!(third.state, CallState::Running { .. }));
        let metrics = telemetry.scraped().await.unwrap();
        let shed = r#"bellwether_calls_shed_total{reason="overload"} 1"#;
        assert!(metrics.contains(shed), "{metrics}");
    }

    #[tokio::test]
    async fn an_unreadable_message_is_the_callers_mistake_and_our_own_statuses_stay() {
        for (answer, expected) in [
            (
                Status::internal("invalid string value"),
                Code::InvalidArgument,
            ),
            (Status::out_of_range("too large"), Code::ResourceExhausted),
            (status::inconsistent(), Code::Internal),
            (status::deadline_exceeded(), Code::DeadlineExceeded),
        ] {
            let mut calls = layer(8).layer(service_fn(move |_: Request<Body>| {
                done(Ok(answer.clone().into_http()))
            }));
            let status = status_of(calls.call(request(GET_PROFILE, None)))
                .await
                .unwrap();
            assert_eq!(status.code(), expected);
        }
    }
}
