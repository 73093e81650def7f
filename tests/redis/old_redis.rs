//! Something that speaks like a Redis server of another version, and keeps nothing.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub struct OldRedis {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl OldRedis {
    /// Starts one that says that it is of this version.
    pub async fn start(version: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listening = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(client, version));
            }
        });
        Self { address, listening }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for OldRedis {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn answer(client: TcpStream, version: &str) -> Option<()> {
    let mut client = BufReader::new(client);
    loop {
        let command = read_command(&mut client).await?;
        let answer = match command.to_ascii_uppercase().as_str() {
            "HELLO" => "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n".to_owned(),
            "INFO" => {
                let text = format!(
                    "redis_version:{version}\r\nredis_mode:standalone\r\nrole:master\r\n\
                     maxmemory_policy:noeviction\r\ncluster_enabled:0\r\n"
                );
                format!("${}\r\n{text}\r\n", text.len())
            }
            "PING" => "+PONG\r\n".to_owned(),
            "DBSIZE" => ":0\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        };
        client.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// The first word of a command; `None` at the end.
async fn read_command(client: &mut BufReader<TcpStream>) -> Option<String> {
    let words = read_number(client, '*').await?;
    let mut first = None;
    for _ in 0..words {
        let bytes = read_number(client, '$').await?;
        let mut word = vec![0; bytes + 2];
        client.read_exact(&mut word).await.ok()?;
        word.truncate(bytes);
        first.get_or_insert(String::from_utf8(word).ok()?);
    }
    first
}

async fn read_number(client: &mut BufReader<TcpStream>, kind: char) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await.ok()?;
    line.strip_prefix(kind)?.trim_end().parse().ok()
}
