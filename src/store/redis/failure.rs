//! What Redis's errors mean to the store. No message carries the arguments of a command,
//! which name people.

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use super::super::StoreError;

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The last error.
    pub error: RedisError,
    /// Whether the client may have sent the call before, without hearing of it.
    pub sent_before: bool,
}

impl Failure {
    /// What it means for a call that changes nothing.
    pub fn of_read(self) -> StoreError {
        match classified(&self.error) {
            Class::Certain(error) => error,
            Class::Refused(reason) | Class::Retried(reason) | Class::Unknown(reason) => {
                StoreError::Unavailable(reason)
            }
        }
    }

    /// What it means for a call that changes something.
    pub fn of_write(self) -> StoreError {
        match classified(&self.error) {
            Class::Certain(error) => error,
            Class::Refused(reason) => StoreError::Unavailable(reason),
            Class::Retried(reason) if !self.sent_before => StoreError::Unavailable(reason),
            Class::Retried(reason) | Class::Unknown(reason) => StoreError::OutcomeUnknown(reason),
        }
    }
}

/// How much is known after an error.
enum Class {
    /// What it means whatever the call was.
    Certain(StoreError),
    /// Redis has refused the call before it began, by something that lasts.
    Refused(String),
    /// The call was refused, or not sent; an earlier sending of it may have been carried out.
    Retried(String),
    /// The call may have been carried out.
    Unknown(String),
}

fn classified(error: &RedisError) -> Class {
    if let Some(code) = error.code() {
        return of_code(code, error.detail().unwrap_or_default());
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => Class::Certain(refused_credentials("AUTH")),
        ErrorKind::Io if error.is_connection_refusal() => {
            Class::Retried(format!("Redis cannot be reached: {error}"))
        }
        ErrorKind::Io if error.is_timeout() => {
            Class::Unknown("Redis did not answer in time".to_owned())
        }
        ErrorKind::Io => Class::Unknown(format!("the connection to Redis failed: {error}")),
        ErrorKind::ClusterConnectionNotFound => {
            Class::Retried("no node of the cluster that keeps the data can be reached".to_owned())
        }
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            Class::Unknown("Redis answered something that is no answer".to_owned())
        }
        _ => Class::Unknown(format!("the client of Redis failed: {}", error.category())),
    }
}

fn of_code(code: &str, detail: &str) -> Class {
    let refused = |reason: &str| Class::Refused(format!("{reason} ({code})"));
    let retried = |reason: &str| Class::Retried(format!("{reason} ({code})"));
    match code {
        "SUPERSEDED" => Class::Certain(StoreError::Superseded),
        // A fence is there from the tenant's first write on.
        "UNFENCED" => Class::Certain(StoreError::Lost(
            "a part of the database has come back without the tenant's data; restore it from a \
             backup of Redis, or restart the servers, which go on with what is left"
                .to_owned(),
        )),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Class::Certain(refused_credentials(code)),
        "OOM" => refused(
            "Redis has reached its maxmemory and refuses writes; raise maxmemory, or add nodes \
             to the cluster",
        ),
        "MISCONF" => retried(
            "Redis cannot save to its disk and refuses writes; free or repair the disk of Redis",
        ),
        "NOREPLICAS" => retried(
            "Redis has fewer replicas than its min-replicas-to-write and refuses writes; repair \
             the replicas",
        ),
        "BUSY" => refused("Redis is busy with a script of somebody else"),
        "LOADING" => retried("Redis is loading its data"),
        "READONLY" => retried("the Redis server is a replica; a failover may be under way"),
        "MASTERDOWN" => retried("the Redis server has lost its primary"),
        "CLUSTERDOWN" => retried("the cluster does not serve; a failover may be under way"),
        "TRYAGAIN" | "MOVED" | "ASK" => retried("the cluster is moving the data"),
        "NOSCRIPT" => retried("Redis forgets its scripts"),
        "WRONGTYPE" | "CROSSSLOT" => Class::Certain(StoreError::Corrupt(format!(
            "Redis holds something else under a key of the store ({code})"
        ))),
        "ERR" if detail.starts_with("max number of clients") => {
            refused("Redis has reached its maxclients")
        }
        // The only errors that repeat arguments of the call.
        "ERR" if detail.starts_with("unknown") => Class::Certain(StoreError::Misconfigured(
            "the Redis server does not know a command that the store needs".to_owned(),
        )),
        _ => Class::Certain(StoreError::Corrupt(format!(
            "Redis answered an error that the store does not expect: {code} {detail}"
        ))),
    }
}

fn refused_credentials(code: &str) -> StoreError {
    StoreError::Misconfigured(format!(
        "Redis refuses the user or the password ({code}); correct them in the URL of the store, \
         or let the user run every command on every key"
    ))
}

/// Whether the connection ended under the call, or could not be made.
pub fn is_disconnection(error: &RedisError) -> bool {
    error.is_connection_dropped()
}

/// Whether the call was certainly never carried out.
pub fn is_unsent(error: &RedisError) -> bool {
    error.is_connection_refusal()
}

