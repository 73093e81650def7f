//! A client that sends what it is told and reads when it is told.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// What an HTTP/2 stream may send when it has not said otherwise.
pub const USUAL_WINDOW: u32 = 65_535;

/// One HTTP/2 connection.
#[derive(Clone)]
pub struct Connection {
    client: SendRequest<Bytes>,
    address: SocketAddr,
}

/// A call whose answer nobody has read.
pub struct Call {
    pub response: ResponseFuture,
    pub request: SendStream<Bytes>,
}

impl Connection {
    /// A connection whose streams take so many bytes before anything of them is read.
    pub async fn open(address: SocketAddr, window: u32) -> Self {
        Self::try_open(address, window).await.unwrap()
    }

    /// The same, or nothing when the server closes it at once.
    pub async fn try_open(address: SocketAddr, window: u32) -> Option<Self> {
        let socket = TcpStream::connect(address).await.ok()?;
        let (client, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .handshake(socket)
            .await
            .ok()?;
        // It ends when the server closes it, which may be what is wanted.
        tokio::spawn(async move { drop(connection.await) });
        Some(Self { client, address })
    }

    /// Begins a call of `ScoringService`.
    pub async fn call(&self, method: &str, headers: &[(&str, &str)]) -> Result<Call, h2::Error> {
        let path = format!(
            "http://{}/bellwether.v1.ScoringService/{method}",
            self.address
        );
        let mut request = http::Request::post(path).header("te", "trailers");
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut client = self.client.clone().ready().await?;
        let (response, request) = client.send_request(request.body(()).unwrap(), false)?;
        Ok(Call { response, request })
    }

    /// Calls with a message and nothing after it.
    pub async fn send(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        message: &impl Message,
    ) -> Result<Call, h2::Error> {
        let mut call = self.call(method, headers).await?;
        call.request
            .send_data(framed(0, &message.encode_to_vec()), true)?;
        Ok(call)
    }
}

impl Call {
    /// How the call ends, and how many bytes of an answer came before: the status of its
    /// headers or trailers, or `CANCELLED` for a stream that was reset.
    pub async fn end(self) -> (Code, usize) {
        let Ok(response) = self.response.await else {
            return (Code::Cancelled, 0);
        };
        if let Some(status) = Status::from_header_map(response.headers()) {
            return (status.code(), 0);
        }
        rest(response.into_body()).await
    }

    /// The beginning of an answer, of which nothing is read yet.
    pub async fn begun(self) -> RecvStream {
        let response = self.response.await.unwrap();
        assert!(Status::from_header_map(response.headers()).is_none());
        response.into_body()
    }
}

/// Reads the rest of an answer: how it ends, and how many bytes come before.
pub async fn rest(mut body: RecvStream) -> (Code, usize) {
    let mut bytes = 0;
    while let Some(chunk) = body.data().await {
        let Ok(chunk) = chunk else {
            return (Code::Cancelled, bytes);
        };
        bytes += chunk.len();
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    match body.trailers().await {
        Ok(Some(trailers)) => {
            let status = Status::from_header_map(&trailers).unwrap();
            (status.code(), bytes)
        }
        _ => (Code::Cancelled, bytes),
    }
}

/// A message with its prefix.
pub fn framed(flag: u8, payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], payload].concat().into()
}