/// Whether Redis does not know the script.
pub fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether the keys of the call lie on two nodes, because their slot is on its way.
pub fn is_split(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::TryAgain)
}

/// Whether the server has become a replica.
pub fn is_replica(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Whether Redis has found fault with what the call was about, and not with the call.
pub fn is_of_data(error: &RedisError) -> bool {
    matches!(classified(error), Class::Certain(StoreError::Corrupt(_)))
}

/// The error of a value that is one.
pub fn checked(value: Value) -> Result<Value, RedisError> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

/// The error when a connection could not be made.
pub fn of_connecting(error: &RedisError) -> StoreError {
    match classified(error) {
        Class::Certain(error @ StoreError::Misconfigured(_)) => error,
        Class::Certain(error) => StoreError::Unavailable(error.to_string()),
        Class::Refused(reason) | Class::Retried(reason) => StoreError::Unavailable(reason),
        Class::Unknown(_) if error.is_timeout() => {
            StoreError::Unavailable("Redis did not answer in time".to_owned())
        }
        // Nothing personal is sent before the connection stands.
        Class::Unknown(_) => StoreError::Unavailable(error.to_string()),
    }
}

/// The failure of a call that nobody waits for any more, and that may have been sent.
pub fn given_up() -> Failure {
    Failure {
        error: std::io::Error::other("the call was given up").into(),
        sent_before: true,
    }
}

/// An answer of another shape than the call has.
pub fn unexpected() -> StoreError {
    StoreError::Corrupt("Redis answered in a form that the store does not expect".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind as IoKind;

    use super::*;

    fn network(kind: IoKind) -> RedisError {
        std::io::Error::new(kind, "gone").into()
    }

    fn server(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        checked(value).unwrap_err()
    }

    fn failure(error: RedisError, sent_before: bool) -> Failure {
        Failure { error, sent_before }
    }

    #[test]
    fn what_redis_refuses_was_not_written() {
        for (line, advice) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "raise maxmemory",
            ),
            ("MISCONF Redis is configured to save RDB snapshots", "disk"),
            ("NOREPLICAS Not enough good replicas to write.", "replicas"),
            ("BUSY Redis is busy running a script.", "busy"),
            ("LOADING Redis is loading the dataset in memory", "loading"),
            (
                "READONLY You can't write against a read only replica.",
                "replica",
            ),
            ("MASTERDOWN Link with MASTER is down", "primary"),
            ("CLUSTERDOWN The cluster is down", "cluster"),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                "moving",
            ),
            ("ERR max number of clients reached", "maxclients"),
        ] {
            for error in [
                failure(server(line), false).of_write(),
                failure(server(line), false).of_read(),
            ] {
                let StoreError::Unavailable(reason) = &error else {
                    panic!("{line} is {error:?}");
                };
                assert!(reason.contains(advice), "{reason}");
            }
        }
    }

    #[test]
    fn what_was_sent_and_not_answered_may_have_been_written() {
        for kind in [
            IoKind::TimedOut,
            IoKind::BrokenPipe,
            IoKind::ConnectionReset,
        ] {
            let error = network(kind);
            let written = failure(error.clone(), false).of_write();
            assert!(
                matches!(written, StoreError::OutcomeUnknown(_)),
                "{written}"
            );
            let read = failure(error, false).of_read();
            assert!(matches!(read, StoreError::Unavailable(_)), "{read}");
        }
    }

    #[test]
    fn what_could_not_be_sent_again_may_have_been_written_the_first_time() {
        for error in [
            network(IoKind::ConnectionRefused),
            server("CLUSTERDOWN The cluster is down"),
            server("LOADING Redis is loading the dataset in memory"),
        ] {
            let first = failure(error.clone(), false).of_write();
            assert!(matches!(first, StoreError::Unavailable(_)), "{first}");
            let again = failure(error, true).of_write();
            assert!(matches!(again, StoreError::OutcomeUnknown(_)), "{again}");
        }
    }

    #[test]
    fn refused_credentials_are_a_matter_of_configuration() {
        for line in [
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "NOPERM this user has no permissions",
        ] {
            for error in [
                failure(server(line), true).of_write(),
                of_connecting(&server(line)),
            ] {
                assert!(matches!(error, StoreError::Misconfigured(_)), "{error}");
            }
        }
    }

    #[test]
    fn a_later_epoch_is_told_from_every_failure() {
        let error = server("SUPERSEDED by a later epoch");
        assert_eq!(
            failure(error.clone(), true).of_write(),
            StoreError::Superseded
        );
        assert_eq!(failure(error, false).of_read(), StoreError::Superseded);
    }

    #[test]
    fn no_message_repeats_the_arguments_of_a_command() {
        let error =
            server("ERR unknown command 'FOO', with args beginning with: 'alice@example.com'");
        for error in [
            failure(error.clone(), false).of_write(),
            failure(error, false).of_read(),
        ] {
            assert!(!error.to_string().contains("alice"), "{error}");
        }
    }
}
